//! The columns of the results tables, as `docs/results.md` lists them.

use crate::table::Kind::{self, F64, Flag, I64, Text, U32};

/// A column: its name and type.
pub(crate) type Column = (&'static str, Kind);

/// A table: its file name and its columns after those of the run.
pub(crate) struct TableSchema {
    pub name: &'static str,
    pub columns: &'static [Column],
}

/// Columns that every row of a run starts with.
const RUN: [Column; 4] = [("run", Text), ("rule", Text), ("noise", F64), ("seed", I64)];

/// The tables whose rows are of a run.
pub(crate) const TABLES: [TableSchema; 13] = [
    TableSchema {
        name: "curves.parquet",
        columns: &[
            ("step", I64),
            ("split", Text),
            ("subset", Text),
            ("examples", U32),
            ("loss", F64),
            ("accuracy", F64),
        ],
    },
    TableSchema {
        name: "learned.parquet",
        columns: &[("step", I64), ("subset", Text), ("examples", U32), ("learned", U32), ("fraction", F64)],
    },
    TableSchema {
        name: "overfit.parquet",
        columns: &[
            ("step", I64),
            ("train_accuracy", F64),
            ("test_accuracy", F64),
            ("overfit", F64),
            ("proper_accuracy", F64),
        ],
    },
    TableSchema {
        name: "contributions.parquet",
        columns: &[("step", I64), ("example_id", U32), ("pristine", Flag), ("contribution", F64), ("self_term", F64)],
    },
    TableSchema {
        name: "decomposition.parquet",
        columns: &[
            ("estimator", Text),
            ("step", I64),
            ("world", U32),
            ("alpha", F64),
            ("beta", F64),
            ("gradient_norm_sq", F64),
            ("alpha_lower", F64),
            ("alpha_upper", F64),
        ],
    },
    TableSchema {
        name: "cumulative.parquet",
        columns: &[
            ("estimator", Text),
            ("step", I64),
            ("world", U32),
            ("pristine", F64),
            ("corrupt", F64),
            ("difference", F64),
            ("pristine_lower", F64),
            ("pristine_upper", F64),
            ("corrupt_lower", F64),
            ("corrupt_upper", F64),
            ("difference_lower", F64),
            ("difference_upper", F64),
        ],
    },
    TableSchema {
        name: "null.parquet",
        columns: &[
            ("estimator", Text),
            ("statistic", Text),
            ("step", I64),
            ("mean", F64),
            ("sd", F64),
            ("lower", F64),
            ("upper", F64),
            ("p", F64),
        ],
    },
    TableSchema {
        name: "tests.parquet",
        columns: &[
            ("estimator", Text),
            ("statistic", Text),
            ("observed", F64),
            ("worlds", U32),
            ("exceedances", U32),
            ("p", F64),
            ("p_lower", F64),
            ("p_upper", F64),
        ],
    },
    TableSchema {
        name: "groups.parquet",
        columns: &[("group", Text), ("order", U32), ("examples", U32), ("sampled", U32)],
    },
    TableSchema {
        name: "shares.parquet",
        columns: &[
            ("estimator", Text),
            ("step", I64),
            ("world", U32),
            ("group", Text),
            ("share", F64),
            ("cumulative", F64),
        ],
    },
    TableSchema {
        name: "group_tests.parquet",
        columns: &[
            ("estimator", Text),
            ("statistic", Text),
            ("group_a", Text),
            ("group_b", Text),
            ("observed", F64),
            ("worlds", U32),
            ("exceedances", U32),
            ("p", F64),
            ("p_lower", F64),
            ("p_upper", F64),
            ("p_holm", F64),
        ],
    },
    TableSchema {
        name: "cross_terms.parquet",
        columns: &[
            ("estimator", Text),
            ("step", I64),
            ("group_a", Text),
            ("group_b", Text),
            ("value", F64),
            ("fraction", F64),
        ],
    },
    TableSchema {
        name: "coherence.parquet",
        columns: &[
            ("estimator", Text),
            ("step", I64),
            ("layer", I64),
            ("statistic", Text),
            ("group_a", Text),
            ("group_b", Text),
            ("value", F64),
            ("lower", F64),
            ("upper", F64),
        ],
    },
];

/// The table whose rows are of a rule and a noise level, over their seeds.
pub(crate) const OVER_SEEDS: TableSchema = TableSchema {
    name: "over_seeds.parquet",
    columns: &[
        ("rule", Text),
        ("noise", F64),
        ("curve", Text),
        ("estimator", Text),
        ("layer", I64),
        ("group_a", Text),
        ("group_b", Text),
        ("step", I64),
        ("seeds", U32),
        ("mean", F64),
        ("lower", F64),
        ("upper", F64),
    ],
};

impl TableSchema {
    /// All columns of a table of runs.
    pub(crate) fn of_runs(&self) -> Vec<Column> {
        RUN.iter().chain(self.columns).copied().collect()
    }
}
