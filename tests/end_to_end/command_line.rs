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
