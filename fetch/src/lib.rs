//! Public data sets: where they are, what their files must be, and their download.
//!
//! No file is believed: each has the size and the SHA-256 that [`SOURCES`] says, or is refused.

#[cfg(feature = "network")]
mod network;
mod source;

use std::path::{Path, PathBuf};

use cograd_files::{FileEntry, FileError, OutputError, check_file};

#[cfg(feature = "network")]
pub use network::{Client, fetch};
pub use source::{Archive, Listed, SOURCES, Source};

/// Why a data set is not there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server does not give the file.
    #[error(
        "cannot download {url}: {problem}; try again later, or name a mirror with --mirror, a proxy in HTTPS_PROXY, or certificates \
         in SSL_CERT_FILE, or download by hand (docs/experiments.md)"
    )]
    Download {
        /// Its address.
        url: String,
        /// What was wrong.
        problem: String,
    },
    /// An archive is not what it should be.
    #[error("cannot unpack {archive}: {problem}; this is a fault of cograd's list of data sets: please report it")]
    Archive {
        /// Its name.
        archive: &'static str,
        /// What was wrong.
        problem: String,
    },
    /// A file has the name of one of the data set.
    #[error(
        "{} is there already and is another file than that of {source_name}, or a damaged one: move it away, or choose another \
         directory with --out", path.display()
    )]
    Different {
        /// The file.
        path: PathBuf,
        /// The data set.
        source_name: &'static str,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory is not to be had.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Those files of a data set that are not in a directory.
///
/// # Errors
/// A file of the name is there, and is another; or it cannot be read.
pub fn missing(source: &Source, directory: &Path) -> Result<Vec<&'static Listed>, FetchError> {
    let mut missing = Vec::new();
    for file in source.files {
        let path = directory.join(file.name);
        let entry = FileEntry { rows: 0, bytes: file.bytes, sha256: file.sha256.to_string() };
        match check_file(&path, &entry) {
            Ok(()) => {}
            // A link that leads nowhere is somebody's, too.
            Err(FileError::Missing { .. }) if !path.is_symlink() => missing.push(file),
            Err(FileError::Missing { .. } | FileError::Altered { .. }) => {
                return Err(FetchError::Different { path, source_name: source.name });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(missing)
}
