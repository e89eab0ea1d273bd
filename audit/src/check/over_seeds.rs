//! over_seeds.parquet against the other tables as they are published, which are themselves recomputed: every curve's mean
//! and Student-t interval over the seeds of a rule and noise level.

use std::collections::BTreeMap;

use crate::plain::student_t;
use crate::sheet::{Key, Sheet};
use crate::table::{Cell, Table};
use crate::tally::Tally;

/// A table, its rows that count, and its columns that are curves.
struct Source {
    table: &'static str,
    /// Only rows with this in a column.
    only: Option<(&'static str, Cell<'static>)>,
    /// Column whose text is part of the curve's name.
    kind: Option<&'static str>,
    groups: [Option<&'static str>; 2],
    curves: &'static [(&'static str, Name)],
}

/// What the curve of a column is called.
enum Name {
    Is(&'static str),
    /// The kind, then this.
    KindThen(&'static str),
    /// This, then the kind.
    ThenKind(&'static str),
}

const ACTUAL: Option<(&str, Cell<'static>)> = Some(("world", Cell::Int(0)));

const SOURCES: [Source; 8] = [
    Source {
        table: "curves.parquet",
        only: Some(("subset", Cell::Text("all"))),
        kind: Some("split"),
        groups: [None, None],
        curves: &[("loss", Name::KindThen("_loss")), ("accuracy", Name::KindThen("_accuracy"))],
    },
    Source {
        table: "learned.parquet",
        only: None,
        kind: Some("subset"),
        groups: [None, None],
        curves: &[("fraction", Name::ThenKind("learned_"))],
    },
    Source {
        table: "overfit.parquet",
        only: None,
        kind: None,
        groups: [None, None],
        curves: &[("overfit", Name::Is("overfit"))],
    },
    Source {
        table: "decomposition.parquet",
        only: ACTUAL,
        kind: None,
        groups: [None, None],
        curves: &[
            ("alpha", Name::Is("alpha")),
            ("beta", Name::Is("beta")),
            ("gradient_norm_sq", Name::Is("gradient_norm_sq")),
        ],
    },
    Source {
        table: "cumulative.parquet",
        only: ACTUAL,
        kind: None,
        groups: [None, None],
        curves: &[
            ("pristine", Name::Is("cumulative_pristine")),
            ("corrupt", Name::Is("cumulative_corrupt")),
            ("difference", Name::Is("cumulative_difference")),
        ],
    },
    Source {
        table: "shares.parquet",
        only: ACTUAL,
        kind: None,
        groups: [Some("group"), None],
        curves: &[("share", Name::Is("share")), ("cumulative", Name::Is("cumulative"))],
    },
    Source {
        table: "cross_terms.parquet",
        only: None,
        kind: None,
        groups: [Some("group_a"), Some("group_b")],
        curves: &[("fraction", Name::Is("cross_term"))],
    },
    Source {
        table: "coherence.parquet",
        only: None,
        kind: Some("statistic"),
        groups: [Some("group_a"), Some("group_b")],
        curves: &[("value", Name::ThenKind(""))],
    },
];

/// What a row of the table is of: rule, noise, curve, estimator, layer, groups and step.
type Place = (String, String, String, Option<String>, Option<i64>, [Option<String>; 2], i64);

/// Compares the table with the curves of the others.
pub(crate) fn check(tables: &BTreeMap<&'static str, Table>) -> Tally {
    let mut values: BTreeMap<Place, Vec<f64>> = BTreeMap::new();
    for source in &SOURCES {
        if let Some(table) = tables.get(source.table) {
            source.collect(table, &mut values);
        }
    }
    let quantiles = student_t::quantiles(values.values().map(Vec::len).max().unwrap_or(0));
    let keys = &["rule", "noise", "curve", "estimator", "layer", "group_a", "group_b", "step"];
    let mut sheet = Sheet::new(keys, &["seeds", "mean", "lower", "upper"]);
    for ((rule, noise, curve, estimator, layer, [group_a, group_b], step), values) in values {
        let text = |text: Option<String>| text.map_or(Key::Null, Key::Text);
        let key = vec![
            Key::Text(rule),
            Key::Text(noise),
            Key::Text(curve),
            text(estimator),
            Key::from(layer),
            text(group_a),
            text(group_b),
            Key::Int(step),
        ];
        sheet.push(key, student_t::cells(&values, &quantiles));
    }
    match tables.get("over_seeds.parquet") {
        Some(table) => sheet.compare(table, &(0..table.rows()).collect::<Vec<usize>>()),
        None => Tally::default(),
    }
}

impl Source {
    fn collect(&self, table: &Table, values: &mut BTreeMap<Place, Vec<f64>>) {
        for row in 0..table.rows() {
            if self.only.is_some_and(|(column, wanted)| table.cell(column, row) != wanted) {
                continue;
            }
            let text = |column: &str| match table.cell(column, row) {
                Cell::Text(text) => Some(text.to_string()),
                _ => None,
            };
            let integer = |column: &str| match table.cell(column, row) {
                Cell::Int(value) => Some(value),
                _ => None,
            };
            let noise = match table.cell("noise", row) {
                Cell::Float(noise) => noise.to_string(),
                _ => String::new(),
            };
            let kind = self.kind.and_then(text).unwrap_or_default();
            for (column, name) in self.curves {
                let curve = match name {
                    Name::Is(name) => name.to_string(),
                    Name::KindThen(end) => format!("{kind}{end}"),
                    Name::ThenKind(start) => format!("{start}{kind}"),
                };
                let place = (
                    text("rule").unwrap_or_default(),
                    noise.clone(),
                    curve,
                    text("estimator"),
                    integer("layer"),
                    self.groups.map(|column| column.and_then(text)),
                    integer("step").unwrap_or(-1),
                );
                let there = values.entry(place).or_default();
                if let Cell::Float(value) = table.cell(column, row)
                    && value.is_finite()
                {
                    there.push(value);
                }
            }
        }
    }
}
