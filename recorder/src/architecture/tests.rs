//! Every kind of network in the training loop: its size, its gradients, its rules.

use candle_core::{DType, Module};

use super::*;
use crate::data::Examples;
use crate::experiment::{Experiment, NetworkKind};
use crate::model::{Model, Probe, cross_entropy};
use crate::network::Tokens;
use crate::optimizer::{Adam, Optimizer};
use crate::rule::{MedianOfMeans, NormClipped, RollingMedian, Sgd, UpdateRule, Winsorized};

fn kind(text: &str) -> NetworkKind {
    let least = "name = \"x\"\n[data]\nsource = \"digits\"\n[training]\nsteps = 1\n[grid]\nnoise = [0]\n[network]\n";
    Experiment::parse(&format!("{least}{text}"), "x.toml").unwrap().network.kind
}

/// Kinds of networks, each small, with data for it.
fn all() -> Vec<(NetworkKind, Dataset)> {
    vec![
        (kind("hidden = [6, 5]"), images([1, 4, 5])),
        (kind("kind = \"convnet\"\nchannels = [3, 4]\nkernel = 3\nhidden = [6]"), images([2, 9, 7])),
        (kind("kind = \"convnet\"\nchannels = [2]\nkernel = 2\nhidden = []"), images([1, 5, 5])),
        (kind("kind = \"resnet\"\nchannels = [4, 6]\nblocks = 2\ngroups = 2"), images([2, 6, 5])),
        (kind("kind = \"transformer\"\nwidth = 6\ndepth = 2\nheads = 3\ncontext = 5"), texts()),
    ]
}

fn numbers(count: usize, seed: u64) -> impl Iterator<Item = u32> {
    let mut generator = stream(seed, Purpose::Examples, 0);
    std::iter::repeat_with(move || rand::Rng::next_u32(&mut generator)).take(count)
}

const EXAMPLES: usize = 9;

fn labels() -> Vec<u8> {
    (0..EXAMPLES as u8).map(|example| example * 7 % 3).collect()
}

fn dataset(train: Examples) -> Dataset {
    let class_names = ["0", "1", "2"].map(String::from).to_vec();
    Dataset { test: train.clone(), train, classes: 3, class_names, noise_file: None }
}

fn images(shape: [usize; 3]) -> Dataset {
    let pixels = numbers(EXAMPLES * shape.iter().product::<usize>(), 1).map(|number| (number >> 24) as u8);
    dataset(Examples::images(pixels.collect(), 255, &shape, labels()))
}

/// Texts of 1 to 7 words, of which five are read; the last one has none.
fn texts() -> Dataset {
    let word = |(place, number): (usize, u32)| {
        let (example, position) = (place / 7, place % 7);
        if position < (example * 5 + 3) % 8 { 1 + number % 10 } else { 0 }
    };
    let values: Vec<u32> = numbers(EXAMPLES * 7, 2).enumerate().map(word).collect();
    let values = Tokens::padded(&values, 7);
    dataset(Examples { values: Values::Tokens { values, vocabulary: 11 }, shape: vec![7], labels: labels() })
}

fn rules() -> [Box<dyn UpdateRule>; 6] {
    [
        Box::new(Sgd),
        Box::new(Winsorized { percent: 25.0 }),
        Box::new(MedianOfMeans { groups: 3 }),
        Box::<RollingMedian>::default(),
        Box::new(NormClipped::new(0.5, 0.0, 1)),
        Box::new(NormClipped::new(0.5, 0.1, 1)),
    ]
}

fn optimizers() -> [Option<Box<dyn Optimizer>>; 2] {
    [None, Some(Box::new(Adam { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, decoupled: true }))]
}

/// The weights after four updates, the last of them short.
fn trained(kind: &NetworkKind, data: &Dataset, mut update: Update) -> Vec<f32> {
    let mut network = network(kind, data, 3).unwrap();
    for number in 0..4 {
        let count = if number == 3 { 4 } else { EXAMPLES };
        let rows: Vec<u32> = (0..count as u32).collect();
        let inputs = data.train.inputs().gather(&rows).unwrap();
        network.update((&inputs, &data.train.labels[..count]), &mut update, number, 0.05).unwrap();
    }
    network.weights().unwrap().into_iter().flat_map(|tensor| tensor.values).collect()
}

#[test]
fn a_network_has_as_many_parameters_as_its_size_says() {
    for (kind, data) in all() {
        let parameters = network(&kind, &data, 1).unwrap().parameters();
        let sum: u64 = parameters.iter().map(Parameter::size).sum();
        assert_eq!(size(&kind, &data), Ok(u128::from(sum)), "{kind:?}");
        let names: std::collections::BTreeSet<&String> = parameters.iter().map(|parameter| &parameter.name).collect();
        assert_eq!(names.len(), parameters.len(), "{names:?}");
    }
}

#[test]
fn kinds_that_do_not_fit_the_data_are_refused() {
    let [image, text] = [images([1, 4, 4]), texts()];
    let problem = |of: &str, data: &Dataset| size(&kind(of), data).unwrap_err().1;
    assert!(problem("hidden = []", &text).contains("use transformer"));
    assert!(problem("kind = \"resnet\"", &text).contains("reads images"));
    assert!(problem("kind = \"transformer\"", &image).contains("reads words"));
    assert!(problem("kind = \"convnet\"\nchannels = [2, 2, 2]", &image).contains("halves the image of 4×4"));
}

#[test]
fn every_rule_with_every_optimizer_gives_the_same_bits_on_any_number_of_threads() {
    for (kind, data) in all().into_iter().skip(1) {
        let train = || {
            let places = (0..6).flat_map(|rule| (0..2).map(move |optimizer| (rule, optimizer)));
            let weights = places.map(|(rule, optimizer)| {
                let rule = rules().into_iter().nth(rule).unwrap();
                trained(&kind, &data, Update::new(rule, optimizers().into_iter().nth(optimizer).unwrap()))
            });
            weights.collect::<Vec<_>>()
        };
        let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(train);
        let alone = on(1);
        assert!(alone.iter().flatten().all(|value| value.is_finite()));
        assert!(on(2) == alone && on(3) == alone, "{kind:?}");
        for (place, weights) in alone.iter().enumerate() {
            assert!(!alone[..place].contains(weights), "{kind:?}: update {place} is as one before");
        }
    }
}

/// A model of dense layers alone.
struct Dense(crate::layer::Sequential);

impl crate::layer::Layers for Dense {
    fn layers(&self) -> Vec<(String, &dyn crate::layer::Layer)> {
        self.0.layers()
    }
}

impl Model for Dense {
    fn losses(&self, inputs: &Tensor, labels: &Tensor) -> Result<Tensor> {
        cross_entropy(&self.0.forward(inputs)?, labels)
    }
}

/// On dense layers, whose fused steps are tested by themselves, every rule makes the same steps in both ways.
#[test]
fn rules_make_of_any_layers_what_their_fused_steps_make_of_dense_ones() {
    let (kind, data) = all().remove(0);
    for place in 0..6 {
        let fused = trained(&kind, &data, Update::new(rules().into_iter().nth(place).unwrap(), None));
        let mut update = Update::new(rules().into_iter().nth(place).unwrap(), None);
        let mut initial = Initial::new(3, &Device::Cpu);
        let blocks = crate::layer::Sequential::new();
        let blocks = blocks.then("0", initial.dense(20, 6).unwrap()).then("relu", crate::layer::Activation::Relu);
        let blocks = blocks.then("1", initial.dense(6, 5).unwrap()).then("relu", crate::layer::Activation::Relu);
        let model = Dense(blocks.then("2", initial.dense(5, 3).unwrap()));
        for number in 0..4 {
            let count = if number == 3 { 4 } else { EXAMPLES };
            let rows: Vec<u32> = (0..count as u32).collect();
            let inputs = data.train.inputs().gather(&rows).unwrap();
            let labels = Tensor::new(&data.train.labels[..count], &Device::Cpu).unwrap().to_dtype(DType::U32).unwrap();
            let probe = Probe::new(&model);
            let gradients = probe.minibatch(&inputs, &labels).unwrap();
            update.make_of_model(&probe.vars(), &gradients, number, 0.05).unwrap();
        }
        let weights = Probe::new(&model).weights().unwrap();
        let values: Vec<f32> = weights.into_iter().flat_map(|tensor| tensor.values).collect();
        // Noise has another order: its places are those of the layout, which is transposed.
        if place < 5 {
            let near = |(one, other): (&f32, &f32)| (one - other).abs() <= 1e-5 * (1.0 + one.abs());
            assert!(values.iter().zip(&fused).all(near), "rule {place}");
        }
        assert_eq!(values.len(), fused.len());
    }
}

#[test]
fn padding_changes_no_loss_and_has_no_gradient() {
    let data = texts();
    let kind = kind("kind = \"transformer\"\nwidth = 6\ndepth = 2\nheads = 3\ncontext = 9");
    let network = network(&kind, &data, 1).unwrap();
    let evaluated = |width: usize, rows: &[Vec<u32>]| {
        let tokens = Tokens::new(rows.iter().map(|row| row.iter().copied()), width);
        network_of(&kind, &data, width).evaluate(Inputs::Tokens(&tokens), &vec![1; rows.len()]).unwrap().losses
    };
    let rows = vec![vec![3, 4], vec![5], vec![1, 2, 3, 9, 9, 1]];
    let (short, long) = (evaluated(6, &rows), evaluated(9, &rows));
    for (example, row) in rows.iter().enumerate() {
        let alone = evaluated(row.len(), std::slice::from_ref(row))[0];
        assert!((short[example] - long[example]).abs() < 1e-6 && (short[example] - alone).abs() < 1e-6);
    }
    let all: Vec<Coordinate> = (0..6).map(|index| Coordinate { parameter: 0, index }).collect();
    let every: Vec<u32> = (0..EXAMPLES as u32).collect();
    let inputs = data.train.inputs().gather(&every).unwrap();
    let (_, rows) = network.gradients_at(&inputs, &data.train.labels, &all).unwrap();
    assert!(rows.iter().all(|gradient| *gradient == 0.0), "{rows:?}");
}

/// The same network for texts of another longest.
fn network_of(kind: &NetworkKind, data: &Dataset, width: usize) -> Box<dyn Trainable> {
    let train = Examples { shape: vec![width], ..data.train.clone() };
    network(kind, &Dataset { train, ..data.clone() }, 1).unwrap()
}

/// Gradients of some examples at all coordinates, a row an example.
fn gradients(network: &dyn Trainable, data: &Dataset, rows: &[u32]) -> Vec<Vec<f32>> {
    let parameters = network.parameters();
    let places = |(place, parameter): (usize, &Parameter)| {
        (0..parameter.size()).map(move |index| Coordinate { parameter: place as u32, index })
    };
    let all: Vec<Coordinate> = parameters.iter().enumerate().flat_map(places).collect();
    let labels: Vec<u8> = rows.iter().map(|&row| data.train.labels[row as usize]).collect();
    let (_, gradients) = network.gradients_at(&data.train.inputs().gather(rows).unwrap(), &labels, &all).unwrap();
    gradients.chunks(all.len()).map(<[f32]>::to_vec).collect()
}

#[test]
fn recorded_gradients_are_those_of_batches_of_one_and_their_mean_is_the_step_of_sgd() {
    // A multilayer perceptron, whose biases are not recorded, is tested by its own kernels.
    for (kind, data) in all().into_iter().skip(1) {
        let mut network = network(&kind, &data, 5).unwrap();
        let rows: Vec<u32> = (0..EXAMPLES as u32).collect();
        let of_batch = gradients(network.as_ref(), &data, &rows);
        for (row, of_example) in rows.iter().zip(&of_batch) {
            let alone = gradients(network.as_ref(), &data, &[*row]).remove(0);
            let largest = alone.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            let near = |(one, other): (&f32, &f32)| (one - other).abs() <= 1e-4 * largest;
            assert!(of_example.iter().zip(&alone).all(near), "{kind:?}, example {row}");
        }
        let flat = |network: &dyn Trainable| -> Vec<f32> {
            network.weights().unwrap().into_iter().flat_map(|tensor| tensor.values).collect()
        };
        let before = flat(network.as_ref());
        let minibatch = (&data.train.inputs().gather(&rows).unwrap(), &data.train.labels[..]);
        network.update(minibatch, &mut Update::new(Box::new(Sgd), None), 0, 1.0).unwrap();
        for (place, (after, before)) in flat(network.as_ref()).into_iter().zip(before).enumerate() {
            let mean = of_batch.iter().map(|gradient| gradient[place]).sum::<f32>() / EXAMPLES as f32;
            assert!((before - mean - after).abs() < 1e-5, "{kind:?}, place {place}: {before} {mean} {after}");
        }
    }
}
