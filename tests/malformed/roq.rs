//! RTP over QUIC from peers that finish the handshake and then break the rules.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, StoppedError, VarInt};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sightline_client::Identity;
use sightline_client::wire::{RoqSession, RoqTrack};
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::roq::{Code, write};
use sightline_relay_proto::wire::rtp;

use crate::attack::{Noise, SOON};
use crate::native::Server;

/// Serial of the camera of these tests.
const SERIAL: &str = "ROGUE";

/// A camera with an identity that the server knows.
pub(crate) struct Rogue {
    identity: Arc<Identity>,
}

impl Rogue {
    pub(crate) fn add(server: &Server) -> Self {
        let identity = Arc::new(Identity::generate_device().expect("randomness"));
        let thumbprint = identity.thumbprint().to_string();
        let add = ["device", "add", "--serial", SERIAL, "--mode", "open", "--identity"];
        server.admin(&[&add[..], &[&thumbprint]].concat());
        Self { identity }
    }

    async fn session(&self, server: &Server) -> RoqSession {
        let track = RoqTrack::announce(&TrackInfo::video(Codec::H264));
        let api = server.api(self.identity.clone());
        api.roq_publish(0, &[track], Mode::Open).await.expect("a session to publish")
    }

    async fn connect(&self, server: &Server) -> (Connection, u64) {
        let session = self.session(server).await;
        let flow = session.tracks[0].flow;
        let config = config(server, Some(&self.identity), b"roq");
        let connection = dial(session.port, config, &session.server_name).await;
        (connection.expect("a connection"), flow)
    }
}

fn config(server: &Server, identity: Option<&Identity>, alpn: &[u8]) -> ClientConfig {
    let pem = std::fs::read(server.data().join("pki/ca.pem")).expect("the CA certificate");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).expect("PEM")).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots);
    let mut tls = match identity {
        Some(identity) => {
            let (certificate, key) = identity.client_certificate().expect("a certificate");
            builder.with_client_auth_cert(vec![certificate], key).expect("our own key")
        }
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![alpn.to_vec()];
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("TLS 1.3")))
}

async fn dial(port: u16, config: ClientConfig, name: &str) -> Result<Connection, ConnectionError> {
    let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let connecting = endpoint.connect_with(config, SocketAddr::from(([127, 0, 0, 1], port)), name);
    tokio::time::timeout(SOON, connecting.expect("a usable configuration"))
        .await
        .expect("the handshake ends in time")
}

/// The application code that the server closes with.
async fn close_code(connection: &Connection) -> Option<u64> {
    match tokio::time::timeout(SOON, connection.closed()).await {
        Ok(ConnectionError::ApplicationClosed(close)) => Some(close.error_code.into_inner()),
        other => panic!("the server closes with a code: {other:?}"),
    }
}

async fn stop_code(stream: &quinn::SendStream) -> Option<VarInt> {
    match tokio::time::timeout(SOON, stream.stopped()).await.expect("the server stops the stream") {
        Ok(code) => code,
        Err(StoppedError::ConnectionLost(error)) => panic!("only the stream ends: {error}"),
        Err(error) => panic!("{error}"),
    }
}

fn wire(code: Code) -> u64 {
    u64::from(code.wire())
}

/// Handshakes that lead nowhere.
pub(crate) async fn handshakes(server: &Server, rogue: &Rogue) {
    let port = server.address("roq").port();
    let name = format!("{}.roq.sightline.internal", "0".repeat(32));
    let unknown = dial(port, config(server, Some(&rogue.identity), b"roq"), &name).await;
    assert_eq!(close_code(&unknown.expect("a handshake")).await, Some(wire(Code::General)));

    let session = rogue.session(server).await;
    let thief = Identity::generate_device().expect("randomness");
    let stolen =
        dial(session.port, config(server, Some(&thief), b"roq"), &session.server_name).await;
    assert_eq!(close_code(&stolen.expect("a handshake")).await, Some(wire(Code::General)));

    let nobody = dial(session.port, config(server, None, b"roq"), &session.server_name).await;
    assert_eq!(close_code(&nobody.expect("a handshake")).await, Some(wire(Code::General)));

    let foreign =
        dial(session.port, config(server, Some(&rogue.identity), b"hq"), &session.server_name);
    let error = foreign.await.expect_err("no protocol in common").to_string();
    assert!(error.contains("120") || error.contains("protocol"), "{error}");
}

/// A publisher that is let in and then breaks the framing: each fault has its code.
pub(crate) async fn publisher(server: &Server, rogue: &Rogue) {
    let (connection, _) = rogue.connect(server).await;
    let (mut send, _receive) = connection.open_bi().await.expect("a stream");
    send.write_all(b"hello").await.expect("written");
    assert_eq!(close_code(&connection).await, Some(wire(Code::StreamCreation)));

    let (connection, flow) = rogue.connect(server).await;
    let prefix = |flow: u64| {
        let mut out = Vec::new();
        sightline_relay_proto::wire::varint::write(flow, &mut out);
        out
    };
    let known = prefix(flow);
    let faults: [(&str, Vec<u8>, Code); 3] = [
        ("a packet of no bytes", [&known[..], &[0]].concat(), Code::Packet),
        ("a packet of 2^62-1 bytes", [&known[..], &[0xff; 8], &[7; 64]].concat(), Code::Packet),
        (
            "a flow that nobody announced",
            [prefix(flow + 77), vec![20], vec![0x80; 20]].concat(),
            Code::UnknownFlow,
        ),
    ];
    for (name, bytes, code) in faults {
        let mut stream = connection.open_uni().await.expect("a stream");
        stream.write_all(&bytes).await.expect("written");
        let stopped = stop_code(&stream).await;
        assert_eq!(stopped.map(VarInt::into_inner), Some(wire(code)), "{name}");
    }
    noise(&connection, flow).await;
    assert!(connection.close_reason().is_none(), "noise within the framing is dropped");
    connection.close(VarInt::from_u32(0), b"enough");
}

/// Noise in the right framing, as streams, cut streams and datagrams; and streams that never end.
async fn noise(connection: &Connection, flow: u64) {
    let mut noise = Noise::new(70);
    let mut open = Vec::new();
    for round in 0..200_u32 {
        let length = 1 + noise.number(1100);
        let mut packet = noise.bytes(length);
        if round % 2 == 0 {
            let header = rtp::header(96, round % 4 == 0, round as u16, round * 3600, 1);
            packet = [&header[..], &packet].concat();
        }
        let mut datagram = Vec::new();
        write::datagram(flow, &packet, &mut datagram);
        // A full buffer drops the oldest, which is fine here.
        let _ = connection.send_datagram(datagram.into());
        let _ = connection.send_datagram(noise.bytes(40).into());
        if round % 4 == 0 {
            let mut bytes = Vec::new();
            sightline_relay_proto::wire::varint::write(flow, &mut bytes);
            write::stream_packet(&packet, &mut bytes);
            let opening = tokio::time::timeout(Duration::from_secs(2), connection.open_uni()).await;
            let Ok(Ok(mut stream)) = opening else { continue };
            let cut = noise.number(bytes.len());
            let _ = stream.write_all(&bytes[..cut]).await;
            match round % 12 {
                0 => open.push(stream),
                4 => drop(stream.reset(VarInt::from_u32(9))),
                _ => drop(stream.finish()),
            }
        }
        if round % 16 == 15 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
}
