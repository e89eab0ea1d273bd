//! The same-sign fraction: the share of examples whose coordinate has the sign of the mean gradient's.
//!
//! ```text
//! (1/d') Σ_j #{i: sign g_ij = sign ḡ_j} / n        over the d' coordinates with ḡ_j ≠ 0
//! ```
//!
//! A coordinate whose mean is 0 has no sign to agree with and is left out (**choice**); an example whose coordinate is 0
//! agrees with neither sign. Missing if no coordinate is left. In a resample likewise, over its n draws. Source: after Liu et
//! al. 2020; [S 8].

use super::coordinate::Coordinates;

/// Name in the results.
pub const NAME: &str = "same_sign";

/// How often an example agrees, and of how many times: what adds up over layers.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Agreements {
    /// Σ_j #{i: sign g_ij = sign ḡ_j}.
    pub agreeing: u64,
    /// n·d'.
    pub of: u64,
}

impl Agreements {
    /// Of the coordinates of one layer.
    pub fn of(coordinates: &Coordinates) -> Agreements {
        let mut agreements = Agreements::default();
        let signs = coordinates.positive.iter().zip(&coordinates.negative);
        for (&sum, (&positive, &negative)) in coordinates.sums.iter().zip(signs) {
            if sum != 0.0 {
                agreements.agreeing += u64::from(if sum > 0.0 { positive } else { negative });
                agreements.of += coordinates.examples as u64;
            }
        }
        agreements
    }

    /// Adds those of another layer.
    pub fn join(self, other: Agreements) -> Agreements {
        Agreements { agreeing: self.agreeing + other.agreeing, of: self.of + other.of }
    }

    /// The same-sign fraction.
    pub fn value(self) -> Option<f64> {
        (self.of > 0).then(|| self.agreeing as f64 / self.of as f64)
    }
}
