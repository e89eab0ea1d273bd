//! `cograd data fetch` of a binary that is built with downloads.

#[path = "end_to_end/common.rs"]
mod common;
#[path = "../fetch/tests/server/mod.rs"]
mod server;

use common::{Workplace, files_below};
use server::{Answer, Server};

/// The proxy of the machine does not know servers of the test.
fn fetch<'a>(place: &Workplace, arguments: impl IntoIterator<Item = &'a str>) -> assert_cmd::Command {
    let mut command = place.cograd(["data", "fetch"]);
    command.args(arguments).env("NO_PROXY", "127.0.0.1");
    command
}

#[test]
fn a_file_that_is_not_the_listed_one_is_an_error_that_names_its_address() {
    let place = Workplace::new();
    let server = Server::new([("/cvdf-datasets/mnist/train-images-idx3-ubyte.gz", Answer::File(b"<html>".to_vec()))]);
    let failed = fetch(&place, ["mnist", "--mirror", &server.address]).assert().code(1);
    let message = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    let url = format!("error: cannot download {}/cvdf-datasets/mnist/train-images-idx3-ubyte.gz: ", server.address);
    assert!(message.starts_with(&url) && message.contains("and the file 9912422"), "{message}");
    assert!(files_below(&place.path("data")).is_empty());
}

#[test]
fn a_mirror_may_be_named_by_the_environment() {
    let place = Workplace::new();
    let server = Server::new([]);
    let failed = fetch(&place, ["cifar10", "--out", "here"]).env("COGRAD_MIRROR", &server.address).assert().code(1);
    let message = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    assert!(message.contains("the server answers 404 Not Found"), "{message}");
    assert_eq!(server.asked(), ["/~kriz/cifar-10-binary.tar.gz"]);
}
