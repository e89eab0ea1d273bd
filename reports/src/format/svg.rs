//! Scalable vector graphics, as few bytes as it takes: a backend of plotters that makes neighbours that look alike one path.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::Write;
use std::rc::Rc;

use plotters_backend::text_anchor::HPos;
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontStyle,
    FontTransform,
};

use crate::canvas::{Drawing, SMALL};
use crate::figure::style::INK;

const FONTS: &str = "Helvetica,Arial,Liberation Sans,DejaVu Sans,sans-serif";

pub fn svg(drawing: &Drawing) -> String {
    let (width, height) = drawing.size;
    let [paper_width, paper_height] = [width, height].map(|length| number(length * drawing.scale));
    let units = |points: f64| (points * drawing.units).round().max(1.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{paper_width}pt\" height=\"{paper_height}pt\" \
         role=\"img\" font-family=\"{FONTS}\" font-size=\"{2}\" fill=\"{3}\" text-anchor=\"middle\" stroke-linejoin=\"round\">\n<title>{4}</title>\n\
         <path fill=\"#fff\" d=\"M0 0h{0}v{1}h-{0}z\"/>\n{5}</svg>\n",
        units(width),
        units(height),
        units(SMALL),
        hex((INK.0, INK.1, INK.2)),
        escaped(&drawing.title),
        drawing.body
    )
}

/// A part of a page, whose fonts and background are the page's.
pub fn part(drawing: &Drawing) -> String {
    let (width, height) = drawing.size;
    let units = |points: f64| (points * drawing.units).round().max(1.0);
    format!(
        "<svg viewBox=\"0 0 {} {}\" width=\"{}pt\" height=\"{}pt\" aria-hidden=\"true\">\n{}</svg>\n",
        units(width),
        units(height),
        number(width),
        number(height),
        drawing.body
    )
}

/// What was drawn so far.
#[derive(Default)]
pub struct Body {
    text: String,
    /// Of the text that does not say its size.
    font_size: f64,
    /// Of the path that is being written, and its data.
    paint: Option<Paint>,
    data: String,
    /// Lengths that the next lines show and leave out in turn; plotters knows solid lines only.
    pub dashes: Vec<i32>,
}

/// How a path is painted.
#[derive(Clone, PartialEq)]
enum Paint {
    Stroke { colour: (u8, u8, u8), width: u32, dashes: Vec<i32> },
    Fill { colour: (u8, u8, u8), opacity: f64 },
}

fn filled(colour: BackendColor) -> Paint {
    Paint::Fill { colour: colour.rgb, opacity: colour.alpha }
}

impl Body {
    pub fn new(font_size: f64) -> Body {
        Body { font_size, ..Body::default() }
    }

    /// Ends what is being written.
    pub fn finished(&mut self) -> String {
        self.end();
        std::mem::take(&mut self.text)
    }

    /// A group with attributes begins.
    pub fn open(&mut self, attributes: &str) {
        self.end();
        let _ = writeln!(self.text, "<g {attributes}>");
    }

    pub fn close(&mut self) {
        self.end();
        self.text.push_str("</g>\n");
    }

    fn polygon(&mut self, places: impl IntoIterator<Item = BackendCoord>, paint: Paint) {
        let closed = matches!(paint, Paint::Fill { .. });
        self.begin(paint);
        let mut places = places.into_iter();
        let Some(mut last) = places.next() else { return };
        let _ = write!(self.data, "M{} {}", last.0, last.1);
        let mut command = 'M';
        for place in places {
            let (dx, dy) = (place.0 - last.0, place.1 - last.1);
            last = place;
            // A minus sign separates as well as a space, and so does a letter.
            let signed = |value: i32| if value < 0 { value.to_string() } else { format!(" {value}") };
            let (next, numbers) = match (dx, dy) {
                (0, 0) => continue,
                (_, 0) => ('h', signed(dx)),
                (0, _) => ('v', signed(dy)),
                _ => ('l', format!("{}{}", signed(dx), signed(dy))),
            };
            match next == command {
                true => self.data.push_str(&numbers),
                false => self.data.push_str(&format!("{next}{}", numbers.trim_start())),
            }
            command = next;
        }
        if closed {
            self.data.push('z');
        }
    }

    fn circle(&mut self, (x, y): BackendCoord, radius: u32, colour: BackendColor) {
        self.begin(filled(colour));
        let (r, d) = (radius as i32, 2 * radius);
        let _ = write!(self.data, "M{} {y}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0-{d} 0z", x - r);
    }

    /// Ends the path before, unless this one looks alike and cannot be told from it where the two overlap.
    fn begin(&mut self, paint: Paint) {
        let translucent = matches!(paint, Paint::Fill { opacity, .. } if opacity < 1.0);
        if self.paint.as_ref() != Some(&paint) || translucent {
            self.end();
        }
        self.paint = Some(paint);
    }

    fn end(&mut self) {
        let data = std::mem::take(&mut self.data);
        let Some(paint) = self.paint.take() else { return };
        let _ = match paint {
            Paint::Fill { colour, opacity } => {
                let opacity =
                    if opacity < 1.0 { format!(" fill-opacity=\"{}\"", number(opacity)) } else { String::new() };
                writeln!(self.text, "<path fill=\"{}\"{opacity} d=\"{data}\"/>", hex(colour))
            }
            Paint::Stroke { colour, width, dashes } => {
                let dashes: Vec<String> = dashes.iter().map(i32::to_string).collect();
                let dashes = match dashes.is_empty() {
                    true => String::new(),
                    false => format!(" stroke-dasharray=\"{}\"", dashes.join(" ")),
                };
                let colour = hex(colour);
                writeln!(
                    self.text,
                    "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes} d=\"{data}\"/>"
                )
            }
        };
    }

    fn letters(&mut self, text: &str, style: &impl BackendTextStyle, (x, y): BackendCoord) {
        self.end();
        let place = match style.transform() {
            FontTransform::Rotate270 => format!("transform=\"translate({x} {y})rotate(-90)\""),
            _ => format!("x=\"{x}\" y=\"{y}\""),
        };
        let _ = writeln!(self.text, "<text {place}{}>{}</text>", text_attributes(style, self.font_size), escaped(text));
    }
}

/// The attributes in which a text differs from most.
fn text_attributes(style: &impl BackendTextStyle, font_size: f64) -> String {
    let mut look = match style.anchor().h_pos {
        HPos::Left => " text-anchor=\"start\"".to_owned(),
        HPos::Center => String::new(),
        HPos::Right => " text-anchor=\"end\"".to_owned(),
    };
    if style.size() != font_size {
        let _ = write!(look, " font-size=\"{}\"", number(style.size()));
    }
    if matches!(style.style(), FontStyle::Bold) {
        look.push_str(" font-weight=\"bold\"");
    }
    let colour = style.color().rgb;
    if colour != (INK.0, INK.1, INK.2) {
        let _ = write!(look, " fill=\"{}\"", hex(colour));
    }
    look
}

/// Writes what plotters draws. A text's place is the left end, centre or right end of its baseline.
pub struct Backend {
    pub size: (u32, u32),
    pub body: Rc<RefCell<Body>>,
}

type Outcome = Result<(), DrawingErrorKind<Infallible>>;

impl DrawingBackend for Backend {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Outcome {
        Ok(())
    }

    fn present(&mut self) -> Outcome {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, colour: BackendColor) -> Outcome {
        self.fill_polygon([(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)], &colour)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Outcome {
        let mut body = self.body.borrow_mut();
        let paint =
            Paint::Stroke { colour: style.color().rgb, width: style.stroke_width(), dashes: body.dashes.clone() };
        body.polygon(path, paint);
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Outcome {
        self.draw_path([from, to], style)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, places: I, style: &S) -> Outcome {
        self.body.borrow_mut().polygon(places, filled(style.color()));
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S, fill: bool) -> Outcome {
        let corners = [from, (to.0, from.1), to, (from.0, to.1)];
        if fill { self.fill_polygon(corners, style) } else { self.draw_path(corners.into_iter().chain([from]), style) }
    }

    fn draw_circle<S: BackendStyle>(&mut self, centre: BackendCoord, radius: u32, style: &S, _: bool) -> Outcome {
        self.body.borrow_mut().circle(centre, radius, style.color());
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, place: BackendCoord) -> Outcome {
        self.body.borrow_mut().letters(text, style, place);
        Ok(())
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn hex((red, green, blue): (u8, u8, u8)) -> String {
    match [red, green, blue] {
        parts if parts.iter().all(|part| part % 17 == 0) => format!("#{:x}{:x}{:x}", red / 17, green / 17, blue / 17),
        _ => format!("#{red:02x}{green:02x}{blue:02x}"),
    }
}

/// At most two decimals.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::{PAPER, Stroke, draw};

    #[test]
    fn a_title_is_escaped() {
        let svg = svg(&draw((10.0, 10.0), 1.0, PAPER, "a < b & c", |_| Ok(())).unwrap());
        assert!(svg.contains("<title>a &lt; b &amp; c</title>"), "{svg}");
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
    }

    #[test]
    fn neighbours_that_look_alike_are_one_path() {
        let dashed = Stroke::dashed(INK, 1.0);
        let drawing = draw((10.0, 10.0), 1.0, PAPER, "", |canvas| {
            canvas.line(&[(0.0, 0.0), (1.0, 2.0), (0.5, 1.0)], dashed)?;
            canvas.line(&[(4.0, 4.0), (5.0, 5.0)], dashed)
        });
        let svg = svg(&drawing.unwrap());
        assert!(svg.contains("stroke-dasharray=\"32 20\" d=\"M0 0l8 16-4-8M32 32l8 8\"/>"), "{svg}");
    }
}
