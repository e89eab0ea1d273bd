//! A whole study at a glance: a column a condition, a row a question, and what was found in three sentences.

use super::layout::{LOW, Panels, Plot, Row, StyledCurve};
use super::legend::{Key as LegendKey, Legend};
use super::style::{INK, NULL_BAND, PRISTINE, TEST};
use super::{Figure, Figures, OVERVIEW, fitting, groups_name, steps, values};
use crate::axes::{Scale, wide_range};
use crate::canvas::Stroke;
use crate::curve_names::PERCENT;
use crate::curves::{Banded, Groups, Key, PAPER};
use crate::numbers;
use crate::study::{Condition, Sheet, Study, Test};

/// What counts as found.
const LEVEL: f64 = 0.05;
/// Of so many conditions a sentence names each, of more the two ends.
const NAMED: usize = 5;
const FROM_TRAINING: [(&str, [&str; 2], f64); 3] = [
    ("Loss", ["train_loss", "test_loss"], 1.0),
    ("Accuracy (%)", ["train_accuracy", "test_accuracy"], PERCENT),
    ("Learned (%)", ["learned", ""], PERCENT),
];
const STATISTICS: [(&str, &str); 4] = [
    ("m-coherence", "m_coherence"),
    ("Noise scale", "noise_scale"),
    ("Stiffness, cosine", "stiffness_cosine"),
    ("‖g‖²", "gradient_norm_sq"),
];

pub fn figures(study: &Study) -> Figures {
    let mut keys: Vec<Key> = FROM_TRAINING.iter().flat_map(|(_, names, _)| names.map(Key::new)).collect();
    keys.extend(STATISTICS.iter().map(|(_, name)| Key::estimated(name, PAPER)));
    let figure = Figure::new(OVERVIEW, "overview", "The study at a glance", &["curves", "null"])
        .saying("A column a condition, a row a question. Grey bands hold 95 % of the null worlds at all steps at once: a curve that leaves its band differs from chance.")
        .sheets(study, |condition| keys.iter().any(|key| condition.has(|of| of == key)), |sheet| panels(study, sheet))?;
    Ok(figure.into_iter().collect())
}

fn training() -> Stroke {
    Stroke::solid(INK, 1.0)
}

fn test() -> Stroke {
    Stroke::dashed(TEST, 1.0)
}

fn of_sample() -> Stroke {
    Stroke::solid(PRISTINE, 1.0)
}

fn panels(study: &Study, sheet: &Sheet) -> Panels {
    let mut rows: Vec<Row> = FROM_TRAINING.iter().filter_map(|row| from_training(sheet, row)).collect();
    let learned = (rows.len() == FROM_TRAINING.len()).then(|| rows.pop()).flatten();
    let (tested_rows, names): (Vec<Row>, Vec<String>) = [
        ("share", study.telling_groups(), "Share of ‖g‖²", "share of"),
        ("difference", study.pairs(), "D (loss/η)", "D of"),
    ]
    .into_iter()
    .filter_map(|(statistic, all, title, what)| {
        let groups = all.first()?;
        Some((tested(sheet, statistic, groups, title)?, format!("{what} {}", groups_name(groups))))
    })
    .unzip();
    rows.extend(tested_rows);
    rows.extend(STATISTICS.iter().filter_map(|(title, name)| {
        let curves =
            |condition: &Condition| StyledCurve::all(condition.series(&Key::estimated(name, PAPER)), of_sample(), None);
        row(sheet, title, curves)
    }));
    rows.extend(learned);
    let legend = Legend::new().with(LegendKey::Line(training()), "training").with(LegendKey::Line(test()), "test");
    let sampled = LegendKey::Line(of_sample());
    let legend = match names.is_empty() {
        true => legend.with(sampled, "sampled gradients"),
        false => legend
            .with(sampled, format!("sampled gradients; {}", names.join(", ")))
            .with(LegendKey::Band(NULL_BAND), "95 % null band"),
    };
    Panels::new(sheet, legend, rows).over_the_same_steps()
}

fn from_training(sheet: &Sheet, (title, names, factor): &(&str, [&str; 2], f64)) -> Option<Row> {
    let curves = |condition: &Condition| -> Vec<StyledCurve> {
        let of = |(name, stroke): (&&str, Stroke)| {
            let series = condition.series(&Key::new(name)).into_iter().map(|series| series.scaled(*factor));
            StyledCurve::all(series.collect(), stroke, None)
        };
        names.iter().zip([training(), test()]).flat_map(of).collect()
    };
    row(sheet, title, curves)
}

/// None where no condition has a curve.
fn row(sheet: &Sheet, title: &str, curves: impl Fn(&Condition) -> Vec<StyledCurve>) -> Option<Row> {
    let all: Vec<Vec<StyledCurve>> = sheet.conditions().map(curves).collect();
    let known = all.iter().any(|curves| !curves.is_empty());
    let y = fitting(&values(all.iter().flatten()));
    known.then(|| Row { height: Some(LOW), ..Row::of_curves(title, y, all) })
}

fn tested(sheet: &Sheet, statistic: &str, groups: &Groups, title: &str) -> Option<Row> {
    let key = Key::estimated(statistic, PAPER).groups(groups);
    let curves = |condition: &Condition| StyledCurve::all(condition.series(&key), of_sample(), None);
    let all: Vec<Vec<StyledCurve>> = sheet.conditions().map(curves).collect();
    let nulls = |condition: &Condition| -> Vec<Banded> {
        condition.runs.iter().filter_map(|run| run.null(statistic, PAPER, groups)).cloned().collect()
    };
    let drawn = values(all.iter().flatten()).into_iter();
    let (low, high) = wide_range(
        drawn.chain(sheet.conditions().flat_map(nulls).flat_map(|null| null.values().collect::<Vec<_>>())),
        &[0.0],
    );
    let x = steps(all.iter().flatten());
    let known = all.iter().any(|curves| !curves.is_empty());
    let plot = |(condition, curves)| Plot {
        curves,
        null: nulls(condition),
        ..Plot::new(x.clone(), Scale::linear(low, high, 3, 0))
    };
    let plots = sheet.conditions().zip(all).map(plot).collect();
    known.then(|| Row::new(LOW, x.step_axis(), title, plots))
}

/// What was found: of the shares, of the first steps, and of how the networks end.
pub fn findings(study: &Study) -> Vec<String> {
    let sheets = study.sheets(|_| true);
    let conditions: Vec<(String, &Condition)> = sheets
        .iter()
        .flat_map(|sheet| {
            let name = |label: &str| {
                [label, &sheet.heading].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
            };
            sheet.columns.iter().map(move |(label, condition)| (name(label), *condition))
        })
        .collect();
    [of_shares(study, &conditions), of_differences(study, &conditions), of_accuracies(&conditions)]
        .into_iter()
        .flatten()
        .collect()
}

fn with(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" with {name}") }
}

/// What the brackets say of p-values and numbers where conditions have several seeds.
fn over_seeds(conditions: &[(String, &Condition)]) -> [&'static str; 2] {
    match conditions.iter().any(|(_, condition)| condition.runs.len() > 1) {
        true => [" with every seed", " (means over the seeds, the largest p)"],
        false => ["", ""],
    }
}

/// The number that was tested, mean over the seeds, and the test with the largest p of them.
fn tested_number<'a>(condition: &'a Condition, statistic: &str, groups: &Groups) -> Option<(f64, &'a Test)> {
    let number = condition.mean_of(|run| run.test(statistic, PAPER, groups)?.observed)?;
    Some((number, condition.weakest(statistic, PAPER, groups)?))
}

/// Of the condition whose crossover is the largest.
fn of_shares(study: &Study, conditions: &[(String, &Condition)]) -> Option<String> {
    let group = study.telling_groups().into_iter().next()?;
    let [every, means] = over_seeds(conditions);
    let tested: Vec<_> = conditions
        .iter()
        .filter_map(|(name, condition)| Some((name, *condition, tested_number(condition, "crossover", &group)?)))
        .collect();
    let found = tested.iter().filter(|(_, _, (_, test))| test.p.is_some_and(|p| p < LEVEL)).count();
    let (name, condition, (_, weakest)) = tested.iter().max_by(|a, b| a.2.0.abs().total_cmp(&b.2.0.abs()))?;
    let series = condition.series(&Key::estimated("share", PAPER).groups(&group));
    let line = &series.first()?.curve.line;
    let known: Vec<(f64, f64)> = line.iter().filter_map(|point| Some((point.0, point.1?))).collect();
    let (first, last) = (known.first()?, known.last()?);
    let name_of_group = group[0].as_deref()?;
    let size = numbers::percent(condition.mean_of(|run| run.size(name_of_group, PAPER)));
    let whole = |value: f64| numbers::percent(Some(value));
    Some(format!(
        "In {found} of {} tested conditions the share of {} in the squared gradient changed over training more than chance (crossover, p < {LEVEL}{every}). The change is largest{}: they are {size} of the sample and carried {} of the squared gradient norm at step {} and {} at step {}, p {}{means}.",
        tested.len(),
        groups_name(&group),
        with(name),
        whole(first.1),
        numbers::count(first.0 as u64),
        whole(last.1),
        numbers::count(last.0 as u64),
        numbers::p_value(Some(weakest)),
    ))
}

fn of_differences(study: &Study, conditions: &[(String, &Condition)]) -> Option<String> {
    let pair = study.pairs().into_iter().next()?;
    let [every, means] = over_seeds(conditions);
    let said = |(name, condition): &(String, &Condition)| {
        let (number, test) = tested_number(condition, "difference_10", &pair)?;
        let mut observed = condition.runs.iter().filter_map(|run| run.test("difference_10", PAPER, &pair)?.observed);
        Some((
            test.p? < LEVEL && observed.all(|observed| observed > 0.0),
            number,
            format!(
                "D₁₀\u{a0}=\u{a0}{}, p {}{}",
                numbers::optional(Some(number), 3),
                numbers::p_value(Some(test)),
                with(name)
            ),
        ))
    };
    let tested: Vec<(bool, f64, String)> = conditions.iter().filter_map(said).collect();
    let found = tested.iter().filter(|(found, ..)| *found).count();
    let order = |a: &&(bool, f64, String), b: &&(bool, f64, String)| a.1.total_cmp(&b.1);
    let all = match (tested.iter().min_by(order), tested.iter().max_by(order)) {
        (Some((.., least)), Some((.., greatest))) if tested.len() > NAMED => format!("from {least} to {greatest}"),
        _ => tested.iter().map(|(.., text)| text.as_str()).collect::<Vec<_>>().join("; "),
    };
    (!tested.is_empty()).then(|| format!(
        "In the first ten steps the mean example of {} gains more than that of {} in {found} of {} tested conditions (two-sided p < {LEVEL}{every}): {all}{means}.",
        pair[0].as_deref().unwrap_or_default(),
        pair[1].as_deref().unwrap_or_default(),
        tested.len(),
    ))
}

fn of_accuracies(conditions: &[(String, &Condition)]) -> Option<String> {
    let accuracy = |condition: &Condition| condition.mean_of(|run| run.number("final_test_accuracy"));
    let known: Vec<(f64, &String)> =
        conditions.iter().filter_map(|(name, condition)| Some((accuracy(condition)?, name))).collect();
    let best = known.iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
    let worst = known.iter().min_by(|a, b| a.0.total_cmp(&b.0))?;
    let said = |(value, name): &(f64, &String)| format!("{}{}", numbers::percent(Some(*value)), with(name));
    Some(match known.len() {
        1 => format!("Test accuracy ends at {}.", said(best)),
        _ => format!("Test accuracy ends between {} and {}.", said(worst), said(best)),
    })
}
