//! learned.parquet: how many examples of each group were learned by each evaluated step.

use crate::plain::curves::steps;
use crate::plain::learned::learned;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let grouping = run.grouping()?;
    let mut sheet = Sheet::new(&["step", "group"], &["examples", "learned", "fraction"]);
    if run.trace.examples.learned_step.is_none() {
        return Ok(sheet);
    }
    let of_group =
        |group: usize| (0..run.trace.examples.count).filter(|&example| grouping.of[example] == group).collect();
    let mut groups: Vec<(&str, Vec<usize>)> = vec![("all", (0..run.trace.examples.count).collect())];
    // All examples, as the only group, are there once.
    let others = grouping.names.iter().enumerate().filter(|(_, name)| *name != "all");
    groups.extend(others.map(|(group, name)| (name.as_str(), of_group(group))));
    let is_known = run.are_learned_steps_known;
    for step in steps(run.trace.metrics.iter().filter(|metric| run.part.steps.contains(metric.step))) {
        for (name, members) in &groups {
            let (size, count) = (members.len(), learned(&run.trace.examples, members, step));
            let fraction = (size > 0 && is_known).then(|| count as f64 / size as f64);
            let learned = if is_known { Value::int(count) } else { Value::Null };
            let values = vec![Value::int(size), learned, Value::plain(fraction)];
            sheet.push(vec![Key::from(step), (*name).into()], values);
        }
    }
    Ok(sheet)
}
