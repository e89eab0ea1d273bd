//! The gradients coordinate by coordinate: signal to noise, signs, and the distance of batch means [S 8].

/// A mean this close to 0, relative to its terms, has the sign of its rounding.
const ROUNDING: f64 = 1e-12;

/// What the coordinates of the sample say, summed over those of a layer; the sums add up over layers.
#[derive(Clone, Debug)]
pub(crate) struct Coordinates {
    /// Number of those that vary.
    pub varying: f64,
    /// Number of those whose mean is not 0; of them, those of which rounding decides the sign.
    pub signed: f64,
    pub doubtful: f64,
    /// How many of those have the sign of the mean, example by example.
    pub agreeing: Vec<f64>,
    /// The same sign's part of the examples if signs were random, summed.
    pub chance: f64,
}

/// What the coordinates of some examples say, summed over those of a layer.
#[derive(Clone, Debug)]
pub(crate) struct Batches {
    /// Σ_j (ḡ_j² − var_j/n)/var_j of those that vary in the sample; NaN if one of them is constant, but not 0.
    pub ratios: f64,
    /// ‖ḡ_a − ḡ_c‖² of each pair of batches.
    pub distances: Vec<f64>,
}

impl Coordinates {
    /// Of gradients, one row an example.
    pub(crate) fn new(rows: &[Vec<f64>]) -> Coordinates {
        let n = rows.len();
        let (varies, sums) = (varies(rows), sums(rows, 0..n, |value| value));
        let absolute = sums_of_sizes(rows);
        let mut all = Coordinates {
            varying: varies.iter().filter(|varies| **varies).count() as f64,
            signed: 0.0,
            doubtful: 0.0,
            agreeing: vec![0.0; n],
            chance: 0.0,
        };
        for (place, &sum) in sums.iter().enumerate() {
            all.doubtful += f64::from(u8::from(absolute[place] > 0.0 && sum.abs() <= ROUNDING * absolute[place]));
            if sum == 0.0 {
                continue;
            }
            all.signed += 1.0;
            let mut there = 0;
            for (row, agreeing) in rows.iter().zip(&mut all.agreeing) {
                *agreeing += f64::from(u8::from(row[place] * sum.signum() > 0.0));
                there += usize::from(row[place] != 0.0);
            }
            all.chance += there as f64 / n as f64 * same_as_sum(there);
        }
        all
    }

    /// Adds those of other coordinates.
    pub(crate) fn add(&mut self, other: &Coordinates) {
        self.varying += other.varying;
        self.signed += other.signed;
        self.doubtful += other.doubtful;
        self.chance += other.chance;
        self.agreeing.iter_mut().zip(&other.agreeing).for_each(|(sum, value)| *sum += value);
    }

    /// Same-sign fraction of some examples; NaN if every mean is 0.
    pub(crate) fn same_sign(&self, examples: &[usize]) -> f64 {
        let agreeing: f64 = examples.iter().map(|&example| self.agreeing[example]).sum();
        agreeing / self.signed / examples.len() as f64
    }

    /// How far rounding may move a same-sign fraction.
    pub(crate) fn slack(&self) -> f64 {
        if self.doubtful > 0.0 { 2.0 * self.doubtful / self.signed } else { 0.0 }
    }
}

impl Batches {
    /// Of some examples in this order, in batches of so many.
    pub(crate) fn new(rows: &[Vec<f64>], varies: &[bool], examples: &[usize], size: usize) -> Batches {
        let n = examples.len() as f64;
        let batches: Vec<Vec<f64>> =
            examples.chunks(size).map(|batch| sums(rows, batch.iter().copied(), |value| value)).collect();
        let mut means = vec![0.0; varies.len()];
        batches.iter().for_each(|batch| means.iter_mut().zip(batch).for_each(|(sum, value)| *sum += value));
        means.iter_mut().for_each(|sum| *sum /= n);
        let mut squares = vec![0.0; means.len()];
        for &example in examples {
            for ((square, value), mean) in squares.iter_mut().zip(&rows[example]).zip(&means) {
                *square += (value - mean) * (value - mean);
            }
        }
        let mut ratios = 0.0;
        for place in (0..means.len()).filter(|&place| varies[place]) {
            let variance = squares[place] / (n - 1.0);
            // Equal values have no variance, whatever the rounding of their mean.
            let first = examples.first().map_or(0.0, |&example| rows[example][place]);
            ratios += match examples.iter().any(|&example| rows[example][place] != first) {
                true => means[place] * means[place] / variance - 1.0 / n,
                false if first == 0.0 => 0.0,
                false => f64::NAN,
            };
        }
        // Of the batches those that are whole.
        let batches = &batches[..examples.len() / size];
        let mut distances = Vec::new();
        for (place, left) in batches.iter().enumerate() {
            for right in &batches[place + 1..] {
                let squared: f64 = left.iter().zip(right).map(|(left, right)| (left - right) * (left - right)).sum();
                distances.push(squared / (size * size) as f64);
            }
        }
        Batches { ratios, distances }
    }

    /// Adds those of other coordinates.
    pub(crate) fn add(&mut self, other: &Batches) {
        self.ratios += other.ratios;
        self.distances.iter_mut().zip(&other.distances).for_each(|(sum, value)| *sum += value);
    }

    /// Gradient disparity; NaN without a pair of batches.
    pub(crate) fn disparity(&self) -> f64 {
        self.distances.iter().map(|squared| squared.sqrt()).sum::<f64>() / self.distances.len() as f64
    }
}

/// Which coordinates are not the same in all examples.
pub(crate) fn varies(rows: &[Vec<f64>]) -> Vec<bool> {
    let coordinates = rows.first().map_or(0, Vec::len);
    (0..coordinates).map(|place| rows.iter().any(|row| row[place] != rows[0][place])).collect()
}

/// Sums over some examples, coordinate by coordinate.
fn sums(rows: &[Vec<f64>], examples: impl Iterator<Item = usize>, of: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut sums = vec![0.0; rows.first().map_or(0, Vec::len)];
    for example in examples {
        sums.iter_mut().zip(&rows[example]).for_each(|(sum, value)| *sum += of(*value));
    }
    sums
}

fn sums_of_sizes(rows: &[Vec<f64>]) -> Vec<f64> {
    sums(rows, 0..rows.len(), f64::abs)
}

/// The part of so many random signs that is, on average, that of their sum: 1/2 + C(w − 1, (w − 1)/2)/2^w, w the largest odd
/// number that is not larger.
fn same_as_sum(signs: usize) -> f64 {
    let mut excess = 0.5;
    for odd in (1..signs.saturating_sub(1)).step_by(2) {
        excess *= odd as f64 / (odd + 1) as f64;
    }
    0.5 + excess
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_coordinates_by_hand() {
        let rows = [vec![1.0, 0.0, 2.0], vec![3.0, 0.0, 2.0], vec![-1.0, 0.0, 2.0]];
        let found = Coordinates::new(&rows);
        // First coordinate: mean 1, variance 4; the third does not vary, the second is 0.
        assert_eq!((found.varying, found.signed, found.same_sign(&[0, 1, 2])), (1.0, 2.0, 5.0 / 6.0));
        assert_eq!(found.same_sign(&[2, 0]), 0.75);
        let batches = Batches::new(&rows, &varies(&rows), &[2, 0, 1], 1);
        assert!((batches.ratios - (0.25 - 1.0 / 3.0)).abs() < 1e-15);
        // Batches of one example: −1, 1, 3 in the first coordinate.
        assert_eq!(batches.distances, [4.0, 16.0, 4.0]);
        assert!((batches.disparity() - 8.0 / 3.0).abs() < 1e-15);
        // Constant but not 0 in a half has no ratio, 0 adds nothing.
        let half = |value: f64| {
            let rows = [vec![value], vec![value], vec![5.0]];
            Batches::new(&rows, &varies(&rows), &[0, 1], 1).ratios
        };
        assert!(half(0.1).is_nan() && half(0.0) == 0.0);
    }

    #[test]
    fn random_signs_are_those_of_their_sum_more_often_than_half() {
        // Of three signs: all alike (1/4), or two of three.
        let expected = [(1, 1.0), (2, 1.0), (3, 0.75), (4, 0.75), (5, 0.5 + 6.0 / 32.0)];
        for (signs, expected) in expected {
            assert_eq!(same_as_sum(signs), expected, "{signs}");
        }
    }
}
