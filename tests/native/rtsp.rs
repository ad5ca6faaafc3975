//! The client's RTSP player on the server of a test.

pub use sightline_client::rtsp::{Item, Lower, Rtsp, UdpPair};

use std::net::Ipv4Addr;

use rustls_pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::server::Server;

/// Connects; a reader that is to stall has a small buffer.
pub async fn connect(server: &Server, receive_buffer: Option<u32>) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes).expect("a buffer");
    }
    socket.connect(server.at("rtsp")).await.expect("the RTSP port is open")
}

/// Connects over TLS.
pub async fn connect_tls(server: &Server) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(server.at("rtsps")).await.expect("the RTSPS port is open");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(server.tls()).connect(name, tcp).await.expect("the local CA signed it")
}

/// Sockets for RTP and RTCP on loopback.
pub async fn udp_pair() -> UdpPair {
    UdpPair::bind(Ipv4Addr::LOCALHOST.into()).await.expect("two ports")
}
