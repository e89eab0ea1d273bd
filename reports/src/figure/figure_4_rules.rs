//! The update rules at matched training accuracy: test accuracy and overfit against training accuracy, a curve a rule.

use super::Columns;
use super::drawn;
use super::legend::{Key, Legend};
use super::look::{BAND_OPACITY, INK, QUIET, curve_width, rule_look};
use crate::ReportError;
use crate::axes::{Panel, Scale};
use crate::canvas::{self, Align, BODY, Canvas, Dash, Font, Marker, Stroke};
use crate::curves::{Banded, CurveKey, Line, Point};
use crate::results::{Condition, Results, Rule, RunResults};

const TITLE: &str =
    "Figure 4, rules: test accuracy and overfit against training accuracy, by label noise and update rule";
const HEADING: f64 = 14.0;
const PANEL_HEIGHT: f64 = 118.0;
const ROW: f64 = PANEL_HEIGHT + 12.0;
/// Room for the half of a tick label that reaches over the last panel's edge.
const MARGIN: f64 = 8.0;

/// A row of panels: what is drawn against training accuracy.
struct Row {
    title: &'static str,
    curve: &'static str,
    y: Scale,
}

struct Look {
    stroke: Stroke,
    marker: Marker,
}

struct Grid<'a> {
    results: &'a Results,
    noise: Vec<f64>,
    rules: Vec<(&'a str, Look)>,
    columns: Columns,
    /// Top of the first row.
    top: f64,
}

pub fn draw(results: &Results) -> Result<String, ReportError> {
    let rules = looks(results.rules());
    let noise = results.noise_levels();
    let columns = Columns::new(noise.len(), false, MARGIN);
    let conditions: Vec<Condition> =
        results.runs.iter().map(|run| results.condition(run.rule(), run.summary.noise)).collect();
    let legend = drawn::with_interval(legend(&rules), &conditions, false);
    let top = legend.height(columns.legend_width()) + HEADING;
    let grid = Grid { results, noise, rules, columns, top };
    let rows = [
        Row { title: "Test accuracy (%)", curve: "test_accuracy", y: Scale::linear(-3.0, 103.0, 5, 0) },
        Row { title: "Overfit (%)", curve: "overfit", y: overfit_scale(results) },
    ];
    let height = top + ROW * rows.len() as f64 + 20.0;
    canvas::draw((grid.columns.width, height), TITLE, |canvas| {
        legend.draw(canvas, grid.columns.left, grid.columns.legend_width())?;
        for (index, row) in rows.iter().enumerate() {
            grid.draw_row(canvas, row, top + index as f64 * ROW, index + 1 == rows.len())?;
        }
        grid.draw_headings(canvas, height)
    })
}

fn looks(rules: Vec<Rule<'_>>) -> Vec<(&'_ str, Look)> {
    let levels = rules.iter().filter(|rule| rule.winsorization.is_some()).count();
    let look = |(index, rule): (usize, Rule<'_>)| {
        // Winsorization levels come first.
        let (colour, dash, marker) = rule_look(index, rule.winsorization.map(|_| index), levels);
        Look { stroke: Stroke { dash, ..Stroke::solid(colour, 1.25) }, marker }
    };
    let labels: Vec<&str> = rules.iter().map(|rule| rule.label).collect();
    labels.into_iter().zip(rules.into_iter().enumerate().map(look)).collect()
}

fn legend(rules: &[(&str, Look)]) -> Legend {
    let keys = rules.iter().map(|(label, look)| (Key::MarkedLine(look.stroke, look.marker), *label));
    let legend = keys.fold(Legend::new(), |legend, (key, label)| legend.with(key, label));
    legend.with(Key::Line(proper()), "proper accuracy").with(Key::Line(matched()), "matched accuracy")
}

fn proper() -> Stroke {
    Stroke { dash: Dash::Dotted, ..Stroke::solid(QUIET, 0.75) }
}

fn matched() -> Stroke {
    Stroke::solid(QUIET, 0.75)
}

fn overfit_scale(results: &Results) -> Scale {
    let values = results.runs.iter().flat_map(|run| run.line(&CurveKey::new("overfit"))).filter_map(|point| point.1);
    let (low, high) = values
        .map(|value| 100.0 * value)
        .fold((0.0, 10.0), |(low, high): (f64, f64), value| (low.min(value), high.max(value)));
    let room = 0.04 * (high - low);
    Scale::linear(low - room, high + room, 5, 0)
}

impl Grid<'_> {
    fn draw_row(&self, canvas: &Canvas, row: &Row, top: f64, last: bool) -> Result<(), ReportError> {
        for (column, &noise) in self.noise.iter().enumerate() {
            let panel = Panel {
                canvas,
                left: self.columns.panel_left(column),
                top,
                width: self.columns.panel_width,
                height: PANEL_HEIGHT,
                x: Scale::linear(-3.0, 103.0, 4, 0),
                y: row.y.clone(),
            };
            panel.frame(last, column == 0)?;
            self.draw_references(&panel, noise)?;
            self.draw_curves(&panel, noise, row.curve)?;
        }
        let font = Font { size: BODY, colour: INK, bold: false };
        canvas.upwards(row.title, (8.0, top + PANEL_HEIGHT / 2.0), font)
    }

    /// Upright lines at the proper accuracy and at the training accuracy that every rule reached.
    fn draw_references(&self, panel: &Panel, noise: f64) -> Result<(), ReportError> {
        let of_noise = self.results.runs.iter().filter(|run| run.summary.noise == noise);
        let mut accuracies: Vec<f64> = of_noise.filter_map(|run| run.summary.pristine_fraction).collect();
        accuracies.dedup();
        accuracies.iter().try_for_each(|accuracy| panel.upright(100.0 * accuracy, proper()))?;
        let level = self.results.summary.matched.iter().find(|rule| rule.noise == noise);
        level.map_or(Ok(()), |level| panel.upright(100.0 * level.train_accuracy, matched()))
    }

    /// With a marker at the last evaluation.
    fn draw_curves(&self, panel: &Panel, noise: f64, curve: &str) -> Result<(), ReportError> {
        for (label, look) in &self.rules {
            let condition = self.results.condition(label, noise);
            for Path { line, lower, upper, width } in against_training(&condition, curve) {
                let stroke = Stroke { width, ..look.stroke };
                panel.band(&lower, &upper, stroke.colour, BAND_OPACITY)?;
                panel.curve(&line, stroke)?;
                // Where training ended: early in training the curves of all rules coincide.
                panel.markers(line.last().map_or(&[], std::slice::from_ref), look.marker, stroke.colour)?;
            }
        }
        Ok(())
    }

    fn draw_headings(&self, canvas: &Canvas, height: f64) -> Result<(), ReportError> {
        let font = Font { size: BODY, colour: INK, bold: false };
        for (column, noise) in self.noise.iter().enumerate() {
            let centre = self.columns.panel_left(column) + self.columns.panel_width / 2.0;
            let bold = Font { bold: true, ..font };
            canvas.text(&format!("noise {noise}"), (centre, self.top - 5.0), Align::Centre, bold)?;
        }
        canvas.text("Training accuracy (%)", (self.columns.centre(MARGIN), height - 5.0), Align::Centre, font)
    }
}

/// A curve against training accuracy, in the order of the steps, both in percent.
struct Path {
    line: Line,
    lower: Line,
    upper: Line,
    width: f64,
}

/// Of the mean over the seeds against their mean training accuracy, or of each seed.
fn against_training(condition: &Condition, curve: &str) -> Vec<Path> {
    let (training, key) = (CurveKey::new("train_accuracy"), CurveKey::new(curve));
    if let Some((training, curve)) = condition.mean(&training).zip(condition.mean(&key)) {
        return vec![Path::new(training, curve, curve_width(1))];
    }
    let width = curve_width(condition.seeds());
    let of_run = |run: &&RunResults| Some(Path::new(run.curve(&training)?, run.curve(&key)?, width));
    condition.runs.iter().filter_map(of_run).collect()
}

impl Path {
    fn new(training: &Banded, curve: &Banded, width: f64) -> Path {
        let against = |line: &Line| -> Line {
            let at = |step: f64| training.line.iter().find(|point| point.0 == step).and_then(|point| point.1);
            let point = |&(step, value): &Point| Some((100.0 * at(step)?, value.map(|value| 100.0 * value)));
            line.iter().filter_map(point).collect()
        };
        Path { line: against(&curve.line), lower: against(&curve.lower), upper: against(&curve.upper), width }
    }
}
