//! The Gram matrix of the sampled examples over training, as cosines: ordered by class, and by the step at which they were learned.

use super::heat_map::{Shade, spread};
use super::layout::{Cell, Panels, Plot, Row};
use super::style::GRID;
use super::{COHERENCE, Figure, Figures};
use crate::ReportError;
use crate::axes::Scale;
use crate::curves::{Key, PAPER};
use crate::numbers;
use crate::study::{Condition, Matrix, Sheet, Study};

/// Steps that matrices are shown at.
const STEPS: usize = 4;
/// Conditions that the caption speaks of.
const SPOKEN: usize = 4;
/// Learned steps along an axis.
const MARKS: usize = 4;

pub const CHANCE: &str = "similarity_nearest_same_class_chance";
const SAME_CLASS: &str = "similarity_nearest_same_class";

pub fn figures(study: &Study) -> Figures {
    let orders = [
        (
            "class",
            "Which examples are similar: by class",
            "class by class, and in a class by the step at which it was learned",
        ),
        (
            "learned_step",
            "Which examples are similar: by learned step",
            "by the step at which each was learned, those never learned last",
        ),
    ];
    let mut figures = Vec::new();
    for (order, title, sorted) in orders {
        let caption = format!(
            "The Gram matrix of the gradients of the sampled examples as cosines, a pixel the mean over the pairs of two blocks of neighbours; examples are ordered {sorted}. Green: the gradients of the pair agree; purple: they oppose each other. Of several seeds the first is shown.{}",
            found(study)
        );
        let figure =
            Figure::new(COHERENCE, format!("similarity-{}", order.replace('_', "-")), title, &["similarity", "curves"])
                .saying(caption);
        // A thousand cells a matrix: the page, which has all in it, would become twice as large.
        figures.extend(of_order(study, figure, order)?.map(|figure| Figure { linked: true, ..figure }));
    }
    Ok(figures)
}

fn of_order(study: &Study, figure: Figure, order: &str) -> Result<Option<Figure>, ReportError> {
    let shown = |condition: &Condition| matrices(condition, order).next().is_some();
    let sheets = study.sheets(shown).into_iter();
    figure.with_pictures(sheets.map(|sheet| (sheet.heading.clone(), panels(&sheet, order))).collect())
}

/// Those of the first run that has some.
fn matrices<'a>(condition: &'a Condition, order: &'a str) -> impl Iterator<Item = &'a Matrix> {
    let of_run = condition.runs.iter().find(|run| run.matrices.iter().any(|matrix| matrix.order == order));
    of_run.into_iter().flat_map(|run| &run.matrices).filter(move |matrix| matrix.order == order)
}

/// How often the nearest neighbour is of the same class, at the first step and at the last.
fn found(study: &Study) -> String {
    let percent = |value: f64| format!("{} %", numbers::significant(100.0 * value, 2));
    let of = |condition: &Condition, curve: &str| -> Option<(f64, f64, f64)> {
        let series = condition.series(&Key::estimated(curve, PAPER)).into_iter().next()?;
        let mut known = series.curve.line.into_iter().filter_map(|point| Some((point.0, point.1?)));
        let first = known.next()?;
        let last = known.next_back().unwrap_or(first);
        Some((first.1, last.1, last.0))
    };
    let sheets = study.sheets(|condition| of(condition, SAME_CLASS).is_some());
    let columns = sheets.iter().flat_map(|sheet| {
        sheet.columns.iter().map(|(label, condition)| match sheet.heading.is_empty() {
            true => (label.clone(), *condition),
            false => (format!("{}, {label}", sheet.heading), *condition),
        })
    });
    let sentence = |(label, condition): (String, &Condition)| {
        let (first, last, step) = of(condition, SAME_CLASS)?;
        let label = if label.is_empty() { label } else { format!("{label}: ") };
        let step = numbers::count(step as u64);
        let chance =
            of(condition, CHANCE).map_or(String::new(), |(_, chance, _)| format!(" (by chance {})", percent(chance)));
        Some(format!("{label}{} at the first step, {} at step {step}{chance}", percent(first), percent(last)))
    };
    let sentences: Vec<String> = columns.take(SPOKEN).filter_map(sentence).collect();
    match sentences.is_empty() {
        true => String::new(),
        false => format!(" The example whose gradient is nearest is of the same class in {}.", sentences.join("; ")),
    }
}

/// A row a condition, a column a step.
fn panels(sheet: &Sheet, order: &str) -> Panels {
    let all: Vec<Vec<&Matrix>> = sheet.conditions().map(|condition| matrices(condition, order).collect()).collect();
    let mut known: Vec<f64> = all.iter().flatten().map(|matrix| matrix.step as f64).collect();
    known.sort_by(f64::total_cmp);
    known.dedup();
    let first = known.first().copied().unwrap_or(0.0);
    let steps = spread(&known, STEPS, |step| (1.0 + step - first).ln());
    let shown = |matrix: &&&Matrix| steps.contains(&(matrix.step as f64));
    let values: Vec<f64> =
        all.iter().flatten().filter(shown).flat_map(|matrix| matrix.cells.iter().filter_map(|cell| cell.2)).collect();
    let shade = Shade::new(&values);
    let row = |((label, _), matrices): (&(String, &Condition), &Vec<&Matrix>)| Row {
        name: label.clone(),
        x_axis: if order == "class" { "Class" } else { "Learned at step" }.to_owned(),
        height: None,
        plots: steps
            .iter()
            .map(|step| plot(matrices.iter().find(|matrix| matrix.step as f64 == *step), &shade))
            .collect(),
    };
    let rows = sheet.columns.iter().zip(&all).map(row).collect();
    let headings = steps.iter().map(|step| format!("step {}", numbers::count(*step as u64)));
    Panels { legend: shade.legend("mean cosine"), interval: sheet.interval(), rows }.headed(headings)
}

fn plot(matrix: Option<&&Matrix>, shade: &Shade) -> Plot {
    let Some(matrix) = matrix else { return Plot::new(Scale::names(&[], false), Scale::names(&[], true)) };
    let names = &matrix.names;
    let blocks = names.len();
    let marks = marks(names, matrix.order == "class");
    let mut grid = vec![None; blocks * blocks];
    for &(a, b, value) in &matrix.cells {
        grid[a * blocks + b] = value;
        grid[b * blocks + a] = value;
    }
    let mut plot = Plot::new(Scale::places(&marks, blocks, false), Scale::places(&marks, blocks, true));
    for (place, value) in grid.iter().enumerate() {
        let (row, column) = (place / blocks, place % blocks);
        let y = [blocks - row - 1, blocks - row].map(|place| place as f64);
        let colour = value.map_or(GRID, |value| shade.colour(value));
        // Neighbours of one colour are one rectangle.
        match plot.cells.last_mut() {
            Some(last) if last.y == y && last.colour == colour => last.x[1] = column as f64 + 1.0,
            _ => plot.cells.push(Cell { x: [column as f64, column as f64 + 1.0], y, colour, text: String::new() }),
        }
    }
    let number = |&(a, b, value): &(usize, usize, Option<f64>)| {
        (format!("{} ({a}) × {} ({b})", names[a], names[b]), matrix.step, value)
    };
    plot.numbers = matrix.cells.iter().map(number).collect();
    plot
}

/// What stands along an axis, and where: each class at its middle, or some of the learned steps.
fn marks(names: &[String], by_class: bool) -> Vec<(f64, String)> {
    if by_class {
        let mut first = 0;
        let of_class = names.chunk_by(|a, b| a == b).map(|blocks| {
            first += blocks.len();
            (first as f64 - blocks.len() as f64 / 2.0, super::short_name(&blocks[0]))
        });
        return of_class.collect();
    }
    let at = |mark: usize| mark * (names.len() - 1) / (MARKS.min(names.len()) - 1).max(1);
    let begins = |name: &str| name.split(" – ").next().unwrap_or_default().to_owned();
    (0..MARKS.min(names.len())).map(|mark| (at(mark) as f64 + 0.5, begins(&names[at(mark)]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_stand_at_their_middle_and_learned_steps_are_few() {
        let names = |names: &[&str]| -> Vec<String> { names.iter().map(|name| name.to_string()).collect() };
        let classes = marks(&names(&["a", "a", "a", "b"]), true);
        assert_eq!(classes, [(1.5, "a".to_string()), (3.5, "b".to_string())]);
        let steps = marks(&names(&["0 – 2", "2", "3 – 9", "9", "10 – 20", "21", "never"]), false);
        let expected = [(0.5, "0"), (2.5, "3"), (4.5, "10"), (6.5, "never")];
        assert_eq!(steps, expected.map(|(place, name)| (place, name.to_string())));
        assert_eq!(marks(&names(&["5"]), false), [(0.5, "5".to_string())]);
        assert!(marks(&[], false).is_empty());
    }
}
