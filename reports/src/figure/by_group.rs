//! Figures 2 and 3 of the paper, of whatever groups there are: their shares of ‖g‖² over training and what a mean example of
//! each has contributed over the first steps; the actual groups above, null worlds below.

use super::layout::{LOW, MIDDLE, Panels, Plot, Row, reference};
use super::{Figure, Figures, POPULATION, SHARES, has, legend_of, of_groups, short_name, steps, values, whole_scales};
use crate::axes::{Scale, axis_title, robust_range, wide_range};
use crate::curves::{EXACT, Key, PAPER, Series};
use crate::study::{Condition, Sheet, Study};

/// The paper's figure shows the steps 0 to 9.
const FIRST_STEPS: f64 = 10.0;
/// Curves of more groups are thin, in higher panels.
const FEW_GROUPS: usize = 4;

pub fn of_sample(study: &Study) -> Figures {
    let names = ["shares", "contributions"];
    figures(study, PAPER, SHARES, names)
}

pub fn of_population(study: &Study) -> Figures {
    figures(study, EXACT, POPULATION, ["shares-population", "contributions-population"])
}

fn figures(
    study: &Study,
    estimator: &str,
    section: &'static str,
    [shares, contributions]: [&'static str; 2],
) -> Figures {
    let designations = study.by_designation();
    let whose =
        if estimator == EXACT { "of all training examples" } else { "of the sampled examples at the sampled weights" };
    let (title, explained) = match designations {
        true => ("Shares α and β of pristine and corrupt examples", "the designations pristine and corrupt are"),
        false => ("Shares of the groups", "the membership in groups is"),
    };
    let drawn_shares = Figure::new(section, shares, format!("{title} in the squared norm of the gradient"), &["shares", "groups"])
        .saying(format!("The gradient is that {whose}; a share is, to first order, also that in the reduction of the loss by a step along it. Top row: the actual groups; below, null worlds in which {explained} dealt out anew at random, the same for all steps. Dashed: the groups’ sizes, around which the shares of a null world stay. Triangles at the edge mark values outside the axis."))
        .sheets(study, |condition| has(condition, "share", estimator), |sheet| share_panels(study, sheet, estimator))?;
    let title = match designations {
        true => "Cumulative contributions iᵖ and iᶜ of the mean pristine and the mean corrupt example",
        false => "Cumulative contributions of the mean example of every group",
    };
    let drawn_contributions = Figure::new(section, contributions, title, &["cumulative"])
        .saying(format!("To loss reduction over the first ten steps, summed from step 0: to first order, along the summed gradient {whose}, and per unit of the learning rate η. Each column has its own vertical scale."))
        .sheets(study, |condition| has(condition, "cumulative", estimator), |sheet| contribution_panels(study, sheet, estimator))?;
    Ok([drawn_shares, drawn_contributions].into_iter().flatten().collect())
}

/// The worlds that the runs of a sheet have.
fn worlds(sheet: &Sheet, curve: &str, estimator: &str) -> Vec<u64> {
    let runs = sheet.conditions().flat_map(|condition| &condition.runs);
    runs.map(|run| run.worlds(curve, estimator)).max_by_key(Vec::len).unwrap_or_default()
}

fn world_name(world: u64) -> String {
    if world == 0 { "actual".to_owned() } else { format!("null world {world}") }
}

fn height(study: &Study) -> f64 {
    if study.groups().len() > FEW_GROUPS { MIDDLE } else { LOW }
}

fn width(study: &Study) -> f64 {
    if study.groups().len() > FEW_GROUPS { 0.6 } else { 0.9 }
}

/// `α, pristine` and `β, corrupt`, or names of groups.
fn share_names(study: &Study) -> Vec<String> {
    let named = |(place, group): (usize, &String)| match ["α", "β"].get(place) {
        Some(letter) if study.by_designation() => format!("{letter}, {group}"),
        _ => short_name(group),
    };
    study.groups().iter().enumerate().map(named).collect()
}

fn share_panels(study: &Study, sheet: &Sheet, estimator: &str) -> Panels {
    let curves = |condition: &Condition, world: u64| {
        let key = |group: &str| Key::estimated("share", estimator).world(world).group(group);
        of_groups(study.groups(), false, width(study), |group| condition.series(&key(group)))
    };
    let worlds = worlds(sheet, "share", estimator);
    let rows: Vec<Vec<_>> =
        worlds.iter().map(|&world| sheet.conditions().map(|condition| curves(condition, world)).collect()).collect();
    // The actual curves are seen whole; a null world may leave the panel where the gradient all but vanishes.
    let actual = values(rows.iter().take(1).flatten().flatten());
    let null = robust_range(values(rows.iter().flatten().flatten()).into_iter(), &[0.0]);
    let include = if study.groups().len() == 2 { vec![null.0, null.1, 1.0] } else { vec![null.0, null.1] };
    let (low, high) = wide_range(actual.into_iter(), &include);
    let x = steps(rows.iter().flatten().flatten());
    let sizes = |condition: &Condition| {
        let of_group = |group: &String| condition.distinct(|run| run.size(group, estimator));
        let mut sizes: Vec<f64> = study.groups().iter().flat_map(of_group).collect();
        sizes.sort_by(f64::total_cmp);
        // Lines closer than they are thick are one.
        sizes.dedup_by(|a, b| (*a - *b).abs() < 0.01);
        sizes
    };
    let row = |(world, curves): (&u64, Vec<_>)| {
        let plot = |(condition, curves)| Plot {
            levels: sizes(condition).into_iter().map(reference).collect(),
            curves,
            ..Plot::new(x.clone(), Scale::linear(low, high, 4, 0))
        };
        let plots = sheet.conditions().zip(curves).map(plot).collect();
        Row::new(height(study), x.step_axis(), "Share of ‖g‖²", plots).named(world_name(*world))
    };
    let rows = worlds.iter().zip(rows).map(row).collect();
    let legend = legend_of(share_names(study).into_iter(), study.groups().len());
    Panels::new(sheet, legend.with_reference("group sizes"), rows)
}

fn contribution_panels(study: &Study, sheet: &Sheet, estimator: &str) -> Panels {
    let early = |series: Vec<Series>| series.into_iter().map(|series| series.before(FIRST_STEPS)).collect();
    let curves = |condition: &Condition, world: u64| {
        let key = |group: &str| Key::estimated("cumulative", estimator).world(world).group(group);
        of_groups(study.groups(), true, width(study), |group| early(condition.series(&key(group))))
    };
    let worlds = worlds(sheet, "cumulative", estimator);
    let rows: Vec<Vec<_>> =
        worlds.iter().map(|&world| sheet.conditions().map(|condition| curves(condition, world)).collect()).collect();
    let of_column = |column: usize| {
        let curves = rows.iter().flat_map(|row| &row[column]);
        curves.flat_map(|drawn: &super::StyledCurve| drawn.series.curve.values()).collect()
    };
    let (scales, exponent) = whole_scales(&(0..sheet.columns.len()).map(of_column).collect::<Vec<_>>());
    let x = Scale::whole(FIRST_STEPS - 1.0, 5);
    let title = axis_title("Contribution", "loss/η", exponent);
    let row = |(world, curves): (&u64, Vec<_>)| {
        let plot = |(y, curves): (&Scale, _)| Plot { curves, ..Plot::new(x.clone(), y.clone()) };
        let plots = scales.iter().zip(curves).map(plot).collect();
        Row::new(height(study), x.step_axis(), title.clone(), plots).named(world_name(*world))
    };
    let rows = worlds.iter().zip(rows).map(row).collect();
    let names = study.groups().iter().map(|group| match study.by_designation() {
        true => format!("mean {group} example"),
        false => short_name(group),
    });
    Panels::new(sheet, legend_of(names, study.groups().len()), rows)
}
