//! Synthetic traces, and the definitions written down once more as plain loops over raw gradients.

use std::path::Path;

use cograd_analysis::statistic::contribution::{self, Contributions};
use cograd_analysis::statistic::designation::Designation;
use cograd_analysis::statistic::grouping::Grouping;
use cograd_analysis::statistic::linear::{Family, Linear};
use cograd_analysis::statistic::null_world::NullWorlds;
use cograd_analysis::statistic::permutation::{self, FamilyTest};
use cograd_analysis::statistic::scores::Scores;
use cograd_analysis::statistic::{crossover, cumulative, decomposition};
use cograd_trace::{
    Coordinate, Example, Metric, PopulationLayer, PopulationRows, RunDescription, RunWriter, Split, Subset,
};
use polars::prelude::{AnyValue, DataFrame, ParquetReader, SerReader};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;

pub fn generator(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Uniform in [0, 1).
pub fn uniform(generator: &mut ChaCha8Rng) -> f64 {
    f64::from(generator.next_u32()) / 4_294_967_296.0
}

/// Roughly normal: the sum of twelve uniforms, less six.
pub fn normal(generator: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| uniform(generator)).sum::<f64>() - 6.0
}

/// A run to write: gradients at each recorded step, `[n, d]`.
#[derive(Clone, Debug)]
pub struct Synthetic {
    pub rule: String,
    pub noise: f64,
    pub seed: u64,
    pub coordinates: usize,
    /// Coordinate c is of layer c mod `layers`.
    pub layers: usize,
    pub steps: Vec<(i64, Vec<f32>)>,
    /// At each population step the gradients of all m examples, `[m, p]`, layer by layer.
    pub population: Vec<(i64, Vec<Vec<f32>>)>,
    pub examples: Vec<Example>,
    pub metrics: Vec<Metric>,
}

impl Synthetic {
    /// Sampled examples with the given designations, and gradients that are noise plus a common direction, stronger in
    /// pristine examples and weaker with every step.
    pub fn new(pristine: &[bool], coordinates: usize, steps: &[i64], seed: u64) -> Synthetic {
        let mut generator = generator(seed);
        let gradients = |index: usize, generator: &mut ChaCha8Rng| -> Vec<f32> {
            let strength = |is: bool| if is { 1.0 / (1.0 + index as f64) } else { 0.2 };
            let row = |&is: &bool| -> Vec<f32> {
                (0..coordinates).map(|_| (normal(generator) + strength(is)) as f32).collect()
            };
            pristine.iter().flat_map(row).collect()
        };
        let steps = steps.iter().enumerate().map(|(index, &step)| (step, gradients(index, &mut generator))).collect();
        let examples = pristine.iter().zip(0..).map(|(&is, id)| example(id, is, true, Some(i64::from(id)))).collect();
        Synthetic {
            rule: "sgd".into(),
            noise: 0.5,
            seed: 1,
            coordinates,
            layers: 1,
            steps,
            population: vec![],
            examples,
            metrics: vec![],
        }
    }

    /// With a population record of as many layers as it has, four parameters each.
    pub fn with_population(mut self, steps: &[i64]) -> Synthetic {
        let mut generator = generator(self.seed + 100);
        let m = self.examples.len();
        let mut layer = || -> Vec<f32> { (0..4 * m).map(|_| (normal(&mut generator) + 0.4) as f32).collect() };
        self.population = steps.iter().map(|&step| (step, (0..self.layers).map(|_| layer()).collect())).collect();
        self
    }

    pub fn id(&self) -> String {
        format!("{}_noise-{}_seed-{}", self.rule, self.noise, self.seed)
    }

    pub fn designation(&self) -> Designation {
        Designation::new(
            self.examples.iter().filter(|example| example.sampled).map(|example| example.pristine).collect(),
        )
    }

    pub fn contributions(&self) -> Contributions {
        let mut contributions = Contributions::new(self.designation().examples());
        for (step, gradients) in &self.steps {
            contributions.push(*step, contribution::of_step(gradients, self.designation().examples()));
        }
        contributions
    }

    pub fn write(&self, study: &Path) {
        let example_ids =
            self.examples.iter().filter(|example| example.sampled).map(|example| example.example_id).collect();
        let layers = self.layers as u32;
        let coordinate =
            |coordinate: u32| Coordinate { coordinate, layer: coordinate % layers, row: coordinate, column: 0 };
        let description = RunDescription {
            run: self.id(),
            rule: self.rule.clone(),
            noise: self.noise,
            seed: self.seed,
            network: std::iter::once(1).chain(vec![self.coordinates; self.layers]).collect(),
            steps: {
                let last =
                    self.steps.iter().map(|(step, _)| *step).chain(self.population.iter().map(|(step, _)| *step));
                last.max().map_or(0, |step| step as u64 + 1)
            },
            writer: "test".into(),
            train_examples: self.examples.len(),
            example_ids,
            coordinates: (0..self.coordinates as u32).map(coordinate).collect(),
        };
        let mut writer = RunWriter::create(study, description).expect("a new run");
        for (step, gradients) in &self.steps {
            writer.write_gradients(*step, gradients).expect("gradients");
        }
        for (step, layers) in &self.population {
            let m = self.examples.len();
            let values: Vec<(Vec<f64>, Vec<f64>)> =
                layers.iter().map(|layer| (slow_contributions(layer, m), slow_self_terms(layer, m))).collect();
            let norms: Vec<f64> = values.iter().map(|(contributions, _)| contributions.iter().sum()).collect();
            let layers: Vec<PopulationLayer<'_>> = values
                .iter()
                .map(|(contributions, self_terms)| PopulationLayer { contributions, self_terms })
                .collect();
            let rows = PopulationRows { layers: &layers, gradient_norms_sq: &norms };
            writer.write_population(*step, &rows).expect("a population step");
        }
        writer.finish(&self.examples, &self.metrics).expect("a finished run");
    }
}

/// The null worlds of a run with the given id.
pub fn null_worlds(seed: u64, run: &str, actual: &Designation) -> NullWorlds {
    NullWorlds::new(seed, run, &Grouping::from(actual))
}

/// The designation of a null world.
pub fn world(worlds: &NullWorlds, number: u64) -> Designation {
    Designation::from(&worlds.grouping(number))
}

/// The families of α, D and the crossover statistic.
pub struct Families<'a> {
    pub scores: Scores<'a>,
    pub families: Vec<Family>,
}

pub const ALPHA: usize = 0;
pub const DIFFERENCE: usize = 1;
pub const CROSSOVER: usize = 2;

impl<'a> Families<'a> {
    pub fn of(contributions: &'a Contributions, designation: &Designation) -> Families<'a> {
        let decomposition = decomposition::decompose(contributions, designation);
        let scores = Scores::new(contributions, crossover::weights(&decomposition).as_deref());
        let families = vec![
            decomposition::family(&scores, designation),
            cumulative::family(&scores, &Grouping::from(designation), 0, 1),
            crossover::family(&scores, designation),
        ];
        Families { scores, families }
    }

    pub fn linear(&self, family: usize, member: usize) -> Option<Linear> {
        self.families[family].members[member]
    }

    /// z of a member in the world with the given designation.
    pub fn z(&self, family: usize, member: usize, world: &Designation) -> Option<f64> {
        permutation::z(&self.scores, &self.families, &Grouping::from(world))[family][member]
    }

    pub fn test(&self, worlds: &NullWorlds, count: u32) -> Vec<FamilyTest> {
        permutation::test_families(&self.scores, &self.families, worlds, count)
    }
}

pub fn example(example_id: u32, pristine: bool, sampled: bool, learned_step: Option<i64>) -> Example {
    Example { example_id, label: 1, original_label: if pristine { 1 } else { 2 }, pristine, sampled, learned_step }
}

pub fn metric(step: i64, split: Split, loss: f64) -> Metric {
    Metric { step, split, subset: Subset::All, examples: 10, loss, accuracy: 1.0 / (1.0 + loss) }
}

/// Row `row` of the rows whose columns have the given texts or numbers.
pub fn rows(table: &DataFrame, conditions: &[(&str, &str)]) -> Vec<usize> {
    let matches = |row: usize| conditions.iter().all(|(name, value)| text(table, name, row) == *value);
    (0..table.height()).filter(|&row| matches(row)).collect()
}

pub fn text(table: &DataFrame, name: &str, row: usize) -> String {
    match table.column(name).unwrap().get(row).unwrap() {
        AnyValue::String(text) => text.to_string(),
        AnyValue::StringOwned(text) => text.to_string(),
        other => other.to_string(),
    }
}

pub fn number(table: &DataFrame, name: &str, row: usize) -> Option<f64> {
    table.column(name).unwrap().f64().unwrap().get(row)
}

pub fn summary(analysis: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(analysis.join("summary.json")).unwrap()).unwrap()
}

pub fn read(analysis: &Path, table: &str) -> DataFrame {
    let file = std::fs::File::open(analysis.join(table)).expect(table);
    ParquetReader::new(file).finish().expect(table)
}

/// ⟨g_i, g_j⟩ of rows i and j.
fn inner(gradients: &[f32], d: usize, i: usize, j: usize) -> f64 {
    (0..d).map(|k| f64::from(gradients[i * d + k]) * f64::from(gradients[j * d + k])).sum()
}

/// s_i = Σ_j ⟨g_i, g_j⟩, Equation 2 pair by pair.
pub fn slow_contributions(gradients: &[f32], n: usize) -> Vec<f64> {
    let d = gradients.len() / n;
    (0..n).map(|i| (0..n).map(|j| inner(gradients, d, i, j)).sum()).collect()
}

pub fn slow_self_terms(gradients: &[f32], n: usize) -> Vec<f64> {
    let d = gradients.len() / n;
    (0..n).map(|i| inner(gradients, d, i, i)).collect()
}

/// α from the pairs of gradients.
pub fn slow_alpha(gradients: &[f32], pristine: &[bool]) -> f64 {
    let s = slow_contributions(gradients, pristine.len());
    group_sum(&s, pristine, true) / s.iter().sum::<f64>()
}

/// D_t from the pairs of gradients of steps 0…t.
pub fn slow_difference(steps: &[(i64, Vec<f32>)], pristine: &[bool]) -> f64 {
    let count = |of: bool| pristine.iter().filter(|&&is| is == of).count() as f64;
    let mut difference = 0.0;
    for (_, gradients) in steps {
        let s = slow_contributions(gradients, pristine.len());
        difference += group_sum(&s, pristine, true) / count(true) - group_sum(&s, pristine, false) / count(false);
    }
    difference
}

pub fn group_sum(values: &[f64], pristine: &[bool], group: bool) -> f64 {
    values.iter().zip(pristine).filter(|(_, is)| **is == group).map(|(value, _)| value).sum()
}

/// All designations of n examples of which `pristine` are pristine.
pub fn all_designations(n: usize, pristine: usize) -> Vec<Vec<bool>> {
    (0_u32..1 << n)
        .filter(|bits| bits.count_ones() as usize == pristine)
        .map(|bits| (0..n).map(|i| bits >> i & 1 == 1).collect())
        .collect()
}

pub fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n)
}

#[track_caller]
pub fn assert_close(left: f64, right: f64, relative: f64) {
    assert!((left - right).abs() <= relative * left.abs().max(right.abs()).max(1e-12), "{left} is not {right}");
}
