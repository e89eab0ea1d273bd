//! Tables in other formats: nothing is lost on the way.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use cograd_analysis::{AnalysisError, Format, export};
use cograd_results::{ResultsError, ResultsWriter, Summary, summary};
use tempfile::TempDir;

use crate::seeds::alter;
use crate::support::*;

/// A directory of results with one table, of which no definition says anything.
fn results(columns: Vec<(&str, ArrayRef)>) -> TempDir {
    let analysis = TempDir::new().unwrap();
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    let mut writer = ResultsWriter::create(analysis.path()).unwrap();
    writer.append("odd", &RecordBatch::try_from_iter_with_nullable(columns).unwrap()).unwrap();
    let files = writer.complete().unwrap();
    writer.publish(&summary_of(files)).unwrap();
    analysis
}

fn summary_of(files: BTreeMap<String, cograd_files::FileEntry>) -> Summary {
    Summary {
        cograd: "test".into(),
        study: summary::Study { name: "a study".into(), experiment_sha256: None },
        options: summary::Options::default(),
        conditions: vec![],
        runs: vec![],
        grouping: summary::Grouping::default(),
        statistics: vec![],
        compared: vec![],
        files,
        seal: String::new(),
    }
}

fn exported(analysis: &TempDir, format: Format) -> String {
    let out = TempDir::new().unwrap();
    let files = export(analysis.path(), &[format], &[], out.path()).unwrap();
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), files.len() + 1, "the marker, and no temporary file");
    fs::read_to_string(&files[0]).unwrap()
}

#[test]
fn numbers_read_back_as_the_same_bits() {
    let values =
        [0.1, 1.0 / 3.0, -2.5e-308, 5e-324, 1.797_693_134_862_315_7e308, 123_456_789.123_456_79, -0.0, 1e21, 1.0];
    let analysis = results(vec![("value", Arc::new(Float64Array::from(values.to_vec())))]);
    let csv = exported(&analysis, Format::Csv);
    let read: Vec<f64> = csv.lines().skip(1).map(|line| line.parse().unwrap()).collect();
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<u64>>();
    assert_eq!(bits(&read), bits(&values));
    let json = exported(&analysis, Format::Json);
    let fields = json.split("\"value\":").skip(1).map(|rest| rest.split('}').next().unwrap());
    let read: Vec<f64> = fields.map(|number| number.parse().unwrap()).collect();
    assert_eq!(bits(&read), bits(&values));
}

#[test]
fn missing_values_and_odd_texts_stay_apart() {
    let names = [Some("a, b"), Some("say \"so\""), Some("two\nlines"), None, Some("ε")];
    let steps = [Some(1_i64), None, Some(-3), Some(4), Some(5)];
    let analysis = results(vec![
        ("name", Arc::new(StringArray::from(names.to_vec()))),
        ("step", Arc::new(Int64Array::from(steps.to_vec()))),
    ]);
    assert_eq!(
        exported(&analysis, Format::Csv),
        "name,step\n\"a, b\",1\n\"say \"\"so\"\"\",\n\"two\nlines\",-3\n,4\nε,5\n"
    );
    let json: serde_json::Value = serde_json::from_str(&exported(&analysis, Format::Json)).unwrap();
    let expected = serde_json::json!([
        { "name": "a, b", "step": 1 },
        { "name": "say \"so\"", "step": null },
        { "name": "two\nlines", "step": -3 },
        { "name": null, "step": 4 },
        { "name": "ε", "step": 5 },
    ]);
    assert_eq!(json, expected);
}

#[test]
fn a_table_without_rows_has_its_header_or_is_an_empty_array() {
    let analysis = results(vec![
        ("step", Arc::new(Int64Array::from(Vec::<i64>::new()))),
        ("name", Arc::new(StringArray::from(Vec::<&str>::new()))),
    ]);
    assert_eq!(exported(&analysis, Format::Csv), "step,name\n");
    assert_eq!(exported(&analysis, Format::Json), "[]\n");
}

#[test]
fn the_tables_asked_for_are_exported_with_their_conditions() {
    let run = Synthetic::new(&[true, false], 2, &[0, 1], 1);
    let analysed = analysed(&[run], &only(&["contributions", "shares"]));
    let out = TempDir::new().unwrap();
    let files = export(analysed.path(), &[Format::Csv, Format::Json], &["groups".into()], out.path()).unwrap();
    assert_eq!(files, ["groups.csv", "groups.json"].map(|name| out.path().join(name)));
    let id = "noise-0.5_rule-sgd_seed-1";
    let csv = format!(
        "run,noise,rule,seed,group,order,examples,sampled\n{id},0.5,sgd,1,pristine,0,1,1\n{id},0.5,sgd,1,corrupt,1,1,1\n"
    );
    assert_eq!(fs::read_to_string(&files[0]).unwrap(), csv);
    let all = export(analysed.path(), &[Format::Csv], &[], out.path()).unwrap();
    assert_eq!(all.len(), analysed.summary().files.len());
    let error = export(analysed.path(), &[Format::Csv], &["group".into()], out.path()).unwrap_err().to_string();
    assert!(error.contains("no table `group`; there are contributions, curves, groups,"), "{error}");
}

#[test]
fn an_altered_table_or_summary_is_named_before_it_is_parsed_and_leaves_nothing() {
    for (name, damage) in [("odd.parquet", "altered"), ("summary.json", "")] {
        let analysis = results(vec![("step", Arc::new(Int64Array::from(vec![1])))]);
        alter(&analysis.path().join(name));
        let out = TempDir::new().unwrap();
        let error = export(analysis.path(), &[Format::Csv], &[], out.path()).unwrap_err();
        assert!(error.to_string().contains(name) && error.to_string().contains(damage), "{error}");
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    }
    // No Parquet at all, of the size that is listed.
    let analysis = results(vec![("step", Arc::new(Int64Array::from(vec![1])))]);
    let path = analysis.path().join("odd.parquet");
    fs::write(&path, vec![b'x'; fs::metadata(&path).unwrap().len() as usize]).unwrap();
    let out = TempDir::new().unwrap();
    let error = export(analysis.path(), &[Format::Json], &[], out.path()).unwrap_err();
    assert!(matches!(error, AnalysisError::Results(ResultsError::File { .. })), "{error}");
    // Results are no export: what they are is told before a byte is written.
    let error = export(analysis.path(), &[Format::Json], &[], analysis.path()).unwrap_err();
    assert!(matches!(&error, AnalysisError::Output(_)) && error.to_string().contains("odd.parquet"), "{error}");
    assert_eq!(fs::read_dir(analysis.path()).unwrap().count(), 2);
}
