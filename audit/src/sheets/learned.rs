//! learned.parquet: how many examples of each group were learned by each evaluated step.

use crate::plain::curves::{curve, steps};
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
    // More are right at some step than were ever learned by then, by half an example at least: then nothing is known at any.
    let is_known = curve(&run.metrics, "train", "accuracy").iter().all(|(step, part)| {
        part * run.examples.count as f64 - 0.5 <= learned(&run.examples, &groups[0].1, *step) as f64
    });
    for step in steps(&run.metrics) {
        for (name, members) in &groups {
            let (size, count) = (members.len(), learned(&run.examples, members, step));
            let fraction = (size > 0 && is_known).then(|| count as f64 / size as f64);
            let learned = if is_known { Value::int(count) } else { Value::Null };
            let values = vec![Value::int(size), learned, Value::plain(fraction)];
            sheet.push(vec![Key::from(step), (*name).into()], values);
        }
    }
    Ok(sheet)
}
