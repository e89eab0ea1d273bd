//! IDX files, MNIST's format: a big-endian header, then unsigned bytes. Plain or gzipped.
//!
//! A header is never believed before the bytes behind it have been read: memory follows the file, not its promises.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::{DataError, Dataset, Examples};

/// Loads MNIST's four files, under their usual names, from `directory`.
///
/// The number of classes is `classes`, or the largest label of both sets plus one.
pub(super) fn load(directory: &Path, classes: Option<usize>) -> Result<Dataset, DataError> {
    let train = LabelledImages::read(directory, "train")?;
    let test = LabelledImages::read(directory, "t10k")?;
    if train.size != test.size {
        return Err(DataError::ImageSizes {
            train_file: train.image_file,
            train: train.size,
            test_file: test.image_file,
            test: test.size,
        });
    }
    let classes = match classes {
        Some(classes) => classes,
        None => train.classes().max(test.classes()),
    };
    for set in [&train, &test] {
        set.check_labels(classes)?;
    }
    if classes < 2 {
        return Err(DataError::OneClass { path: train.label_file });
    }
    Ok(Dataset { train: train.into_examples(), test: test.into_examples(), classes })
}

/// One image file with its label file.
struct LabelledImages {
    image_file: PathBuf,
    label_file: PathBuf,
    size: [usize; 2],
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl LabelledImages {
    fn read(directory: &Path, prefix: &str) -> Result<LabelledImages, DataError> {
        let images = IdxFile::open(directory, &format!("{prefix}-images-idx3-ubyte"))?.read::<3>()?;
        let labels = IdxFile::open(directory, &format!("{prefix}-labels-idx1-ubyte"))?.read::<1>()?;
        let ([count, rows, columns], [label_count]) = (images.shape, labels.shape);
        if count != label_count {
            return Err(DataError::Counts {
                image_file: images.path,
                images: count,
                label_file: labels.path,
                labels: label_count,
            });
        }
        Ok(LabelledImages {
            image_file: images.path,
            label_file: labels.path,
            size: [rows, columns],
            pixels: images.bytes,
            labels: labels.bytes,
        })
    }

    fn classes(&self) -> usize {
        self.labels.iter().max().map_or(0, |&label| usize::from(label) + 1)
    }

    fn check_labels(&self, classes: usize) -> Result<(), DataError> {
        match self.labels.iter().position(|&label| usize::from(label) >= classes) {
            None => Ok(()),
            Some(row) => {
                let label = self.labels[row];
                Err(DataError::Label { path: self.label_file.clone(), row, label, classes })
            }
        }
    }

    fn into_examples(self) -> Examples {
        let width = self.size[0] * self.size[1];
        Examples { pixels: self.pixels, width, maximum: u8::MAX, labels: self.labels }
    }
}

/// An IDX file opened for reading, unpacked on the way if it is gzipped.
struct IdxFile {
    path: PathBuf,
    gzipped: bool,
    reader: Box<dyn Read>,
}

/// What an IDX file of unsigned bytes in D dimensions holds.
struct Content<const D: usize> {
    path: PathBuf,
    shape: [usize; D],
    bytes: Vec<u8>,
}

impl IdxFile {
    /// Opens `name`, or `name.gz` if that is not there.
    fn open(directory: &Path, name: &str) -> Result<IdxFile, DataError> {
        for (suffix, gzipped) in [("", false), (".gz", true)] {
            let path = directory.join(format!("{name}{suffix}"));
            match File::open(&path) {
                Ok(file) if gzipped => {
                    return Ok(IdxFile { path, gzipped, reader: Box::new(MultiGzDecoder::new(file)) });
                }
                Ok(file) => return Ok(IdxFile { path, gzipped, reader: Box::new(file) }),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(DataError::Read { path, source }),
            }
        }
        Err(DataError::Missing { path: directory.join(name) })
    }

    /// Reads the whole file: magic number, D sizes, and exactly as many bytes as these promise.
    fn read<const D: usize>(mut self) -> Result<Content<D>, DataError> {
        let header_bytes = 4 + 4 * D;
        let header = self.read_at_most(header_bytes as u64)?;
        self.check_magic::<D>(&header)?;
        if header.len() < header_bytes {
            return Err(DataError::Truncated {
                path: self.path,
                expected: header_bytes as u128,
                promise: "its header".into(),
                found: header.len() as u64,
            });
        }
        let shape: [usize; D] = std::array::from_fn(|axis| number(&header, 4 + 4 * axis) as usize);
        let expected: u128 = shape.iter().map(|&size| size as u128).product();
        let promise = format!("says its header of {}", shape.map(|size| size.to_string()).join(" × "));
        if expected == 0 {
            return Err(DataError::Empty { path: self.path, promise });
        }

        // One byte more than promised, so that trailing bytes show and a gzip's checksum is verified.
        let bytes = self.read_at_most(u64::try_from(expected + 1).unwrap_or(u64::MAX))?;
        let whole_file = header_bytes as u128 + expected;
        if (bytes.len() as u128) < expected {
            let found = (header_bytes + bytes.len()) as u64;
            return Err(DataError::Truncated { path: self.path, expected: whole_file, promise, found });
        }
        if bytes.len() as u128 > expected {
            return Err(DataError::TrailingBytes { path: self.path, expected: whole_file, promise });
        }
        Ok(Content { path: self.path, shape, bytes })
    }

    fn read_at_most(&mut self, limit: u64) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        match self.reader.by_ref().take(limit).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(source) if self.gzipped => Err(DataError::Gzip { path: self.path.clone(), source }),
            Err(source) => Err(DataError::Read { path: self.path.clone(), source }),
        }
    }

    fn check_magic<const D: usize>(&self, header: &[u8]) -> Result<(), DataError> {
        if header.len() < 4 {
            return Ok(()); // too short for a magic number: reported as truncated
        }
        let (found, expected) = (number(header, 0), 0x0800 | D as u32);
        if found == expected {
            return Ok(());
        }
        let hint = match found {
            _ if header.starts_with(&[0x1f, 0x8b]) => ": it is gzipped: let its name end in .gz",
            0x0801 | 0x0803 => ": images and labels seem to be swapped",
            _ => ": fetch it again",
        };
        Err(DataError::Magic { path: self.path.clone(), dimensions: D as u8, found, expected, hint })
    }
}

/// The big-endian number at `offset`.
fn number(header: &[u8], offset: usize) -> u32 {
    header[offset..offset + 4].iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use tempfile::TempDir;

    use super::*;

    const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
    const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
    const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
    const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

    fn file(shape: &[u32], bytes: &[u8]) -> Vec<u8> {
        let mut file = (0x0800 | shape.len() as u32).to_be_bytes().to_vec();
        shape.iter().for_each(|size| file.extend(size.to_be_bytes()));
        file.extend(bytes);
        file
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Three training images of 2×1 pixels and two test images.
    fn sound() -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        let put = |name, bytes: Vec<u8>| fs::write(directory.path().join(name), bytes).unwrap();
        put(TRAIN_IMAGES, file(&[3, 2, 1], &[0, 255, 1, 2, 3, 4]));
        put(TRAIN_LABELS, file(&[3], &[0, 1, 0]));
        put(TEST_IMAGES, file(&[2, 2, 1], &[9, 8, 7, 6]));
        put(TEST_LABELS, file(&[2], &[2, 1]));
        directory
    }

    /// The error after `name` is replaced; its message names that file.
    fn error_with(name: &str, bytes: &[u8]) -> DataError {
        let directory = sound();
        fs::write(directory.path().join(name), bytes).unwrap();
        let error = load(directory.path(), None).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        error
    }

    /// The error after `name` is replaced by a `.gz` with these bytes.
    fn error_with_packed(name: &str, bytes: &[u8]) -> DataError {
        let directory = sound();
        fs::remove_file(directory.path().join(name)).unwrap();
        fs::write(directory.path().join(format!("{name}.gz")), bytes).unwrap();
        load(directory.path(), None).unwrap_err()
    }

    #[test]
    fn plain_files_are_read() {
        let data = load(sound().path(), None).unwrap();
        assert_eq!((data.train.width, data.train.maximum, data.classes), (2, 255, 3));
        assert_eq!(data.train.pixels, [0, 255, 1, 2, 3, 4]);
        assert_eq!(data.train.labels, [0, 1, 0]);
        assert_eq!((data.test.pixels, data.test.labels), (vec![9, 8, 7, 6], vec![2, 1]));
    }

    #[test]
    fn gzipped_files_are_read() {
        let (plain, packed) = (sound(), tempfile::tempdir().unwrap());
        for name in [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS] {
            let bytes = fs::read(plain.path().join(name)).unwrap();
            fs::write(packed.path().join(format!("{name}.gz")), gzip(&bytes)).unwrap();
        }
        let (plain, packed) = (load(plain.path(), None).unwrap(), load(packed.path(), None).unwrap());
        assert_eq!((plain.train, plain.test), (packed.train, packed.test));
    }

    #[test]
    fn all_256_classes_can_be_used() {
        let directory = sound();
        fs::write(directory.path().join(TEST_LABELS), file(&[2], &[255, 1])).unwrap();
        assert_eq!(load(directory.path(), None).unwrap().classes, 256);
    }

    #[test]
    fn a_missing_file_is_named_with_what_belongs_there() {
        for name in [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS] {
            let directory = sound();
            fs::remove_file(directory.path().join(name)).unwrap();
            let error = load(directory.path(), None).unwrap_err();
            assert!(matches!(error, DataError::Missing { .. }) && error.to_string().contains(name), "{error}");
        }
        assert!(matches!(load(Path::new("/nowhere"), None), Err(DataError::Missing { .. })));
    }

    #[test]
    fn a_directory_in_place_of_a_file_is_an_error() {
        let directory = sound();
        fs::remove_file(directory.path().join(TRAIN_LABELS)).unwrap();
        fs::create_dir(directory.path().join(TRAIN_LABELS)).unwrap();
        assert!(matches!(load(directory.path(), None), Err(DataError::Read { .. })));
    }

    #[test]
    fn a_truncated_file_is_named_with_both_sizes() {
        for length in [0, 3, 10, 16, 21] {
            let error = error_with(TRAIN_IMAGES, &file(&[3, 2, 1], &[0; 6])[..length]);
            assert!(matches!(error, DataError::Truncated { found, .. } if found == length as u64), "{error}");
        }
        let message = error_with(TEST_LABELS, &file(&[2], &[0])).to_string();
        assert!(message.contains("10 bytes") && message.contains("holds 9"), "{message}");
    }

    #[test]
    fn trailing_bytes_are_an_error() {
        let error = error_with(TRAIN_LABELS, &file(&[3], &[0; 4]));
        assert!(matches!(error, DataError::TrailingBytes { expected: 11, .. }), "{error}");
        let error = error_with_packed(TRAIN_LABELS, &gzip(&file(&[3], &[0; 4])));
        assert!(matches!(error, DataError::TrailingBytes { .. }), "{error}");
    }

    #[test]
    fn a_wrong_magic_number_is_shown() {
        let error = error_with(TRAIN_IMAGES, b"hello world, no images");
        assert!(error.to_string().contains("0x68656c6c instead of 0x00000803"), "{error}");
        let error = error_with(TRAIN_IMAGES, &file(&[3], &[0; 3]));
        assert!(error.to_string().contains("swapped"), "{error}");
        let error = error_with(TRAIN_IMAGES, &gzip(&file(&[3, 2, 1], &[0; 6])));
        assert!(error.to_string().contains("end in .gz"), "{error}");
    }

    #[test]
    fn a_corrupt_gzip_is_an_error() {
        let sound = gzip(&file(&[3], &[0, 1, 2]));
        let mut wrong_checksum = sound.clone();
        let checksum = wrong_checksum.len() - 8;
        wrong_checksum[checksum] ^= 1;
        let mut garbage_after = sound.clone();
        garbage_after.extend(b"garbage");
        for bytes in [&sound[..sound.len() - 3], &sound[..15], &wrong_checksum, &garbage_after, b"not gzip at all"] {
            let error = error_with_packed(TRAIN_LABELS, bytes);
            assert!(matches!(error, DataError::Gzip { .. }), "{error}");
            assert!(error.to_string().contains("train-labels-idx1-ubyte.gz"), "{error}");
        }
    }

    #[test]
    fn different_numbers_of_images_and_labels_are_an_error() {
        let error = error_with(TRAIN_LABELS, &file(&[2], &[0, 1]));
        assert!(matches!(error, DataError::Counts { images: 3, labels: 2, .. }), "{error}");
    }

    #[test]
    fn image_sizes_of_training_and_test_set_must_agree() {
        let error = error_with(TEST_IMAGES, &file(&[2, 1, 2], &[0; 4]));
        assert!(error.to_string().contains("1×2"), "{error}");
    }

    #[test]
    fn an_empty_set_is_an_error() {
        assert!(matches!(error_with(TRAIN_IMAGES, &file(&[0, 2, 1], &[])), DataError::Empty { .. }));
        assert!(matches!(error_with(TEST_IMAGES, &file(&[2, 0, 1], &[])), DataError::Empty { .. }));
        assert!(matches!(error_with(TEST_LABELS, &file(&[0], &[])), DataError::Empty { .. }));
    }

    #[test]
    fn a_label_beyond_the_stated_classes_is_named_by_file_and_row() {
        let directory = sound();
        let message = load(directory.path(), Some(2)).unwrap_err().to_string();
        assert!(message.contains("t10k-labels-idx1-ubyte, label 0 (counted from 0) is 2"), "{message}");
        assert_eq!(load(directory.path(), Some(5)).unwrap().classes, 5);
    }

    #[test]
    fn one_class_is_an_error() {
        let directory = sound();
        fs::write(directory.path().join(TRAIN_LABELS), file(&[3], &[0; 3])).unwrap();
        fs::write(directory.path().join(TEST_LABELS), file(&[2], &[0; 2])).unwrap();
        assert!(matches!(load(directory.path(), None), Err(DataError::OneClass { .. })));
    }

    #[test]
    fn a_header_that_promises_billions_of_images_allocates_nothing() {
        for packed in [false, true] {
            let bytes = file(&[u32::MAX, u32::MAX, u32::MAX], &[1, 2, 3]);
            let error = match packed {
                false => error_with(TRAIN_IMAGES, &bytes),
                true => error_with_packed(TRAIN_IMAGES, &gzip(&bytes)),
            };
            assert!(matches!(error, DataError::Truncated { found: 19, .. }), "{error}");
        }
    }
}
