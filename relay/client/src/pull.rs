//! Pulling from RTSP cameras: the camera's packets as they are, with its clock.

mod sdp;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use retina::client::{
    Credentials, PacketItem, PlayOptions, Playing, Session, SessionOptions, SetupOptions, Transport,
};
use sightline_grant::Redacted;
use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::hub::SenderInfo;
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::limits::MAX_TRACKS;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use crate::retry::Backoff;
use crate::target::TargetPolicy;

/// Longest time to describe, set up and start.
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// Silence after which the camera is gone.
const SILENCE: Duration = Duration::from_secs(15);
/// Longest time to resolve a name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A camera to pull from.
#[derive(Clone, Debug)]
pub struct PullTarget {
    /// `rtsp://host[:port]/path`, without a user.
    pub url: Url,
    /// User and password, if the camera wants them.
    pub login: Option<(String, Redacted<String>)>,
    /// Which addresses are allowed.
    pub policy: TargetPolicy,
}

/// Why pulling failed or ended. No text holds an address or a credential.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Not an `rtsp` URL, or one with credentials in it.
    #[error("the address must be rtsp:// without user and password in it")]
    Url,
    /// The name has no address.
    #[error("the camera's name cannot be resolved")]
    Resolve,
    /// An address that is not allowed.
    #[error("the camera's address is not an allowed target")]
    Target,
    /// The camera refuses or breaks the protocol.
    #[error("the camera: {0}")]
    Camera(String),
    /// No track of a codec that is taken.
    #[error("the camera offers no track of a known codec")]
    NoTrack,
    /// No answer or no packet in time.
    #[error("the camera is silent")]
    Silent,
    /// The camera ended the stream.
    #[error("the camera ended the stream")]
    Ended,
}

/// One thing from the camera.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pulled {
    /// An RTP packet with its header.
    Rtp {
        /// Its track.
        track: TrackIndex,
        /// Header and payload.
        packet: Bytes,
    },
    /// The camera's clock mapping.
    Report {
        /// Its track.
        track: TrackIndex,
        /// Wall clock and RTP timestamp of one instant.
        info: SenderInfo,
    },
}

/// A running pull over TCP; keep-alives are sent meanwhile.
pub struct Puller {
    session: Session<Playing>,
    tracks: Vec<TrackInfo>,
    /// Track of each of the session's streams.
    by_stream: Vec<Option<TrackIndex>>,
}

impl Puller {
    /// Connects, logs in (Digest MD5 or SHA-256) and starts every track of a known codec.
    pub async fn connect(target: &PullTarget) -> Result<Self, PullError> {
        let url = resolved(target).await?;
        tokio::time::timeout(START_TIMEOUT, Self::start(url, target))
            .await
            .map_err(|_| PullError::Silent)?
    }

    async fn start(url: Url, target: &PullTarget) -> Result<Self, PullError> {
        let login = target.login.as_ref().map(|(user, password)| Credentials {
            username: user.clone(),
            password: password.expose().clone(),
        });
        let options = SessionOptions::default().creds(login).user_agent("sightline".to_owned());
        let secret = target.login.as_ref().map(|(_, password)| password);
        let failed = |error: retina::Error| PullError::Camera(safe(&error.to_string(), secret));
        let mut session = Session::describe(url, options).await.map_err(failed)?;
        let infos = sdp::tracks(session.sdp(), session.streams());
        let mut tracks = Vec::new();
        let mut by_stream = Vec::new();
        for (stream, info) in infos.into_iter().enumerate() {
            let wanted = info.filter(|_| tracks.len() < MAX_TRACKS);
            by_stream.push(wanted.as_ref().map(|_| TrackIndex(tracks.len() as u8)));
            let Some(info) = wanted else { continue };
            let options = SetupOptions::default().transport(Transport::Tcp(Default::default()));
            session.setup(stream, options).await.map_err(failed)?;
            tracks.push(info);
        }
        if tracks.is_empty() {
            return Err(PullError::NoTrack);
        }
        let session = session.play(PlayOptions::default()).await.map_err(failed)?;
        Ok(Self { session, tracks, by_stream })
    }

    /// Tracks, in the order of their indices.
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.tracks
    }

    /// The next packets or reports, at least one. `Err` when the camera is gone.
    pub async fn next(&mut self) -> Result<Vec<Pulled>, PullError> {
        loop {
            let item = tokio::time::timeout(SILENCE, self.session.next()).await;
            let item = item.map_err(|_| PullError::Silent)?.ok_or(PullError::Ended)?;
            let item = item.map_err(|error| PullError::Camera(safe(&error.to_string(), None)))?;
            let pulled = self.pulled(&item);
            if !pulled.is_empty() {
                return Ok(pulled);
            }
        }
    }

    fn pulled(&self, item: &PacketItem) -> Vec<Pulled> {
        let track = |stream: usize| self.by_stream.get(stream).copied().flatten();
        match item {
            PacketItem::Rtp(packet) => track(packet.stream_id())
                .map(|track| Pulled::Rtp { track, packet: Bytes::copy_from_slice(packet.raw()) })
                .into_iter()
                .collect(),
            PacketItem::Rtcp(compound) => {
                let Some(track) = track(compound.stream_id()) else { return Vec::new() };
                let reports = compound.pkts().filter_map(|packet| {
                    let report = packet.as_sender_report().ok()??;
                    let (ntp, rtp) = (report.ntp_timestamp().0, report.rtp_timestamp());
                    Some(Pulled::Report { track, info: SenderInfo { ntp, rtp } })
                });
                reports.collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What [`run`] tells its caller.
#[derive(Debug)]
pub enum PullEvent<'a> {
    /// Connected, with these tracks; they may differ from those before.
    Started(&'a [TrackInfo]),
    /// Something from the camera.
    Item(Pulled),
    /// The camera is gone; another attempt follows.
    Lost(&'a PullError),
}

/// Pulls until `stop` is cancelled, reconnecting with back-off.
pub async fn run(
    target: &PullTarget,
    stop: &CancellationToken,
    mut tell: impl FnMut(PullEvent<'_>),
) {
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let pulling = async {
            let mut puller = Puller::connect(target).await?;
            tell(PullEvent::Started(puller.tracks()));
            loop {
                puller.next().await?.into_iter().for_each(|item| tell(PullEvent::Item(item)));
                backoff.reset();
            }
        };
        let error: Result<(), PullError> = tokio::select! {
            ended = pulling => ended,
            () = stop.cancelled() => return,
        };
        if let Err(error) = error {
            tell(PullEvent::Lost(&error));
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_wait()) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// The URL with the checked address in place of the name, so that the name cannot be resolved to
/// another one afterwards.
async fn resolved(target: &PullTarget) -> Result<Url, PullError> {
    let mut url = target.url.clone();
    if url.scheme() != "rtsp" || !url.username().is_empty() || url.password().is_some() {
        return Err(PullError::Url);
    }
    let port = url.port().unwrap_or(554);
    let addresses: Vec<IpAddr> = match url.host().ok_or(PullError::Url)? {
        // A scheme that the URL standard does not know keeps `127.1` or `0x7f000001` as a name;
        // the resolver turns them into addresses, which are checked like all others.
        Host::Domain(name) => {
            let found = tokio::net::lookup_host((name, port));
            let found = tokio::time::timeout(RESOLVE_TIMEOUT, found).await;
            let found = found.map_err(|_| PullError::Resolve)?.map_err(|_| PullError::Resolve)?;
            found.map(|address| address.ip()).collect()
        }
        Host::Ipv4(ip) => vec![ip.into()],
        Host::Ipv6(ip) => vec![ip.into()],
    };
    if addresses.is_empty() {
        return Err(PullError::Resolve);
    }
    // One bad address is enough: a name that points both ways is not to be trusted.
    if addresses.iter().any(|address| target.policy.check(*address).is_err()) {
        return Err(PullError::Target);
    }
    let address = match addresses[0] {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    url.set_host(Some(&address)).map_err(|_| PullError::Url)?;
    Ok(url)
}

/// First line of a library's error text, without the password should it ever be in there.
fn safe(text: &str, secret: Option<&Redacted<String>>) -> String {
    let line: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
    match secret.map(Redacted::expose) {
        Some(secret) if !secret.is_empty() => line.replace(secret.as_str(), "[redacted]"),
        _ => line,
    }
}

#[cfg(test)]
mod tests;
