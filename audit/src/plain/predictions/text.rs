//! How the predictions' sentences write numbers.

const SPACE: char = '\u{a0}';

/// The first letter as a capital.
pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if first.is_ascii() => first.to_uppercase().chain(letters).collect(),
        _ => text.to_string(),
    }
}

/// A list after what it is of, and what is lacking if it is shorter than needed.
pub(super) fn sentence(before: &str, list: Vec<String>, needed: usize, lacking: &str) -> String {
    let mut text = match list.is_empty() {
        true => "nothing of the kind was recorded".to_string(),
        false if before.is_empty() => list.join(", "),
        false => format!("{before} {}", list.join(", ")),
    };
    if list.len() < needed {
        text = format!("{text}; {lacking}");
    }
    capitalised(&format!("{text}."))
}

/// `ε = 0.5`.
pub(super) fn noise(level: f64) -> String {
    format!("ε{SPACE}={SPACE}{level}")
}

/// Thousands apart.
fn grouped(whole: &str) -> String {
    let mut text = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A step: whole, or with one decimal.
pub(super) fn step(value: f64, steps: u64) -> String {
    if value.is_infinite() {
        return format!("not within {}{SPACE}steps", grouped(&steps.to_string()));
    }
    if value == value.floor() {
        return grouped(&format!("{value:.0}"));
    }
    let text = format!("{value:.1}");
    let (whole, decimal) = text.split_at(text.len() - 2);
    format!("{}{decimal}", grouped(whole))
}

/// Three significant digits.
pub(super) fn number(value: f64) -> String {
    significant(value, 3)
}

fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_string();
    }
    let text = format!("{value:.*e}", digits - 1);
    let Some((mantissa, exponent)) = text.split_once('e') else { return minus(&text) };
    let Ok(exponent) = exponent.parse::<i32>() else { return minus(&text) };
    if (-4..6).contains(&exponent) {
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        return minus(&format!("{value:.decimals$}"));
    }
    let raised: String = exponent.to_string().chars().map(raised).collect();
    format!("{}{SPACE}×{SPACE}10{raised}", minus(mantissa))
}

fn raised(letter: char) -> char {
    match letter {
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        _ => '⁻',
    }
}

fn minus(text: &str) -> String {
    text.replace('-', "−")
}

/// Percent with two decimals, without the sign.
pub(super) fn fraction(value: f64) -> String {
    let text = format!("{:.2}", 100.0 * value);
    if text == "-0.00" { "0.00".to_string() } else { minus(&text) }
}

/// p-values of exceedances of worlds, one a run.
pub(super) fn p_texts(tests: &[Option<(u32, u32)>]) -> String {
    let text = |test: &Option<(u32, u32)>| match *test {
        None => "no p-value".to_string(),
        Some((0, worlds)) => format!("p{SPACE}≤{SPACE}{}", at_most(1.0 / f64::from(1 + worlds))),
        Some((count, worlds)) => {
            format!("p{SPACE}={SPACE}{}", number(f64::from(1 + count) / f64::from(1 + worlds)))
        }
    };
    tests.iter().map(text).collect::<Vec<_>>().join("; ")
}

/// Two significant digits, rounded upwards, without zeros at the end.
fn at_most(p: f64) -> String {
    let unit = 10.0_f64.powi(p.log10().floor() as i32 - 1);
    let text = significant((p / unit - 1e-9).ceil() * unit, 2);
    if text.contains('×') || !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}
