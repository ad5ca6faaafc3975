//! SETUP: which track, on which way (RFC 2326, 10.4).

use rtsp_types::{Request, headers};

use super::answer::{Answer, Refusal};
use super::connection::{Event, Lower, RtspConnection, State, Step, TrackSetup};
use super::requests::{header, url_of};
use super::transport::{self, Wanted};
use super::url;

impl RtspConnection {
    pub(super) fn set_up(&mut self, request: Request<Vec<u8>>, cseq: u32) -> Result<(), Refusal> {
        let found = url::track(url_of(&request), &self.media);
        let found = found.filter(|(path, _)| self.path.as_ref() == Some(path));
        let (_, track) = found.ok_or(Refusal::new(404, "no such track"))?;
        if self.setups.iter().any(|setup| setup.track == track) {
            return Err(Refusal::new(455, "the track is set up already"));
        }
        let asked = header(&request, &headers::TRANSPORT).unwrap_or_default();
        let wanted = transport::choose(asked, self.settings.udp_ports.is_some());
        let wanted = wanted.ok_or(Refusal::new(461, "RTP/AVP/TCP or, without TLS, RTP/AVP"))?;
        if wanted.record() == Some(true) && !self.announced {
            return Err(Refusal::new(455, "ANNOUNCE comes before recording"));
        }
        let lower = self.lower(wanted, track)?;
        let setup = TrackSetup { track, lower };
        match lower {
            Lower::Interleaved { .. } => self.finish_setup(cseq, setup),
            Lower::Udp { .. } => {
                self.events.push_back(Event::SetupUdp(setup));
                self.wait(request, cseq, Step::Setup(setup));
            }
        }
        Ok(())
    }

    /// The way that a track gets. All tracks of a session go the same way.
    fn lower(&self, wanted: Wanted, track: usize) -> Result<Lower, Refusal> {
        let mixed = Refusal::new(461, "all tracks of a session use one transport");
        let is_tcp = |setup: &TrackSetup| matches!(setup.lower, Lower::Interleaved { .. });
        match wanted {
            Wanted::Udp { rtp, rtcp, .. } => {
                if self.setups.iter().any(is_tcp) {
                    return Err(mixed);
                }
                Ok(Lower::Udp { rtp, rtcp })
            }
            Wanted::Tcp { channels, .. } => {
                if !self.setups.iter().all(is_tcp) {
                    return Err(mixed);
                }
                let own = (track as u8 * 2, track as u8 * 2 + 1);
                let free =
                    |pair: &(u8, u8)| !self.channel_used(pair.0) && !self.channel_used(pair.1);
                let evens = (0..=127u8).map(|half| (half * 2, half * 2 + 1));
                let pair = channels.into_iter().chain([own]).chain(evens).find(free);
                let (rtp, rtcp) = pair.ok_or(Refusal::new(461, "no channel is free"))?;
                Ok(Lower::Interleaved { rtp, rtcp })
            }
        }
    }

    fn channel_used(&self, channel: u8) -> bool {
        self.setups.iter().any(|setup| match setup.lower {
            Lower::Interleaved { rtp, rtcp } => rtp == channel || rtcp == channel,
            Lower::Udp { .. } => false,
        })
    }

    pub(super) fn finish_setup(&mut self, cseq: u32, setup: TrackSetup) {
        self.setups.push(setup);
        self.state = State::Ready;
        let mode = if self.announced { ";mode=record" } else { "" };
        let transport = match setup.lower {
            Lower::Interleaved { rtp, rtcp } => {
                format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}{mode}")
            }
            Lower::Udp { rtp, rtcp } => {
                let (our_rtp, our_rtcp) = self.settings.udp_ports.unwrap_or_default();
                format!(
                    "RTP/AVP;unicast;client_port={rtp}-{rtcp};server_port={our_rtp}-{our_rtcp}{mode}"
                )
            }
        };
        let session = self.session_header();
        let answer = Answer::new(200, Some(cseq)).header("Transport", transport);
        self.send(answer.header("Session", session).empty());
    }
}
