//! Sorting networks over SIMD registers: every lane sorts by itself.
//!
//! A network's comparators are written out rather than looped over, so that its values stay in registers.

use pulp::Simd;

/// Which end of the numbers comes first.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// Of two values the one that comes first.
#[inline(always)]
pub(super) fn earlier<S: Simd>(simd: S, order: Order, one: S::f32s, other: S::f32s) -> S::f32s {
    match order {
        Order::Ascending => simd.min_f32s(one, other),
        Order::Descending => simd.max_f32s(one, other),
    }
}

/// Of two values the one that comes second.
#[inline(always)]
pub(super) fn later<S: Simd>(simd: S, order: Order, one: S::f32s, other: S::f32s) -> S::f32s {
    match order {
        Order::Ascending => simd.max_f32s(one, other),
        Order::Descending => simd.min_f32s(one, other),
    }
}

/// Puts two values in order.
#[inline(always)]
fn compare<S: Simd>(simd: S, order: Order, one: &mut S::f32s, other: &mut S::f32s) {
    (*one, *other) = (earlier(simd, order, *one, *other), later(simd, order, *one, *other));
}

macro_rules! network {
    ($simd:ident, $order:expr, $values:ident, $($i:literal - $j:literal),*) => {{
        $({
            let (front, back) = $values.split_at_mut($j);
            compare($simd, $order, &mut front[$i], &mut back[0]);
        })*
    }};
}

/// Sorts B values, largest first; B is 4 or 8. The networks have the fewest comparators there are (Knuth, TAOCP 3, §5.3.4).
#[inline(always)]
pub(super) fn sort<S: Simd, const B: usize>(simd: S, values: &mut [S::f32s; B]) {
    use Order::Descending;
    match B {
        4 => network!(simd, Descending, values, 0 - 1, 2 - 3, 0 - 2, 1 - 3, 1 - 2),
        8 => network!(
            simd,
            Descending,
            values,
            0 - 2,
            1 - 3,
            4 - 6,
            5 - 7,
            0 - 4,
            1 - 5,
            2 - 6,
            3 - 7,
            0 - 1,
            2 - 3,
            4 - 5,
            6 - 7,
            2 - 4,
            3 - 5,
            1 - 4,
            3 - 6,
            1 - 2,
            3 - 4,
            5 - 6
        ),
        _ => unreachable!("blocks have 4 or 8 values"),
    }
}

/// Sorts M values that fall and then rise (ascending order: rise and then fall); M is 2 to 9.
///
/// Batcher's bitonic merger (1968) of the next power of two, without the comparators that touch the missing places: they
/// would hold the extreme that comes first, at the front, where it stays.
#[inline(always)]
pub(super) fn merge<S: Simd, const M: usize>(simd: S, order: Order, values: &mut [S::f32s; M]) {
    match M {
        2 => network!(simd, order, values, 0 - 1),
        3 => network!(simd, order, values, 0 - 2, 1 - 2),
        4 => network!(simd, order, values, 0 - 2, 1 - 3, 0 - 1, 2 - 3),
        5 => network!(simd, order, values, 0 - 4, 1 - 3, 2 - 4, 1 - 2, 3 - 4),
        6 => network!(simd, order, values, 0 - 4, 1 - 5, 2 - 4, 3 - 5, 0 - 1, 2 - 3, 4 - 5),
        7 => network!(simd, order, values, 0 - 4, 1 - 5, 2 - 6, 0 - 2, 3 - 5, 4 - 6, 1 - 2, 3 - 4, 5 - 6),
        8 => network!(
            simd,
            order,
            values,
            0 - 4,
            1 - 5,
            2 - 6,
            3 - 7,
            0 - 2,
            1 - 3,
            4 - 6,
            5 - 7,
            0 - 1,
            2 - 3,
            4 - 5,
            6 - 7
        ),
        9 => network!(
            simd,
            order,
            values,
            0 - 8,
            1 - 5,
            2 - 6,
            3 - 7,
            4 - 8,
            1 - 3,
            2 - 4,
            5 - 7,
            6 - 8,
            1 - 2,
            3 - 4,
            5 - 6,
            7 - 8
        ),
        _ => unreachable!("2 to 9 values are kept"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::Scalar;

    /// All sequences of zeros and ones: a network that sorts them sorts everything (Knuth).
    fn zeros_and_ones<const B: usize>() -> impl Iterator<Item = [f32; B]> {
        (0..1u32 << B).map(|bits| std::array::from_fn(|place| (bits >> place & 1) as f32))
    }

    fn sorts<const B: usize>() {
        for mut values in zeros_and_ones::<B>() {
            sort(Scalar, &mut values);
            assert!(values.is_sorted_by(|one, other| one >= other), "{values:?}");
        }
    }

    #[test]
    fn every_sequence_of_zeros_and_ones_is_sorted() {
        sorts::<4>();
        sorts::<8>();
    }

    fn merges<const M: usize>() {
        // Falls to the lowest place and rises from there: 0-1 sequences, and permutations to be sure.
        for fall in 0..=M {
            for rise in 0..=M - fall {
                let valley: [f32; M] =
                    std::array::from_fn(|place| if place < fall || place >= M - rise { 1.0 } else { 0.0 });
                check(valley);
            }
            check::<M>(std::array::from_fn(|place| (place as f32 - fall as f32 + 0.25).abs()));
        }
    }

    fn check<const M: usize>(mut valley: [f32; M]) {
        let mut hill = valley.map(|value| -value);
        merge(Scalar, Order::Descending, &mut valley);
        merge(Scalar, Order::Ascending, &mut hill);
        assert!(valley.is_sorted_by(|one, other| one >= other), "{valley:?}");
        assert_eq!(hill, valley.map(|value| -value));
    }

    #[test]
    fn every_valley_and_hill_is_merged() {
        merges::<2>();
        merges::<3>();
        merges::<4>();
        merges::<5>();
        merges::<6>();
        merges::<7>();
        merges::<8>();
        merges::<9>();
    }
}
