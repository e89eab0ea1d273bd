//! The sample against the population: the exact α and D of all examples and parameters, what the paper's estimator makes of
//! the sample, and the population's values estimated from it.

use super::drawn::{Drawn, Marks};
use super::figure_3::range_of;
use super::legend::{Key, Legend};
use super::look::{ESTIMATE, INK, PAPER_ESTIMATE, QUIET};
use super::panel_grid::{GridPanel, Heading, PanelGrid, PanelRow};
use super::{OVER_SEEDS, heading, step_axis};
use crate::ReportError;
use crate::axes::{Scale, axis_title, multiplier, robust_range};
use crate::canvas::{Dash, Marker, Stroke};
use crate::curves::{CurveKey, EXACT, PAPER, POPULATION};
use crate::results::{Condition, Results, RunResults, Series};
use crate::summary::{Coverage, Covered};

const TITLE: &str = "The sample against the population: share of pristine examples in the squared gradient norm, and difference of the cumulative mean contributions, exact and estimated from the sample";
const HEIGHT: f64 = 116.0;
/// Up to this step D is drawn over a linear axis: it is a sum over steps.
const LINEAR_STEPS: f64 = 60.0;
const NONE: &str = "not recorded";

/// The runs drawn have contributions of the whole population.
pub fn draw(results: &Results) -> Result<String, ReportError> {
    let conditions = results.plain_conditions_with(RunResults::has_population);
    let mut rows = vec![shares(&conditions)];
    rows.extend(differences(&conditions));
    PanelGrid { title: TITLE, legend: legend(&conditions), columns: conditions.iter().map(column).collect(), rows }
        .draw()
}

fn exact() -> Stroke {
    Stroke::solid(INK, 1.25)
}

fn paper() -> Stroke {
    Stroke { dash: Dash::Dashed, ..Stroke::solid(PAPER_ESTIMATE, 1.0) }
}

fn estimate() -> Stroke {
    Stroke::solid(ESTIMATE, 1.0)
}

fn legend(conditions: &[Condition]) -> Legend {
    let interval = if conditions.iter().any(Condition::is_mean) { OVER_SEEDS } else { "95 % bootstrap interval" };
    Legend::new()
        .with(Key::MarkedLine(exact(), Marker::Disc), "exact, whole population")
        .with(Key::MarkedLine(estimate(), Marker::Square), "estimated from the sample")
        .with(Key::Band(ESTIMATE), interval)
        .with(Key::Line(paper()), "the paper’s estimator")
        .with(Key::Line(Stroke::dashed(QUIET, 0.75)), "group size |P|/m")
}

fn column(condition: &Condition) -> Heading {
    let covered = |of: fn(&Coverage) -> Covered| {
        let coverages = condition.runs.iter().filter_map(|run| run.summary.population.as_ref()?.coverage.as_ref());
        let sum = |sum: Covered, one: Covered| Covered { covered: sum.covered + one.covered, of: sum.of + one.of };
        coverages.map(of).fold(Covered::default(), sum)
    };
    let note = |name: &str, covered: Covered| match covered.of {
        0 => format!("{name}: no interval"),
        of => format!("{name} covered at {} of {of}", covered.covered),
    };
    let notes = vec![note("α", covered(|coverage| coverage.alpha)), note("D", covered(|coverage| coverage.difference))];
    Heading { heading: heading(condition), notes }
}

fn curves(condition: &Condition, curve: &str, every: bool, estimators: &[&str]) -> Vec<Drawn> {
    let marks = |phase| if every { Marks::Every } else { Marks::Few(phase) };
    let looks = [
        (PAPER, paper(), None),
        (POPULATION, estimate(), Some((Marker::Square, marks(0.75)))),
        (EXACT, exact(), Some((Marker::Disc, marks(0.25)))),
    ];
    let wanted = looks.into_iter().filter(|(estimator, ..)| estimators.contains(estimator));
    wanted
        .flat_map(|(estimator, stroke, marks)| {
            Drawn::all(condition.series(&CurveKey::of(curve, estimator)), stroke, marks).collect::<Vec<_>>()
        })
        .collect()
}

fn shares(conditions: &[Condition]) -> PanelRow {
    let curves: Vec<Vec<Drawn>> =
        conditions.iter().map(|condition| curves(condition, "alpha", false, &[PAPER, POPULATION, EXACT])).collect();
    let every = || curves.iter().flatten().map(|drawn| &drawn.series);
    // Late in training the estimate and its interval are many times α: they leave the panel, so that α stays legible.
    let legible = conditions.iter().flat_map(|condition| self::curves(condition, "alpha", false, &[PAPER, EXACT]));
    let (low, high) = robust_range(legible.flat_map(|drawn| drawn.series.values().collect::<Vec<_>>()), &[-0.5, 2.0]);
    let x = Scale::steps(every().map(Series::last_step).fold(1.0, f64::max));
    let panel = |(condition, curves): (&Condition, Vec<Drawn>)| {
        let mut references: Vec<f64> = condition.runs.iter().filter_map(|run| run.summary.pristine_fraction).collect();
        references.dedup();
        GridPanel { y: Scale::linear(low, high, 5, 0), curves, references, marked: Vec::new(), empty: NONE }
    };
    PanelRow {
        name: String::new(),
        x_axis: step_axis(&x),
        x,
        y_axis: "α, share of ‖g‖²".to_owned(),
        height: HEIGHT,
        own_y: false,
        panels: conditions.iter().zip(curves).map(panel).collect(),
    }
}

/// Over the steps that the population has without a gap; none if it has none. The paper's D is of other units.
fn differences(conditions: &[Condition]) -> Option<PanelRow> {
    let key = CurveKey::of("cumulative_difference", EXACT);
    let exact = conditions.iter().flat_map(|condition| condition.series(&key));
    let last = exact.map(|series| series.last_step()).reduce(f64::max)?;
    let within = |mut drawn: Drawn| {
        drawn.series = drawn.series.before(last + 0.5);
        drawn
    };
    let curves = |condition: &Condition| -> Vec<Drawn> {
        let curves = curves(condition, "cumulative_difference", last <= 20.0, &[POPULATION, EXACT]);
        curves.into_iter().map(within).collect()
    };
    let curves: Vec<Vec<Drawn>> = conditions.iter().map(curves).collect();
    let range = |curves: &Vec<Drawn>| range_of(curves.iter().flat_map(|drawn| drawn.series.values()));
    let ranges: Vec<(f64, f64)> = curves.iter().map(range).collect();
    let exponent = multiplier(ranges.iter().map(|(low, high)| high.max(-low)).fold(0.0, f64::max));
    let x = if last <= LINEAR_STEPS { Scale::whole(last, 5) } else { Scale::steps(last) };
    let panel = |(curves, (low, high)): (Vec<Drawn>, (f64, f64))| GridPanel {
        y: Scale::linear(low, high, 5, exponent),
        curves,
        references: vec![0.0],
        marked: Vec::new(),
        empty: NONE,
    };
    Some(PanelRow {
        name: String::new(),
        x_axis: step_axis(&x),
        x,
        y_axis: axis_title("Difference D", "nats per unit η", exponent),
        height: HEIGHT,
        own_y: true,
        panels: curves.into_iter().zip(ranges).map(panel).collect(),
    })
}
