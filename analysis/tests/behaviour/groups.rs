//! Groups: which example is in which, their shares and means, and the tests of them.

use cograd_analysis::statistic::contribution::{Contributions, StepContributions};
use cograd_analysis::statistic::designation::Designation;
use cograd_analysis::statistic::grouping::{self, Grouping};
use cograd_analysis::statistic::linear::Family;
use cograd_analysis::statistic::null_world::NullWorlds;
use cograd_analysis::statistic::permutation;
use cograd_analysis::statistic::scores::Scores;
use cograd_analysis::statistic::{cumulative, mean_share, share};
use cograd_analysis::{Estimate, Estimator, GroupStatistic, GroupTest, Options};
use cograd_trace::Example;

use crate::support::*;

fn named(names: &[&str], of_example: Vec<u8>) -> Grouping {
    Grouping::new(names.iter().map(|name| name.to_string()).collect(), of_example)
}

/// 24 examples in three groups of 12, 8 and 4, and their contributions at steps 0…3, 9.
fn three_groups() -> (Grouping, Contributions) {
    let grouping = named(&["a", "b", "c"], (0..24).map(|i| [0, 1, 0, 2, 1, 0][i % 6]).collect());
    let mut generator = generator(5);
    let mut contributions = Contributions::new(24);
    for step in [0, 1, 2, 3, 9] {
        let s: Vec<f64> = grouping.of_example().iter().map(|&k| 3.0 - f64::from(k) + normal(&mut generator)).collect();
        contributions.push(step, StepContributions { self_terms: s.clone(), contributions: s });
    }
    (grouping, contributions)
}

fn group_sum(s: &[f64], grouping: &Grouping, group: u8) -> f64 {
    s.iter().zip(grouping.of_example()).filter(|(_, of)| **of == group).map(|(s, _)| s).sum()
}

#[test]
fn examples_are_grouped_by_what_the_trace_says_of_them() {
    let example = |example_id, label, original_label, learned_step| Example {
        example_id,
        label,
        original_label,
        pristine: label == original_label,
        sampled: true,
        learned_step,
    };
    let examples = [
        example(0, 7, 7, Some(4)),
        example(1, 2, 9, None),
        example(2, 9, 2, Some(0)),
        example(3, 2, 2, Some(4)),
        example(4, 7, 7, Some(9)),
    ];
    let check = |grouping: Grouping, names: &[&str], of_example: &[u8]| {
        assert_eq!((grouping.names().join(" "), grouping.of_example()), (names.join(" "), of_example));
    };
    check(grouping::pristine(&examples), &["pristine", "corrupt"], &[0, 1, 1, 0, 0]);
    check(grouping::label(&examples), &["2", "7", "9"], &[1, 0, 2, 0, 1]);
    check(grouping::original_label(&examples), &["2", "7", "9"], &[1, 2, 0, 0, 1]);
    // Four are learned: examples 2 and 0 first, 0 before 3 by its id; the one never learned is late.
    check(grouping::learned(&examples), &["early", "late"], &[0, 1, 0, 1, 1]);
    let never: Vec<Example> = examples.iter().map(|e| Example { learned_step: None, ..*e }).collect();
    check(grouping::learned(&never), &["early", "late"], &[1; 5]);
    check(grouping::pristine(&[]), &["pristine", "corrupt"], &[]);
    check(grouping::label(&[]), &[], &[]);
}

#[test]
fn shares_and_mean_cumulative_contributions_by_hand() {
    // s_0 = (3, 1, −2, 2), s_1 = (0, 0, 1, −1), s_5 = (1, 1, 1, 1); groups {0, 2}, {1}, {3}, and one without an example.
    let mut contributions = Contributions::new(4);
    for (step, s) in [(0, [3.0, 1.0, -2.0, 2.0]), (1, [0.0, 0.0, 1.0, -1.0]), (5, [1.0; 4])] {
        contributions.push(step, StepContributions { contributions: s.to_vec(), self_terms: s.to_vec() });
    }
    let grouping = named(&["x", "y", "z", "empty"], vec![0, 1, 0, 2]);
    let shares = share::shares(&contributions, &grouping);
    assert_eq!(shares[0], [Some(0.25), Some(0.25), Some(0.5), Some(0.0)]);
    assert_eq!(shares[1], [None; 4], "‖g‖² is 0");
    assert_eq!(shares[2], [Some(0.5), Some(0.25), Some(0.25), Some(0.0)]);
    let means = cumulative::means(&contributions, &grouping);
    assert_eq!(means, [[Some(0.5), Some(1.0), Some(2.0), None], [Some(1.0), Some(1.0), Some(1.0), None]]);
}

#[test]
fn alpha_and_the_cumulative_means_are_the_case_of_two_groups() {
    let run = Synthetic::new(&(0..20).map(|i| i % 3 == 0).collect::<Vec<_>>(), 7, &[0, 1, 2, 5], 3);
    let (contributions, designation) = (run.contributions(), run.designation());
    let estimate = |grouping| {
        let options = Options { null_worlds: 99, ..Options::default() };
        Estimate::of(Estimator::Paper, contributions.clone(), designation.clone(), grouping, "run", &options)
    };
    let estimate = estimate(Grouping::from(&designation));
    for world in &estimate.worlds {
        for (decomposition, shares) in world.decomposition.iter().zip(&world.shares) {
            assert_eq!([decomposition.alpha, decomposition.beta], shares[..]);
        }
        for (cumulative, means) in world.cumulative.iter().zip(&world.means) {
            assert_eq!([cumulative.pristine, cumulative.corrupt], means[..]);
        }
    }
    let find = |statistic, a| {
        let found = |test: &&GroupTest| test.statistic == statistic && test.group_a == a;
        *estimate.group_tests.iter().find(found).unwrap()
    };
    assert_eq!(find(GroupStatistic::Share, Some(0)).test, estimate.alpha.simultaneous);
    assert_eq!(find(GroupStatistic::Share, Some(1)).test.exceedances, estimate.alpha.simultaneous.exceedances);
    assert_eq!(find(GroupStatistic::MeanShare, Some(0)).test.exceedances, estimate.alpha.simultaneous.exceedances);
    assert_eq!(find(GroupStatistic::Difference, Some(0)).test, estimate.difference.simultaneous);
    assert_eq!(find(GroupStatistic::Difference, None).test, estimate.difference.simultaneous);
}

#[test]
fn exact_moments_of_groups_are_those_of_all_permutations() {
    // All 4!·… = 6!/(3!·2!·1!) = 60 ways to put six examples into groups of three, two and one.
    let grouping = named(&["a", "b", "c"], vec![0, 0, 0, 1, 1, 2]);
    let mut contributions = Contributions::new(6);
    for (step, s) in [(0, [1.0, 5.0, 2.0, 0.5, -1.0, 3.0]), (1, [2.0, 2.5, 0.0, 7.0, 1.0, 1.0])] {
        contributions.push(step, StepContributions { contributions: s.to_vec(), self_terms: s.to_vec() });
    }
    let scores = Scores::new(&contributions, None);
    let steps: Vec<&[f64]> = contributions.by_step().collect();
    let total: Vec<f64> = steps.iter().map(|s| s.iter().sum()).collect();
    let mean = |s: &[f64], world: &Grouping, k: usize| group_sum(s, world, k as u8) / world.sizes()[k] as f64;
    type Direct<'a> = Box<dyn Fn(&Grouping, usize) -> f64 + 'a>;
    let mut cases: Vec<(Family, Direct<'_>)> = Vec::new();
    for k in 0..3 {
        let direct = |world: &Grouping, t: usize, k: usize| group_sum(steps[t], world, k as u8) / total[t];
        cases.push((share::family(&scores, &grouping, k), Box::new(move |world, t| direct(world, t, k))));
    }
    for (a, b) in grouping.pairs() {
        let (steps, total) = (&steps, &total);
        let direct = move |world: &Grouping, t: usize| (mean(steps[t], world, a) - mean(steps[t], world, b)) / total[t];
        cases.push((mean_share::family(&scores, &grouping, a, b), Box::new(direct)));
        let cumulated = move |world: &Grouping, t: usize| -> f64 {
            (0..=t).map(|t| mean(steps[t], world, a) - mean(steps[t], world, b)).sum()
        };
        cases.push((cumulative::family(&scores, &grouping, a, b), Box::new(cumulated)));
    }
    let worlds: Vec<Grouping> = (0..3_usize.pow(6))
        .map(|code| (0..6).map(|place| (code / 3_usize.pow(place) % 3) as u8).collect::<Vec<u8>>())
        .map(|of_example| named(&["a", "b", "c"], of_example))
        .filter(|world| world.sizes() == [3, 2, 1])
        .collect();
    assert_eq!(worlds.len(), 60);
    let families: Vec<Family> = cases.iter().map(|(family, _)| family.clone()).collect();
    let z: Vec<_> = worlds.iter().map(|world| permutation::z(&scores, &families, world)).collect();
    for (number, (family, direct)) in cases.iter().enumerate() {
        for t in 0..2 {
            let linear = family.members[t].unwrap();
            let values: Vec<f64> = worlds.iter().map(|world| direct(world, t)).collect();
            let (mean, variance) = mean_and_variance(&values);
            assert!((mean - linear.mean).abs() < 1e-12, "family {number}");
            assert_close(variance.sqrt(), linear.sd, 1e-12);
            for (value, z) in values.iter().zip(&z) {
                assert!(((value - linear.mean) / linear.sd - z[number][t].unwrap()).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn tests_of_groups_equal_a_plain_loop_over_worlds() {
    let (grouping, contributions) = three_groups();
    let options = Options { null_worlds: 250, seed: 8, ..Options::default() };
    let designation = Designation::new((0..24).map(|i| i < 9).collect());
    let estimate =
        Estimate::of(Estimator::Paper, contributions.clone(), designation, grouping.clone(), "run", &options);

    let steps: Vec<&[f64]> = contributions.by_step().collect();
    let mean = |s: &[f64], world: &Grouping, k: u8| group_sum(s, world, k) / world.sizes()[usize::from(k)] as f64;
    // Any positive factor that depends on the step only may be left out of a z, but not one that differs between steps.
    let spread = |s: &[f64]| mean_and_variance(s).1.sqrt();
    let share = |world: &Grouping, k: u8| -> f64 {
        let n_k = world.sizes()[usize::from(k)] as f64;
        let z = |s: &&[f64]| {
            let sd = spread(s) * (n_k * (24.0 - n_k) / 23.0).sqrt();
            ((group_sum(s, world, k) - n_k * mean_and_variance(s).0) / sd).abs()
        };
        steps.iter().map(z).fold(0.0, f64::max)
    };
    let pair_sd = |world: &Grouping, a: u8, b: u8| {
        let n = |k: u8| world.sizes()[usize::from(k)] as f64;
        (24.0 / 23.0 * (1.0 / n(a) + 1.0 / n(b))).sqrt()
    };
    let mean_share = |world: &Grouping, a: u8, b: u8| -> f64 {
        let z = |s: &&[f64]| ((mean(s, world, a) - mean(s, world, b)) / (spread(s) * pair_sd(world, a, b))).abs();
        steps.iter().map(z).fold(0.0, f64::max)
    };
    let difference = |world: &Grouping, a: u8, b: u8| -> f64 {
        let z = |t: usize| {
            let sums: Vec<f64> = (0..24).map(|i| (0..=t).map(|t| steps[t][i]).sum()).collect();
            ((mean(&sums, world, a) - mean(&sums, world, b)) / (spread(&sums) * pair_sd(world, a, b))).abs()
        };
        (0..4).map(z).fold(0.0, f64::max)
    };
    let of_pairs = |size: &'_ dyn Fn(&Grouping, u8, u8) -> f64, world: &Grouping| -> Vec<f64> {
        vec![size(world, 0, 1), size(world, 0, 2), size(world, 1, 2)]
    };
    type Sizes<'a> = Box<dyn Fn(&Grouping) -> Vec<f64> + 'a>;
    let cases: [(GroupStatistic, Sizes<'_>); 3] = [
        (GroupStatistic::Share, Box::new(|world| (0..3).map(|k| share(world, k)).collect())),
        (GroupStatistic::MeanShare, Box::new(|world| of_pairs(&mean_share, world))),
        (GroupStatistic::Difference, Box::new(|world| of_pairs(&difference, world))),
    ];
    let worlds = NullWorlds::new(8, "run", &grouping);
    let largest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    assert_eq!(estimate.group_tests.len(), 12);
    for (place, (statistic, sizes)) in cases.iter().enumerate() {
        let tests = &estimate.group_tests[4 * place..4 * place + 4];
        assert!(tests.iter().all(|test| test.statistic == *statistic));
        let actual = sizes(&grouping);
        let null: Vec<Vec<f64>> = (1..=250).map(|k| sizes(&worlds.grouping(k))).collect();
        for subject in 0..3 {
            let count = null.iter().filter(|sizes| sizes[subject] >= actual[subject] - 1e-9).count() as u32;
            assert_eq!(tests[subject].test.exceedances, Some(count), "{statistic:?} {subject}");
            assert_close(tests[subject].test.value.unwrap(), actual[subject], 1e-12);
        }
        let count = null.iter().filter(|sizes| largest(sizes) >= largest(&actual) - 1e-9).count() as u32;
        assert_eq!((tests[3].group_a, tests[3].test.exceedances, tests[3].p_holm), (None, Some(count), None));
        let mut ascending: Vec<f64> = tests[..3].iter().map(|test| test.test.p.unwrap()).collect();
        ascending.sort_by(f64::total_cmp);
        let smallest = tests[..3].iter().map(|test| test.p_holm.unwrap()).fold(1.0, f64::min);
        assert_close(smallest, (3.0 * ascending[0]).min(1.0), 1e-15);
    }
}

#[test]
fn empty_groups_and_a_single_one_leave_nothing_to_test() {
    let (_, contributions) = three_groups();
    let designation = Designation::new(vec![true; 24]);
    let of = |grouping| {
        let options = Options { null_worlds: 20, ..Options::default() };
        Estimate::of(Estimator::Paper, contributions.clone(), designation.clone(), grouping, "run", &options)
    };
    let single = of(named(&["all"], vec![0; 24]));
    assert_eq!(single.actual().shares[0], [Some(1.0)]);
    assert_eq!(single.group_tests.len(), 1 + 1 + 1 + 1, "its share, and no pair: all at once three times");
    assert!(single.group_tests.iter().all(|test| test.test.p.is_none() && test.test.worlds == 20));
    let with_empty = of(named(&["a", "empty", "b"], (0..24).map(|i| if i < 10 { 0 } else { 2 }).collect()));
    for test in &with_empty.group_tests {
        let of_empty = test.group_a == Some(1) || test.group_b == Some(1);
        assert_eq!(test.test.p.is_none(), of_empty, "{test:?}");
        assert_eq!(test.p_holm.is_none(), of_empty || test.group_a.is_none());
    }
    // Only one pair can be tested: nothing is corrected.
    let pair = with_empty.group_tests.iter().find(|test| test.group_b == Some(2) && test.group_a == Some(0)).unwrap();
    assert_eq!(pair.p_holm, pair.test.p);
}

#[test]
fn worlds_of_groups_keep_every_size_and_are_drawn_by_ascending_size() {
    let (grouping, _) = three_groups();
    let worlds = NullWorlds::new(4, "run", &grouping);
    for k in 1..=30 {
        assert_eq!((worlds.grouping(k).sizes(), worlds.grouping(k).names()), (grouping.sizes(), grouping.names()));
    }
    // Of two groups, the worlds are those of the same designation, whichever has which name.
    let designation = Designation::new((0..24).map(|i| i < 7).collect());
    let mirrored = named(&["many", "few"], (0..24).map(|i| u8::from(i < 7)).collect());
    let (few, many) = (null_worlds(4, "run", &designation), NullWorlds::new(4, "run", &mirrored));
    for k in 1..=10 {
        let of_few: Vec<bool> = many.grouping(k).of_example().iter().map(|&group| group == 1).collect();
        assert_eq!(world(&few, k).flags(), of_few);
    }
}

#[test]
fn every_division_into_three_groups_is_equally_likely() {
    // 30 divisions of five into 1, 2 and 2; 30 000 worlds; χ² with 29 degrees of freedom is below 58.3 with probability 0.999.
    let worlds = NullWorlds::new(2, "run", &named(&["a", "b", "c"], vec![0, 1, 1, 2, 2]));
    let mut counts = std::collections::BTreeMap::new();
    (1..=30_000).for_each(|k| *counts.entry(worlds.grouping(k).of_example().to_vec()).or_insert(0) += 1);
    let chi_squared: f64 = counts.values().map(|&count| (f64::from(count) - 1000.0).powi(2) / 1000.0).sum();
    assert!(counts.len() == 30 && chi_squared < 58.3, "{} divisions, χ² = {chi_squared}", counts.len());
}
