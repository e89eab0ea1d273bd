//! The tables that came with the population, groups and coherence, and every curve over the seeds.

use std::collections::BTreeMap;
use std::path::Path;

use polars::prelude::{Column, DataFrame};

use super::{KEPT_WORLDS, Key, Noise, Number, Study, Tables, add_tests, write_frame, write_table};

/// Estimator, statistic, pair, exceedances, p with Holm's correction.
type GroupTestRow = (Key, &'static str, &'static str, [Option<String>; 2], u32, Number);
/// Estimator, step, layer, statistic, pair, value and interval.
type CoherenceRow = (Key, &'static str, i64, Option<i64>, String, [Option<String>; 2], [Number; 3]);

#[derive(Default)]
pub struct Later {
    groups: Vec<(Key, String, u32, u32, u32)>,
    /// Estimator, step, world, group, share, cumulative.
    shares: Vec<(Key, &'static str, i64, u32, String, Number, Number)>,
    group_tests: Vec<GroupTestRow>,
    /// Step, pair, fraction.
    cross_terms: Vec<(Key, i64, String, String, Number)>,
    coherence: Vec<CoherenceRow>,
}

/// The exact curves at every other recorded step, and those estimated from the sample at every recorded one.
pub fn add_population(
    tables: &mut Tables,
    study: &Study,
    key: &Key,
    pristine: f64,
    recorded: &[i64],
    noise: &mut Noise,
) {
    let both = key.noise > 0.0;
    let age = |step: i64| (1.0 + step as f64).ln() / (1.0 + study.steps as f64).ln();
    let truth = |step: i64| pristine + 0.9 * (0.55 - age(step)) * pristine * (1.0 - pristine);
    for &step in recorded {
        let half = 0.03 + 0.08 * age(step);
        if step < study.contiguous || step % 3 == 0 {
            for world in 0..=KEPT_WORLDS {
                let alpha = if world == 0 { truth(step) } else { pristine + 0.004 * noise.normal() };
                tables.decomposition.push((key.clone(), "exact", step, world, both.then_some(alpha), [None; 2]));
            }
            let bounds = [0.0, -1.0, 1.0].map(|side| both.then_some(pristine + 0.015 * side));
            tables.null.push((key.clone(), "exact", "alpha", step, bounds));
        }
        let estimate = truth(step) + 0.5 * half * noise.normal();
        let bounds = [estimate - half, estimate + half].map(|bound| both.then_some(bound));
        tables.decomposition.push((key.clone(), "population", step, 0, both.then_some(estimate), bounds));
    }
    let scale = 3000.0 * (1.0 - 0.6 * key.noise);
    for step in 0..study.contiguous {
        let age = 1.0 + step as f64;
        for world in 0..=KEPT_WORLDS {
            let effect = if world == 0 { 0.2 } else { 0.002 * f64::from(world) };
            let means = [Some(scale * age * (1.0 + effect)), both.then_some(scale * age)];
            tables.cumulative.push((key.clone(), "exact", step, world, means, [None; 2]));
        }
        let bounds = [0.0, -1.0, 1.0].map(|side| both.then_some(0.03 * side * scale * age));
        tables.null.push((key.clone(), "exact", "difference", step, bounds));
        let estimate = scale * age * (0.2 + 0.04 * noise.normal());
        let means = [Some(scale * age + estimate), both.then_some(scale * age)];
        let bounds = [-0.09, 0.09].map(|side| both.then_some(estimate + side * scale * age));
        tables.cumulative.push((key.clone(), "population", step, 0, means, bounds));
    }
    add_tests(tables, key, "exact", both);
}

pub fn add_groups(tables: &mut Tables, study: &Study, key: &Key, recorded: &[i64], noise: &mut Noise) {
    let number = study.groups.len();
    let size = 1.0 / number as f64;
    let later = &mut tables.later;
    for (order, group) in study.groups.iter().enumerate() {
        later.groups.push((key.clone(), (*group).to_owned(), order as u32, 1500 / number as u32, 400 / number as u32));
    }
    let estimators: &[&'static str] = if study.population { &["paper", "exact"] } else { &["paper"] };
    for &estimator in estimators {
        for world in 0..=KEPT_WORLDS {
            for &step in recorded {
                for (order, group) in study.groups.iter().enumerate() {
                    let effect = if world == 0 { 0.6 * size * (order as f64 * 2.1).sin() } else { 0.0 };
                    let share = size + effect + 0.06 * size * noise.normal();
                    let sum = 0.004 * (1.0 + step as f64) * (1.0 + effect / size);
                    let cumulative = (step < study.contiguous).then_some(sum);
                    let row = (key.clone(), estimator, step, world, (*group).to_owned(), Some(share), cumulative);
                    later.shares.push(row);
                }
            }
        }
        later.add_tests(study, key, estimator);
    }
    for &step in recorded {
        let age = (1.0 + step as f64).ln() / (1.0 + study.steps as f64).ln();
        for (a, first) in study.groups.iter().enumerate() {
            for (b, second) in study.groups.iter().enumerate() {
                let fraction = if a == b { size * (0.4 + 0.6 * age) } else { size * size * (1.2 - 2.0 * age) };
                let row = (key.clone(), step, (*first).to_owned(), (*second).to_owned(), Some(fraction));
                later.cross_terms.push(row);
            }
        }
    }
}

impl Later {
    fn add_tests(&mut self, study: &Study, key: &Key, estimator: &'static str) {
        let mut add = |statistic, groups: [Option<&str>; 2], exceedances, adjusted: Number| {
            let groups = groups.map(|group| group.map(str::to_owned));
            self.group_tests.push((key.clone(), estimator, statistic, groups, exceedances, adjusted));
        };
        for statistic in ["share", "mean_share", "difference"] {
            add(statistic, [None; 2], 0, None);
        }
        for (a, first) in study.groups.iter().enumerate() {
            add("share", [Some(first), None], 11, Some(0.12));
            for second in &study.groups[a + 1..] {
                add("mean_share", [Some(first), Some(second)], 0, Some(0.045));
                add("difference", [Some(first), Some(second)], 230, Some(1.0));
            }
        }
    }
}

pub fn add_coherence(tables: &mut Tables, study: &Study, key: &Key, recorded: &[i64], noise: &mut Noise) {
    let estimators: &[&'static str] = if study.population { &["paper", "population", "exact"] } else { &["paper"] };
    for &step in recorded {
        let age = (1.0 + step as f64).ln() / (1.0 + study.steps as f64).ln();
        for layer in [None, Some(0), Some(1)] {
            let depth = layer.map_or(1.0, |layer| 0.6 + layer as f64);
            let m = 1.0 + 150.0 * depth * (-4.0 * age * (1.0 + key.noise)).exp() * (1.0 + 0.1 * noise.normal());
            let shared = [
                ("m_coherence", m),
                ("diversity", 1.0 / m),
                ("aligned_fraction", 1.0 - 1.0 / m),
                ("noise_scale", 400.0 / m),
                ("normalised_variance", 500.0 / m),
            ];
            for &estimator in estimators {
                if estimator == "exact" && step >= study.contiguous && step % 3 != 0 {
                    continue;
                }
                for (statistic, value) in shared {
                    let value = if estimator == "paper" { value } else { 4.0 * value };
                    let width = if estimator == "exact" { None } else { Some(0.2) };
                    tables.later.add(key, estimator, step, layer, statistic, [None, None], value, width);
                }
            }
            let of_sample = [
                ("gsnr", 0.4 * m / 150.0),
                ("same_sign", 0.5 + 0.3 * m / 150.0),
                ("confusion", if step == 0 { 0.0 } else { 0.03 / m }),
                ("disparity", 0.4 + m / 90.0),
                ("stiffness_sign", 0.7 * m / 150.0),
                ("stiffness_cosine", 0.5 * m / 150.0),
            ];
            for (statistic, value) in of_sample {
                tables.later.add(key, "paper", step, layer, statistic, [None, None], value, Some(0.15));
            }
            add_stiffness(&mut tables.later, study, key, step, layer, m / 150.0);
        }
    }
}

fn add_stiffness(later: &mut Later, study: &Study, key: &Key, step: i64, layer: Option<i64>, m: f64) {
    for kind in ["sign", "cosine"] {
        let name = format!("stiffness_{kind}");
        later.add(key, "paper", step, layer, &format!("{name}_within_class"), [None, None], 0.8 * m, Some(0.1));
        later.add(key, "paper", step, layer, &format!("{name}_between_classes"), [None, None], 0.3 * m, Some(0.1));
        for (a, first) in study.groups.iter().enumerate() {
            for (b, second) in study.groups.iter().enumerate().skip(a) {
                let value = m * if a == b { 0.7 - 0.02 * a as f64 } else { 0.4 - 0.05 * (b - a) as f64 };
                later.add(key, "paper", step, layer, &name, [Some(first), Some(second)], value, Some(0.1));
            }
        }
    }
    if layer.is_some() {
        return;
    }
    for a in 0..10_u32 {
        for b in a..10 {
            let value = m * if a == b { 0.8 } else { 0.3 - 0.08 * f64::from((a * 7 + b * 3) % 10) };
            let classes = [a.to_string(), b.to_string()];
            let pair = [Some(classes[0].as_str()), Some(classes[1].as_str())];
            later.add(key, "paper", step, layer, "class_stiffness_cosine", pair, value, None);
        }
    }
}

impl Later {
    #[allow(clippy::too_many_arguments, reason = "a row of the table")]
    fn add(
        &mut self,
        key: &Key,
        estimator: &'static str,
        step: i64,
        layer: Option<i64>,
        statistic: &str,
        groups: [Option<&str>; 2],
        value: f64,
        width: Option<f64>,
    ) {
        let bound = |sign: f64| width.map(|width| value * (1.0 + sign * width));
        let groups = groups.map(|group| group.map(str::to_owned));
        let values = [Some(value), bound(-1.0), bound(1.0)];
        self.coherence.push((key.clone(), estimator, step, layer, statistic.to_owned(), groups, values));
    }

    pub fn write(&self, directory: &Path) {
        write_table(
            directory,
            "groups",
            &self.groups,
            |row| &row.0,
            |rows| {
                vec![
                    column("group", rows, |row| row.1.clone()),
                    column("order", rows, |row| row.2),
                    column("examples", rows, |row| row.3),
                    column("sampled", rows, |row| row.4),
                ]
            },
        );
        write_table(
            directory,
            "shares",
            &self.shares,
            |row| &row.0,
            |rows| {
                vec![
                    column("estimator", rows, |row| row.1.to_owned()),
                    column("step", rows, |row| row.2),
                    column("world", rows, |row| row.3),
                    column("group", rows, |row| row.4.clone()),
                    column("share", rows, |row| row.5),
                    column("cumulative", rows, |row| row.6),
                ]
            },
        );
        write_table(
            directory,
            "group_tests",
            &self.group_tests,
            |row| &row.0,
            |rows| {
                let p = |row: &GroupTestRow| f64::from(row.4 + 1) / 1001.0;
                vec![
                    column("estimator", rows, |row| row.1.to_owned()),
                    column("statistic", rows, |row| row.2.to_owned()),
                    column("group_a", rows, |row| row.3[0].clone()),
                    column("group_b", rows, |row| row.3[1].clone()),
                    column("observed", rows, |_| 4.5),
                    column("worlds", rows, |_| 1000_u32),
                    column("exceedances", rows, |row| row.4),
                    column("p", rows, p),
                    column("p_lower", rows, |row| 0.7 * p(row)),
                    column("p_upper", rows, |row| 1.4 * p(row)),
                    column("p_holm", rows, |row| row.5),
                ]
            },
        );
        write_table(
            directory,
            "cross_terms",
            &self.cross_terms,
            |row| &row.0,
            |rows| {
                vec![
                    column("estimator", rows, |_| "paper".to_owned()),
                    column("step", rows, |row| row.1),
                    column("group_a", rows, |row| row.2.clone()),
                    column("group_b", rows, |row| row.3.clone()),
                    column("fraction", rows, |row| row.4),
                ]
            },
        );
        write_table(
            directory,
            "coherence",
            &self.coherence,
            |row| &row.0,
            |rows| {
                vec![
                    column("estimator", rows, |row| row.1.to_owned()),
                    column("step", rows, |row| row.2),
                    column("layer", rows, |row| row.3),
                    column("statistic", rows, |row| row.4.clone()),
                    column("group_a", rows, |row| row.5[0].clone()),
                    column("group_b", rows, |row| row.5[1].clone()),
                    column("value", rows, |row| row.6[0]),
                    column("lower", rows, |row| row.6[1]),
                    column("upper", rows, |row| row.6[2]),
                ]
            },
        );
    }
}

fn column<Row, T, Phantom: ?Sized>(name: &str, rows: &[Row], value: impl Fn(&Row) -> T) -> Column
where
    polars::prelude::Series: polars::prelude::NamedFrom<Vec<T>, Phantom>,
{
    Column::new(name.into(), rows.iter().map(value).collect::<Vec<T>>())
}

/// Curve, estimator, layer and pair.
type Name = (String, Option<String>, Option<i64>, [Option<String>; 2]);

/// Mean and interval of three seeds (Student's t with two degrees of freedom), or the value of one.
pub fn write_over_seeds(tables: &Tables, directory: &Path) {
    let mut curves: BTreeMap<(&str, u64, Name, i64), Vec<f64>> = BTreeMap::new();
    let mut add = |key: &'_ Key, name: Name, step: i64, value: Number| {
        curves.entry((key.rule, key.noise.to_bits(), name, step)).or_default().extend(value);
    };
    let learning = |curve: String| -> Name { (curve, None, None, [None, None]) };
    let of = |curve: &str, estimator: &str| -> Name { (curve.into(), Some(estimator.into()), None, [None, None]) };
    for (key, step, split, subset, loss, accuracy) in &tables.curves {
        if *subset == "all" {
            add(key, learning(format!("{split}_loss")), *step, *loss);
            add(key, learning(format!("{split}_accuracy")), *step, *accuracy);
        }
    }
    for (key, step, subset, fraction) in &tables.learned {
        add(key, learning(format!("learned_{subset}")), *step, *fraction);
    }
    for (key, step, values) in &tables.overfit {
        add(key, learning("overfit".into()), *step, values[2]);
    }
    for (key, estimator, step, world, alpha, _) in &tables.decomposition {
        if *world == 0 {
            add(key, of("alpha", estimator), *step, *alpha);
            add(key, of("beta", estimator), *step, alpha.map(|alpha| 1.0 - alpha));
        }
    }
    for (key, estimator, step, world, [pristine, corrupt], _) in &tables.cumulative {
        if *world == 0 {
            add(key, of("cumulative_pristine", estimator), *step, *pristine);
            add(key, of("cumulative_corrupt", estimator), *step, *corrupt);
            let difference = pristine.zip(*corrupt).map(|(pristine, corrupt)| pristine - corrupt);
            add(key, of("cumulative_difference", estimator), *step, difference);
        }
    }
    for (key, estimator, step, layer, statistic, groups, values) in &tables.later.coherence {
        let name = (statistic.clone(), Some((*estimator).to_owned()), *layer, groups.clone());
        add(key, name, *step, values[0]);
    }
    for (key, step, a, b, fraction) in &tables.later.cross_terms {
        let pair = [Some(a.clone()), Some(b.clone())];
        add(key, ("cross_term".into(), Some("paper".into()), None, pair), *step, *fraction);
    }
    let rows: Vec<_> = curves.into_iter().collect();
    let interval = |values: &Vec<f64>| {
        let number = values.len() as f64;
        let mean = values.iter().sum::<f64>() / number;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (number - 1.0);
        let half = (values.len() > 1).then(|| 4.303 * (variance / number).sqrt());
        let mean = (!values.is_empty()).then_some(mean);
        [mean, mean.zip(half).map(|(mean, half)| mean - half), mean.zip(half).map(|(mean, half)| mean + half)]
    };
    let columns = vec![
        column("rule", &rows, |row| row.0.0.to_owned()),
        column("noise", &rows, |row| f64::from_bits(row.0.1)),
        column("curve", &rows, |row| row.0.2.0.clone()),
        column("estimator", &rows, |row| row.0.2.1.clone()),
        column("layer", &rows, |row| row.0.2.2),
        column("group_a", &rows, |row| row.0.2.3[0].clone()),
        column("group_b", &rows, |row| row.0.2.3[1].clone()),
        column("step", &rows, |row| row.0.3),
        column("seeds", &rows, |row| row.1.len() as u32),
        column("mean", &rows, |row| interval(&row.1)[0]),
        column("lower", &rows, |row| interval(&row.1)[1]),
        column("upper", &rows, |row| interval(&row.1)[2]),
    ];
    write_frame(&directory.join("over_seeds.parquet"), DataFrame::new(rows.len(), columns).unwrap());
}
