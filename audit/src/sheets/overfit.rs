//! overfit.parquet: accuracies and overfit at each evaluated step.

use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let columns = &["train_accuracy", "test_accuracy", "overfit", "chance", "proper_accuracy"];
    let mut sheet = Sheet::new(&["step"], columns);
    let proper = Value::plain(run.trace.examples.proper_accuracy());
    let begin = run.part.steps.begin.map_or(0, |begin| run.overfit.partition_point(|at| at.step < begin));
    for at in run.overfit[begin..].iter().take_while(|at| run.part.steps.contains(at.step)) {
        let (train, test) = (Value::exact(at.train), Value::exact(at.test));
        let values = vec![train, test, Value::near(at.overfit, 1.0), Value::near(at.chance, 1.0), proper.clone()];
        sheet.push(vec![Key::from(at.step)], values);
    }
    Ok(sheet)
}
