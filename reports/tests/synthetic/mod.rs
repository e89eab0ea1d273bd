//! Made-up results that look like a study's: the tables and the summary that analysis would write.

use std::f64::consts::TAU;
use std::fs::File;
use std::path::Path;

use polars::prelude::{Column, DataFrame, ParquetCompression, ParquetWriter};
use serde_json::{Value, json};

mod later;

use later::Later;

const EXAMPLES: u32 = 400;
const KEPT_WORLDS: u32 = 3;

pub struct Study {
    pub rules: Vec<&'static str>,
    pub noise: Vec<f64>,
    pub seeds: Vec<u64>,
    /// Updates made.
    pub steps: i64,
    /// Steps recorded without a gap from 0.
    pub contiguous: i64,
    /// Every how manieth α is missing; 0 for none.
    pub missing: usize,
    /// Whether the test set was evaluated.
    pub test_set: bool,
    /// Whether gradients were recorded.
    pub gradients: bool,
    /// Whether contributions of the whole population were.
    pub population: bool,
    /// What examples are grouped by, and the groups.
    pub grouping: &'static str,
    pub groups: Vec<&'static str>,
    /// Whether the coherence of gradients was analysed.
    pub coherence: bool,
}

impl Default for Study {
    fn default() -> Study {
        Study {
            rules: vec!["sgd"],
            noise: vec![0.0, 0.25, 0.5, 0.75, 1.0],
            seeds: vec![1],
            steps: 6000,
            contiguous: 100,
            missing: 0,
            test_set: true,
            gradients: true,
            population: false,
            grouping: "pristine",
            groups: vec!["pristine", "corrupt"],
            coherence: false,
        }
    }
}

impl Study {
    /// Everything that can be recorded and analysed of three noise levels.
    pub fn whole() -> Study {
        Study { noise: vec![0.25, 0.5, 0.75], contiguous: 20, population: true, coherence: true, ..Study::default() }
    }

    /// The paper's grid of Figure 4.
    pub fn winsorized() -> Study {
        let rules = vec!["sgd", "winsorized-1", "winsorized-2", "winsorized-4", "winsorized-8"];
        Study { rules, steps: 60_000, contiguous: 0, ..Study::default() }
    }
}

type Number = Option<f64>;
type CurveRow = (Key, i64, &'static str, &'static str, Number, Number);
/// Estimator, step, world, α and its interval.
type DecompositionRow = (Key, &'static str, i64, u32, Number, [Number; 2]);
/// Estimator, step, world, i^p, i^c, and the interval of D.
type CumulativeRow = (Key, &'static str, i64, u32, [Number; 2], [Number; 2]);

/// The tables of one study, row by row.
#[derive(Default)]
struct Tables {
    curves: Vec<CurveRow>,
    learned: Vec<(Key, i64, &'static str, Number)>,
    overfit: Vec<(Key, i64, [Number; 3])>,
    decomposition: Vec<DecompositionRow>,
    cumulative: Vec<CumulativeRow>,
    null: Vec<(Key, &'static str, &'static str, i64, [Number; 3])>,
    tests: Vec<(Key, &'static str, &'static str, Number, Option<u32>)>,
    later: Later,
}

#[derive(Clone)]
pub struct Key {
    run: String,
    rule: &'static str,
    noise: f64,
    seed: u64,
}

/// Writes every results file of a study into a directory.
pub fn write(directory: &Path, study: &Study) {
    let mut tables = Tables::default();
    let mut runs = Vec::new();
    for &rule in &study.rules {
        for &noise in &study.noise {
            for &seed in &study.seeds {
                let key = Key { run: format!("{rule}_noise-{noise}_seed-{seed}"), rule, noise, seed };
                runs.push(add_run(&mut tables, study, &key));
            }
        }
    }
    tables.write(directory);
    let summary = summary(study, runs, matched(study));
    std::fs::write(directory.join("summary.json"), serde_json::to_string_pretty(&summary).unwrap()).unwrap();
}

fn add_run(tables: &mut Tables, study: &Study, key: &Key) -> Value {
    let mut noise = Noise(key.seed * 1000 + (key.noise * 100.0) as u64 + 1);
    let pristine = pristine_share(key.noise);
    let both = key.noise > 0.0;
    let recorded = if study.gradients { recorded_steps(study.steps) } else { vec![] };
    add_learning(tables, study, key, pristine);
    for (index, &step) in recorded.iter().enumerate() {
        let age = (1.0 + step as f64).ln() / (1.0 + study.steps as f64).ln();
        let sd = 0.02 + 0.10 * age * age;
        for world in 0..=KEPT_WORLDS {
            let drift = if world == 0 { 0.35 * (0.55 - age) * pristine * (1.0 - pristine) * 4.0 } else { 0.0 };
            let alpha = pristine + drift + sd * noise.normal();
            let alpha = if index == 40 && study.missing == 0 { alpha * 9.0 } else { alpha };
            let missing = study.missing > 0 && index % study.missing == 0;
            let alpha = (both && !missing).then_some(alpha);
            tables.decomposition.push((key.clone(), "paper", step, world, alpha, [None; 2]));
        }
        let bounds = [pristine, pristine - 3.1 * sd, pristine + 3.1 * sd].map(|value| both.then_some(value));
        tables.null.push((key.clone(), "paper", "alpha", step, bounds));
    }
    if study.population {
        later::add_population(tables, study, key, pristine, &recorded, &mut noise);
    }
    if study.gradients {
        later::add_groups(tables, study, key, &recorded, &mut noise);
    }
    if study.coherence {
        later::add_coherence(tables, study, key, &recorded, &mut noise);
    }
    add_contributions(tables, study, key, pristine, &mut noise);
    add_tests(tables, key, "paper", both);
    run_summary(study, key, &recorded, pristine)
}

fn add_learning(tables: &mut Tables, study: &Study, key: &Key, pristine: f64) {
    let suppression = suppression(key.rule);
    let slow = 30.0 * (1.0 + 4.0 * key.noise) * (1.0 + 0.4 * suppression) * (0.8 + 0.2 * key.seed as f64);
    for step in evaluated_steps(study) {
        let fit = |half: f64| step as f64 / (step as f64 + half);
        // Suppressed gradients learn less of the corrupt labels, and end a little below the top.
        let memory = (-0.8 * suppression).exp();
        let (easy, hard) =
            (0.1 + 0.9 * fit(slow) * (1.0 - 0.01 * suppression * fit(1e4)), 0.05 + 0.95 * fit(60.0 * slow) * memory);
        let train = pristine * easy + (1.0 - pristine) * hard;
        let test =
            0.1 + 0.87 * fit(slow) * (1.0 - 0.6 * key.noise * fit(40.0 * slow) * memory - 0.3 * key.noise * key.noise);
        let loss = 2.32 * (1.0 - train).max(0.001);
        let test = study.test_set.then_some(test);
        tables.curves.push((key.clone(), step, "train", "all", Some(loss), Some(train)));
        if let Some(test) = test {
            tables.curves.push((key.clone(), step, "test", "all", Some(3.0 - 2.0 * test), Some(test)));
        }
        tables.curves.push((key.clone(), step, "train", "pristine", Some(loss), Some(easy)));
        tables.learned.push((key.clone(), step, "all", Some(train)));
        tables.learned.push((key.clone(), step, "pristine", Some(easy)));
        tables.learned.push((key.clone(), step, "corrupt", (key.noise > 0.0).then_some(hard)));
        let overfit = test.map(|test| train - key.noise / 10.0 - (1.0 - key.noise) * test);
        tables.overfit.push((key.clone(), step, [Some(train), test, overfit]));
    }
}

/// How strongly a rule suppresses weak directions, in percent of winsorization.
fn suppression(rule: &str) -> f64 {
    match winsorization(rule) {
        Some(percent) => percent,
        None if rule.starts_with("median") => 1.5,
        None => 0.5,
    }
}

fn winsorization(rule: &str) -> Option<f64> {
    if rule == "sgd" { Some(0.0) } else { rule.strip_prefix("winsorized-")?.parse().ok() }
}

/// As many as a recorder's default schedule gives, or all of a short run.
fn evaluated_steps(study: &Study) -> Vec<i64> {
    let mut steps: Vec<i64> = recorded_steps(study.steps).into_iter().step_by(2).chain([study.steps]).collect();
    steps.dedup();
    steps
}

fn add_contributions(tables: &mut Tables, study: &Study, key: &Key, pristine: f64, noise: &mut Noise) {
    let both = key.noise > 0.0;
    let scale = 0.004 * (1.0 - 0.8 * key.noise);
    for world in 0..=KEPT_WORLDS {
        let effect = if world == 0 { 0.5 * scale } else { 0.08 * scale * noise.normal() };
        let (mut mean_pristine, mut mean_corrupt) = (0.0, 0.0);
        for step in 0..study.contiguous.min(study.steps) {
            mean_pristine += scale + effect * (1.0 - pristine) + 0.03 * scale * noise.normal();
            mean_corrupt += scale - effect * pristine + 0.03 * scale * noise.normal();
            let means = [Some(mean_pristine), both.then_some(mean_corrupt)];
            tables.cumulative.push((key.clone(), "paper", step, world, means, [None; 2]));
            if world == 0 {
                let sd = 0.08 * scale * (1.0 + step as f64);
                let bounds = [0.0, -2.9 * sd, 2.9 * sd].map(|value| both.then_some(value));
                tables.null.push((key.clone(), "paper", "difference", step, bounds));
            }
        }
    }
}

fn add_tests(tables: &mut Tables, key: &Key, estimator: &'static str, both: bool) {
    let exceedances = if key.noise < 0.6 { 0 } else { (key.noise * 37.0) as u32 };
    let statistics = [("alpha", 9.25), ("difference", 7.5), ("crossover", 0.3125), ("difference_10", 0.0123)];
    for (statistic, observed) in statistics {
        tables.tests.push((key.clone(), estimator, statistic, both.then_some(observed), both.then_some(exceedances)));
    }
}

fn pristine_share(noise: f64) -> f64 {
    1.0 - 0.9 * noise
}

/// Every step up to 20, then 40 per decade.
fn recorded_steps(steps: i64) -> Vec<i64> {
    let sparse = (0..).map(|index| (20.0 * 10f64.powf(index as f64 / 40.0)).round() as i64);
    let mut recorded: Vec<i64> = (0..20).chain(sparse.take_while(|&step| step < steps)).chain([steps]).collect();
    recorded.retain(|&step| step <= steps);
    recorded.dedup();
    recorded
}

fn run_summary(study: &Study, key: &Key, recorded: &[i64], pristine: f64) -> Value {
    let both = key.noise > 0.0;
    let test = json!({ "value": both.then_some(0.3125), "p": both.then_some(0.001) });
    json!({
        "run": key.run, "rule": key.rule, "winsorization": winsorization(key.rule), "noise": key.noise, "seed": key.seed, "network": [64, 512, 10],
        "steps": study.steps, "train_examples": 1500, "pristine_fraction": pristine, "sampled_examples": EXAMPLES,
        "sampled_pristine": (f64::from(EXAMPLES) * pristine).round() as u32, "coordinates": 600,
        "recorded_steps": recorded.len(), "trace_bytes": 123_456_789, "manifest_sha256": "ab12".repeat(16),
        "writer": "cograd-recorder 0.1.0", "alpha_first": both.then_some(0.9317), "alpha_last": both.then_some(0.4142),
        "crossover": test, "difference_10": test, "simultaneous": { "alpha": test, "difference": test },
        "final": { "train_loss": 0.0123, "train_accuracy": 0.9876, "test_loss": 1.2345, "test_accuracy": 0.8765 },
        "contiguous_steps": study.contiguous, "max_train_accuracy": 0.9911,
        "overfit": {
            "final": study.test_set.then_some(0.3456 - 0.01 * suppression(key.rule)),
            "slope": study.test_set.then_some(0.004_321),
        },
        "population": study.population.then(|| json!({
            "steps": 71, "contiguous_steps": study.contiguous, "alpha_first": 0.8123, "alpha_last": 0.5234,
            "crossover": test, "difference_10": test, "simultaneous": { "alpha": test, "difference": test },
            "coverage": { "alpha": { "covered": 67, "of": 71 }, "difference": { "covered": 17, "of": 20 } },
        })),
    })
}

fn matched(study: &Study) -> Vec<Value> {
    let row = |noise: f64, rule: &str| {
        json!({ "noise": noise, "train_accuracy": 0.5432, "rule": rule, "step": 1234.5,
            "test_accuracy": study.test_set.then_some(0.8 + 0.01 * suppression(rule)),
            "overfit": study.test_set.then_some(0.0765) })
    };
    let rules = if study.rules.len() > 1 { &study.rules[..] } else { &[] };
    study.noise.iter().flat_map(|&noise| rules.iter().map(move |rule| row(noise, rule))).collect()
}

fn summary(study: &Study, runs: Vec<Value>, matched: Vec<Value>) -> Value {
    let prediction = |section: &str, prediction: &str, measured: &str, verdict: &str| {
        json!({ "section": section, "prediction": prediction, "measured_as": "the number this prediction is measured as",
            "measured": measured, "verdict": verdict })
    };
    json!({
        "cograd": "0.1.0", "study": { "name": "demo <&>", "experiment_sha256": "cd34".repeat(16) }, "seed": 0,
        "null_worlds": 1000, "runs": runs, "matched": matched,
        "options": { "group_by": study.grouping, "steps": null, "layers": null, "examples": null, "bootstrap": 200 },
        "files": { "coherence.parquet": { "rows": 1, "bytes": 1, "sha256": "" } },
        "predictions": [
            prediction("2.2", "More noise, slower learning", "Steps to 90 %: 90, 210, 480, 890, 1 410", "holds"),
            prediction("2.4", "α starts above its null and crosses over", "noise 0.25: 0.31, p ≤ 0.001", "holds"),
            prediction("2.3", "Gradient norm smaller with more noise, early", "0.021, 0.022, 0.011 nats a step", "fails"),
            prediction("2.4", "Pristine contribute more early on", "No run has both groups", "not checkable"),
        ],
    })
}

impl Tables {
    fn write(&self, directory: &Path) {
        write_table(
            directory,
            "curves",
            &self.curves,
            |row| &row.0,
            |rows| {
                vec![
                    Column::new("step".into(), rows.iter().map(|row| row.1).collect::<Vec<_>>()),
                    Column::new("split".into(), rows.iter().map(|row| row.2).collect::<Vec<_>>()),
                    Column::new("subset".into(), rows.iter().map(|row| row.3).collect::<Vec<_>>()),
                    Column::new("loss".into(), rows.iter().map(|row| row.4).collect::<Vec<_>>()),
                    Column::new("accuracy".into(), rows.iter().map(|row| row.5).collect::<Vec<_>>()),
                ]
            },
        );
        write_table(
            directory,
            "learned",
            &self.learned,
            |row| &row.0,
            |rows| {
                vec![
                    Column::new("step".into(), rows.iter().map(|row| row.1).collect::<Vec<_>>()),
                    Column::new("subset".into(), rows.iter().map(|row| row.2).collect::<Vec<_>>()),
                    Column::new("fraction".into(), rows.iter().map(|row| row.3).collect::<Vec<_>>()),
                ]
            },
        );
        write_table(
            directory,
            "overfit",
            &self.overfit,
            |row| &row.0,
            |rows| {
                let value = |of: usize| rows.iter().map(|row| row.2[of]).collect::<Vec<_>>();
                vec![
                    Column::new("step".into(), rows.iter().map(|row| row.1).collect::<Vec<_>>()),
                    Column::new("train_accuracy".into(), value(0)),
                    Column::new("test_accuracy".into(), value(1)),
                    Column::new("overfit".into(), value(2)),
                ]
            },
        );
        write_table(
            directory,
            "decomposition",
            &self.decomposition,
            |row| &row.0,
            |rows| {
                vec![
                    Column::new("estimator".into(), rows.iter().map(|row| row.1).collect::<Vec<_>>()),
                    Column::new("step".into(), rows.iter().map(|row| row.2).collect::<Vec<_>>()),
                    Column::new("world".into(), rows.iter().map(|row| row.3).collect::<Vec<_>>()),
                    Column::new("alpha".into(), rows.iter().map(|row| row.4).collect::<Vec<_>>()),
                    Column::new(
                        "beta".into(),
                        rows.iter().map(|row| row.4.map(|alpha| 1.0 - alpha)).collect::<Vec<_>>(),
                    ),
                    Column::new("alpha_lower".into(), rows.iter().map(|row| row.5[0]).collect::<Vec<_>>()),
                    Column::new("alpha_upper".into(), rows.iter().map(|row| row.5[1]).collect::<Vec<_>>()),
                ]
            },
        );
        self.write_tests(directory);
        self.later.write(directory);
        later::write_over_seeds(self, directory);
    }

    fn write_tests(&self, directory: &Path) {
        write_table(
            directory,
            "cumulative",
            &self.cumulative,
            |row| &row.0,
            |rows| {
                let difference = rows.iter().map(|row| Some(row.4[0]? - row.4[1]?)).collect::<Vec<_>>();
                vec![
                    Column::new("estimator".into(), rows.iter().map(|row| row.1).collect::<Vec<_>>()),
                    Column::new("step".into(), rows.iter().map(|row| row.2).collect::<Vec<_>>()),
                    Column::new("world".into(), rows.iter().map(|row| row.3).collect::<Vec<_>>()),
                    Column::new("pristine".into(), rows.iter().map(|row| row.4[0]).collect::<Vec<_>>()),
                    Column::new("corrupt".into(), rows.iter().map(|row| row.4[1]).collect::<Vec<_>>()),
                    Column::new("difference".into(), difference),
                    Column::new("difference_lower".into(), rows.iter().map(|row| row.5[0]).collect::<Vec<_>>()),
                    Column::new("difference_upper".into(), rows.iter().map(|row| row.5[1]).collect::<Vec<_>>()),
                ]
            },
        );
        write_table(
            directory,
            "null",
            &self.null,
            |row| &row.0,
            |rows| {
                vec![
                    Column::new("estimator".into(), rows.iter().map(|row| row.1).collect::<Vec<_>>()),
                    Column::new("statistic".into(), rows.iter().map(|row| row.2).collect::<Vec<_>>()),
                    Column::new("step".into(), rows.iter().map(|row| row.3).collect::<Vec<_>>()),
                    Column::new("mean".into(), rows.iter().map(|row| row.4[0]).collect::<Vec<_>>()),
                    Column::new("lower".into(), rows.iter().map(|row| row.4[1]).collect::<Vec<_>>()),
                    Column::new("upper".into(), rows.iter().map(|row| row.4[2]).collect::<Vec<_>>()),
                ]
            },
        );
        write_table(
            directory,
            "tests",
            &self.tests,
            |row| &row.0,
            |rows| {
                let p = |row: &(Key, &str, &str, Number, Option<u32>)| row.4.map(|count| f64::from(1 + count) / 1001.0);
                vec![
                    Column::new("estimator".into(), rows.iter().map(|row| row.1).collect::<Vec<_>>()),
                    Column::new("statistic".into(), rows.iter().map(|row| row.2).collect::<Vec<_>>()),
                    Column::new("observed".into(), rows.iter().map(|row| row.3).collect::<Vec<_>>()),
                    Column::new("worlds".into(), vec![1000_u32; rows.len()]),
                    Column::new("exceedances".into(), rows.iter().map(|row| row.4).collect::<Vec<_>>()),
                    Column::new("p".into(), rows.iter().map(p).collect::<Vec<_>>()),
                    Column::new("p_lower".into(), rows.iter().map(|row| p(row).map(|p| 0.7 * p)).collect::<Vec<_>>()),
                    Column::new("p_upper".into(), rows.iter().map(|row| p(row).map(|p| 1.4 * p)).collect::<Vec<_>>()),
                ]
            },
        );
    }
}

fn write_table<Row>(
    directory: &Path,
    name: &str,
    rows: &[Row],
    key: impl Fn(&Row) -> &Key,
    columns: impl Fn(&[Row]) -> Vec<Column>,
) {
    let mut all = vec![
        Column::new("run".into(), rows.iter().map(|row| key(row).run.clone()).collect::<Vec<_>>()),
        Column::new("rule".into(), rows.iter().map(|row| key(row).rule).collect::<Vec<_>>()),
        Column::new("noise".into(), rows.iter().map(|row| key(row).noise).collect::<Vec<_>>()),
        Column::new("seed".into(), rows.iter().map(|row| key(row).seed as i64).collect::<Vec<_>>()),
    ];
    all.extend(columns(rows));
    write_frame(&directory.join(format!("{name}.parquet")), DataFrame::new(rows.len(), all).unwrap());
}

/// Writes a table as analysis does.
pub fn write_frame(path: &Path, mut frame: DataFrame) {
    let file = File::create(path).unwrap();
    ParquetWriter::new(file).with_compression(ParquetCompression::Zstd(None)).finish(&mut frame).unwrap();
}

/// A small generator of repeatable noise.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (TAU * self.uniform()).cos()
    }
}
