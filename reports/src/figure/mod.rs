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
pub mod look;
mod matched;
mod null_bands;
mod population;
mod stiffness_by_class;
mod winsorization;

use std::collections::HashSet;

use crate::ReportError;
use crate::axes::{Scale, logarithmic_range, multiplier, spans_decades, whole_range, wide_range};
use crate::canvas::Stroke;
use crate::curves::{Groups, Key};
use crate::numbers_of_runs::Numbers;
use crate::study::{Condition, Sheet, Study};

use layout::{Drawn, Marks, Panels};
use legend::Legend;
use look::group_looks;

/// The figures of a kind.
type Figures = Result<Vec<Figure>, ReportError>;

/// Every figure, in the order of the page.
const FIGURES: [fn(&Study) -> Figures; 11] = [
    learning::figures,
    learning_by_group::figures,
    by_group::of_sample,
    null_bands::of_sample,
    population::figures,
    by_group::of_population,
    null_bands::of_population,
    cross_terms::figures,
    coherence::figures,
    winsorization::figures,
    matched::figures,
];

pub const LEARNING: &str = "Learning";
pub const SHARES: &str = "Who shares in the gradient";
pub const POPULATION: &str = "The whole population";
pub const COHERENCE: &str = "Coherence over training";
pub const RULES: &str = "Suppressing the weak directions";
pub const MATCHED: &str = "Conditions at matched training accuracy";

pub struct Figure {
    /// Heading of the part of the page that it is in.
    pub section: &'static str,
    /// Its files are called so, without ending and, where there are several, number.
    pub name: String,
    pub title: String,
    /// What is seen, in sentences after the title.
    pub caption: String,
    /// A file and its content.
    pub drawings: Vec<(String, String)>,
    /// Names of the tables that it is drawn from.
    pub tables: Vec<&'static str>,
    /// What stands under it.
    pub numbers: Vec<Numbers>,
    /// Whether it says what another says too, so that the page shows it only when asked.
    pub folded: bool,
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
            drawings: Vec::new(),
            tables: tables.to_vec(),
            numbers: Vec::new(),
            folded: false,
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
    fn of(
        self,
        study: &Study,
        shown: impl Fn(&Condition) -> bool,
        panels: impl Fn(&Sheet) -> Panels,
    ) -> Result<Option<Figure>, ReportError> {
        let sheets = study.sheets(shown);
        let over_seeds = sheets.iter().flat_map(Sheet::conditions).any(|condition| condition.runs.len() > 1);
        let drawn = sheets.into_iter().map(|sheet| (sheet.heading.clone(), panels(&sheet))).collect();
        let mut figure = self.drawn(drawn)?;
        if let Some(figure) = figure.as_mut().filter(|_| over_seeds) {
            figure.tables.push("over_seeds");
        }
        Ok(figure)
    }

    /// Draws panels under their headings, those with nothing to show left out.
    fn drawn(mut self, mut sheets: Vec<(String, Panels)>) -> Result<Option<Figure>, ReportError> {
        sheets.retain(|(_, panels)| !panels.is_empty());
        let several = sheets.len() > 1;
        for (number, (heading, panels)) in sheets.into_iter().enumerate() {
            let number = if several { format!("-{}", number + 1) } else { String::new() };
            self.drawings.push((format!("{}{number}.svg", self.name), panels.draw(&self.title, &heading)?));
        }
        Ok((!self.drawings.is_empty()).then_some(self))
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
    for (name, _) in figures.iter_mut().flat_map(|figure| &mut figure.drawings) {
        let stem = name.trim_end_matches(".svg").to_owned();
        let numbered = (2..).map(|number| format!("{stem}-again-{number}.svg"));
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
) -> Vec<Drawn> {
    let looks = group_looks(names.len());
    let number = names.len().max(1) as f64;
    let drawn = names.iter().zip(looks).enumerate().rev().flat_map(|(index, (name, (colour, marker)))| {
        let marks = if every { Marks::Every } else { Marks::Few((index as f64 + 0.5) / number) };
        Drawn::all(series(name), Stroke::solid(colour, width), Some((marker, marks)))
    });
    drawn.collect()
}

/// A legend of groups, each with what it is called.
fn legend_of(names: impl Iterator<Item = String>, number: usize) -> Legend {
    let line = |(name, (colour, marker))| (name, Stroke::solid(colour, 1.25), marker);
    Legend::of(names.zip(group_looks(number)).map(line))
}

/// The values of curves, without their intervals.
fn values<'a>(curves: impl Iterator<Item = &'a Drawn>) -> Vec<f64> {
    curves.flat_map(|drawn| &drawn.series.curve.line).filter_map(|point| point.1).collect()
}

/// The steps of curves.
fn steps<'a>(curves: impl Iterator<Item = &'a Drawn>) -> Scale {
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
