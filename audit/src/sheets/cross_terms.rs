//! cross_terms.parquet: ⟨g^a, g^b⟩ of every two groups, and its fraction of ‖g‖².

use super::keys;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet};
use crate::tally::Number;

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let names = &run.grouping()?.names;
    let mut sheet = Sheet::new(&["estimator", "step", "group_a", "group_b"], &["value", "fraction"]);
    for (&step, coherence) in run.part.records[0].steps.iter().zip(&run.part.coherence) {
        let terms = &coherence.cross_terms;
        let total = coherence.cross_total;
        let size: f64 = terms.iter().flatten().map(|term| term.scale).sum();
        for (a, row) in terms.iter().enumerate() {
            for (b, term) in row.iter().enumerate() {
                let fraction = (total > 0.0 && total.is_finite())
                    .then(|| Number::near(term.value / total, size / total * (1.0 + (term.value / total).abs())));
                let [a, b] = keys(names, Some((a, Some(b))));
                sheet.push(vec!["paper".into(), Key::from(step), a, b], vec![Some(*term).into(), fraction.into()]);
            }
        }
    }
    Ok(sheet)
}
