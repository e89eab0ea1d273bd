//! differences.parquet: the difference of the mean cumulative contributions of each two groups.

use super::keys;
use crate::plain::cumulative::difference;
use crate::recompute::Recomputed;
use crate::record::{Subject, pairs};
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let names = &run.grouping()?.names;
    let key_columns = &["estimator", "step", "world", "group_a", "group_b"];
    let mut sheet = Sheet::new(key_columns, &["difference", "lower", "upper"]);
    let mut add = |estimator: &str, step: i64, world: u64, pair: Subject, values| {
        let [a, b] = keys(names, Some(pair));
        sheet.push(vec![estimator.into(), Key::from(step), Key::Int(world.into()), a, b], values);
    };
    let pairs = pairs(names.len());
    for record in &run.part.records {
        for world in &record.worlds {
            for &(a, b) in &pairs {
                let means = world.means[a].iter().zip(&world.means[b]);
                for (&step, (of_a, of_b)) in record.steps.iter().zip(means) {
                    let values = vec![difference(*of_a, *of_b).into(), Value::Null, Value::Null];
                    add(record.estimator, step, world.number, (a, Some(b)), values);
                }
            }
        }
    }
    let of_population = run.part.population.iter().flat_map(|of| &of.differences);
    for (&step, differences) in run.part.records[0].steps.iter().zip(of_population) {
        for (&(a, b), difference) in pairs.iter().zip(differences) {
            add("population", step, 0, (a, Some(b)), difference.cells());
        }
    }
    Ok(sheet)
}
