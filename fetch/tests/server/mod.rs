//! A server of HTTP on this machine, for the tests of downloads.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What it answers to a path.
pub enum Answer {
    /// A file, with its length.
    File(Vec<u8>),
    /// These bytes, head and all, and the end of the connection.
    Verbatim(Vec<u8>),
    /// These bytes, and then nothing, for as long as the other side waits.
    Stalled(Vec<u8>),
    /// A head without a length, and then bytes without end.
    Endless,
}

/// Answers until the test ends. Everything that it does not know is not found.
pub struct Server {
    pub address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn new(answers: impl IntoIterator<Item = (&'static str, Answer)>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let answers: Arc<HashMap<&str, Answer>> = Arc::new(answers.into_iter().collect());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, heard) = (answers.clone(), heard.clone());
                std::thread::spawn(move || answer(stream, &answers, &heard));
            }
        });
        Server { address, asked }
    }

    /// The paths that were asked for since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("no test panicked with it"))
    }
}

fn answer(mut stream: TcpStream, answers: &HashMap<&str, Answer>, asked: &Mutex<Vec<String>>) {
    let lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
    let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    asked.lock().expect("no test panicked with it").push(path.to_string());
    // The other side may have gone, as it should where too much comes.
    let _ = match answers.get(path) {
        None => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\nnone\n"),
        Some(Answer::File(bytes)) => stream.write_all(&file(bytes.len(), bytes)),
        Some(Answer::Verbatim(bytes)) => stream.write_all(bytes),
        Some(Answer::Stalled(bytes)) => {
            let _ = stream.write_all(bytes);
            std::thread::sleep(Duration::from_secs(60));
            Ok(())
        }
        Some(Answer::Endless) => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while stream.write_all(&[7; 4096]).is_ok() {}
            Ok(())
        }
    };
}

/// An answer that promises so many bytes and gives these.
pub fn file(length: usize, bytes: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), bytes].concat()
}
