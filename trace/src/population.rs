//! The population record: contribution and self term of every training example, written and streamed.

use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float64Array, Int64Array, UInt32Array, new_null_array};
use arrow::datatypes::DataType;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::manifest::POPULATION;
use crate::row_groups::{PartFiles, Rows, first_non_finite};
use crate::schema::{Kind, Wanted, list_value};
use crate::table::{Column, read_table, write_batch, write_table};
use crate::{Run, TraceError};

/// Columns of values, in their order.
const VALUES: [&str; 4] = ["contribution", "self_term", "contribution_by_layer", "self_term_by_layer"];

/// One layer's contributions and self terms at one step, over all its parameters.
#[derive(Clone, Copy, Debug)]
pub struct PopulationLayer<'a> {
    /// ⟨g_{t,i}, g_t⟩ of the layer's parameters for each example of the population.
    pub contributions: &'a [f64],
    /// ‖g_{t,i}‖² of the layer's parameters for each example of the population, if recorded.
    pub self_terms: Option<&'a [f64]>,
}

/// What is written of the population at one step [S 4.1].
#[derive(Clone, Copy, Debug)]
pub struct PopulationRows<'a> {
    /// The layers, in the order of [`Run::layers`]; either all have self terms or none.
    pub layers: &'a [PopulationLayer<'a>],
    /// ‖g_t‖² over the parameters of each layer, from the summed gradient itself.
    pub gradient_norms_sq: &'a [f64],
}

/// The population at one step.
#[derive(Clone, Debug)]
pub struct PopulationStep<'a> {
    /// Step t; everything is at w_t, before update t.
    pub step: i64,
    /// The examples of the population, ascending: all m, unless it is a subset of them.
    pub example_ids: &'a [u32],
    /// s_{t,i} = ⟨g_{t,i}, g_t⟩ over all parameters, g_t being the sum over the population.
    pub contributions: &'a [f64],
    /// q_{t,i} = ‖g_{t,i}‖² over all parameters, if recorded.
    pub self_terms: Option<&'a [f64]>,
    /// The same by layer, in the order of [`Run::layers`]. (A run of format 2 that states no network may have further
    /// layers, of its coordinates, that have nothing here.)
    pub layers: Vec<PopulationLayer<'a>>,
}

/// The squared norm of the full gradient of one layer at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientNorm {
    /// Step t.
    pub step: i64,
    /// Place of the layer among [`Run::layers`].
    pub layer: u32,
    /// ‖g_t‖² over the layer's parameters, from the gradient summed over the population.
    pub gradient_norm_sq: f64,
}

/// The part files of the run's population record; `None` if it has none.
pub(crate) fn open(run: &Run) -> Result<Option<PartFiles<'_>>, TraceError> {
    let steps = &run.manifest().population_steps;
    if steps.is_empty() {
        return Ok(None);
    }
    let example_ids = run.examples()?.population_ids();
    let due = match example_ids.len() == run.manifest().train_examples {
        true => "all training examples",
        false => "the examples that examples.parquet marks as the population",
    };
    let examples = "examples of the population";
    let rows = Rows { steps, example_ids, steps_field: "population_steps", examples, due };
    let files = run.manifest().part_files(POPULATION, run.directory());
    let wanted = match run.earlier_population()? {
        Some(columns) => columns,
        None => {
            let layers = run.layers()?.len();
            vec![
                Wanted::required(VALUES[0], Kind::Double),
                Wanted::optional(VALUES[1], Kind::Double),
                Wanted::required(VALUES[2], Kind::Doubles(layers)),
                Wanted::optional(VALUES[3], Kind::Doubles(layers)),
            ]
        }
    };
    PartFiles::open(run.directory().join(POPULATION), files, wanted, rows).map(Some)
}

/// See [`Run::map_population_row_groups`].
pub(crate) fn map_population<T: Send>(
    run: &Run,
    row_groups: Range<usize>,
    work: impl Fn(PopulationStep<'_>) -> T + Sync,
) -> Result<Vec<T>, TraceError> {
    let Some(files) = open(run)? else { return Ok(Vec::new()) };
    if run.earlier().is_some() {
        return files.map(row_groups, |mut step| {
            let (t, ids, columns) = (step.step(), step.example_ids(), step.read(None)?);
            let (totals, layers) = columns.split_at(2);
            let layers = layers.chunks_exact(2).map(|pair| (pair[0].unwrap_or_default(), pair[1]));
            Ok(work(population_step(t, ids, totals[0], totals[1], layers)))
        });
    }
    let layers = run.layers()?.len();
    files.map(row_groups, |mut step| {
        let (t, ids, columns) = (step.step(), step.example_ids(), step.read(None)?);
        let contributions = by_layer(columns[2].unwrap_or_default(), layers);
        let self_terms = columns[3].map(|values| by_layer(values, layers));
        let layer = |layer: usize| (&contributions[layer][..], self_terms.as_ref().map(|terms| &terms[layer][..]));
        Ok(work(population_step(t, ids, columns[0], columns[1], (0..layers).map(layer))))
    })
}

fn population_step<'a>(
    step: i64,
    example_ids: &'a [u32],
    contributions: Option<&'a [f64]>,
    self_terms: Option<&'a [f64]>,
    layers: impl Iterator<Item = (&'a [f64], Option<&'a [f64]>)>,
) -> PopulationStep<'a> {
    let layers = layers.map(|(contributions, self_terms)| PopulationLayer { contributions, self_terms }).collect();
    PopulationStep { step, example_ids, contributions: contributions.unwrap_or_default(), self_terms, layers }
}

/// A column of lists, turned into a column for each layer.
fn by_layer(lists: &[f64], layers: usize) -> Vec<Vec<f64>> {
    let mut columns = vec![Vec::with_capacity(lists.len() / layers); layers];
    for list in lists.chunks_exact(layers) {
        columns.iter_mut().zip(list).for_each(|(column, value)| column.push(*value));
    }
    columns
}

/// The sums of the layers, example by example; `None` where a layer has no such column.
pub(crate) fn totals<'a>(mut layers: impl Iterator<Item = Option<&'a [f64]>>) -> Option<Vec<f64>> {
    let first = layers.next()??.to_vec();
    layers.try_fold(first, |mut totals, layer| {
        totals.iter_mut().zip(layer?).for_each(|(total, value)| *total += value);
        Some(totals)
    })
}

/// What is written of the population at one step, with its totals.
pub(crate) struct Part<'a> {
    pub step: i64,
    pub example_ids: &'a [u32],
    pub contributions: Vec<f64>,
    pub self_terms: Option<Vec<f64>>,
    pub layers: &'a [PopulationLayer<'a>],
}

impl Part<'_> {
    /// The first value that is NaN or infinite: its column, its row and itself.
    pub fn first_non_finite(&self) -> Option<(String, usize, f64)> {
        let found = |name: String, values: &[f64]| first_non_finite(values).map(|(row, value)| (name, row, value));
        let layers = self.layers.iter().enumerate().find_map(|(place, layer)| {
            let name = |column: usize| format!("{}[{place}]", VALUES[column]);
            found(name(2), layer.contributions).or_else(|| found(name(3), layer.self_terms?))
        });
        let totals = || found(VALUES[0].to_string(), &self.contributions);
        layers.or_else(totals).or_else(|| found(VALUES[1].to_string(), self.self_terms.as_deref()?))
    }
}

/// Writes a part file of one step to `sink`; `path` is for messages.
pub(crate) fn write_part(
    sink: impl Write + Send,
    path: &Path,
    footer: KeyValue,
    part: &Part<'_>,
) -> Result<(), TraceError> {
    let (rows, layers) = (part.example_ids.len(), part.layers.len());
    let error = |error: ParquetError| TraceError::parquet("write", path)(error);
    let value = list_value(DataType::Float64);
    let width = i32::try_from(layers).unwrap_or(i32::MAX);
    let lists = |of: &dyn Fn(&PopulationLayer<'_>, usize) -> f64| -> Result<ArrayRef, TraceError> {
        let values = (0..rows).flat_map(|row| part.layers.iter().map(move |layer| of(layer, row)));
        let values = Arc::new(Float64Array::from_iter_values(values));
        let lists = FixedSizeListArray::try_new(value.clone(), width, values, None);
        Ok(Arc::new(lists.map_err(|source| error(source.into()))?))
    };
    let contributions = lists(&|layer, row| layer.contributions[row])?;
    let kind = contributions.data_type().clone();
    let (totals, by_layer): (ArrayRef, ArrayRef) = match &part.self_terms {
        Some(totals) => {
            let self_term =
                |layer: &PopulationLayer<'_>, row: usize| layer.self_terms.map_or(f64::NAN, |terms| terms[row]);
            (Arc::new(Float64Array::from(totals.clone())), lists(&self_term)?)
        }
        None => (new_null_array(&DataType::Float64, rows), new_null_array(&kind, rows)),
    };
    let columns: Vec<Column<'_>> = vec![
        ("step", Arc::new(Int64Array::from(vec![part.step; rows])), false),
        ("example_id", Arc::new(UInt32Array::from(part.example_ids.to_vec())), false),
        (VALUES[0], Arc::new(Float64Array::from(part.contributions.clone())), false),
        (VALUES[1], totals, true),
        (VALUES[2], contributions, false),
        (VALUES[3], by_layer, true),
    ];
    write_batch(sink, path, properties(footer).map_err(error)?, columns)
}

/// Encoded as the measurements in `docs/trace-format.md` say is best, one row group a file.
fn properties(footer: KeyValue) -> Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_column_dictionary_enabled("example_id".into(), false)
        .set_column_encoding("example_id".into(), Encoding::DELTA_BINARY_PACKED)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled("step".into(), EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(vec![footer]))
        .set_max_row_group_row_count(None);
    for name in VALUES {
        let parts = if name.ends_with("by_layer") { vec![name, "list", "element"] } else { vec![name] };
        let name = ColumnPath::from(parts.into_iter().map(str::to_string).collect::<Vec<_>>());
        properties = properties
            .set_column_dictionary_enabled(name.clone(), false)
            .set_column_encoding(name, Encoding::BYTE_STREAM_SPLIT);
    }
    Ok(properties.build())
}

/// Reads `gradient-norms.parquet`, in the order of its rows.
pub(crate) fn read_gradient_norms(path: &Path) -> Result<Vec<GradientNorm>, TraceError> {
    let wanted = [
        Wanted::required("step", Kind::Integer),
        Wanted::required("layer", Kind::Integer),
        Wanted::required("gradient_norm_sq", Kind::Number),
    ];
    let mut rows = Vec::new();
    read_table(path, &wanted, |table| {
        let (steps, layers) = (table.integers("step")?, table.integers("layer")?);
        let norms = table.numbers("gradient_norm_sq")?;
        for row in 0..table.rows() {
            let gradient_norm_sq = norms.value(row);
            if !gradient_norm_sq.is_finite() || gradient_norm_sq < 0.0 {
                let message = format!("is {gradient_norm_sq}, but must be finite and not negative");
                return Err(table.error(row, "gradient_norm_sq", message));
            }
            let layer = u32::try_from(layers.value(row))
                .map_err(|_| table.error(row, "layer", format!("is {}, no layer", layers.value(row))))?;
            rows.push(GradientNorm { step: steps.value(row), layer, gradient_norm_sq });
        }
        Ok(())
    })?;
    Ok(rows)
}

/// Writes `gradient-norms.parquet` to `sink`; `path` is for messages.
pub(crate) fn write_gradient_norms(
    sink: impl Write + Send,
    path: &Path,
    footer: KeyValue,
    rows: &[GradientNorm],
) -> Result<(), TraceError> {
    let norms = rows.iter().map(|row| row.gradient_norm_sq);
    let columns: Vec<Column<'_>> = vec![
        ("step", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.step))), false),
        ("layer", Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.layer))), false),
        ("gradient_norm_sq", Arc::new(Float64Array::from_iter_values(norms)), false),
    ];
    write_table(sink, path, footer, columns)
}
