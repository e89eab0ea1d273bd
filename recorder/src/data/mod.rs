//! Labelled images: the embedded digits, or a directory of IDX files.
//!
//! Pixels stay bytes in memory; minibatches are scaled to [0, 1] as they are gathered.

mod digits;
mod idx;

use std::path::PathBuf;

use crate::experiment::{DataSettings, Source};
use crate::network::Pixels;

/// A training and a test set with the same image size and classes.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Training set, its examples in the order of its files.
    pub train: Examples,
    /// Test set, whose labels are never noisy.
    pub test: Examples,
    /// Number of classes: every label is below it.
    pub classes: usize,
}

/// Images of one size with their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    /// Pixels of all images, `width` bytes each, row by row.
    pub pixels: Vec<u8>,
    /// Pixels of one image.
    pub width: usize,
    /// The byte that stands for 1.0.
    pub maximum: u8,
    /// One label per image.
    pub labels: Vec<u8>,
}

impl Examples {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no examples.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The images as the network reads them, scaled to [0, 1].
    pub(crate) fn pixels(&self) -> Pixels<'_> {
        Pixels { values: &self.pixels, width: self.width, maximum: f32::from(self.maximum) }
    }
}

/// Loads the data set that an experiment names.
///
/// # Errors
/// A file is missing, unreadable or not what it should be: see [`DataError`].
pub fn load(settings: &DataSettings) -> Result<Dataset, DataError> {
    match (settings.source, &settings.directory) {
        (Source::Digits, _) => digits::load(),
        (Source::Idx, Some(directory)) => idx::load(directory, settings.classes),
        (Source::Idx, None) => Err(DataError::NoDirectory),
    }
}

/// What is wrong with a data file, in which file, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// `source = "idx"` without a directory.
    #[error("no directory of IDX files is given: add `directory = \"…\"` under [data]")]
    NoDirectory,
    /// A file is neither there plain nor gzipped.
    #[error(
        "{}: no such file, nor with .gz: put MNIST's four files (train-images-idx3-ubyte, train-labels-idx1-ubyte, \
         t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each plain or .gz) there, or correct data.directory (a \
         relative one starts at the working directory)",
        path.display()
    )]
    Missing {
        /// The plain name.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Not a whole gzip file.
    #[error("{} is not a whole, sound gzip file: {source}: fetch it again", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What the decoder found.
        source: std::io::Error,
    },
    /// The first four bytes are not those of the expected kind of IDX file.
    #[error(
        "{} is no IDX file of unsigned bytes in {dimensions} dimension(s): it begins with {found:#010x} instead of \
         {expected:#010x}{hint}",
        path.display()
    )]
    Magic {
        /// The file.
        path: PathBuf,
        /// Expected number of dimensions: 3 for images, 1 for labels.
        dimensions: u8,
        /// The number found.
        found: u32,
        /// The number expected.
        expected: u32,
        /// A likely reason, or what to do.
        hint: &'static str,
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
        "{} holds images of {}×{} pixels and {} of {}×{}: training and test images must be of one size",
        train_file.display(), train[0], train[1], test_file.display(), test[0], test[1]
    )]
    ImageSizes {
        /// The training images' file.
        train_file: PathBuf,
        /// Their rows and columns.
        train: [usize; 2],
        /// The test images' file.
        test_file: PathBuf,
        /// Their rows and columns.
        test: [usize; 2],
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
    #[error("{} and the test labels hold label 0 only: a classifier needs at least two classes", path.display())]
    OneClass {
        /// The training labels' file.
        path: PathBuf,
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
