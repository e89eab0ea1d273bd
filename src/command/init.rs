//! `cograd init`: an experiment to begin with, and what an editor needs to know of its keys.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, bail};

use crate::arguments::Init;
use crate::output::{Output, shell};

/// The schema beside experiments, which their first line names.
const SCHEMA: &str = "cograd.schema.json";

pub fn run(arguments: &Init, output: &Output) -> anyhow::Result<()> {
    let file = &arguments.file;
    if !write_new(file, cograd_recorder::TEMPLATE)? {
        bail!("{} is there already, and is left as it is; name another file", file.display());
    }
    let schema = file.with_file_name(SCHEMA);
    let mut written = vec![file.as_path()];
    match write_new(&schema, cograd_recorder::SCHEMA)? {
        true => written.push(&schema),
        false if cograd_files::read_regular_text(&schema).is_ok_and(|text| text == cograd_recorder::SCHEMA) => {}
        false => output.notice(format_args!(
            "{} is there already, of another version perhaps, and is left as it is",
            schema.display()
        )),
    }
    output.wrote(written);
    output.line(format_args!("Next: cograd record {}", shell(file)));
    Ok(())
}

/// Writes a file that is not there yet, whole or not at all; false if there is something of its name.
fn write_new(path: &Path, text: &str) -> anyhow::Result<bool> {
    let mut file = match File::create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
    };
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // The first error is the one to report.
        let _ = std::fs::remove_file(path);
    }
    written.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}
