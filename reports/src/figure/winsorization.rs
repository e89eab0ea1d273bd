//! Figure 4 of the paper: training accuracy, test accuracy and overfit under winsorized gradients; a row a level c.

use super::layout::{LOW, Marks, Panels, Plot, Row, StyledCurve};
use super::legend::{Key as LegendKey, Legend};
use super::style::{INK, OVERFIT, QUIET, TEST};
use super::{Figure, Figures, RULES, steps};
use crate::axes::Scale;
use crate::canvas::{Dash, Marker, Stroke};
use crate::curves::{Key, Series};
use crate::distinct;
use crate::numbers;
use crate::numbers_of_runs::{Numbers, Row as NumbersRow};
use crate::setting::{self, NOISE, RULE, Setting, WINSORIZATION};
use crate::study::{Condition, MOST_COLUMNS, OVER_SEEDS, Run, Study};

/// Plain SGD, which winsorizes nothing.
const PLAIN: &str = "sgd";

/// The conditions by level c, and by the rest of what varies.
struct Grid<'a> {
    study: &'a Study,
    /// Ascending.
    levels: Vec<f64>,
    /// What a column has in common: the conditions but rule and level.
    columns: Vec<Setting>,
    conditions: Vec<(&'a Condition, f64, Setting)>,
}

pub fn figures(study: &Study) -> Figures {
    let Some(grid) = Grid::new(study) else { return Ok(Vec::new()) };
    let figure = Figure::new(RULES, "winsorization", "Training accuracy, test accuracy and overfit of winsorized SGD", &["curves", "runs"])
        .saying(format!("Rows: the winsorization level c, the percentage of a minibatch’s per-example gradients that is clipped at each end, for every weight on its own; c = 0 is plain SGD. Overfit is the training accuracy less the accuracy that the network would have on fresh data with the same label noise. Dotted: the proper accuracy, which a network reaches that gets every original label right and learns none that the noise changed. {}Growth is the slope of the least-squares line through the overfit of all evaluations of a run, in percentage points per 1 000 steps. Test accuracy and overfit in the table are those after the last update.", grid.changes()))
        .with_numbers(grid.numbers());
    let sheets = grid.columns.chunks(MOST_COLUMNS).map(|columns| (String::new(), grid.panels(columns)));
    Ok(figure.with_pictures(sheets.collect())?.into_iter().collect())
}

fn training() -> Stroke {
    Stroke::solid(INK, 1.25)
}

fn test() -> Stroke {
    Stroke { dash: Dash::Dashed, ..Stroke::solid(TEST, 1.25) }
}

fn overfit() -> Stroke {
    Stroke::solid(OVERFIT, 1.25)
}

fn proper() -> Stroke {
    Stroke { dash: Dash::Dotted, ..Stroke::solid(QUIET, 0.75) }
}

fn percent(condition: &Condition, curve: &str) -> Vec<Series> {
    condition.series(&Key::new(curve)).into_iter().map(|series| series.scaled(100.0)).collect()
}

impl<'a> Grid<'a> {
    /// None without a run that has a level of winsorization.
    fn new(study: &'a Study) -> Option<Grid<'a>> {
        let level = study.condition_index(WINSORIZATION)?;
        let rule = study.condition_index(RULE);
        let without = |setting: &Setting| -> Setting {
            let kept = |(place, value): (usize, &Option<String>)| {
                value.clone().filter(|_| place != level && Some(place) != rule)
            };
            setting.iter().enumerate().map(kept).collect()
        };
        let of_level = |condition: &'a Condition| {
            let named = |place: usize| condition.setting[place].as_deref();
            let c = match named(level) {
                Some(c) => c.parse().ok()?,
                // Other rules are no winsorized SGD.
                None if rule.is_none_or(|rule| named(rule) == Some(PLAIN)) => 0.0,
                None => return None,
            };
            Some((condition, c, without(&condition.setting)))
        };
        let all: Vec<(&Condition, f64, Setting)> = study.conditions.iter().filter_map(of_level).collect();
        let winsorized = |condition: &Condition| condition.setting[level].is_some();
        let has_curves = all.iter().any(|(condition, ..)| condition.has(|key| &*key.curve == "train_accuracy"));
        let columns = all.iter().filter(|(condition, ..)| winsorized(condition)).map(|(_, _, setting)| setting.clone());
        let columns = distinct(columns);
        let conditions: Vec<_> = all.into_iter().filter(|(_, _, setting)| columns.contains(setting)).collect();
        let mut levels: Vec<f64> = conditions.iter().map(|(_, c, _)| *c).collect();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        (has_curves && !columns.is_empty()).then_some(Grid { study, levels, columns, conditions })
    }

    /// The condition at a level; winsorization at level 0 stands for plain SGD where a study has both.
    fn at(&self, column: &Setting, level: f64) -> Option<&'a Condition> {
        let here = self.conditions.iter().filter(|(_, c, setting)| setting == column && *c == level);
        here.map(|(condition, ..)| *condition).max_by_key(|condition| {
            self.study.condition_index(WINSORIZATION).is_some_and(|place| condition.setting[place].is_some())
        })
    }

    /// What tells a column from the others, or its label noise.
    fn label(&self, column: &Setting) -> String {
        let differs = |place: &usize| self.columns.iter().any(|other| other[*place] != column[*place]);
        let places: Vec<usize> = (0..column.len()).filter(differs).collect();
        let columns: Vec<&Setting> = self.columns.iter().collect();
        let mut places = setting::telling(&self.study.summary.conditions, &columns, &places);
        if places.is_empty() {
            places.extend(self.study.condition_index(NOISE));
        }
        setting::label(&self.study.summary, column, &places)
    }

    fn panels(&self, columns: &[Setting]) -> Panels {
        let curves = |condition: &Condition| {
            let mut curves =
                StyledCurve::all(percent(condition, "overfit"), overfit(), Some((Marker::Disc, Marks::Few(0.5))));
            curves.extend(StyledCurve::all(percent(condition, "train_accuracy"), training(), None));
            curves.extend(StyledCurve::all(percent(condition, "test_accuracy"), test(), None));
            curves
        };
        let places = || self.levels.iter().flat_map(|&c| columns.iter().filter_map(move |column| self.at(column, c)));
        let all: Vec<StyledCurve> = places().flat_map(curves).collect();
        // From 0 to 100 %, or from below where overfit is negative.
        let lowest = all.iter().flat_map(|drawn| drawn.series.curve.values()).fold(0.0, f64::min);
        let (x, y) = (steps(all.iter()), Scale::linear(lowest - 3.0, 103.0, 3, 0));
        let plot = |condition: Option<&Condition>| {
            let accuracies = condition.map(|condition| condition.distinct(|run| run.number("proper_accuracy")));
            Plot {
                levels: accuracies.into_iter().flatten().map(|accuracy| (100.0 * accuracy, proper())).collect(),
                curves: condition.map(curves).unwrap_or_default(),
                empty: "not recorded",
                ..Plot::new(x.clone(), y.clone())
            }
        };
        let row = |&c: &f64| {
            let plots = columns.iter().map(|column| plot(self.at(column, c))).collect();
            Row::new(LOW, x.step_axis(), "Percent", plots).named(format!("c = {c} %"))
        };
        let rows = self.levels.iter().map(row).collect();
        let legend = Legend::new()
            .with(LegendKey::Line(training()), "training accuracy")
            .with(LegendKey::Line(test()), "test accuracy")
            .with(LegendKey::MarkedLine(overfit(), Marker::Disc), "overfit")
            .with(LegendKey::Line(proper()), "proper accuracy |P|/m");
        Panels { legend, interval: OVER_SEEDS, rows }.headed(columns.iter().map(|column| self.label(column)))
    }

    /// What becomes of overfit from the smallest to the largest c, by column; empty with one c, or nothing measured.
    fn changes(&self) -> String {
        let (Some(&least), Some(&most)) = (self.levels.first(), self.levels.last()) else { return String::new() };
        let change = |column: &Setting| {
            let conditions = [self.at(column, least)?, self.at(column, most)?];
            let last = conditions.map(|condition| condition.mean_of(|run| run.number("final_overfit")));
            let [from, to] = [last[0]?, last[1]?].map(|overfit| numbers::percent(Some(overfit)));
            let growth = conditions.map(|condition| points(condition.mean_of(|run| run.number("overfit_slope"))));
            let label = self.label(column);
            let at = if label.is_empty() { String::new() } else { format!(" at {label}") };
            Some(format!("from {from} to {to} (growth {} to {}){at}", growth[0], growth[1]))
        };
        let changes: Vec<String> = self.columns.iter().filter_map(change).collect();
        if least == most || changes.is_empty() {
            return String::new();
        }
        let ends = format!("From c\u{a0}=\u{a0}{least} to c\u{a0}=\u{a0}{most}\u{a0}%");
        format!("{ends} overfit after the last update goes {}. ", changes.join("; "))
    }

    fn numbers(&self) -> Option<Numbers> {
        let head =
            ["Proper accuracy", "Largest training accuracy", "Training accuracy", "Test accuracy", "Overfit", "Growth"];
        let shown = |run: &Run| {
            let of = |(condition, ..): &&(&Condition, f64, Setting)| {
                condition.runs.iter().any(|known| known.name == run.name)
            };
            self.conditions.iter().any(|place| of(&place))
        };
        let row = |run: &Run| {
            let columns = [
                "proper_accuracy",
                "max_train_accuracy",
                "final_train_accuracy",
                "final_test_accuracy",
                "final_overfit",
            ];
            let mut cells: Vec<String> = columns.map(|column| numbers::percent(run.number(column))).into();
            cells.push(points(run.number("overfit_slope")));
            shown(run).then_some(cells)
        };
        Numbers::of_runs(self.study, "", &head, NumbersRow::all(self.study, row))
    }
}

/// A slope in percentage points.
fn points(slope: Option<f64>) -> String {
    numbers::optional(slope.map(|slope| 100.0 * slope), 3)
}
