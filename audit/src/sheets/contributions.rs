//! contributions.parquet: group, contribution and self term of each sampled example at each step.

use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let grouping = run.grouping()?;
    let mut sheet = Sheet::new(&["step", "example_id"], &["group", "contribution", "self_term"]);
    for (step, terms) in run.part.records[0].steps.iter().zip(&run.part.terms) {
        for (place, &example) in run.selected.iter().enumerate() {
            let values = vec![
                Value::text(Some(&grouping.names[grouping.of[example]])),
                Value::near(Some(terms.contributions[place]), terms.sizes[place]),
                Value::plain(Some(terms.self_terms[place])),
            ];
            sheet.push(vec![Key::from(*step), Key::from(example as i64)], values);
        }
    }
    Ok(sheet)
}
