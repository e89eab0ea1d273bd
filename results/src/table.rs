//! What a table of results is: its rows, columns and curves.

use std::fmt;

/// A table of results.
#[derive(Debug)]
pub struct Table {
    /// Its name; the file is `NAME.parquet`.
    pub name: &'static str,
    /// What a row of it is, in a sentence.
    pub about: &'static str,
    /// What its rows begin with.
    pub scope: Scope,
    /// The columns after those of the scope.
    pub columns: &'static [Column],
    /// Which of its columns are curves over the steps.
    pub curves: &'static [Curve],
}

/// The columns that every row of a table begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `run`, the conditions of the run, and its `seed`.
    Run,
    /// The conditions: rows are of all runs that differ in nothing but their seed.
    Condition,
    /// None: rows are of the whole study.
    Study,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// Unit of a number, empty for a pure one.
    pub unit: &'static str,
    /// What it holds, and when it is null.
    pub about: &'static str,
}

/// The type of a column's values; all may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Text, Arrow's `string`.
    Text,
    /// A whole number, i64.
    Integer,
    /// A whole number from 0 on, u64.
    Count,
    /// A real number, f64, never NaN.
    Number,
    /// True or false.
    Boolean,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Kind::Text => "string",
            Kind::Integer => "i64",
            Kind::Count => "u64",
            Kind::Number => "f64",
            Kind::Boolean => "bool",
        })
    }
}

/// A column with one number a step: what is averaged over seeds, compared between studies and drawn over training.
#[derive(Clone, Copy, Debug)]
pub struct Curve {
    /// The column of its values.
    pub value: &'static str,
    /// The columns of the ends of its interval.
    pub interval: Option<[&'static str; 2]>,
    /// What it is called.
    pub name: CurveName,
    /// The columns that hold the group, or the pair of groups, that it is of.
    pub groups: [Option<&'static str>; 2],
}

/// How a curve is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CurveName {
    /// Always so.
    Fixed(&'static str),
    /// As this column says.
    Column(&'static str),
    /// As these two columns say, with `_` between.
    Joined(&'static str, &'static str),
}

impl Curve {
    /// A curve of a fixed name, without interval and groups.
    pub const fn fixed(name: &'static str, value: &'static str) -> Curve {
        Curve { value, interval: None, name: CurveName::Fixed(name), groups: [None, None] }
    }

    /// The same with an interval between the columns `lower` and `upper`.
    pub const fn with_interval(self) -> Curve {
        Curve { interval: Some(["lower", "upper"]), ..self }
    }

    /// The same by group.
    pub const fn by_group(self) -> Curve {
        Curve { groups: [Some("group"), None], ..self }
    }

    /// The same by pair of groups.
    pub const fn by_pair(self) -> Curve {
        Curve { groups: [Some("group_a"), Some("group_b")], ..self }
    }
}

impl Table {
    /// Whether it has a column of this name, those of the scope apart.
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|known| known.name == column)
    }
}

pub(crate) const fn text(name: &'static str, about: &'static str) -> Column {
    Column { name, kind: Kind::Text, unit: "", about }
}

pub(crate) const fn integer(name: &'static str, about: &'static str) -> Column {
    Column { name, kind: Kind::Integer, unit: "", about }
}

pub(crate) const fn count(name: &'static str, about: &'static str) -> Column {
    Column { name, kind: Kind::Count, unit: "", about }
}

pub(crate) const fn number(name: &'static str, unit: &'static str, about: &'static str) -> Column {
    Column { name, kind: Kind::Number, unit, about }
}

pub(crate) const fn boolean(name: &'static str, about: &'static str) -> Column {
    Column { name, kind: Kind::Boolean, unit: "", about }
}

/// Columns that several tables have.
pub(crate) mod common {
    use super::{Column, count, integer, number, text};

    pub(crate) const ESTIMATOR: Column =
        text("estimator", "what the row was computed from: `paper`, `population` or `exact` [S 2]");
    pub(crate) const STEP: Column = integer("step", "recorded step t: everything in the row is before update t");
    pub(crate) const EVALUATED: Column = integer("step", "evaluated step");
    pub(crate) const WORLD: Column =
        count("world", "0: the actual world; 1 and more: null worlds kept for drawing; `population` has none");
    pub(crate) const GROUP: Column = text("group", "name of the group");
    pub(crate) const GROUP_A: Column =
        text("group_a", "name of the group, or of the first group of a pair; null if the row is of no group");
    pub(crate) const GROUP_B: Column =
        text("group_b", "name of the second group of a pair; null if the row is of no pair");
    pub(crate) const LOWER: Column = number(
        "lower",
        "",
        "lower end of the 95 % interval over examples [S 8.3], in the unit of the value; null where there is no interval",
    );
    pub(crate) const UPPER: Column = number("upper", "", "upper end of the same interval");
    /// Unit of sums of products of gradients.
    pub(crate) const LOSS: &str = "loss units";
}
