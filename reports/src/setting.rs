//! The conditions of runs, whatever they are called, and how they are written.

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
    if condition == WINSORIZATION { format!("{value}\u{a0}%") } else { value.to_owned() }
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
