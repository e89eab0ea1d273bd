//! A comparison of studies: which curves, conditions and studies its tables have.

use cograd_results::{Results, ResultsError, Rows, Summary};

use crate::curves::{self, Banded, Curves, Key};
use crate::distinct;
use crate::setting::{self, NOISE, Setting};

pub struct Comparison {
    pub summary: Summary,
    /// In the order of the table.
    pub studies: Vec<String>,
    pub conditions: Vec<Setting>,
    /// Study by study of a condition, condition by condition.
    curves: Vec<Curves>,
    pub tests: Vec<Tested>,
}

/// A test of a difference between two studies.
pub struct Tested {
    pub key: Key,
    pub condition: usize,
    pub studies: [String; 2],
    pub seeds: [u64; 2],
    /// None: of the mean over the common steps.
    pub step: Option<i64>,
    pub difference: Option<f64>,
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    pub p: Option<f64>,
    pub p_holm: Option<f64>,
}

impl Comparison {
    pub fn read(results: &Results) -> Result<Comparison, ResultsError> {
        let summary = results.summary().clone();
        let table = results.rows("comparison")?;
        let rows = || table.iter().flat_map(|rows| (0..rows.len()).map(move |row| (rows, row)));
        let studies = distinct(rows().filter_map(|(rows, row)| rows.text("study", row).map(str::to_owned)));
        let conditions = distinct(rows().map(|(rows, row)| setting::of_row(rows, row, &summary)));
        let mut curves: Vec<Curves> = Vec::new();
        curves.resize_with(studies.len() * conditions.len(), Curves::default);
        let condition = |rows: &Rows, row: usize| {
            let setting = setting::of_row(rows, row, &summary);
            conditions.iter().position(|known| *known == setting)
        };
        if let Some(rows) = &table {
            Curves::read(rows, &curves::MEANS, &mut curves, |rows, row| {
                let study = rows.text("study", row)?;
                let study = studies.iter().position(|known| known == study)?;
                Some(condition(rows, row)? * studies.len() + study)
            });
        }
        let mut tests = Vec::new();
        if let Some(rows) = results.rows("comparison_tests")? {
            let known = (0..rows.len()).filter_map(|row| Some(tested(&rows, row, condition(&rows, row)?)));
            tests.extend(known);
        }
        Ok(Comparison { summary, studies, conditions, curves, tests })
    }

    /// A curve of a study at a condition.
    pub fn curve(&self, condition: usize, study: usize, key: &Key) -> Option<&Banded> {
        self.curves[condition * self.studies.len() + study].get(key).filter(|curve| curve.has_values())
    }

    /// The curves that any study has, those of one name and estimator together.
    pub fn figures(&self) -> Vec<Vec<&Key>> {
        let mut figures: Vec<Vec<&Key>> = Vec::new();
        for key in self.curves.iter().flat_map(Curves::keys) {
            let same = |figure: &&mut Vec<&Key>| figure[0].curve == key.curve && figure[0].estimator == key.estimator;
            match figures.iter_mut().find(same) {
                Some(figure) if figure.contains(&key) => {}
                Some(figure) => figure.push(key),
                None => figures.push(vec![key]),
            }
        }
        figures
    }

    /// The places of the conditions that differ.
    pub fn varying(&self) -> Vec<usize> {
        let differs = |place: &usize| self.conditions.iter().any(|other| other[*place] != self.conditions[0][*place]);
        (0..self.summary.conditions.len()).filter(differs).collect()
    }

    /// What tells a condition from the others, or its label noise.
    pub fn label(&self, condition: usize) -> String {
        let mut places = self.varying();
        if places.is_empty() {
            places.extend(self.summary.conditions.iter().position(|condition| condition.name == NOISE));
        }
        setting::label(&self.summary, &self.conditions[condition], &places)
    }

    /// Whether any difference could be tested.
    pub fn is_tested(&self) -> bool {
        self.tests.iter().any(|test| test.p.is_some())
    }
}

fn tested(rows: &Rows, row: usize, condition: usize) -> Tested {
    let text = |column: &str| rows.text(column, row).unwrap_or_default();
    let number = |column: &str| rows.number(column, row);
    let groups = ["group_a", "group_b"].map(|column| rows.text(column, row).map(str::to_owned));
    let key = Key::new(text("curve")).groups(&groups).layer(rows.text("layer", row).map(Into::into));
    Tested {
        key: Key { estimator: rows.text("estimator", row).map(Into::into), ..key },
        condition,
        studies: ["study_a", "study_b"].map(|column| text(column).to_owned()),
        seeds: ["seeds_a", "seeds_b"].map(|column| rows.count(column, row).unwrap_or(0)),
        step: rows.integer("step", row),
        difference: number("difference"),
        lower: number("lower"),
        upper: number("upper"),
        p: number("p"),
        p_holm: number("p_holm"),
    }
}
