//! Curves by name: what a figure asks a run, or a condition over its seeds, for.

use std::collections::HashMap;
use std::rc::Rc;

/// A step and the value there, if there is one.
pub type Point = (f64, Option<f64>);

/// A curve over steps; a missing value is a gap.
pub type Line = Vec<Point>;

/// Curves by name.
pub type Curves = HashMap<CurveKey, Banded>;

/// Which curve: its name in `docs/results.md`, and the estimator, world, layer and groups where it has them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CurveKey {
    pub curve: Rc<str>,
    pub estimator: Option<Rc<str>>,
    /// 0: the actual one.
    pub world: i64,
    /// None: all layers together.
    pub layer: Option<i64>,
    pub group_a: Option<Rc<str>>,
    pub group_b: Option<Rc<str>>,
}

/// A curve and, where it has one, its 95 % interval at every step.
#[derive(Clone, Debug, Default)]
pub struct Banded {
    pub line: Line,
    pub lower: Line,
    pub upper: Line,
}

/// The paper's estimator: from the sample, unscaled.
pub const PAPER: &str = "paper";
/// The population's value, estimated from the sample.
pub const POPULATION: &str = "population";
/// The population's value, recorded.
pub const EXACT: &str = "exact";

impl CurveKey {
    pub fn new(curve: &str) -> CurveKey {
        CurveKey { curve: curve.into(), estimator: None, world: 0, layer: None, group_a: None, group_b: None }
    }

    /// A curve of an estimator.
    pub fn of(curve: &str, estimator: &str) -> CurveKey {
        CurveKey { estimator: Some(estimator.into()), ..CurveKey::new(curve) }
    }

    pub fn world(self, world: i64) -> CurveKey {
        CurveKey { world, ..self }
    }

    pub fn layer(self, layer: Option<i64>) -> CurveKey {
        CurveKey { layer, ..self }
    }

    pub fn group(self, group: &str) -> CurveKey {
        CurveKey { group_a: Some(group.into()), ..self }
    }

    pub fn pair(self, a: &str, b: &str) -> CurveKey {
        CurveKey { group_a: Some(a.into()), group_b: Some(b.into()), ..self }
    }
}

impl Banded {
    pub fn has_band(&self) -> bool {
        self.lower.iter().any(|point| point.1.is_some())
    }

    pub fn has_values(&self) -> bool {
        self.line.iter().any(|point| point.1.is_some())
    }
}
