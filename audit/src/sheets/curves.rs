//! curves.parquet: everything of the other tables, as they are published, that is one number a step.

use std::ops::Range;

use cograd_results::{Curve, CurveName, TABLES};

use crate::sheet::{Key, Sheet, Value};
use crate::table::{Cell, Table, Tables};

/// Rows of a sheet, at most.
const ROWS: usize = 1 << 16;

pub(crate) const KEYS: [&str; 6] = ["curve", "estimator", "layer", "group_a", "group_b", "step"];

/// Hands on the rows that some rows of the tables make, in parts.
pub(crate) fn each(tables: &Tables, mut take: impl FnMut(&Sheet)) {
    // Without rows they are compared too.
    take(&empty());
    for (definition, curve) in TABLES.iter().flat_map(|table| table.curves.iter().map(move |curve| (table, curve))) {
        let Some(table) = tables.get(definition.name) else { continue };
        for first in (0..table.rows()).step_by(ROWS) {
            take(&of_rows(definition, curve, table, first..(first + ROWS).min(table.rows())));
        }
    }
}

fn empty() -> Sheet {
    Sheet::new(&KEYS, &["value", "lower", "upper"])
}

fn of_rows(definition: &cograd_results::Table, curve: &Curve, table: &Table, rows: Range<usize>) -> Sheet {
    let mut sheet = empty();
    for row in rows {
        let cell = |column: &str| table.cell(column, row);
        if definition.has("world") && cell("world") != Cell::Int(0) {
            continue;
        }
        let text = |column: &str| if let Cell::Text(text) = cell(column) { text } else { "" };
        let name = match curve.name {
            CurveName::Fixed(name) => name.to_string(),
            CurveName::Column(column) => text(column).to_string(),
            CurveName::Joined(first, second) => format!("{}_{}", text(first), text(second)),
        };
        // Of an evaluation all examples are no group; elsewhere they may be the one group.
        let is_all = |cell| cell == Cell::Text("all") && !definition.has("estimator");
        let group = |column: Option<&str>| Key::from(column.map(cell).filter(|cell| !is_all(*cell)));
        let [a, b] = curve.groups.map(group);
        let key = vec![Key::Text(name), cell("estimator").into(), cell("layer").into(), a, b, cell("step").into()];
        let [lower, upper] = curve.interval.unwrap_or_default().map(|end| Value::from(cell(end)));
        sheet.push(key, [cell(curve.value).into(), lower, upper]);
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::testing::table;

    #[test]
    fn the_definitions_say_what_is_a_curve() {
        let metrics = table("metrics", &["r 0 train all loss 2.5 10", "r 0 train corrupt loss 3 5"]);
        let shares =
            table("shares", &["r paper 1 0 all 0.5 - -", "r paper 1 2 all 0.25 - -", "r population 1 0 late 1 0.5 2"]);
        let tables = Tables::from([("metrics", metrics), ("shares", shares)]);
        let mut rows = Vec::new();
        each(&tables, |sheet| rows.extend(sheet.rows()));
        let row = |key: [Option<&str>; 5], step: i64, values: [Option<f64>; 3]| {
            let key = [key.map(Key::from).to_vec(), vec![Key::from(step)]].concat();
            (key, values.map(Value::exact).to_vec())
        };
        let expected = [
            row([Some("train_loss"), None, None, None, None], 0, [Some(2.5), None, None]),
            row([Some("train_loss"), None, None, Some("corrupt"), None], 0, [Some(3.0), None, None]),
            row([Some("share"), Some("paper"), None, Some("all"), None], 1, [Some(0.5), None, None]),
            row([Some("share"), Some("population"), None, Some("late"), None], 1, [Some(1.0), Some(0.5), Some(2.0)]),
        ];
        assert_eq!(rows, expected);
    }
}
