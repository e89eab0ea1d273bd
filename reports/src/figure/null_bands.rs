//! Figures 2 and 3 in our version: shares of groups and differences of their cumulative contributions against the band that
//! no null world leaves, with p-values.

use super::layout::{MIDDLE, Marks, Panels, Plot, Row, StyledCurve, TALL};
use super::legend::{Key as LegendKey, Legend};
use super::style::{NULL_BAND, PRISTINE};
use super::{Figure, Figures, POPULATION, SHARES, groups_name, values, whole_scales};
use crate::axes::{Scale, axis_title, wide_range};
use crate::canvas::{Marker, Stroke};
use crate::curves::{EXACT, Groups, Key, PAPER};
use crate::numbers::{self, MISSING};
use crate::numbers_of_runs::{Numbers, Row as NumbersRow};
use crate::study::{Condition, Run, Sheet, Study};

/// Up to this step the axis is linear, and every point of a difference marked.
const LINEAR_STEPS: f64 = 60.0;
const SHARE: &str = "share";
const DIFFERENCE: &str = "difference";

pub fn of_sample(study: &Study) -> Figures {
    figures(study, PAPER, SHARES, ["shares-null-band", "contributions-null-band"])
}

pub fn of_population(study: &Study) -> Figures {
    figures(study, EXACT, POPULATION, ["shares-population-null-band", "contributions-population-null-band"])
}

fn figures(study: &Study, estimator: &str, section: &'static str, names: [&'static str; 2]) -> Figures {
    let (all_groups, all_pairs) = (study.telling_groups(), study.pairs());
    let groups = study.most_telling(SHARE, estimator, all_groups.clone());
    let pairs = study.most_telling(DIFFERENCE, estimator, all_pairs.clone());
    let has = |statistic: &'static str, shown: &[Groups]| {
        let keys: Vec<Key> = shown.iter().map(|groups| Key::estimated(statistic, estimator).groups(groups)).collect();
        move |condition: &Condition| condition.has(|key| keys.contains(key))
    };
    let worlds = numbers::count(study.summary.options.null_worlds as u64);
    let smallest = numbers::upper_bound(1.0 / (study.summary.options.null_worlds as f64 + 1.0));
    let whose = if estimator == EXACT { " in the full gradient of all training examples" } else { "" };
    let share = if study.by_designation() { "α" } else { "The share of a group" };
    let shares = Figure::new(section, names[0], format!("The shares{whose}, tested"), &["shares", "null", "tests"])
        .saying(format!("{share} with the band that the shares of 95 % of {worlds} null worlds never leave at any step. The crossover is the mean of a share over the first tenth of the recorded steps minus its mean over the last tenth; the simultaneous p-value is of its largest standardised distance from its null mean over all steps. With {worlds} worlds no p-value can be below {smallest}: where it is written “≤”, no null world was as extreme. Where there are several seeds, the panel gives the largest p-value. In brackets: how far simulating finitely many worlds leaves p uncertain (95 % Clopper–Pearson interval).{}", left_out(&groups, &all_groups, "groups")))
        .with_numbers(share_numbers(study, estimator))
        .with_numbers(mean_share_numbers(study, estimator))
        .sheets(study, has(SHARE, &groups), |sheet| panels(study, sheet, SHARE, estimator, &groups))?;
    let difference = if study.by_designation() { "D = iᵖ − iᶜ" } else { "D, of one group less another," };
    let differences = Figure::new(section, names[1], format!("The differences of the cumulative contributions{whose}, tested"), &["differences", "null", "tests"])
        .saying(format!("The difference {difference} with its simultaneous 95 % null band, at every step recorded without a gap from step 0: the simultaneous p-value is over the same steps. D₁₀ is the difference after the first ten steps, with its two-sided p-value.{}", left_out(&pairs, &all_pairs, "pairs of groups")))
        .with_numbers(difference_numbers(study, estimator))
        .sheets(study, has(DIFFERENCE, &pairs), |sheet| panels(study, sheet, DIFFERENCE, estimator, &pairs))?;
    Ok([shares, differences].into_iter().flatten().collect())
}

fn left_out(shown: &[Groups], all: &[Groups], what: &str) -> String {
    match shown.len() < all.len() {
        true => format!(
            " Of {} {what} the figure shows the {} with the smallest p-values; the table has all.",
            all.len(),
            shown.len()
        ),
        false => String::new(),
    }
}

/// What a row of panels shows: a statistic of a group or a pair, by an estimator.
struct Shown<'a> {
    statistic: &'a str,
    estimator: &'a str,
    groups: &'a Groups,
}

impl Shown<'_> {
    fn row(&self, study: &Study, sheet: &Sheet) -> Row {
        let key = Key::estimated(self.statistic, self.estimator).groups(self.groups);
        let series = |condition: &Condition| condition.series(&key);
        let last = sheet.conditions().flat_map(series).map(|series| series.curve.last_step()).fold(1.0, f64::max);
        let few = last <= LINEAR_STEPS;
        let x = if few { Scale::whole(last, 5) } else { Scale::steps(last) };
        let marks = if few { Marks::Every } else { Marks::Few(0.5) };
        let curves = |condition| StyledCurve::all(series(condition), statistic_stroke(), Some((Marker::Disc, marks)));
        let all: Vec<Vec<StyledCurve>> = sheet.conditions().map(curves).collect();
        let of_panels: Vec<Vec<f64>> =
            sheet.conditions().zip(&all).map(|(condition, curves)| self.values(condition, curves)).collect();
        let (scales, title) = match self.statistic {
            SHARE => {
                let include: &[f64] = if study.groups().len() == 2 { &[0.0, 1.0] } else { &[0.0] };
                let (low, high) = wide_range(of_panels.into_iter().flatten(), include);
                (vec![Scale::linear(low, high, 5, 0); all.len()], "Share of ‖g‖²".to_owned())
            }
            _ => {
                let (scales, exponent) = whole_scales(&of_panels);
                (scales, axis_title("Difference D", "loss/η", exponent))
            }
        };
        let plot = |((condition, curves), y): ((&Condition, Vec<StyledCurve>), Scale)| Plot {
            curves,
            null: self.nulls(condition).cloned().collect(),
            notes: self.notes(condition),
            ..Plot::new(x.clone(), y)
        };
        let plots = sheet.conditions().zip(all).zip(scales).map(plot).collect();
        // Of two groups there is one row, and nothing to tell it from.
        match study.groups().len() {
            0..=2 => Row::new(TALL, x.step_axis(), title, plots),
            _ => Row::new(MIDDLE, x.step_axis(), title, plots).named(groups_name(self.groups)),
        }
    }

    fn nulls<'c>(&self, condition: &'c Condition) -> impl Iterator<Item = &'c crate::curves::Banded> {
        condition.runs.iter().filter_map(|run| run.null(self.statistic, self.estimator, self.groups))
    }

    /// Of the curves and the bands of a condition.
    fn values(&self, condition: &Condition, curves: &[StyledCurve]) -> Vec<f64> {
        values(curves.iter()).into_iter().chain(self.nulls(condition).flat_map(|null| null.values())).collect()
    }

    /// The p-values over a panel.
    fn notes(&self, condition: &Condition) -> Vec<String> {
        let first = if self.statistic == SHARE { ("crossover", "crossover") } else { ("D₁₀", "difference_10") };
        let note = |(name, statistic): (&str, &str)| {
            let test = condition.weakest(statistic, self.estimator, self.groups)?;
            Some(format!("{name} p {}", numbers::p_value(Some(test))))
        };
        [first, ("simultaneous", self.statistic)].into_iter().filter_map(note).collect()
    }
}

fn statistic_stroke() -> Stroke {
    Stroke::solid(PRISTINE, 1.25)
}

fn panels(study: &Study, sheet: &Sheet, statistic: &str, estimator: &str, all: &[Groups]) -> Panels {
    let name = match (statistic, all) {
        (SHARE, [group]) if study.by_designation() => format!("α, {}", groups_name(group)),
        (SHARE, [group]) => groups_name(group),
        (SHARE, _) => "share of the group".to_owned(),
        (_, [pair]) => format!("D, {}", groups_name(pair)),
        _ => "D, of one group less another".to_owned(),
    };
    let legend = Legend::of_lines([(name, statistic_stroke(), Marker::Disc)])
        .with_reference(if statistic == SHARE { "null mean, the group size" } else { "null mean" })
        .with(LegendKey::Band(NULL_BAND), "95 % simultaneous null band");
    let rows = all.iter().map(|groups| Shown { statistic, estimator, groups }.row(study, sheet)).collect();
    Panels::new(sheet, legend, rows)
}

fn share_numbers(study: &Study, estimator: &str) -> Option<Numbers> {
    let (first, last) = match study.by_designation() && study.groups().len() == 2 {
        true => ("α first", "α last"),
        false => ("First share", "Last share"),
    };
    let head = ["Group size", first, last, "Crossover", "p of crossover [95\u{a0}%]"];
    numbers_of(study, "", ["Group", SHARE], estimator, &head, study.telling_groups(), |run, groups| {
        let group = groups[0].as_deref();
        let share = group.and_then(|group| run.curves.get(&Key::estimated(SHARE, estimator).group(group)));
        let value = |point: Option<&crate::curves::Point>| point.and_then(|point| point.1);
        let [first, last] =
            share.map(|share| [value(share.line.first()), value(share.line.last())]).unwrap_or_default();
        let crossover = run.test("crossover", estimator, groups);
        let size = group.and_then(|group| run.size(group, estimator));
        let mut cells: Vec<String> =
            [size, first, last, crossover.and_then(|test| test.observed)].map(numbers::share).into();
        cells.push(numbers::p_cell(crossover));
        // A group without any other beside it has a size and nothing else to say.
        (first.or(last).or(crossover.and_then(|test| test.p)).is_some() || group.is_none()).then_some(cells)
    })
}

fn difference_numbers(study: &Study, estimator: &str) -> Option<Numbers> {
    let head = ["D₁₀", "p of D₁₀ [95\u{a0}%]"];
    numbers_of(study, "", ["Pair", DIFFERENCE], estimator, &head, study.pairs(), |run, groups| {
        let ten = run.test("difference_10", estimator, groups);
        Some(vec![numbers::optional(ten.and_then(|test| test.observed), 3), numbers::p_cell(ten)])
    })
}

/// Of pairs, which no figure shows; of two groups they say what the shares say.
fn mean_share_numbers(study: &Study, estimator: &str) -> Option<Numbers> {
    let title = "Mean share of one group less that of another";
    let pairs = Some(study.pairs()).filter(|pairs| pairs.len() > 1)?;
    numbers_of(study, title, ["Pair", "mean_share"], estimator, &[], pairs, |_, _| Some(Vec::new()))
}

/// A row a run and group or pair, and one of all at once, with the test over all steps; without it, if nothing was tested.
fn numbers_of(
    study: &Study,
    title: &str,
    [what, statistic]: [&str; 2],
    estimator: &str,
    head: &[&str],
    all: Vec<Groups>,
    cells: impl Fn(&Run, &Groups) -> Option<Vec<String>>,
) -> Option<Numbers> {
    let several = all.len() > 1;
    let head = [&[what], head, &["Simultaneous p [95\u{a0}%]", "p, Holm"]].concat();
    let row = |run: &Run, groups: &Groups| {
        let test = run.test(statistic, estimator, groups).filter(|test| test.p.is_some());
        let name = if groups[0].is_none() { "all at once".to_owned() } else { groups_name(groups) };
        let mut row = vec![if several { name } else { MISSING.to_owned() }];
        let cells = cells(run, groups)?;
        let known = test.is_some() || cells.iter().any(|cell| cell != MISSING);
        row.extend(cells);
        row.push(numbers::p_cell(test));
        row.push(numbers::optional(test.and_then(|test| test.p_holm).filter(|_| several), 2));
        known.then_some(row)
    };
    let all: Vec<Groups> = several.then_some([None, None]).into_iter().chain(all).collect();
    Numbers::of_runs(study, title, &head, NumbersRow::each(study, &all, row))
}
