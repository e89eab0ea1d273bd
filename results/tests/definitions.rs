//! The definitions of tables, curves and predictions agree with each other.

use std::collections::BTreeSet;

use cograd_results::prediction::{PREDICTIONS, prediction};
use cograd_results::{COMPARISON_TABLES, CurveName, EARLIER_NAMES, TABLES, Table, table};

fn tables() -> impl Iterator<Item = &'static Table> {
    TABLES.iter().chain(COMPARISON_TABLES).copied()
}

fn assert_distinct<'a>(names: impl Iterator<Item = &'a str>, of: &str) {
    let mut seen = BTreeSet::new();
    names.for_each(|name| assert!(seen.insert(name), "{of}: {name} is there twice"));
}

#[test]
fn every_table_is_found_by_its_name() {
    assert_distinct(tables().map(|table| table.name), "tables");
    tables().for_each(|known| assert_eq!(table(known.name).map(|found| found.about), Some(known.about)));
}

#[test]
fn every_column_is_there_once_and_explained() {
    for table in tables() {
        assert!(table.about.ends_with('.'), "{}: {}", table.name, table.about);
        // The columns of the scope are before these.
        assert_distinct(["run", "seed"].into_iter().chain(table.columns.iter().map(|column| column.name)), table.name);
        for column in table.columns {
            assert!(!column.about.is_empty(), "{}: {}", table.name, column.name);
            assert!(table.has(column.name));
        }
    }
}

#[test]
fn curves_are_of_columns_that_their_table_has() {
    for table in tables() {
        for curve in table.curves {
            let named = match curve.name {
                CurveName::Fixed(_) => vec![],
                CurveName::Column(column) => vec![column],
                CurveName::Joined(first, second) => vec![first, second],
            };
            let columns = [curve.value, "step"].into_iter().chain(named);
            let columns = columns.chain(curve.groups.into_iter().flatten()).chain(curve.interval.into_iter().flatten());
            columns.for_each(|column| assert!(table.has(column), "{}: {column}", table.name));
        }
    }
}

#[test]
fn earlier_names_stand_for_curves_that_there_are() {
    let named = |name| tables().any(|table| table.curves.iter().any(|curve| curve.name == CurveName::Fixed(name)));
    EARLIER_NAMES.iter().for_each(|(_, curve, _)| assert!(named(*curve), "{curve}"));
}

#[test]
fn every_prediction_is_found_by_its_name_and_has_quantities() {
    assert_distinct(PREDICTIONS.iter().map(|prediction| prediction.name), "predictions");
    for known in &PREDICTIONS {
        assert_eq!(prediction(known.name).map(|found| found.statement), Some(known.statement));
        assert_distinct(known.quantities.iter().map(|quantity| quantity.name), known.name);
        assert!(!known.quantities.is_empty(), "{}", known.name);
    }
}
