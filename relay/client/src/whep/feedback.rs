//! What a viewer sends: checks that keep ICE's consent fresh, receiver reports, and its goodbye.

use std::time::Instant;

use aws_lc_rs::rand;
use is::stun::{StunMessage, TransId};
use sightline_relay_proto::webrtc::hmac_sha1;
use sightline_relay_proto::wire::rtcp::{self, ReceptionReport};
use sightline_relay_proto::wire::twcc;

use super::{WhepError, WhepViewer, failed};

/// STUN priority of our only candidate (RFC 8445, 5.1.2.1: host).
const PRIORITY: u32 = 0x7e00_00ff;
/// Our SSRC in reports.
const OUR_SSRC: u32 = 1;
/// CNAME of our reports.
const CNAME: &str = "sightline";
/// Datagrams taken by one glance.
const GLANCE: usize = 8;

impl WhepViewer {
    /// SSRC of the video, as the answer names it.
    pub fn video_ssrc(&self) -> Option<u32> {
        self.remote.video_ssrc
    }

    /// Sends a connectivity check if one is due. Reading does this by itself; whoever does not read
    /// must call it every few seconds, or the session ends (RFC 7675). `Err`: the server has been
    /// silent for too many of them.
    pub async fn keep_consent(&mut self, now: Instant) -> Result<(), WhepError> {
        if now < self.consent.due() {
            return Ok(());
        }
        if self.consent.is_lost(now) {
            return Err(WhepError::Timeout);
        }
        let mut random = [0];
        // Without randomness checks are only less spread.
        let _ = rand::fill(&mut random);
        self.consent.asked(now, self.srtp.is_some(), random[0]);
        let id = TransId::new();
        let check = StunMessage::binding_request(&self.username, id, true, 1, PRIORITY, true);
        let mut buffer = [0; 256];
        let written = check.to_bytes(Some(self.remote.password.as_bytes()), &mut buffer, hmac_sha1);
        let len = written.map_err(|error| WhepError::Dtls(error.to_string()))?;
        self.socket.send_to(&buffer[..len], self.remote.address).await?;
        Ok(())
    }

    /// Answers a connectivity check of the server that lies at the front of the buffer. An answer
    /// that does not fit the socket now is lost: the server asks again.
    pub(super) fn answer_check(&self, len: usize) {
        let Ok(check) = StunMessage::parse(&self.buffer[..len]) else { return };
        let password = self.password.as_bytes();
        if !check.is_binding_request() || !check.verify(password, hmac_sha1) {
            return;
        }
        let reply = StunMessage::binding_reply(check.trans_id(), self.remote.address);
        let mut buffer = [0; 256];
        if let Ok(len) = reply.to_bytes(Some(password), &mut buffer, hmac_sha1) {
            let _ = self.socket.try_send_to(&buffer[..len], self.remote.address);
        }
    }

    /// For whoever does not read: takes some of what waits on the socket and heeds the server's
    /// goodbye. Media among it is dropped sealed. Behind a socket full of media the goodbye may be
    /// lost.
    pub async fn glance(&mut self) -> Result<(), WhepError> {
        for _ in 0..GLANCE {
            let Ok((len, from)) = self.socket.try_recv_from(&mut self.buffer) else { break };
            if from == self.remote.address {
                self.consent.heard();
            }
            if matches!(self.buffer[..len].first(), Some(0..=3 | 20..=63)) {
                self.take_in(len, from)?;
                self.pump_dtls().await?;
            }
        }
        if self.closed { Err(WhepError::Closed) } else { Ok(()) }
    }

    /// Sends a receiver report by SRTCP.
    pub async fn send_report(&mut self, report: ReceptionReport) -> Result<(), WhepError> {
        let Some(srtp) = &mut self.srtp else { return Ok(()) };
        let mut out = Vec::with_capacity(96);
        rtcp::write_receiver_report(&mut out, OUR_SSRC, Some(report), CNAME);
        if srtp.sender.seal_rtcp(&mut out, 0) {
            self.socket.send_to(&out, self.remote.address).await?;
        }
        Ok(())
    }

    /// Sends transport-wide feedback by SRTCP: so many packets from `first` on have all arrived.
    pub async fn send_arrivals(&mut self, first: u16, packets: u16) -> Result<(), WhepError> {
        let Some(srtp) = &mut self.srtp else { return Ok(()) };
        let mut out = Vec::with_capacity(128);
        twcc::write(&mut out, OUR_SSRC, first, &vec![true; usize::from(packets)]);
        if srtp.sender.seal_rtcp(&mut out, 0) {
            self.socket.send_to(&out, self.remote.address).await?;
        }
        Ok(())
    }

    /// Ends the session on its own path: the server forgets it at once, and no request is needed.
    pub async fn leave(mut self) -> Result<(), WhepError> {
        self.dtls.close().map_err(failed)?;
        self.pump_dtls().await
    }
}
