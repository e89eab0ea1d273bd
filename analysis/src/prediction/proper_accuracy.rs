//! §3.3: for c > 1 the training accuracy does not exceed the proper accuracy.
//!
//! Measured as the largest training accuracy of the evaluations less |P|/m, mean over seeds: at most a tolerance of one
//! percentage point, at every c > 1 and every noise level with corrupt examples. Without any the proper accuracy is 100 %,
//! which nothing can exceed.

use super::text::{capitalised, noise_text, percent};
use super::{Level, Prediction, verdict};

/// How far the training accuracy may lie above the proper accuracy: a corrupt label is right by chance now and then.
const TOLERANCE: f64 = 0.01;
/// The paper speaks of larger c, in percent.
const ABOVE: f64 = 1.0;

/// Largest training accuracy and proper accuracy at one noise level and one c.
struct Point {
    noise: f64,
    percent: f64,
    largest: f64,
    proper: f64,
}

pub(super) fn judge(grid: &[Vec<Level<'_>>]) -> Prediction {
    let rows: Vec<Vec<Point>> = grid
        .iter()
        .map(|levels| levels.iter().filter_map(Point::of).collect())
        .filter(|row: &Vec<_>| !row.is_empty())
        .collect();
    Prediction {
        section: "3.3".into(),
        prediction: "For c\u{a0}>\u{a0}1 the training accuracy does not exceed the proper accuracy".into(),
        measured_as:
            "largest training accuracy of the run at most |P|/m\u{a0}+\u{a0}0.01, at each c\u{a0}>\u{a0}1 and ε with corrupt examples"
                .into(),
        measured: sentence(&rows),
        verdict: verdict(rows.iter().flatten().map(|point| Some(!point.exceeds()))),
    }
}

impl Point {
    fn of(level: &Level<'_>) -> Option<Point> {
        let (largest, proper) = (level.mean(|run| run.max_train_accuracy)?, level.mean(|run| run.proper_accuracy)?);
        let point = Point { noise: level.noise, percent: level.percent, largest, proper };
        (level.percent > ABOVE && proper < 1.0).then_some(point)
    }

    fn exceeds(&self) -> bool {
        self.largest > self.proper + TOLERANCE
    }
}

fn sentence(rows: &[Vec<Point>]) -> String {
    let Some(first) = rows.first() else {
        return "Nothing to compare: no run has both c\u{a0}>\u{a0}1 and corrupt examples.".to_string();
    };
    let common = rows.iter().all(|row| levels(row) == levels(first));
    let list = |row: &Vec<Point>| {
        let own = if common { String::new() } else { format!(", {}", levels(row)) };
        let largest: Vec<String> = row.iter().map(|point| percent(point.largest)).collect();
        let (largest, proper, noise) = (largest.join(", "), percent(row[0].proper), noise_text(row[0].noise));
        format!("{largest}\u{a0}% against {proper}\u{a0}% ({noise}{own})")
    };
    let lists: Vec<String> = rows.iter().map(list).collect();
    let for_levels = if common { format!("for {} ", levels(first)) } else { String::new() };
    let exceeded: Vec<String> = rows.iter().filter_map(|row| failure(row)).collect();
    let failures = if exceeded.is_empty() { String::new() } else { format!(" Exceeded at {}.", exceeded.join(", ")) };
    capitalised(format!("{for_levels}the training accuracy reaches {}.{failures}", lists.join("; ")))
}

/// `c = 2, 4 %`.
fn levels(row: &[Point]) -> String {
    let levels: Vec<String> = row.iter().map(|point| point.percent.to_string()).collect();
    format!("c\u{a0}=\u{a0}{}\u{a0}%", levels.join(", "))
}

fn failure(row: &[Point]) -> Option<String> {
    let levels: Vec<String> =
        row.iter().filter(|point| point.exceeds()).map(|point| point.percent.to_string()).collect();
    (!levels.is_empty()).then(|| format!("{} (c\u{a0}=\u{a0}{}\u{a0}%)", noise_text(row[0].noise), levels.join(", ")))
}
