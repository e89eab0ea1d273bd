//! `cograd compare`: several studies laid over each other, curve by curve.

use cograd_analysis::{CompareOptions, Comparison};
use cograd_files::OutputDirectory;
use cograd_results::{Kind, Results, Rows};
use serde_json::{Map, Value, json};

use crate::arguments::{Compare, existing};
use crate::output::{Output, shell};

pub fn run(arguments: &Compare, output: &Output) -> anyhow::Result<()> {
    for study in &arguments.studies {
        existing(study)?;
    }
    let options = CompareOptions { curves: arguments.curve.clone(), estimators: arguments.estimator.clone() };
    let directory = OutputDirectory::claim(&arguments.out, "compare")?;
    let comparison = cograd_analysis::compare(&arguments.studies, &options, directory.path())?;
    let drawn = cograd_reports::report_comparison(directory.path())?;
    let written = directory.publish(&[&comparison.files[..], &drawn].concat())?;
    if arguments.json {
        let tests = Results::open(&arguments.out)?.rows("comparison_tests")?;
        let tests = tests.as_ref().map(of_means).unwrap_or_default();
        let Comparison { studies, seeds, .. } = comparison;
        let said =
            json!({ "results": arguments.out, "files": written, "studies": studies, "seeds": seeds, "tests": tests });
        output.result(serde_json::to_string_pretty(&said)?);
        return Ok(());
    }
    output.wrote(written.iter().map(|path| path.as_path()));
    if comparison.seeds < 2 {
        output.line("No condition has two seeds in two studies, so no difference was tested.");
    }
    output.line(format_args!("Next: open {} in a browser", shell(&arguments.out.join("index.html"))));
    Ok(())
}

/// The rows of the tests that are of the mean over the steps, an object each.
fn of_means(rows: &Rows) -> Vec<Map<String, Value>> {
    let object = |row: usize| {
        let value = |column: &str| match rows.kind(column) {
            Some(Kind::Text) => rows.text(column, row).into(),
            Some(Kind::Integer) => rows.integer(column, row).into(),
            Some(Kind::Count) => rows.count(column, row).into(),
            Some(Kind::Boolean) => rows.boolean(column, row).into(),
            _ => rows.number(column, row).into(),
        };
        rows.columns().filter(|column| *column != "step").map(|column| (column.to_string(), value(column))).collect()
    };
    (0..rows.len()).filter(|row| rows.integer("step", *row).is_none()).map(object).collect()
}
