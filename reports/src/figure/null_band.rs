//! A row of panels with the actual statistic, its simultaneous null band and p-values: our version of Figures 2 and 3.

use plotters::style::RGBColor;

use super::Columns;
use super::drawn::{self, Drawn, Marks};
use super::legend::{Key, Legend};
use super::look::{BAND_OPACITY, INK, NULL_BAND, QUIET};
use crate::ReportError;
use crate::axes::{Panel, Scale};
use crate::canvas::{self, Align, BODY, Canvas, Font, Marker, SMALL, Stroke};
use crate::curves::Line;
use crate::results::Series;

const HEADING: f64 = 14.0;
const NOTE: f64 = 10.0;
const PANEL_HEIGHT: f64 = 116.0;
/// Room for the half of a tick label that reaches over the last panel's edge.
const MARGIN: f64 = 8.0;

pub struct NullBand {
    pub title: &'static str,
    pub columns: Vec<BandColumn>,
    pub x: Scale,
    pub x_axis: String,
    pub y_axis: String,
    pub colour: RGBColor,
    /// What the legend calls the statistic and the line of its null mean.
    pub statistic: &'static str,
    pub reference: &'static str,
    /// What it says of the interval of the statistic, where there is one.
    pub interval: Option<&'static str>,
    pub own_y: bool,
    pub mark_points: bool,
}

pub struct BandColumn {
    pub heading: String,
    pub y: Scale,
    pub curves: Vec<Series>,
    /// The null distribution of each seed.
    pub bands: Vec<BandRun>,
    /// The two p-values, written under the heading, where no curve can run through them.
    pub notes: [String; 2],
}

pub struct BandRun {
    pub mean: Line,
    pub lower: Line,
    pub upper: Line,
}

impl NullBand {
    pub fn draw(mut self) -> Result<String, ReportError> {
        let columns = Columns::new(self.columns.len(), self.own_y, MARGIN);
        let band_columns = std::mem::take(&mut self.columns);
        let legend = self.legend();
        let top = legend.height(columns.legend_width()) + HEADING + 2.0 * NOTE;
        let height = top + PANEL_HEIGHT + 30.0;
        canvas::draw((columns.width, height), self.title, |canvas| {
            let font = Font { size: BODY, colour: INK, bold: false };
            legend.draw(canvas, columns.left, columns.legend_width())?;
            for (index, column) in band_columns.into_iter().enumerate() {
                self.draw_column(canvas, column, (columns.panel_left(index), top), columns.panel_width, index == 0)?;
            }
            canvas.upwards(&self.y_axis, (8.0, top + PANEL_HEIGHT / 2.0), font)?;
            canvas.text(&self.x_axis, (columns.centre(MARGIN), height - 5.0), Align::Centre, font)
        })
    }

    fn legend(&self) -> Legend {
        let statistic = Stroke::solid(self.colour, 1.25);
        let legend = Legend::new()
            .with(Key::MarkedLine(statistic, Marker::Disc), self.statistic)
            .with(Key::Line(Stroke::dashed(QUIET, 0.75)), self.reference)
            .with(Key::Band(NULL_BAND), "95 % simultaneous null band");
        match self.interval {
            Some(interval) => legend.with(Key::Band(self.colour), interval),
            None => legend,
        }
    }

    fn draw_column(
        &self,
        canvas: &Canvas,
        column: BandColumn,
        (left, top): (f64, f64),
        width: f64,
        first: bool,
    ) -> Result<(), ReportError> {
        let font = Font { size: BODY, colour: INK, bold: true };
        let (centre, notes) = (left + width / 2.0, top - 2.0 * NOTE);
        canvas.text(&column.heading, (centre, notes - 5.0), Align::Centre, font)?;
        for (row, note) in column.notes.iter().enumerate() {
            let baseline = notes + row as f64 * NOTE + 5.5;
            canvas.text(note, (centre, baseline), Align::Centre, Font { size: SMALL, colour: INK, bold: false })?;
        }
        let panel = Panel { canvas, left, top, width, height: PANEL_HEIGHT, x: self.x.clone(), y: column.y.clone() };
        panel.frame(true, first || self.own_y)?;
        let opacity = BAND_OPACITY / column.bands.len().max(1) as f64;
        for band in &column.bands {
            panel.band(&band.lower, &band.upper, NULL_BAND, opacity)?;
        }
        for band in &column.bands {
            panel.curve(&band.mean, Stroke::dashed(QUIET, 0.75))?;
        }
        let marks = if self.mark_points { Marks::Every } else { Marks::Few(0.5) };
        let stroke = Stroke::solid(self.colour, 1.25);
        drawn::draw(&panel, &Drawn::all(column.curves, stroke, Some((Marker::Disc, marks))).collect::<Vec<_>>())
    }
}
