//! Lists the statistics: every file of `src/statistic` but `mod.rs` is one, so that adding a statistic is adding a file.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let directory = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("src/statistic");
    println!("cargo::rerun-if-changed={}", directory.display());
    let entries = fs::read_dir(&directory).expect("the folder of the statistics is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("the folder can be listed").file_name().to_string_lossy().into_owned())
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_string))
        .filter(|name| name != "mod")
        .collect();
    names.sort();
    let modules = names.iter().map(|name| {
        let path = directory.join(format!("{name}.rs"));
        format!("#[path = {:?}]\npub mod {name};\n", path.display().to_string())
    });
    let list = names.iter().map(|name| format!("    &{name}::STATISTIC,\n"));
    let text = format!(
        "{}\n/// Every statistic, by name.\npub const STATISTICS: &[&Statistic] = &[\n{}];\n",
        modules.collect::<String>(),
        list.collect::<String>()
    );
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("statistics.rs");
    fs::write(out, text).expect("the list can be written");
}
