//! Labelled texts: a line each, the label first and then the words, separated by spaces, as TREC's questions are (Li & Roth 2002).
//!
//! A label is its line's first word up to a colon, so that `DESC:manner` is of the class `DESC`. Classes are in alphabetical order.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::{DataError, Dataset, Examples, MOST_CLASSES, Values, signature};
use crate::network::Tokens;

/// Names of the training and of the test set: ours and TREC's.
const FILES: [[&str; 2]; 2] = [["train.txt", "test.txt"], ["train_5500.label", "TREC_10.label"]];

/// A word that is not in the vocabulary; 0 is padding.
const UNKNOWN: u32 = 1;
/// How often a word is in the training set, at least, to be in the vocabulary: so that unknown words are learned, too.
const OFTEN: usize = 2;

/// Label and words of a line.
type Line = (String, Vec<String>);

/// Loads the texts of a directory. The vocabulary are the words of the training set, in lower case, in their order there.
pub(super) fn load(directory: &Path) -> Result<Dataset, DataError> {
    let is_there = |names: &&[&str; 2]| names.iter().all(|name| directory.join(name).exists());
    let names = FILES.iter().find(is_there).ok_or_else(|| DataError::NoTexts { directory: directory.to_path_buf() })?;
    let files = names.map(|name| directory.join(name));
    let [train, test] = [read(&files[0])?, read(&files[1])?];
    let classes: BTreeSet<&String> = train.iter().chain(&test).map(|(label, _)| label).collect();
    let class_names: Vec<String> = classes.iter().take(MOST_CLASSES).map(|label| (*label).clone()).collect();
    let classes: HashMap<&String, u8> = classes.into_iter().zip(0..=u8::MAX).collect();
    let known = train.iter().chain(&test).filter(|(label, _)| classes.contains_key(label)).count();
    if classes.len() < 2 || known < train.len() + test.len() {
        let more = if known < train.len() + test.len() { " or more" } else { "" };
        let problem = format!("its labels are of {} classes{more}: 2 to {MOST_CLASSES} are possible", classes.len());
        return Err(DataError::Line { path: files[0].clone(), line: 1, problem });
    }
    let vocabulary = vocabulary(&train);
    let longest = train.iter().map(|(_, words)| words.len()).max().unwrap_or(1);
    let encoded = |lines: &[Line]| Examples {
        values: Values::Tokens {
            values: Tokens::new(lines.iter().map(|(_, words)| encoded(words, &vocabulary)), longest),
            vocabulary: vocabulary.len() + 2,
        },
        shape: vec![longest],
        labels: lines.iter().map(|(label, _)| classes[label]).collect(),
    };
    Ok(Dataset { train: encoded(&train), test: encoded(&test), classes: classes.len(), class_names, noise_file: None })
}

/// Numbers of the words of the training set that are there often enough.
fn vocabulary(train: &[Line]) -> HashMap<String, u32> {
    let mut counts: HashMap<&String, usize> = HashMap::new();
    train.iter().flat_map(|(_, words)| words).for_each(|word| *counts.entry(word).or_default() += 1);
    let mut vocabulary = HashMap::new();
    for word in train.iter().flat_map(|(_, words)| words).filter(|word| counts[word] >= OFTEN) {
        let next = UNKNOWN + 1 + vocabulary.len() as u32;
        vocabulary.entry(word.clone()).or_insert(next);
    }
    vocabulary
}

/// The tokens of a text.
fn encoded<'a>(words: &'a [String], vocabulary: &'a HashMap<String, u32>) -> impl Iterator<Item = u32> + 'a {
    words.iter().map(|word| vocabulary.get(word).copied().unwrap_or(UNKNOWN))
}

/// The label that a line begins with: what is before its colon.
pub(super) fn label_of(word: &str) -> &str {
    word.split(':').next().unwrap_or_default()
}

fn read(path: &Path) -> Result<Vec<Line>, DataError> {
    let bytes = cograd_files::read_regular(path).map_err(|source| DataError::unreadable(path, source))?;
    let wrong = |line: usize, problem: &str| {
        let (path, problem): (PathBuf, String) = (path.to_path_buf(), problem.to_string());
        DataError::Line { path, line: line + 1, problem }
    };
    if let Some(hint) = signature::hint_besides_text(&bytes, false) {
        return Err(wrong(0, hint));
    }
    // TREC has words in another encoding than UTF-8.
    let text = String::from_utf8_lossy(signature::text_of(&bytes).map_err(|hint| wrong(0, hint))?);
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        let label = words.next().ok_or_else(|| wrong(number, "it is empty: a label and words are needed"))?;
        let label = label_of(label).to_string();
        let words: Vec<String> = words.map(str::to_lowercase).collect();
        match words.is_empty() {
            false => lines.push((label, words)),
            true => return Err(wrong(number, "there is no word behind the label")),
        }
    }
    match lines.is_empty() {
        false => Ok(lines),
        true => Err(wrong(0, "it is empty: a line for every text is needed")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const TRAIN: &str = "DESC:manner How did it end ?\nENTY:food What did\u{a0}it eat ?\nDESC:def what is it\n";

    fn load_of(train: &[u8], test: &str) -> Result<Dataset, String> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("train.txt"), train).unwrap();
        fs::write(directory.path().join("test.txt"), test).unwrap();
        load(directory.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn words_that_are_there_twice_are_the_vocabulary_and_texts_are_cut_or_padded() {
        let data = load_of(TRAIN.as_bytes(), "NUM:count What did it eat how many times ever\n").unwrap();
        // Of two or more: did, it, ?, what; in the order in which they first come.
        let expected = [1, 2, 3, 1, 4, 5, 2, 3, 1, 4, 5, 1, 3, 0, 0];
        let tokens = |padded: &[u32]| Values::Tokens { values: Tokens::padded(padded, 5), vocabulary: 6 };
        assert_eq!(data.train.values, tokens(&expected));
        assert_eq!(data.test.values, tokens(&[5, 2, 3, 1, 1]));
        assert_eq!(data.class_names, ["DESC", "ENTY", "NUM"]);
        assert_eq!((data.train.labels, data.test.labels, data.classes), (vec![0, 1, 0], vec![2], 3));
        assert_eq!(data.train.shape, [5]);
    }

    #[test]
    fn lines_that_are_no_labelled_texts_are_named() {
        let error = |train: &[u8]| load_of(train, "A b\n").unwrap_err();
        assert!(error(b"A b c\n\nB c\n").contains("train.txt, line 2: it is empty"));
        assert!(error(b"A b c\nB\n").contains("line 2: there is no word"));
        assert!(error(b"").contains("line 1: it is empty"));
        assert!(error(b"A b c\n").contains("its labels are of 1 classes: 2 to 256"));
        // Bytes that are no UTF-8 are words as others.
        assert!(load_of(b"A b \xf0 c\nB \xf0\n", "A b\n").is_ok());
        let many: String = (0..300).map(|class| format!("c{class} x\n")).collect();
        assert!(error(many.as_bytes()).contains("256 classes or more"));
        assert!(error(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n").contains("git lfs pull"));
        assert!(error(b"\xff\xfeA\0 \0b\0\n\0").contains("line 1: it is UTF-16"));
        let directory = tempfile::tempdir().unwrap();
        assert!(load(directory.path()).unwrap_err().to_string().contains("train.txt"));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_label() {
        let marked = ["\u{feff}", TRAIN].concat();
        let [plain, marked] =
            [TRAIN, &marked].map(|train| load_of(train.as_bytes(), "\u{feff}DESC:x What did it eat\n").unwrap());
        assert_eq!((marked.train, marked.test, marked.classes), (plain.train, plain.test, 2));
    }
}
