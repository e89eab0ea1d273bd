//! Work on many items at once whose error is always the same one.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

/// What `work` makes of each item, in their order, on the current rayon pool.
///
/// # Errors
/// That of the first item, in their order, that has one; later ones may not be worked on then.
pub(crate) fn map_in_order<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let failed = AtomicUsize::new(usize::MAX);
    let of_item = |(place, item): (usize, &T)| {
        if place > failed.load(Ordering::Relaxed) {
            return None;
        }
        let result = work(item);
        if result.is_err() {
            failed.fetch_min(place, Ordering::Relaxed);
        }
        Some(result)
    };
    let results: Vec<Option<Result<R, E>>> = items.par_iter().with_max_len(1).enumerate().map(of_item).collect();
    // An item is left out only behind one with an error.
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_that_of_the_first_item_though_later_ones_end_before_it() {
        let items: Vec<u64> = (0..64).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(8).build().unwrap();
        for first in [0, 3, 40] {
            let work = |item: &u64| {
                if *item == first {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                if *item >= first { Err(*item) } else { Ok(*item) }
            };
            assert_eq!(pool.install(|| map_in_order(&items, work)), Err(first));
        }
        assert_eq!(pool.install(|| map_in_order(&items, |item| Ok::<_, ()>(*item))), Ok(items));
    }
}
