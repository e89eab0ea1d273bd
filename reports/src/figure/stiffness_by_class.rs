//! Stiffness within and between classes over training, by the labels trained on.

use super::layout::{Marks, Panels, Row, StyledCurve};
use super::legend::Legend;
use super::style::{INK, OVERFIT, TEST};
use super::{COHERENCE, Figure, fitting, values};
use crate::ReportError;
use crate::canvas::{Dash, Marker, Stroke};
use crate::curves::{Key, PAPER};
use crate::study::{Condition, Sheet, Study};

const KINDS: [&str; 2] = ["sign", "cosine"];
const WITHIN: &str = "_within_class";
const BETWEEN: &str = "_between_classes";

/// Whether a curve is of this figure.
pub fn shows(curve: &str) -> bool {
    KINDS.iter().any(|kind| [WITHIN, BETWEEN].iter().any(|ending| curve == name(kind, ending)))
}

fn name(kind: &str, ending: &str) -> String {
    format!("stiffness_{kind}{ending}")
}

pub fn figure(study: &Study) -> Result<Option<Figure>, ReportError> {
    Figure::new(COHERENCE, "coherence-stiffness-classes", "Stiffness within and between classes", &["curves"])
        .saying("Over pairs of different examples, by the labels trained on.")
        .sheets(study, |condition| condition.has(|key| shows(&key.curve) && key.layer.is_none()), panels)
}

fn panels(sheet: &Sheet) -> Panels {
    let looks = [
        ("same label", WITHIN, Stroke::solid(TEST, 1.25), Marker::Disc),
        ("different labels", BETWEEN, Stroke { dash: Dash::Dashed, ..Stroke::solid(OVERFIT, 1.25) }, Marker::Square),
        ("all pairs", "", Stroke { dash: Dash::Dotted, ..Stroke::solid(INK, 1.25) }, Marker::Cross),
    ];
    let row = |kind: &&str| {
        let curves = |condition: &Condition| -> Vec<StyledCurve> {
            let drawn = looks.iter().enumerate().flat_map(|(index, (_, ending, stroke, marker))| {
                let marks = Marks::Few((index as f64 + 0.5) / looks.len() as f64);
                StyledCurve::all(
                    condition.series(&Key::estimated(&name(kind, ending), PAPER)),
                    *stroke,
                    Some((*marker, marks)),
                )
            });
            drawn.collect()
        };
        let all: Vec<Vec<StyledCurve>> = sheet.conditions().map(curves).collect();
        Row::of_curves(format!("Mean {kind}"), fitting(&values(all.iter().flatten())), all)
    };
    let legend = Legend::of_lines(looks.map(|(text, _, stroke, marker)| (text.to_owned(), stroke, marker)));
    Panels::new(sheet, legend, KINDS.iter().map(row).collect())
}
