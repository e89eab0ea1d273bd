//! The grid of Figures 2 and 3: a column per noise level; the actual designations above, null worlds below.

use super::Columns;
use super::legend::{Key, Legend};
use super::look::{CORRUPT, INK, PRISTINE, QUIET};
use crate::ReportError;
use crate::axes::{Panel, Scale};
use crate::canvas::{self, Align, BODY, Canvas, Font, Marker, SMALL, Stroke};
use crate::results::Line;

const HEADING: f64 = 14.0;
const PANEL_HEIGHT: f64 = 74.0;
const ROW: f64 = PANEL_HEIGHT + 10.0;
/// The rows' names on the right.
const STRIP: f64 = 16.0;

pub struct WorldGrid {
    pub title: &'static str,
    pub columns: Vec<GridColumn>,
    /// Worlds of the rows, 0 the actual one.
    pub worlds: Vec<i64>,
    pub x: Scale,
    pub x_axis: String,
    pub y_axis: String,
    pub pristine: &'static str,
    pub corrupt: &'static str,
    /// A reference value drawn as a thin line, and what the legend calls it.
    pub reference: Option<&'static str>,
    /// Every column its own y labels; otherwise all share those of the first.
    pub own_y: bool,
    /// A marker on every point, or on a few of many.
    pub mark_every_point: bool,
}

pub struct GridColumn {
    pub heading: String,
    pub y: Scale,
    /// For each row, the curves of each run.
    pub rows: Vec<Vec<Pair>>,
    /// Where the reference line lies, for each run.
    pub reference: Vec<f64>,
    pub curve_width: f64,
}

/// The pristine and the corrupt curve of one run in one world.
pub struct Pair {
    pub pristine: Line,
    pub corrupt: Line,
}

impl WorldGrid {
    pub fn draw(self) -> Result<String, ReportError> {
        let columns = Columns::new(self.columns.len(), self.own_y, STRIP);
        let legend = self.legend();
        let top = legend.height(columns.legend_width()) + HEADING;
        let height = top + ROW * self.worlds.len() as f64 + 20.0;
        canvas::draw((columns.width, height), self.title, |canvas| {
            legend.draw(canvas, columns.left, columns.legend_width())?;
            for (index, column) in self.columns.iter().enumerate() {
                self.draw_column(canvas, column, (columns.panel_left(index), top), columns.panel_width, index == 0)?;
            }
            self.draw_titles(canvas, &columns, top, height)
        })
    }

    fn legend(&self) -> Legend {
        let legend = Legend::new()
            .with(Key::MarkedLine(Stroke::solid(PRISTINE, 1.25), Marker::Disc), self.pristine)
            .with(Key::MarkedLine(Stroke::solid(CORRUPT, 1.25), Marker::Square), self.corrupt);
        match self.reference {
            Some(reference) => legend.with(Key::Line(Stroke::dashed(QUIET, 0.75)), reference),
            None => legend,
        }
    }

    fn draw_column(
        &self,
        canvas: &Canvas,
        column: &GridColumn,
        (left, top): (f64, f64),
        width: f64,
        first: bool,
    ) -> Result<(), ReportError> {
        let font = Font { size: BODY, colour: INK, bold: true };
        canvas.text(&column.heading, (left + width / 2.0, top - 5.0), Align::Centre, font)?;
        for (row, pairs) in column.rows.iter().enumerate() {
            let last = row + 1 == column.rows.len();
            let (x, y) = (self.x.clone(), column.y.clone());
            let panel = Panel { canvas, left, top: top + row as f64 * ROW, width, height: PANEL_HEIGHT, x, y };
            panel.frame(last, first || self.own_y)?;
            self.draw_panel(&panel, column, pairs)?;
        }
        Ok(())
    }

    fn draw_panel(&self, panel: &Panel, column: &GridColumn, pairs: &[Pair]) -> Result<(), ReportError> {
        for &value in &column.reference {
            let (start, end) = (0.0, self.x.high());
            panel.curve(&[(start, Some(value)), (end, Some(value))], Stroke::dashed(QUIET, 0.75))?;
        }
        for pair in pairs {
            panel.curve(&pair.corrupt, Stroke::solid(CORRUPT, column.curve_width))?;
            panel.curve(&pair.pristine, Stroke::solid(PRISTINE, column.curve_width))?;
        }
        for pair in pairs {
            if self.mark_every_point {
                panel.markers(&pair.corrupt, Marker::Square, CORRUPT)?;
                panel.markers(&pair.pristine, Marker::Disc, PRISTINE)?;
            } else {
                panel.sparse_markers(&pair.corrupt, Marker::Square, CORRUPT, 0.75)?;
                panel.sparse_markers(&pair.pristine, Marker::Disc, PRISTINE, 0.25)?;
            }
        }
        Ok(())
    }

    fn draw_titles(&self, canvas: &Canvas, columns: &Columns, top: f64, height: f64) -> Result<(), ReportError> {
        let font = Font { size: BODY, colour: INK, bold: false };
        let middle = top + (ROW * self.worlds.len() as f64 - (ROW - PANEL_HEIGHT)) / 2.0;
        canvas.upwards(&self.y_axis, (8.0, middle), font)?;
        canvas.text(&self.x_axis, (columns.centre(STRIP), height - 5.0), Align::Centre, font)?;
        for (row, world) in self.worlds.iter().enumerate() {
            let name = if *world == 0 { "actual".to_owned() } else { format!("null world {world}") };
            let font = Font { size: SMALL, bold: *world == 0, ..font };
            canvas.upwards(&name, (columns.width - 7.0, top + row as f64 * ROW + PANEL_HEIGHT / 2.0), font)?;
        }
        Ok(())
    }
}
