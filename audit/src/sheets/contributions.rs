//! contributions.parquet: contribution and self term of each sampled example at each step.

use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Sheet {
    let columns = &["pristine", "contribution", "self_term"];
    let mut sheet = Sheet::new(&["step", "example_id"], columns);
    let record = &run.paper().record;
    for (step, terms) in record.steps.iter().zip(&run.terms) {
        for (place, &example) in run.selected.iter().enumerate() {
            let values = vec![
                Value::Flag(record.pristine[place]),
                Value::near(Some(terms.contributions[place]), terms.sizes[place]),
                Value::plain(Some(terms.self_terms[place])),
            ];
            sheet.push(vec![Key::Int(*step), Key::Int(example as i64)], values);
        }
    }
    sheet
}
