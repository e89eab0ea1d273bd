//! `cograd`: flags in, calls out. Everything it does lives in the libraries of this workspace.

mod arguments;
mod bug;
mod command;
mod output;
mod progress;
mod server;
mod signals;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use cograd_recorder::RecordError;

use crate::arguments::{Arguments, Command};
use crate::output::Output;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => return usage(&told),
    };
    let output = Output::new(arguments.quiet);
    match bug::guarded(|| run(arguments, &output).and_then(|()| output.finish())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(code) = interrupted(&error) {
                output.notice(&error);
                return code;
            }
            output.error(&error);
            let usage = matches!(error.downcast_ref(), Some(RecordError::NothingSelected { .. }));
            if usage { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Usage errors end with exit code 2, `--help` and `--version` with 0, or 1 if they cannot be written.
fn usage(told: &clap::Error) -> ExitCode {
    let printed = output::seen(told.print().and_then(|()| std::io::stdout().flush()));
    match (told.exit_code(), printed) {
        (0, Ok(())) => ExitCode::SUCCESS,
        (0, Err(error)) => {
            output::warn(format_args!("error: cannot write to standard output\n  because: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::from(2),
    }
}

/// The exit code that says more than 1: 130 or 143 for a recording that a signal stopped, which is no error.
fn interrupted(error: &anyhow::Error) -> Option<ExitCode> {
    matches!(error.downcast_ref(), Some(RecordError::Stopped { .. }))
        .then(signals::exit_code)
        .flatten()
        .map(ExitCode::from)
}

fn run(arguments: Arguments, output: &Output) -> anyhow::Result<()> {
    use_threads(arguments.threads)?;
    match arguments.command {
        Command::Init(init) => command::init::run(&init, output),
        Command::Demo(demo) => command::demo::run(&demo, output),
        Command::Record(record) => command::record::run(&record, output),
        Command::Analyze(analyze) => command::analyze::run(&analyze, output),
        Command::Report(report) => command::report::run(&report, output),
        Command::Compare(compare) => command::compare::run(&compare, output),
        Command::Export(export) => command::export::run(&export, output),
        Command::Inspect(inspect) => command::inspect::run(&inspect, output),
        Command::Audit(audit) => command::audit::run(&audit, output),
        Command::Watch(watch) => command::watch::run(&watch, output),
        Command::Data(data) => command::data::run(&data, output),
        Command::Import(import) => command::import::run(&import),
        Command::Completions(completions) => command::completions::run(&completions, output),
    }
}

/// Every library works on the current rayon pool, so that this is the only place that knows of `--threads`.
fn use_threads(threads: Option<usize>) -> anyhow::Result<()> {
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = threads {
        bound_polars(threads)?;
        pool = pool.num_threads(threads);
    }
    Ok(pool.build_global()?)
}

/// polars has a pool of its own, whose size is an environment variable that it reads when it starts. A program can safely
/// set one for a new process only, so this one starts again in its own place.
#[cfg(unix)]
fn bound_polars(threads: usize) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt;
    const VARIABLE: &str = "POLARS_MAX_THREADS";
    let threads = threads.to_string();
    if std::env::var(VARIABLE).is_ok_and(|bound| bound == threads) {
        return Ok(());
    }
    let arguments = std::env::args_os().skip(1);
    // Returns only if it fails.
    Err(std::process::Command::new(std::env::current_exe()?).args(arguments).env(VARIABLE, threads).exec().into())
}

/// Elsewhere the variable has to be set by hand.
#[cfg(not(unix))]
fn bound_polars(_: usize) -> anyhow::Result<()> {
    Ok(())
}
