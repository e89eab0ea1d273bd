//! Whatever is put in, a message says which file and what to do, the exit code is 1 and nothing looks complete.

use std::fs;
use std::path::Path;

use crate::common::{TINY, Workplace, files_below, run_directory};

/// Runs a command that must fail, without a panic, and returns what it says.
fn message(place: &Workplace, arguments: &[&str]) -> String {
    let failed = place.cograd(arguments.iter().copied()).assert().code(1);
    let message = String::from_utf8(failed.get_output().stderr.clone()).expect("UTF-8");
    assert!(message.contains("error: ") && !message.contains("panicked") && !message.contains("a bug"), "{message}");
    message
}

fn assert_names(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

/// Records the experiment `text`, which must fail without leaving a run.
fn refused(text: &str, parts: &[&str]) {
    let place = Workplace::new();
    place.write("experiment.toml", text);
    assert_names(&message(&place, &["record", "experiment.toml", "--out", "study"]), parts);
    assert!(!place.path("study/runs").exists());
}

#[test]
fn experiments_that_cannot_be_are_refused_by_field() {
    refused(&TINY.replace("hidden", "hiden"), &["experiment.toml", "hiden", "hidden"]);
    refused(&TINY.replace("[0.0, 0.5]", "[1.5]"), &["experiment.toml", "noise", "1.5"]);
    refused(&TINY.replace("batch = 100", "batch = 1501"), &["batch", "1501", "1500"]);
    refused(&TINY.replace("steps = 60", "steps = 0"), &["steps"]);
    refused(&TINY.replace("weights_per_layer = 40", "weights_per_layer = 161"), &["weights_per_layer", "160"]);
    refused(&TINY.replace("examples = 60", "examples = 1501"), &["examples", "1500"]);
    refused("name = \"torn", &["experiment.toml"]);
}

#[test]
fn a_missing_experiment_is_named() {
    assert_names(&message(&Workplace::new(), &["record", "nowhere.toml"]), &["nowhere.toml"]);
}

#[test]
fn missing_and_torn_data_files_are_named() {
    let text = TINY.replace("source = \"digits\"", "source = \"idx\"\ndirectory = \"data\"");
    let place = Workplace::new();
    place.write("experiment.toml", &text);
    let record = ["record", "experiment.toml", "--out", "study"];
    assert_names(&message(&place, &record), &["data"]);
    fs::create_dir(place.path("data")).expect("a directory");
    assert_names(&message(&place, &record), &["train-images-idx3-ubyte"]);
    place.write("data/train-images-idx3-ubyte", "\0\0\x08\x03\0\0");
    assert_names(&message(&place, &record), &["train-images-idx3-ubyte"]);
    place.write("data/train-images-idx3-ubyte", "not an IDX file at all");
    assert_names(&message(&place, &record), &["train-images-idx3-ubyte"]);
}

#[test]
fn a_directory_that_holds_another_study_is_left_alone() {
    let place = Workplace::new();
    let study = place.record_tiny();
    let before = files_below(&study);
    place.write("other.toml", &TINY.replace("seeds = [1]", "seeds = [2]"));
    assert_names(&message(&place, &["record", "other.toml", "--out", "tiny"]), &["tiny", "seeds"]);
    assert!(before == files_below(&study));
}

/// Damages one file of a recorded run by `damage` and returns what `analyze` says.
fn analysis_of_damaged(file: &str, damage: impl Fn(&Path)) -> String {
    let place = Workplace::new();
    let study = place.record_tiny();
    damage(&run_directory(&study, "sgd_noise-0.5_seed-1").join(file));
    let said = message(&place, &["analyze", "tiny", "--null-worlds", "10"]);
    assert!(!study.join("analysis/summary.json").exists(), "nothing may look complete");
    said
}

#[test]
fn truncated_altered_and_missing_files_are_named() {
    let truncate = |path: &Path| {
        let bytes = fs::read(path).expect("the file");
        fs::write(path, &bytes[..bytes.len() / 2]).expect("shorter");
    };
    let alter = |path: &Path| {
        let mut bytes = fs::read(path).expect("the file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).expect("altered");
    };
    for file in ["gradients/part-00000.parquet", "examples.parquet", "metrics.parquet", "coordinates.parquet"] {
        let name = file.rsplit('/').next().unwrap_or(file);
        assert_names(&analysis_of_damaged(file, truncate), &[name]);
        assert_names(&analysis_of_damaged(file, alter), &[name]);
        assert_names(&analysis_of_damaged(file, |path| fs::remove_file(path).expect("removed")), &[name]);
    }
}

#[test]
fn an_unknown_format_version_and_a_torn_manifest_are_named() {
    let future = |path: &Path| {
        let text = fs::read_to_string(path).expect("the manifest");
        fs::write(path, text.replace("\"format_version\": 3", "\"format_version\": 99")).expect("replaced");
    };
    assert_names(&analysis_of_damaged("manifest.json", future), &["manifest.json", "99"]);
    assert_names(&analysis_of_damaged("manifest.json", |path| fs::write(path, "{").expect("torn")), &["manifest.json"]);
}

#[test]
fn directories_that_are_no_study_are_told_apart() {
    let place = Workplace::new();
    assert_names(&message(&place, &["analyze", "nowhere"]), &["nowhere"]);
    fs::create_dir(place.path("empty")).expect("a directory");
    assert_names(&message(&place, &["analyze", "empty"]), &["empty"]);
    assert_names(&message(&place, &["inspect", "empty"]), &["empty"]);
    let study = place.record_tiny();
    fs::remove_dir_all(study.join("runs")).expect("removed");
    assert_names(&message(&place, &["analyze", "tiny"]), &["tiny", "record"]);
}

#[test]
fn a_report_without_an_analysis_says_to_analyse() {
    let place = Workplace::new();
    place.record_tiny();
    assert_names(&message(&place, &["report", "tiny"]), &["cograd analyze"]);
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let place = Workplace::new();
    place.record_tiny();
    place.write("file", "in the way");
    assert_names(&message(&place, &["analyze", "tiny", "--out", "file"]), &["file"]);
    assert_names(&message(&place, &["record", "tiny.toml", "--out", "file/study"]), &["file/study"]);
}

#[cfg(unix)]
fn pipe(path: &Path) {
    let _ = fs::remove_file(path);
    assert!(std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
}

/// A pipe without a writer would be waited for.
#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_is_refused() {
    let place = Workplace::new();
    place.write("idx.toml", &TINY.replace("source = \"digits\"", "source = \"idx\"\ndirectory = \"data\""));
    fs::create_dir(place.path("data")).expect("a directory");
    pipe(&place.path("data/train-images-idx3-ubyte"));
    assert_names(&message(&place, &["record", "idx.toml", "--out", "images"]), &["train-images-idx3-ubyte", "regular"]);

    place.record_tiny();
    pipe(&place.path("tiny/study.toml"));
    for command in ["record tiny.toml --out tiny", "analyze tiny"] {
        let arguments: Vec<&str> = command.split(' ').collect();
        assert_names(&message(&place, &arguments), &["study.toml", "not a regular file"]);
    }
}

/// A run that cannot be read is not an unfinished one, which would be left out.
#[cfg(unix)]
#[test]
fn a_run_that_cannot_be_read_stops_every_command() {
    let place = Workplace::new();
    place.record_tiny();
    let manifest = place.path("tiny/runs/other/manifest.json");
    fs::create_dir(manifest.parent().expect("a directory")).expect("a directory");
    // A link to itself, which not even an administrator can follow.
    std::os::unix::fs::symlink("manifest.json", &manifest).expect("a link");
    for command in ["analyze", "inspect", "audit"] {
        assert_names(&message(&place, &[command, "tiny"]), &["cannot read", "tiny/runs/other/manifest.json"]);
    }
}

/// Results are believed whole or not at all, whichever table a command has need of.
#[test]
fn results_of_which_any_table_was_altered_are_refused_by_every_reader() {
    let place = Workplace::new();
    place.record_tiny();
    place.cograd(["analyze", "tiny"]).assert().success();
    place.cograd(["analyze", "tiny", "--out", "sound"]).assert().success();
    let tables: Vec<_> = files_below(&place.path("tiny/analysis")).into_keys().collect();
    for table in tables.iter().filter(|path| path.extension().is_some_and(|extension| extension == "parquet")) {
        let (path, name) = (place.path("tiny/analysis").join(table), table.to_string_lossy());
        let bytes = fs::read(&path).expect("a table");
        let mut altered = bytes.clone();
        altered[bytes.len() / 2] ^= 1;
        fs::write(&path, altered).expect("altered");
        for command in ["report tiny", "export tiny", "compare tiny sound --out compared"] {
            let arguments: Vec<&str> = command.split(' ').collect();
            let message = message(&place, &arguments);
            assert_names(&message, &[&name, "altered"]);
            assert_eq!(message.matches("was altered").count(), 1, "said once: {message}");
        }
        fs::write(&path, bytes).expect("restored");
    }
}

#[test]
fn the_name_of_an_experiment_leads_nowhere_else() {
    let place = Workplace::new();
    let text = TINY.replace("name = \"", "name = \"../../elsewhere").replace("steps = 60", "steps = 1");
    place.write("experiment.toml", &text);
    place.cograd(["record", "experiment.toml"]).assert().success();
    let studies: Vec<_> = fs::read_dir(place.path("studies")).expect("studies").collect();
    assert_eq!(studies.len(), 1);
    assert!(studies[0].as_ref().expect("an entry").file_name().to_string_lossy().starts_with("-..-elsewhere"));
}

/// A user may keep the runs on another disk.
#[cfg(unix)]
#[test]
fn an_empty_directory_of_runs_may_be_a_link() {
    let place = Workplace::new();
    place.write("experiment.toml", &TINY.replace("steps = 60", "steps = 1"));
    for directory in ["study", "disk"] {
        fs::create_dir(place.path(directory)).expect("a directory");
    }
    std::os::unix::fs::symlink(place.path("disk"), place.path("study/runs")).expect("a link");
    place.cograd(["record", "experiment.toml", "--out", "study"]).assert().success();
    assert!(fs::read_dir(place.path("disk")).expect("the disk").count() > 0);
}
