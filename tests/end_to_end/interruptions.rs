//! Recordings that are killed, interrupted, locked, damaged or out of room, and go on as if nothing had happened.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{Workplace, files_below};

/// Four runs of about half a second each on the embedded digits, with checkpoints all the time.
const GRID: &str = r#"
name = "grid"
[data]
source = "digits"
[network]
hidden = [48]
[training]
batch = 50
steps = 6000
[grid]
noise = [0.0, 0.5]
seeds = [1, 2]
[sample]
examples = 100
weights_per_layer = 100
[schedule.gradients]
every_step_until = 200
per_decade = 60
[schedule.population]
every_step_until = 10
per_decade = 20
[checkpoint]
every_seconds = 0.02
"#;

/// One run whose gradients fill more than one part file.
const LARGE: &str = r#"
name = "large"
[data]
source = "digits"
[network]
hidden = [32]
[training]
steps = 80
[grid]
noise = [0.5]
[sample]
examples = 1500
weights_per_layer = 320
[schedule.gradients]
every_step_until = 80
per_decade = 0
[schedule.population]
every_step_until = 80
per_decade = 0
[checkpoint]
every_seconds = 0.1
every_steps = 25
"#;

/// Every rule with every optimizer, each with a schedule of its own.
const OPTIMIZERS: &str = r#"
name = "optimizers"
[data]
source = "digits"
[network]
hidden = [24]
[training]
learning_rate = 0.01
batch = 50
steps = 800
schedule = { name = "cosine", warm_up = 100 }
[grid]
noise = [0.5]
rules = [
    { name = "sgd" }, { name = "winsorized", percent = 4 }, { name = "median-of-means" }, { name = "rolling-median" },
    { name = "norm-clipped", norm = 1.0, noise = 0.1 },
]
"training.optimizer" = [
    { name = "sgd" }, { name = "sgd", weight_decay = 0.001 }, { name = "momentum" }, { name = "momentum", nesterov = true },
    { name = "adam" }, { name = "adamw" },
]
[sample]
examples = 50
weights_per_layer = 50
[schedule.gradients]
every_step_until = 0
per_decade = 5
[checkpoint]
every_seconds = 0.02
"#;

/// A run that goes on until it is stopped.
const ENDLESS: &str = r#"
name = "endless"
[data]
source = "digits"
[network]
hidden = [48]
[training]
steps = 50000000
[grid]
noise = [0.5]
[schedule.gradients]
every_step_until = 10
per_decade = 2
[sample]
weights_per_layer = 100
"#;

/// A recording under way.
pub struct Recording(pub Child);

impl Recording {
    pub fn begin(place: &Workplace, experiment: &str, out: &Path, flags: &[&str]) -> Recording {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cograd"));
        command.arg("record").arg(place.path(experiment)).arg("--out").arg(out).args(flags);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Recording(command.spawn().expect("the binary starts"))
    }

    pub fn send(&self, signal: &str) {
        // The process may be gone already.
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").args([format!("-{signal}"), pid]).stderr(Stdio::null()).status();
    }

    /// Waits until it records `run`.
    fn wait_for_lock(&self, study: &Path, run: &str) {
        let (lock, holder) = (study.join(format!("runs/.{run}.lock")), format!("process {} on ", self.0.id()));
        let started = Instant::now();
        while !std::fs::read_to_string(&lock).is_ok_and(|text| text.starts_with(&holder)) {
            assert!(started.elapsed() < Duration::from_secs(30), "{run} is not being recorded");
            sleep(Duration::from_millis(2));
        }
    }

    /// Status and standard error.
    pub fn end(self) -> (ExitStatus, String) {
        let Output { status, stderr, .. } = self.0.wait_with_output().expect("the process ends");
        (status, String::from_utf8(stderr).expect("UTF-8"))
    }
}

fn record(place: &Workplace, experiment: &str, out: &Path, flags: &[&str]) -> (ExitStatus, String) {
    Recording::begin(place, experiment, out, flags).end()
}

/// Files of the study that is never interrupted.
pub fn uninterrupted(place: &Workplace, experiment: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let out = place.path("uninterrupted");
    let (status, message) = record(place, experiment, &out, &[]);
    assert!(status.success(), "{message}");
    files_below(&out)
}

pub fn assert_same(found: &BTreeMap<PathBuf, Vec<u8>>, expected: &BTreeMap<PathBuf, Vec<u8>>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, bytes) in expected {
        assert!(found[name] == *bytes, "{} differs", name.display());
    }
}

/// Random numbers of a fixed seed (Steele, Lea & Flood's SplitMix64), below `bound`.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % bound
    }
}

/// Kills recordings of an experiment at `kills` random moments, each up to `longest` ms after a start, and compares every
/// file of each study with the study that was never interrupted. Returns how often a run was continued.
fn kill_and_compare(experiment: &str, kills: usize, longest: u64, seed: u64) -> usize {
    let place = Workplace::new();
    place.write("experiment.toml", experiment);
    let expected = uninterrupted(&place, "experiment.toml");
    let (mut random, mut killed, mut continued, mut studies) = (Random(seed), 0, 0, 0);
    while killed < kills {
        let out = place.path(&format!("killed-{studies}"));
        loop {
            let recording = Recording::begin(&place, "experiment.toml", &out, &[]);
            let signal = ["KILL", "TERM", "KILL", "INT"][killed % 4];
            if killed < kills {
                sleep(Duration::from_millis(random.below(longest)));
                recording.send(signal);
            }
            let (status, message) = recording.end();
            continued += message.matches("continuing ").count();
            assert!(!message.contains("begins again") && !message.contains("error"), "{message}");
            if status.success() {
                break;
            }
            // A signal that comes before the handlers are there ends the process without an exit code.
            let expected = match signal {
                "INT" => [Some(130), None],
                "TERM" => [Some(143), None],
                _ => [None, None],
            };
            assert!(expected.contains(&status.code()), "{signal}: {status}: {message}");
            killed += 1;
        }
        assert_same(&files_below(&out), &expected);
        studies += 1;
    }
    continued
}

#[test]
fn every_rule_with_every_optimizer_survives_kills_byte_for_byte() {
    let continued = kill_and_compare(OPTIMIZERS, 20, 900, 3);
    assert!(continued > 5, "{continued} runs continued");
}

#[test]
fn a_grid_killed_at_thirty_moments_is_byte_for_byte_the_one_never_interrupted() {
    let continued = kill_and_compare(GRID, 30, 400, 1);
    assert!(continued > 10, "{continued} runs were continued");
}

#[test]
fn a_run_of_several_part_files_survives_too() {
    let continued = kill_and_compare(LARGE, 8, 1200, 2);
    assert!(continued > 2, "{continued} runs were continued");
}

#[test]
fn a_signal_ends_the_step_and_the_exit_code_names_it() {
    let place = Workplace::new();
    place.write("endless.toml", ENDLESS);
    let mut message = String::new();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let recording = Recording::begin(&place, "endless.toml", &place.path("endless"), &[]);
        recording.wait_for_lock(&place.path("endless"), "sgd_noise-0.5_seed-1");
        while !place.path("endless/runs/.sgd_noise-0.5_seed-1.partial/weights/step-00000010.safetensors").exists() {
            sleep(Duration::from_millis(2));
        }
        recording.send(signal);
        let (status, said) = recording.end();
        assert_eq!(status.code(), Some(code), "{said}");
        assert!(said.contains("stopped: sgd_noise-0.5_seed-1 before step ") && !said.contains("error"), "{said}");
        message = said;
    }
    assert!(message.contains("continuing sgd_noise-0.5_seed-1 from step "), "{message}");
}

#[test]
fn two_writers_keep_out_of_each_others_runs_and_a_dead_ones_lock_is_no_lock() {
    let place = Workplace::new();
    let endless = ENDLESS.replace("noise = [0.5]", "noise = [0.5, 1.0]");
    place.write("endless.toml", &endless);
    let out = place.path("study");
    let first = Recording::begin(&place, "endless.toml", &out, &["--threads", "1"]);
    first.wait_for_lock(&out, "sgd_noise-0.5_seed-1");
    // The second one is told, and goes on with the other run.
    let second = Recording::begin(&place, "endless.toml", &out, &["--threads", "1"]);
    second.wait_for_lock(&out, "sgd_noise-1_seed-1");
    // Nothing is left for a third.
    let (status, message) = record(&place, "endless.toml", &out, &[]);
    assert_eq!(status.code(), Some(1), "{message}");
    assert!(message.contains(&format!("sgd_noise-0.5_seed-1 (by process {} on ", first.0.id())), "{message}");
    assert!(message.contains(&format!("sgd_noise-1_seed-1 (by process {} on ", second.0.id())), "{message}");

    let pid = first.0.id();
    first.send("KILL");
    first.end();
    second.send("TERM");
    let (_, message) = second.end();
    let expected = format!("sgd_noise-0.5_seed-1: being recorded by process {pid} on ");
    assert!(message.contains(&expected), "{message}");

    assert!(place.path("study/runs/.sgd_noise-0.5_seed-1.lock").exists());
    let third = Recording::begin(&place, "endless.toml", &out, &["--only", "noise=0.5"]);
    third.wait_for_lock(&out, "sgd_noise-0.5_seed-1");
    third.send("INT");
    let (status, message) = third.end();
    assert_eq!(status.code(), Some(130), "{message}");
    assert!(message.contains("stopped: sgd_noise-0.5_seed-1"), "{message}");
}

#[test]
fn a_damaged_checkpoint_costs_the_run_but_no_byte_of_it() {
    let place = Workplace::new();
    place.write("grid.toml", GRID);
    let expected = uninterrupted(&place, "grid.toml");
    let checkpoint = place.path("study/runs/.sgd_noise-0_seed-1.partial/checkpoint");

    let recording = Recording::begin(&place, "grid.toml", &place.path("study"), &["--threads", "1"]);
    recording.wait_for_lock(&place.path("study"), "sgd_noise-0_seed-1");
    recording.send("TERM");
    let (status, message) = recording.end();
    assert_eq!(status.code(), Some(143), "{message}");
    let mut bytes = std::fs::read(&checkpoint).expect("a checkpoint");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&checkpoint, bytes).expect("the damage is done");

    let (status, message) = record(&place, "grid.toml", &place.path("study"), &[]);
    assert!(status.success(), "{message}");
    let said = message.lines().find(|line| line.starts_with("sgd_noise-0_seed-1 begins again: "));
    assert!(said.is_some_and(|line| line.contains("SHA-256")), "{message}");
    assert_same(&files_below(&place.path("study")), &expected);
}

#[test]
fn runs_selected_one_by_one_make_the_whole_study() {
    let place = Workplace::new();
    place.write("grid.toml", GRID);
    let expected = uninterrupted(&place, "grid.toml");
    let out = place.path("study");
    for (only, runs) in [
        (&["--only", "noise=0.5,seed=2,rule=sgd"][..], 1),
        (&["--only", "noise=0,seed=1", "--only", "seed=2"], 3),
        (&["--only", "rule=sgd"], 4),
    ] {
        let (status, message) = record(&place, "grid.toml", &out, only);
        assert!(status.success(), "{message}");
        let names = files_below(&out);
        assert_eq!(names.keys().filter(|name| name.ends_with("manifest.json")).count(), runs, "{message}");
    }
    assert_same(&files_below(&out), &expected);
}

#[test]
fn a_selection_of_nothing_is_a_usage_error_that_says_what_there_is() {
    let place = Workplace::new();
    place.write("grid.toml", GRID);
    for (only, said) in [
        ("noise=0.25", "no run of this experiment has noise=0.25; there are noise 0, 0.5; rule sgd; seed 1, 2"),
        ("nois=0.5", "unknown key `nois`: runs are selected by noise, rule and seed"),
        ("seed=one", "`seed=one` does not end in a number"),
    ] {
        let (status, message) = record(&place, "grid.toml", &place.path("study"), &["--only", only]);
        assert_eq!(status.code(), Some(2), "{message}");
        assert!(message.contains(said), "{message}");
    }
    assert!(!place.path("study").exists());
}

#[test]
fn two_first_writers_agree_on_one_study() {
    let place = Workplace::new();
    place.write("grid.toml", GRID);
    let expected = uninterrupted(&place, "grid.toml");
    for attempt in 0..5 {
        let out = place.path(&format!("study-{attempt}"));
        let writers =
            ["noise=0", "noise=0.5"].map(|only| Recording::begin(&place, "grid.toml", &out, &["--only", only]));
        for writer in writers {
            let (status, message) = writer.end();
            assert!(status.success(), "{message}");
        }
        assert_same(&files_below(&out), &expected);
    }
}

/// A small filesystem of its own, while it lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(directory: PathBuf, size: &str) -> Option<SmallDisk> {
        std::fs::create_dir(&directory).expect("a directory");
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&directory).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(SmallDisk(directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Fills the filesystem of `file` with it, but for `room` bytes.
fn fill_but(file: &Path, room: usize) {
    let mut filler = std::fs::File::create(file).expect("a filler");
    while filler.write_all(&[1; 1 << 16]).is_ok() {}
    let size = filler.metadata().expect("its size").len();
    filler.set_len(size - room as u64).expect("a shorter filler");
}

#[test]
fn a_full_disk_stops_the_run_and_room_continues_it() {
    let place = Workplace::new();
    place.write("grid.toml", GRID);
    let expected = uninterrupted(&place, "grid.toml");
    let Some(_disk) = SmallDisk::mount(place.path("disk"), "128m") else {
        eprintln!("SKIPPED: a small filesystem cannot be mounted here, which takes the rights to");
        return;
    };
    let study = place.path("disk/study");

    let (status, message) = record(&place, "grid.toml", &study, &["--only", "noise=0"]);
    assert!(status.success(), "{message}");
    // Room for what a finished run takes, but not for an unfinished one beside its journal.
    let room = expected.values().map(Vec::len).sum::<usize>() / 4;
    let filler = place.path("disk/filler");
    fill_but(&filler, room);
    let (status, message) = record(&place, "grid.toml", &study, &["--threads", "1"]);
    assert_eq!(status.code(), Some(1), "{message}");
    assert!(message.contains("stopped because the disk is full: what was recorded so far is kept"), "{message}");
    assert!(message.contains("because: cannot ") && message.contains("No space left on device"), "{message}");
    // As it is, it can be read.
    let inspected = place.cograd(["inspect", "disk/study", "--verify"]).assert().success();
    let inspected = String::from_utf8_lossy(&inspected.get_output().stdout).into_owned();
    assert!(inspected.contains("sgd_noise-0_seed-1"), "{inspected}");
    place.cograd(["analyze", "disk/study", "--out", "results", "--null-worlds", "20"]).assert().success();
    // Full as before, it stops as before, and loses nothing.
    let (status, message) = record(&place, "grid.toml", &study, &["--threads", "1"]);
    assert_eq!(status.code(), Some(1), "{message}");

    std::fs::remove_file(filler).expect("the filler goes");
    let (status, message) = record(&place, "grid.toml", &study, &["--threads", "1"]);
    assert!(status.success(), "{message}");
    assert!(message.contains("continuing "), "{message}");
    assert_same(&files_below(&study), &expected);
}
