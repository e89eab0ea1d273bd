//! The sample against the population: exact shares and differences of all examples and parameters, what the paper's estimator
//! makes of the sample, and the population's values estimated from it.

use super::layout::{Marks, Panels, Plot, Row, StyledCurve, TALL, reference};
use super::legend::{Key as LegendKey, Legend};
use super::style::{ESTIMATE, INK, PAPER_ESTIMATE};
use super::{Figure, Figures, POPULATION as SECTION, groups_name, has, steps, values, whole_scales};
use crate::axes::{Scale, axis_title, wide_range};
use crate::canvas::{Marker, Stroke};
use crate::curves::{EXACT, Groups, Key, PAPER, POPULATION};
use crate::numbers::{self, MISSING};
use crate::numbers_of_runs::{Numbers, Row as NumbersRow};
use crate::study::{Condition, Run, Sheet, Study};

/// Up to this step differences are drawn over a linear axis: they are sums over steps.
const LINEAR_STEPS: f64 = 60.0;
/// How far beyond 0 and 1 an estimate of a share may stretch the axis.
const LEGIBLE: f64 = 1.0;

pub fn figures(study: &Study) -> Figures {
    let groups = study.most_telling("share", EXACT, study.telling_groups());
    let pairs = study.most_telling("difference", EXACT, study.pairs());
    let share = if study.by_designation() { "α" } else { "shares" };
    let figure = Figure::new(SECTION, "population", "How far the sample was from the truth", &["shares", "differences", "groups", "coverage"])
        .saying(format!("Exact: the contributions of all training examples over all parameters, biases included. From the sample of examples and weights, on the one hand as the paper estimates {share}, unscaled, and on the other an estimate of the population’s value, its layers scaled to their size and its diagonal terms to the number of examples, with a 95 % interval from random halves of the examples and of the recorded weights. Over the panels: at how many of the recorded steps the interval covers the exact value. D is the difference of the cumulative mean contributions; the paper’s estimate of it has other units and is not shown."))
        .with_numbers(population_numbers(study))
        .sheets(study, |condition| has(condition, "share", EXACT), |sheet| panels(study, sheet, &groups, &pairs))?;
    Ok(figure.into_iter().collect())
}

fn exact() -> Stroke {
    Stroke::solid(INK, 1.25)
}

fn paper() -> Stroke {
    Stroke::solid(PAPER_ESTIMATE, 0.6)
}

fn estimate() -> Stroke {
    Stroke::solid(ESTIMATE, 1.0)
}

fn panels(study: &Study, sheet: &Sheet, groups: &[Groups], pairs: &[Groups]) -> Panels {
    let legend = Legend::new()
        .with(LegendKey::MarkedLine(exact(), Marker::Disc), "exact, whole population")
        .with(LegendKey::MarkedLine(estimate(), Marker::Square), "estimated from the sample")
        .with(LegendKey::Line(paper()), "the paper’s estimator")
        .with_reference("group size");
    let several = groups.len() > 1;
    let name = |groups: &Groups| if several { groups_name(groups) } else { String::new() };
    let share = if study.by_designation() && !several { "α, share of ‖g‖²" } else { "Share of ‖g‖²" };
    let letter = if study.by_designation() && !several { "α" } else { "share" };
    let mut rows: Vec<Row> =
        groups.iter().map(|groups| shares(sheet, groups, [share, letter]).named(name(groups))).collect();
    rows.extend(pairs.iter().filter_map(|pair| Some(differences(sheet, pair)?.named(name(pair)))));
    Panels::new(sheet, legend, rows)
}

fn curves(
    condition: &Condition,
    statistic: &str,
    groups: &Groups,
    every: bool,
    estimators: &[&str],
) -> Vec<StyledCurve> {
    let marks = |phase| if every { Marks::Every } else { Marks::Few(phase) };
    let looks = [
        (PAPER, paper(), None),
        (POPULATION, estimate(), Some((Marker::Square, marks(0.75)))),
        (EXACT, exact(), Some((Marker::Disc, marks(0.25)))),
    ];
    let wanted = looks.into_iter().filter(|(estimator, ..)| estimators.contains(estimator));
    let drawn = wanted.flat_map(|(estimator, stroke, marks)| {
        StyledCurve::all(condition.series(&Key::estimated(statistic, estimator).groups(groups)), stroke, marks)
    });
    drawn.collect()
}

/// `17 of 20`, over the runs of a condition.
fn covered(condition: &Condition, statistic: &str, groups: &Groups) -> String {
    let known = condition.runs.iter().filter_map(|run| run.covered(statistic, groups));
    match known.reduce(|sum, one| (sum.0 + one.0, sum.1 + one.1)) {
        Some((covered, steps)) => format!("covered at {covered} of {steps}"),
        None => "no interval".to_owned(),
    }
}

fn shares(sheet: &Sheet, groups: &Groups, [title, letter]: [&str; 2]) -> Row {
    let of = |condition: &Condition, estimators: &[&str]| curves(condition, "share", groups, false, estimators);
    let all: Vec<Vec<StyledCurve>> =
        sheet.conditions().map(|condition| of(condition, &[PAPER, POPULATION, EXACT])).collect();
    // Late in training the estimate and its interval are many times the share: they leave the panel, so that it stays legible.
    let legible: Vec<f64> =
        values(sheet.conditions().flat_map(|condition| of(condition, &[PAPER, EXACT])).collect::<Vec<_>>().iter());
    let estimates = values(all.iter().flatten()).into_iter().map(|value| value.clamp(-LEGIBLE, 1.0 + LEGIBLE));
    let stretched = estimates.fold((0.0_f64, 1.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let (low, high) = wide_range(legible.into_iter(), &[stretched.0, stretched.1]);
    let x = steps(all.iter().flatten());
    let plot = |(condition, curves): (&Condition, Vec<StyledCurve>)| {
        let size = |run: &Run| groups[0].as_deref().and_then(|group| run.size(group, EXACT));
        Plot {
            notes: vec![format!("{letter} {}", covered(condition, "share", groups))],
            levels: condition.distinct(size).into_iter().map(reference).collect(),
            curves,
            empty: "not recorded",
            ..Plot::new(x.clone(), Scale::linear(low, high, 5, 0))
        }
    };
    Row::new(TALL, x.step_axis(), title, sheet.conditions().zip(all).map(plot).collect())
}

/// Over the steps that the population has without a gap; none if it has none. The paper's D is of other units.
fn differences(sheet: &Sheet, pair: &Groups) -> Option<Row> {
    let key = Key::estimated("difference", EXACT).groups(pair);
    let exact = sheet.conditions().flat_map(|condition| condition.series(&key));
    let last = exact.map(|series| series.curve.last_step()).reduce(f64::max)?;
    let curves = |condition: &Condition| -> Vec<StyledCurve> {
        let curves = curves(condition, "difference", pair, last <= LINEAR_STEPS / 3.0, &[POPULATION, EXACT]);
        curves.into_iter().map(|drawn| StyledCurve { series: drawn.series.before(last + 0.5), ..drawn }).collect()
    };
    let curves: Vec<Vec<StyledCurve>> = sheet.conditions().map(curves).collect();
    let values = |curves: &Vec<StyledCurve>| curves.iter().flat_map(|drawn| drawn.series.curve.values()).collect();
    let (scales, exponent) = whole_scales(&curves.iter().map(values).collect::<Vec<Vec<f64>>>());
    let x = if last <= LINEAR_STEPS { Scale::whole(last, 5) } else { Scale::steps(last) };
    let plot = |((condition, curves), y)| Plot {
        notes: vec![format!("D {}", covered(condition, "difference", pair))],
        levels: vec![reference(0.0)],
        curves,
        empty: "not recorded",
        ..Plot::new(x.clone(), y)
    };
    let plots = sheet.conditions().zip(curves).zip(scales).map(plot).collect();
    Some(Row::new(TALL, x.step_axis(), axis_title("Difference D", "loss/η", exponent), plots))
}

fn population_numbers(study: &Study) -> Option<Numbers> {
    let covered = |run: &Run, statistic: &str, groups: &Groups| match run.covered(statistic, groups) {
        None => MISSING.to_owned(),
        Some((covered, of)) => format!("{}\u{a0}of\u{a0}{}", numbers::count(covered), numbers::count(of)),
    };
    let head = ["Of", "Recorded steps", "Share covered", "D covered"];
    let several = study.groups().len() > 2;
    let row = |run: &Run, groups: &Groups| {
        let steps = run.count("population_steps")?;
        let pair = groups[1].is_some();
        // Of two groups the share of one and their difference stand in one row.
        let of_pair = if several { groups.clone() } else { study.pairs().pop().unwrap_or_default() };
        let of = if several { groups_name(groups) } else { MISSING.to_owned() };
        let share = if pair { MISSING.to_owned() } else { covered(run, "share", groups) };
        let difference = if pair || !several { covered(run, "difference", &of_pair) } else { MISSING.to_owned() };
        Some(vec![of, numbers::count(steps), share, difference])
    };
    let mut rows = study.telling_groups();
    rows.extend(study.pairs().into_iter().filter(|_| several));
    Numbers::of_runs(study, "", &head, NumbersRow::each(study, &rows, row))
}
