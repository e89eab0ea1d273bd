//! `cograd completions`: the completion script of a shell.

use clap::CommandFactory;

use crate::arguments::{Arguments, Completions};
use crate::output::Output;

pub fn run(arguments: &Completions, output: &Output) -> anyhow::Result<()> {
    // Generated into memory first: clap_complete panics when its writer fails, as a closed pipe does.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "cograd", &mut script);
    output.result(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}
