//! Shards: an analysis of which the row groups are worked on apart has the bytes of one that is made at once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use arrow::array::UInt32Array;
use cograd_analysis::{
    AnalysisError, GroupBy, NoObserver, Observer, Options, Shard, ShardReport, analyze, analyze_from, analyze_shard,
};
use cograd_trace::{FileEntry, Manifest, sealed, sha256_of_file};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use crate::seeds::alter;
use crate::studies::{bytes_of_all, clean, noisy, options, repartition};
use crate::support::*;

/// Shards of one analysis, in directories `1`, `2`, … until they are dropped.
struct Parts(TempDir);

impl Parts {
    fn new(study: &Path, count: u32, options: &Options) -> Parts {
        let parts = Parts(TempDir::new().unwrap());
        (1..=count).for_each(|number| assert!(!parts.make(study, number, count, options).unwrap().was_there));
        parts
    }

    fn make(&self, study: &Path, number: u32, count: u32, options: &Options) -> Result<ShardReport, AnalysisError> {
        analyze_shard(study, Shard::new(number, count).unwrap(), &self.path(number), options, &NoObserver)
    }

    fn path(&self, number: u32) -> PathBuf {
        self.0.path().join(number.to_string())
    }

    /// The last ones first.
    fn paths(&self, count: u32) -> Vec<PathBuf> {
        (1..=count).rev().map(|number| self.path(number)).collect()
    }
}

fn from(study: &Path, parts: &[PathBuf], options: &Options) -> Result<TempDir, AnalysisError> {
    let out = TempDir::new().unwrap();
    let made = analyze_from(study, parts, Some(out.path()), options, &NoObserver);
    match made {
        Ok(_) => Ok(out),
        Err(error) => {
            assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "{error}");
            Err(error)
        }
    }
}

#[track_caller]
fn message<T>(result: Result<T, AnalysisError>, has: &[&str]) {
    let message = result.err().expect("an error").to_string();
    has.iter().for_each(|part| assert!(message.contains(part), "`{message}` has no `{part}`"));
}

fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// Compares every file of the results with that of an analysis without shards.
fn check(study: &Path, options: &Options) {
    let whole = TempDir::new().unwrap();
    analyze(study, Some(whole.path()), options, &NoObserver).unwrap();
    let whole = bytes_of_all(whole.path());
    for (count, threads) in [(1, 1), (3, 2), (16, 1), (30, 2)] {
        with_threads(threads, || {
            let parts = Parts::new(study, count, options);
            let found = from(study, &parts.paths(count), options).unwrap();
            let found = bytes_of_all(found.path());
            assert!(found.keys().eq(whole.keys()));
            for (name, bytes) in &whole {
                assert!(*bytes == found[name], "{} of {count} shards differs", name.display());
            }
        });
    }
}

/// Everything, with intervals.
fn everything() -> Options {
    Options { halves: 40, ..options() }
}

fn fixture(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../trace/tests/fixtures/version-{version}"))
}

/// A run with layers, classes and a population, every step a row group; and a clean one, in one row group.
fn study() -> Study {
    let run = noisy().with_layers(3).with_population(&[0, 1, 4, 20]);
    let study = Study::new(&[run.clone(), clean().with_population(&[2])]);
    repartition(&study.run(&run), 4);
    study
}

#[test]
fn shards_together_give_the_bytes_of_one_analysis() {
    let study = study();
    check(study.path(), &everything());
    let some = Options {
        steps: Some("1..=11".parse().unwrap()),
        layers: Some(vec!["layer.1*".into(), "layer.0*".into()]),
        group_by: Some(GroupBy::Learned),
        ..everything()
    };
    let layers = Study::new(&[noisy().with_layers(3).with_population(&[0, 1, 4, 20])]);
    check(layers.path(), &some);
    check(study.path(), &Options { examples: Some("3..17".parse().unwrap()), ..everything() });
}

#[test]
fn statistics_that_need_little_have_shards_that_hold_little() {
    let study = study();
    for statistics in
        [&["shares"][..], &["overfit"], &["gsnr", "learned"], &["class_stiffness", "cross_terms"], &["similarity"]]
    {
        check(study.path(), &only(statistics));
    }
}

#[test]
fn studies_of_earlier_formats_have_shards() {
    for version in [1, 2] {
        check(&fixture(version), &everything());
    }
}

#[test]
fn runs_of_several_workers_have_shards() {
    let run = noisy().with_layers(2).with_population(&[0, 1, 2, 3, 4, 20]);
    let study = Study::new(std::slice::from_ref(&run));
    repartition(&study.run(&run), 1);
    distribute(&study.run(&run), "gradients", 20, &[1, 3]);
    distribute(&study.run(&run), "population", 22, &[2, 1, 4]);
    check(study.path(), &everything());
}

/// Rewrites a record of `examples` examples as a file of each of several workers, who have so many steps in a row group.
fn distribute(run: &Path, record: &str, examples: usize, row_groups: &[usize]) {
    let mut manifest: Manifest = serde_json::from_slice(&fs::read(run.join("manifest.json")).unwrap()).unwrap();
    let is_part = |path: &&String| path.starts_with(&format!("{record}/part"));
    let old: Vec<String> = manifest.files.keys().filter(is_part).cloned().collect();
    let mut steps = Vec::new();
    for path in &old {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(run.join(path)).unwrap()).unwrap();
        steps.extend(reader.with_batch_size(examples).build().unwrap().map(Result::unwrap));
        fs::remove_file(run.join(path)).unwrap();
        manifest.files.remove(path);
    }
    for (worker, &row_group) in row_groups.iter().enumerate() {
        let path = format!("{record}/rank-{worker}/part-00000.parquet");
        fs::create_dir_all(run.join(&path).parent().unwrap()).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(run.join(&path)).unwrap(), steps[0].schema(), None).unwrap();
        let own = UInt32Array::from_iter_values((worker..examples).step_by(row_groups.len()).map(|row| row as u32));
        for (place, step) in steps.iter().enumerate() {
            writer.write(&arrow::compute::take_record_batch(step, &own).unwrap()).unwrap();
            if (place + 1).is_multiple_of(row_group) {
                writer.flush().unwrap();
            }
        }
        writer.close().unwrap();
        let (bytes, sha256) = (fs::metadata(run.join(&path)).unwrap().len(), sha256_of_file(&run.join(&path)).unwrap());
        manifest.files.insert(path, FileEntry { rows: (steps.len() * own.len()) as u64, bytes, sha256 });
    }
    fs::write(run.join("manifest.json"), sealed(&manifest).unwrap()).unwrap();
}

/// Hears which steps are read.
#[derive(Default)]
struct Heard(Mutex<Vec<usize>>);

impl Observer for Heard {
    fn run_started(&self, _: &str, _: usize, _: usize, steps: usize) {
        self.0.lock().unwrap().push(steps);
    }
}

#[test]
fn a_shard_that_is_there_is_not_made_again_and_one_that_is_not_whole_or_of_other_options_is() {
    let (study, options) = (study(), everything());
    let parts = Parts::new(study.path(), 3, &options);
    let before = bytes_of_all(&parts.path(2));
    let again = |options: &Options| {
        let heard = Heard::default();
        let shard = "2/3".parse().unwrap();
        let report = analyze_shard(study.path(), shard, &parts.path(2), options, &heard).unwrap();
        (report.was_there, heard.0.into_inner().unwrap().is_empty())
    };
    assert_eq!(again(&options), (true, true));
    alter(&parts.path(2).join("sample-1.parquet"));
    assert_eq!(again(&options), (false, false));
    fs::remove_file(parts.path(2).join("shard.json")).unwrap();
    assert_eq!(again(&options), (false, false));
    assert!(before == bytes_of_all(&parts.path(2)), "the same shard has the same bytes");
    assert_eq!(again(&Options { seed: 4, ..options.clone() }), (false, false));
    assert_eq!(again(&options), (false, false));
    // Another shard of the same analysis is not lost by a slip.
    let result = analyze_shard(study.path(), "1/3".parse().unwrap(), &parts.path(2), &options, &NoObserver);
    message(result, &["it holds shard 2/3", "another directory for shard 1/3"]);
    assert!(before == bytes_of_all(&parts.path(2)));
    // Nor is a directory that holds something else.
    fs::write(parts.0.path().join("notes"), "").unwrap();
    let result = analyze_shard(study.path(), "1/3".parse().unwrap(), parts.0.path(), &options, &NoObserver);
    message(result, &["holds 1, 2, 3", "did not write"]);
}

#[test]
fn shards_that_do_not_make_up_an_analysis_are_named() {
    let (study, options) = (study(), everything());
    let parts = Parts::new(study.path(), 4, &options);
    let path = |number| parts.path(number);
    let error = |paths: &[PathBuf], has: &[&str]| message(from(study.path(), paths, &options), has);
    error(&[path(1), path(2), path(4)], &["shard 3/4 is missing"]);
    error(&[path(2)], &["shards 1/4, 3/4, 4/4 are missing"]);
    error(&[path(1), path(2), path(3), path(2), path(4)], &["shard 2/4 is there twice"]);
    error(&[], &["no shard"]);
    let others = Parts::new(study.path(), 2, &options);
    error(&[path(1), others.path(2)], &["1/4", "2/2", "one division"]);
    error(&[path(1), study.path().join("runs")], &["runs as a shard", "shard.json cannot be read"]);
    for (other, named) in [
        (Options { seed: 9, ..options.clone() }, "seed = 3, but this analysis has 9"),
        (Options { halves: 41, ..options.clone() }, "halves = 40"),
        (Options { null_worlds: 7, ..options.clone() }, "null-worlds = 199"),
        (Options { steps: Some("0..5".parse().unwrap()), ..options.clone() }, "steps = the default"),
        (Options { group_by: Some(GroupBy::All), ..options.clone() }, "group-by = the default"),
        (Options { statistics: Some(vec!["shares".into()]), ..options.clone() }, "statistics"),
    ] {
        message(from(study.path(), &parts.paths(4), &other), &[named, "the same options"]);
    }
    let other = Study::new(&[noisy()]);
    message(from(other.path(), &parts.paths(4), &options), &["another study"]);
    // The same study after a run was recorded again.
    let run = noisy().with_layers(3).with_population(&[0, 1, 4, 20]);
    repartition(&study.run(&run), 5);
    error(&parts.paths(4), &["another run", &run.id()]);
}

#[test]
fn the_content_of_a_file_of_groups_is_an_option_and_its_path_is_not() {
    let place = TempDir::new().unwrap();
    let file = |name: &str, groups: &str| {
        let rows: String = (0..22).map(|id| format!("{id},{}\n", &groups[id % groups.len()..][..1])).collect();
        fs::write(place.path().join(name), format!("example_id,group\n{rows}")).unwrap();
        Options { group_by: Some(GroupBy::File(place.path().join(name))), ..everything() }
    };
    let study = Study::new(&[noisy()]);
    let (one, same, other) = (file("one.csv", "ab"), file("same.csv", "ab"), file("other.csv", "abc"));
    let parts = Parts::new(study.path(), 2, &one);
    from(study.path(), &parts.paths(2), &same).unwrap();
    message(from(study.path(), &parts.paths(2), &other), &["group-by", "SHA-256"]);
}

#[test]
fn a_damaged_shard_is_named() {
    let (study, options) = (study(), everything());
    let parts = Parts::new(study.path(), 2, &options);
    for name in ["sample-0.parquet", "sample-1.parquet", "population-1.parquet", "shard.json"] {
        let number = (1..=2).find(|&number| parts.path(number).join(name).exists()).expect("a shard has it");
        let path = parts.path(number).join(name);
        let before = fs::read(&path).unwrap();
        alter(&path);
        message(from(study.path(), &parts.paths(2), &options), &[name, "make it again"]);
        fs::write(&path, &before[..before.len() / 2]).unwrap();
        message(from(study.path(), &parts.paths(2), &options), &[name, "make it again"]);
        fs::remove_file(&path).unwrap();
        message(from(study.path(), &parts.paths(2), &options), &[name, "make it again"]);
        fs::write(&path, &before).unwrap();
    }
    from(study.path(), &parts.paths(2), &options).unwrap();
}

#[test]
fn a_shard_verifies_what_it_reads_and_the_rest_is_verified_in_the_end() {
    let (study, options) = (study(), everything());
    let run = study.run(&noisy().with_layers(3));
    let parts = Parts::new(study.path(), 6, &options);
    let part = run.join("gradients/part-00003.parquet");
    let before = fs::read(&part).unwrap();
    alter(&part);
    let again = |number| Parts(TempDir::new().unwrap()).make(study.path(), number, 6, &options);
    let results: Vec<bool> = (1..=6).map(|number| again(number).is_ok()).collect();
    assert!(results.contains(&true) && results.contains(&false), "{results:?}");
    // What the shards verified when they read it is not read again.
    from(study.path(), &parts.paths(6), &options).unwrap();
    fs::write(&part, before).unwrap();
    alter(&run.join("metrics.parquet"));
    assert!(from(study.path(), &parts.paths(6), &options).is_err());
}

#[test]
fn a_shard_is_named_as_a_fraction() {
    let shard: Shard = "3/16".parse().unwrap();
    assert_eq!((shard.number(), shard.count(), shard.to_string()), (3, 16, "3/16".to_string()));
    for text in ["", "3", "0/4", "5/4", "1/0", "-1/4", "+1/4", "1/ 4", "1/4/4", "a/b", "1/99999999999"] {
        assert!(text.parse::<Shard>().unwrap_err().contains("3/16"), "{text}");
    }
}
