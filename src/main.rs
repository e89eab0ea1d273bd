//! `cograd`: flags in, calls out. Everything it does lives in the four libraries of this workspace.

mod arguments;
mod bug;
mod command;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::output::Output;

fn main() -> ExitCode {
    // Usage errors end here with exit code 2, `--help` and `--version` with 0.
    let arguments = Arguments::parse();
    let output = Output::new(arguments.quiet);
    match bug::guarded(|| run(arguments, &output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments, output: &Output) -> anyhow::Result<()> {
    use_threads(arguments.threads)?;
    match arguments.command {
        Command::Demo(demo) => command::demo::run(&demo, output),
        Command::Record(record) => command::record::run(&record, output),
        Command::Analyze(analyze) => command::analyze::run(&analyze, output),
        Command::Report(report) => command::report::run(&report, output),
        Command::Inspect(inspect) => command::inspect::run(&inspect, output),
        Command::Completions(completions) => command::completions::run(&completions, output),
    }
}

/// Every library works on the current rayon pool, so that this is the only place that knows of `--threads`.
fn use_threads(threads: Option<usize>) -> anyhow::Result<()> {
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = threads {
        pool = pool.num_threads(threads);
    }
    Ok(pool.build_global()?)
}
