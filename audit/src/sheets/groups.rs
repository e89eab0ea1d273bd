//! groups.parquet: the groups, their order and sizes.

use crate::plain::groups::Grouping;
use crate::recompute::Recomputed;
use crate::sheet::{Sheet, Value};

pub(super) fn sheet(run: &Recomputed, grouping: &Grouping) -> Sheet {
    let mut sheet = Sheet::new(&["group"], &["order", "examples", "sampled"]);
    let sampled = grouping.of_some(&run.selected);
    for (order, name) in grouping.names.iter().enumerate() {
        let count = |of: &[usize]| Value::Int(of.iter().filter(|&&group| group == order).count() as i64);
        let values = vec![Value::Int(order as i64), count(&grouping.of), count(&sampled)];
        sheet.push(vec![name.as_str().into()], values);
    }
    sheet
}
