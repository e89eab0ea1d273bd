//! overfit.parquet: accuracies and overfit at each evaluated step.

use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Sheet {
    let columns = &["train_accuracy", "test_accuracy", "overfit", "proper_accuracy"];
    let mut sheet = Sheet::new(&["step"], columns);
    for at in run.overfit() {
        let values = vec![
            Value::exact(at.train),
            Value::exact(at.test),
            Value::near(at.overfit, 1.0),
            Value::plain(run.proper_accuracy()),
        ];
        sheet.push(vec![Key::Int(at.step)], values);
    }
    sheet
}
