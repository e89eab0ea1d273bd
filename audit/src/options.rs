//! The choices of an analysis, as its summary tells them.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use crate::plain::example_file;

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
    pub examples: Option<Chosen>,
}

/// Which examples were chosen.
#[derive(Clone, Debug)]
pub(crate) enum Chosen {
    /// Those with an id in the span.
    Span(Span),
    /// Those that a file names.
    Ids(BTreeSet<usize>),
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
        let steps = match &self.steps {
            Some(text) => Some(Span::parse(text).ok_or_else(|| format!("the steps were chosen by `{text}`"))?),
            None => None,
        };
        Ok(Selection {
            steps,
            layers: self.layers.as_ref().map(|layers| layers.iter().copied().collect()),
            examples: self.examples.as_deref().map(Chosen::parse).transpose()?,
        })
    }
}

impl Chosen {
    fn parse(text: &str) -> Result<Chosen, String> {
        if let Some(span) = Span::parse(text) {
            return Ok(Chosen::Span(span));
        }
        let outside = |why: String| format!("the examples were chosen by a file, which is not of the study: {why}");
        let rows = example_file::read(Path::new(text), None).map_err(outside)?;
        Ok(Chosen::Ids(rows.into_iter().map(|(example, _)| example).collect()))
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
        match &self.examples {
            None => true,
            Some(Chosen::Span(span)) => span.contains(example as i64),
            Some(Chosen::Ids(ids)) => ids.contains(&example),
        }
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
