//! Inner products of the groups' gradients.

use crate::table::common::{ESTIMATOR, GROUP_A, GROUP_B, LOSS, STEP};
use crate::table::{Column, Curve, Scope, Table, number};

/// One row a step and ordered pair of groups.
pub const CROSS_TERMS: Table = Table {
    name: "cross_terms",
    about: "One row for each recorded step and ordered pair of groups, a group with itself included [S 8]; of the sample only.",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &CURVES,
};

const COLUMNS: [Column; 6] = [
    ESTIMATOR,
    STEP,
    GROUP_A,
    GROUP_B,
    number("value", LOSS, "inner product ⟨g^a, g^b⟩ of the gradients of the two groups"),
    number(
        "fraction",
        "",
        "`value` as a fraction of ‖g‖², to which the values of all pairs add up; null where ‖g‖² is not positive",
    ),
];

const CURVES: [Curve; 1] = [Curve::fixed("cross_term", "fraction").by_pair()];
