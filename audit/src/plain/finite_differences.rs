//! Whole networks against finite differences of their loss: every value of every parameter, the loss and its differences in f64, at weights
//! of a recording in f32.

use std::collections::BTreeMap;

use crate::plain::layered::Layered;
use crate::plain::recordings::{Recording, all};
use crate::trace::Trace;

/// The snapshot: at the first one biases are 0, and so is the input of a unit that sees nothing, where there is no derivative.
const AT: i64 = 1;
/// The step of a difference: what it neglects is of the size of its square, what the loss rounds to 10⁻¹⁶ over it.
const STEP: f64 = 1e-5;
/// Of the norm of an example's gradient: f64 against differences, and f32 against them.
const OF_DIFFERENCES: f64 = 1e-7;
const OF_SINGLES: f64 = 1e-4;

/// The gradient of one example by central differences, by parameter.
fn differences(
    recording: &Recording,
    snapshot: &[cograd_trace::Tensor],
    input: &[f32],
    label: usize,
) -> BTreeMap<String, Vec<f64>> {
    let mut network = Layered::new(&recording.experiment.network.kind, snapshot).unwrap();
    let mut of_parameter = |tensor: &cograd_trace::Tensor| {
        let at = |place: usize| {
            let mut loss = |step: f64| {
                network.set(&tensor.name, place, f64::from(tensor.values[place]) + step).unwrap();
                network.logits(input).unwrap().loss(label).0
            };
            let difference = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
            loss(0.0);
            difference
        };
        (tensor.name.clone(), (0..tensor.values.len()).map(at).collect())
    };
    snapshot.iter().map(&mut of_parameter).collect()
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

#[test]
fn gradients_of_whole_networks_are_finite_differences_of_their_loss() {
    for recording in all("\"sgd\"") {
        let trace = Trace::read(&recording.run).unwrap();
        let snapshot = recording.run.weights(AT).unwrap();
        let network = Layered::new(&recording.experiment.network.kind, &snapshot).unwrap();
        let rows = recording.run.map_steps(|step| (step.step == AT).then(|| step.values.to_vec())).unwrap();
        let rows = rows.into_iter().flatten().next().unwrap();
        for (place, &example) in trace.examples.sampled.iter().enumerate() {
            let (input, label) = (&trace.inputs.as_ref().unwrap()[place], trace.examples.class(example).unwrap());
            let expected = differences(&recording, &snapshot, input, label);
            let whole = norm(expected.values().flatten().copied());
            let found = network.gradient(input, label).unwrap();
            for (name, values) in &expected {
                let distance = norm(values.iter().zip(&found.values[name]).map(|(a, b)| a - b));
                assert!(distance <= OF_DIFFERENCES * whole, "{name}: {distance} of {whole}");
            }
            // What was recorded: of all weights of every parameter that is no bias.
            let row = &rows[place * trace.coordinates.len()..(place + 1) * trace.coordinates.len()];
            let off = trace.coordinates.iter().zip(row).map(|(&(parameter, index), &value)| {
                f64::from(value) - expected[&trace.parameters[parameter].name][index as usize]
            });
            let distance = norm(off);
            assert!(distance <= OF_SINGLES * whole, "recorded: {distance} of {whole}");
        }
    }
}

#[test]
fn contributions_of_whole_networks_are_those_of_finite_differences() {
    for recording in all("\"sgd\"") {
        let trace = Trace::read(&recording.run).unwrap();
        let snapshot = recording.run.weights(AT).unwrap();
        let data = recording.data.subset(&rows(&trace));
        let input = |example: usize| data.train.inputs().gather(&[example as u32]).unwrap();
        let gradient = |example: usize| {
            let input = input(example).to_dtype(candle_core::DType::F32).unwrap();
            let input = input.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            differences(&recording, &snapshot, &input, trace.examples.class(example).unwrap())
        };
        let gradients: Vec<BTreeMap<String, Vec<f64>>> = (0..6).map(gradient).collect();
        let of_layer = |gradient: &BTreeMap<String, Vec<f64>>, layer: &str| -> Vec<f64> {
            let is_of = |name: &str| name.rsplit_once('.').is_some_and(|(of, _)| of == layer);
            gradient.iter().filter(|(name, _)| is_of(name)).flat_map(|(_, values)| values.clone()).collect()
        };
        let checked = recording.run.map_population(|step| {
            if step.step != AT {
                return 0;
            }
            for (recorded, layer) in step.layers.iter().zip(&trace.layers) {
                let all: Vec<Vec<f64>> = gradients.iter().map(|of| of_layer(of, &layer.name)).collect();
                let sum: Vec<f64> = (0..all[0].len()).map(|place| all.iter().map(|of| of[place]).sum()).collect();
                let size = gradients.iter().map(|of| norm(of.values().flatten().copied())).sum::<f64>();
                for (example, own) in all.iter().enumerate() {
                    let whole = norm(gradients[example].values().flatten().copied());
                    let product = |other: &[f64]| own.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
                    let off = (recorded.contributions[example] - product(&sum)).abs();
                    assert!(off <= 2.0 * OF_SINGLES * whole * size, "{}: {off}", layer.name);
                    let off = (recorded.self_terms.unwrap()[example] - product(own)).abs();
                    assert!(off <= 2.0 * OF_SINGLES * whole * whole, "{}: {off}", layer.name);
                }
            }
            step.layers.len()
        });
        assert!(checked.unwrap().into_iter().max() > Some(3));
    }
}

/// The rows of the data set that a run trains on.
fn rows(trace: &Trace) -> Vec<u32> {
    let Some(cograd_trace::ExampleColumn::Integers(rows)) = trace.run.example_column("row").unwrap() else {
        panic!("it trains on some rows")
    };
    rows.into_iter().map(|row| row.unwrap() as u32).collect()
}
