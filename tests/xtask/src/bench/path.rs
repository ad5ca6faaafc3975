//! The ways to a viewer that are measured: a row of figures each.

/// Viewers from which on the goals hold as they are.
const MANY_VIEWERS: usize = 1000;
/// What the goals are multiplied by for fewer viewers: what happens once a frame weighs more.
const FEW_VIEWERS_FACTOR: f64 = 1.2;
/// Rate of the camera of the goals, frames a second.
pub(super) const CAMERA_RATE: u32 = 30;
/// Rate at which one processor still reads what a thousand viewers over QUIC get.
const MANY_QUIC_RATE: u32 = 8;

/// A way to a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Path {
    /// SRTP with AES-128-GCM over UDP.
    Webrtc,
    /// Plain RTP over UDP, set up by RTSP.
    Rtp,
    /// RTP inside the RTSP connection.
    RtspTcp,
    /// RTP over QUIC, a stream a frame.
    Roq,
    /// RTP over QUIC in datagrams.
    RoqDatagrams,
    /// Frames over WebTransport.
    WebTransport,
    /// SRTP with AES-128 in counter mode and HMAC-SHA1.
    SrtpSha1,
    /// Like [`Self::Webrtc`], and sound beside the picture.
    WebrtcAudio,
    /// Like [`Self::Webrtc`], with transport-wide feedback of every viewer ten times a second.
    WebrtcTwcc,
    /// Like [`Self::Roq`], of a sealed camera.
    RoqSealed,
    /// Like [`Self::WebTransport`], of a sealed camera.
    WebTransportSealed,
}

/// What becomes of the media at the viewers' end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sink {
    /// UDP that is counted and freed before any socket.
    Dropped,
    /// The same; sound, which is short, is counted apart.
    DroppedWithSound,
    /// UDP that is counted and read: who sends needs acknowledgements.
    Read,
    /// TCP that is counted and read.
    Tcp,
}

/// What there is to say of a way.
struct Facts {
    name: &'static str,
    /// What `sightline load` is told.
    load: &'static [&'static str],
    /// The program of its bare loop.
    program: &'static str,
    sink: Sink,
    /// Bytes of a packet above UDP or TCP that are not payload of RTP.
    overhead: usize,
    /// Of them, what only our server has to send and the bare loop leaves out.
    extra: usize,
    /// Bytes of the camera's packet above UDP or TCP, where messages do not show packets.
    packet: Option<f64>,
    /// Largest ratio to the bare loop that is good enough; `None`: there is no goal.
    goal: Option<f64>,
}

impl Path {
    pub(super) const ALL: [Self; 11] = [
        Self::Webrtc,
        Self::Rtp,
        Self::RtspTcp,
        Self::Roq,
        Self::RoqDatagrams,
        Self::WebTransport,
        Self::SrtpSha1,
        Self::WebrtcAudio,
        Self::WebrtcTwcc,
        Self::RoqSealed,
        Self::WebTransportSealed,
    ];

    const fn facts(self) -> Facts {
        match self {
            Self::Webrtc => Facts {
                name: "webrtc",
                load: &["--via", "whep", "--srtp", "aes128-gcm"],
                program: "srtp_gcm",
                sink: Sink::Dropped,
                // RTP header and tag.
                overhead: 12 + 16,
                extra: 0,
                packet: None,
                goal: Some(1.30),
            },
            Self::Rtp => Facts {
                name: "rtp",
                load: &["--via", "rtsp-udp"],
                program: "rtp_udp",
                sink: Sink::Dropped,
                overhead: 12,
                extra: 0,
                packet: None,
                goal: Some(1.50),
            },
            Self::RtspTcp => Facts {
                name: "rtsp-tcp",
                load: &["--via", "rtsp-tcp"],
                program: "rtsp_tcp",
                sink: Sink::Tcp,
                // RTP header and interleaving.
                overhead: 12 + 4,
                extra: 0,
                packet: Some(CAMERA_PACKET + 4.0),
                goal: Some(1.30),
            },
            Self::Roq => Facts {
                name: "roq",
                load: &["--via", "roq"],
                program: "quic",
                sink: Sink::Read,
                overhead: 12 + QUIC,
                extra: 0,
                packet: Some(CAMERA_PACKET + QUIC as f64),
                goal: Some(3.50),
            },
            Self::RoqDatagrams => Facts {
                name: "roq-datagrams",
                load: &["--via", "roq-datagrams"],
                ..Self::Roq.facts()
            },
            Self::WebTransport => Facts {
                name: "webtransport",
                load: &["--via", "webtransport"],
                goal: Some(5.00),
                // The same bytes a frame, and so the same bare loop.
                ..Self::Roq.facts()
            },
            // What the relay carries is ciphertext, and costs it what clear packets cost.
            Self::RoqSealed => Facts {
                name: "roq-sealed",
                load: &["--via", "roq", "--sealed"],
                packet: Some(SEALED_PACKET + QUIC as f64),
                ..Self::Roq.facts()
            },
            Self::WebTransportSealed => Facts {
                name: "webtransport-sealed",
                load: &["--via", "webtransport", "--sealed"],
                packet: Some(SEALED_PACKET + QUIC as f64),
                ..Self::WebTransport.facts()
            },
            Self::SrtpSha1 => Facts {
                name: "srtp-sha1",
                load: &["--via", "whep", "--srtp", "aes128-cm-sha1-80"],
                program: "srtp_sha1",
                sink: Sink::Dropped,
                // RTP header and tag.
                overhead: 12 + 10,
                extra: 0,
                packet: None,
                goal: Some(2.50),
            },
            Self::WebrtcAudio => Facts {
                name: "webrtc-audio",
                load: &["--via", "whep", "--srtp", "aes128-gcm", "--audio"],
                sink: Sink::DroppedWithSound,
                goal: None,
                ..Self::Webrtc.facts()
            },
            Self::WebrtcTwcc => Facts {
                name: "webrtc-twcc",
                load: &["--via", "whep", "--srtp", "aes128-gcm", "--transport-feedback"],
                // RTP header with the extension that holds the counter, and tag.
                overhead: 12 + 8 + 16,
                extra: 8,
                goal: None,
                ..Self::Webrtc.facts()
            },
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|path| path.name() == name)
    }

    pub(super) const fn name(self) -> &'static str {
        self.facts().name
    }

    /// What `sightline load` is told of its viewers.
    pub(super) const fn load(self) -> &'static [&'static str] {
        self.facts().load
    }

    /// The program of its bare loop.
    pub(super) const fn program(self) -> &'static str {
        self.facts().program
    }

    pub(super) const fn sink(self) -> Sink {
        self.facts().sink
    }

    /// Bytes of a packet above UDP or TCP that are not payload of RTP.
    pub(super) const fn packet_overhead(self) -> usize {
        self.facts().overhead
    }

    /// The same of the bare loop's packets.
    pub(super) const fn bare_overhead(self) -> usize {
        self.facts().overhead - self.facts().extra
    }

    /// Bytes of the camera's packet above UDP or TCP. `None`: messages show it.
    pub(super) const fn packet(self) -> Option<f64> {
        self.facts().packet
    }

    /// Largest ratio to the bare loop that is good enough, if anything is said of it.
    pub(super) fn goal(self, viewers: usize) -> Option<f64> {
        let goal = self.facts().goal;
        if viewers >= MANY_VIEWERS { goal } else { goal.map(|goal| goal * FEW_VIEWERS_FACTOR) }
    }

    /// Frames a second: as many as the camera of the goals has, or as the viewers' processor can
    /// read.
    pub(super) fn frames_per_second(self, viewers: usize) -> u32 {
        match self.sink() {
            Sink::Read if viewers >= MANY_VIEWERS => MANY_QUIC_RATE,
            _ => CAMERA_RATE,
        }
    }

    /// Whether somebody reads what is sent. Then the loop at the camera's rate is the measure.
    pub(super) fn is_read(self) -> bool {
        matches!(self.sink(), Sink::Read | Sink::Tcp)
    }
}

/// Packet of the camera, bytes of RTP: a frame of 4 Mbit/s at 30 a second has 14 of 1190.
const CAMERA_PACKET: f64 = 1190.0;
/// The same of a sealed camera: descriptor, header, tag, and a byte a packet, less the headers of
/// fragments.
const SEALED_PACKET: f64 = 1193.0;
/// What QUIC adds to a packet of RTP, bytes: short header, frame, flow identifier and tag.
const QUIC: usize = 11 + 1 + 4 + 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_goals_are_wider_for_few_viewers() {
        for path in Path::ALL {
            assert_eq!(Path::named(path.name()), Some(path));
            assert!(path.goal(100) > path.goal(1000) || path.goal(1000).is_none());
        }
        assert!(Path::Rtp.goal(100).is_some_and(|goal| (goal - 1.8).abs() < 1e-9));
        assert_eq!((Path::WebrtcAudio.goal(1000), Path::WebrtcTwcc.goal(100)), (None, None));
    }

    #[test]
    fn what_is_read_comes_at_a_rate_that_can_be_read() {
        assert_eq!(Path::Roq.frames_per_second(100), CAMERA_RATE);
        assert_eq!(Path::Roq.frames_per_second(1000), MANY_QUIC_RATE);
        assert_eq!(Path::WebTransport.frames_per_second(1000), MANY_QUIC_RATE);
        assert_eq!(Path::RtspTcp.frames_per_second(1000), CAMERA_RATE);
    }
}
