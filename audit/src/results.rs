//! The published results of a study: summary and tables, against each other, and against what is recomputed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cograd_trace::{Manifest, check_seal};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::check::files::{self, Listed};
use crate::check::over_seeds;
use crate::claim::Claim;
use crate::options::Options;
use crate::recompute::Recomputed;
use crate::schema::{OVER_SEEDS, TABLES};
use crate::sheet::Value;
use crate::sheets;
use crate::table::Table;
use crate::tally::{Number, Tally};

/// How the claims name the results.
const SUBJECT: &str = "analysis";
const SUMMARY: &str = "summary.json";

/// The results, as far as they can be read.
pub(crate) struct Results {
    directory: PathBuf,
    pub summary: Json,
    pub options: Options,
    tables: BTreeMap<&'static str, Table>,
}

/// What the summary says of a table.
#[derive(Deserialize)]
struct TableEntry {
    rows: usize,
    bytes: u64,
    sha256: String,
}

impl Results {
    /// Reads the results in `directory`; `None` if there are none, or none that anything can be compared with.
    pub(crate) fn open(directory: &Path, claims: &mut Vec<Claim>) -> Option<Results> {
        let published = "the published numbers are those of the trace";
        if !directory.is_dir() {
            claims.push(Claim::unchecked(published, SUBJECT, "not analysed"));
            return None;
        }
        let text = match fs::read(directory.join(SUMMARY)) {
            Ok(text) => text,
            Err(error) => {
                let why = format!("{SUMMARY} cannot be read ({error}): the results are of no whole analysis");
                claims.push(Claim::fail(published, SUBJECT, why));
                return None;
            }
        };
        claims.push(match check_seal(&text) {
            Ok(()) => Claim::pass("the summary's seal is that of its text", SUMMARY, "sealed"),
            Err(error) => Claim::fail("the summary's seal is that of its text", SUMMARY, error.to_string()),
        });
        match Results::parse(directory, &text) {
            Ok((mut results, entries)) => {
                results.read_tables(&entries, claims);
                Some(results)
            }
            Err(why) => {
                claims.push(Claim::fail(published, SUBJECT, why));
                None
            }
        }
    }

    fn parse(directory: &Path, text: &[u8]) -> Result<(Results, BTreeMap<String, TableEntry>), String> {
        let summary: Json = serde_json::from_slice(text).map_err(|error| format!("{SUMMARY} is no JSON: {error}"))?;
        let field = |name: &str| summary.get(name).cloned().unwrap_or(Json::Null);
        let wrong = |name: &str, error: serde_json::Error| format!("{SUMMARY}, `{name}`: {error}; analyse again");
        let options = Options::deserialize(field("options")).map_err(|error| wrong("options", error))?;
        let entries = BTreeMap::deserialize(field("files")).map_err(|error| wrong("files", error))?;
        let (directory, tables) = (directory.to_path_buf(), BTreeMap::new());
        Ok((Results { directory, summary, options, tables }, entries))
    }

    /// Reads the tables whose files are those of the summary.
    fn read_tables(&mut self, entries: &BTreeMap<String, TableEntry>, claims: &mut Vec<Claim>) {
        let listed =
            |(name, of): (&String, &TableEntry)| (name.clone(), Listed { bytes: of.bytes, sha256: of.sha256.clone() });
        let files: BTreeMap<String, Listed> = entries.iter().map(listed).collect();
        let names: Vec<&str> = TABLES.iter().map(|table| table.name).chain([OVER_SEEDS.name]).collect();
        let mut whole = Tally::default();
        for name in &names {
            whole.check(entries.contains_key(*name), || format!("{name} is not listed"));
        }
        for name in entries.keys() {
            whole.check(names.contains(&name.as_str()), || format!("{name} is listed, but belongs to nothing"));
        }
        claims.push(whole.into_claim("the summary lists every table", SUMMARY));
        claims.push(files::listed(&self.directory, &files, SUBJECT));
        claims.push(files::nothing_else(
            &self.directory,
            |name| name == SUMMARY || entries.contains_key(name),
            SUBJECT,
        ));

        let mut columns = Tally::default();
        let schemas = TABLES.iter().map(|table| (table.name, table.of_runs()));
        for (name, schema) in schemas.chain([(OVER_SEEDS.name, OVER_SEEDS.columns.to_vec())]) {
            let path = self.directory.join(name);
            let Some(entry) = entries.get(name).filter(|_| path.is_file()) else { continue };
            match Table::read(&path, &schema) {
                Ok(table) => {
                    let rows = table.rows();
                    columns.check(rows == entry.rows, || format!("{name} has {rows} rows, listed are {}", entry.rows));
                    self.tables.insert(name, table);
                }
                Err(why) => columns.check(false, || format!("{name}: {why}")),
            }
        }
        claims.push(columns.into_claim("the tables have the columns and rows that they should", SUBJECT));
    }

    /// Compares every table's rows of a run with those recomputed.
    pub(crate) fn compare(&self, run: &Recomputed, claims: &mut Vec<Claim>) {
        for (table, make) in sheets::OF_RUN {
            let claim = format!("{table} is recomputed");
            claims.push(match (make(run), self.tables.get(table)) {
                (Err(why), _) => Claim::unchecked(&claim, &run.manifest.run, why),
                (_, None) => Claim::unchecked(&claim, &run.manifest.run, "the table cannot be read"),
                (Ok(sheet), Some(found)) => {
                    sheet.compare(found, found.rows_of(&run.manifest.run)).into_claim(&claim, &run.manifest.run)
                }
            });
        }
        claims.extend(self.identities(&run.manifest));
    }

    /// Rule, noise and seed of every row of a run are those of its manifest.
    fn identities(&self, manifest: &Manifest) -> Option<Claim> {
        let mut tally = Tally::default();
        let seed = i64::try_from(manifest.seed).unwrap_or(i64::MAX);
        for (name, table) in &self.tables {
            for &row in table.rows_of(&manifest.run) {
                let place = |column: &str| format!("{column} of row {row} of {name}");
                let mut compare = |column: &str, value: Value| {
                    value.compare(table.cell(column, row), &mut tally, || place(column));
                };
                compare("rule", Value::text(&manifest.rule));
                compare("noise", Value::Number(Number::exact(manifest.noise)));
                compare("seed", Value::Int(seed));
            }
        }
        Some(tally.into_claim("every row has the rule, noise and seed of its run", &manifest.run))
    }

    /// No table has rows of a run that the study does not have.
    pub(crate) fn no_other_runs(&self, runs: &[String]) -> Claim {
        let mut tally = Tally::default();
        for (name, table) in self.tables.iter().filter(|(name, _)| **name != OVER_SEEDS.name) {
            for run in table.runs() {
                tally.check(runs.iter().any(|known| known == run), || format!("{name} has rows of `{run}`"));
            }
        }
        tally.into_claim("the tables are of the study's runs", SUBJECT)
    }

    /// α + β = 1 and Σ s = ‖g‖², in the tables as they are published.
    pub(crate) fn invariants(&self) -> Vec<Claim> {
        let shares = match self.tables.get("decomposition.parquet") {
            Some(table) => shares_add_up(table),
            None => Tally::default(),
        };
        let sums = match (self.tables.get("decomposition.parquet"), self.tables.get("contributions.parquet")) {
            (Some(decomposition), Some(contributions)) => contributions_add_up(decomposition, contributions),
            _ => Tally::default(),
        };
        let over_seeds = match self.tables.contains_key(OVER_SEEDS.name) {
            true => over_seeds::check(&self.tables).into_claim("over_seeds.parquet is recomputed", SUBJECT),
            false => Claim::unchecked("over_seeds.parquet is recomputed", SUBJECT, "the table cannot be read"),
        };
        vec![
            over_seeds,
            shares.into_claim("α + β = 1 wherever they are published", SUBJECT),
            sums.into_claim("Σ s = ‖g‖² wherever they are published", SUBJECT),
        ]
    }
}

fn float(table: &Table, column: &str, row: usize) -> Option<f64> {
    match table.cell(column, row) {
        crate::table::Cell::Float(value) => Some(value),
        _ => None,
    }
}

fn shares_add_up(table: &Table) -> Tally {
    let mut tally = Tally::default();
    for row in 0..table.rows() {
        match (float(table, "alpha", row), float(table, "beta", row)) {
            (Some(alpha), Some(beta)) => {
                let expected = Number::near(1.0, alpha.abs() + beta.abs());
                tally.close(alpha + beta, expected, || format!("α + β of row {row}"));
            }
            (alpha, beta) => tally.check(alpha.is_none() && beta.is_none(), || format!("row {row} has one of them")),
        }
    }
    tally
}

fn contributions_add_up(decomposition: &Table, contributions: &Table) -> Tally {
    use crate::table::Cell::{Int, Text};
    let mut sums: BTreeMap<(String, i64), (f64, f64)> = BTreeMap::new();
    for run in contributions.runs() {
        for &row in contributions.rows_of(run) {
            let (Int(step), Some(value)) = (contributions.cell("step", row), float(contributions, "contribution", row))
            else {
                continue;
            };
            let (sum, size) = sums.entry((run.to_string(), step)).or_default();
            *sum += value;
            *size += value.abs();
        }
    }
    let mut tally = Tally::default();
    for run in decomposition.runs() {
        for &row in decomposition.rows_of(run) {
            let Int(step) = decomposition.cell("step", row) else { continue };
            let norm = float(decomposition, "gradient_norm_sq", row);
            let is_paper = decomposition.cell("estimator", row) == Text("paper");
            let (Some(norm), true) = (norm, is_paper) else { continue };
            match sums.get(&(run.to_string(), step)) {
                Some(&(sum, size)) => {
                    tally.close(norm, Number::near(sum, size), || format!("{run}, step {step}: ‖g‖²"))
                }
                None => tally.check(false, || format!("{run}, step {step}: no contributions")),
            }
        }
    }
    tally
}
