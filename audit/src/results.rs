//! The published results of a study: summary and tables, against each other, and against what is recomputed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cograd_results::{Kind, SUMMARY, Scope, Summary, TABLES};
use cograd_trace::Manifest;
use serde_json::Value as Json;

use crate::check::files::{self, Listed};
use crate::claim::Claim;
use crate::evidence::cell;
use crate::sheet::{Comparison, Key, Known, Sheet, Value, describe};
use crate::sheets::{self, Make, Study, over_seeds};
use crate::table::{Table, TableFile, Tables, Unread};
use crate::tally::{Number, Tally};

/// What the sums are of that shares and contributions add up to.
const OF_SHARES: &[&str] = &["run", "estimator", "world", "step"];
const OF_NORMS: &[&str] = &["run", "step"];

/// How the claims name the results.
const SUBJECT: &str = "analysis";

/// The results, as far as they can be read.
pub(crate) struct Results {
    directory: PathBuf,
    pub summary: Summary,
    /// The tables of the definition that could be opened; one that is not listed has no rows.
    pub tables: BTreeMap<&'static str, TableFile>,
    /// Tables and statistics, perhaps, that the audit does not recompute.
    unknown: RefCell<BTreeSet<String>>,
    /// What holds of the tables as they are published.
    pub sums: RefCell<Sums>,
    /// The runs whose rows were compared.
    pub compared: RefCell<BTreeSet<String>>,
}

/// Shares add up to 1, and contributions to ‖g‖².
#[derive(Default)]
pub(crate) struct Sums {
    shares: Tally,
    contributions: Tally,
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
        let text = cograd_files::unmarked(&text);
        let summary: Summary = match serde_json::from_slice(text) {
            Ok(summary) => summary,
            Err(error) => {
                claims.push(Claim::fail(published, SUBJECT, format!("{SUMMARY}: {error}; analyse again")));
                return None;
            }
        };
        let fields = "the summary has the fields that it should";
        let whole = serde_json::from_slice::<Json>(text).ok();
        claims.push(match serde_json::to_value(&summary).ok() == whole {
            true => Claim::pass(fields, SUMMARY, "no other"),
            false => Claim::fail(fields, SUMMARY, "it has others, or is of another version; analyse again"),
        });
        let mut results = Results {
            directory: directory.to_path_buf(),
            summary,
            tables: BTreeMap::new(),
            unknown: RefCell::default(),
            sums: RefCell::default(),
            compared: RefCell::default(),
        };
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
                self.tables.insert(table.name, TableFile::default());
                continue;
            };
            let own = table.columns.iter().map(|column| (column.name.to_string(), column.kind));
            let expected: Vec<(String, Kind)> = self.scope(table.scope).into_iter().chain(own).collect();
            match TableFile::open(&self.directory.join(&name), expected) {
                Ok(found) => {
                    let rows = found.rows as u64;
                    columns.check(rows == entry.rows, || format!("{name} has {rows} rows, listed are {}", entry.rows));
                    self.tables.insert(table.name, found);
                }
                Err(why) if why.is_refused => unread.push(format!("{name} {why}")),
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

    /// Compares the tables of the whole study.
    pub(crate) fn compare_study(&self, study: &Study<'_>, claims: &mut Vec<Claim>) {
        for definition in TABLES {
            match sheets::make(definition.name) {
                Some(Make::OfStudy(make)) => claims.extend(self.claim(definition, SUBJECT, || {
                    let (sheet, found) = (make(study)?, self.tables[definition.name].whole()?);
                    let mut comparison = Comparison::default();
                    self.with_known(definition, |known| comparison.all(&sheet, &found, known));
                    self.tell_unknown(definition, &sheet);
                    Ok(comparison)
                })),
                Some(Make::OverSeeds) => claims.extend(self.claim(definition, SUBJECT, || {
                    let curves = self.tables.get("curves").ok_or("curves.parquet cannot be read".to_string())?;
                    let conditions = || study.conditions.iter().map(|condition| condition.name.clone());
                    let files = [curves, &self.tables[definition.name]];
                    Ok(self.with_known(definition, |known| over_seeds::compare(files, conditions(), known))?)
                })),
                Some(_) => {}
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

    /// The claim that a table is recomputed, from its comparison; none of one that is not there because nobody asked for it.
    pub(crate) fn claim(
        &self,
        definition: &cograd_results::Table,
        subject: &str,
        compared: impl FnOnce() -> Result<Comparison, Unmade>,
    ) -> Option<Claim> {
        let claim = format!("{}.parquet is recomputed", definition.name);
        let is_part = self.summary.options.statistics.is_some();
        let found = self.tables.get(definition.name);
        if is_part && found.is_some_and(|found| found.rows == 0) {
            // What statistics that were not asked for have, is not there.
            return None;
        }
        if is_part && definition.scope == Scope::Study {
            let why = "it is of statistics some of which were not asked for: analyse without `--statistics`";
            return Some(Claim::unchecked(&claim, subject, why));
        }
        let unread = || Claim::unchecked(&claim, subject, "the table cannot be read: see the other claims");
        match found.map(|_| compared()) {
            None => Some(unread()),
            Some(Ok(comparison)) => {
                let (tally, unknown) = comparison.finish();
                let of_table = |name: String| format!("{name} of {}.parquet", definition.name);
                self.unknown.borrow_mut().extend(unknown.into_iter().map(of_table));
                Some(tally.into_claim(&claim, subject))
            }
            Some(Err(Unmade::Unknown(why))) => Some(Claim::unchecked(&claim, subject, why)),
            Some(Err(Unmade::Unread(why))) => {
                let why_it_is = format!("{}.parquet {why}", definition.name);
                Some(match why.is_refused {
                    true => Claim::unchecked(&claim, subject, format!("{why_it_is}: make it readable")),
                    false => Claim::fail(&claim, subject, why_it_is),
                })
            }
        }
    }

    /// What `work` makes of what is known of a table beside its rows.
    pub(crate) fn with_known<T>(&self, definition: &cograd_results::Table, work: impl FnOnce(Known<'_>) -> T) -> T {
        let statistics = &self.summary.statistics;
        let has_statistic = |name: &str| {
            statistics.iter().any(|of| name.starts_with(&of.name) && of.tables.iter().any(|of| of == definition.name))
        };
        work(Known { has_statistic: &has_statistic, is_part: self.summary.options.statistics.is_some() })
    }

    /// Tells the columns of a table that its sheets do not have.
    pub(crate) fn tell_unknown(&self, definition: &cograd_results::Table, sheet: &Sheet) {
        let is_in = |column: &&str| sheet.values.contains(column) || sheet.keys.iter().any(|key| key == column);
        let columns = definition.columns.iter().map(|column| column.name).filter(|column| !is_in(column));
        self.unknown.borrow_mut().extend(columns.map(|name| format!("{name} of {}.parquet", definition.name)));
    }

    /// Conditions and seed of these rows of a run are those of its manifest.
    pub(crate) fn identities(&self, manifest: &Manifest, tables: &Tables, tally: &mut Tally) {
        let conditions = self.summary.conditions.iter();
        let cells = conditions.map(|of| (of.name.as_str(), cell(manifest.conditions.get(&of.name), of.kind)));
        let seed = manifest.conditions.seed().map_or(Value::Null, Value::int);
        let cells: Vec<(&str, Value)> = cells.chain([("seed", seed)]).collect();
        for (name, table) in tables {
            for row in 0..table.rows() {
                for (column, expected) in &cells {
                    let place = || format!("{column} of row {} of {name}", table.row_of_file(row));
                    expected.compare(table.cell(column, row), tally, place);
                }
            }
        }
    }

    /// No table has rows of a run that the study does not have.
    fn no_other_runs(&self, study: &Study<'_>) -> Claim {
        let mut tally = Tally::default();
        for (name, table) in &self.tables {
            for run in table.runs.keys() {
                tally.check(study.names.contains(&run.as_str()), || format!("{name} has rows of `{run}`"));
            }
        }
        tally.into_claim("the tables are of the study's runs", SUBJECT)
    }

    /// Shares add up to 1 and contributions to ‖g‖², in the tables as they are published.
    fn invariants(&self) -> Vec<Claim> {
        // Of runs that were not compared.
        let of_runs = |name: &str| self.tables.get(name).into_iter().flat_map(|table| table.runs.keys());
        for run in ["shares", "gradient_norms"].into_iter().flat_map(of_runs).collect::<BTreeSet<_>>() {
            if self.compared.borrow().contains(run) {
                continue;
            }
            let load = |name: &'static str| {
                let file = self.tables.get(name)?;
                Some((name, file.load(file.rows_of(run).to_vec()).ok()?))
            };
            let tables = ["shares", "contributions", "gradient_norms"].into_iter().filter_map(load).collect();
            self.sums.borrow_mut().add(&tables);
        }
        let Sums { shares, contributions } = self.sums.take();
        vec![
            shares.into_claim("shares add up to 1 wherever they are published", SUBJECT),
            contributions.into_claim("Σ s = ‖g‖² wherever they are published", SUBJECT),
        ]
    }
}

impl Sums {
    /// Adds some steps of a run.
    pub(crate) fn add(&mut self, tables: &Tables) {
        if let Some(shares) = tables.get("shares") {
            for (key, (sum, size)) in sums(shares, OF_SHARES, "share") {
                self.shares.close(sum, Number::near(1.0, size), || {
                    format!("sum of the shares of {}", describe(OF_SHARES, &key))
                });
            }
        }
        if let Some((norms, contributions)) = tables.get("gradient_norms").zip(tables.get("contributions")) {
            let sums = sums(contributions, OF_NORMS, "contribution");
            for row in 0..norms.rows() {
                let key: Vec<Key> = OF_NORMS.iter().map(|column| norms.cell(column, row).into()).collect();
                let is_paper = Key::from(norms.cell("estimator", row)) == Key::from("paper");
                let Some(norm) = norms.number("gradient_norm_sq", row).filter(|_| is_paper) else { continue };
                if let Some(&(sum, size)) = sums.get(&key) {
                    self.contributions
                        .close(norm, Number::near(sum, size), || format!("‖g‖² of {}", describe(OF_NORMS, &key)));
                }
            }
        }
    }
}

/// Why there is no comparison of a table.
pub(crate) enum Unmade {
    /// What it must be cannot be told.
    Unknown(String),
    Unread(Unread),
}

impl From<String> for Unmade {
    fn from(why: String) -> Unmade {
        Unmade::Unknown(why)
    }
}

impl From<Unread> for Unmade {
    fn from(why: Unread) -> Unmade {
        Unmade::Unread(why)
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
