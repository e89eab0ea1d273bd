//! What is made of gradients: shares, contributions, their null distributions and tests, cross terms and coherence.

use serde_json::{Value, json};

use super::{Built, KEPT_WORLDS, Key, Noise, Study, recorded_steps};

type Number = Option<f64>;

/// The parts of the examples that the groups are.
pub fn sizes(study: &Study, key: &Key) -> Vec<f64> {
    match study.grouping {
        "pristine" => vec![key.pristine(), 1.0 - key.pristine()],
        _ => vec![1.0 / study.groups.len() as f64; study.groups.len()],
    }
}

pub fn add(built: &mut Built, study: &Study, key: &Key, random: &mut Noise) {
    let recorded = recorded_steps(study.steps);
    let exact: Vec<i64> = recorded.iter().copied().filter(|&step| step < study.contiguous || step % 3 == 0).collect();
    add_sums(built, study, key, "paper", &recorded, random);
    if study.population {
        add_sums(built, study, key, "exact", &exact, random);
        add_sums(built, study, key, "population", &recorded, random);
        add_coverage(built, study, key);
    }
    add_cross_terms(built, study, key, &recorded);
    if study.coherence {
        add_coherence(built, study, key, &recorded, random);
    }
}

fn age(study: &Study, step: i64) -> f64 {
    (1.0 + step as f64).ln() / (1.0 + study.steps as f64).ln()
}

fn pairs<'a>(study: &'a Study) -> impl Iterator<Item = (usize, usize)> + 'a {
    let number = study.groups.len();
    (0..number).flat_map(move |a| (a + 1..number).map(move |b| (a, b)))
}

/// Shares, cumulative contributions and differences by an estimator, with null distributions and tests where it has some.
fn add_sums(built: &mut Built, study: &Study, key: &Key, estimator: &str, steps: &[i64], random: &mut Noise) {
    let sizes = sizes(study, key);
    let several = sizes.iter().filter(|&&size| size > 0.0).count() > 1;
    let estimated = estimator == "population";
    let worlds = if estimated { 0 } else { KEPT_WORLDS };
    for world in 0..=worlds {
        for (index, &step) in steps.iter().enumerate() {
            let sd = if estimator == "paper" { 0.02 + 0.10 * age(study, step).powi(2) } else { 0.004 };
            let half = 0.03 + 0.08 * age(study, step);
            let missing = !several || (study.missing > 0 && index % study.missing == 0);
            let mut rest = 1.0;
            for (place, (group, size)) in study.groups.iter().zip(&sizes).enumerate() {
                let effect = if world > 0 { 0.0 } else { 1.4 * (0.55 - age(study, step)) * size * (1.0 - size) };
                let share = match place + 1 == sizes.len() {
                    true => rest,
                    false if index == 40 && estimator == "paper" => 3.0 * size,
                    false => size + if place == 0 { effect } else { 0.3 * effect } + sd * random.normal(),
                };
                rest -= share;
                let known = |value: f64| (!missing).then_some(value);
                let bound = |side: f64| if estimated { known(share + side * half) } else { None };
                let row = json!({ "estimator": estimator, "step": step, "world": world, "group": group,
                    "share": known(share), "lower": bound(-1.0), "upper": bound(1.0) });
                built.add("shares", key.run, row);
                if world == 0 && !estimated {
                    let null = [*size, size - 3.1 * sd, size + 3.1 * sd];
                    add_null(
                        built,
                        key,
                        estimator,
                        "share",
                        [Some(group), None],
                        step,
                        null.map(|value| several.then_some(value)),
                    );
                }
            }
        }
    }
    if !estimated && !steps.is_empty() {
        add_tests(built, study, key, estimator, several);
    }
    add_contributions(built, study, key, estimator, several, random);
}

fn add_contributions(built: &mut Built, study: &Study, key: &Key, estimator: &str, several: bool, random: &mut Noise) {
    let sizes = sizes(study, key);
    let estimated = estimator == "population";
    let scale = if estimator == "paper" { 0.004 } else { 3000.0 } * (1.0 - 0.6 * key.noise);
    for world in 0..=(if estimated { 0 } else { KEPT_WORLDS }) {
        for step in 0..study.contiguous.min(study.steps) {
            let total = scale * (1.0 + step as f64);
            let effect = |place: usize| if world == 0 { 0.2 - 0.15 * place as f64 } else { 0.03 * world as f64 };
            let mean = |place: usize| (sizes[place] > 0.0).then_some(total * (1.0 + effect(place)));
            let shaken: Vec<Number> =
                (0..sizes.len()).map(|place| mean(place).map(|mean| mean + 0.01 * total * random.normal())).collect();
            for (group, mean) in study.groups.iter().zip(&shaken) {
                let row =
                    json!({ "estimator": estimator, "step": step, "world": world, "group": group, "cumulative": mean });
                built.add("cumulative", key.run, row);
            }
            for (a, b) in pairs(study) {
                let difference = shaken[a].zip(shaken[b]).map(|(a, b)| a - b);
                let bound = |side: f64| difference.filter(|_| estimated).map(|value| value + side * 0.09 * total);
                let (first, second) = (study.groups[a], study.groups[b]);
                let row = json!({ "estimator": estimator, "step": step, "world": world, "group_a": first, "group_b": second,
                    "difference": difference, "lower": bound(-1.0), "upper": bound(1.0) });
                built.add("differences", key.run, row);
                if world == 0 && !estimated {
                    let band = [0.0, -0.08, 0.08].map(|side| several.then_some(side * total));
                    add_null(built, key, estimator, "difference", [Some(first), Some(second)], step, band);
                }
            }
        }
    }
}

fn add_null(
    built: &mut Built,
    key: &Key,
    estimator: &str,
    statistic: &str,
    [group_a, group_b]: [Option<&str>; 2],
    step: i64,
    [mean, lower, upper]: [Number; 3],
) {
    let row = json!({ "estimator": estimator, "statistic": statistic, "group_a": group_a, "group_b": group_b, "step": step,
        "mean": mean, "lower": lower, "upper": upper });
    built.add("null", key.run, row);
}

fn add_tests(built: &mut Built, study: &Study, key: &Key, estimator: &str, several: bool) {
    // Up to half of the labels wrong, no null world is as extreme.
    let exceedances = if key.noise < 0.6 { 0 } else { (key.noise * 37.0) as u64 };
    let mut add = |statistic: &str, groups: [Option<&str>; 2], observed: f64, exceedances: u64, holm: Number| {
        let p = several.then_some((1.0 + exceedances as f64) / 1001.0);
        let row = json!({ "estimator": estimator, "statistic": statistic, "group_a": groups[0], "group_b": groups[1],
            "observed": several.then_some(observed), "worlds": 1000, "exceedances": several.then_some(exceedances), "p": p,
            "p_lower": p.map(|p| 0.7 * p), "p_upper": p.map(|p| 1.4 * p), "p_holm": holm });
        built.add("tests", key.run, row);
    };
    for statistic in ["share", "mean_share", "difference"] {
        add(statistic, [None, None], 9.25, exceedances, None);
    }
    for (place, group) in study.groups.iter().enumerate() {
        let p = if place == 0 { exceedances } else { exceedances + 11 };
        add("share", [Some(group), None], 9.25, p, Some(0.12));
        add("crossover", [Some(group), None], 0.3125, p, None);
    }
    for (a, b) in pairs(study) {
        let pair = [Some(study.groups[a]), Some(study.groups[b])];
        add("mean_share", pair, 4.5, exceedances, Some(0.045));
        add("difference", pair, 7.5, exceedances + 10 * (a + b) as u64, Some(1.0));
        add("difference_10", pair, 0.0123, exceedances, None);
    }
}

fn add_coverage(built: &mut Built, study: &Study, key: &Key) {
    for group in &study.groups {
        let row = json!({ "statistic": "share", "group_a": group, "covered": 67, "compared": 71 });
        built.add("coverage", key.run, row);
    }
    for (a, b) in pairs(study) {
        let row = json!({ "statistic": "difference", "group_a": study.groups[a], "group_b": study.groups[b],
            "covered": 17, "compared": 20 });
        built.add("coverage", key.run, row);
    }
}

fn add_cross_terms(built: &mut Built, study: &Study, key: &Key, recorded: &[i64]) {
    let size = 1.0 / study.groups.len() as f64;
    for &step in recorded {
        for (a, first) in study.groups.iter().enumerate() {
            for (b, second) in study.groups.iter().enumerate() {
                let age = age(study, step);
                let fraction = if a == b { size * (0.4 + 0.6 * age) } else { size * size * (1.2 - 2.0 * age) };
                let row = json!({ "estimator": "paper", "step": step, "group_a": first, "group_b": second, "fraction": fraction });
                built.add("cross_terms", key.run, row);
            }
        }
    }
}

/// A row of the coherence statistics, its interval so wide.
#[allow(clippy::too_many_arguments, reason = "a row of the table")]
pub fn add_statistic(
    built: &mut Built,
    run: usize,
    estimator: &str,
    step: i64,
    layer: Option<&str>,
    statistic: &str,
    [group_a, group_b]: [Option<&str>; 2],
    value: f64,
    width: Number,
) {
    let bound = |sign: f64| width.map(|width| value * (1.0 + sign * width));
    let row: Value = json!({ "estimator": estimator, "step": step, "layer": layer, "statistic": statistic,
        "group_a": group_a, "group_b": group_b, "value": value, "lower": bound(-1.0), "upper": bound(1.0) });
    built.add("coherence", run, row);
}

fn add_coherence(built: &mut Built, study: &Study, key: &Key, recorded: &[i64], random: &mut Noise) {
    let estimators: &[&str] = if study.population { &["paper", "population", "exact"] } else { &["paper"] };
    let run = key.run;
    for &step in recorded {
        let age = age(study, step);
        let layers =
            study.layers.iter().enumerate().map(|(place, layer)| (0.6 + place as f64 / 3.0, Some(layer.as_str())));
        for (depth, layer) in [(1.0, None)].into_iter().chain(layers) {
            let m = 1.0 + 150.0 * depth * (-4.0 * age * (1.0 + key.noise)).exp() * (1.0 + 0.1 * random.normal());
            for &estimator in estimators {
                if estimator == "exact" && step >= study.contiguous && step % 3 != 0 {
                    continue;
                }
                let shared = [("m_coherence", m), ("noise_scale", 400.0 / m)];
                for (statistic, value) in shared {
                    let value = if estimator == "paper" { value } else { 4.0 * value };
                    let width = if estimator == "exact" { None } else { Some(0.2) };
                    add_statistic(built, run, estimator, step, layer, statistic, [None, None], value, width);
                }
            }
            let of_sample = [
                ("same_sign", 0.5 + 0.3 * m / 150.0),
                ("confusion", if step == 0 { 0.0 } else { 0.03 / m }),
                ("stiffness_sign", 0.7 * m / 150.0),
                ("stiffness_cosine", 0.5 * m / 150.0 - 0.01),
            ];
            for (statistic, value) in of_sample {
                add_statistic(built, run, "paper", step, layer, statistic, [None, None], value, Some(0.15));
            }
            for kind in ["sign", "cosine"] {
                let (within, between) =
                    (format!("stiffness_{kind}_within_class"), format!("stiffness_{kind}_between_classes"));
                add_statistic(built, run, "paper", step, layer, &within, [None, None], 0.8 * m / 150.0, Some(0.1));
                add_statistic(built, run, "paper", step, layer, &between, [None, None], 0.3 * m / 150.0, Some(0.1));
            }
            if layer.is_none() {
                add_pairs(built, study, key, step, m / 150.0);
            }
        }
    }
}

fn add_pairs(built: &mut Built, study: &Study, key: &Key, step: i64, m: f64) {
    for (a, first) in study.groups.iter().enumerate() {
        for (b, second) in study.groups.iter().enumerate().skip(a) {
            let value = m * if a == b { 0.7 - 0.02 * a as f64 } else { 0.4 - 0.05 * (b - a) as f64 };
            let pair = [Some(*first), Some(*second)];
            add_statistic(built, key.run, "paper", step, None, "stiffness_cosine", pair, value, Some(0.1));
        }
    }
    for a in 0..10_u32 {
        for b in a..10 {
            let value = m * if a == b { 0.8 } else { 0.3 - 0.08 * f64::from((a * 7 + b * 3) % 10) };
            let classes = [a.to_string(), b.to_string()];
            let pair = [Some(classes[0].as_str()), Some(classes[1].as_str())];
            add_statistic(built, key.run, "paper", step, None, "class_stiffness_cosine", pair, value, None);
        }
    }
}
