//! The embedded digits: 1 797 handwritten digits of 8×8 pixels 0…16 (E. Alpaydin, C. Kaynak, UCI 1998, CC BY 4.0).

use std::io::Read;

use flate2::read::GzDecoder;

use super::{DataError, Dataset, Examples, numbered};

const FILE: &[u8] = include_bytes!("../../data/digits.csv.gz");
const TRAINING_ROWS: usize = 1500;
const WIDTH: usize = 64;
const SHAPE: [usize; 3] = [1, 8, 8];
const MAXIMUM: u8 = 16;
const CLASSES: u8 = 10;

/// The file's first 1 500 rows for training, its last 297 for testing.
pub(super) fn load() -> Result<Dataset, DataError> {
    let mut text = String::new();
    GzDecoder::new(FILE)
        .read_to_string(&mut text)
        .map_err(|source| DataError::Gzip { path: "recorder/data/digits.csv.gz".into(), source })?;
    parse(&text)
}

fn parse(text: &str) -> Result<Dataset, DataError> {
    let (mut train, mut test) = (Rows::default(), Rows::default());
    for (index, line) in text.lines().enumerate() {
        let set = if index < TRAINING_ROWS { &mut train } else { &mut test };
        add_row(set, line).map_err(|problem| DataError::Digits { row: index + 1, problem })?;
    }
    if test.labels.is_empty() {
        return Err(DataError::Digits { row: train.labels.len(), problem: "the last: the test set is missing".into() });
    }
    let [train, test] = [train, test].map(|rows| Examples::images(rows.pixels, MAXIMUM, &SHAPE, rows.labels));
    let classes = usize::from(CLASSES);
    Ok(Dataset { train, test, classes, class_names: numbered(0, classes), noise_file: None })
}

#[derive(Default)]
struct Rows {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

fn add_row(set: &mut Rows, line: &str) -> Result<(), String> {
    let numbers: Result<Vec<u8>, _> = line.split(',').map(str::parse).collect();
    let mut numbers = numbers.map_err(|_| "not a row of whole numbers".to_string())?;
    let label = match numbers.pop() {
        Some(label) if numbers.len() == WIDTH => label,
        _ => return Err(format!("not {WIDTH} pixels and a label")),
    };
    if numbers.iter().any(|&pixel| pixel > MAXIMUM) || label >= CLASSES {
        return Err(format!("a pixel above {MAXIMUM} or a label not below {CLASSES}"));
    }
    set.pixels.extend(numbers);
    set.labels.push(label);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;

    #[test]
    fn the_embedded_digits_are_1500_and_297_images() {
        let data = load().unwrap();
        assert_eq!((data.train.len(), data.test.len(), data.classes), (1500, 297, 10));
        assert_eq!(data.train.pixels().len(), 1500 * 64);
        assert_eq!(data.train.pixels()[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
        assert_eq!(data.train.labels[..3], [0, 1, 2]);
        assert_eq!(data.test.labels[296], 8);
        assert!(matches!(data.train.values, Values::Bytes { maximum: 16, .. }));
    }

    #[test]
    fn a_malformed_row_is_named() {
        let good = vec!["1"; 65].join(",");
        for bad in ["1,2", "x", &good.replacen('1', "17", 1), &format!("{}0", good)] {
            let error = parse(&format!("{good}\n{bad}\n")).unwrap_err();
            assert!(error.to_string().contains("row 2"), "{error}");
        }
        assert!(parse("").is_err());
    }
}
