//! cumulative.parquet: cumulative mean contributions by estimator, world and step.

use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};
use crate::tally::Number;

pub(super) fn sheet(run: &Recomputed) -> Sheet {
    let columns = &[
        "pristine",
        "corrupt",
        "difference",
        "pristine_lower",
        "pristine_upper",
        "corrupt_lower",
        "corrupt_upper",
        "difference_lower",
        "difference_upper",
    ];
    let mut sheet = Sheet::new(&["estimator", "step", "world"], columns);
    let cell = |number: Option<Number>| number.map_or(Value::Null, Value::Number);
    for estimate in &run.estimates {
        for world in &estimate.pristine.worlds {
            for (&step, at) in estimate.record.steps.iter().zip(&world.cumulative) {
                let key = vec![estimate.record.estimator.into(), Key::Int(step), Key::Int(world.number as i64)];
                let mut values = vec![cell(at.pristine), cell(at.corrupt), cell(at.difference)];
                values.resize(columns.len(), Value::Null);
                sheet.push(key, values);
            }
        }
    }
    for (step, at) in run.paper().record.steps.iter().zip(run.population.iter().flat_map(|of| &of.cumulative)) {
        let key = vec!["population".into(), Key::Int(*step), Key::Int(0)];
        let mut values: Vec<Value> = at.iter().map(|estimate| estimate.value.clone()).collect();
        values.extend(at.iter().flat_map(|estimate| [estimate.lower.clone(), estimate.upper.clone()]));
        sheet.push(key, values);
    }
    sheet
}
