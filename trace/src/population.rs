//! The population record: contribution and self term of every training example, written and streamed.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, UInt32Array};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::DoubleType;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::manifest::{POPULATION, path_in_run};
use crate::row_groups::{GroupReader, PartFiles, Rows};
use crate::{Run, TraceError, schema};

/// One layer's contributions and self terms at one step, over its weights and biases.
#[derive(Clone, Copy, Debug)]
pub struct PopulationLayer<'a> {
    /// ⟨g_{t,i}, g_t⟩ of the layer's parameters for each training example, `[m]`.
    pub contributions: &'a [f64],
    /// ‖g_{t,i}‖² of the layer's parameters for each training example, `[m]`.
    pub self_terms: &'a [f64],
}

/// What is written of the whole training set at one step [S 4.1].
#[derive(Clone, Copy, Debug)]
pub struct PopulationRows<'a> {
    /// The layers, the one next to the input first.
    pub layers: &'a [PopulationLayer<'a>],
    /// ‖G_l‖² + ‖b_l‖² of each layer, from the summed gradient itself.
    pub gradient_norms_sq: &'a [f64],
}

/// The whole training set at one step.
#[derive(Clone, Debug)]
pub struct PopulationStep<'a> {
    /// Step t; everything is at w_t, before update t.
    pub step: i64,
    /// s_{t,i} = ⟨g_{t,i}, g_t⟩ over all parameters, for examples 0, 1, …, m − 1.
    pub contributions: &'a [f64],
    /// q_{t,i} = ‖g_{t,i}‖² over all parameters.
    pub self_terms: &'a [f64],
    /// The same by layer, the one next to the input first.
    pub layers: Vec<PopulationLayer<'a>>,
}

/// The squared norm of the full gradient of one layer at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientNorm {
    /// Step t.
    pub step: i64,
    /// Layer, 0 next to the input.
    pub layer: u32,
    /// ‖G_l‖² + ‖b_l‖²: weights and biases of the gradient summed over all m examples.
    pub gradient_norm_sq: f64,
}

/// Names of the columns of values, in the order of `schema::population`.
pub(crate) fn value_columns(layers: usize) -> Vec<String> {
    let layers = (0..layers).flat_map(|layer| [format!("contribution_{layer}"), format!("self_term_{layer}")]);
    ["contribution".to_string(), "self_term".to_string()].into_iter().chain(layers).collect()
}

/// See [`Run::map_population`].
pub(crate) fn map_population<T: Send>(
    run: &Run,
    work: impl Fn(PopulationStep<'_>) -> T + Sync,
) -> Result<Vec<T>, TraceError> {
    let manifest = run.manifest();
    if manifest.population_steps.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Rows {
        steps: &manifest.population_steps,
        // `Manifest::check` keeps m within u32.
        example_ids: (0..u32::try_from(manifest.train_examples).unwrap_or(u32::MAX)).collect(),
        steps_field: "population_steps",
        examples: "training examples",
        due: "all training examples",
    };
    let layers = run.population_layers()?;
    let (directory, schema, names) = (run.directory(), schema::population(layers), value_columns(layers));
    let files = manifest.population_files().map(|(name, entry)| (path_in_run(directory, name), entry.clone()));
    let parts = PartFiles::open::<DoubleType>(&directory.join(POPULATION), files, &schema, rows)?;
    parts.map(
        |reader, step| check_values(reader, &names, step),
        |step, _, columns| {
            let (totals, layers) = columns.split_at(2);
            work(PopulationStep {
                step,
                contributions: &totals[0].values,
                self_terms: &totals[1].values,
                layers: layers
                    .chunks_exact(2)
                    .map(|pair| PopulationLayer { contributions: &pair[0].values, self_terms: &pair[1].values })
                    .collect(),
            })
        },
    )
}

/// Checks that the values of the step that was read last are there and finite.
fn check_values(reader: &GroupReader<'_, DoubleType>, names: &[String], step: i64) -> Result<(), TraceError> {
    for (column, name) in reader.values.iter().zip(names) {
        reader.check_nulls(column, name)?;
        if let Some((row, value)) = first_non_finite(&column.values) {
            return Err(non_finite(reader.path, name, step, reader.examples()[row], value));
        }
    }
    Ok(())
}

pub(crate) fn non_finite(path: &Path, column: &str, step: i64, example_id: u32, value: f64) -> TraceError {
    let column = column.to_string();
    TraceError::NonFinitePopulation { path: path.to_path_buf(), column, step, example_id, value }
}

/// Place and value of the first NaN or infinity.
pub(crate) fn first_non_finite(values: &[f64]) -> Option<(usize, f64)> {
    // The whole column first without an early exit, which vectorises.
    if values.iter().fold(true, |finite, value| finite & value.is_finite()) {
        return None;
    }
    values.iter().copied().enumerate().find(|(_, value)| !value.is_finite())
}

/// The totals of the layers: contributions and self terms, summed example by example.
pub(crate) fn totals(layers: &[PopulationLayer<'_>]) -> [Vec<f64>; 2] {
    let m = layers.first().map_or(0, |layer| layer.contributions.len());
    let mut totals = [vec![0.0; m], vec![0.0; m]];
    for layer in layers {
        for (totals, values) in totals.iter_mut().zip([layer.contributions, layer.self_terms]) {
            totals.iter_mut().zip(values).for_each(|(total, value)| *total += value);
        }
    }
    totals
}

/// Writes a part file of one step, `columns` as `value_columns` names them, to `sink`; `path` is for messages.
pub(crate) fn write_part(
    sink: impl Write + Send,
    path: &Path,
    step: i64,
    columns: &[&[f64]],
) -> Result<(), TraceError> {
    let (m, layers) = (columns.first().map_or(0, |column| column.len()), columns.len() / 2 - 1);
    let mut arrays: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![step; m])), Arc::new(UInt32Array::from_iter_values(0..m as u32))];
    arrays.extend(columns.iter().map(|values| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef));
    let (schema, error) = (schema::population(layers), || TraceError::parquet("write", path));
    let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(|source| error()(source.into()))?;
    let properties = properties(layers).map_err(error())?;
    let mut writer = ArrowWriter::try_new(sink, schema, Some(properties)).map_err(error())?;
    writer.write(&batch).map_err(error())?;
    // Not `into_inner`, which hides the operating system's errors.
    writer.finish().map(|_| ()).map_err(error())
}

/// Encoded as the measurements in `docs/trace-format.md` say is best, one row group a file.
fn properties(layers: usize) -> Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_column_dictionary_enabled("example_id".into(), false)
        .set_column_encoding("example_id".into(), Encoding::DELTA_BINARY_PACKED)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled("step".into(), EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(None);
    for name in value_columns(layers) {
        let name = ColumnPath::from(name);
        properties = properties
            .set_column_dictionary_enabled(name.clone(), false)
            .set_column_encoding(name, Encoding::BYTE_STREAM_SPLIT);
    }
    Ok(properties.build())
}
