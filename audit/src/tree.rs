//! What a JSON text must be, and comparing it with what it is.

use serde_json::Value as Json;

use crate::sheet::Value;
use crate::table::Cell;
use crate::tally::{Number, Tally};

/// Relative size of the last bits of an f64.
const LAST_BIT: f64 = 1e-15;

/// What a JSON value must be.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Leaf(Value),
    List(Vec<Tree>),
    /// Exactly these fields.
    Object(Vec<(&'static str, Tree)>),
    /// Checked elsewhere, or not to be known.
    Anything,
}

impl From<Value> for Tree {
    fn from(value: Value) -> Tree {
        Tree::Leaf(value)
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Tree {
        Tree::Leaf(Value::text(text))
    }
}

impl From<usize> for Tree {
    fn from(value: usize) -> Tree {
        Tree::Leaf(Value::Int(value as i64))
    }
}

impl Tree {
    /// Compares `found`, which stands at `place`.
    pub(crate) fn compare(&self, found: &Json, place: &str, tally: &mut Tally) {
        match (self, found) {
            (Tree::Anything, _) => {}
            (Tree::Leaf(expected), found) => compare_leaf(expected, found, place, tally),
            (Tree::List(expected), Json::Array(found)) => {
                let (wanted, there) = (expected.len(), found.len());
                tally.check(wanted == there, || format!("{place} has {there} entries, recomputed {wanted}"));
                for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                    expected.compare(found, &format!("{place}[{index}]"), tally);
                }
            }
            (Tree::Object(expected), Json::Object(found)) => {
                for (name, expected) in expected {
                    let inner = if place.is_empty() { name.to_string() } else { format!("{place}.{name}") };
                    match found.get(*name) {
                        Some(found) => expected.compare(found, &inner, tally),
                        None => tally.check(false, || format!("{inner} is missing")),
                    }
                }
                for name in found.keys().filter(|name| !expected.iter().any(|(known, _)| known == name)) {
                    tally.check(false, || format!("{place}.{name} belongs to nothing"));
                }
            }
            (_, found) => tally.check(false, || format!("{place} is {found}")),
        }
    }
}

fn compare_leaf(expected: &Value, found: &Json, place: &str, tally: &mut Tally) {
    let cell = match found {
        Json::Null => Cell::Null,
        Json::Bool(flag) => Cell::Flag(*flag),
        Json::String(text) => Cell::Text(text),
        Json::Number(number) => match (expected, number.as_i64()) {
            (Value::Int(_) | Value::Ints(..), Some(whole)) => Cell::Int(whole),
            _ => number.as_f64().map_or(Cell::Null, Cell::Float),
        },
        Json::Array(_) | Json::Object(_) => {
            return tally.check(false, || format!("{place} is {found}"));
        }
    };
    match expected {
        // The parser of JSON numbers may be off by the last bit.
        Value::Number(number) if number.allowed < LAST_BIT => {
            Value::Number(Number { allowed: LAST_BIT, ..*number }).compare(cell, tally, || place.to_string());
        }
        _ => expected.compare(cell, tally, || place.to_string()),
    }
}
