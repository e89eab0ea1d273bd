//! `cograd import`: a run of what another program stored, by the importers of the Python package.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, bail};

use crate::arguments::{Import, Stored};

/// Ends with 0 if the package is there.
const IS_THERE: &str = "import importlib.util, sys; sys.exit(importlib.util.find_spec('cograd') is None)";

pub fn run(arguments: &Import) -> anyhow::Result<()> {
    let (module, arguments) = match &arguments.kind {
        Stored::Bergson { arguments } => ("cograd.bergson", arguments),
    };
    let python = python();
    let run = |rest: &[OsString]| {
        let started = Command::new(&python).args(rest).status();
        started.with_context(|| format!("cannot start {}; COGRAD_PYTHON names another", python.display()))
    };
    if !run(&["-c", IS_THERE].map(OsString::from))?.success() {
        bail!(
            "importing needs the Python package, and {} has it not: `pip install ./python` in the clone, or name another \
             Python in COGRAD_PYTHON",
            python.display()
        );
    }
    let module = ["-m", module].map(OsString::from);
    if !run(&[&module[..], arguments].concat())?.success() {
        bail!("nothing was imported");
    }
    Ok(())
}

/// The Python of the wheel that this command came with, or that of the path.
fn python() -> OsString {
    let beside = || Some(std::env::current_exe().ok()?.with_file_name("python3")).filter(|python| python.is_file());
    let named = std::env::var_os("COGRAD_PYTHON");
    named.or_else(|| beside().map(OsString::from)).unwrap_or_else(|| "python3".into())
}
