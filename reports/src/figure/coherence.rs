//! The statistics of single examples' gradients over training: a figure for each that the results have, whatever it is called.
//!
//! A statistic of everything is drawn by layer, of groups as curves, of pairs as curves or matrices. What it is called and
//! means is what the summary says of it: adding a statistic changes nothing here.

use std::rc::Rc;

use super::heat_map::{self, Shade};
use super::layout::{Marks, Panels, Row, StyledCurve};
use super::legend::{Key as LegendKey, Legend};
use super::style::{INK, PRISTINE, group_style, group_styles};
use super::{COHERENCE, Figure, Figures, file_name, fitting, short_name, similarity, stiffness_by_class, values};
use crate::axes::Scale;
use crate::canvas::{Dash, Marker, Stroke};
use crate::curve_names::CurveStyle;
use crate::curves::{Banded, EXACT, Key, PAPER, POPULATION, Series};
use crate::study::{Condition, Sheet, Study};
use crate::{ReportError, distinct};

/// Curves that other figures are of.
const ELSEWHERE: [&str; 5] = ["share", "cumulative", "difference", "cross_term", similarity::CHANCE];
const M_COHERENCE: &str = "m_coherence";
/// They say what m-coherence says: each is a function of it.
const SAME_AS_M_COHERENCE: [&str; 3] = ["diversity", "aligned_fraction", "noise_scale"];

/// Whether a statistic says what another says: of m-coherence, of the unbiased signal-to-noise ratio, of stiffness by cosine.
fn is_repetition(name: &str) -> bool {
    SAME_AS_M_COHERENCE.contains(&name) || name == "gsnr_plugin" || name.contains("stiffness_sign")
}

/// Curves of more layers are a heat map.
const FEW_LAYERS: usize = 6;
/// Pairs of more groups are drawn as matrices.
const FEW_GROUPS: usize = 3;

pub fn figures(study: &Study) -> Figures {
    let shown = |key: &&Key| {
        let elsewhere = ELSEWHERE.contains(&&*key.curve) || stiffness_by_class::shows(&key.curve);
        key.estimator.is_some() && key.world == 0 && !elsewhere
    };
    let keys = study.conditions.iter().flat_map(Condition::keys).filter(shown);
    let mut figures = Vec::new();
    let mut names = distinct(keys.map(|key| &key.curve));
    names.sort_by_key(|name| match &***name {
        M_COHERENCE => 0,
        name if SAME_AS_M_COHERENCE.contains(&name) => 1,
        _ => 2,
    });
    for name in names {
        let style = CurveStyle::new(&study.summary, name);
        figures.extend(of_layers(study, name, &style)?);
        figures.extend(of_pairs(study, name, &style)?);
    }
    figures.extend(stiffness_by_class::figure(study)?);
    Ok(figures)
}

fn figure(name: &str, ending: &str, title: String, about: &str) -> Figure {
    let figure = Figure::new(COHERENCE, format!("coherence-{}{ending}", file_name(name)), title, &["curves"]);
    Figure { linked: is_repetition(name), ..figure.saying(about) }
}

fn of_layers(study: &Study, name: &str, style: &CurveStyle) -> Result<Option<Figure>, ReportError> {
    let shown = |key: &Key| &*key.curve == name && key.is_whole() && key.world == 0;
    let panels = |sheet: &Sheet| {
        let keys: Vec<&Key> = sheet.conditions().flat_map(Condition::keys).filter(|key| shown(key)).collect();
        let layers = distinct(keys.iter().filter_map(|key| key.layer.as_ref()));
        // A single layer is all layers.
        let layers = if layers.len() > 1 { layers } else { Vec::new() };
        ByLayer { sheet, name, style, kinds: kinds(&keys), layers }.panels()
    };
    figure(name, "", style.name.clone(), &style.about).sheets(
        study,
        |condition| condition.has(|key| shown(key)),
        panels,
    )
}

/// A row of a figure: its name, and the estimators that it shows.
type Kind = (String, Vec<Rc<str>>);

/// What is of the sample, of the population, and of estimators that nothing is known of.
fn kinds(keys: &[&Key]) -> Vec<Kind> {
    let estimators = distinct(keys.iter().filter_map(|key| key.estimator.clone()));
    let is_of_population = |estimator: &Rc<str>| [POPULATION, EXACT].contains(&&**estimator);
    let (mut of_population, others): (Vec<Rc<str>>, Vec<Rc<str>>) = estimators.into_iter().partition(is_of_population);
    // The exact curve on top of its estimate.
    of_population.sort_by_key(|estimator| &**estimator == EXACT);
    let several = !of_population.is_empty() || others.len() > 1;
    let name = |estimator: &Rc<str>| match &**estimator {
        _ if !several => String::new(),
        PAPER => "sample".to_owned(),
        other => other.to_owned(),
    };
    let mut kinds: Vec<Kind> = others.into_iter().map(|estimator| (name(&estimator), vec![estimator])).collect();
    kinds.extend((!of_population.is_empty()).then(|| ("population".to_owned(), of_population)));
    kinds
}

/// A statistic of everything, all layers together and layer by layer.
struct ByLayer<'a> {
    sheet: &'a Sheet<'a>,
    name: &'a str,
    style: &'a CurveStyle,
    kinds: Vec<Kind>,
    layers: Vec<&'a Rc<str>>,
}

impl ByLayer<'_> {
    fn panels(&self) -> Panels {
        let mapped = self.layers.len() > FEW_LAYERS;
        let in_curves = if mapped { &[] } else { &self.layers[..] };
        let rows: Vec<Row> = self.kinds.iter().map(|kind| self.curves(kind, in_curves)).collect();
        let panels = Panels::new(self.sheet, self.legend(in_curves), rows).over_the_same_steps();
        if mapped { self.with_maps(panels) } else { panels }
    }

    fn curves(&self, (kind, estimators): &Kind, layers: &[&Rc<str>]) -> Row {
        let both = estimators.len() > 1;
        let of_estimator = |condition: &Condition, estimator: &str| -> Vec<StyledCurve> {
            let is_estimate = both && estimator == POPULATION;
            // Where the exact curves of layers are known, estimates of them would only hide them.
            let places = (0..layers.len()).rev().filter(|_| !is_estimate).map(Some).chain([None]);
            let drawn = places.flat_map(|place| {
                let (stroke, marker) = layer_style(place, is_estimate);
                let phase = place.map_or(0.1, |place| 0.35 + 0.25 * (place % 3) as f64);
                // The exact curve and its estimate may coincide: one of them carries the markers.
                let marks = (!is_estimate).then_some((marker, Marks::Few(phase)));
                let series = self.series(condition, estimator, place.map(|place| layers[place]));
                let with_interval = |series: Series| if place.is_none() { series } else { series.without_interval() };
                StyledCurve::all(series.into_iter().map(with_interval).collect(), stroke, marks)
            });
            drawn.collect()
        };
        let of_condition = |condition: &Condition| -> Vec<StyledCurve> {
            estimators.iter().flat_map(|estimator| of_estimator(condition, estimator)).collect()
        };
        // An estimate may be far out where there is little to estimate: the axis is the exact curves'.
        let counts = |drawn: &&StyledCurve| !both || drawn.stroke.dash == Dash::Solid;
        let all: Vec<Vec<StyledCurve>> = self.sheet.conditions().map(of_condition).collect();
        let y = fitting(&values(all.iter().flatten().filter(counts)));
        Row::of_curves(self.style.y_axis.clone(), y, all).named(kind.as_str())
    }

    fn series(&self, condition: &Condition, estimator: &str, layer: Option<&Rc<str>>) -> Vec<Series> {
        let series = condition.series(&Key::estimated(self.name, estimator).layer(layer.cloned()));
        series.into_iter().map(|series| series.scaled(self.style.factor)).collect()
    }

    fn legend(&self, layers: &[&Rc<str>]) -> Legend {
        let line = |(place, name): (Option<usize>, String)| {
            let (stroke, marker) = layer_style(place, false);
            (name, stroke, marker)
        };
        let all = (!layers.is_empty()).then(|| (None, "all layers".to_owned()));
        let each = layers.iter().enumerate().map(|(place, layer)| (Some(place), short_name(layer)));
        let legend = Legend::of_lines(all.into_iter().chain(each).map(line));
        match self.kinds.last().map(|(_, estimators)| &estimators[..]) {
            Some([_, _]) => {
                legend.with(LegendKey::Line(layer_style(None, true).0), "population: estimated from the sample")
            }
            Some([only]) if **only == *POPULATION => {
                legend.with(LegendKey::Words, "population: estimated from the sample")
            }
            _ => legend,
        }
    }

    /// All layers together as curves, and below each row of them a map of the layers.
    fn with_maps(&self, mut panels: Panels) -> Panels {
        let of_layer = |condition: &Condition, estimator: &str, layer: &Rc<str>| -> Option<(String, Banded)> {
            let series = self.series(condition, estimator, Some(layer)).into_iter().next()?;
            Some((layer.to_string(), series.curve))
        };
        // Of the population what was recorded, or else what is estimated.
        let of_kind = |(_, estimators): &Kind| -> Vec<Vec<(String, Banded)>> {
            let estimator = estimators.last().map(|estimator| &**estimator).unwrap_or_default();
            let of_condition = |condition: &Condition| {
                self.layers.iter().filter_map(|layer| of_layer(condition, estimator, layer)).collect()
            };
            self.sheet.conditions().map(of_condition).collect()
        };
        let all: Vec<Vec<Vec<(String, Banded)>>> = self.kinds.iter().map(of_kind).collect();
        // Each kind has its own colours: there may be powers of ten between a sample and the population.
        let shades: Vec<Shade> =
            all.iter().map(|layers| shade(layers.iter().flatten().map(|(_, curve)| curve))).collect();
        let curves = || all.iter().flatten().flatten().map(|(_, curve)| curve);
        let shown = panels.rows.iter().flat_map(|row| &row.plots).flat_map(|plot| &plot.curves);
        let last = curves().chain(shown.map(|drawn| &drawn.series.curve)).map(Banded::last_step).fold(1.0, f64::max);
        let x = Scale::steps(last);
        let rows = std::mem::take(&mut panels.rows);
        for ((((kind, _), layers), row), shade) in self.kinds.iter().zip(&all).zip(rows).zip(&shades) {
            panels.rows.push(row);
            let most = layers.iter().map(Vec::len).max().unwrap_or(0);
            if most == 0 {
                continue;
            }
            let plots = layers.iter().map(|layers| heat_map::layers(layers, &x, shade)).collect();
            let map = Row::new(heat_map::height(most), x.step_axis(), "", plots).named(kind.as_str());
            panels.rows.push(map);
            let of_kind = if kind.is_empty() { String::new() } else { format!(", {kind}") };
            panels.legend = panels.legend.and(shade.legend(&format!("{} by layer{of_kind}", self.style.y_axis)));
        }
        panels
    }
}

/// Colours for the values of curves.
fn shade<'a>(curves: impl Iterator<Item = &'a Banded>) -> Shade {
    Shade::new(&curves.flat_map(|curve| &curve.line).filter_map(|point| point.1).collect::<Vec<_>>())
}

/// All layers together in ink, an estimate beside the exact curve in blue; layers in colours of their own.
fn layer_style(layer: Option<usize>, is_estimate: bool) -> (Stroke, Marker) {
    match layer {
        None if is_estimate => (Stroke { dash: Dash::Dashed, ..Stroke::solid(PRISTINE, 1.25) }, Marker::Cross),
        None => (Stroke::solid(INK, 1.25), Marker::Disc),
        Some(index) => {
            let (colour, marker) = group_style(index);
            (Stroke::solid(colour, 0.75), if marker == Marker::Disc { Marker::Triangle } else { marker })
        }
    }
}

/// Of groups or pairs of groups, or of classes; all layers together.
fn of_pairs(study: &Study, name: &str, style: &CurveStyle) -> Result<Option<Figure>, ReportError> {
    let of_any = |key: &Key| &*key.curve == name && !key.is_whole() && key.layer.is_none() && key.world == 0;
    let keys = || study.conditions.iter().flat_map(Condition::keys).filter(|key| of_any(key));
    let Some(first) = keys().find(|key| key.is_of(PAPER)).or_else(|| keys().next()) else { return Ok(None) };
    let estimator = first.estimator.as_deref().unwrap_or_default();
    let shown = |key: &Key| of_any(key) && key.is_of(estimator);
    let all: Vec<&Key> = keys().filter(|key| shown(key)).collect();
    let names = group_names(study, &all);
    let pairs = all.iter().any(|key| key.groups[1].is_some());
    let of_groups = names.iter().all(|name| study.groups().contains(name));
    let title = format!("{}, {}", style.name, if of_groups { "within and between groups" } else { "by pair" });
    let about = format!("{} Of all layers together.", style.about);
    figure(name, if of_groups { "-groups" } else { "-pairs" }, title, about.trim()).sheets(
        study,
        |condition| condition.has(|key| shown(key)),
        |sheet| match pairs && names.len() > FEW_GROUPS {
            true => heat_map::matrices(sheet, &style.y_axis, &names, |a, b| Key::estimated(name, estimator).pair(a, b)),
            false => group_curves(sheet, style, &names, &all),
        },
    )
}

/// The groups of curves: those of the grouping in its order, others by number, then by name.
fn group_names(study: &Study, keys: &[&Key]) -> Vec<String> {
    let mut names: Vec<String> =
        keys.iter().flat_map(|key| key.groups.iter().flatten()).map(|name| name.to_string()).collect();
    let place = |name: &str| study.groups().iter().position(|group| group == name).unwrap_or(usize::MAX);
    names.sort_by_key(|name| (place(name), name.parse::<u64>().unwrap_or(u64::MAX), name.clone()));
    names.dedup();
    names
}

/// A line a group or pair, those within a group solid.
fn group_curves(sheet: &Sheet, style: &CurveStyle, names: &[String], keys: &[&Key]) -> Panels {
    let of = distinct(keys.iter().copied());
    let styles = group_styles(names.len());
    let look_of = |index: usize, key: &Key| {
        let within = key.groups[1].is_none() || key.groups[0] == key.groups[1];
        let place = names.iter().position(|name| key.groups[0].as_deref() == Some(name)).filter(|_| within);
        let (colour, marker) = place.map_or_else(|| group_style(names.len() + index), |place| styles[place]);
        (Stroke { dash: if within { Dash::Solid } else { Dash::Dashed }, ..Stroke::solid(colour, 1.25) }, marker)
    };
    let curves = |condition: &Condition| -> Vec<StyledCurve> {
        let drawn = of.iter().enumerate().flat_map(|(index, key)| {
            let (stroke, marker) = look_of(index, key);
            let marks = Marks::Few((index as f64 + 0.5) / of.len() as f64);
            let series = condition.series(key).into_iter().map(|series| series.scaled(style.factor)).collect();
            StyledCurve::all(series, stroke, Some((marker, marks)))
        });
        drawn.collect()
    };
    let line = |(index, key): (usize, &&Key)| {
        let (stroke, marker) = look_of(index, key);
        (pair_name(key), stroke, marker)
    };
    let legend = Legend::of_lines(of.iter().enumerate().map(line));
    let all: Vec<Vec<StyledCurve>> = sheet.conditions().map(curves).collect();
    let row = Row::of_curves(style.y_axis.clone(), fitting(&values(all.iter().flatten())), all);
    Panels::new(sheet, legend, vec![row])
}

/// `within pristine`, `pristine with corrupt`, or the name of a group.
fn pair_name(key: &Key) -> String {
    match &key.groups {
        [Some(a), Some(b)] if a == b => format!("within {}", short_name(a)),
        [Some(a), Some(b)] => format!("{} with {}", short_name(a), short_name(b)),
        [a, _] => a.as_deref().map(short_name).unwrap_or_default(),
    }
}
