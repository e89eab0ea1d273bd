//! Convolutions with pooling, then dense layers, as LeNet-5 (LeCun et al. 1998) with ReLU.
//!
//! Every convolution keeps the size of the image, and a pooling by 2 halves it.

use candle_core::Result;

use crate::experiment::Problem;
use crate::layer::{Activation, Conv2dSettings, Flatten, Initial, MaxPool, Sequential};

pub(super) fn network(
    [mut seen, height, width]: [usize; 3],
    channels: &[usize],
    kernel: usize,
    hidden: &[usize],
    classes: usize,
    initial: &mut Initial,
) -> Result<Sequential> {
    let settings = Conv2dSettings { padding: kernel / 2, ..Conv2dSettings::default() };
    let mut network = Sequential::new();
    let mut sides = [height, width];
    for (place, &outputs) in channels.iter().enumerate() {
        network = network.then(&format!("conv{}", place + 1), initial.conv2d(seen, outputs, kernel, settings)?);
        network = network.then("relu", Activation::Relu).then("pool", MaxPool(2));
        (seen, sides) = (outputs, sides.map(|side| pooled(side, kernel)));
    }
    network = network.then("flatten", Flatten);
    let mut fan_in = seen * sides[0] * sides[1];
    for (place, &units) in hidden.iter().enumerate() {
        let dense = initial.dense(fan_in, units)?;
        network = network.then(&format!("dense{}", place + 1), dense).then("relu", Activation::Relu);
        fan_in = units;
    }
    Ok(network.then("head", initial.dense(fan_in, classes)?))
}

/// Side of an image after a convolution and a pooling. (A kernel of even side makes the image one larger.)
fn pooled(side: usize, kernel: usize) -> usize {
    (side + 2 * (kernel / 2) + 1).saturating_sub(kernel) / 2
}

/// Number of parameters.
pub(super) fn size(
    [mut seen, height, width]: [usize; 3],
    channels: &[usize],
    kernel: usize,
    hidden: &[usize],
    classes: usize,
) -> std::result::Result<u128, Problem> {
    let mut sides = [height, width];
    let mut parameters = 0;
    for &outputs in channels {
        sides = sides.map(|side| pooled(side, kernel));
        if sides.contains(&0) {
            let problem =
                format!("{} convolutions: each halves the image of {height}×{width}: use fewer", channels.len());
            return Err(("network.channels", problem));
        }
        parameters += (seen as u128 * (kernel as u128).pow(2) + 1) * outputs as u128;
        seen = outputs;
    }
    let widths = [&[seen * sides[0] * sides[1]], hidden, &[classes]].concat();
    Ok(parameters + widths.windows(2).map(|pair| (pair[0] as u128 + 1) * pair[1] as u128).sum::<u128>())
}
