//! `cograd demo`: the whole path on the embedded digits.

use cograd_recorder::RecordError;

use crate::arguments::{Analyze, Demo, Report};
use crate::command;
use crate::output::Output;
use crate::signals;

pub fn run(arguments: &Demo, output: &Output) -> anyhow::Result<()> {
    let study = &arguments.out;
    command::record::record(&cograd_recorder::demo(), study, Vec::new(), output)?;
    if signals::exit_code().is_some() {
        // It came too late to stop the recording, and is meant for the rest.
        return Err(RecordError::Stopped { runs: Vec::new() }.into());
    }
    let analyze = Analyze { study: study.clone(), out: None, null_worlds: 1000, seed: 0 };
    command::analyze::analyze(&analyze, output)?;
    let written = command::report::report(&Report { study: study.clone(), analysis: None, out: None })?;
    output.wrote(written.iter().map(|path| path.as_path()));
    output.line(format_args!("Next: open {} in a browser", study.join("report/index.html").display()));
    Ok(())
}
