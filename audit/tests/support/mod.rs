//! What the tests of the audit write: random numbers, Parquet files, and manifests of the files that are there.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use cograd_recorder::Observer;
use cograd_trace::{sealed, sha256_of_file};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Map, Value as Json};

/// Hears nothing.
pub struct Silent;
impl Observer for Silent {}

/// Random numbers that are the same on every machine.
pub struct Random(ChaCha8Rng);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A whole number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound as u64) as usize
    }

    pub fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    pub fn is(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// In [−1, 1].
    pub fn value(&mut self) -> f32 {
        self.below(2_000_001) as f32 / 1e6 - 1.0
    }

    pub fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.value()).collect()
    }
}

/// A Parquet file, as one batch.
pub fn read(path: &Path) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).expect("a file")).expect("Parquet");
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder.build().expect("Parquet").map(|batch| batch.expect("rows")).collect();
    concat_batches(&schema, &batches).expect("one batch")
}

pub fn write(path: &Path, batch: &RecordBatch) {
    let zstd = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let file = fs::File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(zstd)).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
}

/// Enters the files of a run into its manifest as they are, under their names after `rename`, and seals it.
pub fn seal(run: &Path, rename: impl Fn(&str) -> Vec<String>) {
    let path = run.join("manifest.json");
    let mut manifest: Json = serde_json::from_slice(&fs::read(&path).expect("readable")).expect("JSON");
    let mut files = Map::new();
    for (old, entry) in manifest["files"].as_object().expect("files") {
        for name in rename(old) {
            let (file, mut entry) = (run.join(&name), entry.clone());
            entry["bytes"] = fs::metadata(&file).expect("a file").len().into();
            entry["sha256"] = sha256_of_file(&file).expect("a hash").into();
            if name.ends_with(".parquet") {
                entry["rows"] = read(&file).num_rows().into();
            }
            files.insert(name, entry);
        }
    }
    manifest["files"] = files.into();
    manifest["seal"] = "".into();
    fs::write(path, sealed(&manifest).expect("sealed")).expect("written");
}

/// Every file below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(directory).expect("listed").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> =
        paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect();
    files.sort();
    files
}
