//! Files that appear whole or not at all, what a list says of them, and the seal of such a list.
//!
//! Both formats on disk, the trace and the results, are directories of files with one JSON file that lists the others
//! with size and SHA-256, and that is sealed itself. This crate is what they have in common.

mod file;
mod lock;
mod output;
mod parquet;
mod seal;

pub use file::{
    FileEntry, FileError, HashedFile, check_file, open_regular, read_regular, read_regular_text, sha256,
    sha256_of_file, sync_directory, write_atomically,
};
pub use lock::{Attempt, Lock, retire};
pub use output::{MARKER, OutputDirectory, OutputError};
pub use parquet::check_parquet_schema;
pub use seal::{SealError, check_seal, seal_of, sealed, sha256_of_sealed, unmarked};
