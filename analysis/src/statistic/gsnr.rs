//! GSNR, the gradient signal-to-noise ratio, averaged over coordinates.
//!
//! ```text
//! (1/d') Σ_j ḡ_j² / var_j        over the d' coordinates whose variance over examples is not 0
//! ```
//!
//! Coordinates of no variance have no ratio and are left out (**choice**): most of them are weights at which every gradient
//! is 0. Missing if that leaves none, and for one example. In a resample likewise, over its n draws. Source: Liu et al. 2020,
//! "Understanding Why Neural Networks Generalize Well Through GSNR of Parameters"; [S 8].

use super::coordinate::Coordinates;

/// Name in the results.
pub const NAME: &str = "gsnr";

/// The sum of the ratios, and how many there are: what adds up over layers.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Ratios {
    /// Σ_j ḡ_j²/var_j.
    pub sum: f64,
    /// d'.
    pub coordinates: u32,
}

impl Ratios {
    /// Of the coordinates of one layer.
    pub fn of(coordinates: &Coordinates) -> Ratios {
        let mut ratios = Ratios::default();
        for (sum, &variance) in coordinates.sums.iter().zip(&coordinates.variances) {
            ratios.add(sum / coordinates.examples as f64, variance);
        }
        ratios
    }

    /// Adds a coordinate, if it has a variance.
    pub fn add(&mut self, mean: f64, variance: f64) {
        if variance > 0.0 {
            self.sum += mean * mean / variance;
            self.coordinates += 1;
        }
    }

    /// Adds those of another layer.
    pub fn join(self, other: Ratios) -> Ratios {
        Ratios { sum: self.sum + other.sum, coordinates: self.coordinates + other.coordinates }
    }

    /// The GSNR.
    pub fn value(self) -> Option<f64> {
        (self.coordinates > 0).then(|| self.sum / f64::from(self.coordinates))
    }
}
