//! From TOML text to settings, with errors that name the line and the nearest key.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::grid::{is_within, with_first_values};
use super::types::explained;
use super::{Experiment, Rule};

/// What is wrong with an experiment file, at which line, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// The file cannot be read.
    #[error("cannot read the experiment {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Not TOML, a key that does not exist or is missing, or a value of the wrong type.
    #[error("{place}: {problem}")]
    Toml {
        /// File and line.
        place: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A value that no experiment can have.
    #[error("{place}: {key}: {problem}")]
    Impossible {
        /// File and, if the key is written there, line.
        place: String,
        /// The key, sections before it.
        key: String,
        /// What is wrong and what is allowed.
        problem: String,
    },
    /// Settings that TOML cannot express.
    #[error("the experiment cannot be written as TOML: {0}")]
    Unwritable(#[from] toml::ser::Error),
}

/// Where settings were read. It is no part of the settings: any two are equal.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    name: String,
    text: Arc<str>,
    /// Settings that are those of the grid in this experiment, and where their values stand.
    swept: Vec<(String, Option<Range<usize>>)>,
}

impl PartialEq for Origin {
    fn eq(&self, _: &Origin) -> bool {
        true
    }
}

impl Origin {
    /// File and line of a key such as `grid.noise`, or of a place in a list such as `grid.rules.2`; the
    /// file alone if it is not written there.
    pub(super) fn place_of(&self, key: &str) -> String {
        let swept = self.swept.iter().find(|(swept, _)| is_within(key, swept));
        self.line_of(swept.map_or_else(|| self.span_of(key.split('.')), |(_, span)| span.clone()))
    }

    /// With values that stand in the grid.
    pub(super) fn with_swept(&self, swept: Vec<(String, Option<Range<usize>>)>) -> Origin {
        Origin { swept, ..self.clone() }
    }

    pub(super) fn line_of(&self, span: Option<Range<usize>>) -> String {
        let Some(span) = span else { return self.name.clone() };
        let before = self.text.get(..span.start).unwrap_or_default();
        format!("{}, line {}", self.name, before.matches('\n').count() + 1)
    }

    /// Where the key stands whose parts these are.
    pub(super) fn span_of<'a>(&self, mut parts: impl Iterator<Item = &'a str>) -> Option<Range<usize>> {
        let root = DeTable::parse(&self.text).ok()?;
        let (name, mut value) = root.get_ref().get_key_value(parts.next()?)?;
        let mut span = name.span();
        for part in parts {
            (span, value) = match value.get_ref() {
                DeValue::Table(table) => {
                    let (name, value) = table.get_key_value(part)?;
                    (name.span(), value)
                }
                DeValue::Array(items) => {
                    let item = items.get(part.parse::<usize>().ok()?)?;
                    (item.span(), item)
                }
                _ => break,
            };
        }
        Some(span)
    }
}

pub(super) fn parse(text: &str, origin: &str) -> Result<Experiment, ExperimentError> {
    let origin = Origin { name: origin.to_string(), text: text.into(), swept: Vec::new() };
    let read = match with_first_values(text) {
        Some(table) => Experiment::deserialize(toml::Deserializer::from(table)),
        None => toml::from_str(text),
    };
    match read {
        Ok(experiment) => Ok(Experiment { origin, ..experiment }),
        Err(error) => {
            let span = span_of_rule(text, &error).or(error.span());
            let problem = explained(text, span.clone(), error.message()).unwrap_or_else(|| problem(error.message()));
            Err(ExperimentError::Toml { place: origin.line_of(span), problem })
        }
    }
}

/// Where the rule stands that an error is about: serde, which reads a rule's name first, knows the list of rules only.
fn span_of_rule(text: &str, error: &toml::de::Error) -> Option<Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let DeValue::Array(rules) = root.get_ref().get("grid")?.get_ref().get("rules")?.get_ref() else { return None };
    let is_wrong = |rule: &&toml::Spanned<DeValue<'_>>| {
        Rule::deserialize(ValueDeserializer::from((*rule).clone())).is_err_and(|e| e.message() == error.message())
    };
    Some(rules.iter().find(is_wrong)?.span())
}

/// The parser's message in the words of a person who writes the file: "key" for "field", and the nearest name.
pub(super) fn problem(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.as_slice() {
        [found, allowed @ ..] if message.starts_with("unknown field") => unknown("key", found, allowed),
        [found, allowed @ ..] if message.starts_with("unknown variant") => unknown("value", found, allowed),
        [missing] if message.starts_with("missing field") => format!("the key `{missing}` is missing: add it"),
        _ => message.to_string(),
    }
}

/// Below this similarity, from 0 to 1, two names have too little in common for a suggestion.
const SIMILAR: f64 = 0.65;

fn unknown(what: &str, found: &str, allowed: &[&str]) -> String {
    let nearest = allowed
        .iter()
        .map(|name| (similarity(found, name), name))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    match nearest {
        Some((_, name)) => format!("unknown {what} `{found}`: did you mean `{name}`?"),
        None if allowed.is_empty() => format!("unknown {what} `{found}`: remove it"),
        None => format!("unknown {what} `{found}`: allowed here: {}", allowed.join(", ")),
    }
}

/// From 0 to 1: a common beginning counts (`batch_size`), and so do few slips of the finger (`sdg`).
fn similarity(one: &str, other: &str) -> f64 {
    strsim::jaro_winkler(one, other).max(strsim::normalized_damerau_levenshtein(one, other))
}

/// Examples of a minibatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// So many examples, the last minibatch of an epoch what is left.
    Size(usize),
    /// The whole training set in every step.
    Full,
}

impl Batch {
    /// Examples of a minibatch of a training set of so many.
    pub(super) fn size(self, examples: usize) -> usize {
        match self {
            Batch::Size(size) => size,
            Batch::Full => examples,
        }
    }
}

impl Default for Batch {
    fn default() -> Batch {
        Batch::Size(100)
    }
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Batch::Size(size) => serializer.serialize_u64(*size as u64),
            Batch::Full => serializer.serialize_str("full"),
        }
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Batch, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Batch;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number of examples or \"full\"")
            }
            fn visit_i64<E: de::Error>(self, size: i64) -> Result<Batch, E> {
                let size = usize::try_from(size);
                size.map(Batch::Size).map_err(|_| E::custom("batch is a number of examples, at least 1, or \"full\""))
            }
            fn visit_u64<E: de::Error>(self, size: u64) -> Result<Batch, E> {
                Ok(Batch::Size(size as usize))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Batch, E> {
                match text {
                    "full" => Ok(Batch::Full),
                    _ => Err(E::unknown_variant(text, &["full"])),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
