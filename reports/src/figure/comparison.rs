//! Curves of several studies over each other: a column a condition, a row a layer or group, a line a study.

use super::coherence::{STATISTICS, statistic_row};
use super::drawn::{Drawn, Marks};
use super::legend::{Key, Legend};
use super::look::{INK, QUIET, group_look};
use super::panel_grid::{Heading, PanelGrid, PanelRow};
use super::short_name;
use crate::ReportError;
use crate::canvas::{Marker, Stroke};
use crate::comparison::{Comparison, Overlay, Part, Tested};
use crate::comparison_page::LEVEL;
use crate::curves::CurveKey;
use crate::numbers;
use crate::results::Series;

/// The figure of a curve.
pub struct DrawnOverlay {
    pub file: String,
    pub svg: String,
    /// What the curve is called in text.
    pub name: String,
    /// Whether it is drawn in percent, of fractions in the table.
    pub in_percent: bool,
}

/// How a curve is drawn.
struct Look {
    name: &'static str,
    y_axis: &'static str,
    logarithmic: bool,
    /// What values are multiplied by.
    factor: f64,
}

/// Rows of panels of a figure at most.
const MOST_ROWS: usize = 20;
const PERCENT: f64 = 100.0;

/// Curves that are no coherence statistic.
const LOOKS: [(&str, Look); 17] = [
    ("train_accuracy", percent("Training accuracy", "Accuracy (%)")),
    ("test_accuracy", percent("Test accuracy", "Accuracy (%)")),
    ("train_loss", linear("Training loss", "Cross-entropy (nats)")),
    ("test_loss", linear("Test loss", "Cross-entropy (nats)")),
    ("overfit", percent("Overfit", "Overfit (%)")),
    ("learned_all", percent("Examples learned", "Learned (%)")),
    ("learned_pristine", percent("Pristine examples learned", "Learned (%)")),
    ("learned_corrupt", percent("Corrupt examples learned", "Learned (%)")),
    ("alpha", linear("α, share of pristine examples in ‖g‖²", "α")),
    ("beta", linear("β, share of corrupt examples in ‖g‖²", "β")),
    ("gradient_norm_sq", Look { logarithmic: true, ..linear("Squared gradient norm", "‖g‖²") }),
    ("cumulative_difference", linear("Difference D of the cumulative mean contributions", "D")),
    ("cumulative_pristine", linear("Cumulative contribution of the mean pristine example", "Contribution")),
    ("cumulative_corrupt", linear("Cumulative contribution of the mean corrupt example", "Contribution")),
    ("share", linear("Share of a group in ‖g‖²", "Share of ‖g‖²")),
    ("cumulative", linear("Cumulative contribution of the mean example of a group", "Contribution")),
    ("cross_term", linear("Cross terms as fractions of ‖g‖²", "Fraction of ‖g‖²")),
];

const fn linear(name: &'static str, y_axis: &'static str) -> Look {
    Look { name, y_axis, logarithmic: false, factor: 1.0 }
}

const fn percent(name: &'static str, y_axis: &'static str) -> Look {
    Look { name, y_axis, logarithmic: false, factor: PERCENT }
}

/// Every figure, in the order of the comparison.
pub fn draw_all(comparison: &Comparison) -> Result<Vec<DrawnOverlay>, ReportError> {
    let studies: Vec<&str> = comparison.provenance.studies.iter().map(|study| study.study.as_str()).collect();
    comparison.figures.iter().map(|overlay| draw(overlay, &studies)).collect()
}

fn draw(overlay: &Overlay, studies: &[&str]) -> Result<DrawnOverlay, ReportError> {
    let look = look(overlay);
    let Named { name, .. } = &look;
    let title = format!("{name}: {}", studies.join(", "));
    let has_curve = |condition: &usize| {
        let of_condition =
            |part: &Part| part.curves.iter().any(|(place, curve)| place.0 == *condition && curve.has_values());
        overlay.parts.iter().any(of_condition)
    };
    let conditions: Vec<usize> = (0..overlay.conditions.len()).filter(has_curve).collect();
    let row = |part: &Part| row(overlay, part, &conditions, studies, &look);
    let rows: Vec<PanelRow> = drawn_parts(overlay).into_iter().map(row).collect();
    let columns = conditions.iter().map(|&condition| heading(overlay, condition));
    let svg = PanelGrid { title: &title, legend: legend(overlay, studies), columns: columns.collect(), rows }.draw()?;
    let file = match &overlay.estimator {
        Some(estimator) => format!("{}-{estimator}.svg", overlay.curve),
        None => format!("{}.svg", overlay.curve),
    };
    let file = file.replace('_', "-").replace(['/', '\\'], "-");
    Ok(DrawnOverlay { file, svg, in_percent: look.factor == PERCENT, name: look.name })
}

/// The parts that a figure shows: of pairs of groups those of all layers together, and no more than a page can hold.
pub fn drawn_parts(overlay: &Overlay) -> Vec<&Part> {
    let pairs = overlay.parts.iter().any(|part| part.key.group_b.is_some());
    let shown = overlay.parts.iter().filter(|part| !pairs || part.key.layer.is_none());
    shown.take(MOST_ROWS).collect()
}

/// How a curve is drawn and what it is called.
struct Named {
    name: String,
    y_axis: String,
    logarithmic: bool,
    factor: f64,
}

fn look(overlay: &Overlay) -> Named {
    let statistic = STATISTICS.iter().find(|statistic| statistic.curve == overlay.curve);
    let known = LOOKS.iter().find(|(curve, _)| *curve == overlay.curve).map(|(_, look)| look);
    let (name, y_axis, logarithmic, factor) = match (known, statistic) {
        (Some(look), _) => (look.name.to_owned(), look.y_axis.to_owned(), look.logarithmic, look.factor),
        (_, Some(statistic)) => (statistic.name.to_owned(), statistic.y_axis.to_owned(), statistic.logarithmic, 1.0),
        _ => (plain(&overlay.curve), plain(&overlay.curve), false, 1.0),
    };
    let name = match &overlay.estimator {
        Some(estimator) => format!("{name} ({estimator})"),
        None => name,
    };
    Named { name, y_axis, logarithmic, factor }
}

/// The name of a curve of which nothing else is known: `class_stiffness_sign` is "Class stiffness sign".
fn plain(curve: &str) -> String {
    let text = curve.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What tells a part from the others of its figure.
pub fn part_name(key: &CurveKey) -> String {
    let layer = key.layer.map(|layer| format!("layer {layer}"));
    let groups = match (&key.group_a, &key.group_b) {
        (Some(a), Some(b)) => Some(format!("{}, {}", short_name(a), short_name(b))),
        (Some(group), None) => Some(short_name(group)),
        _ => None,
    };
    match (layer, groups) {
        (None, None) => "all layers".to_owned(),
        (layer, groups) => layer.into_iter().chain(groups).collect::<Vec<_>>().join(", "),
    }
}

fn row(overlay: &Overlay, part: &Part, conditions: &[usize], studies: &[&str], look: &Named) -> PanelRow {
    let several = overlay.parts.len() > 1;
    let curves = |condition: usize| -> Vec<Drawn> {
        let of_study = |study: usize| {
            let curve = part.curves.get(&(condition, study)).filter(|curve| curve.has_values())?;
            let series = Series { curve: curve.clone(), one_of_several: false }.scaled(look.factor);
            let (colour, marker) = group_look(study);
            let marks = Marks::Few((study as f64 + 0.5) / studies.len() as f64);
            Some(Drawn { series, stroke: Stroke::solid(colour, 1.25), marks: Some((marker, marks)) })
        };
        (0..studies.len()).filter_map(of_study).collect()
    };
    let name = if several { part_name(&part.key) } else { String::new() };
    let all = conditions.iter().map(|&condition| curves(condition)).collect();
    let mut row = statistic_row(all, &name, &look.y_axis, look.logarithmic, |_| true);
    if studies.len() == 2 {
        for (condition, panel) in conditions.iter().zip(&mut row.panels) {
            let significant = |test: &&Tested| test.condition == *condition && test.p_holm.is_some_and(|p| p <= LEVEL);
            let steps = part.tests.iter().filter(significant).filter_map(|test| test.step);
            panel.marked = steps.map(|step| step as f64).collect();
        }
    }
    row
}

/// With the p-value of the mean where there is one of it.
fn heading(overlay: &Overlay, index: usize) -> Heading {
    let condition = &overlay.conditions[index];
    let heading = match &condition.rule {
        Some(rule) => format!("noise {}, {rule}", condition.noise),
        None => format!("noise {}", condition.noise),
    };
    let of_mean = |test: &&Tested| test.condition == index && test.step.is_none();
    let tests: Vec<f64> =
        overlay.parts.iter().flat_map(|part| part.tests.iter().filter(of_mean)).filter_map(|test| test.p).collect();
    let notes = match tests[..] {
        [p] => vec![format!("mean: p = {}", numbers::significant(p, 2))],
        _ => Vec::new(),
    };
    Heading { heading, notes }
}

fn legend(overlay: &Overlay, studies: &[&str]) -> Legend {
    let key = |legend: Legend, (index, study): (usize, &&str)| {
        let (colour, marker): (_, Marker) = group_look(index);
        legend.with(Key::MarkedLine(Stroke::solid(colour, 1.25), marker), *study)
    };
    let legend = studies.iter().enumerate().fold(Legend::new(), key);
    let banded = overlay.parts.iter().flat_map(|part| part.curves.values()).any(|curve| curve.has_band());
    let legend = if banded { legend.with(Key::Band(QUIET), super::OVER_SEEDS) } else { legend };
    let significant =
        overlay.parts.iter().flat_map(|part| &part.tests).any(|test| test.p_holm.is_some_and(|p| p <= LEVEL));
    if significant && studies.len() == 2 {
        legend.with(Key::Tick(INK), "differ, Holm-corrected p ≤ 0.05")
    } else {
        legend
    }
}
