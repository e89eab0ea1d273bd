//! One coherence statistic over training, by layer: from the sample, and of the population where it is known.
//!
//! Adding a statistic to the figures is adding a line to [`STATISTICS`].

use super::drawn::{self, Drawn, Marks};
use super::legend::{Key, Legend};
use super::look::{INK, QUIET, group_look};
use super::panel_grid::{GridPanel, Heading, PanelGrid, PanelRow};
use super::{heading, step_axis};
use crate::ReportError;
use crate::axes::{Scale, logarithmic_range, wide_range};
use crate::canvas::{Dash, Marker, Stroke};
use crate::curves::{CurveKey, EXACT, PAPER, POPULATION};
use crate::results::{Condition, Results, RunResults, Series};

/// A statistic and how it is drawn.
pub struct Statistic {
    /// Its name in `coherence.parquet`.
    pub curve: &'static str,
    pub file: &'static str,
    /// What it is called in text.
    pub name: &'static str,
    pub y_axis: &'static str,
    pub logarithmic: bool,
    /// What it says, in a sentence or two.
    pub meaning: &'static str,
}

pub const STATISTICS: [Statistic; 11] = [
    Statistic {
        curve: "m_coherence",
        file: "coherence-m-coherence.svg",
        name: "m-coherence",
        y_axis: "m-coherence",
        logarithmic: true,
        meaning: "‖Σ g_i‖² / Σ ‖g_i‖²: how many examples, on average, pull the way of one; 1 where gradients are orthogonal, the number of examples where they are equal.",
    },
    Statistic {
        curve: "diversity",
        file: "coherence-diversity.svg",
        name: "Gradient diversity",
        y_axis: "Diversity",
        logarithmic: true,
        meaning: "Σ ‖g_i‖² / ‖Σ g_i‖², the inverse of m-coherence.",
    },
    Statistic {
        curve: "aligned_fraction",
        file: "coherence-aligned-fraction.svg",
        name: "Aligned fraction",
        y_axis: "Aligned fraction",
        logarithmic: false,
        meaning: "(‖Σ g_i‖² − Σ ‖g_i‖²) / ‖Σ g_i‖²: the share of the squared gradient norm that comes from agreement between different examples.",
    },
    Statistic {
        curve: "stiffness_cosine",
        file: "coherence-stiffness-cosine.svg",
        name: "Stiffness, cosine",
        y_axis: "Mean cosine",
        logarithmic: false,
        meaning: "The mean cosine of the gradients of two different examples.",
    },
    Statistic {
        curve: "stiffness_sign",
        file: "coherence-stiffness-sign.svg",
        name: "Stiffness, sign",
        y_axis: "Mean sign",
        logarithmic: false,
        meaning: "The mean sign of the inner product of the gradients of two different examples: the probability that a step for one helps the other, less the probability that it hurts.",
    },
    Statistic {
        curve: "confusion",
        file: "coherence-confusion.svg",
        name: "Gradient confusion",
        y_axis: "Confusion",
        logarithmic: true,
        meaning: "max(0, −min ⟨g_i, g_j⟩) over pairs: how strongly the two most opposed examples oppose each other.",
    },
    Statistic {
        curve: "gsnr",
        file: "coherence-gsnr.svg",
        name: "Gradient signal-to-noise ratio",
        y_axis: "GSNR",
        logarithmic: true,
        meaning: "Squared mean over variance of a coordinate of the gradient over the examples, averaged over coordinates.",
    },
    Statistic {
        curve: "same_sign",
        file: "coherence-same-sign.svg",
        name: "Same-sign fraction",
        y_axis: "Same-sign fraction",
        logarithmic: false,
        meaning: "The share of examples whose coordinate of the gradient has the sign of the mean gradient’s, averaged over coordinates.",
    },
    Statistic {
        curve: "noise_scale",
        file: "coherence-noise-scale.svg",
        name: "Simple noise scale",
        y_axis: "Noise scale (examples)",
        logarithmic: true,
        meaning: "tr Σ / ‖ḡ‖²: the batch size at which the variance of the mean gradient is as large as its square.",
    },
    Statistic {
        curve: "normalised_variance",
        file: "coherence-normalised-variance.svg",
        name: "Normalised variance",
        y_axis: "Normalised variance",
        logarithmic: true,
        meaning: "The summed variances of the coordinates over their summed squared means.",
    },
    Statistic {
        curve: "disparity",
        file: "coherence-disparity.svg",
        name: "Gradient disparity",
        y_axis: "Disparity",
        logarithmic: true,
        meaning: "The mean distance between the mean gradients of random disjoint batches of a tenth of the examples.",
    },
];

const HEIGHT: f64 = 92.0;

/// None if the results have no such statistic.
pub fn draw(results: &Results, statistic: &Statistic) -> Result<Option<String>, ReportError> {
    let has = |run: &RunResults, estimators: &[&str]| {
        let of_estimator = |key: &&CurveKey| key.estimator.as_deref().is_some_and(|name| estimators.contains(&name));
        let whole = |key: &&CurveKey| key.group_a.is_none() && of_estimator(key);
        run.keys(statistic.curve)
            .into_iter()
            .filter(whole)
            .filter_map(|key| run.curve(key))
            .any(|curve| curve.has_values())
    };
    let conditions = results.plain_conditions_with(|run| has(run, &[PAPER, POPULATION, EXACT]));
    if conditions.is_empty() {
        return Ok(None);
    }
    let layers = layers(&conditions, statistic.curve);
    let of_population =
        conditions.iter().any(|condition| condition.runs.iter().any(|run| has(run, &[POPULATION, EXACT])));
    let of_sample = if of_population { "sample" } else { "" };
    let mut rows = vec![row(&conditions, statistic, &layers, of_sample, &[PAPER])];
    if of_population {
        rows.push(row(&conditions, statistic, &layers, "population", &[POPULATION, EXACT]));
    }
    let title = format!("{} over training, by layer and label noise", statistic.name);
    let over_examples = rows.iter().flat_map(|row| &row.panels).flat_map(|panel| &panel.curves);
    let over_examples = over_examples.into_iter().any(|drawn| drawn.series.curve.has_band());
    let exact = conditions.iter().any(|condition| condition.runs.iter().any(|run| has(run, &[EXACT])));
    let legend = legend(&conditions, &layers);
    let legend = if of_population { with_population(legend, exact) } else { legend };
    let legend = drawn::with_interval(legend, &conditions, over_examples);
    let heading = |condition: &Condition| Heading { heading: heading(condition), notes: Vec::new() };
    let columns = conditions.iter().map(heading).collect();
    PanelGrid { title: &title, legend, columns, rows }.draw().map(Some)
}

/// All layers together, then each of several.
fn layers(conditions: &[Condition], curve: &str) -> Vec<Option<i64>> {
    let keys = conditions.iter().flat_map(|condition| condition.runs.iter().flat_map(|run| run.keys(curve)));
    let mut layers: Vec<Option<i64>> = keys.filter(|key| key.group_a.is_none()).map(|key| key.layer).collect();
    layers.sort_unstable();
    layers.dedup();
    // The only layer is all layers.
    if layers.len() == 2 && layers[0].is_none() { vec![None] } else { layers }
}

fn look(layer: Option<i64>) -> (Stroke, Marker) {
    match layer {
        None => (Stroke::solid(INK, 1.25), Marker::Disc),
        Some(layer) => {
            let (colour, marker) = group_look(layer.max(0) as usize);
            (Stroke::solid(colour, 0.75), if marker == Marker::Disc { Marker::Triangle } else { marker })
        }
    }
}

fn legend(conditions: &[Condition], layers: &[Option<i64>]) -> Legend {
    let networks: Vec<&Vec<u64>> =
        conditions.iter().flat_map(|condition| &condition.runs).map(|run| &run.summary.network).collect();
    let network = networks.first().filter(|first| networks.iter().all(|network| network == *first));
    let name = |layer: Option<i64>| match layer {
        None => "all layers".to_owned(),
        Some(layer) => match network.map(|widths| (widths.get(layer as usize), widths.get(layer as usize + 1))) {
            Some((Some(from), Some(to))) => format!("layer {layer} ({from}–{to})"),
            _ => format!("layer {layer}"),
        },
    };
    let key = |legend: Legend, &layer: &Option<i64>| {
        let (stroke, marker) = look(layer);
        legend.with(Key::MarkedLine(stroke, marker), name(layer))
    };
    layers.iter().fold(Legend::new(), key)
}

fn with_population(legend: Legend, exact: bool) -> Legend {
    let estimate = Key::Line(Stroke::dashed(INK, 1.25));
    if !exact {
        return legend.with(estimate, "population: estimated");
    }
    let legend = legend.with(Key::Line(Stroke::solid(QUIET, 1.25)), "population: exact");
    legend.with(estimate, "population: estimated, all layers")
}

fn row(
    conditions: &[Condition],
    statistic: &Statistic,
    layers: &[Option<i64>],
    name: &str,
    estimators: &[&str],
) -> PanelRow {
    let exact = estimators.contains(&EXACT)
        && conditions.iter().any(|condition| !of_layer(condition, statistic, EXACT, None).is_empty());
    let curves = |condition: &Condition| -> Vec<Drawn> {
        let places = estimators.iter().flat_map(|&estimator| layers.iter().rev().map(move |&layer| (estimator, layer)));
        // Where the exact curves of layers are known, estimates of them would only hide them.
        let shown = places.filter(|(estimator, layer)| !(exact && *estimator == POPULATION && layer.is_some()));
        shown.flat_map(|(estimator, layer)| of_layer(condition, statistic, estimator, layer)).collect()
    };
    let curves: Vec<Vec<Drawn>> = conditions.iter().map(curves).collect();
    // An estimate may be far out where there is little to estimate: the axis is the exact curves'.
    let counts = |drawn: &Drawn| !exact || drawn.stroke.dash == Dash::Solid;
    statistic_row(curves, name, statistic.y_axis, statistic.logarithmic, counts)
}

/// The curve of a layer; that of all layers together with its interval.
fn of_layer(condition: &Condition, statistic: &Statistic, estimator: &str, layer: Option<i64>) -> Vec<Drawn> {
    let (stroke, marker) = look(layer);
    let dash = if estimator == POPULATION { Dash::Dashed } else { Dash::Solid };
    // The exact curve and its estimate may coincide: one of them carries the markers.
    let marks = (estimator != POPULATION).then_some((marker, Marks::Few(phase(layer))));
    let series = condition.series(&CurveKey::of(statistic.curve, estimator).layer(layer));
    let with_interval = |series: Series| if layer.is_none() { series } else { series.without_interval() };
    Drawn::all(series.into_iter().map(with_interval).collect(), Stroke { dash, ..stroke }, marks).collect()
}

/// Markers of different layers apart.
fn phase(layer: Option<i64>) -> f64 {
    match layer {
        None => 0.1,
        Some(layer) => 0.1 + 0.25 * (1 + layer.rem_euclid(3)) as f64,
    }
}

/// A row of panels with one vertical axis, for the curves that count.
pub fn statistic_row(
    curves: Vec<Vec<Drawn>>,
    name: &str,
    y_axis: &str,
    logarithmic: bool,
    counts: impl Fn(&Drawn) -> bool,
) -> PanelRow {
    let series = || curves.iter().flatten().map(|drawn| &drawn.series);
    let points = || {
        let lines = curves.iter().flatten().filter(|drawn| counts(drawn)).flat_map(|drawn| &drawn.series.curve.line);
        lines.filter_map(|point| point.1)
    };
    let y = if logarithmic {
        let (low, high) = logarithmic_range(points());
        Scale::logarithmic(low, high, 4)
    } else {
        let (low, high) = wide_range(points(), &[0.0]);
        Scale::linear(low, high, 4, 0)
    };
    let x = Scale::steps(series().map(Series::last_step).fold(1.0, f64::max));
    let panel = |curves| GridPanel { y: y.clone(), curves, references: Vec::new(), marked: Vec::new(), empty: "none" };
    PanelRow {
        name: name.to_owned(),
        x_axis: step_axis(&x),
        x,
        y_axis: y_axis.to_owned(),
        height: HEIGHT,
        own_y: false,
        panels: curves.into_iter().map(panel).collect(),
    }
}
