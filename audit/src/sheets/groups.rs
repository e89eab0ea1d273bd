//! groups.parquet: the groups, their order and sizes.

use crate::recompute::Recomputed;
use crate::sheet::{Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let grouping = run.grouping()?;
    let mut sheet = Sheet::new(&["group"], &["order", "examples", "sampled"]);
    let sampled = grouping.of_some(&run.selected);
    for (order, name) in grouping.names.iter().enumerate() {
        let count = |of: &[usize]| Value::int(of.iter().filter(|&&group| group == order).count());
        sheet.push(vec![name.as_str().into()], vec![Value::int(order), count(&grouping.of), count(&sampled)]);
    }
    Ok(sheet)
}
