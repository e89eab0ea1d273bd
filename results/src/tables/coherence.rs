//! The coherence statistics.

use crate::table::common::{ESTIMATOR, GROUP_A, GROUP_B, LOWER, STEP, UPPER};
use crate::table::{Column, Curve, CurveName, Scope, Table, boolean, number, text};

/// One row an estimator, layer, statistic, pair and step.
pub const COHERENCE: Table = Table {
    name: "coherence",
    about: "One row for each estimator, layer, statistic, group or pair of groups, and step: the coherence statistics [S 8]. `paper` and `population` have the steps with gradients, `exact` has the population steps.",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &CURVES,
};

const COLUMNS: [Column; 10] = [
    ESTIMATOR,
    STEP,
    text("layer", "name of the layer; null: all layers together"),
    text("statistic", "name of the statistic; `cograd analyze --statistics list` prints them"),
    GROUP_A,
    GROUP_B,
    number("value", "", "the statistic; null where [S 8] says \"missing\""),
    LOWER,
    UPPER,
    boolean("unbounded", "whether the interval has no upper end: `upper` is then null though there is an interval"),
];

const CURVES: [Curve; 1] =
    [Curve { name: CurveName::Column("statistic"), ..Curve::fixed("", "value").by_pair().with_interval() }];
