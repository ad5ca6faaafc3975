//! A server on free ports of loopback, known only by what it prints, as whoever tries the product
//! for the first time knows it. It needs no namespace.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use super::process::{Output, Process, signal, wait_for};
use super::server::{admin, sightline};

/// Keys of the `[listen]` section.
pub const LISTEN_KEYS: [&str; 8] =
    ["http", "https", "roq", "webrtc", "rtsp", "rtsps", "rtsp_udp", "metrics"];
/// Longest wait for a server to print where it is.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// A running server and its folder, which is not removed with it.
pub struct Local {
    process: Process,
    folder: PathBuf,
    started: Instant,
}

/// `sightline serve` with every door on a free port, but for the ones in `doors`.
pub fn serve(data: &Path, doors: &[(&str, String)]) -> Command {
    let mut command = sightline();
    command.arg("serve").arg("--data").arg(data);
    for key in LISTEN_KEYS {
        let given = doors.iter().find(|(name, _)| *name == key).map(|(_, at)| at.as_str());
        command.arg(format!("--listen.{key}")).arg(given.unwrap_or("127.0.0.1:0"));
    }
    command
}

impl Local {
    /// Starts it with its data in `folder/data` and waits until it has said where it is.
    pub fn start(folder: &Path, flags: &[&str]) -> Self {
        Self::start_at(folder, &[], flags)
    }

    /// The same with some doors on given addresses.
    pub fn start_at(folder: &Path, doors: &[(&str, String)], flags: &[&str]) -> Self {
        let started = Instant::now();
        let mut command = serve(&folder.join("data"), doors);
        let process = Process::start("local", folder, command.args(flags), Output::File);
        let mut local = Self { process, folder: folder.to_owned(), started };
        let demo = !flags.contains(&"--no-demo");
        wait_for("the server's first lines", START_LIMIT, || {
            if let Some(status) = local.process.ended() {
                panic!("the server ended with {status}: {}", local.log());
            }
            let said = local.said();
            (said.contains("  SMS ") && (!demo || said.contains("  demo "))).then_some(())
        });
        local
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Time since it was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Standard output: the operator's terminal.
    pub fn said(&self) -> String {
        let bytes = fs::read(self.folder.join("local.out")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Standard error: the log.
    pub fn log(&self) -> String {
        self.process.complaints()
    }

    /// Rest of the printed line that begins with this word.
    pub fn line(&self, word: &str) -> String {
        let said = self.said();
        let found = said.lines().find_map(|line| line.strip_prefix("  ")?.strip_prefix(word));
        found.unwrap_or_else(|| panic!("no line {word:?} in {said}")).trim().to_owned()
    }

    /// Demo camera's serial and bind text as they are printed.
    pub fn demo(&self) -> (String, String) {
        let line = self.line("demo");
        let text = line.rsplit_once('(').expect("a bind text").1.trim_end_matches(')').to_owned();
        let serial = text.split(':').nth(1).expect("SL1:serial:code").to_owned();
        (serial, text)
    }

    /// Runs `sightline admin ... --json` on its data and reads the answer.
    pub fn admin(&self, words: &[&str]) -> serde_json::Value {
        admin(&self.data(), words)
    }

    /// Address of the API over TLS, by the name in its certificate.
    pub fn https_origin(&self) -> String {
        let answer = self.get("/v1/server");
        let body = answer.split_once("\r\n\r\n").expect("an answer").1;
        let facts: serde_json::Value = serde_json::from_str(body).expect("JSON");
        format!("https://localhost:{}", facts["ports"]["https"])
    }

    /// Answer to a GET at the printed page's address.
    pub fn get(&self, path: &str) -> String {
        let page = self.line("page");
        let host = page.trim_start_matches("http://").trim_end_matches('/').to_owned();
        get(&host.replace("localhost", "127.0.0.1"), &host, path).unwrap_or_default()
    }

    /// Processes that it started, by id.
    pub fn children(&self) -> Vec<u32> {
        children(self.id())
    }

    /// Sends a signal and waits for the end; its status and how long it took.
    pub fn end(&mut self, name: &str, limit: Duration) -> (ExitStatus, Duration) {
        let at = Instant::now();
        signal(self.id(), name);
        let status = self.process.wait(limit);
        (status.unwrap_or_else(|| panic!("still running {limit:?} after {name}")), at.elapsed())
    }
}

/// A bare GET over clear HTTP; `None` when nothing answers.
pub fn get(address: &str, host: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Whether a process runs (a zombie does not).
pub fn runs(id: u32) -> bool {
    stat(id).is_some_and(|(state, _)| state != 'Z')
}

/// Processes with this parent.
fn children(parent: u32) -> Vec<u32> {
    let folders = fs::read_dir("/proc").expect("/proc").flatten();
    let ids = folders.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| stat(*id).is_some_and(|(_, of)| of == parent)).collect()
}

/// State and parent of a process; proc(5).
fn stat(id: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name may hold anything; what follows its last bracket does not.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
