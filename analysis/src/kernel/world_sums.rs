//! Group sums of centred scores, for example the contributions at each step, in many worlds at once.
//!
//! ```text
//! X_{t,w} = Σ_i M_{w,i} (s_{t,i} − s̄_t)       M_{w,i} = 1 if example i is in the group in world w, else 0
//! ```
//!
//! A product of contributions `[T, n]` with 0/1 masks `[n, worlds]`, taken by the method of the four Russians: of each four
//! examples the sixteen partial sums are tabled once, for sixteen steps at a time, and a world adds one of them for each four
//! examples. The order of the additions is fixed, example by example: 0 + (table of examples 0–3) + (table of 4–7) + …, an entry
//! of a table being itself summed from the first example on. So a sum is the same to the last bit on every processor, for
//! every number of threads and of worlds. Source: Arlazarov, Dinic, Kronrod & Faradzhev 1970.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::scores::centred;

/// Steps that are worked on together: two 512-bit units of f64.
const TILE: usize = 16;
/// Examples of a table: its 16 entries of a tile are 2 KiB.
const TABLE: usize = 4;
const ENTRIES: usize = 1 << TABLE;
/// Tables worked with at once: 32 KiB, most of a core's first cache.
const PANEL: usize = 16;
/// Masks of a task: enough to use each table often, few enough for their sums to stay in cache.
const MASKS: usize = 512;

/// One value a step of a tile, in whole cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Row([f64; TILE]);

/// Scores less their mean over the examples, row by row: a row for each step.
pub(super) struct Centred {
    steps: usize,
    /// By tile of steps: one row an example.
    tiles: Vec<Vec<Row>>,
}

/// The sums, by tile of steps: one row a mask.
pub(super) struct Sums {
    steps: usize,
    tiles: Vec<Vec<Row>>,
}

/// Which examples are in which group, in each of many worlds: one mask a world and group.
pub(super) struct Masks {
    /// Bytes of a mask: one for every four examples, a bit each, the first the lowest.
    width: usize,
    bytes: Vec<u8>,
}

/// The masks of one world.
pub(super) struct WorldMasks<'a> {
    width: usize,
    bytes: &'a mut [u8],
}

impl Masks {
    /// Bytes of a mask of `examples` examples.
    pub(super) fn bytes_each(examples: usize) -> usize {
        examples.div_ceil(TABLE).max(1)
    }

    /// Masks of `groups` groups in `worlds` worlds of `examples` examples; `fill(scratch, place, masks)` sets those of the world
    /// at a place.
    pub(super) fn new(
        worlds: usize,
        groups: usize,
        examples: usize,
        fill: impl Fn(&mut Vec<u32>, usize, WorldMasks<'_>) + Sync,
    ) -> Masks {
        let width = Masks::bytes_each(examples);
        let mut bytes = vec![0; worlds * groups * width];
        let of_world = bytes.par_chunks_mut((groups * width).max(1)).enumerate();
        of_world.for_each_init(Vec::new, |scratch, (world, bytes)| fill(scratch, world, WorldMasks { width, bytes }));
        Masks { width, bytes }
    }
}

impl WorldMasks<'_> {
    /// Puts an example into the group at `place`.
    pub(super) fn set(&mut self, place: usize, example: usize) {
        self.bytes[place * self.width + example / TABLE] |= 1 << (example % TABLE);
    }
}

impl Centred {
    /// A step with a score that is not finite counts as zero: there is no statistic of it.
    pub(super) fn new(steps: &[&[f64]]) -> Centred {
        let examples = steps.first().map_or(0, |scores| scores.len());
        let tile = |of_tile: &[&[f64]]| {
            let mut rows = vec![Row([0.0; TILE]); examples];
            for (place, of_step) in of_tile.iter().enumerate() {
                let centred = centred(of_step);
                if centred.iter().all(|score| score.is_finite()) {
                    rows.iter_mut().zip(centred).for_each(|(row, score)| row.0[place] = score);
                }
            }
            rows
        };
        Centred { steps: steps.len(), tiles: steps.par_chunks(TILE).map(tile).collect() }
    }

    /// The sums over each mask.
    pub(super) fn sums(&self, masks: &Masks) -> Sums {
        let of_tile = |tile: &Vec<Row>| {
            let mut sums = vec![Row([0.0; TILE]); masks.bytes.len() / masks.width];
            let tasks = sums.par_chunks_mut(MASKS).zip(masks.bytes.par_chunks(MASKS * masks.width));
            tasks.for_each(|(sums, bytes)| Arch::new().dispatch(Add { rows: tile, bytes, width: masks.width, sums }));
            sums
        };
        Sums { steps: self.steps, tiles: self.tiles.par_iter().map(of_tile).collect() }
    }
}

impl Sums {
    /// The sums over the mask of number `mask`, one a step; `sums` has room for the steps and may have more.
    pub(super) fn copy(&self, mask: usize, sums: &mut [f64]) {
        for (tile, sums) in self.tiles.iter().zip(sums[..self.steps].chunks_mut(TILE)) {
            sums.copy_from_slice(&tile[mask].0[..sums.len()]);
        }
    }
}

/// Adds to `sums`, one row a mask, those of the examples `rows` in the masks `bytes`.
struct Add<'a> {
    rows: &'a [Row],
    bytes: &'a [u8],
    width: usize,
    sums: &'a mut [Row],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut tables = [[Row([0.0; TILE]); ENTRIES]; PANEL];
        for (panel, rows) in self.rows.chunks(PANEL * TABLE).enumerate() {
            for (table, rows) in tables.iter_mut().zip(rows.chunks(TABLE)) {
                fill_table(rows, table);
            }
            let entries = panel * PANEL..panel * PANEL + rows.len().div_ceil(TABLE);
            for (mask, sums) in self.bytes.chunks_exact(self.width).zip(self.sums.iter_mut()) {
                let mut sum = sums.0;
                for (table, &entry) in tables.iter().zip(&mask[entries.clone()]) {
                    let partial = &table[usize::from(entry) % ENTRIES].0;
                    for place in 0..TILE {
                        sum[place] += partial[place];
                    }
                }
                sums.0 = sum;
            }
        }
    }
}

/// The sums of all subsets of up to four rows: those of subset e are the rows whose bit in e is set.
#[inline(always)]
fn fill_table(rows: &[Row], table: &mut [Row; ENTRIES]) {
    for (example, row) in rows.iter().enumerate() {
        let with = 1 << example;
        for subset in 0..with {
            for place in 0..TILE {
                table[with + subset].0[place] = table[subset].0[place] + row.0[place];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::contribution::StepContributions;
    use super::*;
    use crate::kernel::contribution::Contributions;

    /// Contributions of small whole numbers with a whole mean, so that every sum is exact.
    fn contributions(steps: usize, examples: usize) -> Contributions {
        let mut contributions = Contributions::new(examples);
        for step in 0..steps {
            let mut s: Vec<f64> = (0..examples).map(|i| ((i * 37 + step * 11) % 23) as f64).collect();
            s[0] += (examples - s.iter().sum::<f64>() as usize % examples) as f64;
            contributions.push(step as i64, StepContributions { self_terms: s.clone(), contributions: s });
        }
        contributions
    }

    /// Whether an example is in the group at a place in a world.
    fn member(world: usize, place: usize, example: usize) -> bool {
        (example * 7 + world * 5 + place * 3 + example * example) % 5 < 2
    }

    #[test]
    fn sums_are_those_of_a_plain_loop_at_every_size() {
        for (steps, examples, worlds, groups) in
            [(1, 1, 1, 1), (3, 2, 2, 2), (16, 4, 3, 1), (17, 65, 5, 2), (33, 63, 2, 1), (5, 130, 600, 1), (2, 5, 0, 3)]
        {
            let contributions = contributions(steps, examples);
            let masks = Masks::new(worlds, groups, examples, |_, world, mut masks| {
                let members = (0..groups).flat_map(|place| (0..examples).map(move |example| (place, example)));
                members
                    .filter(|&(place, example)| member(world, place, example))
                    .for_each(|(place, example)| masks.set(place, example));
            });
            let sums = Centred::new(&contributions.by_step().collect::<Vec<_>>()).sums(&masks);
            for (world, place) in (0..worlds).flat_map(|world| (0..groups).map(move |place| (world, place))) {
                let mut found = vec![0.0; steps];
                sums.copy(world * groups + place, &mut found);
                for (step, s) in contributions.by_step().enumerate() {
                    let mean = s.iter().sum::<f64>() / examples as f64;
                    let of_group = (0..examples).filter(|&example| member(world, place, example));
                    let expected: f64 = of_group.map(|example| s[example] - mean).sum();
                    assert_eq!(found[step], expected, "{steps} × {examples}, step {step}, world {world}");
                }
            }
        }
    }

    #[test]
    fn sums_are_the_same_bits_on_every_instruction_set() {
        let values = |row: usize| Row(std::array::from_fn(|step| 1.0 / (1.0 + (row * 31 + step * 7) as f64)));
        let rows: Vec<Row> = (0..150).map(values).collect();
        let bytes: Vec<u8> = (0..5 * 38).map(|place| (place * 11 % 16) as u8).collect();
        let sums_on = |arch: Option<Arch>| {
            let mut sums = vec![Row([0.0; TILE]); 5];
            let add = Add { rows: &rows, bytes: &bytes, width: 38, sums: &mut sums };
            match arch {
                None => add.with_simd(pulp::Scalar),
                Some(arch) => arch.dispatch(add),
            }
            sums.into_iter().flat_map(|row| row.0.map(f64::to_bits)).collect::<Vec<u64>>()
        };
        let mut sets = vec![Arch::new()];
        #[cfg(target_arch = "x86_64")]
        sets.extend(pulp::x86::V3::try_new().map(Arch::V3));
        let plain = sums_on(None);
        assert!(sets.into_iter().all(|arch| sums_on(Some(arch)) == plain));
    }

    #[test]
    fn a_step_that_is_not_finite_leaves_the_others_as_they_are() {
        let mut contributions = Contributions::new(3);
        for (step, s) in [(0, [1.0, f64::INFINITY, 2.0]), (1, [3.0, 0.0, 0.0]), (2, [f64::MAX, f64::MAX, 0.0])] {
            contributions.push(step, StepContributions { contributions: s.to_vec(), self_terms: s.to_vec() });
        }
        let masks = Masks::new(1, 1, 3, |_, _, mut masks| masks.set(0, 0));
        let mut found = [f64::NAN; 3];
        Centred::new(&contributions.by_step().collect::<Vec<_>>()).sums(&masks).copy(0, &mut found);
        assert_eq!(found, [0.0, 2.0, 0.0]);
    }
}
