//! `summary.json`: what a reader of the results needs before any table.

use std::collections::BTreeMap;

use cograd_files::FileEntry;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Kind;

/// The content of `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of the program that analysed.
    pub cograd: String,
    /// The study analysed.
    pub study: Study,
    /// What was asked for.
    pub options: Options,
    /// The conditions of the study, which every table of runs or conditions has as columns, in this order.
    pub conditions: Vec<Condition>,
    /// The runs, in the order of the tables.
    pub runs: Vec<Run>,
    /// What examples were grouped by, and the groups in order.
    pub grouping: Grouping,
    /// The statistics that were computed.
    pub statistics: Vec<Statistic>,
    /// The studies laid beside each other, in order; only of a comparison.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compared: Vec<Compared>,
    /// The tables, by file name.
    pub files: BTreeMap<String, FileEntry>,
    /// SHA-256 of the file with an empty seal; empty until it is written.
    pub seal: String,
}

/// Which study was analysed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// `name` in study.toml, or the directory's name.
    pub name: String,
    /// SHA-256 of study.toml, the resolved experiment; null if the study has none.
    pub experiment_sha256: Option<String>,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// A column of the examples, a column and a number of quantiles, or the path of a file; null: chosen by what the study has.
    pub group_by: Option<String>,
    /// Steps analysed, as a range; null: all.
    pub steps: Option<String>,
    /// Patterns of the names of the layers analysed; null: all.
    pub layers: Option<Vec<String>>,
    /// Which of the sampled examples were analysed, as a range of ids or the path of a file; null: all.
    pub examples: Option<String>,
    /// Names of the statistics computed; null: all.
    pub statistics: Option<Vec<String>>,
    /// Random halves of the sample for intervals; resamples in results of 0.1.
    #[serde(alias = "bootstrap")]
    pub halves: usize,
    /// Null worlds per run, B.
    pub null_worlds: usize,
    /// Null worlds per run that are kept for drawing.
    pub kept_worlds: usize,
    /// Analysis seed, which determines null worlds and halves.
    pub seed: u64,
}

/// A condition of the runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Its name, and that of its column.
    pub name: String,
    /// The type of its column.
    pub kind: Kind,
    /// Whether its value differs between runs.
    pub varies: bool,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Run id.
    pub run: String,
    /// Its conditions but the seed; one that it has not is left out.
    pub conditions: BTreeMap<String, Value>,
    /// Its seed; null if it has none.
    pub seed: Option<u64>,
}

/// What examples were grouped by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Grouping {
    /// A column of the examples, `COLUMN:K`, `all`, or the path of a file.
    pub by: String,
    /// Names of the groups that any run has, in order.
    pub groups: Vec<String>,
}

/// A statistic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistic {
    /// Its name.
    pub name: String,
    /// What it is, in one line.
    pub about: String,
    /// Unit of its values, empty for a pure number.
    pub unit: String,
    /// Names of the tables that it is in.
    pub tables: Vec<String>,
}

/// A study of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// Its name in the tables.
    pub study: String,
    /// SHA-256 of its `summary.json`, which holds those of its tables.
    pub summary_sha256: String,
}
