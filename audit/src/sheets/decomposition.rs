//! decomposition.parquet: α, β and ‖g‖² by estimator, world and step.

use crate::plain::bootstrap::Estimate;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};
use crate::tally::Number;

pub(super) fn sheet(run: &Recomputed) -> Sheet {
    let columns = &["alpha", "beta", "gradient_norm_sq", "alpha_lower", "alpha_upper"];
    let mut sheet = Sheet::new(&["estimator", "step", "world"], columns);
    let cell = |number: Option<Number>| number.map_or(Value::Null, Value::Number);
    for estimate in &run.estimates {
        for world in &estimate.pristine.worlds {
            for (&step, at) in estimate.record.steps.iter().zip(&world.decomposition) {
                let key = vec![estimate.record.estimator.into(), Key::Int(step), Key::Int(world.number as i64)];
                sheet.push(key, vec![cell(at.alpha), cell(at.beta), cell(at.norm_sq), Value::Null, Value::Null]);
            }
        }
    }
    for (step, at) in run.paper().record.steps.iter().zip(run.population.iter().flat_map(|of| &of.decomposition)) {
        let key = vec!["population".into(), Key::Int(*step), Key::Int(0)];
        let Estimate { value, lower, upper, .. } = at.alpha.clone();
        sheet.push(key, vec![value, cell(at.beta), cell(at.norm_sq), lower, upper]);
    }
    sheet
}
