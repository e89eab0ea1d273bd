//! Output directories of analyze, report, export and compare: never another's, always whole, whoever writes or is killed; and two
//! recordings, audits and inspections at once, or killed (interruptions.rs has the recordings that are killed).

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use cograd_results::{Results, ResultsError};

use crate::common::{Workplace, files_below};

/// The commands that write an output directory, and where they do.
const COMMANDS: [(&[&str], &str); 4] = [
    (&["analyze", "tiny", "--null-worlds", "20", "--halves", "40"], "tiny/analysis"),
    (&["report", "tiny"], "tiny/report"),
    (&["export", "tiny"], "tiny/export"),
    (&["compare", "tiny", "other", "--out", "compared"], "compared"),
];

/// Two recorded studies.
fn studies() -> Workplace {
    let place = Workplace::new();
    place.record_tiny();
    place.cograd(["record", "tiny.toml", "--out", "other", "--quiet"]).assert().success();
    place
}

fn run(place: &Workplace, arguments: &[&str]) {
    place.cograd(arguments.iter().copied().chain(["--quiet"])).assert().success();
}

fn start(place: &Workplace, arguments: &[&str]) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin!("cograd"))
        .current_dir(place.path("."))
        .args(arguments)
        .arg("--quiet")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary")
}

/// Results verify themselves, and every table is read.
fn assert_results(directory: &Path) {
    let read = Results::read_whole(directory, |results| -> Result<usize, ResultsError> {
        let tables: Vec<String> = results.tables().map(str::to_string).collect();
        tables.iter().map(|table| Ok(results.rows(table)?.map_or(0, |rows| rows.len()))).sum()
    });
    assert!(read.expect("whole results") > 0);
}

/// A report has every file that its manifest lists, as it lists them.
fn assert_report(directory: &Path) {
    let text = fs::read(directory.join("manifest.json")).expect("a manifest");
    cograd_files::check_seal(&text).expect("sealed");
    let manifest: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    for (name, entry) in manifest["files"].as_object().expect("files") {
        let sha256 = cograd_files::sha256_of_file(&directory.join(name)).expect("a file");
        assert_eq!(entry["sha256"].as_str(), Some(sha256.as_str()), "{name}");
    }
}

#[test]
fn no_command_writes_into_what_it_did_not_write() {
    let place = studies();
    run(&place, COMMANDS[0].0);
    run(&place, &["analyze", "other", "--null-worlds", "20", "--halves", "40"]);
    let runs = place.path("tiny/runs");
    let name = fs::read_dir(&runs)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .find(|name| !name.to_string_lossy().starts_with('.'));
    let recording = format!("tiny/runs/{}", name.expect("a run").to_string_lossy());
    let before = files_below(&place.path("tiny"));
    for (arguments, _) in COMMANDS {
        for target in [recording.as_str(), "tiny/runs", "tiny"] {
            let out = arguments.iter().copied().take_while(|argument| *argument != "--out").chain(["--out", target]);
            let failed = place.cograd(out).assert().code(1);
            let message = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
            assert!(message.contains("did not write") && message.contains(target), "{message}");
        }
    }
    // Nor over the results of another command.
    let failed = place.cograd(["report", "tiny", "--out", "tiny/analysis"]).assert().code(1);
    assert!(String::from_utf8_lossy(&failed.get_output().stderr).contains("did not write"));
    assert!(files_below(&place.path("tiny")) == before);
}

#[test]
fn two_of_a_command_at_once_leave_one_whole_output() {
    let place = studies();
    for study in ["tiny", "other"] {
        run(&place, &["analyze", study, "--null-worlds", "20", "--halves", "40"]);
    }
    for (arguments, target) in COMMANDS {
        run(&place, arguments);
        let alone = files_below(&place.path(target));
        for _ in 0..3 {
            let mut both = [start(&place, arguments), start(&place, arguments)];
            let ended = both.each_mut().map(|child| child.wait().expect("it ends").code());
            assert!(
                ended.iter().all(|code| [Some(0), Some(1)].contains(code)) && ended.contains(&Some(0)),
                "{ended:?}"
            );
            assert!(files_below(&place.path(target)) == alone, "{arguments:?}");
        }
    }
    // Reports and exports while another analysis takes the place of the one that they read.
    for (arguments, target) in &COMMANDS[1..3] {
        let mut analysis = start(&place, COMMANDS[0].0);
        while analysis.try_wait().expect("it runs").is_none() {
            run(&place, arguments);
        }
        assert!(place.path(target).is_dir());
    }
    assert_results(&place.path("tiny/analysis"));
    assert_report(&place.path("tiny/report"));
}

#[test]
fn two_recordings_and_two_audits_at_once_say_and_write_what_one_does() {
    let place = studies();
    run(&place, COMMANDS[0].0);
    run(&place, &["report", "tiny"]);
    let alone = files_below(&place.path("tiny"));
    for attempt in 0..3 {
        let study = format!("again-{attempt}");
        let mut both = [(); 2].map(|()| start(&place, &["record", "tiny.toml", "--out", &study]));
        let ended = both.each_mut().map(|child| child.wait().expect("it ends").code());
        // Of two that share the runs out, either may leave one to the other.
        assert!(ended.iter().all(|code| [Some(0), Some(1)].contains(code)), "{ended:?}");
        assert!(files_below(&place.path(&study)) == files_below(&place.path("other")), "recording {attempt}");
        let mut both = [(); 2].map(|()| start(&place, &["audit", "tiny"]));
        assert_eq!(both.each_mut().map(|child| child.wait().expect("it ends").code()), [Some(0); 2]);
    }
    assert!(files_below(&place.path("tiny")) == alone);
}

#[test]
fn an_audit_and_an_inspection_killed_at_any_moment_leave_the_study_as_it_was() {
    let place = studies();
    run(&place, COMMANDS[0].0);
    run(&place, &["report", "tiny"]);
    let whole = files_below(&place.path("tiny"));
    for arguments in [&["audit", "tiny"][..], &["inspect", "tiny", "--verify"]] {
        for kill in 0..5 {
            let mut child = start(&place, arguments);
            sleep(Duration::from_millis(3 + 60 * kill));
            let _ = child.kill();
            child.wait().expect("it ends");
        }
        run(&place, arguments);
        assert!(files_below(&place.path("tiny")) == whole, "{arguments:?}");
    }
}

#[test]
fn killed_at_any_moment_the_output_is_the_one_before_or_the_new_one() {
    let place = studies();
    for study in ["tiny", "other"] {
        run(&place, &["analyze", study, "--null-worlds", "20", "--halves", "40"]);
    }
    for (arguments, target) in COMMANDS {
        run(&place, arguments);
        let whole = files_below(&place.path(target));
        for kill in 0..15 {
            let mut child = start(&place, arguments);
            // From at once to after the end of the shorter ones.
            sleep(Duration::from_millis(3 + 17 * kill));
            let _ = child.kill();
            child.wait().expect("it ends");
            assert!(files_below(&place.path(target)) == whole, "{arguments:?}, kill {kill}");
        }
        // The next writer sweeps what the killed ones left.
        run(&place, arguments);
        let parent = place.path(target).parent().expect("a parent").to_path_buf();
        let left = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        let left: Vec<String> = left.filter(|name| name.starts_with('.') && name.contains(".new")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
