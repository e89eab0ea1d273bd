//! The seal of a JSON file: the SHA-256 of its own text, so that any altered byte is noticed.
//!
//! The hashes in a manifest guard the other files; nothing but the manifest itself can guard the manifest.

use std::ops::Range;

use serde::Serialize;
use serde::ser::Error;

use crate::sha256;

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// Why a file's seal does not vouch for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It has none.
    #[error("it has no field `seal` of 64 lower-case hexadecimal digits")]
    Missing,
    /// It is not that of this text.
    #[error("its seal is not the SHA-256 of the rest of it")]
    Broken,
}

/// The field of a sealed file that this module reads.
#[derive(serde::Deserialize)]
struct Sealed {
    seal: String,
}

/// `value` as indented JSON with a final newline, its field `seal` the SHA-256 of the very same text with `"seal": ""`.
///
/// # Errors
/// `value` is no JSON object with a field `seal` that is empty or a seal.
pub fn sealed<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    // In indented JSON, a line break and two spaces are before a field of the outermost object and nowhere else.
    let field = "\n  \"seal\": \"";
    let begin = text.find(field).map(|place| place + field.len());
    let place = begin.and_then(|begin| Some(begin..begin + text[begin..].find('"')?));
    let Some(place) = place.filter(|place| place.is_empty() || is_hash(&text[place.clone()])) else {
        return Err(serde_json::Error::custom("there is no field `seal` to hold the seal"));
    };
    text.replace_range(place.clone(), "");
    let seal = sha256(text.as_bytes());
    text.insert_str(place.start, &seal);
    Ok(text.into_bytes())
}

/// A text without the byte order mark that some programs put before a text that they copy.
pub fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Checks that the JSON text `bytes` is the one that was sealed, to the byte; but for a byte order mark and line ends, which programs
/// that copy texts to Windows write as two bytes.
///
/// # Errors
/// It has no seal, or was altered since.
pub fn check_seal(bytes: &[u8]) -> Result<(), SealError> {
    let bytes = unmarked(bytes);
    match check_sealed(bytes) {
        Err(SealError::Broken) if bytes.ends_with(b"\r\n") => check_sealed(&with_single_line_ends(bytes)),
        checked => checked,
    }
}

/// SHA-256 of a sealed text as it was written, whatever line ends a copy of it has, and whether it has a byte order mark.
pub fn sha256_of_sealed(bytes: &[u8]) -> String {
    let bytes = unmarked(bytes);
    if bytes.ends_with(b"\r\n") { sha256(&with_single_line_ends(bytes)) } else { sha256(bytes) }
}

fn with_single_line_ends(bytes: &[u8]) -> Vec<u8> {
    let is_kept = |place: usize| bytes[place] != b'\r' || bytes.get(place + 1) != Some(&b'\n');
    (0..bytes.len()).filter(|&place| is_kept(place)).map(|place| bytes[place]).collect()
}

fn check_sealed(bytes: &[u8]) -> Result<(), SealError> {
    let seal = seal_of(bytes).map_err(|_| SealError::Missing)?;
    let place = place_of(bytes, &seal).ok_or(SealError::Missing)?;
    let rest = [&bytes[..place.start], &bytes[place.end..]].concat();
    if sha256(&rest) == seal { Ok(()) } else { Err(SealError::Broken) }
}

/// The field `seal` of a JSON text.
///
/// # Errors
/// The text is no JSON object with a text `seal`.
pub fn seal_of(bytes: &[u8]) -> serde_json::Result<String> {
    serde_json::from_slice(bytes).map(|Sealed { seal }| seal)
}

/// Where in `bytes` the digits of `seal` stand.
fn place_of(bytes: &[u8], seal: &str) -> Option<Range<usize>> {
    // Nothing else of the file can be its hash: the first occurrence is the field's.
    let begin = bytes.windows(DIGITS).position(|digits| digits == seal.as_bytes())?;
    is_hash(seal).then_some(begin..begin + DIGITS)
}

fn is_hash(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[derive(Serialize)]
    struct Small {
        name: &'static str,
        inner: Value,
        seal: String,
    }

    fn small() -> Small {
        Small { name: "a\n  \"seal\": \"", inner: json!({ "seal": "x", "list": [1, 2.5] }), seal: String::new() }
    }

    #[test]
    fn the_seal_is_the_hash_of_the_text_with_an_empty_seal() {
        let text = String::from_utf8(sealed(&small()).unwrap()).unwrap();
        let seal = serde_json::from_str::<Value>(&text).unwrap()["seal"].as_str().unwrap().to_string();
        let empty = text.replace(&seal, "");
        assert!(empty.ends_with("\"seal\": \"\"\n}\n"), "{empty}");
        assert_eq!(sha256(empty.as_bytes()), seal);
        check_seal(text.as_bytes()).unwrap();
    }

    #[test]
    fn any_altered_added_or_missing_byte_is_noticed() {
        let text = sealed(&small()).unwrap();
        for place in 0..text.len() {
            for change in [1, 0x20, 0x80] {
                let mut altered = text.clone();
                altered[place] ^= change;
                assert!(check_seal(&altered).is_err(), "byte {place}");
            }
            let mut shorter = text.clone();
            shorter.remove(place);
            assert!(check_seal(&shorter).is_err(), "without byte {place}");
        }
        assert_eq!(check_seal(&[&text[..], b"\n"].concat()), Err(SealError::Broken));
    }

    #[test]
    fn line_ends_of_another_system_are_no_alteration() {
        let text = String::from_utf8(sealed(&small()).unwrap()).unwrap();
        check_seal(text.replace('\n', "\r\n").as_bytes()).unwrap();
        for copy in [format!("\u{feff}{text}"), format!("\u{feff}{}", text.replace('\n', "\r\n"))] {
            check_seal(copy.as_bytes()).unwrap();
            assert_eq!(sha256_of_sealed(copy.as_bytes()), sha256(text.as_bytes()));
        }
        let altered = text.replace('\n', "\r\n").replace("2.5", "2.6");
        assert_eq!(check_seal(altered.as_bytes()), Err(SealError::Broken));
    }

    #[test]
    fn a_seal_is_renewed_wherever_the_field_stands() {
        let value: Value = serde_json::from_slice(&sealed(&small()).unwrap()).unwrap();
        // A map of values puts the fields in another order, so that the old seal is not that of the new text.
        let renewed = sealed(&value).unwrap();
        check_seal(&renewed).unwrap();
        assert_eq!(sealed(&serde_json::from_slice::<Value>(&renewed).unwrap()).unwrap(), renewed);
    }

    #[test]
    fn a_text_without_a_seal_is_told_apart() {
        for text in ["", "{}", "[1]", r#"{"seal": 1}"#, r#"{"seal": ""}"#, r#"{"seal": "00"}"#] {
            assert_eq!(check_seal(text.as_bytes()), Err(SealError::Missing), "{text}");
        }
        for value in [json!({}), json!({ "seal": 3 }), json!({ "seal": "no hash" }), json!({ "in": { "seal": "" } })] {
            assert!(sealed(&value).is_err(), "{value}");
        }
    }
}
