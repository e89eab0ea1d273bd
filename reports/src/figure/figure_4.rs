//! Figure 4: training accuracy, test accuracy and overfit under winsorized gradients; columns noise, rows c.

use super::drawn::{self, Drawn, Marks};
use super::legend::{Key, Legend};
use super::look::{INK, OVERFIT, QUIET, TEST};
use super::{Columns, STEP_AXIS};
use crate::ReportError;
use crate::axes::{Panel, Scale};
use crate::canvas::{self, Align, BODY, Canvas, Dash, Font, Marker, SMALL, Stroke};
use crate::curves::CurveKey;
use crate::results::{Condition, Series, Winsorized};

const TITLE: &str =
    "Figure 4: training accuracy, test accuracy and overfit over training, by label noise and winsorization level c";
const HEADING: f64 = 14.0;
const PANEL_HEIGHT: f64 = 62.0;
const ROW: f64 = PANEL_HEIGHT + 9.0;
/// The rows' names on the right.
const STRIP: f64 = 16.0;

struct Grid<'a> {
    winsorized: &'a Winsorized<'a>,
    columns: Columns,
    /// Top of the first row.
    top: f64,
    x: Scale,
    x_axis: String,
    y: Scale,
}

pub fn draw(winsorized: &Winsorized) -> Result<String, ReportError> {
    let columns = Columns::new(winsorized.noise.len(), false, STRIP);
    let legend = legend(&conditions(winsorized));
    let top = legend.height(columns.legend_width()) + HEADING;
    let height = top + ROW * winsorized.percents.len() as f64 + 20.0;
    let ((x, x_axis), y) = (step_scale(winsorized), percent_scale(winsorized));
    let grid = Grid { winsorized, columns, top, x, x_axis, y };
    canvas::draw((grid.columns.width, height), TITLE, |canvas| {
        legend.draw(canvas, grid.columns.left, grid.columns.legend_width())?;
        (0..winsorized.noise.len()).try_for_each(|column| grid.draw_column(canvas, column))?;
        grid.draw_titles(canvas, height)
    })
}

fn training() -> Stroke {
    Stroke::solid(INK, 1.25)
}

fn test() -> Stroke {
    Stroke { dash: Dash::Dashed, ..Stroke::solid(TEST, 1.25) }
}

fn overfit() -> Stroke {
    Stroke::solid(OVERFIT, 1.25)
}

fn proper() -> Stroke {
    Stroke { dash: Dash::Dotted, ..Stroke::solid(QUIET, 0.75) }
}

fn conditions<'a>(winsorized: &'a Winsorized) -> Vec<Condition<'a>> {
    let places = winsorized.noise.iter().flat_map(|&noise| winsorized.percents.iter().map(move |&c| (noise, c)));
    places.map(|(noise, percent)| winsorized.at(noise, percent)).collect()
}

fn legend(conditions: &[Condition]) -> Legend {
    let legend = Legend::new()
        .with(Key::Line(training()), "training accuracy")
        .with(Key::Line(test()), "test accuracy")
        .with(Key::MarkedLine(overfit(), Marker::Disc), "overfit")
        .with(Key::Line(proper()), "proper accuracy |P|/m");
    drawn::with_interval(legend, conditions, false)
}

/// Linear: the growth of overfit over the later steps is what the figure is about. With the axis's title.
fn step_scale(winsorized: &Winsorized) -> (Scale, String) {
    let lines = winsorized.runs().map(|run| run.line(&CurveKey::new("overfit")));
    let last = lines.filter_map(|line| line.last().map(|point| point.0)).fold(1.0, f64::max);
    match last {
        last if last < 1000.0 => (Scale::whole(last, 3), STEP_AXIS.to_owned()),
        _ => (Scale::linear(0.0, last, 3, 3), format!("{STEP_AXIS} (thousands)")),
    }
}

/// From 0 to 100 %, or from below where overfit is negative.
fn percent_scale(winsorized: &Winsorized) -> Scale {
    let values = conditions(winsorized).into_iter().flat_map(|condition| percent(&condition, "overfit"));
    let lowest = values.flat_map(|series| series.values().collect::<Vec<_>>()).fold(0.0, f64::min);
    Scale::linear(lowest - 3.0, 103.0, 3, 0)
}

impl Grid<'_> {
    fn draw_column(&self, canvas: &Canvas, column: usize) -> Result<(), ReportError> {
        let noise = self.winsorized.noise[column];
        let (left, width) = (self.columns.panel_left(column), self.columns.panel_width);
        let font = Font { size: BODY, colour: INK, bold: true };
        canvas.text(&format!("noise {noise}"), (left + width / 2.0, self.top - 5.0), Align::Centre, font)?;
        for (row, &percent) in self.winsorized.percents.iter().enumerate() {
            let top = self.top + row as f64 * ROW;
            let (x, y) = (self.x.clone(), self.y.clone());
            let panel = Panel { canvas, left, top, width, height: PANEL_HEIGHT, x, y };
            panel.frame(row + 1 == self.winsorized.percents.len(), column == 0)?;
            draw_panel(&panel, &self.winsorized.at(noise, percent))?;
        }
        Ok(())
    }

    fn draw_titles(&self, canvas: &Canvas, height: f64) -> Result<(), ReportError> {
        let font = Font { size: BODY, colour: INK, bold: false };
        let rows = self.winsorized.percents.len() as f64;
        let middle = self.top + (ROW * rows - (ROW - PANEL_HEIGHT)) / 2.0;
        canvas.upwards("Accuracy, overfit (%)", (8.0, middle), font)?;
        canvas.text(&self.x_axis, (self.columns.centre(STRIP), height - 5.0), Align::Centre, font)?;
        for (row, percent) in self.winsorized.percents.iter().enumerate() {
            let place = (self.columns.width - 7.0, self.top + row as f64 * ROW + PANEL_HEIGHT / 2.0);
            canvas.upwards(&format!("c = {percent} %"), place, Font { size: SMALL, bold: true, ..font })?;
        }
        Ok(())
    }
}

fn draw_panel(panel: &Panel, condition: &Condition) -> Result<(), ReportError> {
    if condition.runs.is_empty() {
        let font = Font { size: SMALL, colour: QUIET, bold: false };
        let centre = (panel.left + panel.width / 2.0, panel.top + PANEL_HEIGHT / 2.0);
        return panel.canvas.label("not recorded", centre, Align::Centre, font);
    }
    let mut proper_accuracies: Vec<f64> =
        condition.runs.iter().filter_map(|run| run.summary.pristine_fraction).collect();
    proper_accuracies.dedup();
    proper_accuracies.iter().try_for_each(|accuracy| panel.level(100.0 * accuracy, proper()))?;
    let mut curves: Vec<Drawn> =
        Drawn::all(percent(condition, "overfit"), overfit(), Some((Marker::Disc, Marks::Few(0.5)))).collect();
    curves.extend(Drawn::all(percent(condition, "train_accuracy"), training(), None));
    curves.extend(Drawn::all(percent(condition, "test_accuracy"), test(), None));
    drawn::draw(panel, &curves)
}

fn percent(condition: &Condition, curve: &str) -> Vec<Series> {
    condition.series(&CurveKey::new(curve)).into_iter().map(|series| series.scaled(100.0)).collect()
}
