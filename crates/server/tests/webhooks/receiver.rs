//! A receiver of webhooks: a small HTTP server that notes every request and answers as it is told.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;

use crate::rig::until;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path with its query.
    pub path: String,
    headers: Vec<(String, String)>,
    /// The body as it came.
    pub raw: Vec<u8>,
    /// The body.
    pub body: Value,
}

impl Request {
    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The stream, in whatever dialect.
    pub fn stream(&self) -> String {
        let body = &self.body;
        let found = [&body["stream"], &body["stream_id"], &body["EventInfo"]["StreamName"]];
        found.into_iter().find_map(Value::as_str).unwrap().to_owned()
    }

    /// What receivers tell repetitions by.
    pub fn id(&self) -> String {
        self.header("stentor-event-id").unwrap().to_owned()
    }
}

/// What a receiver does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers with a status and a body.
    Say(u16, &'static str),
    /// Answers with these bytes, and closes.
    Raw(String),
    /// Never answers; closes when released.
    Hang,
    /// Closes without an answer.
    Close,
    /// Answers with so many bytes, for as long as somebody reads.
    Endless,
}

/// `{"code":0}`.
pub const YES: Reply = Reply::Say(200, "{\"code\":0}");

type Decide = Box<dyn Fn(&Request) -> Reply + Send>;

struct Shared {
    decide: Mutex<Decide>,
    requests: Mutex<Vec<Request>>,
    now: AtomicUsize,
    peak: AtomicUsize,
    sent: AtomicUsize,
    over: AtomicBool,
    hung: Mutex<Vec<TcpStream>>,
}

/// A running receiver.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Receiver {
    /// A receiver that answers each request as `decide` says.
    pub fn new(decide: impl Fn(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            decide: Mutex::new(Box::new(decide)),
            requests: Mutex::default(),
            now: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            hung: Mutex::default(),
        });
        let own = shared.clone();
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let shared = own.clone();
                thread::spawn(move || shared.serve(socket));
            }
        });
        Self { address, shared }
    }

    /// A receiver that answers all requests alike.
    pub fn always(reply: Reply) -> Self {
        Self::new(move |_| reply.clone())
    }

    /// Answers otherwise from now on.
    pub fn reply_by(&self, decide: impl Fn(&Request) -> Reply + Send + 'static) {
        *self.shared.decide.lock().unwrap() = Box::new(decide);
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/hook?for=stentor", self.address)
    }

    /// What came so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Waits until so many requests have come.
    pub fn await_requests(&self, count: usize) -> Vec<Request> {
        until(&format!("{count} requests have come"), || {
            let requests = self.requests();
            (requests.len() >= count).then_some(requests)
        })
    }

    /// Waits until a request of this kind has come.
    pub fn await_one(&self, what: &str, is_it: impl Fn(&Request) -> bool) -> Request {
        until(what, || self.requests().into_iter().find(&is_it))
    }

    /// Requests that were unanswered at the same time, at most.
    pub fn peak(&self) -> usize {
        self.shared.peak.load(Ordering::SeqCst)
    }

    /// Closes the connections of all that hang.
    pub fn release(&self) {
        for socket in self.shared.hung.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Bytes of endless answers that somebody took.
    pub fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn serve(&self, socket: TcpStream) {
        let mut writer = socket.try_clone().unwrap();
        let mut reader = BufReader::new(socket);
        while let Some(request) = read(&mut reader) {
            let unanswered = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.peak.fetch_max(unanswered, Ordering::SeqCst);
            let reply = (self.decide.lock().unwrap())(&request);
            self.requests.lock().unwrap().push(request);
            let goes_on = self.reply(reply, &mut writer, &mut reader);
            self.now.fetch_sub(1, Ordering::SeqCst);
            if !goes_on {
                return;
            }
        }
    }

    /// Whether another request may follow.
    fn reply(&self, reply: Reply, writer: &mut TcpStream, reader: &mut BufReader<TcpStream>) -> bool {
        match reply {
            Reply::Say(status, body) => {
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                writer.write_all(head.as_bytes()).is_ok()
            }
            Reply::Raw(text) => {
                let _ = writer.write_all(text.as_bytes());
                false
            }
            Reply::Hang => {
                let hung = reader.get_ref().try_clone().unwrap();
                self.hung.lock().unwrap().push(hung);
                let _ = reader.read(&mut [0]);
                false
            }
            Reply::Close => false,
            Reply::Endless => {
                let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n{\"code\":0,\"x\":\"");
                while !self.over.load(Ordering::SeqCst) && writer.write_all(&[b'x'; 65_536]).is_ok() {
                    self.sent.fetch_add(65_536, Ordering::SeqCst);
                }
                false
            }
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = || {
        let mut text = String::new();
        reader.read_line(&mut text).ok().filter(|read| *read > 0).map(|_| text.trim_end().to_owned())
    };
    let path = line()?.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let text = line()?;
        let Some((key, value)) = text.split_once(':') else { break };
        headers.push((key.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(key, _)| key == "content-length")?.1.parse().ok()?;
    let mut raw = vec![0; length];
    reader.read_exact(&mut raw).ok()?;
    let body = serde_json::from_slice(&raw).expect("a webhook was sent no JSON");
    Some(Request { path, headers, raw, body })
}
