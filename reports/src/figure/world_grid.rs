//! The grid of Figures 2 and 3: a column per noise level; the actual designations above, null worlds below.

use plotters::style::RGBColor;

use super::Columns;
use super::drawn::{self, Drawn, Marks};
use super::legend::{Key, Legend};
use super::look::{CORRUPT, INK, PRISTINE, QUIET, group_look};
use crate::ReportError;
use crate::axes::{Panel, Scale};
use crate::canvas::{self, Align, BODY, Canvas, Font, Marker, SMALL, Stroke};
use crate::results::Series;

const HEADING: f64 = 14.0;
const NOTE: f64 = 10.0;
const PANEL_HEIGHT: f64 = 74.0;
/// Of panels that more than a few curves share.
const TALL_PANEL_HEIGHT: f64 = 100.0;
const FEW_GROUPS: usize = 4;
const GAP: f64 = 10.0;
/// The rows' names on the right.
const STRIP: f64 = 16.0;

pub struct WorldGrid<'t> {
    pub title: &'t str,
    pub columns: Vec<GridColumn>,
    /// Worlds of the rows, 0 the actual one.
    pub worlds: Vec<i64>,
    pub x: Scale,
    pub x_axis: String,
    pub y_axis: String,
    /// The groups whose curves are drawn.
    pub looks: Vec<GroupLook>,
    /// A reference value drawn as a thin line, and what the legend calls it.
    pub reference: Option<&'static str>,
    /// What the legend says of the intervals, where curves have some.
    pub interval: Option<&'static str>,
    /// Every column its own y labels; otherwise all share those of the first.
    pub own_y: bool,
    /// A marker on every point, or on a few of many.
    pub mark_every_point: bool,
    pub curve_width: f64,
}

/// For each row and each group, the curves.
pub type GridRows = Vec<Vec<Vec<Series>>>;

pub struct GridColumn {
    pub heading: String,
    /// A line under the heading; empty for none.
    pub note: String,
    pub y: Scale,
    pub rows: GridRows,
    /// Where the reference line lies, for each run.
    pub reference: Vec<f64>,
}

pub struct GroupLook {
    pub name: String,
    pub colour: RGBColor,
    pub marker: Marker,
}

/// The looks of pristine and corrupt examples, with what the legend calls them.
pub fn designations(pristine: &str, corrupt: &str) -> Vec<GroupLook> {
    vec![
        GroupLook { name: pristine.to_owned(), colour: PRISTINE, marker: Marker::Disc },
        GroupLook { name: corrupt.to_owned(), colour: CORRUPT, marker: Marker::Square },
    ]
}

/// The looks of other groups.
pub fn groups<'a>(names: impl Iterator<Item = &'a str>) -> Vec<GroupLook> {
    let look = |(index, name): (usize, &str)| {
        let (colour, marker) = group_look(index);
        GroupLook { name: name.to_owned(), colour, marker }
    };
    names.enumerate().map(look).collect()
}

impl WorldGrid<'_> {
    pub fn draw(mut self) -> Result<String, ReportError> {
        let columns = Columns::new(self.columns.len(), self.own_y, STRIP);
        let legend = self.legend();
        let notes = if self.columns.iter().any(|column| !column.note.is_empty()) { NOTE } else { 0.0 };
        let top = legend.height(columns.legend_width()) + HEADING + notes;
        let height = top + self.row() * self.worlds.len() as f64 + 20.0;
        let grid_columns = std::mem::take(&mut self.columns);
        canvas::draw((columns.width, height), self.title, |canvas| {
            legend.draw(canvas, columns.left, columns.legend_width())?;
            for (index, column) in grid_columns.into_iter().enumerate() {
                let font = Font { size: BODY, colour: INK, bold: true };
                let centre = columns.panel_left(index) + columns.panel_width / 2.0;
                canvas.text(&column.heading, (centre, top - notes - 5.0), Align::Centre, font)?;
                let small = Font { size: SMALL, bold: false, ..font };
                canvas.text(&column.note, (centre, top - notes + 5.5), Align::Centre, small)?;
                self.draw_column(canvas, column, (columns.panel_left(index), top), columns.panel_width, index == 0)?;
            }
            self.draw_titles(canvas, &columns, top, height)
        })
    }

    fn panel_height(&self) -> f64 {
        if self.looks.len() > FEW_GROUPS { TALL_PANEL_HEIGHT } else { PANEL_HEIGHT }
    }

    fn row(&self) -> f64 {
        self.panel_height() + GAP
    }

    fn legend(&self) -> Legend {
        let key = |legend: Legend, look: &GroupLook| {
            legend.with(Key::MarkedLine(Stroke::solid(look.colour, 1.25), look.marker), look.name.as_str())
        };
        let legend = self.looks.iter().fold(Legend::new(), key);
        let legend = match self.reference {
            Some(reference) => legend.with(Key::Line(Stroke::dashed(QUIET, 0.75)), reference),
            None => legend,
        };
        match self.interval {
            Some(interval) => legend.with(Key::Band(QUIET), interval),
            None => legend,
        }
    }

    fn draw_column(
        &self,
        canvas: &Canvas,
        column: GridColumn,
        (left, top): (f64, f64),
        width: f64,
        first: bool,
    ) -> Result<(), ReportError> {
        let rows = column.rows.len();
        for (row, groups) in column.rows.into_iter().enumerate() {
            let (x, y) = (self.x.clone(), column.y.clone());
            let top = top + row as f64 * self.row();
            let panel = Panel { canvas, left, top, width, height: self.panel_height(), x, y };
            panel.frame(row + 1 == rows, first || self.own_y)?;
            for &value in &column.reference {
                panel.level(value, Stroke::dashed(QUIET, 0.75))?;
            }
            drawn::draw(&panel, &self.curves(groups))?;
        }
        Ok(())
    }

    /// The first group on top.
    fn curves(&self, groups: Vec<Vec<Series>>) -> Vec<Drawn> {
        let number = self.looks.len().max(1) as f64;
        let width = if self.looks.len() > FEW_GROUPS { 0.6 } else { self.curve_width };
        let curves = groups.into_iter().zip(&self.looks).enumerate().rev().flat_map(|(index, (series, look))| {
            let phase = (index as f64 + 0.5) / number;
            let marks = if self.mark_every_point { Marks::Every } else { Marks::Few(phase) };
            Drawn::all(series, Stroke::solid(look.colour, width), Some((look.marker, marks)))
        });
        curves.collect()
    }

    fn draw_titles(&self, canvas: &Canvas, columns: &Columns, top: f64, height: f64) -> Result<(), ReportError> {
        let font = Font { size: BODY, colour: INK, bold: false };
        let middle = top + (self.row() * self.worlds.len() as f64 - GAP) / 2.0;
        canvas.upwards(&self.y_axis, (8.0, middle), font)?;
        canvas.text(&self.x_axis, (columns.centre(STRIP), height - 5.0), Align::Centre, font)?;
        for (row, world) in self.worlds.iter().enumerate() {
            let name = if *world == 0 { "actual".to_owned() } else { format!("null world {world}") };
            let font = Font { size: SMALL, bold: *world == 0, ..font };
            canvas.upwards(
                &name,
                (columns.width - 7.0, top + row as f64 * self.row() + self.panel_height() / 2.0),
                font,
            )?;
        }
        Ok(())
    }
}
