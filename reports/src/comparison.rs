//! A comparison of studies, from the tables that `cograd compare` writes: which curves, conditions and studies there are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::ReportError;
use crate::curves::{Banded, CurveKey};
use crate::tables::{Table, named_points};

pub const TABLE: &str = "comparison.parquet";
pub const TESTS: &str = "comparison-tests.parquet";

pub struct Comparison {
    pub provenance: Provenance,
    /// In the order of the table; those of one name and estimator belong to one figure.
    pub figures: Vec<Overlay>,
}

/// The content of `comparison.json`.
#[derive(Deserialize)]
pub struct Provenance {
    pub cograd: String,
    pub studies: Vec<ComparedStudy>,
}

#[derive(Deserialize)]
pub struct ComparedStudy {
    pub study: String,
    pub summary_sha256: String,
}

/// The curves of one name and estimator.
pub struct Overlay {
    pub curve: String,
    pub estimator: Option<String>,
    /// By layer and groups.
    pub parts: Vec<Part>,
    pub conditions: Vec<ComparedCondition>,
}

/// A curve of a layer and groups.
pub struct Part {
    pub key: CurveKey,
    /// By condition, then by study.
    pub curves: BTreeMap<(usize, usize), Banded>,
    pub tests: Vec<Tested>,
}

/// What studies are matched by.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparedCondition {
    pub noise: f64,
    /// Where a study has several rules at this noise level.
    pub rule: Option<String>,
}

/// A test of a difference between two studies.
pub struct Tested {
    pub condition: usize,
    pub studies: [String; 2],
    pub seeds: [i64; 2],
    /// None: of the mean over the common steps.
    pub step: Option<i64>,
    pub difference: Option<f64>,
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    pub p: Option<f64>,
    pub p_holm: Option<f64>,
}

impl Comparison {
    pub fn read(directory: &Path) -> Result<Comparison, ReportError> {
        let provenance = Provenance::read(&directory.join("comparison.json"))?;
        let table = Table::read(directory, TABLE)?;
        let (rules, noise, studies) = (table.strings("rule")?, table.numbers("noise")?, table.strings("study")?);
        let noise: Vec<f64> = noise.into_iter().map(|noise| noise.unwrap_or(f64::NAN)).collect();
        let conditions = Conditions::of(&rules, &noise, &studies);
        let study = |name: &String| provenance.studies.iter().position(|study| study.study == *name);

        let mut figures: Vec<Overlay> = Vec::new();
        for (row, (key, step, point)) in named_points(&table, ["mean", "lower", "upper"])?.into_iter().enumerate() {
            let Some(study) = study(&studies[row]) else { continue };
            let condition = conditions.place(noise[row], &rules[row]);
            let part = part(&mut figures, key);
            part.curves.entry((condition, study)).or_default().push(step, point);
        }
        for figure in &mut figures {
            figure.conditions.clone_from(&conditions.conditions);
        }
        read_tests(directory, &conditions, &mut figures)?;
        Ok(Comparison { provenance, figures })
    }

    /// Whether anything could be tested.
    pub fn is_tested(&self) -> bool {
        self.tests().any(|test| test.p.is_some())
    }

    pub fn is_by_rule(&self) -> bool {
        self.figures.iter().flat_map(|figure| &figure.conditions).any(|condition| condition.rule.is_some())
    }

    fn tests(&self) -> impl Iterator<Item = &Tested> {
        self.figures.iter().flat_map(|figure| &figure.parts).flat_map(|part| &part.tests)
    }
}

impl Provenance {
    fn read(path: &Path) -> Result<Provenance, ReportError> {
        let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ReportError::MissingFile { path: path.to_owned() },
            _ => ReportError::Read { path: path.to_owned(), source },
        })?;
        serde_json::from_str(&text).map_err(|source| ReportError::Summary { path: path.to_owned(), source })
    }
}

/// The part of its figure that a curve is, made where it is new.
fn part(figures: &mut Vec<Overlay>, key: CurveKey) -> &mut Part {
    let same =
        |figure: &Overlay| *figure.curve == *key.curve && figure.estimator.as_deref() == key.estimator.as_deref();
    let figure = figures.iter().position(same).unwrap_or_else(|| {
        let (curve, estimator) = (key.curve.to_string(), key.estimator.as_deref().map(str::to_owned));
        figures.push(Overlay { curve, estimator, parts: Vec::new(), conditions: Vec::new() });
        figures.len() - 1
    });
    let parts = &mut figures[figure].parts;
    let part = parts.iter().position(|part| part.key == key).unwrap_or_else(|| {
        parts.push(Part { key, curves: BTreeMap::new(), tests: Vec::new() });
        parts.len() - 1
    });
    &mut parts[part]
}

/// The conditions of the table, in order of noise, then rule.
struct Conditions {
    conditions: Vec<ComparedCondition>,
}

impl Conditions {
    fn of(rules: &[String], noise: &[f64], studies: &[String]) -> Conditions {
        let mut rules_at: BTreeMap<(u64, &str), BTreeSet<&str>> = BTreeMap::new();
        for ((rule, noise), study) in rules.iter().zip(noise).zip(studies) {
            rules_at.entry((noise.to_bits(), study)).or_default().insert(rule);
        }
        let mut levels: Vec<f64> = noise.to_vec();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        let at_level = |noise: f64| -> Vec<ComparedCondition> {
            let of_level = rules_at.iter().filter(|((level, _), _)| *level == noise.to_bits()).map(|(_, rules)| rules);
            if of_level.clone().all(|rules| rules.len() == 1) {
                return vec![ComparedCondition { noise, rule: None }];
            }
            let all: BTreeSet<&str> = of_level.flatten().copied().collect();
            all.into_iter().map(|rule| ComparedCondition { noise, rule: Some(rule.to_owned()) }).collect()
        };
        Conditions { conditions: levels.into_iter().flat_map(at_level).collect() }
    }

    fn place(&self, noise: f64, rule: &str) -> usize {
        let is = |condition: &ComparedCondition| {
            condition.noise == noise && condition.rule.as_ref().is_none_or(|known| known == rule)
        };
        self.conditions.iter().position(is).unwrap_or(0)
    }
}

fn read_tests(directory: &Path, conditions: &Conditions, figures: &mut Vec<Overlay>) -> Result<(), ReportError> {
    let table = Table::read(directory, TESTS)?;
    let (noise, rules) = (table.numbers("noise")?, table.strings("rule_a")?);
    let studies = [table.strings("study_a")?, table.strings("study_b")?];
    let seeds = [table.integers("seeds_a")?, table.integers("seeds_b")?];
    let steps = table.optional_integers("step")?;
    let (difference, lower, upper) = (table.numbers("difference")?, table.numbers("lower")?, table.numbers("upper")?);
    let (p, p_holm) = (table.numbers("p")?, table.numbers("p_holm")?);
    for (row, key) in table.keys()?.into_iter().enumerate() {
        let test = Tested {
            condition: conditions.place(noise[row].unwrap_or(f64::NAN), &rules[row]),
            studies: [studies[0][row].clone(), studies[1][row].clone()],
            seeds: [seeds[0][row], seeds[1][row]],
            step: steps[row],
            difference: difference[row],
            lower: lower[row],
            upper: upper[row],
            p: p[row],
            p_holm: p_holm[row],
        };
        part(figures, key).tests.push(test);
    }
    Ok(())
}
