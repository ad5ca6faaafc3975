//! The offer or answer that is sent, and what is read from the server's.

use std::net::{IpAddr, SocketAddr};

use sightline_relay_proto::webrtc::negotiate::TRANSPORT_SEQUENCE;

use super::WhepError;

/// Transport of the server.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) address: SocketAddr,
    pub(super) ufrag: String,
    pub(super) password: String,
    pub(super) fingerprint: [u8; 32],
    /// The server waits for our ClientHello.
    pub(super) we_are_client: bool,
    /// SSRC of the first section, which is the video's.
    pub(super) video_ssrc: Option<u32>,
}

/// One video and one audio section on one transport.
pub(super) fn offer(
    ufrag: &str,
    password: &str,
    fingerprint: &[u8; 32],
    local: SocketAddr,
) -> String {
    let family = family(local);
    let (ip, port) = (local.ip(), local.port());
    let transport = transport(ufrag, password, fingerprint, local, "actpass");
    format!(
        "v=0\r\no=- 1 1 IN IP{family} {ip}\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
         m=video {port} UDP/TLS/RTP/SAVPF 96 98 100\r\na=mid:0\r\n{transport}\
         a=rtpmap:96 H264/90000\r\n\
         a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
         a=rtpmap:98 H265/90000\r\na=rtpmap:100 AV1/90000\r\n\
         m=audio {port} UDP/TLS/RTP/SAVPF 111 0 8\r\na=mid:1\r\n{transport}\
         a=rtpmap:111 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    )
}

/// The same offer for transport-wide feedback: packets carry the transport's counter. Servers count
/// only packets that have a retransmission stream, so that is offered too.
pub(super) fn with_transport_feedback(offer: &str) -> String {
    let lines = format!(
        "a=rtpmap:96 H264/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 transport-cc\r\n\
         a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=extmap:3 {TRANSPORT_SEQUENCE}\r\n"
    );
    offer.replacen("UDP/TLS/RTP/SAVPF 96 ", "UDP/TLS/RTP/SAVPF 96 97 ", 1).replacen(
        "a=rtpmap:96 H264/90000\r\n",
        &lines,
        1,
    )
}

/// The answer to an offer of one video section, whose first format is taken.
pub(super) fn answer(
    offer: &str,
    ufrag: &str,
    password: &str,
    fingerprint: &[u8; 32],
    local: SocketAddr,
) -> Result<String, WhepError> {
    let find = |name: &'static str| {
        let line = offer.lines().find_map(|line| line.trim_end().strip_prefix(name));
        line.ok_or(WhepError::Answer(name))
    };
    let mid = find("a=mid:")?;
    let formats = find("m=video ")?;
    let format = formats.split(' ').nth(2).ok_or(WhepError::Answer("a format"))?;
    let codec = offer.lines().find(|line| line.starts_with(&format!("a=rtpmap:{format} ")));
    let codec = codec.ok_or(WhepError::Answer("a codec"))?.trim_end();
    let (family, ip, port) = (family(local), local.ip(), local.port());
    let transport = transport(ufrag, password, fingerprint, local, "active");
    Ok(format!(
        "v=0\r\no=- 1 1 IN IP{family} {ip}\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\n\
         m=video {port} UDP/TLS/RTP/SAVPF {format}\r\na=mid:{mid}\r\n{transport}{codec}\r\n"
    ))
}

fn family(local: SocketAddr) -> u8 {
    if local.is_ipv4() { 4 } else { 6 }
}

/// Lines of a section about how to reach us.
fn transport(
    ufrag: &str,
    password: &str,
    fingerprint: &[u8; 32],
    local: SocketAddr,
    setup: &str,
) -> String {
    let (family, ip, port) = (family(local), local.ip(), local.port());
    let digest: Vec<_> = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    let digest = digest.join(":");
    format!(
        "c=IN IP{family} {ip}\r\na=recvonly\r\na=rtcp-mux\r\na=ice-ufrag:{ufrag}\r\n\
         a=ice-pwd:{password}\r\na=fingerprint:sha-256 {digest}\r\na=setup:{setup}\r\n\
         a=candidate:1 1 udp 2113937151 {ip} {port} typ host\r\na=end-of-candidates\r\n"
    )
}

/// Reads what the server says; the first attribute of each kind counts, as all are bundled.
pub(super) fn parse_remote(text: &str) -> Result<Remote, WhepError> {
    let all = |name: &'static str| {
        text.lines().filter_map(move |line| line.trim_end().strip_prefix(name))
    };
    let first = |name: &'static str| all(name).next().ok_or(WhepError::Answer(name));
    let digest = first("a=fingerprint:sha-256 ")?;
    let address = all("a=candidate:").find_map(candidate).ok_or(WhepError::Answer("candidates"))?;
    Ok(Remote {
        address,
        ufrag: first("a=ice-ufrag:")?.to_owned(),
        password: first("a=ice-pwd:")?.to_owned(),
        fingerprint: fingerprint(digest).ok_or(WhepError::Answer("a fingerprint"))?,
        // Whoever is offered both sides takes the client's (RFC 8842, 5.3).
        we_are_client: first("a=setup:")? != "active",
        video_ssrc: all("a=ssrc:").next().and_then(ssrc),
    })
}

/// Foundation, component, protocol, priority, address, port (RFC 8839, 5.1).
fn candidate(text: &str) -> Option<SocketAddr> {
    let mut words = text.split(' ').skip(2);
    if !words.next()?.eq_ignore_ascii_case("udp") {
        return None;
    }
    let ip: IpAddr = words.nth(1)?.parse().ok()?;
    Some(SocketAddr::new(ip, words.next()?.parse().ok()?))
}

/// Source and attribute (RFC 5576, 4.1).
fn ssrc(text: &str) -> Option<u32> {
    text.split(' ').next()?.parse().ok()
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    let mut parts = text.split(':');
    for byte in &mut out {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(out)
}

#[cfg(test)]
mod tests {
    use sightline_relay_proto::codec::{Codec, TrackInfo};
    use sightline_relay_proto::webrtc::ViewPlan;
    use sightline_relay_proto::webrtc::negotiate::Stamp;
    use sightline_relay_proto::webrtc::sdp::Offer;

    use super::*;

    #[test]
    fn an_offer_of_transport_wide_feedback_is_agreed_to() {
        let local = "192.0.2.1:5000".parse().expect("an address");
        let text = with_transport_feedback(&offer("them", &"p".repeat(32), &[7; 32], local));
        let parsed = Offer::parse(&text).expect("a good offer");
        let plan = ViewPlan::new(&parsed, &[TrackInfo::video(Codec::H264)]).expect("agreed");
        assert!(plan.agreed[0].feedback.transport_cc);
        assert_eq!(
            (plan.agreed[0].stamp, plan.agreed[0].rtx),
            (Some(Stamp::Sequence(3)), Some(97))
        );
    }

    #[test]
    fn the_offer_is_one_that_the_relay_reads() {
        let local = "192.0.2.1:5000".parse().expect("an address");
        let text = offer("them", &"p".repeat(32), &[7; 32], local);
        let parsed = Offer::parse(&text).expect("a good offer");
        assert_eq!(parsed.sections.len(), 2);
        assert_eq!(parsed.transport.fingerprints, [[7; 32]]);
    }

    #[test]
    fn an_offer_is_answered_with_its_names_and_our_transport() {
        let theirs = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:v\r\na=setup:actpass\r\n\
                      a=rtpmap:96 H264/90000\r\na=rtpmap:97 rtx/90000\r\n";
        let local = "192.0.2.1:5000".parse().expect("an address");
        let text = answer(theirs, "them", &"p".repeat(32), &[7; 32], local).expect("an answer");
        for line in [
            "m=video 5000 UDP/TLS/RTP/SAVPF 96",
            "a=mid:v",
            "a=setup:active",
            "a=rtpmap:96 H264/90000",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in {text}");
        }
        assert!(!text.contains("rtx"));
        let none = answer("v=0\r\na=mid:v\r\n", "them", "p", &[7; 32], local);
        assert!(matches!(none, Err(WhepError::Answer(_))));
    }

    #[test]
    fn an_answer_gives_its_transport_and_names_what_it_lacks() {
        let digest = ["AB"; 32].join(":");
        let lines = [
            "a=ice-ufrag:u".to_owned(),
            "a=ice-pwd:p".to_owned(),
            format!("a=fingerprint:sha-256 {digest}"),
            "a=setup:passive".to_owned(),
            "a=candidate:1 1 udp 1 127.0.0.1 8189 typ host".to_owned(),
        ];
        let with_ssrc = format!("{}\r\na=ssrc:77 cname:x", lines.join("\r\n"));
        let remote = parse_remote(&with_ssrc).expect("complete");
        assert_eq!(remote.video_ssrc, Some(77));
        assert_eq!(remote.address, "127.0.0.1:8189".parse().expect("an address"));
        assert!(remote.we_are_client && remote.fingerprint == [0xab; 32]);
        for missing in 0..lines.len() {
            let mut fewer = lines.to_vec();
            fewer.remove(missing);
            assert!(matches!(parse_remote(&fewer.join("\n")), Err(WhepError::Answer(_))));
        }
    }
}
