//! A grid of panels: a column per condition, rows of different statistics, each with its own axes.

use super::Columns;
use super::drawn::{self, Drawn};
use super::legend::Legend;
use super::look::{INK, QUIET};
use crate::ReportError;
use crate::axes::{Panel, Scale};
use crate::canvas::{self, Align, BODY, Canvas, Font, SMALL, Stroke};

const HEADING: f64 = 14.0;
const NOTE: f64 = 10.0;
const GAP: f64 = 12.0;
/// Labels and title of a horizontal axis.
const X_AXIS: f64 = 30.0;
/// The rows' names on the right.
const STRIP: f64 = 16.0;
/// Room for the half of a tick label that reaches over the last panel's edge.
const MARGIN: f64 = 8.0;

pub struct PanelGrid<'t> {
    pub title: &'t str,
    pub legend: Legend,
    pub columns: Vec<Heading>,
    pub rows: Vec<PanelRow>,
}

pub struct Heading {
    pub heading: String,
    /// Lines under the heading, where no curve can run through them; as many in every column.
    pub notes: Vec<String>,
}

pub struct PanelRow {
    /// On the right; empty where nothing needs telling apart.
    pub name: String,
    pub x: Scale,
    pub x_axis: String,
    pub y_axis: String,
    pub height: f64,
    /// Every panel its own y labels; otherwise all share those of the first.
    pub own_y: bool,
    /// One a column.
    pub panels: Vec<GridPanel>,
}

pub struct GridPanel {
    pub y: Scale,
    pub curves: Vec<Drawn>,
    /// Levels drawn as thin dashed lines.
    pub references: Vec<f64>,
    /// Steps marked at the bottom edge.
    pub marked: Vec<f64>,
    /// What stands where there is no curve.
    pub empty: &'static str,
}

impl PanelGrid<'_> {
    pub fn draw(self) -> Result<String, ReportError> {
        let margin = if self.rows.iter().any(|row| !row.name.is_empty()) { STRIP } else { MARGIN };
        let columns = Columns::new(self.columns.len(), self.rows.iter().any(|row| row.own_y), margin);
        let notes = self.columns.iter().map(|column| column.notes.len()).max().unwrap_or(0);
        let top = self.legend.height(columns.legend_width()) + HEADING + NOTE * notes as f64;
        let height = top + (0..self.rows.len()).map(|row| self.height_of(row)).sum::<f64>();
        canvas::draw((columns.width, height), self.title, |canvas| {
            self.legend.draw(canvas, columns.left, columns.legend_width())?;
            self.draw_headings(canvas, &columns, top - NOTE * notes as f64)?;
            let mut y = top;
            for (index, row) in self.rows.iter().enumerate() {
                self.draw_row(canvas, row, index, &columns, y, margin)?;
                y += self.height_of(index);
            }
            Ok(())
        })
    }

    /// With its axis where the next row has another.
    fn height_of(&self, row: usize) -> f64 {
        let after = match (self.has_own_axis(row), row + 1 == self.rows.len()) {
            (true, true) => X_AXIS,
            (true, false) => X_AXIS + GAP,
            _ => GAP,
        };
        self.rows[row].height + after
    }

    fn has_own_axis(&self, row: usize) -> bool {
        let row_x = |row: &PanelRow| (row.x.high(), row.x_axis.clone());
        self.rows.get(row + 1).is_none_or(|next| row_x(next) != row_x(&self.rows[row]))
    }

    fn draw_headings(&self, canvas: &Canvas, columns: &Columns, bottom: f64) -> Result<(), ReportError> {
        let font = Font { size: BODY, colour: INK, bold: true };
        for (index, column) in self.columns.iter().enumerate() {
            let centre = columns.panel_left(index) + columns.panel_width / 2.0;
            canvas.text(&column.heading, (centre, bottom - 5.0), Align::Centre, font)?;
            for (row, note) in column.notes.iter().enumerate() {
                let baseline = bottom + row as f64 * NOTE + 5.5;
                canvas.text(note, (centre, baseline), Align::Centre, Font { size: SMALL, bold: false, ..font })?;
            }
        }
        Ok(())
    }

    fn draw_row(
        &self,
        canvas: &Canvas,
        row: &PanelRow,
        index: usize,
        columns: &Columns,
        top: f64,
        margin: f64,
    ) -> Result<(), ReportError> {
        let font = Font { size: BODY, colour: INK, bold: false };
        let middle = top + row.height / 2.0;
        let axis = self.has_own_axis(index);
        canvas.upwards(&row.y_axis, (8.0, middle), font)?;
        for (column, grid_panel) in row.panels.iter().enumerate() {
            let (left, width) = (columns.panel_left(column), columns.panel_width);
            let (x, y) = (row.x.clone(), grid_panel.y.clone());
            let panel = Panel { canvas, left, top, width, height: row.height, x, y };
            panel.frame(axis, column == 0 || row.own_y)?;
            grid_panel.draw(&panel)?;
        }
        if !row.name.is_empty() {
            let font = Font { size: SMALL, ..font };
            canvas.upwards(&row.name, (columns.width - 7.0, middle), font)?;
        }
        if axis {
            let place = (columns.centre(margin), top + row.height + X_AXIS - 5.0);
            canvas.text(&row.x_axis, place, Align::Centre, font)?;
        }
        Ok(())
    }
}

impl GridPanel {
    fn draw(&self, panel: &Panel) -> Result<(), ReportError> {
        for &value in &self.references {
            panel.level(value, Stroke::dashed(QUIET, 0.75))?;
        }
        if self.curves.is_empty() {
            let font = Font { size: SMALL, colour: QUIET, bold: false };
            let centre = (panel.left + panel.width / 2.0, panel.top + panel.height / 2.0);
            return panel.canvas.label(self.empty, centre, Align::Centre, font);
        }
        self.marked.iter().try_for_each(|&step| panel.mark_step(step, INK))?;
        drawn::draw(panel, &self.curves)
    }
}
