//! `cograd demo`: the whole path on the embedded digits, for both experiments of the paper.

use std::path::{Path, PathBuf};

use cograd_recorder::{Experiment, RecordError};

use crate::arguments::{Analyze, Demo, Figures, Report, Results};
use crate::command;
use crate::output::{Output, shell};
use crate::signals;

pub fn run(arguments: &Demo, output: &Output) -> anyhow::Result<()> {
    let mut winsorize = arguments.out.clone().into_os_string();
    winsorize.push("-winsorize");
    let winsorize = PathBuf::from(winsorize);
    study(&cograd_recorder::demo(), &arguments.out, output)?;
    study(&cograd_recorder::demo_winsorize(), &winsorize, output)?;
    output.line("Next: open these in a browser");
    for study in [&arguments.out, &winsorize] {
        output.line(format_args!("  {}", shell(&study.join("report/index.html"))));
    }
    Ok(())
}

fn study(experiment: &Experiment, study: &Path, output: &Output) -> anyhow::Result<()> {
    command::record::record(experiment, study, Vec::new(), output)?;
    if signals::exit_code().is_some() {
        // It came too late to stop the recording, and is meant for the rest.
        return Err(RecordError::Stopped { runs: Vec::new() }.into());
    }
    command::analyze::analyze(&Analyze::with_defaults(study), output)?;
    let written = command::report::report(&Report {
        results: Results::usual(study),
        out: None,
        open: false,
        figures: Figures::default(),
    })?;
    output.wrote(written.iter().map(|path| path.as_path()));
    Ok(())
}
