//! The figures, one file each: a figure turns tables into series, the layout is common to all.

mod by_group;
mod coherence;
pub mod comparison;
mod cross_terms;
mod heat_map;
mod layout;
mod learning;
mod learning_by_group;
mod legend;
mod matched;
mod null_bands;
pub mod overview;
mod population;
mod similarity;
mod stiffness_by_class;
pub mod style;
mod winsorization;

use std::collections::HashSet;

use crate::ReportError;
use crate::axes::{Scale, logarithmic_range, multiplier, spans_decades, whole_range, wide_range};
use crate::canvas::Stroke;
use crate::curves::{Banded, Groups, Key, Line};
use crate::numbers;
use crate::numbers_of_runs::Numbers;
use crate::study::{Condition, Sheet, Study};

pub use layout::Size;
use layout::{Marks, Panels, Plot, StyledCurve};
use legend::Legend;
use style::group_styles;

/// The figures of a kind.
type Figures = Result<Vec<Figure>, ReportError>;

/// Every figure, in the order of the page.
const FIGURES: [fn(&Study) -> Figures; 13] = [
    overview::figures,
    learning::figures,
    learning_by_group::figures,
    by_group::of_sample,
    null_bands::of_sample,
    population::figures,
    by_group::of_population,
    null_bands::of_population,
    cross_terms::figures,
    coherence::figures,
    similarity::figures,
    winsorization::figures,
    matched::figures,
];

pub const OVERVIEW: &str = "What was found";
pub const LEARNING: &str = "How do the networks learn?";
pub const SHARES: &str = "Who shares in the gradient?";
pub const POPULATION: &str = "What does the whole population say?";
pub const COHERENCE: &str = "How coherent are the gradients?";
pub const RULES: &str = "What does suppressing the weak directions do?";
pub const MATCHED: &str = "How do conditions compare at the same training accuracy?";

pub struct Figure {
    /// Heading of the part of the page that it is in.
    pub section: &'static str,
    /// Its files are called so, without ending and, where there are several, number.
    pub name: String,
    pub title: String,
    /// What is seen, in sentences after the title.
    pub caption: String,
    /// A file each, or one for each format.
    pub pictures: Vec<Picture>,
    /// Names of the tables that it is drawn from.
    pub tables: Vec<&'static str>,
    /// What stands under it.
    pub numbers: Vec<Numbers>,
    /// Whether it says what another says too, so that the page only names its files.
    pub linked: bool,
}

/// What a file shows.
pub struct Picture {
    /// Of its file, without ending.
    pub name: String,
    /// What its panels have in common.
    pub heading: String,
    pub panels: Panels,
}

/// How many curves a text alternative speaks of.
const SPOKEN: usize = 12;

impl Picture {
    /// Every plot with what its panel is called: by its heading or that over its column, its row, and its vertical axis.
    fn plots(&self) -> impl Iterator<Item = ([&str; 3], &Plot)> {
        let over_columns: Vec<&str> =
            self.panels.rows.first().into_iter().flat_map(|row| &row.plots).map(|plot| &*plot.heading).collect();
        self.panels.rows.iter().flat_map(move |row| {
            let over_columns = over_columns.clone();
            row.plots.iter().enumerate().map(move |(column, plot)| {
                let heading = match plot.heading.is_empty() {
                    true => over_columns.get(column).copied().unwrap_or(""),
                    false => &plot.heading,
                };
                let axes = row.plots[..=column].iter().rev().map(|plot| &*plot.y_axis);
                let axis = axes.into_iter().find(|axis| !axis.is_empty()).unwrap_or("");
                ([heading, &row.name, axis], plot)
            })
        })
    }

    /// What is drawn, a row a point: which panel and series it is of, its step, its value, and the ends of its interval.
    pub fn csv(&self) -> String {
        let mut text = "panel,row,axis,series,step,value,lower,upper\n".to_owned();
        for (names, plot) in self.plots() {
            let panel = names.map(quoted).join(",");
            let nulls = plot.null.iter().map(|curve| ("null worlds", curve));
            let name = |drawn: &StyledCurve| self.panels.legend.name_of(&drawn.stroke);
            let curves = plot.curves.iter().map(|drawn| (name(drawn), &drawn.series.curve));
            for (name, curve) in nulls.chain(curves) {
                write_points(&mut text, &format!("{panel},{}", quoted(name)), curve);
            }
            for (series, step, value) in &plot.numbers {
                let value = value.map_or(String::new(), |value| value.to_string());
                text.push_str(&format!("{panel},{},{step},{value},,\n", quoted(series)));
            }
        }
        text
    }

    /// Where its curves begin and end, for those who do not see it.
    pub fn described(&self, title: &str) -> String {
        let mut parts = vec![title.to_owned()];
        parts.extend((!self.heading.is_empty()).then(|| self.heading.clone()));
        let ends = |(names, plot): ([&str; 3], &'_ Plot)| -> Vec<String> {
            plot.curves.iter().filter_map(|drawn| self.ends(names, drawn)).collect()
        };
        let ends: Vec<String> = self.plots().flat_map(ends).collect();
        parts.extend(ends.iter().take(SPOKEN).cloned());
        if ends.len() > SPOKEN {
            parts.push(format!("{} more curves are in {}.csv", ends.len() - SPOKEN, self.name));
        }
        parts.join(". ")
    }

    fn ends(&self, [heading, row, axis]: [&str; 3], drawn: &StyledCurve) -> Option<String> {
        let mut known = drawn.series.curve.line.iter().filter_map(|point| Some((point.0, point.1?)));
        let first = known.next()?;
        let last = known.next_back().unwrap_or(first);
        let names = [heading, row, axis, self.panels.legend.name_of(&drawn.stroke)];
        let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
        let [from, to] = [first.1, last.1].map(|value| numbers::significant(value, 3));
        Some(format!("{}: {from} at step {}, {to} at step {}", names.join(", "), first.0, last.0))
    }
}

fn write_points(text: &mut String, names: &str, curve: &Banded) {
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let end = |line: &Line, index: usize| number(line.get(index).and_then(|point| point.1));
    for (index, (step, value)) in curve.line.iter().enumerate().filter(|(_, point)| point.1.is_some()) {
        let [lower, upper] = [&curve.lower, &curve.upper].map(|line| end(line, index));
        text.push_str(&format!("{names},{step},{},{lower},{upper}\n", number(*value)));
    }
}

/// A text as a cell of a CSV file.
fn quoted(text: &str) -> String {
    let text = text.replace('\u{a0}', " ");
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// Every figure that the results have something for.
pub fn draw_all(study: &Study) -> Figures {
    let mut figures = Vec::new();
    for of_kind in FIGURES {
        figures.extend(of_kind(study)?);
    }
    Ok(figures)
}

impl Figure {
    fn new(
        section: &'static str,
        name: impl Into<String>,
        title: impl Into<String>,
        tables: &[&'static str],
    ) -> Figure {
        Figure {
            section,
            name: name.into(),
            title: title.into(),
            caption: String::new(),
            pictures: Vec::new(),
            tables: tables.to_vec(),
            numbers: Vec::new(),
            linked: false,
        }
    }

    fn saying(self, caption: impl Into<String>) -> Figure {
        Figure { caption: caption.into(), ..self }
    }

    fn with_numbers(mut self, numbers: Option<Numbers>) -> Figure {
        self.numbers.extend(numbers);
        self
    }

    /// Draws a sheet after the other of the conditions that have something to show; none if no condition has.
    fn sheets(
        self,
        study: &Study,
        shown: impl Fn(&Condition) -> bool,
        panels: impl Fn(&Sheet) -> Panels,
    ) -> Result<Option<Figure>, ReportError> {
        let sheets = study.sheets(shown);
        let over_seeds = sheets.iter().flat_map(Sheet::conditions).any(|condition| condition.runs.len() > 1);
        let drawn = sheets.into_iter().map(|sheet| (sheet.heading.clone(), panels(&sheet))).collect();
        let mut figure = self.with_pictures(drawn)?;
        if let Some(figure) = figure.as_mut().filter(|_| over_seeds) {
            figure.tables.push("over_seeds");
        }
        Ok(figure)
    }

    /// Draws panels under their headings, those with nothing to show left out.
    fn with_pictures(mut self, mut sheets: Vec<(String, Panels)>) -> Result<Option<Figure>, ReportError> {
        sheets.retain(|(_, panels)| !panels.is_empty());
        let several = sheets.len() > 1;
        for (number, (heading, panels)) in sheets.into_iter().enumerate() {
            let number = if several { format!("-{}", number + 1) } else { String::new() };
            self.pictures.push(Picture { name: format!("{}{number}", self.name), heading, panels: panels.explained() });
        }
        Ok((!self.pictures.is_empty()).then_some(self))
    }
}

/// A name as part of the name of a file, no longer than any file system takes.
fn file_name(name: &str) -> String {
    const LETTERS: usize = 100;
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    name.chars().take(LETTERS).map(letter).collect()
}

/// The figures, each of whose files has a name of its own: names that differ in other letters only are numbered.
pub fn told_apart(mut figures: Vec<Figure>) -> Vec<Figure> {
    let mut taken = HashSet::new();
    for name in figures.iter_mut().flat_map(|figure| &mut figure.pictures).map(|picture| &mut picture.name) {
        let numbered = (2..).map(|number| format!("{name}-again-{number}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name));
        *name = free.unwrap_or_default();
        taken.insert(name.clone());
    }
    figures
}

/// A name that people gave, cut in the middle where it is too long for a legend: what tells layers apart stands at the end.
fn short_name(name: &str) -> String {
    const LETTERS: usize = 20;
    const FIRST: usize = 6;
    let number = name.chars().count();
    if number <= LETTERS {
        return name.to_owned();
    }
    let first = name.chars().take(FIRST);
    first.chain(['…']).chain(name.chars().skip(number - (LETTERS - FIRST - 1))).collect()
}

/// `pristine`, `pristine − corrupt`.
fn groups_name(groups: &Groups) -> String {
    groups.iter().flatten().map(|name| short_name(name)).collect::<Vec<_>>().join(" − ")
}

/// The curves of some groups, the first on top.
fn of_groups(
    names: &[String],
    every: bool,
    width: f64,
    series: impl Fn(&str) -> Vec<crate::curves::Series>,
) -> Vec<StyledCurve> {
    let looks = group_styles(names.len());
    let number = names.len().max(1) as f64;
    let drawn = names.iter().zip(looks).enumerate().rev().flat_map(|(index, (name, (colour, marker)))| {
        let marks = if every { Marks::Every } else { Marks::Few((index as f64 + 0.5) / number) };
        StyledCurve::all(series(name), Stroke::solid(colour, width), Some((marker, marks)))
    });
    drawn.collect()
}

/// A legend of groups, each with what it is called.
fn legend_of(names: impl Iterator<Item = String>, number: usize) -> Legend {
    let line = |(name, (colour, marker))| (name, Stroke::solid(colour, 1.25), marker);
    Legend::of_lines(names.zip(group_styles(number)).map(line))
}

/// The values of curves, without their intervals.
fn values<'a>(curves: impl Iterator<Item = &'a StyledCurve>) -> Vec<f64> {
    curves.flat_map(|drawn| &drawn.series.curve.line).filter_map(|point| point.1).collect()
}

/// The steps of curves.
fn steps<'a>(curves: impl Iterator<Item = &'a StyledCurve>) -> Scale {
    Scale::steps(curves.map(|drawn| drawn.series.curve.last_step()).fold(1.0, f64::max))
}

/// A vertical axis for values: logarithmic where they span decades.
fn fitting(values: &[f64]) -> Scale {
    if spans_decades(values) {
        let (low, high) = logarithmic_range(values.iter().copied());
        return Scale::logarithmic(low, high, 4);
    }
    linear(values)
}

fn linear(values: &[f64]) -> Scale {
    let (low, high) = wide_range(values.iter().copied(), &[0.0]);
    Scale::linear(low, high, 4, 0)
}

/// Vertical axes that hold all values and 0, with one multiplier, which is returned too.
fn whole_scales(values: &[Vec<f64>]) -> (Vec<Scale>, i32) {
    let ranges: Vec<(f64, f64)> = values.iter().map(|values| whole_range(values)).collect();
    let exponent = multiplier(ranges.iter().map(|(low, high)| high.max(-low)).fold(0.0, f64::max));
    (ranges.into_iter().map(|(low, high)| Scale::linear(low, high, 4, exponent)).collect(), exponent)
}

/// Whether a condition has a curve of this name and estimator.
fn has(condition: &Condition, curve: &str, estimator: &str) -> bool {
    condition.has(|key: &Key| &*key.curve == curve && key.is_of(estimator))
}
