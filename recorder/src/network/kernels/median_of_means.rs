//! The median of the means of a few groups of examples, coordinate by coordinate.

use super::coordinates::{CoordinateRule, Descent, Statistic, Unit};
use pulp::{Arch, Simd};

/// The median of the means of so many groups (at least one, at most one an example): consecutive examples, the groups'
/// sizes differing by at most one. An even number of groups has two medians, whose mean is taken.
pub(crate) struct MedianOfMeans {
    pub(crate) groups: usize,
}

impl CoordinateRule for MedianOfMeans {
    const NAME: &'static str = "median-of-means";

    fn run(&self, arch: Arch, descent: Descent<'_>) {
        descent.descend(arch, self);
    }
}

impl Statistic for MedianOfMeans {
    const REGISTERS: usize = 8;

    fn scratch(&self, _: usize) -> usize {
        self.groups
    }

    #[inline(always)]
    fn compute<S: Simd, const N: usize>(
        &self,
        simd: S,
        unit: Unit<'_, S, N>,
        scratch: &mut [[S::f32s; N]],
    ) -> [S::f32s; N] {
        let (groups, examples) = (self.groups, unit.deltas.len());
        let mut active = unit.active;
        for group in 0..groups {
            let (start, end) = (group * examples / groups, (group + 1) * examples / groups);
            let mut sum = [simd.splat_f32s(0.0); N];
            while let [(example, input), rest @ ..] = active
                && (*example as usize) < end
            {
                let (input, deltas) = (simd.splat_f32s(*input), &unit.deltas[*example as usize]);
                for n in 0..N {
                    sum[n] = simd.mul_add_e_f32s(input, deltas[n], sum[n]);
                }
                active = rest;
            }
            let share = simd.splat_f32s(1.0 / (end - start) as f32);
            for sum in &mut sum {
                *sum = simd.mul_f32s(share, *sum);
            }
            insert(simd, &mut scratch[..=group], sum);
        }
        median(simd, &scratch[..groups])
    }
}

/// Inserts a value into all but the last place of `sorted`, which are in ascending order.
#[inline(always)]
fn insert<S: Simd, const N: usize>(simd: S, sorted: &mut [[S::f32s; N]], value: [S::f32s; N]) {
    let mut carried = value;
    let last = sorted.len() - 1;
    for place in &mut sorted[..last] {
        for n in 0..N {
            let least = simd.min_f32s(place[n], carried[n]);
            carried[n] = simd.max_f32s(place[n], carried[n]);
            place[n] = least;
        }
    }
    sorted[last] = carried;
}

#[inline(always)]
fn median<S: Simd, const N: usize>(simd: S, sorted: &[[S::f32s; N]]) -> [S::f32s; N] {
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    let half = simd.splat_f32s(0.5);
    let mut median = low;
    if sorted.len() % 2 == 0 {
        for n in 0..N {
            median[n] = simd.add_f32s(simd.mul_f32s(half, low[n]), simd.mul_f32s(half, high[n]));
        }
    }
    median
}
