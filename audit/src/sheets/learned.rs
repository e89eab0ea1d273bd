//! learned.parquet: how many examples of each group were learned by each evaluated step.

use crate::plain::curves::steps;
use crate::plain::learned::LearnedSteps;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let grouping = run.grouping()?;
    let mut sheet = Sheet::new(&["step", "group"], &["examples", "learned", "fraction"]);
    if run.trace.examples.learned_step.is_none() {
        return Ok(sheet);
    }
    let of_members = |members: Vec<usize>| (members.len(), LearnedSteps::new(&run.trace.examples, &members));
    let all = || 0..run.trace.examples.count;
    let mut groups = vec![("all", of_members(all().collect()))];
    // All examples, as the only group, are there once.
    for (group, name) in grouping.names.iter().enumerate().filter(|(_, name)| *name != "all") {
        groups.push((name, of_members(all().filter(|&example| grouping.of[example] == group).collect())));
    }
    let is_known = run.are_learned_steps_known;
    for step in steps(run.trace.metrics_in(run.part.steps)) {
        for (name, (size, learned)) in &groups {
            let (size, count) = (*size, learned.until(step));
            let fraction = (size > 0 && is_known).then(|| count as f64 / size as f64);
            let learned = if is_known { Value::int(count) } else { Value::Null };
            let values = vec![Value::int(size), learned, Value::plain(fraction)];
            sheet.push(vec![Key::from(step), (*name).into()], values);
        }
    }
    Ok(sheet)
}
