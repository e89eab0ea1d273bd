//! Statistics by name: each alone is what it is among the others, and needs no more than it says.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use cograd_analysis::statistic::{Compute, STATISTICS, Statistic};
use cograd_analysis::{Options, analyze};
use tempfile::TempDir;

use crate::studies::Heard;
use crate::support::*;

/// Two layers, classes, a population record, evaluations and learning steps: something of everything.
fn everything() -> Synthetic {
    let pristine: Vec<bool> = (0..16).map(|i| i % 3 != 0).collect();
    let run = Synthetic::new(&pristine, 8, &(0..11).collect::<Vec<_>>(), 1).with_layers(2).with_population(&[0, 1, 5]);
    let run = run.with_column("label", integers((0..16).map(|i| i % 4)));
    let evaluations = [(0, 2.0), (5, 1.0), (10, 0.5)].into_iter().flat_map(|(step, loss)| {
        evaluation(step, "train", loss).into_iter().chain(evaluation(step, "test", 2.0 * loss))
    });
    Synthetic { metrics: evaluations.collect(), ..run }
}

fn alone(statistic: &Statistic) -> Options {
    Options { statistics: Some(vec![statistic.name.to_string()]), ..all() }
}

fn all() -> Options {
    Options { null_worlds: 30, kept_worlds: 1, halves: 40, ..Options::default() }
}

#[test]
fn a_statistic_alone_has_its_tables_and_the_same_rows_as_among_all() {
    let study = Study::new(&[everything()]);
    let whole = study.analysed(&all());
    let rows = |analysed: &Analysed, table: &str| -> Vec<Vec<String>> { analysed.table(table).all(&[]) };
    for statistic in STATISTICS {
        let found = study.analysed(&alone(statistic));
        let tables: BTreeSet<String> =
            found.summary().files.keys().map(|file| file.strip_suffix(".parquet").unwrap().to_string()).collect();
        let always = ["runs", "groups", "curves", "over_seeds", "predictions"].into_iter();
        let expected: BTreeSet<String> = always.chain(statistic.tables.iter().copied()).map(str::to_string).collect();
        assert_eq!(tables, expected, "{}", statistic.name);
        let names: Vec<&str> = found.summary().statistics.iter().map(|statistic| statistic.name.as_str()).collect();
        assert_eq!(names, [statistic.name]);
        for table in statistic.tables.iter().filter(|table| **table != "coverage").chain(&["curves", "over_seeds"]) {
            let (some, among): (Vec<_>, BTreeSet<_>) = (rows(&found, table), rows(&whole, table).into_iter().collect());
            let other: Vec<_> = some.iter().filter(|row| !among.contains(*row)).collect();
            assert!(other.is_empty(), "{} in {table}: {:?} of {} rows", statistic.name, other.first(), other.len());
            // The one that is of nothing that is a curve.
            assert_eq!(
                some.is_empty(),
                ["curves", "over_seeds"].contains(table) && statistic.name == "contributions",
                "{} in {table}",
                statistic.name
            );
        }
        if statistic.tables.contains(&"coherence") {
            let of_all: Vec<Vec<String>> = whole.table("coherence").all(&[]);
            let column = whole.table("coherence").0.columns().position(|column| column == "statistic").unwrap();
            let expected: Vec<Vec<String>> =
                of_all.into_iter().filter(|row| row[column].starts_with(statistic.name)).collect();
            assert_eq!(rows(&found, "coherence"), expected, "{}", statistic.name);
        }
    }
}

#[test]
fn every_statistic_of_the_coherence_table_is_called_as_its_rows_begin() {
    let coherence = analysed(&[everything()], &Options { halves: 0, ..all() }).table("coherence");
    let in_rows: BTreeSet<String> = coherence.texts("statistic", &[]).into_iter().collect();
    let names: Vec<&str> = STATISTICS
        .iter()
        .filter(|statistic| statistic.tables.contains(&"coherence"))
        .map(|statistic| statistic.name)
        .collect();
    for row in &in_rows {
        assert!(names.iter().any(|name| row.starts_with(name)), "{row}");
    }
    assert!(names.iter().all(|name| in_rows.iter().any(|row| row.starts_with(name))));
}

#[test]
fn gradients_are_read_only_by_those_that_need_them() {
    let study = Study::new(&[everything()]);
    for statistic in STATISTICS {
        let needs = !matches!(statistic.compute, Compute::Record { gradients: false, .. });
        let (heard, out) = (Heard::default(), TempDir::new().unwrap());
        let options = Options { null_worlds: 0, halves: 0, ..alone(statistic) };
        analyze(study.path(), Some(out.path()), &options, &heard).unwrap();
        let steps = if needs { 11 + 3 } else { 0 };
        assert_eq!(heard.steps.load(Ordering::Relaxed), steps, "{}", statistic.name);
        assert_eq!(heard.runs(), [format!("{} 0 of 1: {steps}", everything().id())]);
    }
    let without: Vec<&str> = STATISTICS
        .iter()
        .filter(|statistic| matches!(statistic.compute, Compute::Record { gradients: false, .. }))
        .map(|statistic| statistic.name)
        .collect();
    assert_eq!(without, ["learned", "metrics", "overfit"]);
}

#[test]
fn names_may_be_given_in_any_order_and_twice_and_an_unknown_one_is_an_error() {
    let study = Study::new(&[everything()]);
    let of = |names: &[&str]| study.analysed(&only(names));
    let (one, other) = (of(&["shares", "gsnr"]), of(&["gsnr", "shares", "gsnr"]));
    for table in ["shares", "coherence", "curves", "tests", "over_seeds", "runs"] {
        assert_eq!(one.table(table).all(&[]), other.table(table).all(&[]), "{table}");
    }
    assert_eq!(other.summary().options.statistics, Some(["gsnr", "shares", "gsnr"].map(str::to_string).to_vec()));
    let nothing = of(&[]);
    assert_eq!((nothing.table("runs").len(), nothing.table("curves").len()), (1, 0));
    let error = study.error(&only(&["shares", "share"])).to_string();
    assert!(
        error.contains(
            "no statistic `share` (did you mean `shares`?); there are aligned_fraction, class_stiffness, confusion,"
        ),
        "{error}"
    );
}
