//! `cograd audit`: every claim of a study, checked.

use anyhow::bail;
use cograd_audit::{Claim, Sources, Verdict};

use crate::arguments::Audit;
use crate::output::{Output, shell, table};

pub fn run(arguments: &Audit, output: &Output) -> anyhow::Result<()> {
    let study = &arguments.results.study;
    let analysis = arguments.results.directory()?;
    let report = arguments.report.clone().unwrap_or_else(|| arguments.results.made("report"));
    let sources = Sources { data: arguments.data.clone(), replay: arguments.replay };
    let audit = cograd_audit::audit_with(study, &analysis, &report, &sources)?;
    let tally = audit.tally();
    if arguments.json {
        output.result(serde_json::to_string_pretty(&audit)?);
    } else {
        let header = ["claim", "of", "verdict", "why"].map(str::to_string).to_vec();
        let shown = audit.claims.iter().filter(|claim| arguments.all || claim.verdict != Verdict::Pass);
        let rows: Vec<Vec<String>> = std::iter::once(header).chain(shown.map(row)).collect();
        table(&rows).iter().for_each(|line| output.line(line));
        output.line(&tally);
        if audit.is_clean() {
            output.line(format_args!("Next: cograd export {} --format csv", shell(study)));
        }
    }
    if !audit.is_clean() {
        bail!("{} does not hold what it claims: {tally}", study.display());
    }
    Ok(())
}

fn row(claim: &Claim) -> Vec<String> {
    let deviation = match (claim.deviation, claim.allowed) {
        (Some(deviation), Some(allowed)) => format!("; largest deviation {deviation:.1e} of {allowed:.0e} allowed"),
        _ => String::new(),
    };
    let why = format!("{}{deviation}", claim.why);
    vec![claim.claim.clone(), claim.subject.clone(), claim.verdict.as_str().to_string(), why]
}
