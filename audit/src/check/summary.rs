//! summary.json against what is recomputed of the whole study.

use std::path::Path;

use cograd_trace::sha256_of_file;
use serde_json::Value as Json;

use crate::claim::Claim;
use crate::evidence::Evidence;
use crate::options::Options;
use crate::plain::matched::{largest, place};
use crate::plain::predictions;
use crate::sheet::Value;
use crate::tally::Tally;
use crate::tree::Tree;

const SUBJECT: &str = "summary.json";

/// Compares everything in the summary but the list of files, whose runs are those of `evidence`.
pub(crate) fn check(summary: &Json, study: &Path, options: &Options, evidence: &[Evidence]) -> Vec<Claim> {
    let mut ordered: Vec<&Evidence> = evidence.iter().collect();
    ordered.sort_by(|a, b| a.rule.cmp(&b.rule).then(a.noise.total_cmp(&b.noise)).then(a.seed.cmp(&b.seed)));
    let runs = Tree::List(ordered.iter().map(|run| run.summary.clone()).collect());
    let part = |name: &str, expected: &Tree| {
        let mut tally = Tally::default();
        match summary.get(name) {
            Some(found) => expected.compare(found, name, &mut tally),
            None => tally.check(false, || format!("{name} is missing")),
        }
        tally
    };
    let fields = Tree::Object(vec![
        ("cograd", Tree::Anything),
        ("study", Tree::Anything),
        ("seed", Value::Int(options.seed as i64).into()),
        ("null_worlds", Value::Int(i64::from(options.null_worlds)).into()),
        ("options", Tree::Anything),
        ("runs", Tree::Anything),
        ("matched", Tree::Anything),
        ("predictions", Tree::Anything),
        ("files", Tree::Anything),
        ("seal", Tree::Anything),
    ]);
    let mut whole = Tally::default();
    fields.compare(summary, "", &mut whole);
    let predictions: Vec<Tree> = predictions::judge_all(&ordered);
    vec![
        whole.into_claim("the summary has the fields that it should", SUBJECT),
        part("study", &of_study(study)).into_claim("the summary is of this study and its study.toml", SUBJECT),
        part("runs", &runs).into_claim("every number of the runs is recomputed", SUBJECT),
        part("matched", &Tree::List(matched(&ordered)))
            .into_claim("the rules at matched accuracy are recomputed", SUBJECT),
        part("predictions", &Tree::List(predictions)).into_claim("the predictions are judged as measured", SUBJECT),
    ]
}

fn of_study(study: &Path) -> Tree {
    let path = study.join("study.toml");
    let text = std::fs::read_to_string(&path).ok();
    let table = text.and_then(|text| text.parse::<toml::Table>().ok());
    let name = table.and_then(|table| Some(table.get("name")?.as_str()?.to_string()));
    let sha256 = match path.is_file() {
        true => sha256_of_file(&path).map_or(Tree::from("a readable study.toml"), |sha256| sha256.as_str().into()),
        false => Value::Null.into(),
    };
    // Without a name in study.toml it is that of the directory, which may have been copied.
    Tree::Object(vec![
        ("name", name.map_or(Tree::Anything, |name| name.as_str().into())),
        ("experiment_sha256", sha256),
    ])
}

/// Rules at the training accuracy that every run of a noise level reached.
fn matched(runs: &[&Evidence]) -> Vec<Tree> {
    let mut levels: Vec<f64> = runs.iter().map(|run| run.noise).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    levels.into_iter().flat_map(|noise| matched_level(runs, noise)).collect()
}

fn matched_level(runs: &[&Evidence], noise: f64) -> Vec<Tree> {
    let of_level: Vec<&&Evidence> = runs.iter().filter(|run| run.noise == noise).collect();
    let mut rules: Vec<&str> = of_level.iter().map(|run| run.rule.as_str()).collect();
    rules.dedup();
    let reached: Option<Vec<f64>> = of_level.iter().map(|run| largest(&run.overfit)).collect();
    let level = match reached {
        Some(reached) if rules.len() > 1 => reached.into_iter().fold(f64::INFINITY, f64::min),
        _ => return Vec::new(),
    };
    let of_rule = |rule: &&str| {
        let places: Vec<_> =
            of_level.iter().filter(|run| run.rule == *rule).filter_map(|run| place(&run.overfit, level)).collect();
        let mean = |values: Vec<f64>| {
            let sum: f64 = values.iter().sum();
            Tree::from(Value::near((!values.is_empty()).then_some(sum / values.len() as f64), 1.0))
        };
        Tree::Object(vec![
            ("noise", Value::exact(Some(noise)).into()),
            ("train_accuracy", Value::exact(Some(level)).into()),
            ("rule", (*rule).into()),
            ("step", mean(places.iter().map(|place| place.step).collect())),
            ("test_accuracy", mean(places.iter().filter_map(|place| place.test).collect())),
            ("overfit", mean(places.iter().filter_map(|place| place.overfit).collect())),
        ])
    };
    rules.iter().map(of_rule).collect()
}
