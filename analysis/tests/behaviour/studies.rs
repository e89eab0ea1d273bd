//! Whole studies: what is written, that it is the same every time, and what happens when something is wrong.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cograd_analysis::{AnalysisError, NoObserver, Observer, Options, Report, analyze};
use cograd_results::{Results, Scope, TABLES};
use cograd_trace::{Manifest, sha256_of_file};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use crate::seeds::alter;
use crate::support::*;

pub fn options() -> Options {
    Options { null_worlds: 199, seed: 3, kept_worlds: 2, halves: 0, ..Options::default() }
}

/// Twenty sampled examples, of which nine are pristine, two more that are not sampled; steps 0…11, 20 and 40.
pub fn noisy() -> Synthetic {
    let pristine: Vec<bool> = (0..20).map(|i| i % 2 == 0 && i < 18).collect();
    let steps: Vec<i64> = (0..12).chain([20, 40]).collect();
    let of_all: Vec<bool> = pristine.iter().copied().chain([true, false]).collect();
    let labels = of_all.iter().map(|is| if *is { 1 } else { 2 });
    let learned = (0..20).map(Some).chain([Some(40), None]).collect();
    let evaluations = [0, 5, 10, 41].into_iter().flat_map(|t| {
        let loss = |speed: f64| 2.0 / (1.0 + speed * t as f64);
        evaluation(t, "train", loss(1.0)).into_iter().chain(evaluation(t, "test", loss(0.5)))
    });
    Synthetic {
        examples: 22,
        columns: vec![
            ("label", integers([1; 22])),
            ("original_label", integers(labels)),
            ("learned_step", cograd_trace::ExampleColumn::Integers(learned)),
        ],
        metrics: evaluations.collect(),
        ..Synthetic::new(&pristine, 30, &steps, 1)
    }
}

pub fn clean() -> Synthetic {
    let metrics = evaluation(0, "train", 2.0).into_iter().chain(evaluation(3, "train", 0.5)).collect();
    Synthetic { conditions: conditions("sgd", 0.0, 1), metrics, ..Synthetic::new(&[true; 6], 30, &[0, 1, 2], 2) }
}

pub fn bytes_of_all(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().into(), fs::read(&path).unwrap())).collect()
}

#[test]
fn every_table_has_its_documented_columns() {
    let study = Study::new(&[clean(), noisy().with_population(&[0, 1])]);
    let analysed = study.analysed(&Options { halves: 40, ..options() });
    let conditions = ["noise f64", "rule string"].map(str::to_string);
    let mut found = 0;
    for table in TABLES.iter().filter(|table| table.name != "matched") {
        let rows = analysed.table(table.name);
        let columns: Vec<String> =
            rows.0.columns().map(|column| format!("{column} {}", rows.0.kind(column).unwrap())).collect();
        let identity = match table.scope {
            Scope::Run => {
                ["run string".to_string()].into_iter().chain(conditions.clone()).chain(["seed u64".into()]).collect()
            }
            Scope::Condition => conditions.to_vec(),
            Scope::Study => vec![],
        };
        let own = table.columns.iter().map(|column| format!("{} {}", column.name, column.kind));
        assert_eq!(columns, identity.into_iter().chain(own).collect::<Vec<_>>(), "{}", table.name);
        assert!(rows.len() > 0, "{}", table.name);
        found += 1;
    }
    assert_eq!(analysed.summary().files.len(), found, "one rule is matched with nothing");
}

#[test]
fn the_tables_hold_what_plain_loops_over_the_raw_gradients_give() {
    let run = noisy();
    let analysed = analysed(std::slice::from_ref(&run), &options());
    let flags: Vec<bool> = (0..20).map(|i| i % 2 == 0 && i < 18).collect();
    let [contributions, shares, norms, cumulative, differences, null, tests] =
        ["contributions", "shares", "gradient_norms", "cumulative", "differences", "null", "tests"]
            .map(|table| analysed.table(table));
    for (index, (step, gradients)) in run.steps.iter().enumerate() {
        let (s, q) = (slow_contributions(gradients, 20), slow_self_terms(gradients, 20));
        for i in 0..20 {
            let row = index * 20 + i;
            let group = if flags[i] { "pristine" } else { "corrupt" };
            let columns = ["step", "example_id", "group"].map(|column| contributions.text(column, row));
            assert_eq!(columns, [step.to_string(), i.to_string(), group.to_string()]);
            assert_close(contributions.number("contribution", row).unwrap(), s[i], 1e-9);
            assert_close(contributions.number("self_term", row).unwrap(), q[i], 1e-9);
        }
        let step = step.to_string();
        let of_actual = [("estimator", "paper"), ("world", "0"), ("step", step.as_str()), ("group", "pristine")];
        assert_close(shares.value("share", &of_actual).unwrap(), slow_share(gradients, &flags), 1e-9);
        let norm = norms.value("gradient_norm_sq", &[("estimator", "paper"), ("step", &step)]);
        assert_close(norm.unwrap(), s.iter().sum(), 1e-9);
    }
    assert_eq!(cumulative.rows(&[("estimator", "paper")]).len(), 3 * 12 * 2, "three worlds of twelve contiguous steps");
    assert_eq!(differences.rows(&[("estimator", "population")]).len(), 12);
    let at_9 = differences.row(&[("estimator", "paper"), ("world", "0"), ("step", "9")]);
    let difference = slow_difference(&run.steps[..10], &flags);
    assert_close(differences.number("difference", at_9).unwrap(), difference, 1e-9);
    let difference_10 = tests.row(&[("statistic", "difference_10")]);
    assert_close(tests.number("observed", difference_10).unwrap(), difference, 1e-9);
    let at_9 = null.row(&[("statistic", "difference"), ("step", "9")]);
    assert_eq!(null.number("p", at_9), tests.number("p", difference_10));
    assert_eq!(null.rows(&[("statistic", "share"), ("group_a", "corrupt")]).len(), 14);
    assert_eq!(null.rows(&[("statistic", "difference")]).len(), 12);
}

#[test]
fn the_summary_says_what_was_analysed_and_how_and_what_every_file_holds() {
    let study = Study::new(&[noisy(), clean()]);
    let analysed = study.analysed(&options());
    let summary = analysed.summary();
    assert_eq!(summary.study.name, "a study");
    assert_eq!(summary.study.experiment_sha256, Some(sha256_of_file(&study.path().join("study.toml")).unwrap()));
    assert_eq!((summary.options.seed, summary.options.null_worlds, summary.options.kept_worlds), (3, 199, 2));
    let chosen = &summary.options;
    assert!([&chosen.group_by, &chosen.steps, &chosen.examples].iter().all(|option| option.is_none()));
    assert!(chosen.layers.is_none() && chosen.statistics.is_none());
    assert_eq!(
        (summary.grouping.by.as_str(), summary.grouping.groups.join(" ")),
        ("pristine", "pristine corrupt".into())
    );
    assert_eq!(summary.runs.iter().map(|run| run.run.as_str()).collect::<Vec<_>>(), [clean().id(), noisy().id()]);
    assert_eq!((&summary.runs[1].conditions["noise"], summary.runs[1].seed), (&0.5.into(), Some(1)));
    assert_eq!(summary.statistics.len(), cograd_analysis::statistic::STATISTICS.len());
    for (name, entry) in &summary.files {
        let path = analysed.path().join(name);
        assert_eq!(entry.sha256, sha256_of_file(&path).unwrap(), "{name}");
        assert_eq!(entry.bytes, fs::metadata(&path).unwrap().len(), "{name}");
        assert_eq!(entry.rows, analysed.table(name.strip_suffix(".parquet").unwrap()).len() as u64, "{name}");
    }
    assert_eq!(summary.files.len(), bytes_of_all(analysed.path()).len() - 2, "all but the summary and the marker");
    let path = analysed.path().join("summary.json");
    let altered = fs::read_to_string(&path).unwrap().replacen("\"seed\": 3", "\"seed\": 4", 1);
    fs::write(&path, altered).unwrap();
    assert!(Results::open(analysed.path()).is_err());
}

#[test]
fn a_row_of_runs_holds_the_sizes_of_a_run_and_where_it_ends() {
    let study = Study::new(&[noisy(), clean()]);
    let analysed = study.analysed(&options());
    let (runs, noisy, clean) = (analysed.table("runs"), noisy(), clean());
    let text = |column| runs.text(column, 1);
    let number = |column| runs.number(column, 1).unwrap();
    assert_eq!(runs.texts("noise", &[]), ["0", "0.5"], "ordered by noise");
    let counted =
        ["updates", "train_examples", "sampled_examples", "coordinates", "recorded_steps", "contiguous_steps"];
    assert_eq!(counted.map(text), ["41", "22", "20", "30", "14", "12"]);
    // Of 40 values of its one parameter 30 are recorded.
    assert_eq!(["parameter_count", "skipped_steps", "writer", "class_count"].map(text), ["40", "0", "test", "30"]);
    for column in
        ["population_examples", "population_steps", "population_contiguous_steps", "population_left_out", "loss_name"]
    {
        assert_eq!(text(column), "null", "{column}");
    }
    let manifest: Manifest =
        serde_json::from_slice(&fs::read(study.run(&noisy).join("manifest.json")).unwrap()).unwrap();
    assert_eq!(text("manifest_sha256"), sha256_of_file(&study.run(&noisy).join("manifest.json")).unwrap());
    assert_eq!(number("trace_bytes"), manifest.files.values().map(|file| file.bytes as f64).sum::<f64>());
    assert_close(number("final_train_loss"), 2.0 / 42.0, 1e-15);
    assert_close(number("final_test_loss"), 2.0 / 21.5, 1e-15);
    assert_close(number("final_train_accuracy"), 1.0 / (1.0 + 2.0 / 42.0), 1e-15);
    assert_close(number("max_train_accuracy"), 1.0 / (1.0 + 2.0 / 42.0), 1e-15);
    assert_close(number("proper_accuracy"), 10.0 / 22.0, 1e-15);
    assert_eq!((runs.number("proper_accuracy", 0), runs.number("final_test_loss", 0)), (Some(1.0), None));
    assert_eq!(runs.text("run", 0), clean.id());
    let groups = analysed.table("groups");
    assert_eq!(groups.texts("sampled", &[("run", &noisy.id())]), ["9", "11"]);
    assert_eq!(groups.texts("examples", &[("run", &noisy.id())]), ["10", "12"]);
}

#[test]
fn a_run_without_corrupt_examples_has_missing_statistics_and_no_error() {
    let analysed = analysed(&[clean()], &options());
    let all = |table: &str, column: &str| analysed.table(table).numbers(column, &[]);
    assert!(all("shares", "share").iter().all(Option::is_none));
    assert!(all("gradient_norms", "gradient_norm_sq").iter().all(Option::is_some));
    let cumulative = analysed.table("cumulative");
    assert!(cumulative.numbers("cumulative", &[("group", "pristine")]).iter().all(Option::is_some));
    assert!(cumulative.numbers("cumulative", &[("group", "corrupt")]).iter().all(Option::is_none));
    for (table, columns) in [("null", ["mean", "sd", "p"]), ("tests", ["observed", "exceedances", "p"])] {
        columns.iter().for_each(|column| assert!(all(table, column).iter().all(Option::is_none), "{column}"));
        assert!(analysed.table(table).len() > 0);
    }
}

#[test]
fn no_table_ever_holds_a_number_that_is_none() {
    let seeded = |run: Synthetic, seed| Synthetic { conditions: conditions("sgd", 0.5, seed), ..run };
    let mut zero_step = noisy();
    zero_step.steps[3].1.fill(0.0);
    zero_step.steps[13].1.fill(0.0);
    let alone = seeded(Synthetic::new(&[true], 4, &[0, 1], 3), 2);
    let no_steps = seeded(Synthetic::new(&[true, false], 4, &[7], 3), 3);
    let mut equal = seeded(Synthetic::new(&[true, false, true], 1, &[0, 1], 3), 4);
    equal.steps.iter_mut().for_each(|(_, gradients)| gradients.fill(0.1));
    let study = Study::new(&[clean(), zero_step, alone, no_steps, equal]);
    let analysed = study.analysed(&Options { halves: 40, ..options() });
    for name in analysed.summary().files.keys().map(|file| file.strip_suffix(".parquet").unwrap()) {
        let table = analysed.table(name);
        for column in table.0.columns() {
            let numbers = (0..table.len()).filter_map(|row| table.0.number(column, row));
            // A step of the predictions that is never reached is infinite.
            let bad = numbers.filter(|number| number.is_nan() || (number.is_infinite() && name != "predictions"));
            assert_eq!(bad.count(), 0, "{name} {column}");
        }
    }
    let (shares, norms, tests) = (analysed.table("shares"), analysed.table("gradient_norms"), analysed.table("tests"));
    let id = noisy().id();
    let zero = [("run", id.as_str()), ("estimator", "paper"), ("step", "3")];
    let share = [zero[0], zero[1], zero[2], ("world", "0"), ("group", "pristine")];
    assert_eq!((shares.value("share", &share), norms.value("gradient_norm_sq", &zero)), (None, Some(0.0)));
    let p = |seed, statistic| {
        tests.value("p", &[("noise", "0.5"), ("seed", seed), ("statistic", statistic), ("group_a", "pristine")])
    };
    assert_eq!(p("1", "crossover"), None, "the last tenth is the last step, which has no share");
    assert_eq!((p("2", "share"), p("3", "difference"), p("4", "share")), (None, None, None));
    assert!(p("3", "share").is_some());
    let equal =
        [("noise", "0.5"), ("seed", "4"), ("estimator", "paper"), ("world", "0"), ("step", "0"), ("group", "pristine")];
    assert_close(shares.value("share", &equal).unwrap(), 2.0 / 3.0, 1e-15);
}

#[test]
fn overfit_is_written_and_summarised_with_its_slope() {
    let analysed = analysed(&[noisy(), clean()], &only(&["overfit"]));
    let (overfit, runs) = (analysed.table("overfit"), analysed.table("runs"));
    // Accuracies 1/(1 + loss), noise 0.5, one label of all examples; the clean run has no test set.
    let expected = |t: f64| {
        let (train, test) = (1.0 / (1.0 + 2.0 / (1.0 + t)), 1.0 / (1.0 + 2.0 / (1.0 + 0.5 * t)));
        train - (0.5 + 0.5 * test)
    };
    let rows_of_run = overfit.rows(&[("run", &noisy().id())]);
    let steps = [0.0, 5.0, 10.0, 41.0];
    for (&row, step) in rows_of_run.iter().zip(steps) {
        assert_eq!(overfit.text("step", row), step.to_string());
        assert_close(overfit.number("overfit", row).unwrap(), expected(step), 1e-12);
        assert_close(overfit.number("proper_accuracy", row).unwrap(), 10.0 / 22.0, 1e-15);
        assert_eq!(overfit.number("chance", row), Some(1.0));
    }
    assert_eq!((rows_of_run.len(), overfit.rows(&[("run", &clean().id())]).len()), (4, 2));
    assert_close(runs.number("final_overfit", 1).unwrap(), expected(41.0), 1e-12);
    let mean_step = steps.iter().sum::<f64>() / 4.0;
    let (top, bottom): (f64, f64) = (
        steps.iter().map(|step| (step - mean_step) * expected(*step)).sum(),
        steps.iter().map(|step| (step - mean_step).powi(2)).sum(),
    );
    assert_close(runs.number("overfit_slope", 1).unwrap(), 1000.0 * top / bottom, 1e-9);
    assert_eq!(["final_overfit", "overfit_slope"].map(|column| runs.number(column, 0)), [None, None]);
    assert_close(runs.number("max_train_accuracy", 0).unwrap(), 2.0 / 3.0, 1e-15);
}

#[test]
fn rules_are_compared_where_their_training_accuracies_match() {
    let weaker = |conditions| {
        let metrics = [(0, 2.0), (41, 1.0)]
            .into_iter()
            .flat_map(|(t, loss)| evaluation(t, "train", loss).into_iter().chain(evaluation(t, "test", loss)));
        Synthetic { conditions, metrics: metrics.collect(), ..noisy() }
    };
    let winsorized = conditions("winsorized", 0.5, 1).with("winsorization", 2.0);
    let runs = [noisy(), weaker(winsorized), weaker(conditions("rolling-median", 0.5, 1)), clean()];
    let matched = analysed(&runs, &only(&["overfit"])).table("matched");
    assert_eq!(matched.texts("rule", &[]), ["rolling-median", "sgd", "winsorized"], "at noise 0 there is one rule");
    assert_eq!(matched.texts("winsorization", &[]), ["null", "null", "2"]);
    assert_eq!(matched.rows(&[("noise", "0.5"), ("train_accuracy", "0.5")]).len(), 3);
    assert_eq!((matched.number("step", 0), matched.number("test_accuracy", 0)), (Some(41.0), Some(0.5)));
    // SGD reaches 1/2 between its evaluations at step 0 (1/3) and 5 (3/4).
    assert_close(matched.number("step", 1).unwrap(), 5.0 * (0.5 - 1.0 / 3.0) / (0.75 - 1.0 / 3.0), 1e-12);
}

#[test]
fn a_run_without_a_recorded_step_still_has_its_curves_and_its_overfit() {
    let bare = Synthetic { steps: vec![], conditions: conditions("sgd", 0.5, 7), ..noisy() };
    for runs in [vec![bare.clone()], vec![bare.clone(), noisy()]] {
        let analysed = analysed(&runs, &options());
        let id = bare.id();
        for (table, height) in [
            ("metrics", 16),
            ("learned", 12),
            ("overfit", 4),
            ("contributions", 0),
            ("shares", 0),
            ("null", 0),
            ("coherence", 0),
        ] {
            assert_eq!(analysed.table(table).rows(&[("run", &id)]).len(), height, "{table}");
        }
        let tests = analysed.table("tests");
        let row = tests.row(&[("run", &id), ("statistic", "share"), ("group_a", "pristine")]);
        assert_eq!((tests.number("observed", row), tests.number("p", row)), (None, None));
        let runs = analysed.table("runs");
        let row = runs.row(&[("seed", "7")]);
        assert_eq!(runs.text("recorded_steps", row), "0");
        assert!(runs.number("final_overfit", row).is_some());
    }
}

#[test]
fn coherence_has_one_row_a_step_of_every_series() {
    let run = noisy();
    let analysed = analysed(std::slice::from_ref(&run), &Options { halves: 50, ..options() });
    let coherence = analysed.table("coherence");
    // Per layer and together: four closed forms twice, seven more, three of neighbours, ten of stiffness, two of each of three pairs of
    // groups and of the one class.
    assert_eq!(coherence.len(), 14 * 2 * (4 * 2 + 7 + 3 + 10 + 2 * 3 + 2));
    let of_pair =
        [("statistic", "stiffness_cosine"), ("layer", "layer.0"), ("group_a", "pristine"), ("group_b", "corrupt")];
    let of_pair = coherence.rows(&of_pair);
    assert_eq!(of_pair.len(), 14);
    let flags: Vec<bool> = (0..20).map(|i| i % 2 == 0 && i < 18).collect();
    for (&row, (step, gradients)) in of_pair.iter().zip(&run.steps) {
        assert_eq!(coherence.text("step", row), step.to_string());
        assert_close(coherence.number("value", row).unwrap(), slow_cosine_between(gradients, &flags), 1e-9);
        assert!(coherence.number("lower", row).unwrap() < coherence.number("upper", row).unwrap());
    }
    let cross_terms = analysed.table("cross_terms");
    assert_eq!(cross_terms.len(), 14 * 4);
    for (step, gradients) in &run.steps {
        let sum = |name| cross_terms.numbers(name, &[("step", &step.to_string())]).into_iter().flatten().sum::<f64>();
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
    let study = Study::new(&[noisy(), clean()]);
    let with = |threads: usize| {
        let out = TempDir::new().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let options = Options { halves: 40, ..options() };
        pool.install(|| analyze(study.path(), Some(out.path()), &options, &NoObserver)).unwrap();
        bytes_of_all(out.path())
    };
    let one = with(1);
    assert_eq!(one.len(), 22);
    assert!(one == with(2) && one == with(5));
}

/// Names of the variables that tell [`an_analysis_in_a_process_of_its_own`] what to do.
const STUDY: &str = "COGRAD_TEST_STUDY";
const OUT: &str = "COGRAD_TEST_OUT";

/// Does nothing unless the test below starts it.
#[test]
fn an_analysis_in_a_process_of_its_own() {
    if let (Some(study), Some(out)) = (std::env::var_os(STUDY), std::env::var_os(OUT)) {
        analyze(Path::new(&study), Some(Path::new(&out)), &large_options(), &NoObserver).unwrap();
    }
}

fn large_options() -> Options {
    Options { null_worlds: 50, halves: 0, ..Options::default() }
}

#[test]
fn a_table_that_polars_partitions_is_the_same_bytes_on_one_and_two_threads_and_every_time() {
    // Thirty classes: 2 · 465 pairs and more, of three layers and all together.
    let pristine: Vec<bool> = (0..30).map(|i| i % 2 == 0).collect();
    let run = |seed| {
        let run = Synthetic::new(&pristine, 6, &(0..14).collect::<Vec<_>>(), seed).with_layers(3);
        let run = run.with_column("label", integers(0..30)).with_population(&[0, 1]);
        Synthetic { conditions: conditions("sgd", 0.5, seed), metrics: noisy().metrics, ..run }
    };
    let study = Study::new(&[run(1), run(2)]);
    // The pool of polars is one for the whole process, and as large as the environment says when it starts.
    let with = |threads: &str| {
        let out = TempDir::new().unwrap();
        let done = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "studies::an_analysis_in_a_process_of_its_own"])
            .envs([("POLARS_MAX_THREADS", threads), ("RAYON_NUM_THREADS", threads)])
            .env(STUDY, study.path())
            .env(OUT, out.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        let rows = Results::open(out.path()).unwrap().summary().files["coherence.parquet"].rows;
        assert!(rows > 100_000, "{rows} rows");
        bytes_of_all(out.path())
    };
    let one = with("1");
    let differing = |other: BTreeMap<PathBuf, Vec<u8>>| -> Vec<PathBuf> {
        one.iter().filter(|(name, bytes)| other.get(*name) != Some(bytes)).map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(differing(with("2")), Vec::<PathBuf>::new());
    assert_eq!(differing(with("2")), Vec::<PathBuf>::new());
}

#[test]
fn the_partition_into_files_and_row_groups_does_not_matter() {
    let study = Study::new(&[noisy()]);
    let before = study.analysed(&options());
    repartition(&study.run(&noisy()), 2);
    let (before, after) = (bytes_of_all(before.path()), bytes_of_all(study.analysed(&options()).path()));
    // The manifest is another one.
    let other = ["summary.json", "runs.parquet"].map(Path::new);
    for (name, bytes) in &before {
        assert!(other.contains(&name.as_path()) || bytes == &after[name], "{} differs", name.display());
    }
}

/// Rewrites the gradients of a run as files of `steps` steps each, every step its own row group.
pub fn repartition(run: &Path, steps: usize) {
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
    let study = Study::new(&[noisy()]);
    let statistics = only(&["shares", "cumulative", "population"]).statistics;
    let kept = |null_worlds, kept_worlds, table: &str| {
        let options = Options { null_worlds, kept_worlds, statistics: statistics.clone(), ..options() };
        let table = study.analysed(&options).table(table);
        // The population as estimated from the sample, which has no null worlds, comes last.
        let paper = table.rows(&[("estimator", "paper")]).len();
        table.all(&[]).into_iter().take(paper).collect::<Vec<_>>()
    };
    for table in ["shares", "differences"] {
        let (few, many) = (kept(0, 2, table), kept(500, 4, table));
        assert!(few == many[..few.len()], "{table}");
        assert_eq!(many.len() / 5, few.len() / 3);
    }
}

#[test]
fn another_seed_gives_other_worlds_and_the_same_statistics() {
    // Groups that have nothing to do with the gradients: of the usual ones no null world is as extreme.
    let study = Study::new(&[noisy().with_column("third", integers((0..22).map(|i| i % 3)))]);
    let with = |seed| {
        let options = Options { seed, halves: 40, group_by: Some("third".into()), ..options() };
        bytes_of_all(study.analysed(&options).path())
    };
    let (one, other) = (with(1), with(2));
    let same = |name: &&str| one[Path::new(&format!("{name}.parquet"))] == other[Path::new(&format!("{name}.parquet"))];
    let alike = ["contributions", "metrics", "learned", "gradient_norms", "cross_terms"];
    let others = ["shares", "differences", "null", "tests", "coherence", "curves", "over_seeds"];
    assert_eq!(alike.into_iter().chain(others).filter(same).collect::<Vec<_>>(), alike);
}

#[test]
fn an_altered_trace_is_an_error_that_names_the_run_and_leaves_earlier_results_alone() {
    let study = Study::new(&[noisy()]);
    let analyse = || analyze(study.path(), None, &options(), &NoObserver);
    let analysis = analyse().unwrap().directory;
    let before = bytes_of_all(&analysis);
    let part = fs::read_dir(study.run(&noisy()).join("gradients")).unwrap().next().unwrap().unwrap().path();
    alter(&part);
    let error = analyse().unwrap_err();
    assert!(matches!(&error, AnalysisError::Run { run, .. } if *run == noisy().id()), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains(part.file_name().unwrap().to_str().unwrap()), "{cause}");
    assert!(bytes_of_all(&analysis) == before, "nothing is added, replaced or left behind");
    // The same if nothing of the gradients is needed: a trace is whole or it is not believed.
    assert!(matches!(study.error(&only(&["metrics"])), AnalysisError::Run { .. }));
}

#[test]
fn results_of_an_earlier_analysis_are_replaced() {
    let study = Study::new(&[noisy()]);
    let analyse = |options: &Options| analyze(study.path(), None, options, &NoObserver).unwrap().directory;
    let analysis = analyse(&options());
    clean().write(study.path());
    assert_eq!(analyse(&options()), analysis);
    let tests = Table(Results::open(&analysis).unwrap().rows("tests").unwrap().unwrap());
    assert_eq!(tests.rows(&[("statistic", "share"), ("group_a", "pristine")]).len(), 2);
    assert_eq!(bytes_of_all(&analysis).len(), 22);
    // Tables that there are no more go.
    analyse(&only(&["metrics"]));
    let left: Vec<String> = bytes_of_all(&analysis).into_keys().map(|name| name.display().to_string()).collect();
    let expected =
        ["curves", "groups", "metrics", "over_seeds", "predictions", "runs"].map(|name| format!("{name}.parquet"));
    let marker = cograd_files::MARKER.to_string();
    assert_eq!(left, [vec![marker], expected.to_vec(), vec!["summary.json".to_string()]].concat());
}

#[test]
fn a_study_without_a_finished_run_is_an_error() {
    let study = Study::new(&[]);
    fs::create_dir_all(study.path().join("runs").join(".sgd_noise-0.5_seed-1.partial")).unwrap();
    let error = analyze(study.path(), None, &options(), &NoObserver).unwrap_err();
    assert!(matches!(error, AnalysisError::Study(_)), "{error}");
    assert!(!study.path().join("analysis").exists());
}

#[test]
fn results_that_cannot_be_written_are_an_error_that_names_the_path() {
    let study = Study::new(&[noisy()]);
    let error = |out: &Path| {
        let error = analyze(study.path(), Some(out), &options(), &NoObserver).unwrap_err();
        assert!(matches!(error, AnalysisError::Output(_)), "{error}");
        error.to_string()
    };
    let file = study.path().join("in-the-way");
    fs::write(&file, "").unwrap();
    assert!(error(&file).contains("in-the-way"));
    let out = study.path().join("out");
    fs::create_dir_all(out.join("tests.parquet")).unwrap();
    assert!(error(&out).contains("tests.parquet"));
    assert!(!out.join("summary.json").exists());
}

#[test]
fn more_null_worlds_than_can_be_counted_are_an_error() {
    let study = Study::new(&[clean()]);
    for options in
        [Options { null_worlds: usize::MAX, ..options() }, Options { kept_worlds: u32::MAX as usize, ..options() }]
    {
        assert!(matches!(study.error(&options), AnalysisError::TooManyWorlds { .. }));
    }
}

#[derive(Default)]
pub struct Heard {
    runs: Mutex<Vec<String>>,
    pub steps: AtomicUsize,
    finished: AtomicUsize,
}

impl Observer for Heard {
    fn run_started(&self, run: &str, index: usize, runs: usize, steps: usize) {
        self.runs.lock().unwrap().push(format!("{run} {index} of {runs}: {steps}"));
    }
    fn steps_read(&self, steps: usize) {
        self.steps.fetch_max(steps, Ordering::Relaxed);
    }
    fn run_finished(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }
}

impl Heard {
    pub fn runs(&self) -> Vec<String> {
        self.runs.lock().unwrap().clone()
    }
}

#[test]
fn the_observer_hears_of_every_run_and_step_and_the_report_names_every_file() {
    let study = Study::new(&[noisy().with_population(&[0, 20]), clean()]);
    let heard = Heard::default();
    let Report { directory, files, summary } = analyze(study.path(), None, &options(), &heard).unwrap();
    assert_eq!(heard.runs(), [format!("{} 0 of 2: 3", clean().id()), format!("{} 1 of 2: 16", noisy().id())]);
    assert_eq!((heard.steps.into_inner(), heard.finished.into_inner()), (16, 2));
    assert_eq!(directory, study.path().join("analysis"));
    assert_eq!(files.len(), summary.files.len() + 1);
    assert!(files.iter().all(|file| file.is_file()) && files.last().unwrap().ends_with("summary.json"));
    assert_eq!(summary.runs.len(), 2);
}
