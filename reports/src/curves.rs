//! Curves by name, as the definitions of the results say where they are, and how a panel shows them.

use std::collections::HashMap;
use std::rc::Rc;

use cograd_results::{Curve, CurveName, Rows};

/// A step and the value there, if there is one.
pub type Point = (f64, Option<f64>);

/// A curve over steps; a missing value is a gap.
pub type Line = Vec<Point>;

/// The paper's estimator: from the sample, unscaled.
pub const PAPER: &str = "paper";
/// The population's value, estimated from the sample.
pub const POPULATION: &str = "population";
/// The population's value, recorded.
pub const EXACT: &str = "exact";

/// The curves of the table `curves`.
pub const CURVES: Curve = named("curve", "value");
/// Those of `over_seeds` and of `comparison`.
pub const MEANS: Curve = named("curve", "mean");
/// The null distributions of `null`: their means, with the simultaneous band as the interval.
pub const NULL: Curve = named("statistic", "mean");

const fn named(name: &'static str, value: &'static str) -> Curve {
    Curve { name: CurveName::Column(name), ..Curve::fixed("", value).by_pair().with_interval() }
}

/// Which curve: its name, and the estimator, world, layer and groups where it has them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub curve: Rc<str>,
    pub estimator: Option<Rc<str>>,
    /// 0: the actual one.
    pub world: u64,
    /// None: all layers together.
    pub layer: Option<Rc<str>>,
    pub groups: [Option<Rc<str>>; 2],
}

impl Key {
    pub fn new(curve: &str) -> Key {
        Key { curve: curve.into(), estimator: None, world: 0, layer: None, groups: [None, None] }
    }

    /// A curve of an estimator.
    pub fn estimated(curve: &str, estimator: &str) -> Key {
        Key { estimator: Some(estimator.into()), ..Key::new(curve) }
    }

    pub fn world(self, world: u64) -> Key {
        Key { world, ..self }
    }

    pub fn layer(self, layer: Option<Rc<str>>) -> Key {
        Key { layer, ..self }
    }

    /// Of a group, or a pair of groups.
    pub fn groups(self, groups: &Groups) -> Key {
        let [a, b] = groups;
        Key { groups: [a.as_deref().map(Rc::from), b.as_deref().map(Rc::from)], ..self }
    }

    pub fn group(self, group: &str) -> Key {
        Key { groups: [Some(group.into()), None], ..self }
    }

    pub fn pair(self, a: &str, b: &str) -> Key {
        Key { groups: [Some(a.into()), Some(b.into())], ..self }
    }

    pub fn is_of(&self, estimator: &str) -> bool {
        self.estimator.as_deref() == Some(estimator)
    }

    /// Whether it is of everything rather than of a group or a pair.
    pub fn is_whole(&self) -> bool {
        self.groups[0].is_none()
    }
}

/// A group, a pair of groups, or none: all at once.
pub type Groups = [Option<String>; 2];

/// How many columns of steps a power of ten has: more than a panel has half points.
const STEPS_PER_DECADE: f64 = 400.0;

/// Of lines over the same steps the places of the first and the last step, and of the lowest and the highest value of each,
/// ascending.
pub fn extremes<L: AsRef<[Point]>>(lines: &[L]) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    for line in lines.iter().map(AsRef::as_ref) {
        let known = || line.iter().enumerate().filter_map(|(index, point)| Some((index, point.1?)));
        chosen.extend(known().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index));
        chosen.extend(known().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index));
        chosen.extend((!line.is_empty()).then_some(0));
        chosen.extend(line.len().checked_sub(1));
    }
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// A curve and, where it has one, its 95 % interval at every step.
#[derive(Clone, Debug, Default)]
pub struct Banded {
    pub line: Line,
    pub lower: Line,
    pub upper: Line,
    /// The steps that are not told apart from the last one begin here.
    open: usize,
    column: f64,
}

impl Banded {
    /// Of a curve, and the lower and the upper end of its interval.
    pub fn new([line, lower, upper]: [Line; 3]) -> Banded {
        Banded { line, lower, upper, ..Banded::default() }
    }

    pub fn has_band(&self) -> bool {
        self.lower.iter().any(|point| point.1.is_some())
    }

    pub fn has_values(&self) -> bool {
        self.line.iter().any(|point| point.1.is_some())
    }

    /// Of the curve and of its interval.
    pub fn values(&self) -> impl Iterator<Item = f64> {
        [&self.line, &self.lower, &self.upper].into_iter().flatten().filter_map(|point| point.1)
    }

    pub fn last_step(&self) -> f64 {
        self.line.last().map_or(0.0, |point| point.0)
    }

    /// The value at a step.
    pub fn at(&self, step: f64) -> Option<f64> {
        let place = self.line.partition_point(|point| point.0 < step);
        self.line.get(place).filter(|point| point.0 == step).and_then(|point| point.1)
    }

    /// Keeps what is seen of the steps that are not told apart.
    fn thin(&mut self) {
        let open = self.open;
        let mut lines = [&mut self.line, &mut self.lower, &mut self.upper];
        let kept = extremes(&lines.each_ref().map(|line| &line[open..]));
        for line in &mut lines {
            kept.iter().enumerate().for_each(|(place, index)| line[open + place] = line[open + index]);
            line.truncate(open + kept.len());
        }
    }

    /// Adds a point. Of many steps that no panel can tell apart only the first, the last, and those with an extreme value or
    /// end of the interval are kept, so that memory does not grow with the number of steps.
    fn push(&mut self, step: u64, [value, lower, upper]: [Option<f64>; 3]) {
        let step = step as f64;
        let column = ((1.0 + step).log10() * STEPS_PER_DECADE).floor();
        if column != self.column {
            self.thin();
            (self.column, self.open) = (column, self.line.len());
        }
        // A value that is not finite is no place in a panel.
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        self.line.push((step, finite(value)));
        self.lower.push((step, finite(lower)));
        self.upper.push((step, finite(upper)));
    }
}

/// Curves by key, in the order in which the tables have them.
#[derive(Debug, Default)]
pub struct Curves {
    curves: Vec<(Key, Banded)>,
    places: HashMap<Key, usize>,
}

impl Curves {
    pub fn get(&self, key: &Key) -> Option<&Banded> {
        self.places.get(key).map(|&place| &self.curves[place].1)
    }

    /// The keys of the curves that have a value somewhere.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.curves.iter().filter(|(_, curve)| curve.has_values()).map(|(key, _)| key)
    }

    fn entry(&mut self, key: Key) -> usize {
        let next = self.curves.len();
        let place = *self.places.entry(key.clone()).or_insert(next);
        if place == next {
            self.curves.push((key, Banded::default()));
        }
        place
    }

    /// Adds the curves of a table, each row to the curves that `owner` says; rows without one are left out.
    pub fn read<'r>(
        rows: &'r Rows,
        curve: &Curve,
        all: &mut [Curves],
        owner: impl Fn(&'r Rows, usize) -> Option<usize>,
    ) {
        let mut last: Option<(usize, [Option<&str>; 6], u64, usize)> = None;
        let [lower, upper] = curve.interval.unwrap_or(["", ""]);
        for row in 0..rows.len() {
            let (Some(owner), Some(step)) = (owner(rows, row), rows.count("step", row)) else { continue };
            let group = |column: Option<&str>| column.and_then(|column| rows.text(column, row));
            let name = match curve.name {
                CurveName::Fixed(name) => [Some(name), None],
                CurveName::Column(column) => [rows.text(column, row), None],
                CurveName::Joined(first, second) => [rows.text(first, row), rows.text(second, row)],
            };
            let [group_a, group_b] = curve.groups.map(group);
            let texts = [name[0], name[1], rows.text("estimator", row), rows.text("layer", row), group_a, group_b];
            let world = rows.count("world", row).unwrap_or(0);
            // Rows of one curve stand together: its place is looked up once.
            let place = match last {
                Some((of, known, of_world, place)) if (of, of_world) == (owner, world) && known == texts => place,
                _ => all[owner].entry(key(texts, world)),
            };
            last = Some((owner, texts, world, place));
            all[owner].curves[place].1.push(step, [curve.value, lower, upper].map(|column| rows.number(column, row)));
        }
    }
}

fn key([name, second, estimator, layer, group_a, group_b]: [Option<&str>; 6], world: u64) -> Key {
    let name = [name, second].into_iter().flatten().collect::<Vec<_>>().join("_");
    let [estimator, layer, group_a, group_b] = [estimator, layer, group_a, group_b].map(|text| text.map(Rc::from));
    Key { curve: name.into(), estimator, world, layer, groups: [group_a, group_b] }
}

/// A curve as a panel shows it, and its interval: over the seeds, or over the examples of the one seed there is.
#[derive(Clone)]
pub struct Series {
    pub curve: Banded,
    /// Whether it is one of several seeds whose mean is not known.
    pub one_of_several: bool,
}

impl Series {
    /// The curve alone.
    pub fn without_interval(mut self) -> Series {
        self.curve.lower.clear();
        self.curve.upper.clear();
        self
    }

    /// The same curve in other units.
    pub fn scaled(mut self, factor: f64) -> Series {
        self.lines().into_iter().flatten().filter_map(|point| point.1.as_mut()).for_each(|value| *value *= factor);
        self
    }

    /// The steps before `end`.
    pub fn before(mut self, end: f64) -> Series {
        self.lines().into_iter().for_each(|line| line.retain(|point| point.0 < end));
        self
    }

    fn lines(&mut self) -> [&mut Line; 3] {
        let Banded { line, lower, upper, .. } = &mut self.curve;
        [line, lower, upper]
    }
}
