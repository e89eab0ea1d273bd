//! What the kernels share: panels of SIMD registers, their loads and stores, and scratch memory.

use pulp::{Arch, Simd, WithSimd};
use std::cell::RefCell;

/// Registers of one panel. Eight independent chains hide the latency of a fused multiply-add on two ports.
pub(super) const REGISTERS: usize = 8;

/// Up to this many columns a matrix is narrow: its kernels work on several rows at once instead, zeros and all.
pub(super) const NARROW: usize = 16;

/// Columns of a full panel on this machine.
pub(super) fn panel_lanes(arch: Arch) -> usize {
    lanes(arch) * REGISTERS
}

/// Columns of one register on this machine.
pub(super) fn lanes(arch: Arch) -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    arch.dispatch(Lanes)
}

/// Registers of the narrowest panel (1, 2, 4, 8 or 16) that holds `columns`.
#[inline(always)]
pub(super) fn registers_for<S: Simd>(columns: usize) -> usize {
    columns.div_ceil(S::F32_LANES).next_power_of_two()
}

/// The registers that hold `segment`, zero past its end.
#[inline(always)]
pub(super) fn load<S: Simd, const N: usize>(simd: S, segment: &[f32]) -> [S::f32s; N] {
    let (whole, rest) = S::as_simd_f32s(segment);
    if let [registers] = whole.as_chunks().0 {
        return *registers;
    }
    let mut registers = [simd.splat_f32s(0.0); N];
    // By constant indices, so that the registers are registers and not an array in memory.
    for n in 0..N {
        if n < whole.len() {
            registers[n] = whole[n];
        } else if n == whole.len() && !rest.is_empty() {
            registers[n] = simd.partial_load_f32s(rest);
        }
    }
    registers
}

/// Writes the registers to `segment`, dropping what lies past its end.
#[inline(always)]
pub(super) fn store<S: Simd, const N: usize>(simd: S, segment: &mut [f32], registers: [S::f32s; N]) {
    let (whole, rest) = S::as_mut_simd_f32s(segment);
    if let [out] = whole.as_chunks_mut().0 {
        *out = registers;
        return;
    }
    for n in 0..N {
        if n < whole.len() {
            whole[n] = registers[n];
        } else if n == whole.len() && !rest.is_empty() {
            simd.partial_store_f32s(rest, registers[n]);
        }
    }
}

/// The scratch memory `buffer` as panel rows of N registers.
#[inline(always)]
pub(super) fn panel_rows<S: Simd, const N: usize>(buffer: &mut [f32]) -> &mut [[S::f32s; N]] {
    S::as_mut_simd_f32s(buffer).0.as_chunks_mut().0
}

/// One cache line, so that no register of a scratch panel straddles two.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

thread_local! {
    static SCRATCH: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Calls `work` with two cache-aligned buffers of this thread, kept from call to call, of arbitrary content.
///
/// To be called outside of SIMD code: a closure that the compiler does not inline loses the enabled instructions.
pub(super) fn with_scratch<T>(first: usize, second: usize, work: impl FnOnce(&mut [f32], &mut [f32]) -> T) -> T {
    SCRATCH.with_borrow_mut(|lines| {
        let (first_lines, second_lines) = (first.div_ceil(16), second.div_ceil(16));
        if lines.len() < first_lines + second_lines {
            lines.resize(first_lines + second_lines, Line([0.0; 16]));
        }
        let (head, tail) = lines.split_at_mut(first_lines);
        work(&mut numbers(head)[..first], &mut numbers(tail)[..second])
    })
}

fn numbers(lines: &mut [Line]) -> &mut [f32] {
    // SAFETY: a Line is repr(C) and holds 16 floats and no padding (64 bytes aligned to 64), so n of them are 16 n floats.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * 16) }
}

/// How many parts to cut `length` into, so that `panels` panels times parts are `per_thread` tasks a thread of the pool.
pub(super) fn parts(panels: usize, length: usize, per_thread: usize) -> usize {
    (per_thread * rayon::current_num_threads()).div_ceil(panels.max(1)).min(length.div_ceil(16)).max(1)
}

#[cfg(test)]
pub(super) mod testing {
    use pulp::Arch;
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    /// Every instruction set that this machine offers, the portable one first.
    pub(in crate::network::kernels) fn instruction_sets() -> Vec<Arch> {
        #[allow(unused_mut, reason = "other processors have the portable one and their own only")]
        let mut sets = vec![Arch::Scalar, Arch::new()];
        #[cfg(target_arch = "x86_64")]
        sets.extend(pulp::x86::V3::try_new().map(Arch::V3));
        sets
    }

    /// `length` values in ±1, a `density` of which is not zero; one zero in four is negative.
    pub(in crate::network) fn sparse_values(length: usize, density: f64, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut uniform = || f64::from(rng.next_u32()) / f64::from(u32::MAX);
        let mut value = || {
            let (choice, value) = (uniform(), uniform());
            if choice < density {
                (2.0 * value - 1.0) as f32
            } else if value < 0.25 {
                -0.0
            } else {
                0.0
            }
        };
        (0..length).map(|_| value()).collect()
    }

    /// What `work` returns on pools of one to four threads, which must be the same bits.
    pub(in crate::network::kernels) fn on_any_number_of_threads(work: impl Fn() -> Vec<f32> + Sync) -> Vec<f32> {
        let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(&work);
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let alone = on(1);
        for threads in 2..=4 {
            assert_eq!(bits(&on(threads)), bits(&alone), "{threads} threads");
        }
        alone
    }

    /// An error unless every value is within the rounding of a sum of `terms` terms of size one.
    pub(in crate::network::kernels) fn assert_close(values: &[f32], expected: &[f64], terms: usize) {
        assert_eq!(values.len(), expected.len());
        let tolerance = 1e-7 * (terms as f64 + 4.0);
        for (place, (&value, &expected)) in values.iter().zip(expected).enumerate() {
            assert!((f64::from(value) - expected).abs() <= tolerance, "{value} is not {expected} at {place}");
        }
    }
}
