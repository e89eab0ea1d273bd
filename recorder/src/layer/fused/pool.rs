//! The largest value of every square of an image.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{beside, output, values, with_all};

/// Images `[B, C, height, width]` to `[B, C, rows, columns]`, the largest of every square of this side. Of several the first takes the
/// gradient; NaN is larger than any number.
pub(in crate::layer) struct Largest {
    pub side: usize,
}

impl Largest {
    /// Calls with the place in the image of the largest value of every square, in order.
    fn each(&self, images: &[f32], [height, width]: [usize; 2], mut found: impl FnMut(usize)) {
        let side = self.side;
        for start in (0..images.len()).step_by((height * width).max(1)) {
            for row in 0..height / side {
                for column in 0..width / side {
                    let corner = start + row * side * width + column * side;
                    let mut largest = corner;
                    for down in 0..side {
                        for place in corner + down * width..corner + down * width + side {
                            let (value, most) = (images[place], images[largest]);
                            if value > most || (value.is_nan() && !most.is_nan()) {
                                largest = place;
                            }
                        }
                    }
                    found(largest);
                }
            }
        }
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
        self.each(images, [height, width], |place| pooled.push(images[place]));
        output(pooled, shape)
    }

    fn bwd(&self, input: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let ((.., height, width), gradient) = (input.dims4()?, gradient.contiguous()?);
        let spread = with_all([input, &gradient], |[images, gradient]| {
            let (mut spread, mut gradient) = (vec![0.0; images.len()], gradient.iter());
            self.each(images, [height, width], |place| spread[place] = *gradient.next().unwrap_or(&0.0));
            spread
        })?;
        Ok(Some(beside(spread, input.shape(), input)?))
    }
}
