//! p-values: against a slow implementation, at their limits, and uniform when there is nothing to find.

use cograd_analysis::Options;
use cograd_analysis::kernel::contribution::{Contributions, StepContributions};
use cograd_analysis::kernel::grouping::Grouping;
use cograd_analysis::kernel::null_world::NullWorlds;

use crate::support::*;

fn with_worlds(null_worlds: usize, seed: u64) -> Options {
    Options { null_worlds, seed, ..only(&["shares", "cumulative"]) }
}

/// (1 + exceedances)/(B + 1).
fn p(exceedances: Option<u32>, worlds: u32) -> f64 {
    f64::from(1 + exceedances.unwrap()) / f64::from(1 + worlds)
}

#[test]
fn p_values_equal_a_plain_loop_over_worlds() {
    let pristine: Vec<bool> = (0..25).map(|i| i % 3 == 0).collect();
    // A gap after step 3: D is tested over fewer steps than α.
    let run = Synthetic::new(&pristine, 9, &[0, 1, 2, 3, 7, 8, 20], 11);
    let tables = analysed(std::slice::from_ref(&run), &with_worlds(333, 2));
    let (null, tests) = (tables.table("null"), tables.table("tests"));
    let s: Vec<Vec<f64>> = run.steps.iter().map(|(_, gradients)| slow_contributions(gradients, 25)).collect();

    let (n, p, c) = (25.0, 9.0, 16.0);
    let alpha = |world: &[bool], t: usize| group_sum(&s[t], world, true) / s[t].iter().sum::<f64>();
    let alpha_z = |world: &[bool]| -> Vec<f64> {
        let z = |t: usize| {
            let (mean, variance) = mean_and_variance(&s[t]);
            let sd = (p * c * variance / ((n - 1.0) * n * n * mean * mean)).sqrt();
            ((alpha(world, t) - p / n) / sd).abs()
        };
        (0..7).map(z).collect()
    };
    let difference_z = |world: &[bool]| -> Vec<f64> {
        let z = |t: usize| {
            let sums: Vec<f64> = (0..25).map(|i| (0..=t).map(|t| s[t][i]).sum()).collect();
            let sd = (n * n * mean_and_variance(&sums).1 / ((n - 1.0) * p * c)).sqrt();
            ((group_sum(&sums, world, true) / p - group_sum(&sums, world, false) / c) / sd).abs()
        };
        (0..4).map(z).collect()
    };
    let crossover = |world: &[bool]| vec![(alpha(world, 0) - alpha(world, 6)).abs()];
    let worlds = NullWorlds::new(2, &run.id(), &run.grouping());
    check_against_loop([&null, &tests], "share", &pristine, &worlds, alpha_z);
    check_against_loop([&null, &tests], "difference", &pristine, &worlds, difference_z);
    check_against_loop([&null, &tests], "crossover", &pristine, &worlds, crossover);
}

/// 333 worlds; `z` is the sizes of the statistic in a world, up to a positive factor that does not depend on the world.
fn check_against_loop(
    [null, tests]: [&Table; 2],
    statistic: &str,
    actual: &[bool],
    worlds: &NullWorlds,
    z: impl Fn(&[bool]) -> Vec<f64>,
) {
    let largest = |sizes: &[f64]| sizes.iter().fold(0.0_f64, |a, b| a.max(*b));
    let actual = z(actual);
    let worlds: Vec<Vec<f64>> = (1..=333).map(|k| z(&flags(&worlds.grouping(k)))).collect();
    let of_statistic = [("statistic", statistic), ("group_a", "pristine")];
    let rows = null.rows(&of_statistic);
    assert_eq!(rows.len(), if statistic == "crossover" { 0 } else { actual.len() });
    for (member, &row) in rows.iter().enumerate() {
        let count = worlds.iter().filter(|sizes| sizes[member] >= actual[member] - 1e-9).count();
        assert_close(null.number("p", row).unwrap(), (1 + count) as f64 / 334.0, 1e-15);
    }
    let mut maxima: Vec<f64> = worlds.iter().map(|sizes| largest(sizes)).collect();
    let count = maxima.iter().filter(|&&size| size >= largest(&actual) - 1e-9).count();
    let row = tests.row(&of_statistic);
    assert_eq!(["exceedances", "worlds"].map(|column| tests.text(column, row)), [count.to_string(), "333".into()]);
    assert_close(tests.number("p", row).unwrap(), (1 + count) as f64 / 334.0, 1e-15);
    if actual.len() > 1 {
        assert_close(tests.number("observed", row).unwrap(), largest(&actual), 1e-9);
        // ⌈0.95 · 334⌉ = 318.
        maxima.sort_by(f64::total_cmp);
        for row in rows {
            let [mean, sd, lower, upper] =
                ["mean", "sd", "lower", "upper"].map(|column| null.number(column, row).unwrap());
            assert_close((upper - mean) / sd, maxima[317], 1e-9);
            assert_close((mean - lower) / sd, maxima[317], 1e-9);
        }
    } else {
        assert_close(tests.number("observed", row).unwrap().abs(), actual[0], 1e-9);
    }
}

#[test]
fn the_band_excludes_the_actual_curve_exactly_if_p_is_at_most_a_twentieth() {
    let (mut inside, mut outside) = (0, 0);
    for seed in 0..40 {
        let run = Synthetic::new(&(0..20).map(|i| i < 8).collect::<Vec<_>>(), 2, &[0, 1, 2], seed);
        let (contributions, grouping) = (run.contributions(), run.grouping());
        let worlds = NullWorlds::new(seed, "run", &grouping);
        let test = Families::new(&contributions, &grouping).test(ALPHA, &worlds, 99);
        let excluded = test.simultaneous.value > test.band;
        assert_eq!(excluded, p(test.simultaneous.exceedances, 99) <= 0.05);
        *(if excluded { &mut outside } else { &mut inside }) += 1;
    }
    assert!(inside > 0 && outside > 0, "{inside} inside, {outside} outside");
}

#[test]
fn more_worlds_only_add_to_the_first_ones() {
    let run = Synthetic::new(&(0..50).map(|i| i < 20).collect::<Vec<_>>(), 10, &[0, 1, 2], 4);
    let (contributions, grouping) = (run.contributions(), run.grouping());
    let worlds = NullWorlds::new(0, "run", &grouping);
    let families = Families::new(&contributions, &grouping);
    let size = |world: &Grouping| families.z(ALPHA, world)[0].unwrap().abs();
    let exceeds: Vec<bool> = (1..=300).map(|k| size(&worlds.grouping(k)) >= size(&grouping) - 1e-9).collect();
    for asked in [1, 2, 15, 16, 17, 127, 128, 129, 300] {
        let expected = exceeds[..asked].iter().filter(|exceeds| **exceeds).count() as u32;
        assert_eq!(families.test(ALPHA, &worlds, asked as u32).exceedances[0], Some(expected), "{asked} worlds");
    }
}

#[test]
fn mirrored_worlds_count_as_equally_extreme() {
    // |P| = |C|: a world and its mirror image have the same |z| up to rounding, so that with n = 2 all worlds tie.
    let step = StepContributions { contributions: vec![0.1, 0.7], self_terms: vec![0.1, 0.7] };
    let mut contributions = Contributions::new(2);
    contributions.push(0, step);
    let grouping = two_groups(&[false, true]);
    let test = Families::new(&contributions, &grouping).test(ALPHA, &NullWorlds::new(0, "run", &grouping), 200);
    assert_eq!(test.exceedances, [Some(200)]);
    let run = Synthetic::new(&[false, true], 3, &[0, 1], 1);
    let tests = analysed(&[run], &with_worlds(200, 0)).table("tests");
    let tested = tests.rows(&[("group_b", "null"), ("exceedances", "200"), ("p", "1"), ("p_upper", "1")]);
    // Share and crossover of each group, all shares at once, and the differences of one pair at once.
    assert_eq!(tested.len(), 2 + 1 + 2 + 1 + 1);
}

#[test]
fn with_few_examples_the_p_value_is_that_of_all_permutations() {
    let run = Synthetic::new(&[true, true, false, false, false, true, false], 6, &[0], 3);
    let (contributions, grouping) = (run.contributions(), run.grouping());
    let families = Families::new(&contributions, &grouping);
    let size = |world: &Grouping| families.z(ALPHA, world)[0].unwrap().abs();
    let all = all_divisions(7, 3);
    let exceeding = all.iter().filter(|world| size(world) >= size(&grouping) - 1e-9).count();
    let exact = exceeding as f64 / all.len() as f64;
    let test = families.test(ALPHA, &NullWorlds::new(9, "run", &grouping), 20_000);
    let p = p(test.exceedances[0], 20_000);
    assert!((p - exact).abs() < 4.0 * (exact * (1.0 - exact) / 20_000.0).sqrt() + 1e-4);
}

#[test]
fn nothing_to_test_gives_missing_values() {
    // One group only, or equal contributions, at a step that is not contiguous.
    let constant = |pristine: &[bool], seed| {
        let mut run = Synthetic::new(pristine, 2, &[4], 1);
        run.steps[0].1.fill(0.1);
        Synthetic { conditions: conditions("sgd", 0.5, seed), ..run }
    };
    let runs = [constant(&[true; 3], 1), constant(&[true, false, true], 2)];
    let analysed = analysed(&runs, &with_worlds(50, 0));
    let (null, tests) = (analysed.table("null"), analysed.table("tests"));
    let share = [("group_a", "pristine")];
    assert_eq!(null.texts("sd", &share), ["null", "0"]);
    assert_eq!(null.rows(&[("statistic", "difference")]).len(), 0);
    for column in ["p", "lower", "upper"] {
        assert_eq!(null.numbers(column, &share), [None; 2], "{column}");
    }
    let missing =
        [("observed", "null"), ("exceedances", "null"), ("p", "null"), ("p_lower", "null"), ("p_upper", "null")];
    assert_eq!(tests.rows(&missing).len(), tests.len());
    assert_eq!(tests.rows(&[("worlds", "50"), ("p_holm", "null")]).len(), tests.len());
}

#[test]
fn without_null_worlds_there_is_no_p_value() {
    let run = Synthetic::new(&[true, true, false, false], 6, &[0, 1], 3);
    let analysed = analysed(&[run], &with_worlds(0, 0));
    let (null, tests) = (analysed.table("null"), analysed.table("tests"));
    for column in ["p", "lower", "upper"] {
        assert!(null.numbers(column, &[]).iter().all(Option::is_none), "{column}");
    }
    assert!(null.numbers("sd", &[]).iter().all(Option::is_some));
    assert!(tests.value("observed", &[("statistic", "share"), ("group_a", "pristine")]).is_some());
    let without =
        [("exceedances", "null"), ("p", "null"), ("p_lower", "null"), ("p_upper", "null"), ("p_holm", "null")];
    assert_eq!(tests.rows(&without).len(), tests.len());
}

#[test]
fn with_fewer_than_nineteen_worlds_there_is_no_band() {
    let run = Synthetic::new(&[true, true, false, false, true], 6, &[0, 1], 3);
    for (worlds, has_band) in [(18, false), (19, true)] {
        let null = analysed(std::slice::from_ref(&run), &with_worlds(worlds, 0)).table("null");
        for (lower, p) in null.numbers("lower", &[]).into_iter().zip(null.numbers("p", &[])) {
            assert_eq!((lower.is_some(), p.is_some()), (has_band, true));
        }
    }
}

#[test]
fn p_values_are_uniform_when_groups_are_random() {
    // Over 400 runs whose groups have nothing to do with their contributions, the Kolmogorov–Smirnov distance of a
    // p-value from uniform is below 1.95/√400 with probability 0.999; a p-value in steps of 1/200 adds 1/200.
    let mut p_values: Vec<Vec<f64>> = vec![Vec::new(); 5];
    let designate = NullWorlds::new(1, "designate", &two_groups(&(0..40).map(|i| i < 15).collect::<Vec<_>>()));
    for run in 0..400_u64 {
        let mut generator = generator(run);
        let mut contributions = Contributions::new(40);
        for step in 0..10 {
            let s: Vec<f64> = (0..40).map(|_| 1.0 + normal(&mut generator).powi(3)).collect();
            let s = if s.iter().sum::<f64>() > 0.0 { s } else { s.iter().map(|s| -s).collect() };
            contributions.push(step, StepContributions { self_terms: s.clone(), contributions: s });
        }
        let grouping = designate.grouping(run + 1);
        let worlds = NullWorlds::new(2, &format!("run {run}"), &grouping);
        let families = Families::new(&contributions, &grouping);
        let [alpha, difference, crossover] =
            [ALPHA, DIFFERENCE, CROSSOVER].map(|subject| families.test(subject, &worlds, 199));
        let of_run = [
            alpha.simultaneous.exceedances,
            difference.simultaneous.exceedances,
            crossover.simultaneous.exceedances,
            alpha.exceedances[4],
            difference.exceedances[9],
        ];
        p_values.iter_mut().zip(of_run).for_each(|(list, exceedances)| list.push(p(exceedances, 199)));
    }
    for (statistic, list) in p_values.iter_mut().enumerate() {
        list.sort_by(f64::total_cmp);
        let distance = |(i, p): (usize, &f64)| ((i + 1) as f64 / 400.0 - p).abs().max((i as f64 / 400.0 - p).abs());
        let largest = list.iter().enumerate().map(distance).fold(0.0, f64::max);
        assert!(largest < 1.95 / 20.0 + 1.0 / 200.0, "statistic {statistic}: distance {largest}");
    }
}

#[test]
fn intervals_of_p_values_leave_a_fortieth_in_each_tail() {
    // Twelve runs of ten and of a thousand worlds: every count of ten occurs, and many between.
    let run = |seed| Synthetic {
        conditions: conditions("sgd", 0.5, seed),
        ..Synthetic::new(&(0..9).map(|i| i < 4).collect::<Vec<_>>(), 1, &(0..10).collect::<Vec<_>>(), seed)
    };
    let study = Study::new(&(0..12).map(run).collect::<Vec<_>>());
    let mut counts = std::collections::BTreeMap::new();
    for worlds in [10, 1000] {
        let tests = study.analysed(&with_worlds(worlds as usize, 5)).table("tests");
        for row in tests.rows(&[]) {
            let [x, lower, upper] =
                ["exceedances", "p_lower", "p_upper"].map(|column| tests.number(column, row).unwrap());
            counts.insert((worlds, x as u32), (lower, upper));
            let at_least = if x == 0.0 { 0.025 } else { 1.0 - binomial_at_most(x as u32 - 1, worlds, lower) };
            let at_most = if x as u32 == worlds { 0.025 } else { binomial_at_most(x as u32, worlds, upper) };
            assert!((at_least - 0.025).abs() < 1e-6 && (at_most - 0.025).abs() < 1e-6, "{x} of {worlds}");
        }
    }
    // x = 0 of 10: 1 − 0.025^(1/10); x = 10 of 10: 0.025^(1/10); 1 of 10 as tabled by Clopper & Pearson.
    let close = |x: u32, expected: (f64, f64), within: f64| {
        let (lower, upper) = counts[&(10, x)];
        assert!((lower - expected.0).abs() < within && (upper - expected.1).abs() < within, "{x}: {lower} to {upper}");
    };
    close(0, (0.0, 1.0 - 0.025_f64.powf(0.1)), 1e-9);
    close(1, (0.0025, 0.4450), 5e-5);
    close(10, (0.025_f64.powf(0.1), 1.0), 1e-9);
}

/// P(X ≤ x) for X binomial, term by term.
fn binomial_at_most(x: u32, trials: u32, p: f64) -> f64 {
    let mut logarithm = f64::from(trials) * (-p).ln_1p();
    let mut sum = logarithm.exp();
    for k in 1..=x {
        logarithm += (f64::from(trials - k + 1) / f64::from(k)).ln() + p.ln() - (-p).ln_1p();
        sum += logarithm.exp();
    }
    sum
}
