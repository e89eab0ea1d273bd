//! The differences of two groups' mean cumulative contributions.

use crate::table::common::{ESTIMATOR, GROUP_A, GROUP_B, LOSS, LOWER, STEP, UPPER, WORLD};
use crate::table::{Column, Curve, Scope, Table, number};

/// One row an estimator, step, world and pair of groups.
pub const DIFFERENCES: Table = Table {
    name: "differences",
    about: "One row for each estimator, world, step and pair of groups, a before b: the mean cumulative contribution of group a minus that of group b [S 2.2]. There are rows while the recorded steps are contiguous from 0. D is the difference of `pristine` and `corrupt`.",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &CURVES,
};

const COLUMNS: [Column; 8] = [
    ESTIMATOR,
    STEP,
    WORLD,
    GROUP_A,
    GROUP_B,
    number("difference", LOSS, "the difference; null if either group is empty"),
    LOWER,
    UPPER,
];

const CURVES: [Curve; 1] = [Curve::fixed("difference", "difference").by_pair().with_interval()];
