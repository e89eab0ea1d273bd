//! Curves of several studies over each other: a column a condition, a row a layer or group, a line a study.

use super::layout::{Marks, Panels, Row, StyledCurve};
use super::legend::{Key as LegendKey, Legend};
use super::style::{INK, group_style};
use super::{Figure, Figures, file_name, fitting, linear, short_name, values};
use crate::ReportError;
use crate::canvas::Stroke;
use crate::comparison::{Comparison, Tested};
use crate::curve_names::{CurveStyle, PERCENT};
use crate::curves::{Key, Series};
use crate::numbers::capital;
use crate::numbers::{self, MISSING};
use crate::numbers_of_runs::Numbers;
use crate::setting;
use crate::study::{MOST_COLUMNS, OVER_SEEDS};

/// Rows of panels of a figure at most.
const MOST_ROWS: usize = 20;
/// Probability of a false rejection that is called significant.
const LEVEL: f64 = 0.05;

/// Every figure, in the order of the comparison.
pub fn draw_all(comparison: &Comparison) -> Figures {
    let figures = comparison.figures();
    let figures = figures.iter().map(|keys| Overlay::new(comparison, keys).draw());
    Ok(figures.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The curves of one name and estimator.
struct Overlay<'a> {
    comparison: &'a Comparison,
    /// By layer and groups.
    keys: &'a [&'a Key],
    tests: Vec<&'a Tested>,
    style: CurveStyle,
    name: String,
}

impl<'a> Overlay<'a> {
    fn new(comparison: &'a Comparison, keys: &'a [&'a Key]) -> Overlay<'a> {
        let style = CurveStyle::new(&comparison.summary, &keys[0].curve);
        let name = match &keys[0].estimator {
            Some(estimator) => format!("{} ({estimator})", style.name),
            None => style.name.clone(),
        };
        let tests = comparison.tests.iter().filter(|test| keys.contains(&&test.key)).collect();
        Overlay { comparison, keys, tests, style, name }
    }

    fn draw(self) -> Result<Option<Figure>, ReportError> {
        let first = self.keys[0];
        let file = first.estimator.iter().fold(file_name(&first.curve), |file, of| format!("{file}-{}", file_name(of)));
        let shown = self.shown();
        let mut caption = self.style.about.clone();
        if shown.len() < self.keys.len() {
            let left_out = format!(
                " The figure shows {} of {} layers and groups; the tables have all.",
                shown.len(),
                self.keys.len()
            );
            caption.push_str(&left_out);
        }
        let tables: &[&'static str] =
            if self.comparison.is_tested() { &["comparison", "comparison_tests"] } else { &["comparison"] };
        let conditions: Vec<usize> =
            (0..self.comparison.conditions.len()).filter(|&condition| self.has(condition)).collect();
        let sheets = conditions.chunks(MOST_COLUMNS).map(|conditions| (String::new(), self.panels(conditions, &shown)));
        let sheets = sheets.collect();
        Figure::new("", file, self.name.clone(), tables)
            .saying(caption.trim())
            .with_numbers(self.numbers())
            .with_pictures(sheets)
    }

    fn has(&self, condition: usize) -> bool {
        let studies = 0..self.comparison.studies.len();
        studies
            .into_iter()
            .any(|study| self.keys.iter().any(|key| self.comparison.curve(condition, study, key).is_some()))
    }

    /// What a figure shows: of pairs of groups those of all layers together, and no more than a page can hold.
    fn shown(&self) -> Vec<&'a Key> {
        let pairs = self.keys.iter().any(|key| key.groups[1].is_some());
        let shown = self.keys.iter().copied().filter(|key| !pairs || key.layer.is_none());
        shown.take(MOST_ROWS).collect()
    }

    fn panels(&self, conditions: &[usize], shown: &[&Key]) -> Panels {
        let studies = &self.comparison.studies;
        let row = |key: &&Key| {
            let curves = |condition: usize| -> Vec<StyledCurve> {
                let of_study = |study: usize| {
                    let curve = self.comparison.curve(condition, study, key)?.clone();
                    let series = Series { curve, one_of_several: false }.scaled(self.style.factor);
                    let (colour, marker) = group_style(study);
                    let marks = Marks::Few((study as f64 + 0.5) / studies.len() as f64);
                    Some(StyledCurve { series, stroke: Stroke::solid(colour, 1.25), marks: Some((marker, marks)) })
                };
                (0..studies.len()).filter_map(of_study).collect()
            };
            let all: Vec<Vec<StyledCurve>> = conditions.iter().map(|&condition| curves(condition)).collect();
            let values = values(all.iter().flatten());
            // Accuracies and losses are read on a linear axis, as where a study is reported.
            let y = if key.estimator.is_none() { linear(&values) } else { fitting(&values) };
            let mut row = Row::of_curves(self.style.y_axis.clone(), y, all);
            for (plot, condition) in row.plots.iter_mut().zip(conditions) {
                let here = |test: &&&Tested| test.condition == *condition && test.key == **key;
                let significant = self.tests.iter().filter(here).filter(|test| self.marks(test));
                plot.marked = significant.filter_map(|test| test.step).map(|step| step as f64).collect();
            }
            row.named(self.part_name(key))
        };
        let mut rows: Vec<Row> = shown.iter().map(row).collect();
        for (plot, condition) in rows.iter_mut().take(1).flat_map(|row| &mut row.plots).zip(conditions) {
            let means: Vec<f64> =
                self.means().filter(|test| test.condition == *condition).filter_map(|test| test.p).collect();
            if let [p] = means[..] {
                plot.notes.push(format!("mean: p = {}", numbers::significant(p, 2)));
            }
        }
        let line = |(index, study): (usize, &String)| {
            let (colour, marker) = group_style(index);
            (study.clone(), Stroke::solid(colour, 1.25), marker)
        };
        let mut legend = Legend::of_lines(studies.iter().enumerate().map(line));
        if self.tests.iter().any(|test| self.marks(test)) {
            legend = legend.with(LegendKey::Tick(INK), "differ, Holm-corrected p ≤ 0.05");
        }
        let headings = conditions.iter().map(|&condition| self.comparison.label(condition));
        Panels { legend, interval: OVER_SEEDS, rows }.headed(headings)
    }

    /// Whether a test marks its step: of two studies, at steps at which they differ.
    fn marks(&self, test: &Tested) -> bool {
        self.comparison.studies.len() == 2 && test.step.is_some() && test.p_holm.is_some_and(|p| p <= LEVEL)
    }

    /// The tests of the means over the common steps.
    fn means(&self) -> impl Iterator<Item = &Tested> {
        self.tests.iter().copied().filter(|test| test.step.is_none() && test.p.is_some())
    }

    /// Of the means over the common steps, of curves in percent in percentage points.
    fn numbers(&self) -> Option<Numbers> {
        let Comparison { summary, studies, conditions, .. } = self.comparison;
        let varying = self.comparison.varying();
        let in_percent = self.style.factor == PERCENT;
        let mut head: Vec<String> =
            varying.iter().map(|&place| capital(&setting::name(&summary.conditions[place].name))).collect();
        let difference =
            if in_percent { "Difference in points [95\u{a0}%]" } else { "Difference of means [95\u{a0}%]" };
        head.extend(["Of", "Studies", "Seeds", difference, "p", "Steps with p\u{a0}≤\u{a0}0.05"].map(str::to_owned));
        let significant = |value: f64| numbers::significant(self.style.factor * value, 3);
        let row = |test: &Tested| {
            let value = |&place: &usize| match &conditions[test.condition][place] {
                Some(value) => setting::value(&summary.conditions[place].name, value),
                None => MISSING.to_owned(),
            };
            let mut row: Vec<String> = varying.iter().map(value).collect();
            row.push(Some(self.part_name(&test.key)).filter(|name| !name.is_empty()).unwrap_or(MISSING.to_owned()));
            row.push(if studies.len() > 2 { test.studies.join(" − ") } else { MISSING.to_owned() });
            row.push(format!("{}, {}", test.seeds[0], test.seeds[1]));
            let interval = match (test.lower, test.upper) {
                (Some(lower), Some(upper)) => format!(" [{},\u{a0}{}]", significant(lower), significant(upper)),
                _ => String::new(),
            };
            row.push(format!("{}{interval}", test.difference.map_or(MISSING.to_owned(), significant)));
            row.push(numbers::optional(test.p, 2));
            let same = |other: &&&Tested| {
                other.condition == test.condition && other.studies == test.studies && other.key == test.key
            };
            let of_steps = self.tests.iter().filter(same).filter(|other| other.step.is_some());
            let p: Vec<f64> = of_steps.filter_map(|other| other.p_holm).collect();
            let few = p.iter().filter(|&&p| p <= LEVEL).count();
            row.push(format!("{}\u{a0}of\u{a0}{}", numbers::count(few as u64), numbers::count(p.len() as u64)));
            row
        };
        Numbers::new("", head, self.means().map(row).collect())
    }

    /// What a curve is of; empty for the only one, if it is of everything.
    fn part_name(&self, key: &Key) -> String {
        let layer = key.layer.as_ref().map(|layer| short_name(layer));
        let groups: Vec<String> = key.groups.iter().flatten().map(|group| short_name(group)).collect();
        let parts: Vec<String> = layer.into_iter().chain((!groups.is_empty()).then(|| groups.join(", "))).collect();
        if parts.is_empty() && self.keys.len() > 1 { "all layers".to_owned() } else { parts.join(", ") }
    }
}
