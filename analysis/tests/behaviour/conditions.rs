//! The conditions of the runs: a column each in every table, by which runs are told apart and never averaged.

use cograd_analysis::{AnalysisError, CompareOptions, Options, compare};
use cograd_results::{Kind, Results, Scope, table};
use cograd_trace::Conditions;
use tempfile::TempDir;

use crate::support::*;

fn with(conditions: Conditions) -> Synthetic {
    let evaluations = [(0, 2.0), (10, 1.0), (20, 0.1)].into_iter().flat_map(|(step, loss)| {
        let seed = conditions.seed().unwrap_or(0) as f64;
        evaluation(step, "train", loss / seed.max(1.0)).into_iter().chain(evaluation(step, "test", loss))
    });
    let metrics = evaluations.collect();
    Synthetic { conditions, metrics, ..Synthetic::new(&[true, false, true, false], 4, &[0, 1], 1) }
}

#[test]
fn every_condition_is_a_column_of_its_type_and_null_where_a_run_has_it_not() {
    let of = |seed| Conditions::new(seed).with("network", "wide").with("width", 512_i64).with("augment", true);
    let runs = [
        of(Some(u64::MAX)).with("rate", 1_i64).with("odd", true).with("decay", 0.1),
        of(Some(2)).with("rate", 0.5).with("odd", 3_i64),
        of(None).with("rate", 0.25).with("odd", 2.5),
    ];
    let study = Study::new(&runs.map(with));
    let analysed = study.analysed(&Options { null_worlds: 19, kept_worlds: 1, ..Options::default() });
    let conditions: Vec<(&str, Kind, bool)> =
        analysed.summary().conditions.iter().map(|known| (known.name.as_str(), known.kind, known.varies)).collect();
    let expected = [
        ("augment", Kind::Boolean, false),
        ("decay", Kind::Number, true),
        ("network", Kind::Text, false),
        ("odd", Kind::Text, true),
        ("rate", Kind::Number, true),
        ("width", Kind::Integer, false),
    ];
    assert_eq!(conditions, expected);
    // Ordered by the conditions, name by name: runs without a decay come first.
    let runs = analysed.table("runs");
    let rows: Vec<String> = (0..3)
        .map(|row| {
            ["augment", "decay", "network", "odd", "rate", "width", "seed"]
                .map(|column| runs.text(column, row))
                .join(" ")
        })
        .collect();
    let in_order = [
        "true null wide 2.5 0.25 512 null",
        "true null wide 3 0.5 512 2",
        "true 0.1 wide true 1 512 18446744073709551615",
    ];
    assert_eq!(rows, in_order);
    for name in analysed.summary().files.keys().map(|file| file.strip_suffix(".parquet").unwrap()) {
        let (rows, scope) = (analysed.table(name), table(name).unwrap().scope);
        let names = expected.iter().map(|(name, ..)| *name);
        let identity: Vec<&str> = match scope {
            Scope::Run => ["run"].into_iter().chain(names).chain(["seed"]).collect(),
            _ => names.collect(),
        };
        assert_eq!(rows.0.columns().take(identity.len()).collect::<Vec<_>>(), identity, "{name}");
        for (column, kind, _) in expected {
            assert_eq!(rows.0.kind(column), Some(kind), "{name} {column}");
        }
        // Every row has those of a run.
        let whole = (0..rows.len()).all(|row| rows.text("width", row) == "512" && rows.text("odd", row) != "null");
        assert!(whole, "{name}");
        if scope == Scope::Run {
            let of_run = [("rate", "0.5"), ("odd", "3"), ("decay", "null")];
            assert_eq!(rows.rows(&[("seed", "2")]), rows.rows(&of_run), "{name}");
        }
    }
    assert!(!analysed.has("predictions"), "a study without noise");
}

#[test]
fn a_study_without_conditions_has_runs_and_seeds() {
    let analysed = analysed(&[1, 2].map(|seed| with(Conditions::new(Some(seed)))), &only(&["metrics", "shares"]));
    let over_seeds = analysed.table("over_seeds");
    let row = over_seeds.row(&[("curve", "train_loss"), ("step", "0")]);
    assert_eq!((over_seeds.text("seeds", row), over_seeds.number("mean", row)), ("2".into(), Some(1.5)));
    assert_eq!(over_seeds.0.columns().next(), Some("curve"));
    assert!(!analysed.has("predictions") && !analysed.has("matched"));
}

#[test]
fn a_condition_that_is_called_as_a_column_is_refused() {
    for name in ["step", "group", "run", "share", "seeds", "estimator", "curve", "overfit", "study", "t", "difference"]
    {
        let study = Study::new(&[with(Conditions::new(Some(1)).with(name, 2_i64))]);
        let error = study.error(&only(&["metrics"]));
        assert!(matches!(&error, AnalysisError::ConditionName { name: named } if named == name), "{error}");
        assert!(error.to_string().contains(&format!("`{name}`, which is the name of a column")), "{error}");
    }
}

/// Names that columns have while the tables are made, or that look as if they had.
const INNER: &[&str] = &[
    "accuracy_before",
    "band",
    "before",
    "condition_place",
    "contiguous",
    "count",
    "crossover",
    "crossover_p",
    "deviation",
    "difference_10",
    "difference_10_p",
    "early_slope",
    "evaluated",
    "every",
    "first",
    "first_share",
    "group_size",
    "half_loss_step",
    "holm_p",
    "holm_row",
    "holm_scaled",
    "last_train_accuracy",
    "level",
    "mean_a",
    "median_corrupt",
    "median_pristine",
    "noise_condition",
    "noise_level",
    "of_run",
    "order_a",
    "order_b",
    "overfit_before",
    "overfit_matched",
    "part",
    "place",
    "place_a",
    "place_b",
    "quantile",
    "quantity",
    "reached",
    "rule_condition",
    "runs",
    "sd_a",
    "second",
    "several",
    "size",
    "step_before",
    "step_matched",
    "study_place",
    "sum",
    "test_accuracy_matched",
    "test_before",
    "total",
    "unknown",
    "value_a",
    "value_b",
    "varying",
    "verdict",
];

#[test]
fn no_condition_is_confused_with_a_column_that_tables_are_made_with() {
    // Two rules and two seeds at two noise levels, so that there is something to match, to average, to judge and to compare.
    let runs = |odd: bool| -> Vec<Synthetic> {
        let grid = [0.25, 0.5].into_iter().flat_map(|noise| ["sgd", "other"].map(|rule| (noise, rule)));
        let of = |(noise, rule): (f64, &str), seed| {
            let plain = conditions(rule, noise, seed);
            // Constant, so that nothing else is told apart by them.
            let names = INNER.iter().filter(|_| odd);
            let odd = names.fold(plain.clone(), |all, name| all.with(name, 0.125));
            (plain, odd)
        };
        let all = grid.flat_map(|condition| [1, 2].map(|seed| of(condition, seed)));
        let named = |(plain, odd)| {
            let run = with(plain);
            Synthetic { named: Some(run.id()), conditions: odd, ..run }
        };
        all.map(named).collect()
    };
    let statistics = [
        "metrics",
        "learned",
        "overfit",
        "shares",
        "cumulative",
        "gradient_norm",
        "contributions",
        "m_coherence",
        "cross_terms",
        "population",
    ];
    let results = [false, true].map(|odd| analysed(&runs(odd), &only(&statistics)));
    let dropped: Vec<&str> = INNER.iter().copied().chain(["run", "manifest_sha256", "trace_bytes"]).collect();
    let [plain, odd] = &results;
    assert_eq!(plain.summary().files.len(), odd.summary().files.len());
    for name in plain.summary().files.keys().map(|file| file.strip_suffix(".parquet").unwrap()) {
        assert_eq!(plain.table(name).all(&dropped), odd.table(name).all(&dropped), "{name}");
        let first = odd.table(name).0.columns().nth(1).map(str::to_string);
        assert!(name == "predictions" || first.is_some_and(|first| INNER.contains(&first.as_str())), "{name}");
    }
    // Varying ones are keys of a comparison.
    let compared = [false, true].map(|odd| {
        let varied = |value: f64| -> Vec<Synthetic> {
            let vary = |run: Synthetic| {
                let names = INNER.iter().filter(|_| odd);
                let conditions = names.fold(run.conditions.clone(), |all, name| all.with(name, value));
                Synthetic {
                    named: Some(format!("{}_{value}", run.id())),
                    conditions: conditions.with("varying_too", value),
                    ..run
                }
            };
            runs(false).into_iter().map(vary).collect()
        };
        let study = || {
            let runs: Vec<Synthetic> = varied(1.0).into_iter().chain(varied(2.0)).collect();
            analysed(&runs, &only(&["metrics", "shares"]))
        };
        let (a, b, out) = (study(), study(), TempDir::new().unwrap());
        compare(&[a.path().into(), b.path().into()], &CompareOptions::default(), out.path()).unwrap();
        let results = Results::open(out.path()).unwrap();
        // The studies are called by their paths.
        let dropped: Vec<&str> = INNER.iter().copied().chain(["study", "study_a", "study_b"]).collect();
        ["comparison", "comparison_tests"].map(|name| {
            // Whatever is first among the conditions, they are sorted by.
            let mut rows = Table(results.rows(name).unwrap().unwrap()).all(&dropped);
            rows.sort();
            rows
        })
    });
    assert_eq!(compared[0].each_ref().map(Vec::len), compared[1].each_ref().map(Vec::len));
    assert!(compared[0][0].len() > 100 && compared[0] == compared[1], "{} rows", compared[0][0].len());
}

#[test]
fn two_networks_are_never_averaged() {
    let runs = ["narrow", "wide"]
        .into_iter()
        .flat_map(|network| [1, 2].map(|seed| with(conditions("sgd", 0.5, seed).with("network", network))));
    let analysed = analysed(&runs.collect::<Vec<_>>(), &only(&["metrics", "overfit", "shares", "cumulative"]));
    let over_seeds = analysed.table("over_seeds");
    for curve in [("train_loss", "0"), ("test_accuracy", "10")] {
        let rows = over_seeds.rows(&[("curve", curve.0), ("step", curve.1)]);
        assert_eq!(rows.iter().map(|&row| over_seeds.text("network", row)).collect::<Vec<_>>(), ["narrow", "wide"]);
        assert!(rows.iter().all(|&row| over_seeds.text("seeds", row) == "2"));
    }
    assert_eq!(over_seeds.rows(&[("seeds", "4")]).len(), 0);
    assert_eq!(analysed.table("matched").texts("network", &[]), ["narrow", "wide"]);
    let predictions = analysed.table("predictions");
    let judged = predictions.rows(&[("verdict", "not checkable"), ("reason", "the runs differ in network too")]);
    assert_eq!((judged.len(), predictions.len()), (10, 10));
}

#[test]
fn values_that_are_written_alike_are_two_conditions_and_numbers_that_are_equal_one() {
    // The column is text, because one of the values is; that it then reads the same does not make them one condition.
    let of = |seed, width: cograd_trace::Condition| with(Conditions::new(Some(seed)).with("width", width));
    let text = Synthetic { named: Some("text".into()), ..of(1, "512".into()) };
    let mixed = analysed(&[of(1, 512_i64.into()), text], &only(&["metrics"])).table("over_seeds");
    assert_eq!(mixed.texts("seeds", &[("curve", "train_loss"), ("step", "0")]), ["1", "1"]);
    let equal = analysed(&[of(1, 2_i64.into()), of(2, 2.0.into())], &only(&["metrics"])).table("over_seeds");
    assert_eq!(equal.texts("seeds", &[("curve", "train_loss"), ("step", "0")]), ["2"]);
    assert_eq!(equal.texts("width", &[("curve", "train_loss"), ("step", "0")]), ["2"]);
}

#[test]
fn a_run_without_noise_is_of_no_noise_level() {
    let without = with(Conditions::new(Some(1)).with("rule", "sgd"));
    let runs = [without, with(conditions("sgd", 0.25, 1)), with(conditions("sgd", 0.5, 1))];
    let predictions = analysed(&runs, &only(&["metrics"])).table("predictions");
    let rows = predictions.rows(&[("prediction", "slower_learning"), ("quantity", "half_loss_step")]);
    assert_eq!(rows.iter().map(|&row| predictions.text("noise", row)).collect::<Vec<_>>(), ["0.25", "0.5"]);
    let matched = analysed(&runs, &only(&["overfit"]));
    assert!(!matched.has("matched"), "no noise level has two conditions");
}
