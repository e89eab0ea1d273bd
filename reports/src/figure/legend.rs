//! A legend above the panels, where it covers no data.

use plotters::style::RGBColor;

use super::look::{BAND_OPACITY, INK};
use crate::ReportError;
use crate::canvas::{Align, BODY, Canvas, Font, Marker, Stroke, text_width};

const ROW: f64 = 14.0;
const SAMPLE: f64 = 16.0;

pub enum Key {
    /// A heading for the keys after it.
    Words,
    Line(Stroke),
    MarkedLine(Stroke, Marker),
    Band(RGBColor),
    /// A step marked at the bottom edge.
    Tick(RGBColor),
}

pub struct Legend {
    items: Vec<(Key, String)>,
}

impl Legend {
    pub fn new() -> Legend {
        Legend { items: Vec::new() }
    }

    pub fn with(mut self, key: Key, text: impl Into<String>) -> Legend {
        self.items.push((key, text.into()));
        self
    }

    /// Height in points when laid out over a width.
    pub fn height(&self, width: f64) -> f64 {
        ROW * self.rows(width).len() as f64 + 4.0
    }

    pub fn draw(&self, canvas: &Canvas, left: f64, width: f64) -> Result<(), ReportError> {
        for (row, items) in self.rows(width).into_iter().enumerate() {
            let y = ROW * (row as f64 + 0.5) + 2.0;
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
        _ => SAMPLE + 4.0 + text_width(text, BODY) + 12.0,
    }
}

fn draw_item(canvas: &Canvas, key: &Key, text: &str, (x, y): (f64, f64)) -> Result<(), ReportError> {
    let line = [(x, y), (x + SAMPLE, y)];
    let text_left = match key {
        Key::Words => x,
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
        Key::Band(colour) => {
            let corners = [(x, y - 4.0), (x + SAMPLE, y - 4.0), (x + SAMPLE, y + 4.0), (x, y + 4.0)];
            canvas.area(&corners, *colour, BAND_OPACITY)?;
        }
    }
    canvas.label(text, (text_left, y), Align::Left, Font { size: BODY, colour: INK, bold: false })
}
