//! Analyses of a part of the record, of a grouping of one's own, and of the population record.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use cograd_analysis::{AnalysisError, GroupBy, Options};
use cograd_trace::{Coordinate, ExampleColumn, FileEntry, Manifest, Parameter};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

use crate::support::*;

/// 18 sampled examples of 22, two layers of 10 coordinates, gradients at steps 0…5 and 12, population at 0, 1, 2 and 9.
fn run() -> Synthetic {
    let original: Vec<i64> = (0..22).map(|place| place % 4).collect();
    let pristine: Vec<bool> = (0..22).map(|place| place % 3 != 1).collect();
    let label = original.iter().zip(&pristine).map(|(&label, is)| if *is { label } else { label + 1 });
    let sampled: Vec<u32> = (1..22).filter(|place| place % 6 != 5).collect();
    let of_sampled: Vec<bool> = sampled.iter().map(|&id| pristine[id as usize]).collect();
    let run = Synthetic::new(&of_sampled, 20, &[0, 1, 2, 3, 4, 5, 12], 6).with_layers(2);
    let columns =
        vec![("label", integers(label)), ("original_label", integers(original)), ("pristine", booleans(&pristine))];
    Synthetic { examples: 22, sampled, columns, ..run }.with_population(&[0, 1, 2, 9])
}

fn defaults() -> Options {
    Options { null_worlds: 99, kept_worlds: 1, halves: 0, ..Options::default() }
}

const STEPS: [i64; 7] = [0, 1, 2, 3, 4, 5, 12];
const TABLES: [&str; 7] = ["contributions", "shares", "cumulative", "differences", "null", "tests", "coherence"];

#[track_caller]
fn assert_same(one: &Analysed, other: &Analysed, tables: &[&str]) {
    for table in tables {
        assert!(one.table(table).all(&[]) == other.table(table).all(&[]), "{table}");
    }
}

fn of_all(column: &ExampleColumn) -> Vec<String> {
    match column {
        ExampleColumn::Integers(values) => values.iter().map(|value| value.unwrap().to_string()).collect(),
        ExampleColumn::Booleans(values) => values.iter().map(|value| value.unwrap().to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

/// The values of a column of all examples, as text.
fn column(run: &Synthetic, name: &str) -> Vec<String> {
    of_all(&run.columns.iter().find(|(known, _)| *known == name).unwrap().1)
}

fn is_pristine(run: &Synthetic, ids: &[usize]) -> Vec<bool> {
    let pristine = column(run, "pristine");
    ids.iter().map(|&id| pristine[id] == "true").collect()
}

/// The rows and columns of gradients `[n, 20]`.
fn part(gradients: &[f32], rows: &[usize], columns: &[usize]) -> Vec<f32> {
    rows.iter().flat_map(|row| columns.iter().map(move |column| gradients[row * 20 + column])).collect()
}

/// Checks contributions and shares of the paper's estimator against plain loops over a part of the raw gradients.
fn check_paper(analysed: &Analysed, run: &Synthetic, steps: &[i64], rows_kept: &[usize], columns: &[usize]) {
    let (contributions, shares) = (analysed.table("contributions"), analysed.table("shares"));
    let ids: Vec<usize> = rows_kept.iter().map(|&row| run.sampled[row] as usize).collect();
    let pristine = is_pristine(run, &ids);
    assert_eq!(contributions.len(), steps.len() * ids.len());
    for step in steps {
        let (_, gradients) = run.steps.iter().find(|(recorded, _)| recorded == step).unwrap();
        let gradients = part(gradients, rows_kept, columns);
        let (s, q) = (slow_contributions(&gradients, ids.len()), slow_self_terms(&gradients, ids.len()));
        let step = step.to_string();
        for (place, row) in contributions.rows(&[("step", &step)]).into_iter().enumerate() {
            assert_eq!(contributions.text("example_id", row), ids[place].to_string());
            assert_close(contributions.number("contribution", row).unwrap(), s[place], 1e-9);
            assert_close(contributions.number("self_term", row).unwrap(), q[place], 1e-9);
        }
        let at = [("estimator", "paper"), ("world", "0"), ("step", &step), ("group", "pristine")];
        assert_close(shares.value("share", &at).unwrap(), slow_share(&gradients, &pristine), 1e-9);
    }
}

/// Checks the exact estimates against plain loops over the contributions of the population.
fn check_exact(analysed: &Analysed, run: &Synthetic, steps: &[i64], layers: &[usize]) {
    let [shares, norms, cumulative, differences] =
        ["shares", "gradient_norms", "cumulative", "differences"].map(|name| analysed.table(name));
    let all: Vec<usize> = (0..run.examples).collect();
    let ids = run.population_ids.as_ref().map_or(all, |ids| ids.iter().map(|&id| id as usize).collect());
    let pristine = is_pristine(run, &ids);
    let count = |of: bool| pristine.iter().filter(|is| **is == of).count() as f64;
    let (mut means, mut next) = ([0.0, 0.0], 0);
    for (step, values) in run.population.iter().filter(|(step, _)| steps.contains(step)) {
        let of_layers = layers.iter().map(|&layer| values[layer].0.clone());
        let s = of_layers.reduce(|a, b| a.iter().zip(b).map(|(a, b)| a + b).collect()).unwrap();
        let text = step.to_string();
        let at = [("estimator", "exact"), ("step", text.as_str())];
        let of = |group| [at[0], at[1], ("world", "0"), ("group", group)];
        let total: f64 = s.iter().sum();
        assert_close(norms.value("gradient_norm_sq", &at).unwrap(), total, 1e-9);
        for (mean, (group, of_group)) in means.iter_mut().zip([("pristine", true), ("corrupt", false)]) {
            let sum = group_sum(&s, &pristine, of_group);
            assert_close(shares.value("share", &of(group)).unwrap(), sum / total, 1e-9);
            *mean += sum / count(of_group);
            if *step == next {
                assert_close(cumulative.value("cumulative", &of(group)).unwrap(), *mean, 1e-9);
            } else {
                assert_eq!(cumulative.rows(&of(group)).len(), 0);
            }
        }
        if *step == next {
            next += 1;
            let at = [at[0], at[1], ("world", "0")];
            assert_close(differences.value("difference", &at).unwrap(), means[0] - means[1], 1e-9);
        }
    }
    assert_eq!(norms.rows(&[("estimator", "exact")]).len(), steps.len());
}

#[test]
fn without_restriction_everything_is_analysed() {
    let run = run();
    let all = analysed(std::slice::from_ref(&run), &defaults());
    check_paper(&all, &run, &STEPS, &(0..18).collect::<Vec<_>>(), &(0..20).collect::<Vec<_>>());
}

#[test]
fn some_steps_are_analysed_as_if_only_they_were_recorded() {
    let run = run();
    let study = Study::new(std::slice::from_ref(&run));
    let steps = |text: &str| Options { steps: Some(text.parse().unwrap()), ..defaults() };
    let some = study.analysed(&steps("2..=4"));
    check_paper(&some, &run, &[2, 3, 4], &(0..18).collect::<Vec<_>>(), &(0..20).collect::<Vec<_>>());
    assert_eq!(some.table("cumulative").len(), 0, "no step is contiguous from 0");
    assert_eq!(some.summary().options.steps.as_deref(), Some("2..5"));
    let runs = some.table("runs");
    let counted = ["recorded_steps", "contiguous_steps", "population_steps", "population_contiguous_steps"];
    assert_eq!(counted.map(|column| runs.text(column, 0)), ["3", "0", "1", "0"]);
    let early = study.analysed(&steps("..3"));
    let mut only = run.clone();
    only.steps.truncate(3);
    only.population.truncate(3);
    assert_same(&early, &analysed(&[only], &defaults()), &TABLES);
}

#[test]
fn some_layers_are_analysed_as_if_there_were_no_others() {
    let run = run();
    let study = Study::new(std::slice::from_ref(&run));
    let layers =
        |names: &[&str]| Options { layers: Some(names.iter().map(|name| name.to_string()).collect()), ..defaults() };
    for (pattern, layer) in [("layer.0", 0), ("1", 1)] {
        let some = study.analysed(&layers(&[pattern]));
        let columns: Vec<usize> = (layer..20).step_by(2).collect();
        check_paper(&some, &run, &STEPS, &(0..18).collect::<Vec<_>>(), &columns);
        check_exact(&some, &run, &[0, 1, 2, 9], &[layer]);
        assert_eq!(some.table("runs").text("coordinates", 0), "10");
        assert_eq!(some.summary().options.layers.as_deref(), Some([pattern.to_string()].as_slice()));
        let coherence = some.table("coherence");
        let name = format!("layer.{layer}");
        let rows = |layer| coherence.rows(&[("layer", layer)]).len();
        assert_eq!((rows(&name) + rows("null"), rows(&name) > 0), (coherence.len(), true));
    }
    let all = study.analysed(&defaults());
    for both in [vec!["layer.1", "layer.0"], vec!["layer.?"], vec!["*"], vec!["1", "lay*0"]] {
        assert_same(&study.analysed(&layers(&both)), &all, &TABLES);
    }
}

#[test]
fn layers_of_any_name_are_chosen_by_pattern() {
    // Four layers of five coordinates each, in this order.
    let names = ["embedding", "blocks.0.attention.query", "blocks.0.mlp", "blocks.1.attention.query"];
    let run = Synthetic {
        parameters: names.iter().map(|name| Parameter::new(&format!("{name}.weight"), &[5], None)).collect(),
        coordinates: (0..20).map(|c| Coordinate { parameter: c / 5, index: u64::from(c % 5) }).collect(),
        ..run()
    }
    .with_population(&[0, 1]);
    let study = Study::new(std::slice::from_ref(&run));
    for (patterns, chosen) in [
        (vec!["blocks.*.attention.*"], vec![1, 3]),
        (vec!["blocks.0.*"], vec![1, 2]),
        (vec!["emb*", "*.mlp"], vec![0, 2]),
        (vec!["blocks.?.mlp"], vec![2]),
    ] {
        let patterns = patterns.into_iter().map(str::to_string).collect();
        let some = study.analysed(&Options {
            layers: Some(patterns),
            ..only(&["contributions", "shares", "cumulative", "gradient_norm", "m_coherence"])
        });
        let columns: Vec<usize> = chosen.iter().flat_map(|layer| layer * 5..layer * 5 + 5).collect();
        check_paper(&some, &run, &STEPS, &(0..18).collect::<Vec<_>>(), &columns);
        check_exact(&some, &run, &[0, 1], &chosen);
        let mut layers = some.table("coherence").texts("layer", &[("estimator", "paper"), ("step", "0")]);
        layers.dedup();
        let expected: Vec<&str> = chosen.iter().map(|&layer| names[layer]).chain(["null"]).collect();
        assert_eq!(layers, expected);
    }
    let unknown = Options { layers: Some(vec!["emb*".into(), "blocks.*.norm".into()]), ..defaults() };
    let error = study.error(&unknown).to_string();
    assert!(
        error.contains("has no layer `blocks.*.norm`: its layers are embedding, blocks.0.attention.query,"),
        "{error}"
    );
}

#[test]
fn some_examples_are_analysed_with_the_sum_of_their_gradients_alone() {
    let run = run();
    let study = Study::new(std::slice::from_ref(&run));
    let examples = |text: &str| Options { examples: Some(text.parse().unwrap()), ..defaults() };
    let kept = |from: u32, past: u32| -> Vec<usize> {
        (0..18).filter(|&row| (from..past).contains(&run.sampled[row])).collect()
    };
    let some = study.analysed(&examples("3..15"));
    check_paper(&some, &run, &STEPS, &kept(3, 15), &(0..20).collect::<Vec<_>>());
    let runs = some.table("runs");
    assert_eq!(some.summary().options.examples.as_deref(), Some("3..15"));
    assert_eq!(runs.text("sampled_examples", 0), kept(3, 15).len().to_string());
    assert_eq!(runs.text("population_steps", 0), "null");
    assert!(runs.text("population_left_out", 0).contains("gradient of all examples"));
    assert_eq!(some.table("shares").rows(&[("estimator", "exact")]).len(), 0);
    // The same by a file, in any order; ids that are not sampled change nothing.
    let file = study.path().join("ids.csv");
    let lines: String = (0..15).rev().map(|id| format!("{id}\n")).collect();
    fs::write(&file, format!("example_id\n{lines}")).unwrap();
    let by_file = study.analysed(&examples(file.to_str().unwrap()));
    check_paper(&by_file, &run, &STEPS, &kept(0, 15), &(0..20).collect::<Vec<_>>());
    assert_same(&by_file, &study.analysed(&examples("..15")), &TABLES);
}

#[test]
fn the_population_of_some_examples_is_those_chosen_of_all() {
    // α̂ of 12 examples of ids 3…14, of which 10 are sampled: m is 12 and not 22.
    let run = run();
    let statistics = ["population", "m_coherence"];
    let options = Options { examples: Some("3..15".parse().unwrap()), ..only(&statistics) };
    let some = analysed(std::slice::from_ref(&run), &options);
    let ids: Vec<u32> = run.sampled.iter().copied().filter(|id| (3..15).contains(id)).collect();
    let of_chosen =
        |name: &'static str| (name, integers(column(&run, name)[3..15].iter().map(|value| value.parse().unwrap())));
    let rows: Vec<usize> = (0..18).filter(|&row| (3..15).contains(&run.sampled[row])).collect();
    let alone = Synthetic {
        examples: 12,
        sampled: ids.iter().map(|id| id - 3).collect(),
        columns: vec![of_chosen("label"), of_chosen("original_label")],
        steps: run
            .steps
            .iter()
            .map(|(step, values)| (*step, part(values, &rows, &(0..20).collect::<Vec<_>>())))
            .collect(),
        population: vec![],
        ..run
    };
    let alone = analysed(&[alone], &only(&statistics));
    assert_same(&some, &alone, &["shares", "cumulative", "differences", "gradient_norms", "coherence"]);
    assert!(some.table("shares").numbers("share", &[]).iter().all(Option::is_some));
}

#[test]
fn the_population_record_is_analysed_beside_the_sample() {
    let run = run();
    let analysed = analysed(std::slice::from_ref(&run), &defaults());
    check_exact(&analysed, &run, &[0, 1, 2, 9], &[0, 1]);
    let (null, tests) = (analysed.table("null"), analysed.table("tests"));
    for (estimator, steps, contiguous) in [("paper", 7, 6), ("exact", 4, 3)] {
        let rows =
            |statistic, group| null.rows(&[("estimator", estimator), ("statistic", statistic), ("group_a", group)]);
        assert_eq!((rows("share", "pristine").len(), rows("share", "corrupt").len()), (steps, steps));
        assert_eq!(rows("difference", "pristine").len(), contiguous);
        // Two shares, one pair of mean shares and of differences, and all at once; two crossovers and one difference.
        assert_eq!(tests.rows(&[("estimator", estimator)]).len(), 3 + 2 + 2 + 2 + 1);
    }
    assert_eq!(
        (null.rows(&[("estimator", "population")]).len(), tests.rows(&[("estimator", "population")]).len()),
        (0, 0)
    );
    // |P|/n of all 22 examples, and of the sampled ones.
    let mean = |estimator| {
        null.value("mean", &[("estimator", estimator), ("statistic", "share"), ("group_a", "pristine"), ("step", "0")])
    };
    let share = |ids: Vec<usize>| {
        let pristine = is_pristine(&run, &ids);
        pristine.iter().filter(|is| **is).count() as f64 / pristine.len() as f64
    };
    assert_close(mean("exact").unwrap(), share((0..22).collect()), 1e-15);
    assert_close(mean("paper").unwrap(), share(run.sampled.iter().map(|&id| id as usize).collect()), 1e-15);
    let runs = analysed.table("runs");
    let counted = ["population_examples", "population_steps", "population_contiguous_steps"];
    assert_eq!(counted.map(|column| runs.text(column, 0)), ["22", "4", "3"]);
    let difference_10 = tests.row(&[("estimator", "exact"), ("statistic", "difference_10")]);
    assert_eq!(tests.number("observed", difference_10), None, "three contiguous steps");
    assert_eq!(analysed.table("coverage").len(), 0, "no interval without halves");
}

#[test]
fn the_coverage_is_that_of_the_intervals_in_the_tables() {
    let study = Study::new(&[run()]);
    let analysed = study.analysed(&Options { halves: 99, ..defaults() });
    let coverage = analysed.table("coverage");
    let groups = [("share", "pristine", "null"), ("share", "corrupt", "null"), ("difference", "pristine", "corrupt")];
    for (statistic, a, b) in groups {
        let table = analysed.table(if statistic == "share" { "shares" } else { "differences" });
        let of_groups = |step: &str, estimator: &str| {
            let at = [("estimator", estimator), ("world", "0"), ("step", step)];
            match statistic {
                "share" => table.rows(&[at[0], at[1], at[2], ("group", a)]),
                _ => table.rows(&[at[0], at[1], at[2], ("group_a", a), ("group_b", b)]),
            }
        };
        let (mut covered, mut of) = (0, 0);
        for step in STEPS {
            let step = step.to_string();
            let estimate = of_groups(&step, "population")
                .first()
                .and_then(|&row| table.number("lower", row).zip(table.number("upper", row)));
            let exact = of_groups(&step, "exact").first().map(|&row| table.number(statistic, row).unwrap());
            if let (Some((lower, upper)), Some(exact)) = (estimate, exact) {
                of += 1;
                covered += usize::from(lower <= exact && exact <= upper);
            }
        }
        // Steps 0, 1 and 2 have both; N̂ is not positive in too many halves of some.
        assert!(of == 3 || statistic == "share" && of > 0, "{statistic}: {of}");
        let row = coverage.row(&[("statistic", statistic), ("group_a", a), ("group_b", b)]);
        assert_eq!(
            ["covered", "compared"].map(|column| coverage.text(column, row)),
            [covered.to_string(), of.to_string()]
        );
    }
    assert_eq!(coverage.len(), 3);
}

#[test]
fn a_record_of_the_population_alone_is_analysed_too() {
    let run = Synthetic { steps: vec![], ..run() };
    let study = Study::new(std::slice::from_ref(&run));
    let analysed = study.analysed(&defaults());
    check_exact(&analysed, &run, &[0, 1, 2, 9], &[0, 1]);
    assert_eq!(analysed.table("shares").rows(&[("estimator", "paper")]).len(), 0);
    // Nothing can be estimated, and nothing be covered.
    let estimated = study.analysed(&only(&["population"]));
    assert_eq!(["shares", "coverage", "curves"].map(|table| estimated.table(table).len()), [0; 3]);
}

#[test]
fn a_subset_that_is_the_population_has_its_own_sizes_and_sums() {
    // All but example 0 and those of 15 on: some that are sampled are not of the population, and the other way round.
    let ids: Vec<u32> = (1..15).collect();
    let run = Synthetic { population_ids: Some(ids.clone()), ..run() }.with_population(&[0, 1, 2, 9]);
    let study = Study::new(std::slice::from_ref(&run));
    let analysed = study.analysed(&Options { halves: 50, ..defaults() });
    check_paper(&analysed, &run, &STEPS, &(0..18).collect::<Vec<_>>(), &(0..20).collect::<Vec<_>>());
    check_exact(&analysed, &run, &[0, 1, 2, 9], &[0, 1]);
    let runs = analysed.table("runs");
    assert_eq!(["train_examples", "population_examples"].map(|column| runs.text(column, 0)), ["22", "14"]);
    let null = analysed.table("null");
    let mean =
        null.value("mean", &[("estimator", "exact"), ("statistic", "share"), ("group_a", "pristine"), ("step", "9")]);
    let pristine = is_pristine(&run, &(1..15).collect::<Vec<_>>()).iter().filter(|is| **is).count();
    assert_close(mean.unwrap(), pristine as f64 / 14.0, 1e-15);
    // 14 examples have another m-coherence than 22.
    let (coherence, (s, q)) = (analysed.table("coherence"), &run.population[0].1[1]);
    let exact = |statistic| {
        let at = [("estimator", "exact"), ("layer", "layer.1"), ("step", "0"), ("statistic", statistic)];
        coherence.value("value", &at).unwrap()
    };
    let (s, q) = (s.iter().sum::<f64>(), q.iter().sum::<f64>());
    assert_close(exact("m_coherence"), s / q, 1e-12);
    assert_close(exact("noise_scale"), (q - s / 14.0) / 13.0 / (s / 14.0 / 14.0), 1e-12);
    // The sample is of all 22 and estimates what they would give, not what the subset does.
    assert_eq!(analysed.table("coverage").len(), 0);
}

#[test]
fn without_self_terms_of_the_population_what_needs_them_is_missing() {
    let run = Synthetic { with_self_terms: false, ..run() };
    let analysed = analysed(std::slice::from_ref(&run), &defaults());
    check_exact(&analysed, &run, &[0, 1, 2, 9], &[0, 1]);
    let coherence = analysed.table("coherence");
    let exact = coherence.numbers("value", &[("estimator", "exact")]);
    // Four closed forms of two layers and of both, at four steps.
    assert_eq!((exact.len(), exact.iter().flatten().count()), (4 * 3 * 4, 0));
    assert!(
        coherence.numbers("value", &[("estimator", "paper"), ("statistic", "m_coherence")]).iter().all(Option::is_some)
    );
    let one_layer = analysed_of_one_layer(&run);
    assert_eq!(one_layer.table("coherence").numbers("value", &[("estimator", "exact")]), [None; 4 * 2 * 4]);
}

fn analysed_of_one_layer(run: &Synthetic) -> Analysed {
    analysed(std::slice::from_ref(run), &Options { layers: Some(vec!["0".into()]), ..defaults() })
}

/// Makes a run one of version 2 that states no network, as another program may have written it: layers have numbers, and
/// nobody knows how large they are.
fn make_version_2_without_network(directory: &Path) {
    let mut manifest: Manifest = serde_json::from_slice(&fs::read(directory.join("manifest.json")).unwrap()).unwrap();
    let d = manifest.coordinates as u32;
    let column = |value: fn(u32) -> u32| Arc::new(UInt32Array::from_iter_values((0..d).map(value))) as ArrayRef;
    /// What a column holds of a coordinate.
    type Held = fn(u32) -> u32;
    let columns: [(&str, Held); 4] = [("coordinate", |c| c), ("layer", |c| c % 2), ("row", |c| c), ("column", |_| 0)];
    let columns = columns.map(|(name, value)| (name, column(value), false));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let path = directory.join("coordinates.parquet");
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let (bytes, sha256) = (fs::metadata(&path).unwrap().len(), cograd_trace::sha256_of_file(&path).unwrap());
    manifest.files.insert("coordinates.parquet".into(), FileEntry { rows: u64::from(d), bytes, sha256 });
    manifest.files.retain(|name, _| name != "parameters.parquet" && name != "metrics.parquet");
    let Manifest { run, train_examples, sampled_examples, coordinates, steps, recorded_steps, files, .. } = manifest;
    let fields = serde_json::json!({
        "format_version": 2, "run": run, "rule": "sgd", "noise": 0.5, "seed": 1, "train_examples": train_examples,
        "sampled_examples": sampled_examples, "coordinates": coordinates, "steps": steps,
        "recorded_steps": recorded_steps, "files": files, "seal": "",
    });
    fs::write(directory.join("manifest.json"), cograd_trace::sealed(&fields).unwrap()).unwrap();
}

#[test]
fn a_network_of_unknown_sizes_has_no_population_estimate() {
    let run = Synthetic { population: vec![], ..run() };
    let study = Study::new(std::slice::from_ref(&run));
    let known = study.analysed(&defaults());
    make_version_2_without_network(&study.run(&run));
    let unknown = study.analysed(&defaults());
    for name in ["shares", "cumulative", "differences", "gradient_norms", "coherence"] {
        let [known, unknown] = [&known, &unknown].map(|analysed| analysed.table(name));
        assert!(!known.rows(&[("estimator", "population")]).is_empty());
        let column = known.0.columns().position(|column| column == "estimator").unwrap();
        let mut without = known.all(&[]);
        without.retain(|row| row[column] != "population");
        assert!(without == unknown.all(&[]), "{name}");
    }
    assert_same(&known, &unknown, &["contributions", "null", "tests", "cross_terms", "groups"]);
    assert_eq!(unknown.table("runs").text("parameter_count", 0), "null");
    // The same if nothing else is asked for.
    assert_eq!(study.analysed(&only(&["population"])).table("shares").len(), 0);
}

#[test]
fn groups_have_shares_means_and_tests_by_estimator() {
    let run = run();
    let group_by = Some(GroupBy::from("original-label"));
    let analysed = analysed(std::slice::from_ref(&run), &Options { group_by, ..defaults() });
    let (groups, original) = (analysed.table("groups"), column(&run, "original_label"));
    assert_eq!(groups.len(), 4);
    let (shares, cumulative) = (analysed.table("shares"), analysed.table("cumulative"));
    for group in 0..4_u8 {
        let name = group.to_string();
        let row = groups.row(&[("group", &name)]);
        assert_eq!(groups.text("order", row), name);
        let all = original.iter().filter(|label| **label == name).count();
        let sampled = run.sampled.iter().filter(|&&id| original[id as usize] == name).count();
        assert_eq!(
            ["examples", "sampled"].map(|column| groups.text(column, row)),
            [all.to_string(), sampled.to_string()]
        );
        // Exact: at step 9, past the gap, there is a share and no mean.
        let layers = &run.population[3].1;
        let s: Vec<f64> = layers[0].0.iter().zip(&layers[1].0).map(|(a, b)| a + b).collect();
        let flags: Vec<bool> = original.iter().map(|label| *label == name).collect();
        let at = |estimator, world, step| {
            [("estimator", estimator), ("world", world), ("step", step), ("group", name.as_str())]
        };
        let share = shares.value("share", &at("exact", "0", "9"));
        assert_close(share.unwrap(), group_sum(&s, &flags, true) / s.iter().sum::<f64>(), 1e-9);
        assert_eq!(cumulative.rows(&at("exact", "0", "9")).len(), 0);
        assert!(cumulative.value("cumulative", &at("paper", "1", "3")).is_some());
    }
    // Two worlds of two estimators, and the population as it is estimated.
    assert_eq!(shares.len(), 4 * (2 * (7 + 4) + 7));
    let tests = analysed.table("tests");
    // Of groups: shares, at once, crossovers; of pairs: mean shares, differences, each at once, and the first ten steps.
    assert_eq!(tests.len(), 2 * ((4 + 1) + 4 + (6 + 1) + (6 + 1) + 6));
    let pairs = tests.rows(&[("estimator", "exact"), ("statistic", "difference")]);
    let name = |row: usize| ["group_a", "group_b"].map(|column| tests.text(column, row));
    assert_eq!([name(pairs[0]), name(pairs[5]), name(pairs[6])], [["0", "1"], ["2", "3"], ["null", "null"]]);
    assert!(pairs[..6].iter().all(|&row| tests.number("p_holm", row) >= tests.number("p", row)));
}

#[test]
fn groups_of_a_file_are_those_of_the_same_grouping() {
    let run = run();
    let study = Study::new(std::slice::from_ref(&run));
    let by_label = study.analysed(&Options { group_by: Some("label".into()), ..defaults() });
    let file = study.path().join("labels.csv");
    let lines: String = column(&run, "label").iter().enumerate().map(|(id, label)| format!("{id},{label}\n")).collect();
    fs::write(&file, format!("example_id,group\n{lines}")).unwrap();
    let by_file = study.analysed(&Options { group_by: Some(GroupBy::File(file.clone())), ..defaults() });
    assert_same(&by_label, &by_file, &TABLES);
    assert_same(&by_label, &by_file, &["groups", "cross_terms", "over_seeds"]);
    let summary = by_file.summary();
    assert_eq!(
        (summary.options.group_by.as_deref(), summary.grouping.by.as_str()),
        (file.to_str(), file.to_str().unwrap())
    );
}

/// A file of groups, easy and hard, of these examples.
fn file_of(directory: &TempDir, ids: impl IntoIterator<Item = u32>) -> GroupBy {
    let file = directory.path().join("groups.csv");
    let lines: String = ids.into_iter().map(|id| format!("{id},{}\n", ["easy", "hard"][id as usize % 2])).collect();
    fs::write(&file, format!("example_id,group\n{lines}")).unwrap();
    GroupBy::File(file)
}

#[test]
fn a_file_of_groups_needs_the_analysed_examples_only() {
    let (run, directory) = (run(), TempDir::new().unwrap());
    let options = Options { group_by: Some(file_of(&directory, run.sampled.clone())), ..defaults() };
    let error = Study::new(std::slice::from_ref(&run)).error(&options).to_string();
    assert!(error.contains("no group for example 0"), "{error}");
    let sample_only = Synthetic { population: vec![], ..run };
    let groups = analysed(std::slice::from_ref(&sample_only), &options).table("groups");
    assert_eq!(groups.texts("group", &[]), ["easy", "hard"]);
    assert_eq!(groups.texts("examples", &[]), groups.texts("sampled", &[]), "as many as it names");
    // Analysed are both, the sampled ones and those of the population.
    let ids: Vec<u32> = (1..15).collect();
    let subset = Synthetic { population_ids: Some(ids.clone()), ..sample_only }.with_population(&[0]);
    let study = Study::new(&[subset]);
    let error = study.error(&Options { group_by: Some(file_of(&directory, ids)), ..defaults() }).to_string();
    assert!(error.contains("no group for example 15"), "{error}");
    study.analysed(&Options { group_by: Some(file_of(&directory, 1..22)), ..defaults() });
}

#[test]
fn what_a_run_has_not_is_an_error_that_says_what_it_has() {
    let study = Study::new(&[run()]);
    let error = |change: &dyn Fn(&mut Options)| {
        let mut options = defaults();
        change(&mut options);
        study.error(&options).to_string()
    };
    let layers = error(&|options| options.layers = Some(vec!["0".into(), "7".into()]));
    assert!(layers.contains("has no layer `7`: its layers are layer.0, layer.1"), "{layers}");
    let steps = error(&|options| options.steps = Some("6..9".parse().unwrap()));
    assert!(steps.contains("none of its recorded steps, 0 to 12, is in 6..9"), "{steps}");
    let examples = error(&|options| options.examples = Some("100..".parse().unwrap()));
    assert!(examples.contains("none of its 18 sampled examples is in 100.."), "{examples}");
    let nowhere = error(&|options| options.group_by = Some(GroupBy::File("nowhere.csv".into())));
    assert!(nowhere.contains("nowhere.csv"), "{nowhere}");
}

#[test]
fn a_file_that_does_not_fit_the_run_is_an_error_that_names_it() {
    let (study, directory) = (Study::new(&[run()]), TempDir::new().unwrap());
    let file = directory.path().join("groups.csv");
    let message = |lines: String| {
        fs::write(&file, "example_id,group\n".to_string() + &lines).unwrap();
        let options = Options { group_by: Some(GroupBy::File(file.clone())), ..defaults() };
        let message = study.error(&options).to_string();
        assert!(message.contains("groups.csv"), "{message}");
        message
    };
    let all = |group: &dyn Fn(usize) -> usize| (0..22).map(|id| format!("{id},{}\n", group(id))).collect::<String>();
    assert!(message(all(&|_| 0) + "22,0\n").contains("names example 22, but run"));
    assert!(message(all(&|_| 0) + "3,1\n").contains("names example 3 twice"));
    assert!(message(all(&|_| 0).replace("\n7,0", "")).contains("no group for example 7"));
    assert!(message(String::new()).contains("names no example"));
    let too_many = (0..101).map(|id| format!("{id},{id}\n")).collect::<String>();
    assert!(message(too_many).contains("101 groups, which are too many"));
    fs::write(&file, "example_id\n22\n").unwrap();
    let options = Options { examples: Some(file.to_str().unwrap().parse().unwrap()), ..defaults() };
    assert!(matches!(study.error(&options), AnalysisError::ExampleFile { .. }));
}

#[test]
fn more_examples_than_can_be_compared_in_pairs_are_refused_before_they_are() {
    let n = 60_000;
    let study = Study::new(&[Synthetic::new(&vec![true; n], 1, &[0], 1)]);
    let error = study.error(&defaults()).to_string();
    assert!(error.contains("n = 60000 sampled examples") && error.contains("--examples 0..10000"), "{error}");
    // Statistics of no pairs need no n² numbers.
    let shares = Options { statistics: Some(vec!["gradient_norm".to_string()]), ..defaults() };
    assert!(study.analysed(&shares).has("gradient_norms"));
}
