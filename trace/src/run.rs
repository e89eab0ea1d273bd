//! A finished run, for reading.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::manifest::{COORDINATES, EXAMPLES, GRADIENT_NORMS, INPUTS, METRICS, PARAMETERS, path_in_run};
use crate::parallel::map_in_order;
use crate::schema::Wanted;
use crate::table::row_error;
use crate::tensors::snapshot_step;
use crate::version_2::Earlier;
use crate::{
    Coordinate, ExampleColumn, Examples, GradientNorm, GradientStep, Layer, Manifest, Metric, Parameter,
    PopulationStep, RowGroup, StepGradients, Tensor, TraceError, examples, gradients, metrics, parameters, population,
    schema, tensors,
};
use cograd_files::{FileEntry, check_file};

/// A finished run on disk.
#[derive(Clone, Debug)]
pub struct Run {
    directory: PathBuf,
    manifest: Manifest,
    /// What a run of an earlier version of the format says besides.
    earlier: Option<Earlier>,
}

impl Run {
    /// Opens the run in `directory` and checks its manifest, not yet its files.
    ///
    /// # Errors
    /// There is no manifest; it is of another format version, no valid JSON, or impossible.
    pub fn open(directory: &Path) -> Result<Run, TraceError> {
        let (manifest, earlier) = Manifest::read(directory)?;
        Ok(Run { directory: directory.to_path_buf(), manifest, earlier })
    }

    /// The run's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The run's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn earlier(&self) -> Option<&Earlier> {
        self.earlier.as_ref()
    }

    /// The columns of the population in an earlier version of the format.
    pub(crate) fn earlier_population(&self) -> Result<Option<Vec<Wanted>>, TraceError> {
        self.earlier.as_ref().map(|earlier| earlier.population_columns(self)).transpose()
    }

    /// Every parameter of the network. A run of format 2 that states no network has one of unknown size for each layer.
    ///
    /// # Errors
    /// The file is not the one that was written, has not the format's columns, or a row is impossible.
    pub fn parameters(&self) -> Result<Vec<Parameter>, TraceError> {
        if let Some(earlier) = &self.earlier {
            return earlier.parameters(self);
        }
        let rows = parameters::read_parameters(&self.checked_file(PARAMETERS)?)?;
        self.check_rows(PARAMETERS, rows.len())?;
        Ok(rows)
    }

    /// The layers, in the order of their first parameters.
    ///
    /// # Errors
    /// As [`Run::parameters`].
    pub fn layers(&self) -> Result<Vec<Layer>, TraceError> {
        match &self.earlier {
            Some(earlier) => earlier.layers(self),
            None => Ok(parameters::layers(&self.parameters()?)),
        }
    }

    /// The d recorded coordinates, in the order of the gradient list.
    ///
    /// # Errors
    /// As [`Run::parameters`].
    pub fn coordinates(&self) -> Result<Vec<Coordinate>, TraceError> {
        let rows = match &self.earlier {
            Some(earlier) => earlier.coordinates(self)?,
            None => parameters::read_coordinates(&self.checked_file(COORDINATES)?, &self.parameters()?)?,
        };
        self.check_rows(COORDINATES, rows.len())?;
        if rows.len() != self.manifest.coordinates {
            let message =
                format!("has {} rows, but the manifest says coordinates is {}", rows.len(), self.manifest.coordinates);
            return Err(TraceError::contents(&path_in_run(&self.directory, COORDINATES), message));
        }
        Ok(rows)
    }

    /// Which of the m training examples were recorded. Reads nothing else of them.
    ///
    /// # Errors
    /// As [`Run::parameters`].
    pub fn examples(&self) -> Result<Examples, TraceError> {
        let path = self.checked_file(EXAMPLES)?;
        let examples = examples::read_examples(&path)?;
        self.check_rows(EXAMPLES, examples.len())?;
        let marked = |marks: &Vec<bool>| marks.iter().filter(|marked| **marked).count();
        let population = examples.population.as_ref().map_or(examples.len(), marked);
        let Manifest { train_examples, sampled_examples, population_examples, .. } = self.manifest;
        for (found, expected, what) in [
            (examples.len(), train_examples, "rows, but the manifest says train_examples is"),
            (marked(&examples.sampled), sampled_examples, "examples marked as sampled, but the manifest says"),
            (population, population_examples, "examples in the population, but the manifest says"),
        ] {
            if found != expected {
                return Err(TraceError::contents(&path, format!("has {found} {what} {expected}")));
            }
        }
        Ok(examples)
    }

    /// Names and types of the columns that [`Run::example_column`] reads: those of `examples.parquet` that it can read, in
    /// their order, and `pristine` if it can be derived from `label` and `original_label`.
    ///
    /// # Errors
    /// The file is not the one that was written.
    pub fn example_columns(&self) -> Result<Vec<(String, String)>, TraceError> {
        examples::columns(&self.checked_file(EXAMPLES)?)
    }

    /// A column of `examples.parquet`, a value for each of the m training examples; `None` if there is no such column.
    /// No other column is read, save for `pristine`, which is compared with the labels or derived from them.
    ///
    /// # Errors
    /// The file is not the one that was written; the column is of a type that cannot be read; a value is impossible.
    pub fn example_column(&self, name: &str) -> Result<Option<ExampleColumn>, TraceError> {
        let path = self.checked_file(EXAMPLES)?;
        let column = examples::read_column(&path, name)?;
        if let Some(column) = &column {
            self.check_rows(EXAMPLES, column.len())?;
        }
        Ok(column)
    }

    /// The measurements, in the order written; none if the manifest lists no `metrics.parquet`.
    ///
    /// # Errors
    /// As [`Run::parameters`].
    pub fn metrics(&self) -> Result<Vec<Metric>, TraceError> {
        match (self.manifest.files.get(METRICS), &self.earlier) {
            (None, _) => Ok(Vec::new()),
            (Some(_), Some(_)) => {
                let rows = Earlier::metrics(self)?;
                self.check_rows(METRICS, rows.len() / 2)?;
                Ok(rows)
            }
            (Some(_), None) => {
                let rows = metrics::read_metrics(&self.checked_file(METRICS)?)?;
                self.check_rows(METRICS, rows.len())?;
                Ok(rows)
            }
        }
    }

    /// Checks size and SHA-256 of every file that the manifest lists, in parallel on the current rayon pool.
    ///
    /// [`Run::map_steps`] and [`Run::map_population`] do not: run the two together (`rayon::join`), and believe the values if both succeed.
    ///
    /// # Errors
    /// A file is missing, or was altered or truncated.
    pub fn verify(&self) -> Result<(), TraceError> {
        self.verify_files(|_| true)
    }

    /// Checks, as [`Run::verify`] does, the files whose names in the manifest are `chosen`.
    ///
    /// # Errors
    /// As [`Run::verify`].
    pub fn verify_files(&self, chosen: impl Fn(&str) -> bool) -> Result<(), TraceError> {
        let files: Vec<_> = self.manifest.files.iter().filter(|(name, _)| chosen(name)).collect();
        let check = |(name, entry): &(&String, &FileEntry)| check_file(&path_in_run(&self.directory, name), entry);
        map_in_order(&files, check)?;
        Ok(())
    }

    /// Names and types of the columns of a Parquet file of this run, named as the manifest names it.
    ///
    /// # Errors
    /// The file is missing or no Parquet file.
    pub fn columns(&self, name: &str) -> Result<Vec<(String, String)>, TraceError> {
        schema::columns(&path_in_run(&self.directory, name))
    }

    /// Streams the gradients: calls `work` on each recorded step, and returns what it returned in the order of steps.
    ///
    /// Row groups are decoded and worked on in parallel on the current rayon pool, one step at a time each, so that
    /// memory does not grow with the trace. Checks columns and types, order, whole steps per row group, that every step
    /// has the examples marked as sampled in `examples.parquet`, and that every value is finite. [`Run::verify`]
    /// checks the hashes.
    ///
    /// # Errors
    /// One of these is not so; the message names the file and the row, or the step and the example.
    pub fn map_steps<T: Send>(&self, work: impl Fn(StepGradients<'_>) -> T + Sync) -> Result<Vec<T>, TraceError> {
        gradients::map(self, work)
    }

    /// The same of those row groups only that are at these places among [`Run::row_groups`]. What `work` makes of a step is given to
    /// `take`, in the order of steps; no more of it is held than of some thousand steps. `work` reads what it needs of a step, and
    /// nothing is checked of one that it does not read. The inner result is the first error of `take`, after which it gets nothing.
    ///
    /// # Errors
    /// As [`Run::map_steps`], and those of `work`.
    pub fn each_step<T: Send, E>(
        &self,
        row_groups: Range<usize>,
        work: impl Fn(GradientStep<'_, '_>) -> Result<T, TraceError> + Sync,
        take: impl FnMut(T) -> Result<(), E>,
    ) -> Result<Result<(), E>, TraceError> {
        gradients::each(self, row_groups, work, take)
    }

    /// What `work` makes of the steps at these `places` among the recorded ones, whatever row groups they are in; see [`Run::each_step`].
    ///
    /// # Errors
    /// As [`Run::each_step`].
    pub fn map_steps_at<T: Send>(
        &self,
        places: Range<usize>,
        work: impl Fn(GradientStep<'_, '_>) -> Result<T, TraceError> + Sync,
    ) -> Result<Vec<T>, TraceError> {
        gradients::map_places(self, places, work)
    }

    /// The row groups of the gradients, in the order of their steps.
    ///
    /// # Errors
    /// The footer of a file cannot be read, or says something else than the manifest.
    pub fn row_groups(&self) -> Result<Vec<RowGroup>, TraceError> {
        Ok(gradients::open(self)?.row_groups())
    }

    /// Steps at which the population was recorded, ascending; none if it never was.
    pub fn population_steps(&self) -> &[i64] {
        &self.manifest.population_steps
    }

    /// Streams the population's contributions and self terms: calls `work` on each population step, and returns what it
    /// returned in the order of steps; nothing if there are none.
    ///
    /// Reads and checks as [`Run::map_steps`] does: every step must have all examples of the population, and a value for
    /// each layer.
    ///
    /// # Errors
    /// As [`Run::map_steps`].
    pub fn map_population<T: Send>(&self, work: impl Fn(PopulationStep<'_>) -> T + Sync) -> Result<Vec<T>, TraceError> {
        self.map_population_row_groups(0..usize::MAX, work)
    }

    /// The same of those row groups only that are at these places among [`Run::population_row_groups`].
    ///
    /// # Errors
    /// As [`Run::map_steps`].
    pub fn map_population_row_groups<T: Send>(
        &self,
        row_groups: Range<usize>,
        work: impl Fn(PopulationStep<'_>) -> T + Sync,
    ) -> Result<Vec<T>, TraceError> {
        population::map_population(self, row_groups, work)
    }

    /// The row groups of the population record, in the order of their steps; none without a record.
    ///
    /// # Errors
    /// As [`Run::row_groups`].
    pub fn population_row_groups(&self) -> Result<Vec<RowGroup>, TraceError> {
        Ok(population::open(self)?.map_or_else(Vec::new, |files| files.row_groups()))
    }

    /// The squared norms of the full gradient: one for each population step and layer, in this order.
    ///
    /// # Errors
    /// As [`Run::parameters`].
    pub fn gradient_norms(&self) -> Result<Vec<GradientNorm>, TraceError> {
        let steps = &self.manifest.population_steps;
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let path = self.checked_file(GRADIENT_NORMS)?;
        let rows = population::read_gradient_norms(&path)?;
        self.check_rows(GRADIENT_NORMS, rows.len())?;
        let layers = match &self.earlier {
            Some(earlier) => earlier.population_layers(self)?,
            None => self.layers()?.len(),
        };
        if layers == 0 || rows.len() != steps.len() * layers {
            let message = format!("has {} rows, but needs one for each population step and layer", rows.len());
            return Err(TraceError::contents(&path, message));
        }
        let due = steps.iter().flat_map(|step| (0..layers).map(move |layer| (*step, layer)));
        match rows.iter().zip(due).position(|(row, due)| (row.step, row.layer as usize) != due) {
            Some(row) => {
                let message =
                    "rows must be those of the manifest's population_steps and of the layers from 0 on, in this order";
                Err(row_error(&path, row, "step", message))
            }
            None => Ok(rows),
        }
    }

    /// What the network sees of the sampled examples: tensors, by name, whose rows are the examples, ascending; `None` if
    /// it was not recorded. The recorder's own is one tensor, `input`.
    ///
    /// # Errors
    /// As [`Run::parameters`]; a tensor has not n rows, or values that f32 cannot hold.
    pub fn inputs(&self) -> Result<Option<Vec<Tensor>>, TraceError> {
        if let Some(earlier) = &self.earlier {
            return earlier.inputs(self);
        }
        if !self.manifest.files.contains_key(INPUTS) {
            return Ok(None);
        }
        let path = self.checked_file(INPUTS)?;
        let tensors = tensors::read(&path)?;
        let n = self.manifest.sampled_examples;
        match tensors.iter().find(|tensor| tensor.shape.first() != Some(&n)) {
            Some(Tensor { name, shape, .. }) => {
                let message = format!("{name} has the shape {shape:?}, but {n} sampled examples");
                Err(TraceError::contents(&path, message))
            }
            None => Ok(Some(tensors)),
        }
    }

    /// The weights w_t of the snapshot at `step`: tensors in the order of the parameters whose names they have, and then
    /// any others, by name.
    ///
    /// # Errors
    /// There is no such snapshot, or it is not the one that was written, or no safetensors; a parameter has another shape.
    pub fn weights(&self, step: i64) -> Result<Vec<Tensor>, TraceError> {
        let Some(name) = self.manifest.files.keys().find(|name| snapshot_step(name) == Some(step)) else {
            return Err(TraceError::NoSnapshot { path: self.directory.clone(), step, available: self.snapshots() });
        };
        let path = self.checked_file(name)?;
        let (mut tensors, parameters) = (tensors::read(&path)?, self.parameters()?);
        let places: std::collections::HashMap<&str, usize> =
            parameters.iter().enumerate().map(|(place, parameter)| (parameter.name.as_str(), place)).collect();
        for tensor in &tensors {
            let Some(parameter) = places.get(tensor.name.as_str()).map(|place| &parameters[*place]) else { continue };
            if !tensor.shape.iter().map(|length| *length as u64).eq(parameter.shape.iter().copied()) {
                let Tensor { name, shape, .. } = tensor;
                let message = format!("{name} has the shape {shape:?}, but the parameter {:?}", parameter.shape);
                return Err(TraceError::contents(&path, message));
            }
        }
        tensors.sort_by_key(|tensor| places.get(tensor.name.as_str()).copied().unwrap_or(usize::MAX));
        Ok(tensors)
    }

    /// Steps that have a snapshot, ascending.
    pub fn snapshots(&self) -> Vec<i64> {
        let mut steps: Vec<i64> = self.manifest.files.keys().filter_map(|name| snapshot_step(name)).collect();
        steps.sort_unstable();
        steps
    }

    /// The widths, input first, of a fully connected network with ReLU between its layers, whose parameters are
    /// `layer.0.weight` of the shape (out, in), `layer.0.bias` (out), `layer.1.weight`, …: what the task calls an `mlp`. `None`: another
    /// network.
    ///
    /// # Errors
    /// The task says `mlp`, but the parameters are others; as [`Run::parameters`].
    pub fn network_widths(&self) -> Result<Option<Vec<usize>>, TraceError> {
        if self.manifest.task.network.as_deref() != Some("mlp") {
            return Ok(None);
        }
        let parameters = self.parameters()?;
        let mut widths: Vec<u64> = Vec::new();
        for (layer, pair) in parameters.chunks(2).enumerate() {
            let shapes: Vec<&[u64]> = pair.iter().map(|parameter| &parameter.shape[..]).collect();
            let names = pair.iter().map(|parameter| parameter.name.as_str());
            let named = names.eq([format!("layer.{layer}.weight"), format!("layer.{layer}.bias")].iter());
            match shapes[..] {
                [&[fan_out, fan_in], &[biases]] if named && biases == fan_out => {
                    if widths.is_empty() {
                        widths.push(fan_in);
                    }
                    if widths.last() == Some(&fan_in) {
                        widths.push(fan_out);
                        continue;
                    }
                }
                _ => {}
            }
            let message = format!(
                "the manifest's task says `mlp`, but the parameters of layer {layer} are not those of a fully connected layer"
            );
            return Err(TraceError::contents(&path_in_run(&self.directory, PARAMETERS), message));
        }
        Ok(Some(widths.into_iter().map(|width| usize::try_from(width).unwrap_or(usize::MAX)).collect()))
    }

    /// Path of a listed file, after checking its size and hash.
    pub(crate) fn checked_file(&self, name: &str) -> Result<PathBuf, TraceError> {
        let path = path_in_run(&self.directory, name);
        match self.manifest.files.get(name) {
            Some(entry) => Ok(check_file(&path, entry).map(|()| path)?),
            None => Err(TraceError::MissingFile { path }),
        }
    }

    fn check_rows(&self, name: &str, found: usize) -> Result<(), TraceError> {
        match self.manifest.files.get(name) {
            Some(entry) if entry.rows != found as u64 => Err(TraceError::contents(
                &path_in_run(&self.directory, name),
                format!("has {found} rows, but the manifest says {}", entry.rows),
            )),
            _ => Ok(()),
        }
    }
}
