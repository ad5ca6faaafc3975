//! Viewers over WebTransport.

use std::time::Instant;

use sightline_client::web::{WebTarget, WebViewer};
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::gate::Terminal;
use super::roq::Sockets;
use super::viewer::{Watcher, until};

/// Connects; also when the session was asked for.
pub(super) async fn connect(
    terminal: &Terminal,
    sockets: &Sockets,
) -> Result<(WebViewer, Instant), Failure> {
    let grant = terminal.grant().await?;
    let doors = terminal.doors();
    let serial = &terminal.camera().serial;
    let ask = || terminal.api.web_session(&grant, serial, 0);
    let (session, asked) = doors.timed(ask).await?;
    let endpoint = sockets.next((terminal.local, 0).into());
    let target = WebTarget {
        server: doors.ip,
        session,
        hashes: doors.hashes.clone(),
        endpoint: Some(endpoint.map_err(|error| format!("WebTransport: {error}"))?),
    };
    let viewer = WebViewer::connect(&target).await;
    Ok((viewer.map_err(|error| format!("WebTransport: {error}"))?, asked))
}

/// Reads and checks until `stop`.
pub(super) async fn watch(
    mut viewer: WebViewer,
    watcher: &mut Watcher,
    stop: &CancellationToken,
) -> Result<(), String> {
    let failing = async {
        loop {
            match viewer.next().await {
                Ok(item) => watcher.item(&item),
                Err(error) => break error,
            }
        }
    };
    until(stop, "WebTransport", failing).await?;
    viewer.close();
    Ok(())
}

/// Takes everything and throws it away unread until `stop`.
pub(super) async fn hold(mut viewer: WebViewer, stop: &CancellationToken) -> Result<(), String> {
    until(stop, "WebTransport", viewer.drain()).await?;
    viewer.close();
    Ok(())
}
