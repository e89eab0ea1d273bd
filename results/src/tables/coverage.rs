//! How often the intervals of the population as estimated from the sample cover the exact values.

use crate::table::common::{GROUP_A, GROUP_B};
use crate::table::{Column, Scope, Table, count, text};

/// One row a statistic, and group or pair.
pub const COVERAGE: Table = Table {
    name: "coverage",
    about: "One row for each statistic, and group or pair of groups: at how many steps the interval of `population` covers the value of `exact`.",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &[],
};

const COLUMNS: [Column; 5] = [
    text("statistic", "`share` or `difference`"),
    GROUP_A,
    GROUP_B,
    count("covered", "steps at which the interval covers the value"),
    count("compared", "steps that have both the interval and the value"),
];
