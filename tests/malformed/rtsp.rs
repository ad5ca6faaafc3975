//! A small RTSP client: requests with Digest, interleaved frames, nothing more.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use sightline_relay_proto::rtsp::digest::Challenge;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// One connection.
pub(crate) struct Rtsp {
    stream: TcpStream,
    buffer: BytesMut,
    base: String,
    login: (String, String),
    challenge: Option<Challenge>,
    session: Option<String>,
    cseq: u32,
    logins: u32,
}

/// What came on the connection.
#[derive(Debug)]
pub(crate) enum Item {
    /// An interleaved frame: channel and packet.
    Frame(u8, Bytes),
    /// An answer.
    Answer(Answer),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Rtsp {
    /// Connects to `path` on a server as a user.
    pub(crate) async fn connect(server: SocketAddr, path: &str, user: &str, pass: &str) -> Self {
        let stream = TcpStream::connect(server).await.expect("the RTSP port is open");
        stream.set_nodelay(true).expect("a socket option");
        Self {
            stream,
            buffer: BytesMut::new(),
            base: format!("rtsp://{server}{path}"),
            login: (user.to_owned(), pass.to_owned()),
            challenge: None,
            session: None,
            cseq: 0,
            logins: 0,
        }
    }

    /// URL of the stream.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request and gives its answer; logs in when asked. Frames that come before the
    /// answer are passed over.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        url: &str,
        headers: &str,
        body: &str,
    ) -> Answer {
        let first = self.ask(method, url, headers, body).await;
        let challenge = first.header("WWW-Authenticate").and_then(Challenge::parse);
        let answer = match (first.status, challenge) {
            (401, Some(challenge)) if self.challenge.is_none() => {
                self.challenge = Some(challenge);
                self.ask(method, url, headers, body).await
            }
            _ => first,
        };
        if let Some(session) = answer.header("Session") {
            self.session = session.split(';').next().map(str::to_owned);
        }
        answer
    }

    async fn ask(&mut self, method: &str, url: &str, headers: &str, body: &str) -> Answer {
        self.cseq += 1;
        let mut text = format!("{method} {url} RTSP/1.0\r\nCSeq: {}\r\n{headers}", self.cseq);
        if let Some(challenge) = &self.challenge {
            self.logins += 1;
            let (user, password) = &self.login;
            let count = ("0123456789abcdef", self.logins);
            let value = challenge.answer(user, password, method, url, count);
            text += &format!("Authorization: {value}\r\n");
        }
        if let Some(session) = &self.session {
            text += &format!("Session: {session}\r\n");
        }
        if !body.is_empty() {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        text += "\r\n";
        text += body;
        self.write(text.as_bytes()).await;
        self.answer().await.expect("an answer")
    }

    /// Writes bytes as they are.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        // A peer that has closed is noticed by the reader.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next answer; `None` when the connection ends first.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        loop {
            match tokio::time::timeout(PATIENCE, self.next()).await.expect("something in time")? {
                Item::Answer(answer) => return Some(answer),
                Item::Frame(..) => {}
            }
        }
    }

    /// The next thing; `None` when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.take() {
                return Some(item);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    fn take(&mut self) -> Option<Item> {
        if self.buffer.first() == Some(&b'$') {
            let [_, channel, high, low, ..] = self.buffer[..] else { return None };
            let length = usize::from(u16::from_be_bytes([high, low]));
            if self.buffer.len() < 4 + length {
                return None;
            }
            self.buffer.advance(4);
            return Some(Item::Frame(channel, self.buffer.split_to(length).freeze()));
        }
        let end = self.buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut answer = Answer { status, head, body: String::new() };
        let length = answer.header("Content-Length").and_then(|text| text.parse().ok());
        let length: usize = length.unwrap_or(0);
        if self.buffer.len() < end + length {
            return None;
        }
        self.buffer.advance(end);
        answer.body = String::from_utf8_lossy(&self.buffer.split_to(length)).into_owned();
        Some(Item::Answer(answer))
    }
}

/// Control URLs of a description's media sections.
pub(crate) fn controls(base: &str, sdp: &str) -> Vec<String> {
    let sections = sdp.split("\r\nm=").skip(1);
    let control = |section: &str| {
        let line = section.lines().find_map(|line| line.strip_prefix("a=control:"));
        let control = line.expect("a control URL").trim();
        if control.starts_with("rtsp://") {
            control.to_owned()
        } else {
            format!("{base}/{control}")
        }
    };
    sections.map(control).collect()
}
