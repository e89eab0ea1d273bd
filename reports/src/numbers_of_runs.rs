//! Tables of numbers whose first columns say which run a row is of.

use serde::Serialize;

use crate::curves::Groups;
use crate::numbers::{MISSING, capital};
use crate::setting;
use crate::study::{Condition, Run, Study};

/// Rows that a page shows without being asked for.
const FEW: usize = 20;

/// A table of numbers, each already text.
#[derive(Serialize)]
pub struct Numbers {
    /// Empty where the figure's title says it all.
    pub title: String,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// Too long to be shown at once.
    pub long: bool,
}

/// The numbers of a run.
pub struct Row<'a> {
    condition: &'a Condition,
    run: &'a Run,
    cells: Vec<String>,
}

impl<'a> Row<'a> {
    /// A row a run, of those that have numbers.
    pub fn all(study: &'a Study, cells: impl Fn(&Run) -> Option<Vec<String>>) -> Vec<Row<'a>> {
        Row::each(study, &[[None, None]], |run, _| cells(run))
    }

    /// A row a run and group or pair, of those that have numbers.
    pub fn each(
        study: &'a Study,
        groups: &[Groups],
        cells: impl Fn(&Run, &Groups) -> Option<Vec<String>>,
    ) -> Vec<Row<'a>> {
        let mut rows = Vec::new();
        for (condition, run) in study.runs() {
            let of_run = groups.iter().filter_map(|groups| cells(run, groups));
            rows.extend(of_run.map(|cells| Row { condition, run, cells }));
        }
        rows
    }
}

impl Numbers {
    /// None without rows. A column that no row has anything in is left out.
    pub fn new(title: &str, head: Vec<String>, rows: Vec<Vec<String>>) -> Option<Numbers> {
        let filled = |column: &usize| rows.iter().any(|row| row.get(*column).is_some_and(|cell| cell != MISSING));
        let columns: Vec<usize> = (0..head.len()).filter(filled).collect();
        let kept = |row: &Vec<String>| -> Vec<String> { columns.iter().map(|&column| row[column].clone()).collect() };
        let long = rows.len() > FEW;
        (!columns.is_empty()).then(|| Numbers {
            title: title.to_owned(),
            head: kept(&head),
            rows: rows.iter().map(kept).collect(),
            long,
        })
    }

    /// A run is told from the others by the conditions that vary, and its seed where that does; else by its name.
    pub fn of_runs(study: &Study, title: &str, head: &[&str], rows: Vec<Row>) -> Option<Numbers> {
        let varying = study.varying();
        let mut seeds: Vec<Option<u64>> = study.runs().map(|(_, run)| run.seed).collect();
        seeds.dedup();
        let seed = seeds.len() > 1;
        let named = varying.is_empty() && !seed;
        let conditions = &study.summary.conditions;
        let mut titles: Vec<String> =
            varying.iter().map(|&place| capital(&setting::name(&conditions[place].name))).collect();
        titles.extend(seed.then(|| "Seed".to_owned()));
        titles.extend(named.then(|| "Run".to_owned()));
        titles.extend(head.iter().map(|title| (*title).to_owned()));
        let row = |row: Row| {
            let value = |place: &usize| {
                let value = row.condition.setting[*place].as_ref();
                value.map_or(MISSING.to_owned(), |value| setting::value(&conditions[*place].name, value))
            };
            let mut cells: Vec<String> = varying.iter().map(value).collect();
            cells.extend(seed.then(|| row.run.seed.map_or(MISSING.to_owned(), |seed| seed.to_string())));
            cells.extend(named.then(|| row.run.name.clone()));
            cells.extend(row.cells);
            cells
        };
        Numbers::new(title, titles, rows.into_iter().map(row).collect())
    }
}
