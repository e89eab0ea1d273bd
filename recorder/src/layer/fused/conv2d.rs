//! Convolutions as products of kernels and patches, one example after the other, so that an example's patches stay in cache.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::product::{Matrix, product};
use super::{beside, output, sum_of, values, vectorised, with_all};
use crate::layer::tap::Kept;
use crate::layer::unfold::Unfold;

/// Images `[B, C, height, width]`, weight `[out, C / groups, rows, columns]` and bias `[out]` to `[B, out, rows, columns]`. If the gradient
/// at the output is kept, that of the parameters is not computed.
pub(in crate::layer) struct Convolution {
    pub patches: Patches,
    pub kept: Option<Kept>,
}

/// Kernels and the patches that they meet; of one image where nothing else is said. The lengths of a product are those of a group.
#[derive(Clone, Copy)]
pub(in crate::layer) struct Patches {
    pub unfold: Unfold,
    /// Outputs of all groups.
    pub outputs: usize,
}

impl Patches {
    fn groups(&self) -> usize {
        self.unfold.settings.groups
    }

    /// Outputs of a group, values of a kernel, positions.
    fn lengths(&self) -> [usize; 3] {
        [self.outputs / self.groups(), self.unfold.values(), self.unfold.positions()]
    }

    /// Number of values of the output of an image.
    fn size(&self) -> usize {
        self.outputs * self.unfold.positions()
    }

    /// Where the outputs, the kernels and the patches of a group begin.
    fn starts(&self, group: usize) -> [usize; 3] {
        let [outputs, values, positions] = self.lengths();
        [group * outputs * positions, group * outputs * values, group * values * positions]
    }

    /// out += kernels · patches.
    pub fn add_outputs(&self, kernels: &[f32], patches: &[f32], out: &mut [f32]) {
        let [outputs, values, positions] = self.lengths();
        for group in 0..self.groups() {
            let [output, kernel, patch] = self.starts(group);
            let factors = (Matrix::rows(&kernels[kernel..], values), Matrix::rows(&patches[patch..], positions));
            product((&mut out[output..], positions), [outputs, values, positions], factors.0, factors.1, true);
        }
    }

    /// sum += δ · patchesᵀ: the gradient of the kernels.
    pub fn add_gradient(&self, deltas: &[f32], patches: &[f32], sum: &mut [f32]) {
        let [outputs, values, positions] = self.lengths();
        for group in 0..self.groups() {
            let [output, kernel, patch] = self.starts(group);
            let factors =
                (Matrix::rows(&deltas[output..], positions), Matrix::transposed(&patches[patch..], positions));
            product((&mut sum[kernel..], values), [outputs, positions, values], factors.0, factors.1, true);
        }
    }

    /// kernelsᵀ · δ: the gradient of the patches.
    fn back(&self, kernels: &[f32], deltas: &[f32], patches: &mut [f32]) {
        let [outputs, values, positions] = self.lengths();
        for group in 0..self.groups() {
            let [output, kernel, patch] = self.starts(group);
            let factors = (Matrix::transposed(&kernels[kernel..], values), Matrix::rows(&deltas[output..], positions));
            product((&mut patches[patch..], positions), [values, outputs, positions], factors.0, factors.1, false);
        }
    }

    /// ‖g‖² by the products of all pairs of positions, which is less work than g where there are few: `None` otherwise.
    fn square_of_positions(&self, deltas: &[f32], patches: &[f32]) -> Option<f64> {
        let [outputs, values, positions] = self.lengths();
        if positions * (values + outputs) >= values * outputs {
            return None;
        }
        let mut square = 0.0;
        let mut pairs = [(); 2].map(|()| vec![0.0; positions * positions]);
        for group in 0..self.groups() {
            let [output, _, patch] = self.starts(group);
            for (pairs, (rows, length)) in
                pairs.iter_mut().zip([(&deltas[output..], outputs), (&patches[patch..], values)])
            {
                let factors = (Matrix::transposed(rows, positions), Matrix::rows(rows, positions));
                product((pairs, positions), [positions, length, positions], factors.0, factors.1, false);
            }
            square += dot(&pairs[0], &pairs[1]);
        }
        Some(square)
    }

    /// What `of` says of each image of a batch, its δ and its patches, in their order.
    fn of_each<T: Send>(
        &self,
        images: &Tensor,
        deltas: &Tensor,
        of: impl Fn(&[f32], &[f32]) -> T + Sync,
    ) -> Result<Vec<T>> {
        with_all([images, deltas], |[images, deltas]| {
            let pairs = images.par_chunks(self.unfold.size().max(1)).zip(deltas.par_chunks(self.size().max(1)));
            let one = |room: &mut Vec<f32>, (image, deltas): (&[f32], &[f32])| {
                self.unfold.unfold(image, room);
                of(deltas, room)
            };
            pairs.map_init(|| self.unfold.room(), one).collect()
        })
    }

    /// Adds the gradients of the kernels, `[out, …]`, of a batch to `sum`.
    pub fn add_sum(&self, images: &Tensor, deltas: &Tensor, sum: &mut [f32]) -> Result<()> {
        with_all([images, deltas], |[images, deltas]| {
            let mut room = self.unfold.room();
            for (image, deltas) in images.chunks(self.unfold.size().max(1)).zip(deltas.chunks(self.size().max(1))) {
                self.unfold.unfold(image, &mut room);
                self.add_gradient(deltas, &room, sum);
            }
        })
    }

    /// The gradient of the kernels, `[out, …]`, of every image.
    pub fn gradients(&self, images: &Tensor, deltas: &Tensor) -> Result<Vec<Vec<f32>>> {
        self.of_each(images, deltas, |deltas, patches| self.gradient(deltas, patches))
    }

    fn gradient(&self, deltas: &[f32], patches: &[f32]) -> Vec<f32> {
        let mut gradient = vec![0.0; self.outputs * self.unfold.values()];
        self.add_gradient(deltas, patches, &mut gradient);
        gradient
    }

    /// The same at some coordinates, in f64.
    pub fn gradients_at(&self, images: &Tensor, deltas: &Tensor, coordinates: &[usize]) -> Result<Vec<Vec<f64>>> {
        let [outputs, values, positions] = self.lengths();
        let line =
            |of: &[f32], line: usize| -> Range<usize> { line * positions..((line + 1) * positions).min(of.len()) };
        self.of_each(images, deltas, |deltas, patches| {
            let at = |&coordinate: &usize| {
                let (output, value) = (coordinate / values, coordinate % values);
                dot(&deltas[line(deltas, output)], &patches[line(patches, output / outputs * values + value)])
            };
            coordinates.iter().map(at).collect()
        })
    }

    /// ⟨g_i, G⟩ of every image.
    pub fn contributions(&self, images: &Tensor, deltas: &Tensor, total: &Tensor) -> Result<Vec<f64>> {
        let total = super::super::values(total)?;
        self.of_each(images, deltas, |deltas, patches| {
            let mut outputs = vec![0.0; self.size()];
            self.add_outputs(&total, patches, &mut outputs);
            dot(&outputs, deltas)
        })
    }

    /// ‖g_i‖² of every image.
    pub fn self_terms(&self, images: &Tensor, deltas: &Tensor) -> Result<Vec<f64>> {
        self.of_each(images, deltas, |deltas, patches| {
            self.square_of_positions(deltas, patches).unwrap_or_else(|| {
                let gradient = self.gradient(deltas, patches);
                dot(&gradient, &gradient)
            })
        })
    }
}

/// Σ of products in f64.
fn dot(one: &[f32], other: &[f32]) -> f64 {
    vectorised(|| sum_of(one, other, |one, other| one * other))
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        images: &CpuStorage,
        layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Patches { unfold, outputs } = self.patches;
        let (images, weight, bias) =
            (values(images, layout)?, values(weight, weight_layout)?, values(bias, bias_layout)?);
        if bias.len() != outputs {
            bail!("a bias of {} for {outputs} outputs", bias.len());
        }
        let (examples, positions) = (layout.shape().dims()[0], unfold.positions());
        let mut out = Vec::with_capacity(examples * self.patches.size());
        (0..examples).for_each(|_| bias.iter().for_each(|&bias| out.extend(std::iter::repeat_n(bias, positions))));
        let mut room = unfold.room();
        for (image, out) in images.chunks(unfold.size().max(1)).zip(out.chunks_mut(self.patches.size().max(1))) {
            unfold.unfold(image, &mut room);
            self.patches.add_outputs(weight, &room, out);
        }
        output(out, (examples, outputs, unfold.outputs(0), unfold.outputs(1)))
    }

    fn bwd(
        &self,
        images: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (gradient, Patches { unfold, .. }) = (gradient.contiguous()?, self.patches);
        let input_gradient = |[weight, deltas]: [&[f32]; 2]| {
            let (mut gradients, mut room) = (vec![0.0; images.elem_count()], unfold.room());
            let of_images = gradients.chunks_mut(unfold.size().max(1));
            for (image, deltas) in of_images.zip(deltas.chunks(self.patches.size().max(1))) {
                self.patches.back(weight, deltas, &mut room);
                unfold.fold(&room, image);
            }
            gradients
        };
        let input_gradient = match images.track_op() {
            true => Some(beside(with_all([weight, &gradient], input_gradient)?, images.shape(), images)?),
            false => None,
        };
        if let Some(kept) = &self.kept {
            kept.keep(&gradient);
            return Ok((input_gradient, None, None));
        }
        let mut of_weight = vec![0.0; weight.elem_count()];
        self.patches.add_sum(images, &gradient, &mut of_weight)?;
        let of_weight = beside(of_weight, weight.shape(), weight)?;
        let of_bias = bias.track_op().then(|| gradient.sum((0, 2, 3))).transpose()?;
        Ok((input_gradient, Some(of_weight), of_bias))
    }
}
