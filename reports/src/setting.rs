//! The conditions of runs, whatever they are called, and how they are written.

use std::collections::HashMap;

use cograd_results::summary::{self, Summary};
use cograd_results::{Kind, Rows};
use serde_json::Value;

/// The values of a study's conditions, in the order of its summary; none: not set.
pub type Setting = Vec<Option<String>>;

/// The label noise ε.
pub const NOISE: &str = "noise";
/// The level c of winsorized SGD, in percent.
pub const WINSORIZATION: &str = "winsorization";
/// The update rule.
pub const RULE: &str = "rule";

/// The conditions of a run.
pub fn of_run(run: &summary::Run, summary: &Summary) -> Setting {
    // As the columns of the tables: 2.0 is 2.
    let text = |value: &Value, kind: Kind| match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() || kind == Kind::Number => {
            number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string())
        }
        _ => value.to_string(),
    };
    let value = |condition: &summary::Condition| Some(text(run.conditions.get(&condition.name)?, condition.kind));
    summary.conditions.iter().map(value).collect()
}

/// The conditions that a row of a table begins with.
pub fn of_row(rows: &Rows, row: usize, summary: &Summary) -> Setting {
    let value = |condition: &summary::Condition| {
        let name = condition.name.as_str();
        match condition.kind {
            Kind::Text => rows.text(name, row).map(str::to_owned),
            Kind::Boolean => rows.boolean(name, row).map(|value| value.to_string()),
            Kind::Number => rows.number(name, row).map(|value| value.to_string()),
            Kind::Integer | Kind::Count => rows.integer(name, row).map(|value| value.to_string()),
        }
    };
    summary.conditions.iter().map(value).collect()
}

/// What a condition is called: over a column of a table, or before its values.
pub fn name(condition: &str) -> String {
    match condition {
        NOISE => "label noise ε".to_owned(),
        WINSORIZATION => "winsorization c".to_owned(),
        _ => condition.to_owned(),
    }
}

/// A value of a condition, with its unit.
pub fn value(condition: &str, value: &str) -> String {
    match value.parse::<f64>() {
        _ if condition == WINSORIZATION => format!("{value}\u{a0}%"),
        // 1e-8
        Ok(number) if value.len() > 8 && format!("{number:e}").len() < value.len() => format!("{number:e}"),
        _ => value.to_owned(),
    }
}

/// Those conditions at the places `which` that have to be named to tell `settings` apart: not the settings of an optimizer or
/// a rule, which have one value wherever it is chosen, and none elsewhere.
pub fn telling(conditions: &[summary::Condition], settings: &[&Setting], which: &[usize]) -> Vec<usize> {
    let is_of_one_value = |place: usize| {
        let mut values = settings.iter().filter_map(|setting| setting[place].as_ref());
        let is_alike = values.next().is_some_and(|first| values.all(|value| value == first));
        is_alike && settings.iter().any(|setting| setting[place].is_none())
    };
    // Whether a value of `a` never goes with two of `b`.
    let says = |a: usize, b: usize| {
        let mut found = HashMap::new();
        settings.iter().all(|setting| *found.entry(&setting[a]).or_insert(&setting[b]) == &setting[b])
    };
    let is_chosen = |place: usize| conditions[place].kind == Kind::Text && !is_of_one_value(place);
    let is_said = |place: usize| {
        let is_own = [NOISE, WINSORIZATION].contains(&conditions[place].name.as_str());
        !is_own && is_of_one_value(place) && which.iter().any(|&other| is_chosen(other) && says(other, place))
    };
    which.iter().copied().filter(|&place| !is_said(place)).collect()
}

/// `label noise ε = 0.25`.
pub fn words(condition: &str, of: &str) -> String {
    format!("{}\u{a0}=\u{a0}{}", name(condition), value(condition, of))
}

/// The rule that a level of winsorization says.
const WINSORIZED: &str = "winsorized";

/// The conditions at the places `which`, in words; those that are not set are left out.
pub fn label(summary: &Summary, setting: &Setting, which: &[usize]) -> String {
    let name = |place: usize| summary.conditions[place].name.as_str();
    let level = which.iter().any(|&place| name(place) == WINSORIZATION && setting[place].is_some());
    let set = which.iter().filter_map(|&place| {
        let of = setting[place].as_ref()?;
        let said = level && name(place) == RULE && of == WINSORIZED;
        (!said).then(|| words(name(place), of))
    });
    let label = set.collect::<Vec<_>>().join(", ");
    match (label.is_empty(), which.first()) {
        (true, Some(&first)) => format!("no {}", self::name(name(first))),
        _ => label,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_an_optimizer_are_said_by_its_name_and_nothing_else_is() {
        let condition = |name: &str, kind| summary::Condition { name: name.to_owned(), kind, varies: true };
        let conditions = [
            condition("optimizer", Kind::Text),
            condition("momentum", Kind::Number),
            condition("width", Kind::Integer),
            condition(WINSORIZATION, Kind::Number),
        ];
        let setting = |values: [&str; 4]| -> Setting {
            values.iter().map(|value| (!value.is_empty()).then(|| value.to_string())).collect()
        };
        let telling = |settings: &[Setting]| telling(&conditions, &settings.iter().collect::<Vec<_>>(), &[0, 1, 2, 3]);
        // The width goes with the optimizer too, but both have one.
        let settings = [["sgd", "", "32", ""], ["momentum", "0.9", "64", "4"], ["momentum", "0.9", "64", ""]];
        assert_eq!(telling(&settings.map(setting)), [0, 2, 3]);
        let two_values = [["sgd", "", "32", ""], ["momentum", "0.9", "32", ""], ["momentum", "0.99", "32", ""]];
        assert_eq!(telling(&two_values.map(setting)), [0, 1, 2, 3]);
    }

    #[test]
    fn small_and_large_values_are_written_short() {
        assert_eq!(
            ["0.00000001", "0.0001", "12000", "studies/a@100"].map(|text| value("x", text)),
            ["1e-8", "0.0001", "12000", "studies/a@100"]
        );
        assert_eq!(value(WINSORIZATION, "4"), "4\u{a0}%");
    }
}
