//! Writing a run: into a hidden directory, which gets its name when everything is on disk.

mod unfinished;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{FixedSizeListArray, Float32Array, Int64Array, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::Serialize;

use crate::checkpoint::{self, CHECKPOINT, Checkpoint, JournalPosition, Position, remove_all_but};
use crate::examples::{check_columns, write_examples};
use crate::journal::{self, Journal};
use crate::manifest::{
    COORDINATES, EXAMPLES, GRADIENT_NORMS, GRADIENTS, INPUTS, MANIFEST, METRICS, PARAMETERS, POPULATION, WEIGHTS,
    check_run_id, check_sizes, path_in_run,
};
use crate::metrics::{check_metric, write_metrics};
use crate::parameters::{check_coordinates, check_parameters, layers, write_coordinates, write_parameters};
use crate::population::{self, write_gradient_norms};
use crate::row_groups::first_non_finite;
use crate::schema::list_value;
use crate::table::footer;
use crate::tensors::{encode, snapshot_name};
use crate::{
    Conditions, Coordinate, ExampleColumn, Examples, FORMAT_VERSION, FileEntry, GradientNorm, Manifest, Metric,
    Parameter, PopulationRows, SkippedStep, Status, Task, Tensor, TraceError,
};
use cograd_files::{HashedFile, sha256, sync_directory};

pub use self::unfinished::{Progress, SoFar, copy_so_far, last_written};

/// Bytes of raw gradients that a row group holds at most (one step at least): a row group is decoded by one thread.
const ROW_GROUP_BYTES: usize = 8 << 20;

/// Size at which a part file is closed and the next begun: a part file is hashed by one thread.
const PART_BYTES: u64 = 64 << 20;

/// Bytes of raw gradients at which it is closed in any case: its journal, and the time to continue it, are bounded.
const PART_RAW_BYTES: u64 = 256 << 20;

/// What is known of a run before its first step.
#[derive(Clone, Debug, Serialize)]
pub struct RunDescription {
    /// Run id, the name of its directory: letters, digits, `.`, `_`, `-`, `+`, and no leading dot.
    pub run: String,
    /// What the run is made under, and its seed.
    pub conditions: Conditions,
    /// What is trained.
    pub task: Task,
    /// Updates that the run makes, T.
    pub steps: u64,
    /// Program that writes the run, and its version.
    pub writer: String,
    /// Number of training examples, m.
    pub train_examples: usize,
    /// The n sampled examples, ascending.
    pub example_ids: Vec<u32>,
    /// The examples of the population, ascending; `None`: all m.
    pub population_ids: Option<Vec<u32>>,
    /// Every parameter of the network.
    pub parameters: Vec<Parameter>,
    /// The d recorded coordinates, in the order of the gradient list.
    pub coordinates: Vec<Coordinate>,
}

impl RunDescription {
    fn check(&self) -> Result<(), String> {
        check_run_id(&self.run)?;
        self.conditions.check().map_err(|message| format!("condition {message}"))?;
        self.task.check()?;
        check_sizes(self.train_examples, self.example_ids.len(), self.coordinates.len())?;
        check_ids("example_ids", &self.example_ids, self.train_examples)?;
        if let Some(population) = &self.population_ids {
            check_ids("population_ids", population, self.train_examples)?;
        }
        let named = |what, (row, column, message): (usize, &str, String)| format!("{what} {row}: {column} {message}");
        check_parameters(&self.parameters).map_err(|wrong| named("parameter", wrong))?;
        check_coordinates(&self.coordinates, &self.parameters).map_err(|wrong| named("coordinate", wrong))
    }

    /// Equal for equal descriptions only.
    fn digest(&self) -> Result<String, TraceError> {
        let text = serde_json::to_vec(self);
        let text = text.map_err(|error| TraceError::Input { run: self.run.clone(), message: error.to_string() })?;
        Ok(sha256(&text))
    }

    fn manifest(&self) -> Manifest {
        Manifest {
            format_version: FORMAT_VERSION,
            run: self.run.clone(),
            conditions: self.conditions.clone(),
            task: self.task.clone(),
            train_examples: self.train_examples,
            sampled_examples: self.example_ids.len(),
            coordinates: self.coordinates.len(),
            steps: self.steps,
            recorded_steps: Vec::new(),
            population_steps: Vec::new(),
            population_examples: self.population_ids.as_ref().map_or(self.train_examples, Vec::len),
            skipped_steps: Vec::new(),
            status: Status::Finished,
            writer: self.writer.clone(),
            files: BTreeMap::new(),
            seal: String::new(),
        }
    }
}

/// Checks that ids ascend, that there are some, and that they are below m.
fn check_ids(field: &str, ids: &[u32], m: usize) -> Result<(), String> {
    if let Some(pair) = ids.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(format!("{field} must ascend, but {} is followed by {}", pair[0], pair[1]));
    }
    match ids.last() {
        Some(last) if (*last as usize) < m => Ok(()),
        Some(last) => Err(format!("{field} has example {last}, but there are {m} training examples")),
        None => Err(format!("{field} is empty")),
    }
}

/// Writes one run to `STUDY/runs/.RUN.partial/`, which [`RunWriter::finish`] renames to `STUDY/runs/RUN`.
///
/// Dropped without `finish`, it leaves the partial directory, which no reader takes for a run, and which
/// [`RunWriter::resume`] continues from the last [`RunWriter::checkpoint`].
#[derive(Debug)]
pub struct RunWriter {
    partial: PathBuf,
    finished: PathBuf,
    /// Hash of the description.
    description: String,
    manifest: Manifest,
    example_ids: UInt32Array,
    /// The examples of the population; `None`: all.
    population_ids: Option<Vec<u32>>,
    /// Number of layers.
    layers: usize,
    /// Of each population step, the norm of every layer's gradient.
    gradient_norms: Vec<Vec<f64>>,
    /// The part file being written, and its journal.
    part: Option<(Part, Journal)>,
    /// The journal that the checkpoint on disk needs.
    checkpointed_journal: Option<PathBuf>,
}

/// The part file being written.
#[derive(Debug)]
struct Part {
    name: String,
    path: PathBuf,
    writer: ArrowWriter<HashedFile>,
    rows: u64,
}

/// What a manifest says before anything is recorded.
fn without_records(manifest: &Manifest) -> Manifest {
    Manifest {
        recorded_steps: Vec::new(),
        population_steps: Vec::new(),
        skipped_steps: Vec::new(),
        files: BTreeMap::new(),
        seal: String::new(),
        ..manifest.clone()
    }
}

/// What became of an earlier attempt at a run.
#[derive(Debug)]
pub enum Resumed {
    /// There is nothing to continue.
    Nothing,
    /// The writer as it was at the last checkpoint, and the program's own bytes given with it.
    Continued(Box<RunWriter>, Vec<u8>),
    /// Everything had been written but the name; now the run is finished.
    Finished(Box<Manifest>),
}

impl RunWriter {
    /// Begins a run, discarding what an interrupted attempt at the same run left.
    ///
    /// # Errors
    /// The description is impossible, the run is already there, or the directory cannot be written.
    pub fn create(study: &Path, description: RunDescription) -> Result<RunWriter, TraceError> {
        let mut writer = RunWriter::new(study, &description)?;
        let partial = &writer.partial;
        if partial.is_symlink() {
            fs::remove_file(partial).map_err(TraceError::io("remove the link", partial))?;
        } else if partial.exists() {
            fs::remove_dir_all(partial).map_err(TraceError::io("remove", partial))?;
        }
        writer.create_directories()?;
        let RunDescription { parameters, coordinates, .. } = &description;
        writer.write_table(PARAMETERS, parameters.len(), |file, path, footer| {
            write_parameters(file, path, footer, parameters)
        })?;
        writer.write_table(COORDINATES, coordinates.len(), |file, path, footer| {
            write_coordinates(file, path, footer, coordinates)
        })?;
        Ok(writer)
    }

    fn create_directories(&self) -> Result<(), TraceError> {
        [GRADIENTS, WEIGHTS].iter().try_for_each(|name| {
            let directory = self.partial.join(name);
            fs::create_dir_all(&directory).map_err(TraceError::io("create", &directory))
        })
    }

    /// Continues a run where its last checkpoint was taken; from there on it writes the same bytes as a run that was
    /// never interrupted. Two processes must not do so at once: the caller sees to it.
    ///
    /// # Errors
    /// As [`RunWriter::create`]; [`TraceError::Checkpoint`] if the checkpoint is damaged or of another run, so that the
    /// run can only be begun again.
    pub fn resume(study: &Path, description: &RunDescription) -> Result<Resumed, TraceError> {
        let mut writer = RunWriter::new(study, description)?;
        // Whatever a link leads to is no run of ours, and would be cleared.
        if writer.partial.is_symlink() {
            return Ok(Resumed::Nothing);
        }
        if writer.partial.join(MANIFEST).exists() {
            return writer.finish_renaming();
        }
        let Some(Checkpoint { place, state, .. }) = checkpoint::read(&writer.partial)? else {
            return Ok(Resumed::Nothing);
        };
        if place.description != writer.description || without_records(&place.manifest) != writer.manifest {
            let message = "it is of a run with other settings or of another version of the program";
            return Err(TraceError::checkpoint(&writer.partial.join(CHECKPOINT), message));
        }
        checkpoint::restore_files(&writer.partial, &place)?;
        writer.manifest = place.manifest;
        writer.gradient_norms = map_all(&place.gradient_norms, f64::from_bits);
        if let Some(journal) = place.journal {
            writer.rebuild_part(&journal)?;
        }
        writer.check_rows()?;
        Ok(Resumed::Continued(Box::new(writer), state))
    }

    /// A writer that has written nothing.
    fn new(study: &Path, description: &RunDescription) -> Result<RunWriter, TraceError> {
        let run = description.run.clone();
        description.check().map_err(|message| TraceError::Input { run: run.clone(), message })?;
        let runs = study.join("runs");
        let (partial, finished) = (runs.join(format!(".{run}.partial")), runs.join(&run));
        if let Some(path) = [finished.clone(), runs.join(format!("run={run}"))].into_iter().find(|path| path.exists()) {
            return Err(TraceError::RunExists { path });
        }
        Ok(RunWriter {
            partial,
            finished,
            description: description.digest()?,
            manifest: description.manifest(),
            example_ids: UInt32Array::from(description.example_ids.clone()),
            population_ids: description.population_ids.clone(),
            layers: layers(&description.parameters).len(),
            gradient_norms: Vec::new(),
            part: None,
            checkpointed_journal: None,
        })
    }

    /// Ends a run that was interrupted between its manifest, the last file, and its renaming.
    fn finish_renaming(self) -> Result<Resumed, TraceError> {
        let damaged = |error: TraceError| TraceError::checkpoint(&self.partial.join(MANIFEST), error.to_string());
        let (manifest, _) = Manifest::read(&self.partial).map_err(damaged)?;
        if without_records(&manifest) != self.manifest {
            let message = "it is of a run with other settings or of another version of the program";
            return Err(TraceError::checkpoint(&self.partial.join(MANIFEST), message));
        }
        RunWriter { manifest, ..self }.rename().map(|manifest| Resumed::Finished(Box::new(manifest)))
    }

    /// Checks that the part files have the rows of every recorded step, and no others.
    fn check_rows(&self) -> Result<(), TraceError> {
        let parts = self.manifest.files.iter().filter(|(name, _)| name.starts_with(GRADIENTS));
        let rows =
            parts.map(|(_, entry)| entry.rows).sum::<u64>() + self.part.as_ref().map_or(0, |(part, _)| part.rows);
        match rows == (self.manifest.recorded_steps.len() * self.example_ids.len()) as u64 {
            true => Ok(()),
            false => {
                Err(TraceError::checkpoint(&self.partial.join(CHECKPOINT), "its steps are not those in the part files"))
            }
        }
    }

    /// Goes on with the part file that was open when the checkpoint was taken.
    fn rebuild_part(&mut self, place: &JournalPosition) -> Result<(), TraceError> {
        let path = self.partial.join(&place.name);
        let journal = Journal::reopen(&path, place.bytes)?
            .ok_or_else(|| TraceError::checkpoint(&path, "it is missing or too short"))?;
        self.part = Some((self.part_of(&path, place.bytes)?, journal));
        self.checkpointed_journal = Some(path);
        Ok(())
    }

    /// The next part file, with the steps in the first `bytes` bytes of a journal.
    fn part_of(&self, journal: &Path, bytes: u64) -> Result<Part, TraceError> {
        let (mut part, mut steps) = (self.next_part()?, Vec::new());
        journal::replay(journal, bytes, self.example_ids.len() * self.manifest.coordinates, |step, gradients| {
            steps.push(step);
            part.write(&self.batch(step, gradients)?, size_of_val(gradients)).map(|_| ())
        })?;
        match self.manifest.recorded_steps.ends_with(&steps) {
            true => Ok(part),
            false => Err(TraceError::checkpoint(journal, "its steps are not those that were recorded last")),
        }
    }

    /// Makes everything written so far last, together with `state`, bytes of the calling program, so that the run can be
    /// continued from here. Call it between two steps: a checkpoint holds whole steps only.
    ///
    /// # Errors
    /// A file cannot be written; the last checkpoint is then still good.
    pub fn checkpoint(&mut self, state: &[u8]) -> Result<(), TraceError> {
        self.write_checkpoint([Vec::new(), Vec::new()], state)
    }

    /// The same with what is known so far of the training examples, and metrics, as [`RunWriter::finish`] takes them: what is
    /// recorded up to here can then be read before the run is finished ([`copy_so_far`]).
    ///
    /// # Errors
    /// As [`RunWriter::checkpoint`]; a column or a row is impossible.
    pub fn checkpoint_with(
        &mut self,
        state: &[u8],
        columns: &[(&str, ExampleColumn)],
        metrics: &[Metric],
    ) -> Result<(), TraceError> {
        self.check_tables(columns, metrics)?;
        let (run, path, mut tables) = (&self.manifest.run, self.partial.join(CHECKPOINT), [Vec::new(), Vec::new()]);
        write_examples(&mut tables[0], &path, table_footer(run, EXAMPLES), &self.examples(), columns)?;
        write_metrics(&mut tables[1], &path, table_footer(run, METRICS), metrics)?;
        self.write_checkpoint(tables, state)
    }

    fn write_checkpoint(&mut self, tables: [Vec<u8>; 2], state: &[u8]) -> Result<(), TraceError> {
        let journal = self.part.as_ref().map(|(_, journal)| journal);
        let needed = journal.map(|journal| journal.path().to_path_buf());
        let journal = journal.map(Journal::sync).transpose()?;
        self.sync_directories()?;
        let place = Position {
            description: self.description.clone(),
            manifest: self.manifest.clone(),
            gradient_norms: map_all(&self.gradient_norms, f64::to_bits),
            tables: [tables[0].len(), tables[1].len()],
            journal,
        };
        checkpoint::write(&self.partial, &place, &[&tables[0], &tables[1], state].concat())?;
        match std::mem::replace(&mut self.checkpointed_journal, needed) {
            Some(old) if self.checkpointed_journal.as_ref() != Some(&old) => remove_file(&old),
            _ => Ok(()),
        }
    }

    fn sync_directories(&self) -> Result<(), TraceError> {
        sync_directory(&self.partial.join(GRADIENTS))?;
        sync_directory(&self.partial.join(WEIGHTS))?;
        if !self.manifest.population_steps.is_empty() {
            sync_directory(&self.partial.join(POPULATION))?;
        }
        Ok(sync_directory(&self.partial)?)
    }

    /// Writes the gradients `[n, d]` (row-major, rows in the order of the sampled examples) at w_t, t = `step`; steps
    /// ascend.
    ///
    /// # Errors
    /// The size or the step is impossible, a value is NaN or infinite, or the file cannot be written.
    pub fn write_gradients(&mut self, step: i64, gradients: &[f32]) -> Result<(), TraceError> {
        self.check_gradients(step, gradients)?;
        let batch = self.batch(step, gradients)?;
        let raw_step_bytes = size_of_val(gradients);
        let (mut part, mut journal) = match self.part.take() {
            Some(open) => open,
            None => (self.next_part()?, Journal::create(&self.partial.join(self.journal_name()))?),
        };
        journal.append(step, gradients)?;
        let rolls = part.write(&batch, raw_step_bytes)?;
        self.manifest.recorded_steps.push(step);
        if rolls {
            return self.close_part(part, &journal);
        }
        self.part = Some((part, journal));
        Ok(())
    }

    fn check_gradients(&self, step: i64, gradients: &[f32]) -> Result<(), TraceError> {
        let (n, d) = (self.manifest.sampled_examples, self.manifest.coordinates);
        if gradients.len() != n * d {
            return Err(self.input(format!("{} gradient values at step {step}, not {n} × {d}", gradients.len())));
        }
        self.check_step(step)?;
        self.check_after("gradients", step, &self.manifest.recorded_steps)?;
        match first_non_finite(gradients) {
            Some((place, value)) => {
                let (row, coordinate) = (place / d, place % d);
                let (path, example_id) = (self.finished.clone(), self.example_ids.value(row));
                Err(TraceError::NonFinite { path, step, example_id, coordinate, value })
            }
            None => Ok(()),
        }
    }

    /// Notes that nothing is recorded of a step although it was due, and why; steps ascend.
    ///
    /// # Errors
    /// The step is impossible, or has been recorded.
    pub fn skip_step(&mut self, step: i64, reason: &str) -> Result<(), TraceError> {
        let skipped = self.manifest.skipped_steps.last().map(|skipped| skipped.step);
        self.check_after("step was skipped", step, skipped.as_slice())?;
        self.check_step(step)?;
        let Manifest { recorded_steps, population_steps, .. } = &self.manifest;
        if recorded_steps.contains(&step) || population_steps.contains(&step) {
            return Err(self.input(format!("step {step} is recorded and cannot be skipped")));
        }
        self.manifest.skipped_steps.push(SkippedStep { step, reason: reason.to_string() });
        Ok(())
    }

    fn check_step(&self, step: i64) -> Result<(), TraceError> {
        match u64::try_from(step) {
            _ if self.manifest.skipped_steps.iter().any(|skipped| skipped.step == step) => {
                Err(self.input(format!("step {step} was skipped")))
            }
            Ok(place) if place <= self.manifest.steps => Ok(()),
            _ => Err(self.input(format!("step {step} lies outside the run's steps 0 to {}", self.manifest.steps))),
        }
    }

    fn check_after(&self, what: &str, step: i64, written: &[i64]) -> Result<(), TraceError> {
        match written.last() {
            Some(last) if *last >= step => Err(self.input(format!("{what} of step {step} after those of step {last}"))),
            _ => Ok(()),
        }
    }

    fn batch(&self, step: i64, gradients: &[f32]) -> Result<RecordBatch, TraceError> {
        let (schema, width) = (self.schema(), self.width());
        let values = Arc::new(Float32Array::from(gradients.to_vec()));
        let steps = Int64Array::from(vec![step; self.example_ids.len()]);
        FixedSizeListArray::try_new(list_value(DataType::Float32), width, values, None)
            .and_then(|lists| {
                let columns: Vec<arrow::array::ArrayRef> =
                    vec![Arc::new(steps), Arc::new(self.example_ids.clone()), Arc::new(lists)];
                RecordBatch::try_new(schema, columns)
            })
            .map_err(|error| self.input(error.to_string()))
    }

    /// Number of coordinates, d, which `check_sizes` keeps within i32.
    fn width(&self) -> i32 {
        i32::try_from(self.manifest.coordinates).unwrap_or(i32::MAX)
    }

    /// Columns of the gradients.
    fn schema(&self) -> SchemaRef {
        let gradient = DataType::FixedSizeList(list_value(DataType::Float32), self.width());
        let columns = [("step", DataType::Int64), ("example_id", DataType::UInt32), ("gradient", gradient)];
        Arc::new(Schema::new(columns.map(|(name, kind)| Field::new(name, kind, false)).to_vec()))
    }

    /// The next part file, empty.
    fn next_part(&self) -> Result<Part, TraceError> {
        let name = format!("{GRADIENTS}/part-{:05}.parquet", self.parts());
        let path = path_in_run(&self.partial, &name);
        let file = HashedFile::create(&path)?;
        let writer = gradient_writer(file, self.schema(), footer(&self.manifest.run, GRADIENTS))
            .map_err(TraceError::parquet("write", &path))?;
        Ok(Part { name, path, writer, rows: 0 })
    }

    /// Name of the next part file's journal: in the run's directory, where only the unfinished run has it.
    fn journal_name(&self) -> String {
        format!("journal-{:05}", self.parts())
    }

    /// Part files that are complete.
    fn parts(&self) -> usize {
        self.manifest.part_files(GRADIENTS, &self.partial).len()
    }

    fn close_part(&mut self, part: Part, journal: &Journal) -> Result<(), TraceError> {
        let (name, entry) = part.close()?;
        self.manifest.files.insert(name, entry);
        // Until the next checkpoint, the last one needs its journal.
        let needed = self.checkpointed_journal.as_deref() == Some(journal.path());
        if needed { Ok(()) } else { remove_file(journal.path()) }
    }

    /// Writes the contributions and self terms of the population at w_t, t = `step`; steps ascend.
    ///
    /// Each step is a part file of its own, complete when this returns: a checkpoint needs no journal of it.
    ///
    /// # Errors
    /// The step is impossible, there is not a value for each example and layer, one is NaN or infinite, or the file cannot
    /// be written.
    pub fn write_population(&mut self, step: i64, rows: &PopulationRows<'_>) -> Result<(), TraceError> {
        self.check_step(step)?;
        self.check_after("population", step, &self.manifest.population_steps)?;
        self.check_population_layers(step, rows)?;
        let every: Vec<u32>;
        let example_ids = match &self.population_ids {
            Some(population) => &population[..],
            None => {
                every = (0..self.manifest.train_examples as u32).collect();
                &every[..]
            }
        };
        let contributions = rows.layers.iter().map(|layer| Some(layer.contributions));
        let part = population::Part {
            step,
            example_ids,
            contributions: population::totals(contributions).unwrap_or_default(),
            self_terms: population::totals(rows.layers.iter().map(|layer| layer.self_terms)),
            layers: rows.layers,
        };
        if let Some((column, row, value)) = part.first_non_finite() {
            let (path, example_id) = (self.finished.clone(), example_ids[row]);
            return Err(TraceError::NonFinitePopulation { path, column, step, example_id, value });
        }
        let directory = self.partial.join(POPULATION);
        fs::create_dir_all(&directory).map_err(TraceError::io("create", &directory))?;
        let (name, n) = (format!("{POPULATION}/part-{step:010}.parquet"), example_ids.len());
        let footer = footer(&self.manifest.run, POPULATION);
        let (path, mut file) = self.new_file(&name)?;
        population::write_part(&mut file, &path, footer, &part)?;
        self.enter(&name, n, &path, file)?;
        self.manifest.population_steps.push(step);
        self.gradient_norms.push(rows.gradient_norms_sq.to_vec());
        Ok(())
    }

    /// Checks that there is a norm for each layer, and values for each layer and example.
    fn check_population_layers(&self, step: i64, rows: &PopulationRows<'_>) -> Result<(), TraceError> {
        let (n, found, layers) = (self.manifest.population_examples, rows.layers.len(), self.layers);
        let norms = rows.gradient_norms_sq.len();
        if found != layers || norms != layers {
            return Err(
                self.input(format!("population of step {step}: {found} layers and {norms} norms, not {layers}"))
            );
        }
        let self_terms = rows.layers.iter().filter(|layer| layer.self_terms.is_some()).count();
        if self_terms != 0 && self_terms != layers {
            return Err(self.input(format!("population of step {step}: self terms of {self_terms} layers of {layers}")));
        }
        let columns = rows.layers.iter().flat_map(|layer| [Some(layer.contributions), layer.self_terms]);
        if columns.flatten().any(|column| column.len() != n) {
            return Err(self.input(format!("population of step {step} has not {n} values in every column")));
        }
        match rows.gradient_norms_sq.iter().find(|norm| !(norm.is_finite() && **norm >= 0.0)) {
            Some(norm) => Err(self.input(format!("population of step {step}: the gradient's squared norm is {norm}"))),
            None => Ok(()),
        }
    }

    /// Writes what the network sees of the sampled examples: tensors whose rows are the examples, in their order.
    ///
    /// # Errors
    /// A tensor has not n rows, or not as many values as its shape says, or the file cannot be written.
    pub fn write_inputs(&mut self, inputs: &[Tensor]) -> Result<(), TraceError> {
        let n = self.manifest.sampled_examples;
        if let Some(tensor) = inputs.iter().find(|tensor| tensor.shape.first() != Some(&n)) {
            return Err(self.input(format!("input {} has the shape {:?}, not {n} rows", tensor.name, tensor.shape)));
        }
        self.write_tensors(INPUTS, inputs)
    }

    /// Writes a snapshot of the weights w_t, t = `step`: tensors named and shaped as the parameters.
    ///
    /// # Errors
    /// A tensor has not as many values as its shape says, or the file cannot be written.
    pub fn write_weights(&mut self, step: i64, weights: &[Tensor]) -> Result<(), TraceError> {
        match u64::try_from(step) {
            Ok(place) if place <= self.manifest.steps => self.write_tensors(&snapshot_name(step), weights),
            _ => self.check_step(step),
        }
    }

    fn write_tensors(&mut self, name: &str, tensors: &[Tensor]) -> Result<(), TraceError> {
        let bytes = encode(tensors).map_err(|message| self.input(message))?;
        let (path, mut file) = self.new_file(name)?;
        file.write_all(&bytes).map_err(TraceError::io("write", &path))?;
        self.enter(name, 0, &path, file)
    }

    /// Writes the small tables and the manifest, and gives the run its name. `columns` are what is known of the training
    /// examples, a name and m values each, such as `label`, `original_label` and `learned_step`.
    ///
    /// # Errors
    /// A column or a row is impossible, or a file cannot be written.
    pub fn finish(mut self, columns: &[(&str, ExampleColumn)], metrics: &[Metric]) -> Result<Manifest, TraceError> {
        self.check_tables(columns, metrics)?;
        if let Some((part, journal)) = self.part.take() {
            self.close_part(part, &journal)?;
        }
        let (m, examples) = (self.manifest.train_examples, self.examples());
        self.write_table(EXAMPLES, m, |file, path, footer| write_examples(file, path, footer, &examples, columns))?;
        self.write_table(METRICS, metrics.len(), |file, path, footer| write_metrics(file, path, footer, metrics))?;
        self.complete()
    }

    fn check_tables(&self, columns: &[(&str, ExampleColumn)], metrics: &[Metric]) -> Result<(), TraceError> {
        check_columns(columns, self.manifest.train_examples).map_err(|message| self.input(message))?;
        for (row, metric) in metrics.iter().enumerate() {
            check_metric(metric)
                .map_err(|(column, message)| self.input(format!("metrics, row {row}: {column} {message}")))?;
        }
        Ok(())
    }

    /// Which of the training examples are recorded.
    fn examples(&self) -> Examples {
        let marked = |ids: &[u32]| {
            let mut marked = vec![false; self.manifest.train_examples];
            ids.iter().for_each(|id| marked[*id as usize] = true);
            marked
        };
        Examples { sampled: marked(self.example_ids.values()), population: self.population_ids.as_deref().map(marked) }
    }

    /// Writes the norms and the manifest, the other files being there, and gives the run its name.
    fn complete(mut self) -> Result<Manifest, TraceError> {
        if !self.manifest.population_steps.is_empty() {
            let norms = self.norm_table();
            self.write_table(GRADIENT_NORMS, norms.len(), |file, path, footer| {
                write_gradient_norms(file, path, footer, &norms)
            })?;
        }
        self.manifest.check().map_err(|message| self.input(message))?;
        self.sync_directories()?;
        self.manifest.write(&self.partial)?;
        self.rename()
    }

    fn norm_table(&self) -> Vec<GradientNorm> {
        let steps = self.manifest.population_steps.iter().zip(&self.gradient_norms);
        let norms = steps.flat_map(|(step, norms)| {
            let norm = |(layer, norm): (usize, &f64)| GradientNorm {
                step: *step,
                layer: layer as u32,
                gradient_norm_sq: *norm,
            };
            norms.iter().enumerate().map(norm)
        });
        norms.collect()
    }

    /// Gives the run its name, its manifest being written. What an interruption leaves here, `resume` ends.
    fn rename(self) -> Result<Manifest, TraceError> {
        let kept = self.manifest.files.keys().map(String::as_str).chain([MANIFEST]);
        remove_all_but(&self.partial, "", &kept.collect())?;
        fs::rename(&self.partial, &self.finished).map_err(TraceError::io("create", &self.finished))?;
        if let Some(runs) = self.finished.parent() {
            sync_directory(runs)?;
        }
        Ok(self.manifest)
    }

    /// Creates the table at `name`, lets `fill` write it, and enters it in the manifest.
    fn write_table(
        &mut self,
        name: &str,
        rows: usize,
        fill: impl FnOnce(&mut HashedFile, &Path, KeyValue) -> Result<(), TraceError>,
    ) -> Result<(), TraceError> {
        let (path, mut file) = self.new_file(name)?;
        fill(&mut file, &path, table_footer(&self.manifest.run, name))?;
        self.enter(name, rows, &path, file)
    }

    fn new_file(&self, name: &str) -> Result<(PathBuf, HashedFile), TraceError> {
        let path = path_in_run(&self.partial, name);
        let file = HashedFile::create(&path)?;
        Ok((path, file))
    }

    /// Enters a file that was written into the manifest.
    fn enter(&mut self, name: &str, rows: usize, path: &Path, mut file: HashedFile) -> Result<(), TraceError> {
        let entry = file.close(path, rows as u64)?;
        self.manifest.files.insert(name.to_string(), entry);
        Ok(())
    }

    fn input(&self, message: String) -> TraceError {
        TraceError::Input { run: self.manifest.run.clone(), message }
    }
}

impl Part {
    /// Writes one step; true if the part has grown to its size.
    fn write(&mut self, step: &RecordBatch, raw_step_bytes: usize) -> Result<bool, TraceError> {
        let error = || TraceError::parquet("write", &self.path);
        self.writer.write(step).map_err(error())?;
        self.rows += step.num_rows() as u64;
        let raw_bytes = self.rows / step.num_rows() as u64 * raw_step_bytes as u64;
        let steps = self.writer.in_progress_rows() / step.num_rows();
        // Only whole steps in a row group: it ends before a further step would make it too large.
        if (steps + 1) * raw_step_bytes <= ROW_GROUP_BYTES {
            return Ok(false);
        }
        self.writer.flush().map_err(error())?;
        Ok(self.writer.bytes_written() as u64 >= PART_BYTES || raw_bytes >= PART_RAW_BYTES)
    }

    fn close(mut self) -> Result<(String, FileEntry), TraceError> {
        // Not `into_inner`, which hides the operating system's errors.
        self.writer.finish().map_err(TraceError::parquet("write", &self.path))?;
        let entry = self.writer.inner_mut().close(&self.path, self.rows)?;
        Ok((self.name, entry))
    }
}

fn map_all<T: Copy, U>(values: &[Vec<T>], change: impl Fn(T) -> U) -> Vec<Vec<U>> {
    values.iter().map(|values| values.iter().map(|value| change(*value)).collect()).collect()
}

/// The footer of the small table in the file `name`.
fn table_footer(run: &str, name: &str) -> KeyValue {
    footer(run, name.trim_end_matches(".parquet"))
}

fn remove_file(path: &Path) -> Result<(), TraceError> {
    fs::remove_file(path).map_err(TraceError::io("remove", path))
}

/// A writer of gradients, encoded as the measurements in `docs/trace-format.md` say is best.
fn gradient_writer(
    file: HashedFile,
    schema: SchemaRef,
    footer: KeyValue,
) -> Result<ArrowWriter<HashedFile>, ParquetError> {
    let values = ColumnPath::from(vec!["gradient".to_string(), "list".to_string(), "element".to_string()]);
    let ascending = |column_idx| SortingColumn { column_idx, descending: false, nulls_first: false };
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_column_dictionary_enabled(values.clone(), false)
        .set_column_encoding(values.clone(), Encoding::BYTE_STREAM_SPLIT)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(values, EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(vec![footer]))
        .set_max_row_group_row_count(None)
        .set_sorting_columns(Some(vec![ascending(0), ascending(1)]))
        .build();
    ArrowWriter::try_new(file, schema, Some(properties))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let path = Path::new("/dev/full");
        let file = HashedFile::create(path).unwrap();
        let error = write_coordinates(file, path, footer("run", COORDINATES), &[]).unwrap_err();
        assert!(matches!(error, TraceError::Io { .. }), "{error:?}");
        assert_eq!(error.to_string(), "cannot write /dev/full");
    }
}
