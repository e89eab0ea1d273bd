//! Tables as LaTeX, with the rules of booktabs: a `tabular` for `\input`, of the rows that are of no single step.
//!
//! It is for reading: numbers are rounded, a p-value is the bound that its null worlds allow, and what is the same in every row
//! stands in a comment.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use cograd_files::write_atomically;
use cograd_results::prediction::{self, Unit};
use cograd_results::{Kind, Results, Rows, Scope, table};

use crate::AnalysisError;

/// Columns that say in other numbers what those beside them say.
const LEFT_OUT: [&str; 4] = ["exceedances", "p_lower", "p_upper", "order"];

/// A missing number.
const MISSING: &str = "--";

/// Digits of a number, and of a p-value.
const DIGITS: usize = 3;
const DIGITS_OF_P: usize = 2;

/// What the letters that pdfTeX has not become: they need another engine.
const FALLBACK: &str = "\\providecommand{\\cogradletter}[2]{\\ifdefined\\directlua#1\\else\\ifdefined\\XeTeXrevision#1\\else[U+#2]\\fi\\fi}\n";

/// Writes a table; `None` if all of its rows are of single steps.
pub(super) fn write(results: &Results, name: &str, directory: &Path) -> Result<Option<PathBuf>, AnalysisError> {
    let Some(rows) = results.rows(name)? else { return Ok(None) };
    let whole: Vec<usize> = (0..rows.len()).filter(|row| rows.integer("step", *row).is_none()).collect();
    if whole.is_empty() && rows.columns().any(|column| column == "step") {
        return Ok(None);
    }
    let (mut columns, constant) = match name {
        "predictions" => (predictions(results, &rows), Vec::new()),
        _ => general(results, name, &rows, &whole),
    };
    let is_there = |cell: &String| !cell.is_empty() && cell != MISSING;
    columns.retain(|column| column.cells.iter().any(is_there) || column.cells.is_empty());
    let path = directory.join(format!("{name}.tex"));
    let text = tabular(results, name, &columns, &constant);
    write_atomically(&path, text.as_bytes()).map_err(|error| AnalysisError::Output(error.into()))?;
    Ok(Some(path))
}

/// A column as it is printed.
struct Column {
    heading: String,
    /// `l`, `r` or a width.
    alignment: &'static str,
    cells: Vec<String>,
}

fn tabular(results: &Results, name: &str, columns: &[Column], constant: &[String]) -> String {
    let line = |cells: Vec<&str>| format!("{} \\\\\n", cells.join(" & "));
    let alignment: String = columns.iter().map(|column| column.alignment).collect();
    let mut body = format!("\\begin{{tabular}}{{{alignment}}}\n\\toprule\n");
    body += &line(columns.iter().map(|column| column.heading.as_str()).collect());
    body += "\\midrule\n";
    let rows = columns.first().map_or(0, |column| column.cells.len());
    for row in 0..rows {
        body += &line(columns.iter().map(|column| column.cells[row].as_str()).collect());
    }
    body += "\\bottomrule\n\\end{tabular}\n";
    let study = results.summary().study.name.replace(char::is_control, " ");
    let mut text = format!(
        "% Table {name} of {study}, by cograd {}.\n% Needs \\usepackage{{booktabs}}, and \\usepackage[T1]{{fontenc}} for accents.\n",
        results.summary().cograd.replace(char::is_control, " ")
    );
    if !constant.is_empty() {
        let _ = writeln!(text, "% In every row: {}.", constant.join(", ").replace(char::is_control, " "));
    }
    let fallback = if body.contains("\\cogradletter") { FALLBACK } else { "" };
    text + fallback + &body
}

/// Every column of a table, and what is the same in all rows.
fn general(results: &Results, name: &str, rows: &Rows, whole: &[usize]) -> (Vec<Column>, Vec<String>) {
    let definition = table(name);
    let conditions: Vec<&str> = results.summary().conditions.iter().map(|condition| condition.name.as_str()).collect();
    let is_condition = |column: &str| conditions.contains(&column) || column == "seed";
    let numbers: Vec<&str> = rows
        .columns()
        .filter(|column| rows.kind(column) == Some(Kind::Number) && !is_condition(column) && !LEFT_OUT.contains(column))
        .collect();
    // A row in which nothing could be computed says nothing.
    let says = |row: &usize| numbers.is_empty() || numbers.iter().any(|column| rows.number(column, *row).is_some());
    let whole: Vec<usize> = whole.iter().copied().filter(says).collect();
    let has_run = definition.is_some_and(|table| table.scope == Scope::Run) && !conditions.is_empty();
    let (mut columns, mut constant) = (Vec::new(), Vec::new());
    for column in rows.columns() {
        let is_redundant = LEFT_OUT.contains(&column) || column == "step" || column == "run" && has_run;
        let Some(kind) = rows.kind(column).filter(|_| !is_redundant) else { continue };
        let plain: Vec<String> = whole.iter().map(|row| shortest(rows, column, *row)).collect();
        let tells = is_condition(column) || matches!(kind, Kind::Text) || column == "worlds";
        if tells && plain.len() > 1 && plain.iter().all(|value| *value == plain[0]) {
            constant.extend((!plain[0].is_empty()).then(|| format!("{column} = {}", plain[0])));
            continue;
        }
        let cell = |row: usize| match rows.number(column, row) {
            Some(value) if matches!(column, "p" | "p_holm") => {
                p_value(value, rows.count("exceedances", row) == Some(0))
            }
            Some(value) if kind == Kind::Number && !is_condition(column) => number(value, DIGITS),
            Some(_) => in_math(&shortest(rows, column, row)),
            None if matches!(kind, Kind::Text | Kind::Boolean) => escaped(&shortest(rows, column, row)),
            None => MISSING.to_string(),
        };
        columns.push(Column {
            heading: heading(column, definition),
            alignment: if matches!(kind, Kind::Text | Kind::Boolean) { "l" } else { "r" },
            cells: whole.iter().map(|row| cell(*row)).collect(),
        });
    }
    (columns, constant)
}

/// A value in full.
fn shortest(rows: &Rows, column: &str, row: usize) -> String {
    let text = rows.text(column, row).map(str::to_string);
    let whole = || rows.integer(column, row).map(|value| value.to_string());
    let count = || rows.count(column, row).map(|value| value.to_string());
    let number = || rows.number(column, row).map(|value| value.to_string());
    let boolean = || rows.boolean(column, row).map(|value| if value { "yes" } else { "no" }.to_string());
    text.or_else(whole).or_else(count).or_else(number).or_else(boolean).unwrap_or_default()
}

fn heading(column: &str, table: Option<&cograd_results::Table>) -> String {
    let known = match column {
        "noise" => "$\\varepsilon$",
        "winsorization" => "$c$ (\\%)",
        "p" => "$p$",
        "p_holm" => "$p$ (Holm)",
        "t" => "$t$",
        "freedom" => "$\\nu$",
        "group_a" => "group",
        "group_b" => "other group",
        "study_a" => "study",
        "study_b" => "other study",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_string();
    }
    let of = table.and_then(|table| table.columns.iter().find(|known| known.name == column));
    let unit = of.map_or("", |column| column.unit);
    let words = escaped(&column.replace('_', " "));
    if unit.is_empty() { words } else { format!("{words} ({})", escaped(unit)) }
}

/// The predictions of the paper, a verdict each and the numbers that it was made of.
fn predictions(results: &Results, rows: &Rows) -> Vec<Column> {
    let smallest = 1.0 / (results.summary().options.null_worlds as f64 + 1.0);
    let column = |heading: &str, alignment, cell: &dyn Fn(usize) -> Option<String>| Column {
        heading: heading.to_string(),
        alignment,
        cells: (0..rows.len()).map(|row| cell(row).unwrap_or_default()).collect(),
    };
    let known = |row: usize| prediction::prediction(rows.text("prediction", row)?);
    let quantity = |row: usize| {
        let name = rows.text("quantity", row)?;
        known(row)?.quantities.iter().find(|quantity| quantity.name == name)
    };
    let is_whole = |row: usize| rows.text("quantity", row).is_none();
    let words = |column: &str, row: usize| rows.text(column, row).map(|text| escaped(&text.replace('_', " ")));
    let measured = |column: &str, row: usize| {
        let value = rows.number(column, row)?;
        Some(match quantity(row).map(|quantity| quantity.unit) {
            Some(Unit::Percent) => format!("{}\\,\\%", number(100.0 * value, DIGITS)),
            Some(Unit::Steps) if value.is_infinite() => "never".to_string(),
            Some(Unit::Steps) if value.fract() == 0.0 => value.to_string(),
            _ => number(value, DIGITS),
        })
    };
    let condition = |name: &str, row: usize| rows.number(name, row).map(|_| in_math(&shortest(rows, name, row)));
    vec![
        column("\\S", "l", &|row| Some(if is_whole(row) { known(row)?.section.to_string() } else { String::new() })),
        column("prediction", "p{0.4\\linewidth}", &|row| match (is_whole(row), known(row), quantity(row)) {
            (true, Some(known), _) => Some(escaped(known.statement)),
            (true, None, _) => words("prediction", row),
            (false, _, Some(quantity)) => Some(format!("\\quad {}", escaped(quantity.about))),
            (false, _, None) => words("quantity", row).map(|name| format!("\\quad {name}")),
        }),
        column("$\\varepsilon$", "r", &|row| condition("noise", row)),
        column("$c$ (\\%)", "r", &|row| condition("winsorization", row)),
        column("measured", "r", &|row| measured("measured", row)),
        column("against", "r", &|row| measured("compared_with", row)),
        column("$p$", "r", &|row| rows.number("p", row).map(|p| p_value(p, p <= smallest * (1.0 + 1e-9)))),
        column("verdict", "l", &|row| words("verdict", row)),
    ]
}

/// Two significant digits; at the smallest that the null worlds can show, a bound, rounded upwards.
fn p_value(value: f64, is_bound: bool) -> String {
    if !is_bound || value <= 0.0 {
        return number(value, DIGITS_OF_P);
    }
    let unit = 10_f64.powi(value.log10().floor() as i32 + 1 - DIGITS_OF_P as i32);
    // A value that has two digits already must not gain one by its binary representation.
    let bound = number((value / unit - 1e-9).ceil() * unit, DIGITS_OF_P);
    let trimmed = if bound.starts_with("0.") { bound.trim_end_matches('0') } else { &bound };
    format!("$\\le {}$", trimmed.trim_matches('$'))
}

/// So many significant digits; powers of ten outside of 10⁻⁴ to 10⁶.
fn number(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_string();
    }
    if value.is_infinite() {
        return if value > 0.0 { "$\\infty$" } else { "$-\\infty$" }.to_string();
    }
    // Formatting rounds first, so that 0.0999996 counts as 0.100.
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        exponent @ -4..6 => {
            let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
            in_math(&format!("{value:.decimals$}"))
        }
        exponent => format!("${mantissa} \\times 10^{{{exponent}}}$"),
    }
}

/// A number whose sign is a minus and no hyphen.
fn in_math(number: &str) -> String {
    if number.starts_with('-') { format!("${number}$") } else { number.to_string() }
}

/// A text that LaTeX prints as it is.
fn escaped(text: &str) -> String {
    let (mut tex, mut letters) = (String::new(), text.chars().peekable());
    while let Some(letter) = letters.next() {
        match letters.peek().and_then(|mark| accent(*mark)) {
            Some(accent) if letter.is_alphabetic() => {
                letters.next();
                let _ = write!(tex, "\\{accent}{{{}}}", of_letter(letter));
            }
            _ if letter == '-' && tex.ends_with('-') => tex += "{}-",
            _ => tex += &of_letter(letter),
        }
    }
    tex
}

/// The accent of a combining mark.
fn accent(mark: char) -> Option<char> {
    let place = ('\u{300}'..='\u{304}').position(|known| known == mark);
    Some(match (place, mark) {
        (Some(place), _) => ['`', '\'', '^', '~', '='][place],
        (_, '\u{306}') => 'u',
        (_, '\u{307}') => '.',
        (_, '\u{308}') => '"',
        (_, '\u{30a}') => 'r',
        (_, '\u{30b}') => 'H',
        (_, '\u{30c}') => 'v',
        (_, '\u{323}') => 'd',
        (_, '\u{327}') => 'c',
        (_, '\u{328}') => 'k',
        _ => return None,
    })
}

fn of_letter(letter: char) -> String {
    if let Some((_, tex)) = SYMBOLS.iter().find(|(known, _)| *known == letter) {
        return (*tex).to_string();
    }
    match letter {
        '{' | '}' | '$' | '&' | '#' | '_' | '%' => format!("\\{letter}"),
        ' '..='~' => letter.to_string(),
        letter if letter.is_control() => " ".to_string(),
        'Ħ' | 'ħ' | 'ĸ' | 'Ŀ' | 'ŀ' | 'ŉ' | 'Ŧ' | 'ŧ' | 'ſ' => unknown(letter),
        '¡'..='ſ' => letter.to_string(),
        letter => unknown(letter),
    }
}

/// A letter that pdfTeX stops at.
fn unknown(letter: char) -> String {
    format!("\\cogradletter{{{letter}}}{{{:04X}}}", letter as u32)
}

/// Letters that are written in another way.
const SYMBOLS: [(char, &str); 79] = [
    ('\\', "\\textbackslash{}"),
    ('~', "\\textasciitilde{}"),
    ('^', "\\textasciicircum{}"),
    ('<', "$<$"),
    ('>', "$>$"),
    ('|', "$|$"),
    ('"', "\\char34{}"),
    ('\u{a0}', "~"),
    ('\u{ad}', "\\-"),
    ('\u{202f}', "\\,"),
    ('\u{2009}', "\\,"),
    ('‐', "-"),
    ('‑', "-"),
    ('–', "--"),
    ('—', "---"),
    ('‘', "`"),
    ('’', "'"),
    ('“', "``"),
    ('”', "''"),
    ('…', "\\ldots{}"),
    ('•', "\\textbullet{}"),
    ('€', "\\texteuro{}"),
    ('¬', "$\\neg$"),
    ('±', "$\\pm$"),
    ('×', "$\\times$"),
    ('÷', "$\\div$"),
    ('·', "$\\cdot$"),
    ('µ', "$\\mu$"),
    ('°', "$^\\circ$"),
    ('¹', "$^1$"),
    ('²', "$^2$"),
    ('³', "$^3$"),
    ('⁰', "$^0$"),
    ('⁴', "$^4$"),
    ('⁻', "$^-$"),
    ('₀', "$_0$"),
    ('₁', "$_1$"),
    ('₂', "$_2$"),
    ('−', "$-$"),
    ('≤', "$\\le$"),
    ('≥', "$\\ge$"),
    ('≠', "$\\ne$"),
    ('≈', "$\\approx$"),
    ('∞', "$\\infty$"),
    ('∈', "$\\in$"),
    ('∑', "$\\sum$"),
    ('√', "$\\surd$"),
    ('‖', "$\\|$"),
    ('→', "$\\to$"),
    ('↔', "$\\leftrightarrow$"),
    ('α', "$\\alpha$"),
    ('β', "$\\beta$"),
    ('γ', "$\\gamma$"),
    ('δ', "$\\delta$"),
    ('ε', "$\\varepsilon$"),
    ('ζ', "$\\zeta$"),
    ('η', "$\\eta$"),
    ('θ', "$\\theta$"),
    ('κ', "$\\kappa$"),
    ('λ', "$\\lambda$"),
    ('μ', "$\\mu$"),
    ('ν', "$\\nu$"),
    ('ξ', "$\\xi$"),
    ('π', "$\\pi$"),
    ('ρ', "$\\rho$"),
    ('σ', "$\\sigma$"),
    ('τ', "$\\tau$"),
    ('φ', "$\\varphi$"),
    ('χ', "$\\chi$"),
    ('ψ', "$\\psi$"),
    ('ω', "$\\omega$"),
    ('Γ', "$\\Gamma$"),
    ('Δ', "$\\Delta$"),
    ('Θ', "$\\Theta$"),
    ('Λ', "$\\Lambda$"),
    ('Σ', "$\\Sigma$"),
    ('Φ', "$\\Phi$"),
    ('Ψ', "$\\Psi$"),
    ('Ω', "$\\Omega$"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_printed_as_they_are() {
        let cases = [
            ("100 % of a_b & {c} #1 $x$", "100 \\% of a\\_b \\& \\{c\\} \\#1 \\$x\\$"),
            ("a\\b~c^d", "a\\textbackslash{}b\\textasciitilde{}c\\textasciicircum{}d"),
            ("ünï ç", "ünï ç"),
            ("u\u{308}ber, e\u{301}", "\\\"{u}ber, \\'{e}"),
            ("ε ≤ 0.5, ‖g‖²", "$\\varepsilon$ $\\le$ 0.5, $\\|$g$\\|$$^2$"),
            ("a--b\nc", "a-{}-b c"),
            ("中", "\\cogradletter{中}{4E2D}"),
        ];
        for (text, tex) in cases {
            assert_eq!(escaped(text), tex, "{text}");
        }
    }

    #[test]
    fn numbers_are_rounded_and_bounds_upwards() {
        let values = [0.0, 0.25, -0.012_345, 1234.5, 1.234e-7, -5e9, f64::INFINITY].map(|value| number(value, 3));
        assert_eq!(values.join(" "), "0 0.250 $-0.0123$ 1234 $1.23 \\times 10^{-7}$ $-5.00 \\times 10^{9}$ $\\infty$");
        let p = [(1.0 / 1001.0, true), (1.0 / 10_001.0, true), (1.0 / 1501.0, true), (0.0123, false), (1e-9, true)];
        assert_eq!(
            p.map(|(value, is_bound)| p_value(value, is_bound)).join(" "),
            "$\\le 0.001$ $\\le 0.0001$ $\\le 0.00067$ 0.012 $\\le 1.0 \\times 10^{-9}$"
        );
    }
}
