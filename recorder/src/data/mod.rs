//! Labelled examples: the embedded digits, or a directory of IDX files, of CIFAR's batches, of texts or of tables.
//!
//! Pixels stay bytes in memory; minibatches are scaled to [0, 1] as they are gathered.

mod cifar;
mod digits;
mod gzip;
mod idx;
mod labels;
mod names;
mod signature;
mod table;
mod text;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::experiment::{DataSettings, Source};
use crate::network::{Inputs, Pixels, Tokens};
use crate::noise::NoiseKind;

/// Most classes: labels are bytes.
const MOST_CLASSES: usize = 256;

/// A training and a test set with the same image size and classes.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Training set, its examples in the order of its files.
    pub train: Examples,
    /// Test set, whose labels are never noisy.
    pub test: Examples,
    /// Number of classes: every label is below it.
    pub classes: usize,
    /// What the files call each class: its label as they write it.
    pub class_names: Vec<String>,
    /// Labels of the training set as the noise file has them, if there is one.
    pub noise_file: Option<Vec<u8>>,
}

impl Dataset {
    /// With these rows of the training set only.
    ///
    /// # Panics
    /// A row past its end.
    pub fn subset(&self, rows: &[u32]) -> Dataset {
        let select = |labels: &[u8]| rows.iter().map(|&row| labels[row as usize]).collect();
        let Examples { values, shape, labels } = &self.train;
        let values = values.subset(rows, self.train.width());
        Dataset {
            train: Examples { values, shape: shape.clone(), labels: select(labels) },
            test: self.test.clone(),
            classes: self.classes,
            class_names: self.class_names.clone(),
            noise_file: self.noise_file.as_deref().map(select),
        }
    }
}

/// Labels of so many classes that are numbered from `first` on.
fn numbered(first: usize, classes: usize) -> Vec<String> {
    (first..first + classes).map(|label| label.to_string()).collect()
}

/// Most names in a message.
const MOST_NAMES: usize = 10;

/// The first few of these names, and how many more there are.
fn few(names: &[String]) -> String {
    let some: Vec<String> = names.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
    let more = match names.len() - some.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    some.join(", ") + &more
}

/// What a person who records these data should know, if anything: classes of which the network has an output and the files have
/// no example. With `data.classes` they are meant to be there; only IDX files leave it to the largest label.
pub(crate) fn note(settings: &DataSettings, data: &Dataset) -> Option<String> {
    let mut has_example = [false; MOST_CLASSES];
    data.train.labels.iter().chain(&data.test.labels).for_each(|label| has_example[usize::from(*label)] = true);
    let without = has_example[..data.classes].iter().filter(|has_example| !**has_example).count();
    (without > 0 && settings.source == Source::Idx && settings.classes.is_none()).then(|| {
        let (classes, last) = (data.classes, data.classes - 1);
        format!(
            "the data have no example of {without} of the classes 0 to {last}, and the network has an output for each of the {classes}: \
             if that is meant, say data.classes = {classes}; otherwise number the labels from 0 without gaps"
        )
    })
}

/// Examples of one size with their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    /// Values of all examples, one after the other.
    pub values: Values,
    /// Shape of an example: channels, rows and columns of an image; otherwise the number of its values.
    pub shape: Vec<usize>,
    /// One label per example.
    pub labels: Vec<u8>,
}

/// What examples are made of, as their files have it.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Pixels of images.
    Bytes {
        /// A byte each.
        values: Vec<u8>,
        /// The byte that stands for 1.0.
        maximum: u8,
    },
    /// Numbers of a table.
    Numbers(Vec<f32>),
    /// Words of texts, by their number in the vocabulary; 0 is padding.
    Tokens {
        /// Numbers of every text.
        values: Tokens,
        /// Every number is below it.
        vocabulary: usize,
    },
}

impl Values {
    /// Those of some examples of so many values.
    fn subset(&self, rows: &[u32], width: usize) -> Values {
        fn select<T: Copy>(values: &[T], rows: &[u32], width: usize) -> Vec<T> {
            rows.iter().flat_map(|&row| &values[row as usize * width..][..width]).copied().collect()
        }
        match self {
            Values::Bytes { values, maximum } => {
                Values::Bytes { values: select(values, rows, width), maximum: *maximum }
            }
            Values::Numbers(values) => Values::Numbers(select(values, rows, width)),
            Values::Tokens { values, vocabulary } => {
                Values::Tokens { values: values.subset(rows), vocabulary: *vocabulary }
            }
        }
    }
}

impl Examples {
    /// Images of this shape.
    pub(crate) fn images(pixels: Vec<u8>, maximum: u8, shape: &[usize], labels: Vec<u8>) -> Examples {
        Examples { values: Values::Bytes { values: pixels, maximum }, shape: shape.to_vec(), labels }
    }

    /// Pixels of all images, row by row; none if these are no images.
    pub fn pixels(&self) -> &[u8] {
        match &self.values {
            Values::Bytes { values, .. } => values,
            _ => &[],
        }
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no examples.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Values of an example.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// The examples as the network reads them: pixels scaled to [0, 1].
    pub fn inputs(&self) -> Inputs<'_> {
        match &self.values {
            Values::Bytes { values, maximum } => {
                Inputs::Pixels(Pixels { values, width: self.width(), maximum: f32::from(*maximum) })
            }
            Values::Numbers(values) => Inputs::Numbers(values, self.width()),
            Values::Tokens { values, .. } => Inputs::Tokens(values),
        }
    }
}

/// The settings of the embedded digits.
pub fn digits() -> DataSettings {
    DataSettings {
        source: Source::Digits,
        directory: None,
        classes: None,
        examples: None,
        noise: NoiseKind::default(),
        noise_file: None,
    }
}

/// Loads the data set that an experiment names.
///
/// # Errors
/// A file is missing, unreadable or not what it should be: see [`DataError`].
pub fn load(settings: &DataSettings) -> Result<Dataset, DataError> {
    let mut data = match (settings.source, &settings.directory) {
        (Source::Digits, _) => digits::load()?,
        (Source::Idx, Some(directory)) => idx::load(directory, settings.classes)?,
        (Source::Cifar, Some(directory)) => cifar::load(directory)?,
        (Source::Text, Some(directory)) => text::load(directory)?,
        (Source::Table, Some(directory)) => table::load(directory)?,
        (_, None) => return Err(DataError::NoDirectory),
    };
    if let Some(file) = &settings.noise_file {
        data.noise_file =
            Some(labels::load(file, data.train.len(), &data.class_names, settings.source == Source::Text)?);
    }
    Ok(data)
}

/// What is wrong with a data file, in which file, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A source of files without a directory.
    #[error("no directory of data files is given: say `--data DIRECTORY`, or add `directory = \"…\"` under [data]")]
    NoDirectory,
    /// A file is neither there plain nor gzipped.
    #[error(
        "{}: no such file, nor with .gz: put MNIST's four files (train-images-idx3-ubyte, train-labels-idx1-ubyte, \
         t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each plain or .gz) there, or say where they are: `--data DIRECTORY`, \
         or data.directory (a relative one starts at the working directory); `cograd data fetch mnist` gets them",
        path.display()
    )]
    Missing {
        /// The plain name.
        path: PathBuf,
    },
    /// Several data sets, of which one must be chosen.
    #[error("{} holds several data sets ({families}): put the four files of one into a directory of their own, and name it with `--data DIRECTORY`", directory.display())]
    Several {
        /// The directory.
        directory: PathBuf,
        /// What their names begin with.
        families: String,
    },
    /// Batches of CIFAR are missing.
    #[error(
        "{} has no {} batch: put CIFAR-10's data_batch_1.bin to data_batch_5.bin (one is enough) and test_batch.bin there, or \
         CIFAR-100's train.bin and test.bin, each plain or .gz, or say where they are: `--data DIRECTORY`; `cograd data fetch cifar10` \
         gets them",
        directory.display(), if *has_train { "test" } else { "training" }
    )]
    NoBatches {
        /// The directory.
        directory: PathBuf,
        /// Whether a training batch is there.
        has_train: bool,
    },
    /// Files of texts are missing.
    #[error(
        "{} has no train.txt and test.txt, nor TREC's train_5500.label and TREC_10.label: put both there, a text a line, its label first; \
         `cograd data fetch trec` gets TREC's",
        directory.display()
    )]
    NoTexts {
        /// The directory.
        directory: PathBuf,
    },
    /// Files of tables are missing.
    #[error(
        "{} has no train.csv (or train.parquet) and test.csv (or test.parquet): put both there, with a column `label`",
        directory.display()
    )]
    NoTables {
        /// The directory.
        directory: PathBuf,
    },
    /// A table that is none of numbers and labels.
    #[error("{}: {problem}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A line of a text file that is not what it should be.
    #[error("{}, line {line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The operating system refused.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Something that is not a file: a directory, a pipe, a device.
    #[error("{} is not a regular file: put the data file there", path.display())]
    NoFile {
        /// What has the file's name.
        path: PathBuf,
    },
    /// Not a whole gzip file.
    #[error("{} is gzipped and damaged: fetch it again", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What the decoder found.
        source: std::io::Error,
    },
    /// Zeros between two members of a gzip file.
    #[error(
        "{} holds several gzip files, one after the other, with zeros between them, at which gunzip would stop: write them anew \
         without zeros between them, or keep the first one",
        path.display()
    )]
    Gap {
        /// The file.
        path: PathBuf,
    },
    /// A file that is not gzipped, though its name says so.
    #[error("{} is not gzipped: {hint}", path.display())]
    NotGzipped {
        /// The file.
        path: PathBuf,
        /// What it seems to be, and what to do.
        hint: &'static str,
    },
    /// The first four bytes are not those of an IDX file of images or labels.
    #[error("{} is no IDX file of {what}: it begins with {found:#010x}: {hint}", path.display())]
    Magic {
        /// The file.
        path: PathBuf,
        /// Images or labels.
        what: &'static str,
        /// The number found.
        found: u32,
        /// A likely reason, and what to do.
        hint: &'static str,
    },
    /// A header that is that of an IDX file but for the order of the bytes of its sizes.
    #[error(
        "{} has its sizes in the other byte order: they are little-endian, {size} where it means {meant}: write its numbers with the \
         most significant byte first",
        path.display()
    )]
    ByteOrder {
        /// The file.
        path: PathBuf,
        /// The first size as IDX has it.
        size: usize,
        /// The same in the other order.
        meant: usize,
    },
    /// No batch of CIFAR.
    #[error("{}: {problem}", path.display())]
    Batch {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A number that is no byte.
    #[error(
        "{} holds {kind}, of which number {place} (counted from 0) is {value}: cograd takes {what} as whole numbers from 0 to 255: \
         convert it to unsigned bytes",
        path.display()
    )]
    Value {
        /// The file.
        path: PathBuf,
        /// Images or labels.
        what: &'static str,
        /// The type of its numbers.
        kind: &'static str,
        /// Place of the number, from 0.
        place: usize,
        /// The number.
        value: f64,
    },
    /// More than one label an example.
    #[error("{} holds labels of the shape {shape}: cograd reads one label for each image: write that column alone", path.display())]
    LabelShape {
        /// The file.
        path: PathBuf,
        /// Its sizes.
        shape: String,
    },
    /// The file ends before its header or its header's promise does.
    #[error("{} is truncated: it should hold {expected} bytes, {promise}, and holds {found}: fetch it again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes expected, unpacked.
        expected: u128,
        /// Where that number comes from.
        promise: String,
        /// Bytes found, unpacked.
        found: u64,
    },
    /// The file goes on after all that its header promises.
    #[error("{} should end after {expected} bytes, {promise}, and goes on: fetch it again", path.display())]
    TrailingBytes {
        /// The file.
        path: PathBuf,
        /// Bytes expected, unpacked.
        expected: u128,
        /// Where that number comes from.
        promise: String,
    },
    /// No images, or images without pixels.
    #[error("{} holds nothing: {promise}: at least one image of at least one pixel is needed", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What the header says.
        promise: String,
    },
    /// An image file and its label file hold different numbers.
    #[error(
        "{} holds {images} images and {} holds {labels} labels: the two must belong together: fetch both again",
        image_file.display(), label_file.display()
    )]
    Counts {
        /// The images' file.
        image_file: PathBuf,
        /// Number of images.
        images: usize,
        /// The labels' file.
        label_file: PathBuf,
        /// Number of labels.
        labels: usize,
    },
    /// Training and test images are not of one size.
    #[error(
        "{} holds images of {} pixels and {} of {}: training and test images must be of one size",
        train_file.display(), times(train), test_file.display(), times(test)
    )]
    ImageSizes {
        /// The training images' file.
        train_file: PathBuf,
        /// Their size, one number a dimension.
        train: Vec<usize>,
        /// The test images' file.
        test_file: PathBuf,
        /// Their size, one number a dimension.
        test: Vec<usize>,
    },
    /// A label is not below the number of classes.
    #[error("{}, label {row} (counted from 0) is {label}: with data.classes = {classes}, labels are 0 to {}", path.display(), classes - 1)]
    Label {
        /// The labels' file.
        path: PathBuf,
        /// Place of the label, from 0.
        row: usize,
        /// The label.
        label: u8,
        /// Number of classes.
        classes: usize,
    },
    /// All examples are of one class.
    #[error("{} and the test labels hold label {label} only: a classifier needs at least two classes", path.display())]
    OneClass {
        /// The training labels' file.
        path: PathBuf,
        /// The label of all.
        label: u8,
    },
    /// A row of the embedded digits is malformed.
    #[error("the embedded digits, row {row}: {problem}: this build is broken, build it again")]
    Digits {
        /// Row, from 1.
        row: usize,
        /// What is wrong.
        problem: String,
    },
}

impl DataError {
    /// What the operating system said when a file was to be read: a pipe, a directory or a device is none.
    fn unreadable(path: &Path, source: std::io::Error) -> DataError {
        let path = path.to_path_buf();
        match source.kind() {
            std::io::ErrorKind::InvalidInput => DataError::NoFile { path },
            _ => DataError::Read { path, source },
        }
    }

    /// A file that cannot be unpacked: damaged only if it begins as gzip does.
    fn gzip(path: &Path, source: std::io::Error) -> DataError {
        let mut begin = Vec::new();
        let read = File::open(path).and_then(|file| file.take(signature::LENGTH as u64).read_to_end(&mut begin));
        let path = path.to_path_buf();
        match begin.as_slice() {
            _ if source.kind() == gzip::GAP => DataError::Gap { path },
            _ if read.is_err() => DataError::Read { path, source },
            [0x1f] | [0x1f, 0x8b, ..] => DataError::Gzip { path, source },
            begin => {
                DataError::NotGzipped { path, hint: signature::hint(begin, false).unwrap_or("take .gz off its name") }
            }
        }
    }
}

/// Sizes with × between.
fn times(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_without_examples_are_noted_unless_they_are_meant() {
        let examples = |labels: &[u8]| Examples::images(vec![0; labels.len()], 1, &[1], labels.to_vec());
        let data = |test: &[u8]| Dataset {
            train: examples(&[5, 9]),
            test: examples(test),
            classes: 10,
            class_names: numbered(0, 10),
            noise_file: None,
        };
        let idx = DataSettings { source: Source::Idx, ..digits() };
        let message = note(&idx, &data(&[7])).unwrap();
        assert!(
            message.contains("no example of 7 of the classes 0 to 9") && message.contains("data.classes = 10"),
            "{message}"
        );
        assert_eq!(note(&idx, &data(&[0, 1, 2, 3, 4, 6, 7, 8])), None);
        assert_eq!(note(&DataSettings { classes: Some(10), ..idx }, &data(&[7])), None);
    }
}
