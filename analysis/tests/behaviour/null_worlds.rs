//! Null worlds and their exact moments.

use std::collections::BTreeMap;

use cograd_analysis::kernel::grouping::Grouping;
use cograd_analysis::kernel::null_world::NullWorlds;

use crate::support::*;

/// 30 examples, of which 12 are pristine, at steps 0…11.
fn thirty() -> Synthetic {
    let pristine: Vec<bool> = (0..30).map(|i| i % 5 < 2).collect();
    Synthetic::new(&pristine, 20, &(0..12).collect::<Vec<_>>(), 5)
}

fn first(count: usize, of: usize) -> Grouping {
    two_groups(&(0..of).map(|i| i < count).collect::<Vec<bool>>())
}

#[test]
fn worlds_keep_the_sizes_of_both_groups() {
    for pristine in [0, 1, 3, 9, 10] {
        let actual = first(pristine, 10);
        let worlds = NullWorlds::new(0, "run", &actual);
        assert!((1..=50).all(|k| worlds.grouping(k).sizes() == [pristine, 10 - pristine]));
    }
}

#[test]
fn a_world_is_a_function_of_seed_run_and_number() {
    let world = |seed, run, number| NullWorlds::new(seed, run, &first(17, 40)).grouping(number);
    let one = world(7, "run", 3);
    assert_eq!(one, world(7, "run", 3));
    assert_ne!(one, world(7, "run", 4));
    assert_ne!(one, world(8, "run", 3));
    assert_ne!(one, world(7, "other", 3));
}

#[test]
fn the_first_world_is_what_it_always_was() {
    // Pinned: published p-values must be found again with any later version.
    let world = NullWorlds::new(0, "sgd_noise-0.25_seed-1", &first(5, 12)).grouping(1);
    let text: String = flags(&world).iter().map(|&is| if is { 'p' } else { 'c' }).collect();
    assert_eq!(text, "pcppccccppcc");
}

#[test]
fn every_permutation_is_equally_likely() {
    // 10 subsets of 2 in 5; 20 000 worlds; χ² with 9 degrees of freedom is below 27.9 with probability 0.999.
    for pristine in [2, 3] {
        let worlds = NullWorlds::new(1, "run", &first(pristine, 5));
        let mut counts = BTreeMap::new();
        (1..=20_000).for_each(|k| *counts.entry(flags(&worlds.grouping(k))).or_insert(0) += 1);
        let chi_squared: f64 = counts.values().map(|&count| (f64::from(count) - 2000.0).powi(2) / 2000.0).sum();
        assert!(counts.len() == 10 && chi_squared < 27.9, "{} subsets, χ² = {chi_squared}", counts.len());
    }
}

/// A member of a family, with a direct implementation of its statistic.
type Claim<'a> = (Subject, usize, Box<dyn Fn(&Grouping) -> f64 + 'a>);

/// α, D and the crossover statistic of a run, at some steps each.
fn with_claims(run: &Synthetic, check: impl Fn(&Families<'_>, &[Claim<'_>])) {
    let contributions = run.contributions();
    let last = run.steps.len() - 1;
    let s: Vec<Vec<f64>> = run.steps.iter().map(|(_, g)| slow_contributions(g, run.sampled.len())).collect();
    let of = |s: &[f64], world: &Grouping| -> [f64; 2] {
        let flags = flags(world);
        [true, false].map(|group| group_sum(s, &flags, group))
    };
    let share = |t: usize, world: &Grouping| of(&s[t], world)[0] / s[t].iter().sum::<f64>();
    let difference = |t: usize, world: &Grouping| -> f64 {
        let sizes = world.sizes();
        s[..=t].iter().map(|s| of(s, world)).map(|[p, c]| p / sizes[0] as f64 - c / sizes[1] as f64).sum()
    };
    // A tenth of eleven or twelve steps is one.
    let claims: [Claim<'_>; 5] = [
        (ALPHA, 0, Box::new(|world| share(0, world))),
        (ALPHA, last, Box::new(|world| share(last, world))),
        (DIFFERENCE, 0, Box::new(|world| difference(0, world))),
        (DIFFERENCE, last, Box::new(|world| difference(last, world))),
        (CROSSOVER, 0, Box::new(|world| share(0, world) - share(last, world))),
    ];
    check(&Families::new(&contributions, &run.grouping()), &claims);
}

#[test]
fn exact_moments_are_those_of_all_permutations() {
    for pristine in 1..6 {
        let pristine_ones: Vec<bool> = (0..6).map(|i| i < pristine).collect();
        let run = Synthetic::new(&pristine_ones, 7, &(0..11).collect::<Vec<_>>(), pristine as u64);
        with_claims(&run, |families, claims| {
            for (subject, member, statistic) in claims {
                let linear = families.linear(*subject, *member).unwrap();
                let worlds = all_divisions(6, pristine);
                let values: Vec<f64> = worlds.iter().map(statistic).collect();
                let (mean, variance) = mean_and_variance(&values);
                assert!((mean - linear.mean).abs() < 1e-9 * linear.sd.max(linear.mean.abs()));
                assert_close(variance.sqrt(), linear.sd, 1e-9);
                for (world, value) in worlds.iter().zip(values) {
                    let z = (value - linear.mean) / linear.sd;
                    assert!((families.z(*subject, world)[*member].unwrap() - z).abs() < 1e-9);
                }
            }
        });
    }
}

#[test]
fn simulated_moments_approach_the_exact_ones() {
    let run = thirty();
    let worlds = NullWorlds::new(3, "run", &run.grouping());
    with_claims(&run, |families, claims| {
        for (subject, member, statistic) in claims {
            let linear = families.linear(*subject, *member).unwrap();
            let values: Vec<f64> = (1..=4000).map(|k| statistic(&worlds.grouping(k))).collect();
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
    let families = Families::new(&contributions, &run.grouping());
    let mut cumulative = vec![0.0; 30];
    for (t, (_, gradients)) in run.steps.iter().enumerate() {
        let s = slow_contributions(gradients, 30);
        let (mean, variance) = mean_and_variance(&s);
        let alpha = families.linear(ALPHA, t).unwrap();
        assert_close(alpha.mean, p / n, 1e-15);
        assert_close(alpha.sd, (p * c * variance / ((n - 1.0) * n * n * mean * mean)).sqrt(), 1e-10);
        cumulative.iter_mut().zip(&s).for_each(|(sum, s)| *sum += s);
        let (_, variance) = mean_and_variance(&cumulative);
        let sd = (n * n * variance / ((n - 1.0) * p * c)).sqrt();
        assert_close(families.linear(DIFFERENCE, t).unwrap().sd, sd, 1e-10);
    }
}
