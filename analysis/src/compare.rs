//! Studies beside each other: any curve of several studies, and tests of their differences.
//!
//! Conditions are matched by noise level and rule; where every study has a single rule at a noise level, by noise level alone.
//! At every step that two studies have in common, and over the mean of those steps, Welch's test compares the seeds of one
//! with those of the other; p over the steps of one curve with Holm's correction. Definitions: `docs/statistics.md` [S 9].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cograd_trace::{sha256_of_file, write_atomically};
use polars::prelude::*;
use serde::Serialize;

use crate::AnalysisError;
use crate::curve::{self, CurveName, CurvePoint, RunCurves};
use crate::over_seeds::{by_step, interval_columns, name_columns};
use crate::statistic::holm::holm;
use crate::statistic::student_t::{self, MeanInterval, Quantiles};
use crate::statistic::welch;

/// What is compared unless curves are named, of what the studies have.
const USUAL: [&str; 12] = [
    "train_accuracy",
    "test_accuracy",
    "train_loss",
    "test_loss",
    "overfit",
    "learned_pristine",
    "learned_corrupt",
    "alpha",
    "cumulative_difference",
    "gradient_norm_sq",
    "m_coherence",
    "stiffness_cosine",
];

/// Choices of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompareOptions {
    /// Names of the curves; empty for the usual ones, of all layers together.
    pub curves: Vec<String>,
    /// Estimators; empty for all. Curves without an estimator are always compared.
    pub estimators: Vec<String>,
}

/// What a comparison wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// `comparison.parquet`, `comparison-tests.parquet` and `comparison.json`, last.
    pub files: Vec<PathBuf>,
    /// The names of the studies, in the order given.
    pub studies: Vec<String>,
    /// The largest number of seeds that a condition has in two studies: without two, nothing could be tested.
    pub seeds: usize,
}

/// A study to compare.
struct Compared {
    name: String,
    summary_sha256: String,
    runs: Vec<RunCurves>,
}

/// The content of `comparison.json`.
#[derive(Serialize)]
struct Provenance<'a> {
    cograd: &'static str,
    studies: Vec<ComparedStudy<'a>>,
}

#[derive(Serialize)]
struct ComparedStudy<'a> {
    study: &'a str,
    /// Of its `summary.json`.
    summary_sha256: &'a str,
}

/// Compares the results of studies and writes tables of them to `out`, which is created where it does not exist.
///
/// A study is given by its directory, with results in `analysis`, or by a directory of results.
///
/// # Errors
/// Fewer than two studies; a study without results; a curve or estimator that no two of them have; tables that cannot be
/// read or written.
pub fn compare(studies: &[PathBuf], options: &CompareOptions, out: &Path) -> Result<Comparison, AnalysisError> {
    if studies.len() < 2 {
        return Err(AnalysisError::OneStudy);
    }
    let compared = open(studies)?;
    let curves = chosen(&compared, options)?;
    let conditions = conditions(&compared);
    let rows = rows(&conditions, &curves);
    let tests = tests(&conditions, &curves);

    fs::create_dir_all(out).map_err(crate::results::output("create the directory", out))?;
    let name = |index: usize| compared[index].name.as_str();
    let files = vec![
        write_table(&out.join("comparison.parquet"), comparison_frame(&rows, name))?,
        write_table(&out.join("comparison-tests.parquet"), tests_frame(&tests, name))?,
        write_provenance(&out.join("comparison.json"), &compared)?,
    ];
    let studies = compared.iter().map(|study| study.name.clone()).collect();
    Ok(Comparison { files, studies, seeds: seeds(&conditions) })
}

fn open(studies: &[PathBuf]) -> Result<Vec<Compared>, AnalysisError> {
    let mut opened = Vec::new();
    for study in studies {
        let results = results_of(study);
        let runs = curve::of_results(&results)?;
        let summary = results.join("summary.json");
        let summary_sha256 = sha256_of_file(&summary).map_err(AnalysisError::Summary)?;
        opened.push(Compared { name: study_name(&summary, study), summary_sha256, runs });
    }
    // Studies of one name are told apart by where they are.
    let names: Vec<String> = opened.iter().map(|study| study.name.clone()).collect();
    for ((study, path), name) in opened.iter_mut().zip(studies).zip(&names) {
        if names.iter().filter(|other| *other == name).count() > 1 {
            study.name = path.display().to_string();
        }
    }
    match (0..opened.len()).find(|&index| opened[..index].iter().any(|study| study.name == opened[index].name)) {
        Some(twice) => Err(AnalysisError::StudyTwice { path: studies[twice].clone() }),
        None => Ok(opened),
    }
}

/// The results of a study, or the directory itself if it is one of results.
fn results_of(study: &Path) -> PathBuf {
    let inside = study.join("analysis");
    let is_results = |directory: &Path| directory.join("summary.json").is_file();
    if is_results(study) && !is_results(&inside) { study.to_path_buf() } else { inside }
}

fn study_name(summary: &Path, study: &Path) -> String {
    let text = fs::read(summary).ok();
    let summary = text.and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    let name = summary.and_then(|summary| Some(summary["study"]["name"].as_str()?.to_string()));
    name.unwrap_or_else(|| study.display().to_string())
}

/// The names of the curves to compare, of what at least two studies have.
fn chosen(studies: &[Compared], options: &CompareOptions) -> Result<Vec<CurveName>, AnalysisError> {
    let common = in_common(studies);
    check_known("curve", &options.curves, common.iter().map(|name| Some(&name.curve)))?;
    check_known("estimator", &options.estimators, common.iter().map(|name| name.estimator.as_ref()))?;
    let usual = options.curves.is_empty();
    let curves: Vec<&str> = if usual { USUAL.to_vec() } else { options.curves.iter().map(String::as_str).collect() };
    let wanted = |name: &&CurveName| {
        let estimated = |estimator: &String| options.estimators.is_empty() || options.estimators.contains(estimator);
        name.estimator.as_ref().is_none_or(estimated) && !(usual && (name.layer.is_some() || name.group_a.is_some()))
    };
    let place = |name: &&CurveName| curves.iter().position(|curve| name.curve == *curve);
    let mut chosen: Vec<&CurveName> = common.into_iter().filter(wanted).filter(|name| place(name).is_some()).collect();
    chosen.sort_by_key(place);
    if chosen.is_empty() { Err(AnalysisError::NothingInCommon) } else { Ok(chosen.into_iter().cloned().collect()) }
}

/// In order of their names.
fn in_common(studies: &[Compared]) -> Vec<&CurveName> {
    let mut studies_with: BTreeMap<&CurveName, usize> = BTreeMap::new();
    for study in studies {
        let names: BTreeSet<&CurveName> = study.runs.iter().flat_map(|run| run.curves.keys()).collect();
        names.into_iter().for_each(|name| *studies_with.entry(name).or_default() += 1);
    }
    studies_with.into_iter().filter(|(_, studies)| *studies > 1).map(|(name, _)| name).collect()
}

fn check_known<'a>(
    kind: &'static str,
    wanted: &[String],
    known: impl Iterator<Item = Option<&'a String>>,
) -> Result<(), AnalysisError> {
    let known: BTreeSet<&String> = known.flatten().collect();
    match wanted.iter().find(|name| !known.contains(name)) {
        Some(unknown) => Err(AnalysisError::unknown(kind, unknown, known.into_iter().cloned())),
        None => Ok(()),
    }
}

/// Runs of several studies that are the same but for the study and the seed.
struct Condition<'a> {
    noise: f64,
    /// The runs of each study that has the condition, by its index.
    studies: Vec<(usize, Vec<&'a RunCurves>)>,
}

/// By noise level, then by rule where a study has several there.
fn conditions(studies: &[Compared]) -> Vec<Condition<'_>> {
    let mut noise: Vec<f64> = studies.iter().flat_map(|study| &study.runs).map(|run| run.noise).collect();
    noise.sort_by(f64::total_cmp);
    noise.dedup();
    noise.into_iter().flat_map(|noise| at_noise(studies, noise)).collect()
}

fn at_noise(studies: &[Compared], noise: f64) -> Vec<Condition<'_>> {
    let runs = |study: usize| studies[study].runs.iter().filter(move |run| run.noise == noise);
    let rules = |study: usize| runs(study).map(|run| run.rule.as_str()).collect::<BTreeSet<&str>>();
    let by_rule = (0..studies.len()).any(|study| rules(study).len() > 1);
    let condition = |rule: Option<&str>| Condition {
        noise,
        studies: (0..studies.len())
            .map(|study| {
                (study, runs(study).filter(|run| rule.is_none_or(|rule| run.rule == rule)).collect::<Vec<_>>())
            })
            .filter(|(_, runs)| !runs.is_empty())
            .collect(),
    };
    if !by_rule {
        return vec![condition(None)];
    }
    let all: BTreeSet<&str> = (0..studies.len()).flat_map(rules).collect();
    all.into_iter().map(|rule| condition(Some(rule))).collect()
}

fn seeds(conditions: &[Condition]) -> usize {
    let second = |condition: &Condition| {
        let mut seeds: Vec<usize> = condition.studies.iter().map(|(_, runs)| runs.len()).collect();
        seeds.sort_unstable();
        seeds.len().checked_sub(2).map_or(0, |second| seeds[second])
    };
    conditions.iter().map(second).max().unwrap_or(0)
}

/// A row of `comparison.parquet`.
struct Row<'a> {
    name: &'a CurveName,
    rule: &'a str,
    noise: f64,
    study: usize,
    step: i64,
    interval: MeanInterval,
}

fn rows<'a>(conditions: &'a [Condition], curves: &'a [CurveName]) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for name in curves {
        for condition in conditions {
            for (study, runs) in &condition.studies {
                let quantiles = Quantiles::up_to(runs.len());
                let of_step = |(step, values): (i64, Vec<f64>)| Row {
                    name,
                    rule: &runs[0].rule,
                    noise: condition.noise,
                    study: *study,
                    step,
                    interval: quantiles.mean_interval(&values),
                };
                rows.extend(by_step(of_runs(runs, name)).into_iter().map(of_step));
            }
        }
    }
    rows
}

fn of_runs<'a>(runs: &'a [&RunCurves], name: &'a CurveName) -> impl Iterator<Item = &'a [CurvePoint]> {
    runs.iter().filter_map(|run| run.curves.get(name)).map(Vec::as_slice)
}

/// A number of a test, as a column.
type OfTest = fn(&welch::Welch) -> f64;

/// A row of `comparison-tests.parquet`: study a against study b, at a step or over the mean of the common steps.
struct TestRow<'a> {
    name: &'a CurveName,
    noise: f64,
    rules: [&'a str; 2],
    studies: [usize; 2],
    step: Option<i64>,
    seeds: [usize; 2],
    difference: f64,
    welch: Option<welch::Welch>,
    p_holm: Option<f64>,
}

fn tests<'a>(conditions: &'a [Condition], curves: &'a [CurveName]) -> Vec<TestRow<'a>> {
    let mut rows = Vec::new();
    for name in curves {
        for condition in conditions {
            for (index, a) in condition.studies.iter().enumerate() {
                for b in &condition.studies[index + 1..] {
                    rows.extend(test_pair(name, condition.noise, a, b));
                }
            }
        }
    }
    rows
}

type StudyRuns<'a> = (usize, Vec<&'a RunCurves>);

fn test_pair<'a>(name: &'a CurveName, noise: f64, a: &'a StudyRuns, b: &'a StudyRuns) -> Vec<TestRow<'a>> {
    let row = |step: Option<i64>, of_a: &[f64], of_b: &[f64]| {
        let difference = student_t::mean(of_a)? - student_t::mean(of_b)?;
        Some(TestRow {
            name,
            noise,
            rules: [&a.1[0].rule, &b.1[0].rule],
            studies: [a.0, b.0],
            step,
            seeds: [of_a.len(), of_b.len()],
            difference,
            welch: welch::test(of_a, of_b),
            p_holm: None,
        })
    };
    let (steps_a, steps_b) = (by_step(of_runs(&a.1, name)), by_step(of_runs(&b.1, name)));
    let common = steps_a.iter().filter_map(|(step, of_a)| Some((*step, of_a, steps_b.get(step)?)));
    let mut rows: Vec<TestRow> = common.filter_map(|(step, of_a, of_b)| row(Some(step), of_a, of_b)).collect();
    let p: Vec<Option<f64>> = rows.iter().map(|row| row.welch.map(|welch| welch.p)).collect();
    rows.iter_mut().zip(holm(&p)).for_each(|(row, adjusted)| row.p_holm = adjusted);

    let means = means_over_common_steps(&a.1, &b.1, name);
    means.and_then(|(of_a, of_b)| row(None, &of_a, &of_b)).into_iter().chain(rows).collect()
}

/// Of every run of both studies, the mean of a curve over the steps at which all of them have a value; `None` if there is no
/// such step.
fn means_over_common_steps(a: &[&RunCurves], b: &[&RunCurves], name: &CurveName) -> Option<(Vec<f64>, Vec<f64>)> {
    let defined = |run: &&RunCurves| -> BTreeMap<i64, f64> {
        let points = run.curves.get(name).into_iter().flatten();
        points.filter_map(|(step, value)| Some((*step, (*value)?))).collect()
    };
    let of_a: Vec<BTreeMap<i64, f64>> = a.iter().map(defined).collect();
    let of_b: Vec<BTreeMap<i64, f64>> = b.iter().map(defined).collect();
    let everywhere = |step: &&i64| of_a.iter().chain(&of_b).all(|run| run.contains_key(step));
    let steps: Vec<i64> = of_a.first()?.keys().filter(everywhere).copied().collect();
    let mean = |run: &BTreeMap<i64, f64>| student_t::mean(&steps.iter().map(|step| run[step]).collect::<Vec<f64>>());
    Some((of_a.iter().map(mean).collect::<Option<_>>()?, of_b.iter().map(mean).collect::<Option<_>>()?))
}

fn comparison_frame<'a>(rows: &[Row], name: impl Fn(usize) -> &'a str) -> PolarsResult<DataFrame> {
    let mut columns = name_columns(rows.iter().map(|row| row.name));
    columns.push(Column::new("rule".into(), rows.iter().map(|row| row.rule).collect::<Vec<&str>>()));
    columns.push(Column::new("noise".into(), rows.iter().map(|row| row.noise).collect::<Vec<f64>>()));
    columns.push(Column::new("step".into(), rows.iter().map(|row| row.step).collect::<Vec<i64>>()));
    columns.push(Column::new("study".into(), rows.iter().map(|row| name(row.study)).collect::<Vec<&str>>()));
    columns.push(Column::new("seeds".into(), rows.iter().map(|row| row.interval.number).collect::<Vec<u32>>()));
    columns.extend(interval_columns(rows.iter().map(|row| &row.interval)));
    DataFrame::new(rows.len(), columns)
}

fn tests_frame<'a>(rows: &[TestRow], name: impl Fn(usize) -> &'a str) -> PolarsResult<DataFrame> {
    let mut columns = name_columns(rows.iter().map(|row| row.name));
    columns.push(Column::new("noise".into(), rows.iter().map(|row| row.noise).collect::<Vec<f64>>()));
    columns.push(Column::new("step".into(), rows.iter().map(|row| row.step).collect::<Vec<Option<i64>>>()));
    for (side, label) in ["a", "b"].into_iter().enumerate() {
        let studies = rows.iter().map(|row| name(row.studies[side])).collect::<Vec<&str>>();
        columns.push(Column::new(format!("study_{label}").into(), studies));
        columns.push(Column::new(
            format!("rule_{label}").into(),
            rows.iter().map(|row| row.rules[side]).collect::<Vec<&str>>(),
        ));
        let seeds = rows.iter().map(|row| row.seeds[side] as u32).collect::<Vec<u32>>();
        columns.push(Column::new(format!("seeds_{label}").into(), seeds));
    }
    columns.push(Column::new("difference".into(), rows.iter().map(|row| row.difference).collect::<Vec<f64>>()));
    let numbers: [(&str, OfTest); 5] = [
        ("lower", |welch| welch.lower),
        ("upper", |welch| welch.upper),
        ("t", |welch| welch.t),
        ("freedom", |welch| welch.freedom),
        ("p", |welch| welch.p),
    ];
    for (column, value) in numbers {
        let values = rows.iter().map(|row| row.welch.as_ref().map(value)).collect::<Vec<Option<f64>>>();
        columns.push(Column::new(column.into(), values));
    }
    columns.push(Column::new("p_holm".into(), rows.iter().map(|row| row.p_holm).collect::<Vec<Option<f64>>>()));
    DataFrame::new(rows.len(), columns)
}

fn write_table(path: &Path, frame: PolarsResult<DataFrame>) -> Result<PathBuf, AnalysisError> {
    let encoded = frame.and_then(|mut frame| {
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Zstd(None)).finish(&mut frame)?;
        Ok(bytes)
    });
    let bytes = encoded.map_err(|source| AnalysisError::Table { path: path.to_path_buf(), source })?;
    write_atomically(path, &bytes).map_err(AnalysisError::Write)?;
    Ok(path.to_path_buf())
}

fn write_provenance(path: &Path, studies: &[Compared]) -> Result<PathBuf, AnalysisError> {
    let study = |study: &'_ Compared| (study.name.clone(), study.summary_sha256.clone());
    let named: Vec<(String, String)> = studies.iter().map(study).collect();
    let studies = named.iter().map(|(study, summary_sha256)| ComparedStudy { study, summary_sha256 }).collect();
    let provenance = Provenance { cograd: env!("CARGO_PKG_VERSION"), studies };
    let mut text =
        serde_json::to_vec_pretty(&provenance).map_err(|error| crate::results::output("write", path)(error.into()))?;
    text.push(b'\n');
    write_atomically(path, &text).map_err(AnalysisError::Write)?;
    Ok(path.to_path_buf())
}
