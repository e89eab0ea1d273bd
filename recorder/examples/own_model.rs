//! Records a convolutional network written in candle while its own loop trains it on the embedded digits, a quarter of
//! them with wrong labels. Then `cograd analyze STUDY` and `cograd report STUDY` as for any other study.
//!
//!     cargo run --release -p cograd-recorder --example own_model -- studies/own-model

use std::{error::Error, path::Path};

use candle_core::{Device, Module, Result, Tensor};
use cograd_recorder::data;
use cograd_recorder::layer::{Activation, Conv2dSettings, Flatten, Initial, Layer, Layers, MaxPool, Sequential};
use cograd_recorder::model::{Begun, Model, Recorder, Settings, TrainingSet, cross_entropy};
use cograd_trace::{Conditions, ExampleColumn, Metric, Task};

/// Ordinary candle code, of layers that state their per-example gradients.
struct Network(Sequential);

impl Layers for Network {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        self.0.layers()
    }
}

impl Model for Network {
    fn losses(&self, inputs: &Tensor, labels: &Tensor) -> Result<Tensor> {
        cross_entropy(&self.0.forward(inputs)?, labels)
    }
}

fn network(initial: &mut Initial) -> Result<Network> {
    let padded = Conv2dSettings { padding: 1, ..Conv2dSettings::default() };
    let blocks = Sequential::new().then("conv1", initial.conv2d(1, 8, 3, padded)?).then("relu1", Activation::Relu);
    let blocks = blocks.then("pool1", MaxPool(2)).then("conv2", initial.conv2d(8, 16, 3, padded)?);
    let blocks = blocks.then("relu2", Activation::Relu).then("pool2", MaxPool(2)).then("flatten", Flatten);
    Ok(Network(blocks.then("head", initial.dense(64, 10)?)))
}

/// One step of plain SGD on the mean loss of a minibatch.
fn update(network: &Network, images: &Tensor, labels: &Tensor) -> Result<()> {
    let gradients = network.losses(images, labels)?.mean_all()?.backward()?;
    for (_, parameter) in network.layers().iter().flat_map(|(_, layer)| layer.parameters()) {
        if let Some(gradient) = gradients.get(parameter.as_tensor()) {
            parameter.set(&(parameter.as_tensor() - (gradient * 0.2)?)?)?;
        }
    }
    Ok(())
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let study = std::env::args_os().nth(1).ok_or("usage: own_model STUDY")?;
    let digits = data::load(&data::digits())?.train;
    let (count, original): (usize, Vec<u32>) = (digits.len(), digits.labels.iter().map(|&it| it.into()).collect());
    let rows: Vec<u32> = (0..count as u32).collect();
    let images = digits.inputs().gather(&rows)?.reshape((count, 1, 8, 8))?;
    let given: Vec<u32> = (0..count).map(|at| (original[at] + u32::from(at % 4 == 0)) % 10).collect();
    let labels = Tensor::new(given.as_slice(), &Device::Cpu)?;
    let (set, network) =
        (TrainingSet { inputs: &images, labels: &labels }, network(&mut Initial::new(1, &Device::Cpu))?);

    let settings = Settings {
        conditions: Conditions::new(Some(1)).with("noise", 0.25),
        task: Task { loss: Some("cross-entropy".to_string()), classes: Some(10), ..Task::default() },
        ..Settings::new("convolutions", 300)
    };
    let Begun::New(mut recorder) = Recorder::begin(Path::new(&study), &network, set, &settings)? else {
        return Err("the run is there already".into());
    };
    let mut metrics = Vec::new();
    for step in 0..=settings.steps {
        recorder.step(step, &network, set)?;
        if step % 50 == 0 {
            let loss = f64::from(network.losses(&images, &labels)?.mean_all()?.to_scalar::<f32>()?);
            println!("step {step}: loss {loss:.3}");
            let [split, group, metric] = ["train", "all", "loss"].map(str::to_string);
            metrics.push(Metric { step: step as i64, split, group, metric, value: loss, examples: count as u64 });
        }
        if step < settings.steps {
            let rows = Tensor::from_iter((0..50).map(|at| ((step * 50 + at) % count as u64) as u32), &Device::Cpu)?;
            update(&network, &images.index_select(&rows, 0)?, &labels.index_select(&rows, 0)?)?;
        }
    }
    let column = |labels: &[u32]| ExampleColumn::Integers(labels.iter().map(|&label| Some(label.into())).collect());
    recorder.finish(&[("label", column(&given)), ("original_label", column(&original))], &metrics)?;
    Ok(())
}
