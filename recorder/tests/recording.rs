//! Small studies recorded on the embedded digits, read back with `cograd-trace`.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};

use cograd_recorder::{
    Experiment, NetworkKind, Observer, Options, RecordError, RunOutcome, RunStart, data, record, record_with,
};
use cograd_trace::{
    Condition, Conditions, ExampleColumn, Metric, Parameter, PopulationLayer, PopulationStep, Run, Study,
};
use common::{Impatient, Silent, files};

const SMALL: &str = r#"
name = "small"
[data]
source = "digits"
[network]
hidden = [16, 12]
[training]
batch = 64
steps = 60
[grid]
noise = [0.0, 0.5]
seeds = [1, 2]
[sample]
examples = 30
weights_per_layer = 20
[schedule.gradients]
every_step_until = 3
per_decade = 4
[schedule.evaluations]
every_step_until = 2
per_decade = 3
[schedule.snapshots]
every_step_until = 0
per_decade = 1
[schedule.population]
every_step_until = 1
per_decade = 2
"#;

fn small() -> Experiment {
    Experiment::parse(SMALL, "small.toml").unwrap()
}

fn run(study: &Path, id: &str) -> Run {
    Run::open(&study.join("runs").join(id)).unwrap()
}

/// Weights and biases of one layer.
#[derive(Debug, PartialEq)]
struct LayerWeights {
    fan_in: usize,
    fan_out: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

fn weights(run: &Run, step: i64) -> Vec<LayerWeights> {
    let tensors = run.weights(step).unwrap();
    let layers = tensors.chunks_exact(2).enumerate().map(|(layer, pair)| {
        assert_eq!((&pair[0].name, &pair[1].name), (&format!("layer.{layer}.weight"), &format!("layer.{layer}.bias")));
        let (weight, bias) = (pair[0].values.clone(), pair[1].values.clone());
        LayerWeights { fan_in: pair[0].shape[1], fan_out: pair[0].shape[0], weight, bias }
    });
    layers.collect()
}

/// A column of integers of the training examples.
fn column(run: &Run, name: &str) -> Vec<Option<i64>> {
    match run.example_column(name).unwrap() {
        Some(ExampleColumn::Integers(values)) => values,
        other => panic!("{name}: {other:?}"),
    }
}

/// The labels that a run trains on.
fn labels(run: &Run) -> Vec<u8> {
    column(run, "label").into_iter().map(|label| u8::try_from(label.unwrap()).unwrap()).collect()
}

fn pristine(run: &Run) -> Vec<bool> {
    match run.example_column("pristine").unwrap() {
        Some(ExampleColumn::Booleans(values)) => values.into_iter().map(Option::unwrap).collect(),
        other => panic!("{other:?}"),
    }
}

/// The rows of a metric of a set, by step.
fn rows<'a>(metrics: &'a [Metric], set: (&str, &str), metric: &str) -> Vec<&'a Metric> {
    metrics.iter().filter(|row| (row.split.as_str(), row.group.as_str()) == set && row.metric == metric).collect()
}

fn value(metrics: &[Metric], step: i64, set: (&str, &str), metric: &str) -> f64 {
    rows(metrics, set, metric).into_iter().find(|row| row.step == step).unwrap().value
}

fn steps_of(metrics: &[Metric], set: (&str, &str)) -> Vec<i64> {
    rows(metrics, set, "loss").iter().map(|row| row.step).collect()
}

/// Activations of every layer for one input, the input first, the logits last.
fn activations(layers: &[LayerWeights], input: Vec<f64>) -> Vec<Vec<f64>> {
    let mut activations = vec![input];
    for (index, layer) in layers.iter().enumerate() {
        let below = &activations[index];
        let outputs = (0..layer.fan_out).map(|row| {
            let weights = &layer.weight[row * layer.fan_in..][..layer.fan_in];
            let sum =
                f64::from(layer.bias[row]) + weights.iter().zip(below).map(|(&w, a)| f64::from(w) * a).sum::<f64>();
            if index + 1 < layers.len() { sum.max(0.0) } else { sum }
        });
        let outputs = outputs.collect();
        activations.push(outputs);
    }
    activations
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::MIN, f64::max);
    let exponentials: Vec<f64> = logits.iter().map(|z| (z - largest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|e| e / sum).collect()
}

/// Output deltas of every layer for one example, by the chain rule.
fn deltas(layers: &[LayerWeights], activations: &[Vec<f64>], label: u8) -> Vec<Vec<f64>> {
    let mut delta = softmax(&activations[layers.len()]);
    delta[usize::from(label)] -= 1.0;
    let mut deltas = vec![delta];
    for index in (1..layers.len()).rev() {
        let (layer, above) = (&layers[index], &deltas[0]);
        let below = (0..layer.fan_in).map(|column| {
            let sum: f64 =
                (0..layer.fan_out).map(|row| f64::from(layer.weight[row * layer.fan_in + column]) * above[row]).sum();
            if activations[index][column] > 0.0 { sum } else { 0.0 }
        });
        let below = below.collect();
        deltas.insert(0, below);
    }
    deltas
}

fn input(set: &data::Examples, example: u32) -> Vec<f64> {
    let pixels = &set.pixels()[example as usize * set.width()..][..set.width()];
    // The largest pixel of the embedded digits.
    pixels.iter().map(|&pixel| f64::from(pixel) / 16.0).collect()
}

#[test]
fn recorded_gradients_are_those_of_the_snapshots() {
    let study = tempfile::tempdir().unwrap();
    let experiment = small();
    record(&experiment, study.path(), &Silent).unwrap();
    let data = data::load(&experiment.data).unwrap();
    let run = run(study.path(), "sgd_noise-0.5_seed-2");
    let (labels, coordinates) = (labels(&run), run.coordinates().unwrap());
    assert_eq!(run.snapshots(), [0, 1, 10, 60]);

    let recorded = run.map_steps(|step| (step.step, step.example_ids.to_vec(), step.values.to_vec())).unwrap();
    for (step, ids, values) in recorded.iter().filter(|(step, ..)| run.snapshots().contains(step)) {
        let layers = weights(&run, *step);
        for (row, &id) in ids.iter().enumerate() {
            let activations = activations(&layers, input(&data.train, id));
            let deltas = deltas(&layers, &activations, labels[id as usize]);
            for (place, at) in coordinates.iter().enumerate() {
                let layer = at.parameter as usize / 2;
                let (unit, below) =
                    (at.index as usize / layers[layer].fan_in, at.index as usize % layers[layer].fan_in);
                let expected = deltas[layer][unit] * activations[layer][below];
                let found = f64::from(values[row * coordinates.len() + place]);
                assert!((found - expected).abs() < 1e-5, "step {step} example {id} {at:?}: {found} {expected}");
            }
        }
    }
}

#[test]
fn the_population_is_that_of_gradients_materialised_from_the_snapshots() {
    let study = tempfile::tempdir().unwrap();
    let experiment = small();
    record(&experiment, study.path(), &Silent).unwrap();
    let data = data::load(&experiment.data).unwrap();
    let run = run(study.path(), "sgd_noise-0.5_seed-2");
    let labels = labels(&run);
    assert_eq!(run.population_steps(), [0, 1, 3, 10, 32]);

    let read = |step: &PopulationStep<'_>, layer: usize| {
        let PopulationLayer { contributions, self_terms } = step.layers[layer];
        (contributions.to_vec(), self_terms.unwrap().to_vec())
    };
    let recorded = run.map_population(|step| (step.step, [0, 1, 2].map(|layer| read(&step, layer)))).unwrap();
    for (step, recorded) in recorded.iter().filter(|(step, _)| run.snapshots().contains(step)) {
        let layers = weights(&run, *step);
        let trails = (0..).zip(&labels).map(|(example, label)| {
            let activations = activations(&layers, input(&data.train, example));
            let deltas = deltas(&layers, &activations, *label);
            (activations, deltas)
        });
        let trails: Vec<_> = trails.collect();
        for (layer, (contributions, self_terms)) in recorded.iter().enumerate() {
            // Each example's gradient of the layer: the weights row by row, then the biases.
            let gradient = |(activations, deltas): &(Vec<Vec<f64>>, Vec<Vec<f64>>)| -> Vec<f64> {
                let weights = deltas[layer].iter().flat_map(|delta| activations[layer].iter().map(move |a| delta * a));
                weights.chain(deltas[layer].iter().copied()).collect()
            };
            let gradients: Vec<Vec<f64>> = trails.iter().map(gradient).collect();
            let sum = |place: usize| gradients.iter().map(|gradient| gradient[place]).sum();
            let full: Vec<f64> = (0..gradients[0].len()).map(sum).collect();
            let dot = |left: &[f64], right: &[f64]| left.iter().zip(right).map(|(l, r)| l * r).sum::<f64>();
            let (norm, mut total) = (dot(&full, &full), 0.0);
            for (i, gradient) in gradients.iter().enumerate() {
                let (s, q) = (dot(gradient, &full), dot(gradient, gradient));
                assert!((contributions[i] - s).abs() <= 1e-5 * (q * norm).sqrt(), "{step} {layer} {i}: {s}");
                assert!((self_terms[i] - q).abs() <= 1e-5 * q + 1e-12, "{step} {layer} {i}: {q}");
                total += contributions[i];
            }
            let recorded = run.gradient_norms().unwrap();
            let recorded = recorded.iter().find(|row| (row.step, row.layer as usize) == (*step, layer)).unwrap();
            assert!((recorded.gradient_norm_sq / norm - 1.0).abs() < 1e-5, "{step} {layer}: {norm}");
            assert!((recorded.gradient_norm_sq / total - 1.0).abs() < 1e-6, "{step} {layer}: {total}");
        }
    }
}

#[test]
fn totals_are_the_sums_over_the_layers_and_inputs_those_of_the_sample() {
    let study = tempfile::tempdir().unwrap();
    let experiment = small();
    record(&experiment, study.path(), &Silent).unwrap();
    let run = run(study.path(), "sgd_noise-0_seed-1");
    let summed = run.map_population(|step| {
        let sums = |of: fn(&PopulationLayer<'_>) -> f64| step.layers.iter().map(of).sum::<f64>();
        let (last, self_terms) = (step.contributions.len() - 1, step.self_terms.unwrap());
        assert_eq!((step.contributions.len(), self_terms.len(), step.layers.len()), (1500, 1500, 3));
        assert_eq!(step.example_ids.len(), 1500);
        assert_eq!(step.contributions[0], sums(|layer| layer.contributions[0]));
        assert_eq!(self_terms[last], sums(|layer| layer.self_terms.unwrap()[1499]));
    });
    assert_eq!(summed.unwrap().len(), 5);

    let data = data::load(&experiment.data).unwrap();
    let inputs = run.inputs().unwrap().unwrap();
    assert_eq!((inputs.len(), inputs[0].name.as_str(), &inputs[0].shape[..]), (1, "input", &[30, 64][..]));
    for (example, input) in run.examples().unwrap().sampled_ids().into_iter().zip(inputs[0].values.chunks(64)) {
        let expected = self::input(&data.train, example);
        assert_eq!(input.iter().map(|&value| f64::from(value)).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn without_a_schedule_no_population_is_recorded() {
    let study = tempfile::tempdir().unwrap();
    let (text, _) = SMALL.split_once("[schedule.population]").unwrap();
    record(&Experiment::parse(text, "small.toml").unwrap(), study.path(), &Silent).unwrap();
    let run = run(study.path(), "sgd_noise-0_seed-1");
    assert!(run.population_steps().is_empty() && !run.directory().join("population").exists());
    assert!(!fs::read_to_string(study.path().join("study.toml")).unwrap().contains("population"));
}

#[test]
fn metrics_are_means_over_the_subsets_at_the_weights_of_their_step() {
    let study = tempfile::tempdir().unwrap();
    let experiment = small();
    record(&experiment, study.path(), &Silent).unwrap();
    let data = data::load(&experiment.data).unwrap();
    let run = run(study.path(), "sgd_noise-0.5_seed-1");
    let (labels, pristine, metrics) = (labels(&run), pristine(&run), run.metrics().unwrap());

    for step in [0, 1, 10, 60] {
        let layers = weights(&run, step);
        let outcome = |set: &data::Examples, row: usize, label: u8| {
            let probabilities = softmax(&activations(&layers, input(set, row as u32))[layers.len()]);
            let best = (0..10).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).unwrap();
            (-probabilities[usize::from(label)].ln(), best == usize::from(label))
        };
        let check = |set, outcomes: Vec<(f64, bool)>| {
            let count = outcomes.len() as f64;
            let loss = outcomes.iter().map(|outcome| outcome.0).sum::<f64>() / count;
            let accuracy = outcomes.iter().filter(|outcome| outcome.1).count() as f64 / count;
            for (name, expected, tolerance) in [("loss", loss, 1e-5), ("accuracy", accuracy, 1e-3)] {
                let found = rows(&metrics, set, name).into_iter().find(|row| row.step == step).unwrap();
                assert_eq!(found.examples as usize, outcomes.len());
                assert!((found.value - expected).abs() < tolerance, "{found:?} {expected}");
            }
        };
        let train = |belongs: &dyn Fn(bool) -> bool| {
            let rows = (0..labels.len()).filter(|row| belongs(pristine[*row]));
            rows.map(|row| outcome(&data.train, row, labels[row])).collect()
        };
        check(("train", "all"), train(&|_| true));
        check(("train", "pristine"), train(&|pristine| pristine));
        check(("train", "corrupt"), train(&|pristine| !pristine));
        let test = data.test.labels.iter().enumerate().map(|(row, &label)| outcome(&data.test, row, label)).collect();
        check(("test", "all"), test);
        // The accuracy of the same answers, each with every training label once.
        let answers =
            (0..data.test.labels.len()).map(|row| (0..10).position(|class| outcome(&data.test, row, class).1));
        let answers: Vec<usize> = answers.map(Option::unwrap).collect();
        let right = |answer: &usize| labels.iter().filter(|label| usize::from(**label) == *answer).count();
        let chance = answers.iter().map(right).sum::<usize>() as f64 / (labels.len() * answers.len()) as f64;
        assert!((value(&metrics, step, ("test", "all"), "chance") - chance).abs() < 1e-3, "step {step}");
    }
}

#[test]
fn a_study_holds_its_grid_and_every_run_what_its_manifest_says() {
    let study = tempfile::tempdir().unwrap();
    let outcomes = record(&small(), study.path(), &Silent).unwrap();
    assert_eq!(outcomes.len(), 4);

    let read = Study::open(study.path()).unwrap();
    assert_eq!(read.experiment_toml().unwrap(), small().to_toml().unwrap());
    let ids: Vec<_> = read.runs().iter().map(|run| run.manifest().run.as_str()).collect();
    assert_eq!(ids, ["sgd_noise-0_seed-1", "sgd_noise-0_seed-2", "sgd_noise-0.5_seed-1", "sgd_noise-0.5_seed-2"]);
    for (run, outcome) in read.runs().iter().zip(&outcomes) {
        run.verify().unwrap();
        let manifest = run.manifest();
        assert_eq!(run.network_widths().unwrap(), Some(vec![64, 16, 12, 10]));
        assert_eq!((manifest.train_examples, manifest.sampled_examples, manifest.coordinates), (1500, 30, 60));
        assert_eq!(manifest.recorded_steps, [0, 1, 2, 3, 6, 10, 18, 32, 56]);
        assert_eq!((&outcome.run, outcome.recorded_steps, outcome.already_there), (&manifest.run, 9, false));
        assert_eq!(outcome.bytes, manifest.files.values().map(|file| file.bytes).sum::<u64>());
    }
}

#[test]
fn examples_say_who_is_pristine_sampled_and_when_each_was_learned() {
    let study = tempfile::tempdir().unwrap();
    record(&small(), study.path(), &Silent).unwrap();
    let run = run(study.path(), "sgd_noise-0.5_seed-1");
    let (learned, metrics) = (column(&run, "learned_step"), run.metrics().unwrap());
    assert_eq!(run.examples().unwrap().sampled_ids().len(), 30);
    let (labels, original) = (column(&run, "label"), column(&run, "original_label"));
    assert!(pristine(&run).into_iter().eq(labels.iter().zip(original).map(|(label, original)| *label == original)));

    let evaluated = steps_of(&metrics, ("test", "all"));
    assert_eq!(evaluated, [0, 1, 2, 5, 10, 22, 46, 60]);
    assert!(learned.iter().flatten().all(|step| evaluated.contains(step)));
    // What is right at step 0 is learned at step 0, and nothing else.
    let at_start = learned.iter().filter(|step| **step == Some(0)).count() as f64;
    assert_eq!(at_start / 1500.0, value(&metrics, 0, ("train", "all"), "accuracy"));
}

#[test]
fn the_manifest_says_conditions_and_task_and_the_parameters_their_shapes() {
    let study = tempfile::tempdir().unwrap();
    let rules = r#"{ name = "winsorized", percent = 2 }, { name = "median-of-means" },
        { name = "norm-clipped", norm = 1, noise = 0.5 }, { name = "rolling-median" }, { name = "sgd" }"#;
    record(&with_rules(&rules.replace('\n', "")), study.path(), &Silent).unwrap();
    let study = Study::open(study.path()).unwrap();
    let mut expected = [
        Conditions::new(Some(1)).with("rule", "winsorized").with("winsorization", 2.0),
        Conditions::new(Some(1)).with("rule", "median-of-means").with("groups", 3),
        Conditions::new(Some(1)).with("rule", "norm-clipped").with("norm", 1.0).with("sigma", 0.5),
        Conditions::new(Some(1)).with("rule", "rolling-median"),
        Conditions::new(Some(1)).with("rule", "sgd"),
    ]
    .map(|conditions| conditions.with("noise", 0.0));
    expected.sort_by(Conditions::compare);
    let found: Vec<&Conditions> = study.runs().iter().map(|run| &run.manifest().conditions).collect();
    assert_eq!(found, expected.iter().collect::<Vec<_>>());
    // Settings that are not whole by nature are numbers in every run.
    assert!(found.iter().all(|conditions| matches!(conditions.get("noise"), Some(Condition::Number(_)))));

    let run = &study.runs()[0];
    let task = &run.manifest().task;
    let texts = [&task.loss, &task.mode, &task.dtype, &task.network].map(|text| text.as_deref().unwrap());
    assert_eq!((texts, task.classes), (["cross-entropy", "train", "float32", "mlp"], Some(10)));
    let shapes: [(&str, &[u64]); 6] = [
        ("layer.0.weight", &[16, 64]),
        ("layer.0.bias", &[16]),
        ("layer.1.weight", &[12, 16]),
        ("layer.1.bias", &[12]),
        ("layer.2.weight", &[10, 12]),
        ("layer.2.bias", &[10]),
    ];
    let parameters = shapes.map(|(name, shape)| Parameter::new(name, shape, Some("linear")));
    assert_eq!(run.parameters().unwrap(), parameters);
    let layers: Vec<(String, Option<u64>)> =
        run.layers().unwrap().into_iter().map(|layer| (layer.name, layer.size)).collect();
    let named = |layer: usize, size| (format!("layer.{layer}"), Some(size));
    assert_eq!(layers, [named(0, 65 * 16), named(1, 17 * 12), named(2, 13 * 10)]);
}

#[test]
fn without_noise_there_are_no_corrupt_rows() {
    let study = tempfile::tempdir().unwrap();
    record(&small(), study.path(), &Silent).unwrap();
    let run = run(study.path(), "sgd_noise-0_seed-1");
    assert!(pristine(&run).into_iter().all(|pristine| pristine));
    let metrics = run.metrics().unwrap();
    assert!(steps_of(&metrics, ("train", "corrupt")).is_empty());
    assert_eq!(steps_of(&metrics, ("train", "pristine")), steps_of(&metrics, ("train", "all")));
}

#[test]
fn runs_that_differ_in_noise_alone_share_weights_examples_and_coordinates() {
    let study = tempfile::tempdir().unwrap();
    record(&small(), study.path(), &Silent).unwrap();
    let (clean, noisy) = (run(study.path(), "sgd_noise-0_seed-1"), run(study.path(), "sgd_noise-0.5_seed-1"));
    assert_eq!(weights(&clean, 0), weights(&noisy, 0));
    assert_ne!(weights(&clean, 1), weights(&noisy, 1));
    assert_eq!(clean.coordinates().unwrap(), noisy.coordinates().unwrap());
    let sampled = |run: &Run| run.examples().unwrap().sampled;
    assert_eq!(sampled(&clean), sampled(&noisy));

    let other_seed = run(study.path(), "sgd_noise-0_seed-2");
    assert_ne!(weights(&clean, 0), weights(&other_seed, 0));
    assert_ne!(sampled(&clean), sampled(&other_seed));
}

#[test]
fn the_files_are_the_same_bytes_for_every_number_of_threads() {
    let recorded: Vec<_> = [1, 2, 3]
        .map(|threads| {
            let study = tempfile::tempdir().unwrap();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| drop(record(&small(), study.path(), &Silent).unwrap()));
            files(study.path())
        })
        .into();
    assert!(recorded[0].len() > 4 * 5);
    for files in &recorded[1..] {
        assert_eq!(recorded[0].keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>());
        for (path, bytes) in files {
            assert!(recorded[0][path] == *bytes, "{path} differs");
        }
    }
}

#[test]
fn finished_runs_are_kept_and_the_missing_ones_recorded() {
    let study = tempfile::tempdir().unwrap();
    record(&small(), study.path(), &Silent).unwrap();
    let before = files(study.path());
    fs::remove_dir_all(study.path().join("runs/sgd_noise-0.5_seed-1")).unwrap();

    let outcomes = record(&small(), study.path(), &Silent).unwrap();
    let there: Vec<bool> = outcomes.iter().map(|outcome| outcome.already_there).collect();
    assert_eq!(there, [true, true, false, true]);
    assert!(files(study.path()) == before);
}

#[test]
fn another_study_is_never_overwritten() {
    let study = tempfile::tempdir().unwrap();
    record(&small(), study.path(), &Silent).unwrap();
    let before = files(study.path());
    let other = Experiment::parse(&SMALL.replace("steps = 60", "steps = 61"), "other.toml").unwrap();
    let error = record(&other, study.path(), &Silent).unwrap_err();
    assert!(matches!(error, RecordError::AnotherStudy { .. }), "{error}");
    assert!(error.to_string().contains("`steps = 60` where this one has `steps = 61`"), "{error}");
    assert!(files(study.path()) == before);
}

#[test]
fn a_directory_with_other_content_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.tex"), "precious").unwrap();
    let error = record(&small(), directory.path(), &Silent).unwrap_err();
    assert!(matches!(error, RecordError::NotAStudy { .. }), "{error}");
    assert_eq!(files(directory.path()).len(), 1);

    let file = directory.path().join("thesis.tex");
    let error = record(&small(), &file, &Silent).unwrap_err();
    assert!(error.to_string().contains("thesis.tex"), "{error}");
}

#[test]
fn a_run_with_a_broken_manifest_is_named_and_kept() {
    let study = tempfile::tempdir().unwrap();
    record(&small(), study.path(), &Silent).unwrap();
    let manifest = study.path().join("runs/sgd_noise-0_seed-2/manifest.json");
    fs::write(&manifest, "{").unwrap();
    let error = record(&small(), study.path(), &Silent).unwrap_err();
    assert!(matches!(error, RecordError::BrokenRun { .. }), "{error}");
    assert!(error.to_string().contains("sgd_noise-0_seed-2"), "{error}");
    assert_eq!(fs::read_to_string(&manifest).unwrap(), "{");
}

#[test]
fn a_diverging_run_names_run_and_step_and_leaves_no_run() {
    let study = tempfile::tempdir().unwrap();
    let text = SMALL.replace("batch = 64", "batch = 64\nlearning_rate = 1e30");
    let experiment = Experiment::parse(&text, "wild.toml").unwrap();
    let error = record(&experiment, study.path(), &Silent).unwrap_err();
    assert!(matches!(&error, RecordError::Diverged { .. }), "{error}");
    assert!(error.to_string().contains("learning_rate"), "{error}");
    assert!(!study.path().join("runs/sgd_noise-0_seed-1").exists());
    assert!(Study::open(study.path()).is_err());
}

#[test]
fn settings_that_do_not_fit_the_data_leave_nothing_behind() {
    let parent = tempfile::tempdir().unwrap();
    let study = parent.path().join("study");
    let text = SMALL.replace("examples = 30", "examples = 1501");
    let experiment = Experiment::parse(&text, "large.toml").unwrap();
    assert!(matches!(record(&experiment, &study, &Silent), Err(RecordError::Experiment(_))));
    assert!(!study.exists());
}

#[test]
fn the_full_batch_and_a_linear_classifier_can_be_recorded() {
    let study = tempfile::tempdir().unwrap();
    let text = SMALL.replace("hidden = [16, 12]", "hidden = []").replace("batch = 64", "batch = \"full\"");
    record(&Experiment::parse(&text, "full.toml").unwrap(), study.path(), &Silent).unwrap();
    let run = run(study.path(), "sgd_noise-0_seed-1");
    assert_eq!(run.network_widths().unwrap(), Some(vec![64, 10]));
    let metrics = run.metrics().unwrap();
    let losses: Vec<f64> = rows(&metrics, ("train", "all"), "loss").iter().map(|row| row.value).collect();
    // A convex loss under full-batch descent with a small step only falls.
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");
}

/// SMALL without noise, with these rules.
fn with_rules(rules: &str) -> Experiment {
    let grid = format!("noise = [0.0]\nrules = [{rules}]");
    let text = SMALL.replace("noise = [0.0, 0.5]", &grid).replace("seeds = [1, 2]", "seeds = [1]");
    Experiment::parse(&text, "rules.toml").unwrap()
}

#[test]
fn winsorizing_nothing_is_sgd_bit_by_bit_over_a_whole_run() {
    let study = tempfile::tempdir().unwrap();
    // One percent of 64 examples is less than one of them.
    let rules = r#"{ name = "sgd" }, { name = "winsorized", percent = 0 }, { name = "winsorized", percent = 1 }"#;
    record(&with_rules(rules), study.path(), &Silent).unwrap();
    let sgd = run(study.path(), "sgd_noise-0_seed-1");
    for level in [0.0, 1.0] {
        let winsorized = run(study.path(), &format!("winsorized-{level}_noise-0_seed-1"));
        assert_eq!(winsorized.manifest().conditions.number("winsorization"), Some(level));
        for step in sgd.snapshots() {
            let file = format!("weights/step-{step:08}.safetensors");
            let bytes = |run: &Run| fs::read(run.directory().join(&file)).unwrap();
            assert!(bytes(&winsorized) == bytes(&sgd), "{file}");
        }
        assert_eq!(winsorized.metrics().unwrap(), sgd.metrics().unwrap());
    }
}

#[test]
fn runs_go_rule_by_rule_and_every_rule_learns_in_its_own_way() {
    let study = tempfile::tempdir().unwrap();
    let rules = r#"{ name = "rolling-median" }, { name = "winsorized", percent = 4 }, { name = "median-of-means" },
        { name = "norm-clipped", norm = 1.0 }, { name = "norm-clipped", norm = 1.0, noise = 0.1 }, { name = "sgd" }"#;
    let rules = rules.replace('\n', "");
    let outcomes = record(&with_rules(&rules), study.path(), &Silent).unwrap();
    let runs: Vec<_> = outcomes.iter().map(|outcome| outcome.run.as_str()).collect();
    let labels =
        ["rolling-median", "winsorized-4", "median-of-means-3", "norm-clipped-1", "norm-clipped-1-noise-0.1", "sgd"];
    assert_eq!(runs, labels.map(|label| format!("{label}_noise-0_seed-1")));
    let mut last = vec![];
    for id in runs {
        let metrics = run(study.path(), id).metrics().unwrap();
        let loss = |step: i64| value(&metrics, step, ("train", "all"), "loss");
        assert!(loss(60) < 0.95 * loss(0), "{id}: {} to {}", loss(0), loss(60));
        assert!(!last.contains(&loss(60)), "{id}");
        last.push(loss(60));
    }
}

#[derive(Default)]
struct Listener {
    heard: Mutex<Vec<String>>,
}

impl Observer for Listener {
    fn run_started(&self, start: &RunStart<'_>) {
        let RunStart { run, index, runs, steps, from, discarded, .. } = start;
        assert_eq!((*from, *discarded), (0, None));
        self.heard.lock().unwrap().push(format!("{run} {index}/{runs} {steps}"));
    }
    fn step(&self, _: &str, step: u64) {
        if step == 1 || step == 60 {
            self.heard.lock().unwrap().push(step.to_string());
        }
    }
    fn run_finished(&self, outcome: &RunOutcome) {
        self.heard.lock().unwrap().push(format!("{} there: {}", outcome.run, outcome.already_there));
    }
}

#[test]
fn an_observer_hears_every_run_and_step() {
    let study = tempfile::tempdir().unwrap();
    let text = SMALL.replace("noise = [0.0, 0.5]", "noise = [0.5]").replace("seeds = [1, 2]", "seeds = [3]");
    let experiment = Experiment::parse(&text, "one.toml").unwrap();
    let listener = Listener::default();
    record(&experiment, study.path(), &listener).unwrap();
    record(&experiment, study.path(), &listener).unwrap();
    let heard = listener.heard.into_inner().unwrap();
    let id = "sgd_noise-0.5_seed-3";
    let expected =
        [format!("{id} 0/1 60"), "1".into(), "60".into(), format!("{id} there: false"), format!("{id} there: true")];
    assert_eq!(heard, expected);
}

/// SMALL with every rule, and this in its section `[training]`.
fn all_rules(training: &str) -> Experiment {
    let rules = r#"{ name = "sgd" }, { name = "winsorized", percent = 4 }, { name = "median-of-means" },
        { name = "rolling-median" }, { name = "norm-clipped", norm = 1.0, noise = 0.1 }"#;
    let text = with_rules(&rules.replace('\n', "")).to_toml().unwrap();
    Experiment::parse(&text.replace("steps = 60", &format!("steps = 24\n{training}")), "all.toml").unwrap()
}

#[test]
fn every_rule_with_every_optimizer_and_schedule_goes_on_as_if_it_had_never_stopped() {
    let trainings = [
        r#"optimizer = { name = "sgd", weight_decay = 0.001 }"#,
        r#"optimizer = { name = "momentum" }
           schedule = { name = "cosine", warm_up = 5 }"#,
        r#"optimizer = { name = "momentum", nesterov = true }
           schedule = { name = "steps", milestones = [7, 15] }"#,
        r#"optimizer = { name = "adam" }"#,
        r#"optimizer = { name = "adamw" }
           schedule = { name = "constant", warm_up = 3 }"#,
    ];
    let mut last = vec![];
    for training in trainings {
        let experiment = all_rules(training);
        let [whole, stopped] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        for outcome in record(&experiment, whole.path(), &Silent).unwrap() {
            last.push(value(&run(whole.path(), &outcome.run).metrics().unwrap(), 24, ("train", "all"), "loss"));
        }
        let mut stops = 0;
        loop {
            let impatient = Impatient { left: AtomicU64::new(11), stop: AtomicBool::new(false) };
            let options = Options { stop: Some(&impatient.stop), ..Options::default() };
            match record_with(&experiment, stopped.path(), &options, &impatient) {
                Err(RecordError::Stopped { .. }) => stops += 1,
                result => break assert_eq!(result.unwrap().len(), 5),
            }
        }
        assert!(stops >= 5, "{stops}");
        assert!(files(stopped.path()) == files(whole.path()), "{training}");
    }
    for (place, loss) in last.iter().enumerate() {
        assert!(!last[..place].contains(loss), "run {place} is as one before");
    }
}

#[test]
fn an_optimizer_and_a_schedule_are_conditions_and_plain_sgd_is_none() {
    let conditions = |training: &str| {
        let study = tempfile::tempdir().unwrap();
        record(&all_rules(training), study.path(), &Silent).unwrap();
        run(study.path(), "winsorized-4_noise-0_seed-1").manifest().conditions.clone()
    };
    let plain = Conditions::new(Some(1)).with("noise", 0.0).with("rule", "winsorized").with("winsorization", 4.0);
    assert_eq!(conditions(r#"optimizer = { name = "sgd" }"#), plain);
    let adam = r#"optimizer = { name = "adam" }
        schedule = { name = "cosine", warm_up = 5 }"#;
    let expected = plain.clone().with("optimizer", "adam").with("beta1", 0.9).with("beta2", 0.999);
    let expected = expected.with("epsilon", 1e-8).with("weight_decay", 0.0);
    let expected = expected.with("schedule", "cosine").with("warm_up", 5).with("final_fraction", 0.0);
    assert_eq!(conditions(adam), expected);
    let nesterov = r#"optimizer = { name = "momentum", nesterov = true }"#;
    let expected = plain.with("optimizer", "momentum").with("momentum", 0.9).with("nesterov", true);
    assert_eq!(conditions(nesterov), expected.with("weight_decay", 0.0));
}

#[test]
fn every_combination_of_swept_settings_is_a_run_whose_name_and_conditions_say_it() {
    let study = tempfile::tempdir().unwrap();
    let swept = r#"noise = [0.5]
"network.hidden" = [[5], [7]]
"training.optimizer" = [{ name = "sgd" }, { name = "adam" }]
"training.batch" = [32, "full"]"#;
    let text = SMALL.replace("noise = [0.0, 0.5]", swept).replace("seeds = [1, 2]", "seeds = [3]");
    let experiment = Experiment::parse(&text.replace("batch = 64\n", ""), "swept.toml").unwrap();
    let outcomes = record(&experiment, study.path(), &Silent).unwrap();
    assert_eq!(outcomes.len(), 8);
    let id = "sgd_noise-0.5_hidden-7_batch-full_optimizer-adam_seed-3";
    assert!(outcomes.iter().any(|outcome| outcome.run == id), "{outcomes:?}");
    let recorded = run(study.path(), id);
    let conditions = &recorded.manifest().conditions;
    let found = [conditions.number("hidden"), conditions.number("beta2"), conditions.number("noise")];
    assert_eq!(found, [Some(7.0), Some(0.999), Some(0.5)]);
    let found = ["rule", "optimizer", "batch"].map(|name| conditions.text(name));
    assert_eq!(found, [Some("sgd"), Some("adam"), Some("full")]);
    assert_eq!(weights(&recorded, 0)[0].fan_out, 7);
    // Plain SGD beside another optimizer is a condition, too.
    let plain = run(study.path(), "sgd_noise-0.5_hidden-5_batch-32_optimizer-sgd_seed-3");
    let conditions = &plain.manifest().conditions;
    assert_eq!((conditions.text("optimizer"), conditions.number("batch")), (Some("sgd"), Some(32.0)));
    let of_run = experiment.of_run(id).unwrap().network.kind;
    assert_eq!(of_run, NetworkKind::Mlp { hidden: vec![7] });
    assert!(experiment.of_run("sgd_noise-0.5_seed-3").is_none());

    // As a study of its own.
    let alone = tempfile::tempdir().unwrap();
    let text = SMALL.replace("[0.0, 0.5]", "[0.5]").replace("[1, 2]", "[3]").replace("[16, 12]", "[5]");
    record(&Experiment::parse(&text.replace("= 64", "= 32"), "alone.toml").unwrap(), alone.path(), &Silent).unwrap();
    let alone = run(alone.path(), "sgd_noise-0.5_seed-3");
    assert_eq!(alone.metrics().unwrap(), plain.metrics().unwrap());
    assert_eq!(weights(&alone, 60), weights(&plain, 60));

    // One run alone is selected by its name.
    let one = tempfile::tempdir().unwrap();
    let only = vec![format!("run={id}").parse().unwrap()];
    let again = record_with(&experiment, one.path(), &Options { only, stop: None }, &Silent).unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(
        files(&one.path().join("runs").join(id)).values().collect::<Vec<_>>(),
        files(&study.path().join("runs").join(id)).values().collect::<Vec<_>>()
    );
}

#[test]
fn a_run_trains_on_a_subset_that_its_seed_draws() {
    let study = tempfile::tempdir().unwrap();
    let text = SMALL.replace("\"digits\"", "\"digits\"\nexamples = 200").replace("steps = 60", "steps = 9");
    let experiment = Experiment::parse(&text, "subset.toml").unwrap();
    record(&experiment, study.path(), &Silent).unwrap();
    let data = data::load(&experiment.data).unwrap();
    let rows_of = |id: &str| {
        let run = run(study.path(), id);
        let rows: Vec<usize> = column(&run, "row").into_iter().map(|row| row.unwrap() as usize).collect();
        assert_eq!((rows.len(), run.manifest().conditions.number("data.examples")), (200, Some(200.0)));
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]) && rows[199] < 1500);
        let originals: Vec<i64> = column(&run, "original_label").into_iter().map(Option::unwrap).collect();
        assert!(rows.iter().map(|&row| i64::from(data.train.labels[row])).eq(originals));
        // The inputs are those of the rows.
        let (sampled, inputs) = (run.examples().unwrap().sampled_ids(), run.inputs().unwrap().unwrap());
        for (place, id) in sampled.into_iter().enumerate() {
            let expected: Vec<f32> =
                input(&data.train, rows[id as usize] as u32).into_iter().map(|x| x as f32).collect();
            assert_eq!(inputs[0].values[64 * place..][..64], expected);
        }
        rows
    };
    assert_eq!(rows_of("sgd_noise-0_seed-1"), rows_of("sgd_noise-0.5_seed-1"));
    assert_ne!(rows_of("sgd_noise-0_seed-1"), rows_of("sgd_noise-0_seed-2"));
}

#[test]
fn kinds_of_noise_are_swept_and_are_conditions() {
    let [study, file] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let path = file.path().join("labels.txt");
    fs::write(&path, "7\n".repeat(1500)).unwrap();
    let noise = format!("\"digits\"\nnoise = \"file\"\nnoise_file = {:?}", path.display().to_string());
    let text = SMALL.replace("\"digits\"", &noise).replace("steps = 60", "steps = 3").replace("[1, 2]", "[1]");
    record(&Experiment::parse(&text, "file.toml").unwrap(), &study.path().join("file"), &Silent).unwrap();
    let from_file = run(&study.path().join("file"), "sgd_noise-0.5_seed-1");
    assert_eq!(from_file.manifest().conditions.text("data.noise"), Some("file"));
    assert!(labels(&from_file).iter().filter(|label| **label == 7).count() >= 750);

    let grid = "noise = [0.5]\n\"data.noise\" = [\"permuted\", \"symmetric\", \"pair-flipped\"]";
    let text = SMALL.replace("noise = [0.0, 0.5]", grid).replace("steps = 60", "steps = 3").replace("[1, 2]", "[1]");
    record(&Experiment::parse(&text, "kinds.toml").unwrap(), &study.path().join("kinds"), &Silent).unwrap();
    for (kind, corrupt) in [("permuted", 600..750), ("symmetric", 750..751), ("pair-flipped", 750..751)] {
        let run = run(&study.path().join("kinds"), &format!("sgd_noise-0.5_data.noise-{kind}_seed-1"));
        let found = pristine(&run).iter().filter(|pristine| !**pristine).count();
        assert!(corrupt.contains(&found), "{kind}: {found}");
        assert_eq!(run.manifest().conditions.text("data.noise"), Some(kind));
    }
}

#[test]
fn a_run_begins_with_the_snapshot_of_another_that_is_what_it_was() {
    let place = tempfile::tempdir().unwrap();
    let (first, second) = (place.path().join("first"), place.path().join("second"));
    record(&small(), &first, &Silent).unwrap();
    let reference = format!("{}/sgd_noise-0.5_seed-{{seed}}@10", first.display());
    let initial = |reference: &str| {
        let hidden = format!("hidden = [16, 12]\ninitial = {reference:?}");
        Experiment::parse(&SMALL.replace("hidden = [16, 12]", &hidden), "second.toml").unwrap()
    };
    record(&initial(&reference), &second, &Silent).unwrap();
    for seed in [1, 2] {
        let before = weights(&run(&first, &format!("sgd_noise-0.5_seed-{seed}")), 10);
        let after = run(&second, &format!("sgd_noise-0_seed-{seed}"));
        assert_eq!(weights(&after, 0), before);
        assert_eq!(after.manifest().conditions.text("initial"), Some(reference.as_str()));
    }

    let refused = |reference: &str| {
        let error = record(&initial(reference), &place.path().join("third"), &Silent).unwrap_err().to_string();
        assert!(error.starts_with("network.initial: "), "{error}");
        error
    };
    let run_of_first = format!("{}/sgd_noise-0_seed-1", first.display());
    assert!(refused(&format!("{run_of_first}@7")).contains("step 7"));
    assert!(refused(&format!("{}/sgd_noise-0_seed-9@0", first.display())).contains("seed-9"));
    let text = SMALL.replace("[16, 12]", &format!("[16, 13]\ninitial = \"{run_of_first}@0\""));
    let error = record(&Experiment::parse(&text, "x.toml").unwrap(), &place.path().join("third"), &Silent).unwrap_err();
    assert!(error.to_string().contains("layer.1.weight has the shape [12, 16], the network [13, 16]"), "{error}");
    let weights = first.join("runs/sgd_noise-0_seed-1/weights/step-00000000.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    assert!(refused(&format!("{run_of_first}@0")).contains("step-00000000.safetensors"));
}

#[test]
fn the_class_of_qmnists_rows_of_labels_is_their_first_number() {
    let directory = tempfile::tempdir().unwrap();
    let sizes = |sizes: &[u32]| sizes.iter().flat_map(|size| size.to_be_bytes()).collect::<Vec<u8>>();
    for (set, labels) in [("train", [3, 1, 4]), ("test", [1, 0, 2])] {
        let write = |name: &str, bytes: Vec<u8>| {
            fs::write(directory.path().join(format!("qmnist-{set}-{name}")), bytes).unwrap();
        };
        write("images-idx3-ubyte", [sizes(&[0x0803, 3, 2, 2]), vec![9; 12]].concat());
        // Behind the class stand writer and place, which are no labels.
        let rows = labels.map(|label| sizes(&[label, 99, 5000, 70_000, 0, 0, 1, 2])).concat();
        write("labels-idx2-int", [sizes(&[0x0c02, 3, 8]), rows].concat());
    }
    let idx = format!("source = \"idx\"\ndirectory = {:?}", directory.path().display().to_string());
    let experiment = Experiment::parse(&SMALL.replace("source = \"digits\"", &idx), "qmnist.toml").unwrap();
    let data = data::load(&experiment.data).unwrap();
    assert_eq!((data.train.labels, data.test.labels, data.classes), (vec![3, 1, 4], vec![1, 0, 2], 5));
}

/// Two columns of numbers, and labels 2, 4 and 7, in 40 training rows; every first number is `first`.
fn table(directory: &Path, first: &str) -> String {
    let rows: String = (0..40).map(|row| format!("{first},{row},{}\n", [4, 2, 7][row % 3])).collect();
    for name in ["train", "test"] {
        fs::write(directory.join(format!("{name}.csv")), format!("x,y,label\n{rows}")).unwrap();
    }
    let source = format!("source = \"table\"\ndirectory = {:?}", directory.display().to_string());
    let text = SMALL.replace("source = \"digits\"", &source).replace("batch = 64", "batch = 8");
    text.replace("steps = 60", "steps = 3").replace("[1, 2]", "[1]")
}

#[test]
fn labels_of_a_noise_file_are_those_of_the_data_and_equal_ones_are_pristine() {
    let [data, study] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let path = data.path().join("labels.txt");
    let labels_of_file: String = (0..40).map(|row| format!("{}\n", [4, 2, 2][row % 3])).collect();
    fs::write(&path, labels_of_file).unwrap();
    let noise = format!("source = \"table\"\nnoise = \"file\"\nnoise_file = {:?}", path.display().to_string());
    let text = table(data.path(), "0").replace("source = \"table\"", &noise).replace("[0.0, 0.5]", "[1.0]");
    record(&Experiment::parse(&text, "file.toml").unwrap(), study.path(), &Silent).unwrap();
    let run = run(study.path(), "sgd_noise-1_seed-1");
    assert_eq!(labels(&run), (0..40).map(|row| [1, 0, 0][row % 3]).collect::<Vec<_>>());
    assert_eq!(pristine(&run), (0..40).map(|row| row % 3 < 2).collect::<Vec<_>>());
}

#[test]
fn gradients_that_are_not_finite_before_any_update_are_put_down_to_the_data() {
    let [data, study] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let text = table(data.path(), "3.4e38");
    let error = record(&Experiment::parse(&text, "huge.toml").unwrap(), study.path(), &Silent).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("at step 0 the ") && message.contains("scale the columns of the data down"), "{message}");
}
