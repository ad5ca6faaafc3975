//! Viewers over WHEP.

use std::time::Instant;

use sightline_client::whep::{SrtpOffer, WhepError, WhepOffer, WhepViewer};
use sightline_relay_proto::wire::rtcp::ReceptionReport;
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::gate::Terminal;
use super::viewer::{Watcher, reports};

/// Connects with full handshakes; also when the session was asked for.
pub(super) async fn connect(
    terminal: &Terminal,
    srtp: SrtpOffer,
) -> Result<(WhepViewer, Instant), Failure> {
    let grant = terminal.grant().await?;
    let doors = terminal.doors();
    let offer = WhepOffer::new((terminal.local, 0).into()).await.map_err(failed)?.with_srtp(srtp);
    let sdp = offer.sdp().map_err(failed)?;
    let serial = &terminal.camera().serial;
    let ask = || terminal.api.whep(&grant, serial, 0, &sdp);
    let (answer, asked) = doors.timed(ask).await?;
    let viewer = offer.connect(&terminal.api, answer).await.map_err(failed)?;
    Ok((viewer, asked))
}

/// Reads and checks until `stop`.
pub(super) async fn watch(
    mut viewer: WhepViewer,
    watcher: &mut Watcher,
    stop: &CancellationToken,
) -> Result<(), String> {
    let mut due = reports();
    let stopped = stop.cancelled();
    tokio::pin!(stopped);
    loop {
        let read = async { viewer.read().await.map(|packet| watcher.packet(packet)) };
        tokio::select! {
            () = &mut stopped => break,
            read = read => read.map_err(|error| error.to_string())?,
            _ = due.tick() => {
                let report = watcher.report();
                viewer.send_report(report).await.map_err(|error| error.to_string())?;
            }
        }
    }
    viewer.leave().await.map_err(|error| error.to_string())
}

/// Keeps the session alive without reading until `stop`.
pub(super) async fn hold(mut viewer: WhepViewer, stop: &CancellationToken) -> Result<(), String> {
    let mut due = reports();
    let ssrc = viewer.video_ssrc().unwrap_or_default();
    let report = ReceptionReport { ssrc, ..ReceptionReport::default() };
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = due.tick() => {
                let sent = async {
                    viewer.glance().await?;
                    viewer.keep_consent(Instant::now()).await?;
                    viewer.send_report(report).await
                };
                sent.await.map_err(|error: WhepError| error.to_string())?;
            }
        }
    }
    viewer.leave().await.map_err(|error| error.to_string())
}

fn failed(error: WhepError) -> Failure {
    match error {
        WhepError::Api(error) => error.into(),
        other => format!("WHEP: {other}").into(),
    }
}
