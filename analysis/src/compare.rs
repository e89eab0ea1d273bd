//! Studies beside each other: any curve of several studies, and tests of their differences.
//!
//! Conditions are matched by `noise`, where every study has it, and by whatever else varies within a study. At every step that
//! two studies have in common, and over the mean of those steps, Welch's test compares the seeds of one with those of the
//! other; p over the steps of one curve with Holm's correction. Definitions: `docs/statistics.md` [S 9].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cograd_results::summary::{self, Summary};
use cograd_results::{EARLIER_NAMES, Kind, Results, ResultsWriter, results_in, tables};
use polars::prelude::*;

use crate::expression::{holm, welch};
use crate::kernel::zero;
use crate::table::curves::NAME;
use crate::table::mean_intervals;
use crate::{AnalysisError, frame};

/// What is compared unless curves are named, of what the studies have: of all layers together, and of groups only where groups
/// are named.
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
    /// `comparison.parquet`, `comparison_tests.parquet` and `summary.json`, last.
    pub files: Vec<PathBuf>,
    /// The names of the studies, in the order given.
    pub studies: Vec<String>,
    /// The largest number of seeds that a condition has in two studies: without two, nothing could be tested.
    pub seeds: usize,
}

/// A study to compare.
struct Study {
    name: String,
    /// Of its results.
    summary_sha256: String,
    summary: Summary,
    curves: DataFrame,
}

/// Compares the results of studies, each a study's directory or a directory of results, and writes tables to `out`, which is new
/// or empty: see [`OutputDirectory`](cograd_files::OutputDirectory).
///
/// # Errors
/// Fewer than two studies, one without results, one twice, an unknown curve or estimator, nothing in common, or results that
/// cannot be read or written.
pub fn compare(studies: &[PathBuf], options: &CompareOptions, out: &Path) -> Result<Comparison, AnalysisError> {
    if studies.len() < 2 {
        return Err(AnalysisError::OneStudy);
    }
    let opened = open(studies)?;
    let keys = keys(&opened);
    let curves = chosen(&opened, &keys, options)?;
    let comparison = over_seeds(&curves, &keys).map_err(AnalysisError::frame)?;
    let tests = tests(&curves, &keys, opened.len()).map_err(AnalysisError::frame)?;
    let seeds = seeds(&curves, &keys).map_err(AnalysisError::frame)?;

    let mut writer = ResultsWriter::create(out)?;
    for (table, rows) in [(&tables::COMPARISON, &comparison), (&tables::COMPARISON_TESTS, &tests)] {
        writer.append(table.name, &frame::batch(rows, &keys, table).map_err(AnalysisError::frame)?)?;
    }
    let files = writer.complete()?;
    let files = writer.publish(&summary_of(&opened, &keys, files))?;
    Ok(Comparison { files, studies: opened.into_iter().map(|study| study.name).collect(), seeds })
}

fn open(studies: &[PathBuf]) -> Result<Vec<Study>, AnalysisError> {
    let (mut opened, mut directories) = (Vec::new(), Vec::new());
    for study in studies {
        let directory = results_in(study);
        if let Some(twice) = directories.iter().position(|known| *known == real(&directory)) {
            return Err(AnalysisError::StudyTwice { path: studies[twice].clone() });
        }
        directories.push(real(&directory));
        opened.push(Results::read_whole(&directory, |results| -> Result<Study, AnalysisError> {
            let curves = frame::read(results, "curves")?.unwrap_or_default();
            let (summary, summary_sha256) = (results.summary().clone(), results.summary_sha256().to_string());
            Ok(Study { name: summary.study.name.clone(), summary_sha256, summary, curves })
        })?);
    }
    // Studies of one name are told apart by where they are.
    let names: Vec<String> = opened.iter().map(|study| study.name.clone()).collect();
    for ((study, path), name) in opened.iter_mut().zip(studies).zip(&names) {
        if names.iter().filter(|other| *other == name).count() > 1 {
            study.name = path.display().to_string();
        }
    }
    Ok(opened)
}

/// The directory itself, however it is named.
fn real(directory: &Path) -> PathBuf {
    directory.canonicalize().unwrap_or_else(|_| directory.to_path_buf())
}

/// The conditions that runs are matched by, by name; of a type that holds the values of every study.
fn keys(studies: &[Study]) -> Vec<(String, Kind)> {
    let of = |study: &Study, name: &str| study.summary.conditions.iter().find(|known| known.name == name).cloned();
    let names: BTreeSet<&String> =
        studies.iter().flat_map(|study| study.summary.conditions.iter().map(|condition| &condition.name)).collect();
    let matters = |name: &&&String| {
        let varies = studies.iter().any(|study| of(study, name).is_some_and(|condition| condition.varies));
        varies || (name.as_str() == "noise" && studies.iter().all(|study| of(study, name).is_some()))
    };
    let kind = |name: &String| {
        let kinds: Vec<Kind> = studies.iter().filter_map(|study| of(study, name)).map(|known| known.kind).collect();
        match kinds.as_slice() {
            [first, rest @ ..] if rest.iter().all(|kind| kind == first) => *first,
            kinds if kinds.iter().all(|kind| matches!(kind, Kind::Integer | Kind::Number)) => Kind::Number,
            _ => Kind::Text,
        }
    };
    names.iter().filter(matters).map(|name| (name.to_string(), kind(name))).collect()
}

/// The rows of the curves to compare, of what at least two studies have: the keys, the name, `run`, `step`, `value`, `study` and its
/// place, `place` of the curve among those asked for.
fn chosen(studies: &[Study], keys: &[(String, Kind)], options: &CompareOptions) -> Result<DataFrame, AnalysisError> {
    let usual = options.curves.is_empty();
    let asked: Vec<&str> = if usual { USUAL.to_vec() } else { options.curves.iter().map(String::as_str).collect() };
    let mut frames = Vec::new();
    for (study, place) in studies.iter().zip(0_u64..) {
        let value = |(name, kind): &(String, Kind)| match study.curves.column(name) {
            Ok(_) => col(name.as_str()).cast(frame::data_type(*kind)),
            Err(_) => frame::null(*kind).alias(name.as_str()),
        };
        let columns = keys.iter().map(value).chain(NAME.map(col)).chain(["run", "step", "value"].map(col));
        let own = [lit(study.name.as_str()).alias("study"), frame::count(place).alias("_study_place")];
        frames.push(study.curves.clone().lazy().select(columns.chain(own).collect::<Vec<_>>()));
    }
    let all = || -> PolarsResult<LazyFrame> {
        let in_several = col("_study_place").n_unique().over(NAME.map(col))?.gt(lit(1));
        Ok(frame::stacked(frames)?.filter(in_several))
    };
    let all = all().map_err(AnalysisError::frame)?.collect().map_err(AnalysisError::frame)?;
    let known = |column: &str| -> Result<BTreeSet<String>, AnalysisError> {
        let texts = all.column(column).and_then(|column| Ok(column.str()?.clone())).map_err(AnalysisError::frame)?;
        Ok(texts.iter().flatten().map(str::to_string).collect())
    };
    let earlier = |name: &str| EARLIER_NAMES.iter().find(|(earlier, ..)| *earlier == name);
    check_known("curve", &options.curves, &known("curve")?, |name| earlier(name).is_some())?;
    check_known("estimator", &options.estimators, &known("estimator")?, |_| false)?;
    let estimated = |estimator: &String| col("estimator").eq(lit(estimator.as_str()));
    let estimators = match options.estimators.iter().map(estimated).reduce(|any, one| any.or(one)) {
        Some(wanted) => col("estimator").is_null().or(wanted.fill_null(lit(false))),
        None => lit(true),
    };
    let rows_of = |(name, place): (&&str, u64)| {
        let is = match (earlier(name), name.strip_prefix("learned_")) {
            (Some((_, curve, groups)), _) => of_groups(curve, *groups),
            (None, Some(group)) => of_groups("learned", [Some(group), None]),
            (None, None) if usual => of_groups(name, [None, None]).and(col("layer").is_null()),
            (None, None) => col("curve").eq(lit(*name)),
        };
        all.clone().lazy().filter(is.and(estimators.clone())).with_column(frame::count(place).alias("_place"))
    };
    let rows = frame::stacked(asked.iter().zip(0..).map(rows_of).collect()).and_then(LazyFrame::collect);
    let rows = rows.map_err(AnalysisError::frame)?;
    if rows.height() == 0 { Err(AnalysisError::NothingInCommon) } else { Ok(rows) }
}

fn of_groups(curve: &str, groups: [Option<&str>; 2]) -> Expr {
    let is = |name: &str, group: Option<&str>| match group {
        Some(group) => col(name).eq(lit(group.to_string())),
        None => col(name).is_null(),
    };
    col("curve").eq(lit(curve.to_string())).and(is("group_a", groups[0])).and(is("group_b", groups[1]))
}

fn check_known(
    kind: &'static str,
    wanted: &[String],
    known: &BTreeSet<String>,
    is_earlier: impl Fn(&str) -> bool,
) -> Result<(), AnalysisError> {
    let is_known = |name: &str| known.contains(name) || is_earlier(name) || name.starts_with("learned_");
    match wanted.iter().find(|name| !is_known(name)) {
        Some(unknown) => {
            let earlier = EARLIER_NAMES.iter().map(|(name, ..)| name.to_string()).filter(|_| kind == "curve");
            Err(AnalysisError::unknown(kind, unknown, known.iter().cloned().chain(earlier)))
        }
        None => Ok(()),
    }
}

/// The columns that tell a condition and curve apart.
fn columns(keys: &[(String, Kind)]) -> Vec<&str> {
    ["_place"].into_iter().chain(keys.iter().map(|(name, _)| name.as_str())).chain(NAME).collect()
}

fn as_expressions(names: &[&str]) -> Vec<Expr> {
    names.iter().map(|name| col(*name)).collect()
}

/// The rows of `comparison`.
fn over_seeds(curves: &DataFrame, keys: &[(String, Kind)]) -> PolarsResult<DataFrame> {
    let all = [columns(keys).as_slice(), &["_study_place", "study", "step"]].concat();
    let by_step = curves.clone().lazy().group_by_stable(as_expressions(&all)).agg([col("value").drop_nulls()]);
    mean_intervals(by_step, "value")?.sort(all, SortMultipleOptions::default()).collect()
}

/// The rows of `comparison_tests`: of every condition and curve and every two studies, the mean over their common steps, then
/// each step.
fn tests(curves: &DataFrame, keys: &[(String, Kind)], studies: usize) -> PolarsResult<DataFrame> {
    let mut rows = Vec::new();
    for a in 0..studies as u64 {
        for b in a + 1..studies as u64 {
            rows.extend([tested(means_over_steps(curves, keys, [a, b])?, keys, [a, b])?]);
            rows.extend([tested(curves.clone().lazy(), keys, [a, b])?]);
        }
    }
    let order = [columns(keys).as_slice(), &["_place_a", "_place_b", "step"]].concat();
    let all = frame::stacked(rows)?.sort(order, SortMultipleOptions::default());
    let tests = welch::with_tests(all)?.lazy();
    let of_curve = [columns(keys).as_slice(), &["_place_a", "_place_b"]].concat();
    holm::corrected(tests, &of_curve, col("step").is_not_null(), "p_holm")?.collect()
}

/// Mean, spread and seeds of two studies at every step that both have a value at.
fn tested(values: LazyFrame, keys: &[(String, Kind)], studies: [u64; 2]) -> PolarsResult<LazyFrame> {
    let on = [columns(keys).as_slice(), &["step"]].concat();
    let side = |study: u64, label: &str| -> PolarsResult<LazyFrame> {
        let of_study = values.clone().filter(col("_study_place").eq(lit(study)));
        let by_step =
            of_study.group_by_stable(as_expressions(&on)).agg([col("value").drop_nulls(), col("study").first()]);
        let named = ["study", "seeds"].map(|name| col(name).alias(format!("{name}_{label}")));
        let inner = [("mean", col("mean")), ("sd", col("sd")), ("place", frame::count(study))];
        let inner = inner.map(|(name, value)| value.alias(format!("_{name}_{label}")));
        let all = as_expressions(&on).into_iter().chain(named).chain(inner).collect::<Vec<_>>();
        Ok(mean_intervals(by_step, "value")?.filter(col("mean").is_not_null()).select(all))
    };
    let [a, b] = studies;
    let mut args = JoinArgs::new(JoinType::Inner);
    // A curve may have no layer and no groups, and the row of the mean over steps has no step.
    args.nulls_equal = true;
    args.maintain_order = MaintainOrderJoin::Left;
    let joined = side(a, "a")?.join(side(b, "b")?, as_expressions(&on), as_expressions(&on), args);
    let number = |name: &str| col(name.to_string()).cast(DataType::Float64);
    let seeds = when(number("seeds_a").gt(number("seeds_b"))).then(number("seeds_a")).otherwise(number("seeds_b"));
    let difference = col("_mean_a") - col("_mean_b");
    let rounding = lit(zero::ROUNDINGS * f64::EPSILON) * seeds * (col("_mean_a").abs() + col("_mean_b").abs());
    let difference = when(difference.clone().abs().gt(rounding)).then(difference).otherwise(lit(0.0));
    Ok(joined.with_column(frame::finite(difference).alias("difference")))
}

/// Of every run of both studies, the mean of a curve over the steps at which all of them have a value; without a step.
fn means_over_steps(curves: &DataFrame, keys: &[(String, Kind)], studies: [u64; 2]) -> PolarsResult<LazyFrame> {
    let of_curve = columns(keys);
    let [a, b] = studies;
    let both = col("_study_place").eq(lit(a)).or(col("_study_place").eq(lit(b)));
    // Two studies may call a run alike.
    let run = col("study") + lit("/") + col("run");
    let runs = col("_of_run").n_unique().over(as_expressions(&of_curve))?;
    let at_step = [of_curve.as_slice(), &["step"]].concat();
    let defined = col("value").count().over(as_expressions(&at_step))?;
    let of_run = [of_curve.as_slice(), &["_study_place", "study", "_of_run"]].concat();
    let mean = col("value").implode(true).alias("value");
    Ok(curves
        .clone()
        .lazy()
        .filter(both)
        .with_column(run.alias("_of_run"))
        .with_column(runs.alias("_runs"))
        .filter(defined.cast(DataType::UInt64).eq(col("_runs").cast(DataType::UInt64)))
        .sort(["step"], SortMultipleOptions::default().with_maintain_order(true))
        .group_by_stable(as_expressions(&of_run))
        .agg([mean])
        .with_columns([col("value").list().mean(), frame::null(Kind::Integer).alias("step")]))
}

/// The largest number of seeds that a condition has in two studies.
fn seeds(curves: &DataFrame, keys: &[(String, Kind)]) -> PolarsResult<usize> {
    let names: Vec<&str> = keys.iter().map(|(name, _)| name.as_str()).collect();
    let of_study = [names.as_slice(), &["_study_place"]].concat();
    let by_study = curves
        .clone()
        .lazy()
        .group_by_stable(as_expressions(&of_study))
        .agg([col("run").n_unique().cast(DataType::UInt64).alias("seeds")]);
    let largest = SortOptions::default().with_order_descending(true);
    let second = |frame: LazyFrame| frame.select([col("_second").max()]).collect();
    let of_conditions = match names.is_empty() {
        true => by_study.select([col("seeds").sort(largest).slice(lit(1), lit(1)).alias("_second")]),
        false => by_study.group_by_stable(as_expressions(&names)).agg([col("seeds")
            .sort(largest)
            .slice(lit(1), lit(1))
            .max()
            .alias("_second")]),
    };
    let most = second(of_conditions)?;
    Ok(most.column("_second")?.u64()?.get(0).unwrap_or(0) as usize)
}

fn summary_of(
    studies: &[Study],
    keys: &[(String, Kind)],
    files: std::collections::BTreeMap<String, cograd_files::FileEntry>,
) -> Summary {
    let names: Vec<&str> = studies.iter().map(|study| study.name.as_str()).collect();
    let condition =
        |(name, kind): &(String, Kind)| summary::Condition { name: name.clone(), kind: *kind, varies: true };
    let compared =
        |study: &Study| summary::Compared { study: study.name.clone(), summary_sha256: study.summary_sha256.clone() };
    let mut statistics: Vec<summary::Statistic> = Vec::new();
    for statistic in studies.iter().flat_map(|study| &study.summary.statistics) {
        if !statistics.iter().any(|known| known.name == statistic.name) {
            statistics.push(statistic.clone());
        }
    }
    Summary {
        cograd: env!("CARGO_PKG_VERSION").to_string(),
        study: summary::Study { name: names.join(", "), experiment_sha256: None },
        options: summary::Options::default(),
        conditions: keys.iter().map(condition).collect(),
        runs: Vec::new(),
        grouping: summary::Grouping::default(),
        statistics,
        compared: studies.iter().map(compared).collect(),
        files,
        seal: String::new(),
    }
}
