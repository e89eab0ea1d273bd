//! Conditions at matched training accuracy: test accuracy and overfit against training accuracy, a curve a condition.

use super::layout::{Marks, Panels, Plot, Row, StyledCurve, TALL};
use super::legend::{Key as LegendKey, Legend};
use super::style::{QUIET, line_style};
use super::{Figure, Figures, MATCHED, values};
use crate::axes::{Scale, whole_range, wide_range};
use crate::canvas::{Dash, Stroke};
use crate::curves::{Banded, Key, Line, Point, Series};
use crate::distinct;
use crate::numbers;
use crate::numbers::capital;
use crate::numbers_of_runs::Numbers;
use crate::setting::{self, NOISE};
use crate::study::{Condition, MOST_COLUMNS, OVER_SEEDS, Run, Study};

/// A condition where its training accuracy first reaches one that every run of its noise level reached.
struct Match<'a> {
    condition: &'a Condition,
    train_accuracy: Option<f64>,
    step: Option<f64>,
    test_accuracy: Option<f64>,
    overfit: Option<f64>,
}

/// The matches of a noise level, or of a study without any.
struct Level<'a> {
    noise: Option<String>,
    matches: Vec<Match<'a>>,
}

pub fn figures(study: &Study) -> Figures {
    let levels = levels(study);
    let ranges: Vec<String> = levels.iter().filter_map(|level| range(study, level)).collect();
    let sentence =
        if ranges.is_empty() { String::new() } else { format!(" Test accuracy there: {}.", ranges.join("; ")) };
    let figure = Figure::new(MATCHED, "matched", "Test accuracy and overfit at the same training accuracy", &["curves", "matched", "runs"])
        .saying(format!("Each curve is a condition from its first evaluation to its last, which the marker shows; the higher its test accuracy and the lower its overfit at the same training accuracy, the better it generalises from what it has fitted. Upright lines: the proper accuracy, dotted, and the largest training accuracy that every run at that noise level reached, solid, at which the table compares the conditions (interpolated between evaluations, means over seeds).{sentence}"))
        .with_numbers(matched_numbers(study, &levels));
    let sheets = levels.chunks(MOST_COLUMNS).map(|levels| (String::new(), panels(study, &conditions(study), levels)));
    Ok(figure.with_pictures(sheets.collect())?.into_iter().collect())
}

fn levels(study: &Study) -> Vec<Level<'_>> {
    let Some(rows) = &study.matched else { return Vec::new() };
    let noise = study.condition_index(NOISE);
    let mut levels: Vec<Level> = Vec::new();
    for row in 0..rows.len() {
        let setting = setting::of_row(rows, row, &study.summary);
        let Some(condition) = study.conditions.iter().find(|condition| condition.setting == setting) else { continue };
        let number = |column: &str| rows.number(column, row);
        let matched = Match {
            condition,
            train_accuracy: number("train_accuracy"),
            step: number("step"),
            test_accuracy: number("test_accuracy"),
            overfit: number("overfit"),
        };
        let noise = noise.and_then(|place| setting[place].clone());
        match levels.iter_mut().find(|level| level.noise == noise) {
            Some(level) => level.matches.push(matched),
            None => levels.push(Level { noise, matches: vec![matched] }),
        }
    }
    levels
}

/// What tells the conditions of a noise level apart.
fn label(study: &Study, condition: &Condition) -> String {
    let noise = study.condition_index(NOISE);
    let others: Vec<usize> = study.told_apart_by().into_iter().filter(|place| Some(*place) != noise).collect();
    setting::label(&study.summary, &condition.setting, &others)
}

/// The labels of all conditions, in order: each has its style in every panel.
fn conditions(study: &Study) -> Vec<String> {
    distinct(study.conditions.iter().map(|condition| label(study, condition)))
}

fn heading(level: &Level) -> String {
    level.noise.as_ref().map(|noise| setting::words(NOISE, noise)).unwrap_or_default()
}

fn proper() -> Stroke {
    Stroke { dash: Dash::Dotted, ..Stroke::solid(QUIET, 0.75) }
}

fn matched() -> Stroke {
    Stroke::solid(QUIET, 0.75)
}

fn panels(study: &Study, labels: &[String], levels: &[Level]) -> Panels {
    let style = |condition: &Condition| {
        let label = label(study, condition);
        let (colour, dash, marker) = line_style(labels.iter().position(|known| *known == label).unwrap_or(0));
        (Stroke { dash, ..Stroke::solid(colour, 1.25) }, marker)
    };
    let of_level = |level: &Level, curve: &str| -> Vec<StyledCurve> {
        let drawn = level.matches.iter().flat_map(|of| {
            let (stroke, marker) = style(of.condition);
            // Where training ended: early in training the curves of all conditions coincide.
            StyledCurve::all(against_training(of.condition, curve), stroke, Some((marker, Marks::Last)))
        });
        drawn.collect()
    };
    let row = |(curve, title): (&str, &str)| {
        let all: Vec<Vec<StyledCurve>> = levels.iter().map(|level| of_level(level, curve)).collect();
        let (low, high) = whole_range(&values(all.iter().flatten()));
        let y = Scale::linear(low, high.max(10.0), 5, 0);
        let plot = |(level, curves): (&Level, Vec<StyledCurve>)| {
            let accuracies = curves.iter().flat_map(|drawn| drawn.series.curve.line.iter().map(|point| point.0));
            let accuracies: Vec<f64> = accuracies.collect();
            let reached = level.matches.first().and_then(|of| of.train_accuracy).map(|accuracy| 100.0 * accuracy);
            let known = level.matches.iter().flat_map(|of| of.condition.distinct(|run| run.number("proper_accuracy")));
            let mut propers: Vec<f64> = known.map(|accuracy| 100.0 * accuracy).collect();
            propers.dedup();
            let include: Vec<f64> = propers.iter().copied().chain(reached).chain(accuracies.iter().copied()).collect();
            let (low, high) = wide_range(accuracies.into_iter(), &include);
            let references = propers.into_iter().map(|accuracy| (accuracy, proper()));
            Plot {
                uprights: references.chain(reached.map(|accuracy| (accuracy, matched()))).collect(),
                curves,
                ..Plot::new(Scale::linear(low, high, 4, 0), y.clone())
            }
        };
        Row::new(TALL, "Training accuracy (%)", title, levels.iter().zip(all).map(plot).collect())
    };
    let rows = [("test_accuracy", "Test accuracy (%)"), ("overfit", "Overfit (%)")].map(row);
    let shown = |row: &Row| row.plots.iter().any(|plot| !plot.curves.is_empty());
    let rows = rows.into_iter().filter(shown).collect();
    let line = |(index, label): (usize, &String)| {
        let (colour, dash, marker) = line_style(index);
        (label.clone(), Stroke { dash, ..Stroke::solid(colour, 1.25) }, marker)
    };
    let legend = Legend::of_lines(labels.iter().enumerate().map(line))
        .with(LegendKey::Line(proper()), "proper accuracy")
        .with(LegendKey::Line(matched()), "matched accuracy");
    Panels { legend, interval: OVER_SEEDS, rows }.headed(levels.iter().map(heading))
}

/// A curve against training accuracy in the order of the steps, both in percent: of the mean over the seeds against their mean
/// training accuracy, or of each seed.
fn against_training(condition: &Condition, curve: &str) -> Vec<Series> {
    let (training, key) = (Key::new("train_accuracy"), Key::new(curve));
    let path = |training: &Banded, curve: &Banded| {
        let against = |line: &Line| -> Line {
            let point = |&(step, value): &Point| Some((100.0 * training.at(step)?, value.map(|value| 100.0 * value)));
            line.iter().filter_map(point).collect()
        };
        Banded::new([&curve.line, &curve.lower, &curve.upper].map(against))
    };
    let with_values = |curve: &Banded| curve.has_values();
    if let Some((training, curve)) = condition.mean(&training).zip(condition.mean(&key)) {
        let curve = Some(path(training, curve)).filter(with_values);
        return curve.into_iter().map(|curve| Series { curve, one_of_several: false }).collect();
    }
    let of_run = |run: &Run| Some(path(run.curves.get(&training)?, run.curves.get(&key)?));
    let curves = condition.runs.iter().filter_map(of_run).filter(with_values);
    curves.map(|curve| Series { curve, one_of_several: condition.runs.len() > 1 }).collect()
}

/// The conditions with the lowest and the highest test accuracy at one noise level.
fn range(study: &Study, level: &Level) -> Option<String> {
    let known: Vec<(&Match, f64)> = level.matches.iter().filter_map(|of| Some((of, of.test_accuracy?))).collect();
    let lowest = known.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let highest = known.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let at = |(of, accuracy): &(&Match, f64)| {
        format!("{} ({})", numbers::percent(Some(*accuracy)), label(study, of.condition))
    };
    let heading = heading(level);
    let noise = if heading.is_empty() { heading } else { format!(" at {heading}") };
    Some(format!("{} to {}{noise}", at(lowest), at(highest)))
}

fn matched_numbers(study: &Study, levels: &[Level]) -> Option<Numbers> {
    let row = |level: &Level, of: &Match| {
        let step =
            of.step.map_or_else(|| numbers::MISSING.to_owned(), |step| numbers::count(step.round().max(0.0) as u64));
        let noise = level.noise.clone().unwrap_or_else(|| numbers::MISSING.to_owned());
        let mut row = vec![label(study, of.condition), noise, numbers::percent(of.train_accuracy), step];
        row.extend([of.test_accuracy, of.overfit].map(numbers::percent));
        row
    };
    let rows = levels.iter().flat_map(|level| level.matches.iter().map(move |of| row(level, of))).collect();
    let noise = capital(&setting::name(NOISE));
    let head = ["Condition", &noise, "Matched training accuracy", "Reached at step", "Test accuracy", "Overfit"];
    Numbers::new("", head.map(str::to_owned).into(), rows)
}
