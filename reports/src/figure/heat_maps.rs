//! Matrices over time as heat maps: a row a condition, a column a step, one diverging colour map with its bar above.

use plotters::style::RGBColor;

use super::look::{FULL_WIDTH, GRID, INK, QUIET, diverging};
use super::{short_name, step_name};
use crate::ReportError;
use crate::canvas::{self, Align, BODY, Canvas, Font, SMALL, Stroke, text_width};
use crate::curves::Line;
use crate::numbers;
use crate::results::Condition;

/// Steps shown at most.
const STEPS: usize = 6;
const HEADING: f64 = 14.0;
const NOTE: f64 = 10.0;
const GAP: f64 = 8.0;
const STRIP: f64 = 16.0;
const BAR: f64 = 34.0;
const BAR_WIDTH: f64 = 150.0;
/// Values are written into the cells of matrices up to this size.
const WITH_VALUES: usize = 3;

/// What the ends of the colour map stand for.
#[derive(Clone, Copy, PartialEq)]
pub enum Limit {
    /// The largest size of a value.
    Shared,
    /// The largest size of a value at each step, which its heading states.
    OfStep,
}

pub struct HeatMaps<'t> {
    pub title: &'t str,
    /// What the colours mean.
    pub quantity: &'t str,
    pub limit: Limit,
    /// Of the rows and columns of every matrix.
    pub names: Vec<String>,
    pub steps: Vec<i64>,
    pub rows: Vec<HeatRow>,
}

pub struct HeatRow {
    pub name: String,
    /// One a step: row by row.
    pub matrices: Vec<Vec<Option<f64>>>,
}

impl<'t> HeatMaps<'t> {
    /// Of the curves of `value`, at a few of the steps that it has.
    pub fn new(
        title: &'t str,
        quantity: &'t str,
        limit: Limit,
        names: Vec<String>,
        conditions: &[Condition],
        value: impl Fn(&Condition, &str, &str) -> Line,
    ) -> HeatMaps<'t> {
        let curves = |condition: &Condition| -> Vec<Line> {
            let pairs = names.iter().flat_map(|a| names.iter().map(move |b| (a, b)));
            pairs.map(|(a, b)| value(condition, a, b)).collect()
        };
        let all: Vec<_> = conditions.iter().map(curves).collect();
        let points = || all.iter().flatten().flatten().filter(|point| point.1.is_some());
        let mut known: Vec<i64> = points().map(|point| point.0 as i64).collect();
        known.sort_unstable();
        known.dedup();
        let steps = few_steps(&known);
        let at = |curve: &Line, step: i64| curve.iter().find(|point| point.0 == step as f64).and_then(|point| point.1);
        let row = |(condition, curves): (&Condition, &Vec<Line>)| HeatRow {
            name: super::heading(condition),
            matrices: steps.iter().map(|&step| curves.iter().map(|curve| at(curve, step)).collect()).collect(),
        };
        let rows = conditions.iter().zip(&all).map(row).collect();
        HeatMaps { title, quantity, limit, names, steps, rows }
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub fn draw(&self) -> Result<String, ReportError> {
        let names: Vec<String> = self.names.iter().map(|name| short_name(name)).collect();
        let widest = names.iter().map(|name| text_width(name, SMALL)).fold(0.0, f64::max);
        let left = 22.0 + widest;
        let columns = self.steps.len().max(1) as f64;
        let full = (FULL_WIDTH - left - STRIP - GAP * (STEPS as f64 - 1.0)) / STEPS as f64;
        // A panel's names may lie flat below it where they fit, and stand where they do not.
        let cell = full / self.names.len().max(1) as f64;
        let standing = widest > cell - 2.0 && self.stride(cell, SMALL) == 1 && widest > 14.0;
        let below = if standing { widest + 6.0 } else { 14.0 };
        let size = (left + columns * (full + GAP) - GAP + STRIP).max(left + BAR_WIDTH + 20.0);
        let top = BAR + HEADING + if self.limit == Limit::OfStep { NOTE } else { 0.0 };
        let height = top + self.rows.len() as f64 * (full + GAP) - GAP + below + 4.0;
        let limits: Vec<f64> = (0..self.steps.len()).map(|step| self.limit_at(step)).collect();
        canvas::draw((size, height), self.title, |canvas| {
            self.draw_bar(canvas, left, limits.first().copied().unwrap_or(1.0))?;
            let font = Font { size: BODY, colour: INK, bold: true };
            for (column, step) in self.steps.iter().enumerate() {
                let centre = left + column as f64 * (full + GAP) + full / 2.0;
                canvas.text(&step_name(*step), (centre, BAR + HEADING - 5.0), Align::Centre, font)?;
                if self.limit == Limit::OfStep {
                    let note = format!("max {}", numbers::significant(limits[column], 2));
                    let small = Font { size: SMALL, bold: false, ..font };
                    canvas.text(&note, (centre, top - 4.5), Align::Centre, small)?;
                }
            }
            for (index, row) in self.rows.iter().enumerate() {
                let y = top + index as f64 * (full + GAP);
                self.draw_names(canvas, &names, (left, y), cell, None)?;
                for (column, matrix) in row.matrices.iter().enumerate() {
                    let x = left + column as f64 * (full + GAP);
                    self.draw_matrix(canvas, matrix, (x, y), full, limits[column])?;
                    if index + 1 == self.rows.len() {
                        self.draw_names(canvas, &names, (x, y + full), cell, Some(standing))?;
                    }
                }
                let right = left + columns * (full + GAP) - GAP;
                canvas.upwards(&row.name, (right + 10.0, y + full / 2.0), Font { size: SMALL, ..font })?;
            }
            Ok(())
        })
    }

    fn limit_at(&self, step: usize) -> f64 {
        match self.limit {
            Limit::Shared => self.shared_limit().0,
            Limit::OfStep => largest(&self.sizes(|column| column == step)),
        }
    }

    /// The largest size of a value and whether some are beyond it: a few far out must not fade all others.
    fn shared_limit(&self) -> (f64, bool) {
        let mut sizes = self.sizes(|_| true);
        sizes.sort_by(f64::total_cmp);
        let largest = largest(&sizes);
        let usual = sizes.get(sizes.len() * 98 / 100).copied().filter(|&usual| usual > 0.0).unwrap_or(largest);
        if largest > 1.5 * usual { (usual, true) } else { (largest, false) }
    }

    fn sizes(&self, counts: impl Fn(usize) -> bool) -> Vec<f64> {
        let matrices = self.rows.iter().flat_map(|row| row.matrices.iter().enumerate());
        matrices
            .filter(|(column, _)| counts(*column))
            .flat_map(|(_, matrix)| matrix)
            .flatten()
            .map(|value| value.abs())
            .collect()
    }

    fn draw_bar(&self, canvas: &Canvas, left: f64, limit: f64) -> Result<(), ReportError> {
        let font = Font { size: BODY, colour: INK, bold: false };
        canvas.text(self.quantity, (left, 10.0), Align::Left, font)?;
        let pieces = 60;
        let width = BAR_WIDTH / f64::from(pieces);
        for piece in 0..pieces {
            let value = 2.0 * (f64::from(piece) + 0.5) / f64::from(pieces) - 1.0;
            // A little wider than its share, so that no seam shows.
            let overlap = if piece + 1 == pieces { 0.0 } else { 0.5 };
            rectangle(canvas, (left + f64::from(piece) * width, 15.0), (width + overlap, 7.0), diverging(value))?;
        }
        let small = Font { size: SMALL, ..font };
        let labels = match self.limit {
            Limit::Shared => {
                let [low, zero, high] = [-limit, 0.0, limit].map(|value| numbers::significant(value, 2));
                if self.shared_limit().1 {
                    [format!("≤ {low}"), zero, format!("≥ {high}")]
                } else {
                    [low, zero, high]
                }
            }
            Limit::OfStep => ["−max", "0", "max of the step"].map(str::to_owned),
        };
        for (place, label) in [0.0, 0.5, 1.0].into_iter().zip(labels) {
            let x = left + place * BAR_WIDTH;
            canvas.line(&[(x, 15.0), (x, 24.0)], Stroke::solid(QUIET, 0.5))?;
            canvas.text(&label, (x, 32.0), Align::Centre, small)?;
        }
        Ok(())
    }

    fn draw_matrix(
        &self,
        canvas: &Canvas,
        matrix: &[Option<f64>],
        (left, top): (f64, f64),
        size: f64,
        limit: f64,
    ) -> Result<(), ReportError> {
        let groups = self.names.len().max(1);
        let cell = size / groups as f64;
        for (index, value) in matrix.iter().enumerate() {
            let (x, y) = (left + (index % groups) as f64 * cell, top + (index / groups) as f64 * cell);
            let colour = value.map_or(GRID, |value| diverging(value / limit));
            rectangle(canvas, (x, y), (cell, cell), colour)?;
            if groups <= WITH_VALUES {
                let light = value.is_none_or(|value| (value / limit).abs() < 0.85);
                let colour = if light { INK } else { plotters::style::WHITE };
                let (text, size) = match groups {
                    WITH_VALUES => (numbers::two_decimals(*value), SMALL - 1.8),
                    _ => (numbers::share(*value), SMALL - 1.0),
                };
                let font = Font { size, colour, bold: false };
                canvas.label(&text, (x + cell / 2.0, y + cell / 2.0), Align::Centre, font)?;
            }
        }
        let corners = [(left, top), (left + size, top), (left + size, top + size), (left, top + size), (left, top)];
        canvas.line(&corners, Stroke::solid(QUIET, 0.5))
    }

    /// Beside the first matrix of a row, or below one of the last row, standing or flat.
    fn draw_names(
        &self,
        canvas: &Canvas,
        names: &[String],
        (x, y): (f64, f64),
        cell: f64,
        below: Option<bool>,
    ) -> Result<(), ReportError> {
        let font = Font { size: SMALL, colour: INK, bold: false };
        let widest = names.iter().map(|name| text_width(name, SMALL)).fold(0.0, f64::max);
        let stride = match below {
            Some(false) => self.stride(cell, widest + 2.0),
            _ => self.stride(cell, SMALL),
        };
        for (index, name) in names.iter().enumerate().filter(|(index, _)| index % stride == 0) {
            let centre = (index as f64 + 0.5) * cell;
            match below {
                None => canvas.label(name, (x - 4.0, y + centre), Align::Right, font)?,
                Some(false) => canvas.text(name, (x + centre, y + 3.0 + SMALL), Align::Centre, font)?,
                Some(true) => canvas.upwards(name, (x + centre, y + 4.0 + text_width(name, SMALL) / 2.0), font)?,
            }
        }
        Ok(())
    }

    /// Every how manieth name fits where each takes up `size`.
    fn stride(&self, cell: f64, size: f64) -> usize {
        (size / cell).ceil().max(1.0) as usize
    }
}

/// 1 if there is none: a map of nothing but zeros is white.
fn largest(sizes: &[f64]) -> f64 {
    let largest = sizes.iter().copied().fold(0.0, f64::max);
    if largest > 0.0 { largest } else { 1.0 }
}

fn rectangle(
    canvas: &Canvas,
    (x, y): (f64, f64),
    (width, height): (f64, f64),
    colour: RGBColor,
) -> Result<(), ReportError> {
    canvas.area(&[(x, y), (x + width, y), (x + width, y + height), (x, y + height)], colour, 1.0)
}

/// A few of the steps, the first and the last among them, evenly spread on an axis that is logarithmic from step 1.
pub fn few_steps(steps: &[i64]) -> Vec<i64> {
    let (Some(&first), Some(&last)) = (steps.first(), steps.last()) else { return Vec::new() };
    let place = |step: i64| (1.0 + (step - first) as f64).ln();
    let wanted = (0..STEPS).map(|index| place(last) * index as f64 / (STEPS as f64 - 1.0));
    let nearest = |wanted: f64| {
        let distance = |step: &&i64| (place(**step) - wanted).abs();
        steps.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).copied()
    };
    let mut few: Vec<i64> = wanted.filter_map(nearest).collect();
    few.dedup();
    few
}

#[cfg(test)]
mod tests {
    use super::few_steps;

    #[test]
    fn few_steps_are_spread_logarithmically_and_hold_the_ends() {
        let steps: Vec<i64> = (0..=1000).collect();
        assert_eq!(few_steps(&steps), [0, 3, 15, 62, 250, 1000]);
        assert_eq!(few_steps(&[0, 1, 2]), [0, 1, 2]);
        assert_eq!(few_steps(&[7]), [7]);
        assert!(few_steps(&[]).is_empty());
    }
}
