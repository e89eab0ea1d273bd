//! A residual network (He et al. 2016) with group normalisation (Wu & He 2018): three stages of one block are ResNet-8.

use candle_core::Result;

use crate::layer::{Activation, Conv2dSettings, GlobalAverage, Initial, Residual, Sequential};

/// A convolution of kernels of 3×3, or of 1×1 on a way around a block.
fn convolution(
    [seen, outputs]: [usize; 2],
    kernel: usize,
    stride: usize,
    groups: usize,
    initial: &mut Initial,
) -> Result<Sequential> {
    let settings = Conv2dSettings { stride, padding: kernel / 2, ..Conv2dSettings::default() };
    let convolution = Sequential::new().then("conv", initial.conv2d(seen, outputs, kernel, settings)?);
    Ok(convolution.then("norm", initial.group_norm(outputs, groups)?))
}

pub(super) fn network(
    mut seen: usize,
    channels: &[usize],
    blocks: usize,
    groups: usize,
    classes: usize,
    initial: &mut Initial,
) -> Result<Sequential> {
    let first = channels.first().copied().unwrap_or(seen);
    let mut network = Sequential::new().then("stem", convolution([seen, first], 3, 1, groups, initial)?);
    network = network.then("relu", Activation::Relu);
    seen = first;
    for (stage, &outputs) in channels.iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let body = Sequential::new()
                .then("0", convolution([seen, outputs], 3, stride, groups, initial)?)
                .then("relu", Activation::Relu)
                .then("1", convolution([outputs, outputs], 3, 1, groups, initial)?);
            let residual = match stride == 1 && seen == outputs {
                true => Residual::new(body),
                false => Residual::with_shortcut(body, convolution([seen, outputs], 1, stride, groups, initial)?),
            };
            network = network.then(&format!("stage{}.{block}", stage + 1), residual).then("relu", Activation::Relu);
            seen = outputs;
        }
    }
    Ok(network.then("average", GlobalAverage).then("head", initial.dense(seen, classes)?))
}

/// Number of parameters.
pub(super) fn size(mut seen: usize, channels: &[usize], blocks: usize, classes: usize) -> u128 {
    // Kernels, biases, and the two scales of every channel.
    let convolution = |seen: usize, outputs: usize, area: u128| (seen as u128 * area + 3) * outputs as u128;
    let first = channels.first().copied().unwrap_or(seen);
    let mut parameters = convolution(seen, first, 9);
    seen = first;
    for (stage, &outputs) in channels.iter().enumerate() {
        let has_shortcut = stage > 0 || seen != outputs;
        parameters += convolution(seen, outputs, 9) + if has_shortcut { convolution(seen, outputs, 1) } else { 0 };
        parameters += (2 * blocks as u128 - 1) * convolution(outputs, outputs, 9);
        seen = outputs;
    }
    parameters + (seen as u128 + 1) * classes as u128
}
