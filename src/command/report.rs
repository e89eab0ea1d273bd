//! `cograd report`: figures and one page from the results of the analysis, or figures alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cograd_reports::{FigureOptions, Format};

use crate::arguments::{FigureFormat, Figures, Report};
use crate::output::{Output, shell};

pub fn run(arguments: &Report, output: &Output) -> anyhow::Result<()> {
    let written = report(arguments)?;
    output.wrote(written.iter().map(|path| path.as_path()));
    if let Some(page) = written.iter().find(|path| path.extension().is_some_and(|extension| extension == "html")) {
        match arguments.open && open(page) {
            true => output.line(format_args!("Opened {}", shell(page))),
            false => output.line(format_args!("Next: open {} in a browser", shell(page))),
        }
    }
    Ok(())
}

/// Writes the report; the demo shares it.
pub fn report(arguments: &Report) -> anyhow::Result<Vec<PathBuf>> {
    let analysis = arguments.results.directory()?;
    let out = |made: &str| arguments.out.clone().unwrap_or_else(|| arguments.results.made(made));
    Ok(match arguments.figures.options() {
        Some(options) => cograd_reports::draw_figures(&analysis, &out("figures"), &options)?,
        None => cograd_reports::report(&analysis, &out("report"))?,
    })
}

impl Figures {
    /// None if nothing is asked for: then there is a page.
    fn options(&self) -> Option<FigureOptions> {
        let Figures { figure, format, width, font_size } = self;
        if figure.is_empty() && format.is_empty() && width.is_none() && font_size.is_none() {
            return None;
        }
        let usual = FigureOptions::default();
        let mut formats: Vec<Format> = Vec::new();
        for format in format.iter().map(|format| format.known()) {
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        Some(FigureOptions {
            figures: figure.clone(),
            formats: if formats.is_empty() { usual.formats } else { formats },
            width: *width,
            font_size: font_size.unwrap_or(usual.font_size),
        })
    }
}

impl FigureFormat {
    fn known(self) -> Format {
        match self {
            FigureFormat::Svg => Format::Svg,
            FigureFormat::Pdf => Format::Pdf,
            FigureFormat::Png => Format::Png,
        }
    }
}

/// Asks the desktop to open a file; false if it has nothing that can.
fn open(page: &Path) -> bool {
    let (program, arguments): (&str, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        "windows" => ("explorer", &[]),
        _ => ("xdg-open", &[]),
    };
    let status = Command::new(program).args(arguments).arg(page).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success() || cfg!(windows))
}
