//! Synthetic traces, the tables made of them, and the definitions written down once more as plain loops over raw gradients.

use std::path::{Path, PathBuf};

use cograd_analysis::kernel::contribution::{self, Contributions};
use cograd_analysis::kernel::grouping::Grouping;
use cograd_analysis::kernel::linear::{Family, Linear};
use cograd_analysis::kernel::null_world::NullWorlds;
use cograd_analysis::kernel::permutation::{self, FamilyTest};
use cograd_analysis::kernel::scores::Scores;
use cograd_analysis::statistic::{Compute, cumulative, shares};
use cograd_analysis::{AnalysisError, Estimator, NoObserver, Options, Sums, Tested, analyze};
use cograd_results::{Kind, Results, Rows, Summary};
use cograd_trace::{
    Conditions, Coordinate, ExampleColumn, Metric, Parameter, PopulationLayer, PopulationRows, RunDescription,
    RunWriter, Task,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tempfile::TempDir;

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

/// Contributions and self terms of the population in one layer.
pub type PopulationOfLayer = (Vec<f64>, Vec<f64>);

/// A run to write: gradients at each recorded step, `[n, d]`.
#[derive(Clone, Debug)]
pub struct Synthetic {
    /// Run id; `None`: what the conditions are.
    pub named: Option<String>,
    pub conditions: Conditions,
    pub classes: Option<u64>,
    /// m.
    pub examples: usize,
    pub sampled: Vec<u32>,
    pub population_ids: Option<Vec<u32>>,
    /// What is known of the examples, m values each.
    pub columns: Vec<(&'static str, ExampleColumn)>,
    pub parameters: Vec<Parameter>,
    pub coordinates: Vec<Coordinate>,
    pub steps: Vec<(i64, Vec<f32>)>,
    /// At each population step, layer by layer.
    pub population: Vec<(i64, Vec<PopulationOfLayer>)>,
    /// Whether self terms are written of the population.
    pub with_self_terms: bool,
    pub metrics: Vec<Metric>,
}

impl Synthetic {
    /// Sampled examples, pristine or not, and gradients that are noise plus a common direction, stronger in pristine
    /// examples and weaker with every step.
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
        let learned = (0..pristine.len() as i64).map(Some).collect();
        let run = Synthetic {
            named: None,
            conditions: conditions("sgd", 0.5, 1),
            classes: Some(30),
            examples: pristine.len(),
            sampled: (0..pristine.len() as u32).collect(),
            population_ids: None,
            columns: vec![("pristine", booleans(pristine)), ("learned_step", ExampleColumn::Integers(learned))],
            parameters: vec![],
            coordinates: (0..coordinates as u64).map(|index| Coordinate { parameter: 0, index }).collect(),
            steps,
            population: vec![],
            with_self_terms: true,
            metrics: vec![],
        };
        run.with_layers(1)
    }

    /// Steps 0, 1, 2, … at which the contributions are these whole numbers, a list of n a step.
    pub fn of_contributions(pristine: &[bool], lists: &[Vec<f64>]) -> Synthetic {
        let run = Synthetic::new(pristine, 4, &[], 0);
        Synthetic { steps: (0..).zip(lists.iter().map(|s| with_contributions(s))).collect(), ..run }
    }

    /// With coordinate c of layer c mod `layers`, each of one parameter that has ten values more than are recorded.
    pub fn with_layers(mut self, layers: usize) -> Synthetic {
        let size = self.coordinates.len().div_ceil(layers) as u64 + 10;
        self.parameters =
            (0..layers).map(|layer| Parameter::new(&format!("layer.{layer}.weight"), &[size], None)).collect();
        let place = |c: usize| Coordinate { parameter: (c % layers) as u32, index: (c / layers) as u64 };
        self.coordinates = (0..self.coordinates.len()).map(place).collect();
        self
    }

    /// With another column, or another in place of one of its name.
    pub fn with_column(mut self, name: &'static str, column: ExampleColumn) -> Synthetic {
        self.columns.retain(|(known, _)| *known != name);
        self.columns.push((name, column));
        self
    }

    /// With a population record of every layer, of gradients of four coordinates each.
    pub fn with_population(mut self, steps: &[i64]) -> Synthetic {
        let mut generator = generator(101);
        let m = self.population_ids.as_ref().map_or(self.examples, Vec::len);
        let mut layer = || {
            let gradients: Vec<f32> = (0..4 * m).map(|_| (normal(&mut generator) + 0.4) as f32).collect();
            (slow_contributions(&gradients, m), slow_self_terms(&gradients, m))
        };
        let layers =
            self.parameters.iter().map(|parameter| &parameter.layer).collect::<std::collections::BTreeSet<_>>();
        self.population = steps.iter().map(|&step| (step, layers.iter().map(|_| layer()).collect())).collect();
        self
    }

    pub fn id(&self) -> String {
        let conditions = || self.conditions.to_string().replace(", ", "_").replace(' ', "-");
        self.named.clone().unwrap_or_else(conditions)
    }

    /// The values of a column of truths of the sampled examples.
    pub fn sampled_pristine(&self) -> Vec<bool> {
        let Some((_, ExampleColumn::Booleans(pristine))) = self.columns.iter().find(|column| column.0 == "pristine")
        else {
            panic!("it is not known which examples are pristine");
        };
        self.sampled.iter().map(|&id| pristine[id as usize].unwrap()).collect()
    }

    /// Pristine and corrupt.
    pub fn grouping(&self) -> Grouping {
        two_groups(&self.sampled_pristine())
    }

    pub fn contributions(&self) -> Contributions {
        let n = self.sampled.len();
        let mut contributions = Contributions::new(n);
        for (step, gradients) in &self.steps {
            contributions.push(*step, contribution::of_step(gradients, n));
        }
        contributions
    }

    pub fn write(&self, study: &Path) {
        let steps = self.steps.iter().map(|(step, _)| *step).chain(self.population.iter().map(|(step, _)| *step));
        let description = RunDescription {
            run: self.id(),
            conditions: self.conditions.clone(),
            task: Task { classes: self.classes, ..Task::default() },
            steps: steps.max().map_or(0, |last| last as u64 + 1),
            writer: "test".into(),
            train_examples: self.examples,
            example_ids: self.sampled.clone(),
            population_ids: self.population_ids.clone(),
            parameters: self.parameters.clone(),
            coordinates: self.coordinates.clone(),
        };
        let mut writer = RunWriter::create(study, description).expect("a new run");
        for (step, gradients) in &self.steps {
            writer.write_gradients(*step, gradients).expect("gradients");
        }
        for (step, layers) in &self.population {
            let norm = |layer: &PopulationOfLayer| layer.0.iter().sum::<f64>().clamp(0.0, f64::MAX);
            let norms: Vec<f64> = layers.iter().map(norm).collect();
            let layers: Vec<PopulationLayer<'_>> = layers
                .iter()
                .map(|(contributions, self_terms)| PopulationLayer {
                    contributions,
                    self_terms: self.with_self_terms.then_some(self_terms.as_slice()),
                })
                .collect();
            let rows = PopulationRows { layers: &layers, gradient_norms_sq: &norms };
            writer.write_population(*step, &rows).expect("a population step");
        }
        writer.finish(&self.columns, &self.metrics).expect("a finished run");
    }
}

pub fn conditions(rule: &str, noise: f64, seed: u64) -> Conditions {
    Conditions::new(Some(seed)).with("rule", rule).with("noise", noise)
}

pub fn booleans(values: &[bool]) -> ExampleColumn {
    ExampleColumn::Booleans(values.iter().map(|&value| Some(value)).collect())
}

pub fn integers(values: impl IntoIterator<Item = i64>) -> ExampleColumn {
    ExampleColumn::Integers(values.into_iter().map(Some).collect())
}

pub fn texts<T: ToString>(values: impl IntoIterator<Item = T>) -> ExampleColumn {
    ExampleColumn::Texts(values.into_iter().map(|value| Some(value.to_string())).collect())
}

pub fn metric(step: i64, split: &str, metric: &str, value: f64) -> Metric {
    Metric { step, split: split.into(), group: "all".into(), metric: metric.into(), value, examples: 10 }
}

/// A loss, and the accuracy 1/(1 + loss).
pub fn evaluation(step: i64, split: &str, loss: f64) -> [Metric; 2] {
    [metric(step, split, "loss", loss), metric(step, split, "accuracy", 1.0 / (1.0 + loss))]
}

/// Gradients `[n, 4]` of which these whole numbers are the contributions: multiples of a vector of whole numbers whose
/// squared norm is their sum, of which Lagrange says that there is one.
fn with_contributions(s: &[f64]) -> Vec<f32> {
    let total: f64 = s.iter().sum();
    if s.iter().all(|s| *s == 0.0) {
        return vec![0.0; 4 * s.len()];
    }
    let side = total.sqrt() as i32;
    let sides = || 0..=side;
    let squares = |g: &[i32; 4]| f64::from(g.iter().map(|x| x * x).sum::<i32>()) == total;
    let all = sides().flat_map(|a| sides().flat_map(move |b| sides().map(move |c| (a, b, c))));
    let all = all.flat_map(|(a, b, c)| sides().map(move |d| [a, b, c, d]));
    let g = all.into_iter().find(squares).expect("a whole number from 1 on");
    s.iter().flat_map(|s| g.map(|x| (s / total * f64::from(x)) as f32)).collect()
}

/// A study of these runs on disk, until it is dropped.
pub struct Study(TempDir);

impl Study {
    pub fn new(runs: &[Synthetic]) -> Study {
        let study = TempDir::new().unwrap();
        std::fs::write(study.path().join("study.toml"), "name = \"a study\"\n").unwrap();
        runs.iter().for_each(|run| run.write(study.path()));
        Study(study)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn run(&self, run: &Synthetic) -> PathBuf {
        self.path().join("runs").join(run.id())
    }

    /// Analyses it into a new directory.
    pub fn analysed(&self, options: &Options) -> Analysed {
        let out = TempDir::new().unwrap();
        analyze(self.path(), Some(out.path()), options, &NoObserver).unwrap_or_else(|error| panic!("{error:?}"));
        Analysed { results: Results::open(out.path()).unwrap(), out }
    }

    /// Analyses it, which must not succeed, and must not leave results.
    pub fn error(&self, options: &Options) -> AnalysisError {
        let out = TempDir::new().unwrap();
        let error = analyze(self.path(), Some(out.path()), options, &NoObserver).unwrap_err();
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "{error}");
        error
    }
}

/// The results of an analysis, until they are dropped.
pub struct Analysed {
    results: Results,
    out: TempDir,
}

pub fn analysed(runs: &[Synthetic], options: &Options) -> Analysed {
    Study::new(runs).analysed(options)
}

impl Analysed {
    pub fn path(&self) -> &Path {
        self.out.path()
    }

    pub fn summary(&self) -> &Summary {
        self.results.summary()
    }

    pub fn has(&self, table: &str) -> bool {
        self.results.tables().any(|name| name == table)
    }

    pub fn table(&self, name: &str) -> Table {
        Table(self.results.rows(name).unwrap().unwrap_or_else(|| panic!("there is no table {name}")))
    }
}

/// A table of results, its rows found by what they hold as text, `null` for nothing.
pub struct Table(pub Rows);

/// Columns, and what they must hold.
pub type Wanted<'a> = &'a [(&'a str, &'a str)];

impl Table {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[track_caller]
    pub fn text(&self, column: &str, row: usize) -> String {
        let text = match self.0.kind(column).unwrap_or_else(|| panic!("there is no column {column}")) {
            Kind::Text => self.0.text(column, row).map(str::to_string),
            Kind::Integer => self.0.integer(column, row).map(|value| value.to_string()),
            Kind::Count => self.0.count(column, row).map(|value| value.to_string()),
            Kind::Number => self.0.number(column, row).map(|value| value.to_string()),
            Kind::Boolean => self.0.boolean(column, row).map(|value| value.to_string()),
        };
        text.unwrap_or_else(|| "null".to_string())
    }

    #[track_caller]
    pub fn number(&self, column: &str, row: usize) -> Option<f64> {
        assert!(self.0.kind(column).is_some(), "there is no column {column}");
        self.0.number(column, row)
    }

    #[track_caller]
    pub fn boolean(&self, column: &str, row: usize) -> Option<bool> {
        assert!(self.0.kind(column).is_some(), "there is no column {column}");
        self.0.boolean(column, row)
    }

    #[track_caller]
    pub fn rows(&self, wanted: Wanted<'_>) -> Vec<usize> {
        let holds = |row: usize| wanted.iter().all(|(column, value)| self.text(column, row) == *value);
        (0..self.len()).filter(|&row| holds(row)).collect()
    }

    /// The one row that holds this.
    #[track_caller]
    pub fn row(&self, wanted: Wanted<'_>) -> usize {
        match self.rows(wanted)[..] {
            [row] => row,
            ref rows => panic!("{} rows of {wanted:?}", rows.len()),
        }
    }

    /// The number in the one row that holds this.
    #[track_caller]
    pub fn value(&self, column: &str, wanted: Wanted<'_>) -> Option<f64> {
        self.number(column, self.row(wanted))
    }

    /// The texts of a column in the rows that hold this.
    #[track_caller]
    pub fn texts(&self, column: &str, wanted: Wanted<'_>) -> Vec<String> {
        self.rows(wanted).into_iter().map(|row| self.text(column, row)).collect()
    }

    /// The numbers of a column in the rows that hold this.
    #[track_caller]
    pub fn numbers(&self, column: &str, wanted: Wanted<'_>) -> Vec<Option<f64>> {
        self.rows(wanted).into_iter().map(|row| self.number(column, row)).collect()
    }

    /// Every row, without the columns `but`, numbers to the last bit.
    pub fn all(&self, but: &[&str]) -> Vec<Vec<String>> {
        let columns: Vec<&str> = self.0.columns().filter(|column| !but.contains(column)).collect();
        (0..self.len()).map(|row| columns.iter().map(|column| self.text(column, row)).collect()).collect()
    }
}

/// As little as possible of these statistics: no null worlds, no halves.
pub fn only(statistics: &[&str]) -> Options {
    Options {
        null_worlds: 0,
        kept_worlds: 0,
        halves: 0,
        statistics: Some(statistics.iter().map(|name| name.to_string()).collect()),
        ..Options::default()
    }
}

/// The groups pristine and corrupt.
pub fn two_groups(pristine: &[bool]) -> Grouping {
    let of_example = pristine.iter().map(|is| u8::from(!is)).collect();
    Grouping::new(vec!["pristine".into(), "corrupt".into()], of_example)
}

/// Which examples are in the first of two groups.
pub fn flags(grouping: &Grouping) -> Vec<bool> {
    grouping.of_example().iter().map(|&group| group == 0).collect()
}

/// The families that the statistics of contributions test, of one estimator.
pub struct Families<'a> {
    pub scores: Scores<'a>,
    pub tested: Vec<Tested>,
}

/// What is tested: a statistic, and the places of its groups.
pub type Subject = (&'static str, [Option<usize>; 2]);

pub const ALPHA: Subject = ("share", [Some(0), None]);
pub const DIFFERENCE: Subject = ("difference", [Some(0), Some(1)]);
pub const CROSSOVER: Subject = ("crossover", [Some(0), None]);

impl<'a> Families<'a> {
    pub fn new(contributions: &'a Contributions, grouping: &Grouping) -> Families<'a> {
        let weights = slow_crossover_weights(contributions, grouping);
        let scores = Scores::new(contributions, weights.as_deref());
        let sums = Sums { estimator: Estimator::Paper, contributions, grouping };
        let of_statistic = |compute: Compute| match compute {
            Compute::Contributions { tested, .. } => tested(&scores, &sums),
            _ => panic!("a statistic of contributions"),
        };
        let tested = [shares::STATISTIC.compute, cumulative::STATISTIC.compute].into_iter().flat_map(of_statistic);
        let tested = tested.collect();
        Families { scores, tested }
    }

    pub fn family(&self, subject: Subject) -> &Family {
        let is = |tested: &&Tested| (tested.statistic, tested.groups) == subject;
        &self.tested.iter().find(is).expect("a tested family").family
    }

    pub fn linear(&self, subject: Subject, member: usize) -> Option<Linear> {
        self.family(subject).members[member]
    }

    /// z of the members in a world.
    pub fn z(&self, subject: Subject, world: &Grouping) -> Vec<Option<f64>> {
        permutation::z(&self.scores, std::slice::from_ref(self.family(subject)), world).swap_remove(0)
    }

    pub fn test(&self, subject: Subject, worlds: &NullWorlds, count: u32) -> FamilyTest {
        permutation::test_families(&self.scores, &[self.family(subject)], worlds, count).swap_remove(0)
    }
}

/// ±1/(steps in the mean) in the first and the last tenth of the steps, of those where ‖g‖² is positive and finite.
fn slow_crossover_weights(contributions: &Contributions, grouping: &Grouping) -> Option<Vec<f64>> {
    let totals: Vec<f64> = contributions.by_step().map(|s| s.iter().sum()).collect();
    let (steps, tenth) = (totals.len(), (totals.len() / 10).max(1));
    let is_present = |t: usize| totals[t] > 0.0 && totals[t].is_finite();
    let present = |from: usize| (from..from + tenth).filter(|&t| is_present(t)).count();
    if steps < 2 || !grouping.has_several() || present(0) == 0 || present(steps - tenth) == 0 {
        return None;
    }
    let weight = |t: usize| match t {
        t if !is_present(t) => 0.0,
        t if t < tenth => 1.0 / present(0) as f64,
        t if t >= steps - tenth => -1.0 / present(steps - tenth) as f64,
        _ => 0.0,
    };
    Some((0..steps).map(weight).collect())
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

/// The share of some examples, from the pairs of gradients.
pub fn slow_share(gradients: &[f32], group: &[bool]) -> f64 {
    let s = slow_contributions(gradients, group.len());
    group_sum(&s, group, true) / s.iter().sum::<f64>()
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

/// All ways to put n examples into two groups of which the first has `first`.
pub fn all_divisions(n: usize, first: usize) -> Vec<Grouping> {
    (0_u32..1 << n)
        .filter(|bits| bits.count_ones() as usize == first)
        .map(|bits| two_groups(&(0..n).map(|i| bits >> i & 1 == 1).collect::<Vec<bool>>()))
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
