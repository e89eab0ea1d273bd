//! The rows of the small tables (`examples.parquet`, `coordinates.parquet`, `metrics.parquet`), read and written.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, FixedSizeListArray, Float32Array, Float64Array,
    Int64Array, PrimitiveArray, RecordBatch, StringArray, UInt8Array, UInt32Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, Schema, SchemaRef, UInt8Type, UInt32Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::{GradientNorm, TraceError, schema};

/// One training example of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// Row of the training set, in the order of its files.
    pub example_id: u32,
    /// Label the run trained on.
    pub label: u8,
    /// Label before label noise.
    pub original_label: u8,
    /// Whether the label is unchanged [S 1].
    pub pristine: bool,
    /// Whether the example's gradients were recorded.
    pub sampled: bool,
    /// First evaluated step at which the network's argmax was `label`; `None`: never.
    pub learned_step: Option<i64>,
}

/// One recorded coordinate: a weight of one of the network's matrices, which are `[fan_out, fan_in]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Coordinate {
    /// Place in the gradient list.
    pub coordinate: u32,
    /// Layer, 0 next to the input.
    pub layer: u32,
    /// Output unit.
    pub row: u32,
    /// Input unit.
    pub column: u32,
}

/// Which set an evaluation was made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// The training set, with the labels trained on.
    Train,
    /// The test set, whose labels are never noisy.
    Test,
}

impl Split {
    /// The name in `metrics.parquet`.
    pub fn as_str(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "test",
        }
    }
}

/// Which examples of a split an evaluation was made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subset {
    /// All of them.
    All,
    /// Those whose label is unchanged.
    Pristine,
    /// Those whose label was changed by label noise.
    Corrupt,
}

impl Subset {
    /// The name in `metrics.parquet`.
    pub fn as_str(self) -> &'static str {
        match self {
            Subset::All => "all",
            Subset::Pristine => "pristine",
            Subset::Corrupt => "corrupt",
        }
    }
}

/// One evaluation at w_t, before update t.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Step t.
    pub step: i64,
    /// Set evaluated on.
    pub split: Split,
    /// Examples of the set evaluated on.
    pub subset: Subset,
    /// Their number.
    pub examples: u32,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Fraction of them whose argmax is their label.
    pub accuracy: f64,
}

/// Writes `examples.parquet` to `sink`; `path` is for messages.
pub(crate) fn write_examples(sink: impl Write + Send, path: &Path, rows: &[Example]) -> Result<(), TraceError> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.example_id))),
        Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.label))),
        Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.original_label))),
        Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.pristine)))),
        Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.sampled)))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.learned_step))),
    ];
    write_table(sink, path, schema::examples(), columns)
}

/// Writes `coordinates.parquet` to `sink`; `path` is for messages.
pub(crate) fn write_coordinates(sink: impl Write + Send, path: &Path, rows: &[Coordinate]) -> Result<(), TraceError> {
    let column =
        |value: fn(&Coordinate) -> u32| -> ArrayRef { Arc::new(UInt32Array::from_iter_values(rows.iter().map(value))) };
    let columns =
        vec![column(|row| row.coordinate), column(|row| row.layer), column(|row| row.row), column(|row| row.column)];
    write_table(sink, path, schema::coordinates(), columns)
}

/// Writes `metrics.parquet` to `sink`; `path` is for messages.
pub(crate) fn write_metrics(sink: impl Write + Send, path: &Path, rows: &[Metric]) -> Result<(), TraceError> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.step))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.split.as_str()))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.subset.as_str()))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.examples))),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.loss))),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.accuracy))),
    ];
    write_table(sink, path, schema::metrics(), columns)
}

/// Writes `gradient-norms.parquet` to `sink`; `path` is for messages.
pub(crate) fn write_gradient_norms(
    sink: impl Write + Send,
    path: &Path,
    rows: &[GradientNorm],
) -> Result<(), TraceError> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.step))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.layer))),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.gradient_norm_sq))),
    ];
    write_table(sink, path, schema::gradient_norms(), columns)
}

/// Writes `inputs.parquet` to `sink`: `inputs` [n, width], row-major, of the examples `ids`; `path` is for messages.
pub(crate) fn write_inputs(
    sink: impl Write + Send,
    path: &Path,
    ids: &UInt32Array,
    inputs: &[f32],
    width: usize,
) -> Result<(), TraceError> {
    let (values, fan_in) = (Arc::new(Float32Array::from(inputs.to_vec())), i32::try_from(width).unwrap_or(i32::MAX));
    let lists = FixedSizeListArray::try_new(Arc::new(schema::list_value()), fan_in, values, None)
        .map_err(|source| TraceError::parquet("write", path)(source.into()))?;
    write_table(sink, path, schema::inputs(width), vec![Arc::new(ids.clone()), Arc::new(lists)])
}

fn write_table(
    sink: impl Write + Send,
    path: &Path,
    schema: SchemaRef,
    columns: Vec<ArrayRef>,
) -> Result<(), TraceError> {
    let error = || TraceError::parquet("write", path);
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let batch = RecordBatch::try_new(schema.clone(), columns).map_err(|source| error()(source.into()))?;
    let mut writer = ArrowWriter::try_new(sink, schema, Some(properties)).map_err(error())?;
    writer.write(&batch).map_err(error())?;
    // Not `into_inner`, which hides the operating system's errors.
    writer.finish().map(|_| ()).map_err(error())
}

/// Reads `examples.parquet`: rows 0 to m − 1 in order.
pub(crate) fn read_examples(path: &Path) -> Result<Vec<Example>, TraceError> {
    let mut rows: Vec<Example> = Vec::new();
    read_table(path, &schema::examples(), |table| {
        let (ids, labels) = (table.column::<UInt32Type>("example_id")?, table.column::<UInt8Type>("label")?);
        let originals = table.column::<UInt8Type>("original_label")?;
        let (pristine, sampled) = (table.flags("pristine")?, table.flags("sampled")?);
        let learned = table.nullable::<Int64Type>("learned_step")?;
        for row in 0..table.rows() {
            let example = Example {
                example_id: ids.value(row),
                label: labels.value(row),
                original_label: originals.value(row),
                pristine: pristine.value(row),
                sampled: sampled.value(row),
                learned_step: learned.is_valid(row).then(|| learned.value(row)),
            };
            check_example(&example, rows.len()).map_err(|(column, message)| table.error(row, column, message))?;
            rows.push(example);
        }
        Ok(())
    })?;
    Ok(rows)
}

/// What is wrong with the example in row `row`, if anything: the column and a message.
pub(crate) fn check_example(example: &Example, row: usize) -> Result<(), (&'static str, String)> {
    if example.example_id as usize != row {
        return Err((
            "example_id",
            format!("is {}, but the rows must be the training set's, in order", example.example_id),
        ));
    }
    let unchanged = example.label == example.original_label;
    if example.pristine != unchanged {
        let (label, original) = (example.label, example.original_label);
        let message = format!("is {}, but label is {label} and original_label {original}", example.pristine);
        return Err(("pristine", message));
    }
    match example.learned_step {
        Some(step) if step < 0 => Err(("learned_step", format!("is {step}; an example never learned has a null"))),
        _ => Ok(()),
    }
}

/// Reads `coordinates.parquet`: rows in the order of the gradient list.
pub(crate) fn read_coordinates(path: &Path) -> Result<Vec<Coordinate>, TraceError> {
    let mut rows = Vec::new();
    read_table(path, &schema::coordinates(), |table| {
        let (coordinates, layers) = (table.column::<UInt32Type>("coordinate")?, table.column::<UInt32Type>("layer")?);
        let (units, inputs) = (table.column::<UInt32Type>("row")?, table.column::<UInt32Type>("column")?);
        for row in 0..table.rows() {
            rows.push(Coordinate {
                coordinate: coordinates.value(row),
                layer: layers.value(row),
                row: units.value(row),
                column: inputs.value(row),
            });
        }
        Ok(())
    })?;
    Ok(rows)
}

/// What is wrong with the coordinates of a `network` (widths, input first; empty: unknown), if anything:
/// the row, the column and a message.
pub(crate) fn check_coordinates(rows: &[Coordinate], network: &[usize]) -> Result<(), (usize, &'static str, String)> {
    let mut seen = std::collections::HashSet::with_capacity(rows.len());
    for (place, row) in rows.iter().enumerate() {
        if row.coordinate as usize != place {
            let message = format!("is {}, but the rows must be in the order of the gradient list", row.coordinate);
            return Err((place, "coordinate", message));
        }
        if !seen.insert((row.layer, row.row, row.column)) {
            return Err((place, "coordinate", "is a weight that an earlier row names already".to_string()));
        }
        let layer = row.layer as usize;
        match (network.get(layer), network.get(layer + 1)) {
            _ if network.is_empty() => {}
            (Some(&fan_in), Some(&fan_out)) => {
                if row.row as usize >= fan_out {
                    return Err((
                        place,
                        "row",
                        format!("is {}, but layer {layer} has {fan_out} output units", row.row),
                    ));
                }
                if row.column as usize >= fan_in {
                    return Err((place, "column", format!("is {}, but layer {layer} has {fan_in} inputs", row.column)));
                }
            }
            _ => return Err((place, "layer", format!("is {layer}, but the network is {network:?}"))),
        }
    }
    Ok(())
}

/// Reads `metrics.parquet`, in the order of its rows.
pub(crate) fn read_metrics(path: &Path) -> Result<Vec<Metric>, TraceError> {
    let mut rows = Vec::new();
    read_table(path, &schema::metrics(), |table| {
        let (steps, examples) = (table.column::<Int64Type>("step")?, table.column::<UInt32Type>("examples")?);
        let (splits, subsets) = (table.text("split")?, table.text("subset")?);
        let (losses, accuracies) = (table.column::<Float64Type>("loss")?, table.column::<Float64Type>("accuracy")?);
        for row in 0..table.rows() {
            let (split, subset) = (splits.value(row), subsets.value(row));
            let known_split = [Split::Train, Split::Test].into_iter().find(|known| known.as_str() == split);
            let known_subset =
                [Subset::All, Subset::Pristine, Subset::Corrupt].into_iter().find(|known| known.as_str() == subset);
            let metric = Metric {
                step: steps.value(row),
                split: known_split
                    .ok_or_else(|| table.error(row, "split", format!("is `{split}`, but must be train or test")))?,
                subset: known_subset.ok_or_else(|| {
                    table.error(row, "subset", format!("is `{subset}`, but must be all, pristine or corrupt"))
                })?,
                examples: examples.value(row),
                loss: losses.value(row),
                accuracy: accuracies.value(row),
            };
            check_metric(&metric).map_err(|(column, message)| table.error(row, column, message))?;
            rows.push(metric);
        }
        Ok(())
    })?;
    Ok(rows)
}

/// What is wrong with an evaluation, if anything: the column and a message. The loss of a diverged run may be anything.
pub(crate) fn check_metric(metric: &Metric) -> Result<(), (&'static str, String)> {
    if metric.step < 0 {
        return Err(("step", format!("is {}, but steps begin at 0", metric.step)));
    }
    if metric.examples == 0 {
        return Err(("examples", "is 0: leave out the row of an empty subset".to_string()));
    }
    if !(0.0..=1.0).contains(&metric.accuracy) {
        return Err(("accuracy", format!("is {}, but must lie in [0, 1]", metric.accuracy)));
    }
    Ok(())
}

/// Reads `gradient-norms.parquet`, in the order of its rows.
pub(crate) fn read_gradient_norms(path: &Path) -> Result<Vec<GradientNorm>, TraceError> {
    let mut rows = Vec::new();
    read_table(path, &schema::gradient_norms(), |table| {
        let (steps, layers) = (table.column::<Int64Type>("step")?, table.column::<UInt32Type>("layer")?);
        let norms = table.column::<Float64Type>("gradient_norm_sq")?;
        for row in 0..table.rows() {
            let gradient_norm_sq = norms.value(row);
            if !gradient_norm_sq.is_finite() || gradient_norm_sq < 0.0 {
                let message = format!("is {gradient_norm_sq}, but must be finite and not negative");
                return Err(table.error(row, "gradient_norm_sq", message));
            }
            rows.push(GradientNorm { step: steps.value(row), layer: layers.value(row), gradient_norm_sq });
        }
        Ok(())
    })?;
    Ok(rows)
}

/// Reads `inputs.parquet`: the ids and the inputs of the examples, `width` each, in the order of its rows.
pub(crate) fn read_inputs(path: &Path, width: usize) -> Result<(Vec<u32>, Vec<Vec<f32>>), TraceError> {
    let (mut examples, mut inputs) = (Vec::new(), Vec::new());
    read_table(path, &schema::inputs(width), |table| {
        examples.extend_from_slice(table.column::<UInt32Type>("example_id")?.values());
        for row in 0..table.rows() {
            inputs.push(table.floats(row, "input", width)?);
        }
        Ok(())
    })?;
    Ok((examples, inputs))
}

/// Some consecutive rows of a file, with its name for messages.
struct Table<'a> {
    path: &'a Path,
    batch: &'a RecordBatch,
    first_row: usize,
}

impl Table<'_> {
    fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    fn error(&self, row: usize, column: &str, message: impl Into<String>) -> TraceError {
        let (path, row) = (self.path.to_path_buf(), self.first_row + row);
        TraceError::Row { path, row, column: column.to_string(), message: message.into() }
    }

    fn array(&self, name: &'static str) -> Result<&ArrayRef, TraceError> {
        // `schema::open` has checked that it is there.
        self.batch.column_by_name(name).ok_or_else(|| self.error(0, name, "is missing"))
    }

    fn nullable<T: ArrowPrimitiveType>(&self, name: &'static str) -> Result<&PrimitiveArray<T>, TraceError> {
        self.array(name)?.as_primitive_opt().ok_or_else(|| self.error(0, name, "has another type"))
    }

    fn column<T: ArrowPrimitiveType>(&self, name: &'static str) -> Result<&PrimitiveArray<T>, TraceError> {
        let array = self.nullable::<T>(name)?;
        self.without_nulls(name, array)?;
        Ok(array)
    }

    fn flags(&self, name: &'static str) -> Result<&BooleanArray, TraceError> {
        let array = self.array(name)?.as_boolean_opt().ok_or_else(|| self.error(0, name, "has another type"))?;
        self.without_nulls(name, array)?;
        Ok(array)
    }

    /// A column of strings, however it is stored.
    fn text(&self, name: &'static str) -> Result<StringArray, TraceError> {
        let array = self.array(name)?;
        let plain = cast(array, &DataType::Utf8).map_err(|error| self.error(0, name, error.to_string()))?;
        self.without_nulls(name, &plain)?;
        plain.as_string_opt::<i32>().cloned().ok_or_else(|| self.error(0, name, "has another type"))
    }

    /// The list of `width` finite values in the given row of a column of lists, however it is stored.
    fn floats(&self, row: usize, name: &'static str, width: usize) -> Result<Vec<f32>, TraceError> {
        let array = self.array(name)?;
        let list = match (array.as_fixed_size_list_opt(), array.as_list_opt::<i32>(), array.as_list_opt::<i64>()) {
            _ if array.is_null(row) => return Err(self.error(row, name, "is null, but must have a value")),
            (Some(lists), ..) => lists.value(row),
            (_, Some(lists), _) => lists.value(row),
            (_, _, Some(lists)) => lists.value(row),
            _ => return Err(self.error(row, name, "has another type")),
        };
        let values = list.as_primitive_opt::<Float32Type>();
        let values = values.ok_or_else(|| self.error(row, name, "has another type"))?;
        if values.len() != width {
            return Err(self.error(row, name, format!("has {} values, not {width}", values.len())));
        }
        if values.null_count() > 0 || !values.values().iter().all(|value| value.is_finite()) {
            return Err(self.error(row, name, "has a null, NaN or infinity in it"));
        }
        Ok(values.values().to_vec())
    }

    fn without_nulls(&self, name: &'static str, array: &dyn Array) -> Result<(), TraceError> {
        match (0..array.len()).find(|row| array.is_null(*row)) {
            Some(row) => Err(self.error(row, name, "is null, but must have a value")),
            None => Ok(()),
        }
    }
}

fn read_table(
    path: &Path,
    schema: &Schema,
    mut take: impl FnMut(Table<'_>) -> Result<(), TraceError>,
) -> Result<(), TraceError> {
    let (file, metadata): (File, ArrowReaderMetadata) = schema::open(path, schema)?;
    schema::guarded(path, || {
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .build()
            .map_err(TraceError::parquet("read", path))?;
        let mut first_row = 0;
        for batch in reader {
            let batch = batch.map_err(|error| TraceError::parquet("read", path)(error.into()))?;
            take(Table { path, batch: &batch, first_row })?;
            first_row += batch.num_rows();
        }
        Ok(())
    })
}
