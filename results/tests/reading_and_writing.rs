//! What is written is what is read, and nothing is read that was not written so.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float32Array, Float64Array, Int8Array, Int64Array, LargeStringArray,
    RecordBatch, StringArray, StringViewArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::Int32Type;
use cograd_files::{FileError, sealed};
use cograd_results::summary::{Compared, Condition, Grouping, Options, Run, Statistic, Study};
use cograd_results::{Kind, Results, ResultsError, ResultsWriter, Rows, SUMMARY, Summary};
use serde_json::json;

/// A summary with something in every field but the files.
fn summary() -> Summary {
    Summary {
        cograd: "0.1.0".to_string(),
        study: Study { name: "small".to_string(), experiment_sha256: Some("0".repeat(64)) },
        options: Options {
            group_by: Some("label".to_string()),
            steps: Some("0..100".to_string()),
            layers: Some(vec!["layer.0".to_string()]),
            examples: None,
            statistics: None,
            halves: 200,
            null_worlds: 1000,
            kept_worlds: 3,
            seed: u64::MAX,
        },
        conditions: vec![Condition { name: "noise".to_string(), kind: Kind::Number, varies: true }],
        runs: vec![Run {
            run: "sgd_noise-0.5_seed-1".to_string(),
            conditions: BTreeMap::from([("noise".to_string(), json!(0.5))]),
            seed: Some(1),
        }],
        grouping: Grouping { by: "label".to_string(), groups: vec!["0".to_string(), "1".to_string()] },
        statistics: vec![Statistic {
            name: "m_coherence".to_string(),
            about: "how much the gradients agree".to_string(),
            unit: String::new(),
            tables: vec!["coherence".to_string()],
        }],
        compared: vec![Compared { study: "other".to_string(), summary_sha256: "1".repeat(64) }],
        files: BTreeMap::new(),
        seal: String::new(),
    }
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

/// Publishes these tables, each of some batches.
fn write(directory: &Path, tables: &[(&str, Vec<RecordBatch>)]) -> Summary {
    let mut writer = ResultsWriter::create(directory).unwrap();
    for (name, batches) in tables {
        for batch in batches {
            writer.append(name, batch).unwrap();
        }
    }
    let summary = Summary { files: writer.complete().unwrap(), ..summary() };
    writer.publish(&summary).unwrap();
    summary
}

fn shares() -> RecordBatch {
    batch(vec![
        ("run", Arc::new(StringArray::from(vec![Some("a"), Some("b"), None]))),
        ("step", Arc::new(Int64Array::from(vec![Some(0), Some(-3), None]))),
        ("world", Arc::new(UInt64Array::from(vec![Some(0), Some(u64::MAX), None]))),
        ("share", Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::INFINITY), None]))),
        ("actual", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
    ])
}

fn rows(directory: &Path, table: &str) -> Rows {
    Results::open(directory).unwrap().rows(table).unwrap().unwrap()
}

#[test]
fn what_is_written_is_what_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let written = write(directory.path(), &[("shares", vec![shares()])]);
    let results = Results::open(directory.path()).unwrap();
    assert_eq!(results.directory(), directory.path());
    assert_eq!(Summary { seal: String::new(), ..results.summary().clone() }, written);
    assert_eq!(results.summary().seal.len(), 64);
    assert_eq!(results.tables().collect::<Vec<_>>(), ["shares"]);

    let rows = results.rows("shares").unwrap().unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows.columns().collect::<Vec<_>>(), ["run", "step", "world", "share", "actual"]);
    assert_eq!([0, 1, 2].map(|row| rows.text("run", row)), [Some("a"), Some("b"), None]);
    assert_eq!([0, 1, 2].map(|row| rows.integer("step", row)), [Some(0), Some(-3), None]);
    assert_eq!([0, 1, 2].map(|row| rows.count("world", row)), [Some(0), Some(u64::MAX), None]);
    assert_eq!([0, 1, 2].map(|row| rows.number("share", row)), [Some(0.1), Some(f64::INFINITY), None]);
    assert_eq!([0, 1, 2].map(|row| rows.boolean("actual", row)), [Some(true), Some(false), None]);
    let streamed: usize = results.batches("shares").unwrap().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(streamed, 3);
}

#[test]
fn a_number_that_does_not_fit_the_type_asked_for_is_no_value() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[("shares", vec![shares()])]);
    let rows = rows(directory.path(), "shares");
    assert_eq!(rows.count("step", 1), None, "negative");
    assert_eq!(rows.integer("world", 1), None, "above i64");
    assert_eq!(rows.number("step", 1), Some(-3.0), "whole numbers are real ones");
    assert_eq!(rows.integer("share", 0), None, "real numbers are not whole ones");
    assert_eq!(rows.number("run", 0), None);
    assert_eq!(rows.text("step", 0), None);
    assert_eq!(rows.text("no such column", 0), None);
}

#[test]
fn batches_of_a_table_follow_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let summary = write(directory.path(), &[("shares", vec![shares(), shares(), shares()])]);
    assert_eq!(summary.files["shares.parquet"].rows, 9);
    let rows = rows(directory.path(), "shares");
    assert_eq!((0..9).filter(|&row| rows.text("run", row) == Some("b")).collect::<Vec<_>>(), [1, 4, 7]);
}

#[test]
fn a_batch_with_other_columns_is_an_error_that_names_the_table() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ResultsWriter::create(directory.path()).unwrap();
    writer.append("shares", &shares()).unwrap();
    let error = writer.append("shares", &batch(vec![("step", Arc::new(Int64Array::from(vec![1])))])).unwrap_err();
    assert!(matches!(error, ResultsError::Encode { .. }) && error.to_string().contains("shares.parquet"), "{error}");
}

#[test]
fn an_empty_table_has_its_columns_and_no_rows() {
    let directory = tempfile::tempdir().unwrap();
    let summary = write(directory.path(), &[("shares", vec![shares().slice(0, 0)])]);
    assert_eq!(summary.files["shares.parquet"].rows, 0);
    let rows = rows(directory.path(), "shares");
    assert!(rows.is_empty());
    assert_eq!(rows.columns().count(), 5);
}

#[test]
fn a_table_that_is_not_there_is_none() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[("shares", vec![shares()])]);
    let results = Results::open(directory.path()).unwrap();
    assert!(results.rows("tests").unwrap().is_none());
    assert!(results.batches("summary").unwrap().is_none());
}

#[test]
fn tables_and_columns_without_a_definition_are_read_by_their_schema() {
    let directory = tempfile::tempdir().unwrap();
    assert!(cograd_results::table("of_tomorrow").is_none());
    let later = batch(vec![
        ("step", Arc::new(Int64Array::from(vec![7]))),
        ("novelty", Arc::new(Float64Array::from(vec![0.5]))),
    ]);
    write(directory.path(), &[("of_tomorrow", vec![later.clone()]), ("gradient_norms", vec![later])]);
    let results = Results::open(directory.path()).unwrap();
    assert_eq!(results.tables().collect::<Vec<_>>(), ["gradient_norms", "of_tomorrow"]);
    for table in ["of_tomorrow", "gradient_norms"] {
        let rows = results.rows(table).unwrap().unwrap();
        assert_eq!(rows.columns().collect::<Vec<_>>(), ["step", "novelty"]);
        assert_eq!((rows.kind("step"), rows.kind("novelty")), (Some(Kind::Integer), Some(Kind::Number)));
        assert_eq!((rows.integer("step", 0), rows.number("novelty", 0)), (Some(7), Some(0.5)));
    }
}

#[test]
fn other_types_of_text_and_numbers_are_read_too() {
    let directory = tempfile::tempdir().unwrap();
    let text = [Some("pristine"), None, Some("a name that is longer than twelve bytes")];
    let table = batch(vec![
        ("view", Arc::new(StringViewArray::from(text.to_vec()))),
        ("large", Arc::new(LargeStringArray::from(text.to_vec()))),
        ("dictionary", Arc::new(text.into_iter().collect::<DictionaryArray<Int32Type>>())),
        ("i8", Arc::new(Int8Array::from(vec![Some(-1), None, Some(2)]))),
        ("u8", Arc::new(UInt8Array::from(vec![Some(1), None, Some(255)]))),
        ("u32", Arc::new(UInt32Array::from(vec![Some(1), None, Some(u32::MAX)]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(0.5), None, Some(-2.0)]))),
    ]);
    write(directory.path(), &[("foreign", vec![table])]);
    let rows = rows(directory.path(), "foreign");
    for column in ["view", "large", "dictionary"] {
        assert_eq!([0, 1, 2].map(|row| rows.text(column, row)), text, "{column}");
    }
    assert_eq!([0, 1, 2].map(|row| rows.integer("i8", row)), [Some(-1), None, Some(2)]);
    assert_eq!([0, 1, 2].map(|row| rows.count("u8", row)), [Some(1), None, Some(255)]);
    assert_eq!([0, 1, 2].map(|row| rows.count("u32", row)), [Some(1), None, Some(u64::from(u32::MAX))]);
    assert_eq!([0, 1, 2].map(|row| rows.number("f32", row)), [Some(0.5), None, Some(-2.0)]);
}

#[test]
fn an_altered_table_is_refused_before_it_is_parsed() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[("shares", vec![shares()])]);
    let path = directory.path().join("shares.parquet");
    let whole = fs::read(&path).unwrap();
    let refusal = || {
        let results = Results::open(directory.path()).unwrap();
        assert!(results.batches("shares").is_err(), "streamed");
        results.rows("shares").unwrap_err()
    };

    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let cases = [flipped, vec![b'x'; whole.len()], whole[..whole.len() - 1].to_vec(), [&whole[..], b"x"].concat()];
    for (case, bytes) in cases.iter().enumerate() {
        fs::write(&path, bytes).unwrap();
        let error = refusal();
        // A parser would have said `Table`.
        assert!(matches!(error, ResultsError::File { source: FileError::Altered { .. } }), "case {case}: {error}");
        assert!(error.to_string().contains("shares.parquet was altered"), "{error}");
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(refusal(), ResultsError::File { source: FileError::Missing { .. } }));
}

#[test]
fn a_file_that_is_listed_but_no_parquet_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shares.parquet");
    fs::write(&path, "no Parquet").unwrap();
    let entry = cograd_files::FileEntry { rows: 1, bytes: 10, sha256: cograd_files::sha256_of_file(&path).unwrap() };
    let summary = Summary { files: BTreeMap::from([("shares.parquet".to_string(), entry)]), ..summary() };
    fs::write(directory.path().join(SUMMARY), sealed(&summary).unwrap()).unwrap();
    let error = Results::open(directory.path()).unwrap().rows("shares").unwrap_err();
    assert!(matches!(error, ResultsError::Table { .. }) && error.to_string().contains("shares.parquet"), "{error}");
}

#[test]
fn an_altered_summary_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[("shares", vec![shares()])]);
    let path = directory.path().join(SUMMARY);
    let text = fs::read_to_string(&path).unwrap();
    for altered in [text.replace("1000", "9999"), text.replace("\"seal\"", "\"seat\""), "{}".to_string(), String::new()]
    {
        fs::write(&path, altered).unwrap();
        let error = Results::open(directory.path()).unwrap_err();
        assert!(matches!(error, ResultsError::Summary { .. }) && error.to_string().contains(SUMMARY), "{error}");
    }
}

#[test]
fn a_summary_of_another_version_says_so() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(SUMMARY), sealed(&json!({ "cograd": "0.0.1", "seal": "" })).unwrap()).unwrap();
    let error = Results::open(directory.path()).unwrap_err().to_string();
    assert!(error.contains("another version") && error.contains("cograd analyze"), "{error}");
}

#[test]
fn a_directory_without_a_summary_is_not_analysed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [directory.path(), &directory.path().join("nothing"), &file] {
        let error = Results::open(path).unwrap_err();
        assert!(matches!(error, ResultsError::NotAnalysed { .. }), "{error}");
        assert!(error.to_string().contains("cograd analyze"), "{error}");
    }
}

#[test]
fn results_that_are_replaced_while_they_are_read_are_read_again() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[("shares", vec![shares()])]);
    let mut reads = 0;
    let read = |results: &Results| -> Result<usize, ResultsError> {
        reads += 1;
        if reads == 1 {
            // Another analysis takes the place of this one between its summary and its table.
            fs::remove_file(directory.path().join("shares.parquet")).unwrap();
            write(directory.path(), &[("shares", vec![shares().slice(0, 1)])]);
        }
        Ok(results.rows("shares")?.unwrap().len())
    };
    assert_eq!(Results::read_whole(directory.path(), read).unwrap(), 1);
    assert_eq!(reads, 2);
    // What is wrong stays wrong, and nothing of it is believed: not even what is as it was.
    fs::write(directory.path().join("shares.parquet"), "altered").unwrap();
    let again =
        Results::read_whole(directory.path(), |_| -> Result<(), ResultsError> { unreachable!("it is altered") });
    assert!(matches!(again, Err(ResultsError::File { .. })));
}

#[test]
fn a_summary_that_lists_a_file_outside_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["../shares.parquet", "a/b.parquet", "/etc/passwd", ""] {
        let mut writer = ResultsWriter::create(directory.path()).unwrap();
        writer.append("shares", &shares()).unwrap();
        let entry = writer.complete().unwrap().into_values().next().unwrap();
        writer.publish(&Summary { files: [(name.to_string(), entry)].into(), ..summary() }).unwrap();
        let message = Results::open(directory.path()).unwrap_err().to_string();
        assert!(message.contains("outside of its directory"), "{message}");
    }
}
