//! Numbers as colours: layers over training, and matrices at steps over training.

use super::layout::{Cell, Panels, Plot, Row};
use super::legend::{Key as LegendKey, Legend};
use super::short_name;
use super::style::{GRID, diverging, sequential};
use crate::axes::{Scale, robust_range, spans_decades};
use crate::curves::{Banded, Key};
use crate::numbers;
use crate::study::{Condition, Sheet};
use plotters::style::RGBColor;

/// Steps that matrices are shown at.
const STEPS: usize = 6;
/// Columns of a map of layers at most: more are narrower than the eye resolves.
const COLUMNS: usize = 30;
/// Colours of a map: neighbours of one colour are one rectangle.
const COLOURS: f64 = 24.0;
/// Height of a layer, and of a map at least.
const LAYER: f64 = 8.0;
const LOWEST: f64 = 74.0;
/// Values are written into the cells of matrices up to this size.
const WITH_VALUES: usize = 3;

/// What colours stand for.
#[derive(Clone)]
pub struct Shade {
    low: f64,
    high: f64,
    kind: Kind,
    /// Whether there are values below and above.
    beyond: [bool; 2],
    /// What stands at the ends instead of the values.
    names: Option<[&'static str; 2]>,
}

/// What the ends are if every step has its own.
const OF_STEP: [&str; 2] = ["min", "max of the step"];
/// How much smaller than the largest the numbers of a step may be.
const FADED: f64 = 5.0;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Symmetric about 0.
    Diverging,
    Linear,
    Logarithmic,
}

impl Shade {
    /// For values; a few far out must not fade all others.
    pub fn new(values: &[f64]) -> Shade {
        let kind = match values.iter().any(|&value| value < 0.0) {
            true => Kind::Diverging,
            false if spans_decades(values) => Kind::Logarithmic,
            false => Kind::Linear,
        };
        Shade::of_kind(kind, values)
    }

    fn of_kind(kind: Kind, values: &[f64]) -> Shade {
        let least = values.iter().copied().filter(|&value| value > 0.0).fold(f64::INFINITY, f64::min);
        let scaled = |value: f64| match kind {
            Kind::Logarithmic => value.max(least).log10(),
            Kind::Diverging => value.abs(),
            Kind::Linear => value,
        };
        let (low, high) = robust_range(values.iter().map(|&value| scaled(value)), &[]);
        let bounds =
            |bound: fn(f64, f64) -> f64, from: f64| values.iter().map(|&value| scaled(value)).fold(from, bound);
        let (low, high) = match values.is_empty() {
            true => (low, high),
            false => (low.max(bounds(f64::min, f64::INFINITY)), high.min(bounds(f64::max, f64::NEG_INFINITY))),
        };
        let (low, high) = match kind {
            Kind::Logarithmic => (10_f64.powf(low), 10_f64.powf(high)),
            Kind::Diverging => (-high, high),
            Kind::Linear => (low, high),
        };
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
        // Rounding is not being beyond.
        let room = 1e-9 * (high - low);
        let beyond = [values.iter().any(|&value| value < low - room), values.iter().any(|&value| value > high + room)];
        Shade { low, high, kind, beyond, names: None }
    }

    /// For the values of one of the steps that it is for: a colour that is a sign at one step is a sign at all.
    fn for_step(&self, values: &[f64]) -> Shade {
        let shade = match self.kind {
            Kind::Diverging => Shade::of_kind(Kind::Diverging, values),
            _ => Shade::new(values),
        };
        Shade { names: Some(OF_STEP), ..shade }
    }

    /// The colour of a value.
    pub fn colour(&self, value: f64) -> RGBColor {
        let part = match self.kind {
            Kind::Logarithmic if value <= 0.0 => 0.0,
            Kind::Logarithmic => (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln()),
            _ => (value - self.low) / (self.high - self.low),
        };
        self.at((part.clamp(0.0, 1.0) * COLOURS).round() / COLOURS)
    }

    /// The colour at a part of the way from the low end to the high one.
    pub fn at(&self, part: f64) -> RGBColor {
        if self.kind == Kind::Diverging { diverging(2.0 * part - 1.0) } else { sequential(part) }
    }

    /// The value at the high end.
    fn largest(&self) -> String {
        numbers::significant(self.high, 2)
    }

    /// The values at the ends.
    pub fn ends(&self) -> [String; 2] {
        if let Some([low, high]) = self.names {
            return [if self.kind == Kind::Diverging { "−max" } else { low }, high].map(str::to_owned);
        }
        let [low, high] = [self.low, self.high].map(|value| numbers::significant(value, 2));
        let sign = |beyond: bool, sign: &str, text: String| if beyond { format!("{sign} {text}") } else { text };
        [sign(self.beyond[0], "≤", low), sign(self.beyond[1], "≥", high)]
    }

    pub fn legend(&self, quantity: &str) -> Legend {
        let scale = if self.kind == Kind::Logarithmic { " (log scale)" } else { "" };
        Legend::new().with(LegendKey::Bar(self.clone()), format!("{quantity}{scale}"))
    }
}

/// A panel of layers over training: a row a layer, the first on top, each with its curve.
pub fn layers(curves: &[(String, Banded)], x: &Scale, shade: &Shade) -> Plot {
    let names: Vec<String> = curves.iter().map(|(name, _)| short_name(name)).collect();
    let y = Scale::names(&names, true);
    let (mut cells, mut numbers): (Vec<Cell>, Vec<_>) = (Vec::new(), Vec::new());
    let steps =
        spread(&common(curves.iter().flat_map(|(_, curve)| &curve.line).map(|point| point.0)), COLUMNS, |step| {
            x.position(step)
        });
    for (index, (layer, curve)) in curves.iter().enumerate() {
        for (place, &step) in steps.iter().enumerate() {
            let edge = |other: Option<&f64>| other.map_or(step, |&other| x.between(step.min(other), step.max(other)));
            let across = [edge(place.checked_sub(1).and_then(|before| steps.get(before))), edge(steps.get(place + 1))];
            let value = curve.at(step);
            let colour = value.map_or(GRID, |value| shade.colour(value));
            numbers.push((layer.clone(), step as i64, value));
            match cells.last_mut() {
                Some(last) if last.y == y.slot(index) && last.colour == colour => last.x[1] = across[1],
                _ => cells.push(Cell { x: across, y: y.slot(index), colour, text: String::new() }),
            }
        }
    }
    Plot { cells, numbers, ..Plot::new(x.clone(), y) }
}

/// How high a map of so many layers is.
pub fn height(layers: usize) -> f64 {
    (LAYER * layers as f64).max(LOWEST)
}

/// Matrices over training: a row a condition, a column a step, of the curves of pairs of `names`.
pub fn matrices(sheet: &Sheet, quantity: &str, names: &[String], key: impl Fn(&str, &str) -> Key) -> Panels {
    let curve = |condition: &Condition, a: &str, b: &str| -> Option<Banded> {
        // Pairs without order are recorded once.
        let either = [key(a, b), key(b, a)].into_iter().flat_map(|key| condition.series(&key)).next();
        either.map(|series| series.curve)
    };
    let pairs = || names.iter().flat_map(|a| names.iter().map(move |b| (a, b)));
    let all: Vec<Vec<Option<Banded>>> =
        sheet.conditions().map(|condition| pairs().map(|(a, b)| curve(condition, a, b)).collect()).collect();
    let points = || all.iter().flatten().flatten().flat_map(|curve| &curve.line).filter(|point| point.1.is_some());
    let known = common(points().map(|point| point.0));
    let first = known.first().copied().unwrap_or(0.0);
    let steps = spread(&known, STEPS, |step| (1.0 + step - first).ln());
    let at = |step: &f64| -> Vec<f64> {
        all.iter().flatten().flatten().filter_map(|curve: &Banded| curve.at(*step)).collect()
    };
    let largest = |values: &[f64]| values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let values: Vec<Vec<f64>> = steps.iter().map(at).collect();
    // Where numbers fade by steps, colours stand for those of a step.
    let sizes: Vec<f64> = values.iter().map(|values| largest(values)).collect();
    let fading = sizes.iter().any(|size| FADED * size < largest(&sizes));
    let whole = Shade::new(&values.concat());
    let shades: Vec<Shade> = match fading {
        true => values.iter().map(|values| whole.for_step(values)).collect(),
        false => vec![whole.clone(); steps.len()],
    };
    let short: Vec<String> = names.iter().map(|name| short_name(name)).collect();
    let (x, y) = (Scale::names(&short, false), Scale::names(&short, true));
    let matrix = |curves: &Vec<Option<Banded>>, (&step, shade): (&f64, &Shade)| {
        let cell = |(place, curve): (usize, &Option<Banded>)| {
            let value = curve.as_ref().and_then(|curve| curve.at(step));
            let text = if names.len() <= WITH_VALUES { numbers::two_decimals(value) } else { String::new() };
            let colour = value.map_or(GRID, |value| shade.colour(value));
            Cell { x: x.slot(place % names.len()), y: y.slot(place / names.len()), colour, text }
        };
        let number = |(place, curve): (usize, &Option<Banded>)| {
            let [row, column] = [place / names.len(), place % names.len()].map(|place| &names[place]);
            (format!("{row} × {column}"), step as i64, curve.as_ref().and_then(|curve| curve.at(step)))
        };
        Plot {
            cells: curves.iter().enumerate().map(cell).collect(),
            numbers: curves.iter().enumerate().map(number).collect(),
            ..Plot::new(x.clone(), y.clone())
        }
    };
    let row = |((label, _), curves): (&(String, &Condition), &Vec<Option<Banded>>)| Row {
        name: label.clone(),
        x_axis: String::new(),
        height: None,
        plots: steps.iter().zip(&shades).map(|of_step| matrix(curves, of_step)).collect(),
    };
    let mut rows: Vec<Row> = sheet.columns.iter().zip(&all).map(row).collect();
    for (index, plot) in rows.iter_mut().take(1).flat_map(|row| &mut row.plots).enumerate() {
        plot.heading = format!("step {}", numbers::count(steps[index] as u64));
        plot.notes.extend(fading.then(|| format!("max {}", shades[index].largest())));
    }
    let legend = shades.first().unwrap_or(&whole).legend(quantity);
    Panels { legend, interval: sheet.interval(), rows }
}

/// Of the steps of curves, ascending, those that most of them have: long curves keep extreme steps of their own.
fn common(steps: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut steps: Vec<f64> = steps.collect();
    steps.sort_by(f64::total_cmp);
    let most = steps.chunk_by(|a, b| a == b).map(<[f64]>::len).max().unwrap_or(0);
    steps.chunk_by(|a, b| a == b).filter(|same| 2 * same.len() > most).map(|same| same[0]).collect()
}

/// At most so many of the steps, the first and the last among them, evenly spread where `place` puts them.
pub fn spread(steps: &[f64], number: usize, place: impl Fn(f64) -> f64) -> Vec<f64> {
    let (Some(&first), Some(&last)) = (steps.first(), steps.last()) else { return Vec::new() };
    let (from, to) = (place(first), place(last));
    let wanted = (0..number).map(|index| from + (to - from) * index as f64 / (number as f64 - 1.0));
    let nearest = |wanted: f64| {
        let distance = |step: &&f64| (place(**step) - wanted).abs();
        steps.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).copied()
    };
    let mut few: Vec<f64> = wanted.filter_map(nearest).collect();
    few.dedup();
    few
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_steps_are_spread_logarithmically_and_hold_the_ends() {
        let logarithmic = |steps: &[f64]| spread(steps, STEPS, |step| (1.0 + step).ln());
        let steps: Vec<f64> = (0..=1000).map(f64::from).collect();
        assert_eq!(logarithmic(&steps), [0.0, 3.0, 15.0, 62.0, 250.0, 1000.0]);
        assert_eq!(logarithmic(&[0.0, 1.0, 2.0]), [0.0, 1.0, 2.0]);
        assert_eq!(logarithmic(&[7.0]), [7.0]);
        assert!(logarithmic(&[]).is_empty());
    }

    #[test]
    fn colours_follow_the_values() {
        let signed = Shade::new(&[-0.5, 0.0, 0.25]);
        assert_eq!(signed.ends(), ["−0.50", "0.50"]);
        assert_eq!(signed.colour(0.0), diverging(0.0));
        let decades = Shade::new(&[0.1, 1.0, 10.0, 100.0]);
        assert_eq!(decades.ends(), ["0.10", "100"]);
        assert_eq!(decades.colour(100.0), sequential(1.0));
        assert_eq!(decades.colour(0.0), sequential(0.0));
        assert_eq!(Shade::new(&[]).ends(), ["0", "1.0"], "nothing is drawn");
        assert_eq!(Shade::new(&[3.0]).ends(), ["2.5", "3.5"]);
    }

    #[test]
    fn a_step_without_negative_numbers_has_the_colours_of_the_others() {
        let all = Shade::new(&[-3.0, 4.0, 0.1, 0.5]);
        let step = all.for_step(&[0.1, 0.5]);
        assert_eq!(step.ends(), ["−max", "max of the step"]);
        assert_eq!(step.colour(0.5), diverging(1.0));
        assert_eq!(step.colour(0.0), diverging(0.0));
    }
}
