//! A legend above the panels, where it covers no data.

use plotters::style::RGBColor;

use super::heat_map::Shade;
use super::look::{BAND_OPACITY, INK, QUIET};
use crate::ReportError;
use crate::canvas::{Align, BODY, Canvas, Font, Marker, Place, Stroke, text_width};

const ROW: f64 = 14.0;
const SAMPLE: f64 = 16.0;
const BAR: f64 = 60.0;

pub enum Key {
    /// A heading for the keys after it.
    Words,
    Line(Stroke),
    MarkedLine(Stroke, Marker),
    Band(RGBColor),
    /// A step marked at the bottom edge.
    Tick(RGBColor),
    /// What the colours of a heat map stand for.
    Bar(Shade),
}

#[derive(Default)]
pub struct Legend {
    items: Vec<(Key, String)>,
}

impl Legend {
    pub fn new() -> Legend {
        Legend::default()
    }

    /// Of marked lines, each with what it stands for.
    pub fn of(lines: impl IntoIterator<Item = (String, Stroke, Marker)>) -> Legend {
        let line = |legend: Legend, (text, stroke, marker)| legend.with(Key::MarkedLine(stroke, marker), text);
        lines.into_iter().fold(Legend::new(), line)
    }

    pub fn with(mut self, key: Key, text: impl Into<String>) -> Legend {
        self.items.push((key, text.into()));
        self
    }

    /// With the keys of another after its own.
    pub fn and(mut self, other: Legend) -> Legend {
        self.items.extend(other.items);
        self
    }

    /// With the thin dashed line that curves are compared with.
    pub fn with_reference(self, text: &str) -> Legend {
        self.with(Key::Line(Stroke::dashed(QUIET, 0.75)), text)
    }

    /// Height in points when laid out over a width.
    pub fn height(&self, width: f64) -> f64 {
        ROW * self.rows(width).len() as f64 + 4.0
    }

    pub fn draw(&self, canvas: &Canvas, (left, top): Place, width: f64) -> Result<(), ReportError> {
        for (row, items) in self.rows(width).into_iter().enumerate() {
            let y = top + ROW * (row as f64 + 0.5) + 2.0;
            let mut x = left;
            for (key, text) in items {
                draw_item(canvas, key, text, (x, y))?;
                x += item_width(key, text);
            }
        }
        Ok(())
    }

    fn rows(&self, width: f64) -> Vec<Vec<&(Key, String)>> {
        let mut rows: Vec<Vec<&(Key, String)>> = Vec::new();
        let mut used = f64::INFINITY;
        for item in &self.items {
            let needed = item_width(&item.0, &item.1);
            // The space after the last item of a row may hang over.
            if used + needed - 12.0 > width {
                rows.push(Vec::new());
                used = 0.0;
            }
            used += needed;
            if let Some(row) = rows.last_mut() {
                row.push(item);
            }
        }
        rows
    }
}

fn item_width(key: &Key, text: &str) -> f64 {
    match key {
        Key::Words => text_width(text, BODY) + 8.0,
        Key::Bar(shade) => bar_width(shade) + 8.0 + text_width(text, BODY) + 12.0,
        _ => SAMPLE + 4.0 + text_width(text, BODY) + 12.0,
    }
}

/// With the values at its ends.
fn bar_width(shade: &Shade) -> f64 {
    BAR + shade.ends().iter().map(|end| text_width(end, BODY) + 5.0).sum::<f64>()
}

fn draw_bar(canvas: &Canvas, shade: &Shade, (x, y): Place) -> Result<(), ReportError> {
    const PIECES: u32 = 30;
    let [low, high] = shade.ends();
    let font = Font { size: BODY, colour: INK, bold: false };
    canvas.label(&low, (x, y), Align::Left, font)?;
    let left = x + text_width(&low, BODY) + 5.0;
    for piece in 0..PIECES {
        let [from, to] = [piece, piece + 1].map(|end| left + BAR * f64::from(end) / f64::from(PIECES));
        let colour = shade.at((f64::from(piece) + 0.5) / f64::from(PIECES));
        canvas.rectangle((from, y - 3.5), ((to + 0.25).min(left + BAR), y + 3.5), colour)?;
    }
    canvas.label(&high, (left + BAR + 5.0, y), Align::Left, font)
}

fn draw_item(canvas: &Canvas, key: &Key, text: &str, (x, y): Place) -> Result<(), ReportError> {
    let line = [(x, y), (x + SAMPLE, y)];
    let text_left = match key {
        Key::Words => x,
        Key::Bar(shade) => x + bar_width(shade) + 8.0,
        _ => x + SAMPLE + 4.0,
    };
    match key {
        Key::Words => {}
        Key::Line(stroke) => canvas.line(&line, *stroke)?,
        Key::MarkedLine(stroke, marker) => {
            canvas.line(&line, *stroke)?;
            canvas.marker(*marker, (x + SAMPLE / 2.0, y), stroke.colour)?;
        }
        Key::Tick(colour) => {
            let bar = |x: f64| canvas.line(&[(x, y - 1.5), (x, y + 2.0)], Stroke::solid(*colour, 1.0));
            [3.0, 6.0, 9.0, 12.0].into_iter().try_for_each(|place| bar(x + place))?;
        }
        Key::Bar(shade) => draw_bar(canvas, shade, (x, y))?,
        Key::Band(colour) => {
            let corners = [(x, y - 4.0), (x + SAMPLE, y - 4.0), (x + SAMPLE, y + 4.0), (x, y + 4.0)];
            canvas.area(&corners, *colour, BAND_OPACITY)?;
        }
    }
    canvas.label(text, (text_left, y), Align::Left, Font { size: BODY, colour: INK, bold: false })
}
