//! The grid: its lists, and the settings of the file that it sweeps besides.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use cograd_trace::{Condition, Conditions};
use serde::{Deserialize, Deserializer, Serialize, de};
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::parse::problem;
use super::{Experiment, ExperimentError, Rule};

/// The grid of runs: one for every rule, noise level, combination of other settings, and seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Grid {
    /// Label noise ε of the paper's §2.1, each in [0, 1].
    pub noise: Vec<f64>,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Values of other settings, by the key of the setting: `network.hidden`.
    #[serde(flatten)]
    pub settings: BTreeMap<String, Vec<Value>>,
    /// Update rules: how the gradients of a minibatch become one.
    pub rules: Vec<Rule>,
}

/// Sections whose settings the grid sweeps.
const SECTIONS: [&str; 5] = ["data", "network", "training", "sample", "schedule"];

/// Most combinations of other settings.
const MOST: usize = 10_000;

// By hand, since serde's `flatten` would lose the lines of errors.
impl<'de> Deserialize<'de> for Grid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Grid, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Grid;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a table of lists")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Grid, A::Error> {
                let (mut noise, mut seeds, mut rules, mut settings) =
                    (None, vec![1], vec![Rule::Sgd {}], BTreeMap::new());
                while let Some(Key(key)) = map.next_key()? {
                    match key.as_str() {
                        // −0 is 0.
                        "noise" => {
                            noise = Some(map.next_value::<Vec<f64>>()?.into_iter().map(|noise| noise + 0.0).collect())
                        }
                        "seeds" => seeds = map.next_value()?,
                        "rules" => rules = map.next_value()?,
                        _ => drop(settings.insert(key, map.next_value()?)),
                    }
                }
                let noise = noise.ok_or_else(|| de::Error::missing_field("noise"))?;
                Ok(Grid { noise, seeds, settings, rules })
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// A key of the grid, refused where it stands.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        let key = String::deserialize(deserializer)?;
        match key.as_str() {
            "noise" | "seeds" | "rules" => Ok(Key(key)),
            name if name.contains('.') => Ok(Key(key)),
            name if SECTIONS.contains(&name) => Err(de::Error::custom(format!(
                "`{name}` is no list: to sweep a setting, write its whole key in quotes, as in \"network.hidden\" = \
                 [[32], [64]]"
            ))),
            name => Err(de::Error::unknown_field(name, &["noise", "seeds", "rules"])),
        }
    }
}

/// One value of a swept setting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    key: String,
    /// Place of the value in its list.
    place: usize,
    value: Value,
}

impl Setting {
    /// What it is called in the name of a run: `hidden-256x256`.
    pub fn label(&self) -> String {
        format!("{}-{}", condition_name(&self.key), label(&self.value))
    }

    /// The conditions of a run, with this one among them unless it is there.
    pub fn conditions(&self, others: Conditions) -> Conditions {
        let name = condition_name(&self.key);
        match others.get(name) {
            Some(_) => others,
            None => others.with(name, condition(&self.value)),
        }
    }
}

/// What a setting is called as a condition: the last part of its key, or all of it where others end alike.
fn condition_name(key: &str) -> &str {
    match key.rsplit_once('.') {
        Some((_, last)) if !["noise", "examples", "every_step_until", "per_decade"].contains(&last) => last,
        _ => key,
    }
}

fn condition(value: &Value) -> Condition {
    match value {
        Value::Boolean(value) => Condition::from(*value),
        Value::Integer(value) => Condition::from(*value),
        Value::Float(value) => Condition::from(*value),
        Value::String(text) => Condition::from(text.as_str()),
        // Of a network of one hidden layer the width.
        Value::Array(values) => match values.as_slice() {
            [Value::Integer(value)] => Condition::from(*value),
            _ => Condition::from(label(value)),
        },
        value => Condition::from(label(value)),
    }
}

/// Longest id of a run: a file name has 255 bytes at most, and more is put around it.
const LONGEST_ID: usize = 200;

/// An id that is too long to name a run is cut: this many bytes are kept, and a hash of all of it follows.
const KEPT: usize = 150;

/// The id of a run, whose parts are these: what no two runs of a grid have in common, in a form that can name its directory.
pub(crate) fn run_id(beginning: &str, seed: u64) -> String {
    let id = format!("{beginning}_seed-{seed}");
    if id.len() <= LONGEST_ID {
        return id;
    }
    let kept: String = beginning.chars().filter(char::is_ascii).take(KEPT).collect();
    format!("{kept}_{}_seed-{seed}", &cograd_files::sha256(id.as_bytes())[..16])
}

/// A number as part of a file name: with all its digits, or with an exponent if so many could be in no id.
pub(crate) fn number_label(number: f64) -> String {
    let digits = number.to_string();
    // With the shortest rule and seed: `sgd_noise-…_seed-1`.
    match digits.len() + "sgd_noise-_seed-1".len() > LONGEST_ID {
        true => format!("{number:e}"),
        false => digits,
    }
}

/// A value as part of a file name.
fn label(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
            text.chars().map(|letter| if is_plain(letter) { letter } else { '-' }).collect()
        }
        Value::Float(number) => number_label(*number),
        Value::Array(values) if values.is_empty() => "none".to_string(),
        Value::Array(values) => values.iter().map(label).collect::<Vec<_>>().join("x"),
        Value::Table(table) => {
            let name = table.get("name").map(label);
            let settings = table.iter().filter(|(key, _)| *key != "name");
            let settings = settings.map(|(key, value)| format!("{key}-{}", label(value)));
            name.into_iter().chain(settings).collect::<Vec<_>>().join("-")
        }
        value => label(&Value::String(value.to_string())),
    }
}

impl Experiment {
    /// An experiment for each combination of the grid's other settings, itself if it has none. They come in the order of
    /// the keys, the last of which changes first.
    pub(crate) fn variants(&self) -> Result<Vec<(Experiment, Vec<Setting>)>, ExperimentError> {
        let mut all = vec![Vec::new()];
        for (key, values) in &self.grid.settings {
            let setting = |(place, value): (usize, &Value)| Setting { key: key.clone(), place, value: value.clone() };
            let with = |before: &Vec<Setting>| {
                let settings = values.iter().enumerate().map(setting);
                settings.map(|setting| [before.clone(), vec![setting]].concat()).collect::<Vec<_>>()
            };
            if all.len() * values.len() > MOST {
                return Err(self.impossible_setting(key, None, format!("more than {MOST} combinations of settings")));
            }
            all = all.iter().flat_map(with).collect();
        }
        all.into_iter().map(|settings| Ok((self.with_settings(&settings)?, settings))).collect()
    }

    /// Checks the lists of the other settings, each value by itself.
    pub(super) fn check_settings(&self) -> Result<(), ExperimentError> {
        for (key, values) in &self.grid.settings {
            let refuse = |place, problem: &str| Err(self.impossible_setting(key, place, problem.to_string()));
            let section = key.split('.').next().unwrap_or_default();
            if !SECTIONS.contains(&section) {
                return refuse(None, &format!("the grid sweeps settings of {} only", SECTIONS.join(", ")));
            }
            if let Some(other) = self.grid.settings.keys().find(|other| is_within(other, key) && *other != key) {
                return refuse(None, &format!("`{other}` is a part of it: sweep one of them"));
            }
            if values.is_empty() {
                return refuse(None, "empty: name at least one value");
            }
            for (place, value) in values.iter().enumerate() {
                if values[..place].iter().any(|other| label(other) == label(value)) {
                    return refuse(Some(place), &format!("{} twice: once is enough", label(value)));
                }
                self.with_settings(&[Setting { key: key.clone(), place, value: value.clone() }])?;
            }
        }
        Ok(())
    }

    /// With these settings in place of its own.
    fn with_settings(&self, settings: &[Setting]) -> Result<Experiment, ExperimentError> {
        let Some(last) = settings.last() else { return Ok(self.clone()) };
        let refuse = |problem| self.impossible_setting(&last.key, Some(last.place), problem);
        let mut table = Table::try_from(self)?;
        for Setting { key, value, .. } in settings {
            set(&mut table, key, value.clone()).ok_or_else(|| refuse("its section is no table".to_string()))?;
        }
        let mut experiment = Experiment::deserialize(table).map_err(|error| refuse(problem(error.message())))?;
        let swept =
            settings.iter().map(|setting| (setting.key.clone(), self.span_of(&setting.key, Some(setting.place))));
        experiment.origin = self.origin.with_swept(swept.collect());
        Ok(experiment)
    }

    /// An error about a swept setting, or about one of its values.
    fn impossible_setting(&self, key: &str, place: Option<usize>, problem: String) -> ExperimentError {
        let place = self.origin.line_of(self.span_of(key, place));
        ExperimentError::Impossible { place, key: key.to_string(), problem }
    }

    fn span_of(&self, key: &str, place: Option<usize>) -> Option<Range<usize>> {
        let place = place.map(|place| place.to_string());
        self.origin.span_of(["grid", key].into_iter().chain(place.as_deref()))
    }
}

/// Whether a key is `other`, or a part of what that is.
pub(super) fn is_within(key: &str, other: &str) -> bool {
    key.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Sets a value in the tables that its key names, which are made where they are missing; `None` if one is no table.
fn set(table: &mut Table, key: &str, value: Value) -> Option<()> {
    match key.split_once('.') {
        None => drop(table.insert(key.to_string(), value)),
        Some((section, rest)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            set(section.as_table_mut()?, rest, value)?;
        }
    }
    Some(())
}

/// The text as a table with the first value of every swept setting in its place, so that a setting need not be written twice.
pub(super) fn with_first_values(text: &str) -> Option<Spanned<DeTable<'_>>> {
    let mut root = DeTable::parse(text).ok()?;
    let DeValue::Table(grid) = root.get_ref().get("grid")?.get_ref() else { return None };
    let mut swept = Vec::new();
    let is_setting = |key: &str| key.split_once('.').is_some_and(|(section, _)| SECTIONS.contains(&section));
    for (key, values) in grid.iter().filter(|(key, _)| is_setting(key.get_ref())) {
        if let DeValue::Array(values) = values.get_ref() {
            swept.push((key.get_ref().to_string(), key.span(), values.first()?.clone()));
        }
    }
    let has_any = !swept.is_empty();
    for (key, span, value) in swept {
        set_spanned(root.get_mut(), &key, span, value);
    }
    has_any.then_some(root)
}

fn set_spanned<'i>(table: &mut DeTable<'i>, key: &str, span: Range<usize>, value: Spanned<DeValue<'i>>) {
    let spanned = |name: &str| Spanned::new(span.clone(), name.to_string().into());
    match key.split_once('.') {
        None => drop(table.insert(spanned(key), value)),
        Some((section, rest)) => {
            let empty = || Spanned::new(span.clone(), DeValue::Table(DeTable::new()));
            if let DeValue::Table(section) = table.entry(spanned(section)).or_insert_with(empty).get_mut() {
                set_spanned(section, rest, span, value);
            }
        }
    }
}
