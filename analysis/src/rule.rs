//! What the analysis reads off the label of an update rule.

/// The label of plain SGD.
pub const SGD: &str = "sgd";

/// Winsorization level c of an update rule, in percent: c of `winsorized-c`, and 0 of `sgd`, which is the same rule as
/// `winsorized-0`. `None` for any other rule. Source: §3.1.
pub fn winsorization(label: &str) -> Option<f64> {
    if label == SGD {
        return Some(0.0);
    }
    let percent: f64 = label.strip_prefix("winsorized-")?.parse().ok()?;
    (0.0..50.0).contains(&percent).then_some(percent)
}
