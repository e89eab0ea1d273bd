//! The groups' mean cumulative contributions.

use crate::table::common::{ESTIMATOR, GROUP, LOSS, LOWER, STEP, UPPER, WORLD};
use crate::table::{Column, Curve, Scope, Table, number};

/// One row an estimator, step, world and group.
pub const CUMULATIVE: Table = Table {
    name: "cumulative",
    about: "One row for each estimator, world, step and group: the mean cumulative contribution of an example of the group [S 2.2]. There are rows while the recorded steps are contiguous from 0. i^p and i^c are the values of the groups `pristine` and `corrupt`.",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &CURVES,
};

const COLUMNS: [Column; 7] = [
    ESTIMATOR,
    STEP,
    WORLD,
    GROUP,
    number("cumulative", LOSS, "mean cumulative contribution; null for an empty group"),
    LOWER,
    UPPER,
];

const CURVES: [Curve; 1] = [Curve::fixed("cumulative", "cumulative").by_group().with_interval()];
