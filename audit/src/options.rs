//! The choices of an analysis, as its summary tells them.

use std::collections::BTreeSet;
use std::path::Path;

use cograd_results::summary::Options;

use crate::plain::example_file;

/// What of a run was analysed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub steps: Option<Span>,
    /// Patterns of the names of the layers.
    pub layers: Option<Vec<String>>,
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
            Some(last) => Some(last.parse::<i64>().ok()?.checked_add(1)?),
            None if past.is_empty() => None,
            None => Some(past.parse().ok()?),
        };
        Some(Span { first, past })
    }

    pub(crate) fn contains(self, number: i64) -> bool {
        number >= self.first && self.past.is_none_or(|past| number < past)
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

/// Null worlds, and halves, that an audit draws again, at most.
const MOST_WORLDS: usize = 1_000_000;
const MOST_HALVES: usize = 10_000;

impl Selection {
    /// What of a run was analysed; the reason if that cannot be told from the study alone.
    pub(crate) fn new(options: &Options) -> Result<Selection, String> {
        if options.null_worlds > MOST_WORLDS || options.kept_worlds > MOST_WORLDS || options.halves > MOST_HALVES {
            return Err(format!(
                "the summary tells of {} null worlds, {} of them kept, and {} halves; at most {MOST_WORLDS} and {MOST_HALVES} \
                 are drawn again: analyse with fewer",
                options.null_worlds, options.kept_worlds, options.halves
            ));
        }
        let steps = match &options.steps {
            Some(text) => Some(Span::parse(text).ok_or_else(|| format!("the steps were chosen by `{text}`"))?),
            None => None,
        };
        let examples = options.examples.as_deref().map(Chosen::parse).transpose()?;
        Ok(Selection { steps, layers: options.layers.clone(), examples })
    }

    pub(crate) fn has_step(&self, step: i64) -> bool {
        self.steps.is_none_or(|steps| steps.contains(step))
    }

    pub(crate) fn has_layer(&self, name: &str) -> bool {
        self.layers.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| fits(pattern, name)))
    }

    pub(crate) fn has_example(&self, example: usize) -> bool {
        match &self.examples {
            None => true,
            Some(Chosen::Span(span)) => span.contains(example as i64),
            Some(Chosen::Ids(ids)) => ids.contains(&example),
        }
    }
}

/// Whether a name fits a pattern: `*` is any text, `?` any letter, a number N alone `layer.N`.
fn fits(pattern: &str, name: &str) -> bool {
    let is_number = !pattern.is_empty() && pattern.bytes().all(|letter| letter.is_ascii_digit());
    if is_number && name.strip_prefix("layer.") == Some(pattern) {
        return true;
    }
    // The lengths of the beginnings of the name that the pattern so far fits.
    let name: Vec<char> = name.chars().collect();
    let mut fitting = BTreeSet::from([0]);
    for letter in pattern.chars() {
        fitting = match (letter, fitting.first()) {
            ('*', Some(&first)) => (first..=name.len()).collect(),
            _ => {
                let goes_on = |&at: &usize| at < name.len() && (letter == '?' || letter == name[at]);
                fitting.into_iter().filter(goes_on).map(|at| at + 1).collect()
            }
        };
    }
    fitting.contains(&name.len())
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

    #[test]
    fn layers_are_chosen_by_their_names() {
        for (pattern, name) in
            [("*", "head"), ("blocks.*.mlp*", "blocks.3.mlp.fc"), ("b?d", "bad"), ("1", "layer.1"), ("1", "1")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "a"), ("1", "layer.11"), ("b?d", "bd"), ("a*", "ba"), ("*.fc", "a.fc.b")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
