//! over_seeds.parquet: every curve's mean and Student-t interval over the seeds of a condition, from curves.parquet as it is
//! published.

use std::collections::BTreeMap;
use std::ops::Range;

use super::curves;
use crate::plain::student_t;
use crate::sheet::{Comparison, Key, Known, Places, Sheet};
use crate::table::{Table, TableFile, Unread, single};

/// Rows of both tables that are there at once, about: all of a curve are, at all steps of all seeds.
const ROWS: usize = 1 << 19;
/// Rows that are sorted by their curves at once.
const SCANNED: usize = 1 << 17;

/// Where the rows of both tables are, curve by curve.
type ByCurve = BTreeMap<Vec<Key>, [Vec<Range<usize>>; 2]>;

/// Compares all of over_seeds.parquet, curve after curve; `conditions` are the names of those of the study.
pub(crate) fn compare(
    files: [&TableFile; 2],
    conditions: impl Iterator<Item = String>,
    known: Known<'_>,
) -> Result<Comparison, Unread> {
    let keys: Vec<String> = conditions.chain(curves::KEYS.map(str::to_string)).collect();
    let mut by_curve = ByCurve::new();
    for (place, file) in files.into_iter().enumerate() {
        for first in (0..file.rows).step_by(SCANNED) {
            let rows = file.load(single(first..(first + SCANNED).min(file.rows)))?;
            for (key, of_curve) in Places::new(&keys, &rows).by_series() {
                let ranges = &mut by_curve.entry(key).or_default()[place];
                ranges.extend(of_curve.into_iter().map(|range| first + range.start..first + range.end));
            }
        }
    }
    let mut comparison = Comparison::default();
    let mut at_once: [Vec<Range<usize>>; 2] = Default::default();
    let mut by_curve = by_curve.into_values().peekable();
    while let Some(of_curve) = by_curve.next() {
        at_once.iter_mut().zip(of_curve).for_each(|(ranges, of_curve)| ranges.extend(of_curve));
        if by_curve.peek().is_some() && at_once.iter().flatten().map(Range::len).sum::<usize>() < ROWS {
            continue;
        }
        let [curves, found] = std::mem::take(&mut at_once).map(|mut ranges| {
            ranges.sort_unstable_by_key(|range| range.start);
            ranges
        });
        let sheet = sheet(&keys, &files[0].load(curves)?);
        let found = files[1].load(found)?;
        let mut places = Places::new(&keys, &found);
        comparison.rows(&sheet, &found, &mut places, known);
        comparison.rest(&keys, &found, &places, known);
    }
    Ok(comparison)
}

/// Of some curves of all runs.
fn sheet(keys: &[String], curves: &Table) -> Sheet {
    let places = Places::new(keys, curves);
    let rows: Vec<(Vec<Key>, Vec<f64>)> = places
        .by_key()
        .map(|(key, rows)| {
            let values = rows.filter_map(|row| curves.number("value", row)).filter(|value| value.is_finite());
            (key, values.collect())
        })
        .collect();
    let quantiles = student_t::quantiles(rows.iter().map(|(_, values)| values.len()).max().unwrap_or(0));
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut sheet = Sheet::new(&keys, &["seeds", "mean", "lower", "upper"]);
    for (key, values) in rows {
        sheet.push(key, student_t::cells(&values, &quantiles));
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::Value;
    use crate::table::testing::table;

    #[test]
    fn the_seeds_of_each_condition_are_taken_together_step_by_step() {
        let rows = [
            "sgd r1 overfit - - - - 0 0.5 - -",
            "sgd r2 overfit - - - - 0 0.25 - -",
            "sgd r2 overfit - - - - 1 - - -",
            "adam r3 overfit - - - - 0 1 - -",
        ];
        let keys: Vec<String> = ["rule"].into_iter().chain(curves::KEYS).map(str::to_string).collect();
        let rows = sheet(&keys, &table("rule curves", &rows)).rows();
        let found: Vec<(&Key, &Key, &Value)> =
            rows.iter().map(|(key, values)| (&key[0], &key[6], &values[0])).collect();
        let (adam, sgd, at) = (Key::from("adam"), Key::from("sgd"), |step: i64| Key::from(step));
        let expected =
            [(&adam, &at(0), &Value::Int(1)), (&sgd, &at(0), &Value::Int(2)), (&sgd, &at(1), &Value::Int(0))];
        assert_eq!(found, expected);
        assert_eq!(rows[1].1[1], Value::near(Some(0.375), 0.375));
        assert_eq!(rows[2].1[1..], [Value::Null, Value::Null, Value::Null]);
    }
}
