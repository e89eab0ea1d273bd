//! The one layout of every figure: rows of panels side by side, a legend above, each axis labelled once where panels share it.

use plotters::style::{RGBColor, WHITE};

use super::legend::{Key, Legend};
use super::steps;
use super::style::{BAND_OPACITY, COLUMN_WIDTH, FULL_WIDTH, INK, NULL_BAND, QUIET, curve_width};
use crate::ReportError;
use crate::axes::{Panel, Scale};
use crate::canvas::{self, Align, BODY, Canvas, Drawing, Font, Marker, PAPER, SCREEN, SMALL, Stroke, wrapped};
use crate::curves::{Banded, Series};
use crate::study::Sheet;

const HEADING: f64 = 11.0;
const NOTE: f64 = 10.0;
const GAP: f64 = 10.0;
/// Title of an axis.
const TITLE: f64 = 14.0;
/// The rows' names on the right.
const STRIP: f64 = 16.0;
/// Room for the half of a tick label that reaches over the last panel's edge.
const MARGIN: f64 = 8.0;
/// Never a narrower panel than legible.
const NARROWEST: f64 = 78.0;
/// Narrower than that no panel is, whatever the width asked for.
const LEAST: f64 = 30.0;
/// Heights of the panels.
pub const LOW: f64 = 74.0;
pub const MIDDLE: f64 = 92.0;
pub const TALL: f64 = 116.0;

/// How large a drawing is to be, in points.
#[derive(Clone, Copy)]
pub struct Size {
    /// None: as suits the number of panels.
    pub width: Option<f64>,
    /// Of its text.
    pub font: f64,
}

pub struct Panels {
    pub legend: Legend,
    /// What the legend says of the bands around curves, where some have one.
    pub interval: &'static str,
    pub rows: Vec<Row>,
}

#[derive(Clone)]
pub struct Row {
    /// On the right; empty where nothing needs telling apart.
    pub name: String,
    pub x_axis: String,
    /// None: panels are as high as wide.
    pub height: Option<f64>,
    pub plots: Vec<Plot>,
}

/// What a panel shows.
#[derive(Clone)]
pub struct Plot {
    pub heading: String,
    /// Lines under the heading, where no curve can run through them.
    pub notes: Vec<String>,
    /// Title of the vertical axis; empty: that of the panel to the left.
    pub y_axis: String,
    pub x: Scale,
    pub y: Scale,
    pub cells: Vec<Cell>,
    /// What the cells of a matrix stand for: what of, at which step, and the number.
    pub numbers: Vec<(String, i64, Option<f64>)>,
    /// Null distributions: a band, and a dashed line through its middle.
    pub null: Vec<Banded>,
    pub levels: Vec<(f64, Stroke)>,
    pub uprights: Vec<(f64, Stroke)>,
    /// The last on top.
    pub curves: Vec<StyledCurve>,
    /// Steps marked at the bottom edge.
    pub marked: Vec<f64>,
    /// What stands where there is nothing.
    pub empty: &'static str,
}

/// A rectangle of a heat map.
#[derive(Clone)]
pub struct Cell {
    pub x: [f64; 2],
    pub y: [f64; 2],
    pub colour: RGBColor,
    /// A value written into it.
    pub text: String,
}

/// A curve and how it looks.
#[derive(Clone)]
pub struct StyledCurve {
    pub series: Series,
    pub stroke: Stroke,
    pub marks: Option<(Marker, Marks)>,
}

#[derive(Clone, Copy)]
pub enum Marks {
    /// On every point.
    Every,
    /// On a few, from this part of the distance between them.
    Few(f64),
    /// On the last point.
    Last,
}

impl StyledCurve {
    /// Each of the series alike; thinner where they are single seeds.
    pub fn all(series: Vec<Series>, stroke: Stroke, marks: Option<(Marker, Marks)>) -> Vec<StyledCurve> {
        let drawn = series.into_iter().map(|series| {
            let width = if series.one_of_several { stroke.width.min(curve_width(2)) } else { stroke.width };
            StyledCurve { series, stroke: Stroke { width, ..stroke }, marks }
        });
        drawn.collect()
    }
}

impl StyledCurve {
    /// What tells it from other curves: its colour and its dashes.
    fn attributes(&self) -> String {
        format!("data-s=\"{}\"", self.stroke.name())
    }

    fn draw(&self, panel: &Panel) -> Result<(), ReportError> {
        let (line, colour) = (&self.series.curve.line, self.stroke.colour);
        panel.curve(line, self.stroke)?;
        match self.marks {
            Some((marker, Marks::Every)) => panel.markers(line, marker, colour),
            Some((marker, Marks::Few(phase))) => panel.sparse_markers(line, marker, colour, phase),
            Some((marker, Marks::Last)) => panel.markers(line.last().map_or(&[], std::slice::from_ref), marker, colour),
            None => Ok(()),
        }
    }
}

/// A thin dashed line at a level that curves are compared with.
pub fn reference(value: f64) -> (f64, Stroke) {
    (value, Stroke::dashed(QUIET, 0.75))
}

impl Plot {
    pub fn new(x: Scale, y: Scale) -> Plot {
        Plot {
            heading: String::new(),
            notes: Vec::new(),
            y_axis: String::new(),
            x,
            y,
            cells: Vec::new(),
            numbers: Vec::new(),
            null: Vec::new(),
            levels: Vec::new(),
            uprights: Vec::new(),
            curves: Vec::new(),
            marked: Vec::new(),
            empty: "none",
        }
    }
}

impl Row {
    /// A row whose panels share the titles of their axes.
    pub fn new(height: f64, x_axis: impl Into<String>, y_axis: impl Into<String>, mut plots: Vec<Plot>) -> Row {
        if let Some(first) = plots.first_mut() {
            first.y_axis = y_axis.into();
        }
        Row { name: String::new(), x_axis: x_axis.into(), height: Some(height), plots }
    }

    /// A row of curves over training, a panel for each list, with one vertical axis.
    pub fn of_curves(y_axis: impl Into<String>, y: Scale, all: Vec<Vec<StyledCurve>>) -> Row {
        let x = steps(all.iter().flatten());
        let plot = |curves| Plot { curves, ..Plot::new(x.clone(), y.clone()) };
        Row::new(MIDDLE, x.step_axis(), y_axis, all.into_iter().map(plot).collect())
    }

    pub fn named(self, name: impl Into<String>) -> Row {
        Row { name: name.into(), ..self }
    }

    fn heading_lines(&self, width: f64) -> usize {
        let lines = |plot: &Plot| wrapped(&plot.heading, width, BODY).len();
        self.plots.iter().map(lines).max().unwrap_or(0)
    }

    /// Headings and notes of its panels.
    fn above(&self, width: f64) -> f64 {
        let notes = self.plots.iter().map(|plot| plot.notes.len()).max().unwrap_or(0);
        let lines = HEADING * self.heading_lines(width) as f64 + NOTE * notes as f64;
        if lines > 0.0 { lines + 3.0 } else { 0.0 }
    }

    /// Whether every panel has the same axes as the one above it.
    fn shares_x(&self, next: &Row) -> bool {
        let same = |(a, b): (&Plot, &Plot)| a.x == b.x;
        self.x_axis == next.x_axis
            && self.plots.len() == next.plots.len()
            && self.plots.iter().zip(&next.plots).all(same)
    }

    fn has_y_labels(&self, column: usize) -> bool {
        column == 0 || self.plots[column].y != self.plots[0].y
    }

    /// Room left of a panel for the labels and the title of its vertical axis.
    fn left_of(&self, column: usize) -> f64 {
        let Some(plot) = self.plots.get(column) else { return 0.0 };
        let labels = if self.has_y_labels(column) { plot.y.widest() + 8.0 } else { 0.0 };
        let lines = self.y_title(plot).len() as f64;
        labels + if lines > 0.0 { TITLE + HEADING * (lines - 1.0) } else { 0.0 }
    }

    /// The title of a vertical axis, in lines that are not much longer than the panel is high.
    fn y_title(&self, plot: &Plot) -> Vec<String> {
        wrapped(&plot.y_axis, self.height.unwrap_or(NARROWEST) + HEADING, BODY)
    }

    /// Its name, in lines as long.
    fn name_lines(&self) -> Vec<String> {
        wrapped(&self.name, self.height.unwrap_or(NARROWEST) + HEADING, SMALL)
    }
}

/// Where everything is, in points.
struct Places {
    width: f64,
    panel_width: f64,
    /// Room left of each column, and where its panels begin.
    rooms: Vec<f64>,
    lefts: Vec<f64>,
    margin: f64,
}

impl Places {
    /// Of rows on a width, each with room for `columns` panels at least.
    fn new(rows: &[Row], width: Option<f64>, columns: usize) -> Places {
        let number = rows.iter().map(|row| row.plots.len()).max().unwrap_or(0).max(columns).max(1);
        let room = |column: usize| rows.iter().map(|row| row.left_of(column)).fold(0.0, f64::max);
        let rooms: Vec<f64> = (0..number).map(room).collect();
        let margin = match rows.iter().map(|row| row.name_lines().len()).max().unwrap_or(0) {
            0 => MARGIN,
            lines => STRIP + NOTE * (lines - 1) as f64,
        };
        // A paper's column for one, its page for three and more.
        let paper = width.unwrap_or(match number {
            1 => COLUMN_WIDTH,
            2 => 360.0,
            _ => FULL_WIDTH,
        });
        let rest = rooms.iter().sum::<f64>() + GAP * (number - 1) as f64 + margin;
        let narrowest = if width.is_some() { LEAST } else { NARROWEST };
        let width = f64::max(paper, rest + narrowest * number as f64);
        let panel_width = (width - rest) / number as f64;
        let mut lefts = Vec::new();
        let mut right = 0.0;
        for room in &rooms {
            lefts.push(right + room);
            right += room + panel_width + GAP;
        }
        Places { width, panel_width, rooms, lefts, margin }
    }

    fn legend_width(&self) -> f64 {
        self.width - self.lefts[0]
    }
}

impl Panels {
    /// Of a sheet, with its conditions over the first row.
    pub fn new(sheet: &Sheet, legend: Legend, rows: Vec<Row>) -> Panels {
        let labels = sheet.columns.iter().map(|(label, _)| label.clone());
        Panels { legend, interval: sheet.interval(), rows }.headed(labels)
    }

    /// With headings over the first row.
    pub fn headed(mut self, headings: impl IntoIterator<Item = String>) -> Panels {
        let plots = self.rows.iter_mut().take(1).flat_map(|row| &mut row.plots);
        plots.zip(headings).for_each(|(plot, heading)| plot.heading = heading);
        self
    }

    /// With one axis of steps for all rows, up to the last step of any.
    pub fn over_the_same_steps(mut self) -> Panels {
        let plots = || self.rows.iter().flat_map(|row| &row.plots);
        let x = steps(plots().flat_map(|plot| &plot.curves));
        for row in &mut self.rows {
            row.x_axis = x.step_axis();
            row.plots.iter_mut().for_each(|plot| plot.x = x.clone());
        }
        self
    }

    pub fn is_empty(&self) -> bool {
        let mut plots = self.rows.iter().flat_map(|row| &row.plots);
        plots.all(|plot| plot.curves.is_empty() && plot.cells.is_empty())
    }

    /// With a key for the bands around curves, where some have one: in their colour if they share one, so that it differs from
    /// that of a null band.
    pub fn explained(mut self) -> Panels {
        let plots = || self.rows.iter().flat_map(|row| &row.plots);
        let mut banded = plots().flat_map(|plot| &plot.curves).filter(|drawn| drawn.series.curve.has_band());
        let Some(colour) = banded.next().map(|drawn| drawn.stroke.colour) else { return self };
        let (colour, text) = match banded.all(|drawn| drawn.stroke.colour == colour) {
            true => (colour, self.interval.to_owned()),
            false if plots().all(|plot| plot.null.is_empty()) => (QUIET, self.interval.to_owned()),
            false => (QUIET, format!("{}, in the curve's colour", self.interval)),
        };
        self.legend = self.legend.with(Key::Band(colour), text);
        self
    }

    /// Draws them on a sheet of a size, as many side by side as are legible; `title` is the document's accessible name,
    /// `heading` what all panels have in common.
    pub fn draw(&self, title: &str, heading: &str, size: Size) -> Result<Drawing, ReportError> {
        let scale = size.font / BODY;
        let title = if heading.is_empty() { title.to_owned() } else { format!("{title}; {heading}") };
        let width = size.width.map(|width| width / scale);
        let rows: Vec<Row> = match width {
            Some(width) => split(&self.rows, self.columns_within(width)).into_iter().flatten().collect(),
            None => self.rows.clone(),
        };
        Layout { rows: &rows, places: Places::new(&rows, width, 1) }.draw(
            &title,
            heading,
            Some(&self.legend),
            scale,
            PAPER,
        )
    }

    /// Draws them in parts that are no wider than `width`, without their legend: a page shows parts side by side or one below the
    /// other.
    pub fn draw_parts(&self, title: &str, width: f64) -> Result<Vec<Drawing>, ReportError> {
        let columns = self.columns_within(width);
        let draw = |rows: Vec<Row>| {
            let places = Places::new(&rows, Some(width), columns.min(self.most_columns()));
            Layout { rows: &rows, places }.draw(title, "", None, 1.0, SCREEN)
        };
        split(&self.rows, columns).into_iter().map(draw).collect()
    }

    fn most_columns(&self) -> usize {
        self.rows.iter().map(|row| row.plots.len()).max().unwrap_or(0).max(1)
    }

    /// How many legible panels fit side by side.
    fn columns_within(&self, width: f64) -> usize {
        let most = self.most_columns();
        let legible = |columns: &usize| {
            let rows: Vec<Row> = split(&self.rows, *columns).into_iter().flatten().collect();
            Places::new(&rows, Some(width), 1).panel_width >= NARROWEST
        };
        let columns = (1..=most).rev().find(legible).unwrap_or(1);
        // No panel is left over alone where all lines may have nearly the same number.
        most.div_ceil(most.div_ceil(columns))
    }
}

/// Rows in parts of so many columns: of all rows together where the first has the headings for all, else of each for itself.
fn split(rows: &[Row], columns: usize) -> Vec<Vec<Row>> {
    let is_grid = rows.iter().skip(1).flat_map(|row| &row.plots).all(|plot| plot.heading.is_empty());
    let part = |row: &Row, index: usize| {
        let mut plots: Vec<Plot> = row.plots.iter().skip(index * columns).take(columns).cloned().collect();
        if let Some(first) = plots.first_mut().filter(|first| first.y_axis.is_empty()) {
            first.y_axis.clone_from(&row.plots[0].y_axis);
        }
        (!plots.is_empty()).then(|| Row { plots, ..row.clone() })
    };
    let parts = rows.iter().map(|row| row.plots.len().div_ceil(columns)).max().unwrap_or(0);
    match is_grid {
        true => (0..parts).map(|index| rows.iter().filter_map(|row| part(row, index)).collect()).collect(),
        false => rows
            .iter()
            .flat_map(|row| (0..parts).filter_map(|index| Some(vec![part(row, index)?])).collect::<Vec<_>>())
            .collect(),
    }
}

/// Rows and where they are.
struct Layout<'a> {
    rows: &'a [Row],
    places: Places,
}

impl Layout<'_> {
    fn draw(
        &self,
        title: &str,
        heading: &str,
        legend: Option<&Legend>,
        scale: f64,
        units: f64,
    ) -> Result<Drawing, ReportError> {
        let places = &self.places;
        let heading = wrapped(heading, places.legend_width(), BODY);
        let top = HEADING * heading.len() as f64;
        let bottom = top + legend.map_or(0.0, |legend| legend.height(places.legend_width()));
        let height = bottom + (0..self.rows.len()).map(|row| self.height_of(row)).sum::<f64>();
        canvas::draw((places.width, height), scale, units, title, |canvas| {
            let font = Font { bold: true, ..Font::new(BODY) };
            for (line, text) in heading.iter().enumerate() {
                canvas.text(text, (places.lefts[0], HEADING * (line as f64 + 1.0) - 1.0), Align::Left, font)?;
            }
            if let Some(legend) = legend {
                legend.draw(canvas, (places.lefts[0], top), places.legend_width())?;
            }
            let mut y = bottom;
            for (index, row) in self.rows.iter().enumerate() {
                self.draw_row(canvas, row, index, y)?;
                y += self.height_of(index);
            }
            Ok(())
        })
    }

    fn height_of(&self, index: usize) -> f64 {
        let (row, width) = (&self.rows[index], self.places.panel_width);
        row.above(width) + row.height.unwrap_or(width) + self.below(index)
    }

    /// Labels and title of the horizontal axis where the next row has another, and the gap before that.
    fn below(&self, index: usize) -> f64 {
        let row = &self.rows[index];
        if !self.has_x_labels(index) {
            return GAP;
        }
        let labels = row.plots.iter().map(|plot| plot.x.label_height(self.places.panel_width)).fold(0.0, f64::max);
        let title = if row.x_axis.is_empty() { 0.0 } else { TITLE };
        labels + title + if index + 1 == self.rows.len() { 3.0 } else { GAP }
    }

    fn has_x_labels(&self, index: usize) -> bool {
        self.rows.get(index + 1).is_none_or(|next| !self.rows[index].shares_x(next))
    }

    fn draw_row(&self, canvas: &Canvas, row: &Row, index: usize, y: f64) -> Result<(), ReportError> {
        let (places, font) = (&self.places, Font::new(BODY));
        let (width, height) = (places.panel_width, row.height.unwrap_or(places.panel_width));
        let top = y + row.above(width);
        let axis = self.has_x_labels(index);
        for (column, plot) in row.plots.iter().enumerate() {
            let left = places.lefts[column];
            plot.draw_heading(canvas, (left, y), row.heading_lines(width), width)?;
            for (line, text) in row.y_title(plot).iter().enumerate() {
                let x = left - places.rooms[column] + 8.0 + HEADING * line as f64;
                canvas.upwards(text, (x, top + height / 2.0), font)?;
            }
            let panel = Panel { canvas, left, top, width, height, x: plot.x.clone(), y: plot.y.clone() };
            panel.frame(axis, row.has_y_labels(column))?;
            canvas.group(&panel.attributes(), || plot.draw(&panel))?;
        }
        for (line, text) in row.name_lines().iter().rev().enumerate() {
            let x = places.width - 7.0 - NOTE * line as f64;
            canvas.upwards(text, (x, top + height / 2.0), Font { size: SMALL, ..font })?;
        }
        if axis {
            let labels = row.plots.iter().map(|plot| plot.x.label_height(width)).fold(0.0, f64::max);
            let right = places.width - places.margin;
            let place = ((places.lefts[0] + right) / 2.0, top + height + labels + TITLE - 4.0);
            canvas.text(&row.x_axis, place, Align::Centre, font)?;
        }
        Ok(())
    }
}

impl Plot {
    /// Headings end on one line, whatever number of lines each takes.
    fn draw_heading(
        &self,
        canvas: &Canvas,
        (left, top): (f64, f64),
        lines: usize,
        width: f64,
    ) -> Result<(), ReportError> {
        let font = Font { bold: true, ..Font::new(BODY) };
        let centre = left + width / 2.0;
        let heading = wrapped(&self.heading, width, BODY);
        let first = lines - heading.len().min(lines);
        for (line, text) in heading.iter().enumerate() {
            let baseline = top + HEADING * (first + line + 1) as f64 - 2.0;
            canvas.text(text, (centre, baseline), Align::Centre, font)?;
        }
        let top = top + HEADING * lines as f64;
        for (line, note) in self.notes.iter().enumerate() {
            let font = Font { size: SMALL, bold: false, ..font };
            canvas.text(note, (centre, top + NOTE * (line + 1) as f64 - 2.0), Align::Centre, font)?;
        }
        Ok(())
    }

    fn draw(&self, panel: &Panel) -> Result<(), ReportError> {
        // Cells of one colour are one path.
        let mut cells: Vec<&Cell> = self.cells.iter().collect();
        cells.sort_by_key(|cell| (cell.colour.0, cell.colour.1, cell.colour.2));
        cells.iter().try_for_each(|cell| panel.cell(cell.x, cell.y, cell.colour))?;
        for cell in &self.cells {
            let light = 0.3 * f64::from(cell.colour.0) + 0.6 * f64::from(cell.colour.1) > 110.0;
            let colour = if light { INK } else { WHITE };
            panel.note(&cell.text, cell.x, cell.y, Font { size: SMALL - 1.0, colour, bold: false })?;
        }
        // The bands of several seeds overlap.
        let opacity = BAND_OPACITY / self.null.len().max(1) as f64;
        for null in &self.null {
            panel.band(&null.lower, &null.upper, NULL_BAND, opacity)?;
        }
        for null in &self.null {
            panel.curve(&null.line, Stroke::dashed(QUIET, 0.75))?;
        }
        self.levels.iter().try_for_each(|(value, stroke)| panel.level(*value, *stroke))?;
        self.uprights.iter().try_for_each(|(value, stroke)| panel.upright(*value, *stroke))?;
        if self.curves.is_empty() && self.cells.is_empty() {
            let font = Font { size: SMALL, colour: QUIET, bold: false };
            let centre = (panel.left + panel.width / 2.0, panel.top + panel.height / 2.0);
            return panel.canvas.label(self.empty, centre, Align::Centre, font);
        }
        panel.mark_steps(&self.marked, INK)?;
        for curve in self.curves.iter().filter(|curve| curve.series.curve.has_band()) {
            let band = || panel.interval(&curve.series, curve.stroke.colour);
            panel.canvas.group(&curve.attributes(), band)?;
        }
        let draw = |curve: &StyledCurve| panel.canvas.group(&curve.attributes(), || curve.draw(panel));
        self.curves.iter().try_for_each(draw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_of_a_row_is_as_long_as_the_row_at_most_and_has_room() {
        let name = "initial = studies/adversarial-first/sgd_noise-1_seed-{seed}@8000";
        let row = |name: &str| Row { height: None, ..Row::new(LOW, "", "", Vec::new()).named(name) };
        assert_eq!(row(name).name_lines().len(), 5);
        assert_eq!(row(name).name_lines().concat().replace(' ', ""), name.replace(' ', ""));
        let margin = |name: &str| Places::new(&[row(name), row("actual")], Some(400.0), 1).margin;
        assert_eq!(margin(name) - margin("actual"), 4.0 * NOTE);
    }
}
