//! The paper's predictions, judged on numbers: which holds, which fails, and which cannot be checked [S 5].
//!
//! A prediction is judged on what was measured and never tuned: one that fails is a finding. Runs that differ in nothing but
//! their seed are averaged. Those of §2 are about plain SGD, those of §3 about winsorized SGD with plain SGD as its level
//! c = 0; of both only if the runs differ in nothing else. What each is measured by stands in [`cograd_results::prediction`].

use cograd_results::prediction::{PREDICTIONS, SIGNIFICANT, TOLERANCE};
use polars::prelude::*;

use crate::conditions::{LEVEL, NOISE, RULE};

/// The noise levels of which the paper says that α crosses over.
const CROSSES_OVER: [f64; 2] = [0.25, 0.5];
/// The paper speaks of larger c, in percent.
const LARGE: f64 = 1.0;
/// The numbers of the rows of runs that are averaged over seeds.
const MEASURES: [&str; 13] = [
    "half_loss_step",
    "early_slope",
    "median_pristine",
    "median_corrupt",
    "first_share",
    "group_size",
    "crossover",
    "difference_10",
    "last_train_accuracy",
    "max_train_accuracy",
    "proper_accuracy",
    "final_overfit",
    "overfit_slope",
];
/// Their p-values.
const P_VALUES: [&str; 2] = ["crossover_p", "difference_10_p"];

/// How a number must stand to what it is compared with.
#[derive(Clone, Copy)]
enum Must {
    Exceed,
    StayBelow,
}

/// From the rows of all runs, with what the predictions go by of their conditions; `others` are names of conditions that vary
/// beside rule, winsorization and noise, and `grouped_by` is what the examples are grouped by. Runs without a condition `noise`
/// have no part in it: nothing if there are no others.
pub(crate) fn table(runs: LazyFrame, others: &[String], grouped_by: &str) -> PolarsResult<Option<DataFrame>> {
    let runs = runs.filter(col(NOISE).is_not_null()).collect()?;
    if runs.height() == 0 {
        return Ok(None);
    }
    // What belongs to a statistic that was not computed.
    let missing = MEASURES.iter().chain(&P_VALUES).filter(|name| runs.column(name).is_err());
    let missing: Vec<Expr> = missing.map(|name| null().alias(*name)).collect();
    let runs = runs.lazy().with_columns(missing).collect()?;
    let levels = levels(&runs)?;
    let known = levels.clone().collect()?;
    let mut rows = Vec::new();
    for prediction in &PREDICTIONS {
        let points = if others.is_empty() { points(prediction.name, levels.clone())? } else { no_points() };
        let points = points.with_column(lit(prediction.name).alias("prediction")).collect()?;
        let verdict = verdict(&points)?;
        let why = || reason(prediction.name, &known, &points, others, grouped_by);
        let reason = if verdict == "not checkable" { Some(why()?) } else { None };
        let whole = df!("prediction" => [prediction.name], "verdict" => [verdict], "reason" => [reason])?;
        rows.extend([whole.lazy(), points.lazy()]);
    }
    concat_lf_diagonal(rows, UnionArgs { parallel: false, ..UnionArgs::default() })?.collect().map(Some)
}

/// The runs of plain or winsorized SGD by noise level and winsorization level c, means over seeds, both ascending. `sgd` and
/// winsorized at c = 0 are the same: where both were recorded, the runs of the latter count.
fn levels(runs: &DataFrame) -> PolarsResult<LazyFrame> {
    let keys = || [col(NOISE), col(LEVEL)];
    let winsorized = col(RULE).eq(lit("winsorized"));
    let both = winsorized.clone().any(true).over(keys())?;
    let means = MEASURES.map(|name| col(name).drop_nulls().mean().alias(name));
    let p_values = P_VALUES.map(|name| {
        // One without a p-value leaves the level without one, unless another is not significant.
        let largest = col(name).max();
        let known = col(name).null_count().eq(lit(0)).or(largest.clone().gt(lit(SIGNIFICANT)));
        when(known).then(largest).otherwise(lit(NULL)).alias(name)
    });
    Ok(runs
        .clone()
        .lazy()
        .filter(col(LEVEL).is_not_null())
        .filter(winsorized.or(both.not()))
        .group_by_stable([col(NOISE).alias("noise"), col(LEVEL).alias("winsorization")])
        .agg(means.into_iter().chain(p_values).collect::<Vec<_>>())
        .sort(["noise", "winsorization"], SortMultipleOptions::default()))
}

/// The rows of a prediction's numbers: noise, winsorization, quantity, measured, compared_with, p, verdict.
fn points(prediction: &str, levels: LazyFrame) -> PolarsResult<LazyFrame> {
    let plain = levels.clone().filter(col("winsorization").eq(lit(0.0))).with_column(null().alias("winsorization"));
    let zero = || lit(0.0);
    match prediction {
        "slower_learning" => trend(plain, "half_loss_step", "half_loss_step", Must::Exceed, None),
        "pristine_slower" => trend(plain, "median_learned_step", "median_pristine", Must::Exceed, None),
        "smaller_gradient" => trend(plain, "early_slope", "early_slope", Must::StayBelow, None),
        "pristine_first" => {
            let both = plain.filter(col("median_pristine").is_not_null().and(col("median_corrupt").is_not_null()));
            Ok(against(
                both,
                "median_learned_step",
                col("median_pristine"),
                col("median_corrupt"),
                Must::StayBelow,
                None,
            ))
        }
        "crosses_over" => {
            let [first, second] = CROSSES_OVER;
            let of_both = plain.filter(col("noise").eq(lit(first)).or(col("noise").eq(lit(second))));
            let excess = (of_both.clone(), "first_share", col("first_share"), col("group_size"), None);
            let crossover = (of_both, "crossover", col("crossover"), zero(), Some(col("crossover_p")));
            let rows = [excess, crossover]
                .map(|(levels, quantity, value, other, p)| against(levels, quantity, value, other, Must::Exceed, p));
            Ok(crate::frame::stacked(rows.to_vec())?
                .sort(["noise"], SortMultipleOptions::default().with_maintain_order(true)))
        }
        "early_contribution" => {
            let both = plain.filter(col("group_size").is_not_null());
            let (value, p) = (col("difference_10"), col("difference_10_p"));
            Ok(against(both, "difference_10", value, zero(), Must::Exceed, Some(p)))
        }
        "less_overfit" => trend(levels, "final_overfit", "final_overfit", Must::StayBelow, Some("noise")),
        "lower_accuracy" => {
            let noisy = levels.filter(col("noise").gt(zero()));
            trend(noisy, "final_train_accuracy", "last_train_accuracy", Must::StayBelow, Some("noise"))
        }
        "slower_overfit" => trend(levels, "overfit_slope", "overfit_slope", Must::StayBelow, Some("noise")),
        "proper_accuracy" => {
            let judged = col("winsorization").gt(lit(LARGE)).and(col("proper_accuracy").lt(lit(1.0)));
            let exceeds = col("max_train_accuracy").gt(col("proper_accuracy") + lit(TOLERANCE));
            let rows = levels.filter(judged.and(col("max_train_accuracy").is_not_null())).with_columns([
                lit("max_train_accuracy").alias("quantity"),
                col("max_train_accuracy").alias("measured"),
                col("proper_accuracy").alias("compared_with"),
                null().alias("p"),
                when(exceeds).then(lit("fails")).otherwise(lit("holds")).alias("verdict"),
            ]);
            Ok(rows.select(COLUMNS.map(col)))
        }
        _ => Ok(no_points()),
    }
}

/// The columns of the rows of numbers.
const COLUMNS: [&str; 7] = ["noise", "winsorization", "quantity", "measured", "compared_with", "p", "verdict"];

fn null() -> Expr {
    lit(NULL).cast(DataType::Float64)
}

fn no_points() -> LazyFrame {
    let none = Vec::<f64>::new;
    let text = Vec::<String>::new;
    let frame = df!(
        "noise" => none(), "winsorization" => none(), "quantity" => text(), "measured" => none(),
        "compared_with" => none(), "p" => none(), "verdict" => text(),
    );
    frame.unwrap_or_default().lazy()
}

/// Each level's number against that of the level before it: of all levels, or `within` those alike, of which there must be
/// two.
fn trend(
    levels: LazyFrame,
    quantity: &str,
    measure: &str,
    must: Must,
    within: Option<&str>,
) -> PolarsResult<LazyFrame> {
    let known = levels.filter(col(measure).is_not_null());
    let (known, before) = match within {
        None => (known, col(measure).shift(lit(1))),
        Some(key) => {
            let several = len().over([col(key)])?.gt(lit(1));
            (known.filter(several), col(measure).shift(lit(1)).over([col(key)])?)
        }
    };
    let with_before = known.with_column(before.alias("before"));
    Ok(against(with_before, quantity, col(measure), col("before"), must, None))
}

/// A number of each level against another, and a p-value that must be small.
fn against(
    levels: LazyFrame,
    quantity: &str,
    measured: Expr,
    compared_with: Expr,
    must: Must,
    p: Option<Expr>,
) -> LazyFrame {
    let is_right = match must {
        Must::Exceed => measured.clone().gt(compared_with.clone()),
        Must::StayBelow => measured.clone().lt(compared_with.clone()),
    };
    // Two steps that are never reached tell nothing.
    let both_infinite = measured.clone().is_infinite().and(compared_with.clone().is_infinite());
    let is_first = quantity_is_trend(&compared_with).and(compared_with.clone().is_null());
    let unknown = measured.clone().is_null().or(compared_with.clone().is_null()).or(both_infinite);
    let (insignificant, no_p) = match &p {
        Some(p) => (p.clone().gt(lit(SIGNIFICANT)), p.clone().is_null()),
        None => (lit(false), lit(false)),
    };
    let wrong = unknown.clone().not().and(is_right.not()).or(insignificant);
    let verdict = when(is_first)
        .then(lit(NULL).cast(DataType::String))
        .when(wrong.fill_null(lit(false)))
        .then(lit("fails"))
        .when(unknown.or(no_p))
        .then(lit("not checkable"))
        .otherwise(lit("holds"));
    levels
        .with_columns([
            lit(quantity.to_string()).alias("quantity"),
            measured.alias("measured"),
            compared_with.cast(DataType::Float64).alias("compared_with"),
            p.unwrap_or_else(null).alias("p"),
            verdict.alias("verdict"),
        ])
        .select(COLUMNS.map(col))
}

/// Whether a missing comparison is that of the first level of a trend, which is compared with nothing.
fn quantity_is_trend(compared_with: &Expr) -> Expr {
    lit(matches!(compared_with, Expr::Column(name) if name.as_str() == "before"))
}

/// Fails if one comparison does, holds if there are some and all do.
fn verdict(points: &DataFrame) -> PolarsResult<&'static str> {
    let verdicts: Vec<Option<&str>> = points.column("verdict")?.str()?.iter().collect();
    let any = |wanted: &str| verdicts.iter().flatten().any(|verdict| *verdict == wanted);
    Ok(if any("fails") {
        "fails"
    } else if any("holds") && !any("not checkable") {
        "holds"
    } else {
        "not checkable"
    })
}

/// Why a prediction is not checkable.
fn reason(
    prediction: &str,
    levels: &DataFrame,
    points: &DataFrame,
    others: &[String],
    grouped_by: &str,
) -> PolarsResult<String> {
    if !others.is_empty() {
        return Ok(format!("the runs differ in {} too", others.join(", ")));
    }
    let of_section_3 = ["less_overfit", "lower_accuracy", "proper_accuracy", "slower_overfit"].contains(&prediction);
    let of_groups = ["pristine_first", "pristine_slower", "crosses_over", "early_contribution"].contains(&prediction);
    let plain = levels.column("winsorization")?.f64()?.iter().flatten().any(|level| level == 0.0);
    Ok(if levels.height() == 0 {
        "no run is of the rules sgd or winsorized".to_string()
    } else if !of_section_3 && !plain {
        "no run is of plain SGD".to_string()
    } else if of_groups && grouped_by != "pristine" {
        format!("the examples are grouped by {grouped_by}, not by pristine")
    } else if points.height() == 0 {
        let why = match prediction {
            "pristine_first" | "early_contribution" => "no noise level has both pristine and corrupt examples",
            "crosses_over" => "neither ε = 0.25 nor ε = 0.5 was recorded",
            "proper_accuracy" => "no run has both c > 1 and corrupt examples",
            "less_overfit" | "lower_accuracy" | "slower_overfit" => "no noise level has the number at two levels of c",
            _ => "the number it is judged by was not recorded",
        };
        why.to_string()
    } else if points.column("verdict")?.null_count() == points.height() {
        "one noise level cannot show a trend".to_string()
    } else {
        "a number or a p-value that it is judged by is missing, or no level reaches it".to_string()
    })
}
