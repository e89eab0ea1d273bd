//! Small studies, results and data, and the readers that are tried on altered files of them.
//!
//! The test and the targets of `fuzz/` share this: a reader may refuse what it is given, and must not panic, abort, go on
//! for ever or take more memory than a small input warrants.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use cograd_analysis::{CompareOptions, Format, GroupBy, NoObserver};
use cograd_files::{FileEntry, sha256};
use cograd_recorder::{Experiment, Observer, RunStart};
use cograd_results::{Results, ResultsError};
use cograd_trace::Run;
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

#[path = "../small_study/mod.rs"]
mod small_study;

/// What is done with an altered file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// Everything that `cograd-trace` reads of a study.
    Trace,
    /// All tables and the summary of results, and exports of them.
    Results,
    /// Figures and pages of a study and of a comparison.
    Report,
    /// The analysis of a study.
    Analysis,
    /// The audit of a study.
    Audit,
    /// A recording that goes on from a checkpoint.
    Resume,
    /// IDX files.
    Images,
    /// An experiment.
    Experiment,
    /// A file that names examples and their groups.
    ExampleFile,
}

/// The targets of `fuzz/`: each alters one file, whose bytes are the first of its corpus.
pub const TARGETS: [(&str, &str, Reader); 14] = [
    ("manifest", "study/runs/sgd_noise-0.5_seed-1/manifest.json", Reader::Trace),
    ("gradients", "study/runs/sgd_noise-0.5_seed-1/gradients/part-00000.parquet", Reader::Trace),
    ("population", "study/runs/sgd_noise-0.5_seed-1/population/part-0000000001.parquet", Reader::Trace),
    ("training_examples", "study/runs/sgd_noise-0.5_seed-1/examples.parquet", Reader::Trace),
    ("tensors", "study/runs/sgd_noise-0.5_seed-1/weights/step-00000001.safetensors", Reader::Trace),
    ("version_1", "version-1/runs/sgd_noise-0.5_seed-3/manifest.json", Reader::Trace),
    ("version_2", "version-2/runs/sgd_noise-0.5_seed-3/manifest.json", Reader::Trace),
    ("results", "study/analysis/shares.parquet", Reader::Results),
    ("summary", "study/analysis/summary.json", Reader::Report),
    ("checkpoint", "unfinished/runs/.sgd_noise-0.5_seed-1.partial/checkpoint", Reader::Resume),
    ("images", "idx/train-images-idx3-ubyte", Reader::Images),
    ("experiment", "experiment.toml", Reader::Experiment),
    ("groups_csv", "groups.csv", Reader::ExampleFile),
    ("groups_parquet", "groups.parquet", Reader::ExampleFile),
];

/// A file to alter.
#[derive(Clone, Debug)]
pub struct Input {
    /// Below the bench's directory.
    pub path: PathBuf,
    /// Its bytes as they are.
    pub bytes: Vec<u8>,
    pub readers: Vec<Reader>,
}

/// A directory with everything, made anew by every process that tries inputs.
pub struct Bench {
    directory: TempDir,
    pub inputs: Vec<Input>,
    /// The unfinished recording, which a reader finishes.
    unfinished: BTreeMap<PathBuf, Vec<u8>>,
}

/// Stops a recording in its second run.
#[derive(Default)]
struct Stop(AtomicBool);

impl Observer for Stop {
    fn run_started(&self, start: &RunStart<'_>) {
        let _ = start;
    }

    fn step(&self, _: &str, step: u64) {
        if step == 6 {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl Bench {
    /// Makes the directory; `root` is that of the repository, which has studies of earlier formats.
    pub fn new(root: &Path) -> Bench {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        small_study::write_images(&at("idx"));
        fs::write(at("experiment.toml"), small_study::EXPERIMENT).expect("an experiment");
        let experiment = experiment(&at("experiment.toml"), &at("idx"));
        for study in ["study", "other"] {
            cograd_recorder::record(&experiment, &at(study), &Stop::default()).expect("a recording");
            cograd_analysis::analyze(&at(study), None, &options(), &NoObserver).expect("an analysis");
        }
        cograd_reports::report(&at("study/analysis"), &at("study/report")).expect("a report");
        let stop = Stop::default();
        let stopping = cograd_recorder::Options { stop: Some(&stop.0), ..Default::default() };
        cograd_recorder::record_with(&experiment, &at("unfinished"), &stopping, &stop).expect_err("it is stopped");
        for version in ["version-1", "version-2"] {
            copy(&root.join("trace/tests/fixtures").join(version), &at(version));
        }
        write_groups(directory.path());
        let unfinished = files_below(&at("unfinished"));
        let inputs = files_below(directory.path()).into_iter().filter_map(|(path, bytes)| {
            let readers = readers(&path);
            (!readers.is_empty() && !bytes.is_empty()).then_some(Input { path, bytes, readers })
        });
        let inputs = inputs.collect();
        Bench { directory, inputs, unfinished }
    }

    /// Puts `bytes` in place of an input, perhaps with the hashes and seals that go with them, has it read, and puts the
    /// input back.
    pub fn try_input(&self, input: &Input, reader: Reader, bytes: &[u8], is_sealed: bool) {
        let mut changed = vec![(input.path.clone(), input.bytes.clone())];
        fs::write(self.at(&input.path), bytes).expect("a file to alter");
        if is_sealed {
            changed.extend(self.seal(input, bytes));
        }
        self.read(reader, &input.path);
        if reader == Reader::Resume {
            fs::remove_dir_all(self.at("unfinished")).expect("what was recorded goes");
            self.unfinished.iter().for_each(|(path, bytes)| write(&self.at("unfinished").join(path), bytes));
        }
        changed.iter().for_each(|(path, bytes)| fs::write(self.at(path), bytes).expect("a file to restore"));
    }

    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Makes hashes and seals right again; returns what else it changed, as it was.
    fn seal(&self, input: &Input, bytes: &[u8]) -> Option<(PathBuf, Vec<u8>)> {
        let path = &input.path;
        if path.ends_with("checkpoint") {
            let content = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes, |end| &bytes[end + 1..]);
            let header = format!("cograd-checkpoint-3 {}\n", sha256(content));
            fs::write(self.at(path), [header.as_bytes(), content].concat()).expect("a checkpoint");
            return None;
        }
        if is_list(path) {
            fs::write(self.at(path), resealed(bytes.to_vec())).expect("a list");
            return None;
        }
        let list = self.inputs.iter().find(|list| {
            is_list(&list.path) && list.path.parent().is_some_and(|directory| path.starts_with(directory))
        })?;
        let name = path.strip_prefix(list.path.parent()?).ok()?.to_string_lossy().into_owned();
        let mut value: serde_json::Value = serde_json::from_slice(&list.bytes).expect("a list");
        let rows = value["files"][&name]["rows"].as_u64().unwrap_or(0);
        let entry = FileEntry { rows, bytes: bytes.len() as u64, sha256: sha256(bytes) };
        value["files"][&name] = serde_json::to_value(entry).expect("an entry");
        // Lists of version 1 have no seal.
        let text = cograd_files::sealed(&value).or_else(|_| serde_json::to_vec(&value));
        fs::write(self.at(&list.path), text.expect("JSON")).expect("a list");
        Some((list.path.clone(), list.bytes.clone()))
    }

    fn read(&self, reader: Reader, path: &Path) {
        let out = self.at("out");
        let study = self.at(path.iter().next().unwrap_or_default());
        match reader {
            Reader::Trace => drop(black_box(read_run(&self.at(path.iter().take(3).collect::<PathBuf>())))),
            Reader::Results => {
                let table = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let tables = Results::read_whole(&self.at("study/analysis"), |results| read_table(results, &table));
                let _ = black_box(tables);
                for format in [Format::Csv, Format::Json] {
                    let _ = cograd_analysis::export(
                        &self.at("study/analysis"),
                        &[format],
                        std::slice::from_ref(&table),
                        &out,
                    );
                }
            }
            Reader::Report => {
                let _ = cograd_reports::report(&self.at("study/analysis"), &out);
                let _ = fs::remove_dir_all(&out);
                let _ = fs::create_dir(&out);
                let both = ["study", "other"].map(|study| self.at(study));
                if cograd_analysis::compare(&both, &CompareOptions::default(), &out).is_ok() {
                    let _ = cograd_reports::report_comparison(&out);
                }
            }
            Reader::Analysis => drop(cograd_analysis::analyze(&study, Some(&out), &options(), &NoObserver)),
            Reader::Audit => drop(cograd_audit::audit(&study, &study.join("analysis"), &study.join("report"))),
            Reader::Resume => {
                let experiment = experiment(&self.at("experiment.toml"), &self.at("idx"));
                let _ = cograd_recorder::record(&experiment, &self.at("unfinished"), &Stop::default());
            }
            Reader::Images => {
                let experiment = experiment(&self.at("experiment.toml"), &self.at("idx"));
                let _ = black_box(cograd_recorder::data::load(&experiment.data));
            }
            Reader::Experiment => {
                let experiment = Experiment::read(&self.at(path));
                let _ = black_box(experiment.map(|experiment| experiment.to_toml()));
            }
            Reader::ExampleFile => {
                let group_by = Some(GroupBy::File(self.at(path)));
                let options =
                    cograd_analysis::Options { group_by, statistics: Some(vec!["shares".into()]), ..options() };
                let _ = cograd_analysis::analyze(&self.at("study"), Some(&out), &options, &NoObserver);
            }
        }
        let _ = fs::remove_dir_all(&out);
    }
}

/// What reads a file of the bench.
fn readers(path: &Path) -> Vec<Reader> {
    use Reader::{Analysis, Audit, ExampleFile, Images, Report, Resume, Trace};
    let (first, name) = (path.iter().next().unwrap_or_default(), path.file_name().unwrap_or_default());
    match (first.to_str(), path.iter().nth(1).and_then(|part| part.to_str())) {
        (Some("idx"), _) => vec![Images],
        (Some("experiment.toml"), _) => vec![Reader::Experiment],
        (Some("groups.csv" | "groups.parquet"), _) => vec![ExampleFile],
        (Some("unfinished"), Some("runs")) => vec![Resume],
        (Some("version-1" | "version-2"), Some("runs")) => vec![Trace, Analysis],
        (Some("study"), Some("runs")) => vec![Trace, Analysis, Audit],
        (Some("study"), Some("analysis")) if name != cograd_files::MARKER => vec![Reader::Results, Report, Audit],
        (Some("study"), Some("report" | "study.toml")) => vec![Audit],
        _ => Vec::new(),
    }
}

fn is_list(path: &Path) -> bool {
    path.ends_with("manifest.json") || path.ends_with("summary.json")
}

/// A sealed text with the seal that it should have.
fn resealed(mut text: Vec<u8>) -> Vec<u8> {
    const FIELD: &[u8] = b"\"seal\": \"";
    const DIGITS: usize = 64;
    let Some(begin) = text.windows(FIELD.len()).rposition(|part| part == FIELD).map(|place| place + FIELD.len()) else {
        return text;
    };
    if begin + DIGITS <= text.len() {
        let seal = sha256(&[&text[..begin], &text[begin + DIGITS..]].concat());
        text[begin..begin + DIGITS].copy_from_slice(seal.as_bytes());
    }
    text
}

/// Few null worlds and halves, but of every statistic.
fn options() -> cograd_analysis::Options {
    cograd_analysis::Options { null_worlds: 9, halves: 39, ..Default::default() }
}

fn experiment(path: &Path, data: &Path) -> Experiment {
    let mut experiment = Experiment::read(path).expect("an experiment");
    experiment.data.directory = Some(data.to_path_buf());
    experiment
}

/// Reads all that a run holds; returns how many of its parts can be read.
fn read_run(directory: &Path) -> usize {
    let Ok(run) = Run::open(directory) else { return 0 };
    let names = run.example_columns().unwrap_or_default();
    let columns = names.iter().filter(|(name, _)| run.example_column(name).is_ok()).count();
    let snapshots = run.snapshots().into_iter().filter(|step| run.weights(*step).is_ok()).count();
    let files = run.manifest().files.keys().filter(|name| run.columns(name).is_ok()).count();
    let others = [
        run.verify().is_ok(),
        run.parameters().is_ok(),
        run.layers().is_ok(),
        run.coordinates().is_ok(),
        run.examples().is_ok(),
        run.metrics().is_ok(),
        run.gradient_norms().is_ok(),
        run.inputs().is_ok(),
        run.network_widths().is_ok(),
        run.map_steps(|step| step.values.len()).is_ok(),
        run.map_population(|step| step.contributions.len()).is_ok(),
    ];
    columns + snapshots + files + others.into_iter().filter(|is_read| *is_read).count()
}

/// Reads a table whole and in parts.
fn read_table(results: &Results, table: &str) -> Result<usize, ResultsError> {
    let mut rows = results.rows(table)?.map_or(0, |rows| rows.len());
    results.each_part(table, |part| rows += part.len())?;
    Ok(rows)
}

/// Groups of the 40 examples, as CSV and as Parquet.
fn write_groups(directory: &Path) {
    let ids: Vec<u32> = (0..40).collect();
    let groups: Vec<&str> = ids.iter().map(|id| ["easy", "hard", "other"][*id as usize % 3]).collect();
    let lines: Vec<String> = ids.iter().zip(&groups).map(|(id, group)| format!("{id},{group}\n")).collect();
    fs::write(directory.join("groups.csv"), format!("example_id,group\n{}", lines.concat())).expect("a CSV file");
    let columns: [(&str, ArrayRef); 2] =
        [("example_id", Arc::new(UInt32Array::from(ids))), ("group", Arc::new(StringArray::from(groups)))];
    let batch = RecordBatch::try_from_iter(columns).expect("a table");
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows");
    fs::write(directory.join("groups.parquet"), writer.into_inner().expect("a file")).expect("a Parquet file");
}

fn files_below(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut files, mut pending) = (BTreeMap::new(), vec![directory.to_path_buf()]);
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(directory).expect("below the directory").to_path_buf();
                files.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

fn copy(from: &Path, to: &Path) {
    files_below(from).iter().for_each(|(path, bytes)| write(&to.join(path), bytes));
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, bytes).expect("a file");
}
