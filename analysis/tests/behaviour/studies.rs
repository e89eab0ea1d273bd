//! Whole studies: what is written, that it is the same every time, and what happens when something is wrong.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cograd_analysis::{AnalysisError, GroupBy, NoObserver, Observer, Options, Report, analyze};
use cograd_trace::{Manifest, Split, sha256_of_file};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use polars::prelude::DataType;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::*;

const OPTIONS: Options = Options {
    null_worlds: 199,
    seed: 3,
    kept_worlds: 2,
    bootstrap: 0,
    group_by: GroupBy::Pristine,
    steps: None,
    layers: None,
    examples: None,
};

/// Twenty sampled examples, of which nine are pristine, two more that are not sampled; steps 0…11, 20 and 40.
fn noisy() -> Synthetic {
    let pristine: Vec<bool> = (0..20).map(|i| i % 2 == 0 && i < 18).collect();
    let steps: Vec<i64> = (0..12).chain([20, 40]).collect();
    let mut run = Synthetic::new(&pristine, 30, &steps, 1);
    run.examples.extend([example(20, true, false, Some(40)), example(21, false, false, None)]);
    run.metrics = [0, 5, 10, 41]
        .iter()
        .flat_map(|&t| {
            [metric(t, Split::Train, 2.0 / (1.0 + t as f64)), metric(t, Split::Test, 2.0 / (1.0 + 0.5 * t as f64))]
        })
        .collect();
    run
}

fn clean() -> Synthetic {
    let run = Synthetic::new(&[true; 6], 30, &[0, 1, 2], 2);
    Synthetic { noise: 0.0, metrics: vec![metric(0, Split::Train, 2.0), metric(3, Split::Train, 0.5)], ..run }
}

fn study(runs: &[Synthetic]) -> TempDir {
    let study = TempDir::new().unwrap();
    fs::write(study.path().join("study.toml"), "name = \"a study\"\n").unwrap();
    runs.iter().for_each(|run| run.write(study.path()));
    study
}

fn analysed(study: &TempDir) -> PathBuf {
    analyze(study.path(), None, &OPTIONS, &NoObserver).unwrap().directory
}

fn bytes_of_all(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().into(), fs::read(&path).unwrap())).collect()
}

#[test]
fn every_table_has_its_documented_columns() {
    let study = study(&[clean(), noisy()]);
    let analysis = analysed(&study);
    let expected: [(&str, &str); 13] = [
        ("curves", "step i64 split str subset str examples u32 loss f64 accuracy f64"),
        ("learned", "step i64 subset str examples u32 learned u32 fraction f64"),
        ("overfit", "step i64 train_accuracy f64 test_accuracy f64 overfit f64 proper_accuracy f64"),
        ("contributions", "step i64 example_id u32 pristine bool contribution f64 self_term f64"),
        (
            "decomposition",
            "estimator str step i64 world u32 alpha f64 beta f64 gradient_norm_sq f64 alpha_lower f64 alpha_upper f64",
        ),
        (
            "cumulative",
            "estimator str step i64 world u32 pristine f64 corrupt f64 difference f64 \
             pristine_lower f64 pristine_upper f64 corrupt_lower f64 corrupt_upper f64 difference_lower f64 difference_upper f64",
        ),
        ("null", "estimator str statistic str step i64 mean f64 sd f64 lower f64 upper f64 p f64"),
        ("tests", "estimator str statistic str observed f64 worlds u32 exceedances u32 p f64 p_lower f64 p_upper f64"),
        ("groups", "group str order u32 examples u32 sampled u32"),
        ("shares", "estimator str step i64 world u32 group str share f64 cumulative f64"),
        (
            "group_tests",
            "estimator str statistic str group_a str group_b str \
             observed f64 worlds u32 exceedances u32 p f64 p_lower f64 p_upper f64 p_holm f64",
        ),
        ("cross_terms", "estimator str step i64 group_a str group_b str value f64 fraction f64"),
        (
            "coherence",
            "estimator str step i64 layer i64 statistic str group_a str group_b str value f64 lower f64 upper f64",
        ),
    ];
    for (name, columns) in expected {
        let table = read(&analysis, &format!("{name}.parquet"));
        let found: Vec<String> = table.columns().iter().map(|c| format!("{} {}", c.name(), short(c.dtype()))).collect();
        assert_eq!(found.join(" "), format!("run str rule str noise f64 seed i64 {columns}"), "{name}");
        assert!(table.height() > 0, "{name}");
    }
}

fn short(kind: &DataType) -> &'static str {
    match kind {
        DataType::String => "str",
        DataType::Float64 => "f64",
        DataType::Int64 => "i64",
        DataType::UInt32 => "u32",
        DataType::Boolean => "bool",
        _ => "unexpected",
    }
}

#[test]
fn the_tables_hold_what_plain_loops_over_the_raw_gradients_give() {
    let run = noisy();
    let study = study(std::slice::from_ref(&run));
    let analysis = analysed(&study);
    let flags = run.designation().flags().to_vec();
    let contributions = read(&analysis, "contributions.parquet");
    let decomposition = read(&analysis, "decomposition.parquet");
    for (index, (step, gradients)) in run.steps.iter().enumerate() {
        let (s, q) = (slow_contributions(gradients, 20), slow_self_terms(gradients, 20));
        for i in 0..20 {
            let row = index * 20 + i;
            assert_eq!(text(&contributions, "step", row), step.to_string());
            assert_eq!(text(&contributions, "example_id", row), i.to_string());
            assert_eq!(text(&contributions, "pristine", row), flags[i].to_string());
            assert_close(number(&contributions, "contribution", row).unwrap(), s[i], 1e-9);
            assert_close(number(&contributions, "self_term", row).unwrap(), q[i], 1e-9);
        }
        let of_actual = [("estimator", "paper"), ("world", "0"), ("step", &step.to_string())];
        let actual = rows(&decomposition, &of_actual)[0];
        assert_close(number(&decomposition, "alpha", actual).unwrap(), slow_alpha(gradients, &flags), 1e-9);
        assert_close(number(&decomposition, "gradient_norm_sq", actual).unwrap(), s.iter().sum(), 1e-9);
    }
    let cumulative = read(&analysis, "cumulative.parquet");
    let of_paper = rows(&cumulative, &[("estimator", "paper")]).len();
    assert_eq!(of_paper, 3 * 12, "three worlds of twelve contiguous steps");
    assert_eq!(cumulative.height() - of_paper, 12, "the population at twelve contiguous steps");
    let at_9 = rows(&cumulative, &[("world", "0"), ("step", "9")])[0];
    let difference = slow_difference(&run.steps[..10], &flags);
    assert_close(number(&cumulative, "difference", at_9).unwrap(), difference, 1e-9);
    let tests = read(&analysis, "tests.parquet");
    let difference_10 = rows(&tests, &[("statistic", "difference_10")])[0];
    assert_close(number(&tests, "observed", difference_10).unwrap(), difference, 1e-9);
    let null = read(&analysis, "null.parquet");
    let at_9 = rows(&null, &[("statistic", "difference"), ("step", "9")])[0];
    assert_eq!(number(&null, "p", at_9), number(&tests, "p", difference_10));
    assert_eq!(rows(&null, &[("statistic", "alpha")]).len(), 14);
    assert_eq!(rows(&null, &[("statistic", "difference")]).len(), 12);
}

#[test]
fn the_summary_holds_the_numbers_of_the_tables_and_where_they_come_from() {
    let study = study(&[noisy(), clean()]);
    let analysis = analysed(&study);
    let summary = summary(&analysis);
    assert_eq!(summary["study"]["name"], "a study");
    assert_eq!(summary["study"]["experiment_sha256"], sha256_of_file(&study.path().join("study.toml")).unwrap());
    assert_eq!((&summary["seed"], &summary["null_worlds"]), (&3.into(), &199.into()));
    assert_eq!(summary["runs"][0]["noise"], 0.0, "ordered by noise");
    let run = &summary["runs"][1];
    let directory = study.path().join("runs").join(noisy().id());
    assert_eq!(run["manifest_sha256"], sha256_of_file(&directory.join("manifest.json")).unwrap());
    assert_close(run["pristine_fraction"].as_f64().unwrap(), 10.0 / 22.0, 1e-15);
    assert_eq!((&run["sampled_examples"], &run["sampled_pristine"]), (&20.into(), &9.into()));
    assert_eq!((&run["recorded_steps"], &run["contiguous_steps"]), (&14.into(), &12.into()));
    assert_close(run["final"]["train_loss"].as_f64().unwrap(), 2.0 / 42.0, 1e-15);
    assert_close(run["final"]["test_loss"].as_f64().unwrap(), 2.0 / 21.5, 1e-15);
    let tests = read(&analysis, "tests.parquet");
    let crossover = rows(&tests, &[("run", &noisy().id()), ("statistic", "crossover")])[0];
    assert_close(run["crossover"]["value"].as_f64().unwrap(), number(&tests, "observed", crossover).unwrap(), 1e-15);
    assert_close(run["crossover"]["p_upper"].as_f64().unwrap(), number(&tests, "p_upper", crossover).unwrap(), 1e-15);
    assert_eq!(summary["predictions"].as_array().unwrap().len(), 10);
    let options = serde_json::json!({
        "group_by": "pristine", "steps": null, "layers": null, "examples": null,
        "bootstrap": 0, "null_worlds": 199, "seed": 3,
    });
    assert_eq!(summary["options"], options);
    for (name, table) in summary["files"].as_object().unwrap() {
        let path = analysis.join(name);
        assert_eq!(table["sha256"], sha256_of_file(&path).unwrap(), "{name}");
        assert_eq!(table["bytes"].as_u64(), Some(fs::metadata(&path).unwrap().len()), "{name}");
        assert_eq!(table["rows"].as_u64(), Some(read(&analysis, name).height() as u64), "{name}");
    }
    assert_eq!(summary["files"].as_object().unwrap().len(), bytes_of_all(&analysis).len() - 1, "all but the summary");
    assert!(run["population"].is_null() && run["population_left_out"].is_null());
    let bytes = fs::read(analysis.join("summary.json")).unwrap();
    assert_eq!(cograd_trace::check_seal(&bytes), Ok(()));
    let altered = String::from_utf8(bytes).unwrap().replacen("\"seed\": 3", "\"seed\": 4", 1);
    assert!(cograd_trace::check_seal(altered.as_bytes()).is_err());
}

#[test]
fn a_run_without_corrupt_examples_has_missing_statistics_and_no_error() {
    let study = study(&[clean()]);
    let analysis = analysed(&study);
    let decomposition = read(&analysis, "decomposition.parquet");
    assert_eq!(decomposition.column("alpha").unwrap().null_count(), decomposition.height());
    assert_eq!(decomposition.column("gradient_norm_sq").unwrap().null_count(), 0);
    let cumulative = read(&analysis, "cumulative.parquet");
    assert_eq!(cumulative.column("pristine").unwrap().null_count(), 0);
    assert_eq!(cumulative.column("corrupt").unwrap().null_count(), cumulative.height());
    for (table, columns) in [("null.parquet", ["mean", "sd", "p"]), ("tests.parquet", ["observed", "exceedances", "p"])]
    {
        let table = read(&analysis, table);
        columns.iter().for_each(|column| assert_eq!(table.column(column).unwrap().null_count(), table.height()));
    }
}

#[test]
fn no_table_ever_holds_a_number_that_is_none() {
    let mut zero_step = noisy();
    zero_step.steps[3].1.fill(0.0);
    zero_step.steps[13].1.fill(0.0);
    let alone = Synthetic { seed: 2, ..Synthetic::new(&[true], 4, &[0, 1], 3) };
    let no_steps = Synthetic { seed: 3, ..Synthetic::new(&[true, false], 4, &[7], 3) };
    let mut equal = Synthetic { seed: 4, ..Synthetic::new(&[true, false, true], 1, &[0, 1], 3) };
    equal.steps.iter_mut().for_each(|(_, gradients)| gradients.fill(0.1));
    let study = study(&[clean(), zero_step, alone, no_steps, equal]);
    let analysis = analysed(&study);
    for table in bytes_of_all(&analysis).keys().filter(|name| name.extension().is_some_and(|is| is == "parquet")) {
        let table = read(&analysis, table.to_str().unwrap());
        for column in table.columns().iter().filter(|column| column.dtype() == &DataType::Float64) {
            let finite = column.f64().unwrap().iter().flatten().all(f64::is_finite);
            assert!(finite, "{}", column.name());
        }
    }
    let decomposition = read(&analysis, "decomposition.parquet");
    let zero = rows(&decomposition, &[("run", &noisy().id()), ("world", "0"), ("step", "3")])[0];
    assert_eq!(
        (number(&decomposition, "alpha", zero), number(&decomposition, "gradient_norm_sq", zero)),
        (None, Some(0.0))
    );
    let runs = summary(&analysis);
    let of_seed = |seed: u64| {
        runs["runs"].as_array().unwrap().iter().find(|run| run["seed"] == seed && run["noise"] == 0.5).unwrap().clone()
    };
    assert!(of_seed(1)["crossover"]["p"].is_null(), "the last tenth is the last step, which has no α");
    assert!(of_seed(2)["alpha_first"].is_null());
    assert_eq!(
        (&of_seed(3)["contiguous_steps"], &of_seed(3)["simultaneous"]["difference"]["p"]),
        (&0.into(), &Value::Null)
    );
    assert!((of_seed(4)["alpha_first"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-15);
    assert!(of_seed(4)["simultaneous"]["alpha"]["p"].is_null(), "every world gives the same value");
}

#[test]
fn overfit_is_written_and_summarised_with_its_slope() {
    let study = study(&[noisy(), clean()]);
    let analysis = analysed(&study);
    let overfit = read(&analysis, "overfit.parquet");
    // Accuracies 1/(1 + loss), noise 0.5, thirty outputs; the clean run has no test set.
    let expected = |t: f64| {
        let (train, test) = (1.0 / (1.0 + 2.0 / (1.0 + t)), 1.0 / (1.0 + 2.0 / (1.0 + 0.5 * t)));
        train - (0.5 / 30.0 + 0.5 * test)
    };
    let rows_of_run = rows(&overfit, &[("run", &noisy().id())]);
    let steps = [0.0, 5.0, 10.0, 41.0];
    for (&row, step) in rows_of_run.iter().zip(steps) {
        assert_eq!(text(&overfit, "step", row), step.to_string());
        assert_close(number(&overfit, "overfit", row).unwrap(), expected(step), 1e-12);
        assert_close(number(&overfit, "proper_accuracy", row).unwrap(), 10.0 / 22.0, 1e-15);
    }
    assert_eq!((rows_of_run.len(), rows(&overfit, &[("run", &clean().id())]).len()), (4, 2));
    let summary = summary(&analysis);
    let (clean, noisy) = (&summary["runs"][0], &summary["runs"][1]);
    assert_close(noisy["overfit"]["final"].as_f64().unwrap(), expected(41.0), 1e-12);
    let mean_step = steps.iter().sum::<f64>() / 4.0;
    let (top, bottom): (f64, f64) = (
        steps.iter().map(|step| (step - mean_step) * expected(*step)).sum(),
        steps.iter().map(|step| (step - mean_step).powi(2)).sum(),
    );
    assert_close(noisy["overfit"]["slope"].as_f64().unwrap(), 1000.0 * top / bottom, 1e-9);
    assert_close(noisy["max_train_accuracy"].as_f64().unwrap(), 1.0 / (1.0 + 2.0 / 42.0), 1e-15);
    assert_eq!((noisy["winsorization"].as_f64(), &summary["matched"]), (Some(0.0), &serde_json::json!([])));
    assert!(clean["overfit"]["final"].is_null() && clean["overfit"]["slope"].is_null());
    assert_close(clean["max_train_accuracy"].as_f64().unwrap(), 2.0 / 3.0, 1e-15);
}

#[test]
fn rules_are_compared_where_their_training_accuracies_match() {
    let weaker = |rule: &str| {
        let metrics = [(0, 2.0), (41, 1.0)]
            .iter()
            .flat_map(|&(t, loss)| [metric(t, Split::Train, loss), metric(t, Split::Test, loss)]);
        Synthetic { rule: rule.into(), metrics: metrics.collect(), ..noisy() }
    };
    let study = study(&[noisy(), weaker("winsorized-2"), weaker("rolling-median"), clean()]);
    let summary = summary(&analysed(&study));
    let matched = summary["matched"].as_array().unwrap();
    let rules: Vec<&str> = matched.iter().map(|row| row["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["rolling-median", "sgd", "winsorized-2"], "at noise 0 there is one rule");
    assert!(matched.iter().all(|row| row["noise"] == 0.5 && row["train_accuracy"] == 0.5));
    assert_eq!((&matched[0]["step"], &matched[0]["test_accuracy"]), (&41.0.into(), &0.5.into()));
    // SGD reaches 1/2 between its evaluations at step 0 (1/3) and 5 (3/4).
    assert_close(matched[1]["step"].as_f64().unwrap(), 5.0 * (0.5 - 1.0 / 3.0) / (0.75 - 1.0 / 3.0), 1e-12);
    let winsorization: Vec<Option<f64>> =
        summary["runs"].as_array().unwrap().iter().map(|run| run["winsorization"].as_f64()).collect();
    assert_eq!(winsorization, [None, Some(0.0), Some(0.0), Some(2.0)]);
}

#[test]
fn a_run_without_a_recorded_step_still_has_its_curves_and_its_overfit() {
    let bare = Synthetic { steps: vec![], seed: 7, ..noisy() };
    for runs in [vec![bare.clone()], vec![bare.clone(), noisy()]] {
        let study = study(&runs);
        let analysis = analysed(&study);
        for (table, height) in
            [("curves", 8), ("learned", 12), ("overfit", 4), ("contributions", 0), ("decomposition", 0), ("null", 0)]
        {
            let table = read(&analysis, &format!("{table}.parquet"));
            assert_eq!(rows(&table, &[("run", &bare.id())]).len(), height);
        }
        let tests = read(&analysis, "tests.parquet");
        let row = rows(&tests, &[("run", &bare.id()), ("statistic", "alpha")])[0];
        assert_eq!((number(&tests, "observed", row), number(&tests, "p", row)), (None, None));
        let summary = summary(&analysis);
        let run = summary["runs"].as_array().unwrap().iter().find(|run| run["seed"] == 7).unwrap();
        assert_eq!((&run["recorded_steps"], &run["alpha_first"]), (&0.into(), &Value::Null));
        assert!(run["overfit"]["final"].is_f64());
    }
}

#[test]
fn coherence_has_one_row_a_step_of_every_series_and_cross_terms_add_up() {
    let run = noisy();
    let study = study(std::slice::from_ref(&run));
    let out = TempDir::new().unwrap();
    let options = Options { bootstrap: 50, ..OPTIONS };
    analyze(study.path(), Some(out.path()), &options, &NoObserver).unwrap();
    let coherence = read(out.path(), "coherence.parquet");
    // Per layer and together: five closed forms twice, four more, six of stiffness, two of each of three pairs of groups and
    // of the one class.
    assert_eq!(coherence.height(), 14 * 2 * (5 * 2 + 4 + 6 + 2 * 3 + 2));
    let of_pair = [("statistic", "stiffness_cosine"), ("layer", "0"), ("group_a", "pristine"), ("group_b", "corrupt")];
    let of_pair = rows(&coherence, &of_pair);
    assert_eq!(of_pair.len(), 14);
    for (&row, (step, gradients)) in of_pair.iter().zip(&run.steps) {
        assert_eq!(text(&coherence, "step", row), step.to_string());
        let flags = run.designation().flags().to_vec();
        assert_close(number(&coherence, "value", row).unwrap(), slow_cosine_between(gradients, &flags), 1e-9);
        let interval = (number(&coherence, "lower", row).unwrap(), number(&coherence, "upper", row).unwrap());
        assert!(interval.0 < interval.1);
    }
    let cross_terms = read(out.path(), "cross_terms.parquet");
    assert_eq!(cross_terms.height(), 14 * 4);
    for (step, gradients) in &run.steps {
        let at_step = rows(&cross_terms, &[("step", &step.to_string())]);
        let sum = |name| at_step.iter().map(|&row| number(&cross_terms, name, row).unwrap()).sum::<f64>();
        assert_close(sum("value"), slow_contributions(gradients, 20).iter().sum(), 1e-9);
        assert_close(sum("fraction"), 1.0, 1e-9);
    }
}

/// Mean cosine of the gradients of a pristine and of a corrupt example.
fn slow_cosine_between(gradients: &[f32], pristine: &[bool]) -> f64 {
    let q = slow_self_terms(gradients, pristine.len());
    let d = gradients.len() / pristine.len();
    let row = |i: usize| gradients[i * d..(i + 1) * d].iter().map(|&value| f64::from(value));
    let mut cosines = Vec::new();
    for i in (0..pristine.len()).filter(|&i| pristine[i]) {
        for j in (0..pristine.len()).filter(|&j| !pristine[j]) {
            cosines.push(row(i).zip(row(j)).map(|(x, y)| x * y).sum::<f64>() / (q[i] * q[j]).sqrt());
        }
    }
    cosines.iter().sum::<f64>() / cosines.len() as f64
}

#[test]
fn results_are_the_same_bytes_for_every_number_of_threads() {
    let study = study(&[noisy(), clean()]);
    let with = |threads: usize| {
        let out = TempDir::new().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let options = Options { bootstrap: 40, ..OPTIONS };
        pool.install(|| analyze(study.path(), Some(out.path()), &options, &NoObserver)).unwrap();
        bytes_of_all(out.path())
    };
    let one = with(1);
    assert_eq!(one.len(), 15);
    assert!(one == with(2) && one == with(5));
}

#[test]
fn the_partition_into_files_and_row_groups_does_not_matter() {
    let study = study(&[noisy()]);
    let before = bytes_of_all(&analysed(&study));
    repartition(&study.path().join("runs").join(noisy().id()), 2);
    let after = bytes_of_all(&analysed(&study));
    for (name, bytes) in &before {
        assert!(name == Path::new("summary.json") || bytes == &after[name], "{} differs", name.display());
    }
}

/// Rewrites the gradients of a run as files of `steps` steps each, every step its own row group.
fn repartition(run: &Path, steps: usize) {
    let mut manifest: Manifest = serde_json::from_slice(&fs::read(run.join("manifest.json")).unwrap()).unwrap();
    let rows_of_step = manifest.sampled_examples;
    let mut batches = Vec::new();
    let old: Vec<String> = manifest.files.keys().filter(|path| path.starts_with("gradients/")).cloned().collect();
    for path in old {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(run.join(&path)).unwrap()).unwrap();
        let reader = reader.with_batch_size(rows_of_step).build().unwrap();
        batches.extend(reader.map(|batch| batch.unwrap()));
        fs::remove_file(run.join(&path)).unwrap();
        manifest.files.remove(&path);
    }
    for (number, part) in batches.chunks(steps).enumerate() {
        let path = format!("gradients/part-{number:05}.parquet");
        let mut writer = ArrowWriter::try_new(File::create(run.join(&path)).unwrap(), part[0].schema(), None).unwrap();
        for batch in part {
            writer.write(batch).unwrap();
            writer.flush().unwrap();
        }
        writer.close().unwrap();
        let entry = cograd_trace::FileEntry {
            rows: part.iter().map(|batch| batch.num_rows() as u64).sum(),
            bytes: fs::metadata(run.join(&path)).unwrap().len(),
            sha256: sha256_of_file(&run.join(&path)).unwrap(),
        };
        manifest.files.insert(path, entry);
    }
    fs::write(run.join("manifest.json"), cograd_trace::sealed(&manifest).unwrap()).unwrap();
}

#[test]
fn kept_worlds_are_the_same_whatever_the_number_of_null_worlds() {
    let study = study(&[noisy()]);
    let kept = |null_worlds, kept_worlds| {
        let out = TempDir::new().unwrap();
        analyze(study.path(), Some(out.path()), &Options { null_worlds, kept_worlds, ..OPTIONS }, &NoObserver).unwrap();
        let table = read(out.path(), "decomposition.parquet");
        // The population as estimated from the sample, which has no null worlds, comes last.
        table.head(Some(rows(&table, &[("estimator", "paper")]).len()))
    };
    let (few, many) = (kept(0, 2), kept(500, 4));
    assert!(few.equals_missing(&many.head(Some(few.height()))));
    assert_eq!(many.height() / 5, few.height() / 3);
}

#[test]
fn another_seed_gives_other_worlds_and_the_same_statistics() {
    let study = study(&[noisy()]);
    let with = |seed| {
        let out = TempDir::new().unwrap();
        analyze(study.path(), Some(out.path()), &Options { seed, ..OPTIONS }, &NoObserver).unwrap();
        bytes_of_all(out.path())
    };
    let (one, other) = (with(1), with(2));
    let same = |name: &str| one[Path::new(name)] == other[Path::new(name)];
    assert!(same("contributions.parquet") && same("curves.parquet") && same("learned.parquet"));
    assert!(!same("decomposition.parquet") && !same("null.parquet") && !same("tests.parquet"));
}

#[test]
fn an_altered_trace_is_an_error_that_names_the_run_and_leaves_earlier_results_alone() {
    let study = study(&[noisy()]);
    let analysis = analysed(&study);
    let before = bytes_of_all(&analysis);
    let gradients = study.path().join("runs").join(noisy().id()).join("gradients");
    let part = fs::read_dir(gradients).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, bytes).unwrap();
    let error = analyze(study.path(), None, &OPTIONS, &NoObserver).unwrap_err();
    assert!(matches!(&error, AnalysisError::Run { run, .. } if *run == noisy().id()), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains(part.file_name().unwrap().to_str().unwrap()), "{cause}");
    assert!(bytes_of_all(&analysis) == before, "nothing is added, replaced or left behind");
}

#[test]
fn results_of_an_earlier_analysis_are_replaced() {
    let study = study(&[noisy()]);
    let analysis = analysed(&study);
    clean().write(study.path());
    assert_eq!(analysed(&study), analysis);
    assert_eq!(rows(&read(&analysis, "tests.parquet"), &[("statistic", "alpha")]).len(), 2);
    assert_eq!(bytes_of_all(&analysis).len(), 15);
}

#[test]
fn a_study_without_a_finished_run_is_an_error() {
    let study = study(&[]);
    fs::create_dir_all(study.path().join("runs").join(".sgd_noise-0.5_seed-1.partial")).unwrap();
    let error = analyze(study.path(), None, &OPTIONS, &NoObserver).unwrap_err();
    assert!(matches!(error, AnalysisError::Study(_)), "{error}");
    assert!(!study.path().join("analysis").exists());
}

#[test]
fn results_that_cannot_be_written_are_an_error_that_names_the_path() {
    let study = study(&[noisy()]);
    let file = study.path().join("in-the-way");
    fs::write(&file, "").unwrap();
    let error = analyze(study.path(), Some(&file), &OPTIONS, &NoObserver).unwrap_err();
    assert!(matches!(&error, AnalysisError::Output { path, .. } if *path == file), "{error}");
    assert!(error.to_string().contains("in-the-way"));
    fs::create_dir_all(study.path().join("out").join("tests.parquet")).unwrap();
    let error = analyze(study.path(), Some(&study.path().join("out")), &OPTIONS, &NoObserver).unwrap_err();
    assert!(error.to_string().contains("tests.parquet"), "{error}");
    assert!(!study.path().join("out").join("summary.json").exists());
}

#[test]
fn numbers_too_large_for_the_results_are_errors() {
    let study = study(&[Synthetic { seed: u64::MAX, ..noisy() }]);
    let error = analyze(study.path(), None, &OPTIONS, &NoObserver).unwrap_err();
    assert!(matches!(error, AnalysisError::Seed { seed: u64::MAX, .. }), "{error}");
    let worlds = Options { null_worlds: usize::MAX, ..OPTIONS };
    let error = analyze(study.path(), None, &worlds, &NoObserver).unwrap_err();
    assert!(matches!(error, AnalysisError::TooManyWorlds { .. }), "{error}");
}

#[derive(Default)]
struct Heard {
    runs: Mutex<Vec<String>>,
    steps: AtomicUsize,
    finished: AtomicUsize,
}

impl Observer for Heard {
    fn run_started(&self, run: &str, index: usize, runs: usize, _steps: usize) {
        self.runs.lock().unwrap().push(format!("{run} {index} of {runs}"));
    }
    fn steps_read(&self, steps: usize) {
        self.steps.fetch_max(steps, Ordering::Relaxed);
    }
    fn run_finished(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_observer_hears_of_every_run_and_step_and_the_report_names_every_file() {
    let study = study(&[noisy(), clean()]);
    let heard = Heard::default();
    let Report { directory, files, summary } = analyze(study.path(), None, &OPTIONS, &heard).unwrap();
    assert_eq!(*heard.runs.lock().unwrap(), ["sgd_noise-0_seed-1 0 of 2", "sgd_noise-0.5_seed-1 1 of 2"]);
    assert_eq!((heard.steps.into_inner(), heard.finished.into_inner()), (14, 2));
    assert_eq!(directory, study.path().join("analysis"));
    assert_eq!(files.len(), 15);
    assert!(files.iter().all(|file| file.is_file()) && files[14].ends_with("summary.json"));
    assert_eq!(summary.runs.len(), 2);
}
