//! WebSockets on a real listener.

use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::fakes::*;
use crate::plane::SocketEnd;
use crate::socket::{MAX_INCOMING, MAX_SOCKETS};

type Socket = WebSocketStream<TcpStream>;

/// Serves a door on a port of loopback.
async fn served(door: &Door) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let router = door.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    at
}

/// Opens a ticket's WebSocket; status and problem of a refusal.
async fn open(door: &Door, ticket: &str, origin: Option<&str>) -> Result<Socket, (u16, String)> {
    let at = served(door).await;
    let url = format!("ws://{at}/v1/websockets/{ticket}");
    let mut request = url.into_client_request().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", HeaderValue::from_str(origin).unwrap());
    }
    match client_async(request, TcpStream::connect(at).await.unwrap()).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => {
            let body: serde_json::Value =
                serde_json::from_slice(answer.body().as_deref().unwrap_or_default()).unwrap();
            let kind = body["type"].as_str().unwrap().trim_start_matches("/problems/");
            Err((answer.status().as_u16(), kind.to_owned()))
        }
        Err(error) => panic!("{error}"),
    }
}

/// Binary messages up to the end, and its code.
async fn rest(mut socket: Socket) -> (Vec<Bytes>, Option<u16>) {
    let mut messages = Vec::new();
    loop {
        match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => messages.push(bytes),
            Some(Ok(Message::Close(frame))) => {
                return (messages, frame.map(|frame| frame.code.into()));
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return (messages, None),
        }
    }
}

#[tokio::test]
async fn a_viewer_gets_its_messages_and_is_told_why_they_end() {
    for (end, code) in [
        (SocketEnd::StreamEnded, 1000),
        (SocketEnd::Shutdown, 1001),
        (SocketEnd::PermissionEnded, 4001),
    ] {
        let door = Door::new();
        *door.script.socket_end.lock().unwrap() = Some(end);
        let socket = open(&door, SESSION, None).await.unwrap();
        let (messages, told) = rest(socket).await;
        assert_eq!((messages, told), (vec!["one".into(), "two".into()], Some(code)));
        assert_eq!(door.seen(), ["socket"]);
    }
}

#[tokio::test]
async fn every_ticket_that_is_none_gets_the_same_answer() {
    let door = Door::new();
    let zeros = "0".repeat(32);
    for ticket in [zeros.as_str(), "0", &SESSION.to_uppercase(), "%2e"] {
        let refused = open(&door, ticket, None).await.err();
        assert_eq!(refused, Some((404, "no-session".into())), "{ticket}");
    }
    assert!(door.seen().is_empty());
}

#[tokio::test]
async fn a_foreign_page_and_a_plain_request_leave_the_ticket_unused() {
    let door = Door::new();
    let refused = open(&door, SESSION, Some("https://evil.example")).await.err();
    assert_eq!(refused, Some((403, "cross-origin".into())));
    let path = format!("/v1/websockets/{SESSION}");
    let reply = door.send(plain("GET", &path).body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(reply.problem(), (426, "upgrade-required".into()));
    assert_eq!(reply.header("upgrade"), "websocket");
    assert!(door.seen().is_empty());
    assert!(open(&door, SESSION, None).await.is_ok());
}

#[tokio::test]
async fn a_viewer_that_says_more_than_a_ping_is_closed() {
    let ping = Message::Ping(vec![7; MAX_INCOMING].into());
    for (said, code) in [
        (Message::Binary(vec![1].into()), Some(1003)),
        (Message::Text("hello".into()), Some(1003)),
        (Message::Binary(vec![1; MAX_INCOMING + 1].into()), None),
    ] {
        let door = Door::new();
        let mut socket = open(&door, SESSION, None).await.unwrap();
        socket.send(ping.clone()).await.unwrap();
        let pong = loop {
            if let Message::Pong(bytes) = socket.next().await.unwrap().unwrap() {
                break bytes;
            }
        };
        assert_eq!(pong.len(), MAX_INCOMING);
        socket.send(said).await.unwrap();
        let (_, told) = rest(socket).await;
        assert!(code.is_none() || told == code, "{told:?}");
    }
}

#[tokio::test]
async fn sockets_are_bounded() {
    let door = Door::new();
    let places = &door.signaling.sockets;
    let taken = places.try_acquire_many(MAX_SOCKETS as u32 - 1).unwrap();
    let last = open(&door, SESSION, None).await.unwrap();
    let refused = open(&door, SESSION, None).await.err();
    assert_eq!(refused, Some((503, "relay-full".into())));
    drop((taken, last));
    assert!(open(&door, SESSION, None).await.is_ok());
}
