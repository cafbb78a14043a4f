//! The binary under test, as a process that ends with the test that started it.

use std::{
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Asked, PATIENCE, http::Answer, until};

/// Any free port.
const FREE: &str = "127.0.0.1:0";

/// A configuration whose one application lets everybody in; to be put before or after other sections.
pub const OPEN: &str = "[[application]]\nsdk_app_id = 1400000000\nopen = true\n";

/// A running server.
pub struct Server {
    child: Child,
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// Where RTMP listens.
    pub rtmp: SocketAddr,
    /// The admin token of `stentor dev`.
    pub admin_token: String,
    log: Arc<Mutex<String>>,
    _configuration: Option<TempDir>,
}

/// What a command that ended has left.
#[derive(Debug)]
pub struct Finished {
    /// The exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Server {
    /// `stentor dev`, without the demo stream: open on loopback, frames written at once.
    pub fn dev() -> Self {
        let mut command = stentor();
        command.args(["dev", "--http", FREE, "--rtmp", FREE, "--media", FREE, "--json", "--no-demo"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = gather(child.stderr.take().unwrap());
        let (line, first) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            let _ = line.send(lines.next().and_then(Result::ok).unwrap_or_default());
            lines.for_each(drop);
        });
        let mut server = Self::unready(child, log, None);
        let said: Value = serde_json::from_str(&first.recv_timeout(PATIENCE).unwrap()).unwrap();
        let address = |key: &str| said[key].as_str().unwrap().split_once("://").unwrap().1.parse().unwrap();
        (server.http, server.rtmp) = (address("http"), address("rtmp"));
        said["adminToken"].as_str().unwrap().clone_into(&mut server.admin_token);
        server
    }

    /// `stentor serve` with this configuration, on free ports.
    pub fn serve(configuration: &str) -> Self {
        Self::serve_with(configuration, &[])
    }

    /// `stentor serve` with this configuration and these environment variables, on free ports.
    pub fn serve_with(configuration: &str, environment: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("stentor.toml");
        std::fs::write(&file, configuration).unwrap();
        let mut command = stentor();
        command.arg("serve").arg("--config").arg(file).args(["--http", FREE, "--rtmp", FREE, "--media", FREE]);
        command.envs(environment.iter().copied());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = gather(child.stderr.take().unwrap());
        let mut server = Self::unready(child, log, Some(folder));
        (server.http, server.rtmp) = until("the server says where it serves", || {
            assert_eq!(server.child.try_wait().unwrap(), None, "the server ended: {}", server.log());
            let log = server.log();
            let line = log.lines().find(|line| line.contains(" serving ") || line.contains("\"serving\""))?;
            if let Ok(json) = serde_json::from_str::<Value>(line) {
                let field = |key: &str| json[key].as_str()?.parse().ok();
                return Some((field("http")?, field("rtmp")?));
            }
            let field = |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key)?.parse().ok());
            Some((field("http=")?, field("rtmp=")?))
        });
        server
    }

    fn unready(child: Child, log: Arc<Mutex<String>>, configuration: Option<TempDir>) -> Self {
        let admin_token = String::new();
        Self { child, http: unknown(), rtmp: unknown(), admin_token, log, _configuration: configuration }
    }

    /// Waits until the log says this: it is read by a thread of its own, which may be behind what the server did.
    #[allow(dead_code, reason = "not every test binary reads logs")]
    pub fn said(&self, what: &str) {
        until("the log says it", || self.log().contains(what).then_some(()));
    }

    /// What the server has written to standard error, as far as it was read.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// `GET` of a path.
    pub fn get(&self, path: &str) -> Answer {
        self.http("GET", path, &[], b"")
    }

    /// One request and its whole answer.
    pub fn http(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        Asked::new(self.http, method, path, headers, body).answer()
    }

    /// A request of an operator.
    pub fn operator(&self, method: &str, path: &str) -> Answer {
        self.http(method, path, &[("Authorization", &format!("Bearer {}", self.admin_token))], b"")
    }

    /// `/v1/sessions` for an operator.
    pub fn sessions(&self, query: &str) -> Vec<Value> {
        self.operator("GET", &format!("/v1/sessions?{query}")).json()["sessions"].as_array().unwrap().clone()
    }

    /// `/v1/streams`.
    pub fn streams(&self) -> Vec<Value> {
        self.streams_for("")
    }

    /// `/v1/streams` of somebody who shows a token in this query.
    pub fn streams_for(&self, query: &str) -> Vec<Value> {
        self.get(&format!("/v1/streams?{query}")).json()["streams"].as_array().unwrap().clone()
    }

    /// A series of `/metrics`, by the beginning of its line, over all its labels; 0 where there is none.
    pub fn metric(&self, series: &str) -> u64 {
        let answer = self.get("/metrics");
        let value = |line: &str| line.rsplit_once(' ')?.1.parse::<u64>().ok();
        answer.text().lines().filter(|line| line.starts_with(series)).filter_map(value).sum()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits until the process has ended.
    pub fn ended(mut self) -> ExitStatus {
        until("the server has ended", || self.child.try_wait().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the server's log\n{}---", self.log());
        }
    }
}

/// Runs a command to its end.
pub fn run(arguments: &[&str]) -> Finished {
    let mut child = stentor().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (out, err) = (gather(child.stdout.take().unwrap()), gather(child.stderr.take().unwrap()));
    let begin = std::time::Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{arguments:?} did not end; it said: {}", err.lock().unwrap());
        }
        thread::sleep(super::GLANCE);
    };
    // The pipes are at their end once their threads have let go.
    let text = |gathered: Arc<Mutex<String>>| {
        until("all output is read", || (Arc::strong_count(&gathered) == 1).then_some(()));
        gathered.lock().unwrap().clone()
    };
    Finished { code: status.code(), out: text(out), err: text(err) }
}

fn stentor() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stentor"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("STENTOR_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn gather(mut pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let gathered = log.clone();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = pipe.read(&mut buffer) {
            gathered.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    });
    log
}

fn unknown() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 0))
}
