//! gradient_norms.parquet: ‖g‖² by estimator and step.

use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet};

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let mut sheet = Sheet::new(&["estimator", "step"], &["gradient_norm_sq"]);
    for record in &run.part.records {
        for (&step, at) in record.steps.iter().zip(&record.worlds[0].decomposition) {
            sheet.push(vec![record.estimator.into(), Key::from(step)], vec![at.norm_sq.into()]);
        }
    }
    let of_population = run.part.population.iter().flat_map(|of| &of.norm_sq);
    for (&step, norm_sq) in run.part.records[0].steps.iter().zip(of_population) {
        sheet.push(vec!["population".into(), Key::from(step)], vec![(*norm_sq).into()]);
    }
    Ok(sheet)
}
