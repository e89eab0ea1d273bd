//! The names that data sets of MNIST's family give to their four files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::DataError;

/// Images and labels of a set, without `.gz`.
pub(super) type Pair = [String; 2];

/// The files of the training and of the test set: those of MNIST, Fashion-MNIST and KMNIST (`train-…`, `t10k-…`), of one part
/// of EMNIST (`emnist-letters-train-…`, `emnist-letters-test-…`) or of QMNIST (`qmnist-train-…`, whose labels are `idx2-int`).
/// MNIST's names where there are none.
pub(super) fn of_files(directory: &Path) -> Result<[Pair; 2], DataError> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files: BTreeSet<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .map(|name| name.strip_suffix(".gz").unwrap_or(&name).to_string())
        .collect();
    let families: Vec<&str> = files.iter().filter_map(|name| name.strip_suffix("-train-images-idx3-ubyte")).collect();
    let pair = |set: &str| {
        let labels = |kind: &str| format!("{set}-labels-{kind}");
        let kind = if files.contains(&labels("idx2-int")) { "idx2-int" } else { "idx1-ubyte" };
        [format!("{set}-images-idx3-ubyte"), labels(kind)]
    };
    match families.as_slice() {
        [family] if !files.contains("train-images-idx3-ubyte") => {
            Ok([pair(&format!("{family}-train")), pair(&format!("{family}-test"))])
        }
        [_, _, ..] if !files.contains("train-images-idx3-ubyte") => {
            Err(DataError::Several { directory: directory.to_path_buf(), families: families.join(", ") })
        }
        _ => Ok([pair("train"), pair("t10k")]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_found_by_its_names_and_one_must_be_chosen() {
        let directory = tempfile::tempdir().unwrap();
        let found = || of_files(directory.path()).unwrap().concat();
        let touch = |name: &str| fs::write(directory.path().join(name), []).unwrap();
        let mnist = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"];
        assert_eq!(found()[..3], mnist);
        assert_eq!(of_files(Path::new("no/such")).unwrap().concat()[..3], mnist);
        touch("qmnist-train-images-idx3-ubyte.gz");
        touch("qmnist-train-labels-idx2-int.gz");
        touch("qmnist-test-labels-idx2-int");
        let qmnist = ["qmnist-train-images-idx3-ubyte", "qmnist-train-labels-idx2-int"];
        assert_eq!((&found()[..2], &*found()[3]), (&qmnist.map(String::from)[..], "qmnist-test-labels-idx2-int"));
        touch("emnist-letters-train-images-idx3-ubyte");
        let message = of_files(directory.path()).unwrap_err().to_string();
        assert!(message.contains("emnist-letters, qmnist"), "{message}");
        touch("train-images-idx3-ubyte");
        assert_eq!(found()[..3], mnist);
    }
}
