//! Every layer kind against candle's autograd, one example at a time.

use candle_core::{Device, Module, Tensor, Var};
use proptest::prelude::*;
use rand::Rng;

use super::probe::{Probe, batches};
use super::*;
use crate::layer::{
    Activation, AveragePool, Block, Conv2d, Conv2dSettings, Dense, Embedding, GroupNorm, Layer, LayerNorm, MaxPool,
    MultiHeadAttention, PositionEmbedding, Residual, RmsNorm, Sequential, named,
};
use crate::random::{Purpose, stream};

/// Blocks with a loss that mixes all outputs of an example: Σ_j w_j tanh(y_j).
struct Net {
    blocks: Sequential,
    others: Vec<(String, Var)>,
}

impl Layers for Net {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        self.blocks.layers()
    }
}

impl Model for Net {
    fn losses(&self, inputs: &Tensor, _: &Tensor) -> Result<Tensor> {
        let outputs = self.blocks.forward(inputs)?.flatten_from(1)?;
        let shift =
            self.others.iter().try_fold(Tensor::zeros((), outputs.dtype(), outputs.device())?, |sum, (_, it)| {
                sum + it.as_tensor().sum_all()?
            })?;
        let outputs = outputs.broadcast_add(&shift)?;
        let weights =
            Tensor::arange(1, outputs.dim(1)? as u32 + 1, outputs.device())?.to_dtype(outputs.dtype())?.cos()?;
        outputs.tanh()?.broadcast_mul(&weights)?.sum(1)
    }

    fn other_parameters(&self) -> Vec<(String, &Var)> {
        self.others.iter().map(|(name, var)| (name.clone(), var)).collect()
    }
}

fn net(block: impl Block + 'static) -> Net {
    Net { blocks: Sequential::new().then("block", block), others: Vec::new() }
}

/// Values in ±1 that are a function of the seed.
fn random(shape: &[usize], seed: u64) -> Tensor {
    let mut generator = stream(seed, Purpose::Initialisation, 0);
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|_| (f64::from(generator.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0) as f32)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn var(shape: &[usize], seed: u64) -> Var {
    Var::from_tensor(&random(shape, seed)).unwrap()
}

fn tokens(shape: &[usize], vocabulary: u32, seed: u64) -> Tensor {
    let mut generator = stream(seed, Purpose::Examples, 0);
    let values: Vec<u32> = (0..shape.iter().product::<usize>()).map(|_| generator.next_u32() % vocabulary).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// The whole gradient of every example by plain autograd, by parameter: the slow, obvious twin.
fn plain(model: &Net, inputs: &Tensor, labels: &Tensor) -> Vec<Vec<Vec<f64>>> {
    let probe = Probe::new(model);
    let vars: Vec<Var> = model
        .layers()
        .into_iter()
        .flat_map(|(_, layer)| layer.parameters().into_iter().map(|(_, var)| var.clone()).collect::<Vec<_>>())
        .chain(model.others.iter().map(|(_, var)| var.clone()))
        .fold(Vec::new(), |mut vars: Vec<Var>, var| {
            if !vars.iter().any(|other| other.as_tensor().id() == var.as_tensor().id()) {
                vars.push(var);
            }
            vars
        });
    assert_eq!(vars.len(), probe.parameters().len());
    (0..inputs.dim(0).unwrap())
        .map(|example| {
            let loss = model.losses(&inputs.narrow(0, example, 1).unwrap(), &labels.narrow(0, example, 1).unwrap());
            let gradients = loss.unwrap().sum_all().unwrap().backward().unwrap();
            let values = |var: &Var| crate::layer::values(gradients.get(var.as_tensor()).unwrap()).unwrap();
            vars.iter().map(|var| values(var).into_iter().map(f64::from).collect()).collect()
        })
        .collect()
}

/// Fails unless gradients at all coordinates, contributions, self terms and norms are those of plain autograd.
fn agrees(model: &Net, inputs: &Tensor) {
    let examples = inputs.dim(0).unwrap();
    let labels = Tensor::zeros(examples, candle_core::DType::U32, &Device::Cpu).unwrap();
    let plain = plain(model, inputs, &labels);
    let probe = Probe::new(model);
    let sizes: Vec<usize> = probe.parameters().iter().map(|parameter| parameter.size() as usize).collect();
    let all: Vec<Vec<usize>> = sizes.iter().map(|&size| (0..size).collect()).collect();
    let near = |found: f64, expected: f64, scale: f64, what: &str| {
        assert!(
            (found - expected).abs() <= 2e-5 * scale + 1e-9,
            "{what}: {found} instead of {expected} (scale {scale})"
        );
    };

    let (_, rows) = probe.gradients_at(inputs, &labels, &all).unwrap();
    let width: usize = sizes.iter().sum();
    for (row, plain) in rows.chunks(width).zip(&plain) {
        let plain = plain.concat();
        let scale = plain.iter().map(|value| value * value).sum::<f64>().sqrt();
        row.iter().zip(&plain).for_each(|(found, expected)| near(f64::from(*found), *expected, scale, "gradient"));
    }

    let found = probe.population(|| batches(inputs, &labels, 2)).unwrap();
    for (parameter, &size) in sizes.iter().enumerate() {
        let of = |example: usize| &plain[example][parameter];
        let total: Vec<f64> = (0..size).map(|at| (0..examples).map(|example| of(example)[at]).sum()).collect();
        let dot = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(one, other)| one * other).sum::<f64>();
        let norm = dot(&total, &total).sqrt();
        let largest = (0..examples).map(|example| dot(of(example), of(example))).fold(0.0, f64::max);
        near(found.norms_sq[parameter], norm * norm, largest * (examples * examples) as f64, "norm");
        for example in 0..examples {
            let own = dot(of(example), of(example));
            near(found.self_terms[parameter][example], own, largest, "self term");
            let scale = largest.sqrt() * norm.max(largest.sqrt());
            near(found.contributions[parameter][example], dot(of(example), &total), scale, "contribution");
        }
    }
    assert_eq!(found.losses.len(), examples);
    let (difference, name) = probe.largest_difference(inputs, &labels, &all).unwrap();
    assert!(difference < 1e-5, "{name} {difference}");
}

fn dense(fan_in: usize, fan_out: usize, seed: u64) -> Dense {
    Dense::new(var(&[fan_out, fan_in], seed), Some(var(&[fan_out], seed + 1)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn dense_layers_of_vectors_and_sequences(
        fan_in in 1..6_usize, fan_out in 1..6_usize, length in 1..5_usize, examples in 1..5_usize, seed in 0..1000_u64,
    ) {
        let model = net(dense(fan_in, fan_out, seed));
        agrees(&model, &random(&[examples, fan_in], seed + 7));
        agrees(&model, &random(&[examples, length, fan_in], seed + 8));
    }

    #[test]
    fn convolutions(
        channels in 1..3_usize, outputs in 1..3_usize, kernel in (1..4_usize, 1..4_usize), groups in 1..3_usize,
        stride in 1..3_usize, padding in 0..2_usize, dilation in 1..3_usize, size in (6..9_usize, 6..9_usize),
        seed in 0..1000_u64,
    ) {
        let settings = Conv2dSettings { stride, padding, dilation, groups };
        let weight = var(&[outputs * groups, channels, kernel.0, kernel.1], seed);
        let conv = Conv2d::new(weight, Some(var(&[outputs * groups], seed + 1)), settings).unwrap();
        agrees(&net(conv), &random(&[3, channels * groups, size.0, size.1], seed + 2));
    }

    #[test]
    fn embeddings_of_repeated_tokens(vocabulary in 1..6_u32, length in 1..7_usize, seed in 0..1000_u64) {
        let width = 3;
        let blocks = Sequential::new()
            .then("tokens", Embedding::new(var(&[vocabulary as usize, width], seed)))
            .then("positions", PositionEmbedding::new(var(&[8, width], seed + 1)));
        agrees(&Net { blocks, others: Vec::new() }, &tokens(&[4, length], vocabulary, seed + 2));
    }

    #[test]
    fn normalisations(groups in 1..4_usize, length in 1..4_usize, seed in 0..1000_u64) {
        let channels = 2 * groups;
        let blocks = Sequential::new()
            .then("layer", LayerNorm::new(var(&[channels], seed), Some(var(&[channels], seed + 1)), 1e-5))
            .then("dense", dense(channels, channels, seed + 2))
            .then("rms", RmsNorm::new(var(&[channels], seed + 3), 1e-5));
        agrees(&Net { blocks, others: Vec::new() }, &random(&[3, length, channels], seed + 4));
        let norm = GroupNorm::new(var(&[channels], seed), Some(var(&[channels], seed + 1)), groups, 1e-5).unwrap();
        agrees(&net(norm), &random(&[3, channels, length, 3], seed + 5));
    }

    #[test]
    fn attention_with_and_without_a_mask(heads in 1..3_usize, length in 1..5_usize, seed in 0..1000_u64) {
        let width = 2 * heads;
        let projection = |place: u64| dense(width, width, seed + 10 * place);
        let attention = || {
            let [query, key, value, output] = [0, 1, 2, 3].map(projection);
            MultiHeadAttention::new(query, key, value, output, heads)
        };
        agrees(&net(attention()), &random(&[3, length, width], seed + 50));
        agrees(&net(Causal(attention())), &random(&[3, length, width], seed + 51));
    }
}

/// Attention to earlier positions alone.
struct Causal(MultiHeadAttention);

impl Module for Causal {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let length = input.dim(1)? as u32;
        let masked = |at: u32| if at % length > at / length { -1e9_f32 } else { 0.0 };
        let mask = Tensor::from_iter((0..length * length).map(masked), &Device::Cpu)?;
        self.0.forward_masked(input, Some(&mask.reshape((1, 1, length as usize, length as usize))?))
    }
}

impl Layers for Causal {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        named("attention", &self.0)
    }
}

#[test]
fn a_residual_network_with_pooling() {
    let conv = |channels, outputs, seed, stride| {
        let settings = Conv2dSettings { padding: 1, stride, ..Conv2dSettings::default() };
        Conv2d::new(var(&[outputs, channels, 3, 3], seed), None, settings).unwrap()
    };
    let body = Sequential::new()
        .then("conv1", conv(2, 4, 1, 2))
        .then("relu", Activation::Relu)
        .then("conv2", conv(4, 4, 2, 1));
    let shortcut = conv(2, 4, 3, 2);
    let blocks = Sequential::new()
        .then("pool", MaxPool(2))
        .then("block", Residual::with_shortcut(body, shortcut))
        .then("average", AveragePool(2))
        .then("gelu", Activation::Gelu)
        .then("again", Residual::new(conv(4, 4, 4, 1)));
    let model = Net { blocks, others: Vec::new() };
    let names: Vec<String> = model.layers().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["block.body.conv1", "block.body.conv2", "block.shortcut", "again.body"]);
    agrees(&model, &random(&[3, 2, 9, 8], 5));
}

#[test]
fn a_weight_that_is_used_twice_has_the_cross_terms_of_its_uses() {
    let table = var(&[5, 3], 1);
    let blocks = Sequential::new()
        .then("tokens", Embedding::new(table.clone()))
        .then("mix", dense(3, 3, 2))
        .then("tanh", Activation::Tanh)
        .then("head", Dense::new(table, None));
    let model = Net { blocks, others: Vec::new() };
    assert_eq!(Probe::new(&model).parameters()[0].name, "tokens.weight");
    agrees(&model, &tokens(&[4, 6], 5, 3));
}

#[test]
fn a_parameter_without_a_layer_is_taken_one_example_at_a_time() {
    let blocks = Sequential::new().then("dense", dense(3, 2, 1));
    let model = Net { blocks, others: vec![("shift".to_string(), var(&[2], 9))] };
    assert_eq!(Probe::new(&model).parameters()[2].name, "shift");
    agrees(&model, &random(&[4, 3], 2));
}

#[test]
fn a_hand_computed_case() {
    // y = w a with w = (2, −1): loss tanh(y) cos(1); at a = (0.5, 1) y = 0, so g = cos(1) · (0.5, 1).
    let weight = Var::new(&[[2.0_f32, -1.0]], &Device::Cpu).unwrap();
    let model = net(Dense::new(weight, None));
    let inputs = Tensor::new(&[[0.5_f32, 1.0]], &Device::Cpu).unwrap();
    let labels = Tensor::new(&[0_u32], &Device::Cpu).unwrap();
    let (losses, gradients) = Probe::new(&model).gradients_at(&inputs, &labels, &[vec![0, 1]]).unwrap();
    let cosine = 1.0_f32.cos();
    assert_eq!(losses, [0.0]);
    assert_eq!(gradients, [0.5 * cosine, cosine]);
    let found = Probe::new(&model).population(|| batches(&inputs, &labels, 1)).unwrap();
    assert!((found.self_terms[0][0] - 1.25 * f64::from(cosine).powi(2)).abs() < 1e-7);
}

/// A layer whose gradient an operation without a derivative swallows.
struct Swallowed(Dense);

impl Module for Swallowed {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.0.forward(input)?.detach() + input
    }
}

impl Layers for Swallowed {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        named("lost", &self.0)
    }
}

#[test]
fn a_parameter_without_a_gradient_is_named() {
    let blocks = Sequential::new().then("first", dense(3, 3, 1)).then("second", Swallowed(dense(3, 3, 2)));
    let model = Net { blocks, others: Vec::new() };
    let labels = Tensor::new(&[0_u32, 0], &Device::Cpu).unwrap();
    let message = Probe::new(&model).gradients_at(&random(&[2, 3], 3), &labels, &[vec![0], vec![0], vec![0], vec![0]]);
    let message = message.unwrap_err().to_string();
    assert!(message.contains("parameter second.lost.weight received no gradient"), "{message}");
    // Taps are closed again: training goes on.
    assert!(model.layers().iter().all(|(_, layer)| layer.tap().close().unwrap().is_empty()));
}

/// Subtracts the mean over the batch, as batch normalisation in training mode does.
struct Centred;

impl Module for Centred {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        input.broadcast_sub(&input.mean_keepdim(0)?)
    }
}

impl Layers for Centred {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        Vec::new()
    }
}

#[test]
fn examples_that_influence_each_other_are_told() {
    let blocks = Sequential::new().then("dense", dense(3, 3, 1)).then("centred", Centred).then("head", dense(3, 2, 2));
    let model = Net { blocks, others: Vec::new() };
    let labels = Tensor::new(&[0_u32, 0], &Device::Cpu).unwrap();
    let all: Vec<Vec<usize>> = [9, 3, 6, 2].map(|size| (0..size).collect()).to_vec();
    let (difference, _) = Probe::new(&model).largest_difference(&random(&[2, 3], 3), &labels, &all).unwrap();
    assert!(difference > 1e-2, "{difference}");
}

/// Derivatives of the summed loss by finite differences, one parameter value of each layer kind.
#[test]
fn summed_gradients_are_finite_differences() {
    let settings = Conv2dSettings { stride: 2, padding: 1, ..Conv2dSettings::default() };
    let projection = |seed| dense(4, 4, seed);
    let attention = MultiHeadAttention::new(projection(21), projection(23), projection(25), projection(27), 2);
    let images = Sequential::new()
        .then("conv", Conv2d::new(var(&[4, 2, 3, 3], 1), None, settings).unwrap())
        .then("group", GroupNorm::new(var(&[4], 3), Some(var(&[4], 4)), 2, 1e-5).unwrap())
        .then("gelu", Activation::Gelu);
    let sequences = Sequential::new()
        .then("tokens", Embedding::new(var(&[5, 4], 11)))
        .then("positions", PositionEmbedding::new(var(&[6, 4], 12)))
        .then("norm", LayerNorm::new(var(&[4], 13), Some(var(&[4], 14)), 1e-5))
        .then("attention", attention)
        .then("rms", RmsNorm::new(var(&[4], 15), 1e-5));
    for (blocks, inputs) in [(images, random(&[3, 2, 7, 6], 30)), (sequences, tokens(&[3, 5], 5, 31))] {
        let model = Net { blocks, others: Vec::new() };
        let labels = Tensor::zeros(3, candle_core::DType::U32, &Device::Cpu).unwrap();
        let loss = || -> f64 { Probe::new(&model).losses(&inputs, &labels).unwrap().iter().sum() };
        let coordinates = vec![vec![0]; Probe::new(&model).parameters().len()];
        let (_, rows) = Probe::new(&model).gradients_at(&inputs, &labels, &coordinates).unwrap();
        let vars = model.layers().into_iter().flat_map(|(_, layer)| layer.parameters()).map(|(_, var)| var.clone());
        for (place, var) in vars.collect::<Vec<Var>>().into_iter().enumerate() {
            let found: f64 = rows.chunks(coordinates.len()).map(|row| f64::from(row[place])).sum();
            let before = var.as_tensor().copy().unwrap();
            let at = |shift: f64| {
                let mut values = crate::layer::values(&before).unwrap();
                values[0] += shift as f32;
                var.set(&Tensor::from_vec(values, before.shape(), &Device::Cpu).unwrap()).unwrap();
                loss()
            };
            let difference = (at(0.01) - at(-0.01)) / 0.02;
            var.set(&before).unwrap();
            assert!(
                (found - difference).abs() < 2e-3 * (1.0 + found.abs()),
                "parameter {place}: {found}, {difference}"
            );
        }
    }
}

#[test]
fn convolutions_are_candles_own() {
    for (stride, padding, dilation, groups) in [(1, 0, 1, 1), (2, 1, 1, 2), (3, 2, 2, 1), (1, 1, 2, 2)] {
        let (weight, inputs) = (var(&[4, 4 / groups, 3, 2], 1), random(&[2, 4, 9, 8], 2));
        let settings = Conv2dSettings { stride, padding, dilation, groups };
        let found = Conv2d::new(weight.clone(), None, settings).unwrap().forward(&inputs).unwrap();
        let expected = inputs.conv2d(&weight, padding, stride, dilation, groups).unwrap();
        assert_eq!(found.dims(), expected.dims());
        let difference = (found - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(difference < 1e-5, "{settings:?}: {difference}");
    }
}

mod recording {
    use cograd_trace::{Conditions, ExampleColumn, Study, Task};

    use super::*;
    use crate::error::RecordError;
    use crate::experiment::Schedules;
    use crate::model::{Begun, Recorder, Settings, TrainingSet};
    use crate::schedule::Schedule;

    fn settings() -> Settings {
        let every = |every_step_until| Schedule { every_step_until, per_decade: 0 };
        Settings {
            run: "run".to_string(),
            conditions: Conditions::new(Some(3)).with("width", 4_i64),
            task: Task::default(),
            steps: 6,
            seed: 3,
            examples: 5,
            coordinates: 7,
            schedules: Schedules {
                gradients: every(5),
                evaluations: every(0),
                snapshots: every(0),
                population: Some(every(2)),
            },
            batch: 2,
        }
    }

    fn model() -> Net {
        net(dense(3, 4, 1))
    }

    /// Moves every value of every parameter.
    fn update(model: &Net) {
        for (_, layer) in model.layers() {
            for (_, var) in layer.parameters() {
                var.set(&(var.as_tensor() * 0.9).unwrap()).unwrap();
            }
        }
    }

    fn recorder(begun: Begun) -> (Recorder, Option<Vec<u8>>) {
        match begun {
            Begun::New(recorder) => (recorder, None),
            Begun::Continued(recorder, state) => (recorder, Some(state)),
            Begun::Finished(_) => panic!("finished"),
        }
    }

    fn files(study: &std::path::Path) -> Vec<(String, Vec<u8>)> {
        let manifest = Study::open(study).unwrap().runs()[0].manifest().clone();
        let read = |name: &String| (name.clone(), std::fs::read(study.join("runs/run").join(name)).unwrap());
        manifest.files.keys().map(read).collect()
    }

    /// Records, leaving off after `interrupted` updates and beginning again there if it is given.
    fn record(study: &std::path::Path, interrupted: Option<u64>) {
        let (inputs, labels) = (random(&[9, 3], 5), Tensor::zeros(9, candle_core::DType::U32, &Device::Cpu).unwrap());
        let data = TrainingSet { inputs: &inputs, labels: &labels };
        let mut net = model();
        let (mut it, state) = recorder(Recorder::begin(study, &net, data, &settings()).unwrap());
        assert_eq!(state, None);
        let mut step = 0;
        while step < 6 {
            if step == 2 {
                it.checkpoint(&[2]).unwrap();
            }
            if interrupted == Some(step) {
                drop(it);
                net = model();
                let (again, state) = recorder(Recorder::begin(study, &net, data, &settings()).unwrap());
                it = again;
                step = u64::from(state.expect("a checkpoint")[0]);
                (0..step).for_each(|_| update(&net));
                return finish(it, &net, data, step);
            }
            it.step(step, &net, data).unwrap();
            update(&net);
            step += 1;
        }
        finish(it, &net, data, step);
    }

    fn finish(mut it: Recorder, net: &Net, data: TrainingSet<'_>, from: u64) {
        for step in from..=6 {
            it.step(step, net, data).unwrap();
            update(net);
        }
        it.finish(&[("kind", ExampleColumn::Integers(vec![Some(1); 9]))], &[]).unwrap();
    }

    #[test]
    fn an_interrupted_recording_has_the_same_bytes() {
        let (whole, interrupted) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        record(whole.path(), None);
        record(interrupted.path(), Some(4));
        assert_eq!(files(whole.path()), files(interrupted.path()));
    }

    #[test]
    fn losses_that_are_not_finite_skip_a_step() {
        let study = tempfile::tempdir().unwrap();
        let inputs = Tensor::new(&[[f32::NAN, 1.0, 2.0], [1.0, 2.0, 3.0]], &Device::Cpu).unwrap();
        let labels = Tensor::new(&[0_u32, 0], &Device::Cpu).unwrap();
        let data = TrainingSet { inputs: &inputs, labels: &labels };
        let net = model();
        let (mut it, _) = recorder(Recorder::begin(study.path(), &net, data, &settings()).unwrap());
        it.step(0, &net, data).unwrap();
        let manifest = it.finish(&[], &[]).unwrap();
        assert_eq!((manifest.recorded_steps.len(), manifest.skipped_steps[0].step), (0, 0));
    }

    #[test]
    fn examples_that_influence_each_other_end_the_recording() {
        let study = tempfile::tempdir().unwrap();
        let (inputs, labels) = (random(&[4, 3], 5), Tensor::zeros(4, candle_core::DType::U32, &Device::Cpu).unwrap());
        let data = TrainingSet { inputs: &inputs, labels: &labels };
        let blocks =
            Sequential::new().then("dense", dense(3, 3, 1)).then("centred", Centred).then("head", dense(3, 2, 2));
        let net = Net { blocks, others: Vec::new() };
        let (mut it, _) = recorder(Recorder::begin(study.path(), &net, data, &settings()).unwrap());
        let error = it.step(0, &net, data).unwrap_err();
        assert!(matches!(error, RecordError::Differs { .. }), "{error}");
    }
}
