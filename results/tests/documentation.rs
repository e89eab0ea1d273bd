//! `docs/results.md` says what the definitions say: its part between two marks is rendered from them here.
//!
//!     COGRAD_BLESS=1 cargo test --release -p cograd-results --test documentation      # writes that part anew

use std::fs;
use std::path::Path;

use cograd_results::prediction::{PREDICTIONS, Unit};
use cograd_results::{COMPARISON_TABLES, Curve, CurveName, EARLIER_NAMES, Scope, Summary, TABLES, Table};
use serde_json::{Value, json};

const BEGIN: &str =
    "<!-- results/tests/documentation.rs renders what follows from results/src; do not edit it here. -->\n";
const END: &str = "<!-- The rendered part ends here. -->\n";

const SUMMARY_KEYS: [(&str, &str); 30] = [
    ("cograd", "version of the program that analysed"),
    ("study.name", "`name` in study.toml, or the directory's name"),
    ("study.experiment_sha256", "SHA-256 of study.toml; null if the study has none"),
    ("options.group_by", "what `--group-by` asked for; null: chosen by what the study has"),
    ("options.steps", "steps that were analysed, a range; null: all"),
    ("options.layers", "patterns of the names of the layers that were analysed; null: all"),
    ("options.examples", "sampled examples that were analysed, a range of ids or the path of a file; null: all"),
    ("options.statistics", "names of the statistics that were asked for; null: all"),
    ("options.halves", "random halves of the sample for intervals"),
    ("options.null_worlds", "null worlds of a run, B"),
    ("options.kept_worlds", "how many null worlds of a run are in the tables, for drawing"),
    ("options.seed", "analysis seed, which determines null worlds and halves"),
    ("conditions[].name", "name of a condition, and of its column; the list is in the order of the columns"),
    ("conditions[].kind", "type of the column: `text`, `integer`, `number` or `boolean`"),
    ("conditions[].varies", "whether the value differs between runs"),
    ("runs[].run", "id of a run; the list is in the order of the tables"),
    ("runs[].conditions", "conditions of the run by name; one that it does not have is left out"),
    ("runs[].seed", "seed of the run; null if it has none"),
    ("grouping.by", "what the examples were grouped by: a column, `COLUMN:K`, `all`, or the path of a file"),
    ("grouping.groups", "names of the groups, in order"),
    ("statistics[].name", "name of a statistic that was computed"),
    ("statistics[].about", "what it is, in one line"),
    ("statistics[].unit", "unit of its values; empty for a pure number"),
    ("statistics[].tables", "tables that it is in"),
    ("compared[].study", "name of a study that was compared; only in the summary of a comparison"),
    ("compared[].summary_sha256", "SHA-256 of the summary.json of that study"),
    ("files.*.rows", "rows of the table in the file of this name"),
    ("files.*.bytes", "size of that file"),
    ("files.*.sha256", "SHA-256 of that file"),
    ("seal", "SHA-256 of summary.json itself with `\"seal\": \"\"`, so that any altered byte is noticed"),
];

#[test]
fn the_document_says_what_the_definitions_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/results.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("the mark where the rendered part begins");
    let (stands, after) = rest.split_once(END).expect("the mark where the rendered part ends");
    let renders = rendered();
    if std::env::var_os("COGRAD_BLESS").is_some() {
        fs::write(&path, [before, BEGIN, &renders, END, after].concat()).unwrap();
        return;
    }
    let number = stands.lines().zip(renders.lines()).take_while(|(stands, renders)| stands == renders).count();
    assert!(
        stands == renders,
        "docs/results.md is not what the definitions say. It first differs in\n  document:    {}\n  definitions: {}\n\
         To write it anew: COGRAD_BLESS=1 cargo test --release -p cograd-results --test documentation",
        stands.lines().nth(number).unwrap_or_default(),
        renders.lines().nth(number).unwrap_or_default(),
    );
}

#[test]
fn every_key_of_the_summary_is_documented() {
    let summary = json!({
        "cograd": "", "study": { "name": "", "experiment_sha256": null },
        "options": {
            "group_by": null, "steps": null, "layers": null, "examples": null, "statistics": null,
            "halves": 0, "null_worlds": 0, "kept_worlds": 0, "seed": 0,
        },
        "conditions": [{ "name": "", "kind": "number", "varies": true }],
        "runs": [{ "run": "", "conditions": {}, "seed": null }],
        "grouping": { "by": "", "groups": [] },
        "statistics": [{ "name": "", "about": "", "unit": "", "tables": [] }],
        "compared": [{ "study": "", "summary_sha256": "" }],
        "files": { "runs.parquet": { "rows": 0, "bytes": 0, "sha256": "" } },
        "seal": "",
    });
    let summary: Summary = serde_json::from_value(summary).unwrap();
    let mut keys = Vec::new();
    collect_keys("", &json!(summary), &mut keys);
    keys.sort();
    let mut documented = SUMMARY_KEYS.map(|(key, _)| key);
    documented.sort_unstable();
    assert_eq!(documented.to_vec(), keys);
}

/// The keys of the values in `value`: `a.b` of an object, `a[].b` of a list of objects, `files.*.b` of the objects by file.
fn collect_keys(path: &str, value: &Value, keys: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                let name = if path == "files" { "*" } else { name };
                collect_keys(&[path, name].join(if path.is_empty() { "" } else { "." }), field, keys);
            }
        }
        Value::Array(items) if items.first().is_some_and(Value::is_object) => {
            collect_keys(&format!("{path}[]"), &items[0], keys);
        }
        _ => keys.push(path.to_string()),
    }
}

/// Everything between the marks.
fn rendered() -> String {
    let tables = TABLES.iter().map(|table| section(table)).collect::<String>();
    let comparisons = COMPARISON_TABLES.iter().map(|table| section(table)).collect::<String>();
    let curves = TABLES.iter().flat_map(|table| table.curves.iter().map(|curve| curve_row(table, curve)));
    let earlier = EARLIER_NAMES.iter().map(|(earlier, curve, [a, b])| {
        let group = |group: &Option<&str>| group.map(code).unwrap_or_default();
        [code(earlier), code(curve), group(a), group(b)]
    });
    let predictions = PREDICTIONS.iter().map(|prediction| {
        [code(prediction.name), prediction.section.into(), prediction.statement.into(), prediction.measured_as.into()]
    });
    let quantities = PREDICTIONS.iter().flat_map(|prediction| {
        prediction.quantities.iter().map(|quantity| {
            let unit = match quantity.unit {
                Unit::Plain => "",
                Unit::Steps => "steps",
                Unit::Percent => "fraction",
            };
            [code(prediction.name), code(quantity.name), quantity.about.into(), unit.into()]
        })
    });
    let keys = SUMMARY_KEYS.iter().map(|(key, about)| [code(key), (*about).into()]);
    [
        "\n## Tables\n",
        &tables,
        "\n## Curves\n\nA curve is a number of one of these tables at every step:\n\n",
        &lines(["curve", "table", "value", "of", "interval"], curves),
        "\nEarlier versions had other names for some curves:\n\n",
        &lines(["earlier name", "curve", "`group_a`", "`group_b`"], earlier),
        "\n## Predictions\n\nThe predictions of the paper that predictions.parquet judges [S 5]. § is the section of the paper.\n\n",
        &lines(["prediction", "§", "the paper predicts", "judged by"], predictions),
        "\nThe numbers that they are judged by:\n\n",
        &lines(["prediction", "quantity", "meaning", "unit"], quantities),
        "\n## summary.json\n\n`a.b` is the key `b` of the object `a`, and `a[].b` that of each object in the list `a`.\n\n",
        &lines(["key", "meaning"], keys),
        "\n## Tables of a comparison\n\n`cograd compare` writes them, and a `summary.json` with the same keys ([reports.md](reports.md)).\n",
        &comparisons,
        "\n",
    ]
    .concat()
}

/// A table: its heading, what a row is, and its columns.
fn section(table: &Table) -> String {
    let begins = match table.scope {
        Scope::Run => "A row begins with `run`, the conditions and `seed`.",
        Scope::Condition => "A row begins with the conditions.",
        Scope::Study => "A row is of the whole study.",
    };
    let columns = table
        .columns
        .iter()
        .map(|column| [code(column.name), column.kind.to_string(), column.unit.into(), column.about.into()]);
    let columns = lines(["column", "type", "unit", "meaning"], columns);
    format!("\n### {}.parquet\n\n{} {begins}\n\n{columns}", table.name, table.about)
}

fn curve_row(table: &Table, curve: &Curve) -> [String; 5] {
    let name = match curve.name {
        CurveName::Fixed(name) => code(name),
        CurveName::Column(column) => format!("as column {} says", code(column)),
        CurveName::Joined(first, second) => format!("columns {} and {}, joined by `_`", code(first), code(second)),
    };
    let of = ["estimator", "layer"].into_iter().filter(|column| table.has(column));
    let of: Vec<String> = of.chain(curve.groups.into_iter().flatten()).map(code).collect();
    let interval = curve.interval.map(|ends| ends.map(code).join(", ")).unwrap_or_default();
    [name, format!("{}.parquet", table.name), code(curve.value), of.join(", "), interval]
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// A table of Markdown.
fn lines<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let line = |cells: [String; N]| format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    let head = line(heads.map(str::to_string));
    [head, line(heads.map(|_| "---".to_string()))].into_iter().chain(rows.map(line)).collect()
}
