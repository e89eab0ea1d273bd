//! p-values by permutation: pointwise, and simultaneous over the steps.
//!
//! With z_{b,t} the statistic of world b at step t, standardised by its exact moments, and B null worlds:
//!
//! ```text
//! pointwise      p_t = (1 + #{b ≥ 1: |z_{b,t}| ≥ |z_{0,t}|}) / (B + 1)
//! simultaneous   p   = (1 + #{b ≥ 1: max_t |z_{b,t}| ≥ max_t |z_{0,t}|}) / (B + 1)      (max-T, Westfall & Young 1993)
//! band           E ± sd · q,   q the ⌈0.95 (B+1)⌉-th smallest of max_t |z_{b,t}|
//! ```
//!
//! That q puts the actual curve outside the band exactly if its simultaneous p is at most 0.05; with fewer than 19 worlds
//! there is no such q. Steps without a z (missing value, or no variance) take no part. A |z| less than
//! `TIE` below the actual one counts as equal: worlds that are mathematically equal, such as mirrored ones, differ by
//! rounding. Source: [S 3.2].
//!
//! Every z is a contrast of group sums of the contributions ([`super::linear`]), so that what is drawn and summed in a world
//! serves every statistic of it. Worlds are taken some hundred at a time, in parallel; only maxima and counts are kept.

use rayon::prelude::*;

use super::grouping::Grouping;
use super::linear::{Contrast, Family, Linear};
use super::null_world::NullWorlds;
use super::scores::Scores;
use super::world_sums::{Centred, Masks, Sums};

/// z-values closer than this are equal: relative to the actual one, absolute below 1.
const TIE: f64 = 1e-9;
/// Coverage of the simultaneous band.
const COVERAGE: f64 = 0.95;
/// Bytes of the masks of the worlds that are taken at once, at most.
const MASK_BYTES: usize = 32 << 20;
/// Bytes of their sums, at most, unless they are the fewest worlds.
const SUM_BYTES: usize = 64 << 20;
/// Worlds that are taken at once.
const WORLDS: std::ops::RangeInclusive<usize> = 64..=1024;
/// Worlds whose z are counted by one task.
const COUNTED: usize = 32;

/// How an actual value stands among those of null worlds.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Count {
    /// The actual value; `None` if it is not defined.
    pub value: Option<f64>,
    /// Null worlds at least as extreme as the actual one; `None` as `value`.
    pub exceedances: Option<u32>,
}

/// What the null worlds say of one family of statistics, for example α at every step.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyTest {
    /// Null worlds whose |z| is at least the actual one, one a member; `None` for a member without a z.
    pub exceedances: Vec<Option<u32>>,
    /// max |z| over the members.
    pub simultaneous: Count,
    /// q, the half-width in standard deviations of the simultaneous band.
    pub band: Option<f64>,
    /// max |z| over the members in each null world.
    maxima: Vec<f64>,
}

/// Tests families in `worlds` null worlds, all in the same worlds.
///
/// The result does not depend on the number of threads, and what world k contributes not on the number of worlds.
pub fn test_families(
    scores: &Scores<'_>,
    families: &[&Family],
    null_worlds: &NullWorlds,
    worlds: u32,
) -> Vec<FamilyTest> {
    let mut tester = Tester::new(scores, families, null_worlds);
    let drawn = null_worlds.drawn_groups().len().max(1);
    let masks = MASK_BYTES / (drawn * Masks::bytes_each(null_worlds.actual().examples()));
    let sums = SUM_BYTES / (drawn * scores.rows().max(1) * size_of::<f64>());
    let at_once = masks.min(sums).clamp(*WORLDS.start(), *WORLDS.end());
    let firsts = (1..=u64::from(worlds)).step_by(at_once);
    firsts.for_each(|first| tester.take(first, (u64::from(worlds) - first + 1).min(at_once as u64) as usize));
    tester.members.into_iter().map(|members| members.test()).collect()
}

/// max |z| over all members of several families that were tested in the same null worlds.
pub fn at_once(families: &[&FamilyTest]) -> Count {
    let worlds = families.first().map_or(0, |family| family.maxima.len());
    let actual = families.iter().filter_map(|family| family.simultaneous.value).reduce(f64::max);
    let largest = |world: usize| families.iter().map(|family| family.maxima[world]).fold(0.0, f64::max);
    let exceeding = |actual| (0..worlds).filter(|&world| largest(world) >= threshold(actual)).count() as u32;
    Count { value: actual, exceedances: actual.map(exceeding) }
}

/// z of the members of each family in the world with the given grouping, whose sizes are those of the actual one; `None` for
/// a member without a z.
pub fn z(scores: &Scores<'_>, families: &[Family], world: &Grouping) -> Vec<Vec<Option<f64>>> {
    let centred = Centred::new(&scores.summed());
    let drawn: Vec<usize> = (0..world.groups()).collect();
    let sums = centred.sums(&masks_of(world, &drawn));
    let mut group_sums = GroupSums::new(scores, &drawn);
    group_sums.fill(scores, &sums, 0);
    let z_of_family = |family: &Family| {
        let units: Vec<f64> = family.members.iter().map(unit).collect();
        let z = z_of(family, &units, &group_sums);
        z.into_iter().zip(units).map(|(z, unit)| (unit != 0.0).then_some(z)).collect()
    };
    families.iter().map(z_of_family).collect()
}

/// 0 for a member without a z.
fn unit(member: &Option<Linear>) -> f64 {
    member.and_then(|linear| linear.unit).unwrap_or(0.0)
}

/// The masks of one world, of the groups `drawn`.
fn masks_of(world: &Grouping, drawn: &[usize]) -> Masks {
    Masks::new(1, drawn.len(), world.examples(), |_, _, mut masks| {
        for (example, &group) in world.of_example().iter().enumerate() {
            let place = drawn.iter().position(|&drawn| drawn == usize::from(group));
            place.into_iter().for_each(|place| masks.set(place, example));
        }
    })
}

/// Families while they are tested.
struct Tester<'a> {
    scores: &'a Scores<'a>,
    null_worlds: &'a NullWorlds,
    centred: Centred,
    members: Vec<Members<'a>>,
}

impl<'a> Tester<'a> {
    fn new(scores: &'a Scores<'a>, families: &[&'a Family], null_worlds: &'a NullWorlds) -> Tester<'a> {
        let centred = Centred::new(&scores.summed());
        let mut group_sums = GroupSums::new(scores, null_worlds.drawn_groups());
        let sums = centred.sums(&masks_of(null_worlds.actual(), null_worlds.drawn_groups()));
        group_sums.fill(scores, &sums, 0);
        let members = families.iter().map(|family| Members::new(family, &group_sums)).collect();
        Tester { scores, null_worlds, centred, members }
    }

    /// Takes the worlds `first..first + worlds`.
    fn take(&mut self, first: u64, worlds: usize) {
        let (drawn, examples) = (self.null_worlds.drawn_groups(), self.null_worlds.actual().examples());
        let masks = Masks::new(worlds, drawn.len(), examples, |order, world, mut masks| {
            self.null_worlds.draw(first + world as u64, order, |place, example| masks.set(place, example));
        });
        let sums = self.centred.sums(&masks);
        let counted: Vec<Vec<Taken>> = (0..worlds)
            .into_par_iter()
            .step_by(COUNTED)
            .map(|from| self.count(&sums, from..worlds.min(from + COUNTED)))
            .collect();
        for counts in counted {
            self.members.iter_mut().zip(counts).for_each(|(members, count)| members.add(count));
        }
    }

    fn count(&self, sums: &Sums, worlds: std::ops::Range<usize>) -> Vec<Taken> {
        let mut group_sums = GroupSums::new(self.scores, self.null_worlds.drawn_groups());
        let mut counts: Vec<Taken> = self.members.iter().map(Members::no_count).collect();
        let mut z = Vec::new();
        for world in worlds {
            group_sums.fill(self.scores, sums, world);
            let counted = self.members.iter().zip(&mut counts);
            counted.for_each(|(members, count)| members.count(&group_sums, &mut z, count));
        }
        counts
    }
}

/// The group sums X_k of one world, on every row of scores.
struct GroupSums<'a> {
    drawn: &'a [usize],
    rows: usize,
    /// `[groups, rows]`, the group that is left over at the place after those drawn.
    sums: Vec<f64>,
}

impl<'a> GroupSums<'a> {
    fn new(scores: &Scores<'_>, drawn: &'a [usize]) -> GroupSums<'a> {
        GroupSums { drawn, rows: scores.rows(), sums: vec![0.0; (drawn.len() + 1) * scores.rows()] }
    }

    /// Those of the world at a place of `sums`.
    fn fill(&mut self, scores: &Scores<'_>, sums: &Sums, world: usize) {
        let (drawn, rest) = self.sums.split_at_mut(self.drawn.len() * self.rows);
        rest.fill(0.0);
        // Centred scores add up to nothing over all groups.
        for (place, group) in drawn.chunks_exact_mut(self.rows.max(1)).enumerate() {
            sums.copy(world * self.drawn.len() + place, group);
            scores.complete(group);
            rest.iter_mut().zip(group.iter()).for_each(|(rest, sum)| *rest -= sum);
        }
    }

    fn of_group(&self, group: usize) -> &[f64] {
        let place = self.drawn.iter().position(|&drawn| drawn == group).unwrap_or(self.drawn.len());
        &self.sums[place * self.rows..(place + 1) * self.rows]
    }
}

/// The members of a family while it is tested.
struct Members<'a> {
    family: &'a Family,
    /// What each row's contrast is multiplied by to be z; 0 for a member without one.
    units: Vec<f64>,
    /// The least |z| that counts as at least as extreme as the actual one; infinite for a member without a z.
    thresholds: Vec<f64>,
    /// max |z| of the actual world; `None` if no member has a z.
    actual: Option<f64>,
    exceedances: Vec<u32>,
    maxima: Vec<f64>,
}

/// What some worlds add to a family: exceedances of each member, and max |z| in each world.
struct Taken {
    exceedances: Vec<u32>,
    maxima: Vec<f64>,
}

impl<'a> Members<'a> {
    fn new(family: &'a Family, actual: &GroupSums<'_>) -> Members<'a> {
        let units: Vec<f64> = family.members.iter().map(unit).collect();
        let sizes: Vec<f64> = z_of(family, &units, actual).iter().map(|z| z.abs()).collect();
        let tested = |place: usize| units[place] != 0.0;
        let threshold = |place: usize| if tested(place) { threshold(sizes[place]) } else { f64::INFINITY };
        Members {
            family,
            thresholds: (0..units.len()).map(threshold).collect(),
            actual: (0..units.len()).filter(|&place| tested(place)).map(|place| sizes[place]).reduce(f64::max),
            exceedances: vec![0; units.len()],
            maxima: Vec::new(),
            units,
        }
    }

    fn no_count(&self) -> Taken {
        Taken { exceedances: vec![0; self.units.len()], maxima: Vec::new() }
    }

    /// Counts a world; `z` is scratch space.
    fn count(&self, group_sums: &GroupSums<'_>, z: &mut Vec<f64>, count: &mut Taken) {
        contrast_rows(self.family, group_sums, z);
        let mut largest = 0.0;
        for (((z, unit), threshold), exceedances) in
            z.iter().zip(&self.units).zip(&self.thresholds).zip(&mut count.exceedances)
        {
            let size = (z * unit).abs();
            *exceedances += u32::from(size >= *threshold);
            largest = if size > largest { size } else { largest };
        }
        count.maxima.push(largest);
    }

    fn add(&mut self, count: Taken) {
        self.exceedances.iter_mut().zip(count.exceedances).for_each(|(sum, more)| *sum += more);
        self.maxima.extend(count.maxima);
    }

    fn test(self) -> FamilyTest {
        let tested = |(count, unit): (u32, f64)| (unit != 0.0).then_some(count);
        let exceeding = |actual| self.maxima.iter().filter(|&&z| z >= threshold(actual)).count() as u32;
        FamilyTest {
            exceedances: self.exceedances.into_iter().zip(self.units).map(tested).collect(),
            simultaneous: Count { value: self.actual, exceedances: self.actual.map(exceeding) },
            band: self.actual.and_then(|_| upper_quantile(&mut self.maxima.clone())),
            maxima: self.maxima,
        }
    }
}

/// z of each member; 0 where its unit is.
fn z_of(family: &Family, units: &[f64], group_sums: &GroupSums<'_>) -> Vec<f64> {
    let mut z = Vec::new();
    contrast_rows(family, group_sums, &mut z);
    z.iter_mut().zip(units).for_each(|(z, unit)| *z *= unit);
    z
}

/// Σ_k c_k X_k on the rows of the members.
fn contrast_rows(family: &Family, group_sums: &GroupSums<'_>, sums: &mut Vec<f64>) {
    sums.clear();
    sums.resize(family.members.len(), 0.0);
    for &(group, weight) in family.contrast.iter().flat_map(Contrast::terms) {
        let of_group = &group_sums.of_group(group)[family.first_row..][..family.members.len()];
        sums.iter_mut().zip(of_group).for_each(|(sum, of_group)| *sum += weight * of_group);
    }
}

/// The least |z| that counts as at least as extreme as the actual one.
fn threshold(actual: f64) -> f64 {
    actual - TIE * actual.max(1.0)
}

/// The ⌈0.95 (B+1)⌉-th smallest of B values; `None` if there are too few.
fn upper_quantile(values: &mut [f64]) -> Option<f64> {
    let rank = (COVERAGE * (values.len() + 1) as f64).ceil() as usize;
    (rank <= values.len()).then(|| *values.select_nth_unstable_by(rank - 1, f64::total_cmp).1)
}
