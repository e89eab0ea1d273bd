//! What a curve is called and how it is written, by its name and what the summary says of its statistic.

use cograd_results::Summary;
use cograd_results::summary::Statistic;

use crate::numbers::capital;

/// Fractions are shown as percentages.
pub const PERCENT: f64 = 100.0;

/// How a curve is drawn.
pub struct CurveStyle {
    /// What it is called in text.
    pub name: String,
    /// Unit and kind of its values, beside an axis.
    pub y_axis: String,
    /// What values are multiplied by.
    pub factor: f64,
    /// What it is, in a sentence; empty if nothing says so.
    pub about: String,
}

/// Names that are not their words.
const NAMES: [(&str, &str); 12] = [
    ("test_chance", "Test accuracy by chance"),
    ("m_coherence", "m-coherence"),
    ("gsnr", "Gradient signal-to-noise ratio"),
    ("gsnr_plugin", "Gradient signal-to-noise ratio, with its bias"),
    ("gradient_norm_sq", "Squared gradient norm ‖g‖²"),
    ("share", "Share of a group in ‖g‖²"),
    ("cumulative", "Cumulative contribution of the mean example of a group"),
    ("difference", "Difference D of the cumulative contributions of two groups"),
    ("cross_term", "Cross terms as fractions of ‖g‖²"),
    ("learned", "Examples learned"),
    ("similarity_nearest", "Cosine with the nearest neighbour"),
    ("similarity_nearest_same_class", "Nearest neighbours of the same class"),
];

impl CurveStyle {
    pub fn new(summary: &Summary, curve: &str) -> CurveStyle {
        let statistic = statistic(summary, curve);
        let words = curve.replace('_', " ");
        let words = words.strip_prefix("train ").map_or(words.clone(), |rest| format!("training {rest}"));
        let known = NAMES.iter().find(|(known, _)| *known == curve);
        let name = known.map_or_else(|| capital(&words), |(_, name)| (*name).to_owned());
        let in_percent = ["accuracy", "test_chance", "same_class_chance"].iter().any(|end| curve.ends_with(end))
            || matches!(curve, "overfit" | "learned" | "similarity_nearest_same_class");
        let kind = match curve {
            "learned" | "overfit" => capital(curve),
            "gradient_norm_sq" => "‖g‖²".to_owned(),
            "gsnr" => "GSNR".to_owned(),
            _ if curve.ends_with("_accuracy") || curve == "test_chance" => "Accuracy".to_owned(),
            _ if curve.ends_with("_loss") => "Loss".to_owned(),
            _ => name.clone(),
        };
        let unit = statistic.map_or("", |statistic| statistic.unit.as_str());
        let y_axis = match (in_percent, unit) {
            (true, _) => format!("{kind} (%)"),
            (_, "") => kind,
            _ => format!("{kind} ({unit})"),
        };
        let about = statistic.map_or(String::new(), |statistic| sentence(&statistic.about));
        CurveStyle { name, y_axis, factor: if in_percent { PERCENT } else { 1.0 }, about }
    }

    /// What stands beside the axis of a row that has no other heading.
    pub fn title(&self) -> String {
        if self.factor == PERCENT { format!("{} (%)", self.name) } else { self.name.clone() }
    }
}

/// The statistic that a curve is of: names of curves begin with its name.
fn statistic<'a>(summary: &'a Summary, curve: &str) -> Option<&'a Statistic> {
    let of = |statistic: &&Statistic| {
        let rest = curve.strip_prefix(statistic.name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    summary.statistics.iter().filter(of).max_by_key(|statistic| statistic.name.len())
}

fn sentence(text: &str) -> String {
    let text = capital(text.trim());
    if text.is_empty() || text.ends_with('.') { text } else { format!("{text}.") }
}
