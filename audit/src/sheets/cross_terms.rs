//! cross_terms.parquet: ⟨g^a, g^b⟩ of every two groups, and its fraction of ‖g‖².

use crate::plain::groups::Grouping;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};
use crate::tally::Number;

pub(super) fn sheet(run: &Recomputed, grouping: &Grouping) -> Sheet {
    let mut sheet = Sheet::new(&["estimator", "step", "group_a", "group_b"], &["value", "fraction"]);
    for (&step, coherence) in run.paper().record.steps.iter().zip(&run.coherence) {
        let terms = &coherence.cross_terms;
        let total: f64 = terms.iter().flatten().map(|term| term.value).sum();
        let size: f64 = terms.iter().flatten().map(|term| term.scale).sum();
        for (a, row) in terms.iter().enumerate() {
            for (b, term) in row.iter().enumerate() {
                let fraction = (total > 0.0 && total.is_finite())
                    .then(|| Number::near(term.value / total, size / total * (1.0 + (term.value / total).abs())));
                let key = vec![
                    "paper".into(),
                    Key::Int(step),
                    grouping.names[a].as_str().into(),
                    grouping.names[b].as_str().into(),
                ];
                sheet.push(key, vec![Value::Number(*term), fraction.map_or(Value::Null, Value::Number)]);
            }
        }
    }
    sheet
}
