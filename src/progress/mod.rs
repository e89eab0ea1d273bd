//! Progress on standard error: bars on a terminal, plain lines elsewhere, nothing when quiet.

mod analysis;
#[cfg(feature = "fetch")]
mod download;
mod pace;
mod recording;

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::ProgressStyle;

pub use self::analysis::Analysis;
#[cfg(feature = "fetch")]
pub use self::download::Download;
pub use self::recording::Recording;
use crate::output::Output;

/// How long a plain log stays silent.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Silent,
    Plain,
    Terminal,
}

impl Mode {
    fn new(output: &Output) -> Mode {
        match (output.quiet, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Silent,
            (false, true) => Mode::Terminal,
            (false, false) => Mode::Plain,
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Steps a second, and the time that `left` steps take at that rate.
fn rate(steps: u64, seconds: f64, left: u64) -> (f64, Duration) {
    let rate = steps as f64 / seconds.max(1e-9);
    (rate, Duration::try_from_secs_f64(left as f64 / rate.max(1e-9)).unwrap_or(Duration::MAX))
}
