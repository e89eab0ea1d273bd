//! A file of other labels for the training set: the noise that people made.

use std::path::Path;

use super::{DataError, signature};

/// Reads a file of one label a line, a line for each of `examples` examples.
pub(super) fn load(path: &Path, examples: usize, classes: usize) -> Result<Vec<u8>, DataError> {
    let bytes = cograd_files::read_regular(path).map_err(|source| DataError::unreadable(path, source))?;
    let wrong = |line: usize, problem: String| DataError::Line { path: path.to_path_buf(), line, problem };
    let hint = signature::hint_besides_text(&bytes, false).map_or(Ok(()), Err);
    let text = hint.and_then(|()| signature::text_of(&bytes)).map_err(|hint| wrong(1, hint.to_string()))?;
    let text = String::from_utf8_lossy(text);
    let mut labels = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let label = line.trim().parse::<u8>().ok().filter(|label| usize::from(*label) < classes);
        let of_line = format!("`{}` where a label from 0 to {} is needed", line.trim(), classes - 1);
        labels.push(label.ok_or_else(|| wrong(place + 1, of_line))?);
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

    #[test]
    fn a_label_a_line_is_read_and_what_is_none_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            load(file.path(), 3, 5).map_err(|error| error.to_string())
        };
        assert_eq!(read("0\n 4 \r\n2\n"), Ok(vec![0, 4, 2]));
        assert_eq!(read("\u{feff}0\n4\n2\n"), Ok(vec![0, 4, 2]));
        for (text, part) in [
            ("0\n5\n2", "line 2: `5` where a label from 0 to 4"),
            ("0\n\n2", "line 2: ``"),
            ("PK\u{3}\u{4}", "line 1: it is a ZIP archive"),
            ("0\n1", "line 2: it ends after 2 labels, and the training set has 3"),
            ("", "line 0: it ends after 0 labels"),
        ] {
            assert!(read(text).unwrap_err().contains(part), "{:?}", read(text));
        }
        assert!(load(Path::new("no/such"), 3, 5).unwrap_err().to_string().contains("no/such"));
    }
}
