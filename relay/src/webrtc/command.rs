//! What the rest of the process asks of the port: sessions begin, restart and end here.

use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{Pacing, Selection};
use sightline_relay_proto::webrtc::answer::{self, Server, Sources};
use sightline_relay_proto::webrtc::fragment::{self, Fragment};
use sightline_relay_proto::webrtc::sdp::Offer;
use sightline_relay_proto::webrtc::{
    Agreed, CREDENTIAL_BYTES, Credentials, NegotiationError, PeerSetup, PublishPlan, ViewPlan,
    WebRtcPeer,
};
use tokio::sync::oneshot;

use super::WebRtcPort;
use super::session::{Role, Session};
use crate::api::{Admitted, MediaError, Publisher, SessionId, WebRtcAnswer, WebRtcPatch};
use crate::port::{Cx, PortKind, refuse_sealed};

type Reply<T> = oneshot::Sender<Result<T, MediaError>>;

/// A command to the port.
pub(crate) enum WebRtcCommand {
    /// WHEP POST of an admitted viewer.
    View { id: SessionId, admitted: Admitted, offer: String, reply: Reply<WebRtcAnswer> },
    /// WHIP POST of a known publisher.
    Publish { id: SessionId, publisher: Publisher, offer: String, reply: Reply<WebRtcAnswer> },
    /// PATCH: trickled candidates or an ICE restart.
    Patch { id: SessionId, if_match: Option<String>, fragment: String, reply: Reply<WebRtcPatch> },
    /// DELETE.
    Delete { id: SessionId, reply: Reply<()> },
}

impl From<NegotiationError> for MediaError {
    fn from(error: NegotiationError) -> Self {
        match error {
            NegotiationError::BadOffer(text) => Self::BadOffer(text),
            NegotiationError::UnsupportedCodec(text) => Self::UnsupportedCodec(text),
            NegotiationError::UnsupportedPeer(text) => Self::UnsupportedPeer(text),
        }
    }
}

impl WebRtcPort {
    pub(super) fn view(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        admitted: Admitted,
        offer: &str,
    ) -> Result<WebRtcAnswer, MediaError> {
        let offer = Offer::parse(offer)?;
        cx.look_up(&admitted.key);
        refuse_sealed(cx.hub, &admitted.key)?;
        let tracks = cx.hub.tracks(&admitted.key).ok_or(MediaError::NotLive)?;
        let plan = ViewPlan::new(&offer, tracks)?;
        self.check_room(id)?;
        let sources: Option<Vec<Sources>> = plan
            .agreed
            .iter()
            .map(|agreed| {
                let media = cx.hub.ssrc(&admitted.key, agreed.track)?;
                let rtx = agreed.rtx.map(|_| random_ssrc(media)).transpose().ok()?;
                Some(Sources { media, rtx })
            })
            .collect();
        let sources = sources.ok_or(MediaError::NotLive)?;
        let credentials = self.fresh_credentials()?;
        let sdp = self.answer(&offer, &plan.agreed, &sources, &credentials)?;
        let etag = random_etag()?;
        let setup = self.setup(&offer, credentials);
        let rtc = WebRtcPeer::viewer(cx.now, &plan, &sources, setup);
        let peer = self.sessions.next_peer();
        let lease = cx.leases.open(cx.now, admitted.terms)?;
        cx.directory.leases.insert(lease, (PortKind::WebRtc, peer));
        let tracks = plan.agreed.iter().map(|agreed| agreed.track).collect();
        let selection = Selection { tracks, pacing: Pacing::Chunks, mode: Mode::Open };
        let role = Role::Viewer { key: admitted.key, selection, lease, subscriber: None };
        let session = Session::new(id, rtc, role, etag.clone(), head(&offer, &plan.agreed));
        self.sessions.insert(peer, session);
        Ok(WebRtcAnswer { session: id, sdp, etag, left_out: plan.left_out })
    }

    pub(super) fn publish(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        publisher: Publisher,
        offer: &str,
    ) -> Result<WebRtcAnswer, MediaError> {
        if publisher.sealed {
            return Err(MediaError::WrongProtection { expected: "sealed", found: "open" });
        }
        let offer = Offer::parse(offer)?;
        let plan = PublishPlan::new(&offer)?;
        self.check_room(id)?;
        let credentials = self.fresh_credentials()?;
        let sdp = self.answer(&offer, &plan.agreed, &[], &credentials)?;
        let etag = random_etag()?;
        let ssrc = random_ssrc(0)?;
        let setup = self.setup(&offer, credentials);
        let rtc = WebRtcPeer::publisher(cx.now, &plan, ssrc, setup);
        let peer = self.sessions.next_peer();
        let feedback = plan.agreed.iter().map(|agreed| agreed.feedback);
        let takes_keyframe_requests =
            feedback.into_iter().any(|feedback| feedback.pli || feedback.fir);
        let head = head(&offer, &plan.agreed);
        let role = Role::Publisher {
            key: publisher.key,
            tracks: plan.tracks,
            takes_keyframe_requests,
            id: None,
        };
        self.sessions.insert(peer, Session::new(id, rtc, role, etag.clone(), head));
        Ok(WebRtcAnswer { session: id, sdp, etag, left_out: Vec::new() })
    }

    pub(super) fn patch(
        &mut self,
        id: SessionId,
        if_match: Option<&str>,
        text: &str,
    ) -> Result<WebRtcPatch, MediaError> {
        let peer = self.sessions.by_name(id).ok_or(MediaError::NoSession)?;
        let fragment = Fragment::parse(text)?;
        let session = self.sessions.get_mut(peer).ok_or(MediaError::NoSession)?;
        let restart = fragment.ufrag.filter(|ufrag| ufrag != session.peer.remote_ufrag());
        match if_match.map(bare_etag) {
            // Without a restart there is one generation only, so nothing can be mistaken.
            None if restart.is_none() && !session.restarted => {}
            None => return Err(MediaError::PreconditionRequired),
            Some(tag) if tag == "*" || tag == session.etag => {}
            Some(_) => return Err(MediaError::PreconditionFailed),
        }
        let Some(ufrag) = restart else { return Ok(WebRtcPatch::Trickled) };
        let credentials = self.fresh_credentials()?;
        let etag = random_etag()?;
        let session = self.sessions.get_mut(peer).ok_or(MediaError::NoSession)?;
        let (media, mid) = &session.head;
        let fragment = fragment::write(&credentials, media, mid, &self.candidates);
        session.peer.restart_ice(credentials, ufrag);
        session.restarted = true;
        session.etag.clone_from(&etag);
        self.sessions.name_generation(peer);
        Ok(WebRtcPatch::Restarted { fragment, etag })
    }

    pub(super) fn delete(&mut self, cx: &mut Cx<'_>, id: SessionId) -> Result<(), MediaError> {
        let peer = self.sessions.by_name(id).ok_or(MediaError::NoSession)?;
        self.remove(cx, peer);
        Ok(())
    }

    fn check_room(&self, id: SessionId) -> Result<(), MediaError> {
        if self.sessions.is_full() || self.sessions.by_name(id).is_some() {
            return Err(MediaError::Full);
        }
        Ok(())
    }

    fn setup<'a>(&self, offer: &'a Offer, credentials: Credentials) -> PeerSetup<'a> {
        PeerSetup { transport: &offer.transport, credentials, identity: self.identity.clone() }
    }

    fn answer(
        &self,
        offer: &Offer,
        agreed: &[Agreed],
        sources: &[Sources],
        credentials: &Credentials,
    ) -> Result<String, MediaError> {
        // JSEP wants 63 bits at most (RFC 8829, 5.2.1).
        let session = u64::from_be_bytes(random()?) >> 1;
        let fingerprint = self.identity.fingerprint();
        let server = Server { session, credentials, fingerprint, candidates: &self.candidates };
        Ok(answer::write(offer, agreed, sources, server))
    }

    /// Credentials whose user fragment nobody has.
    fn fresh_credentials(&self) -> Result<Credentials, MediaError> {
        loop {
            let credentials = Credentials::from_random(&random::<CREDENTIAL_BYTES>()?);
            if self.sessions.by_ufrag(credentials.ufrag()).is_none() {
                return Ok(credentials);
            }
        }
    }
}

/// Media word and mid of the first agreed section.
fn head(offer: &Offer, agreed: &[Agreed]) -> (String, String) {
    let first = agreed.first().and_then(|agreed| offer.sections.get(agreed.section));
    first.map(|section| (section.media.clone(), section.mid.clone())).unwrap_or_default()
}

/// An entity tag without quotes and weakness mark.
fn bare_etag(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix("W/").unwrap_or(text).trim_matches('"')
}

fn random<const N: usize>() -> Result<[u8; N], MediaError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| MediaError::Unavailable)?;
    Ok(bytes)
}

/// An SSRC other than `other`.
fn random_ssrc(other: u32) -> Result<u32, MediaError> {
    let ssrc = u32::from_be_bytes(random()?);
    Ok(if ssrc == other { ssrc ^ 1 } else { ssrc })
}

fn random_etag() -> Result<String, MediaError> {
    Ok(format!("{:016x}", u64::from_be_bytes(random()?)))
}
