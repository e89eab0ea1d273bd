//! Figure 1: how the networks of each noise level learn.

use super::drawn::{self, Drawn};
use super::legend::{Key, Legend};
use super::look::{FULL_WIDTH, INK, QUIET, noise_colour};
use super::{placeholder, step_axis};
use crate::ReportError;
use crate::axes::{Panel, Scale};
use crate::canvas::{self, Align, BODY, Canvas, Dash, Font, Stroke};
use crate::curves::CurveKey;
use crate::results::{Condition, Results, Series};

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
    curves: Vec<Drawn>,
}

pub fn draw(results: &Results) -> Result<String, ReportError> {
    let conditions = results.plain_conditions();
    if conditions.is_empty() {
        return placeholder(TITLE, "No run was analysed.");
    }
    let panels = contents(&conditions);
    let curves = panels.iter().flat_map(|panel| &panel.curves);
    let steps = Scale::steps(curves.map(|curve| curve.series.last_step()).fold(1.0, f64::max));
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
    let percent = |curve: &str, dash: Dash| curves(conditions, curve, 100.0, dash);
    let losses = curves(conditions, "train_loss", 1.0, Dash::Solid);
    let highest_loss = losses.iter().flat_map(|curve| curve.series.values()).fold(0.1, f64::max);
    let mut learned = percent("learned_pristine", Dash::Solid);
    learned.extend(percent("learned_corrupt", Dash::Dashed));
    vec![
        Content {
            title: "(a) Training accuracy",
            unit: "Accuracy (%)",
            y: percent_scale(),
            curves: percent("train_accuracy", Dash::Solid),
        },
        Content {
            title: "(b) Test accuracy",
            unit: "Accuracy (%)",
            y: percent_scale(),
            curves: percent("test_accuracy", Dash::Solid),
        },
        Content {
            title: "(c) Training loss",
            unit: "Cross-entropy (nats)",
            y: Scale::linear(-0.02 * highest_loss, 1.04 * highest_loss, 6, 0),
            curves: losses,
        },
        Content { title: "(d) Examples learned", unit: "Share of group (%)", y: percent_scale(), curves: learned },
    ]
}

/// A curve of every condition in its noise level's colour.
fn curves(conditions: &[Condition], curve: &str, factor: f64, dash: Dash) -> Vec<Drawn> {
    let mut curves = Vec::new();
    for (index, condition) in conditions.iter().enumerate() {
        let stroke = Stroke { dash, ..Stroke::solid(noise_colour(index, conditions.len()), 1.25) };
        let series: Vec<Series> = condition.series(&CurveKey::new(curve));
        curves.extend(Drawn::all(series.into_iter().map(|series| series.scaled(factor)).collect(), stroke, None));
    }
    curves
}

fn legend(conditions: &[Condition]) -> Legend {
    let legend = Legend::new().with(Key::Words, "Label noise");
    let keys = conditions.iter().enumerate().map(|(index, condition)| {
        (Key::Line(Stroke::solid(noise_colour(index, conditions.len()), 1.75)), condition.label.clone())
    });
    let legend = keys.fold(legend, |legend, (key, label)| legend.with(key, label));
    let legend = legend
        .with(Key::Words, "in (d):")
        .with(Key::Line(Stroke::solid(QUIET, 1.25)), "pristine")
        .with(Key::Line(Stroke::dashed(QUIET, 1.25)), "corrupt");
    drawn::with_interval(legend, conditions, false)
}

fn draw_panel(
    canvas: &Canvas,
    content: Content,
    (left, top): (f64, f64),
    x: Scale,
    last_row: bool,
) -> Result<(), ReportError> {
    let font = Font { size: BODY, colour: INK, bold: false };
    let axis = step_axis(&x);
    let panel = Panel { canvas, left, top, width: PANEL_WIDTH, height: PANEL_HEIGHT, x, y: content.y };
    canvas.text(content.title, (left, top - 6.0), Align::Left, Font { bold: true, ..font })?;
    canvas.upwards(content.unit, (left - 30.0, top + PANEL_HEIGHT / 2.0), font)?;
    panel.frame(true, true)?;
    drawn::draw(&panel, &content.curves)?;
    if last_row {
        canvas.text(&axis, (left + PANEL_WIDTH / 2.0, panel.bottom() + 25.0), Align::Centre, font)?;
    }
    Ok(())
}
