//! Bodies of the fuzz targets: plain functions over bytes that panic when an invariant breaks.
//!
//! libFuzzer drives them through `fuzz_targets/`; on stable, `cargo test` replays the seeds in
//! `seeds/<target>/` and their variations through the same functions.

mod description;
mod ingest;
mod sealed;
mod keys;
mod transport;

pub use description::{mp4, sdp};
pub use ingest::ingest_ops;
pub use sealed::sealed;
pub use keys::{generation, sframe, viewer_list};
pub use transport::{
    HOME, ICE_PASSWORD, REALM, RTSP_PASSWORD, credentials, roq, rtsp, rtsp_connection, srtp,
    srtp_pair, stun, webrtc,
};

use bytes::{Bytes, BytesMut};
use sightline_grant::{GrantSigner, dpop as proof};
use sightline_relay_proto::codec::Codec;
use sightline_relay_proto::limits::MAX_CANONICAL_PAYLOAD;
use sightline_relay_proto::wire::nal::{NalFormat, NalPayload};
use sightline_relay_proto::wire::packetize::packetize;
use sightline_relay_proto::wire::references::References;
use sightline_relay_proto::wire::{self, aac as aac_format, annexb, av1 as av1_format};

/// A target by its name.
pub type Target = fn(&[u8]);

/// Every target.
pub const TARGETS: [(&str, Target); 20] = [
    ("rtp", rtp),
    ("rtcp", rtcp),
    ("h264", h264),
    ("h265", h265),
    ("av1", av1),
    ("aac", aac),
    ("grant", grant),
    ("dpop", dpop),
    ("ingest_ops", ingest_ops),
    ("sdp", sdp),
    ("mp4", mp4),
    ("rtsp", rtsp),
    ("stun", stun),
    ("webrtc", webrtc),
    ("roq", roq),
    ("srtp", srtp),
    ("sealed", sealed),
    ("sframe", sframe),
    ("viewer_list", viewer_list),
    ("generation", generation),
];

/// RTP headers: what is parsed lies within the packet, and a plain header survives a round trip.
pub fn rtp(data: &[u8]) {
    let Some(header) = wire::rtp::parse(data) else { return };
    assert!(header.payload.start <= header.payload.end && header.payload.end <= data.len());
    if let Some((_, extension)) = &header.extension {
        assert!(extension.end <= header.payload.start && extension.start <= extension.end);
    }
    let written = wire::rtp::header(
        header.payload_type,
        header.marker,
        header.seq,
        header.timestamp,
        header.ssrc,
    );
    let again = wire::rtp::parse(&written).expect("a plain header");
    assert_eq!(
        (again.marker, again.payload_type, again.seq, again.timestamp, again.ssrc),
        (header.marker, header.payload_type, header.seq, header.timestamp, header.ssrc)
    );
}

/// RTCP compounds: parsing ends, and NACKs that are found survive being written.
pub fn rtcp(data: &[u8]) {
    let mut nacked = Vec::new();
    wire::rtcp::parse(data, |packet| {
        if let wire::rtcp::Rtcp::Nack { seqs, .. } = packet {
            nacked.push(seqs);
        }
    });
    for seqs in nacked {
        let mut out = Vec::new();
        wire::rtcp::write_nack(&mut out, 1, 2, &seqs);
        let mut found = Vec::new();
        assert!(wire::rtcp::parse(&out, |packet| {
            if let wire::rtcp::Rtcp::Nack { seqs, .. } = packet {
                found.extend(seqs);
            }
        }));
        assert_eq!(found, seqs.to_vec());
    }
}

/// H.264 payloads and byte streams.
pub fn h264(data: &[u8]) {
    nal_format(NalFormat::H264, Codec::H264, data);
}

/// H.265 payloads and byte streams.
pub fn h265(data: &[u8]) {
    nal_format(NalFormat::H265, Codec::H265, data);
}

fn nal_format(format: NalFormat, codec: Codec, data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    match format.parse(&data) {
        Some(NalPayload::Aggregate(nals)) => {
            assert!(nals.iter().all(|nal| !nal.is_empty()));
            let mut out = Vec::new();
            format.push_aggregated(&nals, &mut out);
            check(&out);
        }
        Some(NalPayload::Fragment(part)) => {
            assert!(!part.body.is_empty());
            let _ = format.fragment_class(&part);
        }
        Some(NalPayload::Single(nal)) => {
            let _ = format.parameter_set_id(&nal);
        }
        None => {}
    }
    let nals: Vec<Bytes> = annexb::slices(&data).collect();
    for nal in &nals {
        assert!(!nal.is_empty());
        let _ = (format.class(nal), format.parameter_set_id(nal), format.top_sub_layer(nal));
    }
    let _ = References::new(codec).is_needless(&data);
    check(&packetize(codec, &data));
}

/// AV1 payloads and OBU streams: what an OBU stream holds comes out of its payloads again.
pub fn av1(data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    if let Some((_, elements)) = av1_format::parse(&data) {
        assert!(elements.iter().all(|element| !element.is_empty()));
    }
    let payloads = packetize(Codec::Av1, &data);
    check(&payloads);
    let Some(obus) = av1_format::obus(&data) else {
        return assert!(payloads.is_empty());
    };
    let wanted: Vec<u8> = obus.iter().flatten().flatten().copied().collect();
    let mut found = Vec::new();
    let mut open = false;
    for payload in &payloads {
        let (header, elements) = av1_format::parse(payload).expect("what is written parses");
        assert_eq!(header.continues, open);
        open = header.unfinished;
        found.extend(elements.iter().flatten().copied());
    }
    assert!(!open);
    assert_eq!(found, wanted);
}

/// AAC payloads and access units.
pub fn aac(data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    match aac_format::parse(&data) {
        Some(aac_format::AacPayload::Units(units)) => {
            assert!(!units.is_empty() && units.iter().all(|unit| !unit.is_empty()));
        }
        Some(aac_format::AacPayload::Fragment { size, body }) => assert!(body.len() < size),
        None => {}
    }
    let payloads = packetize(Codec::Aac, &data);
    check(&payloads);
    let mut found = BytesMut::new();
    for payload in &payloads {
        found.extend_from_slice(&payload[4..]);
    }
    assert!(data.ends_with(&found));
}

fn check(payloads: &[Bytes]) {
    for payload in payloads {
        assert!((1..=MAX_CANONICAL_PAYLOAD).contains(&payload.len()));
    }
}

/// Seed of the key that signs the grants among the seeds.
pub const GRANT_SEED: [u8; 32] = [7; 32];
/// The clock of the seeds, Unix seconds.
pub const NOW: u64 = 1_800_000_000;
/// The request that the proofs among the seeds are for.
pub const REQUEST: proof::Request<'_> =
    proof::Request { method: "POST", path: "/v1/sessions", token: None };

/// Grants: one that passes is, to the letter, one that the service signed.
pub fn grant(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let signer = GrantSigner::from_seed(&GRANT_SEED).expect("a seed of 32 bytes");
    if let Ok(grant) = signer.verifier().verify(text, NOW) {
        assert_eq!(signer.sign(&grant), text);
    }
}

/// Proofs of possession: parsing ends, and a proof for one request does not pass for another.
pub fn dpop(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if proof::verify(text, REQUEST, NOW).is_ok() {
        let other = proof::Request { path: "/v1/otp", ..REQUEST };
        assert!(proof::verify(text, other, NOW).is_err());
    }
}
