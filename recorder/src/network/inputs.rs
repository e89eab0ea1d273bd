//! Examples as their files store them, gathered into batches.

use candle_core::{Device, Result, Tensor, WithDType, bail};
use rayon::prelude::*;
use std::ops::Range;

use super::Tokens;

/// Many examples, one after the other, as the network reads them.
#[derive(Clone, Copy, Debug)]
pub enum Inputs<'a> {
    /// Of one byte a value.
    Pixels(Pixels<'a>),
    /// Numbers, and how many an example has.
    Numbers(&'a [f32], usize),
    /// Tokens of texts.
    Tokens(&'a Tokens),
}

impl<'a> From<Pixels<'a>> for Inputs<'a> {
    fn from(pixels: Pixels<'a>) -> Inputs<'a> {
        Inputs::Pixels(pixels)
    }
}

impl Inputs<'_> {
    /// The number of examples.
    pub fn len(&self) -> usize {
        match self {
            Inputs::Pixels(pixels) => pixels.len(),
            Inputs::Numbers(values, width) => values.len() / width.max(&1),
            Inputs::Tokens(tokens) => tokens.len(),
        }
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The examples of the given places, in that order, [examples, width], f32, or u32 of tokens.
    ///
    /// # Errors
    /// A place past the end.
    pub fn gather(&self, examples: &[u32]) -> Result<Tensor> {
        if let Some(example) = examples.iter().find(|&&example| example as usize >= self.len()) {
            bail!("example {example} of {}", self.len());
        }
        self.tensor(examples.len(), |row| examples[row] as usize)
    }

    /// The examples of a range of places, as [`Inputs::gather`].
    ///
    /// # Errors
    /// A range past the end.
    pub fn gather_range(&self, examples: Range<usize>) -> Result<Tensor> {
        if examples.end > self.len() {
            bail!("examples {examples:?} of {}", self.len());
        }
        self.tensor(examples.len(), |row| examples.start + row)
    }

    fn tensor(&self, rows: usize, example: impl Fn(usize) -> usize + Sync) -> Result<Tensor> {
        match self {
            Inputs::Pixels(pixels) => pixels.tensor(rows, example),
            Inputs::Numbers(values, width) => copied(values, *width, rows, example),
            Inputs::Tokens(tokens) => tokens.tensor(rows, example),
        }
    }
}

fn copied<T: WithDType>(values: &[T], width: usize, rows: usize, example: impl Fn(usize) -> usize) -> Result<Tensor> {
    let row = |row: usize| &values[example(row) * width..][..width];
    Tensor::from_vec((0..rows).flat_map(row).copied().collect::<Vec<T>>(), (rows, width), &Device::Cpu)
}

/// Many examples of one byte a value. The network sees value / maximum.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a> {
    /// One example after the other.
    pub values: &'a [u8],
    /// Values of one example.
    pub width: usize,
    /// The value that becomes 1.
    pub maximum: f32,
}

impl Pixels<'_> {
    /// The number of examples.
    pub fn len(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// [`Inputs::gather`] of these.
    ///
    /// # Errors
    /// A place past the end.
    pub fn gather(self, examples: &[u32]) -> Result<Tensor> {
        Inputs::from(self).gather(examples)
    }

    fn tensor(&self, rows: usize, example: impl Fn(usize) -> usize + Sync) -> Result<Tensor> {
        let scaled: [f32; 256] = std::array::from_fn(|value| value as f32 / self.maximum);
        let mut inputs = vec![0.0; rows * self.width];
        inputs.par_chunks_mut(self.width.max(1)).with_min_len(16).enumerate().for_each(|(row, inputs)| {
            let values = &self.values[example(row) * self.width..][..self.width];
            for (input, &value) in inputs.iter_mut().zip(values) {
                *input = scaled[usize::from(value)];
            }
        });
        Tensor::from_vec(inputs, (rows, self.width), &Device::Cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIXELS: Pixels<'static> = Pixels { values: &[0, 16, 8, 4, 16, 0], width: 2, maximum: 16.0 };

    #[test]
    fn examples_are_gathered_in_the_order_asked_for_and_scaled() {
        let rows = PIXELS.gather(&[2, 0, 2]).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(rows, [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]);
        let rows = Inputs::from(PIXELS).gather_range(1..3).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(rows, [[0.5, 0.25], [1.0, 0.0]]);
    }

    #[test]
    fn numbers_and_tokens_are_gathered_as_they_are() {
        let rows = Inputs::Numbers(&[0.5, -1.0, 2.0, 3.0], 2).gather(&[1, 0]).unwrap();
        assert_eq!(rows.to_vec2::<f32>().unwrap(), [[2.0, 3.0], [0.5, -1.0]]);
        let rows = Inputs::Tokens(&Tokens::padded(&[7, 0, 9, 8], 2)).gather_range(1..2).unwrap();
        assert_eq!(rows.to_vec2::<u32>().unwrap(), [[9, 8]]);
    }

    #[test]
    fn places_past_the_end_are_errors() {
        assert!(PIXELS.gather(&[0, 3]).is_err());
        assert!(Inputs::from(PIXELS).gather_range(2..4).is_err());
    }
}
