//! Convolutional and residual networks and transformers a second time: one example alone, in f64, by candle's own operations and
//! derivatives, without the recorder's layers. Padding is not masked here but left out.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::{D, DType, Device, Result, Tensor, Var, bail};
use cograd_recorder::NetworkKind;

use crate::plain::network::Logits;

/// A unit this close to zero, relative to the largest of its layer, may be on either side in f32.
const EDGE: f64 = 4e-6;
/// Units on the edge that are put on the other side one by one; the rest are together.
const MOST_EDGES: usize = 8;
/// Half of what f32 tells apart near 1.
const UNIT: f64 = 0.5 * f32::EPSILON as f64;
/// Roundings of a probability beside those of the sum over the classes: of the quotient, the product and the difference from 1.
const ROUNDINGS: usize = 4;
/// Of a probability from here on, what is missing to 1 is rounded more than other numbers.
const CONFIDENT: f64 = 0.97;
/// ε under the root of normalisations.
const EPSILON: f64 = 1e-5;
/// What f32 may lose on the way through the layers, in roundings of the last one.
const LAYERS: f64 = 20.0;

/// The network of a snapshot.
pub(crate) struct Layered {
    kind: NetworkKind,
    vars: BTreeMap<String, Var>,
}

/// One example's gradient.
pub(crate) struct Gradient {
    /// By parameter.
    pub values: BTreeMap<String, Vec<f64>>,
    /// By how much f32 may have each value otherwise, beside the rounding of the whole; of no parameter if by nothing. A unit so near to
    /// zero, or two values of a pooling so near to each other, that f32 may see them on the other side, have another derivative there;
    /// and where an example is fitted, little is left of the derivative of its loss.
    pub slack: BTreeMap<String, Vec<f64>>,
    /// What the network answers.
    pub logits: Logits,
}

impl Gradient {
    /// The squared norm over all parameters whose names begin so.
    pub(crate) fn norm_sq(&self, is_chosen: impl Fn(&str) -> bool) -> f64 {
        norm_sq(&self.values, is_chosen)
    }

    /// The squared norm of the slack over these.
    pub(crate) fn slack_sq(&self, is_chosen: impl Fn(&str) -> bool) -> f64 {
        norm_sq(&self.slack, is_chosen)
    }

    fn add_slack(&mut self, differences: impl Iterator<Item = (String, Vec<f64>)>) {
        for (name, differences) in differences {
            let slack = self.slack.entry(name).or_insert_with(|| vec![0.0; differences.len()]);
            slack.iter_mut().zip(differences).for_each(|(slack, difference)| *slack += difference.abs());
        }
    }
}

fn norm_sq(values: &BTreeMap<String, Vec<f64>>, is_chosen: impl Fn(&str) -> bool) -> f64 {
    values.iter().filter(|(name, _)| is_chosen(name)).flat_map(|(_, values)| values).map(|value| value * value).sum()
}

impl Layered {
    pub(crate) fn new(kind: &NetworkKind, snapshot: &[cograd_trace::Tensor]) -> Result<Layered> {
        let var = |tensor: &cograd_trace::Tensor| {
            let values: Vec<f64> = tensor.values.iter().map(|&value| f64::from(value)).collect();
            Ok((tensor.name.clone(), Var::from_vec(values, tensor.shape.as_slice(), &Device::Cpu)?))
        };
        Ok(Layered { kind: kind.clone(), vars: snapshot.iter().map(var).collect::<Result<_>>()? })
    }

    /// The gradient of the cross-entropy of one example.
    pub(crate) fn gradient(&self, input: &[f32], label: usize) -> Result<Gradient> {
        let pass = Pass::new(self, 0..0);
        let logits = self.forward(&pass, input)?;
        let loss = loss(&logits, label)?;
        let (values, edges) = (self.derivative(&loss)?, pass.edges.get());
        let answer = Logits { values: logits.to_vec1()?, sizes: pass.sizes.take() };
        let mut gradient = Gradient { values, slack: BTreeMap::new(), logits: answer };
        for edge in (0..edges).take(MOST_EDGES + 1) {
            let flipped = if edge < MOST_EDGES { edge..edge + 1 } else { edge..edges };
            let other = self.forward(&Pass::new(self, flipped), input)?;
            let mut other = self.derivative(&self::loss(&other, label)?)?;
            for (name, values) in &mut other {
                values.iter_mut().zip(&gradient.values[name]).for_each(|(other, value)| *other -= value);
            }
            gradient.add_slack(other.into_iter());
        }
        if (-loss.to_scalar::<f64>()?).exp() > CONFIDENT {
            let mut of_logit = self.derivative(&logits.get(label)?)?;
            let lost = (gradient.logits.values.len() + ROUNDINGS) as f64 * UNIT;
            of_logit.values_mut().flatten().for_each(|value| *value *= lost);
            gradient.add_slack(of_logit.into_iter());
        }
        Ok(gradient)
    }

    /// The derivative by every parameter.
    fn derivative(&self, value: &Tensor) -> Result<BTreeMap<String, Vec<f64>>> {
        let gradients = value.backward()?;
        let values = |(name, var): (&String, &Var)| {
            let values = match gradients.get(var.as_tensor()) {
                Some(gradient) => gradient.flatten_all()?.to_vec1()?,
                None => vec![0.0; var.elem_count()],
            };
            Ok((name.clone(), values))
        };
        self.vars.iter().map(values).collect()
    }

    /// What it answers to one example.
    pub(crate) fn logits(&self, input: &[f32]) -> Result<Logits> {
        let pass = Pass::new(self, 0..0);
        Ok(Logits { values: self.forward(&pass, input)?.to_vec1()?, sizes: pass.sizes.take() })
    }

    fn forward(&self, pass: &Pass<'_>, input: &[f32]) -> Result<Tensor> {
        let logits = match &self.kind {
            NetworkKind::Mlp { .. } => bail!("a multilayer perceptron is computed elsewhere"),
            NetworkKind::Convnet { .. } => pass.convnet(self.image(input, "conv1.weight")?),
            NetworkKind::Resnet { groups, .. } => pass.resnet(self.image(input, "stem.conv.weight")?, *groups),
            NetworkKind::Transformer { heads, .. } => pass.transformer(input, *heads),
        };
        logits?.flatten_all()
    }

    /// Sets one value of a parameter.
    #[cfg(test)]
    pub(crate) fn set(&mut self, name: &str, place: usize, value: f64) -> Result<()> {
        let var = &self.vars[name];
        let mut values: Vec<f64> = var.flatten_all()?.to_vec1()?;
        values[place] = value;
        var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu)?)
    }

    /// The values of a parameter.
    pub(crate) fn values(&self, name: &str) -> Result<Vec<f64>> {
        self.var(name)?.flatten_all()?.to_vec1()
    }

    /// The image of an example, which is a square of the channels that the first convolution sees.
    fn image(&self, input: &[f32], first: &str) -> Result<Tensor> {
        let channels = self.var(first)?.dim(1)?.max(1);
        let side = (input.len() as f64 / channels as f64).sqrt().round() as usize;
        if channels * side * side != input.len() {
            bail!("its images are no squares");
        }
        Tensor::new(input, &Device::Cpu)?.to_dtype(DType::F64)?.reshape((1, channels, side, side))
    }

    fn var(&self, name: &str) -> Result<&Tensor> {
        match self.vars.get(name) {
            Some(var) => Ok(var.as_tensor()),
            None => bail!("the snapshot lacks {name}"),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.vars.contains_key(name)
    }
}

/// The cross-entropy of one example.
fn loss(logits: &Tensor, label: usize) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max(0)?.detach())?;
    shifted.exp()?.sum(0)?.log()? - shifted.get(label)?
}

/// One example's way through a network.
struct Pass<'a> {
    network: &'a Layered,
    /// Units, and comparisons of a pooling, that are on the edge so far.
    edges: Cell<usize>,
    /// Those of them that are put on the other side.
    flipped: Range<usize>,
    /// Of the logits.
    sizes: RefCell<Vec<f64>>,
}

impl Pass<'_> {
    fn new(network: &Layered, flipped: Range<usize>) -> Pass<'_> {
        Pass { network, edges: Cell::new(0), flipped, sizes: RefCell::default() }
    }

    /// Weight and bias of a layer.
    fn tensors(&self, layer: &str) -> Result<[&Tensor; 2]> {
        Ok([self.network.var(&format!("{layer}.weight"))?, self.network.var(&format!("{layer}.bias"))?])
    }

    fn relu(&self, input: &Tensor) -> Result<Tensor> {
        input * self.is_positive(input, input)?.to_dtype(DType::F64)?
    }

    /// 1 where a difference is positive. On the edge is one, but for none at all, so small beside the largest of `values` that f32 may see
    /// its sign otherwise.
    fn is_positive(&self, differences: &Tensor, values: &Tensor) -> Result<Tensor> {
        let flat = |of: &Tensor| of.flatten_all()?.to_vec1::<f64>();
        let largest = flat(values)?.into_iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let side = |difference: f64| {
            let is_on_edge = difference != 0.0 && difference.abs() <= EDGE * largest;
            let number = self.edges.replace(self.edges.get() + usize::from(is_on_edge));
            u8::from((difference > 0.0) != (is_on_edge && self.flipped.contains(&number)))
        };
        let sides: Vec<u8> = flat(differences)?.into_iter().map(side).collect();
        Tensor::from_vec(sides, differences.shape(), &Device::Cpu)
    }

    /// The largest value of every square of 2×2; of equal ones the first takes the gradient. (candle's pooling gives a quarter of the
    /// derivative, its maximum the whole one to each of several equal values.)
    fn halved(&self, image: &Tensor) -> Result<Tensor> {
        let (_, channels, rows, columns) = image.dims4()?;
        let (rows, columns) = (rows / 2, columns / 2);
        let whole = image.narrow(2, 0, 2 * rows)?.narrow(3, 0, 2 * columns)?.contiguous()?;
        let whole = whole.reshape((channels, rows, 2, columns, 2))?;
        let corner = |row, column| whole.narrow(2, row, 1)?.narrow(4, column, 1)?.contiguous();
        let larger =
            |first: Tensor, second: Tensor| self.is_positive(&(&second - &first)?, image)?.where_cond(&second, &first);
        let largest = larger(larger(corner(0, 0)?, corner(0, 1)?)?, larger(corner(1, 0)?, corner(1, 1)?)?)?;
        largest.reshape((1, channels, rows, columns))
    }

    fn dense(&self, input: &Tensor, layer: &str) -> Result<Tensor> {
        let [weight, bias] = self.tensors(layer)?;
        input.matmul(&weight.t()?)?.broadcast_add(bias)
    }

    /// The logits, whose sizes are the sums of the last layer's absolute terms, times what the layers before may lose.
    fn head(&self, units: &Tensor) -> Result<Tensor> {
        let [weight, bias] = self.tensors("head")?;
        let sizes = (units.abs()?.matmul(&weight.abs()?.t()?)?.broadcast_add(&bias.abs()?)? * LAYERS)?;
        *self.sizes.borrow_mut() = sizes.flatten_all()?.to_vec1()?;
        self.dense(units, "head")
    }

    fn convolution(&self, input: &Tensor, layer: &str, stride: usize) -> Result<Tensor> {
        let [weight, bias] = self.tensors(layer)?;
        let output = input.conv2d(weight, weight.dim(2)? / 2, stride, 1, 1)?;
        output.broadcast_add(&bias.reshape((1, (), 1, 1))?)
    }

    fn convnet(&self, mut image: Tensor) -> Result<Tensor> {
        for layer in
            (1..).map(|place| format!("conv{place}")).take_while(|it| self.network.has(&format!("{it}.weight")))
        {
            image = self.relu(&self.convolution(&image, &layer, 1)?)?;
            image = self.halved(&image)?;
        }
        let mut units = image.flatten_from(1)?;
        for layer in
            (1..).map(|place| format!("dense{place}")).take_while(|it| self.network.has(&format!("{it}.weight")))
        {
            units = self.relu(&self.dense(&units, &layer)?)?;
        }
        self.head(&units)
    }

    /// A convolution and a group normalisation.
    fn normalised(&self, input: &Tensor, block: &str, stride: usize, groups: usize) -> Result<Tensor> {
        let output = self.convolution(input, &format!("{block}.conv"), stride)?;
        let [scale, shift] = self.tensors(&format!("{block}.norm"))?;
        let grouped = standardised(&output.reshape((1, groups, ()))?)?.reshape(output.shape())?;
        grouped.broadcast_mul(&scale.reshape((1, (), 1, 1))?)?.broadcast_add(&shift.reshape((1, (), 1, 1))?)
    }

    fn resnet(&self, image: Tensor, groups: usize) -> Result<Tensor> {
        let mut state = self.relu(&self.normalised(&image, "stem", 1, groups)?)?;
        for stage in (1..).take_while(|stage| self.network.has(&format!("stage{stage}.0.body.0.conv.weight"))) {
            let name = |block: usize| format!("stage{stage}.{block}");
            let names = (0..).map(name).take_while(|name| self.network.has(&format!("{name}.body.0.conv.weight")));
            for (block, name) in names.enumerate() {
                let stride = if stage > 1 && block == 0 { 2 } else { 1 };
                let inner = self.relu(&self.normalised(&state, &format!("{name}.body.0"), stride, groups)?)?;
                let body = self.normalised(&inner, &format!("{name}.body.1"), 1, groups)?;
                let around = match self.network.has(&format!("{name}.shortcut.conv.weight")) {
                    true => self.normalised(&state, &format!("{name}.shortcut"), stride, groups)?,
                    false => state,
                };
                state = self.relu(&(body + around)?)?;
            }
        }
        self.head(&state.mean((2, 3))?)
    }

    fn layer_norm(&self, input: &Tensor, layer: &str) -> Result<Tensor> {
        let [scale, shift] = self.tensors(layer)?;
        standardised(input)?.broadcast_mul(scale)?.broadcast_add(shift)
    }

    fn transformer(&self, input: &[f32], heads: usize) -> Result<Tensor> {
        let positions = self.network.var("positions.weight")?;
        let words: Vec<u32> = input.iter().map(|&word| word as u32).take_while(|&word| word != 0).collect();
        let length = words.len().min(positions.dim(0)?);
        if length == 0 {
            bail!("an example has no word");
        }
        let table = self.network.var("words.weight")?;
        let mut state = (table.index_select(&Tensor::new(&words[..length], &Device::Cpu)?, 0)?
            + positions.narrow(0, 0, length)?)?;
        let is_there = |block: &String| self.network.has(&format!("{block}.inner.weight"));
        for block in (1..).map(|place| format!("block{place}")).take_while(is_there) {
            let normed = self.layer_norm(&state, &format!("{block}.attention_norm"))?;
            state = (&state + self.attention(&normed, &format!("{block}.attention"), heads)?)?;
            let normed = self.layer_norm(&state, &format!("{block}.dense_norm"))?;
            let inner = self.dense(&normed, &format!("{block}.inner"))?.gelu_erf()?;
            state = (&state + self.dense(&inner, &format!("{block}.outer"))?)?;
        }
        self.head(&self.layer_norm(&state, "norm")?.mean_keepdim(0)?)
    }

    /// Attention of every position to all, head by head.
    fn attention(&self, input: &Tensor, layer: &str, heads: usize) -> Result<Tensor> {
        let projected = |name: &str| self.dense(input, &format!("{layer}.{name}"));
        let (query, key, value) = (projected("query")?, projected("key")?, projected("value")?);
        let width = input.dim(1)? / heads.max(1);
        let head = |head: usize| {
            let part = |of: &Tensor| of.narrow(1, head * width, width)?.contiguous();
            let scores = (part(&query)?.matmul(&part(&key)?.t()?.contiguous()?)? / (width as f64).sqrt())?;
            let exponentials = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
            exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)?.matmul(&part(&value)?)
        };
        let attended = (0..heads).map(head).collect::<Result<Vec<Tensor>>>()?;
        self.dense(&Tensor::cat(&attended, 1)?, &format!("{layer}.output"))
    }
}

/// Each line of the last dimension, without its mean and divided by its standard deviation.
fn standardised(input: &Tensor) -> Result<Tensor> {
    let centred = input.broadcast_sub(&input.mean_keepdim(D::Minus1)?)?;
    centred.broadcast_div(&(centred.sqr()?.mean_keepdim(D::Minus1)? + EPSILON)?.sqrt()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pixels that are not black, each in a channel of its own: a pooling takes the one with the larger weight.
    fn gradient(weights: [f32; 2], head: f32) -> Gradient {
        let tensor = |name: &str, shape: &[usize], values: &[f32]| cograd_trace::Tensor {
            name: name.into(),
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        let snapshot = [
            tensor("conv1.weight", &[1, 2, 1, 1], &weights),
            tensor("conv1.bias", &[1], &[0.0]),
            tensor("head.weight", &[2, 1], &[head, -head]),
            tensor("head.bias", &[2], &[0.0, 0.0]),
        ];
        let kind = NetworkKind::Convnet { channels: vec![1], kernel: 1, hidden: vec![] };
        let network = Layered::new(&kind, &snapshot).unwrap();
        network.gradient(&[1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0], 0).unwrap()
    }

    #[test]
    fn only_what_f32_may_see_otherwise_has_slack() {
        assert!(gradient([1.0, 1.1], 1.0).slack.is_empty());
    }

    #[test]
    fn two_pixels_that_f32_may_order_otherwise_may_each_have_the_gradient() {
        let found = gradient([1.0, 1.000_001], 1.0);
        // δ = p − y of the logits 1 and −1, times the head's weights.
        let delta = 2.0 * (1.0 / (1.0 + (-2.000_002_f64).exp()) - 1.0);
        let close = |found: &[f64], expected: [f64; 2]| found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(close(&found.values["conv1.weight"], [0.0, delta]), "{:?}", found.values);
        assert!(close(&found.slack["conv1.weight"], [delta.abs(); 2]), "{:?}", found.slack);
        assert!(found.slack["conv1.bias"][0] < 1e-5, "it is the same for both");
    }

    #[test]
    fn of_a_fitted_example_little_is_left_of_the_derivative() {
        let found = gradient([1.0, 1.1], 10.0);
        assert!(found.values["head.bias"][0].abs() < 1e-8);
        assert_eq!(found.slack["head.bias"], [6.0 * UNIT, 0.0]);
    }
}
