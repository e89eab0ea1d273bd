//! A finished run, for reading.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::files::check_file;
use crate::manifest::{COORDINATES, EXAMPLES, GRADIENT_NORMS, INPUTS, METRICS, path_in_run};
use crate::weights::snapshot_step;
use crate::{
    Coordinate, Example, GradientNorm, Manifest, Metric, OwnedLayerWeights, PopulationStep, StepGradients, TraceError,
    gradients, population, schema, tables, weights,
};

/// A finished run on disk.
#[derive(Clone, Debug)]
pub struct Run {
    directory: PathBuf,
    manifest: Manifest,
}

impl Run {
    /// Opens the run in `directory` and checks its manifest, not yet its files.
    ///
    /// # Errors
    /// There is no manifest; it is of another format version, no valid JSON, or impossible.
    pub fn open(directory: &Path) -> Result<Run, TraceError> {
        Ok(Run { directory: directory.to_path_buf(), manifest: Manifest::read(directory)? })
    }

    /// The run's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The run's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// All m training examples, ascending by id.
    ///
    /// # Errors
    /// The file is not the one that was written, has not the format's columns, or a row is impossible.
    pub fn examples(&self) -> Result<Vec<Example>, TraceError> {
        let path = self.checked_file(EXAMPLES)?;
        let rows = tables::read_examples(&path)?;
        let (train, sampled) = (self.manifest.train_examples, self.manifest.sampled_examples);
        self.check_rows(EXAMPLES, rows.len())?;
        if rows.len() != train {
            let message = format!("has {} rows, but the manifest says train_examples is {train}", rows.len());
            return Err(TraceError::contents(&path, message));
        }
        let marked = rows.iter().filter(|row| row.sampled).count();
        if marked != sampled {
            let message = format!("marks {marked} examples as sampled, but the manifest says {sampled}");
            return Err(TraceError::contents(&path, message));
        }
        Ok(rows)
    }

    /// The d sampled coordinates, in the order of the gradient list.
    ///
    /// # Errors
    /// As [`Run::examples`].
    pub fn coordinates(&self) -> Result<Vec<Coordinate>, TraceError> {
        let path = self.checked_file(COORDINATES)?;
        let rows = tables::read_coordinates(&path)?;
        self.check_rows(COORDINATES, rows.len())?;
        if rows.len() != self.manifest.coordinates {
            let message =
                format!("has {} rows, but the manifest says coordinates is {}", rows.len(), self.manifest.coordinates);
            return Err(TraceError::contents(&path, message));
        }
        tables::check_coordinates(&rows, &self.manifest.network).map_err(|(row, column, message)| TraceError::Row {
            path,
            row,
            column: column.to_string(),
            message,
        })?;
        Ok(rows)
    }

    /// The evaluations, in the order written; none if the manifest lists no `metrics.parquet`.
    ///
    /// # Errors
    /// As [`Run::examples`].
    pub fn metrics(&self) -> Result<Vec<Metric>, TraceError> {
        if !self.manifest.files.contains_key(METRICS) {
            return Ok(Vec::new());
        }
        let rows = tables::read_metrics(&self.checked_file(METRICS)?)?;
        self.check_rows(METRICS, rows.len())?;
        Ok(rows)
    }

    /// Checks size and SHA-256 of every file that the manifest lists, in parallel on the current rayon pool.
    ///
    /// [`Run::map_steps`] and [`Run::map_population`] do not: run the two together (`rayon::join`), and believe the values if both succeed.
    ///
    /// # Errors
    /// A file is missing, or was altered or truncated.
    pub fn verify(&self) -> Result<(), TraceError> {
        let files: Vec<_> = self.manifest.files.iter().collect();
        files.into_par_iter().try_for_each(|(name, entry)| check_file(&path_in_run(&self.directory, name), entry))
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
        gradients::map_steps(self, work)
    }

    /// Steps at which the whole training set was recorded, ascending; none if it never was.
    pub fn population_steps(&self) -> &[i64] {
        &self.manifest.population_steps
    }

    /// Streams the whole training set's contributions and self terms: calls `work` on each population step, and returns
    /// what it returned in the order of steps; nothing if there are none.
    ///
    /// Reads and checks as [`Run::map_steps`] does: every step must have all m training examples, and a column for each
    /// layer of the manifest's network.
    ///
    /// # Errors
    /// As [`Run::map_steps`].
    pub fn map_population<T: Send>(&self, work: impl Fn(PopulationStep<'_>) -> T + Sync) -> Result<Vec<T>, TraceError> {
        population::map_population(self, work)
    }

    /// The squared norms of the full gradient: one for each population step and layer, in this order.
    ///
    /// # Errors
    /// As [`Run::examples`].
    pub fn gradient_norms(&self) -> Result<Vec<GradientNorm>, TraceError> {
        let steps = &self.manifest.population_steps;
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let path = self.checked_file(GRADIENT_NORMS)?;
        let rows = tables::read_gradient_norms(&path)?;
        self.check_rows(GRADIENT_NORMS, rows.len())?;
        let layers = match self.manifest.network.len() {
            0 => rows.len() / steps.len(),
            widths => widths - 1,
        };
        if layers == 0 || rows.len() != steps.len() * layers {
            let message = format!("has {} rows, but needs one for each population step and layer", rows.len());
            return Err(TraceError::contents(&path, message));
        }
        let due = steps.iter().flat_map(|step| (0..layers).map(move |layer| (*step, layer)));
        match rows.iter().zip(due).position(|(row, due)| (row.step, row.layer as usize) != due) {
            Some(row) => Err(TraceError::Row {
                path,
                row,
                column: "step".to_string(),
                message:
                    "rows must be those of the manifest's population_steps and of the layers from 0 on, in this order"
                        .to_string(),
            }),
            None => Ok(rows),
        }
    }

    /// Layers of the population's columns.
    pub(crate) fn population_layers(&self) -> Result<usize, TraceError> {
        match self.manifest.network.len() {
            0 => Ok(self.gradient_norms()?.len() / self.manifest.population_steps.len().max(1)),
            widths => Ok(widths - 1),
        }
    }

    /// The inputs of the sampled examples, ascending by example; `None` if the manifest lists no `inputs.parquet`.
    ///
    /// # Errors
    /// As [`Run::examples`].
    pub fn inputs(&self) -> Result<Option<Vec<Vec<f32>>>, TraceError> {
        // `Manifest::check` sees to it that the network is known if inputs are listed.
        let Some(width) = self.manifest.network.first().filter(|_| self.manifest.files.contains_key(INPUTS)) else {
            return Ok(None);
        };
        let path = self.checked_file(INPUTS)?;
        let (examples, inputs) = tables::read_inputs(&path, *width)?;
        self.check_rows(INPUTS, examples.len())?;
        let sampled = self.examples()?.into_iter().filter(|example| example.sampled).map(|example| example.example_id);
        if !examples.into_iter().eq(sampled) {
            let message = "has not one row for each example that examples.parquet marks as sampled, ascending";
            return Err(TraceError::contents(&path, message));
        }
        Ok(Some(inputs))
    }

    /// The weights w_t of the snapshot at `step`, layer 0 first.
    ///
    /// # Errors
    /// There is no such snapshot, or it is not the one that was written, or no safetensors of such layers.
    pub fn weights(&self, step: i64) -> Result<Vec<OwnedLayerWeights>, TraceError> {
        match self.manifest.files.keys().find(|name| snapshot_step(name) == Some(step)) {
            Some(name) => weights::read(&self.checked_file(name)?),
            None => Err(TraceError::NoSnapshot { path: self.directory.clone(), step, available: self.snapshots() }),
        }
    }

    /// Steps that have a snapshot, ascending.
    pub fn snapshots(&self) -> Vec<i64> {
        let mut steps: Vec<i64> = self.manifest.files.keys().filter_map(|name| snapshot_step(name)).collect();
        steps.sort_unstable();
        steps
    }

    /// Path of a listed file, after checking its size and hash.
    fn checked_file(&self, name: &str) -> Result<PathBuf, TraceError> {
        let path = path_in_run(&self.directory, name);
        match self.manifest.files.get(name) {
            Some(entry) => check_file(&path, entry).map(|()| path),
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
