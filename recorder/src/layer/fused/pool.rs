//! The largest value of every square of an image.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{beside, output, values, with_all};

/// Images `[B, C, height, width]` to `[B, C, rows, columns]`, the largest of every square of this side. Of several the first takes the
/// gradient; NaN is larger than any number.
pub(in crate::layer) struct Largest {
    pub side: usize,
}

/// The larger one; NaN is.
#[inline(always)]
fn larger(most: f32, value: f32) -> f32 {
    if value > most || value.is_nan() { value } else { most }
}

impl Largest {
    /// Calls with each row of squares, in order: its rows of pixels one after the other, and where they begin.
    fn rows<'a>(&self, images: &'a [f32], [height, width]: [usize; 2]) -> impl Iterator<Item = (usize, &'a [f32])> {
        let (side, image) = (self.side, (height * width).max(1));
        let starts = (0..images.len()).step_by(image);
        let starts = starts.flat_map(move |start| (0..height / side).map(move |row| start + row * side * width));
        starts.map(move |start| (start, &images[start..start + side * width]))
    }
}

impl CustomOp1 for Largest {
    fn name(&self) -> &'static str {
        "largest"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let ((examples, channels, height, width), images) = (layout.shape().dims4()?, values(input, layout)?);
        let shape = (examples, channels, height / self.side, width / self.side);
        let mut pooled = Vec::with_capacity(Shape::from(shape).elem_count());
        for (_, pixels) in self.rows(images, [height, width]) {
            // The largest of each column first.
            let mut columns = pixels[..width].to_vec();
            for row in pixels.chunks(width).skip(1) {
                columns.iter_mut().zip(row).for_each(|(most, &value)| *most = larger(*most, value));
            }
            let squares = columns.chunks_exact(self.side);
            pooled.extend(squares.map(|square| square.iter().copied().reduce(larger).unwrap_or(f32::NAN)));
        }
        output(pooled, shape)
    }

    fn bwd(&self, input: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let ((.., height, width), gradient, side) = (input.dims4()?, gradient.contiguous()?, self.side);
        let spread = with_all([input, result, &gradient], |[images, largest, gradient]| {
            let mut spread = vec![0.0; images.len()];
            let squares =
                (largest.chunks_exact((width / side).max(1))).zip(gradient.chunks_exact((width / side).max(1)));
            for ((start, pixels), (largest, gradient)) in self.rows(images, [height, width]).zip(squares) {
                for (column, (&largest, &gradient)) in largest.iter().zip(gradient).enumerate() {
                    let mut is_free = true;
                    for place in
                        (0..side).flat_map(|down| down * width + column * side..down * width + (column + 1) * side)
                    {
                        let takes = is_free & ((pixels[place] == largest) | pixels[place].is_nan());
                        spread[start + place] = if takes { gradient } else { 0.0 };
                        is_free &= !takes;
                    }
                }
            }
            spread
        })?;
        Ok(Some(beside(spread, input.shape(), input)?))
    }
}
