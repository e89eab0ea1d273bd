//! Progress on standard error: a bar with rate and time left on a terminal, plain lines elsewhere, nothing when quiet.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{Output, bytes};

/// How long a plain log stays silent inside one run.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Watches the recorder or the analysis on behalf of a person.
pub struct Progress {
    mode: Mode,
    bar: ProgressBar,
    run: Mutex<Run>,
}

#[derive(PartialEq)]
enum Mode {
    Silent,
    Plain,
    Terminal,
}

struct Run {
    label: String,
    steps: u64,
    started: Instant,
    told: Instant,
}

impl Progress {
    pub fn new(output: &Output) -> Self {
        let mode = match (output.quiet, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Silent,
            (false, true) => Mode::Terminal,
            (false, false) => Mode::Plain,
        };
        let target = if mode == Mode::Terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let now = Instant::now();
        let run = Run { label: String::new(), steps: 0, started: now, told: now };
        Self { mode, bar: ProgressBar::with_draw_target(None, target), run: Mutex::new(run) }
    }

    fn start(&self, label: String, steps: u64) {
        if self.mode == Mode::Plain {
            eprintln_safely(format_args!("{label}: {steps} steps"));
        }
        let template = "{msg} {bar:30} {pos}/{len} steps  {per_sec}  {eta} left";
        self.bar.reset();
        self.bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_message(label.clone());
        self.bar.set_length(steps);
        let now = Instant::now();
        *self.lock() = Run { label, steps, started: now, told: now };
    }

    fn advance(&self, step: u64) {
        self.bar.set_position(step);
        if self.mode == Mode::Plain {
            self.tell_plainly(step);
        }
    }

    fn tell_plainly(&self, step: u64) {
        let mut run = self.lock();
        if run.told.elapsed() < PLAIN_INTERVAL {
            return;
        }
        run.told = Instant::now();
        let rate = step as f64 / run.started.elapsed().as_secs_f64();
        let left = Duration::from_secs_f64(run.steps.saturating_sub(step) as f64 / rate.max(1e-9));
        eprintln_safely(format_args!(
            "{}: step {step} of {}, {rate:.0} steps/s, {} left",
            run.label,
            run.steps,
            HumanDuration(left)
        ));
    }

    fn finish(&self, sentence: String) {
        match self.mode {
            Mode::Terminal => self.bar.suspend(|| eprintln_safely(format_args!("{sentence}"))),
            Mode::Plain => eprintln_safely(format_args!("{sentence}")),
            Mode::Silent => {}
        }
    }

    /// Takes the bar off the terminal, before closing lines are printed.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl cograd_recorder::Observer for Progress {
    fn run_started(&self, run: &str, index: usize, runs: usize, steps: u64) {
        self.start(format!("[{}/{runs}] {run}", index + 1), steps);
    }

    fn step(&self, step: u64) {
        self.advance(step);
    }

    fn run_finished(&self, outcome: &cograd_recorder::RunOutcome) {
        let run = &outcome.run;
        self.finish(match outcome.already_there {
            true => format!("{run}: already recorded"),
            false => format!(
                "{run}: {} steps with gradients, {} in {:.1} s",
                outcome.recorded_steps,
                bytes(outcome.bytes),
                outcome.seconds
            ),
        });
    }
}

impl cograd_analysis::Observer for Progress {
    fn run_started(&self, run: &str, index: usize, runs: usize, steps: usize) {
        self.start(format!("[{}/{runs}] {run}", index + 1), steps as u64);
    }

    fn steps_read(&self, steps: usize) {
        self.advance(steps as u64);
    }
}

/// Standard error may be closed; progress is not worth a panic.
fn eprintln_safely(line: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
