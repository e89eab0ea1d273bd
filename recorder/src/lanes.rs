//! How the runs of a grid share the threads: side by side, each on as few threads as there are runs for.
//!
//! Threads inside a step wait for each other at its end, runs never do: `docs/recording.md` has the measurements.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::RecordError;

/// Runs that are worked on together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wave {
    runs: usize,
    /// Runs at a time.
    lanes: usize,
    /// Threads of each.
    threads: usize,
}

/// The waves of `runs` runs: all threads busy in each, on as few threads a run as there are runs for.
fn waves(mut runs: usize, threads: usize) -> Vec<Wave> {
    let mut waves = Vec::new();
    while runs > 0 {
        let lanes = threads.min(runs);
        // What is left when no full row of lanes remains shares the threads in a wave of its own.
        let wave = Wave { runs: runs / lanes * lanes, lanes, threads: threads / lanes };
        runs -= wave.runs;
        waves.push(wave);
    }
    waves
}

/// Calls `work` with each place of `0..runs`, some at the same time, each on a thread of a rayon pool that it has for
/// itself.
///
/// # Errors
/// Threads cannot be started. What `work` returns comes back in the order of places.
pub(crate) fn for_each_run<T: Send>(runs: usize, work: impl Fn(usize) -> T + Sync) -> Result<Vec<T>, RecordError> {
    let mut done = Vec::new();
    for wave in waves(runs, rayon::current_num_threads()) {
        let pool = || ThreadPoolBuilder::new().num_threads(wave.threads).build();
        let pools = (0..wave.lanes).map(|_| pool()).collect::<Result<Vec<ThreadPool>, _>>()?;
        let (first, next) = (done.len(), AtomicUsize::new(0));
        let lane = |pool: &ThreadPool| {
            let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|place| *place < wave.runs);
            // Within the pool, so that its parallel sections need not be entered from outside.
            pool.install(|| std::iter::from_fn(take).map(|place| (first + place, work(first + place))).collect())
        };
        let mut results: Vec<(usize, T)> = thread::scope(|scope| {
            let lanes: Vec<_> = pools.iter().map(|pool| scope.spawn(|| lane(pool))).collect();
            lanes
                .into_iter()
                .flat_map(|lane| -> Vec<_> { lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) })
                .collect()
        });
        results.sort_by_key(|(place, _)| *place);
        done.extend(results.into_iter().map(|(_, result)| result));
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_is_worked_on_once_and_no_thread_is_left_idle_from_the_start() {
        for (runs, threads, expected) in [
            (5, 2, &[(4, 2, 1), (1, 1, 2)][..]),
            (1, 16, &[(1, 1, 16)]),
            (5, 16, &[(5, 5, 3)]),
            (20, 16, &[(16, 16, 1), (4, 4, 4)]),
            (3, 1, &[(3, 1, 1)]),
            (0, 2, &[]),
        ] {
            let expected: Vec<Wave> =
                expected.iter().map(|&(runs, lanes, threads)| Wave { runs, lanes, threads }).collect();
            assert_eq!(waves(runs, threads), expected, "{runs} runs, {threads} threads");
        }
    }

    #[test]
    fn results_come_in_the_order_of_the_runs() {
        let places = for_each_run(7, |place| place).unwrap();
        assert_eq!(places, [0, 1, 2, 3, 4, 5, 6]);
    }
}
