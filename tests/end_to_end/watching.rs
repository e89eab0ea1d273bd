//! A recording that is watched: before its first row, while it is killed and continued, and at its end.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use crate::common::{Workplace, files_below};
use crate::interruptions::{Recording, assert_same, uninterrupted};

/// Two runs of some seconds on the embedded digits, with checkpoints all the time.
const WATCHED: &str = r#"
name = "watched & <marked>"
[data]
source = "digits"
[network]
hidden = [32]
[training]
batch = 50
steps = 3000
[grid]
noise = [0.0, 0.5]
seeds = [1]
[sample]
examples = 60
weights_per_layer = 40
[schedule.gradients]
every_step_until = 20
per_decade = 10
[schedule.population]
every_step_until = 4
per_decade = 4
[checkpoint]
every_seconds = 0.05
"#;

/// A watch under way.
struct Watch {
    process: Child,
    address: String,
}

impl Watch {
    fn begin(place: &Workplace, study: &str) -> Watch {
        std::fs::create_dir(place.path("temporary")).expect("a directory");
        let mut command = Command::new(env!("CARGO_BIN_EXE_cograd"));
        command.current_dir(place.path("")).env("TMPDIR", place.path("temporary"));
        command.args(["watch", study, "--port", "0"]).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the binary starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let address = line.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("an address");
        assert!(address.starts_with("127.0.0.1:"), "{line}");
        Watch { process, address: address.to_string() }
    }

    fn get(&self, path: &str) -> String {
        let mut client = TcpStream::connect(&self.address).expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        client.write_all(request.as_bytes()).expect("it is sent");
        let mut text = String::new();
        client.read_to_string(&mut text).expect("an answer");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        text
    }

    /// Waits for a page with all of these on it, and returns it; every page on the way is marked.
    fn wait_for(&self, parts: &[&str]) -> String {
        let started = Instant::now();
        loop {
            let page = self.get("/");
            assert!(page.contains("Unfinished, no results.") && page.contains("<title>Unfinished: "), "{page}");
            if parts.iter().all(|part| page.contains(part)) {
                return page;
            }
            let mark = page.split("id=\"unfinished\"").nth(1).unwrap_or_default();
            let mark = mark.chars().take(900).collect::<String>();
            assert!(started.elapsed() < Duration::from_secs(60), "no page with {parts:?}: {mark}");
            sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Records until there is a checkpoint later than that of before, and kills it.
fn record_and_kill(place: &Workplace) {
    let checkpoint = place.path("study/runs/.sgd_noise-0_seed-1.partial/checkpoint");
    let written = || std::fs::metadata(&checkpoint).and_then(|file| file.modified()).ok();
    let before: Option<SystemTime> = written();
    let recording = Recording::begin(place, "watched.toml", &place.path("study"), &["--threads", "1"]);
    let started = Instant::now();
    while written().is_none() || written() == before {
        assert!(started.elapsed() < Duration::from_secs(30), "no checkpoint is taken");
        sleep(Duration::from_millis(1));
    }
    recording.send("KILL");
    assert!(!recording.end().0.success());
}

#[test]
fn a_recording_is_watched_before_its_first_row_while_it_is_killed_and_continued_and_at_its_end() {
    let place = Workplace::new();
    place.write("watched.toml", WATCHED);
    let expected = uninterrupted(&place, "watched.toml");
    std::fs::create_dir(place.path("study")).expect("a directory");
    let mut watch = Watch::begin(&place, "study");
    watch.wait_for(&["Nothing is recorded yet that could be shown.", "http-equiv=\"refresh\""]);

    record_and_kill(&place);
    let before = files_below(&place.path("study"));
    // The page is the report, of the runs that are there.
    let first = watch.wait_for(&["sgd_noise-0_seed-1: step ", " of 3000", "<svg", "watched &amp; &lt;marked&gt;"]);
    assert_same(&files_below(&place.path("study")), &before);
    record_and_kill(&place);
    let before = files_below(&place.path("study"));
    let version = |page: &str| page.split("!== \"").nth(1).and_then(|rest| rest.split('"').next().map(str::to_string));
    let started = Instant::now();
    while version(&watch.wait_for(&["<svg"])) == version(&first) {
        assert!(started.elapsed() < Duration::from_secs(60), "the page is not renewed");
        sleep(Duration::from_millis(100));
    }
    assert_same(&files_below(&place.path("study")), &before);

    let recording = Recording::begin(&place, "watched.toml", &place.path("study"), &[]);
    let (status, message) = recording.end();
    assert!(status.success() && message.contains("continuing sgd_noise-0_seed-1 from step "), "{message}");
    let last = watch.wait_for(&["Every run that was begun is finished", "sgd_noise-0.5_seed-1"]);
    assert!(!last.contains(" of 3000"));
    assert_same(&files_below(&place.path("study")), &expected);

    let pid = watch.process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    assert!(watch.process.wait().expect("it ends").success());
    assert_eq!(files_below(&place.path("temporary")).len(), 0, "nothing is left behind");
}

#[test]
fn a_study_that_does_not_exist_is_not_watched() {
    let place = Workplace::new();
    let failed = place.cograd(["watch", "nowhere"]).assert().code(1);
    let message = String::from_utf8(failed.get_output().stderr.clone()).expect("UTF-8");
    assert!(message.contains("nowhere does not exist"), "{message}");
    place.write("file", "");
    let failed = place.cograd(["watch", "."]).assert().code(1);
    let message = String::from_utf8(failed.get_output().stderr.clone()).expect("UTF-8");
    assert!(message.contains("is not a study"), "{message}");
}
