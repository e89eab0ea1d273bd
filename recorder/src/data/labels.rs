//! Labels as files write them, and a file of other labels for the training set: the noise that people made.

use std::collections::HashMap;
use std::path::Path;

use super::{DataError, few, signature, text};

/// Whole numbers above this are not all there among numbers with a fraction.
const MOST_WHOLE: f64 = 9_007_199_254_740_992.0;

/// The whole number that a label is, with or without a fraction of zeros: `2`, `02` and `2.0` are 2.
pub(super) fn whole(label: &str) -> Option<i128> {
    let of_fraction = || label.parse::<f64>().ok().and_then(whole_of);
    label.parse().ok().or_else(of_fraction)
}

/// The whole number that a number is, if it is one.
pub(super) fn whole_of(number: f64) -> Option<i128> {
    (number.fract() == 0.0 && number.abs() <= MOST_WHOLE).then_some(number as i128)
}

/// The classes of a data set by what its files call them.
struct Classes<'a> {
    by_name: HashMap<&'a str, u8>,
    /// Where all are whole numbers of a table or of images, which may be written in more than one way.
    by_number: HashMap<i128, u8>,
    /// Whether a label ends at a colon, as in files of texts.
    of_texts: bool,
}

impl<'a> Classes<'a> {
    fn new(names: &'a [String], of_texts: bool) -> Classes<'a> {
        let numbers = names.iter().map(|name| whole(name).filter(|_| !of_texts)).collect::<Option<Vec<i128>>>();
        Classes {
            by_name: names.iter().map(String::as_str).zip(0..=u8::MAX).collect(),
            by_number: numbers.unwrap_or_default().into_iter().zip(0..=u8::MAX).collect(),
            of_texts,
        }
    }

    fn find(&self, label: &str) -> Option<u8> {
        let label = if self.of_texts { text::label_of(label) } else { label };
        let by_number = || self.by_number.get(&whole(label)?);
        self.by_name.get(label).or_else(by_number).copied()
    }
}

/// Reads a file of one label a line, a line for each of `examples` examples. `names` are the labels of the classes as the data set
/// writes them; `of_texts` says whether it is one of texts.
pub(super) fn load(path: &Path, examples: usize, names: &[String], of_texts: bool) -> Result<Vec<u8>, DataError> {
    let bytes = cograd_files::read_regular(path).map_err(|source| DataError::unreadable(path, source))?;
    let wrong = |line: usize, problem: String| DataError::Line { path: path.to_path_buf(), line, problem };
    let hint = signature::hint_besides_text(&bytes, false).map_or(Ok(()), Err);
    let text = hint.and_then(|()| signature::text_of(&bytes)).map_err(|hint| wrong(1, hint.to_string()))?;
    let text = String::from_utf8_lossy(text);
    let (classes, mut labels) = (Classes::new(names, of_texts), Vec::new());
    for (place, label) in text.lines().map(str::trim).enumerate() {
        let unknown = || {
            let there = few(names);
            wrong(place + 1, format!("`{label}` is no label of the data: write one of theirs as they do: {there}"))
        };
        labels.push(classes.find(label).ok_or_else(unknown)?);
    }
    match labels.len() == examples {
        true => Ok(labels),
        false => {
            let problem = format!("it ends after {} labels, and the training set has {examples}", labels.len());
            Err(wrong(labels.len(), problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::numbered;

    fn read(text: &str, names: &[String], of_texts: bool) -> Result<Vec<u8>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load(file.path(), 3, names, of_texts).map_err(|error| error.to_string())
    }

    #[test]
    fn a_label_a_line_is_read_and_what_is_none_is_named() {
        let read = |text: &str| read(text, &numbered(0, 5), false);
        assert_eq!(read("0\n 4 \r\n2\n"), Ok(vec![0, 4, 2]));
        assert_eq!(read("\u{feff}0\n4\n2\n"), Ok(vec![0, 4, 2]));
        for (text, part) in [
            ("0\n5\n2", "line 2: `5` is no label of the data: write one of theirs as they do: `0`, `1`, `2`, `3`, `4`"),
            ("0\n\n2", "line 2: ``"),
            ("0\n1.5\n2", "line 2: `1.5`"),
            ("PK\u{3}\u{4}", "line 1: it is a ZIP archive"),
            ("0\n1", "line 2: it ends after 2 labels, and the training set has 3"),
            ("", "line 0: it ends after 0 labels"),
        ] {
            assert!(read(text).unwrap_err().contains(part), "{:?}", read(text));
        }
        assert!(load(Path::new("no/such"), 3, &numbered(0, 5), false).unwrap_err().to_string().contains("no/such"));
    }

    #[test]
    fn labels_are_those_of_the_data_as_their_files_write_them() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<String>>();
        assert_eq!(read("1\n3\n2", &numbered(1, 3), false), Ok(vec![0, 2, 1]));
        assert!(read("1\n0\n2", &numbered(1, 3), false).unwrap_err().contains("line 2: `0`"));
        assert_eq!(read("-1\n2.0\n04", &names(&["-1", "2", "4"]), false), Ok(vec![0, 1, 2]));
        assert_eq!(read("no\nyes: b\nno", &names(&["no", "yes: b"]), false), Ok(vec![0, 1, 0]));
        assert_eq!(read("DESC:def\nENTY\nDESC", &names(&["DESC", "ENTY"]), true), Ok(vec![0, 1, 0]));
        // Texts are as they are written, though they are numbers.
        assert!(read("1\n01\n1.0", &names(&["01", "1"]), true).unwrap_err().contains("line 3: `1.0`"));
        assert_eq!(read("01\nx\n01", &names(&["01", "x"]), false), Ok(vec![0, 1, 0]));
        let message = read("1\nx\n01", &names(&["01", "x"]), false).unwrap_err();
        assert!(message.contains("line 1: `1` is no label of the data: write one of theirs as they do: `01`, `x`"));
        let message = read("300", &numbered(0, 256), false).unwrap_err();
        assert!(message.ends_with("`8`, `9` and 246 more"), "{message}");
    }
}
