//! The paper's predictions [S 5], judged again from the recomputed numbers, sentence and verdict.
//!
//! Runs of plain SGD (`sgd`, or `winsorized-0` where a noise level has both) for §2; these and `winsorized-c` for §3.
//! Runs that differ in their seed only are averaged.

mod text;

use crate::evidence::Evidence;
use crate::plain::permutation::Exceedances;
use crate::tree::Tree;
use text::{fraction, noise, number, p_texts, sentence, step};

const SIGNIFICANT: f64 = 0.05;
/// How far the training accuracy may lie above the proper accuracy.
const TOLERANCE: f64 = 0.01;

/// The runs of one noise level and one c.
struct Cell<'a> {
    noise: f64,
    percent: f64,
    runs: Vec<&'a Evidence>,
}

/// What was found of a comparison: it holds, it does not, or it cannot be told.
type Comparison = Option<bool>;

/// What the summary must say of each prediction.
pub(crate) fn judge_all(runs: &[&Evidence]) -> Vec<Tree> {
    let cells = cells(runs);
    let plain: Vec<&Cell<'_>> = cells.iter().filter(|cell| cell.percent == 0.0).collect();
    vec![
        slower_learning(&plain),
        pristine_first(&plain),
        pristine_slower(&plain),
        early_gradient(&plain),
        crosses_over(&plain),
        early_contribution(&plain),
        falling(
            &cells,
            false,
            ["3.2", "The larger c, the less overfit", "overfit at the last evaluation, falling with c at each ε"],
            "the final overfit",
            |run| run.overfit.last().and_then(|at| at.overfit),
            |value| format!("{}\u{a0}%", fraction(value)),
        ),
        falling(
            &cells,
            true,
            [
                "3.2",
                "The larger c, the lower the training accuracy",
                "training accuracy at the last evaluation, falling with c at each ε\u{a0}>\u{a0}0",
            ],
            "the final training accuracy",
            |run| run.overfit.last().and_then(|at| at.train),
            |value| format!("{}\u{a0}%", fraction(value)),
        ),
        proper_accuracy(&cells),
        falling(
            &cells,
            false,
            [
                "3.3",
                "The larger c, the slower overfit grows",
                "least-squares slope of overfit over the run, falling with c at each ε",
            ],
            "the slope of overfit in points per 1\u{202f}000\u{a0}steps",
            |run| crate::plain::overfit::slope(&run.overfit).map(|(slope, _)| 100.0 * slope),
            number,
        ),
    ]
}

/// By noise, then by c.
fn cells<'a>(runs: &[&'a Evidence]) -> Vec<Cell<'a>> {
    let mut cells: Vec<Cell<'a>> = Vec::new();
    for run in runs {
        let Some(percent) = run.percent else { continue };
        match cells.iter_mut().find(|cell| cell.noise == run.noise && cell.percent == percent) {
            Some(cell) => cell.runs.push(run),
            None => cells.push(Cell { noise: run.noise, percent, runs: vec![run] }),
        }
    }
    for cell in &mut cells {
        if cell.runs.iter().any(|run| run.rule != "sgd") {
            cell.runs.retain(|run| run.rule != "sgd");
        }
    }
    cells.sort_by(|a, b| a.noise.total_cmp(&b.noise).then(a.percent.total_cmp(&b.percent)));
    cells
}

impl Cell<'_> {
    /// Mean over the runs that have the value.
    fn mean(&self, value: impl Fn(&Evidence) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self.runs.iter().filter_map(|run| value(run)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// Largest number of updates of its runs.
    fn steps(&self) -> u64 {
        self.runs.iter().map(|run| run.steps).max().unwrap_or(0)
    }
}

fn prediction(texts: [&str; 3], measured: String, comparisons: Vec<Comparison>) -> Tree {
    let verdict = if comparisons.contains(&Some(false)) {
        "fails"
    } else if comparisons.is_empty() || comparisons.contains(&None) {
        "not checkable"
    } else {
        "holds"
    };
    Tree::Object(vec![
        ("section", texts[0].into()),
        ("prediction", texts[1].into()),
        ("measured_as", texts[2].into()),
        ("measured", measured.as_str().into()),
        ("verdict", verdict.into()),
    ])
}

fn less(smaller: f64, larger: f64) -> Comparison {
    if smaller.is_infinite() && larger.is_infinite() { None } else { Some(smaller < larger) }
}

/// Each value against the next.
fn rising(values: &[(f64, f64)]) -> Vec<Comparison> {
    values.windows(2).map(|pair| less(pair[0].1, pair[1].1)).collect()
}

fn by_noise(cells: &[&Cell<'_>], value: impl Fn(&Evidence) -> Option<f64>) -> Vec<(f64, f64)> {
    cells.iter().filter_map(|cell| Some((cell.noise, cell.mean(&value)?))).collect()
}

fn most_steps(cells: &[&Cell<'_>]) -> u64 {
    cells.iter().map(|cell| cell.steps()).max().unwrap_or(0)
}

const ONE_LEVEL: &str = "one noise level cannot show a trend";

fn slower_learning(cells: &[&Cell<'_>]) -> Tree {
    let values = by_noise(cells, |run| run.half_loss_step);
    let steps = most_steps(cells);
    let texts = values.iter().map(|&(level, value)| format!("{} ({})", step(value, steps), noise(level))).collect();
    prediction(
        [
            "2.2",
            "More noise, slower learning",
            "first evaluated step with at most half of the initial training loss, rising with ε",
        ],
        sentence("half of the initial training loss is reached at step", texts, 2, ONE_LEVEL),
        rising(&values),
    )
}

fn pristine_first(cells: &[&Cell<'_>]) -> Tree {
    let (mut texts, mut comparisons) = (Vec::new(), Vec::new());
    for cell in cells {
        let (pristine, corrupt) = (cell.mean(|run| run.median_pristine), cell.mean(|run| run.median_corrupt));
        let (Some(pristine), Some(corrupt)) = (pristine, corrupt) else { continue };
        let (first, second) = (step(pristine, cell.steps()), step(corrupt, cell.steps()));
        texts.push(format!("{first}\u{a0}/\u{a0}{second} ({})", noise(cell.noise)));
        comparisons.push(less(pristine, corrupt));
    }
    prediction(
        [
            "2.2",
            "Pristine examples are learned before corrupt ones",
            "median learning step of pristine / corrupt training examples, at each ε with both",
        ],
        sentence("median learning steps, pristine / corrupt:", texts, 1, "no noise level has both groups"),
        comparisons,
    )
}

fn pristine_slower(cells: &[&Cell<'_>]) -> Tree {
    let values = by_noise(cells, |run| run.median_pristine);
    let steps = most_steps(cells);
    let texts = values.iter().map(|&(level, value)| format!("{} ({})", step(value, steps), noise(level))).collect();
    prediction(
        [
            "2.2",
            "The fewer pristine examples, the slower they are learned",
            "median learning step of the pristine training examples, rising with ε",
        ],
        sentence("half of the pristine examples are learned by step", texts, 2, ONE_LEVEL),
        rising(&values),
    )
}

fn early_gradient(cells: &[&Cell<'_>]) -> Tree {
    let values = by_noise(cells, |run| run.early_slope);
    let texts = values.iter().map(|&(level, value)| format!("{} ({})", number(value), noise(level))).collect();
    let falling: Vec<(f64, f64)> = values.iter().map(|&(level, value)| (level, -value)).collect();
    prediction(
        [
            "2.3",
            "Early on, the more noise, the smaller the gradient norm",
            "−Δ training loss per step over the first ten steps, falling with ε",
        ],
        sentence("early on the training loss falls per step by", texts, 2, ONE_LEVEL),
        rising(&falling),
    )
}

fn crosses_over(cells: &[&Cell<'_>]) -> Tree {
    let (mut texts, mut comparisons) = (Vec::new(), Vec::new());
    for cell in cells.iter().filter(|cell| cell.noise == 0.25 || cell.noise == 0.5) {
        let (alpha, size) = (cell.mean(|run| run.alpha_0), cell.mean(|run| run.group_size));
        let excess = cell.mean(|run| Some(run.alpha_0? - run.group_size?));
        let crossover = cell.mean(|run| Some(run.crossover.observed?.value));
        let tests = exceedances(cell.runs.iter().map(|run| (run.crossover.exceedances(), run.crossover.worlds)));
        let value = |value: Option<f64>| value.map_or("missing".to_string(), number);
        texts.push(format!(
            "at {} α starts at {} against a group size of {} and the crossover statistic is {} ({})",
            noise(cell.noise),
            value(alpha),
            value(size),
            value(crossover),
            p_texts(&tests),
        ));
        comparisons.extend([excess.map(|e| e > 0.0), crossover.map(|k| k > 0.0), all_significant(&tests)]);
    }
    prediction(
        [
            "2.4",
            "α starts above its null and crosses over (25\u{a0}%, 50\u{a0}% noise)",
            "α at step 0 above |P|/n; crossover statistic positive with p\u{a0}≤\u{a0}0.05",
        ],
        sentence("", texts, 2, "the other of ε\u{a0}=\u{a0}0.25 and 0.5 was not recorded"),
        comparisons,
    )
}

fn early_contribution(cells: &[&Cell<'_>]) -> Tree {
    let (mut texts, mut comparisons) = (Vec::new(), Vec::new());
    for cell in cells {
        let with_both: Vec<&&Evidence> = cell.runs.iter().filter(|run| run.group_size.is_some()).collect();
        if with_both.is_empty() {
            continue;
        }
        let value = cell.mean(|run| Some(run.difference_10.observed?.value));
        let tests =
            exceedances(with_both.iter().map(|run| (run.difference_10.exceedances(), run.difference_10.worlds)));
        let text = value.map_or("missing".to_string(), number);
        texts.push(format!("{text} ({}, {})", noise(cell.noise), p_texts(&tests)));
        comparisons.extend([value.map(|value| value > 0.0), all_significant(&tests)]);
    }
    prediction(
        [
            "2.4",
            "Pristine examples contribute more early on",
            "D after the first ten steps positive with p\u{a0}≤\u{a0}0.05, at each ε with both groups",
        ],
        sentence("D after ten steps is", texts, 1, "no noise level has both groups"),
        comparisons,
    )
}

/// How many of how many null worlds, of each run.
fn exceedances(of: impl Iterator<Item = (Option<Exceedances>, u32)>) -> Vec<Option<(u32, u32)>> {
    of.map(|(exceedances, worlds)| exceedances.map(|exceedances| (exceedances.high, worlds))).collect()
}

fn all_significant(tests: &[Option<(u32, u32)>]) -> Comparison {
    let significant = |(count, worlds): (u32, u32)| f64::from(1 + count) / f64::from(1 + worlds) <= SIGNIFICANT;
    let each: Vec<Comparison> = tests.iter().map(|test| test.map(significant)).collect();
    if each.contains(&Some(false)) {
        Some(false)
    } else if each.is_empty() || each.contains(&None) {
        None
    } else {
        Some(true)
    }
}

/// The cells of each noise level.
fn levels<'a, 'b>(cells: &'b [Cell<'a>]) -> Vec<&'b [Cell<'a>]> {
    cells.chunk_by(|a, b| a.noise == b.noise).collect()
}

/// `c = 0, 1, 2 %`.
fn c_text(percents: &[f64]) -> String {
    let texts: Vec<String> = percents.iter().map(f64::to_string).collect();
    format!("c\u{a0}=\u{a0}{}\u{a0}%", texts.join(", "))
}

fn falling(
    cells: &[Cell<'_>],
    noisy_only: bool,
    texts: [&str; 3],
    name: &str,
    value: fn(&Evidence) -> Option<f64>,
    write: fn(f64) -> String,
) -> Tree {
    let mut rows: Vec<(f64, Vec<f64>, Vec<f64>)> = Vec::new();
    for level in levels(cells).into_iter().filter(|level| !noisy_only || level[0].noise > 0.0) {
        let points: Vec<(f64, f64)> = level.iter().filter_map(|cell| Some((cell.percent, cell.mean(value)?))).collect();
        if points.len() > 1 {
            let (percents, values) = points.into_iter().unzip();
            rows.push((level[0].noise, percents, values));
        }
    }
    let falls = |values: &[f64]| values.windows(2).map(|pair| less(pair[1], pair[0])).collect::<Vec<_>>();
    let comparisons: Vec<Comparison> = rows.iter().flat_map(|(_, _, values)| falls(values)).collect();
    let Some((_, common, _)) = rows.first() else {
        let nothing = "Nothing to compare: no noise level has it at two levels of c.".to_string();
        return prediction(texts, nothing, comparisons);
    };
    let is_common = rows.iter().all(|(_, percents, _)| percents == common);
    let unit = if write(0.5).ends_with('%') { "\u{a0}%" } else { "" };
    let (mut lists, mut failures) = (Vec::new(), Vec::new());
    for (level, percents, values) in &rows {
        let numbers: Vec<String> = values.iter().map(|v| write(*v).trim_end_matches("\u{a0}%").to_string()).collect();
        let own = if is_common { String::new() } else { format!(", {}", c_text(percents)) };
        lists.push(format!("{}{unit} ({}{own})", numbers.join(", "), noise(*level)));
        let failing: Vec<String> = (falls(values).iter().enumerate())
            .filter(|(_, falls)| **falls == Some(false))
            .map(|(place, _)| format!("{}\u{a0}to\u{a0}{}", percents[place], percents[place + 1]))
            .collect();
        if !failing.is_empty() {
            failures.push(format!("{} (c\u{a0}from\u{a0}{}\u{a0}%)", noise(*level), failing.join(", ")));
        }
    }
    let common = if is_common { format!("for {} ", c_text(common)) } else { String::new() };
    let failed = match failures.is_empty() {
        true => String::new(),
        false => format!(" It does not fall at {}.", failures.join(", ")),
    };
    let measured = text::capitalised(&format!("{common}{name} is {}.{failed}", lists.join("; ")));
    prediction(texts, measured, comparisons)
}

/// Largest training accuracy and proper accuracy at one noise level and one c.
struct Point {
    percent: f64,
    largest: f64,
    proper: f64,
}

fn proper_accuracy(cells: &[Cell<'_>]) -> Tree {
    let texts = [
        "3.3",
        "For c\u{a0}>\u{a0}1 the training accuracy does not exceed the proper accuracy",
        "largest training accuracy of the run at most |P|/m\u{a0}+\u{a0}0.01, at each c\u{a0}>\u{a0}1 and ε with corrupt examples",
    ];
    let mut rows: Vec<(f64, Vec<Point>)> = Vec::new();
    for level in levels(cells) {
        let point = |cell: &Cell<'_>| {
            let largest = cell.mean(Evidence::max_train_accuracy)?;
            let proper = cell.mean(|run| run.proper_accuracy)?;
            (cell.percent > 1.0 && proper < 1.0).then_some(Point { percent: cell.percent, largest, proper })
        };
        let points: Vec<Point> = level.iter().filter_map(point).collect();
        if !points.is_empty() {
            rows.push((level[0].noise, points));
        }
    }
    let exceeds = |point: &Point| point.largest > point.proper + TOLERANCE;
    let comparisons = rows.iter().flat_map(|(_, points)| points).map(|point| Some(!exceeds(point))).collect();
    let percents = |points: &[Point]| points.iter().map(|point| point.percent).collect::<Vec<f64>>();
    let Some((_, first)) = rows.first() else {
        let nothing = "Nothing to compare: no run has both c\u{a0}>\u{a0}1 and corrupt examples.".to_string();
        return prediction(texts, nothing, comparisons);
    };
    let is_common = rows.iter().all(|(_, points)| percents(points) == percents(first));
    let (mut lists, mut exceeded) = (Vec::new(), Vec::new());
    for (level, points) in &rows {
        let largest: Vec<String> = points.iter().map(|point| fraction(point.largest)).collect();
        let own = if is_common { String::new() } else { format!(", {}", c_text(&percents(points))) };
        let proper = fraction(points[0].proper);
        lists.push(format!("{}\u{a0}% against {proper}\u{a0}% ({}{own})", largest.join(", "), noise(*level)));
        let failing: Vec<String> =
            points.iter().filter(|point| exceeds(point)).map(|point| point.percent.to_string()).collect();
        if !failing.is_empty() {
            exceeded.push(format!("{} (c\u{a0}=\u{a0}{}\u{a0}%)", noise(*level), failing.join(", ")));
        }
    }
    let common = if is_common { format!("for {} ", c_text(&percents(first))) } else { String::new() };
    let failed = match exceeded.is_empty() {
        true => String::new(),
        false => format!(" Exceeded at {}.", exceeded.join(", ")),
    };
    let measured = text::capitalised(&format!("{common}the training accuracy reaches {}.{failed}", lists.join("; ")));
    prediction(texts, measured, comparisons)
}
