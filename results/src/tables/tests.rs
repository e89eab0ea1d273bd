//! The tests of groups against their null worlds.

use crate::table::common::{ESTIMATOR, GROUP_A, GROUP_B};
use crate::table::{Column, Scope, Table, count, number, text};

/// One row an estimator, statistic, and group or pair.
pub const TESTS: Table = Table {
    name: "tests",
    about: "One row for each estimator, statistic, and group or pair of groups [S 3.2]. A row without a group tests all groups or pairs at once.",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &[],
};

const COLUMNS: [Column; 11] = [
    ESTIMATOR,
    text(
        "statistic",
        "`share` of a group, `mean_share` and `difference` of a pair are tested at all steps at once; `crossover` is of the share of a group; `difference_10` is the difference of a pair after the first ten steps",
    ),
    GROUP_A,
    GROUP_B,
    number(
        "observed",
        "",
        "maximum of |z| over the steps; for `crossover` K [S 2.3]; for `difference_10` the difference itself, in loss units; null if it is not defined",
    ),
    count("worlds", "null worlds, B"),
    count("exceedances", "null worlds at least as extreme; null if there is no z, or no null world"),
    number("p", "", "(1 + exceedances)/(B + 1), to be read as \"≤\" when `exceedances` is 0; null as `exceedances`"),
    number("p_lower", "", "lower end of the 95 % Clopper–Pearson interval of p; null as `exceedances`"),
    number("p_upper", "", "upper end of the same interval"),
    number(
        "p_holm",
        "",
        "p corrected over the groups or pairs of the statistic by Holm's method [S 3.3]; null where p is, and in a row of all at once",
    ),
];
