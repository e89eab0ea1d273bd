//! Groups: which example is in which, their shares and means, and the tests of them.

use std::collections::BTreeMap;

use cograd_analysis::kernel::contribution::{Contributions, StepContributions};
use cograd_analysis::kernel::grouping::Grouping;
use cograd_analysis::kernel::null_world::NullWorlds;
use cograd_analysis::kernel::permutation;
use cograd_analysis::{GroupBy, Options};
use cograd_trace::ExampleColumn;
use proptest::prelude::*;

use crate::support::*;

fn named(names: &[&str], of_example: Vec<u8>) -> Grouping {
    Grouping::new(names.iter().map(|name| name.to_string()).collect(), of_example)
}

/// 24 examples in groups a, b and c of 12, 8 and 4, at steps 0…3, 9.
fn three_groups() -> (Synthetic, Grouping) {
    let grouping = named(&["a", "b", "c"], (0..24).map(|i| [0, 1, 0, 2, 1, 0][i % 6]).collect());
    let strong: Vec<bool> = grouping.of_example().iter().map(|&group| group == 0).collect();
    let run = Synthetic::new(&strong, 7, &[0, 1, 2, 3, 9], 5);
    let column = texts(grouping.of_example().iter().map(|&group| ["a", "b", "c"][usize::from(group)]));
    (run.with_column("group", column), grouping)
}

fn by(column: &str, options: Options) -> Options {
    Options { group_by: Some(column.into()), ..options }
}

fn of_group(s: &[f64], grouping: &Grouping, group: u8) -> f64 {
    s.iter().zip(grouping.of_example()).filter(|(_, of)| **of == group).map(|(s, _)| s).sum()
}

/// Examples of which only these columns are known, all sampled at one step.
fn with_columns(examples: usize, columns: Vec<(&'static str, ExampleColumn)>) -> Synthetic {
    Synthetic { columns, ..Synthetic::new(&vec![true; examples], 1, &[0], 1) }
}

/// The groups in order, and that of each example.
fn groups_of(study: &Study, group_by: Option<&str>) -> (Vec<String>, Vec<String>) {
    let options = Options { group_by: group_by.map(GroupBy::from), ..only(&["contributions"]) };
    let analysed = study.analysed(&options);
    let groups = analysed.table("groups").texts("group", &[]);
    assert_eq!(groups, analysed.summary().grouping.groups);
    (groups, analysed.table("contributions").texts("group", &[]))
}

#[track_caller]
fn assert_groups(study: &Study, group_by: &str, names: &[&str], of_example: &str) {
    let (found, of_examples) = groups_of(study, Some(group_by));
    assert_eq!(found, names, "{group_by}");
    assert_eq!(of_examples.join(" "), of_example, "{group_by}");
}

#[test]
fn examples_are_grouped_by_what_the_trace_says_of_them() {
    let learned = ExampleColumn::Integers(vec![Some(4), None, Some(0), Some(4), Some(9)]);
    let labels = [("label", integers([7, 2, 9, 2, 7])), ("original_label", integers([7, 9, 2, 2, 7]))];
    let columns = labels.iter().cloned().chain([("learned_step", learned)]).collect();
    let study = Study::new(&[with_columns(5, columns)]);
    assert_groups(&study, "pristine", &["pristine", "corrupt"], "pristine corrupt corrupt pristine pristine");
    assert_groups(&study, "label", &["2", "7", "9"], "7 2 9 2 7");
    assert_groups(&study, "original-label", &["2", "7", "9"], "7 9 2 2 7");
    // Four are learned: examples 2 and 0 first, 0 before 3 by its id; the one never learned is late.
    assert_groups(&study, "learned", &["early", "late"], "early late early late late");
    assert_groups(&study, "all", &["all"], "all all all all all");
    let never = Study::new(&[with_columns(3, vec![("learned_step", ExampleColumn::Integers(vec![None; 3]))])]);
    assert_groups(&never, "learned", &["early", "late"], "late late late");
}

#[test]
fn groups_are_the_values_of_any_column() {
    let odd = ExampleColumn::Booleans(vec![Some(false), None, Some(true), Some(false), Some(false)]);
    let names = ["b", "a", "missing", "10", "a"];
    let words = ExampleColumn::Texts(
        names
            .iter()
            .zip([true, true, false, true, true])
            .map(|(name, there)| there.then(|| name.to_string()))
            .collect(),
    );
    let columns = vec![
        ("truths", booleans(&[true, true, true, true, true])),
        ("some", odd),
        ("whole", integers([10, -1, 2, 10, 2])),
        ("real", ExampleColumn::Numbers(vec![Some(0.5), Some(-2.0), None, Some(1e3), Some(0.5)])),
        ("words", words),
        ("digits", texts(["10", "9", "9", "-1", "10"])),
    ];
    let study = Study::new(&[with_columns(5, columns)]);
    assert_groups(&study, "truths", &["true", "false"], "true true true true true");
    assert_groups(&study, "some", &["true", "false", "missing"], "false missing true false false");
    assert_groups(&study, "whole", &["-1", "2", "10"], "10 -1 2 10 2");
    assert_groups(&study, "real", &["-2", "0.5", "1000", "missing"], "0.5 -2 missing 1000 0.5");
    assert_groups(&study, "words", &["10", "a", "b", "missing"], "b a missing 10 a");
    assert_groups(&study, "digits", &["-1", "9", "10"], "10 9 9 -1 10");
}

#[test]
fn a_value_that_is_called_missing_is_in_one_group_with_those_that_are() {
    let words = ExampleColumn::Texts(vec![Some("missing".into()), None, Some("z".into())]);
    let study = Study::new(&[with_columns(3, vec![("words", words)])]);
    assert_groups(&study, "words", &["z", "missing"], "missing missing z");
}

#[test]
fn quantiles_by_hand() {
    // 1, 1, 2, 3, 4, 5, 9: of three groups the first ends with the third smallest, the second with the fifth.
    let values = [Some(5.0), Some(1.0), Some(1.0), Some(2.0), Some(9.0), None, Some(3.0), Some(4.0)];
    let columns = vec![
        ("loss", ExampleColumn::Numbers(values.to_vec())),
        ("ties", integers([1, 1, 1, 1, 2, 1, 1, 1])),
        ("same", integers([3; 8])),
    ];
    let study = Study::new(&[with_columns(8, columns)]);
    let names = ["≤ 2", "2 – 4", "> 4", "missing"];
    let groups_of_three = "> 4,≤ 2,≤ 2,≤ 2,> 4,missing,2 – 4,2 – 4";
    let (groups, of_example) = groups_of(&study, Some("loss:3"));
    assert_eq!((groups, of_example.join(",")), (names.map(str::to_string).to_vec(), groups_of_three.to_string()));
    assert_eq!(groups_of(&study, Some("ties:2")).0, ["≤ 1", "> 1"]);
    assert_eq!(groups_of(&study, Some("ties:8")).0, ["≤ 1", "> 1"]);
    assert_eq!(groups_of(&study, Some("same:4")).0, ["≤ 3"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn quantiles_are_neighbours_of_about_equal_size(
        cases in prop::collection::vec(prop::collection::vec(prop::option::of(-5_i64..20), 1..40), 6),
        count in 2_usize..9,
    ) {
        let cases: Vec<_> = cases.into_iter().filter(|case| case.iter().any(Option::is_some)).collect();
        let run = |(values, seed): (&Vec<Option<i64>>, u64)| Synthetic {
            conditions: conditions("sgd", 0.5, seed),
            ..with_columns(values.len(), vec![("value", ExampleColumn::Integers(values.clone()))])
        };
        let runs: Vec<Synthetic> = cases.iter().zip(0..).map(run).collect();
        prop_assume!(!runs.is_empty());
        let group_by = Some(format!("value:{count}").as_str().into());
        let contributions = analysed(&runs, &Options { group_by, ..only(&["contributions"]) }).table("contributions");
        for (run, values) in runs.iter().zip(&cases) {
            let found = contributions.texts("group", &[("run", &run.id())]);
            let mut sorted: Vec<i64> = values.iter().flatten().copied().collect();
            sorted.sort_unstable();
            let ends: Vec<i64> = (1..=count).map(|j| sorted[(j * sorted.len()).div_ceil(count) - 1]).collect();
            let group = |value: &Option<i64>| value.map(|value| ends.iter().find(|end| value <= **end).unwrap());
            for (i, j) in (0..values.len()).flat_map(|i| (0..i).map(move |j| (i, j))) {
                prop_assert_eq!(found[i] == found[j], group(&values[i]) == group(&values[j]));
            }
        }
    }
}

#[test]
fn without_being_asked_examples_are_grouped_by_what_every_run_knows() {
    let labels = || ("label", integers([1, 2, 1]));
    let pristine = with_columns(3, vec![labels(), ("original_label", integers([1, 2, 2]))]);
    let labelled = Synthetic { conditions: conditions("sgd", 0.5, 2), ..with_columns(3, vec![labels()]) };
    let bare = Synthetic { conditions: conditions("sgd", 0.5, 3), ..with_columns(3, vec![]) };
    let many = |count: i64| with_columns(21, vec![("label", integers((0..21).map(|i| i % count)))]);
    for (runs, by, groups) in [
        (vec![pristine.clone()], "pristine", 2),
        (vec![pristine.clone(), labelled.clone()], "label", 2),
        (vec![pristine, labelled, bare.clone()], "all", 1),
        (vec![bare], "all", 1),
        (vec![many(20)], "label", 20),
        (vec![many(21)], "all", 1),
    ] {
        let analysed = analysed(&runs, &only(&["contributions"]));
        let grouping = &analysed.summary().grouping;
        assert_eq!((grouping.by.as_str(), grouping.groups.len()), (by, groups));
        assert_eq!(analysed.summary().options.group_by, None);
    }
}

#[test]
fn what_examples_cannot_be_grouped_by_is_an_error_that_says_why() {
    let columns = vec![
        ("label", integers(0..101)),
        ("loss", ExampleColumn::Numbers((0..101).map(|i| (i > 0).then_some(f64::from(i))).collect())),
        ("word", texts(["a"; 101])),
    ];
    let study = Study::new(&[with_columns(101, columns)]);
    let error = |group_by: &str| study.error(&by(group_by, only(&["contributions"]))).to_string();
    let known = "it has label, loss, word";
    assert!(error("size").contains(&format!("it has no column `size`; {known}")), "{}", error("size"));
    assert!(error("size:3").contains(known));
    assert!(error("pristine").contains("it has no column `pristine`"));
    assert!(error("learned").contains("it has no column learned_step"));
    assert!(error("word:3").contains("column `word` has no numbers"));
    let too_many = error("label");
    assert!(too_many.contains("101 different values, too many to compare: at most 100"), "{too_many}");
    assert!(too_many.contains("`label:4`"), "{too_many}");
    for count in ["loss:0", "loss:1", "loss:101"] {
        assert!(error(count).contains("ask for 2 to 100"), "{count}");
    }
    // A hundred groups, and that of the one without a value.
    assert!(error("loss:100").contains("at most 100"), "{}", error("loss:100"));
}

#[test]
fn shares_and_mean_cumulative_contributions_by_hand() {
    // s_0 = (3, 1, −2, 2), s_1 = (0, 0, 1, −1), s_5 = (1, 1, 1, 1); groups {0, 2}, {1}, {3}, and one that has no example
    // of the population.
    let lists = [(0, [3.0, 1.0, -2.0, 2.0]), (1, [0.0, 0.0, 1.0, -1.0]), (5, [1.0; 4])];
    let of_list = |(step, s): (i64, [f64; 4])| (step, vec![(s.to_vec(), vec![1.0; 4])]);
    let run = Synthetic {
        population_ids: Some(vec![0, 1, 2, 3]),
        population: lists.map(of_list).to_vec(),
        steps: vec![],
        ..with_columns(5, vec![("group", texts(["x", "y", "x", "z", "empty"]))])
    };
    let analysed = analysed(&[run], &by("group", only(&["shares", "cumulative"])));
    let of = |table: &str, column: &str, step: &str| {
        let groups = ["x", "y", "z", "empty"];
        let table = analysed.table(table);
        groups.map(|group| {
            let rows = table.rows(&[("estimator", "exact"), ("step", step), ("group", group)]);
            rows.first().map(|&row| table.number(column, row))
        })
    };
    assert_eq!(of("shares", "share", "0"), [0.25, 0.25, 0.5, 0.0].map(|share| Some(Some(share))));
    assert_eq!(of("shares", "share", "1"), [Some(None); 4], "‖g‖² is 0");
    assert_eq!(of("shares", "share", "5"), [0.5, 0.25, 0.25, 0.0].map(|share| Some(Some(share))));
    assert_eq!(of("cumulative", "cumulative", "0"), [Some(0.5), Some(1.0), Some(2.0), None].map(Some));
    assert_eq!(of("cumulative", "cumulative", "1"), [Some(1.0), Some(1.0), Some(1.0), None].map(Some));
    assert_eq!(of("cumulative", "cumulative", "5"), [None; 4], "past the gap");
    let differences = analysed.table("differences");
    let at_0: Vec<String> = differences
        .rows(&[("step", "0")])
        .into_iter()
        .map(|row| ["group_a", "group_b", "difference"].map(|column| differences.text(column, row)).join(" "))
        .collect();
    let expected = ["empty x null", "empty y null", "empty z null", "x y -0.5", "x z -1.5", "y z -1"];
    assert_eq!(at_0, expected);
}

#[test]
fn of_two_groups_the_shares_mirror_each_other_and_all_at_once_is_one_pair() {
    let run = Synthetic::new(&(0..20).map(|i| i % 3 == 0).collect::<Vec<_>>(), 7, &[0, 1, 2, 5], 3);
    let tests = analysed(&[run], &Options { null_worlds: 99, ..only(&["shares", "cumulative"]) }).table("tests");
    let find = |statistic, a, column| tests.text(column, tests.row(&[("statistic", statistic), ("group_a", a)]));
    let exceedances = |statistic, a| find(statistic, a, "exceedances");
    assert_eq!(exceedances("share", "pristine"), exceedances("share", "corrupt"));
    assert_eq!(exceedances("share", "pristine"), exceedances("share", "null"));
    assert_eq!(exceedances("share", "pristine"), exceedances("mean_share", "pristine"));
    assert_eq!(exceedances("crossover", "pristine"), exceedances("crossover", "corrupt"));
    for column in ["observed", "exceedances", "p", "p_lower", "p_upper"] {
        assert_eq!(find("difference", "pristine", column), find("difference", "null", column));
        assert_eq!(find("mean_share", "pristine", column), find("mean_share", "null", column));
    }
}

#[test]
fn exact_moments_of_groups_are_those_of_all_permutations() {
    // All 6!/(3!·2!·1!) = 60 ways to put six examples into groups of three, two and one.
    let grouping = named(&["a", "b", "c"], vec![0, 0, 0, 1, 1, 2]);
    let mut contributions = Contributions::new(6);
    for (step, s) in [(0, [1.0, 5.0, 2.0, 0.5, -1.0, 3.0]), (1, [2.0, 2.5, 0.0, 7.0, 1.0, 1.0])] {
        contributions.push(step, StepContributions { contributions: s.to_vec(), self_terms: s.to_vec() });
    }
    let families = Families::new(&contributions, &grouping);
    let steps: Vec<&[f64]> = contributions.by_step().collect();
    let total: Vec<f64> = steps.iter().map(|s| s.iter().sum()).collect();
    let mean = |s: &[f64], world: &Grouping, k: usize| of_group(s, world, k as u8) / world.sizes()[k] as f64;
    let share = |world: &Grouping, t: usize, k: usize| of_group(steps[t], world, k as u8) / total[t];
    let difference =
        |world: &Grouping, t: usize, a: usize, b: usize| mean(steps[t], world, a) - mean(steps[t], world, b);
    let direct = |statistic: &str, [a, b]: [Option<usize>; 2], world: &Grouping, t: usize| match (statistic, a, b) {
        ("share", Some(k), None) => share(world, t, k),
        ("mean_share", Some(a), Some(b)) => difference(world, t, a, b) / total[t],
        ("difference", Some(a), Some(b)) => (0..=t).map(|t| difference(world, t, a, b)).sum(),
        ("crossover", Some(k), None) => share(world, 0, k) - share(world, 1, k),
        other => panic!("{other:?} has no direct implementation"),
    };
    let worlds: Vec<Grouping> = (0..3_usize.pow(6))
        .map(|code| (0..6).map(|place| (code / 3_usize.pow(place) % 3) as u8).collect::<Vec<u8>>())
        .map(|of_example| named(&["a", "b", "c"], of_example))
        .filter(|world| world.sizes() == [3, 2, 1])
        .collect();
    assert_eq!(worlds.len(), 60);
    let mut checked = BTreeMap::new();
    for tested in &families.tested {
        let of_worlds: Vec<Vec<Option<f64>>> = worlds
            .iter()
            .map(|world| permutation::z(&families.scores, std::slice::from_ref(&tested.family), world).swap_remove(0))
            .collect();
        for (t, linear) in tested.family.members.iter().enumerate() {
            let linear = linear.unwrap();
            let values: Vec<f64> =
                worlds.iter().map(|world| direct(tested.statistic, tested.groups, world, t)).collect();
            let (mean, variance) = mean_and_variance(&values);
            assert!((mean - linear.mean).abs() < 1e-12, "{tested:?}");
            assert_close(variance.sqrt(), linear.sd, 1e-12);
            for (value, z) in values.iter().zip(&of_worlds) {
                assert!(((value - linear.mean) / linear.sd - z[t].unwrap()).abs() < 1e-12);
            }
            *checked.entry(tested.statistic).or_insert(0) += 1;
        }
    }
    assert_eq!(checked, BTreeMap::from([("share", 6), ("mean_share", 6), ("crossover", 3), ("difference", 6)]));
}

#[test]
fn tests_of_groups_equal_a_plain_loop_over_worlds() {
    let (run, grouping) = three_groups();
    let options = Options { null_worlds: 250, seed: 8, ..only(&["shares", "cumulative"]) };
    let tests = analysed(std::slice::from_ref(&run), &by("group", options)).table("tests");

    let steps: Vec<Vec<f64>> = run.steps.iter().map(|(_, gradients)| slow_contributions(gradients, 24)).collect();
    let mean = |s: &[f64], world: &Grouping, k: u8| of_group(s, world, k) / world.sizes()[usize::from(k)] as f64;
    // Any positive factor that depends on the step only may be left out of a z, but not one that differs between steps.
    let spread = |s: &[f64]| mean_and_variance(s).1.sqrt();
    let share = |world: &Grouping, k: u8| -> f64 {
        let n_k = world.sizes()[usize::from(k)] as f64;
        let z = |s: &Vec<f64>| {
            let sd = spread(s) * (n_k * (24.0 - n_k) / 23.0).sqrt();
            ((of_group(s, world, k) - n_k * mean_and_variance(s).0) / sd).abs()
        };
        steps.iter().map(z).fold(0.0, f64::max)
    };
    let pair_sd = |world: &Grouping, a: u8, b: u8| {
        let n = |k: u8| world.sizes()[usize::from(k)] as f64;
        (24.0 / 23.0 * (1.0 / n(a) + 1.0 / n(b))).sqrt()
    };
    let mean_share = |world: &Grouping, a: u8, b: u8| -> f64 {
        let z = |s: &Vec<f64>| ((mean(s, world, a) - mean(s, world, b)) / (spread(s) * pair_sd(world, a, b))).abs();
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
    let cases: [(&str, Sizes<'_>); 3] = [
        ("share", Box::new(|world| (0..3).map(|k| share(world, k)).collect())),
        ("mean_share", Box::new(|world| of_pairs(&mean_share, world))),
        ("difference", Box::new(|world| of_pairs(&difference, world))),
    ];
    let worlds = NullWorlds::new(8, &run.id(), &grouping);
    let largest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    for (statistic, sizes) in &cases {
        let rows = tests.rows(&[("statistic", statistic)]);
        assert_eq!(rows.len(), 4);
        let number = |place: usize, column| tests.number(column, rows[place]);
        let actual = sizes(&grouping);
        let null: Vec<Vec<f64>> = (1..=250).map(|k| sizes(&worlds.grouping(k))).collect();
        for subject in 0..3 {
            let count = null.iter().filter(|sizes| sizes[subject] >= actual[subject] - 1e-9).count();
            assert_eq!(number(subject, "exceedances"), Some(count as f64), "{statistic} {subject}");
            assert_close(number(subject, "observed").unwrap(), actual[subject], 1e-11);
        }
        let count = null.iter().filter(|sizes| largest(sizes) >= largest(&actual) - 1e-9).count();
        assert_eq!(tests.text("group_a", rows[3]), "null");
        assert_eq!((number(3, "exceedances"), number(3, "p_holm")), (Some(count as f64), None));
        assert_close(number(3, "observed").unwrap(), largest(&actual), 1e-11);
        let mut ascending: Vec<f64> = (0..3).map(|place| number(place, "p").unwrap()).collect();
        ascending.sort_by(f64::total_cmp);
        let smallest = (0..3).map(|place| number(place, "p_holm").unwrap()).fold(1.0, f64::min);
        assert_close(smallest, (3.0 * ascending[0]).min(1.0), 1e-15);
    }
}

#[test]
fn empty_groups_and_a_single_one_leave_nothing_to_test() {
    let options = || Options { null_worlds: 20, ..only(&["shares", "cumulative"]) };
    let single = analysed(&[three_groups().0], &by("all", options()));
    assert!(single.table("shares").numbers("share", &[]).iter().all(Option::is_none));
    assert!(single.table("cumulative").numbers("cumulative", &[("step", "3")])[0].is_some());
    assert_eq!(single.table("differences").len(), 0);
    let tests = single.table("tests");
    assert_eq!(tests.texts("statistic", &[]), ["share", "share", "crossover"], "and no pair");
    assert_eq!(tests.rows(&[("p", "null"), ("worlds", "20")]).len(), 3);

    // Of the group `empty` no example is sampled.
    let group = |i| {
        if i < 10 {
            "a"
        } else if i < 24 {
            "b"
        } else {
            "empty"
        }
    };
    let columns = vec![("group", texts((0..25).map(group)))];
    let run = Synthetic { columns, examples: 25, ..three_groups().0 };
    let analysed = analysed(&[run], &by("group", options()));
    let groups = analysed.table("groups");
    assert_eq!(groups.texts("examples", &[]), ["10", "14", "1"]);
    assert_eq!(groups.texts("sampled", &[]), ["10", "14", "0"]);
    assert_eq!(analysed.table("shares").numbers("share", &[("step", "0"), ("group", "empty")]), [Some(0.0)]);
    let tests = analysed.table("tests");
    for statistic in ["share", "mean_share", "difference"] {
        for row in tests.rows(&[("statistic", statistic)]) {
            let groups = ["group_a", "group_b"].map(|column| tests.text(column, row));
            let of_empty = groups.contains(&"empty".to_string());
            assert_eq!(tests.number("p", row).is_none(), of_empty, "{groups:?}");
            assert_eq!(tests.number("p_holm", row).is_none(), of_empty || groups[0] == "null", "{groups:?}");
        }
    }
    // Only one pair can be tested: nothing is corrected.
    let pair = tests.row(&[("statistic", "difference"), ("group_a", "a"), ("group_b", "b")]);
    assert_eq!(tests.number("p_holm", pair), tests.number("p", pair));
}

#[test]
fn worlds_of_groups_keep_every_size_and_are_drawn_by_ascending_size() {
    let (_, grouping) = three_groups();
    let worlds = NullWorlds::new(4, "run", &grouping);
    for k in 1..=30 {
        assert_eq!((worlds.grouping(k).sizes(), worlds.grouping(k).names()), (grouping.sizes(), grouping.names()));
    }
    // Of two groups, the worlds are those of the same division, whichever has which name.
    let few: Vec<bool> = (0..24).map(|i| i < 7).collect();
    let mirrored = named(&["many", "few"], few.iter().map(|&is| u8::from(is)).collect());
    let (few, many) = (NullWorlds::new(4, "run", &two_groups(&few)), NullWorlds::new(4, "run", &mirrored));
    for k in 1..=10 {
        let of_few: Vec<bool> = many.grouping(k).of_example().iter().map(|&group| group == 1).collect();
        assert_eq!(flags(&few.grouping(k)), of_few);
    }
}

#[test]
fn every_division_into_three_groups_is_equally_likely() {
    // 30 divisions of five into 1, 2 and 2; 30 000 worlds; χ² with 29 degrees of freedom is below 58.3 with probability 0.999.
    let worlds = NullWorlds::new(2, "run", &named(&["a", "b", "c"], vec![0, 1, 1, 2, 2]));
    let mut counts = BTreeMap::new();
    (1..=30_000).for_each(|k| *counts.entry(worlds.grouping(k).of_example().to_vec()).or_insert(0) += 1);
    let chi_squared: f64 = counts.values().map(|&count| (f64::from(count) - 1000.0).powi(2) / 1000.0).sum();
    assert!(counts.len() == 30 && chi_squared < 58.3, "{} divisions, χ² = {chi_squared}", counts.len());
}
