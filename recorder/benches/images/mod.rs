//! Images to measure on: MNIST if its files are in `$COGRAD_MNIST` or in `../shared/data/mnist` beside the workspace,
//! synthetic ones of the same density otherwise.

use cograd_recorder::network::Pixels;
use flate2::read::GzDecoder;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

pub struct Images {
    pub pixels: Vec<u8>,
    pub labels: Vec<u8>,
}

pub static IMAGES: LazyLock<Images> = LazyLock::new(|| mnist().unwrap_or_else(synthetic));

impl Images {
    pub fn pixels(&self) -> Pixels<'_> {
        Pixels { values: &self.pixels, width: 784, maximum: 255.0 }
    }
}

fn mnist() -> Option<Images> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/mnist");
    let directory = std::env::var_os("COGRAD_MNIST").map_or(beside, PathBuf::from);
    let read = |name: &str, header: usize| {
        let mut bytes = Vec::new();
        GzDecoder::new(File::open(directory.join(name)).ok()?).read_to_end(&mut bytes).ok()?;
        Some(bytes.split_off(header))
    };
    let images =
        Images { pixels: read("train-images-idx3-ubyte.gz", 16)?, labels: read("train-labels-idx1-ubyte.gz", 8)? };
    Some(images)
}

fn synthetic() -> Images {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let pixel = |bits: u32| if bits % 100 < 19 { (bits >> 24) as u8 | 1 } else { 0 };
    Images {
        pixels: (0..10_000 * 784).map(|_| pixel(rng.next_u32())).collect(),
        labels: (0..10_000).map(|_| (rng.next_u32() % 10) as u8).collect(),
    }
}
