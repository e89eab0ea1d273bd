//! Contributions, decomposition, cumulative contributions and the crossover statistic.

use cograd_analysis::statistic::contribution::{self, Contributions, StepContributions};
use cograd_analysis::statistic::designation::Designation;
use cograd_analysis::statistic::grouping::Grouping;
use cograd_analysis::statistic::{crossover, cumulative, decomposition, permutation};
use proptest::prelude::*;

use crate::support::*;

/// Contributions given directly, one list a step, at steps 0, 1, 2, ….
fn from_lists(lists: &[&[f64]]) -> Contributions {
    let mut contributions = Contributions::new(lists[0].len());
    for (step, list) in lists.iter().enumerate() {
        contributions.push(step as i64, StepContributions { contributions: list.to_vec(), self_terms: list.to_vec() });
    }
    contributions
}

fn pristine_1_and_3() -> Designation {
    Designation::new(vec![true, false, true])
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
fn alpha_and_beta_by_hand_may_leave_the_unit_interval() {
    // s = (2, 2, 0), P = {1, 3}: α = 2/4.  s = (3, −1, 0), P = {1, 3}: α = 3/2, β = −1/2.
    let steps = decomposition::decompose(&from_lists(&[&[2.0, 2.0, 0.0], &[3.0, -1.0, 0.0]]), &pristine_1_and_3());
    assert_eq!((steps[0].alpha, steps[0].beta, steps[0].gradient_norm_sq), (Some(0.5), Some(0.5), Some(4.0)));
    assert_eq!((steps[1].alpha, steps[1].beta, steps[1].gradient_norm_sq), (Some(1.5), Some(-0.5), Some(2.0)));
}

#[test]
fn alpha_is_missing_without_gradient_and_without_both_groups() {
    let zero = decomposition::decompose(&from_lists(&[&[0.0, 0.0, 0.0]]), &pristine_1_and_3());
    assert_eq!((zero[0].alpha, zero[0].beta, zero[0].gradient_norm_sq), (None, None, Some(0.0)));
    let overflow = decomposition::decompose(
        &from_lists(&[&[f64::MAX, f64::MAX, 0.0]]),
        &Designation::new(vec![true, true, false]),
    );
    assert_eq!((overflow[0].alpha, overflow[0].beta, overflow[0].gradient_norm_sq), (None, None, None));
    for all in [true, false] {
        let one_group = decomposition::decompose(&from_lists(&[&[2.0, 2.0, 0.0]]), &Designation::new(vec![all; 3]));
        assert_eq!((one_group[0].alpha, one_group[0].beta, one_group[0].gradient_norm_sq), (None, None, Some(4.0)));
    }
}

#[test]
fn moments_of_alpha_by_hand() {
    // s = (2, 2, 0), |P| = 2: s̄ = 4/3, σ² = 8/9, Var = 2·1·(8/9) / (2·9·(16/9)) = 1/18. The three worlds: 1, 1/2, 1/2.
    let contributions = from_lists(&[&[2.0, 2.0, 0.0]]);
    let families = Families::of(&contributions, &pristine_1_and_3());
    let linear = families.linear(ALPHA, 0).unwrap();
    assert_close(linear.mean, 2.0 / 3.0, 1e-15);
    assert_close(linear.sd, (1.0_f64 / 18.0).sqrt(), 1e-14);
    assert_close(families.z(ALPHA, 0, &pristine_1_and_3()).unwrap(), -0.5_f64.sqrt(), 1e-14);
}

#[test]
fn cumulative_means_and_their_moments_by_hand() {
    // s_0 = (2, 2, 0), s_1 = (8, 8, 0), P = {1, 3}. t = 0: i^p = 2/2, i^c = 2. t = 1: i^p = 10/2, i^c = 10, D = −5.
    // S_1 = (10, 10, 0): V = 200/9, Var[D_1] = 9·(200/9) / (2·2·1) = 50. The three worlds: 10, −5, −5.
    let contributions = from_lists(&[&[2.0, 2.0, 0.0], &[8.0, 8.0, 0.0]]);
    let steps = cumulative::cumulate(&contributions, &pristine_1_and_3());
    assert_eq!((steps[0].pristine, steps[0].corrupt, steps[0].difference), (Some(1.0), Some(2.0), Some(-1.0)));
    assert_eq!((steps[1].pristine, steps[1].corrupt, steps[1].difference), (Some(5.0), Some(10.0), Some(-5.0)));
    let families = Families::of(&contributions, &pristine_1_and_3());
    let linear = families.linear(DIFFERENCE, 1).unwrap();
    assert_eq!(linear.mean, 0.0);
    assert_close(linear.sd, 50.0_f64.sqrt(), 1e-14);
    assert_close(families.z(DIFFERENCE, 1, &pristine_1_and_3()).unwrap(), -5.0 / 50.0_f64.sqrt(), 1e-14);
}

#[test]
fn an_empty_group_leaves_only_its_side_of_the_cumulative_means_missing() {
    let contributions = from_lists(&[&[2.0, 2.0, 0.0]]);
    let all_pristine = cumulative::cumulate(&contributions, &Designation::new(vec![true; 3]))[0];
    assert_close(all_pristine.pristine.unwrap(), 4.0 / 3.0, 1e-15);
    assert_eq!((all_pristine.corrupt, all_pristine.difference), (None, None));
    let all_corrupt = cumulative::cumulate(&contributions, &Designation::new(vec![false; 3]))[0];
    assert_eq!((all_corrupt.pristine, all_corrupt.difference), (None, None));
    let families = Families::of(&contributions, &Designation::new(vec![true; 3]));
    assert_eq!((families.linear(ALPHA, 0), families.linear(DIFFERENCE, 0)), (None, None));
}

#[test]
fn cumulative_means_end_at_the_first_gap() {
    let step = StepContributions { contributions: vec![1.0, 0.0], self_terms: vec![1.0, 0.0] };
    let designation = Designation::new(vec![true, false]);
    for (steps, contiguous) in [(vec![0, 1, 2, 4, 5], 3), (vec![1, 2, 3], 0), (vec![0], 1), (vec![], 0)] {
        let mut contributions = Contributions::new(2);
        steps.iter().for_each(|&t| contributions.push(t, step.clone()));
        assert_eq!(contributions.contiguous_steps(), contiguous);
        assert_eq!(cumulative::cumulate(&contributions, &designation).len(), contiguous);
        assert_eq!(Families::of(&contributions, &designation).families[DIFFERENCE].members.len(), contiguous);
    }
}

#[test]
fn crossover_and_its_moments_by_hand() {
    // s_0 = (2, 2, 0), s_1 = (1, 1, 2), P = {1, 3}: α = 1/2, 3/4; a tenth of two steps is one: K = −1/4.
    // Scores (1/4, 1/4, −1/2), σ² = 1/8, Var = 2·1·(1/8)/2 = 1/8. The three worlds: 1/2, −1/4, −1/4.
    let contributions = from_lists(&[&[2.0, 2.0, 0.0], &[1.0, 1.0, 2.0]]);
    let decomposition = decomposition::decompose(&contributions, &pristine_1_and_3());
    assert_eq!(crossover::value(&decomposition), Some(-0.25));
    let families = Families::of(&contributions, &pristine_1_and_3());
    let linear = families.linear(CROSSOVER, 0).unwrap();
    assert_close(linear.sd, 0.125_f64.sqrt(), 1e-14);
    assert_close(families.z(CROSSOVER, 0, &pristine_1_and_3()).unwrap(), -0.25 / 0.125_f64.sqrt(), 1e-14);
}

#[test]
fn crossover_takes_a_tenth_of_the_steps_and_leaves_out_missing_ones() {
    // 25 steps: a tenth is two. α is 1 at step 0, missing at step 1, 1/2 in between, 0 and 1/4 at the end: 1 − 1/8.
    let mut lists = vec![vec![1.0, 1.0]; 25];
    (lists[0], lists[1], lists[23], lists[24]) = (vec![3.0, 0.0], vec![0.0, 0.0], vec![0.0, 5.0], vec![1.0, 3.0]);
    let contributions = from_lists(&lists.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let designation = Designation::new(vec![true, false]);
    let decomposition = decomposition::decompose(&contributions, &designation);
    assert_eq!(crossover::value(&decomposition), Some(1.0 - 0.125));
    let families = Families::of(&contributions, &designation);
    let z = families.z(CROSSOVER, 0, &designation).unwrap();
    assert_close(z * families.linear(CROSSOVER, 0).unwrap().sd, 1.0 - 0.125, 1e-14);
}

#[test]
fn crossover_is_missing_when_a_tenth_has_no_alpha_or_there_is_one_step() {
    let designation = Designation::new(vec![true, false]);
    for lists in [vec![[1.0, 0.0].as_slice()], vec![&[0.0, 0.0], &[1.0, 0.0]]] {
        let contributions = from_lists(&lists);
        let decomposition = decomposition::decompose(&contributions, &designation);
        assert_eq!(crossover::value(&decomposition), None);
        assert!(Families::of(&contributions, &designation).families[CROSSOVER].members.is_empty());
    }
}

#[test]
fn equal_contributions_have_an_expectation_but_no_z() {
    // 0.1 + 0.1 + 0.1 is not 0.3: the spread that rounding leaves must not be mistaken for one.
    let contributions = from_lists(&[&[0.1, 0.1, 0.1]]);
    let linear = Families::of(&contributions, &pristine_1_and_3()).linear(ALPHA, 0).unwrap();
    assert_eq!((linear.sd, linear.unit), (0.0, None));
    assert_close(linear.mean, 2.0 / 3.0, 1e-15);
}

fn gradients_and_groups() -> impl Strategy<Value = (Vec<Vec<f32>>, Vec<bool>)> {
    (2_usize..12, 1_usize..20, 1_usize..5).prop_flat_map(|(n, d, steps)| {
        let step = proptest::collection::vec(-8.0_f32..8.0, n * d);
        (proptest::collection::vec(step, steps), proptest::collection::vec(any::<bool>(), n))
    })
}

fn of_gradients(steps: &[Vec<f32>], n: usize) -> Contributions {
    let mut contributions = Contributions::new(n);
    steps.iter().zip(0..).for_each(|(gradients, t)| contributions.push(t, contribution::of_step(gradients, n)));
    contributions
}

proptest! {
    #[test]
    fn alpha_and_beta_are_the_sums_over_pairs_and_add_up_to_one((steps, pristine) in gradients_and_groups()) {
        let designation = Designation::new(pristine.clone());
        let contributions = of_gradients(&steps, pristine.len());
        for (at_step, gradients) in decomposition::decompose(&contributions, &designation).iter().zip(&steps) {
            prop_assert_eq!(at_step.alpha.is_some(), designation.has_both() && at_step.gradient_norm_sq > Some(0.0));
            if let (Some(alpha), Some(beta), Some(norm)) = (at_step.alpha, at_step.beta, at_step.gradient_norm_sq) {
                let scale = slow_contributions(gradients, pristine.len()).iter().map(|s| s.abs()).sum::<f64>() / norm;
                prop_assert!((alpha + beta - 1.0).abs() < 1e-12 * scale.max(1.0));
                prop_assert!((alpha - slow_alpha(gradients, &pristine)).abs() < 1e-9 * scale.max(1.0));
            }
        }
    }

    #[test]
    fn cumulative_means_equal_the_definition((steps, pristine) in gradients_and_groups()) {
        let designation = Designation::new(pristine.clone());
        let contributions = of_gradients(&steps, pristine.len());
        let with_steps: Vec<(i64, Vec<f32>)> = (0..).zip(steps.iter().cloned()).collect();
        for (t, at_step) in cumulative::cumulate(&contributions, &designation).iter().enumerate() {
            prop_assert_eq!(at_step.difference.is_some(), designation.has_both());
            if let Some(difference) = at_step.difference {
                let scale: f64 = steps.iter().flatten().map(|&g| f64::from(g).powi(2)).sum();
                prop_assert!((difference - slow_difference(&with_steps[..=t], &pristine)).abs() < 1e-11 * scale * 20.0);
            }
        }
    }

    #[test]
    fn scaling_all_gradients_leaves_alpha_and_z_as_they_are((steps, pristine) in gradients_and_groups(), power in -20_i32..20) {
        // A power of two scales without rounding, so that even the last bit must agree.
        let scaled: Vec<Vec<f32>> = steps.iter().map(|step| step.iter().map(|g| g * 2.0_f32.powi(power)).collect()).collect();
        let designation = Designation::new(pristine);
        let (before, after) = (of_gradients(&steps, designation.examples()), of_gradients(&scaled, designation.examples()));
        let alphas = |of: &Contributions| -> Vec<_> { decomposition::decompose(of, &designation).iter().map(|d| d.alpha).collect() };
        prop_assert_eq!(alphas(&before), alphas(&after));
        let z = |of: &Contributions| -> Vec<_> {
            let families = Families::of(of, &designation);
            permutation::z(&families.scores, &families.families, &Grouping::from(&designation)).concat()
        };
        for (before, after) in z(&before).into_iter().zip(z(&after)) {
            prop_assert_eq!(before.is_some(), after.is_some());
            prop_assert!((before.unwrap_or(0.0) - after.unwrap_or(0.0)).abs() < 1e-12);
        }
    }

    #[test]
    fn the_order_of_the_examples_does_not_matter((steps, pristine) in gradients_and_groups()) {
        let n = pristine.len();
        let reversed: Vec<Vec<f32>> =
            steps.iter().map(|step| step.chunks_exact(step.len() / n).rev().flatten().copied().collect()).collect();
        let mut pristine_reversed = pristine.clone();
        pristine_reversed.reverse();
        let before = decomposition::decompose(&of_gradients(&steps, n), &Designation::new(pristine));
        let after = decomposition::decompose(&of_gradients(&reversed, n), &Designation::new(pristine_reversed));
        for ((before, after), gradients) in before.iter().zip(&after).zip(&steps) {
            let sizes: f64 = slow_contributions(gradients, n).iter().map(|s| s.abs()).sum();
            if let (Some(a), Some(b), Some(norm)) = (before.alpha, after.alpha, before.gradient_norm_sq) {
                prop_assert!((a - b).abs() < 1e-11 * (sizes / norm).max(1.0));
            }
        }
    }
}
