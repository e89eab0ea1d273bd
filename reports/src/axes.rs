//! Scales, and panels that draw curves between them.

use plotters::style::RGBColor;

use crate::ReportError;
use crate::canvas::{Align, Canvas, Font, Marker, Position, SMALL, Stroke, along, text_width};
use crate::curves::{Line, Point, Series, extremes};
use crate::figure::style::{BAND_OPACITY, GRID, QUIET};
use crate::numbers;

/// Width of the stretch between step 0 and step 1 on a logarithmic step axis, in decades.
const BEFORE_FIRST_STEP: f64 = 0.5;
/// Points that a line keeps at most in a column of a panel as narrow as the canvas resolves: the first, the lowest, the highest and the last, which draw the same line.
const KEPT: usize = 4;
/// Up to this many steps an axis of steps is linear.
const FEW_STEPS: f64 = 20.0;
/// Tick labels keep at least this distance, in points.
const LABEL_GAP: f64 = 3.0;
/// Names below an axis that are wider may stand where they do not fit side by side.
const NARROW: f64 = 14.0;
/// Names beside an axis keep this distance from one to the next.
const LINE: f64 = 6.5;
/// What is farther from 0 is drawn as if it were there: ends of an axis must be finite, and so must what is computed of them.
const FARTHEST: f64 = 1e300;
/// An axis's numbers have at most so many decimals, and so many digits before the point.
const MOST_DIGITS: i32 = 6;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Linear,
    /// Linear from step 0 to step 1, logarithmic from there.
    Steps,
    /// Of positive values; others lie below the low end.
    Logarithmic,
    /// Names, each with as much room as any other.
    Names,
}

/// A range of values and where they lie on an axis.
#[derive(Clone, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    kind: Kind,
    pub ticks: Vec<Tick>,
}

#[derive(Clone, PartialEq)]
pub struct Tick {
    pub value: f64,
    pub label: String,
}

impl Scale {
    /// `low` to `high` with at most `intervals` round steps between ticks; labels are of value / 10^exponent.
    pub fn linear(low: f64, high: f64, intervals: usize, exponent: i32) -> Scale {
        let (low, high) = drawable(low, high);
        let unit = round_interval(low, high, intervals);
        let scaled_unit = unit / 10f64.powi(exponent);
        let power = (scaled_unit.log10() + 1e-9).floor() as i32;
        let tick = |index: i64| {
            let value = index as f64 * unit;
            let scaled = value / 10f64.powi(exponent);
            let is_short = (-MOST_DIGITS..MOST_DIGITS).contains(&power);
            let label =
                if is_short { fixed(scaled, power.min(0).unsigned_abs() as usize) } else { numbers::short(scaled) };
            Tick { value, label }
        };
        let (first, last) = multiples_within(low, high, unit);
        Scale { low, high, kind: Kind::Linear, ticks: (first..=last).map(tick).collect() }
    }

    /// Whole numbers from 0.
    pub fn whole(high: f64, intervals: usize) -> Scale {
        let high = high.max(1.0);
        let unit = round_interval(0.0, high, intervals).max(1.0);
        let ticks = (0..=(high / unit) as i64).map(|index| index as f64 * unit);
        let ticks = ticks.map(|value| Tick { value, label: step_label(value) }).collect();
        Scale { low: 0.0, high, kind: Kind::Linear, ticks }
    }

    /// Training steps from 0: logarithmic from step 1, or linear where they are few.
    pub fn steps(last: f64) -> Scale {
        if last <= FEW_STEPS {
            return Scale::whole(last, 5);
        }
        let decades = (0..=last.log10().floor() as i32).map(|decade| 10f64.powi(decade));
        let ticks = std::iter::once(0.0).chain(decades);
        let ticks = ticks.map(|value| Tick { value, label: step_label(value) }).collect();
        Scale { low: 0.0, high: last, kind: Kind::Steps, ticks }
    }

    /// Positive values, with ticks at powers of ten, at most about `intervals` of them, or at round values of a short range.
    pub fn logarithmic(low: f64, high: f64, intervals: usize) -> Scale {
        let drawable = [low.max(1.0 / FARTHEST), high.min(FARTHEST)];
        let [low, high] = if low > 0.0 && drawable[1] > drawable[0] { drawable } else { [0.1, 10.0] };
        let (first, last) = (low.log10().ceil() as i32, high.log10().floor() as i32);
        let stride = 1 + (last - first).max(0) / intervals.max(1) as i32;
        let decades: Vec<i32> = (first..=last).filter(|decade| decade.rem_euclid(stride) == 0).collect();
        let ticks = match decades.len() {
            0 | 1 => round_values(low, high, intervals),
            _ => decades.iter().map(|&decade| power_tick(decade, &decades)).collect(),
        };
        Scale { low, high, kind: Kind::Logarithmic, ticks }
    }

    /// Names from the low end to the high one, or the other way where they are read downwards.
    pub fn names(names: &[String], downwards: bool) -> Scale {
        let high = names.len().max(1) as f64;
        let place = |index: usize| if downwards { high - index as f64 - 0.5 } else { index as f64 + 0.5 };
        let ticks = names.iter().enumerate().map(|(index, name)| Tick { value: place(index), label: name.clone() });
        Scale { low: 0.0, high, kind: Kind::Names, ticks: ticks.collect() }
    }

    /// Names at some places between 0 and `high`, or the other way where they are read downwards.
    pub fn places(names: &[(f64, String)], high: usize, downwards: bool) -> Scale {
        let high = high.max(1) as f64;
        let tick = |(place, name): &(f64, String)| Tick {
            value: if downwards { high - place } else { *place },
            label: name.clone(),
        };
        Scale { low: 0.0, high, kind: Kind::Names, ticks: names.iter().map(tick).collect() }
    }

    /// The stretch of the name at a place.
    pub fn slot(&self, index: usize) -> [f64; 2] {
        let centre = self.ticks.get(index).map_or(0.0, |tick| tick.value);
        [centre - 0.5, centre + 0.5]
    }

    /// The middle between two steps, to the eye.
    pub fn between(&self, a: f64, b: f64) -> f64 {
        if self.kind == Kind::Steps && a >= 1.0 { (a * b).sqrt() } else { (a + b) / 2.0 }
    }

    /// What the axis of steps is called.
    pub fn step_axis(&self) -> String {
        if self.kind == Kind::Steps { "Training step (log scale from 1)" } else { "Training step" }.to_owned()
    }

    /// How much room the labels below an axis of that many points take up.
    pub fn label_height(&self, width: f64) -> f64 {
        if self.stands(width) { self.widest() + 6.0 } else { 14.0 }
    }

    /// How wide the widest label is.
    pub fn widest(&self) -> f64 {
        self.ticks.iter().map(|tick| text_width(&tick.label, SMALL)).fold(0.0, f64::max)
    }

    /// Whether names do not fit side by side on an axis of that many points.
    fn stands(&self, width: f64) -> bool {
        self.kind == Kind::Names && self.widest() > NARROW && self.labelled_ticks(width).len() < self.ticks.len()
    }

    /// 0 at the low end, 1 at the high end.
    pub fn position(&self, value: f64) -> f64 {
        match self.kind {
            Kind::Linear | Kind::Names => (value - self.low) / (self.high - self.low),
            Kind::Steps => decades(value) / decades(self.high),
            Kind::Logarithmic if value > 0.0 => {
                (value.log10() - self.low.log10()) / (self.high.log10() - self.low.log10())
            }
            Kind::Logarithmic => -1.0,
        }
    }

    /// Unlabelled values between ticks: 2 to 9 times each power of ten.
    fn minor_ticks(&self) -> Vec<f64> {
        if self.kind != Kind::Steps {
            return Vec::new();
        }
        let multiples = self.ticks.iter().skip(1).flat_map(|tick| (2..10).map(|factor| tick.value * f64::from(factor)));
        multiples.filter(|&value| value <= self.high).collect()
    }

    /// Ticks whose labels fit next to each other on an axis of that many points: regularly every tick, second, third….
    fn labelled_ticks(&self, width: f64) -> Vec<&Tick> {
        let every = |stride: usize| -> Vec<&Tick> {
            let chosen = |(index, _): &(usize, &Tick)| match self.kind {
                Kind::Linear | Kind::Logarithmic | Kind::Names => index % stride == 0,
                Kind::Steps => *index == 0 || (index - 1) % stride == 0,
            };
            self.ticks.iter().enumerate().filter(chosen).map(|(_, tick)| tick).collect()
        };
        let fits = |ticks: &Vec<&Tick>| ticks.windows(2).all(|pair| self.apart(pair[0], pair[1], width));
        (1..=self.ticks.len()).map(every).find(fits).unwrap_or_else(|| self.ticks.iter().take(1).collect())
    }

    /// Where the middle of a label stands, from the left end of an axis of that many points: a label at the right end would touch
    /// the first one of the next panel.
    fn middle(&self, tick: &Tick, width: f64) -> f64 {
        (width * self.position(tick.value)).min(width + 2.0 - text_width(&tick.label, SMALL) / 2.0)
    }

    fn apart(&self, left: &Tick, right: &Tick, width: f64) -> bool {
        let centres = (self.middle(right, width) - self.middle(left, width)).abs();
        let halves = 0.5 * (text_width(&left.label, SMALL) + text_width(&right.label, SMALL));
        // 0 and 1 stand half a decade apart and have no neighbour to be mistaken for.
        let gap = match self.kind {
            Kind::Names => 1.0,
            _ if left.value == 0.0 => 1.5,
            _ => LABEL_GAP,
        };
        centres - halves >= gap
    }

    /// Every how manieth name has room where each takes up a line of an axis of that many points.
    fn stride(&self, length: f64) -> usize {
        let room = length / self.ticks.len().max(1) as f64;
        if self.kind == Kind::Names { (LINE / room).ceil().max(1.0) as usize } else { 1 }
    }
}

/// 0.01, 1, 100, or powers of ten where one of the axis's `decades` is far from 1.
fn power_tick(decade: i32, decades: &[i32]) -> Tick {
    let value = 10f64.powi(decade);
    let near = decades.iter().all(|decade| (-3..=3).contains(decade));
    Tick { value, label: if near { value.to_string() } else { numbers::power_of_ten(decade) } }
}

/// Ticks of a logarithmic axis of less than two decades: 1, 2 and 5 times powers of ten, or those of a linear one if it is
/// shorter still.
fn round_values(low: f64, high: f64, intervals: usize) -> Vec<Tick> {
    let decades = low.log10().floor() as i32..=high.log10().floor() as i32;
    let multiples = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|factor| factor * 10f64.powi(decade)));
    let within: Vec<f64> = multiples.filter(|value| (low..=high).contains(value)).collect();
    match within.len() {
        0..=2 => Scale::linear(low, high, intervals, 0).ticks.into_iter().filter(|tick| tick.value > 0.0).collect(),
        _ => within.into_iter().map(|value| Tick { value, label: numbers::short(value) }).collect(),
    }
}

/// The ends of a range that can be drawn: within [`FARTHEST`], and farther apart than rounding.
fn drawable(low: f64, high: f64) -> (f64, f64) {
    let [low, high] = [low, high].map(|end| end.clamp(-FARTHEST, FARTHEST));
    let largest = low.abs().max(high.abs());
    if high - low > f64::max(1.0 / FARTHEST, 1e-13 * largest) {
        return (low, high);
    }
    let room = f64::max(0.5, 1e-6 * largest);
    (low - room, low + room)
}

fn decades(step: f64) -> f64 {
    if step < 1.0 { BEFORE_FIRST_STEP * step } else { BEFORE_FIRST_STEP + step.log10() }
}

/// The smallest of 1, 2, 5 × 10^k that cuts the range into no more than `intervals`.
fn round_interval(low: f64, high: f64, intervals: usize) -> f64 {
    let power = 10f64.powi(((high - low) / intervals.max(1) as f64).log10().floor() as i32);
    let fits = |unit: &f64| {
        let (first, last) = multiples_within(low, high, *unit);
        last - first <= intervals as i64
    };
    [1.0, 2.0, 5.0].map(|factor| factor * power).into_iter().find(fits).unwrap_or(10.0 * power)
}

/// First and last multiple of a unit within a range, in units.
fn multiples_within(low: f64, high: f64, unit: f64) -> (i64, i64) {
    ((low / unit - 1e-9).ceil() as i64, (high / unit + 1e-9).floor() as i64)
}

fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.trim_start_matches('-').chars().all(|digit| matches!(digit, '0' | '.')) {
        text.trim_start_matches('-').to_owned()
    } else {
        text.replace('-', "−")
    }
}

/// 1, 10, 100, 1k, 10k, …, 1M.
fn step_label(step: f64) -> String {
    match step {
        step if step >= 1e6 => format!("{}M", step / 1e6),
        step if step >= 1e3 => format!("{}k", step / 1e3),
        step => step.to_string(),
    }
}

/// A power of ten that leaves the larger of the values at one to three digits before the point: an axis's multiplier.
pub fn multiplier(largest: f64) -> i32 {
    if !(1.0 / FARTHEST..FARTHEST).contains(&largest) || (0.1..1000.0).contains(&largest) {
        return 0;
    }
    largest.log10().floor() as i32
}

/// The range that holds all but the most extreme values, and `include`, with some room on both sides.
///
/// A few values far out (α where the gradient has all but vanished) must not flatten the rest: the range goes from the
/// 1 % to the 99 % quantile.
pub fn robust_range(values: impl Iterator<Item = f64>, include: &[f64]) -> (f64, f64) {
    let mut sorted: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let quantile = |part: f64| sorted.get((part * sorted.len().saturating_sub(1) as f64).round() as usize).copied();
    let bounds = [quantile(0.01), quantile(0.99)].into_iter().flatten().chain(include.iter().copied());
    let (low, high) =
        bounds.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    match high - low {
        span if span > 0.0 => (low - 0.04 * span, high + 0.04 * span),
        _ if low.is_finite() => (low - 0.5, low + 0.5),
        _ => (0.0, 1.0),
    }
}

/// The range of all values of smooth curves, or if a few are far out of all others.
pub fn wide_range(values: impl Iterator<Item = f64>, include: &[f64]) -> (f64, f64) {
    const FAR: f64 = 2.0;
    let values: Vec<f64> = values.collect();
    let robust = robust_range(values.iter().copied(), include);
    let bounds = values.iter().chain(include);
    let (low, high) =
        bounds.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    let span = high - low;
    if span > 0.0 && span <= FAR * (robust.1 - robust.0) { (low - 0.04 * span, high + 0.04 * span) } else { robust }
}

/// The whole range of a few values, 0 included: nothing is cut off.
pub fn whole_range(values: &[f64]) -> (f64, f64) {
    let (low, high) = values.iter().fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(*value), high.max(*value)));
    match high - low {
        span if span > 0.0 => (low - 0.06 * span, high + 0.06 * span),
        _ => (0.0, 1.0),
    }
}

/// Whether values are better told apart on a logarithmic axis: none is negative, few are 0, and most span a decade.
pub fn spans_decades(values: &[f64]) -> bool {
    let mut positive: Vec<f64> = values.iter().copied().filter(|&value| value > 0.0).collect();
    positive.sort_by(f64::total_cmp);
    let at = |part: f64| positive.get((part * positive.len().saturating_sub(1) as f64) as usize).copied();
    let far = at(0.05).zip(at(0.95)).is_some_and(|(low, high)| high >= 10.0 * low);
    far && values.iter().all(|&value| value >= 0.0) && 20 * positive.len() >= 19 * values.len()
}

/// The range of a logarithmic axis for the positive values.
pub fn logarithmic_range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let exponents: Vec<f64> = values.filter(|&value| value > 0.0).map(f64::log10).collect();
    if exponents.is_empty() {
        return (0.1, 10.0);
    }
    let (low, high) = wide_range(exponents.into_iter(), &[]);
    // Half a decade at least: less is no change worth the eye's attention.
    let room = (0.25 - 0.5 * (high - low)).max(0.0);
    (10f64.powf(low - room), 10f64.powf(high + room))
}

/// One plot on a canvas: its rectangle in points and its scales.
pub struct Panel<'c> {
    pub canvas: &'c Canvas,
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub x: Scale,
    pub y: Scale,
}

impl Panel<'_> {
    /// Where it is and what its axes are: a page in a browser tells values from places.
    pub fn attributes(&self) -> String {
        let axis = |scale: &Scale| format!("{} {:.5e} {:.5e}", scale.kind as u8, scale.low, scale.high);
        let corners =
            [self.left, self.top, self.width, self.height].map(|length| self.canvas.rounded(length).to_string());
        format!("data-p=\"{}\" data-x=\"{}\" data-y=\"{}\"", corners.join(" "), axis(&self.x), axis(&self.y))
    }

    /// Grid, spines and ticks; drawn first. Labels where asked for.
    pub fn frame(&self, x_labels: bool, y_labels: bool) -> Result<(), ReportError> {
        let grid = Stroke::solid(GRID, 0.5);
        for tick in self.x.ticks.iter().filter(|_| self.x.kind != Kind::Names) {
            let x = self.across(tick.value);
            self.canvas.line(&[(x, self.top), (x, self.bottom())], grid)?;
        }
        for tick in self.y.ticks.iter().filter(|_| self.y.kind != Kind::Names) {
            let y = self.down(tick.value);
            self.canvas.line(&[(self.left, y), (self.right(), y)], grid)?;
        }
        self.spines()?;
        if x_labels {
            self.x_labels()?;
        }
        if y_labels { self.y_labels() } else { Ok(()) }
    }

    fn spines(&self) -> Result<(), ReportError> {
        let spine = Stroke::solid(QUIET, 0.75);
        let (left, right, bottom) = (self.left, self.right(), self.bottom());
        self.canvas.line(&[(left, self.top), (left, bottom), (right, bottom)], spine)?;
        for tick in self.x.ticks.iter().filter(|_| self.x.kind != Kind::Names) {
            let x = self.across(tick.value);
            self.canvas.line(&[(x, bottom), (x, bottom + 3.0)], spine)?;
        }
        for value in self.x.minor_ticks() {
            let x = self.across(value);
            self.canvas.line(&[(x, bottom), (x, bottom + 1.5)], Stroke::solid(QUIET, 0.5))?;
        }
        for tick in self.y.ticks.iter().filter(|_| self.y.kind != Kind::Names) {
            let y = self.down(tick.value);
            self.canvas.line(&[(left - 3.0, y), (left, y)], spine)?;
        }
        Ok(())
    }

    fn x_labels(&self) -> Result<(), ReportError> {
        let font = Font::new(SMALL);
        if self.x.stands(self.width) {
            let ticks = self.x.ticks.iter().step_by(self.x.stride(self.width));
            return ticks.into_iter().try_for_each(|tick| {
                let middle = self.bottom() + 4.0 + text_width(&tick.label, SMALL) / 2.0;
                self.canvas.upwards(&tick.label, (self.across(tick.value), middle), font)
            });
        }
        for tick in self.x.labelled_ticks(self.width) {
            let place = (self.left + self.x.middle(tick, self.width), self.bottom() + 4.0 + SMALL);
            self.canvas.text(&tick.label, place, Align::Centre, font)?;
        }
        Ok(())
    }

    fn y_labels(&self) -> Result<(), ReportError> {
        let font = Font::new(SMALL);
        for tick in self.y.ticks.iter().step_by(self.y.stride(self.height)) {
            self.canvas.label(&tick.label, (self.left - 5.0, self.down(tick.value)), Align::Right, font)?;
        }
        Ok(())
    }

    /// A curve, broken at missing values; parts outside the range are cut off and marked at the edge.
    pub fn curve(&self, line: &[Point], stroke: Stroke) -> Result<(), ReportError> {
        for stretch in self.stretches(line) {
            if let [alone] = stretch[..] {
                if self.inside(alone) {
                    self.canvas.markers(Marker::Disc, &[alone], stroke.colour)?;
                }
                continue;
            }
            for piece in clip(&stretch, self.top, self.bottom()) {
                self.canvas.line(&piece, stroke)?;
            }
        }
        self.mark_outside(line, stroke.colour)
    }

    /// A marker on every point.
    pub fn markers(&self, line: &[Point], marker: Marker, colour: RGBColor) -> Result<(), ReportError> {
        let places: Vec<Position> =
            self.stretches(line).into_iter().flatten().filter(|&place| self.inside(place)).collect();
        self.canvas.markers(marker, &places, colour)
    }

    /// Markers on a few points, evenly spread, starting at `phase` (0 to 1) of the distance between them.
    pub fn sparse_markers(
        &self,
        line: &[Point],
        marker: Marker,
        colour: RGBColor,
        phase: f64,
    ) -> Result<(), ReportError> {
        let places: Vec<Position> = self.stretches(line).into_iter().flatten().collect();
        let number = (self.width / 20.0).round().max(2.0) as usize;
        let place = |index: usize| {
            let wanted = self.left + self.width * (index as f64 + phase) / number as f64;
            let nearest = places.iter().min_by(|a, b| (a.0 - wanted).abs().total_cmp(&(b.0 - wanted).abs()));
            nearest.filter(|&&place| self.inside(place) && (place.0 - wanted).abs() < 8.0).copied()
        };
        let marked: Vec<Position> = (0..number).filter_map(place).collect();
        self.canvas.markers(marker, &marked, colour)
    }

    /// The region between two curves over the same steps, broken where either is missing.
    pub fn band(&self, lower: &[Point], upper: &[Point], colour: RGBColor, opacity: f64) -> Result<(), ReportError> {
        let known = |edge: &[Point], other: &[Point]| -> Line {
            edge.iter().zip(other).map(|(point, other)| (point.0, point.1.filter(|_| other.1.is_some()))).collect()
        };
        let (below, above) = (self.stretches(&known(lower, upper)), self.stretches(&known(upper, lower)));
        for (below, above) in below.into_iter().zip(above) {
            let edge = above.into_iter().chain(below.into_iter().rev());
            let within = edge.map(|(x, y)| (x, y.clamp(self.top, self.bottom())));
            self.canvas.area(&within.collect::<Vec<_>>(), colour, opacity)?;
        }
        Ok(())
    }

    /// A rectangle between two places on either axis, `right` a little wider than its share, so that no seam shows.
    pub fn cell(&self, x: [f64; 2], y: [f64; 2], colour: RGBColor) -> Result<(), ReportError> {
        let [left, right] = x.map(|value| self.across(value));
        let [bottom, top] = y.map(|value| self.down(value));
        self.canvas.rectangle((left, top), ((right + 0.25).min(self.right()), bottom), colour)
    }

    /// Text centred between two places on either axis.
    pub fn note(&self, text: &str, x: [f64; 2], y: [f64; 2], font: Font) -> Result<(), ReportError> {
        let [x, y] = [self.across((x[0] + x[1]) / 2.0), self.down((y[0] + y[1]) / 2.0)];
        self.canvas.label(text, (x, y), Align::Centre, font)
    }

    /// The interval of a curve.
    pub fn interval(&self, series: &Series, colour: RGBColor) -> Result<(), ReportError> {
        self.band(&series.curve.lower, &series.curve.upper, colour, BAND_OPACITY)
    }

    /// A horizontal line at `value`, from edge to edge, if it is within the range.
    pub fn level(&self, value: f64, stroke: Stroke) -> Result<(), ReportError> {
        let y = self.down(value);
        if !self.inside((self.left, y)) {
            return Ok(());
        }
        self.canvas.line(&[(self.left, y), (self.right(), y)], stroke)
    }

    /// Short bars on the bottom edge at steps, one for those that the eye does not tell apart.
    pub fn mark_steps(&self, steps: &[f64], colour: RGBColor) -> Result<(), ReportError> {
        let mut columns: Vec<i64> = steps.iter().map(|&step| self.column(step)).collect();
        columns.dedup();
        let width = self.canvas.resolution();
        columns.into_iter().map(|column| width * (column as f64 + 0.5)).try_for_each(|x| {
            self.canvas.line(&[(x, self.bottom() - 4.0), (x, self.bottom() - 0.5)], Stroke::solid(colour, 1.0))
        })
    }

    /// A vertical line at `value`, from edge to edge.
    pub fn upright(&self, value: f64, stroke: Stroke) -> Result<(), ReportError> {
        let x = self.across(value);
        self.canvas.line(&[(x, self.bottom()), (x, self.top)], stroke)
    }

    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }

    fn across(&self, value: f64) -> f64 {
        self.left + self.width * self.x.position(value)
    }

    /// What lies further out than a few panels counts as so far outside.
    fn down(&self, value: f64) -> f64 {
        self.bottom() - self.height * self.y.position(value).clamp(-10.0, 11.0)
    }

    fn column(&self, value: f64) -> i64 {
        (self.across(value) / self.canvas.resolution()).floor() as i64
    }

    fn inside(&self, (_, y): Position) -> bool {
        (self.top - 0.01..=self.bottom() + 0.01).contains(&y)
    }

    /// The places of a curve between its missing values, no more than the panel can show; points left or right of the axis
    /// are left out.
    fn stretches(&self, line: &[Point]) -> Vec<Vec<Position>> {
        let within = |point: &&Point| (-1e-9..=1.0 + 1e-9).contains(&self.x.position(point.0));
        let shown: Line = line.iter().filter(within).copied().collect();
        let place = |point: Point| point.1.map(|value| (self.across(point.0), self.down(value)));
        let places: Vec<Option<Position>> = thin(&shown, |step| self.column(step)).into_iter().map(place).collect();
        let stretches = places.split(Option::is_none).map(|stretch| stretch.iter().flatten().copied().collect());
        stretches.filter(|stretch: &Vec<Position>| !stretch.is_empty()).collect()
    }

    /// Small triangles at the edge where values lie outside, no closer than they are wide.
    fn mark_outside(&self, line: &[Point], colour: RGBColor) -> Result<(), ReportError> {
        let (mut last_up, mut last_down) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for (x, y) in self.stretches(line).into_iter().flatten() {
            if y < self.top - 0.5 && x - last_up >= 5.0 {
                self.canvas.markers(Marker::Up, &[(x, self.top)], colour)?;
                last_up = x;
            } else if y > self.bottom() + 0.5 && x - last_down >= 5.0 {
                self.canvas.markers(Marker::Down, &[(x, self.bottom())], colour)?;
                last_down = x;
            }
        }
        Ok(())
    }
}

/// The points of each column: all of a few, else the first, the lowest, the highest and the last of those with a value.
fn thin(line: &[Point], column: impl Fn(f64) -> i64) -> Line {
    let mut kept = Line::new();
    for stretch in line.chunk_by(|a, b| column(a.0) == column(b.0)) {
        if stretch.len() <= KEPT {
            kept.extend_from_slice(stretch);
            continue;
        }
        let known: Line = stretch.iter().copied().filter(|point| point.1.is_some()).collect();
        match known.is_empty() {
            true => kept.push(stretch[0]),
            false => kept.extend(extremes(&[&known]).into_iter().map(|index| known[index])),
        }
    }
    kept
}

/// The parts of a polyline between two heights.
fn clip(places: &[Position], top: f64, bottom: f64) -> Vec<Vec<Position>> {
    let mut pieces: Vec<Vec<Position>> = Vec::new();
    for edge in places.windows(2) {
        let (from, to) = (edge[0], edge[1]);
        let Some((start, end)) = edge_within(from.1, to.1, top, bottom) else { continue };
        match pieces.last_mut() {
            Some(piece) if start == 0.0 && piece.last() == Some(&from) => piece.push(along(from, to, end)),
            _ => pieces.push(vec![along(from, to, start), along(from, to, end)]),
        }
    }
    pieces
}

/// Which part of the way from y `from` to y `to` lies within, as fractions of the way.
fn edge_within(from: f64, to: f64, top: f64, bottom: f64) -> Option<(f64, f64)> {
    let rise = to - from;
    if rise == 0.0 {
        return (top..=bottom).contains(&from).then_some((0.0, 1.0));
    }
    let (a, b) = ((top - from) / rise, (bottom - from) / rise);
    let (start, end) = (a.min(b).max(0.0), a.max(b).min(1.0));
    (start < end).then_some((start, end))
}

/// `name (10⁻³ unit)` or `name (unit)`: what an axis with a multiplier is called.
pub fn axis_title(name: &str, unit: &str, exponent: i32) -> String {
    if exponent == 0 {
        format!("{name} ({unit})")
    } else {
        format!("{name} ({}\u{a0}{unit})", numbers::power_of_ten(exponent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> String {
        scale.ticks.iter().map(|tick| tick.label.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        assert_eq!(labels(&Scale::linear(-0.04, 1.04, 4, 0)), "0.0 0.5 1.0");
        assert_eq!(labels(&Scale::linear(0.0, 100.0, 5, 0)), "0 20 40 60 80 100");
        assert_eq!(labels(&Scale::linear(-0.0021, 0.0043, 4, -3)), "−2 0 2 4");
        assert_eq!(labels(&Scale::linear(0.3, 0.3, 4, 0)), "0.0 0.5");
        assert_eq!(labels(&Scale::whole(9.0, 5)), "0 2 4 6 8");
    }

    #[test]
    fn any_numbers_have_an_axis() {
        let ends = [
            f64::MIN,
            -1e300,
            -3e-310,
            -0.0,
            0.0,
            5e-324,
            1e-310,
            1e-300,
            1e20,
            1e300,
            1.7e308,
            f64::MAX,
            f64::INFINITY,
        ];
        for (low, high) in ends.iter().flat_map(|low| ends.map(|high| (*low, high))) {
            let (whole_low, whole_high) = whole_range(&[low, high]);
            let scales = [
                Scale::linear(low, high, 5, multiplier(high)),
                Scale::linear(whole_low, whole_high, 4, 0),
                Scale::logarithmic(low, high, 4),
            ];
            for scale in scales {
                assert!((1..=12).contains(&scale.ticks.len()), "{low:e} {high:e}: {}", labels(&scale));
                let positions = scale.ticks.iter().map(|tick| scale.position(tick.value));
                assert!(
                    positions.into_iter().all(|position| (-1e-6..1.000_001).contains(&position)),
                    "{low:e} {high:e}"
                );
                assert!(scale.ticks.iter().all(|tick| tick.label.chars().count() <= 16), "{}", labels(&scale));
            }
        }
        assert_eq!(labels(&Scale::linear(0.0, 2e-9, 2, 0)), "0 1\u{a0}×\u{a0}10⁻⁹ 2\u{a0}×\u{a0}10⁻⁹");
    }

    #[test]
    fn steps_are_logarithmic_with_step_0_at_the_left_edge() {
        let scale = Scale::steps(100_000.0);
        assert_eq!(labels(&scale), "0 1 10 100 1k 10k 100k");
        assert_eq!((scale.position(0.0), scale.position(100_000.0)), (0.0, 1.0));
        let decade = scale.position(100.0) - scale.position(10.0);
        assert!((scale.position(1_000.0) - scale.position(100.0) - decade).abs() < 1e-12);
        assert_eq!(labels(&Scale::steps(0.0)), "0 1");
        assert_eq!(labels(&Scale::steps(20.0)), "0 5 10 15 20");
    }

    #[test]
    fn tick_labels_are_dropped_regularly_where_they_would_touch() {
        let scale = Scale::steps(1_000_000.0);
        let shown =
            |width| scale.labelled_ticks(width).iter().map(|tick| tick.label.clone()).collect::<Vec<_>>().join(" ");
        assert_eq!(shown(200.0), "0 1 10 100 1k 10k 100k 1M");
        assert_eq!(shown(90.0), "0 1 100 10k 1M");
        // The last label does not stand under its tick but to the left of it, within the panel.
        let to_the_edge = Scale::steps(100_000.0);
        let labels: Vec<&Tick> = to_the_edge.labelled_ticks(98.0);
        let ends = |tick: &Tick| text_width(&tick.label, SMALL) / 2.0;
        for pair in labels.windows(2).skip(1) {
            let [left, right] = [pair[0], pair[1]].map(|tick| to_the_edge.middle(tick, 98.0));
            assert!(right - ends(pair[1]) - left - ends(pair[0]) >= LABEL_GAP, "{} {}", pair[0].label, pair[1].label);
        }
    }

    #[test]
    fn names_stand_where_they_do_not_fit_and_are_read_downwards() {
        let names = ["embedding", "attention", "head"].map(str::to_owned);
        let scale = Scale::names(&names, true);
        assert_eq!([0, 2].map(|index| scale.slot(index)), [[2.0, 3.0], [0.0, 1.0]]);
        assert!(!scale.stands(300.0) && scale.stands(60.0));
        assert!(scale.label_height(60.0) > scale.label_height(300.0));
        let digits: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
        assert!(!Scale::names(&digits, false).stands(20.0), "digits never stand");
    }

    #[test]
    fn a_few_values_far_out_do_not_stretch_the_range() {
        let values = (0..1000).map(|index| if index == 500 { 1e6 } else { f64::from(index) / 999.0 });
        let (low, high) = robust_range(values, &[0.0, 1.0]);
        assert!((-0.1..0.0).contains(&low) && (1.0..1.1).contains(&high), "{low} {high}");
        assert_eq!(robust_range(std::iter::empty(), &[]), (0.0, 1.0));
        assert_eq!(robust_range([2.0].into_iter(), &[]), (1.5, 2.5));
    }

    #[test]
    fn logarithmic_axes_have_powers_of_ten_or_round_values() {
        assert_eq!(labels(&Scale::logarithmic(0.5, 2000.0, 4)), "1 10 100 1000");
        assert_eq!(labels(&Scale::logarithmic(1e-9, 1.0, 4)), "10⁻⁹ 10⁻⁶ 10⁻³ 10⁰");
        assert_eq!(labels(&Scale::logarithmic(0.8, 6.0, 4)), "1 2 5");
        assert_eq!(labels(&Scale::logarithmic(11.0, 14.0, 4)), "11 12 13 14");
        let scale = Scale::logarithmic(1.0, 100.0, 4);
        assert_eq!([1.0, 10.0, 100.0].map(|value| scale.position(value)), [0.0, 0.5, 1.0]);
        assert!(scale.position(0.0) < 0.0 && scale.position(-3.0) < 0.0);
    }

    #[test]
    fn a_smooth_curve_is_shown_whole() {
        let decay = |step: i32| 100.0 * 0.9f64.powi(step);
        assert!(wide_range((0..300).map(decay), &[0.0]).1 > 100.0);
        let (low, high) = logarithmic_range((0..300).map(decay));
        assert!(low < decay(299) && high > 100.0);
        assert!(wide_range((0..300).map(decay).chain([1e6]), &[0.0]).1 < 200.0, "but not one far out");
        assert_eq!(logarithmic_range([-1.0, 0.0].into_iter()), (0.1, 10.0));
    }

    #[test]
    fn an_axis_is_logarithmic_where_values_span_a_decade() {
        let decay: Vec<f64> = (0..100).map(|step| 150.0 * 0.95f64.powi(step)).collect();
        assert!(spans_decades(&decay));
        assert!(!spans_decades(&decay[..30]) && !spans_decades(&[]) && !spans_decades(&[0.0, 1.0, 100.0]));
        assert!(!spans_decades(&[&decay[..], &[-0.1]].concat()));
        assert_eq!(whole_range(&[2.0, 1.0]), (-0.12, 2.12));
        assert_eq!(whole_range(&[]), (0.0, 1.0));
    }

    #[test]
    fn multipliers_leave_one_to_three_digits() {
        assert_eq!([0.0, 0.5, 3.0, 999.0, 0.0031, 4200.0].map(multiplier), [0, 0, 0, 0, -3, 3]);
    }

    #[test]
    fn a_curve_is_cut_where_it_leaves_the_panel_and_resumed_where_it_returns() {
        let pieces = clip(&[(0.0, 5.0), (1.0, 15.0), (2.0, 5.0), (3.0, 5.0)], 0.0, 10.0);
        assert_eq!(pieces, vec![vec![(0.0, 5.0), (0.5, 10.0)], vec![(1.5, 10.0), (2.0, 5.0), (3.0, 5.0)]]);
        assert!(clip(&[(0.0, 20.0), (1.0, 30.0)], 0.0, 10.0).is_empty());
    }

    #[test]
    fn thinning_keeps_extremes_and_ends() {
        let line: Line = (0..10_000).map(|i| (f64::from(i), Some(f64::from(i * 7919 % 1000)))).collect();
        let kept = thin(&line, |step| (step / 500.0) as i64);
        assert!(kept.len() <= KEPT * 20, "{}", kept.len());
        assert_eq!((kept.first(), kept.last()), (line.first(), line.last()));
        let highest = |line: &[Point]| line.iter().filter_map(|point| point.1).fold(0.0, f64::max);
        assert_eq!(highest(&kept), highest(&line));
    }

    #[test]
    fn gaps_narrower_than_the_eye_sees_do_not_lengthen_a_line() {
        let line: Line = (0..10_000).map(|i| (f64::from(i), (i % 2 == 0).then_some(1.0))).collect();
        assert!(thin(&line, |step| (step / 500.0) as i64).iter().all(|point| point.1.is_some()));
        assert_eq!(thin(&[(0.0, None), (1.0, None)], |_| 0).len(), 2);
    }
}
