//! Which examples are similar, and when: the cosines of every two gradients, each example's nearest neighbours, and the matrix
//! of cosines in blocks of neighbouring examples, ordered by class and by learned step.
//!
//! ```text
//! c_ij = ⟨g_i, g_j⟩/(‖g_i‖‖g_j‖)      neighbours of i: the five j ≠ i of largest c_ij      block a, b: mean of c_ij, i ∈ a, j ∈ b, i ≠ j
//! ```
//!
//! over all layers together. An example whose gradient is 0 has no cosine: it has no neighbours, is nobody's, and is in no mean.
//! Cosines are compared as multiples of 2⁻⁴⁰, so that rounding settles nothing, and equal ones by example id. Shapes: numbers at every step, in
//! `coherence`; neighbours `[n, 5]` and blocks `[≤ 32, ≤ 32]` (one a class at least) at the steps of `chosen_steps`. Missing without two examples
//! that have a cosine; the order by class without classes, and that by learned step where no sampled example is known to have been learned.
//! Without intervals: a maximum over a half says little of that over all. Source: the Gram matrix of [S 8]; our own
//! question.

use std::cmp::Ordering;

use cograd_trace::{ExampleColumn, Run};
use polars::prelude::*;

use crate::AnalysisError;
use crate::kernel::gram::Gram;
use crate::kernel::grouping::Grouping;
use crate::sample::{Part, Sample, Series};
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "similarity",
    about: "which examples are similar: nearest neighbours by the cosine of gradients, and mean cosines by class and learned step",
    unit: "",
    tables: &["coherence", "neighbours", "similarity"],
    compute: Compute::Similarity,
};

/// Neighbours of an example.
pub(crate) const NEIGHBOURS: usize = 5;
/// Blocks of an order, unless there are more classes.
const BLOCKS: usize = 32;
/// Cosines are compared as multiples of 1/GRID.
const GRID: f64 = (1_u64 << 40) as f64;

/// What the examples of a run are told apart by, and at which steps.
pub(crate) struct Similarity {
    steps: Vec<i64>,
    /// Of the analysed sampled examples, ascending.
    ids: Vec<u32>,
    classes: Option<Grouping>,
    orders: Vec<Order>,
}

/// The examples one after the other, cut into blocks.
struct Order {
    name: &'static str,
    /// What each block is called.
    names: Vec<String>,
    /// The block of each example.
    of_example: Vec<usize>,
}

/// Of the marks 0, 1, 2, 5, 10, 20, 50, … the first step at or after each, and the last step: of ascending `steps`.
pub(crate) fn chosen_steps(steps: &[i64]) -> Vec<i64> {
    let decades = (0..19).map(|decade| 10_i64.pow(decade));
    let marks = std::iter::once(0).chain(decades.flat_map(|decade| [1, 2, 5].map(|part| decade.saturating_mul(part))));
    let first = |mark: i64| steps.get(steps.partition_point(|&step| step < mark)).copied();
    let mut chosen: Vec<i64> = marks.filter_map(first).chain(steps.last().copied()).collect();
    chosen.dedup();
    chosen
}

impl Similarity {
    /// Of the sampled examples with these ids, ascending, and their classes, if they have any; `steps` are all that are analysed.
    ///
    /// # Errors
    /// The learned steps cannot be read.
    pub(crate) fn new(
        run: &Run,
        ids: &[u32],
        classes: Option<&Grouping>,
        steps: &[i64],
    ) -> Result<Similarity, AnalysisError> {
        let column = run.example_column("learned_step").map_err(|source| AnalysisError::in_run(run, source))?;
        let learned: Option<Vec<Option<i64>>> = match column {
            Some(ExampleColumn::Integers(steps)) => Some(ids.iter().map(|&id| steps[id as usize]).collect()),
            _ => None,
        };
        let learned = learned.filter(|steps| steps.iter().any(Option::is_some));
        let by_class = classes.map(|classes| Order::by_class(classes, learned.as_deref()));
        let by_learned_step = learned.as_deref().map(Order::by_learned_step);
        Ok(Similarity {
            steps: chosen_steps(steps),
            ids: ids.to_vec(),
            classes: classes.cloned(),
            orders: by_class.into_iter().chain(by_learned_step).collect(),
        })
    }

    /// Whether it is shown at this step which examples are similar.
    pub(crate) fn has_step(&self, step: i64) -> bool {
        self.steps.binary_search(&step).is_ok()
    }

    /// The lengths of the lists of a step.
    pub(crate) fn lengths(&self) -> Vec<usize> {
        let of_neighbours = [self.ids.len() * NEIGHBOURS; 2];
        let of_order = |order: &Order| [order.names.len() * (order.names.len() + 1) / 2; 2];
        of_neighbours.into_iter().chain(self.orders.iter().flat_map(of_order)).collect()
    }

    /// The numbers of a step, of the inner products over all layers of the examples in this order: the places of the neighbours `[n, 5]` and their cosines, NaN
    /// where there is none; then of each order of examples the sums of cosines and the numbers of pairs, by pair of blocks a ≤ b.
    pub(crate) fn lists(&self, gram: &Gram, order: &[u32]) -> Vec<Vec<f64>> {
        let nearest = nearest(gram, order, NEIGHBOURS);
        let all = || nearest.iter().flatten();
        let places = all().map(|near| near.map_or(f64::NAN, |near| f64::from(near.example))).collect();
        let cosines = all().map(|near| near.map_or(f64::NAN, |near| near.cosine)).collect();
        let blocks = self.orders.iter().flat_map(|of| of.sums(gram, order));
        [places, cosines].into_iter().chain(blocks).collect()
    }

    /// The tables `neighbours` and `similarity`, from the lists of the steps that have them.
    pub(crate) fn tables(&self, steps: &[(i64, Vec<Vec<f64>>)]) -> PolarsResult<Vec<(&'static str, DataFrame)>> {
        let neighbours = |(step, lists): &(i64, Vec<Vec<f64>>)| self.neighbours(*step, &lists[0], &lists[1]);
        let neighbours = steps.iter().flat_map(neighbours).collect();
        let blocks = steps.iter().flat_map(|(step, lists)| self.blocks(*step, &lists[2..])).collect();
        Ok(vec![("neighbours", neighbours_frame(neighbours)?), ("similarity", blocks_frame(blocks)?)])
    }

    fn neighbours(&self, step: i64, places: &[f64], cosines: &[f64]) -> Vec<NeighbourRow> {
        let class = |place: usize| self.classes.as_ref().map(|classes| classes.of_example()[place]);
        let row = |(place, (&neighbour, &cosine)): (usize, (&f64, &f64))| {
            let (example, neighbour) = (place / NEIGHBOURS, neighbour as usize);
            let id = |place: usize| u64::from(self.ids[place]);
            let same_class = class(example).map(|own| Some(own) == class(neighbour));
            (step, id(example), (place % NEIGHBOURS) as u64 + 1, id(neighbour), cosine, same_class)
        };
        let found = places.iter().zip(cosines).enumerate().filter(|(_, (place, _))| !place.is_nan());
        found.map(row).collect()
    }

    fn blocks(&self, step: i64, lists: &[Vec<f64>]) -> Vec<BlockRow<'_>> {
        let mut rows = Vec::new();
        for (order, [sums, pairs]) in self.orders.iter().zip(lists.as_chunks().0) {
            let blocks = order.names.len();
            let places = (0..blocks).flat_map(|a| (a..blocks).map(move |b| (a, b)));
            rows.extend(places.zip(sums).zip(pairs).map(|((block, &sum), &pairs)| BlockRow {
                step,
                order: order.name,
                blocks: block,
                names: [&order.names[block.0], &order.names[block.1]],
                pairs: pairs as u64,
                cosine: (pairs > 0.0).then(|| sum / pairs),
            }));
        }
        rows
    }
}

/// Step, example, rank, neighbour, cosine, whether they are of one class.
type NeighbourRow = (i64, u64, u64, u64, f64, Option<bool>);

struct BlockRow<'a> {
    step: i64,
    order: &'static str,
    blocks: (usize, usize),
    names: [&'a str; 2],
    pairs: u64,
    cosine: Option<f64>,
}

fn neighbours_frame(rows: Vec<NeighbourRow>) -> PolarsResult<DataFrame> {
    df!(
        "step" => rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        "example_id" => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
        "rank" => rows.iter().map(|row| row.2).collect::<Vec<_>>(),
        "neighbour" => rows.iter().map(|row| row.3).collect::<Vec<_>>(),
        "cosine" => rows.iter().map(|row| row.4).collect::<Vec<_>>(),
        "same_class" => rows.iter().map(|row| row.5).collect::<Vec<_>>(),
    )
}

fn blocks_frame(rows: Vec<BlockRow<'_>>) -> PolarsResult<DataFrame> {
    df!(
        "step" => rows.iter().map(|row| row.step).collect::<Vec<_>>(),
        "order" => rows.iter().map(|row| row.order).collect::<Vec<_>>(),
        "block_a" => rows.iter().map(|row| row.blocks.0 as u64).collect::<Vec<_>>(),
        "block_b" => rows.iter().map(|row| row.blocks.1 as u64).collect::<Vec<_>>(),
        "name_a" => rows.iter().map(|row| row.names[0]).collect::<Vec<_>>(),
        "name_b" => rows.iter().map(|row| row.names[1]).collect::<Vec<_>>(),
        "pairs" => rows.iter().map(|row| row.pairs).collect::<Vec<_>>(),
        "cosine" => rows.iter().map(|row| row.cosine).collect::<Vec<_>>(),
    )
}

impl Order {
    /// Class by class, in a class by learned step, if that is known: as many blocks of a class as it has of the examples, one at least.
    fn by_class(classes: &Grouping, learned: Option<&[Option<i64>]>) -> Order {
        let mut order = Order { name: "class", names: Vec::new(), of_example: vec![0; classes.examples()] };
        for (class, (name, &size)) in classes.names().iter().zip(classes.sizes()).enumerate() {
            let is_member = |&example: &usize| usize::from(classes.of_example()[example]) == class;
            let members: Vec<usize> = (0..classes.examples()).filter(is_member).collect();
            let blocks = (BLOCKS * size / classes.examples()).max(1);
            order.cut(sorted(members, learned), blocks, |_| name.clone());
        }
        order
    }

    /// By learned step; those never learned, of which nothing is known either, are the last.
    fn by_learned_step(learned: &[Option<i64>]) -> Order {
        let mut order = Order { name: "learned_step", names: Vec::new(), of_example: vec![0; learned.len()] };
        let text = |example: usize| learned[example].map_or("never".to_string(), |step| step.to_string());
        let name = |members: &[usize]| {
            let [first, last] = [members[0], members[members.len() - 1]].map(text);
            if first == last { first } else { format!("{first} – {last}") }
        };
        order.cut(sorted((0..learned.len()).collect(), Some(learned)), BLOCKS, name);
        order
    }

    /// Adds blocks of these examples, which differ by one in their sizes at most; none is empty.
    fn cut(&mut self, members: Vec<usize>, blocks: usize, name: impl Fn(&[usize]) -> String) {
        let blocks = blocks.min(members.len());
        for block in 0..blocks {
            let members = &members[block * members.len() / blocks..(block + 1) * members.len() / blocks];
            members.iter().for_each(|&member| self.of_example[member] = self.names.len());
            self.names.push(name(members));
        }
    }

    /// By pair of blocks a ≤ b: the sums of cosines over pairs of distinct examples that have one, and the numbers of these.
    fn sums(&self, gram: &Gram, order: &[u32]) -> [Vec<f64>; 2] {
        let blocks = self.names.len();
        let (mut sums, mut pairs) = (vec![0.0; blocks * blocks], vec![0.0; blocks * blocks]);
        each_cosine(gram, |i, j, cosine| {
            let [a, b] = [i, j].map(|place| self.of_example[order[place] as usize]);
            let pair = a.min(b) * blocks + a.max(b);
            sums[pair] += cosine;
            pairs[pair] += 1.0;
        });
        let upper = |values: Vec<f64>| (0..blocks).flat_map(|a| values[a * blocks..][a..blocks].to_vec()).collect();
        [upper(sums), upper(pairs)]
    }
}

/// By learned step, those without one last, and by place.
fn sorted(mut members: Vec<usize>, learned: Option<&[Option<i64>]>) -> Vec<usize> {
    let step = |example: usize| learned.map(|steps| steps[example].map_or((1, 0), |step| (0, step)));
    members.sort_by_key(|&example| (step(example), example));
    members
}

/// Calls `take` with every i < j of the Gram matrix and their cosine, if they have one.
fn each_cosine(gram: &Gram, mut take: impl FnMut(usize, usize, f64)) {
    let inverse: Vec<f64> = gram.self_terms().iter().map(|&square| inverse_norm(square)).collect();
    for i in 0..gram.examples() {
        if inverse[i] == 0.0 {
            continue;
        }
        let row = gram.row(i);
        for j in (i + 1..gram.examples()).filter(|&j| inverse[j] != 0.0) {
            take(i, j, (row[j] * inverse[i] * inverse[j]).clamp(-1.0, 1.0));
        }
    }
}

/// 0 where there is no cosine.
fn inverse_norm(square: f64) -> f64 {
    if square > 0.0 && square.is_finite() { 1.0 / square.sqrt() } else { 0.0 }
}

/// A neighbour of an example.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Near {
    example: u32,
    cosine: f64,
}

impl Near {
    /// The nearest is the least.
    fn cmp(&self, other: &Near) -> Ordering {
        let on_grid = |near: &Near| (near.cosine * GRID).round();
        on_grid(other).total_cmp(&on_grid(self)).then(self.example.cmp(&other.example))
    }
}

/// The `count` nearest examples of each, nearest first; the examples of the Gram matrix are in this order, those of the result in their own.
fn nearest(gram: &Gram, order: &[u32], count: usize) -> Vec<Vec<Option<Near>>> {
    let mut nearest = vec![vec![None; count]; gram.examples()];
    each_cosine(gram, |i, j, cosine| {
        for (own, other) in [(i, j), (j, i)] {
            insert(&mut nearest[order[own] as usize], Near { example: order[other], cosine });
        }
    });
    nearest
}

/// Puts a neighbour where it belongs, if it is near enough.
fn insert(nearest: &mut [Option<Near>], near: Near) {
    let is_after = |known: &Option<Near>| match known {
        // Most are far: they are not rounded.
        Some(known) => near.cosine + 2.0 / GRID >= known.cosine && near.cmp(known).is_lt(),
        None => true,
    };
    if nearest.last().is_some_and(is_after) {
        let place = nearest.iter().position(is_after).unwrap_or(nearest.len() - 1);
        nearest[place..].rotate_right(1);
        nearest[place] = Some(near);
    }
}

/// The numbers of every step: how near the nearest neighbour is, and how often it is of the same class, also by chance.
pub(crate) fn compute(part: &Part, sample: &Sample, series: &mut Series<'_>) {
    if !series.is_whole() {
        return;
    }
    let nearest = nearest(&part.gram, sample.cells.order(), 1);
    let found: Vec<(usize, Near)> =
        nearest.iter().enumerate().filter_map(|(place, near)| Some((place, near[0]?))).collect();
    let mean = |sum: f64| (!found.is_empty()).then(|| sum / found.len() as f64);
    series.add("similarity_nearest", mean(found.iter().map(|(_, near)| near.cosine).sum()), []);
    let Some(classes) = sample.classes() else { return };
    let mut class = vec![0; nearest.len()];
    sample.cells.order().iter().zip(classes.of_example()).for_each(|(&place, &of)| class[place as usize] = of);
    let is_same = |(place, near): &&(usize, Near)| class[*place] == class[near.example as usize];
    series.add("similarity_nearest_same_class", mean(found.iter().filter(is_same).count() as f64), []);
    let mut sizes = vec![0.0; classes.groups()];
    found.iter().for_each(|(place, _)| sizes[usize::from(class[*place])] += 1.0);
    let same: f64 = sizes.iter().map(|size| size * (size - 1.0)).sum();
    let chance = mean(same).map(|mean| mean / (found.len() as f64 - 1.0));
    series.add("similarity_nearest_same_class_chance", chance, []);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_steps_a_decade_are_chosen_where_there_are_steps() {
        let all: Vec<i64> = (0..=130).collect();
        assert_eq!(chosen_steps(&all), [0, 1, 2, 5, 10, 20, 50, 100, 130]);
        assert_eq!(chosen_steps(&[3, 30, 31, 300]), [3, 30, 300]);
        assert_eq!(chosen_steps(&[i64::MAX - 1]), [i64::MAX - 1]);
        assert!(chosen_steps(&[]).is_empty());
    }

    /// (3, 4), (6, 8), (−4, 3), 0 and (3, 4) again, the last two first.
    fn gram() -> (Gram, Vec<u32>) {
        let gradients = [0.0, 0.0, 3.0, 4.0, 3.0, 4.0, 6.0, 8.0, -4.0, 3.0];
        (Gram::new(&gradients, 5, 0..2), vec![3, 4, 0, 1, 2])
    }

    #[test]
    fn equal_cosines_are_ranked_by_example_and_a_gradient_of_zero_has_no_neighbour() {
        let (gram, order) = gram();
        let nearest = nearest(&gram, &order, 3);
        let of = |place: usize| -> Vec<(u32, f64)> {
            nearest[place].iter().flatten().map(|near| (near.example, (near.cosine * 1e9).round() / 1e9)).collect()
        };
        assert_eq!(of(0), [(1, 1.0), (4, 1.0), (2, 0.0)]);
        assert_eq!(of(1), [(0, 1.0), (4, 1.0), (2, 0.0)]);
        assert_eq!(of(2), [(0, 0.0), (1, 0.0), (4, 0.0)]);
        assert_eq!(of(3), []);
        assert_eq!(of(4), [(0, 1.0), (1, 1.0), (2, 0.0)]);
    }

    #[test]
    fn blocks_follow_class_and_learned_step() {
        let learned = [Some(7), None, Some(2), Some(7), Some(0)];
        let order = Order::by_learned_step(&learned);
        assert_eq!(order.names, ["0", "2", "7", "7", "never"]);
        assert_eq!(order.of_example, [2, 4, 1, 3, 0]);
        let names = vec!["a".to_string(), "b".to_string(), "c".to_string()];
        let classes = Grouping::new(names, vec![1, 0, 1, 1, 0]);
        let by_class = Order::by_class(&classes, Some(&learned));
        assert_eq!((by_class.names.concat(), by_class.of_example), ("aabbb".to_string(), vec![3, 1, 2, 4, 0]));
        let many: Vec<Option<i64>> = (0..100).map(|example| Some(99 - example)).collect();
        let order = Order::by_learned_step(&many);
        assert_eq!((order.names.len(), &*order.names[0], &*order.names[31]), (32, "0 – 2", "96 – 99"));
    }

    #[test]
    fn mean_cosines_of_blocks_by_hand() {
        let (gram, order) = gram();
        let blocks = Order { name: "class", names: vec!["a".into(), "b".into()], of_example: vec![0, 0, 1, 1, 1] };
        let [sums, pairs] = blocks.sums(&gram, &order);
        // Within the first: 1. Between: four pairs, the zero has none. Within the second: (−4, 3) with (3, 4).
        assert_eq!(pairs, [1.0, 4.0, 1.0]);
        assert!(sums.iter().zip([1.0, 2.0, 0.0]).all(|(sum, expected)| (sum - expected).abs() < 1e-12), "{sums:?}");
    }
}
