//! What every target does with its bytes: they take the place of a file of a small study, and its reader reads them, as they
//! are and with the hashes that go with them.

#[path = "../../tests/mutations/bench.rs"]
pub mod bench;

use std::path::Path;

use bench::{Bench, TARGETS};

thread_local! {
    static BENCH: Bench = Bench::new(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
}

/// Tries the bytes on the target's reader.
pub fn try_bytes(target: &str, bytes: &[u8]) {
    let (_, path, reader) = TARGETS.iter().find(|(name, ..)| *name == target).expect("a target of the list");
    BENCH.with(|bench| {
        let input = bench.inputs.iter().find(|input| input.path == Path::new(path)).expect("a file of the bench");
        [false, true].iter().for_each(|is_sealed| bench.try_input(input, *reader, bytes, *is_sealed));
    });
}
