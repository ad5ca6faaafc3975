//! A small RTSP player (RFC 2326): DESCRIBE, SETUP and PLAY of one track, then packets as they come.
//!
//! It checks nothing and decodes nothing, which is what a measuring client and the tests want;
//! pulling from cameras is [`crate::pull`]'s.

use std::io;
use std::net::{IpAddr, SocketAddr};

use bytes::{Buf, Bytes, BytesMut};
use sightline_relay_proto::rtsp::digest::Challenge;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;

/// Bytes asked for in one read.
const READ: usize = 16 * 1024;
/// Longest head of an answer, bytes; a longer one is not RTSP.
const MAX_HEAD: usize = 64 * 1024;
/// Longest body of an answer, bytes.
const MAX_BODY: usize = 1024 * 1024;

/// What comes on the connection.
#[derive(Debug)]
pub enum Item {
    /// An RTP or RTCP packet with its channel.
    Interleaved(u8, Bytes),
    /// The answer to a request.
    Response(Response),
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    head: String,
    /// Body, such as the SDP of DESCRIBE.
    pub body: String,
}

impl Response {
    /// Values of a header.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.head.lines().filter_map(move |line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// How media is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Lower<'a> {
    /// Inside the connection, on channels 0 and 1.
    Interleaved,
    /// By UDP to these sockets.
    Udp(&'a UdpPair),
}

/// The player's RTP and RTCP sockets.
#[derive(Debug)]
pub struct UdpPair {
    /// RTP.
    pub rtp: UdpSocket,
    /// RTCP.
    pub rtcp: UdpSocket,
}

impl UdpPair {
    /// Binds two free ports of an address.
    pub async fn bind(ip: IpAddr) -> io::Result<Self> {
        let bind = || UdpSocket::bind(SocketAddr::new(ip, 0));
        Ok(Self { rtp: bind().await?, rtcp: bind().await? })
    }
}

/// One connection of a player.
pub struct Rtsp<S> {
    stream: S,
    buffer: BytesMut,
    url: String,
    login: Option<(String, String)>,
    challenge: Option<Challenge>,
    session: Option<String>,
    server_ports: Option<(u16, u16)>,
    sent: u32,
    /// Interleaved packets that came before the answer to a request.
    pub early: Vec<(u8, Bytes)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Rtsp<S> {
    /// `login`: user and password that `rtsp-handles` gave out, or nothing.
    pub fn new(stream: S, at: SocketAddr, path: &str, login: Option<(String, String)>) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            url: format!("rtsp://{at}{path}"),
            login,
            challenge: None,
            session: None,
            server_ports: None,
            sent: 0,
            early: Vec::new(),
        }
    }

    /// The connection; what was read of it and not taken is lost.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// The server's RTP and RTCP ports, once UDP was set up.
    pub fn server_ports(&self) -> Option<(u16, u16)> {
        self.server_ports
    }

    /// DESCRIBE, SETUP and PLAY of the first track. The error inside is the first status but 200.
    pub async fn play(&mut self, lower: Lower<'_>) -> io::Result<Result<(), u16>> {
        let url = self.url.clone();
        let described = self.request("DESCRIBE", &url, "Accept: application/sdp\r\n").await?;
        if described.status != 200 {
            return Ok(Err(described.status));
        }
        let media = described.body.split("\r\nm=").nth(1).unwrap_or_default();
        let control = media.lines().find_map(|line| line.strip_prefix("a=control:"));
        let control = control.unwrap_or_default().trim();
        let track = match control.contains("://") {
            true => control.to_owned(),
            false => format!("{url}/{control}"),
        };
        let answer = self.set_up_and_play(&track, lower).await?;
        Ok(if answer == 200 { Ok(()) } else { Err(answer) })
    }

    /// SETUP and PLAY whatever was answered before; the last status.
    pub async fn set_up_and_play(&mut self, track: &str, lower: Lower<'_>) -> io::Result<u16> {
        let transport = match lower {
            Lower::Interleaved => "RTP/AVP/TCP;unicast;interleaved=0-1".to_owned(),
            Lower::Udp(pair) => {
                let port = |socket: &UdpSocket| socket.local_addr().map(|at| at.port());
                let (rtp, rtcp) = (port(&pair.rtp)?, port(&pair.rtcp)?);
                format!("RTP/AVP;unicast;client_port={rtp}-{rtcp}")
            }
        };
        let setup = self.request("SETUP", track, &format!("Transport: {transport}\r\n")).await?;
        if let Some(session) = setup.headers("session").next() {
            self.session = session.split(';').next().map(str::to_owned);
        }
        self.server_ports = setup.headers("transport").find_map(server_ports);
        let url = self.url.clone();
        let played = self.request("PLAY", &url, "Range: npt=now-\r\n").await?;
        Ok(if setup.status == 200 { played.status } else { setup.status })
    }

    /// Sends a request and gives the answer, after a second try with the login if it is asked for.
    pub async fn request(&mut self, method: &str, url: &str, more: &str) -> io::Result<Response> {
        self.send(method, url, more).await?;
        let answer = self.answer().await?;
        if answer.status != 401 || self.login.is_none() || self.challenge.is_some() {
            return Ok(answer);
        }
        self.challenge = answer.headers("www-authenticate").find_map(Challenge::parse);
        self.send(method, url, more).await?;
        self.answer().await
    }

    /// Keeps the session alive; the answer comes as an item.
    pub async fn keep_alive(&mut self) -> io::Result<()> {
        let url = self.url.clone();
        self.send("GET_PARAMETER", &url, "").await
    }

    /// The next packet or response; `None` at the end of the connection. Cancelling loses nothing.
    pub async fn next(&mut self) -> io::Result<Option<Item>> {
        loop {
            if let Some(item) = self.parse()? {
                return Ok(Some(item));
            }
            if self.read().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Waits for bytes and throws them away unread; `false` at the end of the connection. Items
    /// cannot be asked for afterwards. Cancelling loses nothing.
    pub async fn drain(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        Ok(self.read().await? > 0)
    }

    async fn read(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ);
        self.stream.read_buf(&mut self.buffer).await
    }

    async fn send(&mut self, method: &str, url: &str, more: &str) -> io::Result<()> {
        self.sent += 1;
        let mut text = format!("{method} {url} RTSP/1.0\r\nCSeq: {}\r\n{more}", self.sent);
        if let (Some((user, password)), Some(challenge)) = (&self.login, &self.challenge) {
            let answer = challenge.answer(user, password, method, url, ("c", self.sent));
            text += &format!("Authorization: {answer}\r\n");
        }
        if let Some(session) = &self.session {
            text += &format!("Session: {session}\r\n");
        }
        self.stream.write_all(format!("{text}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    async fn answer(&mut self) -> io::Result<Response> {
        loop {
            match self.next().await? {
                Some(Item::Response(response)) => return Ok(response),
                Some(Item::Interleaved(channel, packet)) => self.early.push((channel, packet)),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    fn parse(&mut self) -> io::Result<Option<Item>> {
        if self.buffer.first() == Some(&b'$') {
            let Some(head) = self.buffer.first_chunk::<4>() else { return Ok(None) };
            let (channel, len) = (head[1], usize::from(u16::from_be_bytes([head[2], head[3]])));
            if self.buffer.len() < 4 + len {
                return Ok(None);
            }
            self.buffer.advance(4);
            return Ok(Some(Item::Interleaved(channel, self.buffer.split_to(len).freeze())));
        }
        let all = &self.buffer;
        let Some(at) = all.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if all.len() > MAX_HEAD { Err(malformed()) } else { Ok(None) };
        };
        let head = String::from_utf8_lossy(&all[..at]).into_owned();
        let mut response = Response { status: 0, head, body: String::new() };
        let length = response.headers("content-length").next().and_then(|text| text.parse().ok());
        let length: usize = length.unwrap_or(0);
        if length > MAX_BODY {
            return Err(malformed());
        }
        let end = at + 4 + length;
        if all.len() < end {
            return Ok(None);
        }
        response.body = String::from_utf8_lossy(&all[at + 4..end]).into_owned();
        let status = response.head.split(' ').nth(1).and_then(|text| text.parse().ok());
        response.status = status.ok_or_else(malformed)?;
        self.buffer.advance(end);
        Ok(Some(Item::Response(response)))
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is not RTSP")
}

/// `server_port=A-B` of a Transport header.
fn server_ports(transport: &str) -> Option<(u16, u16)> {
    let ports = transport.split(';').find_map(|part| part.trim().strip_prefix("server_port="))?;
    let (rtp, rtcp) = ports.split_once('-')?;
    Some((rtp.parse().ok()?, rtcp.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_ports_are_read_from_the_transport() {
        let text = "RTP/AVP;unicast;client_port=5000-5001;server_port=8000-8001";
        assert_eq!(server_ports(text), Some((8000, 8001)));
        assert_eq!(server_ports("RTP/AVP/TCP;interleaved=0-1"), None);
    }

    #[tokio::test]
    async fn packets_and_answers_are_told_apart_however_they_are_cut() {
        let bytes = b"$\0\0\x03abcRTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi$\x01\0\0";
        for cut in 0..bytes.len() {
            let stream = in_two_reads(&bytes[..cut], &bytes[cut..]);
            let at = "127.0.0.1:554".parse().expect("an address");
            let mut player = Rtsp::new(stream, at, "/x/0", None);
            let item = player.next().await.expect("read");
            assert!(matches!(item, Some(Item::Interleaved(0, packet)) if packet == "abc"));
            let item = player.next().await.expect("read");
            assert!(
                matches!(item, Some(Item::Response(it)) if it.status == 200 && it.body == "hi")
            );
            let item = player.next().await.expect("read");
            assert!(matches!(item, Some(Item::Interleaved(1, packet)) if packet.is_empty()));
            assert!(player.next().await.expect("read").is_none());
        }
    }

    /// Gives the two parts in one read each, then ends.
    fn in_two_reads(first: &[u8], second: &[u8]) -> impl AsyncRead + AsyncWrite + Unpin {
        tokio::io::join(AsyncReadExt::chain(first, second), tokio::io::sink())
    }
}
