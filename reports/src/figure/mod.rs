//! The figures, one file each.

mod figure_1;
mod figure_2;
mod figure_2_null_band;
mod figure_3;
mod figure_3_null_band;
mod figure_4;
mod figure_4_rules;
mod legend;
pub mod look;
mod null_band;
mod world_grid;

use crate::ReportError;
use crate::canvas::{self, Align, BODY, Font};
use crate::results::{Condition, Line, Results};

pub struct Figure {
    /// Name of the file it is written to.
    pub file: &'static str,
    pub svg: String,
}

/// Every figure, in the page's order; those about update rules only of a study that has them.
pub fn draw_all(results: &Results) -> Result<Vec<Figure>, ReportError> {
    let mut figures = vec![
        Figure { file: "figure-1.svg", svg: figure_1::draw(results)? },
        Figure { file: "figure-2.svg", svg: figure_2::draw(results)? },
        Figure { file: "figure-2-null-band.svg", svg: figure_2_null_band::draw(results)? },
        Figure { file: "figure-3.svg", svg: figure_3::draw(results)? },
        Figure { file: "figure-3-null-band.svg", svg: figure_3_null_band::draw(results)? },
    ];
    if let Some(winsorized) = results.winsorized() {
        figures.push(Figure { file: "figure-4.svg", svg: figure_4::draw(&winsorized)? });
    }
    if results.rules().len() > 1 {
        figures.push(Figure { file: "figure-4-rules.svg", svg: figure_4_rules::draw(results)? });
    }
    Ok(figures)
}

/// What stands in for a figure that has nothing to show.
fn placeholder(title: &str, reason: &str) -> Result<String, ReportError> {
    let (width, height) = (look::FULL_WIDTH, 60.0);
    canvas::draw((width, height), title, |canvas| {
        let font = Font { size: BODY, colour: look::QUIET, bold: false };
        canvas.label(reason, (width / 2.0, height / 2.0), Align::Centre, font)
    })
}

/// How panels stand side by side, in points.
struct Columns {
    /// Of the whole figure.
    width: f64,
    /// Of the first panel, after the axis title and its tick labels.
    left: f64,
    panel_width: f64,
    gap: f64,
}

impl Columns {
    /// `own_y`: every panel has tick labels of its own. `margin`: what to leave free on the right.
    fn new(number: usize, own_y: bool, margin: f64) -> Columns {
        let number = number.max(1) as f64;
        let (left, gap) = if own_y { (46.0, 28.0) } else { (40.0, 10.0) };
        // A paper's column for one, its page for three and more, and never narrower panels than legible.
        let paper = match number {
            1.0 => look::COLUMN_WIDTH,
            2.0 => 360.0,
            _ => look::FULL_WIDTH,
        };
        let width = paper.max(60.0 + 92.0 * number);
        let panel_width = (width - left - margin - (number - 1.0) * gap) / number;
        Columns { width, left, panel_width, gap }
    }

    fn panel_left(&self, index: usize) -> f64 {
        self.left + index as f64 * (self.panel_width + self.gap)
    }

    /// The middle of all panels.
    fn centre(&self, margin: f64) -> f64 {
        (self.left + self.width - margin) / 2.0
    }

    fn legend_width(&self) -> f64 {
        self.width - self.left
    }
}

/// `noise 0.25`, over a column of panels.
fn heading(condition: &Condition) -> String {
    format!("noise {}", condition.label)
}

/// A curve's values in percent.
fn percent(line: Line) -> Line {
    line.into_iter().map(|(step, value)| (step, value.map(|value| 100.0 * value))).collect()
}

const STEP_AXIS: &str = "Training step";
/// Figure 3 shows the steps 0 to 9.
const FIRST_STEPS: f64 = 10.0;
const NO_GROUPS: &str = "No run has recorded gradients of both pristine and corrupt examples.";
