//! Figure 1: how the networks of each noise level learn.

use super::legend::{Key, Legend};
use super::look::{FULL_WIDTH, INK, QUIET, curve_width, noise_colour};
use super::{STEP_AXIS, placeholder};
use crate::ReportError;
use crate::axes::{Panel, Scale};
use crate::canvas::{self, Align, BODY, Canvas, Dash, Font, Stroke};
use crate::results::{Condition, Line, Results, RunResults};

const TITLE: &str = "Figure 1: training accuracy, test accuracy, training loss and fraction learned, by noise level";
const LEFT: f64 = 40.0;
const BETWEEN: f64 = 50.0;
const PANEL_WIDTH: f64 = (FULL_WIDTH - LEFT - BETWEEN - 12.0) / 2.0;
const PANEL_HEIGHT: f64 = 128.0;
const ROW: f64 = PANEL_HEIGHT + 40.0;
const TITLE_ROOM: f64 = 18.0;

/// One of the panels (a) to (d).
struct Content {
    title: &'static str,
    unit: &'static str,
    y: Scale,
    curves: Vec<(Line, Stroke)>,
}

pub fn draw(results: &Results) -> Result<String, ReportError> {
    let conditions = results.plain_conditions();
    if conditions.is_empty() {
        return placeholder(TITLE, "No run was analysed.");
    }
    let panels = contents(&conditions);
    let steps = Scale::steps(
        panels.iter().flat_map(|panel| &panel.curves).map(|(line, _)| last_step(line)).fold(1.0, f64::max),
    );
    let legend = legend(&conditions);
    let legend_height = legend.height(FULL_WIDTH - LEFT);
    canvas::draw((FULL_WIDTH, legend_height + TITLE_ROOM + ROW + PANEL_HEIGHT + 31.0), TITLE, |canvas| {
        legend.draw(canvas, LEFT, FULL_WIDTH - LEFT)?;
        for (index, content) in panels.into_iter().enumerate() {
            let (row, column) = ((index / 2) as f64, (index % 2) as f64);
            let place = (LEFT + column * (PANEL_WIDTH + BETWEEN), legend_height + TITLE_ROOM + row * ROW);
            draw_panel(canvas, content, place, steps.clone(), row == 1.0)?;
        }
        Ok(())
    })
}

fn contents(conditions: &[Condition]) -> Vec<Content> {
    let percent_scale = || Scale::linear(-2.0, 102.0, 5, 0);
    let losses = curves(conditions, |run| run.loss("train"));
    let highest_loss = losses.iter().flat_map(|(line, _)| line).filter_map(|point| point.1).fold(0.1, f64::max);
    let corrupt = curves(conditions, |run| run.learned("corrupt"));
    let corrupt = corrupt.into_iter().map(|(line, stroke)| (line, Stroke { dash: Dash::Dashed, ..stroke }));
    let learned = curves(conditions, |run| run.learned("pristine")).into_iter().chain(corrupt).collect();
    vec![
        Content {
            title: "(a) Training accuracy",
            unit: "Accuracy (%)",
            y: percent_scale(),
            curves: percent(curves(conditions, |run| run.accuracy("train"))),
        },
        Content {
            title: "(b) Test accuracy",
            unit: "Accuracy (%)",
            y: percent_scale(),
            curves: percent(curves(conditions, |run| run.accuracy("test"))),
        },
        Content {
            title: "(c) Training loss",
            unit: "Cross-entropy (nats)",
            y: Scale::linear(-0.02 * highest_loss, 1.04 * highest_loss, 6, 0),
            curves: losses,
        },
        Content {
            title: "(d) Examples learned",
            unit: "Share of group (%)",
            y: percent_scale(),
            curves: percent(learned),
        },
    ]
}

/// A line of every run in its noise level's colour.
fn curves(conditions: &[Condition], line: impl Fn(&RunResults) -> Line) -> Vec<(Line, Stroke)> {
    let mut curves = Vec::new();
    for (index, condition) in conditions.iter().enumerate() {
        let stroke = Stroke::solid(noise_colour(index, conditions.len()), curve_width(condition.runs.len()));
        curves.extend(condition.runs.iter().map(|run| (line(run), stroke)));
    }
    curves
}

fn percent(mut curves: Vec<(Line, Stroke)>) -> Vec<(Line, Stroke)> {
    let points = curves.iter_mut().flat_map(|(line, _)| line);
    points.filter_map(|(_, value)| value.as_mut()).for_each(|value| *value *= 100.0);
    curves
}

fn legend(conditions: &[Condition]) -> Legend {
    let legend = Legend::new().with(Key::Words, "Label noise");
    let keys = conditions.iter().enumerate().map(|(index, condition)| {
        (Key::Line(Stroke::solid(noise_colour(index, conditions.len()), 1.75)), condition.label.clone())
    });
    let legend = keys.fold(legend, |legend, (key, label)| legend.with(key, label));
    legend
        .with(Key::Words, "in (d):")
        .with(Key::Line(Stroke::solid(QUIET, 1.25)), "pristine")
        .with(Key::Line(Stroke::dashed(QUIET, 1.25)), "corrupt")
}

fn draw_panel(
    canvas: &Canvas,
    content: Content,
    (left, top): (f64, f64),
    x: Scale,
    last_row: bool,
) -> Result<(), ReportError> {
    let font = Font { size: BODY, colour: INK, bold: false };
    let axis = if x.is_logarithmic() { format!("{STEP_AXIS} (log scale from 1)") } else { STEP_AXIS.to_owned() };
    let panel = Panel { canvas, left, top, width: PANEL_WIDTH, height: PANEL_HEIGHT, x, y: content.y };
    canvas.text(content.title, (left, top - 6.0), Align::Left, Font { bold: true, ..font })?;
    canvas.upwards(content.unit, (left - 30.0, top + PANEL_HEIGHT / 2.0), font)?;
    panel.frame(true, true)?;
    for (line, stroke) in &content.curves {
        panel.curve(line, *stroke)?;
    }
    if last_row {
        canvas.text(&axis, (left + PANEL_WIDTH / 2.0, panel.bottom() + 25.0), Align::Centre, font)?;
    }
    Ok(())
}

fn last_step(line: &Line) -> f64 {
    line.last().map_or(0.0, |point| point.0)
}
