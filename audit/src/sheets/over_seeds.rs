//! over_seeds.parquet: every curve's mean and Student-t interval over the seeds of a condition, from curves.parquet as it is
//! published.

use std::collections::BTreeMap;

use super::Study;
use crate::plain::student_t;
use crate::sheet::{Key, Sheet};

pub(super) fn sheet(study: &Study<'_>) -> Result<Sheet, String> {
    let curves = study.tables.get("curves").ok_or("curves.parquet cannot be read")?;
    let of_curve = ["curve", "estimator", "layer", "group_a", "group_b", "step"];
    let conditions = study.conditions.iter().map(|condition| condition.name.as_str());
    let keys: Vec<&str> = conditions.chain(of_curve).collect();
    let mut values: BTreeMap<Vec<Key>, Vec<f64>> = BTreeMap::new();
    for row in 0..curves.rows() {
        let key = keys.iter().map(|column| curves.cell(column, row).into()).collect();
        let there = values.entry(key).or_default();
        there.extend(curves.number("value", row).filter(|value| value.is_finite()));
    }
    let quantiles = student_t::quantiles(values.values().map(Vec::len).max().unwrap_or(0));
    let mut sheet = Sheet::new(&keys, &["seeds", "mean", "lower", "upper"]);
    for (key, values) in values {
        sheet.push(key, student_t::cells(&values, &quantiles));
    }
    Ok(sheet)
}

#[cfg(test)]
mod tests {
    use cograd_results::Kind;
    use cograd_results::summary::Condition;

    use super::*;
    use crate::sheet::Value;
    use crate::table::Tables;
    use crate::table::testing::table;

    #[test]
    fn the_seeds_of_each_condition_are_taken_together_step_by_step() {
        let rows = [
            "sgd r1 overfit - - - - 0 0.5 - -",
            "sgd r2 overfit - - - - 0 0.25 - -",
            "sgd r2 overfit - - - - 1 - - -",
            "adam r3 overfit - - - - 0 1 - -",
        ];
        let tables = Tables::from([("curves", table("rule curves", &rows))]);
        let conditions = [Condition { name: "rule".to_string(), kind: Kind::Text, varies: true }];
        let (runs, names) = (Err(String::new()), Vec::new());
        let study = Study { runs, names, conditions: &conditions, tables: &tables };
        let sheet = sheet(&study).unwrap();
        let found: Vec<(&Key, &Key, &Value)> =
            sheet.rows.iter().map(|(key, values)| (&key[0], &key[6], &values[0])).collect();
        let (adam, sgd, at) = (Key::from("adam"), Key::from("sgd"), |step: i64| Key::from(step));
        let expected =
            [(&adam, &at(0), &Value::Int(1)), (&sgd, &at(0), &Value::Int(2)), (&sgd, &at(1), &Value::Int(0))];
        assert_eq!(found, expected);
        assert_eq!(sheet.rows[1].1[1], Value::near(Some(0.375), 0.375));
        assert_eq!(sheet.rows[2].1[1..], [Value::Null, Value::Null, Value::Null]);
    }
}
