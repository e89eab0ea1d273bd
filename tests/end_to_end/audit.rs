//! The audit of a study: clean as recorded, analysed and reported; and 230 alterations, every one of which must be caught.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, UInt32Array, UInt64Array,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, UInt32Type, UInt64Type};
use cograd_audit::{Audit, Claim, Verdict, audit};
use cograd_trace::{
    Conditions, Coordinate, ExampleColumn, Metric, Parameter, PopulationLayer, PopulationRows, RunDescription,
    RunWriter, Task, sealed, sha256_of_file,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::Value as Json;

use crate::common::{Workplace, files_below};

/// A study that has everything, as small as can be.
const EXPERIMENT: &str = r#"
name = "audited"
[data]
source = "digits"
[network]
hidden = [6]
[training]
learning_rate = 0.1
batch = 100
steps = 20
[grid]
noise = [0.25, 0.5]
seeds = [1]
[sample]
examples = 30
weights_per_layer = 24
[schedule.gradients]
every_step_until = 10
per_decade = 3
[schedule.evaluations]
every_step_until = 4
per_decade = 2
[schedule.snapshots]
every_step_until = 1
per_decade = 1
[schedule.population]
every_step_until = 2
per_decade = 1
"#;

const ALTERATIONS: usize = 230;
/// Of which flip a byte: as many files as there are, and some again.
const FLIPS: usize = 140;

/// Draws without a library, so that the same alterations are made on every machine.
struct Random(u64);

impl Random {
    /// A whole number below `bound` (SplitMix64).
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) % bound as u64) as usize
    }

    fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// A study with a copy of all its files.
struct Audited {
    place: Workplace,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Audited {
    fn new(experiment: &str) -> Audited {
        let place = Workplace::new();
        place.write("audited.toml", experiment);
        for arguments in [
            &["record", "audited.toml", "--out", "study"][..],
            &["analyze", "study", "--null-worlds", "99", "--halves", "40"],
            &["report", "study"],
        ] {
            place.cograd(arguments.iter().copied().chain(["--quiet"])).assert().success();
        }
        let mut files = files_below(&place.path("study"));
        // The marker of an output directory holds no claim.
        files.retain(|path, _| !path.ends_with(".cograd-output"));
        Audited { place, files }
    }

    fn study(&self) -> PathBuf {
        self.place.path("study")
    }

    fn audit(&self) -> Audit {
        let study = self.study();
        audit(&study, &study.join("analysis"), &study.join("report")).expect("a study with runs")
    }

    /// Writes back every file that is not as it was.
    fn restore(&self) {
        let study = self.study();
        let now = files_below(&study);
        for name in now.keys().filter(|name| !self.files.contains_key(*name)) {
            fs::remove_file(study.join(name)).expect("removed");
        }
        for (name, bytes) in self.files.iter().filter(|(name, bytes)| now.get(*name) != Some(bytes)) {
            fs::write(study.join(name), bytes).expect("restored");
        }
    }

    fn runs(&self) -> Vec<String> {
        let manifests = self.files.keys().filter(|name| name.ends_with("manifest.json") && name.starts_with("runs"));
        manifests.map(|name| name.parent().expect("a run").display().to_string()).collect()
    }

    /// Does what a careful forger would: enters the files that are there into the manifests, these into the summary, and that
    /// into the report, with the right sizes, hashes and seals.
    fn reseal(&self) {
        let study = self.study();
        let mut manifests = BTreeMap::new();
        for run in self.runs() {
            let directory = study.join(&run);
            edit_json(&directory.join("manifest.json"), |manifest| {
                enter_files(&directory, &mut manifest["files"]);
            });
            let sha256 = sha256_of_file(&directory.join("manifest.json")).expect("a hash");
            let bytes: u64 = files_below(&directory).values().map(|bytes| bytes.len() as u64).sum::<u64>()
                - fs::metadata(directory.join("manifest.json")).expect("a manifest").len();
            manifests.insert(run.trim_start_matches("runs/").to_string(), (sha256, bytes));
        }
        let analysis = study.join("analysis");
        let runs = analysis.join("runs.parquet");
        let table = read(&runs);
        let ids = table.column_by_name("run").expect("ids").as_string::<i32>();
        let of_runs = || ids.iter().map(|run| manifests.get(run.expect("an id")).expect("a run"));
        let sha256: ArrayRef = Arc::new(StringArray::from_iter_values(of_runs().map(|(sha256, _)| sha256)));
        let bytes: ArrayRef = Arc::new(UInt64Array::from_iter_values(of_runs().map(|(_, bytes)| *bytes)));
        write(&runs, &with(&with(&table, "manifest_sha256", sha256), "trace_bytes", bytes));
        edit_json(&analysis.join("summary.json"), |summary| {
            enter_files(&analysis, &mut summary["files"]);
            summary["study"]["experiment_sha256"] = sha256_of_file(&study.join("study.toml")).expect("a hash").into();
        });
        // The page tells the hashes of the manifests. Of tables that make no report the old one is left, entered anew.
        let report = study.join("report");
        if cograd_reports::report(&analysis, &report).is_err() {
            self.restore_report();
        }
        edit_json(&report.join("manifest.json"), |manifest| {
            manifest["analysis_sha256"] = sha256_of_file(&analysis.join("summary.json")).expect("a hash").into();
        });
    }

    fn restore_report(&self) {
        for (name, bytes) in self.files.iter().filter(|(name, _)| name.starts_with("report")) {
            fs::write(self.study().join(name), bytes).expect("restored");
        }
    }

    /// Enters the files of the report that are there into its manifest.
    fn reseal_report(&self) {
        let report = self.study().join("report");
        edit_json(&report.join("manifest.json"), |manifest| enter_files(&report, &mut manifest["files"]));
    }
}

/// Edits a sealed JSON file and seals it again.
fn edit_json(path: &Path, edit: impl FnOnce(&mut Json)) {
    let mut json: Json = serde_json::from_slice(&fs::read(path).expect("readable")).expect("JSON");
    edit(&mut json);
    json["seal"] = "".into();
    fs::write(path, sealed(&json).expect("sealed")).expect("written");
}

/// Sizes, hashes and numbers of rows of the listed files, as they are.
fn enter_files(directory: &Path, files: &mut Json) {
    for (name, entry) in files.as_object_mut().expect("files") {
        let path = directory.join(name);
        entry["bytes"] = fs::metadata(&path).expect("a file").len().into();
        entry["sha256"] = sha256_of_file(&path).expect("a hash").into();
        if name.ends_with(".parquet") {
            entry["rows"] = read(&path).num_rows().into();
        }
    }
}

/// A Parquet file, as one batch.
fn read(path: &Path) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).expect("a file")).expect("Parquet");
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder.build().expect("Parquet").map(|batch| batch.expect("rows")).collect();
    concat_batches(&schema, &batches).expect("one batch")
}

fn write(path: &Path, batch: &RecordBatch) {
    let zstd = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let file = fs::File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(zstd)).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
}

/// Puts `value` in place of one cell of a column; `value` is of the cell as a number, a text's being its length.
fn set(batch: &RecordBatch, column: &str, row: usize, value: impl Fn(f64) -> f64) -> RecordBatch {
    let array = batch.column_by_name(column).expect("the column");
    macro_rules! numbers {
        ($kind:ty, $array:ty) => {{
            let old = array.as_primitive::<$kind>();
            let new = |place: usize| match (place == row, old.is_valid(place)) {
                (true, is_valid) => Some(value(if is_valid { old.value(place) as f64 } else { 0.0 }) as _),
                (false, true) => Some(old.value(place)),
                (false, false) => None,
            };
            Arc::new((0..old.len()).map(new).collect::<$array>()) as ArrayRef
        }};
    }
    let altered: ArrayRef = match array.data_type() {
        DataType::Int64 => numbers!(Int64Type, Int64Array),
        DataType::UInt32 => numbers!(UInt32Type, UInt32Array),
        DataType::UInt64 => numbers!(UInt64Type, UInt64Array),
        DataType::Float64 => numbers!(Float64Type, Float64Array),
        DataType::Boolean => {
            let old = array.as_boolean();
            let new = |place: usize| Some(old.value(place) != (place == row));
            Arc::new((0..old.len()).map(new).collect::<BooleanArray>())
        }
        DataType::FixedSizeList(field, width) => {
            let list = array.as_fixed_size_list();
            let entries = row * *width as usize..(row + 1) * *width as usize;
            // The entry that stands out most, so that the alteration is none of rounding.
            macro_rules! entries {
                ($kind:ty, $array:ty) => {{
                    let mut values = list.values().as_primitive::<$kind>().values().to_vec();
                    let largest = entries.max_by(|&a, &b| values[a].abs().total_cmp(&values[b].abs()));
                    let largest = largest.expect("an entry");
                    values[largest] = value(f64::from(values[largest])) as _;
                    Arc::new(<$array>::from(values)) as ArrayRef
                }};
            }
            let values = match field.data_type() {
                DataType::Float32 => entries!(Float32Type, Float32Array),
                _ => entries!(Float64Type, Float64Array),
            };
            Arc::new(FixedSizeListArray::try_new(field.clone(), *width, values, list.nulls().cloned()).expect("a list"))
        }
        DataType::Utf8 => {
            let old = array.as_string::<i32>();
            let new = |place: usize| {
                if place == row { Some("forged") } else { old.is_valid(place).then(|| old.value(place)) }
            };
            Arc::new((0..old.len()).map(new).collect::<StringArray>())
        }
        other => panic!("a column of {other}"),
    };
    with(batch, column, altered)
}

/// Puts another column in place of one.
fn with(batch: &RecordBatch, column: &str, values: ArrayRef) -> RecordBatch {
    let mut columns = batch.columns().to_vec();
    columns[batch.schema().index_of(column).expect("the column")] = values;
    RecordBatch::try_new(batch.schema(), columns).expect("the same columns")
}

fn number(batch: &RecordBatch, column: &str, row: usize) -> Option<f64> {
    let array = batch.column_by_name(column).expect("the column");
    array.is_valid(row).then(|| match array.data_type() {
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row) as f64,
        DataType::UInt32 => f64::from(array.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row) as f64,
        DataType::Boolean => f64::from(u8::from(array.as_boolean().value(row))),
        other => panic!("a column of {other}"),
    })
}

fn has(batch: &RecordBatch, column: &str) -> bool {
    batch.column_by_name(column).is_some()
}

/// Leaves out one row, or has it twice.
fn rows(batch: &RecordBatch, row: usize, twice: bool) -> RecordBatch {
    let mut places: Vec<u32> = (0..batch.num_rows() as u32).collect();
    if twice {
        places.push(row as u32);
    } else {
        places.remove(row);
    }
    take_record_batch(batch, &UInt32Array::from(places)).expect("rows")
}

/// The columns of numbers of each results table, and by how much of itself a number is altered there.
const NUMBERS: [(&str, &[&str]); 20] = [
    ("runs", &["train_examples", "recorded_steps", "final_test_loss", "final_overfit", "proper_accuracy"]),
    ("groups", &["examples", "sampled", "order"]),
    ("metrics", &["value", "examples"]),
    ("learned", &["learned", "fraction", "examples"]),
    ("overfit", &["overfit", "train_accuracy", "proper_accuracy"]),
    ("contributions", &["contribution", "self_term"]),
    ("gradient_norms", &["gradient_norm_sq"]),
    ("shares", &["share", "lower", "upper"]),
    ("cumulative", &["cumulative", "lower"]),
    ("differences", &["difference", "upper"]),
    ("null", &["mean", "sd", "lower", "upper", "p"]),
    ("tests", &["observed", "exceedances", "p", "p_lower", "p_upper", "p_holm", "worlds"]),
    ("cross_terms", &["value", "fraction"]),
    ("coherence", &["value", "lower", "upper"]),
    ("similarity", &["cosine", "pairs", "block_b"]),
    ("neighbours", &["neighbour", "cosine", "rank"]),
    ("coverage", &["compared"]),
    ("curves", &["value", "lower"]),
    ("over_seeds", &["mean", "seeds"]),
    ("predictions", &["measured", "compared_with", "p"]),
];

/// Rows whose number can be altered so that it shows.
fn numbers_there(batch: &RecordBatch, column: &str) -> Vec<usize> {
    let is_there = |value: f64| value.is_finite() && (value.abs() > 1e-6 || column == "exceedances");
    (0..batch.num_rows()).filter(|&row| number(batch, column, row).is_some_and(is_there)).collect()
}

/// Alters one number of a table: a whole one by one, an interval's end by a tenth, any other by a millionth of itself.
fn alter_number(path: &Path, column: &str, random: &mut Random) {
    let batch = read(path);
    let row = *random.one_of(&numbers_there(&batch, column));
    let is_whole = !matches!(batch.column_by_name(column).expect("the column").data_type(), DataType::Float64);
    let is_end = ["lower", "upper"].iter().any(|end| column.ends_with(end));
    let altered = set(&batch, column, row, |value| match (is_whole, is_end) {
        (true, _) => value + 1.0,
        (false, true) => value * 1.1,
        (false, false) => value * (1.0 + 1e-6),
    });
    write(path, &altered);
}

/// What a forger could do to a trace, by name.
fn alter_trace(audited: &Audited, kind: usize, random: &mut Random) -> String {
    let run = audited.study().join(random.one_of(&audited.runs()));
    let edit = |file: &str, edit: &mut dyn FnMut(&RecordBatch) -> RecordBatch| {
        let path = run.join(file);
        write(&path, &edit(&read(&path)));
        format!("{} of {}", file, run.file_name().expect("a run").display())
    };
    let parts: Vec<String> =
        files_below(&run.join("population")).keys().map(|name| name.display().to_string()).collect();
    let parts: Vec<&String> = parts.iter().filter(|name| name.starts_with("part-")).collect();
    let population = format!("population/{}", random.one_of(&parts));
    match kind {
        // A label, with the flag that goes with it.
        0 => edit("examples.parquet", &mut |batch| {
            let row = random.below(batch.num_rows());
            let label = number(batch, "label", row).expect("a label");
            let altered = set(batch, "label", row, |label| (label + 1.0) % 10.0);
            let was = number(batch, "original_label", row) == Some(label);
            let is = number(batch, "original_label", row) == Some((label + 1.0) % 10.0);
            if was == is || !has(&altered, "pristine") { altered } else { set(&altered, "pristine", row, |_| 0.0) }
        }),
        // The labels of two examples changed for each other, so that their counts are kept.
        1 => edit("examples.parquet", &mut |batch| {
            let labels: Vec<f64> = (0..batch.num_rows()).filter_map(|row| number(batch, "label", row)).collect();
            let first = random.below(labels.len());
            let others: Vec<usize> = (0..labels.len()).filter(|&row| labels[row] != labels[first]).collect();
            let second = *random.one_of(&others);
            let mut altered = set(batch, "label", first, |_| labels[second]);
            altered = set(&altered, "label", second, |_| labels[first]);
            for row in [first, second] {
                let unchanged = number(&altered, "label", row) == number(&altered, "original_label", row);
                if has(&altered, "pristine") && (number(&altered, "pristine", row) == Some(1.0)) != unchanged {
                    altered = set(&altered, "pristine", row, |_| 0.0);
                }
            }
            altered
        }),
        2 => edit("examples.parquet", &mut |batch| {
            let row = random.below(batch.num_rows());
            set(batch, "sampled", row, |_| 0.0)
        }),
        3 => edit("examples.parquet", &mut |batch| {
            let learned: Vec<usize> = (0..batch.num_rows())
                .filter(|&row| number(batch, "learned_step", row).is_some_and(|s| s > 0.0))
                .collect();
            set(batch, "learned_step", *random.one_of(&learned), |_| 0.0)
        }),
        4 => edit("gradients/part-00000.parquet", &mut |batch| {
            let row = random.below(batch.num_rows());
            set(batch, "gradient", row, |value| value * 1.01 + 1e-3)
        }),
        5 => edit("coordinates.parquet", &mut |batch| {
            let row = random.below(batch.num_rows());
            set(batch, "index", row, |place| if place > 0.0 { place - 1.0 } else { place + 1.0 })
        }),
        // Losses and accuracies are the metrics of the recorder.
        6 | 7 => edit("metrics.parquet", &mut |batch| {
            let metric = if kind == 6 { "loss" } else { "accuracy" };
            let names = batch.column_by_name("metric").expect("metrics").as_string::<i32>();
            let of_metric: Vec<usize> = (0..batch.num_rows()).filter(|&row| names.value(row) == metric).collect();
            let row = *random.one_of(&of_metric);
            let size = number(batch, "examples", row).expect("a size");
            set(batch, "value", row, |value| match (kind, value > 0.5) {
                (6, _) => value * 1.001,
                (_, true) => value - 1.0 / size,
                (_, false) => value + 1.0 / size,
            })
        }),
        // A contribution or a self term, in a layer and in total alike.
        8 | 9 => edit(&population, &mut |batch| {
            let (column, layers) = match kind {
                8 => ("contribution", "contribution_by_layer"),
                _ => ("self_term", "self_term_by_layer"),
            };
            let row = random.below(batch.num_rows());
            let by = 0.1 * number(batch, column, row).expect("a value").abs() + 1.0;
            set(&set(batch, column, row, |value| value + by), layers, row, |value| value + by)
        }),
        10 => edit("population/gradient-norms.parquet", &mut |batch| {
            let row = random.below(batch.num_rows());
            set(batch, "gradient_norm_sq", row, |value| value * 1.01)
        }),
        // The largest input of an example.
        11 => {
            let path = run.join("inputs.safetensors");
            let mut bytes = fs::read(&path).expect("the inputs");
            let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
            let (values, _) = bytes[8 + header..].as_chunks_mut::<4>();
            let example = random.below(values.len() / 64) * 64;
            let inputs = &mut values[example..example + 64];
            let largest =
                (0..64).max_by(|&a, &b| f32::from_le_bytes(inputs[a]).total_cmp(&f32::from_le_bytes(inputs[b])));
            let largest = &mut inputs[largest.expect("an input")];
            *largest = (f32::from_le_bytes(*largest) - 0.25).to_le_bytes();
            fs::write(&path, bytes).expect("written");
            format!("the inputs of {}", run.file_name().expect("a run").display())
        }
        // The weights of an output in the snapshot at step 0 or 1: a single one may be of a unit that no sampled example turns on.
        _ => {
            let name = *random.one_of(&["weights/step-00000000.safetensors", "weights/step-00000001.safetensors"]);
            let path = run.join(name);
            let mut bytes = fs::read(&path).expect("a snapshot");
            // The weights of the last layer come last in the file, 10 × 6 of them.
            let last = bytes.len() - 4 * 60;
            let (weights, _) = bytes[last..].as_chunks_mut::<4>();
            let first = 6 * random.below(10);
            for weight in &mut weights[first..first + 6] {
                *weight = (f32::from_le_bytes(*weight) + 0.25).to_le_bytes();
            }
            fs::write(&path, bytes).expect("written");
            format!("{name} of {}", run.file_name().expect("a run").display())
        }
    }
}

/// Kinds of [`alter_trace`].
const TRACE_KINDS: usize = 13;

/// What a forger could do to a summary.
fn alter_summary(path: &Path, kind: usize) {
    edit_json(path, |summary| match kind {
        0 => summary["options"]["seed"] = 5.into(),
        1 => summary["options"]["null_worlds"] = 98.into(),
        2 => summary["options"]["halves"] = 41.into(),
        3 => summary["options"]["steps"] = "0..5".into(),
        4 => summary["study"]["name"] = "another".into(),
        5 => summary["conditions"][0]["varies"] = false.into(),
        6 => summary["runs"][1]["seed"] = 2.into(),
        7 => summary["runs"][0]["conditions"]["noise"] = 0.3.into(),
        8 => summary["grouping"]["groups"] = ["corrupt", "pristine"].as_slice().into(),
        _ => summary["verdict"] = "all hold".into(),
    });
}

/// Kinds of [`alter_summary`].
const SUMMARY_KINDS: usize = 10;

/// What a forger could do to a manifest.
fn alter_manifest(path: &Path, kind: usize) {
    edit_json(path, |manifest| match kind {
        0 => manifest["conditions"]["noise"] = 0.3.into(),
        1 => manifest["conditions"]["seed"] = 7.into(),
        2 => manifest["conditions"]["rule"] = "winsorized".into(),
        _ => manifest["steps"] = 21.into(),
    });
}

/// The alteration of the report.
const REPORT_KIND: usize = TRACE_KINDS + SUMMARY_KINDS + 4;

/// The claims that do not hold.
fn failing(audit: &Audit) -> Vec<Claim> {
    audit.claims.iter().filter(|claim| claim.verdict == Verdict::Fail).cloned().collect()
}

/// Whether an audit fails, and the alteration is undone.
fn is_caught(audited: &Audited) -> bool {
    let caught = !audited.audit().is_clean();
    audited.restore();
    caught
}

#[test]
fn alterations_of_every_file_and_kind_are_all_caught() {
    let audited = Audited::new(EXPERIMENT);
    assert!(failing(&audited.audit()).is_empty(), "{:#?}", failing(&audited.audit()));
    // What a forger does to cover up changes nothing in itself.
    audited.reseal();
    assert!(failing(&audited.audit()).is_empty(), "{:#?}", failing(&audited.audit()));
    audited.restore();

    let mut random = Random(4);
    let mut missed = Vec::new();
    let mut made = 0;
    let mut judge = |name: String| {
        made += 1;
        if !is_caught(&audited) {
            missed.push(name);
        }
    };

    let names: Vec<PathBuf> = audited.files.keys().cloned().collect();
    assert!(names.len() <= FLIPS, "{} files", names.len());
    for flip in 0..FLIPS {
        let name = names.get(flip).unwrap_or_else(|| random.one_of(&names)).clone();
        let mut bytes = audited.files[&name].clone();
        let (place, bit) = (random.below(bytes.len()), random.below(8));
        bytes[place] ^= 1 << bit;
        fs::write(audited.study().join(&name), bytes).expect("written");
        judge(format!("bit {bit} of byte {place} of {}", name.display()));
    }

    // With hashes and seals as they were, then as a careful forger leaves them.
    let analysis = audited.study().join("analysis");
    for kind in 0..ALTERATIONS - FLIPS {
        let is_forged = kind % 5 != 0;
        let name = match kind {
            0..TRACE_KINDS => alter_trace(&audited, kind, &mut random),
            kind if kind < TRACE_KINDS + SUMMARY_KINDS => {
                alter_summary(&analysis.join("summary.json"), kind - TRACE_KINDS);
                format!("summary.json, {}", kind - TRACE_KINDS)
            }
            kind if kind < REPORT_KIND => {
                let run = random.one_of(&audited.runs()).clone();
                let kind = kind - TRACE_KINDS - SUMMARY_KINDS;
                alter_manifest(&audited.study().join(&run).join("manifest.json"), kind);
                format!("the manifest of {run}, {kind}")
            }
            REPORT_KIND => {
                let page = audited.study().join("report/index.html");
                let text = fs::read_to_string(&page).expect("the page");
                fs::write(page, text.replacen("0.5", "0.6", 1)).expect("written");
                "the page".to_string()
            }
            kind => {
                // A study as small as this one has tables and columns without a number.
                let columns_of = |(table, columns): &(&'static str, &[&'static str])| {
                    let path = analysis.join(format!("{table}.parquet"));
                    let batch = read(&path);
                    let there = columns.iter().copied().filter(|column| !numbers_there(&batch, column).is_empty());
                    (*table, path, there.collect::<Vec<&str>>())
                };
                let from_here = NUMBERS.iter().cycle().skip(kind % NUMBERS.len()).take(NUMBERS.len());
                let found = from_here.map(columns_of).find(|(_, _, columns)| !columns.is_empty());
                let (table, path, columns) = found.expect("a table with numbers");
                match kind % 7 {
                    5 | 6 => {
                        let batch = read(&path);
                        let row = random.below(batch.num_rows());
                        write(&path, &rows(&batch, row, kind % 7 == 6));
                        format!("row {row} of {table} left out or twice")
                    }
                    _ => {
                        let column = *random.one_of(&columns);
                        alter_number(&path, column, &mut random);
                        format!("{column} of {table}")
                    }
                }
            }
        };
        if kind == REPORT_KIND {
            audited.reseal_report();
        } else if is_forged {
            audited.reseal();
        }
        judge(format!("{name}, {}", if is_forged { "forged" } else { "plainly" }));
    }
    assert_eq!(made, ALTERATIONS);
    assert!(missed.is_empty(), "{} of {made} were caught; missed: {missed:#?}", made - missed.len());
}

#[test]
fn intervals_over_seeds_are_recomputed() {
    let audited = Audited::new(&EXPERIMENT.replace("[0.25, 0.5]", "[0.5]").replace("seeds = [1]", "seeds = [1, 2, 5]"));
    assert!(audited.audit().is_clean(), "{:#?}", audited.audit().claims);
    for column in ["mean", "lower", "upper"] {
        alter_number(&audited.study().join("analysis/over_seeds.parquet"), column, &mut Random(4));
        audited.reseal();
        let failing = failing(&audited.audit());
        assert!(failing.len() == 1 && failing[0].claim.contains("over_seeds"), "{column}: {failing:#?}");
        audited.restore();
    }
}

#[test]
fn the_json_has_the_form_of_its_document_and_the_report_is_that_beside_the_results() {
    let place = Workplace::new();
    place.record_tiny();
    place.cograd(["analyze", "tiny", "--halves", "0", "--null-worlds", "9", "--out", "mine", "-q"]).assert().success();
    place.cograd(["report", "tiny", "--analysis", "mine", "-q"]).assert().success();
    let audited = place.cograd(["audit", "tiny", "--analysis", "mine", "--json"]).assert().success();
    let json: Json = serde_json::from_slice(&audited.get_output().stdout).expect("JSON");
    let keys = |object: &Json| {
        let mut keys: Vec<String> = object.as_object().expect("an object").keys().cloned().collect();
        keys.sort();
        keys
    };
    assert_eq!((keys(&json), &json["format"]), (["claims", "format", "study"].map(str::to_string).to_vec(), &1.into()));
    assert_eq!(json["study"], "tiny");
    let claims = json["claims"].as_array().expect("claims");
    for claim in claims {
        let expected = ["allowed", "claim", "deviation", "subject", "verdict", "why"];
        assert_eq!(keys(claim), expected.map(str::to_string), "{claim}");
        assert!(["claim", "subject", "why"].iter().all(|key| claim[key].is_string()), "{claim}");
        assert!(
            ["pass", "fail", "not checkable", "note"].iter().any(|verdict| claim["verdict"] == *verdict),
            "{claim}"
        );
        let is_number = |key: &str| claim[key].is_null() || claim[key].is_number();
        assert!(is_number("deviation") && is_number("allowed"), "{claim}");
    }
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.md")).expect("a document");
    for key in ["format", "study", "claims", "claims[].claim", "claims[].verdict", "claims[].why", "claims[].allowed"] {
        assert!(document.contains(&format!("`{key}`")), "{key}");
    }
    let drawn = claims.iter().find(|claim| claim["claim"] == "the report is drawn from these results");
    assert_eq!(drawn.expect("a claim of the report")["verdict"], "pass", "{drawn:?}");
}

#[test]
fn the_exit_code_and_the_json_tell_whether_a_study_is_clean() {
    let place = Workplace::new();
    let study = place.record_tiny();
    let recorded = place.cograd(["audit", "tiny"]).assert().success();
    let table = String::from_utf8(recorded.get_output().stdout.clone()).expect("UTF-8");
    assert!(table.contains("not analysed") && table.contains(" 0 FAIL"), "{table}");

    let metrics = study.join("runs/sgd_noise-0.5_seed-1/metrics.parquet");
    let mut bytes = fs::read(&metrics).expect("the curves");
    bytes[100] ^= 1;
    fs::write(&metrics, bytes).expect("altered");
    let altered = place.cograd(["audit", "tiny", "--json"]).assert().code(1);
    let json: Json = serde_json::from_slice(&altered.get_output().stdout).expect("JSON");
    let failing: Vec<&Json> =
        json["claims"].as_array().expect("claims").iter().filter(|claim| claim["verdict"] == "fail").collect();
    assert!(failing.len() == 1 && failing[0]["why"].to_string().contains("metrics.parquet"), "{failing:?}");
}

/// Sizes of the study of another program: m, and the steps with gradients.
const EXAMPLES: u32 = 60;
const STEPS: [i64; 13] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30];

/// Gradients of all examples over all 29 parameters, half of each being common to the examples of one kind.
fn gradients(random: &mut Random) -> Vec<Vec<f32>> {
    let mut value = || random.below(2001) as f32 / 1000.0 - 1.0;
    let common: Vec<f32> = (0..29).map(|_| value()).collect();
    let of_example = |example: u32| {
        let kind = (example % 4) as f32 / 6.0;
        common.iter().map(|common| kind * common + value()).collect()
    };
    (0..EXAMPLES).map(of_example).collect()
}

fn layer_of<'a>(contributions: &'a [f64], own: &'a [f64], with_self_terms: bool) -> PopulationLayer<'a> {
    PopulationLayer { contributions, self_terms: with_self_terms.then_some(own) }
}

/// Records a run with an embedding, a convolution and a scale, whose population is some of the examples.
fn record_elsewhere(study: &Path, run: &str, conditions: Conditions, with_self_terms: bool) {
    let shapes: [(&str, &[u64]); 4] =
        [("embed.weight", &[5, 4]), ("conv.weight", &[2, 3]), ("conv.bias", &[2]), ("scale", &[])];
    let layers = [0..20, 20..28, 28..29];
    // Every second value of the embedding, all of the convolution, mixed.
    let recorded: Vec<(u32, u64)> = (0..10).flat_map(|k| [(0, 2 * k), (1 + (k > 5) as u32, k % 6)]).take(16).collect();
    let population: Vec<u32> = (0..EXAMPLES).filter(|example| example % 5 != 1).collect();
    let sampled: Vec<u32> = (0..EXAMPLES).filter(|example| example % 2 == 1).collect();
    let description = RunDescription {
        run: run.to_string(),
        conditions,
        task: Task { loss: Some("squared error".to_string()), classes: Some(3), ..Task::default() },
        steps: 30,
        writer: "elsewhere 2.0".to_string(),
        train_examples: EXAMPLES as usize,
        example_ids: sampled.clone(),
        population_ids: Some(population.clone()),
        parameters: shapes.map(|(name, shape)| Parameter::new(name, shape, None)).to_vec(),
        coordinates: recorded.iter().map(|&(parameter, index)| Coordinate { parameter, index }).collect(),
    };
    let mut writer = RunWriter::create(study, description).expect("a run");
    let mut random = Random(run.len() as u64);
    for step in STEPS {
        let gradients = gradients(&mut random);
        if step == 7 {
            writer.skip_step(step, "the loss overflowed").expect("skipped");
            continue;
        }
        let first = |parameter: u32| [0, 20, 26, 28][parameter as usize];
        let of_sample = |example: &u32| {
            let all = &gradients[*example as usize];
            recorded.iter().map(|&(parameter, index)| all[first(parameter) + index as usize]).collect::<Vec<f32>>()
        };
        let values: Vec<f32> = sampled.iter().flat_map(of_sample).collect();
        writer.write_gradients(step, &values).expect("gradients");
        if step > 3 {
            continue;
        }
        let (mut contributions, mut self_terms, mut norms) = (Vec::new(), Vec::new(), Vec::new());
        for layer in &layers {
            let rows: Vec<&[f32]> =
                population.iter().map(|&example| &gradients[example as usize][layer.clone()]).collect();
            let sum: Vec<f64> =
                (0..layer.len()).map(|place| rows.iter().map(|row| f64::from(row[place])).sum()).collect();
            let dot = |row: &[f32], other: &[f64]| row.iter().zip(other).map(|(a, b)| f64::from(*a) * b).sum::<f64>();
            contributions.push(rows.iter().map(|row| dot(row, &sum)).collect::<Vec<f64>>());
            let square = |row: &&[f32]| row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
            self_terms.push(rows.iter().map(square).collect::<Vec<f64>>());
            norms.push(sum.iter().map(|value| value * value).sum::<f64>());
        }
        let all = contributions.iter().zip(&self_terms);
        let layers: Vec<PopulationLayer<'_>> =
            all.map(|(contributions, own)| layer_of(contributions, own, with_self_terms)).collect();
        let rows = PopulationRows { layers: &layers, gradient_norms_sq: &norms };
        writer.write_population(step, &rows).expect("a population");
    }
    let ids = || 0..i64::from(EXAMPLES);
    let kinds = ids().map(|id| Some(["cat", "dog", "ox"][(id % 3) as usize].to_string()));
    let columns = [
        ("label", ExampleColumn::Texts(kinds.collect())),
        ("tokens", ExampleColumn::Numbers(ids().map(|id| (id % 7 > 0).then_some(id as f64 / 4.0)).collect())),
        ("learned_step", ExampleColumn::Integers(ids().map(|id| (id % 3 > 0).then_some(id % 4)).collect())),
    ];
    let metric = |step, split: &str, group: &str, metric: &str, value| Metric {
        step,
        split: split.to_string(),
        group: group.to_string(),
        metric: metric.to_string(),
        value,
        examples: 60,
    };
    let metrics = [
        metric(0, "train", "all", "loss", 2.5),
        metric(0, "train", "all", "accuracy", 1.0 / 3.0),
        metric(30, "train", "all", "loss", f64::INFINITY),
        metric(30, "train", "all", "accuracy", 0.7),
        metric(30, "validation", "rare words", "perplexity", 75.0),
    ];
    writer.finish(&columns, &metrics).expect("a finished run");
}

#[test]
fn a_study_of_another_program_is_clean_whatever_it_is_grouped_by() {
    let place = Workplace::new();
    let study = place.path("elsewhere");
    let conditions = |seed, width: i64| Conditions::new(seed).with("rule", "adam").with("width", width);
    record_elsewhere(&study, "narrow-1", conditions(Some(1), 64), true);
    record_elsewhere(&study, "narrow-20", conditions(Some(20), 64), true);
    record_elsewhere(&study, "wide", conditions(None, 128).with("augmented", true), false);
    for options in [
        &[][..],
        &["--group-by", "tokens:3"],
        &["--group-by", "learned", "--steps", "0..9"],
        &["--group-by", "all"],
        &["--layers", "conv", "--examples", "0..40"],
    ] {
        let analyze = ["analyze", "elsewhere", "--null-worlds", "39", "--halves", "40", "--quiet"];
        place.cograd(analyze.iter().chain(options).copied()).assert().success();
        let audit = audit(&study, &study.join("analysis"), &study.join("report")).expect("a study with runs");
        assert!(failing(&audit).is_empty(), "{options:?}: {:#?}", failing(&audit));
        // What the audit cannot know of another program is one line a run.
        let unchecked = audit.claims.iter().filter(|claim| claim.verdict == Verdict::NotCheckable);
        let of_runs = unchecked.filter(|claim| claim.why.contains("written by another program"));
        assert_eq!(of_runs.count(), 3, "{options:?}");
    }
}
