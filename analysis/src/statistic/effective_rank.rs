//! The effective rank of the Gram matrix: in how many directions the gradients of the examples spread.
//!
//! ```text
//! p_k = λ_k / Σ_j λ_j        exp(−Σ_k p_k ln p_k)        λ the eigenvalues of K_ij = ⟨g_i, g_j⟩
//! ```
//!
//! 1 when all gradients are parallel, at most min(n, d), which is reached when they spread evenly over as many directions.
//! An eigenvalue that is not positive by more than rounding counts as 0. Of all layers together only: the eigenvalues of a
//! matrix cost O(n³), more than everything else of a step. Without an interval, for the same reason. Missing where every
//! gradient is 0. Source: Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality"; [S 8].

use pulp::{Arch, NullaryFnOnce};

use crate::kernel::gram::Gram;
use crate::sample::{Part, Sample, Series};
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "effective_rank",
    about: "exp of the entropy of the Gram matrix's normalised eigenvalues: in how many directions gradients spread",
    unit: "",
    tables: &["coherence"],
    compute: Compute::Pairs(compute),
};

/// What is so small beside the largest entry changes no eigenvalue; the square of its square would vanish.
const NEGLIGIBLE: f64 = 1e-70;
/// Sweeps of the QL iteration for one eigenvalue, at most: a handful is usual.
const SWEEPS: usize = 60;
/// Accumulators of a sum, the same on every machine so that results are.
const LANES: usize = 16;

fn compute(part: &Part, _: &Sample, series: &mut Series<'_>) {
    if series.is_whole() {
        series.add(STATISTIC.name, value(&part.gram), []);
    }
}

/// `None` where every gradient is 0, or a value is not finite.
pub fn value(gram: &Gram) -> Option<f64> {
    let n = gram.examples();
    let mut matrix: Vec<f64> = (0..n * n).map(|place| gram.inner(place / n, place % n)).collect();
    // By a power of two, which rounds nothing: its squares are to be neither too small nor too large for a number.
    let largest = (0..n).map(|place| matrix[place * n + place]).fold(0.0, f64::max);
    let unit = if largest > 0.0 && largest.is_finite() { 2.0_f64.powi(-(largest.log2() as i32)) } else { 1.0 };
    matrix.iter_mut().for_each(|value| *value *= unit);
    let eigenvalues = eigenvalues(matrix, n)?;
    let largest = eigenvalues.iter().fold(0.0_f64, |largest, &value| largest.max(value));
    let zero = largest * n as f64 * f64::EPSILON;
    let sum: f64 = eigenvalues.iter().filter(|&&value| value > zero).sum();
    let entropy = |&value: &f64| -(value / sum) * (value / sum).ln();
    let entropy: f64 = eigenvalues.iter().filter(|&&value| value > zero).map(entropy).sum();
    Some(entropy.exp()).filter(|rank| sum > 0.0 && rank.is_finite())
}

/// The eigenvalues of a symmetric matrix `[n, n]`, row-major, in no order; `None` if one is not found.
fn eigenvalues(mut matrix: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    let (diagonal, beside) = Arch::new().dispatch(Tridiagonal { matrix: &mut matrix, n });
    ql(diagonal, beside)
}

/// Householder's reduction of a symmetric matrix, of which the rows up to the diagonal are read, to a tridiagonal one with the
/// same eigenvalues: its diagonal, and the entry before each. Golub & Van Loan, §8.3.1.
struct Tridiagonal<'a> {
    matrix: &'a mut [f64],
    n: usize,
}

/// Compiled once for each instruction set, by being inlined into the dispatch.
impl NullaryFnOnce for Tridiagonal<'_> {
    type Output = (Vec<f64>, Vec<f64>);

    #[inline(always)]
    fn call(self) -> (Vec<f64>, Vec<f64>) {
        let Tridiagonal { matrix, n } = self;
        let (mut diagonal, mut beside, mut product) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        for last in (0..n).rev() {
            let (rest, row) = matrix.split_at_mut(last * n);
            diagonal[last] = row[last];
            let reflector = &mut row[..last];
            let square = dot(reflector, reflector);
            if square <= NEGLIGIBLE * NEGLIGIBLE {
                continue;
            }
            let pivot = reflector[last - 1];
            let end = if pivot > 0.0 { -square.sqrt() } else { square.sqrt() };
            beside[last] = end;
            reflector[last - 1] = pivot - end;
            reflect(rest, n, reflector, square - pivot * end, &mut product[..last]);
        }
        (diagonal, beside)
    }
}

/// A ← H A H of the rows of a symmetric matrix up to the diagonal, H = 1 − v vᵀ/h.
#[inline(always)]
fn reflect(matrix: &mut [f64], n: usize, v: &[f64], h: f64, product: &mut [f64]) {
    product.fill(0.0);
    for (place, row) in matrix.chunks_exact(n).enumerate() {
        let row = &row[..place + 1];
        product[place] += dot(row, &v[..place + 1]);
        let (before, of_place) = (&mut product[..place], v[place]);
        before.iter_mut().zip(row).for_each(|(sum, value)| *sum += of_place * value);
    }
    let share = dot(v, product) / (2.0 * h * h);
    product.iter_mut().zip(v).for_each(|(value, v)| *value = *value / h - share * v);
    for (place, row) in matrix.chunks_exact_mut(n).enumerate() {
        let (of_v, of_product) = (v[place], product[place]);
        for ((value, v), product) in row[..place + 1].iter_mut().zip(v).zip(&*product) {
            *value -= of_v * product + of_product * v;
        }
    }
}

#[inline(always)]
fn dot(left: &[f64], right: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            sums[lane] += left[lane] * right[lane];
        }
    }
    sums.iter().sum::<f64>() + left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum::<f64>()
}

/// The eigenvalues of a tridiagonal matrix with this diagonal and `beside[k]` between k − 1 and k, by the implicit QL iteration
/// without square roots of Pal, Walker & Kahan; `None` if one is not found. LAPACK does it so in dsterf.
fn ql(mut diagonal: Vec<f64>, beside: Vec<f64>) -> Option<Vec<f64>> {
    let n = diagonal.len();
    let mut squares: Vec<f64> = beside.iter().skip(1).map(|value| value * value).collect();
    squares.push(0.0);
    for first in 0..n {
        for sweep in 0.. {
            let is_small = |&k: &usize| {
                let bound = f64::EPSILON * (diagonal[k].abs() + diagonal[k + 1].abs());
                squares[k] <= bound * bound
            };
            let end = (first..n - 1).find(is_small).unwrap_or(n - 1);
            if end == first {
                break;
            }
            if sweep == SWEEPS {
                return None;
            }
            sweep_up(&mut diagonal, &mut squares, first, end);
        }
    }
    diagonal.iter().all(|value| value.is_finite()).then_some(diagonal)
}

/// One implicit QL step with Wilkinson's shift on the rows `first..=end`; `squares[k]` is that of the entry between k and k + 1.
fn sweep_up(diagonal: &mut [f64], squares: &mut [f64], first: usize, end: usize) {
    let beside = squares[first].sqrt();
    let half = (diagonal[first + 1] - diagonal[first]) / (2.0 * beside);
    let root = half.hypot(1.0);
    let shift = diagonal[first] - beside / (half + if half < 0.0 { -root } else { root });
    let (mut cosine, mut sine, mut turned) = (1.0, 0.0, diagonal[end] - shift);
    let mut square = turned * turned;
    for k in (first..end).rev() {
        let (entry, length) = (squares[k], square + squares[k]);
        squares[k + 1] = sine * length;
        let (before, turned_before) = (cosine, turned);
        (cosine, sine) = (square / length, entry / length);
        turned = cosine * (diagonal[k] - shift) - sine * turned_before;
        diagonal[k + 1] = turned_before + (diagonal[k] - turned);
        square = if cosine == 0.0 { before * entry } else { turned * turned / cosine };
    }
    squares[first] = sine * square;
    squares[end] = 0.0;
    diagonal[first] = shift + turned;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rank(gradients: &[f64], examples: usize) -> Option<f64> {
        value(&Gram::new(gradients, examples, 0..gradients.len().checked_div(examples).unwrap_or(0)))
    }

    fn close(value: Option<f64>, expected: f64) {
        assert!((value.unwrap() - expected).abs() < 1e-9 * expected, "{value:?} is not {expected}");
    }

    #[test]
    fn parallel_gradients_have_rank_one_and_equal_orthogonal_ones_as_many_as_they_are() {
        close(rank(&[1.0, 2.0, -3.0, -6.0, 0.5, 1.0], 3), 1.0);
        close(rank(&[2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 2.0], 3), 3.0);
        close(rank(&[5.0, 1.0], 1), 1.0);
    }

    #[test]
    fn two_orthogonal_gradients_by_hand() {
        // λ = 9 and 1: p = 0.9 and 0.1, exp(−0.9 ln 0.9 − 0.1 ln 0.1).
        close(rank(&[3.0, 0.0, 0.0, 1.0], 2), (-0.9 * 0.9_f64.ln() - 0.1 * 0.1_f64.ln()).exp());
    }

    #[test]
    fn neither_small_gradients_nor_small_ones_beside_large_ones_are_too_small() {
        let gradients = [3.0, 0.0, 0.0, 1.0, 0.5, 0.25];
        let expected = rank(&gradients, 3).unwrap();
        for power in [-140, -60, 60, 120] {
            let scaled = gradients.map(|value| value * 2.0_f64.powi(power));
            assert_eq!(rank(&scaled, 3), Some(expected), "2^{power}");
        }
        for small in [1e-34, 1e-37, 1e-42] {
            let others = (1..20).flat_map(|k| [0.0, small * f64::from(k), small, 0.0]);
            close(rank(&[1.0, 0.0, 0.0, 0.0].into_iter().chain(others).collect::<Vec<_>>(), 20), 1.0);
        }
    }

    #[test]
    fn nothing_is_known_of_gradients_that_are_zero_or_not_there() {
        assert_eq!(rank(&[0.0; 6], 3), None);
        assert_eq!(rank(&[], 0), None);
    }

    /// The slow twin: Jacobi's rotations, until nothing is left beside the diagonal.
    fn by_rotations(mut a: Vec<Vec<f64>>) -> Vec<f64> {
        let n = a.len();
        for _ in 0..100 {
            for p in 0..n {
                for q in p + 1..n {
                    if a[p][q] == 0.0 {
                        continue;
                    }
                    let angle = 0.5 * (2.0 * a[p][q]).atan2(a[q][q] - a[p][p]);
                    let (s, c) = angle.sin_cos();
                    for row in &mut a {
                        (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                    }
                    let (row_p, row_q) = (a[p].clone(), a[q].clone());
                    for (k, (x, y)) in row_p.iter().zip(&row_q).enumerate() {
                        (a[p][k], a[q][k]) = (c * x - s * y, s * x + c * y);
                    }
                }
            }
        }
        (0..n).map(|k| a[k][k]).collect()
    }

    proptest! {
        #[test]
        fn eigenvalues_are_those_of_rotations(
            (n, entries) in (1_usize..12).prop_flat_map(|n| (Just(n), prop::collection::vec(-3.0..3.0_f64, n * n)))
        ) {
            let symmetric: Vec<f64> =
                (0..n * n).map(|place| entries[place] + entries[place % n * n + place / n]).collect();
            let mut found = eigenvalues(symmetric.clone(), n).unwrap();
            let mut expected = by_rotations(symmetric.chunks(n).map(<[f64]>::to_vec).collect());
            found.sort_by(f64::total_cmp);
            expected.sort_by(f64::total_cmp);
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found - expected).abs() < 1e-10 * n as f64, "{found} is not {expected}");
            }
        }
    }
}
