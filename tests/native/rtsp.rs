//! A small RTSP player that counts what comes and can stop reading.

use std::io;
use std::net::SocketAddr;

use rustls_pki_types::ServerName;
use sightline_relay_proto::rtsp::digest::Challenge;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::server::Server;

/// What comes on the connection.
pub enum Item {
    /// An RTP or RTCP packet with its channel.
    Interleaved(u8, Vec<u8>),
    Response(Response),
}

pub struct Response {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Response {
    fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.head.lines().filter_map(move |line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// How media is asked for.
pub enum Lower<'a> {
    Interleaved,
    Udp(&'a UdpPair),
}

/// The player's RTP and RTCP sockets.
pub struct UdpPair {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
}

impl UdpPair {
    pub async fn new() -> Self {
        let bind = || UdpSocket::bind("127.0.0.1:0");
        Self { rtp: bind().await.expect("a port"), rtcp: bind().await.expect("a port") }
    }
}

/// One connection of a player.
pub struct Rtsp<S> {
    stream: S,
    buffer: Vec<u8>,
    url: String,
    login: Option<(String, String)>,
    challenge: Option<Challenge>,
    session: Option<String>,
    sent: u32,
    /// Interleaved packets that came before the answer to a request.
    pub early: Vec<(u8, Vec<u8>)>,
}

/// Connects; a reader that is to stall has a small buffer.
pub async fn connect(server: &Server, receive_buffer: Option<u32>) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes).expect("a buffer");
    }
    socket.connect(server.at("rtsp")).await.expect("the RTSP port is open")
}

/// Connects over TLS.
pub async fn connect_tls(server: &Server) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(server.at("rtsps")).await.expect("the RTSPS port is open");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(server.tls()).connect(name, tcp).await.expect("the local CA signed it")
}

impl<S: AsyncRead + AsyncWrite + Unpin> Rtsp<S> {
    /// `login`: what `rtsp-handles` gave out, or nothing.
    pub fn new(stream: S, at: SocketAddr, path: &str, login: Option<(String, String)>) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            url: format!("rtsp://{at}{path}"),
            login,
            challenge: None,
            session: None,
            sent: 0,
            early: Vec::new(),
        }
    }

    pub fn into_inner(self) -> S {
        self.stream
    }

    /// DESCRIBE, SETUP and PLAY of the first track. The error is the first status but 200.
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
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
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
        let all = &self.buffer;
        if all.first() == Some(&b'$') {
            let Some(head) = all.first_chunk::<4>() else { return Ok(None) };
            let end = 4 + usize::from(u16::from_be_bytes([head[2], head[3]]));
            if all.len() < end {
                return Ok(None);
            }
            let item = Item::Interleaved(head[1], all[4..end].to_vec());
            self.buffer.drain(..end);
            return Ok(Some(item));
        }
        let Some(at) = all.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let head = String::from_utf8_lossy(&all[..at]).into_owned();
        let mut response = Response { status: 0, head, body: String::new() };
        let length = response.headers("content-length").next().and_then(|text| text.parse().ok());
        let end = at + 4 + length.unwrap_or(0);
        if all.len() < end {
            return Ok(None);
        }
        response.body = String::from_utf8_lossy(&all[at + 4..end]).into_owned();
        let status = response.head.split(' ').nth(1).and_then(|text| text.parse().ok());
        response.status = status.ok_or(io::ErrorKind::InvalidData)?;
        self.buffer.drain(..end);
        Ok(Some(Item::Response(response)))
    }
}
