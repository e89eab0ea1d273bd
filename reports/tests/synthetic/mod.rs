//! Made-up results that look like a study's, written as analysis writes them: the tables by their definitions, the curves made
//! of them, and the summary.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use cograd_results::summary::{Condition, Grouping, Options, Run, Statistic, Study as StudyName, Summary};
use cograd_results::{CurveName, Kind, ResultsWriter, Scope, Table, table};
use serde_json::{Map, Value, json};

mod gradients;

pub const KEPT_WORLDS: u64 = 3;
const EXAMPLES: u64 = 400;

pub struct Study {
    /// One object a condition: whatever conditions the runs have.
    pub conditions: Vec<Value>,
    pub seeds: Vec<u64>,
    /// Updates made.
    pub steps: i64,
    /// Steps recorded without a gap from 0.
    pub contiguous: i64,
    /// Every how manieth share is missing; 0 for none.
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
    /// Whether the coherence of gradients was analysed, and of which layers.
    pub coherence: bool,
    pub layers: Vec<String>,
}

/// Conditions of plain SGD at these noise levels.
pub fn noise(levels: &[f64]) -> Vec<Value> {
    levels.iter().map(|noise| json!({ "noise": noise, "rule": "sgd" })).collect()
}

/// Conditions of every one of some rules at these noise levels; `winsorized-2` is a rule and a level.
pub fn rules(rules: &[&str], levels: &[f64]) -> Vec<Value> {
    let condition = |noise: f64, rule: &str| match rule.strip_prefix("winsorized-") {
        Some(level) => {
            json!({ "noise": noise, "rule": "winsorized", "winsorization": level.parse::<f64>().unwrap() })
        }
        None => json!({ "noise": noise, "rule": rule }),
    };
    levels.iter().flat_map(|&noise| rules.iter().map(move |rule| condition(noise, rule))).collect()
}

impl Default for Study {
    fn default() -> Study {
        Study {
            conditions: noise(&[0.0, 0.25, 0.5, 0.75, 1.0]),
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
            layers: vec!["hidden".into(), "head".into()],
        }
    }
}

impl Study {
    /// Everything that can be recorded and analysed of three noise levels.
    pub fn whole() -> Study {
        let conditions = noise(&[0.25, 0.5, 0.75]);
        Study { conditions, contiguous: 20, population: true, coherence: true, ..Study::default() }
    }

    /// The paper's grid of Figure 4.
    pub fn winsorized() -> Study {
        let names = ["sgd", "winsorized-1", "winsorized-2", "winsorized-4", "winsorized-8"];
        let conditions = rules(&names, &[0.0, 0.25, 0.5, 0.75, 1.0]);
        Study { conditions, steps: 60_000, contiguous: 0, ..Study::default() }
    }

    /// Conditions that have nothing to do with label noise.
    pub fn without_noise() -> Study {
        let conditions = vec![json!({ "optimizer": "adamw" }), json!({ "optimizer": "sgd" })];
        let groups = vec!["rare", "common", "missing"];
        Study { conditions, grouping: "frequency", groups, ..Study::whole() }
    }
}

/// The results of a study before they are written, to be changed by a test.
pub struct Built {
    pub summary: Summary,
    /// By table: rows by column, without those of the scope, each with the place of its run or condition.
    pub tables: BTreeMap<&'static str, Vec<(usize, Value)>>,
    /// Tables that nothing is defined of.
    pub others: Vec<(&'static str, RecordBatch)>,
    /// The conditions, in the order of `over_seeds`.
    pub conditions: Vec<BTreeMap<String, Value>>,
}

/// Writes every results file of a study into a directory.
pub fn write(directory: &Path, study: &Study) {
    build(study).write(directory);
}

pub fn build(study: &Study) -> Built {
    let conditions: Vec<BTreeMap<String, Value>> =
        study.conditions.iter().map(|of| serde_json::from_value(of.clone()).unwrap()).collect();
    let mut built =
        Built { summary: summary(study, &conditions), tables: BTreeMap::new(), others: Vec::new(), conditions };
    for run in 0..built.summary.runs.len() {
        add_run(&mut built, study, run);
    }
    add_matched(&mut built, study);
    add_predictions(&mut built);
    built
}

impl Built {
    /// Adds a row to a table, of a run, or of a condition where the table is of those.
    pub fn add(&mut self, table: &'static str, of: usize, row: Value) {
        self.tables.entry(table).or_default().push((of, row));
    }

    pub fn write(mut self, directory: &Path) {
        self.add_curves();
        let mut writer = ResultsWriter::create(directory).unwrap();
        for (name, rows) in &self.tables {
            writer.append(name, &self.batch(table(name).unwrap(), rows)).unwrap();
        }
        for (name, rows) in &self.others {
            writer.append(name, rows).unwrap();
        }
        self.summary.files = writer.complete().unwrap();
        writer.publish(&self.summary).unwrap();
    }

    fn batch(&self, table: &Table, rows: &[(usize, Value)]) -> RecordBatch {
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        let of_run = |of: usize| &self.summary.runs[of];
        if table.scope == Scope::Run {
            columns.push(("run".into(), array(Kind::Text, rows.iter().map(|(of, _)| json!(of_run(*of).run)))));
        }
        for Condition { name, kind, .. } in self.summary.conditions.iter().filter(|_| table.scope != Scope::Study) {
            let value = |of: usize| match table.scope {
                Scope::Run => of_run(of).conditions.get(name),
                _ => self.conditions[of].get(name),
            };
            columns
                .push((name.clone(), array(*kind, rows.iter().map(|(of, _)| value(*of).cloned().unwrap_or_default()))));
        }
        if table.scope == Scope::Run {
            columns.push(("seed".into(), array(Kind::Count, rows.iter().map(|(of, _)| json!(of_run(*of).seed)))));
        }
        for column in table.columns {
            columns
                .push((column.name.into(), array(column.kind, rows.iter().map(|(_, row)| row[column.name].clone()))));
        }
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    /// `curves` and `over_seeds`, from the tables that have curves.
    fn add_curves(&mut self) {
        let mut curves = Vec::new();
        for (name, rows) in &self.tables {
            for curve in table(name).unwrap().curves {
                for (run, row) in rows.iter().filter(|(_, row)| row["world"].as_u64().unwrap_or(0) == 0) {
                    let named = match curve.name {
                        CurveName::Fixed(name) => name.to_owned(),
                        CurveName::Column(column) => row[column].as_str().unwrap().to_owned(),
                        CurveName::Joined(a, b) => {
                            format!("{}_{}", row[a].as_str().unwrap(), row[b].as_str().unwrap())
                        }
                    };
                    let of = |column: Option<&str>| column.map_or(Value::Null, |column| row[column].clone());
                    let interval = curve.interval.unwrap_or(["", ""]).map(|column| of(Some(column)));
                    let groups = curve.groups.map(of).map(|group| if group == "all" { Value::Null } else { group });
                    let row = json!({ "curve": named, "estimator": row["estimator"], "layer": row["layer"],
                        "group_a": groups[0], "group_b": groups[1], "step": row["step"], "value": row[curve.value],
                        "lower": interval[0], "upper": interval[1] });
                    curves.push((*run, row));
                }
            }
        }
        // Rows of a run stand together.
        curves.sort_by_key(|(run, _)| *run);
        let mut means: BTreeMap<(usize, String, i64), (Value, Vec<f64>)> = BTreeMap::new();
        for (run, row) in &curves {
            let condition = self.conditions.iter().position(|of| *of == self.summary.runs[*run].conditions).unwrap();
            let key =
                ["curve", "estimator", "layer", "group_a", "group_b"].map(|column| row[column].to_string()).join(" ");
            let mean = means.entry((condition, key, row["step"].as_i64().unwrap()));
            mean.or_insert((row.clone(), Vec::new())).1.extend(row["value"].as_f64());
        }
        for ((condition, ..), (mut row, values)) in means {
            let number = values.len() as f64;
            let mean = values.iter().sum::<f64>() / number;
            let spread = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (number - 1.0).max(1.0);
            // Student's t with two degrees of freedom.
            let half = (number > 1.0).then_some(4.3 * (spread / number).sqrt());
            row["seeds"] = json!(values.len());
            row["mean"] = json!((number > 0.0).then_some(mean));
            row["lower"] = json!(half.map(|half| mean - half));
            row["upper"] = json!(half.map(|half| mean + half));
            self.add("over_seeds", condition, row);
        }
        if !curves.is_empty() {
            self.tables.insert("curves", curves);
        }
    }
}

fn array(kind: Kind, values: impl Iterator<Item = Value>) -> ArrayRef {
    match kind {
        Kind::Text => Arc::new(values.map(|value| value.as_str().map(str::to_owned)).collect::<StringArray>()),
        Kind::Integer => Arc::new(values.map(|value| value.as_i64()).collect::<Int64Array>()),
        Kind::Count => Arc::new(values.map(|value| value.as_u64()).collect::<UInt64Array>()),
        // JSON has no infinity.
        Kind::Number => Arc::new(
            values
                .map(|value| value.as_f64().or((value == "infinite").then_some(f64::INFINITY)))
                .collect::<Float64Array>(),
        ),
        Kind::Boolean => Arc::new(values.map(|value| value.as_bool()).collect::<BooleanArray>()),
    }
}

fn summary(study: &Study, conditions: &[BTreeMap<String, Value>]) -> Summary {
    let mut names: Vec<&String> = conditions.iter().flat_map(BTreeMap::keys).collect();
    names.sort();
    names.dedup();
    let condition = |name: &&String| {
        let values: Vec<Option<&Value>> = conditions.iter().map(|of| of.get(*name)).collect();
        let known = || values.iter().flatten();
        let kind = match () {
            () if known().all(|value| value.is_boolean()) => Kind::Boolean,
            () if known().all(|value| value.is_i64()) => Kind::Integer,
            () if known().all(|value| value.is_number()) => Kind::Number,
            () => Kind::Text,
        };
        Condition { name: (*name).clone(), kind, varies: values.iter().any(|value| *value != values[0]) }
    };
    let name = |of: &BTreeMap<String, Value>, seed: u64| {
        let texts = of.iter().map(|(name, value)| match value.as_str() {
            Some(text) => text.to_owned(),
            None => format!("{name}-{value}"),
        });
        texts.chain([format!("seed-{seed}")]).collect::<Vec<_>>().join("_")
    };
    let run =
        |of: &BTreeMap<String, Value>, seed: u64| Run { run: name(of, seed), conditions: of.clone(), seed: Some(seed) };
    let statistic = |name: &str, about: &str, unit: &str| Statistic {
        name: name.into(),
        about: about.into(),
        unit: unit.into(),
        tables: vec!["coherence".into()],
    };
    Summary {
        cograd: "0.1.0".into(),
        study: StudyName { name: "demo <&>".into(), experiment_sha256: Some("cd34".repeat(16)) },
        options: Options {
            group_by: None,
            steps: None,
            layers: None,
            examples: None,
            statistics: None,
            halves: 200,
            null_worlds: 1000,
            kept_worlds: KEPT_WORLDS as usize,
            seed: 0,
        },
        conditions: names.iter().map(condition).collect(),
        runs: conditions.iter().flat_map(|of| study.seeds.iter().map(move |&seed| run(of, seed))).collect(),
        grouping: Grouping {
            by: study.grouping.into(),
            groups: study.groups.iter().map(|&group| group.into()).collect(),
        },
        statistics: vec![
            statistic("m_coherence", "how many examples, on average, pull the way of one", ""),
            statistic("noise_scale", "the batch size at which noise is as large as the gradient", "examples"),
            statistic("stiffness", "mean sign and mean cosine of two examples' gradients", ""),
            statistic("class_stiffness", "the same, by pair of classes", ""),
        ],
        compared: Vec::new(),
        files: BTreeMap::new(),
        seal: String::new(),
    }
}

/// What the made-up numbers of a run depend on.
pub struct Key {
    pub run: usize,
    pub noise: f64,
    seed: u64,
    /// How strongly weak directions are suppressed, in percent of winsorization.
    suppression: f64,
}

impl Key {
    fn new(built: &Built, run: usize) -> Key {
        let Run { conditions, seed, .. } = &built.summary.runs[run];
        let number = |name: &str| conditions.get(name).and_then(Value::as_f64);
        let plain = conditions.get("rule").is_none_or(|rule| rule == "sgd");
        let suppression = number("winsorization").unwrap_or(if plain { 0.0 } else { 1.5 });
        Key { run, noise: number("noise").unwrap_or(0.3), seed: seed.unwrap_or(0), suppression }
    }

    /// The part of the examples that is pristine.
    pub fn pristine(&self) -> f64 {
        1.0 - 0.9 * self.noise
    }
}

fn add_run(built: &mut Built, study: &Study, run: usize) {
    let key = Key::new(built, run);
    let mut random = Noise(key.seed * 1000 + (key.noise * 100.0) as u64 + 1 + (10.0 * key.suppression) as u64);
    add_learning(built, study, &key);
    add_facts(built, study, &key);
    let sizes = gradients::sizes(study, &key);
    for (order, (group, size)) in study.groups.iter().zip(&sizes).enumerate() {
        let sampled = if study.gradients { (EXAMPLES as f64 * size).round() as u64 } else { 0 };
        let row =
            json!({ "group": group, "order": order, "examples": (1500.0 * size).round() as u64, "sampled": sampled });
        built.add("groups", run, row);
    }
    if study.gradients {
        gradients::add(built, study, &key, &mut random);
    }
}

fn add_learning(built: &mut Built, study: &Study, key: &Key) {
    let (run, suppression, pristine) = (key.run, key.suppression, key.pristine());
    let slow = 30.0 * (1.0 + 4.0 * key.noise) * (1.0 + 0.4 * suppression) * (0.8 + 0.2 * key.seed as f64);
    for step in evaluated_steps(study) {
        let fit = |half: f64| step as f64 / (step as f64 + half);
        // Suppressed gradients learn less of the corrupt labels, and end a little below the top.
        let memory = (-0.8 * suppression).exp();
        let easy = 0.1 + 0.9 * fit(slow) * (1.0 - 0.01 * suppression * fit(1e4));
        let hard = 0.05 + 0.95 * fit(60.0 * slow) * memory;
        let train = pristine * easy + (1.0 - pristine) * hard;
        let forgotten = 0.6 * key.noise * fit(40.0 * slow) * memory + 0.3 * key.noise * key.noise;
        let test = study.test_set.then_some(0.1 + 0.87 * fit(slow) * (1.0 - forgotten));
        let loss = 2.32 * (1.0 - train).max(0.001);
        let mut metric = |split: &str, group: &str, metric: &str, value: Option<f64>| {
            let row = json!({ "step": step, "split": split, "group": group, "metric": metric, "value": value });
            built.add("metrics", run, row);
        };
        metric("train", "all", "loss", Some(loss));
        metric("train", "all", "accuracy", Some(train));
        if let Some(test) = test {
            metric("test", "all", "loss", Some(3.0 - 2.0 * test));
            metric("test", "all", "accuracy", Some(test));
        }
        let of_group = |order: usize| if order == 0 { easy } else { hard * (1.0 - 0.05 * order as f64) };
        for (order, group) in study.groups.iter().enumerate() {
            metric("train", group, "accuracy", Some(of_group(order)));
        }
        let learned = |group: &str, fraction: f64| json!({ "step": step, "group": group, "fraction": fraction });
        built.add("learned", run, learned("all", train));
        for (order, group) in study.groups.iter().enumerate() {
            built.add("learned", run, learned(group, of_group(order)));
        }
        let overfit = test.map(|test| train - key.noise / 10.0 - (1.0 - key.noise) * test);
        // ε is not known of runs without it.
        let overfit = overfit.filter(|_| built.summary.runs[run].conditions.contains_key("noise"));
        built.add(
            "overfit",
            run,
            json!({ "step": step, "train_accuracy": train, "test_accuracy": test, "overfit": overfit }),
        );
    }
}

fn add_facts(built: &mut Built, study: &Study, key: &Key) {
    let of_test = |value: f64| study.test_set.then_some(value);
    let known = built.summary.runs[key.run].conditions.contains_key("noise");
    let recorded = if study.gradients { recorded_steps(study.steps).len() } else { 0 };
    let row = json!({
        "updates": study.steps, "train_examples": 1500, "sampled_examples": EXAMPLES, "coordinates": 600,
        "recorded_steps": recorded, "contiguous_steps": study.contiguous, "trace_bytes": 123_456_789,
        "population_steps": study.population.then_some(71), "manifest_sha256": "ab12".repeat(16),
        "writer": "cograd-recorder 0.1.0", "loss_name": "cross-entropy", "network_name": "64–512–10",
        "final_train_loss": 0.0123, "final_train_accuracy": 0.9876, "final_test_loss": of_test(1.2345),
        "final_test_accuracy": of_test(0.8765), "max_train_accuracy": 0.9911,
        "final_overfit": of_test(0.3456 - 0.01 * key.suppression).filter(|_| known),
        "overfit_slope": of_test(0.004_321).filter(|_| known),
        "proper_accuracy": known.then_some(key.pristine()),
    });
    built.add("runs", key.run, row);
}

/// Where a noise level has several conditions.
fn add_matched(built: &mut Built, study: &Study) {
    let noise = |of: &BTreeMap<String, Value>| of.get("noise").cloned();
    let rows: Vec<usize> = (0..built.conditions.len())
        .filter(|&place| {
            let same = |of: &&BTreeMap<String, Value>| noise(of) == noise(&built.conditions[place]);
            built.conditions.iter().filter(same).count() > 1
        })
        .collect();
    for place in rows {
        let c = built.conditions[place].get("winsorization").and_then(Value::as_f64).unwrap_or(0.0);
        let row = json!({ "train_accuracy": 0.5432, "step": 1234.5, "test_accuracy": study.test_set.then_some(0.8 + 0.01 * c),
            "overfit": study.test_set.then_some(0.0765) });
        built.add("matched", place, row);
    }
}

/// None where no run has label noise.
fn add_predictions(built: &mut Built) {
    if !built.conditions.iter().any(|of| of.contains_key("noise")) {
        return;
    }
    let rows = [
        json!({ "prediction": "slower_learning", "verdict": "holds" }),
        json!({ "prediction": "slower_learning", "noise": 0.25, "quantity": "half_loss_step", "measured": 90.0 }),
        json!({ "prediction": "slower_learning", "noise": 0.5, "quantity": "half_loss_step", "measured": 1410.0,
            "compared_with": 90.0, "verdict": "holds" }),
        json!({ "prediction": "slower_learning", "noise": 1.0, "quantity": "half_loss_step", "measured": "infinite",
            "compared_with": 1410.0, "verdict": "holds" }),
        json!({ "prediction": "crosses_over", "verdict": "fails" }),
        json!({ "prediction": "crosses_over", "noise": 0.25, "quantity": "first_share", "measured": 0.93,
            "compared_with": 0.775, "verdict": "holds" }),
        json!({ "prediction": "crosses_over", "noise": 0.25, "quantity": "crossover", "measured": 0.3125,
            "compared_with": 0.0, "p": 1.0 / 1001.0, "verdict": "holds" }),
        json!({ "prediction": "crosses_over", "noise": 0.5, "quantity": "first_share", "measured": 0.6,
            "compared_with": 0.55, "verdict": "holds" }),
        json!({ "prediction": "crosses_over", "noise": 0.5, "quantity": "crossover", "measured": -0.25,
            "compared_with": 0.0, "p": 0.2, "verdict": "fails" }),
        json!({ "prediction": "less_overfit", "verdict": "not checkable", "reason": "runs differ in optimizer, too" }),
    ];
    rows.into_iter().for_each(|row| built.add("predictions", 0, row));
}

/// As many as a recorder's default schedule gives, or all of a short run.
fn evaluated_steps(study: &Study) -> Vec<i64> {
    let mut steps: Vec<i64> = recorded_steps(study.steps).into_iter().step_by(2).chain([study.steps]).collect();
    steps.dedup();
    steps
}

/// Every step up to 20, then 20 per decade.
pub fn recorded_steps(steps: i64) -> Vec<i64> {
    let sparse = (0..).map(|index| (20.0 * 10f64.powf(f64::from(index) / 20.0)).round() as i64);
    let mut recorded: Vec<i64> = (0..20).chain(sparse.take_while(|&step| step < steps)).chain([steps]).collect();
    recorded.retain(|&step| step <= steps);
    recorded.dedup();
    recorded
}

/// A small generator of repeatable noise.
pub struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (TAU * self.uniform()).cos()
    }
}

/// Writes a comparison of two studies, as `cograd compare` does: three curves at these conditions, three seeds each.
pub fn write_comparison(directory: &Path, conditions: Vec<Value>) {
    let study = Study { conditions, ..Study::default() };
    let mut built = build(&study);
    built.tables.clear();
    for condition in 0..built.conditions.len() {
        for (curve, layer, group) in [
            ("test_accuracy", None, None),
            ("m_coherence", None, None),
            ("m_coherence", Some("head"), None),
            ("share", None, Some("corrupt")),
        ] {
            let estimator = (curve != "test_accuracy").then_some("paper");
            let name = json!({ "curve": curve, "estimator": estimator, "layer": layer, "group_a": group });
            let row = |values: Value| {
                let mut row: Map<String, Value> = name.as_object().unwrap().clone();
                row.extend(values.as_object().unwrap().clone());
                Value::Object(row)
            };
            for (place, study) in ["first", "second <b>"].into_iter().enumerate() {
                for step in [0, 1, 10, 100] {
                    let mean = 0.2 + 0.001 * step as f64 + 0.1 * place as f64;
                    let values = json!({ "study": study, "step": step, "seeds": 3, "mean": mean,
                        "lower": mean - 0.02, "upper": mean + 0.02 });
                    built.add("comparison", condition, row(values));
                }
            }
            for (step, p, p_holm) in [(None, 0.0012, None), (Some(0), 0.2, Some(0.2)), (Some(100), 0.001, Some(0.004))]
            {
                let values = json!({ "study_a": "first", "study_b": "second <b>", "seeds_a": 3, "seeds_b": 3, "step": step,
                    "difference": -0.1, "lower": -0.15, "upper": -0.05, "t": -4.0, "freedom": 3.5, "p": p, "p_holm": p_holm });
                built.add("comparison_tests", condition, row(values));
            }
        }
    }
    built.write(directory);
}
