//! A WebSocket viewer of an implementation that is not the product's, over TLS.

use std::collections::HashMap;

use futures_util::StreamExt;
use rustls_pki_types::ServerName;
use sightline_client::web::SocketSession;
use sightline_relay_proto::gop_socket;
use sightline_relay_proto::gop_stream::{Item, Reader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::server::Server;

/// A connected viewer.
pub struct SocketViewer {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    streams: HashMap<u64, Reader>,
    items: Vec<Item>,
    /// Streams that were given up.
    pub given_up: u64,
}

impl SocketViewer {
    /// Opens the path of a session; the status of a refusal. `origin`: of the page that asks.
    pub async fn connect(
        server: &Server,
        session: &SocketSession,
        origin: Option<&str>,
    ) -> Result<Self, u16> {
        let at = server.at("https");
        let tcp = TcpStream::connect(at).await.expect("the door is open");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(server.tls()).connect(name, tcp).await.expect("our CA");
        let url = format!("wss://localhost:{}{}", at.port(), session.path);
        let mut request = url.into_client_request().expect("an address");
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().expect("a value"));
        }
        match client_async(request, stream).await {
            Ok((socket, _)) => {
                let (streams, items) = (HashMap::new(), Vec::new());
                Ok(Self { socket, streams, items, given_up: 0 })
            }
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// The next item; how the session ended, as `code reason`.
    pub async fn next(&mut self) -> Result<Item, String> {
        loop {
            if !self.items.is_empty() {
                return Ok(self.items.remove(0));
            }
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => self.take(bytes),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err(format!("{} {}", u16::from(frame.code), frame.reason));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("end of the connection".into()),
            }
        }
    }

    fn take(&mut self, bytes: bytes::Bytes) {
        match gop_socket::Message::parse(bytes).expect("a mark") {
            gop_socket::Message::Bytes { number, bytes } => {
                let reader = self.streams.entry(number).or_default();
                reader.push(&bytes);
                while let Some(item) = reader.poll_item().expect("the format") {
                    self.items.push(item);
                }
            }
            gop_socket::Message::End { number } => {
                let reader = self.streams.remove(&number).expect("a stream");
                assert_eq!(reader.held(), 0, "a stream ends after whole items");
            }
            gop_socket::Message::GivenUp { number } => {
                self.streams.remove(&number).expect("a stream");
                self.given_up += 1;
            }
        }
    }
}
