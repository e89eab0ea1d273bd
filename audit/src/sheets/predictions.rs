//! predictions.parquet: the paper's predictions, each as a whole and by the numbers that it was judged by.

use cograd_results::prediction::PREDICTIONS;

use super::Study;
use crate::plain::predictions::{Grid, verdict};
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(study: &Study<'_>) -> Result<Sheet, String> {
    let runs = study.runs.as_ref().map_err(String::clone)?;
    let keys = &["prediction", "noise", "winsorization", "quantity"];
    let mut sheet = Sheet::new(keys, &["measured", "compared_with", "p", "verdict", "reason"]);
    // A text or a flag is no level of noise.
    if !runs.iter().any(|run| run.conditions.number("noise").is_some()) {
        return Ok(sheet);
    }
    if let Some(why) = runs.iter().find_map(|run| run.groups.as_ref().err()) {
        return Err(why.clone());
    }
    let grid = Grid::new(runs);
    for prediction in &PREDICTIONS {
        let name = prediction.name;
        let points = grid.points(name).ok_or_else(|| format!("the audit does not judge `{name}` yet"))?;
        let whole = verdict(points.iter().filter_map(|point| point.holds));
        // Why it is not checkable is said in words.
        let reason = if whole == "not checkable" { Value::Words } else { Value::Null };
        let cells = [vec![Value::Null; 3], vec![Value::text(Some(whole)), reason]].concat();
        sheet.push(vec![name.into(), Key::Null, Key::Null, Key::Null], cells);
        for point in points {
            let key = vec![name.into(), point.noise.into(), point.winsorization.into(), point.quantity.into()];
            let judged = Value::text(point.holds.map(|holds| verdict([holds])));
            sheet.push(key, vec![point.measured, point.compared_with, point.p, judged, Value::Null]);
        }
    }
    Ok(sheet)
}

#[cfg(test)]
mod tests {
    use cograd_trace::Conditions;

    use super::*;
    use crate::evidence::Evidence;

    #[test]
    fn noise_that_is_no_number_has_no_predictions() {
        let rows = |conditions: Conditions| {
            let run = Evidence::for_tests("r", conditions.with("rule", "sgd"));
            sheet(&Study { runs: Ok(vec![&run]), names: vec!["r"], conditions: &[] }).unwrap().rows().len()
        };
        let noise = || Conditions::new(Some(1));
        assert!(rows(noise().with("noise", 0.5)) >= PREDICTIONS.len());
        assert_eq!([rows(noise().with("noise", "much")), rows(noise().with("noise", true)), rows(noise())], [0; 3]);
    }
}
