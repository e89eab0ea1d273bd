//! Versions 1 and 2 of the format, upgraded to version 3 as they are read.
//!
//! They knew fully connected networks and label noise: a manifest with `rule`, `noise` and the `network`'s widths, weights
//! named by layer, row and column, losses and accuracies as columns, two columns of the population for each layer.
//! Version 1 had no population, no inputs and no seal.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float32Type;
use serde::Deserialize;

use crate::manifest::{COORDINATES, GRADIENT_NORMS, METRICS, Status};
use crate::metrics::check_metric;
use crate::population::read_gradient_norms;
use crate::schema::{Kind, Wanted};
use crate::table::{Table, read_table};
use crate::{Conditions, Coordinate, FileEntry, Layer, Manifest, Metric, Parameter, Run, Task, Tensor, TraceError};

/// File of the inputs of the sampled examples.
const INPUTS: &str = "inputs.parquet";

/// What such a run says of itself that a manifest of version 3 does not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Earlier {
    /// Widths of a fully connected network, input first; empty for any other network.
    pub network: Vec<usize>,
    noise: f64,
}

/// The fields of a manifest.
#[derive(Deserialize)]
struct Fields {
    format_version: u32,
    run: String,
    rule: String,
    noise: f64,
    seed: u64,
    #[serde(default)]
    network: Vec<usize>,
    train_examples: usize,
    sampled_examples: usize,
    coordinates: usize,
    steps: u64,
    recorded_steps: Vec<i64>,
    #[serde(default)]
    population_steps: Vec<i64>,
    #[serde(default)]
    status: Status,
    #[serde(default)]
    writer: String,
    files: BTreeMap<String, FileEntry>,
    #[serde(default)]
    seal: String,
}

/// Reads a manifest.
pub(crate) fn read_manifest(text: &[u8]) -> serde_json::Result<(Manifest, Earlier)> {
    let fields: Fields = serde_json::from_slice(text)?;
    let widths = &fields.network;
    let task = Task {
        loss: Some("cross-entropy".to_string()),
        network: (!widths.is_empty()).then(|| "mlp".to_string()),
        classes: widths.last().map(|classes| *classes as u64),
        ..Task::default()
    };
    let manifest = Manifest {
        format_version: fields.format_version,
        run: fields.run,
        conditions: conditions(&fields.rule, fields.noise, fields.seed),
        task,
        train_examples: fields.train_examples,
        sampled_examples: fields.sampled_examples,
        coordinates: fields.coordinates,
        steps: fields.steps,
        recorded_steps: fields.recorded_steps,
        population_steps: fields.population_steps,
        population_examples: fields.train_examples,
        skipped_steps: Vec::new(),
        status: fields.status,
        writer: fields.writer,
        files: fields.files,
        seal: fields.seal,
    };
    Ok((manifest, Earlier { network: fields.network, noise: fields.noise }))
}

/// The conditions of a rule's label, label noise and a seed.
fn conditions(rule: &str, noise: f64, seed: u64) -> Conditions {
    let conditions = Conditions::new(Some(seed)).with("noise", noise);
    let level = rule.strip_prefix("winsorized-").and_then(|level| level.parse().ok());
    match level.filter(|level: &f64| level.is_finite()) {
        Some(level) => conditions.with("rule", "winsorized").with("winsorization", level),
        None => conditions.with("rule", rule),
    }
}

impl Earlier {
    /// What is wrong with the manifest, if anything.
    pub fn check(&self, manifest: &Manifest) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.noise) {
            return Err(format!("noise is {}, but must lie in [0, 1]", self.noise));
        }
        if self.network.len() == 1 || self.network.contains(&0) {
            return Err(format!("network is {:?}, but must be two widths or more, none of them 0", self.network));
        }
        if self.network.is_empty() && manifest.files.contains_key(INPUTS) {
            return Err(format!("files: {INPUTS} is listed, but network does not say how wide an input is"));
        }
        Ok(())
    }

    /// The parameters: weights and biases of each layer; of an unknown network one of unknown shape for each layer.
    pub fn parameters(&self, run: &Run) -> Result<Vec<Parameter>, TraceError> {
        if self.network.is_empty() {
            return Ok(self.layers(run)?.into_iter().map(|Layer { name, .. }| unknown(name)).collect());
        }
        let layer = |(layer, widths): (usize, &[usize])| {
            let [fan_in, fan_out] = [widths[0] as u64, widths[1] as u64];
            let parameter =
                |name, shape: &[u64]| Parameter::new(&format!("layer.{layer}.{name}"), shape, Some("linear"));
            [parameter("weight", &[fan_out, fan_in]), parameter("bias", &[fan_out])]
        };
        Ok(self.network.windows(2).enumerate().flat_map(layer).collect())
    }

    /// The layers of an unknown network: those of the population, and further ones that coordinates are of.
    pub fn layers(&self, run: &Run) -> Result<Vec<Layer>, TraceError> {
        if !self.network.is_empty() {
            return Ok(crate::parameters::layers(&self.parameters(run)?));
        }
        let numbers = layer_numbers(run)?.into_iter().enumerate();
        Ok(numbers
            .map(|(place, number)| Layer { name: format!("layer.{number}"), parameters: vec![place], size: None })
            .collect())
    }

    /// Layers of the population's columns.
    pub fn population_layers(&self, run: &Run) -> Result<usize, TraceError> {
        match (self.network.len(), run.population_steps().len()) {
            (_, 0) => Ok(0),
            (0, steps) => Ok(read_gradient_norms(&run.checked_file(GRADIENT_NORMS)?)?.len() / steps),
            (widths, _) => Ok(widths - 1),
        }
    }

    /// Columns of the population: totals and, layer by layer, contributions and self terms.
    pub fn population_columns(&self, run: &Run) -> Result<Vec<Wanted>, TraceError> {
        let layers = 0..self.population_layers(run)?;
        let layers = layers.flat_map(|layer| [format!("contribution_{layer}"), format!("self_term_{layer}")]);
        let names = ["contribution".to_string(), "self_term".to_string()].into_iter().chain(layers);
        Ok(names.map(|name| Wanted::required(&name, Kind::Double)).collect())
    }

    /// The recorded coordinates, in the order of the gradient list.
    pub fn coordinates(&self, run: &Run) -> Result<Vec<Coordinate>, TraceError> {
        let numbers = if self.network.is_empty() { layer_numbers(run)? } else { Vec::new() };
        let (mut coordinates, mut seen) = (Vec::new(), HashSet::new());
        read_weights(run, |table, row, [layer, unit, input]| {
            let coordinate = match (self.network.get(layer as usize), self.network.get(layer as usize + 1)) {
                _ if self.network.is_empty() => Coordinate {
                    parameter: numbers.partition_point(|number| *number < layer) as u32,
                    index: u64::from(unit) << 32 | u64::from(input),
                },
                (Some(&fan_in), Some(&fan_out)) if (unit as usize) < fan_out && (input as usize) < fan_in => {
                    Coordinate { parameter: 2 * layer, index: u64::from(unit) * fan_in as u64 + u64::from(input) }
                }
                _ => {
                    let message =
                        format!("is {layer} (row {unit}, column {input}), but the network is {:?}", self.network);
                    return Err(table.error(row, "layer", message));
                }
            };
            if !seen.insert((coordinate.parameter, coordinate.index)) {
                return Err(table.error(row, "coordinate", "is a weight that an earlier row names already"));
            }
            coordinates.push(coordinate);
            Ok(())
        })?;
        Ok(coordinates)
    }

    /// The evaluations: a loss and an accuracy each.
    pub fn metrics(run: &Run) -> Result<Vec<Metric>, TraceError> {
        let columns = [("step", Kind::Integer), ("examples", Kind::Integer), ("loss", Kind::Number)];
        let others = [("accuracy", Kind::Number), ("split", Kind::Text), ("subset", Kind::Text)];
        let wanted: Vec<Wanted> =
            columns.into_iter().chain(others).map(|(name, kind)| Wanted::required(name, kind)).collect();
        let mut metrics = Vec::new();
        read_table(&run.checked_file(METRICS)?, &wanted, |table| {
            let (steps, examples) = (table.integers("step")?, table.integers("examples")?);
            let (splits, groups) = (table.names("split")?, table.names("subset")?);
            for (name, values) in [("loss", table.numbers("loss")?), ("accuracy", table.numbers("accuracy")?)] {
                for row in 0..table.rows() {
                    let metric = Metric {
                        step: steps.value(row),
                        split: splits.value(row).to_string(),
                        group: groups.value(row).to_string(),
                        metric: name.to_string(),
                        value: values.value(row),
                        examples: u64::try_from(examples.value(row)).unwrap_or(0),
                    };
                    check_metric(&metric).map_err(|(column, message)| {
                        table.error(row, if column == "value" { name } else { column }, message)
                    })?;
                    metrics.push((table.first_row + row, metric));
                }
            }
            Ok(())
        })?;
        // Loss and accuracy of an evaluation, then those of the next.
        metrics.sort_by_key(|(row, _)| *row);
        Ok(metrics.into_iter().map(|(_, metric)| metric).collect())
    }

    /// The inputs of the sampled examples, one tensor; `None` if they were not recorded.
    pub fn inputs(&self, run: &Run) -> Result<Option<Vec<Tensor>>, TraceError> {
        let Some(&width) = self.network.first().filter(|_| run.manifest().files.contains_key(INPUTS)) else {
            return Ok(None);
        };
        let path = run.checked_file(INPUTS)?;
        let wanted = [Wanted::required("example_id", Kind::Integer), Wanted::required("input", Kind::Floats(width))];
        let (mut examples, mut values) = (Vec::new(), Vec::new());
        read_table(&path, &wanted, |table| {
            examples.extend_from_slice(table.integers("example_id")?.values());
            (0..table.rows()).try_for_each(|row| append_input(&table, row, width, &mut values))
        })?;
        if !examples.iter().copied().eq(run.examples()?.sampled_ids().into_iter().map(i64::from)) {
            let message = "has not one row for each example that examples.parquet marks as sampled, ascending";
            return Err(TraceError::contents(&path, message));
        }
        Ok(Some(vec![Tensor { name: "input".to_string(), shape: vec![examples.len(), width], values }]))
    }
}

/// Appends the input in the given row, `width` finite values, however the list is stored.
fn append_input(table: &Table<'_>, row: usize, width: usize, inputs: &mut Vec<f32>) -> Result<(), TraceError> {
    let error = |message: &str| Err(table.error(row, "input", message));
    let Some(array) = table.array("input") else { return error("is missing") };
    let list = match (array.as_fixed_size_list_opt(), array.as_list_opt::<i32>(), array.as_list_opt::<i64>()) {
        _ if array.is_null(row) => return error("is null, but must have a value"),
        (Some(lists), ..) => lists.value(row),
        (_, Some(lists), _) => lists.value(row),
        (_, _, Some(lists)) => lists.value(row),
        _ => return error("has another type"),
    };
    let Some(values) = list.as_primitive_opt::<Float32Type>() else { return error("has another type") };
    if values.len() != width {
        return error(&format!("has {} values, not {width}", values.len()));
    }
    if values.null_count() > 0 || !values.values().iter().all(|value| value.is_finite()) {
        return error("has a null, NaN or infinity in it");
    }
    inputs.extend_from_slice(values.values());
    Ok(())
}

/// A parameter of which nothing is known but its layer.
fn unknown(layer: String) -> Parameter {
    Parameter { name: layer.clone(), shape: Vec::new(), layer, kind: None }
}

/// Numbers of the layers of an unknown network, ascending: those of the population, and of the coordinates.
fn layer_numbers(run: &Run) -> Result<Vec<u32>, TraceError> {
    let population = match run.earlier() {
        Some(earlier) => earlier.population_layers(run)?,
        None => 0,
    };
    let mut numbers: std::collections::BTreeSet<u32> = (0..population as u32).collect();
    read_weights(run, |_, _, [layer, ..]| {
        numbers.insert(layer);
        Ok(())
    })?;
    Ok(numbers.into_iter().collect())
}

/// Calls `take` with layer, row and column of each coordinate, in their order.
fn read_weights(
    run: &Run,
    mut take: impl FnMut(&Table<'_>, usize, [u32; 3]) -> Result<(), TraceError>,
) -> Result<(), TraceError> {
    const NAMES: [&str; 4] = ["coordinate", "layer", "row", "column"];
    read_table(&run.checked_file(COORDINATES)?, &NAMES.map(|name| Wanted::required(name, Kind::Integer)), |table| {
        let mut columns = Vec::with_capacity(NAMES.len());
        for name in NAMES {
            columns.push(table.integers(name)?);
        }
        for row in 0..table.rows() {
            if usize::try_from(columns[0].value(row)) != Ok(table.first_row + row) {
                return Err(table.error(row, NAMES[0], "must be numbered in the order of the gradient list"));
            }
            let mut weight = [0; 3];
            for (place, value) in weight.iter_mut().enumerate() {
                let found = columns[place + 1].value(row);
                *value = u32::try_from(found).map_err(|_| table.error(row, NAMES[place + 1], format!("is {found}")))?;
            }
            take(&table, row, weight)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_rules_become_conditions() {
        let label = |rule: &str| conditions(rule, 0.25, 3).to_string();
        assert_eq!(label("sgd"), "noise 0.25, rule sgd, seed 3");
        assert_eq!(label("winsorized-2.5"), "noise 0.25, rule winsorized, winsorization 2.5, seed 3");
        assert_eq!(label("winsorized-hard"), "noise 0.25, rule winsorized-hard, seed 3");
        assert_eq!(label("winsorized-inf"), "noise 0.25, rule winsorized-inf, seed 3");
        assert_eq!(label("norm-clipped-1-noise-0.5"), "noise 0.25, rule norm-clipped-1-noise-0.5, seed 3");
    }
}
