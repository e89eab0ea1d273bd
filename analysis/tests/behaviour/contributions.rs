//! Contributions, shares, cumulative contributions and the crossover statistic.

use cograd_analysis::kernel::contribution::{self, Contributions};
use proptest::prelude::*;

use crate::support::*;

/// The statistics of this file.
const STATISTICS: [&str; 3] = ["shares", "cumulative", "gradient_norm"];

fn with_null_moments(runs: &[Synthetic]) -> Analysed {
    analysed(runs, &cograd_analysis::Options { null_worlds: 19, ..only(&STATISTICS) })
}

fn first_and_third(lists: &[&[f64]]) -> Synthetic {
    let lists: Vec<Vec<f64>> = lists.iter().map(|list| list.to_vec()).collect();
    Synthetic::of_contributions(&[true, false, true], &lists)
}

fn at<'a>(step: &'a str, group: &'a str) -> [(&'static str, &'a str); 2] {
    [("step", step), ("group", group)]
}

#[test]
fn contributions_of_three_gradients_by_hand() {
    // g_1 = (1, 0), g_2 = (1, 1), g_3 = (0, −1): g = (2, 0), s = (2, 2, 0), q = (1, 2, 1).
    let step = contribution::of_step(&[1.0, 0.0, 1.0, 1.0, 0.0, -1.0], 3);
    assert_eq!(step.contributions, [2.0, 2.0, 0.0]);
    assert_eq!(step.self_terms, [1.0, 2.0, 1.0]);
}

#[test]
fn contributions_equal_the_sum_over_pairs_at_every_size() {
    for (n, d) in [(1, 1), (2, 3), (3, 16), (4, 17), (5, 15), (7, 33), (13, 64), (9, 600)] {
        let mut generator = generator(n as u64);
        let gradients: Vec<f32> = (0..n * d).map(|_| normal(&mut generator) as f32).collect();
        let step = contribution::of_step(&gradients, n);
        let scale: f64 = slow_self_terms(&gradients, n).iter().sum();
        for (fast, slow) in step.contributions.iter().zip(slow_contributions(&gradients, n)) {
            assert!((fast - slow).abs() <= 1e-12 * scale, "n {n}, d {d}: {fast} is not {slow}");
        }
        for (fast, slow) in step.self_terms.iter().zip(slow_self_terms(&gradients, n)) {
            assert_close(*fast, slow, 1e-12);
        }
    }
}

#[test]
fn contributions_do_not_lose_what_f32_would() {
    // g = 2^24 + 1 + 1 in f64; in f32 both ones are lost. s_1 = 2^24 g, s_2 = s_3 = g.
    let large = 16_777_216.0_f32;
    let step = contribution::of_step(&[large, 1.0, 1.0], 3);
    assert_eq!(step.contributions, [16_777_216.0 * 16_777_218.0, 16_777_218.0, 16_777_218.0]);
}

#[test]
fn no_examples_and_no_coordinates_contribute_nothing() {
    assert_eq!(contribution::of_step(&[], 0).contributions, [0.0; 0]);
    assert_eq!(contribution::of_step(&[], 2).contributions, [0.0; 2]);
}

#[test]
fn shares_by_hand_may_leave_the_unit_interval() {
    // s = (2, 2, 0), P = {1, 3}: α = 2/4.  s = (3, −1, 0), P = {1, 3}: α = 3/2, β = −1/2.
    let analysed = analysed(&[first_and_third(&[&[2.0, 2.0, 0.0], &[3.0, -1.0, 0.0]])], &only(&STATISTICS));
    let (shares, norms) = (analysed.table("shares"), analysed.table("gradient_norms"));
    for (step, alpha, beta, norm) in [("0", 0.5, 0.5, 4.0), ("1", 1.5, -0.5, 2.0)] {
        assert_eq!(shares.value("share", &at(step, "pristine")), Some(alpha));
        assert_eq!(shares.value("share", &at(step, "corrupt")), Some(beta));
        assert_eq!(norms.value("gradient_norm_sq", &[("step", step)]), Some(norm));
    }
}

#[test]
fn shares_are_missing_without_gradient_and_without_two_groups() {
    let zero = first_and_third(&[&[0.0, 0.0, 0.0]]);
    let one_group = |all, seed| Synthetic {
        conditions: conditions("sgd", 0.5, seed),
        ..Synthetic::of_contributions(&[all; 3], &[vec![2.0, 2.0, 0.0]])
    };
    // No f32 is large enough: the population's contributions are f64.
    let overflow = Synthetic {
        conditions: conditions("sgd", 0.5, 4),
        population: vec![(0, vec![(vec![f64::MAX, f64::MAX, 0.0], vec![1.0; 3])])],
        ..first_and_third(&[])
    };
    let analysed = analysed(&[zero, one_group(true, 2), one_group(false, 3), overflow], &only(&STATISTICS));
    let (shares, norms) = (analysed.table("shares"), analysed.table("gradient_norms"));
    assert_eq!(shares.numbers("share", &[]), [None; 8]);
    assert_eq!(norms.numbers("gradient_norm_sq", &[]), [Some(0.0), Some(4.0), Some(4.0), None]);
    assert_eq!(norms.texts("estimator", &[]), ["paper", "paper", "paper", "exact"]);
}

#[test]
fn moments_of_alpha_by_hand() {
    // s = (2, 2, 0), |P| = 2: s̄ = 4/3, σ² = 8/9, Var = 2·1·(8/9) / (2·9·(16/9)) = 1/18. The three worlds: 1, 1/2, 1/2.
    let run = first_and_third(&[&[2.0, 2.0, 0.0]]);
    let (contributions, grouping) = (run.contributions(), run.grouping());
    let z = Families::new(&contributions, &grouping).z(ALPHA, &grouping);
    assert_close(z[0].unwrap(), -0.5_f64.sqrt(), 1e-14);
    let null = with_null_moments(&[run]).table("null");
    let row = null.row(&[("statistic", "share"), ("group_a", "pristine")]);
    assert_close(null.number("mean", row).unwrap(), 2.0 / 3.0, 1e-15);
    assert_close(null.number("sd", row).unwrap(), (1.0_f64 / 18.0).sqrt(), 1e-14);
}

#[test]
fn cumulative_means_and_their_moments_by_hand() {
    // s_0 = (2, 2, 0), s_1 = (8, 8, 0), P = {1, 3}. t = 0: i^p = 2/2, i^c = 2. t = 1: i^p = 10/2, i^c = 10, D = −5.
    // S_1 = (10, 10, 0): V = 200/9, Var[D_1] = 9·(200/9) / (2·2·1) = 50. The three worlds: 10, −5, −5.
    let run = first_and_third(&[&[2.0, 2.0, 0.0], &[8.0, 8.0, 0.0]]);
    let (contributions, grouping) = (run.contributions(), run.grouping());
    let z = Families::new(&contributions, &grouping).z(DIFFERENCE, &grouping);
    assert_close(z[1].unwrap(), -5.0 / 50.0_f64.sqrt(), 1e-14);
    let analysed = with_null_moments(&[run]);
    let (cumulative, differences) = (analysed.table("cumulative"), analysed.table("differences"));
    for (step, pristine, corrupt) in [("0", 1.0, 2.0), ("1", 5.0, 10.0)] {
        assert_eq!(cumulative.value("cumulative", &at(step, "pristine")), Some(pristine));
        assert_eq!(cumulative.value("cumulative", &at(step, "corrupt")), Some(corrupt));
        assert_eq!(differences.value("difference", &[("step", step)]), Some(pristine - corrupt));
    }
    let null = analysed.table("null");
    let row = null.row(&[("statistic", "difference"), ("step", "1")]);
    assert_eq!(null.number("mean", row), Some(0.0));
    assert_close(null.number("sd", row).unwrap(), 50.0_f64.sqrt(), 1e-14);
}

#[test]
fn an_empty_group_leaves_only_its_side_of_the_cumulative_means_missing() {
    let run = |all, seed| Synthetic {
        conditions: conditions("sgd", 0.5, seed),
        ..Synthetic::of_contributions(&[all; 3], &[vec![2.0, 2.0, 0.0]])
    };
    let analysed = with_null_moments(&[run(true, 1), run(false, 2)]);
    let cumulative = analysed.table("cumulative");
    for (seed, there, empty) in [("1", "pristine", "corrupt"), ("2", "corrupt", "pristine")] {
        let mean = |group| cumulative.value("cumulative", &[("seed", seed), ("group", group)]);
        assert_close(mean(there).unwrap(), 4.0 / 3.0, 1e-15);
        assert_eq!(mean(empty), None);
    }
    assert_eq!(analysed.table("differences").numbers("difference", &[]), [None; 2]);
    let null = analysed.table("null");
    for column in ["mean", "sd", "lower", "upper", "p"] {
        assert!(null.numbers(column, &[]).iter().all(Option::is_none), "{column}");
    }
}

#[test]
fn cumulative_means_end_at_the_first_gap() {
    let cases: [(&[i64], usize); 5] = [(&[0, 1, 2, 4, 5], 3), (&[1, 2, 3], 0), (&[0], 1), (&[0, 2], 1), (&[], 0)];
    let run = |(steps, seed): (&[i64], u64)| {
        let conditions = conditions("sgd", 0.5, seed);
        Synthetic { conditions, ..Synthetic::new(&[true, false, true], 2, steps, seed) }
    };
    let runs: Vec<Synthetic> = cases.iter().zip(0..).map(|((steps, _), seed)| run((steps, seed))).collect();
    let options = cograd_analysis::Options { kept_worlds: 1, null_worlds: 3, ..only(&STATISTICS) };
    let analysed = analysed(&runs, &options);
    for (run, (steps, contiguous)) in runs.iter().zip(cases) {
        assert_eq!(run.contributions().contiguous_steps(), contiguous);
        let rows = |table: &str, wanted: Wanted<'_>| {
            let id = [("run", run.id())];
            let wanted: Vec<(&str, &str)> =
                id.iter().map(|(column, id)| (*column, id.as_str())).chain(wanted.iter().copied()).collect();
            analysed.table(table).rows(&wanted).len()
        };
        assert_eq!(rows("cumulative", &[("world", "0")]), 2 * contiguous);
        assert_eq!(rows("cumulative", &[("world", "1"), ("group", "corrupt")]), contiguous);
        assert_eq!(rows("differences", &[("world", "0")]), contiguous);
        assert_eq!(rows("null", &[("statistic", "difference")]), contiguous);
        assert_eq!(rows("null", &[("statistic", "share"), ("group_a", "pristine")]), steps.len());
        assert_eq!(rows("runs", &[("contiguous_steps", &contiguous.to_string())]), 1);
    }
}

#[test]
fn crossover_and_its_moments_by_hand() {
    // s_0 = (2, 2, 0), s_1 = (1, 1, 2), P = {1, 3}: α = 1/2, 3/4; a tenth of two steps is one: K = −1/4.
    // Scores (1/4, 1/4, −1/2), σ² = 1/8, Var = 2·1·(1/8)/2 = 1/8. The three worlds: 1/2, −1/4, −1/4.
    let run = first_and_third(&[&[2.0, 2.0, 0.0], &[1.0, 1.0, 2.0]]);
    let (contributions, grouping) = (run.contributions(), run.grouping());
    let families = Families::new(&contributions, &grouping);
    assert_close(families.linear(CROSSOVER, 0).unwrap().sd, 0.125_f64.sqrt(), 1e-14);
    assert_close(families.z(CROSSOVER, &grouping)[0].unwrap(), -0.25 / 0.125_f64.sqrt(), 1e-14);
    let tests = analysed(&[run], &only(&STATISTICS)).table("tests");
    let observed = |group| tests.value("observed", &[("statistic", "crossover"), ("group_a", group)]);
    assert_eq!((observed("pristine"), observed("corrupt")), (Some(-0.25), Some(0.25)));
}

#[test]
fn crossover_takes_a_tenth_of_the_steps_and_leaves_out_missing_ones() {
    // 25 steps: a tenth is two. α is 1 at step 0, missing at step 1, 1/2 in between, 0 and 1/4 at the end: 1 − 1/8.
    let mut lists = vec![vec![1.0, 1.0]; 25];
    (lists[0], lists[1], lists[23], lists[24]) = (vec![3.0, 0.0], vec![0.0, 0.0], vec![0.0, 5.0], vec![1.0, 3.0]);
    let run = Synthetic::of_contributions(&[true, false], &lists);
    let (contributions, grouping) = (run.contributions(), run.grouping());
    let families = Families::new(&contributions, &grouping);
    let z = families.z(CROSSOVER, &grouping)[0].unwrap();
    assert_close(z * families.linear(CROSSOVER, 0).unwrap().sd, 1.0 - 0.125, 1e-14);
    let tests = analysed(&[run], &only(&STATISTICS)).table("tests");
    let row = tests.row(&[("statistic", "crossover"), ("group_a", "pristine")]);
    assert_close(tests.number("observed", row).unwrap(), 1.0 - 0.125, 1e-15);
}

#[test]
fn crossover_is_missing_when_a_tenth_has_no_share_or_there_is_one_step() {
    let runs = [(vec![vec![1.0, 0.0]], 1), (vec![vec![0.0, 0.0], vec![1.0, 0.0]], 2)];
    let run = |(lists, seed): (Vec<Vec<f64>>, u64)| Synthetic {
        conditions: conditions("sgd", 0.5, seed),
        ..Synthetic::of_contributions(&[true, false], &lists)
    };
    let tests = with_null_moments(&runs.map(run)).table("tests");
    let missing =
        tests.rows(&[("statistic", "crossover"), ("observed", "null"), ("exceedances", "null"), ("p", "null")]);
    assert_eq!(missing.len(), 4, "of two groups in two runs");
}

#[test]
fn equal_contributions_have_an_expectation_but_no_z() {
    // The spread that rounding leaves must not be mistaken for one.
    let mut run = Synthetic::new(&[true, false, true], 3, &[0], 1);
    run.steps[0].1.fill(0.1);
    let (contributions, grouping) = (run.contributions(), run.grouping());
    let linear = Families::new(&contributions, &grouping).linear(ALPHA, 0).unwrap();
    assert_eq!((linear.sd, linear.unit), (0.0, None));
    let null = with_null_moments(&[run]).table("null");
    let row = null.row(&[("statistic", "share"), ("group_a", "pristine")]);
    assert_close(null.number("mean", row).unwrap(), 2.0 / 3.0, 1e-15);
    assert_eq!(["sd", "lower", "upper", "p"].map(|column| null.text(column, row)), ["0", "null", "null", "null"]);
}

/// Gradients at steps 0, 1, …, and which examples are pristine.
type Case = (Vec<Vec<f32>>, Vec<bool>);

fn gradients_and_groups() -> impl Strategy<Value = Case> {
    (1_usize..12, 1_usize..20, 1_usize..5).prop_flat_map(|(n, d, steps)| {
        let step = proptest::collection::vec(-8.0_f32..8.0, n * d);
        (proptest::collection::vec(step, steps), proptest::collection::vec(any::<bool>(), n))
    })
}

fn run((steps, pristine): &Case, seed: u64) -> Synthetic {
    let coordinates = steps[0].len() / pristine.len();
    let run = Synthetic::new(pristine, coordinates, &[], 0);
    Synthetic { conditions: conditions("sgd", 0.5, seed), steps: (0..).zip(steps.iter().cloned()).collect(), ..run }
}

fn of_gradients(steps: &[Vec<f32>], n: usize) -> Contributions {
    let mut contributions = Contributions::new(n);
    steps.iter().zip(0..).for_each(|(gradients, t)| contributions.push(t, contribution::of_step(gradients, n)));
    contributions
}

proptest! {
    // Eight runs a study.
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn shares_and_cumulative_means_are_the_sums_over_pairs(
        cases in proptest::collection::vec(gradients_and_groups(), 8),
    ) {
        let runs: Vec<Synthetic> = cases.iter().zip(0..).map(|(case, seed)| run(case, seed)).collect();
        let analysed = analysed(&runs, &only(&STATISTICS));
        let tables = ["shares", "gradient_norms", "cumulative", "differences"].map(|name| analysed.table(name));
        let [shares, norms, cumulative, differences] = tables;
        for (run, (steps, pristine)) in runs.iter().zip(&cases) {
            let (id, count) = (run.id(), |of: bool| pristine.iter().filter(|is| **is == of).count() as f64);
            let (mut means, mut scale) = ([0.0, 0.0], 0.0);
            for (t, gradients) in steps.iter().enumerate() {
                let (step, s) = (t.to_string(), slow_contributions(gradients, pristine.len()));
                let here = [("run", id.as_str()), ("step", step.as_str())];
                let of_group = |group| [here[0], here[1], ("group", group)];
                scale += s.iter().map(|s| s.abs()).sum::<f64>();
                let norm = norms.value("gradient_norm_sq", &here).unwrap();
                prop_assert!((norm - s.iter().sum::<f64>()).abs() < 1e-11 * scale.max(1e-3));
                let both = [("pristine", true), ("corrupt", false)];
                let found = both.map(|(name, _)| shares.value("share", &of_group(name)));
                prop_assert!(found.iter().all(|share| share.is_some() == (norm > 0.0 && count(true) * count(false) > 0.0)));
                for (share, (_, of)) in found.iter().zip(both) {
                    if let Some(share) = share {
                        let slow = group_sum(&s, pristine, of) / s.iter().sum::<f64>();
                        prop_assert!((share - slow).abs() < 1e-9 * (scale / norm).max(1.0));
                    }
                }
                if let [Some(alpha), Some(beta)] = found {
                    prop_assert!((alpha + beta - 1.0).abs() < 1e-12 * (scale / norm).max(1.0));
                }
                for (mean, (name, of)) in means.iter_mut().zip(both) {
                    *mean += group_sum(&s, pristine, of) / count(of);
                    let found = cumulative.value("cumulative", &of_group(name));
                    prop_assert_eq!(found.is_some(), count(of) > 0.0);
                    prop_assert!(found.is_none_or(|found| (found - *mean).abs() < 1e-11 * scale.max(1e-3)));
                }
                let difference = differences.value("difference", &here);
                prop_assert_eq!(difference.is_some(), count(true) * count(false) > 0.0);
                prop_assert!(difference.is_none_or(|d| (d - (means[0] - means[1])).abs() < 2e-11 * scale.max(1e-3)));
            }
        }
    }

    #[test]
    fn neither_a_factor_nor_the_order_of_the_examples_matters_to_shares_and_z(
        cases in proptest::collection::vec((gradients_and_groups(), -20_i32..20), 4),
    ) {
        // A power of two scales without rounding, so that even the last bit must agree.
        let scaled = |((steps, pristine), power): &(Case, i32)| -> Case {
            let scaled = |step: &Vec<f32>| step.iter().map(|g| g * 2.0_f32.powi(*power)).collect();
            (steps.iter().map(scaled).collect(), pristine.clone())
        };
        let reversed = |((steps, pristine), _): &(Case, i32)| -> Case {
            let d = steps[0].len() / pristine.len();
            let reversed = |step: &Vec<f32>| step.chunks_exact(d).rev().flatten().copied().collect();
            (steps.iter().map(reversed).collect(), pristine.iter().rev().copied().collect())
        };
        let runs: Vec<Synthetic> = cases.iter().zip(0..).flat_map(|(case, seed)| {
            [run(&case.0, seed), run(&scaled(case), seed + 100), run(&reversed(case), seed + 200)]
        }).collect();
        let shares = analysed(&runs, &only(&["shares"])).table("shares");
        let of_run = |run: &Synthetic| shares.numbers("share", &[("run", &run.id())]);
        for (runs, ((steps, pristine), power)) in runs.chunks_exact(3).zip(&cases) {
            prop_assert_eq!(of_run(&runs[0]), of_run(&runs[1]));
            for (place, (before, after)) in of_run(&runs[0]).into_iter().zip(of_run(&runs[2])).enumerate() {
                let s = slow_contributions(&steps[place / 2], pristine.len());
                let scale = s.iter().map(|s| s.abs()).sum::<f64>() / s.iter().sum::<f64>();
                if let (Some(before), Some(after)) = (before, after) {
                    prop_assert!((before - after).abs() < 1e-11 * scale.abs().max(1.0));
                }
            }
            let grouping = two_groups(pristine);
            let (one, other) = (of_gradients(steps, pristine.len()), of_gradients(&scaled(&((steps.clone(), pristine.clone()), *power)).0, pristine.len()));
            for subject in [ALPHA, DIFFERENCE, CROSSOVER] {
                let z = |of: &Contributions| Families::new(of, &grouping).z(subject, &grouping);
                for (before, after) in z(&one).into_iter().zip(z(&other)) {
                    prop_assert_eq!(before.is_some(), after.is_some());
                    prop_assert!((before.unwrap_or(0.0) - after.unwrap_or(0.0)).abs() < 1e-12);
                }
            }
        }
    }
}
