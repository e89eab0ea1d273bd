//! Figure 1 of the paper: how the networks of each condition learn; a panel a curve, a line a condition.

use super::layout::{Marks, Panels, Plot, Row, StyledCurve, TALL};
use super::legend::{Key as LegendKey, Legend};
use super::style::{group_style, noise_colour};
use super::{Figure, Figures};
use super::{LEARNING, steps, values};
use crate::axes::{Scale, whole_range};
use crate::canvas::Stroke;
use crate::curve_names::{CurveStyle, PERCENT};
use crate::curves::Key;
use crate::distinct;
use crate::numbers;
use crate::numbers_of_runs::{Numbers, Row as NumbersRow};
use crate::setting;
use crate::study::{Condition, Sheet, Study};

/// What comes first; other curves follow as the results have them.
const FIRST: [&str; 6] = ["train_accuracy", "test_accuracy", "train_loss", "test_loss", "learned", "overfit"];
/// Far from 100 %, as a rule.
const OVERFIT: &str = "Overfit";
const SIDE_BY_SIDE: usize = 2;

pub fn figures(study: &Study) -> Figures {
    let figure = Figure::new(LEARNING, "learning", "How the networks learn", &["curves"])
        .saying(caption(study))
        .with_numbers(last_numbers(study))
        .sheets(study, |condition| condition.has(is_shown), |sheet| panels(study, sheet))?;
    Ok(figure.into_iter().collect())
}

/// Of what the panels show, and of nothing else.
fn caption(study: &Study) -> String {
    let mut caption = match study.conditions.iter().any(|condition| condition.runs.len() > 1) {
        true => "One line for each condition: the mean over its seeds, with the 95 % interval of Student’s t.",
        false => "One line for each condition.",
    }
    .to_owned();
    let has = |curve: &str| study.conditions.iter().any(|condition| condition.has(|key| &*key.curve == curve));
    if has("learned") {
        caption.push_str(LEARNED);
    }
    if has("overfit") {
        caption.push_str(MEANING_OF_OVERFIT);
    }
    if study.runs().any(|(_, run)| run.number("proper_accuracy").is_some()) {
        caption.push_str(PROPER);
    }
    let losses = distinct(study.runs().filter_map(|(_, run)| run.text("loss_name")));
    if !losses.is_empty() {
        caption.push_str(&format!(" The loss of an example: {}.", losses.join("; ")));
    }
    caption + " Values after the last update:"
}

const LEARNED: &str = " An example counts as learned from the first evaluated step at which the network’s answer is its \
     training label.";
const MEANING_OF_OVERFIT: &str = " Overfit is the training accuracy less the accuracy that the network would have on fresh \
     data with the same label noise.";
const PROPER: &str = " The proper accuracy is the share of training labels that are still the original ones.";

fn is_shown(key: &Key) -> bool {
    key.estimator.is_none() && key.layer.is_none() && key.is_whole()
}

/// The curves that are of the whole run and of nothing else.
fn names(sheet: &Sheet) -> Vec<String> {
    let keys = sheet.conditions().flat_map(Condition::keys).filter(|key| is_shown(key));
    let mut names = distinct(keys.map(|key| key.curve.to_string()));
    names.sort_by_key(|name| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    names
}

fn panels(study: &Study, sheet: &Sheet) -> Panels {
    let names = names(sheet);
    let strokes = strokes(study, sheet);
    let curves = |curve: &str, factor: f64| -> Vec<StyledCurve> {
        let of_condition = |(index, condition): (usize, &Condition)| {
            let series = condition.series(&Key::new(curve)).into_iter().map(|series| series.scaled(factor));
            let (stroke, marker) = strokes[index];
            let phase = (index as f64 + 0.5) / strokes.len() as f64;
            StyledCurve::all(series.collect(), stroke, marker.map(|marker| (marker, Marks::Few(phase))))
        };
        sheet.conditions().enumerate().flat_map(of_condition).collect()
    };
    let styles: Vec<CurveStyle> = names.iter().map(|name| CurveStyle::new(&study.summary, name)).collect();
    let all: Vec<Vec<StyledCurve>> =
        names.iter().zip(&styles).map(|(name, style)| curves(name, style.factor)).collect();
    let x = steps(all.iter().flatten());
    let plot = |(index, (curves, style)): (usize, (Vec<StyledCurve>, CurveStyle))| {
        let values = values(curves.iter());
        let (low, high) = whole_range(&values);
        let y = match style.factor == PERCENT && style.name != OVERFIT {
            true => Scale::linear(low.min(-2.0), high.max(102.0), 5, 0),
            false => Scale::linear(low, high, 5, 0),
        };
        let letter = char::from(b'a' + (index % 26) as u8);
        Plot { heading: format!("({letter}) {}", style.name), y_axis: style.y_axis, curves, ..Plot::new(x.clone(), y) }
    };
    let mut plots = all.into_iter().zip(styles).enumerate().map(plot);
    let mut rows = Vec::new();
    loop {
        let row: Vec<Plot> = plots.by_ref().take(SIDE_BY_SIDE).collect();
        if row.is_empty() {
            break;
        }
        rows.push(Row { name: String::new(), x_axis: x.step_axis(), height: Some(TALL), plots: row });
    }
    Panels { legend: legend(study, sheet, &strokes), interval: sheet.interval(), rows }
}

type LineStyle = (Stroke, Option<crate::canvas::Marker>);

/// Ordered colours where conditions are ordered: they differ in one number.
fn strokes(study: &Study, sheet: &Sheet) -> Vec<LineStyle> {
    let number = sheet.columns.len();
    let style = |index: usize| match ordered(study, sheet) {
        Some(_) => (Stroke::solid(noise_colour(index, number), 1.25), None),
        None => {
            let (colour, marker) = group_style(index);
            (Stroke::solid(colour, 1.25), Some(marker))
        }
    };
    (0..number).map(style).collect()
}

/// The only condition that the columns of a sheet differ in, if it is a number.
fn ordered(study: &Study, sheet: &Sheet) -> Option<usize> {
    let settings: Vec<_> = sheet.conditions().map(|condition| &condition.setting).collect();
    let differs = |place: &usize| settings.iter().any(|setting| setting[*place] != settings[0][*place]);
    let mut differing = (0..study.summary.conditions.len()).filter(differs);
    let only = differing.next().filter(|_| differing.next().is_none())?;
    let is_number =
        |setting: &&setting::Setting| setting[only].as_ref().is_some_and(|text| text.parse::<f64>().is_ok());
    settings.iter().all(is_number).then_some(only)
}

fn legend(study: &Study, sheet: &Sheet, styles: &[LineStyle]) -> Legend {
    let conditions = &study.summary.conditions;
    let ordered = ordered(study, sheet);
    let words = ordered.map(|place| crate::numbers::capital(&setting::name(&conditions[place].name)));
    let legend = words.into_iter().fold(Legend::new(), |legend, words| legend.with(LegendKey::Words, words));
    let name = |(label, condition): &(String, &Condition)| match ordered {
        Some(place) => {
            let value = condition.setting[place].as_deref().unwrap_or_default();
            setting::value(&conditions[place].name, value)
        }
        None => label.clone(),
    };
    let keys = sheet.columns.iter().zip(styles).filter(|(column, _)| !name(column).is_empty());
    keys.fold(legend, |legend, (column, (stroke, marker))| match marker {
        Some(marker) => legend.with(LegendKey::MarkedLine(*stroke, *marker), name(column)),
        None => legend.with(LegendKey::Line(Stroke { width: 1.75, ..*stroke }), name(column)),
    })
}

fn last_numbers(study: &Study) -> Option<Numbers> {
    let head = ["Proper accuracy", "Training accuracy", "Test accuracy", "Training loss", "Test loss", "Overfit"];
    let row = |run: &crate::study::Run| {
        let accuracies = ["proper_accuracy", "final_train_accuracy", "final_test_accuracy"];
        let mut cells: Vec<String> = accuracies.map(|column| numbers::percent(run.number(column))).into();
        cells.extend(["final_train_loss", "final_test_loss"].map(|column| numbers::optional(run.number(column), 3)));
        cells.push(numbers::percent(run.number("final_overfit")));
        Some(cells)
    };
    Numbers::of_runs(study, "", &head, NumbersRow::all(study, row))
}
