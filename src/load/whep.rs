//! Viewers over WHEP.

use std::time::{Duration, Instant};

use sightline_client::retry::Backoff;
use sightline_client::whep::{WhepError, WhepOffer, WhepViewer};
use sightline_relay_proto::limits::MAX_CANONICAL_PACKET;
use sightline_relay_proto::wire::rtcp::ReceptionReport;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::crowd::Viewing;
use super::gate::Terminal;
use super::viewer::{Watcher, reports};

/// Sessions that a viewer asks for, one after the other, when handshakes are not done in time.
const ATTEMPTS: u32 = 3;

/// Time between two reports of transport-wide feedback.
const ARRIVALS: Duration = Duration::from_millis(100);

/// Packets of a camera of this bitrate that come between two reports of transport-wide feedback.
pub(super) fn arrivals(bitrate: u64) -> u16 {
    let bits = MAX_CANONICAL_PACKET as u64 * 8;
    let packets = bitrate * ARRIVALS.as_millis() as u64 / 1000 / bits;
    packets.clamp(1, u16::MAX.into()) as u16
}

/// Connects with full handshakes; also when the first session was asked for. A handshake that is
/// not done in time is tried again in another session, as apps do.
pub(super) async fn connect(
    terminal: &Terminal,
    viewing: Viewing,
) -> Result<(WhepViewer, Instant), Failure> {
    let mut backoff = Backoff::default();
    let (mut connected, asked) = ask(terminal, viewing).await?;
    for _ in 1..ATTEMPTS {
        if !matches!(connected, Err(WhepError::Timeout)) {
            break;
        }
        terminal.doors().count_retry();
        tokio::time::sleep(backoff.next_wait()).await;
        (connected, _) = ask(terminal, viewing).await?;
    }
    Ok((connected.map_err(failed)?, asked))
}

/// Asks for a session and connects; also when it was asked for.
async fn ask(
    terminal: &Terminal,
    viewing: Viewing,
) -> Result<(Result<WhepViewer, WhepError>, Instant), Failure> {
    let grant = terminal.grant().await?;
    let doors = terminal.doors();
    let offer = WhepOffer::new((terminal.local, 0).into()).await.map_err(failed)?;
    let offer = offer.with_srtp(viewing.srtp);
    let offer = if viewing.arrivals > 0 { offer.with_transport_feedback() } else { offer };
    let sdp = offer.sdp().map_err(failed)?;
    let serial = &terminal.camera().serial;
    let ask = || terminal.api.whep(&grant, serial, 0, &sdp);
    let (answer, asked) = doors.timed(ask).await?;
    Ok((offer.connect(&terminal.api, answer).await, asked))
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

/// Keeps the session alive without reading until `stop`. `arrivals`: as in [`Viewing`].
pub(super) async fn hold(
    mut viewer: WhepViewer,
    arrivals: u16,
    stop: &CancellationToken,
) -> Result<(), String> {
    let mut due = reports();
    let mut feedback_due = interval(ARRIVALS);
    feedback_due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut first = 0u16;
    let ssrc = viewer.video_ssrc().unwrap_or_default();
    let report = ReceptionReport { ssrc, ..ReceptionReport::default() };
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = feedback_due.tick(), if arrivals > 0 => {
                let sent = viewer.send_arrivals(first, arrivals).await;
                sent.map_err(|error| error.to_string())?;
                first = first.wrapping_add(arrivals);
            }
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
