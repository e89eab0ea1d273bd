//! An analysis: one run after the other, one bar.

use std::sync::Mutex;
use std::time::Instant;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget};

use super::{Mode, PLAIN_INTERVAL, rate, style};
use crate::output::{Output, printable, warn};

/// Watches the analysis on behalf of a person.
pub struct Analysis {
    mode: Mode,
    bar: ProgressBar,
    run: Mutex<Run>,
}

struct Run {
    label: String,
    steps: u64,
    started: Instant,
    told: Instant,
}

impl Analysis {
    pub fn new(output: &Output) -> Self {
        let mode = Mode::new(output);
        let target = if mode == Mode::Terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let now = Instant::now();
        let run = Run { label: String::new(), steps: 0, started: now, told: now };
        Self { mode, bar: ProgressBar::with_draw_target(None, target), run: Mutex::new(run) }
    }

    fn tell_plainly(&self, step: u64) {
        let mut run = self.lock();
        if run.told.elapsed() < PLAIN_INTERVAL {
            return;
        }
        run.told = Instant::now();
        let (rate, left) = rate(step, run.started.elapsed().as_secs_f64(), run.steps.saturating_sub(step));
        let (label, steps, left) = (&run.label, run.steps, HumanDuration(left));
        warn(format_args!("{label}: step {step} of {steps}, {rate:.0} steps/s, {left} left"));
    }

    /// Takes the bar off the terminal, before closing lines are printed.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl cograd_analysis::Observer for Analysis {
    fn run_started(&self, run: &str, index: usize, runs: usize, steps: usize) {
        let (label, steps) = (format!("[{}/{runs}] {run}", index + 1), steps as u64);
        if self.mode == Mode::Plain {
            warn(format_args!("{label}: reading {steps} recorded steps"));
        }
        self.bar.reset();
        self.bar.set_style(style("{msg} {bar:30} {pos}/{len} steps  {per_sec}  {eta} left"));
        self.bar.set_message(printable(&label).into_owned());
        self.bar.set_length(steps);
        let now = Instant::now();
        *self.lock() = Run { label, steps, started: now, told: now };
    }

    fn steps_read(&self, steps: usize) {
        self.bar.set_position(steps as u64);
        if self.mode == Mode::Plain {
            self.tell_plainly(steps as u64);
        }
    }
}
