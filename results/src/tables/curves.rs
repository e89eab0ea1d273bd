//! Every curve of every run, in one table.

use crate::table::common::{ESTIMATOR, GROUP_A, GROUP_B};
use crate::table::{Column, Scope, Table, integer, number, text};

/// One row a curve and step.
pub const CURVES: Table = Table {
    name: "curves",
    about: "One row for each curve and step: every curve of the other tables, of the actual world, in one form.",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &[],
};

const COLUMNS: [Column; 9] = [
    text("curve", "name of the curve"),
    ESTIMATOR,
    text("layer", "name of the layer; null: all layers together, or a curve that is of no layer"),
    GROUP_A,
    GROUP_B,
    integer("step", "step"),
    number("value", "", "the number, in the unit of its table; null where it is missing"),
    number("lower", "", "lower end of its interval; null where its table has none"),
    number("upper", "", "upper end of the same interval"),
];
