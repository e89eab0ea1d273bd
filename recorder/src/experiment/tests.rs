//! What a person who writes an experiment file is told.

use super::*;

const LEAST: &str = "name = \"x\"\n[data]\nsource = \"digits\"\n[network]\nhidden = [8]\n[training]\nsteps = 10\n\
                     [grid]\nnoise = [0, 0.5]\n";

fn message_after(from: &str, to: &str) -> String {
    assert!(LEAST.contains(from), "{from}");
    message_of(&LEAST.replacen(from, to, 1))
}

fn message_of(text: &str) -> String {
    match Experiment::parse(text, "my.toml") {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error.to_string(),
    }
}

/// The message names the file and line, and contains every given part.
fn assert_says(message: &str, place: &str, parts: &[&str]) {
    assert!(message.starts_with(&format!("{place}: ")), "{message}");
    parts.iter().for_each(|part| assert!(message.contains(part), "{part:?} not in {message:?}"));
}

#[test]
fn absent_keys_have_their_defaults() {
    let experiment = Experiment::parse(LEAST, "my.toml").unwrap();
    assert_eq!(experiment.training.learning_rate, 0.1);
    assert_eq!((experiment.training.batch, experiment.grid.rules), (Batch::Size(100), vec![Rule::Sgd {}]));
    assert_eq!((experiment.grid.noise, experiment.grid.seeds), (vec![0.0, 0.5], vec![1]));
    assert_eq!((experiment.sample.examples, experiment.sample.weights_per_layer), (400, 300));
    assert_eq!(experiment.schedule, Schedules::default());
}

#[test]
fn the_resolved_copy_has_every_key_and_parses_to_an_equal_experiment() {
    let full = LEAST.replace("steps = 10", "steps = 10\nbatch = \"full\"");
    let idx = LEAST.replace("\"digits\"", "\"idx\"\ndirectory = \"a b/c\"\nclasses = 10");
    let rules = format!("{LEAST}rules = [{{ name = \"median-of-means\" }}, {{ name = \"norm-clipped\", norm = 2 }}]\n");
    let adam = LEAST.replace(
        "steps = 10",
        "steps = 10\noptimizer = { name = \"adam\", beta1 = 0.8 }\nschedule = { name = \"cosine\" }",
    );
    for text in [LEAST, &full, &idx, &rules, &adam] {
        let experiment = Experiment::parse(text, "my.toml").unwrap();
        let resolved = experiment.to_toml().unwrap();
        for key in ["name", "learning_rate", "batch", "seeds", "examples", "weights_per_layer", "per_decade"] {
            assert!(resolved.contains(key), "{resolved}");
        }
        let again = Experiment::parse(&resolved, "study.toml").unwrap();
        assert_eq!(again, experiment);
        assert_eq!(again.to_toml().unwrap(), resolved);
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_an_experiment_and_minus_0_is_0() {
    let rules =
        "rules = [{ name = \"winsorized\", percent = -0.0 }, { name = \"norm-clipped\", norm = 1, noise = -0.0 }]\n";
    let text = format!("\u{feff}{LEAST}{rules}").replace("[0, 0.5]", "[-0.0]");
    let experiment = Experiment::parse(&text, "my.toml").unwrap();
    assert_eq!(experiment, Experiment::parse(&text.replace("-0.0", "0.0"), "my.toml").unwrap());
    let resolved = experiment.to_toml().unwrap();
    assert!(!resolved.contains("-0"), "{resolved}");
    assert_says(&message_of(&format!("\u{feff}{LEAST}q = 1\n")), "my.toml, line 10", &["unknown key `q`"]);
}

#[test]
fn the_experiments_of_the_repository_are_sound() {
    assert_eq!(demo().name, "demo");
    assert_eq!(demo_winsorize().grid.rules.len(), 3);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments");
    for entry in std::fs::read_dir(directory).unwrap() {
        Experiment::read(&entry.unwrap().path()).unwrap();
    }
}

#[test]
fn a_misspelt_key_names_the_nearest_and_the_line() {
    let message = message_after("steps = 10", "steps = 10\nlerning_rate = 0.1");
    assert_eq!(message, "my.toml, line 8: unknown key `lerning_rate`: did you mean `learning_rate`?");
    assert_says(&message_after("[network]", "[netwrok]"), "my.toml, line 4", &["did you mean `network`?"]);
    let message = message_of(&format!("{LEAST}[schedule.gradient]\nevery_step_until = 1\nper_decade = 1\n"));
    assert_says(&message, "my.toml, line 10", &["unknown key `gradient`", "`gradients`"]);
    let message = message_of(&format!("{LEAST}[schedule.gradients]\nevery_step_untill = 1\nper_decade = 1\n"));
    assert_says(&message, "my.toml, line 11", &["`every_step_until`"]);
}

#[test]
fn an_unknown_key_like_none_lists_what_is_allowed() {
    let message = message_after("hidden = [8]", "hidden = [8]\nqqq = 1");
    assert_says(&message, "my.toml, line 6", &["unknown key `qqq`: allowed here: kind, channels"]);
}

/// The message about a grid with these rules.
fn message_of_rules(rules: &str) -> String {
    message_of(&format!("{LEAST}rules = [\n    {{ name = \"sgd\" }},\n    {rules},\n]\n"))
}

#[test]
fn an_unknown_rule_or_source_names_the_nearest_or_all() {
    let message = message_of_rules("{ name = \"winsorised\", percent = 2 }");
    assert_says(&message, "my.toml, line 12", &["unknown value `winsorised`", "did you mean `winsorized`?"]);
    let message = message_of_rules("{ name = \"adam\" }");
    assert_says(&message, "my.toml, line 12", &["unknown value `adam`", "sgd", "norm-clipped"]);
    assert_says(&message_after("\"digits\"", "\"digit\""), "my.toml, line 3", &["did you mean `digits`?"]);
}

#[test]
fn a_misspelt_missing_or_foreign_key_of_a_rule_is_named() {
    let message = message_of_rules("{ name = \"winsorized\", percnt = 2 }");
    assert_says(&message, "my.toml, line 12", &["unknown key `percnt`", "`percent`"]);
    let message = message_of_rules("{ name = \"winsorized\" }");
    assert_says(&message, "my.toml, line 12", &["the key `percent` is missing"]);
    let message = message_of_rules("{ percent = 2 }");
    assert_says(&message, "my.toml, line 12", &["the key `name` is missing"]);
    let message = message_of_rules("{ name = \"winsorized\", percent = \"two\" }");
    assert_says(&message, "my.toml, line 12", &["two"]);
    let message = message_of_rules("{ name = \"sgd\", percent = 2 }");
    assert_says(&message, "my.toml, line 12", &["unknown key `percent`: remove it"]);
}

#[test]
fn an_unknown_optimizer_or_schedule_or_key_of_one_is_named() {
    let message = |training: &str| message_after("steps = 10", &format!("steps = 10\n{training}"));
    let unknown = message("optimizer = { name = \"addam\" }");
    assert_says(&unknown, "my.toml, line 8", &["unknown value `addam`", "did you mean `adam"]);
    let unknown = message("optimizer = { name = \"momentum\", nestrov = true }");
    assert_says(&unknown, "my.toml, line 8", &["unknown key `nestrov`", "`nesterov`"]);
    let unknown = message("schedule = { name = \"cosin\" }");
    assert_says(&unknown, "my.toml, line 8", &["unknown value `cosin`", "did you mean `cosine`?"]);
    let missing = message("schedule = { name = \"steps\" }");
    assert_says(&missing, "my.toml, line 8", &["the key `milestones` is missing"]);
}

#[test]
fn impossible_rules_are_named_with_what_is_allowed() {
    for (rule, part) in [
        ("{ name = \"winsorized\", percent = 50 }", "grid.rules: winsorized: percent = 50: 0 to less than 50"),
        ("{ name = \"winsorized\", percent = -1 }", "percent = -1"),
        ("{ name = \"winsorized\", percent = nan }", "percent = NaN"),
        ("{ name = \"median-of-means\", groups = 0 }", "median-of-means: groups = 0: 1 to"),
        ("{ name = \"median-of-means\", groups = 2000 }", "groups = 2000: 1 to 1000"),
        ("{ name = \"median-of-means\", groups = 101 }", "groups = 101: a minibatch of 100 examples has 1 to 100"),
        ("{ name = \"norm-clipped\", norm = 0 }", "norm-clipped: norm = 0: a finite number above 0"),
        ("{ name = \"norm-clipped\", norm = inf }", "norm = inf"),
        ("{ name = \"norm-clipped\", norm = 1, noise = -0.5 }", "norm-clipped: noise = -0.5: a finite number, 0 or"),
        ("{ name = \"sgd\" }", "grid.rules: sgd twice: once is enough"),
        ("{ name = \"winsorized\", percent = 2 },{ name = \"winsorized\", percent = 2.0 }", "winsorized-2 twice"),
    ] {
        assert_says(&message_of_rules(rule), "my.toml, line 12", &[part]);
    }
    assert_says(&message_of(&format!("{LEAST}rules = []\n")), "my.toml, line 10", &["grid.rules: empty"]);
}

#[test]
fn rules_have_labels_that_tell_them_apart() {
    let rules = "rules = [{ name = \"sgd\" }, { name = \"winsorized\", percent = 0 }, \
                 { name = \"winsorized\", percent = 2.5 }, { name = \"median-of-means\" }, \
                 { name = \"rolling-median\" }, { name = \"norm-clipped\", norm = 1.0 }, \
                 { name = \"norm-clipped\", norm = 1, noise = 0.5 }]\n";
    let experiment = Experiment::parse(&format!("{LEAST}{rules}"), "my.toml").unwrap();
    let labels: Vec<String> = experiment.grid.rules.iter().map(Rule::label).collect();
    let expected = [
        "sgd",
        "winsorized-0",
        "winsorized-2.5",
        "median-of-means-3",
        "rolling-median",
        "norm-clipped-1",
        "norm-clipped-1-noise-0.5",
    ];
    assert_eq!(labels, expected);
    assert_eq!(Experiment::parse(&experiment.to_toml().unwrap(), "study.toml").unwrap(), experiment);
}

/// LEAST with these lines more in its grid, the first of them line 10.
fn swept(lines: &str) -> String {
    format!("{LEAST}{lines}\n")
}

#[test]
fn the_grid_sweeps_any_setting_which_need_not_be_written_twice() {
    let text = swept("\"network.hidden\" = [[32], [64, 64], []]\n\"training.learning_rate\" = [0.1, 1]");
    for text in [&text, &text.replace("hidden = [8]\n", "")] {
        let experiment = Experiment::parse(text, "my.toml").unwrap();
        let variants = experiment.variants().unwrap();
        let hidden = |of: &Experiment| match &of.network.kind {
            NetworkKind::Mlp { hidden } => hidden.clone(),
            other => panic!("{other:?}"),
        };
        let found: Vec<_> = variants.iter().map(|(of, _)| (hidden(of), of.training.learning_rate)).collect();
        let widths = [vec![32], vec![64, 64], vec![]];
        let expected: Vec<_> = widths.iter().flat_map(|hidden| [0.1, 1.0].map(|rate| (hidden.clone(), rate))).collect();
        assert_eq!(found, expected);
        let labels: Vec<String> = variants[3].1.iter().map(|setting| setting.label()).collect();
        assert_eq!(labels, ["hidden-64x64", "learning_rate-1"]);
        let resolved = experiment.to_toml().unwrap();
        assert_eq!(Experiment::parse(&resolved, "study.toml").unwrap(), experiment, "{resolved}");
    }
}

#[test]
fn tables_parts_of_tables_and_whole_sections_are_swept_too() {
    let text = swept(
        "\"training.optimizer\" = [{ name = \"sgd\" }, { name = \"adam\", beta1 = 0.8 }]\nseeds = [1, 2]\n\
                      \"schedule.population\" = [{ every_step_until = 0, per_decade = 1 }]\n\"sample.examples\" = [5]",
    );
    let experiment = Experiment::parse(&text, "my.toml").unwrap();
    let variants = experiment.variants().unwrap();
    assert_eq!(variants.len(), 2);
    assert!(matches!(variants[1].0.training.optimizer, Optimizer::Adam { beta1: 0.8, beta2: 0.999, .. }));
    assert_eq!((variants[0].0.sample.examples, variants[0].0.schedule.population.is_some()), (5, true));
    let labels: Vec<String> = variants[1].1.iter().map(|setting| setting.label()).collect();
    let expected = ["sample.examples-5", "population-every_step_until-0-per_decade-1", "optimizer-adam-beta1-0.8"];
    assert_eq!(labels, expected);
    assert_eq!(Experiment::parse(&experiment.to_toml().unwrap(), "study.toml").unwrap(), experiment);
    let text = LEAST.replace("= 10", "= 10\noptimizer = { name = \"momentum\" }");
    let text = format!("{text}\"training.optimizer.momentum\" = [0.5, 0.9]\n");
    let variants = Experiment::parse(&text, "my.toml").unwrap().variants().unwrap();
    assert!(matches!(variants[0].0.training.optimizer, Optimizer::Momentum { momentum: 0.5, .. }));
}

#[test]
fn a_swept_setting_that_cannot_be_is_named_with_its_line() {
    for (lines, line, parts) in [
        ("\"network.hiden\" = [[3]]", 10, &["unknown key `hiden`", "`hidden`"][..]),
        ("\"network.hidden\" = [[3],\n [0]]", 11, &["network.hidden: a layer of 0 units"]),
        ("\"network.hidden\" = [[3], 4]", 10, &["network.hidden", "4"]),
        ("\"network.hidden\" = []", 10, &["network.hidden: empty"]),
        ("\"network.hidden\" = 3", 10, &[]),
        ("\"network.hidden\" = [[3], [3]]", 10, &["network.hidden: 3 twice"]),
        ("\"training.learning_rate\" = [0.1, -1]", 10, &["training.learning_rate: -1: a finite number above 0"]),
        ("\"training.optimizer\" = [{ name = \"sgd\" },\n { name = \"addam\" }]", 11, &["addam", "did you mean"]),
        ("\"training.optimizer\" = [{ name = \"adam\",\n beta1 = 2 }]", 10, &["training.optimizer: beta1 = 2"]),
        ("\"training.optimizer.momentum\" = [0.5]", 10, &[]),
        ("\"grid.noise\" = [0.5]", 10, &["grid.noise: the grid sweeps settings of data, network"]),
        ("\"checkpoint.every_steps\" = [5]", 10, &["checkpoint.every_steps: the grid sweeps"]),
        ("\"training.batch.size\" = [5]", 10, &["training.batch.size"]),
        ("network.hidden = [[5]]", 10, &["`network` is no list", "in quotes"]),
        ("widths = [[5]]", 10, &["unknown key `widths`"]),
    ] {
        assert_says(&message_of(&swept(lines)), &format!("my.toml, line {line}"), parts);
    }
    let many: Vec<String> = (1..200).map(|value| value.to_string()).collect();
    let many = format!("\"training.batch\" = [{0}]\n\"training.steps\" = [{0}]", many.join(", "));
    assert_says(&message_of(&swept(&many)), "my.toml, line 11", &["more than 10000 combinations"]);
}

#[test]
fn a_missing_key_is_named() {
    assert_says(&message_after("steps = 10", ""), "my.toml, line 6", &["the key `steps` is missing"]);
    assert_says(&message_after("name = \"x\"", ""), "my.toml, line 1", &["the key `name` is missing"]);
}

#[test]
fn text_that_is_no_toml_or_of_another_type_names_the_line() {
    assert_says(&message_after("hidden = [8]", "hidden = [8"), "my.toml, line 6", &[]);
    assert_says(&message_after("steps = 10", "steps = \"ten\""), "my.toml, line 7", &["ten"]);
    assert_says(&message_after("steps = 10", "steps = -1"), "my.toml, line 7", &["-1"]);
    assert_says(&message_after("steps = 10", "steps = 1.5"), "my.toml, line 7", &["1.5"]);
    assert_says(&message_after("steps = 10", "steps = 10\nbatch = \"half\""), "my.toml, line 8", &["half", "full"]);
    assert_says(&message_after("steps = 10", "steps = 10\nbatch = -5"), "my.toml, line 8", &["batch"]);
    assert_says(&message_after("steps = 10", "steps = 10\nbatch = true"), "my.toml, line 8", &["\"full\""]);
}

#[test]
fn impossible_values_are_named_with_what_is_allowed() {
    let cases = [
        ("name = \"x\"", "name = \" \"", 1, "name: empty"),
        ("\"digits\"", "\"idx\"", 3, "data.source: idx needs the key `directory`"),
        ("\"digits\"", "\"digits\"\ndirectory = \"d\"", 4, "data.directory: only source = \"idx\""),
        ("\"digits\"", "\"digits\"\nclasses = 10", 4, "data.classes: only source = \"idx\""),
        ("\"digits\"", "\"idx\"\ndirectory = \"d\"\nclasses = 257", 5, "data.classes: 257: 2 to 256"),
        ("\"digits\"", "\"cifar\"", 3, "data.source: cifar needs the key `directory`"),
        ("\"digits\"", "\"digits\"\nexamples = 0", 4, "data.examples: 0: at least 1"),
        ("\"digits\"", "\"digits\"\nnoise = \"file\"", 4, "data.noise: file needs the key `noise_file`"),
        ("\"digits\"", "\"digits\"\nnoise_file = \"x\"", 4, "data.noise_file: only noise = \"file\""),
        ("[8]", "[8]\ninitial = \"study/run\"", 6, "network.initial: study/run: write STUDY/RUN@STEP"),
        ("[8]", "[8, 0]", 5, "network.hidden: a layer of 0 units"),
        ("[8]", "[8, 9223372036854775807]", 5, "network.hidden: 9223372036854775807 units: a network has at most"),
        ("steps = 10", "steps = 0", 7, "training.steps: 0: 1 to"),
        ("steps = 10", "steps = 9000000000", 7, "training.steps: 9000000000: 1 to"),
        ("steps = 10", "steps = 10\nbatch = 0", 8, "training.batch: 0: at least 1"),
        ("steps = 10", "steps = 10\nlearning_rate = 0", 8, "training.learning_rate: 0: a finite number above 0"),
        ("steps = 10", "steps = 10\nlearning_rate = -0.1", 8, "training.learning_rate: -0.1"),
        ("steps = 10", "steps = 10\nlearning_rate = inf", 8, "training.learning_rate: inf"),
        ("steps = 10", "steps = 10\nlearning_rate = nan", 8, "training.learning_rate: NaN"),
        ("[0, 0.5]", "[]", 9, "grid.noise: empty"),
        ("[0, 0.5]", "[0, 1.5]", 9, "grid.noise: 1.5: noise is a fraction from 0 to 1"),
        ("[0, 0.5]", "[-0.1]", 9, "grid.noise: -0.1"),
        ("[0, 0.5]", "[nan]", 9, "grid.noise: NaN"),
        ("[0, 0.5]", "[0.0, -0.0]", 9, "grid.noise: 0 twice"),
        ("[0, 0.5]", "[0, 0.5, 0]", 9, "grid.noise: 0 twice"),
        ("[0, 0.5]", "[0]\nseeds = []", 10, "grid.seeds: empty"),
        ("[0, 0.5]", "[0]\nseeds = [3, 4, 3]", 10, "grid.seeds: 3 twice"),
        ("[0, 0.5]", "[0]\n[sample]\nexamples = 0", 11, "sample.examples: 0"),
        ("[0, 0.5]", "[0]\n[sample]\nweights_per_layer = 0", 11, "sample.weights_per_layer: 0"),
        (
            "steps = 10",
            "steps = 10\noptimizer = { name = \"adam\", beta1 = 1 }",
            8,
            "training.optimizer: beta1 = 1: 0 to less than 1",
        ),
        (
            "steps = 10",
            "steps = 10\noptimizer = { name = \"adamw\", beta2 = nan }",
            8,
            "training.optimizer: beta2 = NaN",
        ),
        (
            "steps = 10",
            "steps = 10\noptimizer = { name = \"adam\", epsilon = 0 }",
            8,
            "training.optimizer: epsilon = 0: a finite",
        ),
        (
            "steps = 10",
            "steps = 10\noptimizer = { name = \"momentum\", momentum = -0.1 }",
            8,
            "training.optimizer: momentum = -0.1",
        ),
        (
            "steps = 10",
            "steps = 10\noptimizer = { name = \"sgd\", weight_decay = inf }",
            8,
            "training.optimizer: weight_decay = inf",
        ),
        (
            "steps = 10",
            "steps = 10\nschedule = { name = \"cosine\", warm_up = 11 }",
            8,
            "training.schedule: warm_up = 11: with",
        ),
        (
            "steps = 10",
            "steps = 10\nschedule = { name = \"cosine\", final_fraction = 2 }",
            8,
            "final_fraction = 2: 0 to 1",
        ),
        (
            "steps = 10",
            "steps = 10\nschedule = { name = \"steps\", milestones = [] }",
            8,
            "training.schedule: milestones = []",
        ),
        (
            "steps = 10",
            "steps = 10\nschedule = { name = \"steps\", milestones = [3, 3] }",
            8,
            "milestones = [3, 3]: steps from",
        ),
        (
            "steps = 10",
            "steps = 10\nschedule = { name = \"steps\", milestones = [3], decay = 0 }",
            8,
            "decay = 0: a finite",
        ),
        (
            "[0, 0.5]",
            "[0]\n[schedule.evaluations]\nevery_step_until = 0\nper_decade = 99999",
            12,
            "schedule.evaluations.per_decade: 99999: 0 to",
        ),
    ];
    for (from, to, line, part) in cases {
        assert_says(&message_after(from, to), &format!("my.toml, line {line}"), &[part]);
    }
}

#[test]
fn an_unreadable_file_is_named() {
    let message = Experiment::read(Path::new("no/such.toml")).unwrap_err().to_string();
    assert!(message.contains("no/such.toml"), "{message}");
}

/// The message about an experiment that does not fit the digits (1 500 examples of 64 pixels).
fn misfit(from: &str, to: &str) -> String {
    let text = LEAST.replacen(from, to, 1);
    let experiment = Experiment::parse(&text, "my.toml").unwrap();
    let data = crate::data::load(&experiment.data).unwrap();
    experiment.check_against(&data).unwrap_err().to_string()
}

#[test]
fn what_does_not_fit_the_data_is_named_with_what_does() {
    let message = misfit("\"digits\"", "\"digits\"\nexamples = 1501");
    assert_says(&message, "my.toml, line 4", &["data.examples: 1501", "use 1 to 1500"]);
    let message = misfit("\"digits\"", "\"digits\"\nexamples = 300");
    assert_says(&message, "my.toml", &["sample.examples: 400", "the training set has 300 examples"]);
    let message = misfit("steps = 10", "steps = 10\nbatch = 1501");
    assert_says(&message, "my.toml, line 8", &["training.batch: 1501", "1500 examples"]);
    let message = misfit("[0, 0.5]", "[0]\n[sample]\nexamples = 1501");
    assert_says(&message, "my.toml, line 11", &["sample.examples: 1501", "use 1 to 1500"]);
    let message = misfit("[0, 0.5]", "[0]\n[sample]\nweights_per_layer = 81");
    assert_says(&message, "my.toml, line 11", &["layer 1, 8 to 10 units, has 80 weights: use 1 to 80"]);
    // The default of 300 is more than the 80 weights of layer 1, and is written nowhere.
    assert_says(&misfit("steps", "steps"), "my.toml", &["sample.weights_per_layer: 300"]);
    let message = misfit("[8]", "[100000, 100000]");
    assert_says(&message, "my.toml, line 5", &["network.hidden", "parameters"]);
}

#[test]
fn samples_too_large_for_memory_are_refused() {
    let text = LEAST.replacen("[8]", "[9000, 9000]", 1) + "[sample]\nexamples = 1500\nweights_per_layer = 90000\n";
    let experiment = Experiment::parse(&text, "my.toml").unwrap();
    let data = crate::data::load(&experiment.data).unwrap();
    let message = experiment.check_against(&data).unwrap_err().to_string();
    assert_says(&message, "my.toml, line 12", &["405000000 gradients a step"]);
}

#[test]
fn values_of_the_wrong_type_name_key_and_an_example() {
    let text = include_str!("../../../experiments/demo.toml");
    let cases = [
        ("hidden = [512]", "hidden = 512", "network.hidden takes a list: `[512]`, but has `512`"),
        ("noise = [0.0, 0.25, 0.5, 0.75, 1.0]", "noise = 0.5", "grid.noise takes a list: `[0.5]`, but has `0.5`"),
        ("learning_rate = 0.1", "learning_rate = \"0.1\"", "training.learning_rate takes a number without quotes"),
        ("steps = ", "steps = -", "training.steps takes a whole number, 0 or more"),
        ("name = \"", "name = 7 # \"", "name takes a text in quotes: `\"7\"`, but has `7`"),
        (
            "[grid]",
            "[grid]\nrules = [\"winsorized-2\"]",
            "grid.rules takes tables with a name, such as { name = \"winsorized\"",
        ),
        ("seeds = [1]", "seeds = [\"1\"]", "grid.seeds takes a whole number"),
        ("seeds = [1]", "seeds = 1", "grid.seeds takes a list: `[1]`"),
    ];
    for (from, to, expected) in cases {
        assert!(text.contains(from), "{from}");
        let message = Experiment::parse(&text.replacen(from, to, 1), "demo.toml").unwrap_err().to_string();
        assert!(message.contains(expected), "{to}: {message}");
        assert!(message.starts_with("demo.toml, line "), "{message}");
    }
}
