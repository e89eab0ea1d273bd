//! Shards of an analysis: what the kernels find in a part of the row groups, stored, and put together again.
//!
//! The analysis of a run is two halves (`run.rs`): what the kernels find step by step, and every table of it. A shard is the first
//! half of some row groups: of each analysed step its contributions, self terms, values and sums, some kilobytes in place of
//! n × d gradients. Together the shards of an analysis hold every step once, so that the second half, made of them, has
//! the bytes that it has without shards.
//!
//! On disk a shard is a directory with `shard.json`, sealed, and a Parquet file for each run and record that it has steps of. It is
//! read by the version that wrote it, and by no other.

mod division;
mod manifest;
mod set;
mod steps;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use cograd_files::OutputDirectory;
use serde::{Deserialize, Serialize};

use self::division::Piece;
pub(crate) use self::manifest::Origin;
use self::manifest::{RunRecord, ShardManifest};
pub(crate) use self::set::Shards;
pub(crate) use self::steps::Shape;
use crate::run::Steps;
use crate::study::Plan;
use crate::{AnalysisError, Observer, Options};

/// The command that a directory of a shard says it was written by.
const COMMAND: &str = "analyze --shard";

/// One of the shards that an analysis is divided into: `3/16` is the third of sixteen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Shard {
    number: u32,
    count: u32,
}

impl Shard {
    /// The shard `number`, from 1 on, of `count`; `None` if there is no such.
    pub fn new(number: u32, count: u32) -> Option<Shard> {
        (1..=count).contains(&number).then_some(Shard { number, count })
    }

    /// Which it is, from 1 on.
    pub fn number(self) -> u32 {
        self.number
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.count
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let shard = text.split_once('/').and_then(|(number, count)| Shard::new(digits(number)?, digits(count)?));
        shard.ok_or_else(|| format!("`{text}` is no shard: 3/16 is the third of sixteen, and 1/16 the first"))
    }
}

impl TryFrom<String> for Shard {
    type Error = String;

    fn try_from(text: String) -> Result<Shard, String> {
        text.parse()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.number, self.count)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> String {
        shard.to_string()
    }
}

/// A shard on disk.
#[derive(Clone, Debug)]
pub struct ShardReport {
    /// Its directory.
    pub directory: PathBuf,
    /// Its files, `shard.json` last.
    pub files: Vec<PathBuf>,
    /// Whether it was there before, whole, and nothing was done.
    pub was_there: bool,
}

/// Analyses the row groups of one shard of `study` and writes what was found to `out`, for
/// [`analyze_from`](crate::analyze_from). A shard that is there already is not made again.
///
/// # Errors
/// As [`analyze`](crate::analyze); another shard of the same analysis is in `out`.
pub fn analyze_shard(
    study: &Path,
    shard: Shard,
    out: &Path,
    options: &Options,
    observer: &dyn Observer,
) -> Result<ShardReport, AnalysisError> {
    let plan = Plan::new(study, options)?;
    let origin = Origin::new(&plan)?;
    let output = OutputDirectory::claim(out, COMMAND)?;
    if let Some(found) = ShardManifest::open(out).ok().filter(|found| found.origin == origin) {
        if found.shard != shard {
            let message = format!("it holds shard {}: choose another directory for shard {shard}", found.shard);
            return Err(AnalysisError::Shard { path: out.to_path_buf(), message });
        }
        return Ok(ShardReport { directory: out.to_path_buf(), files: found.paths(out), was_there: true });
    }
    let mut manifest = ShardManifest::new(shard, origin);
    let pieces = division::pieces(&plan, shard)?;
    for (index, piece) in pieces.iter().enumerate() {
        let run = &plan.study.runs()[piece.run];
        observer.run_started(&run.manifest().run, index, pieces.len(), piece.steps);
        let record = record(&plan, piece, output.path(), observer, |name, steps| {
            let entry = steps::write(&output.path().join(&name), steps)?;
            manifest.files.insert(name, entry);
            Ok(())
        })?;
        manifest.runs.push(record);
        observer.run_finished();
    }
    let files = manifest.write(output.path())?;
    let files = output.publish(&files)?;
    Ok(ShardReport { directory: out.to_path_buf(), files, was_there: false })
}

/// What is found in a piece of a run, whose files are verified, handed to `write` by the name of its file.
fn record(
    plan: &Plan<'_>,
    piece: &Piece,
    directory: &Path,
    observer: &dyn Observer,
    mut write: impl FnMut(String, &Steps) -> Result<(), AnalysisError>,
) -> Result<RunRecord, AnalysisError> {
    let manifest = plan.study.runs()[piece.run].manifest();
    let reads = |file: &str| piece.files.contains(file);
    let read = |analysis: crate::run::Analysis<'_>| analysis.read(&piece.part, observer);
    let found = plan.verified(&plan.study.runs()[piece.run], directory, reads, read)?;
    let mut keys = |kind, steps: Option<Steps>| match steps.filter(|steps| !steps.steps().is_empty()) {
        Some(steps) => write(steps::file_name(kind, piece.run), &steps).map(|()| Some(steps.keys)),
        None => Ok(None),
    };
    Ok(RunRecord {
        run: manifest.run.clone(),
        sample: keys(steps::SAMPLE, found.sample)?,
        population: keys(steps::POPULATION, found.population)?,
        read: piece.files.iter().map(|file| (file.clone(), manifest.files[file].sha256.clone())).collect(),
    })
}
