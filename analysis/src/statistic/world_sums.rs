//! Group sums of the centred contributions in many worlds at once.
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

use pulp::Arch;
use rayon::prelude::*;

use super::contribution::Contributions;
use super::scores::mean;

/// Steps that are worked on together: two 512-bit units of f64.
const TILE: usize = 16;
/// Examples of a table: its 16 entries of a tile are 2 KiB.
const TABLE: usize = 4;
const ENTRIES: usize = 1 << TABLE;
/// Tables worked with at once: 32 KiB, most of a core's first cache.
const PANEL: usize = 16;
/// Masks of a task: enough to use each table often, few enough for their sums to stay in cache.
const MASKS: usize = 512;

/// One value a step of a tile.
type Row = [f64; TILE];

/// The contributions less their mean over the examples, step by step.
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

    /// Masks of `groups` groups in `worlds` worlds of `examples` examples; `fill` sets those of the world at a place.
    pub(super) fn new(
        worlds: usize,
        groups: usize,
        examples: usize,
        fill: impl Fn(usize, WorldMasks<'_>) + Sync,
    ) -> Masks {
        let width = Masks::bytes_each(examples);
        let mut bytes = vec![0; worlds * groups * width];
        let of_world = bytes.par_chunks_mut((groups * width).max(1)).enumerate();
        of_world.for_each(|(world, bytes)| fill(world, WorldMasks { width, bytes }));
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
    pub(super) fn new(contributions: &Contributions) -> Centred {
        let steps: Vec<&[f64]> = contributions.by_step().collect();
        let examples = contributions.examples();
        let tile = |of_tile: &[&[f64]]| {
            let mut rows = vec![[0.0; TILE]; examples];
            for (place, of_step) in of_tile.iter().enumerate() {
                let mean = mean(of_step);
                if of_step.iter().all(|score| (score - mean).is_finite()) {
                    rows.iter_mut().zip(*of_step).for_each(|(row, score)| row[place] = score - mean);
                }
            }
            rows
        };
        Centred { steps: steps.len(), tiles: steps.par_chunks(TILE).map(tile).collect() }
    }

    /// The sums over each mask.
    pub(super) fn sums(&self, masks: &Masks) -> Sums {
        let of_tile = |tile: &Vec<Row>| {
            let mut sums = vec![[0.0; TILE]; masks.bytes.len() / masks.width];
            let tasks = sums.par_chunks_mut(MASKS).zip(masks.bytes.par_chunks(MASKS * masks.width));
            tasks.for_each(|(sums, bytes)| add(tile, bytes, masks.width, sums));
            sums
        };
        Sums { steps: self.steps, tiles: self.tiles.par_iter().map(of_tile).collect() }
    }
}

impl Sums {
    /// The sums over the mask of number `mask`, one a step; `sums` has room for the steps and may have more.
    pub(super) fn copy(&self, mask: usize, sums: &mut [f64]) {
        for (tile, sums) in self.tiles.iter().zip(sums[..self.steps].chunks_mut(TILE)) {
            sums.copy_from_slice(&tile[mask][..sums.len()]);
        }
    }
}

/// Adds to `sums`, one row a mask, those of the examples `rows` in the masks `bytes`.
fn add(rows: &[Row], bytes: &[u8], width: usize, sums: &mut [Row]) {
    Arch::new().dispatch(
        #[inline(always)]
        || add_panels(rows, bytes, width, sums),
    )
}

/// Compiled once for each instruction set, by being inlined into the dispatch.
#[inline(always)]
fn add_panels(rows: &[Row], bytes: &[u8], width: usize, sums: &mut [Row]) {
    let mut tables = [[[0.0; TILE]; ENTRIES]; PANEL];
    for (panel, rows) in rows.chunks(PANEL * TABLE).enumerate() {
        let used = rows.len().div_ceil(TABLE);
        rows.chunks(TABLE).zip(&mut tables).for_each(|(rows, table)| fill_table(rows, table));
        for (mask, sums) in bytes.chunks_exact(width).zip(sums.iter_mut()) {
            let entries = &mask[panel * PANEL..panel * PANEL + used];
            let mut sum = *sums;
            for (table, &entry) in tables.iter().zip(entries) {
                let partial = &table[usize::from(entry) % ENTRIES];
                for place in 0..TILE {
                    sum[place] += partial[place];
                }
            }
            *sums = sum;
        }
    }
}

/// The sums of all subsets of up to four rows, subset e those whose bit of e is set.
#[inline(always)]
fn fill_table(rows: &[Row], table: &mut [Row; ENTRIES]) {
    for (example, row) in rows.iter().enumerate() {
        let with = 1 << example;
        for subset in 0..with {
            for place in 0..TILE {
                table[with + subset][place] = table[subset][place] + row[place];
            }
        }
    }
}
