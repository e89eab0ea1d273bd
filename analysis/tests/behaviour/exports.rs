//! Tables in other formats: nothing is lost on the way.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use cograd_analysis::{AnalysisError, Format, Options, export};
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
    assert!(
        error.contains("no table `group` (did you mean `groups`?); there are contributions, curves, groups,"),
        "{error}"
    );
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
    let analysis = results(vec![("step", Arc::new(Int64Array::from(vec![1])))]);
    let error = export(analysis.path(), &[Format::Json], &[], analysis.path()).unwrap_err();
    assert!(matches!(&error, AnalysisError::Output(_)) && error.to_string().contains("odd.parquet"), "{error}");
    assert_eq!(fs::read_dir(analysis.path()).unwrap().count(), 2);
}

#[test]
fn a_latex_table_is_of_rows_of_no_single_step_and_says_what_tells_them_apart() {
    let run = |noise| Synthetic {
        conditions: conditions("sgd", noise, 1),
        ..Synthetic::new(&[true, false, true, false], 3, &[0, 1], noise as u64)
    };
    let analysed = analysed(&[run(0.25), run(0.5)], &Options { null_worlds: 20, ..Options::default() });
    let out = TempDir::new().unwrap();
    let files = export(analysed.path(), &[Format::Tex], &["tests".into()], out.path()).unwrap();
    let text = fs::read_to_string(&files[0]).unwrap();
    let rows = analysed.table("tests").0;
    assert!(text.contains("rule = sgd") && text.contains("\\usepackage{booktabs}"), "{text}");
    let head = "$\\varepsilon$ & statistic & group & other group & observed & $p$ & $p$ (Holm) \\\\\n\\midrule\n";
    assert!(text.contains(head), "{text}");
    let body = text.split("\\midrule\n").nth(1).unwrap().split("\\bottomrule").next().unwrap();
    let says = |row: &usize| ["observed", "p", "p_holm"].iter().any(|column| rows.number(column, *row).is_some());
    assert_eq!(body.lines().count(), (0..rows.len()).filter(says).count());
    assert!(body.starts_with("0.25 & ") && !body.replace("\\_", "").contains('_'), "{body}");
    // By default there are all tables but those of steps.
    let names: Vec<_> = export(analysed.path(), &[Format::Tex], &[], out.path()).unwrap();
    let names: Vec<_> = names.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert!(names.contains(&"tests.tex") && names.contains(&"runs.tex") && !names.contains(&"shares.tex"), "{names:?}");
    let error = export(analysed.path(), &[Format::Tex], &["shares".into()], out.path()).unwrap_err().to_string();
    assert!(error.contains("no single step, such as tests"), "{error}");
}

/// The fields of a protocol buffer: number, and the whole number or the bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, Vec<u8>)> {
    fn variable(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for place in 0.. {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = variable(&mut bytes);
        let (number, length) = match key & 7 {
            0 => (variable(&mut bytes), 0),
            1 => (0, 8),
            2 => (0, variable(&mut bytes) as usize),
            5 => (0, 4),
            kind => panic!("kind {kind}"),
        };
        found.push((key >> 3, number, bytes[..length].to_vec()));
        bytes = &bytes[length..];
    }
    found
}

/// CRC-32C bit by bit, and masked as TFRecord does.
fn masked_checksum(bytes: &[u8]) -> u32 {
    let mut sum = !0_u32;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    (!sum).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Tag, step and value of every scalar of an event file, whose checksums are right.
fn scalars(mut file: &[u8]) -> Vec<(String, i64, f32)> {
    let mut found = Vec::new();
    while !file.is_empty() {
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let (head, bytes, sum) = (&file[..8], &file[12..12 + length], &file[12 + length..16 + length]);
        assert_eq!(masked_checksum(head).to_le_bytes(), file[8..12]);
        assert_eq!(masked_checksum(bytes).to_le_bytes(), sum);
        file = &file[16 + length..];
        let event = fields(bytes);
        let step = event.iter().find(|field| field.0 == 2).map_or(0, |field| field.1 as i64);
        for (_, _, summary) in event.iter().filter(|field| field.0 == 5) {
            for (_, _, value) in fields(summary) {
                let value = fields(&value);
                let number = f32::from_le_bytes(value[1].2[..].try_into().unwrap());
                found.push((String::from_utf8(value[0].2.clone()).unwrap(), step, number));
            }
        }
    }
    found
}

#[test]
fn an_event_file_of_each_run_has_every_value_of_every_curve() {
    let named = |name: &str, noise| Synthetic {
        named: Some(name.to_string()),
        conditions: conditions("sgd", noise, 1),
        ..Synthetic::new(&[true, false, true], 3, &[0, 1, 300], 1)
    };
    let analysed = analysed(&[named("one", 0.25), named("other", 0.5)], &Options::default());
    let out = TempDir::new().unwrap();
    let files = export(analysed.path(), &[Format::TensorBoard], &[], out.path()).unwrap();
    assert_eq!(files, ["one", "other"].map(|run| out.path().join(run).join("events.out.tfevents.0.cograd")));
    let curves = analysed.table("curves").0;
    for (run, file) in ["one", "other"].iter().zip(&files) {
        let file = fs::read(file).unwrap();
        assert!(file.windows(13).any(|bytes| bytes == b"brain.Event:2"));
        let found = scalars(&file);
        let is_of_run = |row: &usize| curves.text("run", *row) == Some(run) && curves.number("value", *row).is_some();
        let expected: Vec<usize> = (0..curves.len()).filter(is_of_run).collect();
        assert!(found.len() == expected.len() && found.len() > 100, "{}", found.len());
        for (row, (tag, step, value)) in expected.into_iter().zip(&found) {
            assert!(tag.starts_with(&format!("{}/", curves.text("curve", row).unwrap())), "{tag}");
            assert_eq!(Some(*step), curves.integer("step", row));
            assert_eq!(*value, curves.number("value", row).unwrap() as f32);
        }
        assert!(found.iter().any(|(tag, step, _)| tag == "share/pristine (paper)" && *step == 300));
    }
}

#[test]
fn a_chart_holds_every_point_of_the_actual_world_and_needs_nothing_else() {
    let analysed = analysed(&[Synthetic::new(&[true, false, true], 3, &[0, 1, 300], 1)], &Options::default());
    let out = TempDir::new().unwrap();
    let files = export(analysed.path(), &[Format::VegaLite], &[], out.path()).unwrap();
    assert!(
        files.iter().any(|file| file.ends_with("coherence.vl.json"))
            && !files.iter().any(|file| file.ends_with("tests.vl.json"))
    );
    for name in ["shares", "over_seeds"] {
        let text = fs::read_to_string(out.path().join(format!("{name}.vl.json"))).unwrap();
        let chart: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(chart["$schema"], "https://vega.github.io/schema/vega-lite/v5.json");
        let (points, rows) = (chart["data"]["values"].as_array().unwrap(), analysed.table(name).0);
        let actual: Vec<usize> =
            (0..rows.len()).filter(|row| rows.count("world", *row).is_none_or(|world| world == 0)).collect();
        assert_eq!(points.len(), actual.len());
        let column = if name == "shares" { "share" } else { "mean" };
        for (point, row) in points.iter().zip(actual) {
            assert_eq!(point.get("value").and_then(|value| value.as_f64()), rows.number(column, row));
            assert_eq!(point["step"].as_i64(), rows.integer("step", row));
        }
    }
}
