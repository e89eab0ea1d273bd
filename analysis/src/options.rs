//! What a caller can choose, and how it hears of progress.

use crate::AnalysisError;

/// Choices of an analysis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Null worlds per run, B; 0 leaves every p-value missing.
    pub null_worlds: usize,
    /// Analysis seed: with the run id and the number of a world it determines that world.
    pub seed: u64,
    /// Null worlds 1..=k whose curves are kept for drawing, whatever the number of null worlds.
    pub kept_worlds: usize,
    /// Bootstrap resamples per run, B; 0 leaves every interval missing.
    pub bootstrap: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { null_worlds: 1000, seed: 0, kept_worlds: 3, bootstrap: 200 }
    }
}

impl Options {
    /// World numbers and counts are 32-bit in the results.
    pub(crate) fn check(&self) -> Result<(), AnalysisError> {
        let largest = u32::MAX as usize - 1;
        match self.null_worlds.max(self.kept_worlds) {
            worlds if worlds > largest => Err(AnalysisError::TooManyWorlds { worlds, largest }),
            _ => Ok(()),
        }
    }
}

/// Hears of the progress of an analysis; every method does nothing by default.
pub trait Observer: Sync {
    /// Run `run`, number `index` of `runs`, is begun; gradients of `steps` steps will be read.
    fn run_started(&self, _run: &str, _index: usize, _runs: usize, _steps: usize) {}
    /// The gradients of `steps` steps of the current run have been read so far. Called from several threads.
    fn steps_read(&self, _steps: usize) {}
    /// The current run is done.
    fn run_finished(&self) {}
}

/// The observer that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
