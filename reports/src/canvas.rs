//! A drawing surface in points (1/72 inch, the size on paper) over plotters.

use std::cell::RefCell;
use std::rc::Rc;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, Drawable, PathElement, PointCollection, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle, WHITE};

use crate::figure::style::INK;
use crate::format::{Backend, Body};
use crate::{ReportError, font};

/// plotters' coordinates are whole numbers: so many of them to a point keep curves smooth on paper, and on a screen.
pub const PAPER: f64 = 8.0;
pub const SCREEN: f64 = 4.0;
/// Half the height of a digit, in font sizes.
const HALF_DIGIT: f64 = 0.36;

/// Of a marker.
const RADIUS: f64 = 1.7;
/// Widths of the lines of markers, which no curve has: so markers are told from curves.
const OUTLINE: f64 = 0.625;
const CROSS: f64 = 0.875;

pub const BODY: f64 = 8.5;
pub const SMALL: f64 = 8.0;

/// A place on the canvas in points, y downwards.
pub type Position = (f64, f64);

#[derive(Clone, Copy, PartialEq)]
pub struct Stroke {
    pub colour: RGBColor,
    /// In points.
    pub width: f64,
    pub dash: Dash,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Dash {
    Solid,
    Dashed,
    Dotted,
    /// Dashes and dots.
    Alternating,
}

impl Stroke {
    pub fn solid(colour: RGBColor, width: f64) -> Stroke {
        Stroke { colour, width, dash: Dash::Solid }
    }

    pub fn dashed(colour: RGBColor, width: f64) -> Stroke {
        Stroke { colour, width, dash: Dash::Dashed }
    }

    /// What the page calls the curves that look so.
    pub fn name(&self) -> String {
        let RGBColor(red, green, blue) = self.colour;
        format!("{red:02x}{green:02x}{blue:02x}{}", self.dash as u8)
    }

    /// Lengths drawn and left out in turn, in points; empty for a solid line.
    pub fn pattern(&self) -> Vec<f64> {
        let (dot, gap) = (0.6 + 0.5 * self.width, 1.2 + 0.5 * self.width);
        match self.dash {
            Dash::Solid => vec![],
            Dash::Dashed => vec![3.0 + self.width, 2.0 + 0.5 * self.width],
            Dash::Dotted => vec![dot, gap],
            Dash::Alternating => vec![4.0 + self.width, gap, dot, gap],
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Marker {
    Disc,
    /// Hollow, so that it is told from a disc without colour.
    Square,
    Diamond,
    /// Hollow.
    Triangle,
    Cross,
    /// Its tip at a place: a value above the axis range.
    Up,
    /// Its tip at a place: a value below the axis range.
    Down,
}

impl Marker {
    /// Of its outline; none of a round one, or of one that has no inside.
    fn corners(self, (x, y): Position) -> Vec<Position> {
        let (left, right, top, bottom) = (x - RADIUS, x + RADIUS, y - RADIUS, y + RADIUS);
        match self {
            Marker::Disc | Marker::Cross => vec![],
            Marker::Square => vec![(left, top), (right, top), (right, bottom), (left, bottom)],
            Marker::Diamond => vec![(x - 2.2, y), (x, y - 2.2), (x + 2.2, y), (x, y + 2.2)],
            Marker::Triangle => vec![(x - 2.1, y + 1.4), (x, y - 2.2), (x + 2.1, y + 1.4)],
            Marker::Up => vec![(x - 2.2, y + 3.6), (x + 2.2, y + 3.6), (x, y)],
            Marker::Down => vec![(x - 2.2, y - 3.6), (x + 2.2, y - 3.6), (x, y)],
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Align {
    Left,
    Centre,
    Right,
}

#[derive(Clone, Copy, PartialEq)]
pub struct Font {
    /// In points.
    pub size: f64,
    pub colour: RGBColor,
    pub bold: bool,
}

/// What was drawn.
pub struct Drawing {
    pub title: String,
    /// Of the canvas, in points.
    pub size: (f64, f64),
    /// How much larger than on the canvas it is on paper.
    pub scale: f64,
    /// Of its elements, to a point.
    pub units: f64,
    /// The elements of an SVG document.
    pub body: String,
}

pub struct Canvas {
    /// To a point.
    units: f64,
    area: DrawingArea<Backend, Shift>,
    body: Rc<RefCell<Body>>,
}

/// Draws on a canvas of a size in so many units to a point; `title` is the drawing's accessible name.
pub fn draw(
    size: (f64, f64),
    scale: f64,
    units: f64,
    title: &str,
    paint: impl FnOnce(&Canvas) -> Result<(), ReportError>,
) -> Result<Drawing, ReportError> {
    let body = Rc::new(RefCell::new(Body::new(SMALL * units)));
    let [width, height] = [size.0, size.1].map(|length| (length * units).round().max(1.0) as u32);
    let backend = Backend { size: (width, height), body: body.clone() };
    paint(&Canvas { units, area: backend.into_drawing_area(), body: body.clone() })?;
    let body = body.borrow_mut().finished();
    Ok(Drawing { title: printable(title), size, scale, units, body })
}

impl Canvas {
    pub fn line(&self, places: &[Position], stroke: Stroke) -> Result<(), ReportError> {
        if places.len() < 2 {
            return Ok(());
        }
        self.body.borrow_mut().dashes = stroke.pattern().into_iter().map(|length| self.rounded(length)).collect();
        let style = ShapeStyle::from(stroke.colour).stroke_width(self.rounded(stroke.width).max(1) as u32);
        self.put(&PathElement::new(self.all_at(places), style))
    }

    pub fn area(&self, places: &[Position], colour: RGBColor, opacity: f64) -> Result<(), ReportError> {
        if places.len() < 3 {
            return Ok(());
        }
        self.put(&Polygon::new(self.all_at(places), colour.mix(opacity).filled()))
    }

    /// A filled rectangle between two corners.
    pub fn rectangle(&self, from: Position, to: Position, colour: RGBColor) -> Result<(), ReportError> {
        self.put(&Rectangle::new([from, to].map(|place| self.at(place)), colour.filled()))
    }

    /// The same marker at each place; hollow ones are filled before any is outlined.
    pub fn markers(&self, marker: Marker, places: &[Position], colour: RGBColor) -> Result<(), ReportError> {
        match marker {
            Marker::Disc => places
                .iter()
                .try_for_each(|&place| self.put(&Circle::new(self.at(place), self.rounded(RADIUS), colour.filled()))),
            Marker::Square | Marker::Triangle => {
                let corners = |&place: &Position| marker.corners(place);
                places.iter().map(corners).try_for_each(|corners| self.area(&corners, WHITE, 1.0))?;
                let closed = |corners: Vec<Position>| corners.iter().cycle().take(corners.len() + 2).copied().collect();
                let outlines = places.iter().map(corners).map(closed);
                outlines
                    .into_iter()
                    .try_for_each(|outline: Vec<Position>| self.line(&outline, Stroke::solid(colour, OUTLINE)))
            }
            Marker::Cross => places
                .iter()
                .flat_map(|&(x, y)| {
                    let (left, right, top, bottom) = (x - RADIUS, x + RADIUS, y - RADIUS, y + RADIUS);
                    [[(left, top), (right, bottom)], [(left, bottom), (right, top)]]
                })
                .try_for_each(|line| self.line(&line, Stroke::solid(colour, CROSS))),
            Marker::Diamond | Marker::Up | Marker::Down => {
                places.iter().try_for_each(|&place| self.area(&marker.corners(place), colour, 1.0))
            }
        }
    }

    /// Text whose baseline's left end, centre or right end is at `place`.
    pub fn text(&self, text: &str, place: Position, align: Align, font: Font) -> Result<(), ReportError> {
        self.put_text(text, place, align, font, FontTransform::None)
    }

    /// Text centred on `place` vertically.
    pub fn label(&self, text: &str, (x, y): Position, align: Align, font: Font) -> Result<(), ReportError> {
        self.text(text, (x, y + HALF_DIGIT * font.size), align, font)
    }

    /// Text centred on `place`, read upwards.
    pub fn upwards(&self, text: &str, (x, y): Position, font: Font) -> Result<(), ReportError> {
        self.put_text(text, (x + HALF_DIGIT * font.size, y), Align::Centre, font, FontTransform::Rotate270)
    }

    fn put_text(
        &self,
        text: &str,
        place: Position,
        align: Align,
        font: Font,
        transform: FontTransform,
    ) -> Result<(), ReportError> {
        if text.is_empty() {
            return Ok(());
        }
        let weight = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
        let align = match align {
            Align::Left => HPos::Left,
            Align::Centre => HPos::Center,
            Align::Right => HPos::Right,
        };
        let style = TextStyle::from(("DejaVu Sans", font.size * self.units, weight).into_font().transform(transform))
            .color(&font.colour)
            .pos(Pos::new(align, VPos::Bottom));
        self.put(&Text::new(printable(text).replace('\u{a0}', " "), self.at(place), style))
    }

    /// What `paint` draws as a group with attributes for the page.
    pub fn group(&self, attributes: &str, paint: impl FnOnce() -> Result<(), ReportError>) -> Result<(), ReportError> {
        self.body.borrow_mut().open(attributes);
        paint()?;
        self.body.borrow_mut().close();
        Ok(())
    }

    /// A length in whole units.
    pub fn rounded(&self, points: f64) -> i32 {
        (points * self.units).round() as i32
    }

    fn at(&self, (x, y): Position) -> (i32, i32) {
        (self.rounded(x), self.rounded(y))
    }

    fn all_at(&self, places: &[Position]) -> Vec<(i32, i32)> {
        places.iter().map(|&place| self.at(place)).collect()
    }

    /// How far apart values are that the eye tells apart, in points.
    pub fn resolution(&self) -> f64 {
        4.0 / self.units
    }

    fn put<'e, Element: Drawable<Backend>>(&self, element: &'e Element) -> Result<(), ReportError>
    where
        &'e Element: PointCollection<'e, (i32, i32)>,
    {
        self.area.draw(element).map_err(ReportError::drawing)
    }
}

impl Font {
    pub fn new(size: f64) -> Font {
        Font { size, colour: INK, bold: false }
    }
}

/// A text without the control characters that no document may hold: what stands for them is seen.
pub fn printable(text: &str) -> String {
    let forbidden = |letter: char| {
        letter.is_control() && !matches!(letter, '\n' | '\t') || matches!(letter, '\u{fffe}' | '\u{ffff}')
    };
    text.chars().map(|letter| if forbidden(letter) { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// Width of a text in points, in DejaVu Sans, the widest of the fonts that a reader may have.
pub fn text_width(text: &str, size: f64) -> f64 {
    size * font::width(text, false)
}

/// A bold text in lines no wider than a width in points: broken at spaces, and within a word that is wider by itself.
pub fn wrapped(text: &str, width: f64, size: f64) -> Vec<String> {
    let fits = |text: &str| size * font::width(text, true) <= width;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if fits(&format!("{line} {word}")) => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.extend(pieces(word, &fits)),
        }
    }
    lines
}

/// A word in pieces that fit, each as long as can be: the name of a run, a path. It is broken after a mark, elsewhere only if that
/// leaves a piece too long.
fn pieces(word: &str, fits: &dyn Fn(&str) -> bool) -> Vec<String> {
    const MARKS: [char; 6] = ['/', '-', '_', '@', ',', '\u{a0}'];
    let mut pieces = Vec::new();
    let mut rest = word;
    while !fits(rest) {
        let ends =
            || rest.char_indices().map(|(start, c)| (start + c.len_utf8(), c)).filter(|&(end, _)| end < rest.len());
        let fitting = || ends().take_while(|&(end, _)| fits(rest[..end].trim_end_matches('\u{a0}')));
        let mark = fitting().filter(|(_, c)| MARKS.contains(c)).last();
        let Some((end, _)) = mark.or_else(|| fitting().last()).or_else(|| ends().next()) else { break };
        pieces.push(rest[..end].trim_end_matches('\u{a0}').to_owned());
        rest = &rest[end..];
    }
    pieces.push(rest.to_owned());
    pieces
}

pub fn along(from: Position, to: Position, part: f64) -> Position {
    (from.0 + part * (to.0 - from.0), from.1 + part * (to.1 - from.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces() {
        let text = "label noise ε\u{a0}=\u{a0}0.25, optimizer\u{a0}=\u{a0}adam";
        assert_eq!(wrapped(text, 90.0, SMALL), ["label noise", "ε\u{a0}=\u{a0}0.25,", "optimizer\u{a0}=\u{a0}adam"]);
        assert_eq!(wrapped(text, 1000.0, SMALL), [text]);
        assert!(wrapped("", 10.0, SMALL).is_empty());
    }

    #[test]
    fn a_word_wider_than_a_line_is_broken_after_a_mark_or_else_anywhere() {
        let text = "initial\u{a0}=\u{a0}studies/first/sgd_noise-1@8000";
        assert_eq!(wrapped(text, 60.0, SMALL), ["initial\u{a0}=", "studies/first/", "sgd_noise-", "1@8000"]);
        assert_eq!(wrapped("a mmmmmmmm", 30.0, SMALL), ["a", "mmm", "mmm", "mm"]);
        assert_eq!(wrapped("mm", 1.0, SMALL), ["m", "m"]);
    }
}
