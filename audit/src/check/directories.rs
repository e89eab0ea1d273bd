//! Nothing lies in the study that belongs to nothing, and what is unfinished is told.

use std::fs;
use std::path::Path;

use crate::claim::Claim;

const CLAIM: &str = "every entry there belongs to the study";

/// Of the study's directory, in which anything may lie beside.
pub(crate) fn of_study(study: &Path) -> Claim {
    let known = ["study.toml", ".study.lock", "runs", "analysis", "report", "figures", "export"];
    match unknown(study, |name| known.contains(&name)) {
        Err(error) => Claim::unread(CLAIM, "study", &error, format!("the directory cannot be listed: {error}")),
        Ok(names) if names.is_empty() => Claim::pass(CLAIM, "study", "no other entry"),
        Ok(names) => Claim::note(CLAIM, "study", format!("not of a study: {}", names.join(", "))),
    }
}

/// Of the directory of runs, in which `finished` are runs.
pub(crate) fn of_runs(runs: &Path, finished: &[String]) -> Vec<Claim> {
    let is_lock = |name: &str| name.starts_with('.') && name.ends_with(".lock");
    let is_partial = |name: &str| name.starts_with('.') && name.ends_with(".partial");
    let is_finished = |name: &str| finished.iter().any(|known| known == name);
    let names = match unknown(runs, |name| is_finished(name) || is_lock(name)) {
        Ok(names) => names,
        Err(error) => {
            return vec![Claim::unread(CLAIM, "runs", &error, format!("the directory cannot be listed: {error}"))];
        }
    };
    let (unfinished, others): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| is_partial(name));
    // A run whose manifest is there and cannot be read, which is no run to any reader.
    let unreadable = |name: &String| fs::symlink_metadata(runs.join(name).join("manifest.json")).is_ok();
    let (broken, others): (Vec<String>, Vec<String>) = others.into_iter().partition(unreadable);
    let broken =
        broken.iter().map(|name| Claim::fail("the run is what its manifest says", name, "its manifest cannot be read"));
    let mut claims: Vec<Claim> = broken.collect();
    claims.push(match others.is_empty() {
        true => Claim::pass(CLAIM, "runs", format!("{} runs", finished.len())),
        false => Claim::note(CLAIM, "runs", format!("neither a run nor one being recorded: {}", others.join(", "))),
    });
    claims.extend(unfinished.iter().map(|name| {
        let why = "it is not finished and has no manifest: record it to the end";
        Claim::unchecked("the run is what its manifest says", name, why)
    }));
    claims
}

/// Names of entries that are not known, sorted.
fn unknown(directory: &Path, known: impl Fn(&str) -> bool) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !known(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
