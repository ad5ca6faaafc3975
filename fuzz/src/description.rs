//! Descriptions of media: SDP of both kinds, and MP4 files.

use bytes::Bytes;
use sightline_client::file::Clip;
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::limits::MAX_TRACKS;
use sightline_relay_proto::sdp as rtsp_sdp;
use sightline_relay_proto::webrtc::fragment::Fragment;
use sightline_relay_proto::webrtc::sdp::Offer;
use sightline_relay_proto::webrtc::{PublishPlan, ViewPlan};

/// Descriptions of cameras, offers of browsers and ICE fragments: what is taken keeps its bounds.
pub fn sdp(data: &[u8]) {
    if let Ok(found) = rtsp_sdp::parse(data) {
        assert!(found.media.len() <= MAX_TRACKS);
        for mut media in found.media {
            assert!(media.payload_type < 128);
            rtsp_sdp::normalise(&mut media.info);
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = Fragment::parse(text);
    let Ok(offer) = Offer::parse(text) else { return };
    assert!(offer.sections.iter().any(|section| !section.disabled));
    if let Ok(plan) = PublishPlan::new(&offer) {
        assert!((1..=MAX_TRACKS).contains(&plan.tracks.len()));
    }
    let tracks = [TrackInfo::video(Codec::H264), TrackInfo::audio(Codec::Opus, 48_000, 2)];
    if let Ok(plan) = ViewPlan::new(&offer, &tracks) {
        assert!(plan.agreed.len() <= offer.sections.len());
    }
}

/// MP4 files: a clip that is read has tracks, at most the bound.
pub fn mp4(data: &[u8]) {
    if let Ok(clip) = Clip::from_mp4(&Bytes::copy_from_slice(data)) {
        assert!((1..=MAX_TRACKS).contains(&clip.tracks().len()));
    }
}
