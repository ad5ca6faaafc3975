//! The relay as signaling sees it.

use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use sightline_grant::{Action, Redacted, Thumbprint};
use sightline_relay::admit::{AdmitError, Request};
use sightline_relay::{
    MediaError, Publisher, RelayHandle, RoqSession, SessionId, SocketFeed, ViewError,
};
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::ids::{Channel, DeviceId, StreamKey, Tier, TrackIndex};
use sightline_signaling::plane::{
    Answer, MediaPlane, MediaRefusal, Patched, PublisherFacts, RoqOffer, RoqSessionJson,
    RoqTrackJson, RtspLogin, SocketEnd, SocketLogin, SocketMedia, WebLogin, WebTrackJson,
};

/// Protocols of RTP over QUIC, best first.
const ROQ_ALPN: [&str; 6] = ["roq", "roq-14", "roq-13", "roq-12", "roq-11", "roq-10"];

/// Implements signaling's [`MediaPlane`] over the relay's handle.
pub(crate) struct RelayPlane {
    pub(crate) relay: RelayHandle,
    pub(crate) rtsp_port: u16,
    pub(crate) rtsps_port: u16,
}

fn request<'a>(
    grant: &'a Redacted<String>,
    terminal: Thumbprint,
    serial: &'a str,
    channel: u16,
) -> Request<'a> {
    Request { grant: grant.expose(), terminal, serial, channel, action: Action::Live }
}

#[async_trait]
impl MediaPlane for RelayPlane {
    async fn whep(
        &self,
        grant: &Redacted<String>,
        terminal: Thumbprint,
        serial: &str,
        channel: u16,
        offer: String,
    ) -> Result<Answer, MediaRefusal> {
        let request = request(grant, terminal, serial, channel);
        self.relay.whep(request, offer).await.map(answer).map_err(view_refusal)
    }

    async fn whip(
        &self,
        publisher: PublisherFacts,
        channel: u16,
        offer: String,
    ) -> Result<Answer, MediaRefusal> {
        let publisher = known_publisher(publisher, channel)?;
        self.relay.whip(publisher, offer).await.map(answer).map_err(media_refusal)
    }

    async fn patch(
        &self,
        session: &str,
        if_match: Option<&str>,
        fragment: String,
    ) -> Result<Patched, MediaRefusal> {
        let id = session_id(session)?;
        let patched = self.relay.patch(id, if_match.map(str::to_owned), fragment).await;
        patched.map_err(media_refusal).map(|patched| match patched {
            sightline_relay::WebRtcPatch::Trickled => Patched::Trickled,
            sightline_relay::WebRtcPatch::Restarted { fragment, etag } => {
                Patched::Restarted { fragment, etag }
            }
        })
    }

    async fn delete(&self, session: &str) -> Result<(), MediaRefusal> {
        self.relay.delete(session_id(session)?).await.map_err(media_refusal)
    }

    async fn rtsp_login(
        &self,
        grant: &Redacted<String>,
        terminal: Thumbprint,
        serial: &str,
        channel: u16,
    ) -> Result<RtspLogin, MediaRefusal> {
        let request = request(grant, terminal, serial, channel);
        let handle = self.relay.rtsp_handle(request).await.map_err(view_refusal)?;
        Ok(RtspLogin {
            user: handle.user,
            password: handle.password,
            path: handle.path,
            rtsp_port: self.rtsp_port,
            rtsps_port: self.rtsps_port,
        })
    }

    async fn roq_view(
        &self,
        grant: &Redacted<String>,
        terminal: Thumbprint,
        serial: &str,
        channel: u16,
    ) -> Result<RoqSessionJson, MediaRefusal> {
        let request = request(grant, terminal, serial, channel);
        self.relay.roq_view(request).await.map(roq_json).map_err(view_refusal)
    }

    async fn web_view(
        &self,
        grant: &Redacted<String>,
        terminal: Thumbprint,
        serial: &str,
        channel: u16,
    ) -> Result<WebLogin, MediaRefusal> {
        let request = request(grant, terminal, serial, channel);
        let session = self.relay.web_view(request).await.map_err(view_refusal)?;
        let tracks = web_tracks(session.tracks);
        let sealed = session.mode.is_sealed();
        Ok(WebLogin { path: session.path, port: session.port, tracks, sealed })
    }

    async fn socket_view(
        &self,
        grant: &Redacted<String>,
        terminal: Thumbprint,
        serial: &str,
        channel: u16,
    ) -> Result<SocketLogin, MediaRefusal> {
        let request = request(grant, terminal, serial, channel);
        let session = self.relay.socket_view(request).await.map_err(view_refusal)?;
        Ok(SocketLogin {
            ticket: Redacted::new(session_text(session.ticket)),
            tracks: web_tracks(session.tracks),
            sealed: session.mode.is_sealed(),
        })
    }

    async fn socket_enter(&self, ticket: &str) -> Result<Box<dyn SocketMedia>, MediaRefusal> {
        let feed = self.relay.socket_enter(session_id(ticket)?).await.map_err(media_refusal)?;
        Ok(Box::new(RelaySocket(feed)))
    }

    async fn roq_publish(
        &self,
        publisher: PublisherFacts,
        identity: Thumbprint,
        channel: u16,
        offer: RoqOffer,
    ) -> Result<RoqSessionJson, MediaRefusal> {
        let publisher = known_publisher(publisher, channel)?;
        let tracks = offer.tracks.into_iter().map(track_info).collect::<Result<_, _>>()?;
        let mode = offer.sealed.into();
        let session = self.relay.roq_publish(publisher, identity, tracks, mode).await;
        session.map(roq_json).map_err(media_refusal)
    }

    async fn live(&self, serial: &str, channel: u16) -> bool {
        match DeviceId::new(serial) {
            Ok(device) => self.relay.live(&StreamKey::up(device, Channel(channel))),
            Err(_) => false,
        }
    }
}

/// A viewer's messages from the relay.
struct RelaySocket(SocketFeed);

impl SocketMedia for RelaySocket {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        self.0.poll_message(cx)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<SocketEnd> {
        self.0.poll_end(cx).map(|end| match end {
            sightline_relay::SocketEnd::StreamEnded => SocketEnd::StreamEnded,
            sightline_relay::SocketEnd::PermissionEnded => SocketEnd::PermissionEnded,
            sightline_relay::SocketEnd::Shutdown => SocketEnd::Shutdown,
        })
    }
}

fn web_tracks(tracks: Vec<(TrackIndex, TrackInfo)>) -> Vec<WebTrackJson> {
    let track = |(index, info): (TrackIndex, TrackInfo)| WebTrackJson {
        track: index.0,
        codec: info.codec.name().to_owned(),
        clock_rate: info.clock_rate,
        channels: info.channels,
        fmtp: info.fmtp,
    };
    tracks.into_iter().map(track).collect()
}

fn known_publisher(facts: PublisherFacts, channel: u16) -> Result<Publisher, MediaRefusal> {
    if channel >= facts.channels {
        let most = facts.channels.saturating_sub(1);
        return Err(MediaRefusal::BadOffer(format!("the device has the channels 0 to {most}")));
    }
    let device = DeviceId::new(&facts.serial).map_err(|_| MediaRefusal::NoSession)?;
    Ok(Publisher { key: StreamKey::up(device, Channel(channel)), sealed: facts.sealed })
}

fn session_id(text: &str) -> Result<SessionId, MediaRefusal> {
    let valid = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = valid.then(|| u128::from_str_radix(text, 16).ok()).flatten();
    id.map(SessionId).ok_or(MediaRefusal::NoSession)
}

fn session_text(id: SessionId) -> String {
    format!("{:032x}", id.0)
}

fn answer(answer: sightline_relay::WebRtcAnswer) -> Answer {
    Answer {
        session: session_text(answer.session),
        sdp: answer.sdp,
        etag: answer.etag,
        left_out: answer.left_out,
    }
}

fn roq_json(session: RoqSession) -> RoqSessionJson {
    let track = |track: sightline_relay::RoqTrack| RoqTrackJson {
        flow: track.flow,
        payload_type: track.payload_type,
        ssrc: track.ssrc,
        codec: track.info.codec.name().to_owned(),
        clock_rate: track.info.clock_rate,
        channels: track.info.channels,
        tier: (track.info.channels == 0).then(|| track.info.tier.name().to_owned()),
        fmtp: track.info.fmtp,
    };
    RoqSessionJson {
        session: session_text(session.session),
        server_name: session.server_name,
        port: session.port,
        alpn: ROQ_ALPN.map(str::to_owned).into(),
        tracks: session.tracks.into_iter().map(track).collect(),
        sealed: session.mode.is_sealed(),
    }
}

fn track_info(json: RoqTrackJson) -> Result<TrackInfo, MediaRefusal> {
    let codec = Codec::from_name(&json.codec).ok_or_else(|| {
        let known = Codec::ALL.map(Codec::name);
        MediaRefusal::UnsupportedCodec(format!(
            "the codec {:?} is not one of {}",
            json.codec,
            known.join(", ")
        ))
    })?;
    let tier = match json.tier.as_deref() {
        None => Tier::Main,
        Some(name) => Tier::from_name(name).ok_or_else(|| {
            MediaRefusal::BadOffer(format!("the tier {name:?} is not main or sub"))
        })?,
    };
    if !(8000..=192_000).contains(&json.clock_rate) {
        return Err(MediaRefusal::BadOffer("clock_rate must be 8000 to 192000".into()));
    }
    Ok(TrackInfo {
        codec,
        clock_rate: json.clock_rate,
        channels: json.channels,
        tier,
        fmtp: json.fmtp,
        parameter_sets: Vec::new(),
    })
}

fn view_refusal(error: ViewError) -> MediaRefusal {
    match error {
        ViewError::Admit(AdmitError::Invalid) => MediaRefusal::GrantInvalid,
        ViewError::Admit(AdmitError::Expired) => MediaRefusal::GrantExpired,
        ViewError::Admit(AdmitError::Replayed) => MediaRefusal::GrantReplayed,
        ViewError::Admit(AdmitError::OtherTerminal) => MediaRefusal::GrantOtherTerminal,
        ViewError::Admit(AdmitError::OtherDevice) => MediaRefusal::GrantOtherDevice,
        ViewError::Admit(AdmitError::Full) => MediaRefusal::Full,
        ViewError::Media(error) => media_refusal(error),
    }
}

fn media_refusal(error: MediaError) -> MediaRefusal {
    match error {
        MediaError::NotLive => MediaRefusal::NotLive,
        MediaError::BadOffer(text) => MediaRefusal::BadOffer(text),
        MediaError::UnsupportedCodec(text) => MediaRefusal::UnsupportedCodec(text),
        MediaError::UnsupportedPeer(text) => MediaRefusal::UnsupportedPeer(text),
        wrong @ MediaError::WrongProtection { .. } => {
            MediaRefusal::WrongProtection(wrong.to_string())
        }
        sealed @ MediaError::SealedStream => MediaRefusal::WrongProtection(sealed.to_string()),
        // Whoever asks again with a new grant learns at the gate what was taken away.
        MediaError::Revoked => MediaRefusal::GrantInvalid,
        MediaError::NoSession => MediaRefusal::NoSession,
        MediaError::PreconditionRequired => MediaRefusal::PreconditionRequired,
        MediaError::PreconditionFailed => MediaRefusal::PreconditionFailed,
        MediaError::Full => MediaRefusal::Full,
        MediaError::Unavailable => MediaRefusal::Unavailable,
    }
}
