//! Viewers of a plain RTSP server that read and throw away: `rtsp_drain --url rtsp://IP:PORT/PATH
//! --count N`. Each sets up the first track inside its connection (RFC 2326, 10.12) and plays.
//! Prints `ready N` when all play, and runs until the server has closed every connection.

use std::collections::HashMap;
use std::io::{self, Error, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

const USAGE: &str = "flags: --url rtsp://IP:PORT/PATH --count N";
/// Most bytes thrown away by one call; the kernel drops them without a copy.
const PIECE: usize = 256 * 1024;
/// Connections handled a wake.
const EVENTS: usize = 256;
/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Longest answer, bytes.
const MAX_ANSWER: usize = 16 * 1024;
/// Time between signs of life; servers end sessions after 60 s.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// One viewer.
struct Viewer {
    connection: TcpStream,
    url: String,
    session: String,
    sequence: u32,
}

impl Viewer {
    fn play(to: SocketAddr, url: &str) -> io::Result<Self> {
        let connection = TcpStream::connect(to)?;
        connection.set_read_timeout(Some(ANSWER_LIMIT))?;
        let session = String::new();
        let mut viewer = Self { connection, url: url.to_owned(), session, sequence: 0 };
        let described = viewer.ask("DESCRIBE", url, "Accept: application/sdp\r\n")?;
        let track = track(&described, url).ok_or_else(|| failed("the SDP has no track"))?;
        let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
        let set_up = viewer.ask("SETUP", &track, transport)?;
        let session = header(&set_up, "Session").ok_or_else(|| failed("there is no session"))?;
        viewer.session = format!("Session: {}\r\n", session.split(';').next().unwrap_or(session));
        viewer.ask("PLAY", url, "Range: npt=now-\r\n")?;
        viewer.connection.set_nonblocking(true)?;
        Ok(viewer)
    }

    fn request(&mut self, method: &str, url: &str, more: &str) -> io::Result<()> {
        self.sequence += 1;
        let (sequence, session) = (self.sequence, &self.session);
        let text = format!("{method} {url} RTSP/1.0\r\nCSeq: {sequence}\r\n{session}{more}\r\n");
        self.connection.write_all(text.as_bytes())
    }

    /// Asks and reads the answer. Media that comes before it has ended is part of what is read.
    fn ask(&mut self, method: &str, url: &str, more: &str) -> io::Result<String> {
        self.request(method, url, more)?;
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            let mut piece = [0; 2048];
            let count = self.connection.read(&mut piece)?;
            if count == 0 || answer.len() > MAX_ANSWER {
                return Err(failed("the answer does not end"));
            }
            answer.extend_from_slice(&piece[..count]);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        if answer.starts_with("RTSP/1.0 200") { Ok(answer) } else { Err(failed(&answer)) }
    }

    /// Says that it is still there. The answer is thrown away with the media.
    fn keep_alive(&mut self) -> io::Result<()> {
        let url = self.url.clone();
        self.request("OPTIONS", &url, "")
    }

    /// Throws away what is there; `false` when the connection has ended.
    fn discard(&self, space: &mut [u8]) -> bool {
        match recv(&self.connection, space, RecvFlags::TRUNC) {
            Ok((_, count)) => count > 0,
            Err(error) => matches!(error, Errno::AGAIN | Errno::INTR),
        }
    }
}

fn failed(what: &str) -> Error {
    Error::other(what.to_owned())
}

/// Whether head and body are there.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = header(head, "Content-Length").and_then(|length| length.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let lines = answer.lines().take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_once(':')).find_map(|(key, value)| {
        let same = key.eq_ignore_ascii_case(name);
        same.then(|| value.trim())
    })
}

/// URL of the first track (RFC 2326, C.1.1).
fn track(described: &str, url: &str) -> Option<String> {
    let (_, media) = described.split_once("\r\nm=")?;
    let control = media.lines().find_map(|line| line.strip_prefix("a=control:"))?.trim();
    let whole = control.starts_with("rtsp://");
    Some(if whole { control.to_owned() } else { format!("{url}/{control}") })
}

fn drain(to: SocketAddr, url: &str, count: u64) -> io::Result<()> {
    let poller = epoll::create(CreateFlags::CLOEXEC)?;
    let mut viewers = HashMap::new();
    for number in 0..count {
        let viewer = Viewer::play(to, url)?;
        let event = EventData::new_u64(number);
        epoll::add(&poller, &viewer.connection, event, EventFlags::IN)?;
        viewers.insert(number, viewer);
    }
    println!("ready {count}");
    io::stdout().flush()?;
    let mut space = vec![0; PIECE];
    let mut events = Vec::with_capacity(EVENTS);
    let mut alive = Instant::now();
    while !viewers.is_empty() {
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        match epoll::wait(&poller, spare_capacity(&mut events), Some(&second)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let number = event.data.u64();
            if viewers.get(&number).is_some_and(|viewer| !viewer.discard(&mut space)) {
                // Closing the connection takes it out of the poller.
                viewers.remove(&number);
            }
        }
        if alive.elapsed() >= KEEP_ALIVE {
            alive = Instant::now();
            viewers.values_mut().try_for_each(Viewer::keep_alive)?;
        }
    }
    Ok(())
}

fn parse(words: &[String]) -> Option<(SocketAddr, String, u64)> {
    match words {
        [url, to, count, number] if url == "--url" && count == "--count" => {
            let host = to.strip_prefix("rtsp://")?.split('/').next()?;
            Some((host.parse().ok()?, to.clone(), number.parse().ok()?))
        }
        _ => None,
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = parse(&words).ok_or_else(|| USAGE.to_owned()).and_then(|(to, url, count)| {
        drain(to, &url, count).map_err(|error| format!("cannot watch {url}: {error}"))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_body() {
        let head = "RTSP/1.0 200 OK\r\nCSeq: 1\r\ncontent-length: 4\r\n\r\n";
        assert!(!is_whole(head.as_bytes()) && is_whole(format!("{head}v=0\n").as_bytes()));
        assert!(!is_whole(b"RTSP/1.0 200 OK\r\n") && is_whole(b"RTSP/1.0 200 OK\r\n\r\n"));
        assert_eq!(header(head, "CSeq"), Some("1"));
    }

    #[test]
    fn the_first_track_is_found() {
        let sdp = "x\r\n\r\nv=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=control:stream=0\r\n";
        assert_eq!(track(sdp, "rtsp://h/p").as_deref(), Some("rtsp://h/p/stream=0"));
        let whole = sdp.replace("stream=0", "rtsp://h/q");
        assert_eq!(track(&whole, "rtsp://h/p").as_deref(), Some("rtsp://h/q"));
        assert_eq!(track("v=0\r\n", "rtsp://h/p"), None);
    }
}
