//! What every command promises to a person and to a script.

use crate::common::Place;

const COMMANDS: [&str; 9] =
    ["demo", "record", "analyze", "report", "compare", "export", "inspect", "audit", "completions"];

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS {
        let help = Place::new().cograd([command, "--help"]).assert().success();
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
        Place::new().cograd(arguments.iter().copied()).assert().code(2);
    }
}

#[test]
fn a_failure_exits_with_1_and_is_printed_once() {
    let failed = Place::new().cograd(["analyze", "nowhere"]).assert().code(1);
    let message = text(failed.get_output().stderr.clone());
    assert!(message.starts_with("error: "), "{message}");
    assert_eq!(message.matches("nowhere").count(), 1, "{message}");
}

#[test]
fn completions_name_every_command() {
    let script = Place::new().cograd(["completions", "bash"]).assert().success();
    let script = text(script.get_output().stdout.clone());
    assert!(COMMANDS.iter().all(|command| script.contains(command)));
}

#[test]
fn version_is_the_packages() {
    let version = Place::new().cograd(["--version"]).assert().success();
    assert_eq!(text(version.get_output().stdout.clone()).trim(), format!("cograd {}", env!("CARGO_PKG_VERSION")));
}

#[cfg(unix)]
#[test]
fn a_standard_output_that_takes_nothing_is_an_error_and_a_closed_pipe_is_none() {
    let place = Place::new();
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
    for command in ["report", "export"] {
        let failed = Place::new().cograd([command, "nowhere"]).assert().code(1);
        let message = text(failed.get_output().stderr.clone());
        assert!(message.contains("nowhere does not exist") && !message.contains("cograd analyze"), "{message}");
    }
}

#[test]
fn what_comes_next_can_be_pasted_and_one_run_is_no_runs() {
    let place = Place::new();
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
    let place = Place::new();
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
    let place = Place::new();
    let study = place.record_tiny();
    let evil = "evil\u{1b}[31m\u{9b}2J";
    std::fs::create_dir(study.join("runs").join(evil)).expect("a directory");
    let shown = text(place.cograd(["inspect", "tiny"]).assert().success().get_output().stdout.clone());
    assert!(shown.contains(r"evil\u{1b}[31m\u{9b}2J: not finished"), "{shown}");
    let failed = place.cograd(["inspect", "\u{1b}]0;title\u{7}"]).assert().code(1);
    let message = text(failed.get_output().stderr.clone());
    assert!(!message.contains('\u{1b}') && message.contains(r"\u{1b}]0;title\u{7}"), "{message}");
}

#[cfg(unix)]
#[test]
fn a_run_that_cannot_be_read_is_not_unfinished() {
    let place = Place::new();
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
