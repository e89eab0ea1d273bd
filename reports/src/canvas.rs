//! A drawing surface in points (1/72 inch, the size on paper) over plotters' SVG backend.

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, Drawable, PathElement, PointCollection, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle, WHITE};

use crate::ReportError;

/// plotters' SVG coordinates are whole numbers: this many of them to a point keep curves smooth.
const UNITS_PER_POINT: f64 = 4.0;
/// plotters writes a font's size divided by this.
const PLOTTERS_FONT_SCALE: f64 = 1.24;
/// plotters puts the baseline of top-anchored text this far below, in font sizes.
const TOP_TO_BASELINE: f64 = 0.76;
/// Half the height of a digit, in font sizes.
const HALF_DIGIT: f64 = 0.36;
const FONT: &str = "Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif";

pub const BODY: f64 = 8.5;
pub const SMALL: f64 = 8.0;

/// A place on the canvas in points, y downwards.
pub type Place = (f64, f64);

#[derive(Clone, Copy)]
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

    /// Lengths drawn and left out in turn, in points; empty for a solid line.
    fn pattern(&self) -> Vec<f64> {
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

#[derive(Clone, Copy)]
pub enum Align {
    Left,
    Centre,
    Right,
}

#[derive(Clone, Copy)]
pub struct Font {
    /// In points.
    pub size: f64,
    pub colour: RGBColor,
    pub bold: bool,
}

pub struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// Draws an SVG document of a size in points; `title` is its accessible name.
pub fn draw(
    (width, height): (f64, f64),
    title: &str,
    paint: impl FnOnce(&Canvas) -> Result<(), ReportError>,
) -> Result<String, ReportError> {
    let size = (units(width).max(1) as u32, units(height).max(1) as u32);
    let mut body = String::new();
    let canvas = Canvas { area: SVGBackend::with_string(&mut body, size).into_drawing_area() };
    canvas.area.fill(&WHITE).map_err(draw_error)?;
    paint(&canvas)?;
    canvas.area.present().map_err(draw_error)?;
    drop(canvas);
    Ok(with_root(&body, size, title))
}

/// plotters' root element knows neither physical size nor title: it is replaced by one that does.
fn with_root(body: &str, size: (u32, u32), title: &str) -> String {
    let (_, content) = body.split_once('\n').unwrap_or(("", body));
    let (width, height) = (f64::from(size.0) / UNITS_PER_POINT, f64::from(size.1) / UNITS_PER_POINT);
    let title = printable(title).replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" width=\"{width}pt\" height=\"{height}pt\" \
         role=\"img\" stroke-linejoin=\"round\">\n<title>{title}</title>\n{content}",
        size.0, size.1
    )
}

impl Canvas<'_> {
    pub fn line(&self, places: &[Place], stroke: Stroke) -> Result<(), ReportError> {
        if stroke.dash != Dash::Solid {
            return dashes(places, &stroke.pattern())
                .iter()
                .try_for_each(|dash| self.line(dash, Stroke { dash: Dash::Solid, ..stroke }));
        }
        if places.len() < 2 {
            return Ok(());
        }
        let style = ShapeStyle::from(stroke.colour).stroke_width(units(stroke.width).max(1) as u32);
        self.put(&PathElement::new(to_units(places), style))
    }

    pub fn area(&self, places: &[Place], colour: RGBColor, opacity: f64) -> Result<(), ReportError> {
        if places.len() < 3 {
            return Ok(());
        }
        self.put(&Polygon::new(to_units(places), colour.mix(opacity).filled()))
    }

    /// A filled rectangle between two corners.
    pub fn rectangle(&self, from: Place, to: Place, colour: RGBColor) -> Result<(), ReportError> {
        self.put(&Rectangle::new([from, to].map(|(x, y)| (units(x), units(y))), colour.filled()))
    }

    pub fn marker(&self, marker: Marker, (x, y): Place, colour: RGBColor) -> Result<(), ReportError> {
        let radius = 1.7;
        let triangle = |base: f64| [(x - 2.2, y + base), (x + 2.2, y + base), (x, y)];
        match marker {
            Marker::Disc => self.put(&Circle::new((units(x), units(y)), units(radius), colour.filled())),
            Marker::Square => {
                self.rectangle((x - radius, y - radius), (x + radius, y + radius), WHITE)?;
                let (left, right, top, bottom) = (x - radius, x + radius, y - radius, y + radius);
                let outline = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top), (right, top)];
                self.line(&outline, Stroke::solid(colour, 0.75))
            }
            Marker::Diamond => self.area(&[(x - 2.2, y), (x, y - 2.2), (x + 2.2, y), (x, y + 2.2)], colour, 1.0),
            Marker::Triangle => {
                let (base, tip) = (y + 1.4, (x, y - 2.2));
                let corners = [(x - 2.1, base), tip, (x + 2.1, base)];
                self.area(&corners, WHITE, 1.0)?;
                let [left, _, right] = corners;
                self.line(&[left, tip, right, left, tip], Stroke::solid(colour, 0.75))
            }
            Marker::Cross => {
                let (left, right, top, bottom) = (x - radius, x + radius, y - radius, y + radius);
                let stroke = Stroke::solid(colour, 1.0);
                self.line(&[(left, top), (right, bottom)], stroke)?;
                self.line(&[(left, bottom), (right, top)], stroke)
            }
            Marker::Up => self.area(&triangle(3.6), colour, 1.0),
            Marker::Down => self.area(&triangle(-3.6), colour, 1.0),
        }
    }

    /// Text whose baseline's left end, centre or right end is at `place`.
    pub fn text(&self, text: &str, (x, y): Place, align: Align, font: Font) -> Result<(), ReportError> {
        self.put_text(text, (x, y - TOP_TO_BASELINE * font.size), align, font, FontTransform::None)
    }

    /// Text centred on `place` vertically.
    pub fn label(&self, text: &str, (x, y): Place, align: Align, font: Font) -> Result<(), ReportError> {
        self.text(text, (x, y + HALF_DIGIT * font.size), align, font)
    }

    /// Text centred on `place`, read upwards.
    pub fn upwards(&self, text: &str, (x, y): Place, font: Font) -> Result<(), ReportError> {
        let top = x - (TOP_TO_BASELINE - HALF_DIGIT) * font.size;
        self.put_text(text, (top, y), Align::Centre, font, FontTransform::Rotate270)
    }

    fn put_text(
        &self,
        text: &str,
        (x, y): Place,
        align: Align,
        font: Font,
        transform: FontTransform,
    ) -> Result<(), ReportError> {
        if text.is_empty() {
            return Ok(());
        }
        let weight = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
        let size = font.size * UNITS_PER_POINT * PLOTTERS_FONT_SCALE;
        let align = match align {
            Align::Left => HPos::Left,
            Align::Centre => HPos::Center,
            Align::Right => HPos::Right,
        };
        let style = TextStyle::from((FONT, size, weight).into_font().transform(transform))
            .color(&font.colour)
            .pos(Pos::new(align, VPos::Top));
        self.put(&Text::new(printable(text).replace('\u{a0}', " "), (units(x), units(y)), style))
    }

    fn put<'e, Element>(&self, element: &'e Element) -> Result<(), ReportError>
    where
        for<'b> &'e Element: PointCollection<'e, (i32, i32)>,
        for<'b> Element: Drawable<SVGBackend<'b>>,
    {
        self.area.draw(element).map_err(draw_error)
    }
}

/// A text without the control characters that no document may hold: what stands for them is seen.
pub fn printable(text: &str) -> String {
    let forbidden = |letter: char| {
        letter.is_control() && !matches!(letter, '\n' | '\t') || matches!(letter, '\u{fffe}' | '\u{ffff}')
    };
    text.chars().map(|letter| if forbidden(letter) { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// Width of a text in points, near enough to lay out legends and to keep labels apart: of DejaVu Sans, the widest of the fonts
/// that a reader may have.
pub fn text_width(text: &str, size: f64) -> f64 {
    let em = |letter: char| match letter {
        'i' | 'j' | 'l' | '.' | ',' | ' ' | '\u{a0}' | '|' | '(' | ')' | 'I' => 0.31,
        't' | 'f' | 'r' | '-' => 0.4,
        'm' | 'w' | 'M' | 'W' | '−' | '=' => 0.86,
        'A'..='Z' => 0.69,
        '⁰'..='₉' | '¹' | '²' | '³' => 0.4,
        _ => 0.615,
    };
    size * text.chars().map(em).sum::<f64>()
}

/// Bold text is so much wider.
const BOLD: f64 = 1.12;

/// A bold text in lines no wider than a width in points, where it can be broken at spaces.
pub fn wrapped(text: &str, width: f64, size: f64) -> Vec<String> {
    let size = BOLD * size;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if text_width(&format!("{line} {word}"), size) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Cuts a polyline into dashes of a pattern of lengths drawn and left out in turn; plotters has no dashed stroke.
fn dashes(places: &[Place], pattern: &[f64]) -> Vec<Vec<Place>> {
    let mut pieces = Vec::new();
    let mut current: Vec<Place> = places.first().copied().into_iter().collect();
    let mut lengths = pattern.iter().copied().cycle();
    let (mut drawing, mut left) = (true, lengths.next().unwrap_or(f64::INFINITY));
    for edge in places.windows(2) {
        let &[mut from, to] = edge else { continue };
        let mut length = distance(from, to);
        while length > left {
            from = along(from, to, left / length);
            length -= left;
            if drawing {
                current.push(from);
                pieces.push(std::mem::take(&mut current));
            } else {
                current = vec![from];
            }
            drawing = !drawing;
            left = lengths.next().unwrap_or(f64::INFINITY);
        }
        left -= length;
        if drawing {
            current.push(to);
        }
    }
    pieces.push(current);
    pieces
}

fn distance(from: Place, to: Place) -> f64 {
    (to.0 - from.0).hypot(to.1 - from.1)
}

pub fn along(from: Place, to: Place, part: f64) -> Place {
    (from.0 + part * (to.0 - from.0), from.1 + part * (to.1 - from.1))
}

fn to_units(places: &[Place]) -> Vec<(i32, i32)> {
    places.iter().map(|&(x, y)| (units(x), units(y))).collect()
}

fn units(points: f64) -> i32 {
    (points * UNITS_PER_POINT).round() as i32
}

fn draw_error(error: impl std::fmt::Display) -> ReportError {
    ReportError::Draw { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_cover_their_share_of_a_line_across_its_vertices() {
        let line: Vec<Place> = (0..=60).map(|x| (f64::from(x), 0.0)).collect();
        let drawn: f64 = dashes(&line, &[4.0, 2.0])
            .iter()
            .flat_map(|dash| dash.windows(2))
            .map(|edge| distance(edge[0], edge[1]))
            .sum();
        assert!((drawn - 40.0).abs() < 1e-9, "{drawn}");
        let pieces = dashes(&line, &[4.0, 2.0, 1.0, 3.0]);
        let length = |piece: &Vec<Place>| piece.windows(2).map(|edge| distance(edge[0], edge[1])).sum::<f64>();
        let lengths: Vec<f64> = pieces.iter().take(4).map(length).collect();
        assert_eq!(lengths, [4.0, 1.0, 4.0, 1.0]);
    }

    #[test]
    fn lines_are_broken_at_spaces_only() {
        let text = "label noise ε\u{a0}=\u{a0}0.25, optimizer\u{a0}=\u{a0}adam";
        assert_eq!(wrapped(text, 60.0, SMALL), ["label noise", "ε\u{a0}=\u{a0}0.25,", "optimizer\u{a0}=\u{a0}adam"]);
        assert_eq!(wrapped(text, 1000.0, SMALL), [text]);
        assert!(wrapped("", 10.0, SMALL).is_empty());
    }

    #[test]
    fn a_title_is_escaped() {
        let svg = draw((10.0, 10.0), "a < b & c", |_| Ok(())).unwrap();
        assert!(svg.contains("<title>a &lt; b &amp; c</title>"), "{svg}");
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
    }
}
