//! Numbers and sentences of the predictions, as the page sets them: a real minus sign, no line break inside `ε = 0.5`.

use crate::statistic::permutation::Test;

/// Where a line may not break.
const UNBROKEN: char = '\u{a0}';

/// `prefix` and a list of what each level has, or why there is nothing.
pub(super) fn sentence(prefix: &str, levels: &[String], needed: usize, lacking: &str) -> String {
    let list = match levels.len() {
        0 => "nothing of the kind was recorded".to_string(),
        _ => format!("{prefix} {}", levels.join(", ")).trim_start().to_string(),
    };
    let caution = if levels.len() < needed { format!("; {lacking}") } else { String::new() };
    capitalised(format!("{list}{caution}."))
}

/// The first letter as a capital.
pub(super) fn capitalised(mut text: String) -> String {
    if let Some(first) = text.get(..1).map(str::to_uppercase) {
        text.replace_range(..1, &first);
    }
    text
}

/// `ε = 0.5`.
pub(super) fn noise_text(noise: f64) -> String {
    format!("ε{UNBROKEN}={UNBROKEN}{noise}")
}

/// A step count: whole if it is, one decimal if it is a mean.
pub(super) fn step_text(step: f64, steps: u64) -> String {
    if step.is_infinite() {
        format!("not within {}{UNBROKEN}steps", grouped(steps))
    } else if step.fract() == 0.0 {
        grouped(step as u64)
    } else {
        let rounded = format!("{step:.1}");
        let (whole, decimal) = rounded.split_once('.').unwrap_or((&rounded, "0"));
        whole.parse().map_or_else(|_| rounded.clone(), |whole| format!("{}.{decimal}", grouped(whole)))
    }
}

/// A whole number with narrow spaces between thousands.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Three significant digits.
pub(super) fn number(value: f64) -> String {
    significant(value, 3)
}

fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_string();
    }
    // Formatting rounds first, so that 0.0999996 counts as 0.100.
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent @ -4..=5) => with_minus(&format!("{value:.*}", (digits as i32 - 1 - exponent).max(0) as usize)),
        Ok(exponent) => format!("{}{UNBROKEN}×{UNBROKEN}10{}", with_minus(mantissa), superscript(exponent)),
        Err(_) => with_minus(&scientific),
    }
}

fn superscript(exponent: i32) -> String {
    let raised = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raise = |digit: char| digit.to_digit(10).map_or('⁻', |digit| raised[digit as usize]);
    exponent.to_string().chars().map(raise).collect()
}

/// A fraction in percent, with two decimals and without the sign.
pub(super) fn percent(fraction: f64) -> String {
    let text = format!("{:.2}", 100.0 * fraction);
    if text == "-0.00" { "0.00".to_string() } else { with_minus(&text) }
}

fn with_minus(text: &str) -> String {
    text.replace('-', "−")
}

/// A p-value, with "≤" where no null world was as extreme: a smaller one cannot be shown.
pub(super) fn p_text(test: &Test) -> String {
    match (test.p, test.exceedances) {
        (Some(p), Some(0)) => format!("p{UNBROKEN}≤{UNBROKEN}{}", upper_bound(p)),
        (Some(p), _) => format!("p{UNBROKEN}={UNBROKEN}{}", number(p)),
        _ => "no p-value".to_string(),
    }
}

/// The p-values of runs, one a seed.
pub(super) fn p_texts(tests: &[Test]) -> String {
    tests.iter().map(p_text).collect::<Vec<_>>().join("; ")
}

/// Two significant digits, rounded upwards so that a bound stays one, without trailing zeros.
fn upper_bound(p: f64) -> String {
    let unit = 10f64.powi(p.log10().floor() as i32 - 1);
    // 1e-9: a value that has two digits already must not gain one by its binary representation.
    let text = significant((p / unit - 1e-9).ceil() * unit, 2);
    match text.contains('.') && !text.contains('×') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smallest_p_value_is_rounded_upwards() {
        let at_floor = |worlds| p_text(&Test::new(Some(1.0), Some(0), worlds)).replace(UNBROKEN, " ");
        assert_eq!(
            [1000, 999, 10_000, 1500, 19, 200_000].map(at_floor),
            ["p ≤ 0.001", "p ≤ 0.001", "p ≤ 0.0001", "p ≤ 0.00067", "p ≤ 0.05", "p ≤ 5.0 × 10⁻⁶"]
        );
        assert_eq!(p_text(&Test::new(Some(1.0), Some(3), 1000)).replace(UNBROKEN, " "), "p = 0.00400");
    }

    #[test]
    fn numbers_have_three_digits_and_a_real_minus_sign() {
        let texts =
            [0.0, -16.87, 0.099_999_6, 1234.5, 0.000_012_34, -2.5e8].map(|value| number(value).replace(UNBROKEN, " "));
        assert_eq!(texts, ["0", "−16.9", "0.100", "1234", "1.23 × 10⁻⁵", "−2.50 × 10⁸"]);
        assert_eq!([0.123_456, -0.000_01, -0.012].map(percent), ["12.35", "0.00", "−1.20"]);
    }

    #[test]
    fn steps_are_counted_in_thousands() {
        let texts = [6.0, 4467.0, 12_345.5, f64::INFINITY]
            .map(|step| step_text(step, 100_000).replace(['\u{202f}', UNBROKEN], " "));
        assert_eq!(texts, ["6", "4 467", "12 345.5", "not within 100 000 steps"]);
    }
}
