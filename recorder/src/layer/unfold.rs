//! The patches of images that a convolution's kernel meets, and its way back: with them a convolution is one matrix
//! product, several times as fast as candle's own, whose derivative fails where a stride leaves an edge of one direction.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::Conv2dSettings;

/// How a kernel of these lengths moves over images of these lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfold {
    pub settings: Conv2dSettings,
    pub channels: usize,
    /// Rows and columns of an image.
    pub image: [usize; 2],
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
}

impl Unfold {
    /// # Errors
    /// The kernel is larger than the padded image, or channels are no multiple of the groups.
    pub fn new(input: &Tensor, weight: &Tensor, settings: Conv2dSettings) -> Result<Unfold> {
        let (_, channels, height, width) = input.dims4()?;
        let (_, seen, rows, columns) = weight.dims4()?;
        let unfold = Unfold { settings, channels, image: [height, width], kernel: [rows, columns] };
        let fits = |axis: usize| unfold.image[axis] + 2 * settings.padding >= unfold.reach(axis);
        if seen * settings.groups != channels || !fits(0) || !fits(1) {
            bail!("a convolution of {settings:?} and weights {:?} cannot take {:?}", weight.dims(), input.dims());
        }
        Ok(unfold)
    }

    /// Pixels from the first to the last value of the kernel, both included.
    fn reach(&self, axis: usize) -> usize {
        self.settings.dilation * (self.kernel[axis] - 1) + 1
    }

    /// Positions of the kernel along an axis.
    pub fn outputs(&self, axis: usize) -> usize {
        (self.image[axis] + 2 * self.settings.padding - self.reach(axis)) / self.settings.stride + 1
    }

    /// Positions of the kernel.
    pub fn positions(&self) -> usize {
        self.outputs(0) * self.outputs(1)
    }

    /// Values of the kernel for one output.
    pub fn values(&self) -> usize {
        self.channels / self.settings.groups * self.kernel[0] * self.kernel[1]
    }

    fn pixels(&self) -> usize {
        self.image[0] * self.image[1]
    }

    /// The pixel that value `kernel` meets at `position` along an axis, if it is none of the padding.
    pub fn pixel(&self, axis: usize, kernel: usize, position: usize) -> Option<usize> {
        let padded = position * self.settings.stride + kernel * self.settings.dilation;
        padded.checked_sub(self.settings.padding).filter(|&pixel| pixel < self.image[axis])
    }

    /// The positions at which value `kernel` meets pixels along an axis, and the pixel of the first.
    fn inside(&self, axis: usize, kernel: usize) -> (Range<usize>, usize) {
        let mut met = (0..self.outputs(axis)).filter(|&position| self.pixel(axis, kernel, position).is_some());
        match met.next() {
            None => (0..0, 0),
            Some(first) => (first..first + 1 + met.count(), self.pixel(axis, kernel, first).unwrap_or(0)),
        }
    }

    /// Calls with the places of a run of positions and of its first pixel, for every row of positions that value
    /// `[row, column]` of the kernel meets in one channel: `(first position, positions, first pixel)`.
    fn runs(&self, kernel: [usize; 2], mut each: impl FnMut(usize, usize, usize)) {
        let ((rows, first_row), (columns, first_column)) = (self.inside(0, kernel[0]), self.inside(1, kernel[1]));
        let (stride, start) = (self.settings.stride, rows.start);
        for row in rows {
            let pixel = (first_row + (row - start) * stride) * self.image[1] + first_column;
            each(row * self.outputs(1) + columns.start, columns.len(), pixel);
        }
    }

    /// Images `[B, channels, rows, columns]` to patches `[groups, values, B, positions]`: a line for each channel and
    /// value of the kernel.
    fn unfolded(&self, images: &[f32]) -> Vec<f32> {
        let (area, positions, stride) = (self.kernel[0] * self.kernel[1], self.positions(), self.settings.stride);
        let examples = images.len() / (self.channels * self.pixels()).max(1);
        let mut patches = vec![0.0; self.channels * area * examples * positions];
        patches.par_chunks_mut((examples * positions).max(1)).enumerate().for_each(|(line, patches)| {
            let (channel, kernel) = (line / area, [line % area / self.kernel[1], line % self.kernel[1]]);
            for (example, patch) in patches.chunks_mut(positions).enumerate() {
                let image = &images[(example * self.channels + channel) * self.pixels()..][..self.pixels()];
                self.runs(kernel, |first, length, pixel| {
                    let met = image[pixel..].iter().step_by(stride);
                    patch[first..first + length].iter_mut().zip(met).for_each(|(value, met)| *value = *met);
                });
            }
        });
        patches
    }

    /// The transpose of [`Unfold::unfolded`]: every pixel gets the sum of the values at the patches that it is in.
    fn folded(&self, patches: &[f32]) -> Vec<f32> {
        let (area, positions, stride) = (self.kernel[0] * self.kernel[1], self.positions(), self.settings.stride);
        let examples = patches.len() / (self.channels * area * positions).max(1);
        let mut images = vec![0.0; examples * self.channels * self.pixels()];
        images.par_chunks_mut(self.pixels().max(1)).enumerate().for_each(|(place, image)| {
            let (example, channel) = (place / self.channels, place % self.channels);
            for value in 0..area {
                let patch = &patches[((channel * area + value) * examples + example) * positions..][..positions];
                self.runs([value / self.kernel[1], value % self.kernel[1]], |first, length, pixel| {
                    let met = image[pixel..].iter_mut().step_by(stride);
                    patch[first..first + length].iter().zip(met).for_each(|(value, met)| *met += *value);
                });
            }
        });
        images
    }

    fn values_of<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
        match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
            _ => bail!("a convolution needs contiguous values of 32 bits"),
        }
    }
}

impl CustomOp1 for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let patches = self.unfolded(Self::values_of(storage, layout)?);
        let lengths = [self.settings.groups, self.values(), layout.shape().dims()[0], self.positions()];
        Ok((CpuStorage::F32(patches), Shape::from(lengths.as_slice())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(&Fold(*self))?))
    }
}

/// [`Unfold`]'s way back.
struct Fold(Unfold);

impl CustomOp1 for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let images = self.0.folded(Unfold::values_of(storage, layout)?);
        let [rows, columns] = self.0.image;
        let examples = layout.shape().dims()[2];
        Ok((CpuStorage::F32(images), Shape::from((examples, self.0.channels, rows, columns))))
    }
}
