//! A download: a bar on a terminal, of one file after the other.

use indicatif::{ProgressBar, ProgressDrawTarget};

use super::{Mode, style};
use crate::output::Output;

/// Watches a download on behalf of a person.
pub struct Download {
    bar: ProgressBar,
}

impl Download {
    pub fn new(output: &Output) -> Self {
        let is_shown = Mode::new(output) == Mode::Terminal;
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(style(
            "{msg} {bar:30} {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left",
        ));
        Self { bar }
    }

    /// So many bytes of a file are there.
    pub fn show(&self, name: &str, done: u64, bytes: u64) {
        if self.bar.message() != name {
            self.bar.reset();
            self.bar.set_message(name.to_string());
            self.bar.set_length(bytes);
        }
        self.bar.set_position(done);
    }

    /// Takes the bar off the terminal, before closing lines are printed.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
