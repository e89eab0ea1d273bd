//! What a caller can choose, and how it hears of progress.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
    /// Random halves of the sample for intervals; fewer than 39 leave every interval missing.
    pub halves: usize,
    /// The groups that shares, cumulative contributions and tests are of; `None`: what the study has, see [`GroupBy`].
    pub group_by: Option<GroupBy>,
    /// Steps to analyse; `None`: all that are recorded.
    pub steps: Option<Span>,
    /// Patterns of the names of the layers to analyse, `*` standing for any text; `None`: all.
    pub layers: Option<Vec<String>>,
    /// Names of the statistics to compute; `None`: all.
    pub statistics: Option<Vec<String>>,
    /// Sampled examples to analyse; `None`: all.
    pub examples: Option<ExampleSelection>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            null_worlds: 1000,
            seed: 0,
            kept_worlds: 3,
            halves: 199,
            group_by: None,
            steps: None,
            layers: None,
            statistics: None,
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

    /// As the summary of the results has them.
    pub(crate) fn summary(&self) -> cograd_results::summary::Options {
        cograd_results::summary::Options {
            group_by: self.group_by.as_ref().map(GroupBy::to_string),
            steps: self.steps.map(|steps| steps.to_string()),
            layers: self.layers.clone(),
            examples: self.examples.as_ref().map(ExampleSelection::to_string),
            statistics: self.statistics.clone(),
            halves: self.halves,
            null_worlds: self.null_worlds,
            kept_worlds: self.kept_worlds,
            seed: self.seed,
        }
    }
}

/// What examples are grouped by. Without being asked: by `pristine` where every run knows it, else by `label` if there are at most
/// 20 labels, else not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// All in one group.
    All,
    /// The values of a column of `examples.parquet`.
    Column(String),
    /// So many quantiles of a column of numbers.
    Quantiles(String, usize),
    /// Whether the example is of the earlier half of those learned.
    Learned,
    /// Columns `example_id` and `group` of a Parquet or CSV file.
    File(PathBuf),
}

/// `all`, `learned`, `original-label`, `COLUMN:K`, a text with `/` or `.` as a path, or any other as a column.
impl From<&str> for GroupBy {
    fn from(text: &str) -> GroupBy {
        let quantiles = text.rsplit_once(':').and_then(|(column, count)| Some((column, count.parse().ok()?)));
        match (text, quantiles) {
            ("all", _) => GroupBy::All,
            ("learned", _) => GroupBy::Learned,
            ("original-label", _) => GroupBy::Column("original_label".to_string()),
            (path, None) if path.contains(['/', '\\', '.']) => GroupBy::File(path.into()),
            (_, Some((column, count))) => GroupBy::Quantiles(column.to_string(), count),
            (column, None) => GroupBy::Column(column.to_string()),
        }
    }
}

/// As of a text; a path may be any.
impl From<&OsStr> for GroupBy {
    fn from(text: &OsStr) -> GroupBy {
        text.to_str().map_or_else(|| GroupBy::File(text.into()), GroupBy::from)
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupBy::All => formatter.write_str("all"),
            GroupBy::Column(name) if name == "original_label" => formatter.write_str("original-label"),
            GroupBy::Column(name) => formatter.write_str(name),
            GroupBy::Quantiles(name, count) => write!(formatter, "{name}:{count}"),
            GroupBy::Learned => formatter.write_str("learned"),
            GroupBy::File(path) => path.display().fmt(formatter),
        }
    }
}

/// Which contributions a number was computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Estimator {
    /// Those of the sampled examples and coordinates, as they are: the paper's [S 2].
    Paper,
    /// Those of the sample, scaled to estimate the population [S 8.1].
    Population,
    /// Those of all examples and parameters [S 2].
    Exact,
}

impl Estimator {
    /// The name in the tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Estimator::Paper => "paper",
            Estimator::Population => "population",
            Estimator::Exact => "exact",
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
        assert_eq!(GroupBy::from("label"), GroupBy::Column("label".into()));
        assert_eq!(GroupBy::from("loss:4"), GroupBy::Quantiles("loss".into(), 4));
        assert_eq!(GroupBy::from("./label"), GroupBy::File("./label".into()));
        for name in ["all", "pristine", "label", "original-label", "learned", "loss:4", "groups.csv"] {
            assert_eq!(GroupBy::from(name).to_string(), name);
        }
        assert_eq!("0..9".parse(), Ok(ExampleSelection::Ids(Span { first: 0, past: Some(9) })));
        assert_eq!("../ids.csv".parse(), Ok(ExampleSelection::File("../ids.csv".into())));
        assert!("9..0".parse::<ExampleSelection>().is_err());
    }
}
