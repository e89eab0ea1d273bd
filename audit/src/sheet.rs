//! The rows that a results table must have for one run, and comparing them with those it has.

use std::collections::HashMap;

use crate::table::{Cell, Table};
use crate::tally::{Number, Tally};

/// What identifies a row within its run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Null,
    Int(i64),
    Text(String),
}

impl From<&str> for Key {
    fn from(text: &str) -> Key {
        Key::Text(text.to_string())
    }
}

impl From<i64> for Key {
    fn from(value: i64) -> Key {
        Key::Int(value)
    }
}

impl<T: Into<Key>> From<Option<T>> for Key {
    fn from(value: Option<T>) -> Key {
        value.map_or(Key::Null, Into::into)
    }
}

/// What a cell must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Text(String),
    Int(i64),
    Flag(bool),
    Number(Number),
    /// A whole number from one to the other.
    Ints(i64, i64),
    /// A number from one to the other.
    Range(f64, f64),
}

impl Value {
    /// A number that may be missing, a sum of terms of absolute sum `scale`.
    pub(crate) fn near(value: Option<f64>, scale: f64) -> Value {
        value.map_or(Value::Null, |value| Value::Number(Number::near(value, scale)))
    }

    /// A number that may be missing, without cancellation.
    pub(crate) fn plain(value: Option<f64>) -> Value {
        value.map_or(Value::Null, |value| Value::Number(Number::plain(value)))
    }

    /// A number that may be missing, copied.
    pub(crate) fn exact(value: Option<f64>) -> Value {
        value.map_or(Value::Null, |value| Value::Number(Number::exact(value)))
    }

    /// A text.
    pub(crate) fn text(text: &str) -> Value {
        Value::Text(text.to_string())
    }

    /// Compares a cell.
    pub(crate) fn compare(&self, found: Cell<'_>, tally: &mut Tally, place: impl FnOnce() -> String) {
        match (self, found) {
            (Value::Number(expected), Cell::Float(found)) => tally.close(found, *expected, place),
            (Value::Number(expected), Cell::Int(found)) => tally.close(found as f64, *expected, place),
            (Value::Range(from, to), Cell::Float(found)) => tally.check(*from <= found && found <= *to, || {
                format!("{} is {found:e}, recomputed {from:e} to {to:e}", place())
            }),
            (Value::Ints(from, to), Cell::Int(found)) => {
                let message = || format!("{} is {found}, recomputed {from} to {to}", place());
                tally.check(*from <= found && found <= *to, message);
            }
            _ => tally.check(self.is(found), || format!("{} is {found:?}, recomputed {self:?}", place())),
        }
    }

    fn is(&self, found: Cell<'_>) -> bool {
        match (self, found) {
            (Value::Null, Cell::Null) => true,
            (Value::Text(expected), Cell::Text(found)) => expected == found,
            (Value::Int(expected), Cell::Int(found)) => *expected == found,
            (Value::Flag(expected), Cell::Flag(found)) => *expected == found,
            _ => false,
        }
    }
}

/// The rows of one run in a table.
pub(crate) struct Sheet {
    /// Columns that identify a row.
    pub keys: &'static [&'static str],
    /// The other columns.
    pub values: &'static [&'static str],
    /// The rows.
    pub rows: Vec<(Vec<Key>, Vec<Value>)>,
}

impl Sheet {
    /// A sheet without rows.
    pub(crate) fn new(keys: &'static [&'static str], values: &'static [&'static str]) -> Sheet {
        Sheet { keys, values, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, key: Vec<Key>, values: Vec<Value>) {
        self.rows.push((key, values));
    }

    /// Compares these rows with those of `places` in `table`: all must be there, once, and no other.
    pub(crate) fn compare(&self, table: &Table, places: &[usize]) -> Tally {
        let mut tally = Tally::default();
        let mut found: HashMap<Vec<Key>, usize> = HashMap::with_capacity(places.len());
        for &place in places {
            let key = self.keys.iter().map(|column| key_of(table.cell(column, place))).collect();
            if let Some(earlier) = found.insert(key, place) {
                tally.check(false, || format!("rows {earlier} and {place} are of the same"));
            }
        }
        for (key, values) in &self.rows {
            let Some(place) = found.remove(key) else {
                tally.check(false, || format!("there is no row of {}", self.describe(key)));
                continue;
            };
            for (column, value) in self.values.iter().zip(values) {
                value.compare(table.cell(column, place), &mut tally, || format!("{column} of {}", self.describe(key)));
            }
        }
        let mut extra: Vec<(&Vec<Key>, &usize)> = found.iter().collect();
        extra.sort_by_key(|(_, place)| **place);
        for (key, place) in extra {
            tally.check(false, || format!("row {place}, of {}, should not be there", self.describe(key)));
        }
        // A table without rows is compared too.
        tally.check(true, String::new);
        tally
    }

    fn describe(&self, key: &[Key]) -> String {
        let part = |(name, key): (&&str, &Key)| match key {
            Key::Null => None,
            Key::Int(value) => Some(format!("{name} {value}")),
            Key::Text(value) => Some(format!("{name} {value}")),
        };
        let parts: Vec<String> = self.keys.iter().zip(key).filter_map(part).collect();
        if parts.is_empty() { "the run".to_string() } else { parts.join(", ") }
    }
}

fn key_of(cell: Cell<'_>) -> Key {
    match cell {
        Cell::Null => Key::Null,
        Cell::Text(text) => Key::from(text),
        Cell::Int(value) => Key::Int(value),
        Cell::Flag(value) => Key::Int(i64::from(value)),
        Cell::Float(value) => Key::Text(value.to_string()),
    }
}
