//! Initial weights that another run ended with, or went through.

use std::path::Path;

use cograd_trace::Run;

use crate::error::RecordError;
use crate::network::{LayerParameters, Network};

/// The network of the snapshot that `reference` names, STUDY/RUN@STEP, for a run of `seed`, which stands in place of `{seed}`
/// there. The trace checks its hash.
pub(crate) fn network(reference: &str, widths: &[usize], seed: u64) -> Result<Network, RecordError> {
    let reference = &reference.replace("{seed}", &seed.to_string());
    let refuse = |problem: String| RecordError::Initial { reference: reference.clone(), problem };
    let parts = split(reference).ok_or_else(|| refuse("write STUDY/RUN@STEP".to_string()))?;
    let (study, run, step) = parts;
    let run = Run::open(&Path::new(study).join("runs").join(run)).map_err(|error| refuse(error.to_string()))?;
    let tensors = run.weights(step).map_err(|error| refuse(error.to_string()))?;
    let mut layers = Vec::new();
    for (layer, pair) in widths.windows(2).enumerate() {
        let tensor = |part: &str, shape: &[usize]| {
            let name = format!("layer.{layer}.{part}");
            let tensor = tensors.iter().find(|tensor| tensor.name == name);
            let tensor = tensor.ok_or_else(|| refuse(format!("its weights have no {name}")))?;
            match tensor.shape == shape {
                true => Ok(tensor.values.clone()),
                false => Err(refuse(format!("its {name} has the shape {:?}, the network {shape:?}", tensor.shape))),
            }
        };
        let weight = tensor("weight", &[pair[1], pair[0]])?;
        layers.push(LayerParameters { fan_in: pair[0], fan_out: pair[1], weight, bias: tensor("bias", &[pair[1]])? });
    }
    if tensors.len() != 2 * layers.len() {
        return Err(refuse(format!("it has {} layers, the network {}", tensors.len() / 2, layers.len())));
    }
    Ok(Network::from_layers(&layers)?)
}

/// Study, run and step of a reference.
pub(crate) fn split(reference: &str) -> Option<(&str, &str, i64)> {
    let (path, step) = reference.rsplit_once('@')?;
    let (study, run) = path.rsplit_once('/')?;
    let step = step.parse().ok().filter(|step| *step >= 0)?;
    (!study.is_empty() && !run.is_empty()).then_some((study, run, step))
}
