//! RTSP from strangers and from a camera that is let in but speaks nonsense.

use std::net::SocketAddr;

use tokio::net::UdpSocket;

use crate::attack::{Noise, SOON, throw};
use crate::native::{Device, Server};
use crate::rtsp::{Item, Rtsp};

/// A description that is fine.
const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1; \
    sprop-parameter-sets=Z0LAH9oBQBboQAAAAwBAAAAPI8YMqA==,aM48gA==\r\na=control:streamid=0\r\n";

/// What a stranger sends, the status that tells what is wrong, and whether the connection ends.
fn strange() -> Vec<(&'static str, Vec<u8>, u16, bool)> {
    let request = |line: &str, headers: &str| {
        format!("{line} RTSP/1.0\r\nCSeq: 1\r\n{headers}\r\n").into_bytes()
    };
    let options = |headers: &str| request("OPTIONS *", headers);
    let url = "rtsp://127.0.0.1/X/0";
    vec![
        ("no RTSP at all", b"\x00\x01 hello\r\n\r\n".to_vec(), 400, true),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 400, true),
        ("a head of 20 KiB", options(&format!("X: {}\r\n", "a".repeat(20_000))), 413, true),
        ("a head without end", vec![b'a'; 40_000], 413, true),
        (
            "a URL of 20 KiB",
            request(&format!("DESCRIBE {url}/{}", "a".repeat(20_000)), ""),
            413,
            true,
        ),
        ("a body of 70000 bytes", options("Content-Length: 70000\r\n"), 413, true),
        ("a negative length", options("Content-Length: -1\r\n"), 400, true),
        ("two lengths", options("Content-Length: 1\r\nContent-Length: 2\r\n"), 400, true),
        ("media before the login", vec![b'$', 0, 0, 4, 1, 2, 3, 4], 400, true),
        ("media of 65535 bytes", [&[b'$', 0, 255, 255][..], &[0; 65_535]].concat(), 400, true),
        ("no CSeq", b"OPTIONS * RTSP/1.0\r\n\r\n".to_vec(), 400, false),
        ("an unknown method", request("JUMP *", ""), 405, false),
        ("an unknown option", options("Require: time-travel\r\n"), 551, false),
        ("an unknown session", request(&format!("PLAY {url}"), "Session: 1\r\n"), 454, false),
        ("no login", request(&format!("DESCRIBE {url}"), ""), 401, false),
        (
            "a broken login",
            request(&format!("DESCRIBE {url}"), "Authorization: Digest ,,=\"\"\"\r\n"),
            401,
            false,
        ),
    ]
}

/// Everything that needs no login.
pub(crate) async fn strangers(server: &Server) {
    let to = server.address("rtsp");
    for (name, bytes, status, ends) in strange() {
        // A connection that lives on is closed by our end of input.
        let outcome = throw(to, &bytes, !ends, SOON).await;
        assert_eq!(outcome.status(), Some(status), "{name}: {outcome:?}");
        assert!(outcome.closed, "{name} keeps its connection");
    }
    noise(to).await;
    let many = "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n".repeat(100);
    let outcome = throw(to, many.as_bytes(), false, SOON).await;
    assert!(outcome.closed, "a hundred requests without a login: {outcome:?}");
}

async fn noise(to: SocketAddr) {
    let mut noise = Noise::new(50);
    for round in 0..40 {
        let length = 1 + noise.number(6000);
        let outcome = throw(to, &noise.bytes(length), true, SOON).await;
        assert!(outcome.closed, "noise {round}: {outcome:?}");
        assert!(matches!(outcome.status(), None | Some(400 | 413)), "noise {round}: {outcome:?}");
    }
    let request =
        b"DESCRIBE rtsp://127.0.0.1/X/0 RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 9\r\n\r\n123";
    for cut in (1..request.len()).step_by(5) {
        assert!(throw(to, &request[..cut], true, SOON).await.closed, "cut at {cut}");
    }
}

/// A camera with the right password and broken descriptions, then wrong media.
pub(crate) async fn camera(server: &Server, device: &Device) {
    let broken = [
        ("no description", String::new()),
        ("noise", "\u{1}\u{2}garbage".to_owned()),
        ("no section", "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n".to_owned()),
        ("an unknown codec", SDP.replace("H264", "FOO")),
        ("an unknown kind", SDP.replace("m=video", "m=holo")),
        ("a section without a payload type", SDP.replace("RTP/AVP 96", "RTP/AVP")),
        ("2000 lines", format!("{SDP}{}", "a=x\r\n".repeat(2000))),
        ("a line of 9 KiB", format!("{SDP}a=x:{}\r\n", "a".repeat(9_000))),
    ];
    for (name, sdp) in broken {
        let status = announce(server, device, &sdp).await.1;
        assert!(matches!(status, 400 | 413 | 415), "{name}: {status}");
    }
    for cut in (0..SDP.len()).step_by(11) {
        let status = announce(server, device, &SDP[..cut]).await.1;
        assert!(matches!(status, 200 | 400 | 415), "cut at {cut}: {status}");
    }
    wrong_media(server, device).await;
    wrong_datagrams(server, device).await;
}

async fn announce(server: &Server, device: &Device, sdp: &str) -> (Rtsp, u16) {
    let path = format!("/{}/0", device.serial);
    let to = server.address("rtsp");
    let mut rtsp = Rtsp::connect(to, &path, &device.serial, &device.password).await;
    let url = rtsp.base().to_owned();
    let answer = rtsp.request("ANNOUNCE", &url, "Content-Type: application/sdp\r\n", sdp).await;
    (rtsp, answer.status)
}

/// Media of noise is dropped and the session goes on; what breaks the framing ends it with 400.
async fn wrong_media(server: &Server, device: &Device) {
    let (mut rtsp, status) = announce(server, device, SDP).await;
    assert_eq!(status, 200);
    let url = rtsp.base().to_owned();
    let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record\r\n";
    let control = format!("{url}/streamid=0");
    assert_eq!(rtsp.request("SETUP", &control, transport, "").await.status, 200);
    assert_eq!(rtsp.request("RECORD", &url, "", "").await.status, 200);
    let mut noise = Noise::new(51);
    for round in 0..400 {
        let length = noise.number(1500);
        let mut packet = noise.bytes(length);
        if round % 2 == 0 && length > 1 {
            packet[0] = 0x80 | noise.number(64) as u8;
            packet[1] = if round % 4 == 0 { 96 } else { 200 };
        }
        let channel = noise.number(4) as u8;
        rtsp.write(&frame(channel, &packet)).await;
    }
    rtsp.write(&frame(0, &[0x80; 65_535])).await;
    assert_eq!(rtsp.request("OPTIONS", &url, "", "").await.status, 200, "noise is dropped");
    rtsp.write(b"\x00\x00 this is no frame and no request\r\n\r\n").await;
    assert_eq!(rtsp.answer().await.map(|answer| answer.status), Some(400));
    let end = tokio::time::timeout(SOON, async {
        while let Some(Item::Frame(..) | Item::Answer(_)) = rtsp.next().await {}
    });
    assert!(end.await.is_ok(), "the connection ends");
}

/// The same over UDP, from the very ports that the camera named: dropped, and the session goes on.
async fn wrong_datagrams(server: &Server, device: &Device) {
    let (mut rtsp, status) = announce(server, device, SDP).await;
    assert_eq!(status, 200);
    let url = rtsp.base().to_owned();
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let port = socket.local_addr().expect("an address").port();
    // The RTCP port need not be ours: nothing is read from it here.
    let transport =
        format!("Transport: RTP/AVP;unicast;client_port={port}-{};mode=record\r\n", port ^ 1);
    let control = format!("{url}/streamid=0");
    assert_eq!(rtsp.request("SETUP", &control, &transport, "").await.status, 200);
    assert_eq!(rtsp.request("RECORD", &url, "", "").await.status, 200);
    let mut noise = Noise::new(52);
    for round in 0..300 {
        let length = 1 + noise.number(1400);
        let mut packet = noise.bytes(length);
        packet[0] = if round % 3 == 0 { packet[0] } else { 0x80 | packet[0] & 0x3f };
        let port = server.rtsp_udp + u16::from(round % 5 == 0);
        let _ = socket.send_to(&packet, ("127.0.0.1", port)).await;
    }
    assert_eq!(rtsp.request("OPTIONS", &url, "", "").await.status, 200, "noise is dropped");
    assert_eq!(rtsp.request("TEARDOWN", &url, "", "").await.status, 200);
}

fn frame(channel: u8, packet: &[u8]) -> Vec<u8> {
    let length = (packet.len() as u16).to_be_bytes();
    [&[b'$', channel, length[0], length[1]], packet].concat()
}
