//! Analyses of a part of the record, of a grouping of one's own, and of the population record.

use std::fs;
use std::path::PathBuf;

use cograd_analysis::{AnalysisError, GroupBy, NoObserver, Options, analyze};
use polars::prelude::DataFrame;
use tempfile::TempDir;

use crate::support::*;

/// 18 sampled examples of 22, two layers of 10 coordinates, gradients at steps 0…5 and 12, population at 0, 1, 2 and 9.
fn run() -> Synthetic {
    let pristine: Vec<bool> = (0..22).map(|i| i % 3 != 1).collect();
    let mut run = Synthetic::new(&pristine, 20, &[0, 1, 2, 3, 4, 5, 12], 6);
    run.layers = 2;
    for (place, example) in run.examples.iter_mut().enumerate() {
        example.sampled = place % 6 != 5 && place != 0;
        example.original_label = (place % 4) as u8;
        example.label = if example.pristine { example.original_label } else { example.original_label + 1 };
    }
    let sampled: Vec<usize> = (0..22).filter(|&place| run.examples[place].sampled).collect();
    for (_, gradients) in &mut run.steps {
        *gradients = sampled.iter().flat_map(|place| gradients[place * 20..place * 20 + 20].to_vec()).collect();
    }
    run.with_population(&[0, 1, 2, 9])
}

fn sampled(run: &Synthetic) -> Vec<usize> {
    (0..run.examples.len()).filter(|&place| run.examples[place].sampled).collect()
}

fn defaults() -> Options {
    Options { null_worlds: 99, kept_worlds: 1, bootstrap: 0, ..Options::default() }
}

struct Analysed {
    study: TempDir,
    directory: PathBuf,
}

impl Analysed {
    fn of(run: &Synthetic, options: &Options) -> Analysed {
        let study = TempDir::new().unwrap();
        run.write(study.path());
        let directory = analyze(study.path(), None, options, &NoObserver).unwrap().directory;
        Analysed { study, directory }
    }

    fn table(&self, name: &str) -> DataFrame {
        read(&self.directory, &format!("{name}.parquet"))
    }
}

fn error(run: &Synthetic, options: &Options) -> String {
    let study = TempDir::new().unwrap();
    run.write(study.path());
    let error = analyze(study.path(), None, options, &NoObserver).unwrap_err();
    let earlier = study.path().join("analysis").join("summary.json").exists();
    assert!(!earlier, "{error}");
    error.to_string()
}

/// The rows and columns of gradients `[n, 20]`.
fn part(gradients: &[f32], rows: &[usize], columns: &[usize]) -> Vec<f32> {
    rows.iter().flat_map(|row| columns.iter().map(move |column| gradients[row * 20 + column])).collect()
}

/// Checks contributions and α of the paper's estimator against plain loops over a part of the raw gradients.
fn check_paper(analysed: &Analysed, run: &Synthetic, steps: &[i64], rows_kept: &[usize], columns: &[usize]) {
    let (contributions, decomposition) = (analysed.table("contributions"), analysed.table("decomposition"));
    let ids: Vec<usize> = rows_kept.iter().map(|&row| sampled(run)[row]).collect();
    let pristine: Vec<bool> = ids.iter().map(|&id| run.examples[id].pristine).collect();
    assert_eq!(contributions.height(), steps.len() * ids.len());
    for step in steps {
        let (_, gradients) = run.steps.iter().find(|(recorded, _)| recorded == step).unwrap();
        let gradients = part(gradients, rows_kept, columns);
        let (s, q) = (slow_contributions(&gradients, ids.len()), slow_self_terms(&gradients, ids.len()));
        for (place, row) in rows(&contributions, &[("step", &step.to_string())]).into_iter().enumerate() {
            assert_eq!(text(&contributions, "example_id", row), ids[place].to_string());
            assert_close(number(&contributions, "contribution", row).unwrap(), s[place], 1e-9);
            assert_close(number(&contributions, "self_term", row).unwrap(), q[place], 1e-9);
        }
        let row = rows(&decomposition, &[("estimator", "paper"), ("world", "0"), ("step", &step.to_string())])[0];
        assert_close(number(&decomposition, "alpha", row).unwrap(), slow_alpha(&gradients, &pristine), 1e-9);
    }
}

#[test]
fn without_restriction_everything_is_analysed() {
    let run = run();
    let all = Analysed::of(&run, &defaults());
    let n = sampled(&run).len();
    check_paper(&all, &run, &[0, 1, 2, 3, 4, 5, 12], &(0..n).collect::<Vec<_>>(), &(0..20).collect::<Vec<_>>());
}

#[test]
fn some_steps_are_analysed_as_if_only_they_were_recorded() {
    let run = run();
    let n = sampled(&run).len();
    let some = Analysed::of(&run, &Options { steps: Some("2..=4".parse().unwrap()), ..defaults() });
    check_paper(&some, &run, &[2, 3, 4], &(0..n).collect::<Vec<_>>(), &(0..20).collect::<Vec<_>>());
    assert_eq!(some.table("cumulative").height(), 0, "no step is contiguous from 0");
    let summary = summary(&some.directory);
    assert_eq!((&summary["options"]["steps"], &summary["runs"][0]["recorded_steps"]), (&"2..5".into(), &3.into()));
    assert_eq!(summary["runs"][0]["population"]["steps"], 1);
    let early = Analysed::of(&run, &Options { steps: Some("..3".parse().unwrap()), ..defaults() });
    let mut only = run.clone();
    only.steps.truncate(3);
    only.population.truncate(3);
    let only = Analysed::of(&only, &defaults());
    for table in ["contributions", "decomposition", "cumulative", "null", "tests", "shares", "group_tests"] {
        assert!(early.table(table).equals_missing(&only.table(table)), "{table}");
    }
}

#[test]
fn some_layers_are_analysed_as_if_there_were_no_others() {
    let run = run();
    let n = sampled(&run).len();
    for (layer, columns) in [(0, (0..20).step_by(2).collect::<Vec<_>>()), (1, (1..20).step_by(2).collect())] {
        let some = Analysed::of(&run, &Options { layers: Some(vec![layer]), ..defaults() });
        check_paper(&some, &run, &[0, 1, 2, 3, 4, 5, 12], &(0..n).collect::<Vec<_>>(), &columns);
        check_exact(&some, &run, &[0, 1, 2, 9], &[layer]);
        assert_eq!(summary(&some.directory)["runs"][0]["coordinates"], 10);
    }
    let both = Analysed::of(&run, &Options { layers: Some(vec![1, 0]), ..defaults() });
    assert!(both.table("shares").equals_missing(&Analysed::of(&run, &defaults()).table("shares")));
}

#[test]
fn some_examples_are_analysed_with_the_sum_of_their_gradients_alone() {
    let run = run();
    let ids = sampled(&run);
    let kept: Vec<usize> = (0..ids.len()).filter(|&row| (3..15).contains(&ids[row])).collect();
    let some = Analysed::of(&run, &Options { examples: Some("3..15".parse().unwrap()), ..defaults() });
    check_paper(&some, &run, &[0, 1, 2, 3, 4, 5, 12], &kept, &(0..20).collect::<Vec<_>>());
    let summary = summary(&some.directory);
    let of_run = &summary["runs"][0];
    assert_eq!((&summary["options"]["examples"], &of_run["sampled_examples"]), (&"3..15".into(), &kept.len().into()));
    assert!(of_run["population"].is_null() && of_run["population_left_out"].is_string());
    assert!(rows(&some.table("decomposition"), &[("estimator", "exact")]).is_empty());
    // The same by a file, in any order; ids that are not sampled change nothing.
    let file = some.study.path().join("ids.csv");
    fs::write(&file, (0..15).rev().map(|id| format!("{id}\n")).fold("example_id\n".to_string(), |a, b| a + &b))
        .unwrap();
    let by_file =
        Analysed::of(&run, &Options { examples: Some(file.to_str().unwrap().parse().unwrap()), ..defaults() });
    let from_1: Vec<usize> = (0..ids.len()).filter(|&row| ids[row] < 15).collect();
    check_paper(&by_file, &run, &[0, 1, 2, 3, 4, 5, 12], &from_1, &(0..20).collect::<Vec<_>>());
}

/// Checks the exact estimates against plain loops over the population's raw gradients.
fn check_exact(analysed: &Analysed, run: &Synthetic, steps: &[i64], layers: &[usize]) {
    let (decomposition, cumulative) = (analysed.table("decomposition"), analysed.table("cumulative"));
    let m = run.examples.len();
    let pristine: Vec<bool> = run.examples.iter().map(|example| example.pristine).collect();
    let count = |of: bool| pristine.iter().filter(|is| **is == of).count() as f64;
    let (mut means, mut next) = ([0.0, 0.0], 0);
    for (step, gradients) in run.population.iter().filter(|(step, _)| steps.contains(step)) {
        let of_layers = layers.iter().map(|&layer| slow_contributions(&gradients[layer], m));
        let s = of_layers.reduce(|a, b| a.iter().zip(b).map(|(a, b)| a + b).collect()).unwrap();
        let at = [("estimator", "exact"), ("world", "0"), ("step", &step.to_string())];
        let row = rows(&decomposition, &at)[0];
        let total: f64 = s.iter().sum();
        assert_close(number(&decomposition, "gradient_norm_sq", row).unwrap(), total, 1e-9);
        assert_close(number(&decomposition, "alpha", row).unwrap(), group_sum(&s, &pristine, true) / total, 1e-9);
        means[0] += group_sum(&s, &pristine, true) / count(true);
        means[1] += group_sum(&s, &pristine, false) / count(false);
        let row = rows(&cumulative, &at);
        if *step == next {
            next += 1;
            assert_close(number(&cumulative, "pristine", row[0]).unwrap(), means[0], 1e-9);
            assert_close(number(&cumulative, "corrupt", row[0]).unwrap(), means[1], 1e-9);
            assert_close(number(&cumulative, "difference", row[0]).unwrap(), means[0] - means[1], 1e-9);
        } else {
            assert!(row.is_empty());
        }
    }
    assert_eq!(rows(&decomposition, &[("estimator", "exact"), ("world", "0")]).len(), steps.len());
}

#[test]
fn the_population_record_is_analysed_beside_the_sample() {
    let run = run();
    let analysed = Analysed::of(&run, &defaults());
    check_exact(&analysed, &run, &[0, 1, 2, 9], &[0, 1]);
    let (null, tests) = (analysed.table("null"), analysed.table("tests"));
    for (estimator, steps, contiguous) in [("paper", 7, 6), ("exact", 4, 3)] {
        assert_eq!(rows(&null, &[("estimator", estimator), ("statistic", "alpha")]).len(), steps);
        assert_eq!(rows(&null, &[("estimator", estimator), ("statistic", "difference")]).len(), contiguous);
        assert_eq!(rows(&tests, &[("estimator", estimator)]).len(), 4);
        assert_eq!(rows(&analysed.table("group_tests"), &[("estimator", estimator)]).len(), 3 + 2 + 2);
    }
    // |P|/n of all 22 examples, and of the sampled ones.
    let mean = |estimator| number(&null, "mean", rows(&null, &[("estimator", estimator), ("statistic", "alpha")])[0]);
    let share = |ids: &[usize]| ids.iter().filter(|id| run.examples[**id].pristine).count() as f64 / ids.len() as f64;
    assert_close(mean("exact").unwrap(), share(&(0..22).collect::<Vec<_>>()), 1e-15);
    assert_close(mean("paper").unwrap(), share(&sampled(&run)), 1e-15);
    let population = &summary(&analysed.directory)["runs"][0]["population"];
    assert_eq!((&population["steps"], &population["contiguous_steps"]), (&4.into(), &3.into()));
    let row = rows(&tests, &[("estimator", "exact"), ("statistic", "crossover")])[0];
    assert_close(population["crossover"]["value"].as_f64().unwrap(), number(&tests, "observed", row).unwrap(), 1e-15);
    assert!(population["difference_10"]["value"].is_null(), "three contiguous steps");
    assert_eq!(population["coverage"]["alpha"]["of"], 0, "no interval without resamples");
}

#[test]
fn the_coverage_is_that_of_the_intervals_in_the_tables() {
    let run = run();
    let analysed = Analysed::of(&run, &Options { bootstrap: 99, ..defaults() });
    let coverage = summary(&analysed.directory)["runs"][0]["population"]["coverage"].clone();
    let (decomposition, cumulative) = (analysed.table("decomposition"), analysed.table("cumulative"));
    for (statistic, table, common) in [("alpha", decomposition, 3), ("difference", cumulative, 3)] {
        let (mut covered, mut of) = (0, 0);
        for row in rows(&table, &[("estimator", "population")]) {
            let bounds = ["lower", "upper"].map(|bound| number(&table, &format!("{statistic}_{bound}"), row));
            let at = [("estimator", "exact"), ("world", "0"), ("step", &text(&table, "step", row))];
            let exact = rows(&table, &at).first().and_then(|&row| number(&table, statistic, row));
            if let ([Some(lower), Some(upper)], Some(exact)) = (bounds, exact) {
                of += 1;
                covered += usize::from(lower <= exact && exact <= upper);
            }
        }
        assert!(of > 0 && of <= common, "{statistic}: {of}");
        assert_eq!((&coverage[statistic]["covered"], &coverage[statistic]["of"]), (&covered.into(), &of.into()));
    }
}

#[test]
fn a_record_of_the_population_alone_is_analysed_too() {
    let run = Synthetic { steps: vec![], ..run() };
    let analysed = Analysed::of(&run, &defaults());
    check_exact(&analysed, &run, &[0, 1, 2, 9], &[0, 1]);
    assert!(rows(&analysed.table("decomposition"), &[("estimator", "paper")]).is_empty());
}

#[test]
fn groups_have_shares_means_and_tests_by_estimator() {
    let run = run();
    let analysed = Analysed::of(&run, &Options { group_by: GroupBy::OriginalLabel, ..defaults() });
    let groups = analysed.table("groups");
    assert_eq!(groups.height(), 4);
    let shares = analysed.table("shares");
    for group in 0..4_u8 {
        let name = group.to_string();
        let row = rows(&groups, &[("group", &name)])[0];
        let of_group = |id: &&usize| run.examples[**id].original_label == group;
        assert_eq!(text(&groups, "order", row), name);
        let all: Vec<usize> = (0..22).collect();
        assert_eq!(text(&groups, "examples", row), all.iter().filter(of_group).count().to_string());
        assert_eq!(text(&groups, "sampled", row), sampled(&run).iter().filter(of_group).count().to_string());
        // Exact: at step 9, past the gap, there is a share and no mean.
        let s = slow_contributions(&run.population[3].1[0], 22);
        let s: Vec<f64> = s.iter().zip(slow_contributions(&run.population[3].1[1], 22)).map(|(a, b)| a + b).collect();
        let flags: Vec<bool> = run.examples.iter().map(|example| example.original_label == group).collect();
        let row = rows(&shares, &[("estimator", "exact"), ("world", "0"), ("step", "9"), ("group", &name)])[0];
        assert_close(number(&shares, "share", row).unwrap(), group_sum(&s, &flags, true) / s.iter().sum::<f64>(), 1e-9);
        assert_eq!(number(&shares, "cumulative", row), None);
        let row = rows(&shares, &[("estimator", "paper"), ("world", "1"), ("step", "3"), ("group", &name)])[0];
        assert!(number(&shares, "cumulative", row).is_some());
    }
    assert_eq!(shares.height(), 4 * 2 * (7 + 4));
    let tests = analysed.table("group_tests");
    assert_eq!(tests.height(), 2 * ((4 + 1) + (6 + 1) + (6 + 1)));
    let pairs = rows(&tests, &[("estimator", "exact"), ("statistic", "difference")]);
    let name = |row: usize| (text(&tests, "group_a", row), text(&tests, "group_b", row));
    assert_eq!(name(pairs[0]), ("0".into(), "1".into()));
    assert_eq!(name(pairs[5]), ("2".into(), "3".into()));
    assert_eq!(name(pairs[6]), ("null".into(), "null".into()));
    assert!(pairs[..6].iter().all(|&row| number(&tests, "p_holm", row) >= number(&tests, "p", row)));
}

#[test]
fn groups_of_a_file_are_those_of_the_same_grouping() {
    let run = run();
    let by_label = Analysed::of(&run, &Options { group_by: GroupBy::Label, ..defaults() });
    let file = by_label.study.path().join("labels.csv");
    let line = |example: &cograd_trace::Example| format!("{},{}\n", example.example_id, example.label);
    fs::write(&file, "example_id,group\n".to_string() + &run.examples.iter().map(line).collect::<String>()).unwrap();
    let by_file = Analysed::of(&run, &Options { group_by: GroupBy::File(file.clone()), ..defaults() });
    for table in ["groups", "shares", "group_tests"] {
        assert!(by_label.table(table).equals_missing(&by_file.table(table)), "{table}");
    }
    assert_eq!(summary(&by_file.directory)["options"]["group_by"], file.to_str().unwrap());
}

#[test]
fn a_file_of_groups_needs_the_analysed_examples_only() {
    let run = run();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("groups.csv");
    let text = sampled(&run).iter().map(|id| format!("{id},{}\n", ["easy", "hard"][id % 2])).collect::<String>();
    fs::write(&file, "example_id,group\n".to_string() + &text).unwrap();
    let options = Options { group_by: GroupBy::File(file), ..defaults() };
    let message = error(&run, &options);
    assert!(message.contains("no group for example 0"), "{message}");
    let sample_only = Analysed::of(&Synthetic { population: vec![], ..run }, &options);
    assert_eq!(text_of(&sample_only.table("groups"), "group"), ["easy", "hard"]);
}

fn text_of(table: &DataFrame, name: &str) -> Vec<String> {
    (0..table.height()).map(|row| text(table, name, row)).collect()
}

#[test]
fn what_a_run_has_not_is_an_error_that_says_what_it_has() {
    let run = run();
    let options = |change: &dyn Fn(&mut Options)| {
        let mut options = defaults();
        change(&mut options);
        options
    };
    let layers = error(&run, &options(&|options| options.layers = Some(vec![0, 7])));
    assert!(layers.contains("has no layer 7: its layers are 0, 1"), "{layers}");
    let steps = error(&run, &options(&|options| options.steps = Some("6..9".parse().unwrap())));
    assert!(steps.contains("none of its recorded steps, 0 to 12, is in 6..9"), "{steps}");
    let examples = error(&run, &options(&|options| options.examples = Some("100..".parse().unwrap())));
    assert!(examples.contains("none of its 18 sampled examples is in 100.."), "{examples}");
    let nowhere = error(&run, &options(&|options| options.group_by = GroupBy::File("nowhere.csv".into())));
    assert!(nowhere.contains("nowhere.csv"), "{nowhere}");
}

#[test]
fn a_file_that_does_not_fit_the_run_is_an_error_that_names_it() {
    let run = run();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("groups.csv");
    let message = |lines: String| {
        fs::write(&file, "example_id,group\n".to_string() + &lines).unwrap();
        let message = error(&run, &Options { group_by: GroupBy::File(file.clone()), ..defaults() });
        assert!(message.contains("groups.csv"), "{message}");
        message
    };
    let all = |group: &dyn Fn(usize) -> usize| (0..22).map(|id| format!("{id},{}\n", group(id))).collect::<String>();
    assert!(message(all(&|_| 0) + "22,0\n").contains("names example 22, but run"));
    assert!(message(all(&|_| 0) + "3,1\n").contains("names example 3 twice"));
    assert!(message(all(&|_| 0).replace("\n7,0", "")).contains("no group for example 7"));
    assert!(message(String::new()).contains("names no example"));
    let too_many = (0..101).map(|id| format!("{id},{id}\n")).collect::<String>();
    assert!(message(too_many).contains("101 groups, which are too many"));
    fs::write(&file, "example_id\n22\n").unwrap();
    let options = Options { examples: Some(file.to_str().unwrap().parse().unwrap()), ..defaults() };
    let study = TempDir::new().unwrap();
    run.write(study.path());
    let error = analyze(study.path(), None, &options, &NoObserver).unwrap_err();
    assert!(matches!(error, AnalysisError::ExampleFile { .. }), "{error}");
}
