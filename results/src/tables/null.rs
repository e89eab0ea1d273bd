//! The null distribution of shares and differences, step by step.

use crate::table::common::{ESTIMATOR, GROUP_A, GROUP_B, STEP};
use crate::table::{Column, Scope, Table, number, text};

/// One row an estimator, statistic, group or pair, and step.
pub const NULL: Table = Table {
    name: "null",
    about: "One row for each estimator, statistic, group or pair of groups, and step: the null distribution [S 3].",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &[],
};

const COLUMNS: [Column; 10] = [
    ESTIMATOR,
    text("statistic", "`share` of a group, at the recorded steps, or `difference` of a pair, at the contiguous steps"),
    GROUP_A,
    GROUP_B,
    STEP,
    number("mean", "", "exact expectation; null where the statistic is missing, or if a group is empty"),
    number("sd", "", "exact standard deviation, 0 if all worlds agree; null as `mean`"),
    number(
        "lower",
        "",
        "lower end of the simultaneous 95 % band; null as `mean`, where `sd` is 0, or with fewer than 19 null worlds",
    ),
    number("upper", "", "upper end of the same band"),
    number("p", "", "pointwise two-sided p-value; null as `mean`, where `sd` is 0, or without null worlds"),
];
