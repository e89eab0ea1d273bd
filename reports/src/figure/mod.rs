//! The figures, one file each.

mod class_stiffness;
pub mod coherence;
pub mod comparison;
mod cross_terms;
mod drawn;
mod figure_1;
mod figure_2;
mod figure_2_null_band;
mod figure_2_population;
mod figure_2_population_null_band;
mod figure_3;
mod figure_3_null_band;
mod figure_3_population;
mod figure_3_population_null_band;
mod figure_4;
mod figure_4_rules;
mod figure_population;
mod group_cumulative;
mod group_shares;
mod heat_maps;
mod legend;
pub mod look;
mod null_band;
mod panel_grid;
mod stiffness_pairs;
mod world_grid;

use crate::ReportError;
use crate::axes::Scale;
use crate::canvas::{self, Align, BODY, Font};
use crate::curves::{EXACT, PAPER};
use crate::results::{Condition, Results, RunResults};

pub struct Figure {
    /// Name of the file it is written to.
    pub file: &'static str,
    pub svg: String,
    /// The files of results that it is drawn from.
    pub tables: Vec<&'static str>,
}

/// Every figure that the results have something for, in the page's order.
pub fn draw_all(results: &Results) -> Result<Vec<Figure>, ReportError> {
    let mut figures = of_the_paper(results)?;
    figures.extend(of_the_population(results)?);
    figures.extend(of_groups(results)?);
    figures.extend(of_coherence(results)?);
    figures.extend(of_rules(results)?);
    if results.shows_means_over_seeds() {
        for figure in &mut figures {
            figure.tables.push("over_seeds.parquet");
        }
    }
    Ok(figures)
}

fn figure(file: &'static str, svg: String, tables: &[&'static str]) -> Figure {
    Figure { file, svg, tables: tables.to_vec() }
}

const LEARNING: [&str; 2] = ["curves.parquet", "learned.parquet"];
const SHARES: [&str; 2] = ["decomposition.parquet", "summary.json"];
const SHARES_TESTED: [&str; 3] = ["decomposition.parquet", "null.parquet", "tests.parquet"];
const CUMULATIVE: [&str; 1] = ["cumulative.parquet"];
const CUMULATIVE_TESTED: [&str; 3] = ["cumulative.parquet", "null.parquet", "tests.parquet"];

fn of_the_paper(results: &Results) -> Result<Vec<Figure>, ReportError> {
    Ok(vec![
        figure("figure-1.svg", figure_1::draw(results)?, &LEARNING),
        figure("figure-2.svg", figure_2::draw(results)?, &SHARES),
        figure("figure-2-null-band.svg", figure_2_null_band::draw(results)?, &SHARES_TESTED),
        figure("figure-3.svg", figure_3::draw(results)?, &CUMULATIVE),
        figure("figure-3-null-band.svg", figure_3_null_band::draw(results)?, &CUMULATIVE_TESTED),
    ])
}

/// Of a study that recorded it.
fn of_the_population(results: &Results) -> Result<Vec<Figure>, ReportError> {
    if results.plain_conditions_with(RunResults::has_population).is_empty() {
        return Ok(Vec::new());
    }
    let compared = ["decomposition.parquet", "cumulative.parquet", "summary.json"];
    Ok(vec![
        figure("figure-population.svg", figure_population::draw(results)?, &compared),
        figure("figure-2-population.svg", figure_2_population::draw(results)?, &SHARES),
        figure("figure-2-population-null-band.svg", figure_2_population_null_band::draw(results)?, &SHARES_TESTED),
        figure("figure-3-population.svg", figure_3_population::draw(results)?, &CUMULATIVE),
        figure("figure-3-population-null-band.svg", figure_3_population_null_band::draw(results)?, &CUMULATIVE_TESTED),
    ])
}

/// The groups that Figures 2 and 3 do not show, and the cross terms of any.
fn of_groups(results: &Results) -> Result<Vec<Figure>, ReportError> {
    let tables = ["shares.parquet", "groups.parquet", "group_tests.parquet"];
    let mut figures = Vec::new();
    if !results.grouped_by_designation() && !results.conditions_with_groups(PAPER).is_empty() {
        let title = "Figure 2 by group: share of every group in the squared gradient norm, actual and in null worlds";
        figures.push(figure("figure-groups-shares.svg", group_shares::draw(results, title, PAPER)?, &tables));
        let title =
            "Figure 3 by group: cumulative mean contributions over the first ten steps, actual and in null worlds";
        figures.push(figure("figure-groups-cumulative.svg", group_cumulative::draw(results, title, PAPER)?, &tables));
    }
    if !results.grouped_by_designation() && !results.conditions_with_groups(EXACT).is_empty() {
        let title = "Figure 2 of the population by group: share of every group in the squared norm of the full gradient, actual and in null worlds";
        let svg = group_shares::draw(results, title, EXACT)?;
        figures.push(figure("figure-groups-shares-population.svg", svg, &tables));
        let title = "Figure 3 of the population by group: cumulative mean contributions of all training examples over the first ten steps, actual and in null worlds";
        let svg = group_cumulative::draw(results, title, EXACT)?;
        figures.push(figure("figure-groups-cumulative-population.svg", svg, &tables));
    }
    let cross_terms = cross_terms::draw(results)?;
    figures.extend(cross_terms.map(|svg| figure("figure-cross-terms.svg", svg, &["cross_terms.parquet"])));
    Ok(figures)
}

fn of_coherence(results: &Results) -> Result<Vec<Figure>, ReportError> {
    let mut figures = Vec::new();
    let mut add = |file: &'static str, svg: Option<String>| {
        figures.extend(svg.map(|svg| figure(file, svg, &["coherence.parquet"])));
    };
    for statistic in &coherence::STATISTICS {
        add(statistic.file, coherence::draw(results, statistic)?);
    }
    add("coherence-stiffness-groups.svg", stiffness_pairs::draw_groups(results)?);
    add("coherence-stiffness-classes.svg", stiffness_pairs::draw_classes(results)?);
    add("figure-class-stiffness.svg", class_stiffness::draw(results)?);
    Ok(figures)
}

/// Of a study that has several update rules.
fn of_rules(results: &Results) -> Result<Vec<Figure>, ReportError> {
    let tables = ["curves.parquet", "overfit.parquet", "summary.json"];
    let mut figures = Vec::new();
    if let Some(winsorized) = results.winsorized() {
        figures.push(figure("figure-4.svg", figure_4::draw(&winsorized)?, &tables));
    }
    if results.rules().len() > 1 {
        figures.push(figure("figure-4-rules.svg", figure_4_rules::draw(results)?, &tables));
    }
    Ok(figures)
}

/// What stands in for a figure that has nothing to show.
fn placeholder(title: &str, reason: &str) -> Result<String, ReportError> {
    let (width, height) = (look::FULL_WIDTH, 60.0);
    canvas::draw((width, height), title, |canvas| {
        let font = Font { size: BODY, colour: look::QUIET, bold: false };
        canvas.label(reason, (width / 2.0, height / 2.0), Align::Centre, font)
    })
}

/// How panels stand side by side, in points.
struct Columns {
    /// Of the whole figure.
    width: f64,
    /// Of the first panel, after the axis title and its tick labels.
    left: f64,
    panel_width: f64,
    gap: f64,
}

impl Columns {
    /// `own_y`: every panel has tick labels of its own. `margin`: what to leave free on the right.
    fn new(number: usize, own_y: bool, margin: f64) -> Columns {
        let number = number.max(1) as f64;
        let (left, gap) = if own_y { (46.0, 28.0) } else { (40.0, 10.0) };
        // A paper's column for one, its page for three and more, and never narrower panels than legible.
        let paper = match number {
            1.0 => look::COLUMN_WIDTH,
            2.0 => 360.0,
            _ => look::FULL_WIDTH,
        };
        let width = paper.max(60.0 + 92.0 * number);
        let panel_width = (width - left - margin - (number - 1.0) * gap) / number;
        Columns { width, left, panel_width, gap }
    }

    fn panel_left(&self, index: usize) -> f64 {
        self.left + index as f64 * (self.panel_width + self.gap)
    }

    /// The middle of all panels.
    fn centre(&self, margin: f64) -> f64 {
        (self.left + self.width - margin) / 2.0
    }

    fn legend_width(&self) -> f64 {
        self.width - self.left
    }
}

/// `noise 0.25`, over a column of panels.
fn heading(condition: &Condition) -> String {
    format!("noise {}", condition.label)
}

/// A step in a heading.
fn step_name(step: i64) -> String {
    format!("step {}", crate::numbers::count(step.max(0) as u64))
}

fn step_axis(x: &Scale) -> String {
    if x.is_logarithmic() { format!("{STEP_AXIS} (log scale from 1)") } else { STEP_AXIS.to_owned() }
}

/// A name that people gave, cut where it is too long for a legend.
fn short_name(name: &str) -> String {
    const LETTERS: usize = 16;
    match name.chars().count() {
        0..=LETTERS => name.to_owned(),
        _ => name.chars().take(LETTERS - 1).chain(['…']).collect(),
    }
}

const STEP_AXIS: &str = "Training step";
/// Figure 3 shows the steps 0 to 9.
const FIRST_STEPS: f64 = 10.0;
const OVER_SEEDS: &str = "mean over seeds, 95 % t interval";
const NO_FIRST_STEPS: &str = "No run has recorded its first steps without a gap.";
const NO_GROUPS: &str = "No run has recorded gradients of both pristine and corrupt examples.";
