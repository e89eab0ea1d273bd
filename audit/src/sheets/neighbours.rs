//! neighbours.parquet: the examples whose gradients are nearest, by step and example.

use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};

/// Of smaller cosines f64 has fewer digits.
pub(super) const SMALLEST: f64 = 1e-4;

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let mut sheet = Sheet::new(&["step", "example_id", "rank"], &["neighbour", "cosine", "same_class"]);
    for (&step, coherence) in run.part.records[0].steps.iter().zip(&run.part.coherence) {
        for (&example, nearest) in run.selected.iter().zip(&coherence.neighbours) {
            for (place, (neighbour, same)) in nearest.iter().enumerate() {
                let id = |candidate: Option<&usize>| candidate.map_or(-1, |&place| run.selected[place] as i128);
                let candidates = &neighbour.candidates;
                let same = same.as_ref().map_or(Value::Null, |same| match same.as_slice() {
                    [true, false] => Value::AnyFlag,
                    same => Value::Flag(same == [true]),
                });
                let off = 1e-9 * neighbour.cosine.abs().max(SMALLEST);
                let [low, high] = neighbour.cosines;
                let values = vec![
                    Value::Ints(id(candidates.first()), id(candidates.last())),
                    Value::Range(low - off, high + off),
                    same,
                ];
                sheet.push(vec![Key::from(step), Key::from(example as i64), Key::from(place as i64 + 1)], values);
            }
        }
    }
    Ok(sheet)
}
