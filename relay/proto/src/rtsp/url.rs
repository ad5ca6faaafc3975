//! Request URLs: which stream, which track.

use crate::ids::{Channel, DeviceId};
use crate::sdp::Media;

/// What a URL names: `/{serial}/{channel}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamPath {
    /// Serial.
    pub device: DeviceId,
    /// Lens.
    pub channel: Channel,
}

impl StreamPath {
    /// Parses path and query of a URL that carries no track.
    pub(super) fn parse(target: &str) -> Option<Self> {
        let path = target.split('?').next()?;
        let path = path.strip_prefix('/')?.trim_end_matches('/');
        let (serial, channel) = path.split_once('/')?;
        if channel.len() > 5 || !channel.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let device = DeviceId::new(serial).ok()?;
        Some(Self { device, channel: Channel(channel.parse().ok()?) })
    }
}

impl std::fmt::Display for StreamPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/{}/{}", self.device, self.channel.0)
    }
}

/// Path and query of a URL, or of a bare path.
pub(super) fn target(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else { return url };
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// The stream of an aggregate URL, or of a track's URL with one of the usual track suffixes.
pub(super) fn stream(url: &str) -> Option<StreamPath> {
    let target = target(url);
    StreamPath::parse(target).or_else(|| {
        let path = target.split('?').next()?.trim_end_matches('/');
        let (base, last) = path.rsplit_once('/')?;
        // Whatever the last segment is called, SETUP checks it against the controls of the stream.
        (!last.is_empty()).then(|| StreamPath::parse(base))?
    })
}

/// The stream and track that a SETUP means. FFmpeg puts the query before the control, GStreamer
/// after it; without any control the only track is meant.
pub(super) fn track(url: &str, media: &[Media]) -> Option<(StreamPath, usize)> {
    let target = target(url);
    let without_query = target.split('?').next().unwrap_or(target);
    for form in [target, without_query] {
        let form = form.trim_end_matches('/');
        for (index, one) in media.iter().enumerate() {
            if let Some(base) = strip_control(form, &one.control) {
                return StreamPath::parse(base).map(|stream| (stream, index));
            }
        }
    }
    match media {
        [_] => StreamPath::parse(target).map(|stream| (stream, 0)),
        _ => None,
    }
}

/// `form` without its control, if it ends with it. An absolute control names its own path.
fn strip_control<'a>(form: &'a str, control: &str) -> Option<&'a str> {
    let control = if control.contains("://") {
        control.trim_end_matches('/').rsplit('/').next()?
    } else {
        control.trim_matches('/')
    };
    if control.is_empty() || control == "*" {
        return None;
    }
    let base = form.strip_suffix(control)?.strip_suffix('/')?;
    Some(base.trim_end_matches('/'))
}

/// Whether the `uri` of a Digest answer means the request: the same URL, its path alone, or the
/// stream's base URL, each with or without a slash at its end.
pub(super) fn digest_uri_fits(uri: &str, request: &str) -> bool {
    let bare = |url: &str| target(url).trim_end_matches('/').to_owned();
    let (said, asked) = (bare(uri), bare(request));
    if said == asked {
        return true;
    }
    // The base of a track's URL; only ever shorter, and never above the stream.
    asked.starts_with(&said)
        && asked[said.len()..].starts_with(['/', '?'])
        && StreamPath::parse(&said).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, TrackInfo};

    fn media(controls: &[&str]) -> Vec<Media> {
        let one = |control: &&str| Media {
            info: TrackInfo::video(Codec::H264),
            payload_type: 96,
            control: (*control).to_owned(),
        };
        controls.iter().map(one).collect()
    }

    #[test]
    fn queries_may_stand_before_or_after_the_control() {
        let two = media(&["streamid=0", "streamid=1"]);
        for url in [
            "rtsp://h:8554/CAM-1/0/streamid=1",
            "rtsp://h/CAM-1/0?a=b/streamid=1",
            "rtsp://h/CAM-1/0/?a=b/streamid=1/",
            "rtsp://h/CAM-1/0/streamid=1?a=b",
            "rtsp://h/CAM-1/0/streamid=1/",
        ] {
            let (stream, index) = track(url, &two).unwrap();
            assert_eq!((stream.to_string().as_str(), index), ("/CAM-1/0", 1), "{url}");
        }
        assert_eq!(track("rtsp://h/CAM-1/0/streamid=2", &two), None);
        assert_eq!(track("rtsp://h/CAM-1/0", &two), None);
    }

    #[test]
    fn a_lone_track_needs_no_control_and_controls_may_be_absolute() {
        for control in ["", "*", "trackID=0"] {
            assert!(track("rtsp://h/CAM-1/0/", &media(&[control])).is_some());
        }
        let absolute = media(&["rtsp://10.0.0.9/x/stream=0", "rtsp://10.0.0.9/x/stream=1"]);
        assert_eq!(track("rtsp://h/CAM-1/0/stream=1", &absolute).unwrap().1, 1);
    }

    #[test]
    fn paths_that_are_no_streams_are_refused() {
        for url in ["rtsp://h", "rtsp://h/", "rtsp://h/a", "rtsp://h/a/x", "rtsp://h/a/99999", "x"]
        {
            assert_eq!(stream(url), None, "{url}");
        }
        assert_eq!(stream("rtsp://h/a/1/trackID=0").unwrap().channel, Channel(1));
    }

    #[test]
    fn a_digest_uri_may_be_short_but_never_another_stream() {
        let request = "rtsp://h:8554/CAM-1/0/trackID=1";
        for uri in [request, "/CAM-1/0/trackID=1", "rtsp://h:8554/CAM-1/0/", "rtsp://nat/CAM-1/0"] {
            assert!(digest_uri_fits(uri, request), "{uri}");
        }
        for uri in ["", "/", "/CAM-1", "/CAM-10/0", "rtsp://h/CAM-1/0/trackID=0", "/CAM-1/00"] {
            assert!(!digest_uri_fits(uri, request), "{uri}");
        }
    }
}
