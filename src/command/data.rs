//! `cograd data`: public data sets that experiments read.

use std::path::{Path, PathBuf};

use cograd_fetch::{SOURCES, Source};

use crate::arguments::{Data, DataAction, Fetch};
use crate::output::{Output, bytes, number, table};

pub fn run(arguments: &Data, output: &Output) -> anyhow::Result<()> {
    match &arguments.action {
        DataAction::List => {
            list(output);
            Ok(())
        }
        DataAction::Fetch(fetch) => run_fetch(fetch, output),
    }
}

fn list(output: &Output) {
    let header = ["name", "download", "licence", "what it is"].map(String::from).to_vec();
    let row =
        |source: &Source| vec![source.name.into(), bytes(source.bytes()), source.licence.into(), source.about.into()];
    let rows: Vec<_> = std::iter::once(header).chain(SOURCES.iter().map(row)).collect();
    table(&rows).iter().for_each(|line| output.result(line));
}

fn run_fetch(arguments: &Fetch, output: &Output) -> anyhow::Result<()> {
    let source = arguments.source;
    let directory = arguments.out.clone().unwrap_or_else(|| Path::new("data").join(source.name));
    let fetched = fetch(source, &directory, arguments, output)?;
    match fetched.is_empty() {
        true => output.line(format_args!(
            "{} of {} in {}: there already, and right",
            number(source.files.len(), "file"),
            source.name,
            directory.display()
        )),
        false => output.wrote(fetched.iter().map(PathBuf::as_path)),
    }
    output.line("Next: in the experiment, under [data]");
    output.line(format_args!("  source = \"{}\"", source.reader));
    let directory = directory.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    output.line(format_args!("  directory = \"{directory}\""));
    Ok(())
}

/// The files that were not there before.
#[cfg(feature = "fetch")]
fn fetch(source: &Source, directory: &Path, arguments: &Fetch, output: &Output) -> anyhow::Result<Vec<PathBuf>> {
    /// How long a server may say nothing.
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
    let client = cograd_fetch::Client::new(arguments.mirror.as_deref(), PATIENCE);
    let progress = crate::progress::Download::new(output);
    let fetched =
        cograd_fetch::fetch(source, directory, &client, &|file, done| progress.show(file.name, done, file.bytes));
    progress.clear();
    Ok(fetched?)
}

/// Without downloads: whether all files are there, and otherwise how to get them.
#[cfg(not(feature = "fetch"))]
fn fetch(source: &Source, directory: &Path, arguments: &Fetch, _: &Output) -> anyhow::Result<Vec<PathBuf>> {
    use crate::output::shell;
    use cograd_fetch::Listed;

    let missing = cograd_fetch::missing(source, directory)?;
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let to = shell(directory);
    let downloads = source.archive.as_ref().map_or(missing, |archive| vec![&archive.file]);
    let download = |file: &&Listed| {
        let url = source.address(file, arguments.mirror.as_deref());
        format!("curl --fail --location --create-dirs --output-dir {to} -O {}", shell(Path::new(&url)))
    };
    let mut commands: Vec<String> = downloads.iter().map(download).collect();
    if let Some(archive) = &source.archive {
        let packed = shell(&directory.join(archive.file.name));
        commands.push(format!("tar -xzf {packed} -C {to} --strip-components 1"));
    }
    anyhow::bail!(
        "this cograd was built without downloads: build it with `--features fetch`, or run this, and then the same again to check \
         what came:\n  {}",
        commands.join("\n  ")
    )
}
