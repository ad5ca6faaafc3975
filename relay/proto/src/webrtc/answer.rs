//! Writing SDP answers (RFC 8829, 5.3; RFC 9725, 4.4).

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::ice::Credentials;
use super::negotiate::{ABS_CAPTURE_TIME, Agreed, PLAYOUT_DELAY, Stamp};
use super::sdp::{Offer, OfferedCodec, Section, write_digest};

/// Canonical name of everything that we send.
pub const CNAME: &str = "sightline";

/// What an answer says of the server.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    /// Session id of the `o=` line.
    pub session: u64,
    /// Our ICE credentials.
    pub credentials: &'a Credentials,
    /// SHA-256 of our certificate.
    pub fingerprint: &'a [u8; 32],
    /// Host candidates, UDP; the first is the default. Not empty.
    pub candidates: &'a [SocketAddr],
}

/// SSRCs of an agreed section that we send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sources {
    /// Of the media.
    pub media: u32,
    /// Of its retransmissions.
    pub rtx: Option<u32>,
}

/// The answer to `offer`. `sources` gives the SSRCs for each agreed section of a viewer; it is
/// empty for a publisher. Sections not agreed on are rejected in place; a viewer's section of sound
/// or picture stays idle within the bundle instead, since some clients take a rejected section for
/// a transport of its own and wait for it.
pub fn write(offer: &Offer, agreed: &[Agreed], sources: &[Sources], server: Server<'_>) -> String {
    let mut out = String::with_capacity(2048);
    let taken = |place: usize| agreed.iter().position(|agreed| agreed.section == place);
    let viewer = !sources.is_empty();
    let sections = || offer.sections.iter().enumerate();
    let mids: Vec<&str> = sections()
        .filter(|(place, section)| {
            taken(*place).is_some() || (viewer && idle_codec(section).is_some())
        })
        .map(|(_, section)| section.mid.as_str())
        .filter(|mid| !mid.is_empty())
        .collect();
    line(&mut out, format_args!("v=0"));
    line(&mut out, format_args!("o=- {} 1 IN IP4 0.0.0.0", server.session));
    line(&mut out, format_args!("s=-"));
    line(&mut out, format_args!("t=0 0"));
    line(&mut out, format_args!("a=ice-lite"));
    if !mids.is_empty() {
        line(&mut out, format_args!("a=group:BUNDLE {}", mids.join(" ")));
    }
    line(&mut out, format_args!("a=msid-semantic: WMS *"));
    let mut first = true;
    for (place, section) in sections() {
        match (taken(place), idle_codec(section).filter(|_| viewer)) {
            (Some(at), _) => {
                accepted(&mut out, offer, section, &agreed[at], sources.get(at), server);
            }
            (None, Some(codec)) => {
                let formats = codec.payload_type.to_string();
                transport(&mut out, offer, section, &formats, "inactive", server);
                rtpmap(&mut out, codec);
            }
            (None, None) => {
                rejected(&mut out, section);
                continue;
            }
        }
        if std::mem::take(&mut first) {
            candidates(&mut out, server.candidates);
        }
    }
    out
}

/// The codec that an idle section names; `None`: the section cannot stand in the bundle.
fn idle_codec(section: &Section) -> Option<&OfferedCodec> {
    let alive = section.is_rtp() && !section.disabled && !section.mid.is_empty();
    let named = |codec: &&OfferedCodec| !codec.name.is_empty() && codec.clock_rate > 0;
    section.codecs.iter().find(named).filter(|_| alive)
}

fn accepted(
    out: &mut String,
    offer: &Offer,
    section: &Section,
    agreed: &Agreed,
    sources: Option<&Sources>,
    server: Server<'_>,
) {
    let rtx = agreed.rtx.map(|rtx| format!(" {rtx}")).unwrap_or_default();
    let formats = format!("{}{rtx}", agreed.codec.payload_type);
    let way = if sources.is_some() { "sendonly" } else { "recvonly" };
    transport(out, offer, section, &formats, way, server);
    let capture_time = agreed.capture_time.map(|id| (id, ABS_CAPTURE_TIME));
    let playout_delay = agreed.playout_delay.map(|id| (id, PLAYOUT_DELAY));
    let stamp = agreed.stamp.map(Stamp::mapping);
    for (id, uri) in [capture_time, playout_delay, stamp].into_iter().flatten() {
        line(out, format_args!("a=extmap:{id} {uri}"));
    }
    codec(out, agreed);
    if let Some(sources) = sources {
        our_sources(out, section, sources);
    }
}

/// The section's first lines: its formats, its way, and the transport that all sections share.
fn transport(
    out: &mut String,
    offer: &Offer,
    section: &Section,
    formats: &str,
    way: &str,
    server: Server<'_>,
) {
    let default = server.candidates.first();
    let port = default.map_or(9, SocketAddr::port);
    let (media, protocol) = (&section.media, &section.protocol);
    line(out, format_args!("m={media} {port} {protocol} {formats}"));
    match default {
        Some(address) if address.is_ipv6() => line(out, format_args!("c=IN IP6 {}", address.ip())),
        Some(address) => line(out, format_args!("c=IN IP4 {}", address.ip())),
        None => line(out, format_args!("c=IN IP4 0.0.0.0")),
    }
    if !section.mid.is_empty() {
        line(out, format_args!("a=mid:{}", section.mid));
    }
    line(out, format_args!("a={way}"));
    line(out, format_args!("a=rtcp-mux"));
    if section.reduced_size {
        line(out, format_args!("a=rtcp-rsize"));
    }
    line(out, format_args!("a=ice-ufrag:{}", server.credentials.ufrag()));
    line(out, format_args!("a=ice-pwd:{}", server.credentials.pwd()));
    line(out, format_args!("a=fingerprint:sha-256 {}", write_digest(server.fingerprint)));
    let setup = if offer.transport.peer_is_server { "active" } else { "passive" };
    line(out, format_args!("a=setup:{setup}"));
}

fn rtpmap(out: &mut String, codec: &OfferedCodec) {
    let payload_type = codec.payload_type;
    let channels = if codec.channels > 1 { format!("/{}", codec.channels) } else { String::new() };
    let (name, clock) = (&codec.name, codec.clock_rate);
    line(out, format_args!("a=rtpmap:{payload_type} {name}/{clock}{channels}"));
    if !codec.fmtp.is_empty() {
        line(out, format_args!("a=fmtp:{payload_type} {}", codec.fmtp));
    }
}

fn codec(out: &mut String, agreed: &Agreed) {
    let (payload_type, clock) = (agreed.codec.payload_type, agreed.codec.clock_rate);
    rtpmap(out, &agreed.codec);
    let feedback = agreed.feedback;
    for (on, kind) in [
        (feedback.nack, "nack"),
        (feedback.pli, "nack pli"),
        (feedback.fir, "ccm fir"),
        (feedback.remb, "goog-remb"),
        (feedback.transport_cc, "transport-cc"),
    ] {
        if on {
            line(out, format_args!("a=rtcp-fb:{payload_type} {kind}"));
        }
    }
    if let Some(rtx) = agreed.rtx {
        line(out, format_args!("a=rtpmap:{rtx} rtx/{clock}"));
        line(out, format_args!("a=fmtp:{rtx} apt={payload_type}"));
    }
}

fn our_sources(out: &mut String, section: &Section, sources: &Sources) {
    let msid = format!("{CNAME} {CNAME}-{}", section.media);
    line(out, format_args!("a=msid:{msid}"));
    if let Some(rtx) = sources.rtx {
        line(out, format_args!("a=ssrc-group:FID {} {rtx}", sources.media));
    }
    for ssrc in std::iter::once(sources.media).chain(sources.rtx) {
        line(out, format_args!("a=ssrc:{ssrc} cname:{CNAME}"));
        line(out, format_args!("a=ssrc:{ssrc} msid:{msid}"));
    }
}

fn rejected(out: &mut String, section: &Section) {
    line(out, format_args!("m={} 0 {} {}", section.media, section.protocol, section.formats));
    line(out, format_args!("c=IN IP4 0.0.0.0"));
    if !section.mid.is_empty() {
        line(out, format_args!("a=mid:{}", section.mid));
    }
    line(out, format_args!("a=inactive"));
}

/// Host candidates (RFC 8839, 5.1), the first with the highest priority.
pub(super) fn candidates(out: &mut String, addresses: &[SocketAddr]) {
    for (at, address) in addresses.iter().enumerate() {
        let priority = (126u32 << 24) | (65_535 - at as u32) << 8 | 255;
        let (ip, port) = (address.ip(), address.port());
        let foundation = at + 1;
        line(out, format_args!("a=candidate:{foundation} 1 udp {priority} {ip} {port} typ host"));
    }
    line(out, format_args!("a=end-of-candidates"));
}

pub(super) fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = write!(out, "{text}\r\n");
}
