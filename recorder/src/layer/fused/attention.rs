//! softmax(q kᵀ / √width + mask) v, head by head.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::product::{Matrix, product};
use super::{beside, output, values, with_all};

/// Queries, keys and values `[B, T, width]`, the heads side by side in `width`, to what is attended to, of the same shape.
pub(in crate::layer) struct Attention {
    pub heads: usize,
    /// Added to the scores, `[B, heads, T, T]`, without a way back.
    pub mask: Option<Tensor>,
    /// The weights of the last pass, `[B, heads, T, T]`.
    pub weights: OnceLock<Vec<f32>>,
}

/// The lengths of one pass.
#[derive(Clone, Copy)]
struct Lengths {
    heads: usize,
    length: usize,
    width: usize,
}

impl Lengths {
    fn head(self) -> usize {
        self.width / self.heads
    }

    fn scale(self) -> f32 {
        (1.0 / (self.head() as f64).sqrt()) as f32
    }

    /// Where the head of an example begins.
    fn start(self, part: usize) -> usize {
        part / self.heads * self.length * self.width + part % self.heads * self.head()
    }

    /// A head `[T, width of the head]`, and its transpose.
    fn rows(self, values: &[f32], part: usize) -> Matrix<'_> {
        Matrix { values: &values[self.start(part)..], row: self.width, column: 1 }
    }

    fn columns(self, values: &[f32], part: usize) -> Matrix<'_> {
        Matrix { values: &values[self.start(part)..], row: 1, column: self.width }
    }
}

impl Attention {
    fn lengths(&self, shape: &[usize]) -> Result<(usize, Lengths)> {
        match *shape {
            [examples, length, width] if self.heads > 0 && width % self.heads == 0 && width * length > 0 => {
                Ok((examples * self.heads, Lengths { heads: self.heads, length, width }))
            }
            _ => bail!("{} heads cannot attend to {shape:?}", self.heads),
        }
    }
}

/// Scores to weights, in place.
fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        query: &CpuStorage,
        layout: &Layout,
        key: &CpuStorage,
        key_layout: &Layout,
        value: &CpuStorage,
        value_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (parts, it) = self.lengths(layout.shape().dims())?;
        let (query, key, value) = (values(query, layout)?, values(key, key_layout)?, values(value, value_layout)?);
        if key.len() != query.len() || value.len() != query.len() {
            bail!("queries, keys and values of one length are needed");
        }
        let (square, head) = (it.length * it.length, it.head());
        let mut weights = match &self.mask {
            None => vec![0.0; parts * square],
            Some(mask) => mask.flatten_all()?.to_vec1()?,
        };
        let mut scores = vec![0.0; square];
        let mut attended = vec![0.0; query.len()];
        for (part, weights) in weights.chunks_mut(square).enumerate() {
            let (query, key) = (it.rows(query, part), it.columns(key, part));
            product((&mut scores, it.length), [it.length, head, it.length], query, key, false);
            weights.iter_mut().zip(&scores).for_each(|(weight, score)| *weight += score * it.scale());
            weights.chunks_mut(it.length).for_each(softmax);
            let out = (&mut attended[it.start(part)..], it.width);
            product(out, [it.length, it.length, head], Matrix::rows(weights, it.length), it.rows(value, part), false);
        }
        // Only the first pass is the one whose way back is asked for.
        let _ = self.weights.set(weights);
        output(attended, layout.shape())
    }

    /// With weights P and gradient δ: of v Pᵀδ; of the scores P ⊙ (δvᵀ − Σ of P ⊙ δvᵀ), and from there of q and k.
    fn bwd(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((_, it), gradient) = (self.lengths(query.dims())?, gradient.contiguous()?);
        let (square, head) = (it.length * it.length, it.head());
        let weights = self.weights.get().map_or(&[][..], Vec::as_slice);
        let gradients = with_all([query, key, value, &gradient], |[query, key, value, deltas]| {
            let mut gradients = [(); 3].map(|()| vec![0.0; query.len()]);
            let mut scores = vec![0.0; square];
            for (part, weights) in weights.chunks(square).enumerate() {
                let [of_query, of_key, of_value] = gradients.each_mut().map(|all| &mut all[it.start(part)..]);
                let (delta, lengths) = (it.rows(deltas, part), [it.length, it.length, head]);
                product((of_value, it.width), lengths, Matrix::transposed(weights, it.length), delta, false);
                let values = it.columns(value, part);
                product((&mut scores, it.length), [it.length, head, it.length], delta, values, false);
                for (scores, weights) in scores.chunks_mut(it.length).zip(weights.chunks(it.length)) {
                    let mean: f32 = scores.iter().zip(weights).map(|(score, weight)| score * weight).sum();
                    let pairs = scores.iter_mut().zip(weights);
                    pairs.for_each(|(score, weight)| *score = (*score - mean) * weight * it.scale());
                }
                product((of_query, it.width), lengths, Matrix::rows(&scores, it.length), it.rows(key, part), false);
                let scores = Matrix::transposed(&scores, it.length);
                product((of_key, it.width), lengths, scores, it.rows(query, part), false);
            }
            gradients
        })?;
        let [query, key, value] = gradients.map(|values| beside(values, query.shape(), query));
        Ok((Some(query?), Some(key?), Some(value?)))
    }
}
