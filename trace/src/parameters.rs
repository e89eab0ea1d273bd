//! `parameters.parquet`, every parameter of the network, and `coordinates.parquet`, those whose gradients are recorded.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ListArray, StringArray, UInt32Array, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use parquet::file::metadata::KeyValue;
use serde::Serialize;

use crate::TraceError;
use crate::schema::{Kind, Wanted, list_value};
use crate::table::{LONGEST_NAME, read_table, row_error, write_table};

/// One parameter tensor of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its name, the state dict's: `blocks.3.attention.query.weight`.
    pub name: String,
    /// Its shape; empty for a single number.
    pub shape: Vec<u64>,
    /// The layer that it is reported with.
    pub layer: String,
    /// What it belongs to: `linear`, `conv2d`, `embedding`, `layer_norm`, …
    pub kind: Option<String>,
}

impl Parameter {
    /// A parameter of the layer that its name without the last part is.
    pub fn new(name: &str, shape: &[u64], kind: Option<&str>) -> Parameter {
        let layer = default_layer(name).to_string();
        Parameter { name: name.to_string(), shape: shape.to_vec(), layer, kind: kind.map(str::to_string) }
    }

    /// Number of values.
    pub fn size(&self) -> u64 {
        self.shape.iter().fold(1, |size, length| size.saturating_mul(*length))
    }
}

fn default_layer(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(layer, _)| layer)
}

/// A layer: parameters that are reported together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Places of its parameters among [`crate::Run::parameters`].
    pub parameters: Vec<usize>,
    /// Number of values of all of them. `None`: not known, in format 2 without `network`.
    pub size: Option<u64>,
}

/// The layers of some parameters, in the order of their first ones.
pub(crate) fn layers(parameters: &[Parameter]) -> Vec<Layer> {
    let (mut layers, mut places) = (Vec::<Layer>::new(), HashMap::new());
    for (place, parameter) in parameters.iter().enumerate() {
        let layer = *places.entry(parameter.layer.as_str()).or_insert(layers.len());
        if layer == layers.len() {
            layers.push(Layer { name: parameter.layer.clone(), parameters: Vec::new(), size: Some(0) });
        }
        layers[layer].parameters.push(place);
        layers[layer].size = layers[layer].size.map(|size| size.saturating_add(parameter.size()));
    }
    layers
}

/// One recorded coordinate: a value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Coordinate {
    /// Place of the parameter among [`crate::Run::parameters`].
    pub parameter: u32,
    /// Place in the tensor, row-major.
    pub index: u64,
}

/// Reads `parameters.parquet`.
pub(crate) fn read_parameters(path: &Path) -> Result<Vec<Parameter>, TraceError> {
    let wanted = [
        Wanted::required("parameter", Kind::Integer),
        Wanted::required("name", Kind::Text),
        Wanted::required("shape", Kind::Sizes),
        Wanted::optional("layer", Kind::Text),
        Wanted::optional("kind", Kind::Text),
    ];
    let mut parameters = Vec::new();
    read_table(path, &wanted, |table| {
        let (places, names, shapes) = (table.integers("parameter")?, table.names("name")?, table.sizes("shape")?);
        let optional = |name| table.array(name).map(|_| table.nullable_texts(name)).transpose();
        let (layers, kinds) = (optional("layer")?, optional("kind")?);
        let text = |column: &Option<StringArray>, row: usize| {
            let column = column.as_ref().filter(|column| column.is_valid(row))?;
            Some(column.value(row).to_string())
        };
        for (row, shape) in shapes.into_iter().enumerate() {
            if usize::try_from(places.value(row)) != Ok(parameters.len()) {
                let message = format!("is {}, but rows must be numbered from 0 on", places.value(row));
                return Err(table.error(row, "parameter", message));
            }
            let name = names.value(row).to_string();
            let layer = text(&layers, row).unwrap_or_else(|| default_layer(&name).to_string());
            parameters.push(Parameter { name, shape, layer, kind: text(&kinds, row) });
        }
        Ok(())
    })?;
    check_parameters(&parameters).map_err(|(row, column, message)| row_error(path, row, column, message))?;
    Ok(parameters)
}

/// What is wrong with the parameters, if anything: the row, the column and a message.
pub(crate) fn check_parameters(parameters: &[Parameter]) -> Result<(), (usize, &'static str, String)> {
    let mut names = HashSet::with_capacity(parameters.len());
    for (row, parameter) in parameters.iter().enumerate() {
        let fits = |text: &str| (1..=LONGEST_NAME).contains(&text.len());
        let texts = [("name", Some(&parameter.name)), ("layer", Some(&parameter.layer))];
        for (column, text) in texts.into_iter().chain([("kind", parameter.kind.as_ref())]) {
            if text.is_some_and(|text| !fits(text)) {
                return Err((row, column, format!("must have 1 to {LONGEST_NAME} bytes")));
            }
        }
        if !names.insert(&parameter.name) {
            return Err((row, "name", format!("is `{}`, which an earlier row is named", parameter.name)));
        }
        let size = parameter.shape.iter().try_fold(1_u64, |size, length| size.checked_mul(*length));
        if size.is_none_or(|size| size > i64::MAX as u64) {
            return Err((row, "shape", format!("is {:?}: no tensor has so many values", parameter.shape)));
        }
    }
    Ok(())
}

/// Writes `parameters.parquet` to `sink`; `path` is for messages.
pub(crate) fn write_parameters(
    sink: impl Write + Send,
    path: &Path,
    footer: KeyValue,
    parameters: &[Parameter],
) -> Result<(), TraceError> {
    let all = || parameters.iter();
    let sizes = UInt64Array::from_iter_values(all().flat_map(|parameter| parameter.shape.iter().copied()));
    let offsets = OffsetBuffer::from_lengths(all().map(|parameter| parameter.shape.len()));
    let shapes = ListArray::try_new(list_value(DataType::UInt64), offsets, Arc::new(sizes), None)
        .map_err(|source| TraceError::parquet("write", path)(source.into()))?;
    let columns: Vec<crate::table::Column<'_>> = vec![
        ("parameter", Arc::new(UInt32Array::from_iter_values(0..parameters.len() as u32)), false),
        ("name", Arc::new(StringArray::from_iter_values(all().map(|parameter| &parameter.name))), false),
        ("shape", Arc::new(shapes), false),
        ("layer", Arc::new(StringArray::from_iter_values(all().map(|parameter| &parameter.layer))), false),
        ("kind", Arc::new(StringArray::from_iter(all().map(|parameter| parameter.kind.as_ref()))), true),
    ];
    write_table(sink, path, footer, columns)
}

/// Reads `coordinates.parquet`: rows in the order of the gradient list.
pub(crate) fn read_coordinates(path: &Path, parameters: &[Parameter]) -> Result<Vec<Coordinate>, TraceError> {
    let names = ["coordinate", "parameter", "index"];
    let mut coordinates = Vec::new();
    read_table(path, &names.map(|name| Wanted::required(name, Kind::Integer)), |table| {
        let [places, parameters, indices] =
            [table.integers(names[0])?, table.integers(names[1])?, table.integers(names[2])?];
        for row in 0..table.rows() {
            if usize::try_from(places.value(row)) != Ok(coordinates.len()) {
                let message = format!("is {}, but rows must be numbered from 0 on", places.value(row));
                return Err(table.error(row, "coordinate", message));
            }
            let parameter = u32::try_from(parameters.value(row));
            let parameter = parameter
                .map_err(|_| table.error(row, "parameter", format!("is {}, no parameter", parameters.value(row))))?;
            let index = u64::try_from(indices.value(row));
            let index = index.map_err(|_| table.error(row, "index", format!("is {}", indices.value(row))))?;
            coordinates.push(Coordinate { parameter, index });
        }
        Ok(())
    })?;
    check_coordinates(&coordinates, parameters)
        .map_err(|(row, column, message)| row_error(path, row, column, message))?;
    Ok(coordinates)
}

/// What is wrong with the coordinates of a network of these parameters, if anything: the row, the column and a message.
pub(crate) fn check_coordinates(
    coordinates: &[Coordinate],
    parameters: &[Parameter],
) -> Result<(), (usize, &'static str, String)> {
    let mut seen = HashSet::with_capacity(coordinates.len());
    for (row, coordinate) in coordinates.iter().enumerate() {
        let Some(parameter) = parameters.get(coordinate.parameter as usize) else {
            let message = format!("is {}, but the network has {} parameters", coordinate.parameter, parameters.len());
            return Err((row, "parameter", message));
        };
        if coordinate.index >= parameter.size() {
            let message = format!("is {}, but {} has {} values", coordinate.index, parameter.name, parameter.size());
            return Err((row, "index", message));
        }
        if !seen.insert((coordinate.parameter, coordinate.index)) {
            return Err((row, "index", "is a coordinate that an earlier row names already".to_string()));
        }
    }
    Ok(())
}

/// Writes `coordinates.parquet` to `sink`; `path` is for messages.
pub(crate) fn write_coordinates(
    sink: impl Write + Send,
    path: &Path,
    footer: KeyValue,
    coordinates: &[Coordinate],
) -> Result<(), TraceError> {
    let columns: Vec<crate::table::Column<'_>> = vec![
        ("coordinate", Arc::new(UInt32Array::from_iter_values(0..coordinates.len() as u32)), false),
        ("parameter", Arc::new(UInt32Array::from_iter_values(coordinates.iter().map(|row| row.parameter))), false),
        ("index", Arc::new(UInt64Array::from_iter_values(coordinates.iter().map(|row| row.index))), false),
    ];
    write_table(sink, path, footer, columns)
}
