//! What every command promises to a person and to a script.

use crate::common::Workplace;

const COMMANDS: [&str; 12] = [
    "demo",
    "init",
    "record",
    "analyze",
    "report",
    "compare",
    "export",
    "inspect",
    "audit",
    "watch",
    "data",
    "completions",
];

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS {
        let help = Workplace::new().cograd([command, "--help"]).assert().success();
        let help = text(help.get_output().stdout.clone());
        assert!(help.contains(&format!("Example:\n  cograd {command}")), "{command}: {help}");
        assert!(help.contains("--quiet") && help.contains("--threads"), "{command}: {help}");
    }
}

#[test]
fn usage_errors_exit_with_2() {
    for arguments in [
        &["nonsense"][..],
        &[],
        &["record"],
        &["demo", "--threads", "0"],
        &["analyze", "x", "--null-worlds", "0"],
        &["analyze", "x", "--steps", "5..2"],
        &["analyze", "x", "--steps", "all"],
        &["analyze"],
        &["analyze", "x", "--examples", "9..0"],
    ] {
        Workplace::new().cograd(arguments.iter().copied()).assert().code(2);
    }
}

#[test]
fn a_failure_exits_with_1_and_is_printed_once() {
    let failed = Workplace::new().cograd(["analyze", "nowhere"]).assert().code(1);
    let message = text(failed.get_output().stderr.clone());
    assert!(message.starts_with("error: "), "{message}");
    assert_eq!(message.matches("nowhere").count(), 1, "{message}");
}

#[test]
fn completions_name_every_command() {
    let script = Workplace::new().cograd(["completions", "bash"]).assert().success();
    let script = text(script.get_output().stdout.clone());
    assert!(COMMANDS.iter().all(|command| script.contains(command)));
}

#[test]
fn version_is_the_packages() {
    let version = Workplace::new().cograd(["--version"]).assert().success();
    assert_eq!(text(version.get_output().stdout.clone()).trim(), format!("cograd {}", env!("CARGO_PKG_VERSION")));
}

#[cfg(unix)]
#[test]
fn a_standard_output_that_takes_nothing_is_an_error_and_a_closed_pipe_is_none() {
    let place = Workplace::new();
    place.record_tiny();
    for arguments in [
        &["inspect", "tiny"][..],
        &["completions", "bash"],
        &["analyze", "tiny", "--statistics", "list"],
        &["audit", "tiny", "--json"],
        &["record", "tiny.toml", "--out", "tiny"],
        &["--help"],
        &["--version"],
    ] {
        let run = |out: std::process::Stdio| {
            let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("cograd"));
            let command = command.current_dir(place.path("")).args(arguments).stdout(out);
            command
                .stderr(std::process::Stdio::piped())
                .spawn()
                .expect("it starts")
                .wait_with_output()
                .expect("it ends")
        };
        let full = run(std::fs::File::options().write(true).open("/dev/full").expect("a full device").into());
        let message = text(full.stderr);
        assert_eq!(full.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(message.contains("cannot write to standard output"), "{arguments:?}: {message}");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        if !arguments.contains(&"audit") {
            assert_eq!(run(writer.into()).status.code(), Some(0), "{arguments:?}");
        }
    }
}

#[test]
fn a_study_that_is_not_there_is_named_as_such() {
    let place = Workplace::new();
    let alone = ["report", "export", "analyze", "inspect", "audit", "watch"].map(|command| vec![command, "nowhere"]);
    for arguments in alone.into_iter().chain([vec!["compare", "nowhere", "elsewhere"]]) {
        let failed = place.cograd(arguments).assert().code(1);
        let message = text(failed.get_output().stderr.clone());
        assert!(message.contains("nowhere does not exist") && !message.contains("cograd analyze"), "{message}");
    }
}

#[test]
fn what_comes_next_can_be_pasted_and_one_run_is_no_runs() {
    let place = Workplace::new();
    let one = crate::common::TINY.replace("[0.0, 0.5]", "[0.5]");
    place.write("tiny.toml", &one);
    let out = "label noise, it's small";
    let recorded = place.cograd(["record", "tiny.toml", "--out", out]).assert().success();
    let recorded = text(recorded.get_output().stdout.clone());
    assert!(recorded.contains(": 1 run, ") && recorded.contains(r"Next: cograd analyze 'label noise, it'\''s small'"));
    let results = "by label";
    let analysed = place.cograd(["analyze", out, "--group-by", "label", "--out", results, "--halves", "0"]).assert();
    let analysed = text(analysed.success().get_output().stdout.clone());
    let next = r"cograd report 'label noise, it'\''s small' --analysis 'by label' --out 'by label-report'";
    assert!(analysed.ends_with(&format!("Next: {next}\n")), "{analysed}");
    place.cograd(["analyze", out, "--halves", "0", "--quiet"]).assert().success();
    place.cograd(["report", out, "--quiet"]).assert().success();
    let page = place.path(out).join("report/index.html");
    let before = std::fs::read(&page).expect("a page");
    place.cograd(["report", out, "--analysis", results, "--quiet"]).assert().success();
    assert_eq!(std::fs::read(&page).expect("the same page"), before, "other results do not replace it");
    assert!(place.path("by label-report/index.html").is_file());
}

#[cfg(unix)]
#[test]
fn files_of_groups_and_examples_may_have_any_name() {
    use std::os::unix::ffi::OsStrExt;
    let place = Workplace::new();
    place.record_tiny();
    let name = std::ffi::OsStr::from_bytes(b"groups-\xff.csv");
    let ids: Vec<u32> = (0..1500).collect();
    let rows: String = ids.iter().map(|id| format!("{id},{}\n", ["a", "b"][*id as usize % 2])).collect();
    std::fs::write(place.path("").join(name), format!("example_id,group\n{rows}")).expect("a file");
    for flag in ["--group-by", "--examples"] {
        let mut command =
            place.cograd(["analyze", "tiny", "--halves", "0", "--quiet", "--out", flag.trim_matches('-'), flag]);
        command.arg(name).assert().success();
    }
}

#[test]
fn names_in_files_do_not_act_on_the_terminal() {
    let place = Workplace::new();
    let study = place.record_tiny();
    let evil = "evil\u{1b}[31m\u{9b}2J";
    std::fs::create_dir(study.join("runs").join(evil)).expect("a directory");
    let shown = text(place.cograd(["inspect", "tiny"]).assert().success().get_output().stdout.clone());
    assert!(shown.contains(r"evil\u{1b}[31m\u{9b}2J: not finished"), "{shown}");
    let failed = place.cograd(["inspect", "\u{1b}]0;title\u{7}"]).assert().code(1);
    let message = text(failed.get_output().stderr.clone());
    assert!(!message.contains('\u{1b}') && message.contains(r"\u{1b}]0;title\u{7}"), "{message}");
}

#[test]
fn a_slip_of_the_finger_is_answered_with_what_was_meant() {
    let place = Workplace::new();
    place.record_tiny();
    place.cograd(["analyze", "tiny", "--halves", "0", "--null-worlds", "20", "--quiet"]).assert().success();
    let again = ["analyze", "tiny", "--halves", "0", "--null-worlds", "20", "--quiet", "--out", "again"];
    place.cograd(again).assert().success();
    std::fs::create_dir(place.path("experiments")).expect("a directory");
    std::fs::copy(place.path("tiny.toml"), place.path("experiments/tiny.toml")).expect("a copy");
    std::fs::remove_file(place.path("tiny.toml")).expect("it was there");
    for (arguments, code, meant) in [
        (&["analyse", "tiny"][..], 2, "'analyze'"),
        (&["analyze", "tiny", "--null-world", "3"], 2, "'--null-worlds'"),
        (&["export", "tiny", "--format", "vegalite"], 2, "'vega-lite'"),
        (&["analyze", "tiny", "--statistics", "share"], 1, "did you mean `shares`?"),
        (&["export", "tiny", "--table", "test"], 1, "did you mean `tests`?"),
        (&["compare", "tiny", "again", "--curve", "testaccuracy"], 1, "did you mean `test_accuracy`?"),
        (&["record", "tiny"], 1, "tiny is a directory: did you mean experiments/tiny.toml?"),
        (&["record", "nothing.toml"], 1, "`cograd init` writes an experiment"),
    ] {
        let failed = place.cograd(arguments.iter().copied()).assert().code(code);
        let message = text(failed.get_output().stderr.clone());
        assert!(message.contains(meant), "{arguments:?}: {message}");
        assert_eq!(message.matches("No such file").count(), 0, "{message}");
    }
}

#[test]
fn json_is_all_that_is_printed_where_it_is_asked_for() {
    let place = Workplace::new();
    place.write("tiny.toml", &crate::common::TINY.replace("seeds = [1]", "seeds = [1, 2]"));
    for study in ["one", "other"] {
        place.cograd(["record", "tiny.toml", "--out", study, "--quiet"]).assert().success();
    }
    let json = |arguments: &[&str]| -> serde_json::Value {
        let printed = place.cograd(arguments.iter().copied()).assert().success();
        serde_json::from_slice(&printed.get_output().stdout).expect("JSON alone")
    };
    let study = json(&["inspect", "one", "--verify", "--json"]);
    assert_eq!((study["verified"].as_bool(), study["unfinished"].as_array().map(Vec::len)), (Some(true), Some(0)));
    let conditions = study["runs"][0]["conditions"].clone();
    assert_eq!(conditions, serde_json::json!({ "noise": 0.0, "rule": "sgd", "seed": 1 }));
    let few = ["--halves", "0", "--null-worlds", "20", "--json"];
    let results = json(&[&["analyze", "one"][..], &few].concat());
    assert_eq!(results["summary"]["options"]["null_worlds"], 20);
    for file in results["files"].as_array().expect("files") {
        assert!(place.path(file.as_str().expect("a path")).is_file());
    }
    let shard = json(&[&["analyze", "other", "--shard", "1/1", "--out", "part"][..], &few].concat());
    assert_eq!((&shard["shard"], &shard["directory"]), (&"1/1".into(), &"part".into()));
    json(&[&["analyze", "other", "--from", "part"][..], &few].concat());
    let compared = json(&["compare", "one", "other", "--curve", "test_accuracy", "--json"]);
    assert_eq!((compared["seeds"].as_u64(), compared["tests"].as_array().map(Vec::len)), (Some(2), Some(2)));
    assert_eq!(compared["tests"][0]["difference"].as_f64(), Some(0.0));
    assert!(compared["tests"][0].get("step").is_none());
}

#[test]
fn an_experiment_to_begin_with_is_written_once_and_recorded_as_it_is() {
    let place = Workplace::new();
    let said = place.cograd(["init", "first one.toml"]).assert().success();
    let said = text(said.get_output().stdout.clone());
    assert!(said.ends_with("Next: cograd record 'first one.toml'\n"), "{said}");
    let written = std::fs::read_to_string(place.path("first one.toml")).expect("an experiment");
    assert!(written.starts_with("#:schema cograd.schema.json\n") && place.path("cograd.schema.json").is_file());
    let again = place.cograd(["init", "first one.toml"]).assert().code(1);
    assert!(text(again.get_output().stderr.clone()).contains("is there already"));
    place.write("cograd.schema.json", "mine");
    place.cograd(["init"]).assert().success();
    assert_eq!(std::fs::read_to_string(place.path("cograd.schema.json")).expect("mine"), "mine");
    let short = written.replace("steps = 6000", "steps = 20").replace("hidden = [512]", "hidden = [40]");
    place.write("short.toml", &short);
    place.cograd(["record", "short.toml", "--quiet"]).assert().success();
    assert!(place.path("studies/first/study.toml").is_file());
}

#[cfg(unix)]
#[test]
fn a_run_that_cannot_be_read_is_not_unfinished() {
    let place = Workplace::new();
    let study = place.record_tiny();
    let manifest = study.join("runs").join("sgd_noise-0_seed-1").join("manifest.json");
    assert!(manifest.is_file());
    std::fs::remove_file(&manifest).expect("it is there");
    std::os::unix::fs::symlink("manifest.json", &manifest).expect("a link to itself");
    for command in ["inspect", "analyze", "audit"] {
        let failed = place.cograd([command, "tiny"]).assert().code(1);
        let message = text(failed.get_output().stderr.clone());
        // The audit says in a claim what it could not read.
        let said = command == "audit" || message.contains("manifest.json") && message.contains("cannot read");
        assert!(said && !message.contains("not finished"), "{command}: {message}");
    }
}

#[test]
fn data_sets_are_listed_with_size_and_licence() {
    let listed = Workplace::new().cograd(["data", "list", "--quiet"]).assert().success();
    let listed = text(listed.get_output().stdout.clone());
    let mnist = listed.lines().find(|line| line.starts_with("mnist ")).expect("MNIST");
    assert!(mnist.contains("11.59 MB") && mnist.contains("CC BY-SA 3.0"), "{listed}");
    Workplace::new().cograd(["data", "fetch", "imagenet"]).assert().code(2);
}

#[cfg(not(feature = "fetch"))]
#[test]
fn a_build_without_downloads_prints_how_to_download() {
    let place = Workplace::new();
    let failed = place.cograd(["data", "fetch", "cifar100", "--out", "my data"]).assert().code(1);
    let message = text(failed.get_output().stderr.clone());
    let address = "--output-dir 'my data' -O 'https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz'\n";
    let unpacked = "tar -xzf 'my data/cifar-100-binary.tar.gz' -C 'my data' --strip-components 1\n";
    assert!(message.contains("--features fetch") && message.contains(address), "{message}");
    assert!(message.ends_with(unpacked) && !place.path("my data").exists(), "{message}");
    std::fs::create_dir(place.path("my data")).expect("a directory");
    place.write("my data/train.bin", "another file");
    let failed = place.cograd(["data", "fetch", "cifar100", "--out", "my data"]).assert().code(1);
    let message = text(failed.get_output().stderr.clone());
    assert!(message.contains("train.bin is there already and is another file"), "{message}");
}
