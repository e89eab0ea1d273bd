//! cumulative.parquet: the mean cumulative contribution of each group by estimator, world and contiguous step.

use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let names = &run.grouping()?.names;
    let mut sheet = Sheet::new(&["estimator", "step", "world", "group"], &["cumulative", "lower", "upper"]);
    let mut add = |estimator: &str, step: i64, world: u64, group: usize, values| {
        let key = vec![estimator.into(), Key::from(step), Key::Int(world.into()), names[group].as_str().into()];
        sheet.push(key, values);
    };
    for record in &run.part.records {
        for world in &record.worlds {
            for (group, means) in world.means.iter().enumerate() {
                for (&step, mean) in record.steps.iter().zip(means) {
                    let values = vec![(*mean).into(), Value::Null, Value::Null];
                    add(record.estimator, step, world.number, group, values);
                }
            }
        }
    }
    let of_population = run.part.population.iter().flat_map(|of| &of.cumulative);
    for (&step, means) in run.part.records[0].steps.iter().zip(of_population) {
        for (group, mean) in means.iter().enumerate() {
            add("population", step, 0, group, mean.cells());
        }
    }
    Ok(sheet)
}
