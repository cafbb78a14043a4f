//! HTTP/1.1 over a plain socket: one request a connection, and the body of an answer as it comes.

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;
use wire::flv::Demuxer;

use super::{Item, Items, PATIENCE, Server, Viewer};

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The sentence of a refusal: the answer is a problem of that status (RFC 9457), with a title and a sentence.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
        let sentence = problem["detail"].as_str().unwrap_or_default().to_owned();
        assert!(sentence.split(' ').count() >= 5, "no sentence: {problem}");
        sentence
    }
}

/// Method, path, headers and body.
pub type Request<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8]);

/// A request that was sent, and whose answer has not been read.
pub struct Asked {
    socket: TcpStream,
    bodiless: bool,
}

impl Asked {
    /// Sends a request. A server may answer and close before it has read all of the body.
    pub fn new(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut socket = connect(address);
        let head = head_of(address, (method, path, headers, body), "close");
        socket.write_all(head.as_bytes()).unwrap();
        if let Err(error) = socket.write_all(body) {
            assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
        }
        Self { socket, bodiless: method == "HEAD" }
    }

    /// Sends the beginning of a request, and no more.
    pub fn unfinished(address: SocketAddr, text: &str) -> TcpStream {
        let mut socket = connect(address);
        socket.write_all(text.as_bytes()).unwrap();
        socket
    }

    /// Sends requests over one connection, all before the first is answered (RFC 9112 section 9.3.2), and reads their
    /// answers.
    pub fn pipelined(address: SocketAddr, requests: &[Request<'_>]) -> Vec<Answer> {
        let mut socket = connect(address);
        let mut all = Vec::new();
        for request in requests {
            all.extend(head_of(address, *request, "keep-alive").into_bytes());
            all.extend(request.3);
        }
        socket.write_all(&all).unwrap();
        let mut reader = BufReader::new(socket);
        let mut answers = Vec::new();
        for request in requests {
            let (mut answer, framing) = read_head(&mut reader, request.0 == "HEAD");
            let mut body = Body { reader, framing };
            answer.body = body.rest();
            reader = body.reader;
            answers.push(answer);
        }
        answers
    }

    /// Whether nothing of an answer comes within this time.
    pub fn is_kept_waiting(&self, time: Duration) -> bool {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let peeked = self.socket.peek(&mut [0]);
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        matches!(peeked, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// The head of the answer, and its body to be read.
    pub fn head(self) -> (Answer, Body) {
        let mut reader = BufReader::new(self.socket);
        let (answer, framing) = read_head(&mut reader, self.bodiless);
        (answer, Body { reader, framing })
    }

    /// The whole answer.
    pub fn answer(self) -> Answer {
        let (mut answer, mut body) = self.head();
        answer.body = body.rest();
        answer
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn head_of(address: SocketAddr, (method, path, headers, body): Request<'_>, connection: &str) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: {connection}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    head
}

fn read_head(reader: &mut BufReader<TcpStream>, bodiless: bool) -> (Answer, Framing) {
    let status_line = line(reader);
    let status = status_line.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no HTTP status: {status_line:?}"));
    let mut headers = Vec::new();
    loop {
        let text = line(reader);
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':').unwrap();
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let answer = Answer { status, headers, body: Vec::new() };
    let framing = if bodiless || matches!(status, 204 | 304) {
        Framing::Length(0)
    } else if answer.header("transfer-encoding") == Some("chunked") {
        Framing::Chunked
    } else {
        match answer.header("content-length") {
            Some(length) => Framing::Length(length.parse().unwrap()),
            None => Framing::UntilClosed,
        }
    };
    (answer, framing)
}

/// The body of an answer as it comes.
pub struct Body {
    reader: BufReader<TcpStream>,
    framing: Framing,
}

enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

impl Body {
    /// All that is left.
    fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(piece) = self.piece() {
            all.extend(piece);
        }
        all
    }

    /// The next bytes; `None` at the end, which has to be as HTTP says.
    pub fn piece(&mut self) -> Option<Bytes> {
        let length = match &mut self.framing {
            Framing::Length(left) => std::mem::take(left),
            Framing::Chunked => {
                let length = line(&mut self.reader);
                usize::from_str_radix(&length, 16).unwrap_or_else(|_| panic!("the body is cut short: {length:?}"))
            }
            Framing::UntilClosed => {
                let mut all = Vec::new();
                self.reader.read_to_end(&mut all).unwrap();
                self.framing = Framing::Length(0);
                return Some(all.into());
            }
        };
        let mut piece = vec![0; length];
        self.reader.read_exact(&mut piece).unwrap();
        if matches!(self.framing, Framing::Chunked) {
            assert_eq!(line(&mut self.reader), "");
            if length == 0 {
                self.framing = Framing::Length(0);
            }
        }
        (length > 0).then(|| piece.into())
    }
}

fn line(reader: &mut BufReader<TcpStream>) -> String {
    let mut text = String::new();
    reader.read_line(&mut text).unwrap();
    text.trim_end_matches(['\r', '\n']).to_owned()
}

/// A viewer of HTTP-FLV.
pub struct FlvViewer {
    body: Body,
    demuxer: Demuxer,
    items: Items,
}

impl FlvViewer {
    /// Asks for `/{name}.flv`, without waiting for the answer.
    pub fn ask(server: &Server, name: &str) -> Asked {
        Asked::new(server.http, "GET", &format!("/{name}.flv"), &[], b"")
    }

    /// Watches `/{name}.flv`.
    pub fn open(server: &Server, name: &str) -> Self {
        Self::of(Self::ask(server, name))
    }

    /// Watches a path of HTTP-FLV, with its query.
    #[allow(dead_code, reason = "not every test binary signs URLs")]
    pub fn open_with(server: &Server, path: &str) -> Self {
        Self::of(Asked::new(server.http, "GET", path, &[], b""))
    }

    /// Reads the answer to what was asked.
    pub fn of(asked: Asked) -> Self {
        let (answer, body) = asked.head();
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("video/x-flv")), "{answer:?}");
        Self { body, demuxer: Demuxer::new(), items: Items::default() }
    }
}

impl Viewer for FlvViewer {
    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.items.ready.pop_front() {
                return Some(item);
            }
            self.demuxer.push(&self.body.piece()?);
            while let Some(tag) = self.demuxer.poll().expect("the server sent bad FLV") {
                self.items.push(&tag);
            }
        }
    }
}
