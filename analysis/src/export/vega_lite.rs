//! Curves as charts of Vega-Lite: one specification a table of curves, with its data in it, which any of its editors and viewers
//! draws without anything else.
//!
//! Every curve of the table is a panel: a line a run over the steps, with its interval where there is one. More panels than
//! a page holds are chosen in a menu. Null worlds are left out.

use std::path::{Path, PathBuf};

use cograd_files::write_atomically;
use cograd_results::{Curve, CurveName, Results, Rows, Table, table};
use serde_json::{Map, Value, json};

use crate::AnalysisError;

/// Panels that stand beside each other.
const MOST_PANELS: usize = 9;

/// The definition of a table, if it has curves.
pub(super) fn curves(name: &str) -> Option<&'static Table> {
    table(name).filter(|table| !table.curves.is_empty() || CURVES_IN_ROWS.contains(&name))
}

/// Tables whose rows say themselves which curve they are of, and the columns of its value.
const CURVES_IN_ROWS: [&str; 3] = ["curves", "over_seeds", "comparison"];

/// Writes the chart of a table.
pub(super) fn write(results: &Results, table: &Table, directory: &Path) -> Result<PathBuf, AnalysisError> {
    let mut data = Vec::new();
    results.each_part(table.name, |rows| {
        for row in (0..rows.len()).filter(|row| matches!(rows.count("world", *row), None | Some(0))) {
            data.extend(points(results, table, rows, row));
        }
    })?;
    let path = directory.join(format!("{}.vl.json", table.name));
    let text = serde_json::to_vec(&chart(results, table, data))
        .map_err(|error| AnalysisError::Export { path: path.clone(), source: error.into() })?;
    write_atomically(&path, &text).map_err(|error| AnalysisError::Output(error.into()))?;
    Ok(path)
}

/// The points of a row: one of each curve of the table.
fn points(results: &Results, table: &Table, rows: &Rows, row: usize) -> Vec<Value> {
    let text = |column: &str| rows.text(column, row);
    let identity: Vec<String> = identity(results, rows, row);
    let point = |name: String, [value, lower, upper]: [Option<&str>; 3], groups: [Option<&str>; 2]| {
        let groups = groups.iter().flatten().filter_map(|column| text(column));
        let parts = [Some(name.as_str()), text("layer"), text("estimator")];
        let panel: Vec<&str> = parts.into_iter().flatten().chain(groups).collect();
        let mut point = Map::new();
        point.insert("panel".into(), panel.join(" · ").into());
        point.insert("line".into(), identity.join(", ").into());
        point.insert("step".into(), rows.integer("step", row).into());
        for (key, column) in [("value", value), ("lower", lower), ("upper", upper)] {
            if let Some(number) = column.and_then(|column| rows.number(column, row)) {
                point.insert(key.into(), number.into());
            }
        }
        Value::Object(point)
    };
    if CURVES_IN_ROWS.contains(&table.name) {
        let value = if table.has("mean") { "mean" } else { "value" };
        let groups = [Some("group_a"), Some("group_b")];
        let name = text("curve").unwrap_or_default().to_string();
        return vec![point(name, [Some(value), Some("lower"), Some("upper")], groups)];
    }
    let of = |curve: &Curve| {
        let column = |name: &str| text(name).unwrap_or_default().to_string();
        let name = match curve.name {
            CurveName::Fixed(name) => name.to_string(),
            CurveName::Column(name) => column(name),
            CurveName::Joined(first, second) => format!("{}_{}", column(first), column(second)),
        };
        let [lower, upper] = curve.interval.map_or([None, None], |ends| ends.map(Some));
        point(name, [Some(curve.value), lower, upper], curve.groups)
    };
    table.curves.iter().map(of).collect()
}

/// What tells the line from others: the run, or the conditions that vary, and the study.
fn identity(results: &Results, rows: &Rows, row: usize) -> Vec<String> {
    if let Some(run) = rows.text("run", row) {
        return vec![run.to_string()];
    }
    let varying = results.summary().conditions.iter().filter(|condition| condition.varies);
    let value = |name: &str| {
        let text = rows.text(name, row).map(str::to_string);
        let boolean = || rows.boolean(name, row).map(|value| value.to_string());
        text.or_else(|| rows.number(name, row).map(|value| value.to_string())).or_else(boolean)
    };
    let conditions = varying.filter_map(|condition| Some(format!("{} = {}", condition.name, value(&condition.name)?)));
    rows.text("study", row).map(str::to_string).into_iter().chain(conditions).collect()
}

fn chart(results: &Results, table: &Table, data: Vec<Value>) -> Value {
    let mut panels: Vec<&str> = data.iter().filter_map(|point| point["panel"].as_str()).collect();
    panels.sort_unstable();
    panels.dedup();
    let is_chosen = panels.len() > MOST_PANELS;
    let color = json!({
        "condition": { "param": "shown", "field": "line", "type": "nominal", "title": null },
        "value": "#dddddd",
    });
    let x = json!({ "field": "step", "type": "quantitative", "scale": { "type": "symlog" }, "title": "step" });
    let y = |field: &str| json!({ "field": field, "type": "quantitative", "scale": { "zero": false }, "title": null });
    let tooltip = ["panel", "line", "step", "value", "lower", "upper"].map(|field| json!({ "field": field }));
    let band = json!({
        "mark": { "type": "area", "opacity": 0.15 },
        "transform": [{ "filter": "isValid(datum.lower) && isValid(datum.upper)" }],
        "encoding": { "x": x, "y": y("lower"), "y2": { "field": "upper" }, "color": color },
    });
    let line = json!({
        "params": [{ "name": "shown", "select": { "type": "point", "fields": ["line"] }, "bind": "legend" }],
        "mark": { "type": "line", "point": { "size": 12 }, "tooltip": true, "invalid": "break-paths-filter-domains" },
        "encoding": { "x": x, "y": y("value"), "color": color, "tooltip": tooltip },
    });
    let panel = json!({ "width": 320, "height": 200, "layer": [band, line] });
    let mut chart = json!({
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": format!("{}: {}", results.summary().study.name, table.name.replace('_', " ")),
        "description": table.about,
        "data": { "values": [] },
    });
    match is_chosen {
        true => {
            let menu = json!({ "input": "select", "options": panels, "name": "curve " });
            chart["params"] = json!([{ "name": "curve", "value": panels[0], "bind": menu }]);
            chart["transform"] = json!([{ "filter": "datum.panel === curve" }]);
            chart["width"] = json!(640);
            chart["height"] = json!(360);
            chart["layer"] = panel["layer"].clone();
        }
        false => {
            chart["facet"] = json!({ "field": "panel", "type": "nominal", "title": null });
            chart["columns"] = json!(3);
            chart["spec"] = panel;
            chart["resolve"] = json!({ "scale": { "y": "independent" } });
        }
    }
    chart["data"]["values"] = data.into();
    chart
}
