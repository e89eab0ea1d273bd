//! `index.html`: the figures, the numbers measured, the paper's predictions and where it all comes from.

use minijinja::Environment;
use serde::Serialize;

use crate::ReportError;
use crate::figure::Figure;
use crate::numbers::{self, MISSING};
use crate::results::{Results, RunResults};
use crate::summary::{Prediction, Summary};

const TEMPLATE: &str = include_str!("../templates/index.html");

/// What the template shows; every number is already text.
#[derive(Serialize)]
struct Page<'a> {
    study: &'a str,
    overview: String,
    tally: Vec<Tally>,
    predictions: Vec<Row<'a>>,
    /// SVG documents in the order drawn.
    figures: Vec<&'a str>,
    learning: Table,
    decomposition: Table,
    contributions: Table,
    null_worlds: String,
    smallest_p: String,
    runs: Table,
    provenance: Vec<(&'static str, String)>,
    manifests: Vec<(&'a str, &'a str)>,
}

#[derive(Serialize)]
struct Tally {
    class: &'static str,
    text: String,
}

#[derive(Serialize)]
struct Row<'a> {
    class: &'static str,
    #[serde(flatten)]
    prediction: PredictionText<'a>,
}

#[derive(Serialize)]
struct PredictionText<'a> {
    section: &'a str,
    prediction: &'a str,
    measured_as: &'a str,
    measured: &'a str,
    verdict: &'a str,
}

#[derive(Serialize)]
struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

pub fn render(results: &Results, figures: &[Figure]) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    // The name's ending turns HTML escaping on.
    environment.add_template("index.html", TEMPLATE).map_err(|source| ReportError::Page { source })?;
    let template = environment.get_template("index.html").map_err(|source| ReportError::Page { source })?;
    template.render(page(results, figures)).map_err(|source| ReportError::Page { source })
}

fn page<'a>(results: &'a Results, figures: &'a [Figure]) -> Page<'a> {
    let summary = &results.summary;
    Page {
        study: summary.study.name.as_deref().unwrap_or("unnamed study"),
        overview: overview(summary),
        tally: tally(&summary.predictions),
        predictions: summary.predictions.iter().map(prediction).collect(),
        figures: figures.iter().map(|figure| figure.svg.as_str()).collect(),
        learning: table(LEARNING, results.runs.iter().map(learning)),
        decomposition: table(DECOMPOSITION, both_groups(results).map(decomposition)),
        contributions: table(CONTRIBUTIONS, both_groups(results).map(contributions)),
        null_worlds: numbers::count(summary.null_worlds),
        smallest_p: numbers::upper_bound(1.0 / (summary.null_worlds as f64 + 1.0)),
        runs: table(RUNS, results.runs.iter().map(run)),
        provenance: provenance(summary),
        manifests: summary.runs.iter().map(|run| (run.run.as_str(), run.manifest_sha256.as_str())).collect(),
    }
}

fn both_groups(results: &Results) -> impl Iterator<Item = &RunResults> {
    results.runs.iter().filter(|run| run.summary.has_both_groups())
}

fn overview(summary: &Summary) -> String {
    let runs = &summary.runs;
    let noise = distinct(runs.iter().map(|run| run.noise.to_string()));
    let seeds = distinct(runs.iter().map(|run| run.seed.to_string()));
    let networks = distinct(runs.iter().map(|run| network(&run.network)));
    let rules = distinct(runs.iter().map(|run| run.rule.clone()));
    format!(
        "{} of network {}, update rule {}, label noise {}, {}.",
        plural(runs.len(), "run"),
        networks.join(", "),
        rules.join(", "),
        noise.join(", "),
        match seeds.len() {
            1 => format!("seed {}", seeds.join(", ")),
            number => format!("{number} seeds"),
        }
    )
}

fn tally(predictions: &[Prediction]) -> Vec<Tally> {
    let number = |wanted: &str| predictions.iter().filter(|prediction| class(&prediction.verdict) == wanted).count();
    let counts = [("holds", number("holds")), ("fails", number("fails")), ("unchecked", number("unchecked"))];
    let text = |class: &str, count: usize| match class {
        "holds" if count == 1 => "1 holds".to_owned(),
        "holds" => format!("{count} hold"),
        "fails" if count == 1 => "1 fails".to_owned(),
        "fails" => format!("{count} fail"),
        _ => format!("{count} not checkable"),
    };
    let present = counts.into_iter().filter(|&(_, count)| count > 0);
    present.map(|(class, count)| Tally { class, text: text(class, count) }).collect()
}

fn prediction(prediction: &Prediction) -> Row<'_> {
    let Prediction { section, prediction, measured_as, measured, verdict } = prediction;
    Row { class: class(verdict), prediction: PredictionText { section, prediction, measured_as, measured, verdict } }
}

fn class(verdict: &str) -> &'static str {
    match verdict {
        "holds" => "holds",
        "fails" => "fails",
        _ => "unchecked",
    }
}

const LEARNING: &[&str] =
    &["Noise", "Seed", "Proper accuracy", "Training accuracy", "Test accuracy", "Training loss", "Test loss"];

fn learning(run: &RunResults) -> Vec<String> {
    let (summary, last) = (&run.summary, &run.summary.last);
    let mut row = condition(run);
    row.extend([summary.pristine_fraction, last.train_accuracy, last.test_accuracy].map(numbers::percent));
    row.extend([last.train_loss, last.test_loss].map(|loss| numbers::optional(loss, 3)));
    row
}

const DECOMPOSITION: &[&str] = &[
    "Noise",
    "Seed",
    "Group size",
    "α first",
    "α last",
    "Crossover",
    "p of crossover [95\u{a0}%]",
    "Simultaneous p [95\u{a0}%]",
];

fn decomposition(run: &RunResults) -> Vec<String> {
    let summary = &run.summary;
    let (crossover, simultaneous) = (run.test("crossover"), run.test("alpha"));
    let mut row = condition(run);
    row.extend([summary.group_size(), summary.alpha_first, summary.alpha_last].map(numbers::share));
    row.push(numbers::share(crossover.and_then(|test| test.observed)));
    row.extend([crossover, simultaneous].map(numbers::p_cell));
    row
}

const CONTRIBUTIONS: &[&str] = &["Noise", "Seed", "D₁₀", "p of D₁₀ [95\u{a0}%]", "Simultaneous p [95\u{a0}%]"];

fn contributions(run: &RunResults) -> Vec<String> {
    let (ten_steps, simultaneous) = (run.test("difference_10"), run.test("difference"));
    let mut row = condition(run);
    row.push(numbers::optional(ten_steps.and_then(|test| test.observed), 3));
    row.extend([ten_steps, simultaneous].map(numbers::p_cell));
    row
}

const RUNS: &[&str] = &[
    "Run",
    "Network",
    "Steps",
    "Training examples",
    "Recorded steps",
    "Sampled examples",
    "of these pristine",
    "Coordinates",
    "Trace",
];

fn run(run: &RunResults) -> Vec<String> {
    let run = &run.summary;
    let mut row = vec![run.run.clone(), network(&run.network)];
    let counts = [
        run.steps,
        run.train_examples,
        run.recorded_steps,
        run.sampled_examples,
        run.sampled_pristine,
        run.coordinates,
    ];
    row.extend(counts.map(numbers::count));
    row.push(numbers::bytes(run.trace_bytes));
    row
}

/// The cells that say which run a row is of.
fn condition(run: &RunResults) -> Vec<String> {
    vec![run.summary.noise.to_string(), run.summary.seed.to_string()]
}

fn provenance(summary: &Summary) -> Vec<(&'static str, String)> {
    let seeds = distinct(summary.runs.iter().map(|run| run.seed.to_string()));
    let writers = distinct(summary.runs.iter().filter_map(|run| run.writer.clone()));
    vec![
        ("Study", summary.study.name.clone().unwrap_or_else(|| MISSING.to_owned())),
        ("Experiment, SHA-256", summary.study.experiment_sha256.clone().unwrap_or_else(|| MISSING.to_owned())),
        ("Training seeds", seeds.join(", ")),
        ("Null worlds", numbers::count(summary.null_worlds)),
        ("Seed of the null worlds", summary.seed.to_string()),
        ("Recorded by", if writers.is_empty() { MISSING.to_owned() } else { writers.join(", ") }),
        ("Analysed by", format!("cograd {}", summary.cograd)),
        ("Reported by", format!("cograd {}", env!("CARGO_PKG_VERSION"))),
    ]
}

fn table(head: &'static [&'static str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    Table { head: head.to_vec(), rows: rows.collect() }
}

fn network(widths: &[u64]) -> String {
    widths.iter().map(u64::to_string).collect::<Vec<_>>().join("–")
}

fn plural(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// In order of first appearance.
fn distinct(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}
