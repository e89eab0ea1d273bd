//! The results of an analysis on disk: one definition of every table, and the reader and writer that go by it.
//!
//! A directory of results is Parquet tables and `summary.json`, which lists them with size and SHA-256 and is sealed itself. A
//! table is defined in a file of [`tables`]: its name, columns, types, units, and which columns are curves. The analysis
//! writes by these definitions; reports, audit, exports, comparisons and `docs/results.md` read by them. A table or
//! column that they do not know is read by what its file says of it.

mod error;
pub mod prediction;
mod read;
pub mod summary;
mod table;
pub mod tables;
mod write;

pub use error::ResultsError;
pub use read::{Batches, Results, Rows, SUMMARY, results_in};
pub use summary::Summary;
pub use table::{Column, Curve, CurveName, Kind, Scope, Table};
pub use tables::{COMPARISON_TABLES, TABLES, table};
pub use write::ResultsWriter;

/// The names that curves had in results before they went by group: each with its curve and its groups.
pub const EARLIER_NAMES: [(&str, &str, [Option<&str>; 2]); 5] = [
    ("alpha", "share", [Some("pristine"), None]),
    ("beta", "share", [Some("corrupt"), None]),
    ("cumulative_pristine", "cumulative", [Some("pristine"), None]),
    ("cumulative_corrupt", "cumulative", [Some("corrupt"), None]),
    ("cumulative_difference", "difference", [Some("pristine"), Some("corrupt")]),
];
