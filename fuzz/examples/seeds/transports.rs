//! Seeds of descriptions and transports.

use std::io;
use std::time::Instant;

use aws_lc_rs::hmac;
use sightline_fuzz::{RTSP_PASSWORD, credentials, rtsp_connection, srtp_pair};
use sightline_relay_proto::roq::write;
use sightline_relay_proto::rtsp::Event;
use sightline_relay_proto::rtsp::digest::{Challenge, Secret};
use sightline_relay_proto::webrtc::srtp::{Plain, Profile, Sending};
use sightline_relay_proto::wire::{rtcp, rtp, varint};

use super::save;

/// What a camera announces.
const ANNOUNCED: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=control:*\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1; \
    profile-level-id=42C01E; sprop-parameter-sets=Z0LAHtkAoBAAAAMAEAAAAwMg8WLkgA==,aMuMsg==\r\n\
    a=control:streamid=0\r\nm=video 0 RTP/AVP 98\r\na=rtpmap:98 H265/90000\r\n\
    a=fmtp:98 sprop-vps=QAEMAf//; sprop-sps=QgEB; sprop-pps=RAHB\r\na=control:streamid=1\r\n\
    m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\na=fmtp:97 \
    mode=AAC-hbr;config=1190;sizelength=13;indexlength=3;indexdeltalength=3\r\n\
    a=control:streamid=2\r\nm=audio 0 RTP/AVP 8\r\na=control:streamid=3\r\n";
/// What a browser offers, in short.
const OFFERED: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
    a=ice-options:trickle\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97 45\r\nc=IN IP4 0.0.0.0\r\n\
    a=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl\r\n\
    a=fingerprint:sha-256 \
    00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\
    \r\na=setup:actpass\r\na=rtpmap:96 H264/90000\r\na=rtcp-fb:96 nack pli\r\n\
    a=fmtp:96 packetization-mode=1;profile-level-id=42e01f;level-asymmetry-allowed=1\r\n\
    a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:45 AV1/90000\r\n\
    a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=sendrecv\r\na=rtcp-mux\r\n\
    a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n";
/// An ICE restart.
const FRAGMENT: &str = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl\r\nm=audio 9 X 0\r\n\
    a=mid:0\r\na=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\na=end-of-candidates\r\n";

pub(super) fn save_all() -> io::Result<()> {
    for (name, text) in [("announced", ANNOUNCED), ("offered", OFFERED), ("fragment", FRAGMENT)] {
        save("sdp", name, text.as_bytes())?;
    }
    save("rtsp", "record", &record())?;
    save("rtsp", "strangers", &strangers())?;
    save("stun", "check", &check(true))?;
    save("webrtc", "check-and-records", &peer())?;
    save("roq", "streams-and-datagrams", &flows())?;
    sealed()
}

/// A whole session of a camera: login, announcement, set-up, record, media.
fn record() -> Vec<u8> {
    let url = "rtsp://h/CAM-1/0";
    let announce = |cseq: u32, login: &str| {
        let length = ANNOUNCED.len();
        format!(
            "ANNOUNCE {url} RTSP/1.0\r\nCSeq: {cseq}\r\n{login}Content-Type: application/sdp\r\n\
             Content-Length: {length}\r\n\r\n{ANNOUNCED}"
        )
    };
    let now = Instant::now();
    let mut connection = rtsp_connection(now);
    let first = announce(1, "");
    connection.handle_input(first.as_bytes());
    while let Some(event) = connection.poll_event(now) {
        if let Event::Login { user, .. } = event {
            let secret = Secret::from_password(&user, sightline_fuzz::REALM, RTSP_PASSWORD);
            connection.answer_login(now, Some(secret));
        }
    }
    let said = connection.poll_output().expect("an answer");
    let said = String::from_utf8_lossy(&said).into_owned();
    let challenge = said.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: "));
    let challenge = Challenge::parse(challenge.expect("a challenge")).expect("Digest");
    let mut count = 0;
    let mut login = |method: &str, url: &str| {
        count += 1;
        let cnonce = ("0123456789abcdef", count);
        let value = challenge.answer("CAM-1", RTSP_PASSWORD, method, url, cnonce);
        format!("Authorization: {value}\r\n")
    };
    let mut out = vec![250];
    out.extend(first.into_bytes());
    out.extend(announce(2, &login("ANNOUNCE", url)).into_bytes());
    let control = format!("{url}/streamid=0");
    let setup = login("SETUP", &control);
    out.extend(
        format!(
            "SETUP {control} RTSP/1.0\r\nCSeq: 3\r\n{setup}\
             Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record\r\n\r\n"
        )
        .into_bytes(),
    );
    out.extend(b"$\x00\x00\x0e\x80\x60\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x65\x88");
    out.extend(b"OPTIONS * RTSP/1.0\r\nCSeq: 4\r\n\r\n");
    out
}

fn strangers() -> Vec<u8> {
    let mut out = vec![9];
    out.extend(
        b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\nDESCRIBE rtsp://h/CAM-1/0 RTSP/1.0\r\nCSeq: 2\r\n",
    );
    out.extend(b"Authorization: Digest username=\"a\", realm=\"fuzz\", nonce=\"\", uri=\"\", ");
    out.extend(b"response=\"\"\r\n\r\nGET_PARAMETER * RTSP/1.0\nCSeq: 3\nContent-Length: 2\n\nhi");
    out.extend(b"$\x00\x00\x01x");
    out
}

/// A binding request that is authentic (RFC 8489, 14.5 and 14.7).
fn check(nominate: bool) -> Vec<u8> {
    let ours = credentials();
    let username = format!("{}:them", ours.ufrag());
    let mut body = Vec::new();
    let mut attribute = |kind: u16, value: &[u8]| {
        body.extend(kind.to_be_bytes());
        body.extend((value.len() as u16).to_be_bytes());
        body.extend(value);
        body.resize(body.len().next_multiple_of(4), 0);
    };
    attribute(0x0006, username.as_bytes());
    attribute(0x0024, &[0x6e, 0, 1, 0xff]);
    attribute(0x802a, &[7; 8]);
    if nominate {
        attribute(0x0025, &[]);
    }
    let message = |body: &[u8], more: usize| {
        let length = (body.len() + more) as u16;
        [&[0, 1], &length.to_be_bytes()[..], &[0x21, 0x12, 0xa4, 0x42], &[9; 12], body].concat()
    };
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, ours.pwd().as_bytes());
    let tag = hmac::sign(&key, &message(&body, 24));
    body.extend([0, 8, 0, 20]);
    body.extend(tag.as_ref());
    let crc = crc32(&message(&body, 8)) ^ 0x5354_554e;
    body.extend([0x80, 0x28, 0, 4]);
    body.extend(crc.to_be_bytes());
    message(&body, 0)
}

/// CRC-32/ISO-HDLC.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

/// A check, the start of a handshake, media too early, and the same from elsewhere.
fn peer() -> Vec<u8> {
    let hello = [
        &[22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 58][..],
        &[1, 0, 0, 46, 0, 0, 0, 0, 0, 0, 0, 46, 0xfe, 0xfd],
        &[5; 32],
        &[0, 0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 2, 0, 0],
    ]
    .concat();
    let datagrams = [check(true), hello, vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40]];
    let mut out = Vec::new();
    for kind in [0, 1, 14] {
        for datagram in datagrams.iter().chain([&rtp::header(96, true, 1, 2, 3).to_vec()]) {
            out.push(kind);
            out.extend((datagram.len() as u16).to_be_bytes());
            out.extend(datagram);
        }
    }
    out
}

fn flows() -> Vec<u8> {
    let packet = [&rtp::header(96, true, 1, 2, 3)[..], &[0x65, 0x88]].concat();
    let mut out = Vec::new();
    let mut step = |kind: u8, body: &[u8]| {
        out.extend([kind, body.len() as u8]);
        out.extend(body);
    };
    for flow in [0, 500, 9, 1 << 40] {
        let mut stream = Vec::new();
        varint::write(flow, &mut stream);
        write::stream_packet(&packet, &mut stream);
        step(0x08, &stream);
        step(0x10, &stream[..5]);
        step(0x10, &stream[5..]);
        step(0x0a, &[]);
        let mut datagram = Vec::new();
        write::datagram(flow, &packet, &mut datagram);
        step(3, &datagram);
    }
    step(0x16, &[]);
    step(0x2d, &[]);
    step(0x1f, &[0, 0x40]);
    step(0x27, &[0, 0]);
    out
}

/// A packet and a compound that open, of each profile.
fn sealed() -> io::Result<()> {
    let profiles = [
        ("gcm128", Profile::AeadAes128Gcm),
        ("gcm256", Profile::AeadAes256Gcm),
        ("sha1", Profile::Aes128CmSha1),
    ];
    for (name, profile) in profiles {
        let mut sender = srtp_pair(profile).1.sender;
        let source = sender.add_source(3);
        let header = rtp::header(96, true, 1, 2, 3);
        let packet = Plain { header: &header, prefix: &[], payload: b"a payload" };
        let out = sender.sealed(source, Sending::First, 1, packet).expect("the first packet");
        save("srtp", &format!("{name}-rtp"), &out)?;
        let mut out = Vec::new();
        rtcp::write_pli(&mut out, 1, 3);
        assert!(sender.seal_rtcp(&mut out, 0));
        save("srtp", &format!("{name}-rtcp"), &out)?;
    }
    Ok(())
}
