//! The data sets.
//!
//! Sizes and SHA-256 of what is downloaded are those of TensorFlow Datasets (`tensorflow_datasets/url_checksums/*.txt`), of TREC those
//! of Hugging Face's `trec` (`dataset_infos.json`). Those of CIFAR's batches are torchvision's for Ruby, which compares every
//! batch with them. MNIST's were compared with a copy of another origin, whose files are the same; the others with further projects
//! that state them.

/// A file: what it is called and what it must be.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// Its name.
    pub name: &'static str,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, 64 lower-case hexadecimal digits.
    pub sha256: &'static str,
}

/// A gzipped tarball.
#[derive(Clone, Copy, Debug)]
pub struct Archive {
    /// The tarball itself.
    pub file: Listed,
    /// The folder in it that holds the files.
    pub folder: &'static str,
}

/// A data set.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// What `cograd data fetch` calls it.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Under which terms.
    pub licence: &'static str,
    /// `data.source` of an experiment that reads it.
    pub reader: &'static str,
    /// Where it is, up to the names of the files, with a slash at the end.
    pub url: &'static str,
    /// The files that an experiment reads.
    pub files: &'static [Listed],
    /// What they are downloaded in; each by itself if there is none.
    pub archive: Option<Archive>,
}

impl Source {
    /// What is downloaded, at [`Source::url`].
    pub fn downloads(&self) -> &[Listed] {
        self.archive.as_ref().map_or(self.files, |archive| std::slice::from_ref(&archive.file))
    }

    /// Where a file that is downloaded is: at the mirror, whose address replaces scheme and host, if there is one.
    pub fn address(&self, file: &Listed, mirror: Option<&str>) -> String {
        let url = format!("{}{}", self.url, file.name);
        match (mirror, url.splitn(4, '/').nth(3)) {
            (Some(mirror), Some(path)) => format!("{}/{path}", mirror.trim_end_matches('/')),
            _ => url,
        }
    }

    /// Size of the download.
    pub fn bytes(&self) -> u64 {
        self.downloads().iter().map(|file| file.bytes).sum()
    }
}

const fn listed(name: &'static str, bytes: u64, sha256: &'static str) -> Listed {
    Listed { name, bytes, sha256 }
}

/// Every data set.
pub const SOURCES: &[Source] = &[MNIST, FASHION_MNIST, KMNIST, CIFAR10, CIFAR100, TREC];

const MNIST: Source = Source {
    name: "mnist",
    about: "handwritten digits, 60 000 + 10 000 images of 28×28 (LeCun, Cortes, Burges)",
    licence: "CC BY-SA 3.0",
    reader: "idx",
    url: "https://storage.googleapis.com/cvdf-datasets/mnist/",
    files: &[
        listed(TRAIN_IMAGES, 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        listed(TRAIN_LABELS, 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        listed(TEST_IMAGES, 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        listed(TEST_LABELS, 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ],
    archive: None,
};

const FASHION_MNIST: Source = Source {
    name: "fashion-mnist",
    about: "articles of clothing, 60 000 + 10 000 images of 28×28 (Xiao, Rasul, Vollgraf 2017)",
    licence: "MIT",
    reader: "idx",
    url: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    files: &[
        listed(TRAIN_IMAGES, 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        listed(TRAIN_LABELS, 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        listed(TEST_IMAGES, 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        listed(TEST_LABELS, 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ],
    archive: None,
};

const KMNIST: Source = Source {
    name: "kmnist",
    about: "cursive Japanese characters, 60 000 + 10 000 images of 28×28 (Clanuwat et al. 2018)",
    licence: "CC BY-SA 4.0",
    reader: "idx",
    url: "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    files: &[
        listed(TRAIN_IMAGES, 18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
        listed(TRAIN_LABELS, 29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
        listed(TEST_IMAGES, 3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
        listed(TEST_LABELS, 5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
    ],
    archive: None,
};

const CIFAR10: Source = Source {
    name: "cifar10",
    about: "photographs of 10 classes, 50 000 + 10 000 images of 32×32 in colour (Krizhevsky 2009)",
    licence: "none stated; its author asks to be cited",
    reader: "cifar",
    url: "https://www.cs.toronto.edu/~kriz/",
    files: &[
        listed("data_batch_1.bin", 30_730_000, "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        listed("data_batch_2.bin", 30_730_000, "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        listed("data_batch_3.bin", 30_730_000, "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        listed("data_batch_4.bin", 30_730_000, "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        listed("data_batch_5.bin", 30_730_000, "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
        listed("test_batch.bin", 30_730_000, "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
    ],
    archive: Some(Archive {
        file: listed(
            "cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
        folder: "cifar-10-batches-bin",
    }),
};

const CIFAR100: Source = Source {
    name: "cifar100",
    about: "photographs of 100 classes, 50 000 + 10 000 images of 32×32 in colour (Krizhevsky 2009)",
    licence: CIFAR10.licence,
    reader: "cifar",
    url: "https://www.cs.toronto.edu/~kriz/",
    files: &[
        listed("train.bin", 153_700_000, "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"),
        listed("test.bin", 30_740_000, "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"),
    ],
    archive: Some(Archive {
        file: listed(
            "cifar-100-binary.tar.gz",
            168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ),
        folder: "cifar-100-binary",
    }),
};

const TREC: Source = Source {
    name: "trec",
    about: "questions of 6 kinds, 5 452 + 500 (Li, Roth 2002)",
    licence: "none stated; for research",
    reader: "text",
    url: "https://cogcomp.seas.upenn.edu/Data/QA/QC/",
    files: &[
        listed("train_5500.label", 335_858, "9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3"),
        listed("TREC_10.label", 23_354, "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e"),
    ],
    archive: None,
};

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte.gz";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte.gz";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte.gz";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte.gz";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_data_set_and_file_is_listed_once_with_a_whole_checksum() {
        let names: BTreeSet<&str> = SOURCES.iter().map(|source| source.name).collect();
        assert_eq!(names.len(), SOURCES.len());
        let files = || SOURCES.iter().flat_map(|source| source.files.iter().chain(source.downloads()));
        for Listed { name, bytes, sha256 } in files() {
            let is_whole = sha256.len() == 64 && sha256.bytes().all(|digit| b"0123456789abcdef".contains(&digit));
            assert!(is_whole && *bytes > 0 && !name.contains('/'), "{name}: {sha256}");
        }
        let hashes: BTreeSet<&str> = files().map(|file| file.sha256).collect();
        // Files that are downloaded by themselves were counted twice: 4 each of three, and 2.
        assert_eq!(hashes.len(), files().count() - 14);
        assert!(SOURCES.iter().all(|source| source.url.starts_with("http") && source.url.ends_with('/')));
    }

    #[test]
    fn batches_of_cifar_are_of_whole_records() {
        for (source, record, records) in [(CIFAR10, 3073, 60_000), (CIFAR100, 3074, 60_000)] {
            assert_eq!(source.files.iter().map(|file| file.bytes).sum::<u64>(), record * records);
        }
    }
}
