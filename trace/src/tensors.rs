//! Files of named tensors: weight snapshots, `weights/step-*.safetensors`, and the inputs, `inputs.safetensors`.

use std::path::Path;

use arrow::datatypes::{ArrowPrimitiveType, Float16Type};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::TraceError;
use crate::manifest::WEIGHTS;

/// A named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its shape; empty for a single number.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f32>,
}

/// Path of the snapshot at `step`, relative to its run.
pub(crate) fn snapshot_name(step: i64) -> String {
    format!("{WEIGHTS}/step-{step:08}.safetensors")
}

/// The step of the snapshot at this path relative to its run, if it is one.
pub(crate) fn snapshot_step(name: &str) -> Option<i64> {
    name.strip_prefix("weights/step-")?.strip_suffix(".safetensors")?.parse().ok().filter(|step| *step >= 0)
}

/// The bytes of a file of tensors.
///
/// # Errors
/// A tensor that has not as many values as its shape says, or the name of another: the message.
pub(crate) fn encode(tensors: &[Tensor]) -> Result<Vec<u8>, String> {
    let mut names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("two tensors are named {}", pair[0]));
    }
    let wrong = |tensor: &&Tensor| tensor.shape.iter().product::<usize>() != tensor.values.len();
    if let Some(Tensor { name, shape, values }) = tensors.iter().find(wrong) {
        return Err(format!("{name} has {} values, not those of the shape {shape:?}", values.len()));
    }
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|tensor| little_endian(&tensor.values)).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|(tensor, bytes)| Ok((tensor.name.as_str(), TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    views.and_then(|views| safetensors::serialize(views, None)).map_err(|error| error.to_string())
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Reads the tensors at `path`, by name.
pub(crate) fn read(path: &Path) -> Result<Vec<Tensor>, TraceError> {
    let bytes = cograd_files::read_regular(path).map_err(TraceError::io("read", path))?;
    decode(&bytes).map_err(|message| TraceError::contents(path, message))
}

fn decode(bytes: &[u8]) -> Result<Vec<Tensor>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| format!("is not safetensors: {error}"))?;
    let mut views: Vec<(&str, TensorView<'_>)> = file.iter().collect();
    views.sort_by_key(|(name, _)| *name);
    let tensor = |(name, view): &(&str, TensorView<'_>)| {
        Ok(Tensor { name: name.to_string(), shape: view.shape().to_vec(), values: values(name, view)? })
    };
    views.iter().map(tensor).collect()
}

/// The values of a tensor of any common type as f32, if that changes none of them.
fn values(name: &str, tensor: &TensorView<'_>) -> Result<Vec<f32>, String> {
    type Half = <Float16Type as ArrowPrimitiveType>::Native;
    let bytes = tensor.data();
    match tensor.dtype() {
        Dtype::F32 => converted(name, bytes, |bytes| Some(f32::from_le_bytes(bytes))),
        Dtype::F16 => converted(name, bytes, |bytes| Some(Half::from_le_bytes(bytes).to_f32())),
        Dtype::BF16 => converted(name, bytes, |bytes| Some(f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16))),
        Dtype::F64 => converted(name, bytes, |bytes| exact_float(f64::from_le_bytes(bytes))),
        Dtype::I64 => converted(name, bytes, |bytes| exact(i64::from_le_bytes(bytes).into())),
        Dtype::I32 => converted(name, bytes, |bytes| exact(i32::from_le_bytes(bytes).into())),
        Dtype::I16 => converted(name, bytes, |bytes| exact(i16::from_le_bytes(bytes).into())),
        Dtype::I8 => converted(name, bytes, |bytes| exact(i8::from_le_bytes(bytes).into())),
        Dtype::U64 => converted(name, bytes, |bytes| exact(u64::from_le_bytes(bytes).into())),
        Dtype::U32 => converted(name, bytes, |bytes| exact(u32::from_le_bytes(bytes).into())),
        Dtype::U16 => converted(name, bytes, |bytes| exact(u16::from_le_bytes(bytes).into())),
        Dtype::U8 | Dtype::BOOL => converted(name, bytes, |[byte]: [u8; 1]| Some(f32::from(byte))),
        other => Err(format!("{name} is {other:?}; write it as F32")),
    }
}

fn converted<const N: usize>(
    name: &str,
    bytes: &[u8],
    convert: impl Fn([u8; N]) -> Option<f32>,
) -> Result<Vec<f32>, String> {
    let values = bytes.as_chunks::<N>().0.iter().enumerate().map(|(place, bytes)| {
        convert(*bytes).ok_or_else(|| format!("value {place} of {name} is no f32; write it as F32"))
    });
    values.collect()
}

fn exact(value: i128) -> Option<f32> {
    Some(value as f32).filter(|converted| *converted as i128 == value)
}

fn exact_float(value: f64) -> Option<f32> {
    Some(value as f32).filter(|converted| f64::from(*converted) == value || value.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[usize], values: &[f32]) -> Tensor {
        Tensor { name: name.to_string(), shape: shape.to_vec(), values: values.to_vec() }
    }

    #[test]
    fn tensors_come_back_and_are_the_same_bytes_every_time() {
        let tensors = [
            tensor("b.weight", &[2, 3], &[1.0, -2.5, f32::MIN_POSITIVE, 0.0, -0.0, 3.0]),
            tensor("a.scale", &[], &[7.0]),
            tensor("c.none", &[0, 4], &[]),
        ];
        let bytes = encode(&tensors).unwrap();
        assert_eq!(bytes, encode(&tensors).unwrap());
        let [b, a, c] = tensors;
        assert_eq!(decode(&bytes).unwrap(), [a, b, c]);
    }

    #[test]
    fn tensors_of_the_wrong_size_or_name_are_refused() {
        assert!(encode(&[tensor("a", &[2, 3], &[0.0; 5])]).unwrap_err().contains("a has 5 values"));
        let twice = [tensor("a", &[1], &[0.0]), tensor("a", &[1], &[0.0])];
        assert!(encode(&twice).unwrap_err().contains("two tensors are named a"));
        assert!(decode(b"nonsense").unwrap_err().contains("not safetensors"));
    }

    #[test]
    fn other_types_are_read_if_f32_can_hold_their_values() {
        let read = |kind: Dtype, bytes: &[u8]| {
            let length = bytes.len() * 8 / kind.bitsize();
            let view = TensorView::new(kind, vec![length], bytes).unwrap();
            decode(&safetensors::serialize([("x", view)], None).unwrap()).map(|tensors| tensors[0].values.clone())
        };
        assert_eq!(
            read(Dtype::I64, &[3_i64.to_le_bytes(), (-(1_i64 << 24)).to_le_bytes()].concat()).unwrap(),
            [3.0, -16_777_216.0]
        );
        assert_eq!(read(Dtype::U8, &[0, 255]).unwrap(), [0.0, 255.0]);
        assert_eq!(read(Dtype::F16, &0x3555_u16.to_le_bytes()).unwrap(), [0.333_251_95]);
        assert_eq!(read(Dtype::BF16, &0xc0a0_u16.to_le_bytes()).unwrap(), [-5.0]);
        assert_eq!(read(Dtype::F64, &0.5_f64.to_le_bytes()).unwrap(), [0.5]);
        for (kind, bytes) in [
            (Dtype::F64, 0.1_f64.to_le_bytes().to_vec()),
            (Dtype::I64, ((1_i64 << 24) + 1).to_le_bytes().to_vec()),
            (Dtype::U64, u64::MAX.to_le_bytes().to_vec()),
        ] {
            assert!(read(kind, &bytes).unwrap_err().contains("value 0 of x is no f32"), "{kind:?}");
        }
    }

    #[test]
    fn names_of_snapshots_sort_by_step_and_parse_back() {
        assert_eq!(snapshot_name(12), "weights/step-00000012.safetensors");
        assert_eq!(snapshot_step(&snapshot_name(123_456_789_012)), Some(123_456_789_012));
        assert_eq!(snapshot_step("weights/step--1.safetensors"), None);
        assert_eq!(snapshot_step("weights/final.safetensors"), None);
    }
}
