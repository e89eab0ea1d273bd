//! The conditions of a study's runs, as columns.

use std::collections::BTreeSet;

use cograd_results::{COMPARISON_TABLES, Kind, Scope, TABLES, summary};
use cograd_trace::{Condition, Run};
use polars::prelude::{Expr, lit};

use crate::AnalysisError;
use crate::frame;

/// Columns beside the conditions while tables are made: no condition's name begins so. The place of the condition that a row is of,
/// and what the predictions go by.
pub(crate) const PLACE: &str = "_place";
pub(crate) const NOISE: &str = "_noise";
pub(crate) const RULE: &str = "_rule";
pub(crate) const LEVEL: &str = "_level";

/// The conditions that the predictions are about.
const PREDICTED: [&str; 3] = ["noise", "rule", "winsorization"];

/// The columns that tables of runs begin with: `run`, the conditions, `seed`.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    /// Name and type of each, by name.
    columns: Vec<(String, Kind)>,
    /// Which of them vary.
    varying: BTreeSet<String>,
    /// See [`Conditions::others`].
    others: Vec<String>,
    /// Of each run, the place of its condition: runs that differ in nothing but their seed share it.
    pub(crate) places: Vec<u64>,
}

impl Conditions {
    /// Of the runs of a study.
    ///
    /// # Errors
    /// A condition has the name of a column of the results.
    pub(crate) fn new(runs: &[Run]) -> Result<Conditions, AnalysisError> {
        let names: BTreeSet<&str> =
            runs.iter().flat_map(|run| run.manifest().conditions.iter().map(|(name, _)| name)).collect();
        let tables = || TABLES.iter().chain(COMPARISON_TABLES).filter(|table| table.scope != Scope::Study);
        let taken = |name: &str| name == "run" || tables().any(|table| table.has(name));
        if let Some(name) = names.iter().find(|name| taken(name)) {
            return Err(AnalysisError::ConditionName { name: name.to_string() });
        }
        let value = |run: &Run, name: &str| run.manifest().conditions.get(name).cloned();
        let columns = names.iter().map(|name| {
            let values: Vec<Condition> = runs.iter().filter_map(|run| value(run, name)).collect();
            (name.to_string(), kind(&values))
        });
        let varies = |name: &&&str| runs.iter().any(|run| value(run, name) != value(&runs[0], name));
        let mut places: Vec<u64> = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            let alike =
                runs[..index].iter().position(|other| names.iter().all(|name| value(other, name) == value(run, name)));
            let next = places.iter().max().map_or(0, |last| last + 1);
            places.push(alike.map_or(next, |other| places[other]));
        }
        let varying = names.iter().filter(varies).map(|name| name.to_string()).collect();
        let judged: Vec<&Run> = runs.iter().filter(|run| level(run).is_some()).collect();
        let differs = |name: &&&str| judged.iter().any(|run| value(run, name) != value(judged[0], name));
        let others = names.iter().filter(|name| !PREDICTED.contains(name)).filter(differs);
        let others = others.map(|name| name.to_string()).collect();
        Ok(Conditions { columns: columns.collect(), varying, others, places })
    }

    /// Names and types of the conditions.
    pub(crate) fn columns(&self) -> &[(String, Kind)] {
        &self.columns
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.columns.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Names of those beside rule, winsorization and noise that vary among the runs that predictions are about.
    pub(crate) fn others(&self) -> &[String] {
        &self.others
    }

    /// Name and type of every column that a table of runs begins with.
    pub(crate) fn of_runs(&self) -> Vec<(String, Kind)> {
        let run = [("run".to_string(), Kind::Text)];
        run.into_iter().chain(self.columns.iter().cloned()).chain([("seed".to_string(), Kind::Count)]).collect()
    }

    /// Those columns of a run, and [`PLACE`].
    pub(crate) fn of_run(&self, index: usize, run: &Run) -> Vec<Expr> {
        let conditions = &run.manifest().conditions;
        let value = |(name, kind): &(String, Kind)| frame::literal(conditions.get(name), *kind).alias(name.as_str());
        let seed = conditions.seed().map_or_else(|| frame::null(Kind::Count), frame::count);
        let mut columns = vec![lit(run.manifest().run.clone()).alias("run"), seed.alias("seed")];
        columns.extend(self.columns.iter().map(value));
        columns.push(frame::count(self.places[index]).alias(PLACE));
        columns
    }

    /// What the predictions go by, of a run: [`NOISE`], [`RULE`], and [`LEVEL`], c in percent of plain and winsorized SGD.
    pub(crate) fn of_predictions(run: &Run) -> [Expr; 3] {
        let conditions = &run.manifest().conditions;
        let number = |value: Option<f64>| value.map_or_else(|| frame::null(Kind::Number), lit);
        let rule = conditions.text("rule");
        [
            number(conditions.number("noise")).alias(NOISE),
            rule.map_or_else(|| frame::null(Kind::Text), lit).alias(RULE),
            number(level(run)).alias(LEVEL),
        ]
    }

    /// As the summary has them.
    pub(crate) fn summary(&self) -> Vec<summary::Condition> {
        let of = |(name, kind): &(String, Kind)| summary::Condition {
            name: name.clone(),
            kind: *kind,
            varies: self.varying.contains(name),
        };
        self.columns.iter().map(of).collect()
    }
}

/// c in percent of a run of plain or winsorized SGD at a noise level: what the predictions are about.
fn level(run: &Run) -> Option<f64> {
    let conditions = &run.manifest().conditions;
    let level = match conditions.text("rule") {
        Some("sgd") => Some(0.0),
        Some("winsorized") => conditions.number("winsorization"),
        _ => None,
    };
    level.filter(|_| conditions.number("noise").is_some())
}

/// The type of a column of these values.
fn kind(values: &[Condition]) -> Kind {
    if values.iter().all(|value| matches!(value, Condition::Boolean(_))) {
        Kind::Boolean
    } else if values.iter().all(|value| matches!(value, Condition::Integer(_))) {
        Kind::Integer
    } else if values.iter().all(|value| value.number().is_some()) {
        Kind::Number
    } else {
        Kind::Text
    }
}
