//! A recording: a line for each run under way, and one for the grid with the time left.

use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use cograd_recorder::{RunOutcome, RunStart};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget};

use super::{Mode, PLAIN_INTERVAL, rate, style};
use crate::output::{Output, bytes, printable, warn};

/// Watches the recorder on behalf of a person.
pub struct Recording {
    mode: Mode,
    bars: MultiProgress,
    grid: Mutex<Grid>,
}

/// The selected runs.
struct Grid {
    bar: ProgressBar,
    /// Those under way, by id.
    lines: BTreeMap<String, Line>,
    runs: usize,
    finished: usize,
    /// Steps of a whole run.
    steps: u64,
    /// Steps that were left when this process began, and those of them that it has made.
    left: u64,
    made: u64,
    started: Instant,
    told: Instant,
}

/// A run under way.
struct Line {
    bar: ProgressBar,
    from: u64,
    step: u64,
    started: Instant,
}

impl Recording {
    pub fn new(output: &Output) -> Self {
        let mode = Mode::of(output);
        let target = if mode == Mode::Terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let now = Instant::now();
        let grid = Grid {
            bar: ProgressBar::hidden(),
            lines: BTreeMap::new(),
            runs: 0,
            finished: 0,
            steps: 0,
            left: 0,
            made: 0,
            started: now,
            told: now,
        };
        Self { mode, bars: MultiProgress::with_draw_target(target), grid: Mutex::new(grid) }
    }

    /// Takes the bars off the terminal, before closing lines are printed.
    pub fn clear(&self) {
        // The terminal may be gone.
        let _ = self.bars.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Grid> {
        self.grid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line that stays, above the bars if there are any.
    fn say(&self, line: Arguments<'_>) {
        match self.mode {
            Mode::Terminal => self.bars.suspend(|| warn(line)),
            Mode::Plain => warn(line),
            Mode::Silent => {}
        }
    }
}

impl Grid {
    /// Steps that turned out to be none of this process.
    fn drop_steps(&mut self, steps: u64) {
        self.left = self.left.saturating_sub(steps);
        self.bar.set_length(self.left);
    }

    fn end_run(&mut self) {
        self.finished += 1;
        self.bar.set_message(format!("{} of {} runs", self.finished, self.runs));
    }

    fn tell_plainly(&mut self) {
        self.told = Instant::now();
        for (run, line) in &self.lines {
            let seconds = line.started.elapsed().as_secs_f64();
            let (rate, left) = rate(line.step - line.from, seconds, self.steps - line.step);
            let (step, steps, left) = (line.step, self.steps, HumanDuration(left));
            warn(format_args!("{run}: step {step} of {steps}, {rate:.0} steps/s, {left} left"));
        }
        if self.runs > 1 {
            let seconds = self.started.elapsed().as_secs_f64();
            let (_, left) = rate(self.made, seconds, self.left.saturating_sub(self.made));
            let (finished, runs, left) = (self.finished, self.runs, HumanDuration(left));
            warn(format_args!("all: {finished} of {runs} runs, {left} left"));
        }
    }
}

impl cograd_recorder::Observer for Recording {
    fn study_started(&self, runs: usize, steps: u64) {
        let mut grid = self.lock();
        let left = runs as u64 * steps;
        let bar = if runs > 1 { self.bars.add(ProgressBar::new(left)) } else { ProgressBar::hidden() };
        bar.set_style(style("{msg} {bar:30} {percent} %  {eta} left"));
        bar.set_message(format!("0 of {runs} runs"));
        (grid.runs, grid.steps, grid.left, grid.bar) = (runs, steps, left, bar);
    }

    fn run_started(&self, start: &RunStart<'_>) {
        let RunStart { run, index, runs, steps, from, discarded } = start;
        if let Some(reason) = discarded {
            self.say(format_args!("{run} begins again: {reason}"));
        }
        if *from > 0 {
            self.say(format_args!("continuing {run} from step {from}"));
        } else if self.mode == Mode::Plain {
            warn(format_args!("[{}/{runs}] {run}: {steps} steps", index + 1));
        }
        let bar = ProgressBar::new(*steps).with_position(*from).with_message(printable(run).into_owned());
        bar.set_style(style("{msg} {bar:30} {pos}/{len} steps  {per_sec}"));
        bar.reset_eta();
        let mut grid = self.lock();
        let bar = if *runs > 1 { self.bars.insert_before(&grid.bar, bar) } else { self.bars.add(bar) };
        grid.drop_steps(*from);
        grid.lines.insert(run.to_string(), Line { bar, from: *from, step: *from, started: Instant::now() });
    }

    fn step(&self, run: &str, step: u64) {
        let mut grid = self.lock();
        if let Some(line) = grid.lines.get_mut(run) {
            let made = step.saturating_sub(line.step);
            line.step = step;
            line.bar.set_position(step);
            grid.made += made;
            grid.bar.set_position(grid.made);
        }
        if self.mode == Mode::Plain && grid.told.elapsed() >= PLAIN_INTERVAL {
            grid.tell_plainly();
        }
    }

    fn run_held(&self, run: &str, holder: &str) {
        let mut grid = self.lock();
        let steps = grid.steps;
        grid.drop_steps(steps);
        self.say(format_args!("{run}: being recorded by {holder}, and left to it"));
    }

    fn run_finished(&self, outcome: &RunOutcome) {
        let mut grid = self.lock();
        let steps = grid.steps;
        match grid.lines.remove(&outcome.run) {
            Some(line) => line.bar.finish_and_clear(),
            None => grid.drop_steps(steps),
        }
        grid.end_run();
        let RunOutcome { run, recorded_steps, seconds, .. } = outcome;
        match outcome.already_there {
            true => self.say(format_args!("{run}: already recorded")),
            false => self.say(format_args!(
                "{run}: {recorded_steps} steps with gradients, {} in {seconds:.1} s",
                bytes(outcome.bytes)
            )),
        }
    }
}
