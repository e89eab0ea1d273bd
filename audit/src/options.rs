//! The choices of an analysis, as its summary tells them.

use std::collections::BTreeSet;

use serde::Deserialize;

/// What `options` of `summary.json` says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Options {
    /// What examples are grouped by: `pristine`, `label`, `original-label`, `learned`, or a file.
    pub group_by: String,
    /// Steps that were analysed, as a range; all if there is none.
    pub steps: Option<String>,
    /// Layers that were analysed; all if there are none.
    pub layers: Option<Vec<usize>>,
    /// Sampled examples that were analysed, as a range of ids or a file; all if there is none.
    pub examples: Option<String>,
    /// Resamples for intervals.
    pub bootstrap: usize,
    /// Null worlds per run.
    pub null_worlds: u32,
    /// Analysis seed.
    pub seed: u64,
}

/// What of a run was analysed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub steps: Option<Span>,
    pub layers: Option<BTreeSet<usize>>,
    pub examples: Option<Span>,
}

/// Whole numbers from `first` on, to before `past` if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub first: i64,
    pub past: Option<i64>,
}

impl Span {
    /// Parses `a..b`, `a..=b`, `a..`, `..b`, `..=b`.
    pub(crate) fn parse(text: &str) -> Option<Span> {
        let (first, past) = text.split_once("..")?;
        let first = if first.is_empty() { 0 } else { first.parse().ok()? };
        let past = match past.strip_prefix('=') {
            Some(last) => Some(last.parse::<i64>().ok()? + 1),
            None if past.is_empty() => None,
            None => Some(past.parse().ok()?),
        };
        Some(Span { first, past })
    }

    pub(crate) fn contains(self, number: i64) -> bool {
        number >= self.first && self.past.is_none_or(|past| number < past)
    }
}

impl Options {
    /// What of a run was analysed; the reason if that cannot be told from the study alone.
    pub(crate) fn selection(&self) -> Result<Selection, String> {
        let span = |text: &Option<String>, what: &str| match text {
            None => Ok(None),
            Some(text) => Span::parse(text).map(Some).ok_or_else(|| format!("the {what} were chosen by `{text}`")),
        };
        Ok(Selection {
            steps: span(&self.steps, "steps")?,
            layers: self.layers.as_ref().map(|layers| layers.iter().copied().collect()),
            examples: span(&self.examples, "examples")?,
        })
    }
}

impl Selection {
    pub(crate) fn has_step(&self, step: i64) -> bool {
        self.steps.is_none_or(|steps| steps.contains(step))
    }

    pub(crate) fn has_layer(&self, layer: usize) -> bool {
        self.layers.as_ref().is_none_or(|layers| layers.contains(&layer))
    }

    pub(crate) fn has_example(&self, example: usize) -> bool {
        self.examples.is_none_or(|examples| examples.contains(example as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_ranges_as_rust_writes_them() {
        let span = |first, past| Some(Span { first, past });
        assert_eq!(Span::parse("2..5"), span(2, Some(5)));
        assert_eq!(Span::parse("2..=5"), span(2, Some(6)));
        assert_eq!(Span::parse("2.."), span(2, None));
        assert_eq!(Span::parse("..=5"), span(0, Some(6)));
        assert_eq!(Span::parse("examples.csv"), None);
    }
}
