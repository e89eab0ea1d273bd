//! `index.html`: the figures, the numbers measured, the paper's predictions and where it all comes from.

use cograd_results::summary::Options;
use minijinja::Environment;
use serde::Serialize;

use crate::canvas::{Drawing, printable};
use crate::comparison::Comparison;
use crate::figure::{Figure, Picture, overview};
use crate::format::part;
use crate::numbers::{self, MISSING, capital};
use crate::numbers_of_runs::{Numbers, Row};
use crate::predictions::{self, Judged, Tally};
use crate::setting;
use crate::study::{Run, Study};
use crate::{ReportError, distinct};

const TEMPLATES: [(&str, &str); 5] = [
    ("index.html", include_str!("../templates/index.html")),
    ("comparison.html", include_str!("../templates/comparison.html")),
    ("parts.html", include_str!("../templates/parts.html")),
    ("script.js", include_str!("../templates/script.js")),
    ("style.css", include_str!("../templates/style.css")),
];

/// What the template shows of a study; every number is already text.
#[derive(Serialize)]
struct Page<'a> {
    study: &'a str,
    overview: String,
    findings: Vec<String>,
    tally: Vec<Tally>,
    sections: Vec<Section<'a>>,
    predictions: Vec<Judged>,
    runs: Option<Numbers>,
    provenance: Vec<(&'static str, String)>,
    manifests: Vec<(&'a str, &'a str)>,
}

/// What it shows of a comparison.
#[derive(Serialize)]
struct Compared<'a> {
    studies: &'a [String],
    cograd: &'a str,
    conditions: Vec<String>,
    tested: bool,
    sections: Vec<Section<'a>>,
    tables: Vec<(&'a str, &'a str)>,
}

#[derive(Serialize)]
struct Section<'a> {
    title: &'a str,
    id: String,
    figures: Vec<Shown<'a>>,
}

/// A figure, and the tables that it is drawn from.
#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    title: &'a str,
    caption: &'a str,
    drawings: Vec<PagePicture<'a>>,
    tables: &'a [&'static str],
    numbers: &'a [Numbers],
    linked: bool,
}

/// A picture in parts, each no wider than a phone.
#[derive(Serialize)]
struct PagePicture<'a> {
    name: &'a str,
    heading: &'a str,
    keys: Vec<(String, &'a str, Option<String>)>,
    parts: Vec<String>,
    described: String,
}

/// Of a part, in points.
const WIDTH: f64 = 264.0;

fn shown<'a>(title: &str, picture: &'a Picture, linked: bool) -> Result<PagePicture<'a>, ReportError> {
    let Picture { name, heading, panels } = picture;
    if linked {
        return Ok(PagePicture { name, heading, keys: vec![], parts: vec![], described: String::new() });
    }
    let sample = |drawing: Option<Drawing>| drawing.map_or(String::new(), |drawing| part(&drawing));
    let keys =
        panels.legend.keys()?.into_iter().map(|(drawing, text, series)| (sample(drawing), text, series)).collect();
    let parts = panels.draw_parts(title, WIDTH)?.iter().map(part).collect();
    Ok(PagePicture { name, heading, keys, parts, described: picture.described(title) })
}

/// What a section is called in addresses.
fn id(title: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    title.chars().map(letter).collect::<String>().trim_matches('-').to_owned()
}

pub fn of_study(study: &Study, figures: &[Figure]) -> Result<String, ReportError> {
    let summary = &study.summary;
    let predictions = study.predictions.as_ref().map(|rows| predictions::judged(rows, summary)).unwrap_or_default();
    let manifest = |run: &'_ Run| Some((run.name.clone(), run.text("manifest_sha256")?.to_owned()));
    let manifests: Vec<(String, String)> = study.runs().filter_map(|(_, run)| manifest(run)).collect();
    let page = Page {
        study: &summary.study.name,
        overview: conditions(study),
        findings: overview::findings(study),
        tally: predictions::tally(&predictions),
        sections: sections(figures)?,
        predictions,
        runs: runs(study),
        provenance: provenance(study),
        manifests: manifests.iter().map(|(run, hash)| (run.as_str(), hash.as_str())).collect(),
    };
    render("index.html", page)
}

pub fn of_comparison(comparison: &Comparison, figures: &[Figure]) -> Result<String, ReportError> {
    let summary = &comparison.summary;
    let names = comparison.varying().into_iter().map(|place| setting::name(&summary.conditions[place].name));
    let page = Compared {
        studies: &comparison.studies,
        cograd: &summary.cograd,
        conditions: names.collect(),
        tested: comparison.is_tested(),
        sections: sections(figures)?,
        tables: summary.files.iter().map(|(name, entry)| (name.as_str(), entry.sha256.as_str())).collect(),
    };
    render("comparison.html", page)
}

fn render(template: &str, page: impl Serialize) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    let failed = |source| ReportError::Page { source };
    // A name that ends in .html turns HTML escaping on.
    for (name, template) in TEMPLATES {
        environment.add_template(name, template).map_err(failed)?;
    }
    let text = environment.get_template(template).and_then(|template| template.render(page)).map_err(failed)?;
    Ok(printable(&text))
}

fn sections(figures: &[Figure]) -> Result<Vec<Section<'_>>, ReportError> {
    let mut sections: Vec<Section> = Vec::new();
    for figure in figures {
        let Figure { section, name, title, caption, pictures, tables, numbers, linked, .. } = figure;
        let draw = |picture| shown(title, picture, *linked);
        let drawings = pictures.iter().map(draw).collect::<Result<_, _>>()?;
        let shown = Shown { name, title, caption, drawings, tables, numbers, linked: *linked };
        match sections.iter_mut().find(|known| known.title == *section) {
            Some(known) => known.figures.push(shown),
            None => sections.push(Section { title: section, id: id(section), figures: vec![shown] }),
        }
    }
    Ok(sections)
}

/// `5 runs. Label noise ε: 0, 0.25; rule: sgd; 3 seeds.`
fn conditions(study: &Study) -> String {
    let number = study.summary.runs.len();
    let of_condition = |(place, condition): (usize, &cograd_results::summary::Condition)| {
        let values = study.conditions.iter().filter_map(|of| of.setting[place].as_deref());
        let values = distinct(values.map(|value| setting::value(&condition.name, value)));
        (!values.is_empty()).then(|| format!("{}: {}", setting::name(&condition.name), values.join(", ")))
    };
    let mut parts: Vec<String> = study.summary.conditions.iter().enumerate().filter_map(of_condition).collect();
    let networks = distinct(study.runs().filter_map(|(_, run)| run.text("network_name").map(str::to_owned)));
    parts.extend((!networks.is_empty()).then(|| format!("network: {}", networks.join(", "))));
    let seeds = distinct(study.runs().filter_map(|(_, run)| run.seed.map(|seed| seed.to_string())));
    match seeds.len() {
        0 => {}
        1 => parts.push(format!("seed {}", seeds[0])),
        number => parts.push(format!("{number} seeds")),
    }
    let parts = parts.join("; ");
    let runs = if number == 1 { "1 run".to_owned() } else { format!("{number} runs") };
    if parts.is_empty() { format!("{runs}.") } else { format!("{runs}. {}.", capital(&parts)) }
}

fn runs(study: &Study) -> Option<Numbers> {
    let head = [
        "Name",
        "Network",
        "Steps",
        "Training examples",
        "Recorded steps",
        "Sampled examples",
        "Coordinates",
        "Skipped steps",
        "Trace",
    ];
    let row = |run: &Run| {
        let text = |value: Option<&str>| value.unwrap_or(MISSING).to_owned();
        let columns =
            ["updates", "train_examples", "recorded_steps", "sampled_examples", "coordinates", "skipped_steps"];
        let mut cells = vec![run.name.clone(), text(run.text("network_name"))];
        let count = |value: Option<u64>| value.map_or_else(|| MISSING.to_owned(), numbers::count);
        cells.extend(
            columns.map(|column| count(run.count(column).filter(|&number| column != "skipped_steps" || number > 0))),
        );
        cells.push(run.count("trace_bytes").map_or_else(|| MISSING.to_owned(), numbers::bytes));
        Some(cells)
    };
    Numbers::of_runs(study, "", &head, Row::all(study, row))
}

fn provenance(study: &Study) -> Vec<(&'static str, String)> {
    let summary = &study.summary;
    let Options { steps, layers, examples, statistics, halves, null_worlds, seed, .. } = &summary.options;
    let of_runs = |column: &str| {
        let texts = distinct(study.runs().filter_map(|(_, run)| run.text(column).map(str::to_owned)));
        (!texts.is_empty()).then(|| texts.join("; "))
    };
    let joined = |names: &Option<Vec<String>>| names.as_ref().map(|names| names.join(", "));
    let rows = [
        ("Study", Some(summary.study.name.clone())),
        ("Experiment, SHA-256", summary.study.experiment_sha256.clone()),
        ("Examples grouped by", Some(summary.grouping.by.clone())),
        ("Null worlds", Some(numbers::count(*null_worlds as u64))),
        ("Random halves for intervals", Some(numbers::count(*halves as u64))),
        ("Seed of the analysis", Some(seed.to_string())),
        ("Only steps", steps.clone()),
        ("Only layers", joined(layers)),
        ("Only examples", examples.clone()),
        ("Only statistics", joined(statistics)),
        ("Population record left out", of_runs("population_left_out")),
        ("Recorded by", of_runs("writer")),
        ("Analysed by", Some(format!("cograd {}", summary.cograd))),
        ("Reported by", Some(format!("cograd {}", env!("CARGO_PKG_VERSION")))),
    ];
    rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
