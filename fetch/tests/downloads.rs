//! Downloads of made-up data sets from a server on this machine: what is not right leaves nothing.

mod server;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use cograd_fetch::{Archive, Client, FetchError, Listed, Source, fetch};
use cograd_files::{Attempt, Lock, sha256};
use flate2::{Compression, GzBuilder};
use server::{Answer, Server, file};

const LABELS: &[u8] = b"labels of a made-up data set";
const IMAGES: &[u8] = &[7; 200_000];

fn listed(name: &'static str, content: &[u8]) -> Listed {
    Listed { name, bytes: content.len() as u64, sha256: sha256(content).leak() }
}

/// Two files, each by itself.
fn plain() -> Source {
    Source {
        name: "made-up",
        about: "",
        licence: "",
        reader: "idx",
        url: "https://data.example/sets/made-up/",
        files: vec![listed("labels", LABELS), listed("images", IMAGES)].leak(),
        archive: None,
    }
}

/// The same two files in an archive.
fn packed(archive: &[u8]) -> Source {
    let file = listed("made-up.tar.gz", archive);
    Source { archive: Some(Archive { file, folder: "folder" }), ..plain() }
}

/// What is in a tarball: path, type, content.
type Entries<'a> = &'a [(&'a str, tar::EntryType, &'a [u8])];

/// A gzipped tarball.
fn tarball(entries: Entries) -> Vec<u8> {
    let packed = GzBuilder::new().write(Vec::new(), Compression::fast());
    let mut tarball = tar::Builder::new(packed);
    for (path, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        // Not by a method that refuses paths that lead elsewhere.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        tarball.append(&header, *content).unwrap();
    }
    tarball.into_inner().unwrap().finish().unwrap()
}

const FILE: tar::EntryType = tar::EntryType::Regular;

fn run(source: &Source, directory: &Path, mirror: &str) -> Result<Vec<String>, FetchError> {
    let client = Client::new(Some(mirror), Duration::from_millis(500));
    let fetched = fetch(source, directory, &client, &|_, _| {})?;
    Ok(fetched.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_string()).collect())
}

/// The message of a failure, of which nothing is left, not even the directory.
fn refusal(source: &Source, answers: impl IntoIterator<Item = (&'static str, Answer)>) -> String {
    let (parent, server) = (tempfile::tempdir().unwrap(), Server::new(answers));
    let message = run(source, &parent.path().join("new"), &server.address).unwrap_err().to_string();
    assert_eq!(names(parent.path()), [""; 0], "{message}");
    message
}

/// The message of a failure where the first file is answered so.
fn refusal_of(answer: Answer) -> String {
    let message = refusal(&plain(), [("/sets/made-up/labels", answer)]);
    assert!(message.contains("/sets/made-up/labels: ") && message.contains("--mirror"), "{message}");
    message
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

#[test]
fn what_is_missing_is_downloaded_from_the_mirror_and_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("data/made-up");
    let server = Server::new([
        ("/mirror/sets/made-up/labels", Answer::File(LABELS.to_vec())),
        ("/mirror/sets/made-up/images", Answer::File(IMAGES.to_vec())),
    ]);
    let mirror = format!("{}/mirror/", server.address);
    assert_eq!(run(&plain(), &place, &mirror).unwrap(), ["labels", "images"]);
    assert_eq!(
        (fs::read(place.join("labels")).unwrap(), fs::read(place.join("images")).unwrap()),
        (LABELS.into(), IMAGES.into())
    );
    assert_eq!((names(&place), server.asked().len()), (vec!["images".into(), "labels".into()], 2));
    assert_eq!(run(&plain(), &place, &mirror).unwrap(), [""; 0]);
    assert_eq!(server.asked(), [""; 0]);
    fs::remove_file(place.join("images")).unwrap();
    assert_eq!(run(&plain(), &place, &mirror).unwrap(), ["images"]);
    assert_eq!(server.asked(), ["/mirror/sets/made-up/images"]);
}

#[test]
fn a_redirect_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let head = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let server = Server::new([
        ("/sets/made-up/labels", Answer::Verbatim(head.into())),
        ("/elsewhere", Answer::File(LABELS.to_vec())),
        ("/sets/made-up/images", Answer::File(IMAGES.to_vec())),
    ]);
    assert_eq!(run(&plain(), directory.path(), &server.address).unwrap(), ["labels", "images"]);
}

#[test]
fn another_file_than_the_listed_one_is_refused() {
    let other = LABELS.to_ascii_uppercase();
    let message = refusal_of(Answer::File(other.clone()));
    assert!(message.contains(&sha256(&other)) && message.contains(&sha256(LABELS)), "{message}");
    // A page to log in, perhaps.
    let message = refusal_of(Answer::File(b"<html>".to_vec()));
    assert!(message.contains("what comes has 6 bytes, and the file 28"), "{message}");
}

#[test]
fn no_more_than_the_listed_size_is_taken() {
    let message = refusal_of(Answer::Endless);
    assert!(message.contains("it goes on after 28 bytes"), "{message}");
    // Before anything of it came.
    let message = refusal_of(Answer::Stalled(file(1 << 40, b"")));
    assert!(message.contains("1099511627776 bytes"), "{message}");
}

#[test]
fn a_download_that_ends_early_leaves_nothing() {
    let message = refusal_of(Answer::Verbatim(file(LABELS.len(), &LABELS[..20])));
    assert!(message.contains("disconnected"), "{message}");
    // Without a length.
    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nlabels";
    assert!(refusal_of(Answer::Verbatim(head.to_vec())).contains("what comes has 6 bytes, and the file 28"));
}

#[test]
fn files_that_came_whole_before_a_failure_stay() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::new([("/sets/made-up/labels", Answer::File(LABELS.to_vec()))]);
    let message = run(&plain(), directory.path(), &server.address).unwrap_err().to_string();
    assert!(message.contains("images: the server answers 404 Not Found"), "{message}");
    assert_eq!(names(directory.path()), ["labels"]);
}

#[test]
fn servers_that_say_nothing_are_given_up() {
    let started = Instant::now();
    for answer in [Vec::new(), b"HTTP/1.1 200 OK\r\n".to_vec(), file(LABELS.len(), &LABELS[..5])] {
        let message = refusal_of(Answer::Stalled(answer));
        assert!(message.contains("nothing came for 0.5 seconds"), "{message}");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn what_is_no_http_or_no_server_is_an_error() {
    refusal_of(Answer::Verbatim(b"220 ready\r\n\r\n".to_vec()));
    refusal_of(Answer::Verbatim(Vec::new()));
    let head = "HTTP/1.1 302 Found\r\nLocation: /sets/made-up/labels\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    refusal_of(Answer::Verbatim(head.into()));
    let directory = tempfile::tempdir().unwrap();
    for mirror in ["http://127.0.0.1:1", "no address", "file:///etc"] {
        let message = run(&plain(), directory.path(), mirror).unwrap_err().to_string();
        assert!(message.contains(&format!("{mirror}/sets/made-up/labels: ")), "{message}");
        assert_eq!(names(directory.path()), [""; 0]);
    }
}

#[test]
fn an_archive_gives_its_named_files_and_nothing_else() {
    let archive = tarball(&[
        ("folder/", tar::EntryType::Directory, b""),
        ("folder/../evil", FILE, b"evil"),
        ("/tmp/evil", FILE, b"evil"),
        ("other/labels", FILE, b"evil"),
        ("folder/labels", FILE, LABELS),
        ("folder/images", FILE, IMAGES),
        ("folder/readme", FILE, b"not needed"),
    ]);
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("data");
    let server = Server::new([("/sets/made-up/made-up.tar.gz", Answer::File(archive.clone()))]);
    assert_eq!(run(&packed(&archive), &place, &server.address).unwrap(), ["labels", "images"]);
    assert_eq!((names(directory.path()), names(&place)), (vec!["data".into()], vec!["images".into(), "labels".into()]));
    assert_eq!(fs::read(place.join("images")).unwrap(), IMAGES);
    assert_eq!(run(&packed(&archive), &place, &server.address).unwrap(), [""; 0]);
    fs::remove_file(place.join("labels")).unwrap();
    assert_eq!(run(&packed(&archive), &place, &server.address).unwrap(), ["labels"]);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn an_archive_without_the_listed_files_leaves_nothing() {
    let cases: [(Entries, &str); 5] = [
        (&[("folder/labels", FILE, LABELS)], "it has no file folder/images"),
        (&[("folder/labels", tar::EntryType::Symlink, b""), ("folder/images", FILE, IMAGES)], "no file folder/labels"),
        (&[("folder/labels", FILE, &LABELS[1..]), ("folder/images", FILE, IMAGES)], "has 27 bytes, and the file 28"),
        (&[("folder/labels", FILE, IMAGES)], "it goes on after 28 bytes"),
        (&[], "it has no file folder/"),
    ];
    for (entries, expected) in cases {
        let archive = tarball(entries);
        let message = refusal(&packed(&archive), [("/sets/made-up/made-up.tar.gz", Answer::File(archive.clone()))]);
        assert!(message.contains("cannot unpack made-up.tar.gz") && message.contains(expected), "{message}");
    }
    for archive in [&b"no gzip"[..], &tarball(&[("folder/labels", FILE, LABELS)])[..60]] {
        refusal(&packed(archive), [("/sets/made-up/made-up.tar.gz", Answer::File(archive.to_vec()))]);
    }
}

#[test]
fn a_file_of_the_name_that_is_another_is_kept_and_named() {
    for name in ["labels", "images"] {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::new([]);
        fs::write(directory.path().join(name), b"mine").unwrap();
        let message = run(&plain(), directory.path(), &server.address).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("--out"), "{message}");
        assert_eq!((names(directory.path()), server.asked()), (vec![name.to_string()], vec![]));
        assert_eq!(fs::read(directory.path().join(name)).unwrap(), b"mine");
    }
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("nowhere", directory.path().join("labels")).unwrap();
    let message = run(&plain(), directory.path(), "http://127.0.0.1:1").unwrap_err().to_string();
    assert!(message.contains("labels is there already"), "{message}");
}

#[test]
fn what_a_killed_download_left_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let archive = tarball(&[("folder/labels", FILE, LABELS), ("folder/images", FILE, IMAGES)]);
    for left in [".labels.part", ".made-up.tar.gz.part", ".fetch.lock"] {
        fs::write(directory.path().join(left), b"half").unwrap();
    }
    let server = Server::new([("/sets/made-up/made-up.tar.gz", Answer::File(archive.clone()))]);
    run(&packed(&archive), directory.path(), &server.address).unwrap();
    assert_eq!(names(directory.path()), ["images", "labels"]);
    // It was killed when all was in place.
    fs::write(directory.path().join(".made-up.tar.gz.part"), &archive).unwrap();
    run(&packed(&archive), directory.path(), &server.address).unwrap();
    assert_eq!((names(directory.path()), server.asked().len()), (vec!["images".into(), "labels".into()], 1));
}

#[test]
fn two_downloads_do_not_share_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let Attempt::Taken(held) = Lock::attempt(&directory.path().join(".fetch.lock")).unwrap() else { panic!("held") };
    let message = run(&plain(), directory.path(), "http://127.0.0.1:1").unwrap_err().to_string();
    assert!(message.contains("is being written by process"), "{message}");
    drop(held);
}
