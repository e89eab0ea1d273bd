//! The random halves of a sample: of its examples, and of each parameter's recorded coordinates; the same at every step [S 8.3].
//!
//! ChaCha8 keyed with SHA-256(`cograd bootstrap`, seed as 8 little-endian bytes, run id). Stream 0 shuffles the examples. Stream b
//! puts ⌊n/2⌋ of them to the front, and goes on with the coordinates of one parameter after the other.

use crate::plain::random::{of_analysis, shuffle_front};

/// Fewer coordinates of a parameter do not tell how far their draw may be off.
const FEWEST_COORDINATES: usize = 4;

/// One half.
pub(crate) struct Half {
    /// Places of its examples, in the order in which they were drawn.
    pub examples: Vec<usize>,
    /// Of each parameter, which of its coordinates.
    pub coordinates: Vec<Vec<usize>>,
}

/// The halves of one run.
pub(crate) struct Halves {
    pub all: Vec<Half>,
    /// All examples, in a random order.
    pub shuffled: Vec<usize>,
    /// Whether they tell how far the draw of coordinates may be off.
    pub tell_of_population: bool,
}

impl Halves {
    /// `count` halves of `examples` examples and of parameters, of each of which so many of so many values are recorded.
    pub(crate) fn new(
        seed: u64,
        run: &str,
        examples: usize,
        count: usize,
        parameters: &[(usize, Option<u64>)],
    ) -> Halves {
        let mut generator = of_analysis("cograd bootstrap", seed, run);
        let mut front = |stream: u64| {
            generator.set_stream(stream);
            generator.clone()
        };
        let mut shuffled: Vec<usize> = (0..examples).collect();
        shuffle_front(&mut shuffled, examples, &mut front(0));
        let half = |stream: u64| {
            let mut generator = front(stream);
            let mut drawn = |from: usize, amount: usize| {
                let mut places: Vec<usize> = (0..from).collect();
                if amount < from {
                    shuffle_front(&mut places, amount, &mut generator);
                    places.truncate(amount);
                }
                places
            };
            let of_examples = drawn(examples, examples / 2);
            let coordinates = parameters.iter().map(|&(recorded, size)| drawn(recorded, taken(recorded, size)));
            Half { coordinates: coordinates.collect(), examples: of_examples }
        };
        let is_drawn = |&(recorded, size): &(usize, Option<u64>)| size.is_some_and(|size| (recorded as u64) < size);
        let tell_of_population =
            parameters.iter().all(|parameter| !is_drawn(parameter) || parameter.0 >= FEWEST_COORDINATES);
        Halves { all: (1..=count as u64).map(half).collect(), shuffled, tell_of_population }
    }
}

/// How many of so many recorded coordinates are taken.
fn taken(recorded: usize, size: Option<u64>) -> usize {
    match size.map(|size| size as f64) {
        Some(size) if (recorded as f64) < size => {
            let recorded = recorded as f64;
            ((recorded * size / (2.0 * size - recorded)).floor() as usize).max(1)
        }
        _ => recorded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_of_distinct_examples_and_coordinates() {
        let halves = Halves::new(1, "run", 11, 3, &[(6, Some(20)), (3, Some(3)), (5, None)]);
        assert!(halves.all.len() == 3 && halves.tell_of_population);
        for half in &halves.all {
            let sizes: Vec<usize> = half.coordinates.iter().map(Vec::len).collect();
            // ⌊6 · 20/34⌋; all of the others.
            assert_eq!((half.examples.len(), sizes), (5, vec![3, 3, 5]));
            let distinct: std::collections::BTreeSet<&usize> = half.examples.iter().collect();
            assert_eq!(distinct.len(), 5);
        }
        let mut shuffled = halves.shuffled.clone();
        shuffled.sort_unstable();
        assert!(shuffled.into_iter().eq(0..11));
        assert!(!Halves::new(1, "run", 11, 3, &[(3, Some(4))]).tell_of_population);
    }
}
