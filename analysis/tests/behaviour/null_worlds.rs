//! Null worlds and their exact moments.

use std::collections::BTreeMap;

use cograd_analysis::statistic::designation::Designation;
use cograd_analysis::statistic::{crossover, cumulative, decomposition};

use crate::support::*;

/// 30 examples, of which 12 are pristine, at steps 0…11.
fn thirty() -> Synthetic {
    let pristine: Vec<bool> = (0..30).map(|i| i % 5 < 2).collect();
    Synthetic::new(&pristine, 20, &(0..12).collect::<Vec<_>>(), 5)
}

#[test]
fn worlds_keep_the_sizes_of_both_groups() {
    for pristine in [0, 1, 3, 9, 10] {
        let actual = Designation::new((0..10).map(|i| i < pristine).collect());
        let worlds = null_worlds(0, "run", &actual);
        assert!((1..=50).all(|k| world(&worlds, k).pristine() == pristine && world(&worlds, k).examples() == 10));
    }
}

#[test]
fn a_world_is_a_function_of_seed_run_and_number() {
    let actual = Designation::new((0..40).map(|i| i < 17).collect());
    let worlds = |seed, run| null_worlds(seed, run, &actual);
    let one = world(&worlds(7, "run"), 3);
    assert_eq!(one, world(&worlds(7, "run"), 3));
    assert_ne!(one, world(&worlds(7, "run"), 4));
    assert_ne!(one, world(&worlds(8, "run"), 3));
    assert_ne!(one, world(&worlds(7, "other"), 3));
}

#[test]
fn the_first_world_is_what_it_always_was() {
    // Pinned: published p-values must be found again with any later version.
    let actual = Designation::new((0..12).map(|i| i < 5).collect());
    let world = world(&null_worlds(0, "sgd_noise-0.25_seed-1", &actual), 1);
    let text: String = world.flags().iter().map(|&is| if is { 'p' } else { 'c' }).collect();
    assert_eq!(text, "pcppccccppcc");
}

#[test]
fn every_permutation_is_equally_likely() {
    // 10 subsets of 2 in 5; 20 000 worlds; χ² with 9 degrees of freedom is below 27.9 with probability 0.999.
    for pristine in [2, 3] {
        let worlds = null_worlds(1, "run", &Designation::new((0..5).map(|i| i < pristine).collect()));
        let mut counts = BTreeMap::new();
        (1..=20_000).for_each(|k| *counts.entry(world(&worlds, k).flags().to_vec()).or_insert(0) += 1);
        let chi_squared: f64 = counts.values().map(|&count| (f64::from(count) - 2000.0).powi(2) / 2000.0).sum();
        assert!(counts.len() == 10 && chi_squared < 27.9, "{} subsets, χ² = {chi_squared}", counts.len());
    }
}

/// A member of a family, with a direct implementation of its statistic.
type Claim<'a> = (usize, usize, Box<dyn Fn(&Designation) -> f64 + 'a>);

/// α, D and the crossover statistic of a run, at some steps each.
fn with_claims(run: &Synthetic, check: impl Fn(&Families<'_>, &[Claim<'_>])) {
    let contributions = run.contributions();
    let last = contributions.steps().len() - 1;
    let decompose = |world: &Designation| decomposition::decompose(&contributions, world);
    let cumulate = |world: &Designation| cumulative::cumulate(&contributions, world);
    let claims: [Claim<'_>; 5] = [
        (ALPHA, 0, Box::new(|world| decompose(world)[0].alpha.unwrap())),
        (ALPHA, last, Box::new(|world| decompose(world)[last].alpha.unwrap())),
        (DIFFERENCE, 0, Box::new(|world| cumulate(world)[0].difference.unwrap())),
        (DIFFERENCE, last, Box::new(|world| cumulate(world)[last].difference.unwrap())),
        (CROSSOVER, 0, Box::new(|world| crossover::value(&decompose(world)).unwrap())),
    ];
    check(&Families::of(&contributions, &run.designation()), &claims);
}

#[test]
fn exact_moments_are_those_of_all_permutations() {
    for pristine in 1..6 {
        let flags: Vec<bool> = (0..6).map(|i| i < pristine).collect();
        let run = Synthetic::new(&flags, 7, &(0..11).collect::<Vec<_>>(), pristine as u64);
        with_claims(&run, |families, claims| {
            for (family, member, statistic) in claims {
                let linear = families.linear(*family, *member).unwrap();
                let worlds: Vec<Designation> =
                    all_designations(6, pristine).into_iter().map(Designation::new).collect();
                let values: Vec<f64> = worlds.iter().map(statistic).collect();
                let (mean, variance) = mean_and_variance(&values);
                assert!((mean - linear.mean).abs() < 1e-9 * linear.sd.max(linear.mean.abs()));
                assert_close(variance.sqrt(), linear.sd, 1e-9);
                for (world, value) in worlds.iter().zip(values) {
                    let z = (value - linear.mean) / linear.sd;
                    assert!((families.z(*family, *member, world).unwrap() - z).abs() < 1e-9);
                }
            }
        });
    }
}

#[test]
fn simulated_moments_approach_the_exact_ones() {
    let run = thirty();
    let worlds = null_worlds(3, "run", &run.designation());
    with_claims(&run, |families, claims| {
        for (family, member, statistic) in claims {
            let linear = families.linear(*family, *member).unwrap();
            let values: Vec<f64> = (1..=4000).map(|k| statistic(&world(&worlds, k))).collect();
            let (mean, variance) = mean_and_variance(&values);
            // Four standard errors of a mean, and of a standard deviation of nearly normal values.
            assert!((mean - linear.mean).abs() < 4.0 * linear.sd / 4000.0_f64.sqrt());
            assert!((variance.sqrt() / linear.sd - 1.0).abs() < 4.0 / 8000.0_f64.sqrt());
        }
    });
}

#[test]
fn the_exact_moments_are_the_formulas_of_the_definition() {
    let run = thirty();
    let (n, p, c) = (30.0, 12.0, 18.0);
    let contributions = run.contributions();
    let families = Families::of(&contributions, &run.designation());
    let mut cumulative = vec![0.0; 30];
    for (t, (_, gradients)) in run.steps.iter().enumerate() {
        let s = slow_contributions(gradients, 30);
        let (mean, variance) = mean_and_variance(&s);
        assert_close(families.linear(ALPHA, t).unwrap().mean, p / n, 1e-15);
        assert_close(
            families.linear(ALPHA, t).unwrap().sd,
            (p * c * variance / ((n - 1.0) * n * n * mean * mean)).sqrt(),
            1e-10,
        );
        cumulative.iter_mut().zip(&s).for_each(|(sum, s)| *sum += s);
        let (_, variance) = mean_and_variance(&cumulative);
        assert_close(
            families.linear(DIFFERENCE, t).unwrap().sd,
            (n * n * variance / ((n - 1.0) * p * c)).sqrt(),
            1e-10,
        );
    }
}
