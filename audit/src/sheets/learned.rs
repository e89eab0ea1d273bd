//! learned.parquet: how many examples of each group were learned by each evaluated step.

use crate::plain::curves::steps;
use crate::plain::learned::learned;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};
use crate::table::Tables;

pub(super) fn sheet(run: &Recomputed, _: &Tables) -> Result<Sheet, String> {
    let grouping = run.grouping()?;
    let mut sheet = Sheet::new(&["step", "group"], &["examples", "learned", "fraction"]);
    if run.examples.learned_step.is_none() {
        return Ok(sheet);
    }
    let of_group = |group: usize| (0..run.examples.count).filter(|&example| grouping.of[example] == group).collect();
    let mut groups: Vec<(&str, Vec<usize>)> = vec![("all", (0..run.examples.count).collect())];
    // All examples, as the only group, are there once.
    let others = grouping.names.iter().enumerate().filter(|(_, name)| *name != "all");
    groups.extend(others.map(|(group, name)| (name.as_str(), of_group(group))));
    // Where more were right than are known to be learned, it is not known which.
    let all: Vec<usize> = (0..run.examples.count).collect();
    let is_unknown = run.overfit().iter().any(|at| {
        let right = at.train.map_or(0.0, |accuracy| accuracy * all.len() as f64);
        (learned(&run.examples, &all, at.step) as f64) < right - 0.5
    });
    for step in steps(&run.metrics) {
        for (name, members) in &groups {
            let (size, count) = (members.len(), learned(&run.examples, members, step));
            let fraction = (size > 0).then(|| count as f64 / size as f64);
            let values = match is_unknown {
                true => vec![Value::int(size), Value::Null, Value::Null],
                false => vec![Value::int(size), Value::int(count), Value::plain(fraction)],
            };
            sheet.push(vec![Key::from(step), (*name).into()], values);
        }
    }
    Ok(sheet)
}
