//! `cograd watch`: a page on this machine with what a study that is being recorded holds so far.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use cograd_analysis::{NoObserver, Options};
use cograd_trace::{Progress, SoFar, copy_so_far, last_written};

use crate::arguments::{Watch, existing};
use crate::output::{Output, number, shell};
use crate::server::{Pages, Server};
use crate::{bug, signals};

/// How often the study is looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often it is looked whether to end.
const PATIENCE: Duration = Duration::from_millis(50);
/// For so many times as long as an analysis took, the machine is left to the recording.
const REST: u32 = 3;

pub fn run(arguments: &Watch, output: &Output) -> anyhow::Result<()> {
    let study = existing(&arguments.study)?.to_path_buf();
    let is_empty = fs::read_dir(&study).with_context(|| format!("cannot list {}", study.display()))?.next().is_none();
    if !is_empty {
        last_written(&study)?;
    }
    let stop = signals::listen()?;
    let port = arguments.port;
    let server = Arc::new(Server::bind(port).with_context(|| format!("cannot serve on port {port}: try --port 0"))?);
    let directory = tempfile::Builder::new().prefix("cograd-watch-").tempdir().context("no temporary directory")?;
    let mut watcher = Watcher { name: name_of(&study), study, server: Arc::clone(&server), pages: 0 };
    watcher.say("The first page is being made.");
    let (address, shown) = (server.address()?, shell(&watcher.study));
    thread::spawn(move || server.run());
    let place = directory.path().to_path_buf();
    thread::spawn(move || watcher.watch(&place));
    output.result(format_args!("http://{address}/ shows what {shown} holds so far; Ctrl-C ends it"));
    while !stop.load(Ordering::SeqCst) {
        thread::sleep(PATIENCE);
    }
    remove(directory.path())
}

/// Removes the temporary directory, into which an analysis may still be writing.
fn remove(directory: &Path) -> anyhow::Result<()> {
    let mut attempts = (0..100).map(|_| match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            thread::sleep(PATIENCE);
            Err(error)
        }
        _ => Ok(()),
    });
    let last = attempts.find(Result::is_ok);
    last.unwrap_or(Ok(())).with_context(|| format!("cannot remove {}", directory.display()))
}

fn name_of(study: &Path) -> String {
    let real = fs::canonicalize(study).unwrap_or_else(|_| study.to_path_buf());
    real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_else(|| "study".to_string())
}

struct Watcher {
    study: std::path::PathBuf,
    name: String,
    server: Arc<Server>,
    /// How many pages there were.
    pages: u64,
}

impl Watcher {
    /// Makes a page whenever more is recorded.
    fn watch(&mut self, place: &Path) {
        let mut seen = None;
        loop {
            let started = Instant::now();
            let found = last_written(&self.study).ok();
            if seen != Some(found.clone()) {
                let made = bug::guarded(|| self.refresh(place));
                // What failed because it changed on the way is made again.
                let changed = || last_written(&self.study).ok() != found;
                match made {
                    Ok(()) => seen = Some(found),
                    Err(_) if changed() => {}
                    Err(error) => {
                        let why: Vec<String> = error.chain().map(ToString::to_string).collect();
                        self.say(&format!("What there is cannot be analysed: {}.", why.join(": ")));
                        seen = Some(found);
                    }
                }
            }
            thread::sleep(INTERVAL.max(REST * started.elapsed()));
        }
    }

    /// Analyses what is there in a place of its own, and shows the report.
    fn refresh(&mut self, place: &Path) -> anyhow::Result<()> {
        // The analysis calls the study by its directory's name, unless its experiment has one.
        let copy = place.join(&self.name);
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        fs::create_dir_all(&copy)?;
        let so_far = match last_written(&self.study) {
            Ok(_) => copy_so_far(&self.study, &copy)?,
            Err(_) => SoFar { finished: Vec::new(), unfinished: Vec::new() },
        };
        if so_far.finished.is_empty() && so_far.unfinished.iter().all(|(_, progress)| progress.is_none()) {
            self.say(&format!("Nothing is recorded yet that could be shown. {}.", told(&so_far)));
            return Ok(());
        }
        let analysis = cograd_analysis::analyze(&copy, None, &Options::default(), &NoObserver)?;
        let report = copy.join("report");
        let files = cograd_reports::report(&analysis.directory, &report)?;
        let (mut pages, mut html) = (Pages::new(), String::new());
        for file in files {
            let name = file.strip_prefix(&report).unwrap_or(&file).to_string_lossy().replace('\\', "/");
            let bytes = fs::read(&file)?;
            match name.as_str() {
                "index.html" => html = String::from_utf8(bytes)?,
                _ => drop(pages.insert(format!("/{name}"), bytes)),
            }
        }
        self.show(html, pages, &format!("{}.", told(&so_far)));
        Ok(())
    }

    /// Serves a page with nothing on it.
    fn say(&mut self, sentence: &str) {
        let name = escaped(&self.name);
        let html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{name}</title>\n</head>\n\
             <body>\n<main><h1>{name}</h1></main>\n</body>\n</html>\n"
        );
        self.show(html, Pages::new(), sentence);
    }

    /// Serves a page, marked for what it is.
    fn show(&mut self, html: String, mut pages: Pages, said: &str) {
        self.pages += 1;
        let version = format!("{}-{}", std::process::id(), self.pages);
        let marked = marked(&html, &self.name, said, &version);
        pages.insert("/".to_string(), marked.clone().into_bytes());
        pages.insert("/index.html".to_string(), marked.into_bytes());
        pages.insert("/version.txt".to_string(), version.into_bytes());
        self.server.publish(pages);
    }
}

/// What there is, in a sentence or two, and each unfinished run.
fn told(so_far: &SoFar) -> String {
    let SoFar { finished, unfinished } = so_far;
    if unfinished.is_empty() && !finished.is_empty() {
        return "Every run that was begun is finished; `cograd analyze` makes the results".to_string();
    }
    let runs = unfinished.iter().map(|(run, progress)| match progress {
        Some(Progress { step, steps }) if step < steps => format!("{run}: step {step} of {steps}"),
        Some(Progress { step, .. }) => format!("{run}: step {step}"),
        None => format!("{run}: nothing before its first checkpoint"),
    });
    let runs: Vec<String> = runs.collect();
    let finished = number(finished.len(), "run");
    format!("{finished} finished, {} not. {}", unfinished.len(), runs.join("; "))
}

/// The page with a mark on top that nobody takes for results, and what loads it again once there is another.
fn marked(html: &str, name: &str, said: &str, version: &str) -> String {
    let refresh = "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n";
    let title = format!("{refresh}<title>Unfinished: {}</title>\n", escaped(name));
    let html = match (html.find("<title>"), html.find("</title>")) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}{}", &html[..start], title.trim_end(), &html[end + "</title>".len()..])
        }
        _ => html.to_string(),
    };
    let mark = format!(
        "\n<div id=\"unfinished\" role=\"status\" style=\"position:fixed;inset:auto 0 0 0;z-index:9;margin:0;padding:.6rem 1rem;\
         background:#8a1c00;color:#fff;font:1rem/1.4 sans-serif;max-height:30vh;overflow:auto\">\
         <strong>Unfinished, no results.</strong> This is what {} had recorded when the page was made. {} \
         <span id=\"watched\"></span></div>\n<script>\nsetInterval(async () => {{\n  const said = document.getElementById(\"watched\");\n\
         \x20 try {{\n    if ((await (await fetch(\"version.txt\")).text()) !== \"{version}\") location.reload();\n    said.textContent = \"\";\n\
         \x20 }} catch {{ said.textContent = \"The watch has ended: this page is not renewed any more.\"; }}\n}}, 2000);\n</script>\n",
        escaped(name),
        escaped(said)
    );
    let body = html.find("<body").and_then(|start| Some(start + html[start..].find('>')? + 1));
    match body {
        Some(body) => format!("{}{mark}{}", &html[..body], &html[body..]),
        None => mark + &html,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
