//! shares.parquet: share and mean cumulative contribution of each group by estimator, world and step.

use crate::plain::groups::Grouping;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};
use crate::tally::Number;

pub(super) fn sheet(run: &Recomputed, grouping: &Grouping) -> Sheet {
    let keys = &["estimator", "step", "world", "group"];
    let mut sheet = Sheet::new(keys, &["share", "cumulative"]);
    let cell = |number: Option<Number>| number.map_or(Value::Null, Value::Number);
    for estimate in &run.estimates {
        for world in estimate.grouped.iter().flat_map(|grouped| &grouped.worlds) {
            for (place, &step) in estimate.record.steps.iter().enumerate() {
                for (group, name) in grouping.names.iter().enumerate() {
                    let key = vec![
                        estimate.record.estimator.into(),
                        Key::Int(step),
                        Key::Int(world.number as i64),
                        name.as_str().into(),
                    ];
                    let mean = world.means[group].get(place).copied().flatten();
                    sheet.push(key, vec![cell(world.shares[place][group]), cell(mean)]);
                }
            }
        }
    }
    sheet
}
