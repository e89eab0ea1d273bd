//! The gradients coordinate by coordinate: signal to noise, signs, and the distance of batch means [S 8].

/// Sums over the coordinates of a layer, which add up over layers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coordinates {
    /// Σ_j ḡ_j²/var_j over the coordinates that vary, and their number.
    pub ratios: f64,
    pub varying: f64,
    /// Σ_j #{i: sign g_ij = sign ḡ_j}, and n times the number of coordinates whose mean is not 0.
    pub agreeing: f64,
    pub of: f64,
    /// By how much `agreeing` could be off, where rounding decides the sign of a mean.
    pub doubtful: f64,
    /// ‖ḡ_a − ḡ_c‖² of each pair of batches.
    pub distances: Vec<f64>,
}

impl Coordinates {
    /// Of the examples `drawn`, in this order and as often as they stand there, over the coordinates at `places`; a mean
    /// within `rounding` of 0, relative to its terms, may have either sign.
    pub(crate) fn of(
        rows: &[&[f32]],
        places: &[usize],
        drawn: &[usize],
        shuffled: &[usize],
        rounding: f64,
    ) -> Coordinates {
        let n = drawn.len() as f64;
        let size = (drawn.len() / 10).max(1);
        let batches: Vec<&[usize]> = shuffled.chunks_exact(size).collect();
        let mut all = Coordinates {
            distances: vec![0.0; batches.len() * batches.len().saturating_sub(1) / 2],
            ..Default::default()
        };
        for &place in places {
            let at = |example: usize| f64::from(rows[example][place]);
            if rows.iter().all(|row| row[place] == 0.0) {
                continue;
            }
            let (mut sum, mut absolute, mut positive, mut negative) = (0.0, 0.0, 0.0, 0.0);
            for &example in drawn {
                let value = at(example);
                sum += value;
                absolute += value.abs();
                positive += f64::from(u8::from(value > 0.0));
                negative += f64::from(u8::from(value < 0.0));
            }
            let mean = sum / n;
            // Equal values have no variance, whatever the rounding of their mean.
            if drawn.iter().any(|&example| at(example) != at(drawn[0])) {
                let squares: f64 = drawn.iter().map(|&example| (at(example) - mean) * (at(example) - mean)).sum();
                all.ratios += mean * mean / (squares / (n - 1.0));
                all.varying += 1.0;
            }
            if sum != 0.0 {
                all.agreeing += if sum > 0.0 { positive } else { negative };
                all.of += n;
            }
            if absolute > 0.0 && sum.abs() <= rounding * absolute {
                all.doubtful += n;
            }
            let means: Vec<f64> =
                batches.iter().map(|batch| batch.iter().map(|&i| at(i)).sum::<f64>() / size as f64).collect();
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

    /// Adds those of another layer.
    pub(crate) fn add(&mut self, other: &Coordinates) {
        self.ratios += other.ratios;
        self.varying += other.varying;
        self.agreeing += other.agreeing;
        self.of += other.of;
        self.doubtful += other.doubtful;
        self.distances.resize(other.distances.len(), 0.0);
        for (sum, value) in self.distances.iter_mut().zip(&other.distances) {
            *sum += value;
        }
    }

    /// GSNR; NaN if no coordinate varies.
    pub(crate) fn gsnr(&self) -> f64 {
        self.ratios / self.varying
    }

    /// Same-sign fraction; NaN if every mean is 0.
    pub(crate) fn same_sign(&self) -> f64 {
        self.agreeing / self.of
    }

    /// How far rounding may move the same-sign fraction.
    pub(crate) fn same_sign_slack(&self) -> f64 {
        if self.doubtful > 0.0 { 2.0 * self.doubtful / self.of } else { 0.0 }
    }

    /// Gradient disparity; NaN without a pair of batches.
    pub(crate) fn disparity(&self) -> f64 {
        self.distances.iter().map(|squared| squared.sqrt()).sum::<f64>() / self.distances.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_coordinates_by_hand() {
        let rows: [&[f32]; 3] = [&[1.0, 0.0, 2.0], &[3.0, 0.0, 2.0], &[-1.0, 0.0, 2.0]];
        let found = Coordinates::of(&rows, &[0, 1, 2], &[0, 1, 2], &[2, 0, 1], 0.0);
        // First coordinate: mean 1, variance 4; the third does not vary, the second is 0.
        assert_eq!((found.gsnr(), found.varying), (0.25, 1.0));
        assert_eq!(found.same_sign(), 5.0 / 6.0);
        // Batches of one example: −1, 1, 3 in the first coordinate.
        assert_eq!(found.distances, [4.0, 16.0, 4.0]);
        assert!((found.disparity() - 8.0 / 3.0).abs() < 1e-15);
    }
}
