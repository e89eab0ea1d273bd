//! How the examples of each group are learned: a row a curve, a column a condition, a line a group.

use super::layout::{MIDDLE, Panels, Plot, Row};
use super::{Figure, Figures, LEARNING, legend_of, of_groups, short_name, steps, values};
use crate::axes::{Scale, whole_range};
use crate::curve_names::{CurveStyle, PERCENT};
use crate::curves::Key;
use crate::distinct;
use crate::study::{Condition, Sheet, Study};

pub fn figures(study: &Study) -> Figures {
    let grouping = &study.summary.grouping.by;
    let what = if study.by_designation() {
        "Corrupt examples are those whose label the noise changed.".to_owned()
    } else {
        format!("Examples are grouped by {grouping}.")
    };
    let figure = Figure::new(LEARNING, "learning-groups", "When the examples of each group are learned", &["curves"])
        .saying(what)
        .sheets(study, |condition| condition.has(is_shown), |sheet| panels(study, sheet))?;
    Ok(figure.into_iter().collect())
}

fn is_shown(key: &Key) -> bool {
    key.estimator.is_none() && key.layer.is_none() && key.groups[0].is_some() && key.groups[1].is_none()
}

fn panels(study: &Study, sheet: &Sheet) -> Panels {
    let keys = sheet.conditions().flat_map(Condition::keys).filter(|key| is_shown(key));
    let mut names: Vec<&str> = distinct(keys.map(|key| &*key.curve));
    // What the paper shows first.
    names.sort_by_key(|name| *name != "learned");
    let groups = study.groups();
    let row = |name: &&str| {
        let style = CurveStyle::new(&study.summary, name);
        let curves = |condition: &Condition| {
            of_groups(groups, false, 1.0, |group| {
                let series = condition.series(&Key::new(name).group(group));
                series.into_iter().map(|series| series.scaled(style.factor)).collect()
            })
        };
        let all: Vec<_> = sheet.conditions().map(curves).collect();
        let (low, high) = whole_range(&values(all.iter().flatten()));
        let y = if style.factor == PERCENT { Scale::linear(-2.0, 102.0, 4, 0) } else { Scale::linear(low, high, 4, 0) };
        let x = steps(all.iter().flatten());
        let plot = |curves| Plot { curves, ..Plot::new(x.clone(), y.clone()) };
        Row::new(MIDDLE, x.step_axis(), style.title(), all.into_iter().map(plot).collect())
    };
    let legend = legend_of(groups.iter().map(|group| short_name(group)), groups.len());
    Panels::new(sheet, legend, names.iter().map(row).collect())
}
