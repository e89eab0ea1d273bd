//! The predictions of the paper: sentences made of the numbers that each was judged by.

use cograd_results::prediction::{self, Quantity, Unit};
use cograd_results::{Rows, Summary};
use serde::Serialize;

use crate::distinct;
use crate::numbers::{self, capital};
use crate::setting::{self, NOISE, WINSORIZATION};

const HOLDS: &str = "holds";
const FAILS: &str = "fails";

/// A prediction as the page shows it.
#[derive(Debug, Serialize)]
pub struct Judged {
    /// Section of the paper.
    pub section: String,
    pub statement: String,
    pub measured_as: String,
    /// What was measured, or why nothing could be.
    pub measured: String,
    pub verdict: String,
    /// How the verdict looks.
    pub class: &'static str,
}

/// How many predictions have a verdict.
#[derive(Serialize)]
pub struct Tally {
    class: &'static str,
    text: String,
}

/// In the order of the table.
pub fn judged(rows: &Rows, summary: &Summary) -> Vec<Judged> {
    let mut judged: Vec<Judged> = Vec::new();
    let mut begin = 0;
    while begin < rows.len() {
        let name = rows.text("prediction", begin).unwrap_or_default();
        let same = |row: &usize| rows.text("prediction", *row).unwrap_or_default() == name;
        let end = (begin..rows.len()).find(|row| !same(row)).unwrap_or(rows.len());
        judged.push(judge(name, rows, begin..end, summary));
        begin = end;
    }
    judged
}

fn judge(name: &str, rows: &Rows, all: std::ops::Range<usize>, summary: &Summary) -> Judged {
    let known = prediction::prediction(name);
    // The first row is of the prediction as a whole.
    let whole = all.clone().find(|&row| rows.text("quantity", row).is_none());
    let text = |column: &str| whole.and_then(|row| rows.text(column, row)).unwrap_or_default();
    let points: Vec<usize> = all.filter(|row| Some(*row) != whole).collect();
    let quantities = distinct(points.iter().filter_map(|&row| rows.text("quantity", row)));
    let sentences = quantities.into_iter().map(|quantity| {
        let of_quantity = |row: &usize| rows.text("quantity", *row) == Some(quantity);
        let points: Vec<usize> = points.iter().copied().filter(of_quantity).collect();
        let defined = known.and_then(|known| known.quantities.iter().find(|known| known.name == quantity));
        sentence(quantity, defined, rows, &points, summary)
    });
    let mut measured: Vec<String> = sentences.collect();
    if !text("reason").is_empty() {
        measured.insert(0, format!("{}.", capital(text("reason").trim_end_matches('.'))));
    }
    let verdict = text("verdict").to_owned();
    Judged {
        section: known.map_or(String::new(), |known| known.section.to_owned()),
        statement: known.map_or_else(|| capital(&name.replace('_', " ")), |known| known.statement.to_owned()),
        measured_as: known.map_or(String::new(), |known| known.measured_as.to_owned()),
        measured: measured.join(" "),
        class: class(&verdict),
        verdict,
    }
}

/// `Half of the initial training loss is reached at step 90 (ε = 0), 210 (ε = 0.25).`
fn sentence(name: &str, quantity: Option<&Quantity>, rows: &Rows, points: &[usize], summary: &Summary) -> String {
    let unit = quantity.map_or(Unit::Plain, |quantity| quantity.unit);
    let mut before: Option<f64> = None;
    let mut texts = Vec::new();
    for &row in points {
        let number = |column: &str| rows.number(column, row);
        let measured = number("measured");
        let mut text = written(measured, unit);
        // Of a series every number is compared with the one before it, which is there to read.
        if let Some(against) = number("compared_with").filter(|&against| Some(against) != before && against != 0.0) {
            text = format!("{text} against {}", written(Some(against), unit));
        }
        let mut notes: Vec<String> =
            [NOISE, WINSORIZATION].iter().filter_map(|name| setting_text(name, number(name))).collect();
        notes.extend(number("p").map(|p| p_value(p, summary)));
        notes.extend((rows.text("verdict", row) == Some(FAILS)).then(|| FAILS.to_owned()));
        if !notes.is_empty() {
            text = format!("{text} ({})", notes.join(", "));
        }
        texts.push(text);
        before = measured;
    }
    let about = quantity.map_or_else(|| name.replace('_', " "), |quantity| quantity.about.to_owned());
    let colon = if about.ends_with("step") || about.ends_with("by") { "" } else { ":" };
    format!("{}{colon} {}.", capital(&about), texts.join(", "))
}

/// `ε = 0.25`, `c = 2 %`.
fn setting_text(condition: &str, value: Option<f64>) -> Option<String> {
    let letter = if condition == NOISE { "ε" } else { "c" };
    Some(format!("{letter}\u{a0}=\u{a0}{}", setting::value(condition, &value?.to_string())))
}

/// At the smallest p that the null worlds can show, a bound.
fn p_value(p: f64, summary: &Summary) -> String {
    let smallest = 1.0 / (summary.options.null_worlds as f64 + 1.0);
    if p <= smallest * (1.0 + 1e-9) {
        return format!("p\u{a0}≤\u{a0}{}", numbers::upper_bound(p));
    }
    format!("p\u{a0}=\u{a0}{}", numbers::significant(p, 2))
}

fn written(value: Option<f64>, unit: Unit) -> String {
    match (value, unit) {
        (Some(value), _) if value.is_infinite() => "never".to_owned(),
        (Some(value), Unit::Steps) if value.fract() == 0.0 && value >= 0.0 => numbers::count(value as u64),
        (value, Unit::Percent) => numbers::percent(value),
        (value, _) => numbers::optional(value, 3),
    }
}

/// How many hold, fail and are not checkable; what there is none of is left out.
pub fn tally(judged: &[Judged]) -> Vec<Tally> {
    let words = [("holds", ["holds", "hold"]), ("fails", ["fails", "fail"]), ("unchecked", ["not checkable"; 2])];
    let counted = words.into_iter().map(|(class, words)| {
        let number = judged.iter().filter(|judged| judged.class == class).count();
        (number, Tally { class, text: format!("{number} {}", words[usize::from(number != 1)]) })
    });
    counted.filter(|(number, _)| *number > 0).map(|(_, tally)| tally).collect()
}

fn class(verdict: &str) -> &'static str {
    match verdict {
        HOLDS => HOLDS,
        FAILS => FAILS,
        _ => "unchecked",
    }
}
