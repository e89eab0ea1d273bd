//! The part of a run's record that is analysed: which steps, layers and sampled examples.

use std::borrow::Cow;
use std::collections::BTreeSet;

use cograd_trace::{Example, Run, StepGradients, TraceError};

use crate::example_file;
use crate::{AnalysisError, ExampleSelection, Options, Span};

/// Which part of the record of a run is analysed.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    steps: Option<Span>,
    /// The layers chosen; `None`: all.
    layers: Option<Vec<usize>>,
    /// Ids of the sampled examples chosen, ascending.
    pub(crate) sampled: Vec<u32>,
    /// Ids of the examples that those were sampled from, ascending: all, or those of all that are chosen.
    pub(crate) population: Vec<u32>,
    /// Layer of each coordinate chosen, in the order of the coordinates.
    pub(crate) layer_of_coordinate: Vec<u32>,
    /// Rows of the examples chosen in the recorded gradients; `None`: all.
    rows: Option<Vec<usize>>,
    /// Coordinates chosen in the recorded gradients; `None`: all.
    columns: Option<Vec<usize>>,
}

impl Selection {
    /// The part of `run`, whose examples are given, that the options ask for.
    pub(crate) fn of(run: &Run, examples: &[Example], options: &Options) -> Result<Selection, AnalysisError> {
        let manifest = run.manifest();
        let in_run = |source: TraceError| AnalysisError::Run { run: manifest.run.clone(), source };
        let layer_of_coordinate: Vec<u32> =
            run.coordinates().map_err(in_run)?.iter().map(|coordinate| coordinate.layer).collect();
        let sampled: Vec<u32> =
            examples.iter().filter(|example| example.sampled).map(|example| example.example_id).collect();
        let mut selection = Selection {
            steps: options.steps,
            layers: options.layers.clone(),
            sampled,
            population: examples.iter().map(|example| example.example_id).collect(),
            layer_of_coordinate,
            rows: None,
            columns: None,
        };
        if let Some(layers) = &options.layers {
            selection.choose_layers(run, layers)?;
        }
        if let Some(examples) = &options.examples {
            selection.choose_examples(&manifest.run, manifest.train_examples, examples)?;
        }
        selection.check_steps(run)?;
        Ok(selection)
    }

    fn choose_layers(&mut self, run: &Run, layers: &[usize]) -> Result<(), AnalysisError> {
        let known: BTreeSet<usize> = match run.manifest().network.len() {
            0 => self.layer_of_coordinate.iter().map(|&layer| layer as usize).collect(),
            widths => (0..widths - 1).collect(),
        };
        if let Some(&layer) = layers.iter().find(|layer| !known.contains(layer)) {
            let known = known.into_iter().collect();
            return Err(AnalysisError::UnknownLayer { run: run.manifest().run.clone(), layer, known });
        }
        let chosen = |column: &usize| layers.contains(&(self.layer_of_coordinate[*column] as usize));
        let columns: Vec<usize> = (0..self.layer_of_coordinate.len()).filter(chosen).collect();
        self.layer_of_coordinate = columns.iter().map(|&column| self.layer_of_coordinate[column]).collect();
        self.columns = Some(columns);
        Ok(())
    }

    fn choose_examples(&mut self, run: &str, m: usize, examples: &ExampleSelection) -> Result<(), AnalysisError> {
        let ids: Option<BTreeSet<u32>> = match examples {
            ExampleSelection::Ids(_) => None,
            ExampleSelection::File(path) => {
                let ids: BTreeSet<u32> = example_file::read(path, false)?.example_ids.into_iter().collect();
                if let Some(id) = ids.last().filter(|&&id| id as usize >= m) {
                    let message = format!("it names example {id}, but run {run} has examples 0 to {}", m - 1);
                    return Err(AnalysisError::ExampleFile { path: path.clone(), message });
                }
                Some(ids)
            }
        };
        let is_chosen = |id: &u32| match (examples, &ids) {
            (ExampleSelection::Ids(span), _) => span.contains(i64::from(*id)),
            (ExampleSelection::File(_), ids) => ids.as_ref().is_some_and(|ids| ids.contains(id)),
        };
        self.population.retain(is_chosen);
        let chosen: Vec<bool> = self.sampled.iter().map(is_chosen).collect();
        let rows: Vec<usize> = (0..chosen.len()).filter(|&row| chosen[row]).collect();
        if rows.is_empty() {
            let examples = examples.to_string();
            return Err(AnalysisError::NoExample { run: run.to_string(), examples, sampled: chosen.len() });
        }
        self.sampled = rows.iter().map(|&row| self.sampled[row]).collect();
        self.rows = Some(rows);
        Ok(())
    }

    fn check_steps(&self, run: &Run) -> Result<(), AnalysisError> {
        let Some(steps) = self.steps else { return Ok(()) };
        let recorded = || run.manifest().recorded_steps.iter().chain(run.population_steps());
        match (recorded().min(), recorded().max()) {
            (Some(&first), Some(&last)) if !recorded().any(|&step| steps.contains(step)) => {
                Err(AnalysisError::NoStep { run: run.manifest().run.clone(), steps, first, last })
            }
            _ => Ok(()),
        }
    }

    /// Whether the step is analysed.
    pub(crate) fn has_step(&self, step: i64) -> bool {
        self.steps.is_none_or(|steps| steps.contains(step))
    }

    /// Whether the layer is analysed.
    pub(crate) fn has_layer(&self, layer: usize) -> bool {
        self.layers.as_ref().is_none_or(|layers| layers.contains(&layer))
    }

    /// The gradients of the chosen examples in the chosen coordinates, row-major.
    pub(crate) fn gradients<'a>(&self, step: &StepGradients<'a>) -> Cow<'a, [f32]> {
        if self.rows.is_none() && self.columns.is_none() {
            return Cow::Borrowed(step.values);
        }
        let all: Vec<usize> = if self.rows.is_none() { (0..step.example_ids.len()).collect() } else { Vec::new() };
        let rows = self.rows.as_ref().unwrap_or(&all).iter();
        let rows = rows.map(|&row| &step.values[row * step.coordinates..(row + 1) * step.coordinates]);
        match &self.columns {
            None => rows.flatten().copied().collect(),
            Some(columns) => rows.flat_map(|row| columns.iter().map(|&column| row[column])).collect(),
        }
    }
}
