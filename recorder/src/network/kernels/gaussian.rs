//! Gaussian noise added to parameters.

use super::values_mut;
use candle_core::{CpuStorage, InplaceOp1, Layout, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::f64::consts::TAU;

/// parameters += scale · z, z independent standard normal numbers.
///
/// The number of the parameter at place p takes the words 2p and 2p + 1 of the stream, p counted from `first`, which is
/// even: the noise does not depend on who draws it.
pub(crate) struct AddGaussian {
    pub(crate) scale: f64,
    pub(crate) stream: ChaCha8Rng,
    pub(crate) first: usize,
}

/// Parameters of one task; even.
const CHUNK: usize = 1 << 12;

impl InplaceOp1 for AddGaussian {
    fn name(&self) -> &'static str {
        "add-gaussian"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let parameters = values_mut(storage, layout)?;
        parameters.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, parameters)| {
            let mut stream = self.stream.clone();
            stream.set_word_pos(2 * (self.first + chunk * CHUNK) as u128);
            for pair in parameters.chunks_mut(2) {
                for (parameter, number) in pair.iter_mut().zip(two_normals(&mut stream)) {
                    *parameter += (self.scale * number) as f32;
                }
            }
        });
        Ok(())
    }
}

/// Two independent standard normal numbers of four words (Box & Muller 1958).
fn two_normals(stream: &mut impl Rng) -> [f64; 2] {
    // In (0, 1], so that its logarithm is finite, and in [0, 1).
    let mut uniform = || (stream.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let (radius, angle) = ((-2.0 * (1.0 - uniform()).ln()).sqrt(), TAU * uniform());
    [radius * angle.cos(), radius * angle.sin()]
}

#[cfg(test)]
mod tests {
    use super::super::simd::testing::on_any_number_of_threads;
    use super::*;
    use candle_core::{DType, Device, Tensor};
    use rand_chacha::rand_core::SeedableRng;

    fn noise(parameters: usize, first: usize) -> Vec<f32> {
        let tensor = Tensor::zeros(parameters, DType::F32, &Device::Cpu).unwrap();
        tensor.inplace_op1(&AddGaussian { scale: 2.0, stream: ChaCha8Rng::seed_from_u64(1), first }).unwrap();
        tensor.to_vec1().unwrap()
    }

    #[test]
    fn noise_is_normal() {
        let noise: Vec<f64> = noise(100_001, 0).iter().map(|&number| f64::from(number) / 2.0).collect();
        let moment = |power: i32| noise.iter().map(|number| number.powi(power)).sum::<f64>() / noise.len() as f64;
        // Five standard deviations of each moment's estimate.
        for (power, expected, variance) in [(1, 0.0, 1.0f64), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let bound = 5.0 * (variance / noise.len() as f64).sqrt();
            assert!((moment(power) - expected).abs() < bound, "moment {power}: {}", moment(power));
        }
        let beyond = noise.iter().filter(|number| number.abs() > 1.96).count() as f64 / noise.len() as f64;
        assert!((beyond - 0.05).abs() < 0.004, "{beyond}");
        let covariance = noise.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / noise.len() as f64;
        assert!(covariance.abs() < 0.016, "{covariance}");
    }

    #[test]
    fn noise_depends_on_the_place_alone() {
        let whole = on_any_number_of_threads(|| noise(3 * CHUNK + 1, 0));
        assert_eq!(noise(CHUNK, CHUNK / 2), whole[CHUNK / 2..][..CHUNK]);
    }
}
