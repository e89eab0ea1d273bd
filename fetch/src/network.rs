//! Downloads: streamed to a file beside, checked, and only then unpacked or renamed.
//!
//! What is written under a temporary name is removed at the end, by the next download if the process was killed. A lock keeps a
//! second process out of the directory.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cograd_files::{Attempt, FileError, HashedFile, Lock, OutputError, sync_directory};
use flate2::bufread::GzDecoder;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::source::{Archive, Listed, Source};
use crate::{FetchError, missing};

/// Bytes that are taken at once.
const BLOCK: usize = 64 * 1024;
/// Name of the lock in the directory of a data set.
const LOCK: &str = ".fetch.lock";

/// Told how many bytes of a file there are.
type Progress<'a> = &'a dyn Fn(&Listed, u64);

/// Asks servers for files.
#[derive(Debug)]
pub struct Client {
    agent: ureq::Agent,
    mirror: Option<String>,
    patience: Duration,
}

impl Client {
    /// Gives up when nothing comes for so long. A mirror's address replaces scheme and host of every data set.
    pub fn new(mirror: Option<&str>, patience: Duration) -> Client {
        // One that is installed already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Those of the system: an institute may have one of its own. What cannot be read is not trusted.
        let roots = rustls_native_certs::load_native_certs().certs;
        let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
        let tls = TlsConfig::builder().root_certs(RootCerts::from(roots)).build();
        let config = ureq::Agent::config_builder()
            .user_agent(concat!("cograd/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .timeout_resolve(Some(patience))
            .timeout_connect(Some(patience))
            .timeout_per_read(Some(patience))
            .tls_config(tls)
            .build();
        Client { agent: config.into(), mirror: mirror.map(String::from), patience }
    }

    /// Downloads a file of a data set to `part`; nothing but that file passes.
    fn download(&self, source: &Source, file: &Listed, part: &Path, progress: Progress) -> Result<(), FetchError> {
        let url = source.address(file, self.mirror.as_deref());
        let failed = |problem: String| FetchError::Download { url: url.clone(), problem };
        let mut response = self.agent.get(&url).call().map_err(|error| failed(self.problem(error)))?;
        if response.status() != 200 {
            return Err(failed(format!("the server answers {}", response.status())));
        }
        match response.body().content_length() {
            Some(bytes) if bytes != file.bytes => return Err(failed(wrong_size(bytes, file))),
            _ => {}
        }
        let body = response.body_mut().as_reader();
        store(body, file, part, progress, |error| failed(self.problem(error.into())), failed)
    }

    fn problem(&self, error: ureq::Error) -> String {
        match error {
            ureq::Error::Timeout(_) => format!("nothing came for {} seconds", self.patience.as_secs_f32()),
            ureq::Error::HostNotFound => "there is no such host, or no network".to_string(),
            ureq::Error::Io(error) => error.to_string(),
            error => error.to_string(),
        }
    }
}

fn wrong_size(bytes: u64, file: &Listed) -> String {
    format!("what comes has {bytes} bytes, and the file {}", file.bytes)
}

/// Downloads those files of a data set that are not in the directory, and returns their paths.
///
/// # Errors
/// A server does not give them, a file that is there is another, or they cannot be written. Then nothing is there that was not there
/// before, but for files that are whole.
pub fn fetch(
    source: &Source,
    directory: &Path,
    client: &Client,
    progress: Progress,
) -> Result<Vec<PathBuf>, FetchError> {
    if missing(source, directory)?.is_empty() {
        sweep(source, directory);
        return Ok(Vec::new());
    }
    let is_new = !directory.exists();
    fs::create_dir_all(directory).map_err(FileError::io("create the directory", directory))?;
    let lock = match Lock::attempt(&directory.join(LOCK))? {
        Attempt::Taken(lock) => lock,
        Attempt::HeldBy(holder) => return Err(OutputError::Held { path: directory.to_path_buf(), holder }.into()),
    };
    let fetched = complete(source, directory, client, progress);
    sweep(source, directory);
    drop(lock);
    if is_new && fetched.is_err() {
        let _ = fs::remove_dir(directory); // Refused where a file has come.
    }
    fetched
}

fn complete(
    source: &Source,
    directory: &Path,
    client: &Client,
    progress: Progress,
) -> Result<Vec<PathBuf>, FetchError> {
    let missing = missing(source, directory)?;
    match &source.archive {
        Some(archive) if !missing.is_empty() => {
            let part = part(directory, &archive.file);
            client.download(source, &archive.file, &part, progress)?;
            unpack(archive, &part, &missing, directory, progress)?;
        }
        _ => {
            for file in &missing {
                client.download(source, file, &part(directory, file), progress)?;
                publish(directory, file)?;
            }
        }
    }
    sync_directory(directory)?;
    Ok(missing.iter().map(|file| directory.join(file.name)).collect())
}

/// Takes these files out of an archive, and nothing else: their names are compared, and none of the archive's is used.
fn unpack(
    archive: &Archive,
    path: &Path,
    files: &[&Listed],
    directory: &Path,
    progress: Progress,
) -> Result<(), FetchError> {
    let failed = |problem: String| FetchError::Archive { archive: archive.file.name, problem };
    let unreadable = |error: io::Error| failed(error.to_string());
    let packed = BufReader::new(File::open(path).map_err(FileError::io("open", path))?);
    let mut unpacked = tar::Archive::new(GzDecoder::new(packed));
    let mut left = files.to_vec();
    for entry in unpacked.entries().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let is_named = |file: &&Listed| *entry.path_bytes() == *format!("{}/{}", archive.folder, file.name).as_bytes();
        let Some(index) = left.iter().position(is_named).filter(|_| entry.header().entry_type().is_file()) else {
            continue;
        };
        let file = left.swap_remove(index);
        store(entry, file, &part(directory, file), progress, unreadable, failed)?;
    }
    if let Some(file) = left.first() {
        return Err(failed(format!("it has no file {}/{}", archive.folder, file.name)));
    }
    files.iter().try_for_each(|file| publish(directory, file))
}

/// Writes what comes to `part`, if it is `file`: no byte more is taken than is needed to see that it is not.
fn store(
    reader: impl Read,
    file: &Listed,
    part: &Path,
    progress: Progress,
    unreadable: impl Fn(io::Error) -> FetchError,
    failed: impl Fn(String) -> FetchError,
) -> Result<(), FetchError> {
    let mut reader = reader.take(file.bytes + 1);
    let mut output = HashedFile::create(part)?;
    let mut block = vec![0; BLOCK];
    let mut bytes = 0;
    loop {
        let read = match reader.read(&mut block) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        output.write_all(&block[..read]).map_err(FileError::io("write", part))?;
        bytes += read as u64;
        progress(file, bytes);
    }
    let found = output.close(part, 0)?;
    match (found.bytes == file.bytes, found.sha256 == file.sha256) {
        (true, true) => Ok(()),
        (true, false) => Err(failed(format!("its SHA-256 is {}, and the file's is {}", found.sha256, file.sha256))),
        (false, _) if found.bytes > file.bytes => Err(failed(format!("it goes on after {} bytes", file.bytes))),
        (false, _) => Err(failed(wrong_size(found.bytes, file))),
    }
}

/// What a file is called until it is whole.
fn part(directory: &Path, file: &Listed) -> PathBuf {
    directory.join(format!(".{}.part", file.name))
}

fn publish(directory: &Path, file: &Listed) -> Result<(), FetchError> {
    let path = directory.join(file.name);
    Ok(fs::rename(part(directory, file), &path).map_err(FileError::io("write", &path))?)
}

/// Removes what is not whole, and the file of the lock.
fn sweep(source: &Source, directory: &Path) {
    let parts = source.files.iter().chain(source.downloads()).map(|file| part(directory, file));
    for path in parts.chain([directory.join(LOCK)]) {
        // It is seldom there, and a file too many does no harm.
        let _ = fs::remove_file(path);
    }
}
