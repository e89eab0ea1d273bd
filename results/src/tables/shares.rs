//! The groups' shares of ‖g‖²: α and β are those of the groups `pristine` and `corrupt`.

use crate::table::common::{ESTIMATOR, GROUP, LOWER, STEP, UPPER, WORLD};
use crate::table::{Column, Curve, Scope, Table, number};

/// One row an estimator, step, world and group.
pub const SHARES: Table = Table {
    name: "shares",
    about: "One row for each estimator, world, recorded step and group: the share of the group in ‖g‖² [S 2.1]. α and β are the shares of the groups `pristine` and `corrupt`.",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &CURVES,
};

const COLUMNS: [Column; 7] = [
    ESTIMATOR,
    STEP,
    WORLD,
    GROUP,
    number("share", "", "the share; null where ‖g‖² is not positive, or if fewer than two groups have examples"),
    LOWER,
    UPPER,
];

const CURVES: [Curve; 1] = [Curve::fixed("share", "share").by_group().with_interval()];
