//! Viewers over RTP over QUIC.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Instant;

use sightline_client::watch::PacketReader;
use sightline_client::{Endpoint, Pictures, SessionTarget};
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::gate::Terminal;
use super::viewer::{Watcher, until};

/// Viewers that share a UDP socket. One socket each would take megabytes of receive buffers a
/// viewer; with many, the frames that the server sends them at once overflow the kernel's buffer.
pub(super) const VIEWERS_PER_SOCKET: usize = 8;

/// Sockets for viewers over QUIC by our address, each shared by some of them.
#[derive(Default)]
pub(super) struct Sockets(Mutex<HashMap<SocketAddr, (Endpoint, usize)>>);

impl Sockets {
    pub(super) fn next(&self, local: SocketAddr) -> std::io::Result<Endpoint> {
        let mut current = self.0.lock().expect("unpoisoned");
        if let Some((endpoint, used)) = current.get_mut(&local)
            && *used < VIEWERS_PER_SOCKET
        {
            *used += 1;
            return Ok(endpoint.clone());
        }
        let endpoint = Endpoint::client(local)?;
        current.insert(local, (endpoint.clone(), 1));
        Ok(endpoint)
    }
}

/// Connects; also when the session was asked for.
pub(super) async fn connect(
    terminal: &Terminal,
    sockets: &Sockets,
    pictures: Pictures,
) -> Result<(PacketReader, Instant), Failure> {
    let grant = terminal.grant().await?;
    let doors = terminal.doors();
    let serial = &terminal.camera().serial;
    let ask = || terminal.api.roq_session(&grant, serial, 0);
    let (session, asked) = doors.timed(ask).await?;
    let endpoint = sockets.next((terminal.local, 0).into());
    let target = SessionTarget {
        server: doors.ip,
        session,
        roots: doors.roots.clone(),
        identity: terminal.api.identity().clone(),
        endpoint: Some(endpoint.map_err(|error| format!("RoQ: {error}"))?),
    };
    let reader = PacketReader::connect(&target, pictures).await;
    Ok((reader.map_err(|error| format!("RoQ: {error}"))?, asked))
}

/// Reads and checks until `stop`.
pub(super) async fn watch(
    mut reader: PacketReader,
    watcher: &mut Watcher,
    stop: &CancellationToken,
) -> Result<(), String> {
    let failing = async {
        loop {
            match reader.next().await {
                Ok(received) => watcher.packet(&received.packet),
                Err(error) => break error,
            }
        }
    };
    until(stop, "RoQ", failing).await?;
    reader.close();
    Ok(())
}

/// Takes everything and throws it away unread until `stop`.
pub(super) async fn hold(mut reader: PacketReader, stop: &CancellationToken) -> Result<(), String> {
    until(stop, "RoQ", reader.drain()).await?;
    reader.close();
    Ok(())
}
