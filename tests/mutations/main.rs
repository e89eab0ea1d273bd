//! Altered files of every kind, read in processes that may take 500 MB, and ten seconds for each.
//!
//! Input number i is the same in every run. `COGRAD_MUTATIONS=100000` tries so many, `COGRAD_MUTATIONS=70..71` one of them, with
//! what became of it on standard error.

#![cfg(unix)]

mod bench;
mod mutate;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bench::{Bench, Input, Reader, TARGETS};
use mutate::{Random, mutate};

/// Inputs of a usual run.
const USUAL: usize = 3000;

/// Inputs that a process tries before it ends.
const BATCH: usize = 500;

/// Bytes that a process may have.
const MOST_MEMORY: usize = 500 << 20;

/// Seconds of a processor that an input may be read, and seconds of a clock, by which a reader waits for what never comes.
const LONGEST: f64 = 10.0;
const LONGEST_WAIT: Duration = Duration::from_secs(200);

/// Of a hundred inputs, how many each reader gets.
const SHARES: [(Reader, usize); 9] = [
    (Reader::Trace, 52),
    (Reader::Results, 15),
    (Reader::Images, 12),
    (Reader::Experiment, 12),
    (Reader::Resume, 4),
    (Reader::ExampleFile, 2),
    (Reader::Report, 1),
    (Reader::Analysis, 1),
    (Reader::Audit, 1),
];

/// The system's allocator, which has nothing more to give from a limit on.
struct Limited;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator as it came, or answered with null, as a full one answers.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let allocated = ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(allocated, Ordering::Relaxed);
        if allocated > MOST_MEMORY {
            ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Limited = Limited;

/// The altered file of a number.
fn altered(bench: &Bench, number: usize) -> (&Input, Reader, Vec<u8>, bool) {
    let mut random = Random(number as u64);
    let mut left = random.below(SHARES.iter().map(|(_, share)| share).sum());
    let reader = SHARES.iter().find(|(_, share)| {
        let is_it = left < *share;
        left = left.saturating_sub(*share);
        is_it
    });
    let reader = reader.expect("a reader").0;
    let inputs: Vec<&Input> = bench.inputs.iter().filter(|input| input.readers.contains(&reader)).collect();
    let input = inputs[random.below(inputs.len())];
    let is_sealed = random.below(5) > 0;
    (input, reader, mutate(&input.bytes, &mut random), is_sealed)
}

/// Tries the inputs that the environment names; the test below runs this in processes of its own.
#[test]
#[ignore = "a part of the other test"]
fn batch() {
    let (numbers, progress) = match (std::env::var("MUTATIONS"), std::env::var("PROGRESS")) {
        (Ok(numbers), Ok(progress)) => (range(&numbers), PathBuf::from(progress)),
        _ => return,
    };
    let bench = Bench::new(Path::new(env!("CARGO_MANIFEST_DIR")));
    let progress = fs::File::create(progress).expect("a file");
    std::panic::set_hook(Box::new(|_| {}));
    for number in numbers {
        progress.write_all_at(&(number as u64).to_le_bytes(), 0).expect("progress");
        let (input, reader, bytes, is_sealed) = altered(&bench, number);
        let before = MOST.swap(ALLOCATED.load(Ordering::Relaxed), Ordering::Relaxed);
        let (started, input_path) = (Instant::now(), input.path.display());
        let caught = catch_unwind(AssertUnwindSafe(|| bench.try_input(input, reader, &bytes, is_sealed)));
        let most = MOST.fetch_max(before, Ordering::Relaxed);
        let (seconds, what) = (started.elapsed().as_secs_f64(), if is_sealed { "sealed" } else { "unsealed" });
        if std::env::var_os("COGRAD_MUTATIONS").is_some() {
            eprintln!("input {number}: {reader:?} of {input_path}, {what}: {seconds:.3} s, {} MB", most >> 20);
        }
        if let Err(panic) = caught {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
            eprintln!("PANIC at input {number}: {reader:?} of {input_path}, {what}: {}", message.unwrap_or_default());
            std::process::exit(101);
        }
    }
}

/// `A..B`, or `B` for `0..B`.
fn range(text: &str) -> Range<usize> {
    let (begin, end) = text.split_once("..").unwrap_or(("0", text));
    let number = |text: &str| text.parse().expect("a number of inputs, or A..B");
    number(begin)..number(end)
}

/// A process that tries some inputs.
struct Trial {
    numbers: Range<usize>,
    child: Child,
    progress: PathBuf,
    messages: PathBuf,
    /// The input that was last seen to be read, since when, and the processor's time then.
    last: (Option<usize>, Instant, f64),
}

impl Trial {
    fn begin(directory: &Path, numbers: Range<usize>) -> Trial {
        let [progress, messages] =
            ["progress", "messages"].map(|what| directory.join(format!("{what}-{}", numbers.start)));
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        command.args(["--exact", "batch", "--ignored", "--nocapture", "--test-threads", "1"]);
        command.env("MUTATIONS", format!("{}..{}", numbers.start, numbers.end)).env("PROGRESS", &progress);
        command.env("RAYON_NUM_THREADS", "1").env("POLARS_MAX_THREADS", "1").env("TMPDIR", directory);
        command.stdout(Stdio::null()).stderr(fs::File::create(&messages).expect("a file"));
        let child = command.spawn().expect("a process");
        Trial { numbers, child, progress, messages, last: (None, Instant::now(), 0.0) }
    }

    fn current(&self) -> Option<usize> {
        let bytes = fs::read(&self.progress).ok()?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?) as usize)
    }

    /// Seconds of a processor that it has taken.
    fn worked(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // User's and system's time, in hundredths, are the 14th and 15th field; the name before may have spaces.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace().skip(11).take(2);
        fields.map(|field| field.parse::<f64>().unwrap_or(0.0) / 100.0).sum()
    }

    /// `None` while it goes on; then where it failed, with why, or `None` within if it did not.
    fn end(&mut self) -> Option<Option<(usize, String)>> {
        let (current, worked) = (self.current(), self.worked());
        if current != self.last.0 {
            self.last = (current, Instant::now(), worked);
        }
        let number = current.unwrap_or(self.numbers.start);
        let messages = || fs::read_to_string(&self.messages).unwrap_or_default();
        match self.child.try_wait().expect("it runs") {
            Some(status) if status.success() => Some(None),
            Some(status) => Some(Some((number, format!("{status}: {}", messages())))),
            None if current.is_some() && (worked - self.last.2 > LONGEST || self.last.1.elapsed() > LONGEST_WAIT) => {
                self.child.kill().expect("it can be killed");
                self.child.wait().expect("it ends");
                Some(Some((number, format!("it takes longer than {LONGEST} s: {}", messages()))))
            }
            None => None,
        }
    }
}

/// The corpus holds the file of each target, as small as it is; `COGRAD_BLESS=1` writes it.
#[test]
fn every_fuzz_target_has_the_file_that_it_alters_in_its_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bench = Bench::new(root);
    for (target, path, _) in TARGETS {
        let input = bench.inputs.iter().find(|input| input.path == Path::new(path)).expect(path);
        let seed = root.join("fuzz/corpus").join(target).join("seed");
        if std::env::var_os("COGRAD_BLESS").is_some() {
            fs::create_dir_all(seed.parent().expect("a directory")).expect("a directory");
            fs::write(&seed, &input.bytes).expect("a seed");
        }
        let is_text = std::str::from_utf8(&input.bytes).is_ok();
        let found = fs::read(&seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
        assert!(found.len() <= 32 << 10 && std::str::from_utf8(&found).is_ok() == is_text, "{target}");
        assert!(root.join(format!("fuzz/targets/{target}.rs")).is_file(), "{target}");
    }
}

#[test]
fn no_altered_file_makes_a_reader_panic_abort_hang_or_take_the_memory() {
    let text = std::env::var("COGRAD_MUTATIONS").unwrap_or_else(|_| USUAL.to_string());
    let numbers = range(&text);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut pending: Vec<Range<usize>> =
        numbers.clone().step_by(BATCH).map(|begin| begin..(begin + BATCH).min(numbers.end)).rev().collect();
    let (mut trials, mut failures): (Vec<Trial>, Vec<String>) = (Vec::new(), Vec::new());
    let processes = std::thread::available_parallelism().map_or(1, usize::from);
    while !pending.is_empty() || !trials.is_empty() {
        while trials.len() < processes {
            let Some(numbers) = pending.pop() else { break };
            trials.push(Trial::begin(directory.path(), numbers));
        }
        trials.retain_mut(|trial| match trial.end() {
            None => true,
            Some(None) => {
                if numbers.len() <= BATCH {
                    eprintln!("{}", fs::read_to_string(&trial.messages).unwrap_or_default());
                }
                false
            }
            Some(Some((number, why))) => {
                eprintln!("input {number}: {why}");
                failures.push(format!("input {number}: {why}"));
                if number + 1 < trial.numbers.end {
                    pending.push(number + 1..trial.numbers.end);
                }
                false
            }
        });
        sleep(Duration::from_millis(20));
    }
    assert!(failures.is_empty(), "{} of {} inputs:\n{}", failures.len(), numbers.len(), failures.join("\n"));
}
