//! How often 95 % intervals cover what they are of, by simulation: 500 studies at each of four levels of signal.
//!
//!     cargo run --release -p cograd-analysis --example coverage -- DIRECTORY [STUDIES]
//!
//! A study is a population of 1 500 examples in two groups, a parameter of 150 values, and three steps. The gradient of an
//! example is a direction of its group, of the level's length, plus noise whose size differs from value to value. 100 examples are sampled and 50 values recorded. The
//! studies of a level are the runs of one study in DIRECTORY, analysed by `analyze` as any trace is.
//!
//! Estimates of the population are compared with the exact values of the same 1 500 examples and 150 values, statistics of the
//! sample with what they are of all examples that could have been drawn, at the recorded values.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use cograd_analysis::{GroupBy, NoObserver, Options, analyze};
use cograd_results::{Results, Rows};
use cograd_trace::{
    Conditions, Coordinate, ExampleColumn, Parameter, PopulationLayer, PopulationRows, RunDescription, RunWriter, Task,
    TraceError,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const LEVELS: [(&str, f64); 4] = [("none", 0.0), ("weak", 0.05), ("middle", 0.15), ("strong", 0.6)];
const POPULATION: usize = 1500;
const SAMPLED: usize = 100;
const VALUES: usize = 150;
const RECORDED: usize = 50;
const STEPS: i64 = 3;
/// Fresh examples that the expected stiffness is computed from.
const FRESH: usize = 1000;

/// What the statistics of the sample are of all examples, by statistic, at step 0.
type Truth = BTreeMap<&'static str, f64>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let directory = Path::new(arguments.first().ok_or("usage: coverage DIRECTORY [STUDIES]")?);
    let studies: u64 = arguments.get(1).map_or(Ok(500), |text| text.parse())?;
    println!("| signal | statistic | intervals | covered |\n| --- | --- | --- | --- |");
    for (level, strength) in LEVELS {
        let study = directory.join(level);
        let truths: Result<Vec<Truth>, TraceError> = (0..studies).map(|seed| write(&study, strength, seed)).collect();
        let options = Options {
            null_worlds: 1,
            kept_worlds: 0,
            group_by: Some(GroupBy::Column("group".into())),
            statistics: Some(STATISTICS.map(str::to_string).to_vec()),
            ..Options::default()
        };
        analyze(&study, None, &options, &NoObserver)?;
        let results = Results::open(&study.join("analysis"))?;
        for (statistic, (covered, intervals)) in coverage(&results, &truths?)? {
            let percent = 100.0 * covered as f64 / intervals.max(1) as f64;
            println!("| {level} | {statistic} | {intervals} | {percent:.1} % |");
        }
    }
    Ok(())
}

const STATISTICS: [&str; 7] = ["shares", "cumulative", "population", "m_coherence", "noise_scale", "gsnr", "stiffness"];

/// Directions and noise of a study.
struct World {
    /// By group.
    directions: [Vec<f64>; 2],
    noise: Vec<f64>,
}

impl World {
    fn new(strength: f64, generator: &mut ChaCha8Rng) -> World {
        let mut direction = |length: f64| (0..VALUES).map(|_| length * normal(generator)).collect::<Vec<f64>>();
        let (first, other) = (direction(strength), direction(0.5 * strength));
        let second = first.iter().zip(other).map(|(first, other)| 0.3 * first + other).collect();
        World { directions: [first, second], noise: (0..VALUES).map(|_| 0.5 + uniform(generator)).collect() }
    }

    fn gradient(&self, group: usize, generator: &mut ChaCha8Rng) -> Vec<f64> {
        let values = self.directions[group].iter().zip(&self.noise);
        values.map(|(direction, noise)| f64::from((direction + noise * normal(generator)) as f32)).collect()
    }

    /// Of groups that are equally likely, over the first values, which are recorded.
    fn truth(&self, generator: &mut ChaCha8Rng) -> Truth {
        let (mut signal, mut variance, mut ratios) = (0.0, 0.0, 0.0);
        for place in 0..RECORDED {
            let [a, b] = [0, 1].map(|group| self.directions[group][place]);
            let mean = (a + b) / 2.0;
            let spread = self.noise[place] * self.noise[place] + (a - b) * (a - b) / 4.0;
            signal += mean * mean;
            variance += spread;
            ratios += mean * mean / spread / RECORDED as f64;
        }
        let fresh: Vec<Vec<f64>> = (0..FRESH).map(|place| self.gradient(place % 2, generator)).collect();
        let dot = |a: &[f64], b: &[f64]| a[..RECORDED].iter().zip(&b[..RECORDED]).map(|(a, b)| a * b).sum::<f64>();
        let norms: Vec<f64> = fresh.iter().map(|row| dot(row, row).sqrt()).collect();
        let (mut signs, mut cosines, mut pairs) = (0.0, 0.0, 0.0);
        for (place, a) in fresh.iter().enumerate() {
            for (other, b) in fresh.iter().enumerate().skip(place + 1) {
                let inner = dot(a, b);
                signs += inner.signum();
                cosines += inner / (norms[place] * norms[other]);
                pairs += 1.0;
            }
        }
        let n = SAMPLED as f64;
        BTreeMap::from([
            ("m_coherence", 1.0 + (n - 1.0) * signal / (signal + variance)),
            ("noise_scale", variance / signal),
            ("gsnr", ratios),
            ("stiffness_sign", signs / pairs),
            ("stiffness_cosine", cosines / pairs),
        ])
    }
}

/// Writes one study as a run; what its statistics are of all examples.
fn write(study: &Path, strength: f64, seed: u64) -> Result<Truth, TraceError> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut writer = RunWriter::create(study, description(seed))?;
    let groups: Vec<usize> = (0..POPULATION).map(|_| usize::from(uniform(&mut generator) < 0.5)).collect();
    let mut truth = Truth::new();
    for step in 0..STEPS {
        let world = World::new(strength, &mut generator);
        if step == 0 {
            truth = world.truth(&mut generator);
        }
        // Sampled examples and recorded values are the first ones: all are drawn alike.
        let gradients: Vec<Vec<f64>> = groups.iter().map(|&group| world.gradient(group, &mut generator)).collect();
        let recorded = gradients[..SAMPLED].iter().flat_map(|row| &row[..RECORDED]).map(|&value| value as f32);
        writer.write_gradients(step, &recorded.collect::<Vec<f32>>())?;
        let total: Vec<f64> = (0..VALUES).map(|place| gradients.iter().map(|row| row[place]).sum()).collect();
        let with = |other: &dyn Fn(&[f64], usize) -> f64| -> Vec<f64> {
            gradients.iter().map(|row| (0..VALUES).map(|place| row[place] * other(row, place)).sum()).collect()
        };
        let (contributions, self_terms) = (with(&|_, place| total[place]), with(&|row, place| row[place]));
        let layers = [PopulationLayer { contributions: &contributions, self_terms: Some(&self_terms) }];
        let norms = [total.iter().map(|value| value * value).sum()];
        writer.write_population(step, &PopulationRows { layers: &layers, gradient_norms_sq: &norms })?;
    }
    let name = |&group: &usize| Some(["a", "b"][group].to_string());
    writer.finish(&[("group", ExampleColumn::Texts(groups.iter().map(name).collect()))], &[])?;
    Ok(truth)
}

fn description(seed: u64) -> RunDescription {
    RunDescription {
        run: format!("seed-{seed}"),
        conditions: Conditions::new(Some(seed)),
        task: Task::default(),
        steps: STEPS.unsigned_abs(),
        writer: "coverage".into(),
        train_examples: POPULATION,
        example_ids: (0..SAMPLED as u32).collect(),
        population_ids: None,
        parameters: vec![Parameter::new("weight", &[VALUES as u64], Some("linear"))],
        coordinates: (0..RECORDED as u64).map(|index| Coordinate { parameter: 0, index }).collect(),
    }
}

type Counts = BTreeMap<String, (usize, usize)>;

/// How many intervals there are at step 0 (of sums over steps, at the last), and how many cover, by statistic.
fn coverage(results: &Results, truths: &[Truth]) -> Result<Counts, Box<dyn Error>> {
    let mut counts = Counts::new();
    let coherence = results.rows("coherence")?.ok_or("no coherence")?;
    let exact_of = |rows: &Rows, value: &str, keys: &[&str]| -> BTreeMap<Vec<Option<String>>, f64> {
        let is_exact = |row: &usize| rows.text("estimator", *row) == Some("exact");
        let pair = |row: usize| Some((key(rows, keys, row), rows.number(value, row)?));
        (0..rows.len()).filter(is_exact).filter_map(pair).collect()
    };
    let exact = exact_of(&coherence, "value", &["statistic"]);
    for row in (0..coherence.len()).filter(|&row| coherence.integer("step", row) == Some(0)) {
        let is_whole = ["layer", "group_a"].iter().all(|column| coherence.text(column, row).is_none());
        let (Some(statistic), Some(estimator)) = (coherence.text("statistic", row), coherence.text("estimator", row))
        else {
            continue;
        };
        let seed = coherence.count("seed", row).unwrap_or(0) as usize;
        let truth = match estimator {
            "paper" => truths[seed].get(statistic).copied(),
            "population" => exact.get(&key(&coherence, &["statistic"], row)).copied(),
            _ => None,
        };
        if let (true, Some(truth)) = (is_whole, truth) {
            count(&mut counts, format!("{statistic}, {estimator}"), &coherence, row, truth);
        }
    }
    for (table, value, groups) in [
        ("shares", "share", vec!["group"]),
        ("cumulative", "cumulative", vec!["group"]),
        ("differences", "difference", vec!["group_a", "group_b"]),
    ] {
        let rows = results.rows(table)?.ok_or("a table is missing")?;
        let exact = exact_of(&rows, value, &groups);
        let is_estimate = |row: &usize| rows.text("estimator", *row) == Some("population");
        for row in (0..rows.len()).filter(is_estimate).filter(|&row| rows.integer("step", row) == Some(STEPS - 1)) {
            if let Some(&truth) = exact.get(&key(&rows, &groups, row)) {
                count(&mut counts, format!("{value}, population"), &rows, row, truth);
            }
        }
    }
    Ok(counts)
}

/// Run, step and the texts of these columns.
fn key(rows: &Rows, columns: &[&str], row: usize) -> Vec<Option<String>> {
    let texts = columns.iter().map(|column| rows.text(column, row).map(str::to_string));
    texts
        .chain([rows.text("run", row).map(str::to_string), rows.integer("step", row).map(|step| step.to_string())])
        .collect()
}

fn count(counts: &mut Counts, name: String, rows: &Rows, row: usize, truth: f64) {
    let Some(lower) = rows.number("lower", row) else { return };
    let upper = rows.number("upper", row).unwrap_or(f64::INFINITY);
    let (covered, intervals) = counts.entry(name).or_default();
    *intervals += 1;
    *covered += usize::from(lower <= truth && truth <= upper);
}

fn uniform(generator: &mut ChaCha8Rng) -> f64 {
    f64::from(generator.next_u32() >> 8) / 16_777_216.0
}

/// One normal number, by Box and Muller.
fn normal(generator: &mut ChaCha8Rng) -> f64 {
    (-2.0 * (1.0 - uniform(generator)).ln()).sqrt() * (std::f64::consts::TAU * uniform(generator)).cos()
}
