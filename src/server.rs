//! A small web server for somebody at this machine: it is bound to the loopback address, answers GET alone, and no client can hold it
//! up, grow its memory, or reach it through a web page of somebody else.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of a request.
const LARGEST_REQUEST: usize = 8 * 1024;
/// How long a client may take to ask, and to take what it is given.
const TIME_TO_ASK: Duration = Duration::from_secs(5);
const TIME_TO_TAKE: Duration = Duration::from_secs(60);
/// Clients at once.
const MOST_CLIENTS: usize = 32;
/// Bytes written at a time.
const BLOCK: usize = 64 * 1024;

/// What is served, by path: `/` and `/NAME`.
pub type Pages = BTreeMap<String, Vec<u8>>;

/// The server.
pub struct Server {
    listener: TcpListener,
    pages: Mutex<Arc<Pages>>,
    clients: AtomicUsize,
}

impl Server {
    /// Takes the port, or any that is free if it is 0. Nothing is served before [`Server::run`].
    ///
    /// # Errors
    /// The port is taken.
    pub fn bind(port: u16) -> io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        Ok(Server { listener, pages: Mutex::default(), clients: AtomicUsize::new(0) })
    }

    /// Where it is.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves these from now on.
    pub fn publish(&self, pages: Pages) {
        *self.pages.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(pages);
    }

    /// Serves as long as the process lives: each client on a thread of its own.
    pub fn run(self: Arc<Server>) {
        loop {
            let Ok((client, _)) = self.listener.accept() else {
                // Out of file handles, for example: some will be free again.
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            if self.clients.fetch_add(1, Ordering::SeqCst) >= MOST_CLIENTS {
                self.clients.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            let server = Arc::clone(&self);
            let answer = move || {
                // A client that went away is no matter.
                let _ = server.answer(client);
                server.clients.fetch_sub(1, Ordering::SeqCst);
            };
            if thread::Builder::new().spawn(answer).is_err() {
                self.clients.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    fn answer(&self, mut client: TcpStream) -> io::Result<()> {
        let request = request(&mut client)?;
        let pages = Arc::clone(&self.pages.lock().unwrap_or_else(PoisonError::into_inner));
        let port = self.address()?.port();
        let (status, kind, body) = match &request {
            Err(status) => (*status, "text/plain", &b""[..]),
            // A page of somebody else whose name was made to mean this machine says so here.
            Ok(request) if !request.is_for(port) => ("403 Forbidden", "text/plain", &b""[..]),
            Ok(request) => match pages.get(&request.path) {
                Some(page) => ("200 OK", kind(&request.path), &page[..]),
                None => ("404 Not Found", "text/plain", &b"There is no such page.\n"[..]),
            },
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let only_head = request.is_ok_and(|request| request.only_head);
        let deadline = Instant::now() + TIME_TO_TAKE;
        write_until(&mut client, head.as_bytes(), deadline)?;
        write_until(&mut client, if only_head { b"" } else { body }, deadline)?;
        client.shutdown(Shutdown::Write)?;
        // What a client still sends is taken, since closing earlier would take back the answer.
        client.set_read_timeout(Some(Duration::from_secs(1)))?;
        client.take(LARGEST_REQUEST as u64).read_to_end(&mut Vec::new()).map(|_| ())
    }
}

struct Request {
    path: String,
    only_head: bool,
    /// The machine that the client believes to speak to.
    host: Option<String>,
}

impl Request {
    fn is_for(&self, port: u16) -> bool {
        let ours = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
        let default = ["127.0.0.1", "localhost"].map(str::to_string);
        self.host.as_ref().is_none_or(|host| ours.contains(host) || port == 80 && default.contains(host))
    }
}

/// Reads a request up to the empty line; or the status that answers one that is none.
fn request(client: &mut TcpStream) -> io::Result<Result<Request, &'static str>> {
    let (deadline, mut bytes, mut block) = (Instant::now() + TIME_TO_ASK, Vec::new(), [0; 1024]);
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        if bytes.len() > LARGEST_REQUEST {
            return Ok(Err("431 Request Header Fields Too Large"));
        }
        client.set_read_timeout(Some(left(deadline)?))?;
        match client.read(&mut block)? {
            0 => return Ok(Err("400 Bad Request")),
            read => bytes.extend_from_slice(&block[..read]),
        }
    }
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

fn parse(text: &str) -> Result<Request, &'static str> {
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (Some(target), Some(true)) = (target, version.map(|version| version.starts_with("HTTP/1."))) else {
        return Err("400 Bad Request");
    };
    let only_head = match method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Err("405 Method Not Allowed"),
    };
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    let host = fields.find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let path = target.split(['?', '#']).next().unwrap_or_default().to_string();
    Ok(Request { path, only_head, host: host.map(|(_, host)| host.trim().to_ascii_lowercase()) })
}

fn write_until(client: &mut TcpStream, bytes: &[u8], deadline: Instant) -> io::Result<()> {
    bytes.chunks(BLOCK).try_for_each(|block| {
        client.set_write_timeout(Some(left(deadline)?))?;
        client.write_all(block)
    })
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// The type of what is at a path.
fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "pdf" => "application/pdf",
        "csv" => "text/csv; charset=utf-8",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "text/html; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving() -> (Arc<Server>, SocketAddr) {
        let server = Arc::new(Server::bind(0).expect("a free port"));
        server.publish(Pages::from([("/".into(), vec![b'x'; 20_000_000]), ("/a.csv".into(), b"1,2\n".to_vec())]));
        let address = server.address().expect("an address");
        thread::spawn({
            let server = Arc::clone(&server);
            move || server.run()
        });
        (server, address)
    }

    fn answer(address: SocketAddr, request: &str) -> String {
        let mut client = TcpStream::connect(address).expect("a connection");
        client.write_all(request.as_bytes()).expect("it is sent");
        let mut text = String::new();
        client.read_to_string(&mut text).expect("an answer");
        text
    }

    #[test]
    fn pages_are_served_by_path_and_nothing_else_is_done() {
        let (_server, address) = serving();
        let status = |request: &str| answer(address, request).lines().next().unwrap_or_default().to_string();
        let page = answer(address, &format!("GET /?again HTTP/1.1\r\nHost: {address}\r\n\r\n"));
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with(&"x".repeat(20_000_000)));
        let csv = answer(address, "GET /a.csv HTTP/1.0\r\n\r\n");
        assert!(csv.contains("Content-Type: text/csv") && csv.ends_with("\r\n\r\n1,2\n"), "{csv}");
        assert!(answer(address, "HEAD /a.csv HTTP/1.0\r\n\r\n").ends_with("\r\n\r\n"));
        assert_eq!(status("GET /../a.csv HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), "HTTP/1.1 405 Method Not Allowed");
        assert_eq!(status("nonsense\r\n\r\n"), "HTTP/1.1 400 Bad Request");
        assert_eq!(status("GET / HTTP/1.1\r\nHost: evil.example:80\r\n\r\n"), "HTTP/1.1 403 Forbidden");
        let long = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(LARGEST_REQUEST));
        assert_eq!(status(&long), "HTTP/1.1 431 Request Header Fields Too Large");
    }

    #[test]
    fn clients_that_say_or_take_nothing_hold_nobody_up() {
        let (_server, address) = serving();
        let mut stuck: Vec<TcpStream> =
            (0..MOST_CLIENTS).map(|_| TcpStream::connect(address).expect("a connection")).collect();
        // Half of them ask for a large page and never read it.
        for client in stuck.iter_mut().take(MOST_CLIENTS / 2) {
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it is sent");
        }
        let started = Instant::now();
        loop {
            let mut client = TcpStream::connect(address).expect("a connection");
            let mut text = String::new();
            // While all are taken, further ones are turned away.
            let asked = client.write_all(b"GET /a.csv HTTP/1.1\r\n\r\n");
            if asked.and_then(|()| client.read_to_string(&mut text)).is_ok() && text.ends_with("1,2\n") {
                break;
            }
            assert!(started.elapsed() < 3 * TIME_TO_ASK, "nobody is served");
            thread::sleep(Duration::from_millis(100));
        }
    }
}
