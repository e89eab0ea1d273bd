//! similarity.parquet: mean cosines between blocks of examples, by step and order.

use super::neighbours::SMALLEST;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};
use crate::tally::Number;

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let mut sheet = Sheet::new(&["step", "order", "block_a", "block_b"], &["name_a", "name_b", "pairs", "cosine"]);
    for (&step, coherence) in run.part.records[0].steps.iter().zip(&run.part.coherence) {
        for block in &coherence.blocks {
            let [a, b] = block.places.map(|place| Key::from(place as i64));
            let mean = block.sum / block.pairs as f64;
            let cosine = (block.pairs > 0).then(|| Number::near(mean, mean.abs().max(SMALLEST)));
            let [name_a, name_b] = [&block.names[0], &block.names[1]].map(|name| Value::text(Some(name)));
            let values = vec![name_a, name_b, Value::int(block.pairs), cosine.into()];
            sheet.push(vec![Key::from(step), block.order.into(), a, b], values);
        }
    }
    Ok(sheet)
}
