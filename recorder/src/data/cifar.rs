//! The binary version of CIFAR-10 and CIFAR-100 (Krizhevsky 2009), plain or gzipped.
//!
//! A record is the label (of CIFAR-100 the coarse and the fine one, of which the fine one is taken), then 1 024 red, 1 024
//! green and 1 024 blue bytes, rows of 32.

use std::path::Path;

use super::idx::IdxFile;
use super::{DataError, Dataset, Examples, numbered, signature};

/// Bytes of an image.
const WIDTH: usize = 3 * 32 * 32;

/// Loads the batches in `directory`: `data_batch_1.bin` to `data_batch_5.bin`, as many as are there, and `test_batch.bin`; or
/// CIFAR-100's `train.bin` and `test.bin`.
pub(super) fn load(directory: &Path) -> Result<Dataset, DataError> {
    let (mut train, mut test) = (Records::default(), Records::default());
    let of_10: Vec<String> = (1..=5).map(|batch| format!("data_batch_{batch}.bin")).collect();
    let mut has_any = false;
    for name in &of_10 {
        has_any |= add(directory, name, 1, 10, &mut train)?;
    }
    let (classes, names) = match has_any {
        true => (10, ["data_batch_1.bin", "test_batch.bin"]),
        false => (100, ["train.bin", "test.bin"]),
    };
    has_any = has_any || add(directory, names[0], 2, classes, &mut train)?;
    let labels = if classes == 10 { 1 } else { 2 };
    if !has_any || !add(directory, names[1], labels, classes, &mut test)? {
        return Err(DataError::NoBatches { directory: directory.to_path_buf(), has_train: has_any });
    }
    let [train, test] = [train, test].map(|of| Examples::images(of.pixels, u8::MAX, &[3, 32, 32], of.labels));
    Ok(Dataset { train, test, classes, class_names: numbered(0, classes), noise_file: None })
}

#[derive(Default)]
struct Records {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

/// Adds the records of a file, with so many label bytes each; whether it is there.
fn add(directory: &Path, name: &str, labels: usize, classes: usize, set: &mut Records) -> Result<bool, DataError> {
    let mut file = match IdxFile::open(directory, name) {
        Ok(file) => file,
        Err(DataError::Missing { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let (record, path, is_gzipped) = (labels + WIDTH, file.path().to_path_buf(), file.is_gzipped());
    let wrong = |row: usize, begin: &[u8], problem: String| -> Result<bool, DataError> {
        let hint = signature::hint(begin, is_gzipped).filter(|_| row == 0);
        let problem = hint.map_or(problem, |hint| format!("it is no batch of CIFAR-{classes}: {hint}"));
        Err(DataError::Batch { path: path.clone(), problem })
    };
    // Record by record, so that memory follows the file.
    for row in 0.. {
        let bytes = file.read_at_most(record as u64)?;
        if bytes.is_empty() && row > 0 {
            break;
        }
        if bytes.len() < record {
            let more = bytes.len();
            let problem = format!(
                "it holds {} bytes, {row} × {record} of whole records and {more} more: it is cut off or goes on after its end: fetch \
                 it again",
                row * record + more
            );
            return wrong(row, &bytes, problem);
        }
        let label = bytes[labels - 1];
        if usize::from(label) >= classes {
            let most = classes - 1;
            let problem = format!(
                "label {row} (counted from 0) is {label}, and those of CIFAR-{classes} are 0 to {most}: put its own batches there"
            );
            return wrong(row, &bytes, problem);
        }
        set.labels.push(label);
        set.pixels.extend_from_slice(&bytes[labels..]);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use tempfile::TempDir;

    use super::*;

    /// Records of these labels, each a list of label bytes; every image has its row as its first red byte.
    fn records(labels: &[&[u8]]) -> Vec<u8> {
        let record = |(row, label): (usize, &&[u8])| {
            let mut image = vec![7; WIDTH];
            image[0] = row as u8;
            [label.to_vec(), image].concat()
        };
        labels.iter().enumerate().flat_map(record).collect()
    }

    fn write(directory: &TempDir, name: &str, bytes: &[u8]) {
        let bytes = match name.ends_with(".gz") {
            true => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            false => bytes.to_vec(),
        };
        fs::write(directory.path().join(name), bytes).unwrap();
    }

    #[test]
    fn batches_of_cifar_10_are_read_one_after_the_other_plain_or_gzipped() {
        let directory = tempfile::tempdir().unwrap();
        write(&directory, "data_batch_1.bin.gz", &records(&[&[3], &[9]]));
        write(&directory, "data_batch_4.bin", &records(&[&[0]]));
        write(&directory, "test_batch.bin", &records(&[&[1]]));
        let data = load(directory.path()).unwrap();
        assert_eq!((&data.train.labels[..], data.test.labels, data.classes), (&[3, 9, 0][..], vec![1], 10));
        assert_eq!((&data.train.shape[..], data.train.pixels().len()), (&[3, 32, 32][..], 3 * 3072));
        assert_eq!(data.train.pixels()[3070..3074], [7, 7, 1, 7]);
    }

    #[test]
    fn of_cifar_100_the_fine_labels_are_taken() {
        let directory = tempfile::tempdir().unwrap();
        write(&directory, "train.bin", &records(&[&[3, 99], &[4, 50]]));
        write(&directory, "test.bin.gz", &records(&[&[19, 0]]));
        let data = load(directory.path()).unwrap();
        assert_eq!((data.train.labels, data.test.labels, data.classes), (vec![99, 50], vec![0], 100));
    }

    #[test]
    fn files_that_are_missing_or_damaged_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let message = || load(directory.path()).unwrap_err().to_string();
        assert!(message().contains("data_batch_1.bin"), "{}", message());
        write(&directory, "data_batch_1.bin", &records(&[&[3], &[9]]));
        assert!(message().contains("test_batch.bin"), "{}", message());
        write(&directory, "test_batch.bin", &records(&[&[3], &[10]]));
        assert!(message().contains("test_batch.bin: label 1 (counted from 0) is 10"), "{}", message());
        write(&directory, "test_batch.bin", &records(&[&[3], &[1]])[..4000]);
        assert!(message().contains("4000 bytes, 1 × 3073 of whole records and 927 more"), "{}", message());
        write(&directory, "test_batch.bin", &[records(&[&[3]]), vec![7]].concat());
        assert!(message().contains("and 1 more: it is cut off or goes on after its end"), "{}", message());
        write(&directory, "test_batch.bin", &[]);
        assert!(message().contains("it is empty"), "{}", message());
        write(&directory, "test_batch.bin", b"<html>");
        assert!(message().contains("web page"), "{}", message());
        write(&directory, "test_batch.bin.gz", &records(&[&[3]]));
        fs::rename(directory.path().join("test_batch.bin.gz"), directory.path().join("test_batch.bin")).unwrap();
        assert!(message().contains("it is gzipped: let its name end in .gz"), "{}", message());
    }
}
