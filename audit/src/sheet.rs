//! The rows that a results table must have for one run, or for the study, and comparing them with those it has.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::table::{Cell, Table};
use crate::tally::{Number, Tally};

/// What identifies a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    Null,
    Int(i128),
    Text(String),
}

impl From<&str> for Key {
    fn from(text: &str) -> Key {
        Key::Text(text.to_string())
    }
}

impl From<i64> for Key {
    fn from(value: i64) -> Key {
        Key::Int(value.into())
    }
}

impl From<f64> for Key {
    fn from(value: f64) -> Key {
        // −0 is 0.
        Key::Text((value + 0.0).to_string())
    }
}

impl<T: Into<Key>> From<Option<T>> for Key {
    fn from(value: Option<T>) -> Key {
        value.map_or(Key::Null, Into::into)
    }
}

impl From<Cell<'_>> for Key {
    fn from(cell: Cell<'_>) -> Key {
        match cell {
            Cell::Null => Key::Null,
            Cell::Text(text) => Key::from(text),
            Cell::Int(value) => Key::Int(value),
            Cell::Flag(value) => Key::Int(value.into()),
            Cell::Float(value) => Key::from(value),
        }
    }
}

/// The key that a cell of this value is.
impl From<&Value> for Key {
    fn from(value: &Value) -> Key {
        match value {
            Value::Text(text) => Key::Text(text.clone()),
            Value::Int(value) => Key::Int(*value),
            Value::Flag(value) => Key::Int((*value).into()),
            Value::Number(number) => Key::from(number.value),
            _ => Key::Null,
        }
    }
}

/// What a cell must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Text(String),
    Int(i128),
    Flag(bool),
    Number(Number),
    /// A whole number from one to the other.
    Ints(i128, i128),
    /// A number from one to the other.
    Range(f64, f64),
    /// Any text.
    Words,
    /// Any flag.
    AnyFlag,
    /// A number or none: rounding decides.
    Any,
    /// Missing, or at least this.
    NullOr(f64),
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

    /// A text that may be missing.
    pub(crate) fn text(text: Option<&str>) -> Value {
        text.map_or(Value::Null, |text| Value::Text(text.to_string()))
    }

    /// A whole number.
    pub(crate) fn int(value: impl TryInto<i128>) -> Value {
        Value::Int(value.try_into().unwrap_or(i128::MAX))
    }

    /// Compares a cell.
    pub(crate) fn compare(&self, found: Cell<'_>, tally: &mut Tally, place: impl FnOnce() -> String) {
        match (self, found) {
            (Value::Number(expected), Cell::Float(found)) => tally.close(found, *expected, place),
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
            (Value::Null | Value::NullOr(_), Cell::Null)
            | (Value::Words, Cell::Text(_))
            | (Value::AnyFlag, Cell::Flag(_))
            | (Value::Any, Cell::Null | Cell::Float(_)) => true,
            (Value::NullOr(from), Cell::Float(found)) => found >= *from,
            (Value::Text(expected), Cell::Text(found)) => expected == found,
            (Value::Int(expected), Cell::Int(found)) => *expected == found,
            (Value::Flag(expected), Cell::Flag(found)) => *expected == found,
            _ => false,
        }
    }
}

impl From<Option<Number>> for Value {
    fn from(number: Option<Number>) -> Value {
        number.map_or(Value::Null, Value::Number)
    }
}

/// A value copied from another table.
impl From<Cell<'_>> for Value {
    fn from(cell: Cell<'_>) -> Value {
        match cell {
            Cell::Null => Value::Null,
            Cell::Text(text) => Value::text(Some(text)),
            Cell::Int(value) => Value::Int(value),
            Cell::Float(value) => Value::exact(Some(value)),
            Cell::Flag(value) => Value::Flag(value),
        }
    }
}

/// The rows of one run, or of the study, in a table.
pub(crate) struct Sheet {
    /// Columns that identify a row.
    pub keys: Vec<String>,
    /// The other columns.
    pub values: Vec<&'static str>,
    /// The rows.
    pub rows: Vec<(Vec<Key>, Vec<Value>)>,
}

/// What is known of a table beside its rows.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    /// Whether the analysis has a statistic of this name, which the audit may not have.
    pub has_statistic: &'a dyn Fn(&str) -> bool,
    /// Whether statistics were chosen: then an estimator's statistic without a row was not.
    pub is_part: bool,
}

impl Sheet {
    /// A sheet without rows.
    pub(crate) fn new(keys: &[&str], values: &[&'static str]) -> Sheet {
        let keys = keys.iter().map(|key| key.to_string()).collect();
        Sheet { keys, values: values.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, key: Vec<Key>, values: Vec<Value>) {
        self.rows.push((key, values));
    }

    /// Compares these rows with those of `places` in `table`: all must be there, each once, and no other. Returns, too, the
    /// statistics there that these rows know nothing of.
    pub(crate) fn compare(&self, table: &Table, places: &[usize], known: Known<'_>) -> (Tally, BTreeSet<String>) {
        let mut tally = Tally::default();
        let mut unknown = BTreeSet::new();
        let statistic = self.keys.iter().position(|key| key == "statistic");
        let of = |key: &[Key]| statistic.map(|place| key[place].clone());
        let own: HashSet<Option<Key>> = self.rows.iter().map(|(key, _)| of(key)).collect();
        let series = |key: &[Key]| -> Vec<Key> {
            let named = |column: &String| column == "estimator" || column == "statistic";
            self.keys.iter().zip(key).filter(|(column, _)| named(column)).map(|(_, key)| key.clone()).collect()
        };
        let mut found: HashMap<Vec<Key>, Vec<usize>> = HashMap::with_capacity(places.len());
        let mut there = HashSet::new();
        // Those of the same key from the last to the first.
        for &place in places.iter().rev() {
            let key: Vec<Key> = self.keys.iter().map(|column| table.cell(column, place).into()).collect();
            match of(&key) {
                Some(Key::Text(name)) if !own.contains(&of(&key)) && (known.has_statistic)(&name) => {
                    unknown.insert(name);
                }
                _ => {
                    if known.is_part {
                        there.insert(series(&key));
                    }
                    found.entry(key).or_default().push(place);
                }
            }
        }
        for (key, values) in &self.rows {
            if known.is_part && !there.contains(&series(key)) {
                continue;
            }
            let Some(place) = found.get_mut(key).and_then(Vec::pop) else {
                tally.check(false, || format!("there is no row of {}", self.describe(key)));
                continue;
            };
            for (column, value) in self.values.iter().zip(values) {
                value.compare(table.cell(column, place), &mut tally, || format!("{column} of {}", self.describe(key)));
            }
        }
        let mut extra: Vec<(usize, &Vec<Key>)> =
            found.iter().flat_map(|(key, places)| places.iter().map(move |place| (*place, key))).collect();
        extra.sort_unstable();
        for (place, key) in extra {
            tally.check(false, || format!("row {place}, of {}, should not be there", self.describe(key)));
        }
        // A table without rows is compared too.
        tally.check(true, String::new);
        (tally, unknown)
    }

    fn describe(&self, key: &[Key]) -> String {
        let part = |(name, key): (&String, &Key)| match key {
            Key::Null => None,
            Key::Int(value) => Some(format!("{name} {value}")),
            Key::Text(value) => Some(format!("{name} {value}")),
        };
        let parts: Vec<String> = self.keys.iter().zip(key).filter_map(part).collect();
        if parts.is_empty() { "the run".to_string() } else { parts.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::testing::table;

    fn compared(rows: &[&str], is_part: bool) -> (u64, Vec<String>) {
        let table = table("coherence", rows);
        let mut sheet = Sheet::new(&["estimator", "step", "statistic"], &["value"]);
        for (step, statistic) in [(0, "gsnr"), (1, "gsnr"), (0, "confusion")] {
            sheet.push(vec!["paper".into(), Key::from(step), statistic.into()], vec![Value::plain(Some(2.0))]);
        }
        let known = Known { has_statistic: &|name| name.starts_with("novel"), is_part };
        let (tally, unknown) = sheet.compare(&table, table.rows_of("r"), known);
        (tally.failed(), unknown.into_iter().collect())
    }

    #[test]
    fn every_row_must_be_there_once_and_no_other() {
        let all = ["r paper 0 - gsnr - - 2 - -", "r paper 1 - gsnr - - 2 - -", "r paper 0 - confusion - - 2 - -"];
        assert_eq!(compared(&all, false).0, 0);
        assert_eq!(compared(&[all[0], all[2], all[1]], false).0, 0);
        assert_eq!(compared(&all[..2], false).0, 1);
        assert_eq!(compared(&[all.as_slice(), &all[..1]].concat(), false).0, 1);
        assert_eq!(compared(&[all.as_slice(), &["r paper 2 - gsnr - - 2 - -"]].concat(), false).0, 1);
        assert_eq!(compared(&["r paper 0 - gsnr - - 2.1 - -", all[1], all[2]], false).0, 1);
        assert_eq!(compared(&["r paper 0 - gsnr - - - - -", all[1], all[2]], false).0, 1);
        // Of chosen statistics one without a row was not chosen.
        assert_eq!((compared(&all[..2], true).0, compared(&[all[0], all[2]], true).0), (0, 1));
    }

    #[test]
    fn a_statistic_of_the_analysis_that_is_not_recomputed_is_named() {
        let rows = ["r paper 0 - gsnr - - 2 - -", "r paper 1 - gsnr - - 2 - -", "r paper 0 - confusion - - 2 - -"];
        let novel = [rows.as_slice(), &["r paper 0 - novel_sign - - 7 - -"]].concat();
        assert_eq!(compared(&novel, false), (0, vec!["novel_sign".to_string()]));
        let forged = [rows.as_slice(), &["r paper 0 - forged - - 7 - -"]].concat();
        assert_eq!(compared(&forged, false), (1, Vec::new()));
    }
}
