//! The smallest study that has everything: 40 images of 16 pixels, two runs of twelve steps, a checkpoint every four.

use std::fs;
use std::path::Path;

/// The experiment, whose data are in `idx` below the working directory.
pub const EXPERIMENT: &str = r#"
name = "tiny"
[data]
source = "idx"
directory = "idx"
[network]
hidden = [4]
[training]
batch = 10
steps = 12
learning_rate = 0.2
[grid]
noise = [0.5]
seeds = [1, 2]
[sample]
examples = 12
weights_per_layer = 8
[schedule.gradients]
every_step_until = 3
per_decade = 3
[schedule.population]
every_step_until = 2
per_decade = 2
[checkpoint]
every_seconds = 0
every_steps = 4
"#;

/// Writes its images and labels into a new directory.
pub fn write_images(directory: &Path) {
    fs::create_dir_all(directory).expect("a directory");
    for (set, count) in [("train", 40_u8), ("t10k", 20)] {
        let pixels: Vec<u8> = (0..u32::from(count) * 16).map(|place| (place * place * 37 % 251) as u8).collect();
        let images = [&[0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 4, 0, 0, 0, 4], &pixels[..]].concat();
        let labels: Vec<u8> = (0..count).map(|place| place % 3).collect();
        fs::write(directory.join(format!("{set}-images-idx3-ubyte")), images).expect("images");
        let labels = [&[0, 0, 8, 1, 0, 0, 0, count], &labels[..]].concat();
        fs::write(directory.join(format!("{set}-labels-idx1-ubyte")), labels).expect("labels");
    }
}
