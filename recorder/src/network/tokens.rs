//! Texts as numbers of their words, each kept as long as it is, and read as if all were of one length.

use candle_core::{Device, Result, Tensor};

/// What stands behind the last word of a text.
const PADDING: u32 = 0;

/// Many texts, each padded to one width where it is read: memory follows their words, and not the longest of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Tokens {
    texts: Vec<Text>,
    width: usize,
}

/// The tokens of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    words: Box<[u32]>,
    /// With the padding.
    width: usize,
}

impl Text {
    /// All tokens, those of the padding among them.
    pub fn iter(&self) -> impl Iterator<Item = &u32> {
        self.words.iter().chain(std::iter::repeat(&PADDING)).take(self.width)
    }
}

impl Tokens {
    /// Of texts without padding; what is longer than the width is cut.
    pub fn new(texts: impl IntoIterator<Item = impl IntoIterator<Item = u32>>, width: usize) -> Tokens {
        let words = texts.into_iter().map(|words| words.into_iter().take(width).collect());
        Tokens { texts: words.map(|words| Text { words, width }).collect(), width }
    }

    /// Of texts that are padded to the width, one after the other.
    pub fn padded(values: &[u32], width: usize) -> Tokens {
        let words = |row: &[u32]| row.iter().rposition(|&token| token != PADDING).map_or(0, |last| last + 1);
        Tokens::new(values.chunks(width.max(1)).map(|row| row[..words(row)].to_vec()), width)
    }

    /// The number of texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The text of an example.
    pub fn text(&self, example: usize) -> &Text {
        &self.texts[example]
    }

    /// Some of the texts.
    pub(crate) fn subset(&self, rows: &[u32]) -> Tokens {
        Tokens { texts: rows.iter().map(|&row| self.texts[row as usize].clone()).collect(), width: self.width }
    }

    /// Some of the texts, [rows, width].
    pub(super) fn tensor(&self, rows: usize, example: impl Fn(usize) -> usize) -> Result<Tensor> {
        let mut values: Vec<u32> = Vec::with_capacity(rows * self.width);
        (0..rows).for_each(|row| values.extend(self.texts[example(row)].iter()));
        Tensor::from_vec(values, (rows, self.width), &Device::Cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_padded_and_kept_without_padding() {
        let texts = [vec![3, 4], vec![], vec![1, 2, 3, 9]];
        let tokens = Tokens::new(texts, 3);
        assert_eq!(tokens, Tokens::padded(&[3, 4, 0, 0, 0, 0, 1, 2, 3], 3));
        assert_eq!((tokens.len(), tokens.texts[0].words.len(), tokens.texts[1].words.len()), (3, 2, 0));
        assert_eq!(tokens.text(1).iter().collect::<Vec<_>>(), [&0; 3]);
        assert_eq!(tokens.text(2).iter().copied().collect::<Vec<_>>(), [1, 2, 3]);
        let rows = tokens.subset(&[2, 0]).tensor(2, |row| row).unwrap().to_vec2::<u32>().unwrap();
        assert_eq!(rows, [[1, 2, 3], [3, 4, 0]]);
    }
}
