//! Stiffness by pairs of examples over training: within and between classes, and within and between groups.

use plotters::style::RGBColor;

use super::coherence::statistic_row;
use super::drawn::{self, Drawn, Marks};
use super::heat_maps::{HeatMaps, Limit};
use super::legend::{Key, Legend};
use super::look::{CORRUPT, INK, OVERFIT, PRISTINE, TEST, group_look};
use super::panel_grid::{Heading, PanelGrid};
use super::{heading, short_name};
use crate::ReportError;
use crate::canvas::{Dash, Marker, Stroke};
use crate::curves::{CurveKey, PAPER};
use crate::results::{Condition, Results, RunResults};

const CLASSES: &str = "Stiffness within and between classes over training, by label noise";
const GROUPS: &str = "Stiffness within and between groups over training, by label noise";
/// Pairs of more groups are drawn as heat maps.
const FEW_GROUPS: usize = 3;

/// A kind of pairs: its name, its curves of the sign and of the cosine, and its look.
struct Pairs {
    name: String,
    keys: [CurveKey; 2],
    stroke: Stroke,
    marker: Marker,
}

/// None if the results have none.
pub fn draw_classes(results: &Results) -> Result<Option<String>, ReportError> {
    let pairs = |name: &str, ending: &str, colour: RGBColor, dash: Dash, marker: Marker| Pairs {
        name: name.to_owned(),
        keys: ["sign", "cosine"].map(|kind| CurveKey::of(&format!("stiffness_{kind}{ending}"), PAPER)),
        stroke: Stroke { dash, ..Stroke::solid(colour, 1.25) },
        marker,
    };
    let kinds = [
        pairs("same label", "_within_class", TEST, Dash::Solid, Marker::Disc),
        pairs("different labels", "_between_classes", OVERFIT, Dash::Dashed, Marker::Square),
        pairs("all pairs", "", INK, Dash::Dotted, Marker::Cross),
    ];
    let has = |run: &RunResults| !run.keys("stiffness_cosine_within_class").is_empty();
    curves(&results.plain_conditions_with(has), CLASSES, &kinds)
}

/// None if the results have none.
pub fn draw_groups(results: &Results) -> Result<Option<String>, ReportError> {
    let has = |run: &RunResults| run.keys("stiffness_cosine").iter().any(|key| key.group_b.is_some());
    let conditions = results.plain_conditions_with(has);
    let names = results.group_names();
    if names.len() > FEW_GROUPS {
        return matrices(&conditions, names);
    }
    let designations = results.grouped_by_designation();
    let mut kinds = Vec::new();
    for (a, first) in names.iter().enumerate() {
        for (b, second) in names.iter().enumerate().skip(a) {
            let (colour, marker) = pair_look(a, b, names.len(), designations);
            kinds.push(Pairs {
                name: match a == b {
                    true => format!("within {}", short_name(first)),
                    false => format!("{} with {}", short_name(first), short_name(second)),
                },
                keys: ["stiffness_sign", "stiffness_cosine"]
                    .map(|curve| CurveKey::of(curve, PAPER).pair(first, second)),
                stroke: Stroke { dash: if a == b { Dash::Solid } else { Dash::Dashed }, ..Stroke::solid(colour, 1.25) },
                marker,
            });
        }
    }
    curves(&conditions, GROUPS, &kinds)
}

/// Pairs within a group have its colour.
fn pair_look(a: usize, b: usize, groups: usize, designations: bool) -> (RGBColor, Marker) {
    match (a, b) {
        (0, 0) if designations => (PRISTINE, Marker::Disc),
        (1, 1) if designations => (CORRUPT, Marker::Square),
        _ if a == b => group_look(a),
        _ if designations => (OVERFIT, Marker::Diamond),
        _ => group_look(groups + a + b - 1),
    }
}

/// The cosines as heat maps.
fn matrices(conditions: &[Condition], names: Vec<String>) -> Result<Option<String>, ReportError> {
    let quantity = "Mean cosine between an example of the row’s and one of the column’s group";
    let maps = HeatMaps::new(GROUPS, quantity, Limit::OfStep, names, conditions, |condition, a, b| {
        let key = |a: &str, b: &str| CurveKey::of("stiffness_cosine", PAPER).pair(a, b);
        // Pairs are recorded once, in order.
        let either = [key(a, b), key(b, a)].into_iter().flat_map(|key| condition.series(&key)).next();
        either.map(|series| series.curve.line).unwrap_or_default()
    });
    if maps.is_empty() { Ok(None) } else { maps.draw().map(Some) }
}

fn curves(conditions: &[Condition], title: &str, kinds: &[Pairs]) -> Result<Option<String>, ReportError> {
    let row = |index: usize, y_axis: &str| {
        let of_condition = |condition: &Condition| -> Vec<Drawn> {
            let of_kind = |(place, pairs): (usize, &Pairs)| {
                let marks = Marks::Few((place as f64 + 0.5) / kinds.len() as f64);
                Drawn::all(condition.series(&pairs.keys[index]), pairs.stroke, Some((pairs.marker, marks)))
            };
            kinds.iter().enumerate().flat_map(of_kind).collect()
        };
        statistic_row(conditions.iter().map(of_condition).collect(), "", y_axis, false, |_| true)
    };
    let rows = vec![row(0, "Mean sign"), row(1, "Mean cosine")];
    if rows.iter().flat_map(|row| &row.panels).all(|panel| panel.curves.is_empty()) {
        return Ok(None);
    }
    let key =
        |legend: Legend, pairs: &Pairs| legend.with(Key::MarkedLine(pairs.stroke, pairs.marker), pairs.name.as_str());
    let legend = kinds.iter().fold(Legend::new(), key);
    let mut drawn = rows.iter().flat_map(|row| &row.panels).flat_map(|panel| &panel.curves);
    let over_examples = drawn.any(|drawn| drawn.series.curve.has_band());
    let heading = |condition: &Condition| Heading { heading: heading(condition), notes: Vec::new() };
    let legend = drawn::with_interval(legend, conditions, over_examples);
    PanelGrid { title, legend, columns: conditions.iter().map(heading).collect(), rows }.draw().map(Some)
}
