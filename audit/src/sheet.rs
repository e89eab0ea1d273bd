//! The rows that a results table must have for one run, or for the study, and comparing them with those it has.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::ops::Range;

use crate::table::{Cell, Table, push_row};
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
            _ => tally.check(self.is(found), || format!("{} is {found}, recomputed {self}", place())),
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

/// As a message shows it.
impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => Cell::Null.fmt(formatter),
            Value::Text(text) => Cell::Text(text).fmt(formatter),
            Value::Int(value) => Cell::Int(*value).fmt(formatter),
            Value::Flag(value) => Cell::Flag(*value).fmt(formatter),
            Value::Number(number) => Cell::Float(number.value).fmt(formatter),
            Value::Ints(from, to) => write!(formatter, "{from} to {to}"),
            Value::Range(from, to) => write!(formatter, "{from:e} to {to:e}"),
            Value::Words => formatter.write_str("a text"),
            Value::AnyFlag => formatter.write_str("true or false"),
            Value::Any => formatter.write_str("a number or null"),
            Value::NullOr(from) => write!(formatter, "null or at least {from:e}"),
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

/// The column that tells the rows of a series apart.
const STEP: &str = "step";

/// Rows of one run, or of the study, in a table.
pub(crate) struct Sheet {
    /// Columns that identify a row.
    pub keys: Vec<String>,
    /// The other columns.
    pub values: Vec<&'static str>,
    series: Series,
    /// The series and the step of each row.
    rows: Vec<(u32, i64)>,
    /// The values of all rows.
    cells: Vec<Value>,
}

/// Keys of rows that are alike but for the step, numbered.
#[derive(Default)]
struct Series {
    /// Which of the key columns has the step.
    step: Option<usize>,
    numbers: HashMap<Vec<Key>, u32>,
    keys: Vec<Vec<Key>>,
}

impl Series {
    fn new(keys: &[String]) -> Series {
        Series { step: keys.iter().position(|key| key == STEP), ..Series::default() }
    }

    /// The number of the series of a key, and its step.
    fn number(&mut self, mut key: Vec<Key>) -> (u32, i64) {
        let mut step = 0;
        if let Some(place) = self.step
            && let Key::Int(value) = key[place]
        {
            step = value as i64;
            key[place] = Key::Int(0);
        }
        let number = self.numbers.get(&key).copied().unwrap_or_else(|| {
            let number = self.keys.len() as u32;
            self.keys.push(key.clone());
            self.numbers.insert(key, number);
            number
        });
        (number, step)
    }

    /// The key of a row.
    fn key(&self, (series, step): (u32, i64)) -> Vec<Key> {
        let mut key = self.keys[series as usize].clone();
        match self.step {
            Some(place) if key[place] != Key::Null => key[place] = Key::Int(step.into()),
            _ => {}
        }
        key
    }
}

/// Where the rows of a table are, by their keys, and which of them no sheet has had yet.
pub(crate) struct Places {
    series: Series,
    /// Series, step and row, in this order.
    rows: Vec<(u32, i64, u32)>,
    is_taken: Vec<bool>,
}

impl Places {
    /// Of a table whose rows these columns identify.
    pub(crate) fn new(keys: &[String], table: &Table) -> Places {
        let mut series = Series::new(keys);
        let step = series.step;
        let of_series: Vec<&String> = keys.iter().filter(|key| step.is_none() || *key != STEP).collect();
        // The series of the marks of a row, which are mostly those of the row before.
        let mut numbers: HashMap<Vec<Option<u64>>, u32> = HashMap::new();
        let (mut marks, mut last) = (Vec::new(), (Vec::new(), 0));
        let mut rows = Vec::with_capacity(table.rows());
        for row in 0..table.rows() {
            let at = match step.map(|_| table.cell(STEP, row)) {
                Some(Cell::Int(step)) => Some(step as i64),
                _ => None,
            };
            marks.clear();
            marks.extend(of_series.iter().map(|key| table.mark(key, row)));
            marks.push(at.map(|_| 0));
            if marks != last.0 || row == 0 {
                let number = numbers.get(&marks).copied().unwrap_or_else(|| {
                    let key = keys.iter().map(|column| table.cell(column, row).into()).collect();
                    let (number, _) = series.number(key);
                    numbers.insert(marks.clone(), number);
                    number
                });
                last = (marks.clone(), number);
            }
            rows.push((last.1, at.unwrap_or(0), row as u32));
        }
        if !rows.is_sorted() {
            rows.sort_unstable();
        }
        Places { series, is_taken: vec![false; rows.len()], rows }
    }

    /// The ranges of rows of each series.
    pub(crate) fn by_series(&self) -> Vec<(Vec<Key>, Vec<Range<usize>>)> {
        let mut ranges = vec![Vec::new(); self.series.keys.len()];
        let mut rows: Vec<(u32, u32)> = self.rows.iter().map(|&(series, _, row)| (row, series)).collect();
        rows.sort_unstable();
        rows.into_iter().for_each(|(row, series)| push_row(&mut ranges[series as usize], row as usize));
        self.series.keys.iter().cloned().zip(ranges).collect()
    }

    /// The keys, series after series in their order, each with its rows.
    pub(crate) fn by_key(&self) -> impl Iterator<Item = (Vec<Key>, impl Iterator<Item = usize>)> {
        let mut same: Vec<&[(u32, i64, u32)]> = self.rows.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).collect();
        same.sort_by_key(|rows| (&self.series.keys[rows[0].0 as usize], rows[0].1));
        same.into_iter().map(|rows| (self.series.key((rows[0].0, rows[0].1)), rows.iter().map(|row| row.2 as usize)))
    }

    /// Takes the first row of a series and step that is left.
    fn take(&mut self, series: u32, step: i64) -> Option<usize> {
        let first = self.rows.partition_point(|&(of, at, _)| (of, at) < (series, step));
        let same = self.rows[first..].iter().take_while(|(of, at, _)| (*of, *at) == (series, step));
        let place = (first..first + same.count()).find(|&place| !self.is_taken[place])?;
        self.is_taken[place] = true;
        Some(self.rows[place].2 as usize)
    }
}

/// What is known of a table beside its rows.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    /// Whether the analysis has a statistic of this name, which the audit may not have.
    pub has_statistic: &'a dyn Fn(&str) -> bool,
    /// Whether statistics were chosen: then an estimator's statistic without a row was not.
    pub is_part: bool,
}

/// The comparison of a table with the sheets that it must be made of: all rows must be there, each once, and no other.
#[derive(Default)]
pub(crate) struct Comparison {
    tally: Tally,
    /// Statistics of the sheets.
    own: HashSet<Key>,
    /// Estimators and statistics of the table, if statistics were chosen.
    there: HashSet<Vec<Key>>,
    /// Rows that are not there, by estimator and statistic.
    missing: BTreeMap<Vec<Key>, Tally>,
    /// Rows of statistics of the analysis that no sheet has.
    strange: BTreeMap<String, Tally>,
}

impl Comparison {
    /// Compares the rows of a sheet with those of a table.
    pub(crate) fn rows(&mut self, sheet: &Sheet, table: &Table, places: &mut Places, known: Known<'_>) {
        let statistic = sheet.keys.iter().position(|key| key == "statistic");
        self.own.extend(sheet.series.keys.iter().filter_map(|key| Some(key[statistic?].clone())));
        let there: Vec<Option<u32>> =
            sheet.series.keys.iter().map(|key| places.series.numbers.get(key).copied()).collect();
        for (row, &(series, step)) in sheet.rows.iter().enumerate() {
            let Some(place) = there[series as usize].and_then(|series| places.take(series, step)) else {
                let key = sheet.series.key((series, step));
                let message = || format!("there is no row of {}", describe(&sheet.keys, &key));
                match known.is_part {
                    true => self.missing.entry(named(&sheet.keys, &key)).or_default().check(false, message),
                    false => self.tally.check(false, message),
                }
                continue;
            };
            let width = sheet.values.len();
            for (column, value) in sheet.values.iter().zip(&sheet.cells[row * width..]) {
                value.compare(table.cell(column, place), &mut self.tally, || {
                    format!("{column} of {}", describe(&sheet.keys, &sheet.series.key((series, step))))
                });
            }
        }
    }

    /// What is left of a table after all sheets of its rows.
    pub(crate) fn rest(&mut self, keys: &[String], table: &Table, places: &Places, known: Known<'_>) {
        let statistic = keys.iter().position(|key| key == "statistic");
        if known.is_part {
            self.there.extend(places.series.keys.iter().map(|key| named(keys, key)));
        }
        let left = places.rows.iter().zip(&places.is_taken).filter(|(_, is_taken)| !**is_taken);
        let mut left: Vec<(u32, u32, i64)> = left.map(|(&(series, step, row), _)| (row, series, step)).collect();
        left.sort_unstable();
        for (row, series, step) in left {
            let key = places.series.key((series, step));
            let message =
                || format!("row {}, of {}, should not be there", table.row_of_file(row as usize), describe(keys, &key));
            match statistic.map(|place| &key[place]) {
                Some(of @ Key::Text(name)) if !self.own.contains(of) && (known.has_statistic)(name) => {
                    self.strange.entry(name.clone()).or_default().check(false, message);
                }
                _ => self.tally.check(false, message),
            }
        }
    }

    /// Compares a sheet with a table that must have no other rows.
    pub(crate) fn all(&mut self, sheet: &Sheet, table: &Table, known: Known<'_>) {
        let mut places = Places::new(&sheet.keys, table);
        self.rows(sheet, table, &mut places, known);
        self.rest(&sheet.keys, table, &places, known);
    }

    /// The comparisons, and the statistics of the table that no sheet knows anything of.
    pub(crate) fn finish(mut self) -> (Tally, BTreeSet<String>) {
        let mut unknown = BTreeSet::new();
        for (name, tally) in self.strange {
            match self.own.contains(&Key::Text(name.clone())) {
                true => self.tally.add(tally),
                false => drop(unknown.insert(name)),
            }
        }
        let missing = self.missing.into_iter().filter(|(named, _)| self.there.contains(named));
        missing.for_each(|(_, tally)| self.tally.add(tally));
        // A table without rows is compared too.
        self.tally.check(true, String::new);
        (self.tally, unknown)
    }
}

impl Sheet {
    /// A sheet without rows.
    pub(crate) fn new(keys: &[&str], values: &[&'static str]) -> Sheet {
        let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
        let series = Series::new(&keys);
        Sheet { keys, values: values.to_vec(), series, rows: Vec::new(), cells: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, key: Vec<Key>, values: impl IntoIterator<Item = Value>) {
        self.rows.push(self.series.number(key));
        self.cells.extend(values);
    }
}

/// The estimator and the statistic of a key.
fn named(keys: &[String], key: &[Key]) -> Vec<Key> {
    let named = |column: &String| column == "estimator" || column == "statistic";
    keys.iter().zip(key).filter(|(column, _)| named(column)).map(|(_, key)| key.clone()).collect()
}

/// A key as a message shows it.
pub(crate) fn describe(keys: &[impl AsRef<str>], key: &[Key]) -> String {
    let part = |(name, key): (&_, &Key)| match (AsRef::<str>::as_ref(name), key) {
        (_, Key::Null) => None,
        (name, Key::Int(value)) => Some(format!("{name} {value}")),
        (name, Key::Text(value)) => Some(format!("{name} {value}")),
    };
    let parts: Vec<String> = keys.iter().zip(key).filter_map(part).collect();
    if parts.is_empty() { "the run".to_string() } else { parts.join(", ") }
}

#[cfg(test)]
impl Sheet {
    /// Key and values of each row.
    pub(crate) fn rows(&self) -> Vec<(Vec<Key>, Vec<Value>)> {
        let cells = self.cells.chunks(self.values.len().max(1));
        self.rows.iter().zip(cells).map(|(row, cells)| (self.series.key(*row), cells.to_vec())).collect()
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
        let mut comparison = Comparison::default();
        comparison.all(&sheet, &table, known);
        let (tally, unknown) = comparison.finish();
        (tally.failed(), unknown.into_iter().collect())
    }

    #[test]
    fn a_cell_that_is_another_is_shown_in_plain_words() {
        let told = |expected: Value, found: Cell<'_>| {
            let mut tally = Tally::default();
            expected.compare(found, &mut tally, || "x".to_string());
            tally.into_claim("c", "s").why
        };
        assert_eq!(told(Value::plain(Some(0.5)), Cell::Null), "1 of 1: x is null, recomputed 5e-1");
        assert_eq!(told(Value::Null, Cell::Float(-0.25)), "1 of 1: x is -2.5e-1, recomputed null");
        assert_eq!(told(Value::Int(16), Cell::Int(17)), "1 of 1: x is 17, recomputed 16");
        assert_eq!(told(Value::text(Some("a")), Cell::Text("b")), "1 of 1: x is `b`, recomputed `a`");
        assert_eq!(told(Value::Flag(true), Cell::Flag(false)), "1 of 1: x is false, recomputed true");
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
