//! p-values: against a slow implementation, at their limits, and uniform when there is nothing to find.

use cograd_analysis::statistic::clopper_pearson;
use cograd_analysis::statistic::contribution::{Contributions, StepContributions};
use cograd_analysis::statistic::designation::Designation;
use cograd_analysis::statistic::null_world::NullWorlds;
use cograd_analysis::statistic::permutation::{FamilyTest, Test};

use crate::support::*;

#[test]
fn p_values_equal_a_plain_loop_over_worlds() {
    let pristine: Vec<bool> = (0..25).map(|i| i % 3 == 0).collect();
    // A gap after step 3: D is tested over fewer steps than α.
    let run = Synthetic::new(&pristine, 9, &[0, 1, 2, 3, 7, 8, 20], 11);
    let (contributions, designation) = (run.contributions(), run.designation());
    let worlds = null_worlds(2, "run", &designation);
    let tests = Families::of(&contributions, &designation).test(&worlds, 333);

    let (n, p, c) = (25.0, designation.pristine() as f64, designation.corrupt() as f64);
    let alpha_z = |world: &[bool]| -> Vec<f64> {
        let z = |(_, gradients): &(i64, Vec<f32>)| {
            let (mean, variance) = mean_and_variance(&slow_contributions(gradients, 25));
            let sd = (p * c * variance / ((n - 1.0) * n * n * mean * mean)).sqrt();
            ((slow_alpha(gradients, world) - p / n) / sd).abs()
        };
        run.steps.iter().map(z).collect()
    };
    let difference_z = |world: &[bool]| -> Vec<f64> {
        let z = |t: usize| {
            let mut sums = vec![0.0; 25];
            for (_, gradients) in &run.steps[..=t] {
                sums.iter_mut().zip(slow_contributions(gradients, 25)).for_each(|(sum, s)| *sum += s);
            }
            let sd = (n * n * mean_and_variance(&sums).1 / ((n - 1.0) * p * c)).sqrt();
            (slow_difference(&run.steps[..=t], world) / sd).abs()
        };
        (0..4).map(z).collect()
    };
    check_against_loop(&tests[0], &pristine, &worlds, alpha_z);
    check_against_loop(&tests[1], &pristine, &worlds, difference_z);
    let crossover =
        |world: &[bool]| vec![(slow_alpha(&run.steps[0].1, world) - slow_alpha(&run.steps[6].1, world)).abs()];
    check_against_loop(&tests[2], &pristine, &worlds, crossover);
}

/// 333 worlds; `z` is the sizes of the statistic in a world, up to a positive factor that does not depend on the world.
fn check_against_loop(test: &FamilyTest, actual: &[bool], worlds: &NullWorlds, z: impl Fn(&[bool]) -> Vec<f64>) {
    let largest = |sizes: &[f64]| sizes.iter().fold(0.0_f64, |a, b| a.max(*b));
    let actual = z(actual);
    let null: Vec<Vec<f64>> = (1..=333).map(|k| z(world(worlds, k).flags())).collect();
    for (member, &size) in actual.iter().enumerate() {
        let count = null.iter().filter(|sizes| sizes[member] >= size - 1e-9).count();
        assert_eq!(test.exceedances[member], Some(count as u32), "member {member}");
        assert_close(test.pointwise_p(member).unwrap(), (1 + count) as f64 / 334.0, 1e-15);
    }
    let mut maxima: Vec<f64> = null.iter().map(|sizes| largest(sizes)).collect();
    let count = maxima.iter().filter(|&&size| size >= largest(&actual) - 1e-9).count();
    assert_eq!(test.simultaneous.exceedances, Some(count as u32));
    assert_close(test.simultaneous.p.unwrap(), (1 + count) as f64 / 334.0, 1e-15);
    if actual.len() > 1 {
        assert_close(test.simultaneous.value.unwrap(), largest(&actual), 1e-9);
        // ⌈0.95 · 334⌉ = 318.
        maxima.sort_by(f64::total_cmp);
        assert_close(test.band.unwrap(), maxima[317], 1e-9);
    }
}

#[test]
fn the_band_excludes_the_actual_curve_exactly_if_p_is_at_most_a_twentieth() {
    let (mut inside, mut outside) = (0, 0);
    for seed in 0..40 {
        let run = Synthetic::new(&(0..20).map(|i| i < 8).collect::<Vec<_>>(), 2, &[0, 1, 2], seed);
        let (contributions, designation) = (run.contributions(), run.designation());
        let worlds = null_worlds(seed, "run", &designation);
        let test = &Families::of(&contributions, &designation).test(&worlds, 99)[0];
        let excluded = test.simultaneous.value > test.band;
        assert_eq!(excluded, test.simultaneous.p.unwrap() <= 0.05);
        *(if excluded { &mut outside } else { &mut inside }) += 1;
    }
    assert!(inside > 0 && outside > 0, "{inside} inside, {outside} outside");
}

#[test]
fn more_worlds_only_add_to_the_first_ones() {
    let run = Synthetic::new(&(0..50).map(|i| i < 20).collect::<Vec<_>>(), 10, &[0, 1, 2], 4);
    let (contributions, designation) = (run.contributions(), run.designation());
    let worlds = null_worlds(0, "run", &designation);
    let families = Families::of(&contributions, &designation);
    let counts = |worlds_asked| families.test(&worlds, worlds_asked)[0].exceedances[0].unwrap();
    let exceeds = |k| {
        let size = |world: &Designation| families.z(ALPHA, 0, world).unwrap().abs();
        size(&world(&worlds, k)) >= size(&designation) - 1e-9
    };
    for asked in [1, 2, 15, 16, 17, 127, 128, 129, 300] {
        assert_eq!(counts(asked), (1..=u64::from(asked)).filter(|&k| exceeds(k)).count() as u32, "{asked} worlds");
    }
}

#[test]
fn mirrored_worlds_count_as_equally_extreme() {
    // |P| = |C|: a world and its mirror image have the same |z| up to rounding, so that with n = 2 all worlds tie.
    let step = StepContributions { contributions: vec![0.1, 0.7], self_terms: vec![0.1, 0.7] };
    let mut contributions = Contributions::new(2);
    contributions.push(0, step);
    let designation = Designation::new(vec![false, true]);
    let worlds = null_worlds(0, "run", &designation);
    let tests = Families::of(&contributions, &designation).test(&worlds, 200);
    assert_eq!(tests[0].exceedances, [Some(200)]);
    assert_eq!(tests[0].simultaneous.p, Some(1.0));
}

#[test]
fn with_few_examples_the_p_value_is_that_of_all_permutations() {
    let run = Synthetic::new(&[true, true, false, false, false, true, false], 6, &[0], 3);
    let (contributions, designation) = (run.contributions(), run.designation());
    let families = Families::of(&contributions, &designation);
    let all = all_designations(7, 3);
    let size = |world: Vec<bool>| families.z(ALPHA, 0, &Designation::new(world)).unwrap().abs();
    let actual = families.z(ALPHA, 0, &designation).unwrap().abs();
    let exact = all.iter().filter(|world| size(world.to_vec()) >= actual - 1e-9).count() as f64 / all.len() as f64;
    let test = families.test(&null_worlds(9, "run", &designation), 20_000);
    assert!((test[0].pointwise_p(0).unwrap() - exact).abs() < 4.0 * (exact * (1.0 - exact) / 20_000.0).sqrt() + 1e-4);
}

#[test]
fn nothing_to_test_gives_missing_values() {
    let mut contributions = Contributions::new(3);
    let constant = StepContributions { contributions: vec![0.1; 3], self_terms: vec![0.1; 3] };
    contributions.push(4, constant);
    // Missing throughout, equal in every world, no step at all.
    for (pristine, members) in [(vec![true; 3], None), (vec![true, false, true], Some(0.0))] {
        let designation = Designation::new(pristine);
        let families = Families::of(&contributions, &designation);
        let tests = families.test(&null_worlds(0, "run", &designation), 50);
        assert_eq!(families.linear(ALPHA, 0).map(|linear| linear.sd), members);
        assert_eq!((tests[ALPHA].exceedances.as_slice(), tests[ALPHA].pointwise_p(0)), ([None].as_slice(), None));
        assert_eq!((tests[ALPHA].band, tests[ALPHA].simultaneous), (None, Test { worlds: 50, ..Test::default() }));
        assert!(tests[DIFFERENCE].exceedances.is_empty() && tests[CROSSOVER].exceedances.is_empty());
    }
}

#[test]
fn without_null_worlds_there_is_no_p_value() {
    let run = Synthetic::new(&[true, true, false, false], 6, &[0, 1], 3);
    let (contributions, designation) = (run.contributions(), run.designation());
    let worlds = null_worlds(0, "run", &designation);
    let test = &Families::of(&contributions, &designation).test(&worlds, 0)[0];
    assert_eq!((test.pointwise_p(0), test.simultaneous.p, test.band), (None, None, None));
    assert!(test.simultaneous.value.is_some());
}

#[test]
fn p_values_are_uniform_when_designations_are_random() {
    // Over 400 runs whose designations have nothing to do with their contributions, the Kolmogorov–Smirnov distance of a
    // p-value from uniform is below 1.95/√400 with probability 0.999; a p-value in steps of 1/200 adds 1/200.
    let mut p_values: Vec<Vec<f64>> = vec![Vec::new(); 5];
    for run in 0..400_u64 {
        let mut generator = generator(run);
        let mut contributions = Contributions::new(40);
        for step in 0..10 {
            let s: Vec<f64> = (0..40).map(|_| 1.0 + normal(&mut generator).powi(3)).collect();
            let s = if s.iter().sum::<f64>() > 0.0 { s } else { s.iter().map(|s| -s).collect() };
            contributions.push(step, StepContributions { self_terms: s.clone(), contributions: s });
        }
        let designation =
            world(&null_worlds(1, "designate", &Designation::new((0..40).map(|i| i < 15).collect())), run + 1);
        let worlds = null_worlds(2, &format!("run {run}"), &designation);
        let tests = Families::of(&contributions, &designation).test(&worlds, 199);
        let of_run = [
            tests[0].simultaneous.p,
            tests[1].simultaneous.p,
            tests[2].simultaneous.p,
            tests[0].pointwise_p(4),
            tests[1].pointwise_p(9),
        ];
        p_values.iter_mut().zip(of_run).for_each(|(list, p)| list.push(p.unwrap()));
    }
    for (statistic, list) in p_values.iter_mut().enumerate() {
        list.sort_by(f64::total_cmp);
        let distance = |(i, p): (usize, &f64)| ((i + 1) as f64 / 400.0 - p).abs().max((i as f64 / 400.0 - p).abs());
        let largest = list.iter().enumerate().map(distance).fold(0.0, f64::max);
        assert!(largest < 1.95 / 20.0 + 1.0 / 200.0, "statistic {statistic}: distance {largest}");
    }
}

#[test]
fn clopper_pearson_by_hand_and_from_tables() {
    // x = 0 of 10: 1 − 0.025^(1/10); x = 10 of 10: 0.025^(1/10); 1 of 10 as tabled by Clopper & Pearson.
    let close = |(lower, upper): (f64, f64), (expected_lower, expected_upper): (f64, f64), within: f64| {
        assert!(
            (lower - expected_lower).abs() < within && (upper - expected_upper).abs() < within,
            "{lower} to {upper}"
        );
    };
    close(clopper_pearson::interval(0, 10).unwrap(), (0.0, 1.0 - 0.025_f64.powf(0.1)), 1e-9);
    close(clopper_pearson::interval(10, 10).unwrap(), (0.025_f64.powf(0.1), 1.0), 1e-9);
    close(clopper_pearson::interval(1, 10).unwrap(), (0.0025, 0.4450), 5e-5);
    assert_eq!(clopper_pearson::interval(0, 0), None);
    assert_eq!(clopper_pearson::interval(2, 1), None);
}

#[test]
fn clopper_pearson_leaves_a_fortieth_in_each_tail() {
    for (successes, trials) in [
        (1, 3),
        (5, 9),
        (1, 1000),
        (37, 1000),
        (999, 1000),
        (1, 10_000),
        (500, 10_000),
        (1, 100_000),
        (42_000, 100_000),
    ] {
        let (lower, upper) = clopper_pearson::interval(successes, trials).unwrap();
        let at_least = 1.0 - binomial_at_most(successes - 1, trials, lower);
        let at_most = binomial_at_most(successes, trials, upper);
        assert!(
            (at_least - 0.025).abs() < 1e-6 && (at_most - 0.025).abs() < 1e-6,
            "{successes} of {trials}: {at_least} and {at_most}"
        );
    }
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
