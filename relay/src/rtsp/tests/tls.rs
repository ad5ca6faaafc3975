//! The same dialogue over TLS.

use super::*;

#[test]
fn tls_carries_the_same_and_refuses_udp() {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    camera.send_picture(1, 3000);
    harness.add_handle("v", Duration::from_secs(30)).unwrap();
    // Relay the client's plaintext through a TLS client of the same library.
    let mut client = TlsClient::connect(&harness);
    let first = client.ask(&mut harness, "DESCRIBE", "", "", None);
    let offered = first.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: ")).unwrap();
    let challenge = Challenge::parse(offered).unwrap();
    assert_eq!(status(&client.ask(&mut harness, "DESCRIBE", "", "", Some(&challenge))), 200);
    let udp = "Transport: RTP/AVP;unicast;client_port=5000-5001\r\n";
    let answer = client.ask(&mut harness, "SETUP", "/trackID=0", udp, Some(&challenge));
    assert_eq!(status(&answer), 461);
    let answer = client.ask(&mut harness, "SETUP", "/trackID=0", TCP, Some(&challenge));
    assert_eq!(status(&answer), 200);
    let answer = client.ask(&mut harness, "PLAY", "", "", Some(&challenge));
    assert_eq!(status(&answer), 200);
    until(&mut harness, |_| {
        client.pump();
        client.plain.windows(4).any(|four| four[0] == b'$' && four[1] == 0)
    });
}

#[test]
fn a_stalled_tls_reader_is_bounded_and_reset_too() {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    camera.send_picture(1, 1000);
    harness.add_handle("v", Duration::from_secs(30)).unwrap();
    let mut client = TlsClient::connect(&harness);
    let first = client.ask(&mut harness, "DESCRIBE", "", "", None);
    let offered = first.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: ")).unwrap();
    let challenge = Challenge::parse(offered).unwrap();
    client.ask(&mut harness, "DESCRIBE", "", "", Some(&challenge));
    client.ask(&mut harness, "SETUP", "/trackID=0", TCP, Some(&challenge));
    assert_eq!(status(&client.ask(&mut harness, "PLAY", "", "", Some(&challenge))), 200);
    let blocked =
        |harness: &Harness| harness.port.peers.iter().any(|(_, peer)| peer.drain.is_full());
    let mut number = 2;
    while !blocked(&harness) {
        camera.send_picture(number, 60_000);
        number += 1;
        for _ in 0..3 {
            harness.turn();
        }
        assert!(number < 2000, "the socket never fills");
    }
    let (_, peer) = *harness.directory.leases.values().next().unwrap();
    harness.act(|port, cx| port.close(cx, peer, CloseReason::LeaseEnded));
    let mut ended = None;
    let mut buffer = [0; 16 * 1024];
    while ended.is_none() {
        harness.turn();
        match client.tcp.read(&mut buffer) {
            Ok(0) => panic!("an orderly end"),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => ended = Some(error.kind()),
            _ => {}
        }
    }
    assert_eq!(ended, Some(io::ErrorKind::ConnectionReset));
}

struct TlsClient {
    tls: rustls::ClientConnection,
    tcp: TcpStream,
    plain: Vec<u8>,
    session: String,
    cseq: u32,
}

impl TlsClient {
    fn connect(harness: &Harness) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(harness.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let tcp = TcpStream::connect(harness.port.addresses().unwrap().unwrap().rtsps).unwrap();
        tcp.set_nonblocking(true).unwrap();
        Self { tls, tcp, plain: Vec::new(), session: String::new(), cseq: 0 }
    }

    fn pump(&mut self) {
        while self.tls.wants_write() && self.tls.write_tls(&mut self.tcp).is_ok() {}
        while self.tls.read_tls(&mut self.tcp).is_ok_and(|read| read > 0) {
            self.tls.process_new_packets().unwrap();
            let mut buffer = [0; 16 * 1024];
            while let Ok(read) = self.tls.reader().read(&mut buffer) {
                if read == 0 {
                    break;
                }
                self.plain.extend_from_slice(&buffer[..read]);
            }
        }
    }

    fn ask(
        &mut self,
        harness: &mut Harness,
        method: &str,
        at: &str,
        headers: &str,
        challenge: Option<&Challenge>,
    ) -> String {
        self.cseq += 1;
        let url = format!("rtsps://localhost/{SERIAL}/0{at}");
        let mut text = format!("{method} {url} RTSP/1.0\r\nCSeq: {}\r\n{headers}", self.cseq);
        if let Some(challenge) = challenge {
            let answer = challenge.answer("v", "pw-v", method, &url, ("c", 1));
            text += &format!("Authorization: {answer}\r\n");
        }
        if !self.session.is_empty() {
            text += &format!("Session: {}\r\n", self.session);
        }
        self.tls.writer().write_all(format!("{text}\r\n").as_bytes()).unwrap();
        self.plain.clear();
        until(harness, |_| {
            self.pump();
            self.plain.windows(4).any(|four| four == b"\r\n\r\n")
        });
        let answer = String::from_utf8_lossy(&self.plain).into_owned();
        if let Some(session) = answer.lines().find_map(|line| line.strip_prefix("Session: ")) {
            self.session = session.split(';').next().unwrap().to_owned();
        }
        answer
    }
}
