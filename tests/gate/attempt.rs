//! Attempts to get media past the gate: with a grant that must not do, and without any.

use std::io;
use std::time::Duration;

use sightline_client::SessionTarget;
use sightline_client::api::{Api, ApiError};
use sightline_client::watch::Viewer;
use sightline_client::web::{SocketSession, WebSession, WebTarget, WebViewer};
use sightline_client::whep::WhepOffer;
use sightline_client::wire::{RoqSession, RoqTrack};
use sightline_grant::Redacted;
use sightline_relay_proto::codec::{Codec, TrackInfo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UdpSocket;

use crate::native::Egress;
use crate::native::rtsp::{self, Item, Lower, Rtsp};
use crate::native::server::Server;
use crate::native::socket::SocketViewer;
use crate::native::terminal::patiently;

/// How long a socket is listened to: 25 frames of the camera.
pub(crate) const LISTEN: Duration = Duration::from_secs(1);

/// What an attempt came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    /// Status of the refusal; 0: not refused.
    pub(crate) status: u16,
    /// Type of the problem, or the protocol that refused.
    pub(crate) problem: String,
    /// Datagrams and packets that reached the attempt's sockets.
    pub(crate) packets: usize,
}

impl Outcome {
    fn refused(error: &ApiError, packets: usize) -> Self {
        let ApiError::Problem(problem) = error else { panic!("no refusal but {error}") };
        let name = problem.kind.trim_start_matches("/problems/").to_owned();
        Self { status: problem.status, problem: name, packets }
    }
}

/// Who tries what.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) server: &'a Server,
    pub(crate) api: &'a Api,
    pub(crate) grant: &'a Redacted<String>,
    pub(crate) serial: &'a str,
}

impl Attempt<'_> {
    /// Presents the grant. If it is refused, tries the egress all the same; if not, watches.
    pub(crate) async fn on(&self, egress: Egress) -> Outcome {
        match egress {
            Egress::Whep => self.whep().await,
            Egress::Roq => self.roq().await,
            Egress::WebTransport => self.web().await,
            Egress::WebSocket => self.socket().await,
            Egress::RtspTcp | Egress::RtspUdp | Egress::Rtsps => self.rtsp(egress).await,
        }
    }

    async fn whep(&self) -> Outcome {
        let offer = WhepOffer::new("127.0.0.1:0".parse().expect("an address")).await;
        let offer = offer.expect("a socket");
        let sdp = offer.sdp().expect("an offer");
        let answer = patiently(|| self.api.whep(self.grant, self.serial, 0, &sdp)).await;
        let Err(error) = answer else {
            // The grant is used up; what the session gives is not looked at.
            return Outcome { status: 0, problem: "admitted".into(), packets: 0 };
        };
        let packets = knock(offer.socket(), self.server.at("webrtc")).await;
        Outcome::refused(&error, packets)
    }

    async fn roq(&self) -> Outcome {
        match patiently(|| self.api.roq_session(self.grant, self.serial, 0)).await {
            Ok(session) => {
                let packets = roq_packets(self.server, self.api, session).await;
                Outcome { status: 0, problem: "admitted".into(), packets }
            }
            Err(error) => {
                let packets = roq_packets(
                    self.server,
                    self.api,
                    made_up_session(self.server.at("roq").port()),
                )
                .await;
                Outcome::refused(&error, packets)
            }
        }
    }

    async fn web(&self) -> Outcome {
        match patiently(|| self.api.web_session(self.grant, self.serial, 0)).await {
            Ok(session) => {
                let packets = web_items(self.server, session).await;
                Outcome { status: 0, problem: "admitted".into(), packets }
            }
            Err(error) => {
                let path = format!("/v1/live?ticket={}", "5a".repeat(16));
                let session = WebSession {
                    path,
                    port: self.server.at("roq").port(),
                    tracks: Vec::new(),
                    sealed: false,
                };
                Outcome::refused(&error, web_items(self.server, session).await)
            }
        }
    }

    /// A ticket opens one WebSocket, for pages of the server itself; a made-up one opens none.
    async fn socket(&self) -> Outcome {
        match patiently(|| self.api.socket_session(self.grant, self.serial, 0)).await {
            Ok(session) => {
                let server = self.server;
                let foreign = Some("https://evil.example");
                let refused = SocketViewer::connect(server, &session, foreign).await.err();
                assert_eq!(refused, Some(403), "a foreign page");
                let Ok(viewer) = SocketViewer::connect(server, &session, None).await else {
                    return Outcome { status: 0, problem: "admitted".into(), packets: 0 };
                };
                let again = SocketViewer::connect(server, &session, None).await.err();
                assert_eq!(again, Some(404), "a used ticket");
                let packets = socket_items(viewer).await;
                Outcome { status: 0, problem: "admitted".into(), packets }
            }
            Err(error) => {
                let path = format!("/v1/websockets/{}", "5a".repeat(16));
                let session = SocketSession { path, tracks: Vec::new(), sealed: false };
                let refused = SocketViewer::connect(self.server, &session, None).await.err();
                assert_eq!(refused, Some(404), "a ticket of nobody");
                Outcome::refused(&error, 0)
            }
        }
    }

    async fn rtsp(&self, egress: Egress) -> Outcome {
        match patiently(|| self.api.rtsp_handle(self.grant, self.serial, 0)).await {
            Ok(handle) => {
                let login = (handle.user, handle.password.into_inner());
                play(self.server, egress, &handle.path, Some(login)).await
            }
            Err(error) => {
                let path = format!("/{}/0", self.serial);
                let guessed = Some((self.serial.to_owned(), "guessed".to_owned()));
                let (without, with) = tokio::join!(
                    play(self.server, egress, &path, None),
                    play(self.server, egress, &path, guessed),
                );
                assert_eq!((without.status, with.status), (401, 401), "{}", egress.name());
                Outcome::refused(&error, without.packets + with.packets)
            }
        }
    }
}

/// Plays with a login or without; after a refusal it asks for SETUP and PLAY all the same.
pub(crate) async fn play(
    server: &Server,
    egress: Egress,
    path: &str,
    login: Option<(String, String)>,
) -> Outcome {
    let at = server.at("rtsp");
    if egress == Egress::Rtsps {
        let stream = rtsp::connect_tls(server).await;
        return play_on(Rtsp::new(stream, at, path, login), egress).await;
    }
    let stream = rtsp::connect(server, None).await;
    play_on(Rtsp::new(stream, at, path, login), egress).await
}

async fn play_on<S: AsyncRead + AsyncWrite + Unpin>(
    mut player: Rtsp<S>,
    egress: Egress,
) -> Outcome {
    let pair = rtsp::udp_pair().await;
    let lower = || match egress {
        Egress::RtspUdp => Lower::Udp(&pair),
        _ => Lower::Interleaved,
    };
    let status = match player.play(lower()).await {
        Ok(Ok(())) => 0,
        Ok(Err(status)) => status,
        Err(error) => panic!("the connection ended without an answer: {error}"),
    };
    if status != 0 {
        // A connection that is closed meanwhile says no as well.
        let _ = player.set_up_and_play("trackID=0", lower()).await;
    }
    let (interleaved, rtp, rtcp) =
        tokio::join!(interleaved(&mut player), count(&pair.rtp), count(&pair.rtcp));
    let problem = if status == 0 { "admitted" } else { "rtsp" };
    Outcome { status, problem: problem.into(), packets: interleaved + rtp + rtcp }
}

async fn interleaved<S: AsyncRead + AsyncWrite + Unpin>(player: &mut Rtsp<S>) -> usize {
    let mut packets = player.early.len();
    let all: io::Result<()> = tokio::time::timeout(LISTEN, async {
        while let Some(item) = player.next().await? {
            packets += usize::from(matches!(item, Item::Interleaved(..)));
        }
        Ok(())
    })
    .await
    .unwrap_or(Ok(()));
    // The end of the connection, in whatever form, ends the counting too.
    drop(all);
    packets
}

/// Datagrams that come to a socket.
async fn count(socket: &UdpSocket) -> usize {
    let mut packets = 0;
    let mut buffer = [0; 2048];
    let _ = tokio::time::timeout(LISTEN, async {
        while socket.recv_from(&mut buffer).await.is_ok() {
            packets += 1;
        }
    })
    .await;
    packets
}

/// Sends what a client without a session could: RTP, RTCP, a DTLS record, a STUN header. Counts
/// what comes back.
async fn knock(socket: &UdpSocket, at: std::net::SocketAddr) -> usize {
    let mut stun = [0; 20];
    stun[1] = 1;
    stun[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
    let mut dtls = [0; 25];
    (dtls[0], dtls[1], dtls[2], dtls[12]) = (22, 254, 253, 12);
    for datagram in
        [&[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1][..], &[0x80, 201, 0, 1], &dtls, &stun]
    {
        socket.send_to(datagram, at).await.expect("sent");
    }
    count(socket).await
}

/// RTP packets that a session gives; a refused connection gives none.
pub(crate) async fn roq_packets(server: &Server, api: &Api, session: RoqSession) -> usize {
    let target = SessionTarget {
        server: server.at("roq").ip(),
        session,
        roots: server.roots.clone(),
        identity: api.identity().clone(),
        endpoint: None,
    };
    let Ok(mut viewer) = Viewer::connect(&target).await else { return 0 };
    let _ = tokio::time::timeout(LISTEN, async { while viewer.next().await.is_ok() {} }).await;
    let stats = viewer.stats();
    (stats.packets + stats.reports + stats.resets) as usize
}

/// Items that a session gives; a refused connection gives none.
pub(crate) async fn web_items(server: &Server, session: WebSession) -> usize {
    let (hashes, endpoint) = (server.web_hashes.clone(), None);
    let target = WebTarget { server: server.at("roq").ip(), session, hashes, endpoint };
    let Ok(mut viewer) = WebViewer::connect(&target).await else { return 0 };
    let mut items = 0;
    let _ = tokio::time::timeout(LISTEN, async {
        while viewer.next().await.is_ok() {
            items += 1;
        }
    })
    .await;
    items + viewer.resets() as usize
}

/// Items that come on a WebSocket.
async fn socket_items(mut viewer: SocketViewer) -> usize {
    let mut items = 0;
    let _ = tokio::time::timeout(LISTEN, async {
        while viewer.next().await.is_ok() {
            items += 1;
        }
    })
    .await;
    items
}

/// A session that nobody set up.
fn made_up_session(port: u16) -> RoqSession {
    let track = RoqTrack::announce(&TrackInfo::video(Codec::H264));
    RoqSession {
        session: "0".repeat(32),
        server_name: format!("{}.roq.sightline.internal", "5a".repeat(16)),
        port,
        tracks: vec![track],
        sealed: false,
    }
}
