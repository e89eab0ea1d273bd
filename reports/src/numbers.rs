//! Numbers as people read them: rounded, with a real minus sign, and p-values that do not claim more than B worlds can.

use crate::study::Test;

/// What stands where a number is missing.
pub const MISSING: &str = "–";

/// `digits` significant digits, trailing zeros kept; powers of ten outside 10⁻⁴ … 10⁶.
pub fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = digits.max(1);
    // Formatting rounds first, so that 0.0999996 counts as 0.100.
    let scientific = format!("{value:.*e}", digits - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return with_minus(&scientific) };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        with_minus(&format!("{value:.decimals$}"))
    } else {
        format!("{}\u{a0}×\u{a0}10{}", with_minus(mantissa), superscript(exponent))
    }
}

/// Like [`significant`], with an en dash for a missing value.
pub fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| significant(value, digits))
}

/// As few digits as the value needs, up to three: for axes of round values.
pub fn short(value: f64) -> String {
    let text = significant(value, 3);
    let (digits, power) = text.split_at(text.find('\u{a0}').unwrap_or(text.len()));
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    format!("{digits}{power}")
}

/// A share with three decimals, as α, β and group sizes are read.
pub fn share(value: Option<f64>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| with_minus(&format!("{value:.3}")))
}

/// A number with two decimals, where there is room for no more.
pub fn two_decimals(value: Option<f64>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| with_minus(&format!("{value:.2}")))
}

/// A fraction as a percentage with one decimal.
pub fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| with_minus(&format!("{:.1}\u{a0}%", 100.0 * value)))
}

/// A whole number with narrow spaces between thousands.
pub fn count(value: u64) -> String {
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

/// A size in bytes, in the largest unit that leaves a number of at least one.
pub fn bytes(value: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = value as f64;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < units.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && scaled < 100.0);
    format!("{scaled:.decimals$}\u{a0}{}", units[unit])
}

/// A power of ten for an axis: `×10⁻³`.
pub fn power_of_ten(exponent: i32) -> String {
    format!("10{}", superscript(exponent))
}

/// `≤ 0.001` at the smallest p that the worlds can show, 1/(B+1); `= 0.23` above it.
pub fn p_value(test: Option<&Test>) -> String {
    match test.and_then(|test| Some((test, test.p?))) {
        None => "not available".to_owned(),
        Some((test, p)) if at_floor(test, p) => format!("≤ {}", upper_bound(p)),
        Some((_, p)) => format!("= {}", significant(p, 2)),
    }
}

/// Two significant digits, rounded upwards, without trailing zeros.
pub fn upper_bound(value: f64) -> String {
    trim_zeros(&significant(round_up(value), 2)).to_owned()
}

/// [`p_value`] for a table cell, with its Clopper–Pearson interval: `0.23 [0.21, 0.25]`.
pub fn p_cell(test: Option<&Test>) -> String {
    match test.and_then(|test| test.p) {
        None => MISSING.to_owned(),
        Some(_) => {
            // A narrow table may break the line before the interval, nowhere else.
            let unbroken = |text: String| text.trim_start_matches("= ").replace(' ', "\u{a0}");
            format!("{} {}", unbroken(p_value(test)), unbroken(p_interval(test)))
        }
    }
}

fn p_interval(test: Option<&Test>) -> String {
    match test.map(|test| (test.p_lower, test.p_upper)) {
        Some((Some(lower), Some(upper))) => format!("[{}, {}]", significant(lower, 2), significant(upper, 2)),
        _ => MISSING.to_owned(),
    }
}

/// Whether no simulated world was as extreme as the actual one.
fn at_floor(test: &Test, p: f64) -> bool {
    match test.exceedances {
        Some(exceedances) => exceedances == 0,
        None => p <= 1.0 / (test.worlds as f64 + 1.0),
    }
}

/// Two significant digits, upwards: an upper bound must stay one after rounding.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return value;
    }
    let unit = 10f64.powi(value.log10().floor() as i32 - 1);
    // 1e-9: a value that has two digits already must not gain one by its binary representation.
    (value / unit - 1e-9).ceil() * unit
}

fn trim_zeros(text: &str) -> &str {
    if text.contains('.') && !text.contains('×') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

fn with_minus(text: &str) -> String {
    let negative_zero = text.starts_with('-') && text.chars().all(|digit| !digit.is_ascii_digit() || digit == '0');
    if negative_zero { text.trim_start_matches('-').to_owned() } else { text.replace('-', "−") }
}

fn superscript(exponent: i32) -> String {
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raise = |digit: char| digit.to_digit(10).and_then(|digit| digits.get(digit as usize)).copied().unwrap_or('⁻');
    exponent.to_string().chars().map(raise).collect()
}

/// With a capital first letter; α stays itself.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| [first.to_ascii_uppercase()].into_iter().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(exceedances: u32, worlds: u32) -> Test {
        let p = f64::from(1 + exceedances) / f64::from(worlds + 1);
        Test {
            estimator: "paper".to_owned(),
            statistic: "crossover".to_owned(),
            groups: [None, None],
            observed: Some(0.4),
            worlds: u64::from(worlds),
            exceedances: Some(u64::from(exceedances)),
            p: Some(p),
            p_lower: Some(0.0),
            p_upper: Some(0.003_682),
            p_holm: None,
        }
    }

    #[test]
    fn numbers_are_rounded_to_significant_digits() {
        let values = [0.0, 1.0, -1.0, 0.099_999_6, 12_345.6, 0.000_123_4, 0.000_012_34, 1.5e7, -3.2e-9];
        let text: Vec<_> = values.iter().map(|&value| significant(value, 3)).collect();
        assert_eq!(
            text.join(" | "),
            "0 | 1.00 | −1.00 | 0.100 | 12346 | 0.000123 | 1.23 × 10⁻⁵ | 1.50 × 10⁷ | −3.20 × 10⁻⁹"
        );
    }

    #[test]
    fn a_p_value_at_the_floor_is_a_bound_and_never_rounded_down() {
        let text: Vec<_> = [(0, 1000), (0, 10_000), (0, 1500), (0, 99), (3, 1000), (230, 1000), (0, 200_000)]
            .map(|(exceedances, worlds)| p_value(Some(&test(exceedances, worlds))))
            .into();
        assert_eq!(text.join(" | "), "≤ 0.001 | ≤ 0.0001 | ≤ 0.00067 | ≤ 0.01 | = 0.0040 | = 0.23 | ≤ 5.0 × 10⁻⁶");
    }

    #[test]
    fn a_missing_p_value_says_so() {
        assert_eq!(p_value(None), "not available");
        assert_eq!(p_cell(None), "–");
        assert_eq!(p_interval(None), "–");
        assert_eq!(p_cell(Some(&test(0, 1000))), "≤\u{a0}0.001 [0,\u{a0}0.0037]");
    }

    #[test]
    fn shares_percentages_counts_and_sizes() {
        let text = [
            share(Some(-0.000_1)),
            share(Some(-0.25)),
            share(None),
            percent(Some(0.775)),
            count(60_000),
            count(999),
            bytes(512),
            bytes(30_932_992),
        ];
        assert_eq!(text.join(" | "), "0.000 | −0.250 | – | 77.5 % | 60 000 | 999 | 512 B | 29.5 MiB");
    }
}
