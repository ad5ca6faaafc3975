//! What attacks are made of: reproducible noise, raw connections, and what came back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// Longest wait for a peer's end that should come at once.
pub(crate) const SOON: Duration = Duration::from_secs(3);
/// Bytes of an answer that are looked at.
const MAX_ANSWER: usize = 64 * 1024;

/// Reproducible noise.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn number(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound.max(1) as u64) as usize
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.number(256) as u8).collect()
    }
}

/// What came of a raw connection.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The peer ended it within the time.
    pub(crate) closed: bool,
    /// What it said before.
    pub(crate) said: Vec<u8>,
    /// How long it lived.
    pub(crate) lived: Duration,
}

impl Outcome {
    /// Status of an HTTP or RTSP answer, if it is one.
    pub(crate) fn status(&self) -> Option<u16> {
        let text = String::from_utf8_lossy(&self.said);
        let line = text.lines().next()?.to_owned();
        if !(line.starts_with("HTTP/1.") || line.starts_with("RTSP/1.0")) {
            return None;
        }
        line.split(' ').nth(1)?.parse().ok()
    }
}

/// Sends bytes and reads until the peer closes or `patience` is over. With `end` our side is
/// closed after the last byte.
pub(crate) async fn throw(to: SocketAddr, bytes: &[u8], end: bool, patience: Duration) -> Outcome {
    let started = Instant::now();
    let stream = TcpStream::connect(to).await.expect("the port is open");
    let (mut reader, mut writer) = stream.into_split();
    let reading = async {
        let mut said = Vec::new();
        let mut buffer = [0; 8192];
        loop {
            match tokio::time::timeout_at((started + patience).into(), reader.read(&mut buffer))
                .await
            {
                Err(_) => return (false, said),
                Ok(Ok(0) | Err(_)) => return (true, said),
                Ok(Ok(length)) if said.len() < MAX_ANSWER => {
                    said.extend_from_slice(&buffer[..length]);
                }
                Ok(Ok(_)) => {}
            }
        }
    };
    let writing = async {
        // A peer that closes while we write is what may well be wanted.
        let written = tokio::time::timeout(patience, writer.write_all(bytes)).await;
        if end {
            let _ = writer.shutdown().await;
        }
        written.is_ok()
    };
    let ((closed, said), _) = tokio::join!(reading, writing);
    Outcome { closed, said, lived: started.elapsed() }
}

/// Sends datagrams from a fresh socket and counts the bytes that come back within a short time.
pub(crate) async fn pelt(to: SocketAddr, datagrams: &[Vec<u8>]) -> (usize, usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let mut sent = 0;
    for (index, datagram) in datagrams.iter().enumerate() {
        // A full socket buffer is no part of the test.
        if socket.send_to(datagram, to).await.is_ok() {
            sent += datagram.len();
        }
        if index % 32 == 31 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let mut back = 0;
    let mut buffer = [0; 2048];
    let wait = Duration::from_millis(150);
    while let Ok(Ok(length)) = tokio::time::timeout(wait, socket.recv(&mut buffer)).await {
        back += length;
    }
    (sent, back)
}

/// Opens `count` connections that send a beginning and then nothing, and reports how long each
/// lived, at most `patience`.
pub(crate) async fn linger(
    to: SocketAddr,
    beginning: &'static [u8],
    count: usize,
    patience: Duration,
) -> Vec<Outcome> {
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..count {
        waiting.spawn(async move { throw(to, beginning, false, patience).await });
    }
    waiting.join_all().await
}
