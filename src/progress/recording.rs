//! A recording: a line for each run under way, and one for the grid with the time left.

use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cograd_recorder::{RunOutcome, RunStart};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget};

use super::pace::{Pace, Steps};
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
    held: usize,
    /// Steps of a whole run.
    steps: u64,
    /// Steps that were left when this process began, and those of them that it has made.
    left: u64,
    made: u64,
    pace: Pace,
    /// Those of a whole run.
    whole: Steps,
    /// When the time left was shown.
    told: Instant,
}

/// How often the time left is written anew on a terminal.
const SHOWN: Duration = Duration::from_millis(250);

/// A run under way.
#[derive(Clone)]
struct Line {
    bar: ProgressBar,
    from: u64,
    step: u64,
    started: Instant,
    /// When the last step was made.
    moved: Instant,
    recorded: Vec<u64>,
}

impl Line {
    /// Steps that are left of `steps`.
    fn left(&self, steps: u64) -> Steps {
        let left = steps.saturating_sub(self.step);
        let recorded = self.recorded.iter().filter(|step| (self.step..steps).contains(step)).count() as u64;
        Steps { plain: left - recorded, recorded }
    }
}

impl Recording {
    pub fn new(output: &Output) -> Self {
        let mode = Mode::new(output);
        let target = if mode == Mode::Terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let now = Instant::now();
        let grid = Grid {
            bar: ProgressBar::hidden(),
            lines: BTreeMap::new(),
            runs: 0,
            finished: 0,
            held: 0,
            steps: 0,
            left: 0,
            made: 0,
            pace: Pace::default(),
            whole: Steps::default(),
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

    /// The time that is left: the runs under way share the work.
    fn time_left(&self) -> Option<Duration> {
        let waiting = self.runs.saturating_sub(self.finished + self.held + self.lines.len()) as u64;
        let whole = Steps { plain: waiting * self.whole.plain, recorded: waiting * self.whole.recorded };
        let steps = self
            .lines
            .values()
            .map(|line| line.left(self.steps))
            .fold(whole, |sum, left| Steps { plain: sum.plain + left.plain, recorded: sum.recorded + left.recorded });
        Some(self.pace.left(steps)? / self.lines.len().max(1) as u32)
    }

    fn tell_plainly(&mut self) {
        self.told = Instant::now();
        for (run, line) in &self.lines {
            let seconds = line.started.elapsed().as_secs_f64();
            let (rate, _) = rate(line.step - line.from, seconds, 0);
            let (step, steps, left) = (line.step, self.steps, said(self.pace.left(line.left(self.steps))));
            warn(format_args!("{run}: step {step} of {steps}, {rate:.0} steps/s{left}"));
        }
        if self.runs > 1 {
            let (finished, runs, left) = (self.finished, self.runs, said(self.time_left()));
            warn(format_args!("all: {finished} of {runs} runs{left}"));
        }
    }

    /// Writes the time left beside the bar of the grid, or that of the only run.
    fn show(&mut self) {
        self.told = Instant::now();
        let left = said(self.time_left()).trim_start_matches(", ").to_string();
        match self.lines.values().next().filter(|_| self.runs == 1) {
            Some(line) => line.bar.set_prefix(left),
            None => self.bar.set_prefix(left),
        }
    }
}

/// `, 3 minutes left`; nothing while it is not known.
fn said(left: Option<Duration>) -> String {
    left.map(|left| format!(", {} left", HumanDuration(left))).unwrap_or_default()
}

impl cograd_recorder::Observer for Recording {
    fn study_started(&self, runs: usize, steps: u64) {
        let mut grid = self.lock();
        let left = runs as u64 * steps;
        let bar = if runs > 1 { self.bars.add(ProgressBar::new(left)) } else { ProgressBar::hidden() };
        bar.set_style(style("{msg} {bar:30} {percent} %  {prefix}"));
        bar.set_message(format!("0 of {runs} runs"));
        (grid.runs, grid.steps, grid.left, grid.bar) = (runs, steps, left, bar);
    }

    fn note(&self, text: &str) {
        self.say(format_args!("{text}"));
    }

    fn run_started(&self, start: &RunStart<'_>) {
        let RunStart { run, index, runs, steps, from, recorded, discarded } = start;
        if let Some(reason) = discarded {
            self.say(format_args!("{run} begins again: {reason}"));
        }
        if *from > 0 {
            self.say(format_args!("continuing {run} from step {from}"));
        } else if self.mode == Mode::Plain {
            warn(format_args!("[{}/{runs}] {run}: training {steps} steps", index + 1));
        }
        let bar = ProgressBar::new(*steps).with_position(*from).with_message(printable(run).into_owned());
        bar.set_style(style("{msg} {bar:30} {pos}/{len} steps  {per_sec}  {prefix}"));
        bar.reset_eta();
        let mut grid = self.lock();
        let bar = if *runs > 1 { self.bars.insert_before(&grid.bar, bar) } else { self.bars.add(bar) };
        grid.drop_steps(*from);
        let (now, recorded) = (Instant::now(), recorded.to_vec());
        let line = Line { bar, from: *from, step: *from, started: now, moved: now, recorded };
        grid.whole = Line { step: 0, ..line.clone() }.left(*steps);
        grid.lines.insert(run.to_string(), line);
    }

    fn step(&self, run: &str, step: u64) {
        let mut grid = self.lock();
        if let Some(line) = grid.lines.get_mut(run) {
            let made = step.saturating_sub(line.step);
            let is_recorded = line.recorded.binary_search(&line.step).is_ok();
            let seconds = line.moved.elapsed().as_secs_f64();
            (line.step, line.moved) = (step, Instant::now());
            line.bar.set_position(step);
            grid.pace.add(is_recorded, seconds);
            grid.made += made;
            grid.bar.set_position(grid.made);
        }
        match self.mode {
            Mode::Plain if grid.told.elapsed() >= PLAIN_INTERVAL => grid.tell_plainly(),
            Mode::Terminal if grid.told.elapsed() >= SHOWN => grid.show(),
            _ => {}
        }
    }

    fn run_held(&self, run: &str, holder: &str) {
        let mut grid = self.lock();
        let steps = grid.steps;
        grid.held += 1;
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
