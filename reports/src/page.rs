//! `index.html`: the figures, the numbers measured, the paper's predictions and where it all comes from.

use std::collections::BTreeMap;

use minijinja::Environment;
use serde::Serialize;

use crate::ReportError;
use crate::curves::{EXACT, PAPER};
use crate::figure::{Figure, coherence};
use crate::numbers::{self, MISSING};
use crate::results::{Condition, Results, RunResults, Winsorized};
use crate::summary::{Covered, MatchedRule, Prediction, Summary};
use crate::tables::GroupTest;

const TEMPLATES: [(&str, &str); 3] = [
    ("index.html", include_str!("../templates/index.html")),
    ("comparison.html", include_str!("../templates/comparison.html")),
    ("style.css", include_str!("../templates/style.css")),
];

/// What the template shows; every number is already text.
#[derive(Serialize)]
struct Page<'a> {
    study: &'a str,
    overview: String,
    tally: Vec<Tally>,
    predictions: Vec<Row<'a>>,
    /// By file name.
    figures: BTreeMap<&'a str, Drawing<'a>>,
    /// The rule of Figures 1 to 3, where the study has several.
    plain_rule: Option<String>,
    learning: Table,
    decomposition: Table,
    contributions: Table,
    /// The sample against the population, and the population's tests; empty without a record of it.
    population: Table,
    population_tests: Table,
    /// What examples are grouped by, where it is not their designation.
    grouping: Option<&'a str>,
    group_tests: Vec<GroupTests>,
    coherence: Vec<Described>,
    /// Whether curves are means over seeds.
    over_seeds: bool,
    winsorized: Option<Measured>,
    rules: Option<Measured>,
    null_worlds: String,
    smallest_p: String,
    runs: Table,
    provenance: Vec<(&'static str, String)>,
    manifests: Vec<(&'a str, &'a str)>,
}

/// A figure and the files of results that it is drawn from.
#[derive(Serialize)]
struct Drawing<'a> {
    svg: &'a str,
    tables: &'a [&'static str],
}

/// A figure of a coherence statistic.
#[derive(Serialize)]
struct Described {
    file: &'static str,
    name: &'static str,
    meaning: &'static str,
}

/// Tests of a kind, a row a group or pair and a column a condition.
#[derive(Serialize)]
struct GroupTests {
    title: &'static str,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Too long to be shown at once.
    long: bool,
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

/// What was measured, as a sentence and as a table.
#[derive(Serialize)]
struct Measured {
    sentence: String,
    table: Table,
}

#[derive(Serialize)]
pub struct Table {
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

pub fn render(results: &Results, figures: &[Figure]) -> Result<String, ReportError> {
    let environment = environment()?;
    let template = environment.get_template("index.html").map_err(|source| ReportError::Page { source })?;
    template.render(page(results, figures)).map_err(|source| ReportError::Page { source })
}

/// With every template.
pub fn environment() -> Result<Environment<'static>, ReportError> {
    let mut environment = Environment::new();
    // A name that ends in .html turns HTML escaping on.
    for (name, template) in TEMPLATES {
        environment.add_template(name, template).map_err(|source| ReportError::Page { source })?;
    }
    Ok(environment)
}

fn page<'a>(results: &'a Results, figures: &'a [Figure]) -> Page<'a> {
    let summary = &results.summary;
    Page {
        study: summary.study.name.as_deref().unwrap_or("unnamed study"),
        overview: overview(results),
        tally: tally(&summary.predictions),
        predictions: summary.predictions.iter().map(prediction).collect(),
        figures: figures.iter().map(|figure| (figure.file, drawing(figure))).collect(),
        plain_rule: plain_rule(results),
        learning: table_of_runs(results, LEARNING, results.runs.iter(), learning),
        decomposition: table_of_runs(results, DECOMPOSITION, both_groups(results), decomposition),
        contributions: table_of_runs(results, CONTRIBUTIONS, both_groups(results), contributions),
        population: table_of_runs(results, POPULATION, with_population(results), population),
        population_tests: table_of_runs(results, POPULATION_TESTS, with_population(results), population_tests),
        grouping: Some(results.grouping()).filter(|_| !results.grouped_by_designation()),
        group_tests: if results.grouped_by_designation() { Vec::new() } else { group_tests(results) },
        coherence: coherence::STATISTICS
            .iter()
            .filter(|statistic| is_drawn(figures, statistic.file))
            .map(described)
            .collect(),
        over_seeds: results.shows_means_over_seeds(),
        winsorized: results.winsorized().map(|winsorized| measured_winsorized(results, &winsorized)),
        rules: (results.rules().len() > 1).then(|| measured_rules(results)),
        null_worlds: numbers::count(summary.null_worlds),
        smallest_p: numbers::upper_bound(1.0 / (summary.null_worlds as f64 + 1.0)),
        runs: table(RUNS, results.runs.iter().map(run)),
        provenance: provenance(summary),
        manifests: summary.runs.iter().map(|run| (run.run.as_str(), run.manifest_sha256.as_str())).collect(),
    }
}

fn drawing(figure: &Figure) -> Drawing<'_> {
    Drawing { svg: &figure.svg, tables: &figure.tables }
}

fn is_drawn(figures: &[Figure], file: &str) -> bool {
    figures.iter().any(|figure| figure.file == file)
}

fn described(statistic: &coherence::Statistic) -> Described {
    Described { file: statistic.file, name: statistic.name, meaning: statistic.meaning }
}

fn with_population(results: &Results) -> impl Iterator<Item = &RunResults> {
    results.runs.iter().filter(|run| run.has_population())
}

fn both_groups(results: &Results) -> impl Iterator<Item = &RunResults> {
    results.runs.iter().filter(|run| run.has_both_groups())
}

fn overview(results: &Results) -> String {
    let runs = &results.summary.runs;
    let noise = distinct(runs.iter().map(|run| run.noise.to_string()));
    let seeds = distinct(runs.iter().map(|run| run.seed.to_string()));
    let networks = distinct(runs.iter().map(|run| network(&run.network)));
    let rules: Vec<&str> = results.rules().iter().map(|rule| rule.label).collect();
    format!(
        "{} of network {}, update {} {}, label noise {}, {}.",
        plural(runs.len(), "run"),
        networks.join(", "),
        if rules.len() == 1 { "rule" } else { "rules" },
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

const LEARNING: &[&str] = &["Proper accuracy", "Training accuracy", "Test accuracy", "Training loss", "Test loss"];

fn learning(run: &RunResults) -> Vec<String> {
    let (summary, last) = (&run.summary, &run.summary.last);
    let mut row = Vec::new();
    row.extend([summary.pristine_fraction, last.train_accuracy, last.test_accuracy].map(numbers::percent));
    row.extend([last.train_loss, last.test_loss].map(|loss| numbers::optional(loss, 3)));
    row
}

const DECOMPOSITION: &[&str] =
    &["Group size", "α first", "α last", "Crossover", "p of crossover [95\u{a0}%]", "Simultaneous p [95\u{a0}%]"];

fn decomposition(run: &RunResults) -> Vec<String> {
    let summary = &run.summary;
    let (crossover, simultaneous) = (run.test("crossover"), run.test("alpha"));
    let mut row = Vec::new();
    row.extend([summary.group_size(), summary.alpha_first, summary.alpha_last].map(numbers::share));
    row.push(numbers::share(crossover.and_then(|test| test.observed)));
    row.extend([crossover, simultaneous].map(numbers::p_cell));
    row
}

const CONTRIBUTIONS: &[&str] = &["D₁₀", "p of D₁₀ [95\u{a0}%]", "Simultaneous p [95\u{a0}%]"];

fn contributions(run: &RunResults) -> Vec<String> {
    let (ten_steps, simultaneous) = (run.test("difference_10"), run.test("difference"));
    let mut row = vec![numbers::optional(ten_steps.and_then(|test| test.observed), 3)];
    row.extend([ten_steps, simultaneous].map(numbers::p_cell));
    row
}

const POPULATION: &[&str] = &["Recorded steps", "Group size |P|/m", "α first", "α last", "α covered", "D covered"];

fn population(run: &RunResults) -> Vec<String> {
    let summary = &run.summary;
    let population = summary.population.as_ref();
    let coverage = population.and_then(|population| population.coverage.as_ref());
    let mut row = vec![population.map_or_else(|| MISSING.to_owned(), |population| numbers::count(population.steps))];
    row.extend(
        [
            summary.pristine_fraction,
            population.and_then(|population| population.alpha_first),
            population.and_then(|population| population.alpha_last),
        ]
        .map(numbers::share),
    );
    row.extend([coverage.map(|coverage| coverage.alpha), coverage.map(|coverage| coverage.difference)].map(covered));
    row
}

/// `17 of 20`.
fn covered(covered: Option<Covered>) -> String {
    match covered.filter(|covered| covered.of > 0) {
        None => MISSING.to_owned(),
        Some(Covered { covered, of }) => format!("{}\u{a0}of\u{a0}{}", numbers::count(covered), numbers::count(of)),
    }
}

const POPULATION_TESTS: &[&str] =
    &["Crossover", "p of crossover", "Simultaneous p of α", "D₁₀", "p of D₁₀", "Simultaneous p of D"];

fn population_tests(run: &RunResults) -> Vec<String> {
    let test = |statistic: &str| run.test_of(statistic, EXACT);
    let observed = |statistic: &str| test(statistic).and_then(|test| test.observed);
    vec![
        numbers::share(observed("crossover")),
        numbers::p_cell(test("crossover")),
        numbers::p_cell(test("alpha")),
        numbers::optional(observed("difference_10"), 3),
        numbers::p_cell(test("difference_10")),
        numbers::p_cell(test("difference")),
    ]
}

/// Pairs shown without being asked for.
const FEW_PAIRS: usize = 12;

const GROUP_TESTS: [(&str, &str, &str); 6] = [
    ("share", PAPER, "Share of each group, sample"),
    ("mean_share", PAPER, "Mean share of one group less that of another, sample"),
    ("difference", PAPER, "Cumulative mean contribution of one group less that of another, sample"),
    ("share", EXACT, "Share of each group, population"),
    ("mean_share", EXACT, "Mean share of one group less that of another, population"),
    ("difference", EXACT, "Cumulative mean contribution of one group less that of another, population"),
];

/// Of the conditions that the figures show; of several seeds the largest p.
fn group_tests(results: &Results) -> Vec<GroupTests> {
    let conditions = results.plain_conditions();
    let tests = |(statistic, estimator, title): (&'static str, &'static str, &'static str)| {
        let with_tests = |condition: &&Condition| {
            condition.runs.iter().any(|run| run.group_tests(statistic, estimator).next().is_some())
        };
        let conditions: Vec<&Condition> = conditions.iter().filter(with_tests).collect();
        let mut names: Vec<[Option<&str>; 2]> = Vec::new();
        let runs = conditions.iter().flat_map(|condition| &condition.runs);
        for test in runs.flat_map(|run| run.group_tests(statistic, estimator)) {
            let name = [test.group_a.as_deref(), test.group_b.as_deref()];
            if !names.contains(&name) {
                names.push(name);
            }
        }
        // All groups at once first.
        names.sort_by_key(|name| name[0].is_some());
        let row = |name: &[Option<&str>; 2]| {
            let cell = |condition: &&Condition| group_cell(condition, statistic, estimator, name);
            [group_name(name)].into_iter().chain(conditions.iter().map(cell)).collect()
        };
        let heading = |condition: &&Condition| format!("noise {}", condition.label);
        GroupTests {
            title,
            head: [if statistic == "share" { "Group" } else { "Pair" }.to_owned()]
                .into_iter()
                .chain(conditions.iter().map(heading))
                .collect(),
            rows: names.iter().map(row).collect(),
            long: names.len() > FEW_PAIRS,
        }
    };
    GROUP_TESTS.into_iter().map(tests).filter(|tests| !tests.rows.is_empty()).collect()
}

fn group_name(name: &[Option<&str>; 2]) -> String {
    match name {
        [None, _] => "all at once".to_owned(),
        [Some(group), None] => (*group).to_owned(),
        [Some(a), Some(b)] => format!("{a} − {b}"),
    }
}

/// `0.012 (0.12)`: p, and with Holm's correction.
fn group_cell(condition: &Condition, statistic: &str, estimator: &str, name: &[Option<&str>; 2]) -> String {
    let wanted = |test: &&GroupTest| [test.group_a.as_deref(), test.group_b.as_deref()] == *name;
    let tests = condition.runs.iter().filter_map(|run| run.group_tests(statistic, estimator).find(wanted));
    let weakest = tests.filter(|test| test.test.p.is_some()).max_by(|a, b| {
        let p = |test: &GroupTest| test.test.p.unwrap_or(0.0);
        p(a).total_cmp(&p(b))
    });
    let Some(weakest) = weakest else { return MISSING.to_owned() };
    let p = numbers::p_value(Some(&weakest.test)).trim_start_matches("= ").replace(' ', "\u{a0}");
    match weakest.p_holm {
        Some(adjusted) => format!("{p}\u{a0}({})", numbers::significant(adjusted, 2)),
        None => p,
    }
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

/// The rules whose runs Figures 1 to 3 show, where the study has others too.
fn plain_rule(results: &Results) -> Option<String> {
    let shown = distinct(
        results.plain_conditions().iter().flat_map(|condition| &condition.runs).map(|run| run.rule().to_owned()),
    );
    (results.rules().len() > 1).then(|| shown.join(" and "))
}

const WINSORIZED: &[&str] =
    &["Proper accuracy", "Largest training accuracy", "Final training accuracy", "Test accuracy", "Overfit", "Growth"];

fn measured_winsorized(results: &Results, winsorized: &Winsorized) -> Measured {
    let seed = has_several_seeds(results);
    let condition: &[&'static str] = if seed { &["Noise", "c (%)", "Seed"] } else { &["Noise", "c (%)"] };
    let rows = winsorized.runs().map(|run| winsorized_row(run, seed)).collect();
    Measured { sentence: overfit_changes(winsorized), table: Table { head: [condition, WINSORIZED].concat(), rows } }
}

fn winsorized_row(run: &RunResults, seed: bool) -> Vec<String> {
    let summary = &run.summary;
    let percent = summary.winsorization.map_or_else(|| MISSING.to_owned(), |percent| percent.to_string());
    let mut row = vec![summary.noise.to_string(), percent];
    row.extend(seed.then(|| summary.seed.to_string()));
    let accuracies = [
        summary.pristine_fraction,
        summary.max_train_accuracy,
        summary.last.train_accuracy,
        summary.last.test_accuracy,
        summary.overfit.last,
    ];
    row.extend(accuracies.map(numbers::percent));
    row.push(points(summary.overfit.slope));
    row
}

/// A slope in percentage points.
fn points(slope: Option<f64>) -> String {
    numbers::optional(slope.map(|slope| 100.0 * slope), 3)
}

/// What becomes of overfit from the smallest to the largest c, by noise level; empty with one c, or nothing measured.
fn overfit_changes(winsorized: &Winsorized) -> String {
    let (Some(&least), Some(&most)) = (winsorized.percents.first(), winsorized.percents.last()) else {
        return String::new();
    };
    let change = |&noise: &f64| overfit_change(noise, &winsorized.at(noise, least), &winsorized.at(noise, most));
    let changes: Vec<String> = winsorized.noise.iter().filter_map(change).collect();
    if least == most || changes.is_empty() {
        return String::new();
    }
    format!(
        "From c\u{a0}=\u{a0}{least} to c\u{a0}=\u{a0}{most}\u{a0}% overfit after the last update goes {}.",
        changes.join("; ")
    )
}

/// From the runs at the smallest c to those at the largest, means over seeds; none if either has no overfit.
fn overfit_change(noise: f64, least: &Condition, most: &Condition) -> Option<String> {
    let last = |condition: &Condition| mean(condition.runs.iter().map(|run| run.summary.overfit.last));
    let growth = |condition: &Condition| points(mean(condition.runs.iter().map(|run| run.summary.overfit.slope)));
    let [from, to] = [last(least)?, last(most)?].map(|overfit| numbers::percent(Some(overfit)));
    Some(format!("from {from} to {to} (growth {} to {}) at noise\u{a0}{noise}", growth(least), growth(most)))
}

/// Of the values there are.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.flatten().collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

const RULES: &[&str] = &["Rule", "Noise", "Matched training accuracy", "Reached at step", "Test accuracy", "Overfit"];

fn measured_rules(results: &Results) -> Measured {
    let rules = results.rules();
    let place = |matched: &MatchedRule| rules.iter().position(|rule| rule.label == matched.rule);
    let mut matched = results.summary.matched.clone();
    matched.sort_by(|a, b| a.noise.total_cmp(&b.noise).then(place(a).cmp(&place(b))));
    let row = |rule: &MatchedRule| {
        let step = rule.step.map_or_else(|| MISSING.to_owned(), |step| numbers::count(step.round().max(0.0) as u64));
        let mut row =
            vec![rule.rule.clone(), rule.noise.to_string(), numbers::percent(Some(rule.train_accuracy)), step];
        row.extend([rule.test_accuracy, rule.overfit].map(numbers::percent));
        row
    };
    let ranges: Vec<String> = matched.chunk_by(|a, b| a.noise == b.noise).filter_map(test_accuracy_range).collect();
    let sentence = match ranges.len() {
        0 => String::new(),
        _ => format!("Test accuracy there: {}.", ranges.join("; ")),
    };
    Measured { sentence, table: table(RULES, matched.iter().map(row)) }
}

/// The rules with the lowest and the highest test accuracy at one noise level.
fn test_accuracy_range(rules: &[MatchedRule]) -> Option<String> {
    let known: Vec<(&MatchedRule, f64)> = rules.iter().filter_map(|rule| Some((rule, rule.test_accuracy?))).collect();
    let lowest = known.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let highest = known.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let at = |(rule, accuracy): &(&MatchedRule, f64)| format!("{} ({})", numbers::percent(Some(*accuracy)), rule.rule);
    Some(format!("{} to {} at noise\u{a0}{}", at(lowest), at(highest), lowest.0.noise))
}

fn has_several_seeds(results: &Results) -> bool {
    results.runs.windows(2).any(|pair| pair[0].summary.seed != pair[1].summary.seed)
}

/// A table with a row a run, whose first columns say which: the rule where the study has several, and then the seed only
/// where it has several too, because there is little room.
fn table_of_runs<'a>(
    results: &Results,
    head: &[&'static str],
    runs: impl Iterator<Item = &'a RunResults>,
    cells: fn(&RunResults) -> Vec<String>,
) -> Table {
    let rule = results.rules().len() > 1;
    let seed = !rule || has_several_seeds(results);
    let condition: &[&'static str] = match (rule, seed) {
        (true, true) => &["Rule", "Noise", "Seed"],
        (true, false) => &["Rule", "Noise"],
        _ => &["Noise", "Seed"],
    };
    let row = |run: &RunResults| {
        let mut row: Vec<String> = rule.then(|| run.rule().to_owned()).into_iter().collect();
        row.push(run.summary.noise.to_string());
        row.extend(seed.then(|| run.summary.seed.to_string()));
        row.extend(cells(run));
        row
    };
    Table { head: [condition, head].concat(), rows: runs.map(row).collect() }
}

fn provenance(summary: &Summary) -> Vec<(&'static str, String)> {
    let seeds = distinct(summary.runs.iter().map(|run| run.seed.to_string()));
    let writers = distinct(summary.runs.iter().filter_map(|run| run.writer.clone()));
    let mut provenance = vec![
        ("Study", summary.study.name.clone().unwrap_or_else(|| MISSING.to_owned())),
        ("Experiment, SHA-256", summary.study.experiment_sha256.clone().unwrap_or_else(|| MISSING.to_owned())),
        ("Training seeds", seeds.join(", ")),
        ("Null worlds", numbers::count(summary.null_worlds)),
        ("Seed of the analysis", summary.seed.to_string()),
        ("Recorded by", if writers.is_empty() { MISSING.to_owned() } else { writers.join(", ") }),
        ("Analysed by", format!("cograd {}", summary.cograd)),
        ("Reported by", format!("cograd {}", env!("CARGO_PKG_VERSION"))),
    ];
    if let Some(options) = &summary.options {
        let grouping = options.group_by.clone();
        provenance.extend(grouping.map(|grouping| ("Examples grouped by", grouping)));
        provenance.extend(options.bootstrap.map(|resamples| ("Bootstrap resamples", numbers::count(resamples))));
        let restrictions =
            [("Only steps", &options.steps), ("Only layers", &options.layers), ("Only examples", &options.examples)];
        let restricted = restrictions.into_iter().filter(|(_, restriction)| !restriction.is_null());
        provenance.extend(restricted.map(|(name, restriction)| (name, plain_text(restriction))));
    }
    provenance
}

/// A value of JSON as people write it.
fn plain_text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
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
