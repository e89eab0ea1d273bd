//! Initial weights that another run ended with, or went through.

use std::path::Path;

use cograd_trace::{Parameter, Run};

use crate::error::RecordError;

/// The values of the snapshot that `reference` names, STUDY/RUN@STEP, of these parameters, for a run of `seed`, which stands in
/// place of `{seed}` there. The trace checks its hash.
pub(crate) fn weights(reference: &str, parameters: &[Parameter], seed: u64) -> Result<Vec<Vec<f32>>, RecordError> {
    let reference = &reference.replace("{seed}", &seed.to_string());
    let refuse = |problem: String| RecordError::Initial { reference: reference.clone(), problem };
    let parts = split(reference).ok_or_else(|| refuse("write STUDY/RUN@STEP".to_string()))?;
    let (study, run, step) = parts;
    let run = Run::open(&Path::new(study).join("runs").join(run)).map_err(|error| refuse(error.to_string()))?;
    let tensors = run.weights(step).map_err(|error| refuse(error.to_string()))?;
    let mut values = Vec::new();
    for Parameter { name, shape, .. } in parameters {
        let tensor = tensors.iter().find(|tensor| tensor.name == *name);
        let tensor = tensor.ok_or_else(|| refuse(format!("its weights have no {name}")))?;
        if !tensor.shape.iter().map(|&length| length as u64).eq(shape.iter().copied()) {
            return Err(refuse(format!("its {name} has the shape {:?}, the network {shape:?}", tensor.shape)));
        }
        values.push(tensor.values.clone());
    }
    if tensors.len() != values.len() {
        return Err(refuse(format!("it has {} parameters, the network {}", tensors.len(), values.len())));
    }
    Ok(values)
}

/// Study, run and step of a reference.
pub(crate) fn split(reference: &str) -> Option<(&str, &str, i64)> {
    let (path, step) = reference.rsplit_once('@')?;
    let (study, run) = path.rsplit_once('/')?;
    let step = step.parse().ok().filter(|step| *step >= 0)?;
    (!study.is_empty() && !run.is_empty()).then_some((study, run, step))
}
