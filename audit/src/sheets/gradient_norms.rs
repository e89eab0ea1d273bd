//! gradient_norms.parquet: ‖g‖² by estimator and step.

use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet};
use crate::table::Tables;

pub(super) fn sheet(run: &Recomputed, _: &Tables) -> Result<Sheet, String> {
    let mut sheet = Sheet::new(&["estimator", "step"], &["gradient_norm_sq"]);
    for estimate in &run.estimates {
        for (&step, at) in estimate.record.steps.iter().zip(&estimate.worlds[0].decomposition) {
            sheet.push(vec![estimate.record.estimator.into(), Key::from(step)], vec![at.norm_sq.into()]);
        }
    }
    let of_population = run.population.iter().flat_map(|of| &of.norm_sq);
    for (&step, norm_sq) in run.paper().record.steps.iter().zip(of_population) {
        sheet.push(vec!["population".into(), Key::from(step)], vec![(*norm_sq).into()]);
    }
    Ok(sheet)
}
