//! The gradients coordinate by coordinate: signal to noise, signs, the distance of batch means, and the squared norms of
//! groups [S 8].

use crate::plain::zero;

/// Sums over the coordinates of a parameter, of the sample or of a half, which add up over parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coordinates {
    /// Σ_j (ḡ_j² − var_j/h)/var_j over the coordinates that vary in the sample; NaN if one is constant here and not 0.
    pub ratios: f64,
    /// ‖ḡ_a − ḡ_c‖² of each pair of batches.
    pub distances: Vec<f64>,
    /// Of each group, over ordered pairs of distinct examples with the first in it and over its examples: of all coordinates, and of
    /// those of the half.
    pub all: Vec<[f64; 2]>,
    pub taken: Vec<[f64; 2]>,
}

impl Coordinates {
    /// Of the examples `chosen`, cut into batches of `batch`, over the coordinates at `places`, of which `taken` are in the half.
    pub(crate) fn of(
        rows: &[&[f32]],
        places: &[usize],
        groups: (&[usize], usize),
        chosen: &[usize],
        batch: usize,
        taken: &[usize],
    ) -> Coordinates {
        let n = chosen.len() as f64;
        let batches: Vec<&[usize]> = chosen.chunks_exact(batch).collect();
        let mut all = Coordinates {
            distances: vec![0.0; batches.len() * batches.len().saturating_sub(1) / 2],
            all: vec![[0.0; 2]; groups.1],
            taken: vec![[0.0; 2]; groups.1],
            ..Default::default()
        };
        let mut is_taken = vec![false; places.len()];
        taken.iter().for_each(|&coordinate| is_taken[coordinate] = true);
        for (&place, is_taken) in places.iter().zip(is_taken) {
            let at = |example: usize| f64::from(rows[example][place]);
            if rows.iter().all(|row| row[place] == 0.0) {
                continue;
            }
            let mut sums = vec![[0.0; 2]; groups.1];
            for &example in chosen {
                let value = at(example);
                sums[groups.0[example]][0] += value;
                sums[groups.0[example]][1] += value * value;
            }
            let sum: f64 = sums.iter().map(|[sum, _]| sum).sum();
            for (group, [of_group, squares]) in sums.into_iter().enumerate() {
                let terms = [of_group * sum - squares, squares];
                for (sums, is_in) in [(&mut all.all, true), (&mut all.taken, is_taken)] {
                    if is_in {
                        sums[group][0] += terms[0];
                        sums[group][1] += terms[1];
                    }
                }
            }
            // Equal values have no variance, whatever the rounding of their mean.
            if (0..rows.len()).any(|example| at(example) != at(0)) {
                let mean = sum / n;
                let squares: f64 = chosen.iter().map(|&example| (at(example) - mean) * (at(example) - mean)).sum();
                all.ratios += match chosen.iter().any(|&example| at(example) != at(chosen[0])) {
                    true => mean * mean / (squares / (n - 1.0)) - 1.0 / n,
                    false if at(chosen[0]) == 0.0 => 0.0,
                    false => f64::NAN,
                };
            }
            let means: Vec<f64> =
                batches.iter().map(|of| of.iter().map(|&i| at(i)).sum::<f64>() / batch as f64).collect();
            let mut pair = 0;
            for a in 0..means.len() {
                for c in a + 1..means.len() {
                    all.distances[pair] += (means[a] - means[c]) * (means[a] - means[c]);
                    pair += 1;
                }
            }
        }
        all
    }

    /// Adds those of another parameter; norms of groups are not added, which are scaled by their own.
    pub(crate) fn add(&mut self, other: &Coordinates) {
        self.ratios += other.ratios;
        self.distances.iter_mut().zip(&other.distances).for_each(|(sum, value)| *sum += value);
    }

    /// Gradient disparity; NaN without a pair of batches.
    pub(crate) fn disparity(&self) -> f64 {
        self.distances.iter().map(|squared| squared.sqrt()).sum::<f64>() / self.distances.len() as f64
    }
}

/// How the examples of the sample agree in sign with its mean gradient.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signs {
    /// Coordinates that vary.
    pub varying: f64,
    /// Coordinates whose mean is not 0, and those of them whose sign rounding decides.
    pub signed: f64,
    pub doubtful: f64,
    /// Of each example, at how many it has the sign of the mean.
    pub agreeing: Vec<f64>,
    /// Sum of the fractions that random signs would give.
    pub chance: f64,
}

impl Signs {
    /// Over the coordinates at `places`.
    pub(crate) fn of(rows: &[&[f32]], places: &[usize]) -> Signs {
        let n = rows.len() as f64;
        let mut signs = Signs { agreeing: vec![0.0; rows.len()], ..Default::default() };
        for &place in places {
            let values: Vec<f64> = rows.iter().map(|row| f64::from(row[place])).collect();
            let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
            let sum = zero::or_zero(values.iter().sum(), n, n * largest);
            signs.varying += f64::from(u8::from(values.iter().any(|value| *value != values[0])));
            signs.doubtful += f64::from(u8::from(largest > 0.0 && sum.abs() <= 2.0 * zero::rounding(n, n * largest)));
            if sum == 0.0 {
                continue;
            }
            signs.signed += 1.0;
            for (agreeing, value) in signs.agreeing.iter_mut().zip(&values) {
                *agreeing += f64::from(u8::from(value * sum.signum() > 0.0));
            }
            let nonzero = values.iter().filter(|value| **value != 0.0).count();
            signs.chance += nonzero as f64 / n * majority(nonzero);
        }
        signs
    }

    /// Adds those of another parameter.
    pub(crate) fn add(&mut self, other: &Signs) {
        self.varying += other.varying;
        self.signed += other.signed;
        self.doubtful += other.doubtful;
        self.chance += other.chance;
        self.agreeing.iter_mut().zip(&other.agreeing).for_each(|(sum, value)| *sum += value);
    }

    /// The fraction of the coordinates at which these examples agree; NaN without a coordinate.
    pub(crate) fn fraction(&self, examples: &[usize]) -> f64 {
        examples.iter().map(|&example| self.agreeing[example]).sum::<f64>() / examples.len() as f64 / self.signed
    }

    /// How far rounding may move that.
    pub(crate) fn slack(&self) -> f64 {
        if self.doubtful > 0.0 { 2.0 * self.doubtful / self.signed.max(1.0) } else { 0.0 }
    }
}

/// How likely one of so many random signs is to be the one that most have, of the largest odd number of them.
fn majority(signs: usize) -> f64 {
    let others = (signs - 1) / 2 * 2;
    // C(others, others/2)/2^others, factor by factor.
    let even: f64 = (1..=others / 2).map(|k| (others / 2 + k) as f64 / (4.0 * k as f64)).product();
    0.5 + 0.5 * even
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_coordinates_by_hand() {
        let rows: [&[f32]; 3] = [&[1.0, 0.0, 2.0], &[3.0, 0.0, 2.0], &[-1.0, 0.0, 2.0]];
        let groups = [0, 1, 1];
        let found = Coordinates::of(&rows, &[0, 1, 2], (&groups, 2), &[2, 0, 1], 1, &[2]);
        // First coordinate: mean 1, variance 4; the third does not vary, the second is 0.
        assert!((found.ratios - (0.25 - 1.0 / 3.0)).abs() < 1e-15);
        // Batches of one example: −1, 1, 3 in the first coordinate.
        assert_eq!(found.distances, [4.0, 16.0, 4.0]);
        assert!((found.disparity() - 8.0 / 3.0).abs() < 1e-15);
        // Group 1 is of (3, 2) and (−1, 2), the sum is (3, 6): 2 · 3 − 10 in the first and 4 · 6 − 8 in the third.
        assert_eq!((found.all[1], found.taken[1]), ([-4.0 + 16.0, 18.0], [16.0, 8.0]));
        let signs = Signs::of(&rows, &[0, 1, 2]);
        assert_eq!((signs.varying, signs.signed, signs.fraction(&[0, 1, 2])), (1.0, 2.0, 5.0 / 6.0));
        assert_eq!((majority(1), majority(2), majority(3), majority(5)), (1.0, 1.0, 0.75, 0.6875));
        assert_eq!(signs.chance, 1.5);
        // In a half of the last alone nothing varies.
        assert!(Coordinates::of(&rows, &[0], (&groups, 2), &[2], 1, &[0]).ratios.is_nan());
    }
}
