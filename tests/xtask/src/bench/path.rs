//! The ways to a viewer that are measured.

/// Viewers from which on the goals hold as they are.
const MANY_VIEWERS: usize = 1000;
/// What the goals are multiplied by for fewer viewers: what happens once a frame weighs more.
const FEW_VIEWERS_FACTOR: f64 = 1.2;

/// A way to a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Path {
    /// SRTP with AES-128-GCM over UDP.
    Webrtc,
    /// Plain RTP over UDP, set up by RTSP.
    Rtp,
    /// RTP inside the RTSP connection.
    RtspTcp,
}

impl Path {
    pub(super) const ALL: [Self; 3] = [Self::Webrtc, Self::Rtp, Self::RtspTcp];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|path| path.name() == name)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Webrtc => "webrtc",
            Self::Rtp => "rtp",
            Self::RtspTcp => "rtsp-tcp",
        }
    }

    /// What `sightline load --via` calls it.
    pub(super) const fn via(self) -> &'static str {
        match self {
            Self::Webrtc => "whep",
            Self::Rtp => "rtsp-udp",
            Self::RtspTcp => "rtsp-tcp",
        }
    }

    /// The program of its bare loop.
    pub(super) const fn program(self) -> &'static str {
        match self {
            Self::Webrtc => "srtp_gcm",
            Self::Rtp => "rtp_udp",
            Self::RtspTcp => "rtsp_tcp",
        }
    }

    /// Bytes of a packet above UDP or TCP that are not payload: RTP header and tag, or RTP header
    /// and interleaving.
    pub(super) const fn packet_overhead(self) -> usize {
        match self {
            Self::Webrtc => 12 + 16,
            Self::Rtp => 12,
            Self::RtspTcp => 12 + 4,
        }
    }

    /// Largest ratio to the bare loop that is good enough.
    pub(super) fn goal(self, viewers: usize) -> f64 {
        let goal = match self {
            Self::Webrtc | Self::RtspTcp => 1.30,
            Self::Rtp => 1.50,
        };
        if viewers >= MANY_VIEWERS { goal } else { goal * FEW_VIEWERS_FACTOR }
    }

    pub(super) fn is_tcp(self) -> bool {
        self == Self::RtspTcp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_goals_are_wider_for_few_viewers() {
        for path in Path::ALL {
            assert_eq!(Path::named(path.name()), Some(path));
            assert!(path.goal(100) > path.goal(1000));
        }
        assert!((Path::Rtp.goal(100) - 1.8).abs() < 1e-9);
    }
}
