//! Tables in other formats: nothing is lost on the way.

use std::fs;

use cograd_analysis::{AnalysisError, Format, export};
use polars::prelude::*;
use tempfile::TempDir;

/// A directory of results with one table.
fn results(table: DataFrame) -> TempDir {
    let analysis = TempDir::new().unwrap();
    fs::write(analysis.path().join("summary.json"), "{}\n").unwrap();
    let file = fs::File::create(analysis.path().join("odd.parquet")).unwrap();
    ParquetWriter::new(file).finish(&mut table.clone()).unwrap();
    analysis
}

fn exported(analysis: &TempDir, format: Format) -> String {
    let out = TempDir::new().unwrap();
    let files = export(analysis.path(), &[format], &[], out.path()).unwrap();
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), files.len(), "no temporary file is left");
    fs::read_to_string(&files[0]).unwrap()
}

#[test]
fn numbers_read_back_as_the_same_bits() {
    let values =
        [0.1, 1.0 / 3.0, -2.5e-308, 5e-324, 1.797_693_134_862_315_7e308, 123_456_789.123_456_79, -0.0, 1e21, 1.0];
    let analysis = results(df!("value" => values).unwrap());
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
    let analysis = results(df!("name" => names, "step" => [Some(1_i64), None, Some(-3), Some(4), Some(5)]).unwrap());
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
    let analysis = results(df!("step" => Vec::<i64>::new(), "name" => Vec::<String>::new()).unwrap());
    assert_eq!(exported(&analysis, Format::Csv), "step,name\n");
    assert_eq!(exported(&analysis, Format::Json), "[]\n");
}

#[test]
fn a_damaged_table_is_named_and_leaves_nothing() {
    let analysis = results(df!("step" => [1_i64]).unwrap());
    fs::write(analysis.path().join("odd.parquet"), "PAR1 not really").unwrap();
    let out = TempDir::new().unwrap();
    let error = export(analysis.path(), &[Format::Csv], &[], out.path()).unwrap_err();
    assert!(matches!(&error, AnalysisError::Results { path, .. } if path.ends_with("odd.parquet")), "{error}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}
