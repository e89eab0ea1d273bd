//! The published results of a study: summary and tables, against each other, and against what is recomputed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cograd_results::{Kind, SUMMARY, Scope, Summary, TABLES};
use cograd_trace::Manifest;
use serde_json::Value as Json;

use crate::check::files::{self, Listed};
use crate::claim::{Claim, is_refusal};
use crate::evidence::cell;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Known, Sheet, Value};
use crate::sheets::{self, Make, Study};
use crate::table::{Table, Tables};
use crate::tally::{Number, Tally};

/// How the claims name the results.
const SUBJECT: &str = "analysis";

/// The results, as far as they can be read.
pub(crate) struct Results {
    directory: PathBuf,
    pub summary: Summary,
    /// The tables of the definition that could be read; one that is not listed has no rows.
    pub tables: Tables,
    /// Tables and statistics, perhaps, that the audit does not recompute.
    unknown: RefCell<BTreeSet<String>>,
}

impl Results {
    /// Reads the results in `directory`; `None` if there are none, or none that anything can be compared with.
    pub(crate) fn open(directory: &Path, claims: &mut Vec<Claim>) -> Option<Results> {
        let published = "the published numbers are those of the trace";
        if !directory.is_dir() {
            claims.push(Claim::unchecked(published, SUBJECT, "not analysed: analyse it with `cograd analyze`"));
            return None;
        }
        let text = match cograd_files::read_regular(&directory.join(SUMMARY)) {
            Ok(text) => text,
            Err(error) => {
                let why = format!("{SUMMARY} cannot be read ({error}): the results are of no whole analysis");
                claims.push(Claim::unread(published, SUBJECT, &error, why));
                return None;
            }
        };
        claims.push(files::seal("the summary's seal is that of its text", SUMMARY, &text));
        let summary: Summary = match serde_json::from_slice(&text) {
            Ok(summary) => summary,
            Err(error) => {
                claims.push(Claim::fail(published, SUBJECT, format!("{SUMMARY}: {error}; analyse again")));
                return None;
            }
        };
        let fields = "the summary has the fields that it should";
        let whole = serde_json::from_slice::<Json>(&text).ok();
        claims.push(match serde_json::to_value(&summary).ok() == whole {
            true => Claim::pass(fields, SUMMARY, "no other"),
            false => Claim::fail(fields, SUMMARY, "it has others, or is of another version; analyse again"),
        });
        let (directory, unknown) = (directory.to_path_buf(), RefCell::default());
        let mut results = Results { directory, summary, tables: Tables::new(), unknown };
        results.read_tables(claims);
        Some(results)
    }

    /// Reads the tables whose files are those of the summary.
    fn read_tables(&mut self, claims: &mut Vec<Claim>) {
        let entries = &self.summary.files;
        let listed = entries
            .iter()
            .map(|(name, of)| (name.clone(), Listed { bytes: of.bytes, sha256: of.sha256.clone() }))
            .collect::<BTreeMap<String, Listed>>();
        claims.push(files::listed(&self.directory, &listed, SUBJECT));
        let known = |name: &str| name == SUMMARY || entries.contains_key(name);
        claims.push(files::nothing_else(&self.directory, known, SUBJECT));
        let defined = |file: &String| TABLES.iter().any(|table| *file == format!("{}.parquet", table.name));
        self.unknown.get_mut().extend(entries.keys().filter(|file| !defined(file)).cloned());

        let (mut columns, mut unread) = (Tally::default(), Vec::new());
        for table in TABLES {
            let name = format!("{}.parquet", table.name);
            let Some(entry) = entries.get(&name) else {
                self.tables.insert(table.name, Table::default());
                continue;
            };
            let own = table.columns.iter().map(|column| (column.name.to_string(), column.kind));
            let expected: Vec<(String, Kind)> = self.scope(table.scope).into_iter().chain(own).collect();
            let bytes = match cograd_files::read_regular(&self.directory.join(&name)) {
                Ok(bytes) => bytes,
                Err(error) if is_refusal(&error) => {
                    unread.push(format!("{name} cannot be read: {error}"));
                    continue;
                }
                Err(error) => {
                    columns.check(false, || format!("{name} cannot be read: {error}"));
                    continue;
                }
            };
            match Table::read(bytes, &expected) {
                Ok(found) => {
                    let rows = found.rows() as u64;
                    columns.check(rows == entry.rows, || format!("{name} has {rows} rows, listed are {}", entry.rows));
                    self.tables.insert(table.name, found);
                }
                Err(why) => columns.check(false, || format!("{name}: {why}")),
            }
        }
        let claim = "the tables have the columns and rows that they should";
        claims.push(match unread.is_empty() || columns.failed() > 0 {
            true => columns.into_claim(claim, SUBJECT),
            false => Claim::unchecked(claim, SUBJECT, format!("{}: make it readable", unread.join("; "))),
        });
    }

    /// The columns that every row of a table begins with.
    fn scope(&self, scope: Scope) -> Vec<(String, Kind)> {
        let conditions = self.summary.conditions.iter().map(|condition| (condition.name.clone(), condition.kind));
        match scope {
            Scope::Study => Vec::new(),
            Scope::Condition => conditions.collect(),
            Scope::Run => {
                let ends = [("run".to_string(), Kind::Text), ("seed".to_string(), Kind::Count)];
                let [run, seed] = ends;
                [run].into_iter().chain(conditions).chain([seed]).collect()
            }
        }
    }

    /// Compares every table's rows of a run with those recomputed.
    pub(crate) fn compare(&self, run: &Recomputed, claims: &mut Vec<Claim>) {
        let subject = &run.manifest.run;
        for definition in TABLES {
            if let Some(Make::OfRun(make)) = sheets::make(definition.name) {
                let places = self.tables.get(definition.name).map_or(&[][..], |table| table.rows_of(subject));
                claims.extend(self.compare_table(definition, make(run, &self.tables), places, subject));
            }
        }
        claims.push(self.identities(&run.manifest));
    }

    /// Compares the tables of the whole study.
    pub(crate) fn compare_study(&self, study: &Study<'_>, claims: &mut Vec<Claim>) {
        for definition in TABLES {
            match sheets::make(definition.name) {
                Some(Make::OfStudy(make)) => {
                    let rows = self.tables.get(definition.name).map_or(0, Table::rows);
                    let places: Vec<usize> = (0..rows).collect();
                    claims.extend(self.compare_table(definition, make(study), &places, SUBJECT));
                }
                Some(Make::OfRun(_)) => {}
                None => drop(self.unknown.borrow_mut().insert(format!("{}.parquet", definition.name))),
            }
        }
        claims.push(self.no_other_runs(study));
        claims.extend(self.invariants());
        let unchecked = |name: &String| {
            let why = "the audit does not recompute it yet: a version that does would";
            Claim::unchecked(&format!("{name} is recomputed"), SUBJECT, why)
        };
        claims.extend(self.unknown.borrow().iter().map(unchecked));
    }

    fn compare_table(
        &self,
        definition: &cograd_results::Table,
        sheet: Result<Sheet, String>,
        places: &[usize],
        subject: &str,
    ) -> Option<Claim> {
        let claim = format!("{}.parquet is recomputed", definition.name);
        let is_part = self.summary.options.statistics.is_some();
        let (sheet, found) = match (sheet, self.tables.get(definition.name)) {
            // What statistics that were not asked for have, is not there.
            (_, Some(found)) if is_part && found.rows() == 0 => return None,
            _ if is_part && definition.scope == Scope::Study => {
                return Some(Claim::unchecked(
                    &claim,
                    subject,
                    "it is of statistics some of which were not asked for: analyse without `--statistics`",
                ));
            }
            (Err(why), _) => return Some(Claim::unchecked(&claim, subject, why)),
            (_, None) => {
                return Some(Claim::unchecked(&claim, subject, "the table cannot be read: see the other claims"));
            }
            (Ok(sheet), Some(found)) => (sheet, found),
        };
        let statistics = &self.summary.statistics;
        let has_statistic = |name: &str| {
            statistics.iter().any(|of| name.starts_with(&of.name) && of.tables.iter().any(|of| of == definition.name))
        };
        let (tally, unknown) = sheet.compare(found, places, Known { has_statistic: &has_statistic, is_part });
        let is_in = |column: &&str| sheet.values.contains(column) || sheet.keys.iter().any(|key| key == column);
        let columns = definition.columns.iter().map(|column| column.name).filter(|column| !is_in(column));
        let names = unknown.into_iter().chain(columns.map(str::to_string));
        self.unknown.borrow_mut().extend(names.map(|name| format!("{name} of {}.parquet", definition.name)));
        Some(tally.into_claim(&claim, subject))
    }

    /// Conditions and seed of every row of a run are those of its manifest.
    fn identities(&self, manifest: &Manifest) -> Claim {
        let mut tally = Tally::default();
        let conditions = self.summary.conditions.iter();
        let cells = conditions.map(|of| (of.name.as_str(), cell(manifest.conditions.get(&of.name), of.kind)));
        let seed = manifest.conditions.seed().map_or(Value::Null, Value::int);
        let cells: Vec<(&str, Value)> = cells.chain([("seed", seed)]).collect();
        for (name, table) in &self.tables {
            for &row in table.rows_of(&manifest.run) {
                for (column, expected) in &cells {
                    let place = || format!("{column} of row {row} of {name}");
                    expected.compare(table.cell(column, row), &mut tally, place);
                }
            }
        }
        tally.into_claim("every row has the conditions and the seed of its run", &manifest.run)
    }

    /// No table has rows of a run that the study does not have.
    fn no_other_runs(&self, study: &Study<'_>) -> Claim {
        let mut tally = Tally::default();
        for (name, table) in &self.tables {
            for run in table.runs() {
                tally.check(study.names.contains(&run), || format!("{name} has rows of `{run}`"));
            }
        }
        tally.into_claim("the tables are of the study's runs", SUBJECT)
    }

    /// Shares add up to 1 and contributions to ‖g‖², in the tables as they are published.
    fn invariants(&self) -> Vec<Claim> {
        let table = |name: &str| self.tables.get(name);
        let shares = table("shares").map_or(Tally::default(), |shares| {
            let mut tally = Tally::default();
            for (key, (sum, size)) in sums(shares, &["run", "estimator", "world", "step"], "share") {
                tally.close(sum, Number::near(1.0, size), || format!("sum of the shares of {key:?}"));
            }
            tally
        });
        let contributions = table("gradient_norms").zip(table("contributions")).map(|(norms, contributions)| {
            let mut tally = Tally::default();
            let sums = sums(contributions, &["run", "step"], "contribution");
            for row in 0..norms.rows() {
                let key = ["run", "step"].map(|column| norms.cell(column, row).into()).to_vec();
                let is_paper = Key::from(norms.cell("estimator", row)) == Key::from("paper");
                let Some(norm) = norms.number("gradient_norm_sq", row).filter(|_| is_paper) else { continue };
                if let Some(&(sum, size)) = sums.get(&key) {
                    tally.close(norm, Number::near(sum, size), || format!("‖g‖² of {key:?}"));
                }
            }
            tally
        });
        vec![
            shares.into_claim("shares add up to 1 wherever they are published", SUBJECT),
            contributions.unwrap_or_default().into_claim("Σ s = ‖g‖² wherever they are published", SUBJECT),
        ]
    }
}

/// Sums of a column's values, and of their sizes, over rows alike in the keys.
fn sums(table: &Table, keys: &[&str], column: &str) -> BTreeMap<Vec<Key>, (f64, f64)> {
    let mut sums: BTreeMap<Vec<Key>, (f64, f64)> = BTreeMap::new();
    for row in 0..table.rows() {
        let Some(value) = table.number(column, row) else { continue };
        let key = keys.iter().map(|key| table.cell(key, row).into()).collect();
        let (sum, size) = sums.entry(key).or_default();
        *sum += value;
        *size += value.abs();
    }
    sums
}
