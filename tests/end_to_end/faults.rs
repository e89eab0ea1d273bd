//! Every call of the file system that a command makes fails, falls short, or is the last before it is killed.
//!
//! `shim.c` stands between the program and the C library. Here some of the calls are tried, spread over all of them;
//! `COGRAD_FAULTS=all` tries all of each command, `COGRAD_FAULTS=500` so many.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::Workplace;

#[path = "../small_study/mod.rs"]
mod small_study;

/// Faults of each command that a usual run tries.
const SAMPLE: usize = 50;

/// After this time a command hangs.
const LONGEST: Duration = Duration::from_secs(120);

const EIO: &str = "5";
const EINTR: &str = "4";
const EACCES: &str = "13";
const ENOSPC: &str = "28";

/// Every file below a directory with its bytes, and every directory.
type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

fn tree(root: &Path) -> Tree {
    let (mut found, mut pending) = (Tree::new(), vec![root.to_path_buf()]);
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).expect("a readable directory") {
            let path = entry.expect("a readable entry").path();
            let bytes = (!path.is_dir()).then(|| fs::read(&path).expect("a readable file"));
            found.insert(path.strip_prefix(root).expect("below the root").to_path_buf(), bytes);
            if path.is_dir() {
                pending.push(path);
            }
        }
    }
    found
}

fn restore(root: &Path, before: &Tree) {
    if tree(root) == *before {
        return;
    }
    fs::remove_dir_all(root).expect("the root goes");
    fs::create_dir(root).expect("a new root");
    for (path, bytes) in before {
        match bytes {
            None => fs::create_dir(root.join(path)).expect("a directory"),
            Some(bytes) => fs::write(root.join(path), bytes).expect("a file"),
        }
    }
}

/// The shim, compiled once; `None` where it cannot be.
static SHIM: LazyLock<Option<(tempfile::TempDir, PathBuf)>> = LazyLock::new(|| {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return None;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let library = directory.path().join("shim.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/shim.c");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
    assert!(compiled.expect("a C compiler").success());
    Some((directory, library))
});

/// What is done to which call.
#[derive(Clone, Copy, Debug)]
struct Fault {
    call: usize,
    kind: &'static str,
}

/// A command in a directory of its own.
struct Case {
    place: Workplace,
    arguments: Vec<&'static str>,
    /// Where it writes; `None`: it prints.
    output: Option<&'static str>,
    can_exchange: bool,
}

/// How a command ended.
struct Ended {
    status: ExitStatus,
    printed: Vec<u8>,
    message: String,
}

impl Case {
    fn root(&self) -> PathBuf {
        self.place.path("root")
    }

    /// Runs the command on one thread, so that its calls always come in the same order.
    fn run(&self, fault: Option<Fault>) -> Ended {
        let (_, library) = SHIM.as_ref().expect("a shim");
        let [out, error, log] = ["out", "error", "log"].map(|name| self.place.path(name));
        let _ = fs::remove_file(&log);
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("cograd"));
        command.current_dir(self.root()).args(&self.arguments).args(["--threads", "1", "--quiet"]);
        command.env("POLARS_MAX_THREADS", "1").env("TMPDIR", self.root().join("tmp"));
        command.env("LD_PRELOAD", library).env("FAULT_BELOW", self.root()).env("FAULT_LOG", &log);
        if !self.can_exchange {
            command.env("FAULT_NO_EXCHANGE", "1");
        }
        if let Some(Fault { call, kind }) = fault {
            command.env("FAULT_AT", call.to_string()).env("FAULT_KIND", kind);
        }
        command.stdout(File::create(&out).expect("a file")).stderr(File::create(&error).expect("a file"));
        let (mut child, started) = (command.spawn().expect("the binary starts"), Instant::now());
        let status = loop {
            if let Some(status) = child.try_wait().expect("it runs") {
                break status;
            }
            if started.elapsed() > LONGEST {
                child.kill().expect("it can be killed");
                panic!("{:?} hangs on {fault:?}", self.arguments);
            }
            sleep(Duration::from_millis(1));
        };
        let message = String::from_utf8_lossy(&fs::read(error).expect("its messages")).into_owned();
        Ended { status, printed: fs::read(out).expect("what it prints"), message }
    }

    /// The faults that every call of a run without one could have.
    fn faults(&self) -> Vec<Fault> {
        let log = fs::read_to_string(self.place.path("log")).expect("a log");
        let of = |(call, line): (usize, &str)| {
            let kinds: &[&str] = match line.split(' ').next() {
                Some("read" | "pread64" | "readv") => &[EIO, EINTR, "SHORT"],
                Some("write" | "pwrite64" | "writev" | "copy_file_range" | "sendfile64") => {
                    &[EIO, EINTR, ENOSPC, "SHORT", "KILL", "FULL"]
                }
                Some("open64-create" | "open-create" | "mkdir" | "linkat") => &[EIO, EACCES, ENOSPC, "KILL", "FULL"],
                Some("fsync" | "ftruncate64") => &[EIO, ENOSPC, "KILL"],
                Some("rename" | "unlink" | "unlinkat" | "rmdir") => &[EIO, EACCES, "KILL"],
                _ => &[EIO, EACCES],
            };
            kinds.iter().map(move |kind| Fault { call, kind })
        };
        log.lines().enumerate().flat_map(of).collect()
    }

    /// Tries every fault, or a sample of them.
    fn try_faults(&self) {
        fs::create_dir_all(self.root().join("tmp")).expect("a directory");
        let before = tree(&self.root());
        let expected = self.run(None);
        assert!(expected.status.success(), "{:?}: {}", self.arguments, expected.message);
        let (mut faults, after) = (self.faults(), tree(&self.root()));
        let sample = match std::env::var("COGRAD_FAULTS").as_deref() {
            Ok("all") => faults.len(),
            Ok(number) => number.parse().expect("`all`, or a number of faults"),
            Err(_) => SAMPLE,
        };
        let stride = faults.len().div_ceil(sample);
        faults = faults.into_iter().skip(stride / 2).step_by(stride).collect();
        let wrong: Vec<String> =
            faults.iter().filter_map(|fault| self.try_fault(*fault, &before, &after, &expected).err()).collect();
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), faults.len(), wrong.join("\n"));
    }

    fn try_fault(&self, fault: Fault, before: &Tree, after: &Tree, expected: &Ended) -> Result<(), String> {
        restore(&self.root(), before);
        let ended = self.run(Some(fault));
        let log = fs::read_to_string(self.place.path("log")).expect("a log");
        let call = log.lines().nth(fault.call).unwrap_or("a call that was not made");
        let call = call.replace(&*self.root().to_string_lossy(), "");
        let wrong = |what: &str| {
            let (message, printed) = (&ended.message, String::from_utf8_lossy(&ended.printed));
            format!("{:?} {fault:?} {call}: {what}: {}\n{message}{printed}", self.arguments, ended.status)
        };
        let found = tree(&self.root());
        match ended.status.code() {
            _ if ended.message.contains("bug in cograd") => return Err(wrong("a panic")),
            None if fault.kind == "KILL" => {}
            Some(0) if self.without_leftovers(&found) != self.without_leftovers(after) => {
                return Err(wrong("success with another output"));
            }
            Some(0) if ended.printed != expected.printed => return Err(wrong("success, but it prints something else")),
            Some(0) => {}
            Some(1) if ended.message.contains("error: ") || ended.message.contains("stopped because") => {}
            _ => return Err(wrong("no way to end")),
        }
        if fault.kind == EINTR && !ended.status.success() {
            return Err(wrong("what was interrupted is not tried again"));
        }
        self.check_tree(&found, before, after).map_err(|what| wrong(&what))?;
        let again = self.run(None);
        let mut found = tree(&self.root());
        // Nobody sweeps the system's temporary directory after a process that is killed, or cannot remove its own files.
        if fault.kind == "KILL" || call.contains("/tmp/") {
            found.retain(|path, _| !path.starts_with("tmp") || path == Path::new("tmp"));
        }
        if !again.status.success() || again.printed != expected.printed {
            return Err(wrong(&format!("it does not succeed afterwards: {}", again.message)));
        }
        match differences(&found, after) {
            names if names.is_empty() => Ok(()),
            names => Err(wrong(&format!("afterwards these are not the same: {names:?}"))),
        }
    }

    /// Whether the study is unharmed, and the output the one of before or the new one.
    fn check_tree(&self, found: &Tree, before: &Tree, after: &Tree) -> Result<(), String> {
        let is_output = |path: &Path| self.output.is_some_and(|output| path.starts_with(output));
        let part = |tree: &Tree, output: bool| -> Tree {
            let tree = self.without_leftovers(tree);
            tree.into_iter().filter(|(path, _)| is_output(path) == output).collect()
        };
        let harmed = differences(&part(found, false), &part(before, false));
        if !harmed.is_empty() {
            return Err(format!("the study is harmed: {harmed:?}"));
        }
        let output = part(found, true);
        let is_whole = match self.output {
            // One finished run after the other.
            Some("study") => output.iter().all(|(path, bytes)| after.get(path) == Some(bytes)),
            _ => [before, after].iter().any(|whole| output == part(whole, true)),
        };
        // Where directories cannot be exchanged, the one of before has another name for a moment.
        if is_whole || (!self.can_exchange && output.is_empty()) { Ok(()) } else { Err("a torn output".into()) }
    }

    /// Without what a killed command leaves for the next to remove, and without unfinished runs.
    fn without_leftovers(&self, tree: &Tree) -> Tree {
        let is_left = |path: &Path| {
            let ends = [".lock", ".new", ".old", ".tmp", ".partial"];
            let hidden = |part: &std::ffi::OsStr| {
                let part = part.to_string_lossy();
                part.starts_with('.') && ends.iter().any(|end| part.ends_with(end))
            };
            path.starts_with("tmp") || path.iter().any(hidden)
        };
        tree.iter().filter(|(path, _)| !is_left(path)).map(|(path, bytes)| (path.clone(), bytes.clone())).collect()
    }
}

fn differences(left: &Tree, right: &Tree) -> Vec<PathBuf> {
    let names = left.keys().chain(right.keys());
    let mut names: Vec<PathBuf> = names.filter(|name| left.get(*name) != right.get(*name)).cloned().collect();
    names.sort();
    names.dedup();
    names
}

/// A directory with the experiment and its images.
fn workplace() -> Workplace {
    let place = Workplace::new();
    small_study::write_images(&place.path("root/idx"));
    place.write("root/tiny.toml", small_study::EXPERIMENT);
    place
}

fn succeed(place: &Workplace, command: &str) {
    place.cograd(command.split(' ')).current_dir(place.path("root")).arg("--quiet").assert().success();
}

/// Tries the faults of a command after other commands, separated by commas.
fn try_command(before: &str, command: &'static str, output: Option<&'static str>, can_exchange: bool) {
    if SHIM.is_none() {
        eprintln!("SKIPPED: only on Linux with glibc can calls be made to fail");
        return;
    }
    let place = workplace();
    before.split(", ").filter(|command| !command.is_empty()).for_each(|command| succeed(&place, command));
    Case { place, arguments: command.split(' ').collect(), output, can_exchange }.try_faults();
}

const RECORD: &str = "record tiny.toml --out study";
const ANALYZE: &str = "analyze study --null-worlds 20 --halves 40";

/// Recorded, analysed, reported and exported; then analysed in another way.
const STUDY: &str = "record tiny.toml --out study, analyze study --null-worlds 9 --halves 39, report study, export study, \
                     analyze study --null-worlds 20 --halves 40";

#[test]
fn record_survives_a_fault_at_every_call() {
    try_command("", RECORD, Some("study"), true);
}

#[test]
fn record_continued_survives_a_fault_at_every_call() {
    let Some(_) = SHIM.as_ref() else { return };
    let case =
        Case { place: workplace(), arguments: RECORD.split(' ').collect(), output: Some("study"), can_exchange: true };
    fs::create_dir(case.root().join("tmp")).expect("a directory");
    let before = tree(&case.root());
    assert!(case.run(None).status.success());
    let log = fs::read_to_string(case.place.path("log")).expect("a log");
    // The second checkpoint of the second run is in place.
    let mut renames =
        log.lines().enumerate().filter(|(_, line)| line.starts_with("rename") && line.contains(".checkpoint."));
    let (call, _) = renames.nth(3).expect("four checkpoints");
    restore(&case.root(), &before);
    assert_eq!(case.run(Some(Fault { call: call + 4, kind: "KILL" })).status.code(), None);
    case.try_faults();
}

#[test]
fn analyze_survives_a_fault_at_every_call() {
    try_command(
        "record tiny.toml --out study, analyze study --null-worlds 9 --halves 39",
        ANALYZE,
        Some("study/analysis"),
        true,
    );
}

#[test]
fn report_survives_a_fault_at_every_call() {
    try_command(STUDY, "report study", Some("study/report"), true);
}

#[test]
fn report_survives_a_fault_at_every_call_where_directories_cannot_be_exchanged() {
    try_command(STUDY, "report study", Some("study/report"), false);
}

#[test]
fn export_survives_a_fault_at_every_call() {
    try_command(STUDY, "export study", Some("study/export"), true);
}

#[test]
fn compare_survives_a_fault_at_every_call() {
    let before = "record tiny.toml --out study, analyze study --null-worlds 9 --halves 39, record tiny.toml --out other, \
                  analyze other --null-worlds 9 --halves 39, compare study other --curve alpha --out compared, \
                  analyze other --null-worlds 20 --halves 40";
    try_command(before, "compare study other --out compared", Some("compared"), true);
}

#[test]
fn audit_survives_a_fault_at_every_call() {
    try_command(
        "record tiny.toml --out study, analyze study --null-worlds 20 --halves 40, report study",
        "audit study --data idx --replay",
        None,
        true,
    );
}

#[test]
fn inspect_survives_a_fault_at_every_call() {
    try_command(RECORD, "inspect study --verify", None, true);
}
