//! Weight snapshots, `weights/step-*.safetensors`.

use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::TraceError;
use crate::manifest::WEIGHTS;

/// Weights of one layer, borrowed from the network.
#[derive(Clone, Copy, Debug)]
pub struct LayerWeights<'a> {
    /// Input units.
    pub fan_in: usize,
    /// Output units.
    pub fan_out: usize,
    /// Weight matrix `[fan_out, fan_in]`, row-major.
    pub weight: &'a [f32],
    /// Bias `[fan_out]`.
    pub bias: &'a [f32],
}

/// Weights of one layer, as read from a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedLayerWeights {
    /// Input units.
    pub fan_in: usize,
    /// Output units.
    pub fan_out: usize,
    /// Weight matrix `[fan_out, fan_in]`, row-major.
    pub weight: Vec<f32>,
    /// Bias `[fan_out]`.
    pub bias: Vec<f32>,
}

/// Path of the snapshot at `step`, relative to its run.
pub(crate) fn snapshot_name(step: i64) -> String {
    format!("{WEIGHTS}/step-{step:08}.safetensors")
}

/// The step of the snapshot at this path relative to its run, if it is one.
pub(crate) fn snapshot_step(name: &str) -> Option<i64> {
    name.strip_prefix("weights/step-")?.strip_suffix(".safetensors")?.parse().ok().filter(|step| *step >= 0)
}

/// The bytes of a snapshot.
///
/// # Errors
/// A slice that has not the size its layer says: the message.
pub(crate) fn encode(layers: &[LayerWeights<'_>]) -> Result<Vec<u8>, String> {
    let mut tensors = Vec::with_capacity(2 * layers.len());
    for (index, layer) in layers.iter().enumerate() {
        let (fan_in, fan_out) = (layer.fan_in, layer.fan_out);
        if layer.weight.len() != fan_in * fan_out || layer.bias.len() != fan_out {
            return Err(format!("layer {index} has not the weights and biases of {fan_in} inputs, {fan_out} outputs"));
        }
        tensors.push((format!("layer.{index}.weight"), vec![fan_out, fan_in], little_endian(layer.weight)));
        tensors.push((format!("layer.{index}.bias"), vec![fan_out], little_endian(layer.bias)));
    }
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    views.and_then(|views| safetensors::serialize(views, None)).map_err(|error| error.to_string())
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Reads the snapshot at `path`, layer 0 first.
pub(crate) fn read(path: &Path) -> Result<Vec<OwnedLayerWeights>, TraceError> {
    let bytes = std::fs::read(path).map_err(TraceError::io("read", path))?;
    decode(&bytes).map_err(|message| TraceError::contents(path, message))
}

fn decode(bytes: &[u8]) -> Result<Vec<OwnedLayerWeights>, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| format!("is not safetensors: {error}"))?;
    let mut layers = Vec::new();
    while let Ok(weight) = tensors.tensor(&format!("layer.{}.weight", layers.len())) {
        let name = format!("layer.{}", layers.len());
        let &[fan_out, fan_in] = weight.shape() else {
            return Err(format!("{name}.weight must have the shape [fan_out, fan_in], but has {:?}", weight.shape()));
        };
        let bias = tensors.tensor(&format!("{name}.bias")).map_err(|_| format!("{name}.bias is missing"))?;
        if bias.shape() != [fan_out] {
            return Err(format!("{name}.bias must have the shape [{fan_out}], but has {:?}", bias.shape()));
        }
        let layer = OwnedLayerWeights {
            fan_in,
            fan_out,
            weight: floats(&format!("{name}.weight"), &weight)?,
            bias: floats(&format!("{name}.bias"), &bias)?,
        };
        layers.push(layer);
    }
    if layers.is_empty() {
        return Err(format!("has no tensor layer.0.weight, but {:?}", tensors.names()));
    }
    Ok(layers)
}

fn floats(name: &str, tensor: &TensorView<'_>) -> Result<Vec<f32>, String> {
    if tensor.dtype() != Dtype::F32 {
        return Err(format!("{name} must be F32, but is {:?}", tensor.dtype()));
    }
    let (values, _) = tensor.data().as_chunks::<4>();
    Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_come_back_and_are_the_same_bytes_every_time() {
        let weight = [1.0, -2.5, f32::MIN_POSITIVE, 0.0, -0.0, 3.0];
        let layers = [
            LayerWeights { fan_in: 3, fan_out: 2, weight: &weight, bias: &[0.5, 0.25] },
            LayerWeights { fan_in: 2, fan_out: 1, weight: &[7.0, 8.0], bias: &[9.0] },
        ];
        let bytes = encode(&layers).unwrap();
        assert_eq!(bytes, encode(&layers).unwrap());
        let read = decode(&bytes).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].fan_in, read[0].fan_out, &read[0].weight[..]), (3, 2, &weight[..]));
        assert_eq!((&read[1].weight[..], &read[1].bias[..]), (&[7.0, 8.0][..], &[9.0][..]));
    }

    #[test]
    fn snapshots_of_the_wrong_size_are_refused() {
        let layer = LayerWeights { fan_in: 3, fan_out: 2, weight: &[0.0; 5], bias: &[0.0; 2] };
        assert!(encode(&[layer]).unwrap_err().contains("layer 0"));
        assert!(decode(b"nonsense").unwrap_err().contains("not safetensors"));
    }

    #[test]
    fn names_of_snapshots_sort_by_step_and_parse_back() {
        assert_eq!(snapshot_name(12), "weights/step-00000012.safetensors");
        assert_eq!(snapshot_step(&snapshot_name(123_456_789_012)), Some(123_456_789_012));
        assert_eq!(snapshot_step("weights/step--1.safetensors"), None);
        assert_eq!(snapshot_step("weights/final.safetensors"), None);
    }
}
