//! What a caller can choose, and how it hears of progress.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::AnalysisError;

/// Choices of an analysis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Null worlds per run, B; 0 leaves every p-value missing.
    pub null_worlds: usize,
    /// Analysis seed: with the run id and the number of a world it determines that world.
    pub seed: u64,
    /// Null worlds 1..=k whose curves are kept for drawing, whatever the number of null worlds.
    pub kept_worlds: usize,
    /// Resamples of the examples for intervals; 0 leaves every interval missing.
    pub bootstrap: usize,
    /// The groups that shares, cumulative contributions and tests are of.
    pub group_by: GroupBy,
    /// Steps to analyse; `None`: all that are recorded.
    pub steps: Option<Span>,
    /// Layers to analyse, 0 next to the input; `None`: all.
    pub layers: Option<Vec<usize>>,
    /// Sampled examples to analyse; `None`: all.
    pub examples: Option<ExampleSelection>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            null_worlds: 1000,
            seed: 0,
            kept_worlds: 3,
            bootstrap: 200,
            group_by: GroupBy::Pristine,
            steps: None,
            layers: None,
            examples: None,
        }
    }
}

impl Options {
    /// World numbers and counts are 32-bit in the results.
    pub(crate) fn check(&self) -> Result<(), AnalysisError> {
        let largest = u32::MAX as usize - 1;
        match self.null_worlds.max(self.kept_worlds) {
            worlds if worlds > largest => Err(AnalysisError::TooManyWorlds { worlds, largest }),
            _ => Ok(()),
        }
    }
}

/// What examples are grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Whether label noise left the label as it was.
    Pristine,
    /// The label trained on.
    Label,
    /// The label before label noise.
    OriginalLabel,
    /// Whether the example is of the earlier half of those learned.
    Learned,
    /// Columns `example_id` and `group` of a Parquet or CSV file.
    File(PathBuf),
}

/// The name, or any other text as a path.
impl From<&str> for GroupBy {
    fn from(text: &str) -> GroupBy {
        match text {
            "pristine" => GroupBy::Pristine,
            "label" => GroupBy::Label,
            "original-label" => GroupBy::OriginalLabel,
            "learned" => GroupBy::Learned,
            path => GroupBy::File(path.into()),
        }
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupBy::Pristine => formatter.write_str("pristine"),
            GroupBy::Label => formatter.write_str("label"),
            GroupBy::OriginalLabel => formatter.write_str("original-label"),
            GroupBy::Learned => formatter.write_str("learned"),
            GroupBy::File(path) => path.display().fmt(formatter),
        }
    }
}

/// Which of the sampled examples are analysed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExampleSelection {
    /// Those with an id in the span.
    Ids(Span),
    /// Those in column `example_id` of a Parquet or CSV file.
    File(PathBuf),
}

/// A span, or any text that does not look like one as a path.
impl FromStr for ExampleSelection {
    type Err = String;

    fn from_str(text: &str) -> Result<ExampleSelection, String> {
        let like_span = text.contains("..") && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'='));
        if like_span { text.parse().map(ExampleSelection::Ids) } else { Ok(ExampleSelection::File(text.into())) }
    }
}

impl fmt::Display for ExampleSelection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExampleSelection::Ids(span) => span.fmt(formatter),
            ExampleSelection::File(path) => path.display().fmt(formatter),
        }
    }
}

/// Whole numbers from 0 on: `a..b`, `a..=b`, `a..`, `..b` or `..=b`, as Rust writes ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: i64,
    /// The one past the last; `None`: there is no last.
    pub past: Option<i64>,
}

impl Span {
    /// Whether the number is one of them.
    pub fn contains(&self, number: i64) -> bool {
        number >= self.first && self.past.is_none_or(|past| number < past)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let expected = || format!("`{text}` is no range of whole numbers such as 0..20, 5.. or ..=100");
        let (first, past) = text.split_once("..").ok_or_else(expected)?;
        let number = |digits: &str| match digits.parse::<u32>() {
            Ok(number) if digits.bytes().all(|digit| digit.is_ascii_digit()) => Ok(i64::from(number)),
            _ => Err(expected()),
        };
        let first = if first.is_empty() { 0 } else { number(first)? };
        let past = match (past, past.strip_prefix('=')) {
            ("", _) => None,
            (_, Some(last)) => Some(number(last)? + 1),
            (past, None) => Some(number(past)?),
        };
        match past {
            Some(past) if past <= first => Err(format!("the range `{text}` is empty: its end is not after its start")),
            _ => Ok(Span { first, past }),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.past {
            Some(past) => write!(formatter, "{}..{past}", self.first),
            None => write!(formatter, "{}..", self.first),
        }
    }
}

/// Hears of the progress of an analysis; every method does nothing by default.
pub trait Observer: Sync {
    /// Run `run`, number `index` of `runs`, is begun; `steps` steps will be read.
    fn run_started(&self, _run: &str, _index: usize, _runs: usize, _steps: usize) {}
    /// `steps` steps of the current run have been read so far. Called from several threads.
    fn steps_read(&self, _steps: usize) {}
    /// The current run is done.
    fn run_finished(&self) {}
}

/// The observer that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_rust_writes_ranges() {
        let span = |text: &str| text.parse::<Span>().map(|span| (span.first, span.past));
        assert_eq!(span("2..5"), Ok((2, Some(5))));
        assert_eq!(span("2..=5"), Ok((2, Some(6))));
        assert_eq!(
            (span("2.."), span("..5"), span("..=0"), span("..")),
            (Ok((2, None)), Ok((0, Some(5))), Ok((0, Some(1))), Ok((0, None)))
        );
        for text in ["", "5", "a..b", "-1..3", "1..2..3", "1...3", "+1..3", "1..=", "..99999999999"] {
            assert!(span(text).unwrap_err().contains("no range of whole numbers"), "{text}");
        }
        for text in ["5..5", "5..2", "5..=4", "..0"] {
            assert!(span(text).unwrap_err().contains("empty"), "{text}");
        }
        let steps: Span = "3..=7".parse().unwrap();
        assert_eq!(
            (steps.to_string(), steps.contains(2), steps.contains(3), steps.contains(7), steps.contains(8)),
            ("3..8".to_string(), false, true, true, false)
        );
    }

    #[test]
    fn a_text_that_is_no_name_or_range_is_a_path() {
        assert_eq!(GroupBy::from("label"), GroupBy::Label);
        assert_eq!(GroupBy::from("./label"), GroupBy::File("./label".into()));
        for name in ["pristine", "label", "original-label", "learned", "groups.csv"] {
            assert_eq!(GroupBy::from(name).to_string(), name);
        }
        assert_eq!("0..9".parse(), Ok(ExampleSelection::Ids(Span { first: 0, past: Some(9) })));
        assert_eq!("../ids.csv".parse(), Ok(ExampleSelection::File("../ids.csv".into())));
        assert!("9..0".parse::<ExampleSelection>().is_err());
    }
}
