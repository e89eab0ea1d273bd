//! The patches of an image that a convolution's kernel meets, and their way back: with them a convolution is one matrix product,
//! several times as fast as candle's own, whose derivative fails where a stride leaves an edge of one direction.

use std::ops::Range;

use candle_core::{Result, bail};

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
    /// Of images and weights of these shapes.
    ///
    /// # Errors
    /// The kernel is larger than the padded image, or channels are no multiple of the groups.
    pub fn new(input: &[usize], weight: &[usize], settings: Conv2dSettings) -> Result<Unfold> {
        let (&[_, channels, height, width], &[_, seen, rows, columns]) = (input, weight) else {
            bail!("a convolution of weights {weight:?} takes images of four dimensions, not {input:?}");
        };
        let unfold = Unfold { settings, channels, image: [height, width], kernel: [rows, columns] };
        let fits = |axis: usize| unfold.image[axis] + 2 * settings.padding >= unfold.reach(axis);
        if seen * settings.groups != channels || !fits(0) || !fits(1) {
            bail!("a convolution of {settings:?} and weights {weight:?} cannot take {input:?}");
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
        self.channels / self.settings.groups * self.area()
    }

    fn area(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    fn pixels(&self) -> usize {
        self.image[0] * self.image[1]
    }

    /// Values of an image in all channels.
    pub fn size(&self) -> usize {
        self.channels * self.pixels()
    }

    /// Room for the patches of an image, zero where a kernel meets none of its pixels.
    pub fn room(&self) -> Vec<f32> {
        vec![0.0; self.channels * self.area() * self.positions()]
    }

    /// The positions at which value `kernel` meets pixels along an axis, and the pixel of the first.
    fn inside(&self, axis: usize, kernel: usize) -> (Range<usize>, usize) {
        let Conv2dSettings { stride, padding, dilation, .. } = self.settings;
        let offset = kernel * dilation;
        let first = padding.saturating_sub(offset).div_ceil(stride);
        let end = (padding + self.image[axis]).saturating_sub(offset).div_ceil(stride).min(self.outputs(axis));
        (first.min(end)..end, (first * stride + offset).saturating_sub(padding))
    }

    /// Calls with the places of a run of positions and of its first pixel, for every row of positions that value
    /// `[row, column]` of the kernel meets in one channel: `(first position, positions, first pixel)`.
    fn runs(&self, kernel: [usize; 2], mut each: impl FnMut(usize, usize, usize)) {
        let ((rows, first_row), (columns, first_column)) = (self.inside(0, kernel[0]), self.inside(1, kernel[1]));
        if columns.is_empty() {
            return;
        }
        let (stride, start) = (self.settings.stride, rows.start);
        for row in rows {
            let pixel = (first_row + (row - start) * stride) * self.image[1] + first_column;
            each(row * self.outputs(1) + columns.start, columns.len(), pixel);
        }
    }

    /// Writes the patches of an image `[channels, rows, columns]` into their [`Unfold::room`], `[channels, values of the kernel,
    /// positions]`.
    pub fn unfold(&self, image: &[f32], patches: &mut [f32]) {
        let (area, stride) = (self.area(), self.settings.stride);
        for (line, patch) in patches.chunks_mut(self.positions().max(1)).enumerate() {
            let channel = &image[line / area * self.pixels()..][..self.pixels()];
            let value = line % area;
            self.runs([value / self.kernel[1], value % self.kernel[1]], |first, length, pixel| match stride {
                1 => patch[first..first + length].copy_from_slice(&channel[pixel..pixel + length]),
                _ => {
                    let met = channel[pixel..].iter().step_by(stride);
                    patch[first..first + length].iter_mut().zip(met).for_each(|(value, met)| *value = *met);
                }
            });
        }
    }

    /// The transpose of [`Unfold::unfold`]: adds to every pixel the values at the patches that it is in.
    pub fn fold(&self, patches: &[f32], image: &mut [f32]) {
        let (area, stride) = (self.area(), self.settings.stride);
        for (line, patch) in patches.chunks(self.positions().max(1)).enumerate() {
            let channel = &mut image[line / area * self.pixels()..][..self.pixels()];
            let value = line % area;
            self.runs([value / self.kernel[1], value % self.kernel[1]], |first, length, pixel| {
                let patch = &patch[first..first + length];
                match stride {
                    1 => channel[pixel..pixel + length].iter_mut().zip(patch).for_each(|(met, value)| *met += *value),
                    _ => {
                        let met = channel[pixel..].iter_mut().step_by(stride);
                        patch.iter().zip(met).for_each(|(value, met)| *met += *value);
                    }
                }
            });
        }
    }
}
