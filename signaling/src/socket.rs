//! The WebSocket of one viewer (RFC 6455): what the relay has for it goes out, and nothing comes in.
//!
//! How it ends, as close codes: 1000 the stream has ended, 1001 the server stops, 1003 the viewer
//! said something, 4001 the permission to watch has ended. A viewer of which nothing is heard, and
//! one that does not take the goodbye, is reset, so that nothing reaches it that was on its way.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};

use crate::plane::{ResetOnDrop, SocketEnd, SocketMedia};

/// WebSockets at a time, half of a listener's connections: viewers must not shut the API out.
pub(crate) const MAX_SOCKETS: usize = 1024;
/// Longest message of a viewer, bytes: what a ping may hold (RFC 6455, 5.5). Others end it.
pub(crate) const MAX_INCOMING: usize = 125;
/// Bytes gathered before they are written.
const WRITE_BUFFER: usize = 64 * 1024;
/// Pause between pings.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(10);
/// A viewer that neither says anything nor takes what was held up for this long is gone.
pub(crate) const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// Time for the last words to be answered.
const LINGER: Duration = Duration::from_millis(500);
/// Close code: the permission to watch has ended. One of those for applications (RFC 6455, 7.4.2).
pub(crate) const PERMISSION_ENDED: u16 = 4001;

/// Why a session is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Over {
    /// The relay has ended it.
    Ended(SocketEnd),
    /// The viewer has said something.
    Spoke,
    /// Nothing is heard of the viewer.
    Silent,
    /// The viewer has left.
    Left,
}

/// Sets the bounds of a connection that is to become a WebSocket.
pub(crate) fn bounded(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .max_message_size(MAX_INCOMING)
        .max_frame_size(MAX_INCOMING)
        .write_buffer_size(WRITE_BUFFER)
}

/// Sends until the session is over, then says why.
pub(crate) async fn run(socket: WebSocket, media: Box<dyn SocketMedia>, reset: &ResetOnDrop) {
    let mut session = Session::new(socket, media);
    let over = std::future::poll_fn(|cx| session.poll(cx)).await;
    let Session { mut socket, media, .. } = session;
    // The relay's side ends now, whatever the connection still does.
    drop(media);
    tracing::debug!(?over, "a WebSocket session is over");
    match goodbye(over) {
        Some(goodbye) => {
            // Set before the connection is dropped.
            if !take_leave(&mut socket, goodbye).await {
                reset.set();
            }
        }
        None if over == Over::Silent => reset.set(),
        // Answers the viewer's own goodbye.
        None => {
            let _ = timeout(LINGER, socket.close()).await;
        }
    }
}

/// What a viewer is told. `None`: it is not there to hear it.
fn goodbye(over: Over) -> Option<CloseFrame> {
    let (code, reason) = match over {
        Over::Ended(SocketEnd::StreamEnded) => (close_code::NORMAL, "the stream has ended"),
        Over::Ended(SocketEnd::Shutdown) => (close_code::AWAY, "the server stops"),
        Over::Ended(SocketEnd::PermissionEnded) => {
            (PERMISSION_ENDED, "the permission to watch has ended")
        }
        Over::Spoke => (close_code::UNSUPPORTED, "viewers have nothing to say here"),
        Over::Silent | Over::Left => return None,
    };
    Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) })
}

/// Says goodbye; `true` if the viewer has answered in time.
async fn take_leave(socket: &mut WebSocket, goodbye: CloseFrame) -> bool {
    let parting = async {
        socket.send(Message::Close(Some(goodbye))).await.ok()?;
        while let Some(said) = socket.next().await {
            if matches!(said.ok()?, Message::Close(_)) {
                // The connection is closed by what reads on.
                let _ = socket.next().await;
                return Some(());
            }
        }
        None
    };
    matches!(timeout(LINGER, parting).await, Ok(Some(())))
}

/// A session in progress. `S` is the WebSocket.
struct Session<S> {
    socket: S,
    media: Box<dyn SocketMedia>,
    ticks: Interval,
    /// A ping is due.
    ping: bool,
    /// Bytes wait in the socket's buffer.
    unflushed: bool,
    /// The last flush found the connection full.
    blocked: bool,
    /// When the viewer last showed life.
    alive: Instant,
}

impl<S> Session<S>
where
    S: Sink<Message> + Stream<Item = Result<Message, <S as Sink<Message>>::Error>> + Unpin,
{
    fn new(socket: S, media: Box<dyn SocketMedia>) -> Self {
        let mut ticks = interval(PING_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first one is at once.
        ticks.reset();
        let alive = Instant::now();
        Self { socket, media, ticks, ping: false, unflushed: false, blocked: false, alive }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        if let Poll::Ready(end) = self.media.poll_end(cx) {
            return Poll::Ready(Over::Ended(end));
        }
        while let Poll::Ready(said) = Pin::new(&mut self.socket).poll_next(cx) {
            match said {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => self.alive = Instant::now(),
                Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                    return Poll::Ready(Over::Spoke);
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Poll::Ready(Over::Left),
            }
        }
        while self.ticks.poll_tick(cx).is_ready() {
            self.ping = true;
            if self.alive.elapsed() >= IDLE_LIMIT {
                return Poll::Ready(Over::Silent);
            }
        }
        if self.write(cx).is_err() {
            return Poll::Ready(Over::Left);
        }
        Poll::Pending
    }

    /// Writes what there is, until nothing is or the connection is full.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), <S as Sink<Message>>::Error> {
        loop {
            match self.socket.poll_ready_unpin(cx) {
                Poll::Pending => {
                    self.blocked = true;
                    return Ok(());
                }
                Poll::Ready(ready) => ready?,
            }
            self.note_progress();
            let Some(message) = self.next(cx) else { break };
            self.socket.start_send_unpin(message)?;
            self.unflushed = true;
        }
        if self.unflushed {
            match self.socket.poll_flush_unpin(cx) {
                Poll::Pending => self.blocked = true,
                Poll::Ready(flushed) => {
                    flushed?;
                    self.unflushed = false;
                    self.note_progress();
                }
            }
        }
        Ok(())
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Option<Message> {
        if std::mem::take(&mut self.ping) {
            return Some(Message::Ping(Bytes::new()));
        }
        match self.media.poll_message(cx) {
            Poll::Ready(bytes) => Some(Message::Binary(bytes)),
            Poll::Pending => None,
        }
    }

    /// A connection that was full has taken something: TCP goes on.
    fn note_progress(&mut self) {
        if std::mem::take(&mut self.blocked) {
            self.alive = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A connection that takes everything, or nothing, and whose viewer pongs, or is silent.
    struct Fake {
        takes: &'static AtomicBool,
        pongs: bool,
        pinged: bool,
    }

    impl Sink<Message> for Fake {
        type Error = Infallible;

        fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            if self.takes.load(Ordering::Relaxed) { Poll::Ready(Ok(())) } else { Poll::Pending }
        }
        fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Infallible> {
            self.pinged |= matches!(message, Message::Ping(_));
            Ok(())
        }
        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.poll_ready(cx)
        }
        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }
    }

    impl Stream for Fake {
        type Item = Result<Message, Infallible>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            if self.pongs && std::mem::take(&mut self.pinged) {
                return Poll::Ready(Some(Ok(Message::Pong(Bytes::new()))));
            }
            Poll::Pending
        }
    }

    /// A camera that sends nothing.
    struct Media;

    impl SocketMedia for Media {
        fn poll_message(&mut self, _: &mut Context<'_>) -> Poll<Bytes> {
            Poll::Pending
        }
        fn poll_end(&mut self, _: &mut Context<'_>) -> Poll<SocketEnd> {
            Poll::Pending
        }
    }

    /// How a session ends within ten minutes, and after how long.
    async fn ended(fake: Fake) -> Option<(Over, Duration)> {
        let begun = Instant::now();
        let mut session = Session::new(fake, Box::new(Media));
        let over = timeout(Duration::from_secs(600), std::future::poll_fn(|cx| session.poll(cx)));
        Some((over.await.ok()?, begun.elapsed()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_viewer_that_pongs_stays_and_a_silent_one_is_gone_after_its_limit() {
        static TAKES: AtomicBool = AtomicBool::new(true);
        let fake = |pongs| Fake { takes: &TAKES, pongs, pinged: false };
        assert_eq!(ended(fake(true)).await, None);
        let (over, after) = ended(fake(false)).await.expect("it ends");
        assert_eq!(over, Over::Silent);
        assert!((IDLE_LIMIT..IDLE_LIMIT + PING_INTERVAL).contains(&after), "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_viewer_stays_while_its_connection_takes_something_now_and_then() {
        static TAKES: AtomicBool = AtomicBool::new(false);
        let toggle = tokio::spawn(async {
            loop {
                tokio::time::sleep(PING_INTERVAL).await;
                TAKES.fetch_xor(true, Ordering::Relaxed);
            }
        });
        assert_eq!(ended(Fake { takes: &TAKES, pongs: false, pinged: false }).await, None);
        toggle.abort();
        TAKES.store(false, Ordering::Relaxed);
        let stuck = ended(Fake { takes: &TAKES, pongs: false, pinged: false }).await;
        assert_eq!(stuck.map(|(over, _)| over), Some(Over::Silent));
    }
}
