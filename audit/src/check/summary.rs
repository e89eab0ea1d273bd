//! summary.json against the study: what it is of, its conditions, runs and groups.

use std::collections::BTreeSet;
use std::path::Path;

use cograd_results::Summary;
use cograd_trace::{Condition, Conditions, sha256_of_file};

use crate::check::files::{OTHER_ENDS, is_same_text};
use crate::claim::Claim;
use crate::evidence::{Evidence, conditions};
use crate::tally::{Tally, listed, told};

const SUBJECT: &str = "summary.json";

/// Compares everything in the summary but the list of files with the runs, which are in the order of the tables; `by` is what
/// they must be grouped by.
pub(crate) fn check(summary: &Summary, study: &Path, by: &Result<String, String>, runs: &[&Evidence]) -> Vec<Claim> {
    vec![
        of_study(summary, study).into_claim("the summary is of this study and its study.toml", SUBJECT),
        of_runs(summary, runs).into_claim("the summary has the runs of the study and their conditions", SUBJECT),
        match groups(summary, by, runs) {
            Ok(tally) => tally.into_claim("the summary has the groups of the runs", SUBJECT),
            Err(why) => Claim::unchecked("the summary has the groups of the runs", SUBJECT, why),
        },
    ]
}

fn of_study(summary: &Summary, study: &Path) -> Tally {
    let mut tally = Tally::default();
    let path = study.join("study.toml");
    let text = cograd_files::read_regular_text(&path).ok();
    let table = text.and_then(|text| text.parse::<toml::Table>().ok());
    // Without a name in study.toml it is that of the directory, which may have been copied.
    if let Some(name) = table.as_ref().and_then(|table| table.get("name")?.as_str()) {
        tally.check(summary.study.name == name, || format!("the study is called `{}`", summary.study.name));
    }
    let sha256 = path.is_file().then(|| sha256_of_file(&path).unwrap_or_default());
    match &summary.study.experiment_sha256 {
        Some(listed) if sha256.as_ref() != Some(listed) && is_same_text(&path, listed) => {
            tally.odd(|| format!("study.toml has {OTHER_ENDS}"));
        }
        listed => tally.check(*listed == sha256, || "it is of another study.toml".to_string()),
    }
    tally
}

fn of_runs(summary: &Summary, runs: &[&Evidence]) -> Tally {
    let mut tally = Tally::default();
    let expected = conditions(&runs.iter().map(|run| &run.conditions).collect::<Vec<&Conditions>>());
    tally.check(summary.conditions == expected, || {
        let name = |of: &cograd_results::summary::Condition| {
            format!("{} ({}{})", of.name, of.kind, if of.varies { ", varies" } else { "" })
        };
        let names = |all: &[cograd_results::summary::Condition]| listed(all.iter().map(name));
        format!("the conditions are {}, recomputed {}", names(&summary.conditions), names(&expected))
    });
    tally.check(summary.runs.len() == runs.len(), || {
        format!("there are {} runs, not {}", summary.runs.len(), runs.len())
    });
    for (place, (found, run)) in summary.runs.iter().zip(runs).enumerate() {
        tally.check(found.run == run.run, || format!("run {place} is {}, not {}", found.run, run.run));
        tally.check(found.seed == run.conditions.seed(), || {
            format!("the seed of {} is {}", found.run, told(found.seed))
        });
        let values: Vec<(&str, Option<Condition>)> = found
            .conditions
            .iter()
            .map(|(name, value)| (name.as_str(), serde_json::from_value(value.clone()).ok()))
            .collect();
        let expected: Vec<(&str, Option<Condition>)> =
            run.conditions.iter().map(|(name, value)| (name, Some(value.clone()))).collect();
        tally.check(values == expected, || {
            let all = found.conditions.iter().map(|(name, value)| format!("{name} {value}"));
            format!("the conditions of {} are {}, not {}", found.run, listed(all), run.conditions)
        });
    }
    if let Some(asked) = &summary.options.statistics {
        let names: BTreeSet<&String> = summary.statistics.iter().map(|statistic| &statistic.name).collect();
        let is_asked = asked.iter().collect::<BTreeSet<&String>>() == names;
        tally.check(is_asked, || format!("statistics are {}, asked for were {}", listed(names), listed(asked)));
    }
    tally
}

/// The groups that any run has, in the order of every run that has them all.
fn groups(summary: &Summary, by: &Result<String, String>, runs: &[&Evidence]) -> Result<Tally, String> {
    let (mut tally, by) = (Tally::default(), by.as_ref().map_err(String::clone)?);
    let found = &summary.grouping;
    tally.check(found.by == *by, || format!("grouped by `{}`, not `{by}`", found.by));
    let mut names = BTreeSet::new();
    for run in runs {
        let of_run = run.groups.as_ref().map_err(String::clone)?;
        names.extend(of_run);
        let is_in_order = of_run.len() < found.groups.len() || *of_run == found.groups;
        tally.check(is_in_order, || format!("the groups of {} are {}", run.run, listed(of_run)));
    }
    let is_all = found.groups.iter().collect::<BTreeSet<_>>() == names && found.groups.len() == names.len();
    tally.check(is_all, || format!("the groups are {}, of the runs {}", listed(&found.groups), listed(names)));
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use cograd_results::summary::{self, Grouping, Options, Run};

    use super::*;

    #[test]
    fn another_condition_or_order_of_runs_is_told() {
        let run = |seed: u64| Conditions::new(Some(seed)).with("width", 64_i64);
        let evidence: Vec<Evidence> = [run(1), run(2)].map(|conditions| Evidence::for_tests("run", conditions)).into();
        let runs: Vec<&Evidence> = evidence.iter().collect();
        let listed = |seed: u64, width: f64| Run {
            run: "run".to_string(),
            conditions: [("width".to_string(), width.into())].into(),
            seed: Some(seed),
        };
        let mut summary = Summary {
            cograd: String::new(),
            study: summary::Study { name: String::new(), experiment_sha256: None },
            options: Options::default(),
            compared: Vec::new(),
            conditions: conditions(&[&run(1), &run(2)]),
            runs: vec![listed(1, 64.0), listed(2, 64.0)],
            grouping: Grouping { by: "all".to_string(), groups: vec!["all".to_string()] },
            statistics: Vec::new(),
            files: Default::default(),
            seal: String::new(),
        };
        let failed = |summary: &Summary| of_runs(summary, &runs).failed();
        assert_eq!(failed(&summary), 0);
        summary.runs.swap(0, 1);
        assert_eq!(failed(&summary), 2);
        summary.runs = vec![listed(1, 64.0), listed(2, 32.0)];
        assert_eq!(failed(&summary), 1);
        let groups_of = |summary: &Summary| groups(summary, &Ok("all".to_string()), &runs).unwrap().failed();
        assert_eq!(groups_of(&summary), 0);
        summary.grouping.groups.push("others".to_string());
        assert_eq!(groups_of(&summary), 1);
    }
}
