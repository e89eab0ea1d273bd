//! The matrix of cross terms ⟨g^k, g^l⟩ of the groups' gradients over time, as fractions of ‖g‖².

use super::{Figure, Figures, SHARES, has, heat_map};
use crate::curves::{Key, PAPER};
use crate::study::{Condition, Study};

const CURVE: &str = "cross_term";

pub fn figures(study: &Study) -> Figures {
    // The matrix of a single group is 1.
    let several = |condition: &Condition| condition.runs.iter().any(|run| run.filled_groups() > 1);
    let figure = Figure::new(SHARES, "cross-terms", "Who pulls with whom", &["cross_terms"])
        .saying("The inner products of the groups’ summed gradients as fractions of ‖g‖²: they add up to 1 over a matrix, and along a row to the share of its group. Green: the two groups’ gradients agree; purple: they oppose each other. Of the sampled examples and weights.")
        .sheets(
            study,
            |condition| has(condition, CURVE, PAPER) && several(condition),
            |sheet| heat_map::matrices(sheet, "⟨g of row, g of column⟩ / ‖g‖²", study.groups(), |a, b| Key::estimated(CURVE, PAPER).pair(a, b)),
        )?;
    Ok(figure.into_iter().collect())
}
