//! What three predictions share: a number that falls with the winsorization level c, at every noise level.
//!
//! Judged at the noise levels where two or more levels of c have the number, on means over seeds; it has to fall strictly
//! from each c to the next.

use super::text::{capitalised, noise_text};
use super::{Level, Verdict, is_less, verdict};

/// A number of a run, and how it is written.
pub(super) struct Falling {
    /// What the number is, to go before "is".
    pub name: &'static str,
    pub value: fn(&super::Evidence) -> Option<f64>,
    pub text: fn(f64) -> String,
    /// Goes after a list of numbers.
    pub unit: &'static str,
}

/// The number at each c of one noise level.
struct Row {
    noise: f64,
    /// c in percent, and the number.
    points: Vec<(f64, f64)>,
}

impl Falling {
    /// The verdict, and the sentence with the numbers.
    pub(super) fn judge(&self, grid: &[Vec<Level<'_>>]) -> (String, Verdict) {
        let rows: Vec<Row> = grid.iter().map(|levels| self.row(levels)).filter(|row| row.points.len() > 1).collect();
        let falls = rows.iter().flat_map(|row| row.points.windows(2)).map(|pair| is_less(pair[1].1, pair[0].1));
        (self.sentence(&rows), verdict(falls))
    }

    fn row(&self, levels: &[Level<'_>]) -> Row {
        let point = |level: &Level<'_>| Some((level.percent, level.mean(self.value)?));
        Row { noise: levels[0].noise, points: levels.iter().filter_map(point).collect() }
    }

    fn sentence(&self, rows: &[Row]) -> String {
        let Some(first) = rows.first() else {
            return "Nothing to compare: no noise level has it at two levels of c.".to_string();
        };
        let common = rows.iter().all(|row| row.levels() == first.levels());
        let list = |row: &Row| {
            let numbers: Vec<String> = row.points.iter().map(|point| (self.text)(point.1)).collect();
            let levels = if common { String::new() } else { format!(", {}", row.levels()) };
            format!("{}{} ({}{levels})", numbers.join(", "), self.unit, noise_text(row.noise))
        };
        let lists: Vec<String> = rows.iter().map(list).collect();
        let levels = if common { format!("for {} ", first.levels()) } else { String::new() };
        capitalised(format!("{levels}{} is {}.{}", self.name, lists.join("; "), failures(rows)))
    }
}

impl Row {
    /// `c = 0, 1, 2 %`.
    fn levels(&self) -> String {
        let levels: Vec<String> = self.points.iter().map(|(percent, _)| percent.to_string()).collect();
        format!("c\u{a0}=\u{a0}{}\u{a0}%", levels.join(", "))
    }

    /// `ε = 0.5 (c from 1 to 2 %)`; `None` if the number falls throughout.
    fn failure(&self) -> Option<String> {
        let failing = self.points.windows(2).filter(|pair| is_less(pair[1].1, pair[0].1) == Some(false));
        let places: Vec<String> = failing.map(|pair| format!("{}\u{a0}to\u{a0}{}", pair[0].0, pair[1].0)).collect();
        (!places.is_empty())
            .then(|| format!("{} (c\u{a0}from\u{a0}{}\u{a0}%)", noise_text(self.noise), places.join(", ")))
    }
}

fn failures(rows: &[Row]) -> String {
    let failures: Vec<String> = rows.iter().filter_map(Row::failure).collect();
    if failures.is_empty() { String::new() } else { format!(" It does not fall at {}.", failures.join(", ")) }
}
