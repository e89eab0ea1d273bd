//! IDX files, MNIST's format: a big-endian header, then numbers of one type. Plain or gzipped.
//!
//! A header is never believed before the bytes behind it have been read: memory follows the file, not its promises. Numbers of every type
//! are read if they are whole and from 0 to 255. Images may have any number of dimensions: their pixels are taken row by row. Labels that begin at 1, as
//! EMNIST's letters do, are counted from 0.

use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use cograd_files::open_regular;

use super::gzip::Members;
use super::{DataError, Dataset, Examples, names, numbered, signature};

/// Loads the four files of a data set of MNIST's family, under their usual names, from `directory`.
///
/// The number of classes is `classes`, or the largest label of both sets plus one.
pub(super) fn load(directory: &Path, classes: Option<usize>) -> Result<Dataset, DataError> {
    let [train, test] = names::of_files(directory)?;
    let mut train = LabelledImages::read(directory, &train)?;
    let mut test = LabelledImages::read(directory, &test)?;
    if train.size != test.size {
        return Err(DataError::ImageSizes {
            train_file: train.image_file,
            train: train.size,
            test_file: test.image_file,
            test: test.size,
        });
    }
    let first = train.labels[0];
    if classes.unwrap_or_default() < 2 && train.labels.iter().chain(&test.labels).all(|&label| label == first) {
        return Err(DataError::OneClass { path: train.label_file, label: first });
    }
    let begins_at_1 = train.labels.iter().chain(&test.labels).all(|&label| label > 0);
    let is_shifted = begins_at_1 && classes.is_none_or(|classes| classes + 1 == train.classes().max(test.classes()));
    if is_shifted {
        [&mut train, &mut test].into_iter().flat_map(|set| &mut set.labels).for_each(|label| *label -= 1);
    }
    let classes = match classes {
        Some(classes) => classes,
        None => train.classes().max(test.classes()),
    };
    for set in [&train, &test] {
        set.check_labels(classes)?;
    }
    let class_names = numbered(usize::from(is_shifted), classes);
    Ok(Dataset { train: train.into_examples(), test: test.into_examples(), classes, class_names, noise_file: None })
}

/// One image file with its label file.
struct LabelledImages {
    image_file: PathBuf,
    label_file: PathBuf,
    /// Of an image, one number a dimension.
    size: Vec<usize>,
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl LabelledImages {
    fn read(directory: &Path, [images, labels]: &names::Pair) -> Result<LabelledImages, DataError> {
        let images = IdxFile::open(directory, images)?.read("images")?;
        let labels = IdxFile::open(directory, labels)?.read("labels")?;
        let (count, label_count) = (images.shape[0], labels.shape[0]);
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
            size: images.shape[1..].to_vec(),
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
        // Rows and columns are an image of one channel; other sizes are what they are.
        let shape = match self.size.as_slice() {
            [rows, columns] => vec![1, *rows, *columns],
            size => size.to_vec(),
        };
        Examples::images(self.pixels, u8::MAX, &shape, self.labels)
    }
}

/// An IDX file opened for reading, unpacked on the way if its name ends in .gz.
pub(super) struct IdxFile {
    path: PathBuf,
    gzipped: bool,
    reader: Box<dyn Read>,
}

/// What an IDX file holds.
struct Content {
    path: PathBuf,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// A type of numbers: its code, what they are called, and the value of so many bytes.
struct Type {
    code: u8,
    name: &'static str,
    width: usize,
    value: fn(&[u8]) -> f64,
}

/// From the description of the format on MNIST's page.
const TYPES: [Type; 6] = [
    Type { code: 0x08, name: "unsigned bytes", width: 1, value: |bytes| f64::from(bytes[0]) },
    Type { code: 0x09, name: "signed bytes", width: 1, value: |bytes| f64::from(bytes[0].cast_signed()) },
    Type { code: 0x0b, name: "16-bit integers", width: 2, value: |b| f64::from(i16::from_be_bytes([b[0], b[1]])) },
    Type { code: 0x0c, name: "32-bit integers", width: 4, value: |b| f64::from(i32::from_be_bytes(first(b))) },
    Type { code: 0x0d, name: "32-bit floats", width: 4, value: |b| f64::from(f32::from_be_bytes(first(b))) },
    Type { code: 0x0e, name: "64-bit floats", width: 8, value: |b| f64::from_be_bytes(first(b)) },
];

impl IdxFile {
    /// Opens `name`, or `name.gz` if that is not there.
    pub(super) fn open(directory: &Path, name: &str) -> Result<IdxFile, DataError> {
        for (suffix, gzipped) in [("", false), (".gz", true)] {
            let path = directory.join(format!("{name}{suffix}"));
            match open_regular(&path) {
                Ok(file) if gzipped => {
                    return Ok(IdxFile { path, gzipped, reader: Box::new(Members::new(BufReader::new(file))) });
                }
                Ok(file) => return Ok(IdxFile { path, gzipped, reader: Box::new(file) }),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(DataError::unreadable(&path, source)),
            }
        }
        Err(DataError::Missing { path: directory.join(name) })
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is unpacked on the way.
    pub(super) fn is_gzipped(&self) -> bool {
        self.gzipped
    }

    /// Reads the whole file: magic number, sizes, and exactly as many numbers as these promise. `what` it holds: images or labels.
    fn read(mut self, what: &'static str) -> Result<Content, DataError> {
        let magic = self.read_at_most(4)?;
        let (kind, dimensions) = match self.check_magic(&magic, what) {
            Ok(promised) => promised,
            Err(DataError::Magic { path, what, found, hint }) => {
                let begin = [magic, self.read_at_most(signature::LENGTH as u64).unwrap_or_default()].concat();
                let hint = signature::hint(&begin, self.gzipped).unwrap_or(hint);
                return Err(DataError::Magic { path, what, found, hint });
            }
            Err(error) => return Err(error),
        };
        let sizes = self.read_at_most(4 * dimensions as u64)?;
        let header = (4 + 4 * dimensions) as u128;
        if sizes.len() < 4 * dimensions {
            let found = (4 + sizes.len()) as u64;
            let promise = "its header".into();
            return Err(DataError::Truncated { path: self.path, expected: header, promise, found });
        }
        let shape: Vec<usize> = sizes.chunks_exact(4).map(|size| u32::from_be_bytes(first(size)) as usize).collect();
        let count = shape.iter().fold(1_u128, |count, &size| count.saturating_mul(size as u128));
        let of_shape = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
        let promise = format!("says its header of {of_shape} {}", kind.name);
        if count == 0 {
            return Err(DataError::Empty { path: self.path, promise });
        }
        // QMNIST's labels are rows of eight numbers, of which the first is the class.
        let is_of_rows = self.path.to_string_lossy().contains("-labels-idx2-int");
        if what == "labels" && count != shape[0] as u128 && !is_of_rows {
            return Err(DataError::LabelShape { path: self.path, shape: of_shape });
        }

        // One byte more than promised, so that trailing bytes show and a gzip's checksum is verified.
        let length = count.saturating_mul(kind.width as u128);
        let bytes = self.read_at_most(u64::try_from(length.saturating_add(1)).unwrap_or(u64::MAX))?;
        let expected = header.saturating_add(length);
        if (bytes.len() as u128) < length {
            let of_little_endian = sizes.chunks_exact(4).map(|size| u32::from_le_bytes(first(size)) as usize);
            let swapped: Vec<usize> = of_little_endian.collect();
            let count = swapped.iter().fold(kind.width as u128, |count, &size| count.saturating_mul(size as u128));
            if count == bytes.len() as u128 {
                return Err(DataError::ByteOrder { path: self.path, size: shape[0], meant: swapped[0] });
            }
            let found = header as u64 + bytes.len() as u64;
            return Err(DataError::Truncated { path: self.path, expected, promise, found });
        }
        if bytes.len() as u128 > length {
            return Err(DataError::TrailingBytes { path: self.path, expected, promise });
        }
        let bytes = match what == "labels" && is_of_rows {
            true => bytes.chunks(bytes.len() / shape[0]).flat_map(|row| &row[..kind.width]).copied().collect(),
            false => bytes,
        };
        let bytes = if kind.code == TYPES[0].code { bytes } else { self.as_bytes(kind, &bytes, what)? };
        Ok(Content { path: self.path, shape, bytes })
    }

    /// Numbers of another type as bytes.
    fn as_bytes(&self, kind: &Type, bytes: &[u8], what: &'static str) -> Result<Vec<u8>, DataError> {
        let byte = |(place, bytes): (usize, &[u8])| {
            let value = (kind.value)(bytes);
            let is_byte = (0.0..=255.0).contains(&value) && value.fract() == 0.0;
            is_byte.then_some(value as u8).ok_or_else(|| DataError::Value {
                path: self.path.clone(),
                what,
                kind: kind.name,
                place,
                value,
            })
        };
        bytes.chunks_exact(kind.width).enumerate().map(byte).collect()
    }

    pub(super) fn read_at_most(&mut self, limit: u64) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        match self.reader.by_ref().take(limit).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(source) if self.gzipped => Err(DataError::gzip(&self.path, source)),
            Err(source) => Err(DataError::Read { path: self.path.clone(), source }),
        }
    }

    /// The type and the number of dimensions.
    fn check_magic(&self, magic: &[u8], what: &'static str) -> Result<(&'static Type, usize), DataError> {
        let &[zero, other, code, dimensions] = magic else {
            let (promise, found) = ("its header".into(), magic.len() as u64);
            return Err(DataError::Truncated { path: self.path.clone(), expected: 8, promise, found });
        };
        let kind = TYPES.iter().find(|kind| kind.code == code).filter(|_| (zero, other) == (0, 0));
        let hint = match (kind, magic) {
            (Some(_), [.., 0]) => "its header says nothing of how many it holds: it is damaged",
            (Some(kind), _) if (what == "images") == (dimensions > 1) || what == "labels" && dimensions == 2 => {
                return Ok((kind, dimensions.into()));
            }
            (Some(_), _) => "images and labels seem to be swapped",
            (None, [_, code, 0, 0]) if TYPES.iter().any(|kind| kind.code == *code) => {
                "its header is little-endian: write it with the most significant byte first"
            }
            (None, _) => "data.directory may be another data set's: IDX begins with two bytes of 0",
        };
        let found = u32::from_be_bytes([zero, other, code, dimensions]);
        Err(DataError::Magic { path: self.path.clone(), what, found, hint })
    }
}

/// The first bytes of a number, of which there are enough.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|place| bytes[place])
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
    fn no_dimension_and_more_than_can_be_counted_are_refused() {
        for name in [TRAIN_LABELS, TEST_IMAGES] {
            let error = error_with(name, &[0, 0, 8, 0, 7]);
            assert!(matches!(error, DataError::Magic { .. }) && error.to_string().contains("says nothing"), "{error}");
        }
        // 255 sizes, whose product is 0 if it is counted in any number of bits.
        assert!(matches!(error_with(TEST_IMAGES, &file(&[1 << 16; 255], &[1; 9])), DataError::Truncated { .. }));
    }

    #[test]
    fn plain_files_are_read() {
        let data = load(sound().path(), None).unwrap();
        assert_eq!((&data.train.shape[..], data.classes), (&[1, 2, 1][..], 3));
        assert_eq!(data.train.pixels(), [0, 255, 1, 2, 3, 4]);
        assert_eq!(data.train.labels, [0, 1, 0]);
        assert_eq!((data.test.pixels(), &data.test.labels[..]), (&[9, 8, 7, 6][..], &[2, 1][..]));
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
        assert!(matches!(load(directory.path(), None), Err(DataError::NoFile { .. })));
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
    fn sizes_in_the_other_byte_order_are_said_to_be() {
        for (name, shape, numbers) in [(TRAIN_IMAGES, &[3, 2, 1][..], 6), (TRAIN_LABELS, &[3], 3)] {
            let little: Vec<u32> = shape.iter().map(|size: &u32| size.swap_bytes()).collect();
            let message = error_with(name, &file(&little, &vec![0; numbers])).to_string();
            assert!(message.contains("little-endian, 50331648 where it means 3"), "{message}");
            assert!(!message.contains("fetch"), "{message}");
        }
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
        assert!(error.to_string().contains("0x68656c6c"), "{error}");
        assert!(error_with(TRAIN_IMAGES, b"\xfd7zXZ\0").to_string().contains("unxz"));
        assert!(error_with(TRAIN_IMAGES, b"version https://git-lfs.github.com").to_string().contains("git lfs pull"));
        let error = error_with(TRAIN_IMAGES, b"<!doctype html>");
        assert!(error.to_string().contains("web page"), "{error}");
        let mut little = file(&[3, 2, 1], &[0; 6]);
        little[..4].reverse();
        assert!(error_with(TRAIN_IMAGES, &little).to_string().contains("little-endian"));
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
        for bytes in [&sound[..sound.len() - 3], &sound[..15], &wrong_checksum, &garbage_after] {
            let error = error_with_packed(TRAIN_LABELS, bytes);
            assert!(matches!(error, DataError::Gzip { .. }), "{error}");
            assert!(error.to_string().contains("train-labels-idx1-ubyte.gz"), "{error}");
        }
        for (bytes, hint) in [
            (Vec::new(), "it is empty"),
            (b"BZh91AY&SY".to_vec(), "bunzip2"),
            (b"version https://git-lfs.github.com/spec/v1".to_vec(), "git lfs pull"),
            (file(&[3], &[0, 1, 2]), "take .gz off its name"),
            (b"<html>".to_vec(), "web page"),
            (gzip(&sound), "gzipped twice"),
        ] {
            let message = error_with_packed(TRAIN_LABELS, &bytes).to_string();
            assert!(message.contains(hint) && (bytes.is_empty() || !message.contains("fetch")), "{message}");
        }
        let gap = [gzip(&file(&[3], &[0])), vec![0; 9], gzip(&[1, 2])].concat();
        let message = error_with_packed(TRAIN_LABELS, &gap).to_string();
        assert!(message.contains("with zeros between them") && !message.contains("damaged"), "{message}");
    }

    #[test]
    fn a_gzip_of_several_members_and_padding_is_read() {
        let labels = file(&[3], &[0, 1, 0]);
        let padded = [gzip(&labels[..5]), gzip(&labels[5..]), vec![0; 700]].concat();
        let directory = sound();
        fs::remove_file(directory.path().join(TRAIN_LABELS)).unwrap();
        fs::write(directory.path().join(format!("{TRAIN_LABELS}.gz")), padded).unwrap();
        assert_eq!(load(directory.path(), None).unwrap().train.labels, [0, 1, 0]);
    }

    /// A file of numbers of a type.
    fn typed(code: u8, shape: &[u32], numbers: &[&[u8]]) -> Vec<u8> {
        let mut bytes = file(shape, &numbers.concat());
        bytes[2] = code;
        bytes
    }

    #[test]
    fn numbers_of_every_type_are_read_if_they_are_bytes() {
        let directory = sound();
        let put = |name, bytes: Vec<u8>| fs::write(directory.path().join(name), bytes).unwrap();
        put(TRAIN_LABELS, typed(0x0c, &[3, 1], &[&0_i32.to_be_bytes(), &200_i32.to_be_bytes(), &1_i32.to_be_bytes()]));
        put(TEST_LABELS, typed(0x0b, &[2], &[&1_i16.to_be_bytes(), &2_i16.to_be_bytes()]));
        let pixels = [9.0_f32, 8.0, 7.0, 255.0].map(f32::to_be_bytes);
        put(TEST_IMAGES, typed(0x0d, &[2, 2, 1], &pixels.each_ref().map(|pixel| pixel.as_slice())));
        let data = load(directory.path(), None).unwrap();
        assert_eq!(data.test.pixels(), [9, 8, 7, 255]);
        assert_eq!((data.train.labels, data.test.labels), (vec![0, 200, 1], vec![1, 2]));
        let half = [0.5_f64.to_be_bytes(); 4];
        put(TEST_IMAGES, typed(0x0e, &[2, 2, 1], &half.each_ref().map(|pixel| pixel.as_slice())));
        let message = load(directory.path(), None).unwrap_err().to_string();
        assert!(message.contains("64-bit floats") && message.contains("0.5"), "{message}");
    }

    #[test]
    fn images_of_any_dimensions_are_rows_of_pixels() {
        let directory = sound();
        let put = |name, bytes: Vec<u8>| fs::write(directory.path().join(name), bytes).unwrap();
        put(TRAIN_IMAGES, file(&[3, 1, 2, 1], &[0, 255, 1, 2, 3, 4]));
        put(TEST_IMAGES, file(&[2, 1, 2, 1], &[9, 8, 7, 6]));
        assert_eq!(load(directory.path(), None).unwrap().train.width(), 2);
        put(TRAIN_IMAGES, file(&[3, 2], &[0, 255, 1, 2, 3, 4]));
        assert!(matches!(load(directory.path(), None), Err(DataError::ImageSizes { .. })));
        put(TEST_IMAGES, file(&[2, 2], &[9, 8, 7, 6]));
        assert_eq!(load(directory.path(), None).unwrap().train.pixels(), [0, 255, 1, 2, 3, 4]);
        let message = error_with(TRAIN_LABELS, &file(&[3, 8], &[0; 24])).to_string();
        assert!(message.contains("3 × 8"), "{message}");
    }

    #[test]
    fn labels_that_begin_at_1_are_counted_from_0() {
        let directory = sound();
        fs::write(directory.path().join(TRAIN_LABELS), file(&[3], &[1, 2, 1])).unwrap();
        fs::write(directory.path().join(TEST_LABELS), file(&[2], &[3, 2])).unwrap();
        for classes in [None, Some(3)] {
            let data = load(directory.path(), classes).unwrap();
            assert_eq!((data.train.labels, data.test.labels, data.classes), (vec![0, 1, 0], vec![2, 1], 3));
        }
        // Of four classes 0 may be one that no example is of.
        assert_eq!(load(directory.path(), Some(4)).unwrap().train.labels, [1, 2, 1]);
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
        for label in [0, 1, 5] {
            let directory = sound();
            fs::write(directory.path().join(TRAIN_LABELS), file(&[3], &[label; 3])).unwrap();
            fs::write(directory.path().join(TEST_LABELS), file(&[2], &[label; 2])).unwrap();
            let message = load(directory.path(), None).unwrap_err().to_string();
            assert!(message.contains(&format!("hold label {label} only")), "{message}");
            assert_eq!(load(directory.path(), Some(7)).unwrap().classes, 7);
        }
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
