//! What an editor needs to know of experiment files, and one to begin with.

/// A JSON schema of experiment files: every key, what it means and what it takes. A setting that the grid sweeps need not be in its
/// section, so that no key of a section is required here.
pub const SCHEMA: &str = include_str!("schema.json");

/// A commented experiment.
pub const TEMPLATE: &str = include_str!("template.toml");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::super::*;
    use super::*;

    fn schema() -> Value {
        serde_json::from_str(SCHEMA).unwrap()
    }

    /// Whether the schema, or a part of it, allows a value.
    fn allows(schema: &Value, value: &Value) -> bool {
        let number = |rule: &Value| rule.as_f64().unwrap();
        let is = |test: &dyn Fn(f64) -> bool| value.as_f64().is_none_or(test);
        let each = |rule: &Value| rule.as_array().unwrap().iter().filter(|option| allows(option, value)).count();
        schema.as_object().unwrap().iter().all(|(key, rule)| match key.as_str() {
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                other => panic!("{other}"),
            },
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => is(&|value| value >= number(rule)),
            "maximum" => is(&|value| value <= number(rule)),
            "exclusiveMinimum" => is(&|value| value > number(rule)),
            "exclusiveMaximum" => is(&|value| value < number(rule)),
            "minLength" => value.as_str().is_none_or(|text| text.len() as f64 >= number(rule)),
            "minItems" => value.as_array().is_none_or(|items| items.len() as f64 >= number(rule)),
            "items" => value.as_array().is_none_or(|items| items.iter().all(|item| allows(rule, item))),
            "required" => rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "properties" => rule
                .as_object()
                .unwrap()
                .iter()
                .all(|(name, rule)| value.get(name).is_none_or(|value| allows(rule, value))),
            "patternProperties" => {
                rule.as_object().unwrap().keys().eq(["^(data|network|training|sample|schedule)\\..+$"])
            }
            "additionalProperties" => value.as_object().is_none_or(|properties| {
                let is_swept = |name: &str| schema.get("patternProperties").is_some() && name.contains('.');
                properties.keys().all(|name| schema["properties"].get(name).is_some() || is_swept(name))
            }),
            "anyOf" => each(rule) > 0,
            "oneOf" => each(rule) == 1,
            "$schema" | "title" | "description" | "default" => true,
            other => panic!("{other}"),
        })
    }

    fn allowed(text: &str) -> bool {
        let table: toml::Table = toml::from_str(text).unwrap();
        allows(&schema(), &serde_json::to_value(table).unwrap())
    }

    #[test]
    fn it_allows_every_experiment_of_the_repository_and_the_template() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../experiments");
        let mut texts = vec![TEMPLATE.to_string()];
        for entry in std::fs::read_dir(directory).unwrap() {
            texts.push(std::fs::read_to_string(entry.unwrap().path()).unwrap());
        }
        assert!(texts.len() > 5);
        for text in texts {
            let experiment = Experiment::parse(&text, "it").unwrap();
            assert!(
                text.starts_with("#:schema ") && allowed(&text) && allowed(&experiment.to_toml().unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_stands_in_the_templates_comments_can_be_written() {
        let from_data = TEMPLATE.split_once("[data]").unwrap().1;
        let uncommented =
            |line: &str| match line.strip_prefix("# ").filter(|rest| rest.contains(" = ") || rest.starts_with('[')) {
                Some(rest) => rest.to_string(),
                None => line.to_string(),
            };
        let text =
            format!("name = \"it\"\n[data]{}", from_data.lines().map(uncommented).collect::<Vec<_>>().join("\n"));
        // The digits are in no directory.
        let text = text.replace("directory = \"data/mnist\"", "");
        let experiment = Experiment::parse(&text, "it").unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(allowed(&text) && experiment.grid.rules.len() == 2 && !experiment.grid.settings.is_empty());
    }

    #[test]
    fn it_refuses_what_the_parser_refuses() {
        let text = TEMPLATE;
        for (from, to) in [
            ("name = \"first\"", "name = 1"),
            ("source = \"digits\"", "source = \"mnist\""),
            ("hidden = [512]", "hidden = 512"),
            ("steps = 6000", "stepz = 6000"),
            ("batch = 100", "batch = 0"),
            ("noise = [0.0, 0.5]", "noise = [1.5]"),
            ("seeds = [1]", "rules = [{ name = \"winsorized\" }]"),
            ("seeds = [1]", "rules = [{ name = \"sgd\", percent = 2 }]"),
            ("seeds = [1]", "rules = [\"sgd\"]"),
            ("steps = 6000", "steps = 6000\noptimizer = { name = \"adam\", momentum = 0.9 }"),
        ] {
            assert!(text.contains(from), "{from}");
            let text = text.replacen(from, to, 1);
            assert!(Experiment::parse(&text, "it").is_err() && !allowed(&text), "{to}");
        }
    }

    /// The names that the parser of a type lists when it meets another.
    fn known<T: DeserializeOwned>(text: &str) -> BTreeSet<String> {
        let error = toml::from_str::<T>(text).err().unwrap();
        let message = error.message();
        assert!(message.starts_with("unknown "), "{message}");
        message.split('`').skip(1).step_by(2).skip(1).map(str::to_string).collect()
    }

    fn names(schema: &Value) -> BTreeSet<String> {
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    }

    /// That the schema of a named variant has the keys that the parser knows of it, for every variant.
    fn assert_variants<T: DeserializeOwned>(options: &Value) {
        let options = options.as_array().unwrap();
        let name = |option: &Value| option["properties"]["name"]["const"].as_str().unwrap().to_string();
        assert_eq!(options.iter().map(name).collect::<BTreeSet<_>>(), known::<T>("name = \"zz\""));
        for option in options {
            let mut keys = names(option);
            keys.remove("name");
            assert_eq!(keys, known::<T>(&format!("name = \"{}\"\nzz = 1", name(option))), "{option}");
        }
    }

    #[test]
    fn it_has_the_keys_that_the_parser_knows() {
        let schema = schema();
        let section = |name: &str| &schema["properties"][name];
        assert_eq!(names(&schema), known::<Experiment>("zz = 1"));
        assert_eq!(names(section("data")), known::<DataSettings>("zz = 1"));
        assert_eq!(names(section("network")), known::<NetworkSettings>("zz = 1"));
        assert_eq!(names(section("training")), known::<TrainingSettings>("zz = 1"));
        assert_eq!(names(section("grid")), known::<Grid>("zz = 1"));
        assert_eq!(names(section("sample")), known::<SampleSettings>("zz = 1"));
        assert_eq!(names(section("schedule")), known::<Schedules>("zz = 1"));
        assert_eq!(names(section("checkpoint")), known::<CheckpointSettings>("zz = 1"));
        for name in names(section("schedule")) {
            assert_eq!(names(&section("schedule")["properties"][name]), known::<Schedule>("zz = 1"));
        }
        assert_variants::<Rule>(&section("grid")["properties"]["rules"]["items"]["oneOf"]);
        assert_variants::<Optimizer>(&section("training")["properties"]["optimizer"]["oneOf"]);
        assert_variants::<RateSchedule>(&section("training")["properties"]["schedule"]["oneOf"]);
        let values = |schema: &Value| -> BTreeSet<String> {
            schema["enum"].as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_string()).collect()
        };
        assert_eq!(values(&section("data")["properties"]["source"]), known::<DataSettings>("source = \"zz\""));
        assert_eq!(
            values(&section("data")["properties"]["noise"]),
            known::<DataSettings>("source = \"idx\"\nnoise = \"zz\"")
        );
    }
}
