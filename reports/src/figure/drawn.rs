//! Curves with their looks, and how a panel draws them: intervals below, curves above, markers on top.

use super::OVER_SEEDS;
use super::legend::{Key, Legend};
use super::look::{QUIET, curve_width};
use crate::ReportError;
use crate::axes::Panel;
use crate::canvas::{Marker, Stroke};
use crate::results::{Condition, Series};

/// A curve and how it looks.
pub struct Drawn {
    pub series: Series,
    pub stroke: Stroke,
    pub marks: Option<(Marker, Marks)>,
}

#[derive(Clone, Copy)]
pub enum Marks {
    /// On every point.
    Every,
    /// On a few, from this part of the distance between them.
    Few(f64),
}

impl Drawn {
    /// Each of the series alike; thinner where they are single seeds.
    pub fn all(series: Vec<Series>, stroke: Stroke, marks: Option<(Marker, Marks)>) -> impl Iterator<Item = Drawn> {
        series.into_iter().map(move |series| {
            let width = if series.one_of_several { stroke.width.min(curve_width(2)) } else { stroke.width };
            Drawn { series, stroke: Stroke { width, ..stroke }, marks }
        })
    }
}

pub fn draw(panel: &Panel, curves: &[Drawn]) -> Result<(), ReportError> {
    for curve in curves {
        panel.interval(&curve.series, curve.stroke.colour)?;
    }
    for curve in curves {
        panel.curve(&curve.series.curve.line, curve.stroke)?;
    }
    for curve in curves {
        let line = &curve.series.curve.line;
        match curve.marks {
            Some((marker, Marks::Every)) => panel.markers(line, marker, curve.stroke.colour)?,
            Some((marker, Marks::Few(phase))) => panel.sparse_markers(line, marker, curve.stroke.colour, phase)?,
            None => {}
        }
    }
    Ok(())
}

/// The legend with a key to the band around curves, where some have one: over the seeds, or else over the examples.
pub fn with_interval(legend: Legend, conditions: &[Condition], over_examples: bool) -> Legend {
    if conditions.iter().any(Condition::is_mean) {
        legend.with(Key::Band(QUIET), OVER_SEEDS)
    } else if over_examples {
        legend.with(Key::Band(QUIET), "95 % bootstrap interval")
    } else {
        legend
    }
}
