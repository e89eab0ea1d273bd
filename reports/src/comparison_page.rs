//! The page of a comparison: a figure a curve, and the tests of the differences.

use serde::Serialize;

use crate::ReportError;
use crate::comparison::{Comparison, Overlay, Part, Tested};
use crate::figure::comparison::{DrawnOverlay, drawn_parts, part_name};
use crate::numbers::{self, MISSING};
use crate::page::{Table, environment};

/// Rows of a table of tests that are shown without being asked for.
const FEW_ROWS: usize = 20;
/// Probability of a false rejection that is called significant.
pub const LEVEL: f64 = 0.05;

#[derive(Serialize)]
struct Page<'a> {
    studies: Vec<&'a str>,
    cograd: &'a str,
    by_rule: bool,
    tested: bool,
    curves: Vec<Curve<'a>>,
    provenance: Vec<(&'a str, &'a str)>,
}

#[derive(Serialize)]
struct Curve<'a> {
    name: String,
    file: &'a str,
    svg: &'a str,
    /// What the figure leaves out; empty if nothing.
    left_out: String,
    tests: Table,
    long: bool,
}

pub fn render(comparison: &Comparison, drawn: &[DrawnOverlay]) -> Result<String, ReportError> {
    let environment = environment()?;
    let template = environment.get_template("comparison.html").map_err(|source| ReportError::Page { source })?;
    let studies = &comparison.provenance.studies;
    let curve =
        |(overlay, drawn): (&'_ Overlay, &'_ DrawnOverlay)| (tests(overlay, drawn.in_percent), drawn.name.clone());
    let tests_and_names: Vec<(Table, String)> = comparison.figures.iter().zip(drawn).map(curve).collect();
    let figures = comparison.figures.iter().zip(drawn);
    let curves = tests_and_names.into_iter().zip(figures).map(|((tests, name), (overlay, drawn))| Curve {
        name,
        left_out: left_out(overlay),
        file: &drawn.file,
        svg: &drawn.svg,
        long: tests.rows.len() > FEW_ROWS,
        tests,
    });
    let page = Page {
        studies: studies.iter().map(|study| study.study.as_str()).collect(),
        cograd: &comparison.provenance.cograd,
        by_rule: comparison.is_by_rule(),
        tested: comparison.is_tested(),
        curves: curves.collect(),
        provenance: studies.iter().map(|study| (study.study.as_str(), study.summary_sha256.as_str())).collect(),
    };
    template.render(page).map_err(|source| ReportError::Page { source })
}

fn left_out(overlay: &Overlay) -> String {
    match (drawn_parts(overlay).len(), overlay.parts.len()) {
        (drawn, all) if drawn < all => {
            format!("The figure shows {drawn} of {all} layers and groups; the tables have all.")
        }
        _ => String::new(),
    }
}

/// Of the means over the common steps, of curves in percent in percentage points; empty if none could be tested.
fn tests(overlay: &Overlay, in_percent: bool) -> Table {
    let several_parts = overlay.parts.len() > 1;
    let several_pairs = overlay.parts.iter().flat_map(|part| &part.tests).any(|test| {
        let first = overlay.parts.iter().flat_map(|part| &part.tests).next();
        first.is_some_and(|first| first.studies != test.studies)
    });
    let mut head = vec!["Noise"];
    head.extend(overlay.conditions.iter().any(|condition| condition.rule.is_some()).then_some("Rule"));
    head.extend(several_parts.then_some("Of"));
    head.extend(several_pairs.then_some("Studies"));
    let difference = if in_percent { "Difference in points [95\u{a0}%]" } else { "Difference of means [95\u{a0}%]" };
    head.extend(["Seeds", difference, "p", "Steps with p\u{a0}≤\u{a0}0.05"]);
    let rows = overlay.parts.iter().flat_map(|part| {
        let means = part.tests.iter().filter(|test| test.step.is_none() && test.p.is_some());
        means.map(|test| row(overlay, part, test, (several_parts, several_pairs), in_percent))
    });
    Table { head, rows: rows.collect() }
}

fn row(
    overlay: &Overlay,
    part: &Part,
    test: &Tested,
    (several_parts, several_pairs): (bool, bool),
    in_percent: bool,
) -> Vec<String> {
    let factor = if in_percent { 100.0 } else { 1.0 };
    let condition = &overlay.conditions[test.condition];
    let mut row = vec![condition.noise.to_string()];
    if overlay.conditions.iter().any(|condition| condition.rule.is_some()) {
        row.push(condition.rule.clone().unwrap_or_else(|| MISSING.to_owned()));
    }
    row.extend(several_parts.then(|| part_name(&part.key)));
    row.extend(several_pairs.then(|| test.studies.join(" − ")));
    row.push(format!("{}, {}", test.seeds[0], test.seeds[1]));
    let interval = match (test.lower, test.upper) {
        (Some(lower), Some(upper)) => {
            format!(" [{},\u{a0}{}]", numbers::significant(factor * lower, 3), numbers::significant(factor * upper, 3))
        }
        _ => String::new(),
    };
    row.push(format!("{}{interval}", numbers::optional(test.difference.map(|difference| factor * difference), 3)));
    row.push(numbers::optional(test.p, 2));
    let of_pair =
        |other: &&Tested| other.condition == test.condition && other.studies == test.studies && other.step.is_some();
    let steps = part.tests.iter().filter(of_pair).filter_map(|test| test.p_holm);
    let (significant, all) = steps.fold((0, 0), |(significant, all), p| (significant + u64::from(p <= LEVEL), all + 1));
    row.push(format!("{}\u{a0}of\u{a0}{}", numbers::count(significant), numbers::count(all)));
    row
}
