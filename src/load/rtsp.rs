//! Viewers over RTSP: packets inside the connection, or by UDP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sightline_client::rtsp::{Item, Lower, Rtsp, UdpPair};
use sightline_relay_proto::wire::rtcp::{self, ReceptionReport, Rtcp};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::gate::Terminal;
use super::viewer::{Watcher, reports};

/// Time between two requests that keep the session; the server asks for one in 60 s.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Datagrams taken in a row before other tasks get their turn.
const MAX_RUN: usize = 32;
/// Largest datagram.
const MAX_DATAGRAM: usize = 2048;
/// Our SSRC in reports, and their CNAME.
const OUR_SSRC: u32 = 1;
const CNAME: &str = "sightline";

/// A player, and its sockets if media goes by UDP.
pub(super) struct Player {
    rtsp: Rtsp<TcpStream>,
    udp: Option<Udp>,
}

struct Udp {
    pair: UdpPair,
    /// The server's RTCP port.
    reports_to: SocketAddr,
}

/// Connects and plays; also when the login was asked for.
pub(super) async fn connect(terminal: &Terminal, udp: bool) -> Result<(Player, Instant), Failure> {
    let grant = terminal.grant().await?;
    let doors = terminal.doors();
    let serial = &terminal.camera().serial;
    let ask = || terminal.api.rtsp_handle(&grant, serial, 0);
    let (handle, asked) = doors.timed(ask).await?;
    let at = SocketAddr::new(doors.ip, handle.rtsp_port);
    let stream = connect_from(terminal.local, at).await.map_err(failed)?;
    let login = (handle.user, handle.password.into_inner());
    let mut rtsp = Rtsp::new(stream, at, &handle.path, Some(login));
    let pair = match udp {
        true => Some(UdpPair::bind(terminal.local).await.map_err(failed)?),
        false => None,
    };
    let lower = pair.as_ref().map_or(Lower::Interleaved, Lower::Udp);
    if let Err(status) = rtsp.play(lower).await.map_err(failed)? {
        return Err(format!("RTSP: the server answers {status}").into());
    }
    let udp = pair.map(|pair| {
        let (_, rtcp) = rtsp.server_ports().ok_or_else(|| "RTSP: no server_port".to_owned())?;
        Ok::<_, String>(Udp { pair, reports_to: SocketAddr::new(at.ip(), rtcp) })
    });
    Ok((Player { rtsp, udp: udp.transpose()? }, asked))
}

async fn connect_from(local: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if local.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind((local, 0).into())?;
    socket.connect(to).await
}

impl Player {
    /// Reads and checks until `stop`.
    pub(super) async fn watch(
        self,
        watcher: &mut Watcher,
        stop: &CancellationToken,
    ) -> Result<(), String> {
        let watched = match self.udp {
            Some(udp) => watch_udp(self.rtsp, &udp, watcher, stop).await,
            None => watch_tcp(self.rtsp, watcher, stop).await,
        };
        watched.map_err(|error| format!("RTSP: {error}"))
    }

    /// Keeps the session alive until `stop`. What comes on the connection is thrown away unread;
    /// what comes by UDP is not even taken.
    pub(super) async fn hold(mut self, stop: &CancellationToken) -> Result<(), String> {
        let (mut due, mut alive) = (reports(), keep_alives());
        let mut report = ReceptionReport::default();
        loop {
            let held = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                more = self.rtsp.drain() => more.and_then(|more| if more { Ok(()) } else { Err(ended()) }),
                _ = alive.tick() => self.rtsp.keep_alive().await,
                _ = due.tick() => match &self.udp {
                    Some(udp) => {
                        // The server's own reports tell which source they are to speak of.
                        report.ssrc = udp.reported_source().unwrap_or(report.ssrc);
                        udp.send_report(report).await
                    }
                    None => Ok(()),
                },
            };
            held.map_err(|error| format!("RTSP: {error}"))?;
        }
    }
}

async fn watch_tcp(
    mut rtsp: Rtsp<TcpStream>,
    watcher: &mut Watcher,
    stop: &CancellationToken,
) -> io::Result<()> {
    for (channel, packet) in std::mem::take(&mut rtsp.early) {
        if channel == 0 {
            watcher.packet(&packet);
        }
    }
    let mut alive = keep_alives();
    let stopped = stop.cancelled();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return Ok(()),
            item = rtsp.next() => match item? {
                Some(Item::Interleaved(0, packet)) => watcher.packet(&packet),
                Some(_) => {}
                None => return Err(ended()),
            },
            _ = alive.tick() => rtsp.keep_alive().await?,
        }
    }
}

async fn watch_udp(
    mut rtsp: Rtsp<TcpStream>,
    udp: &Udp,
    watcher: &mut Watcher,
    stop: &CancellationToken,
) -> io::Result<()> {
    let (mut due, mut alive) = (reports(), keep_alives());
    let stopped = stop.cancelled();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return Ok(()),
            ready = udp.pair.rtp.readable() => {
                ready?;
                udp.take(watcher)?;
            }
            more = rtsp.drain() => if !more? {
                return Err(ended());
            },
            _ = alive.tick() => rtsp.keep_alive().await?,
            _ = due.tick() => {
                udp.reported_source();
                udp.send_report(watcher.report()).await?;
            }
        }
    }
}

impl Udp {
    /// Checks the datagrams that are there.
    fn take(&self, watcher: &mut Watcher) -> io::Result<()> {
        let mut buffer = [0; MAX_DATAGRAM];
        for _ in 0..MAX_RUN {
            match self.pair.rtp.try_recv(&mut buffer) {
                Ok(len) => watcher.packet(&buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes the server's reports that are there: the source that they speak for.
    fn reported_source(&self) -> Option<u32> {
        let mut buffer = [0; MAX_DATAGRAM];
        let mut source = None;
        while let Ok(len) = self.pair.rtcp.try_recv(&mut buffer) {
            rtcp::parse(&buffer[..len], |packet| {
                if let Rtcp::SenderReport { ssrc, .. } = packet {
                    source = Some(ssrc);
                }
            });
        }
        source
    }

    async fn send_report(&self, report: ReceptionReport) -> io::Result<()> {
        let mut out = Vec::with_capacity(64);
        rtcp::write_receiver_report(&mut out, OUR_SSRC, Some(report), CNAME);
        self.pair.rtcp.send_to(&out, self.reports_to).await?;
        Ok(())
    }
}

fn keep_alives() -> Interval {
    let mut interval = interval_at(tokio::time::Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    interval
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the server ended the connection")
}

fn failed(error: io::Error) -> Failure {
    format!("RTSP: {error}").into()
}
