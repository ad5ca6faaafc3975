//! A TCP connection with what lasts as long as it does, a WebSocket's after its HTTP too.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use sightline_signaling::plane::ResetOnDrop;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Unsent bytes that the system takes for a connection. What a slow viewer lags is known when no
/// more goes in, so that it must not be megabytes.
const MAX_UNSENT: u32 = 128 * 1024;

/// The connection.
pub(super) struct Held {
    tcp: TcpStream,
    reset: ResetOnDrop,
    _place: OwnedSemaphorePermit,
    _running: TaskTrackerToken,
}

impl Held {
    /// Takes a place among the listener's connections, and the token by which its end is waited for.
    pub(super) fn new(
        tcp: TcpStream,
        place: OwnedSemaphorePermit,
        running: TaskTrackerToken,
    ) -> Self {
        let _ = tcp.set_nodelay(true);
        // Where the system does not know it, a slow viewer is noticed later.
        #[cfg(target_os = "linux")]
        let _ = SockRef::from(&tcp).set_tcp_notsent_lowat(MAX_UNSENT);
        Self { tcp, reset: ResetOnDrop::default(), _place: place, _running: running }
    }

    /// Whether it ends by a reset.
    pub(super) fn reset(&self) -> &ResetOnDrop {
        &self.reset
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.reset.is_set() {
            let _ = SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
