//! The result tables on disk: what each holds, column by column, is in `docs/results.md`.

mod frames;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cograd_trace::write_atomically;
use polars::prelude::{DataFrame, PolarsResult};

use crate::{AnalysisError, RunAnalysis, Summary, TableSummary, curve, over_seeds};
use table::Table;

/// Name of a table and how the rows of one run are made.
type Kind = (&'static str, fn(&RunAnalysis) -> PolarsResult<DataFrame>);

/// The tables, in the order in which they are written.
const KINDS: [Kind; 13] = [
    ("curves.parquet", frames::curves),
    ("learned.parquet", frames::learned),
    ("overfit.parquet", frames::overfit),
    ("contributions.parquet", frames::contributions),
    ("decomposition.parquet", frames::decomposition),
    ("cumulative.parquet", frames::cumulative),
    ("null.parquet", frames::null),
    ("tests.parquet", frames::tests),
    ("groups.parquet", frames::groups),
    ("shares.parquet", frames::shares),
    ("group_tests.parquet", frames::group_tests),
    ("cross_terms.parquet", frames::cross_terms),
    ("coherence.parquet", frames::coherence),
];

/// Made of the other tables once they are complete.
const OVER_SEEDS: &str = "over_seeds.parquet";

/// Written last, so that a directory that has one has all tables.
const SUMMARY: &str = "summary.json";

/// The tables of a study while they are written: under temporary names until all runs are there.
pub(crate) struct Tables {
    directory: PathBuf,
    tables: Vec<Table>,
}

impl Tables {
    /// Makes the directory.
    pub(crate) fn create(directory: &Path) -> Result<Tables, AnalysisError> {
        fs::create_dir_all(directory).map_err(output("create the directory", directory))?;
        let tables = KINDS.iter().map(|(name, _)| Table::create(directory, name)).collect::<Result<_, _>>()?;
        Ok(Tables { directory: directory.to_path_buf(), tables })
    }

    /// Adds the rows of one run to every table.
    pub(crate) fn append(&mut self, analysis: &RunAnalysis) -> Result<(), AnalysisError> {
        KINDS.iter().zip(&mut self.tables).try_for_each(|((_, rows), table)| table.append(rows(analysis)))
    }

    /// Completes every table, still under its temporary name; returns what each holds, by its name to be.
    pub(crate) fn complete(&mut self) -> Result<BTreeMap<String, TableSummary>, AnalysisError> {
        let mut contents = BTreeMap::new();
        for table in &mut self.tables {
            contents.insert(table.name().to_string(), table.complete()?);
        }
        let mut over_seeds = self.over_seeds()?;
        contents.insert(OVER_SEEDS.to_string(), over_seeds.complete()?);
        self.tables.push(over_seeds);
        Ok(contents)
    }

    /// Gives every completed table its name, then writes the summary; returns the paths.
    pub(crate) fn publish(self, summary: &Summary) -> Result<Vec<PathBuf>, AnalysisError> {
        let path = self.directory.join(SUMMARY);
        let text = summary.to_json().map_err(|error| output("write", &path)(error.into()))?;
        // From here to the end the directory mixes two analyses, so it must not have a summary.
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(output("replace", &path)(source));
            }
            _ => {}
        }
        let mut files = self.tables.into_iter().map(Table::publish).collect::<Result<Vec<PathBuf>, _>>()?;
        write_atomically(&path, &text).map_err(AnalysisError::Summary)?;
        files.push(path);
        Ok(files)
    }
}

impl Tables {
    /// The table of every curve over the seeds, made of the completed others.
    fn over_seeds(&self) -> Result<Table, AnalysisError> {
        let is_of = |table: &&Table, name: &str| table.name().strip_suffix(".parquet") == Some(name);
        let runs = curve::of_tables(|name| self.tables.iter().find(|table| is_of(table, name)).map(Table::temporary))?;
        let mut table = Table::create(&self.directory, OVER_SEEDS)?;
        over_seeds::conditions(&runs).iter().try_for_each(|runs| table.append(over_seeds::frame(runs)))?;
        Ok(table)
    }
}

/// An I/O error on `path`.
pub(crate) fn output(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> AnalysisError + use<> {
    let path = path.to_path_buf();
    move |source| AnalysisError::Output { action, path, source }
}
