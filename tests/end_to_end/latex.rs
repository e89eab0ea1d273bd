//! A document with figures and exported tables compiles.

use std::process::Command;

use crate::common::{TINY, Workplace};

/// Names groups of which every letter means something to TeX, or nothing.
const GROUPS: [&str; 4] =
    ["100 % of a_b & c", "{x}\\y ~ ^2 #1 $z$", "ünïcödé, e\u{301} naïve ŞŁąę", "ε ≤ ½, 中 <|> \"q\""];

const DOCUMENT: &str = r"\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs}
\usepackage{graphicx}
\begin{document}
\begin{table}\small\input{tables/tests.tex}\caption{Tests.}\end{table}
\begin{table}\small\input{tables/predictions.tex}\caption{Predictions.}\end{table}
\begin{table}\tiny\input{tables-of-groups/tests.tex}\caption{Tests of odd names.}\end{table}
\begin{table}\small\input{comparison/export/comparison_tests.tex}\caption{A comparison.}\end{table}
\begin{figure}\includegraphics{figures/overview.pdf}\caption{The study.}\end{figure}
\begin{figure}\includegraphics{figures/learning.pdf}\includegraphics{figures/shares-null-band.pdf}\caption{Two figures.}\end{figure}
\end{document}
";

/// Whether pdfTeX is there: with `COGRAD_LATEX` in the environment it must be.
fn is_there() -> bool {
    let found = Command::new("pdflatex").arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(found || std::env::var_os("COGRAD_LATEX").is_none(), "pdflatex is not there");
    found
}

#[test]
fn a_document_with_figures_and_exported_tables_compiles() {
    if !is_there() {
        return;
    }
    let place = Workplace::new();
    let seeds = TINY.replace("seeds = [1]", "seeds = [1, 2]");
    place.write("tiny.toml", &seeds);
    place.write("other.toml", &seeds.replace("name = \"tiny\"", "name = \"Ω 50 %_x\"").replace("= 0.1", "= 0.2"));
    let run = |arguments: &[&str]| {
        place.cograd(arguments.iter().copied().chain(["--quiet"])).assert().success();
    };
    let few = ["--null-worlds", "50", "--halves", "0"];
    for study in ["tiny", "other"] {
        run(&["record", &format!("{study}.toml"), "--out", study]);
        run(&[&["analyze", study][..], &few].concat());
    }
    run(&["export", "tiny", "--format", "tex", "--table", "tests", "--table", "predictions", "--out", "tables"]);
    let row = |id: usize| format!("{id},\"{}\"\n", GROUPS[id % 4].replace('"', "\"\""));
    place.write("groups.csv", &format!("example_id,group\n{}", (0..1500).map(row).collect::<String>()));
    run(&[&["analyze", "tiny", "--group-by", "groups.csv", "--out", "by-group"][..], &few].concat());
    run(&["export", "tiny", "--analysis", "by-group", "--format", "tex", "--out", "tables-of-groups"]);
    run(&["compare", "tiny", "other", "--curve", "test_accuracy", "--curve", "share"]);
    run(&["export", "comparison", "--format", "tex"]);
    let figures = ["--figure", "overview,learning,shares-null-band", "--format", "pdf"];
    run(&[&["report", "tiny", "--width", "2.3in", "--font-size", "7pt", "--out", "figures"], &figures[..]].concat());

    place.write("document.tex", DOCUMENT);
    let mut latex = Command::new("pdflatex");
    latex.args(["-interaction=nonstopmode", "-halt-on-error", "document.tex"]).current_dir(place.path(""));
    let output = latex.output().expect("pdflatex starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !said.contains("Missing character"), "{said}");
    assert!(place.path("document.pdf").is_file());
    let log = std::fs::read_to_string(place.path("document.log")).expect("a log");
    let used = ["overview", "learning", "shares-null-band"].map(|name| format!("<use ./figures/{name}.pdf>"));
    assert!(used.iter().all(|name| log.replace('\n', "").contains(&name.replace("./", ""))), "{log}");
    // What stands on the page is what the groups are called.
    let text = std::fs::read_to_string(place.path("tables-of-groups/tests.tex")).expect("a table");
    assert!(text.contains("100 \\% of a\\_b \\& c") && text.contains("\\cogradletter{中}{4E2D}"), "{text}");
}
