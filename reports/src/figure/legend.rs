//! A legend above the panels, where it covers no data.

use plotters::style::RGBColor;

use super::heat_map::Shade;
use super::style::{BAND_OPACITY, QUIET};
use crate::ReportError;
use crate::canvas::{self, Align, BODY, Canvas, Drawing, Font, Marker, Position, SCREEN, Stroke, text_width, wrapped};

const ROW: f64 = 14.0;
const SAMPLE: f64 = 16.0;
const BAR: f64 = 60.0;
/// After an item.
const SPACE: f64 = 12.0;

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
    /// The text before goes on.
    More,
}

/// A key on a page: its sample, its text, and what the page calls the curves that look so.
pub type OnPage<'a> = (Option<Drawing>, &'a str, Option<String>);

#[derive(Default)]
pub struct Legend {
    items: Vec<(Key, String)>,
}

impl Legend {
    pub fn new() -> Legend {
        Legend::default()
    }

    /// Of marked lines, each with what it stands for.
    pub fn of_lines(lines: impl IntoIterator<Item = (String, Stroke, Marker)>) -> Legend {
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

    /// Its keys for a page.
    pub fn keys(&self) -> Result<Vec<OnPage<'_>>, ReportError> {
        let of = |key: &Key| {
            let width = match key {
                Key::Words => 0.0,
                Key::Bar(shade) => bar_width(shade),
                _ => SAMPLE,
            };
            let drawing = canvas::draw((width, 10.0), 1.0, SCREEN, "", |canvas| draw_sample(canvas, key, (0.0, 5.0)))?;
            let series = match key {
                Key::Line(stroke) | Key::MarkedLine(stroke, _) => Some(stroke.name()),
                _ => None,
            };
            Ok(((width > 0.0).then_some(drawing), series))
        };
        self.items.iter().map(|(key, text)| of(key).map(|(drawing, series)| (drawing, &**text, series))).collect()
    }

    /// What a stroke stands for; empty if that is not said.
    pub fn name_of(&self, stroke: &Stroke) -> &str {
        let is = |key: &Key| matches!(key, Key::Line(of) | Key::MarkedLine(of, _) if of.name() == stroke.name());
        self.items.iter().find(|(key, _)| is(key)).map_or("", |(_, text)| text)
    }

    /// Height in points when laid out over a width.
    pub fn height(&self, width: f64) -> f64 {
        ROW * self.rows(width).len() as f64 + 4.0
    }

    pub fn draw(&self, canvas: &Canvas, (left, top): Position, width: f64) -> Result<(), ReportError> {
        for (row, items) in self.rows(width).into_iter().enumerate() {
            let y = top + ROW * (row as f64 + 0.5) + 2.0;
            let mut x = left;
            for (key, text) in items {
                draw_item(canvas, key, &text, (x, y))?;
                x += item_width(key, &text);
            }
        }
        Ok(())
    }

    /// Side by side as they fit; the text of one that is wider than a row alone goes on in the next.
    fn rows(&self, width: f64) -> Vec<Vec<(&Key, String)>> {
        let mut rows: Vec<Vec<(&Key, String)>> = Vec::new();
        let mut used = f64::INFINITY;
        for (key, text) in &self.items {
            // The space after the last item of a row may hang over.
            let room = width - (item_width(key, "") - SPACE);
            let lines = if text_width(text, BODY) > room { wrapped(text, room, BODY) } else { vec![text.clone()] };
            for (index, line) in lines.into_iter().enumerate() {
                let key = if index == 0 { key } else { &Key::More };
                let needed = item_width(key, &line);
                if used + needed - SPACE > width || index > 0 {
                    rows.push(Vec::new());
                    used = 0.0;
                }
                used += needed;
                if let Some(row) = rows.last_mut() {
                    row.push((key, line));
                }
            }
        }
        rows
    }
}

fn item_width(key: &Key, text: &str) -> f64 {
    match key {
        Key::Words => text_width(text, BODY) + 8.0,
        Key::Bar(shade) => bar_width(shade) + 8.0 + text_width(text, BODY) + SPACE,
        _ => SAMPLE + 4.0 + text_width(text, BODY) + SPACE,
    }
}

/// With the values at its ends.
fn bar_width(shade: &Shade) -> f64 {
    BAR + shade.ends().iter().map(|end| text_width(end, BODY) + 5.0).sum::<f64>()
}

fn draw_bar(canvas: &Canvas, shade: &Shade, (x, y): Position) -> Result<(), ReportError> {
    const PIECES: u32 = 30;
    let [low, high] = shade.ends();
    let font = Font::new(BODY);
    canvas.label(&low, (x, y), Align::Left, font)?;
    let left = x + text_width(&low, BODY) + 5.0;
    for piece in 0..PIECES {
        let [from, to] = [piece, piece + 1].map(|end| left + BAR * f64::from(end) / f64::from(PIECES));
        let colour = shade.at((f64::from(piece) + 0.5) / f64::from(PIECES));
        canvas.rectangle((from, y - 3.5), ((to + 0.25).min(left + BAR), y + 3.5), colour)?;
    }
    canvas.label(&high, (left + BAR + 5.0, y), Align::Left, font)
}

fn draw_item(canvas: &Canvas, key: &Key, text: &str, (x, y): Position) -> Result<(), ReportError> {
    draw_sample(canvas, key, (x, y))?;
    let text_left = match key {
        Key::Words => x,
        Key::Bar(shade) => x + bar_width(shade) + 8.0,
        _ => x + SAMPLE + 4.0,
    };
    canvas.label(text, (text_left, y), Align::Left, Font::new(BODY))
}

fn draw_sample(canvas: &Canvas, key: &Key, (x, y): Position) -> Result<(), ReportError> {
    let line = [(x, y), (x + SAMPLE, y)];
    match key {
        Key::Words | Key::More => {}
        Key::Line(stroke) => canvas.line(&line, *stroke)?,
        Key::MarkedLine(stroke, marker) => {
            canvas.line(&line, *stroke)?;
            canvas.markers(*marker, &[(x + SAMPLE / 2.0, y)], stroke.colour)?;
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
    Ok(())
}
