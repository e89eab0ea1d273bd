//! The conditions of a run: whatever it was made under, as names and values.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of the one condition that says which repetition a run is, and not what it is a repetition of.
const SEED: &str = "seed";

/// The value of a condition.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Condition {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any other finite number.
    Number(f64),
    /// A text.
    Text(String),
}

impl Condition {
    /// A total order: booleans, then numbers by their value, whole or not, then texts.
    pub fn compare(&self, other: &Condition) -> Ordering {
        use Condition::{Boolean, Integer, Number, Text};
        match (self, other) {
            (Boolean(left), Boolean(right)) => left.cmp(right),
            (Text(left), Text(right)) => left.cmp(right),
            (Integer(left), Integer(right)) => left.cmp(right),
            (Number(left), Number(right)) => (left + 0.0).total_cmp(&(right + 0.0)),
            (Integer(left), Number(right)) => compare_mixed(*left, *right),
            (Number(left), Integer(right)) => compare_mixed(*right, *left).reverse(),
            (Boolean(_), _) | (_, Text(_)) => Ordering::Less,
            (_, Boolean(_)) | (Text(_), _) => Ordering::Greater,
        }
    }

    /// The value of a number, whole or not.
    pub fn number(&self) -> Option<f64> {
        match self {
            Condition::Integer(value) => Some(*value as f64),
            Condition::Number(value) => Some(*value),
            Condition::Boolean(_) | Condition::Text(_) => None,
        }
    }
}

/// Compares without the rounding of large whole numbers.
fn compare_mixed(whole: i64, number: f64) -> Ordering {
    (whole as f64).total_cmp(&(number + 0.0)).then_with(|| i128::from(whole).cmp(&(number as i128)))
}

/// `2` and `2.0` are the same condition.
impl PartialEq for Condition {
    fn eq(&self, other: &Condition) -> bool {
        self.compare(other).is_eq()
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Boolean(value) => value.fmt(formatter),
            Condition::Integer(value) => value.fmt(formatter),
            Condition::Number(value) if *value == 0.0 || (1e-5..1e16).contains(&value.abs()) => value.fmt(formatter),
            Condition::Number(value) => write!(formatter, "{value:e}"),
            Condition::Text(value) => value.fmt(formatter),
        }
    }
}

impl From<bool> for Condition {
    fn from(value: bool) -> Condition {
        Condition::Boolean(value)
    }
}

impl From<i32> for Condition {
    fn from(value: i32) -> Condition {
        Condition::Integer(value.into())
    }
}

impl From<i64> for Condition {
    fn from(value: i64) -> Condition {
        Condition::Integer(value)
    }
}

impl From<f64> for Condition {
    fn from(value: f64) -> Condition {
        Condition::Number(value)
    }
}

impl From<String> for Condition {
    fn from(value: String) -> Condition {
        Condition::Text(value)
    }
}

impl From<&str> for Condition {
    fn from(value: &str) -> Condition {
        Condition::Text(value.to_string())
    }
}

/// The conditions of a run and its seed. Runs alike in all conditions are repetitions, told apart by the seed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions {
    seed: Option<u64>,
    others: BTreeMap<String, Condition>,
}

impl Conditions {
    /// A seed, if there is one, and nothing else.
    pub fn new(seed: Option<u64>) -> Conditions {
        Conditions { seed, others: BTreeMap::new() }
    }

    /// With one condition more, or in place of another of its name. `seed` is no such name.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Condition>) -> Conditions {
        self.others.insert(name.to_string(), value.into());
        self
    }

    /// The seed.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// The condition of this name; the seed is none.
    pub fn get(&self, name: &str) -> Option<&Condition> {
        self.others.get(name)
    }

    /// The conditions by name, without the seed.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Condition)> {
        self.others.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of a condition that is a number, whole or not.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.number()
    }

    /// The value of a condition that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Condition::Text(value) => Some(value),
            _ => None,
        }
    }

    /// Orders runs: condition by condition in the order of all their names, one that is missing first, then by seed.
    pub fn compare(&self, other: &Conditions) -> Ordering {
        let names = self.others.keys().chain(other.others.keys()).collect::<std::collections::BTreeSet<_>>();
        let by_name = names.into_iter().map(|name| match (self.get(name), other.get(name)) {
            (Some(left), Some(right)) => left.compare(right),
            (left, right) => left.is_some().cmp(&right.is_some()),
        });
        by_name.fold(Ordering::Equal, Ordering::then).then(self.seed.cmp(&other.seed))
    }

    /// What is wrong with a name or a value, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.others.iter().try_for_each(|(name, value)| {
            check_name(name)?;
            match value {
                Condition::Number(number) if !number.is_finite() => Err(format!("`{name}` is {number}, not finite")),
                _ => Ok(()),
            }
        })
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let letters = |letter: u8| letter.is_ascii_alphanumeric() || b"_.-".contains(&letter);
    let begins = name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
    if !begins || name.len() > 64 || !name.bytes().all(letters) || name == SEED {
        return Err(format!(
            "`{name}` must be 1 to 64 letters, digits, `_`, `.` or `-`, the first a letter, and not `{SEED}`"
        ));
    }
    Ok(())
}

/// `noise 0.25, rule sgd, seed 1`.
impl fmt::Display for Conditions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.seed.map(|seed| format!("{SEED} {seed}"));
        let all: Vec<String> = self.iter().map(|(name, value)| format!("{name} {value}")).chain(seed).collect();
        formatter.write_str(if all.is_empty() { "none" } else { "" })?;
        formatter.write_str(&all.join(", "))
    }
}

impl Serialize for Conditions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.others.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        self.seed.map_or(Ok(()), |seed| map.serialize_entry(SEED, &seed))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Conditions, D::Error> {
        deserializer.deserialize_map(ConditionsVisitor)
    }
}

struct ConditionsVisitor;

impl<'de> Visitor<'de> for ConditionsVisitor {
    type Value = Conditions;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of numbers, strings and booleans")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Conditions, A::Error> {
        let mut conditions = Conditions::default();
        while let Some(name) = map.next_key::<String>()? {
            let value: serde_json::Value = map.next_value()?;
            let twice = if name == SEED {
                let seed = value.as_u64();
                let seed = seed.ok_or_else(|| A::Error::custom(format!("{SEED} is {value}, no integer from 0 on")))?;
                conditions.seed.replace(seed).is_some()
            } else {
                let found = serde_json::from_value(value.clone());
                let found = found.map_err(|_| {
                    A::Error::custom(format!("condition `{name}` is {value}, no number, string or boolean"))
                })?;
                conditions.others.insert(name.clone(), found).is_some()
            };
            if twice {
                return Err(A::Error::custom(format!("condition `{name}` is there twice")));
            }
        }
        Ok(conditions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions() -> Conditions {
        let conditions = Conditions::new(Some(u64::MAX)).with("rule", "sgd").with("noise", 0.25);
        conditions.with("width", 512).with("augment", true).with("decay", 0.0)
    }

    #[test]
    fn conditions_are_one_flat_object_and_come_back() {
        let text = serde_json::to_string(&conditions()).unwrap();
        let expected =
            r#"{"augment":true,"decay":0.0,"noise":0.25,"rule":"sgd","width":512,"seed":18446744073709551615}"#;
        assert_eq!(text, expected);
        let read: Conditions = serde_json::from_str(&text).unwrap();
        assert_eq!(read, conditions());
        assert!(matches!(read.get("decay"), Some(Condition::Number(_))));
        assert_eq!((read.number("width"), read.text("rule"), read.number("rule")), (Some(512.0), Some("sgd"), None));
        assert_eq!(read.seed(), Some(u64::MAX));
        assert_eq!(
            read.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            ["augment", "decay", "noise", "rule", "width"]
        );
    }

    #[test]
    fn what_is_no_condition_is_named() {
        let error = |text: &str| serde_json::from_str::<Conditions>(text).unwrap_err().to_string();
        assert!(error(r#"{"layers": [1, 2]}"#).contains("condition `layers` is [1,2]"));
        assert!(error(r#"{"rate": null}"#).contains("`rate` is null"));
        assert!(error(r#"{"rate": 1, "rate": 2}"#).contains("`rate` is there twice"));
        for seed in ["-1", "1.5", "\"1\"", "18446744073709551616"] {
            assert!(error(&format!(r#"{{"seed": {seed}}}"#)).contains("seed is"), "{seed}");
        }
        let wrong = |name: &str| Conditions::new(None).with(name, 1.0).check().unwrap_err();
        for name in ["", "1st", "a b", "größe", "seed", &"a".repeat(65)] {
            assert!(wrong(name).contains(&format!("`{name}`")), "{name}");
        }
        assert!(Conditions::new(None).with("rate", f64::NAN).check().unwrap_err().contains("`rate` is NaN"));
        conditions().check().unwrap();
    }

    #[test]
    fn values_have_a_total_order_in_which_2_is_2_0() {
        let ascending: [Condition; 11] = [
            false.into(),
            true.into(),
            f64::MIN.into(),
            (-1).into(),
            0.0.into(),
            0.5.into(),
            2.into(),
            ((1_i64 << 53) as f64).into(),
            ((1_i64 << 53) + 1).into(),
            i64::MAX.into(),
            "a".into(),
        ];
        for (place, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(left.compare(right), place.cmp(&other), "{left} {right}");
            }
        }
        assert_eq!(Condition::from(2.0), Condition::from(2));
        assert_eq!(Condition::from(-0.0), Condition::from(0.0));
        assert_eq!(Condition::from(-0.0), Condition::from(0));
    }

    #[test]
    fn runs_are_ordered_by_the_conditions_and_then_by_the_seed() {
        let run = |seed, rule: &str, noise: f64| Conditions::new(seed).with("rule", rule).with("noise", noise);
        let ascending = [
            Conditions::new(Some(3)),
            Conditions::new(Some(0)).with("rule", "zero"),
            run(None, "sgd", 0.0),
            run(Some(2), "sgd", 0.0),
            run(Some(10), "sgd", 0.0),
            run(Some(1), "winsorized", 0.0),
            run(Some(1), "sgd", 0.5),
        ];
        for (place, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(left.compare(right), place.cmp(&other), "{left} / {right}");
            }
        }
        assert_eq!(run(Some(1), "sgd", 0.25).to_string(), "noise 0.25, rule sgd, seed 1");
        assert_eq!(Conditions::default().to_string(), "none");
        assert_eq!(Condition::from(1e-7).to_string(), "1e-7");
    }
}
