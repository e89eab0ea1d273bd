//! shares.parquet: the share of ‖g‖² of each group by estimator, world and step.

use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let names = &run.grouping()?.names;
    let mut sheet = Sheet::new(&["estimator", "step", "world", "group"], &["share", "lower", "upper"]);
    let mut add = |estimator: &str, step: i64, world: u64, group: usize, values| {
        let key = vec![estimator.into(), Key::from(step), Key::Int(world.into()), names[group].as_str().into()];
        sheet.push(key, values);
    };
    for record in &run.part.records {
        for world in &record.worlds {
            for (&step, at) in record.steps.iter().zip(&world.decomposition) {
                for (group, share) in at.shares.iter().enumerate() {
                    let values = vec![(*share).into(), Value::Null, Value::Null];
                    add(record.estimator, step, world.number, group, values);
                }
            }
        }
    }
    let of_population = run.part.population.iter().flat_map(|of| &of.shares);
    for (&step, shares) in run.part.records[0].steps.iter().zip(of_population) {
        for (group, share) in shares.iter().enumerate() {
            add("population", step, 0, group, share.cells());
        }
    }
    Ok(sheet)
}
