//! The byte stream of one peer: TCP, or TLS over it.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use mio::net::TcpStream;
use rustls::ServerConnection;
use socket2::SockRef;

/// Plaintext and ciphertext that TLS holds for a slow reader, bytes each.
const TLS_BUFFER: usize = 256 * 1024;

/// Reads of 4 KiB that throw away what a peer still sends at its end.
const UNREAD_READS: usize = 32;

pub(super) struct Wire {
    pub(super) tcp: TcpStream,
    tls: Option<Box<ServerConnection>>,
}

impl Wire {
    pub(super) fn plain(tcp: TcpStream) -> Self {
        Self { tcp, tls: None }
    }

    pub(super) fn tls(tcp: TcpStream, mut tls: ServerConnection) -> Self {
        tls.set_buffer_limit(Some(TLS_BUFFER));
        Self { tcp, tls: Some(Box::new(tls)) }
    }

    /// Reads plaintext. `WouldBlock` when the socket is dry, 0 at the end.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.tcp.read(into) };
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            if tls.read_tls(&mut self.tcp)? == 0 {
                return Ok(0);
            }
            let processed = tls.process_new_packets();
            // A failed handshake leaves an alert to send; its fate changes nothing.
            let flushed = flush_tls(tls, &mut self.tcp);
            if let Err(error) = processed {
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            flushed?;
        }
    }

    /// Writes what fits; `WouldBlock` if nothing does.
    pub(super) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.tcp.write_vectored(slices) };
        let taken = tls.writer().write_vectored(slices)?;
        flush_tls(tls, &mut self.tcp)?;
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(taken)
    }

    /// Sends ciphertext that waits; `false` if some still does.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        match &mut self.tls {
            Some(tls) => flush_tls(tls, &mut self.tcp),
            None => Ok(true),
        }
    }

    /// Ends in good order: what the kernel holds still goes out.
    pub(super) fn finish(mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = flush_tls(tls, &mut self.tcp);
        }
        let _ = self.tcp.shutdown(Shutdown::Write);
        // Closing over unread bytes would be a reset, which can overtake the last answer.
        let mut unread = [0; 4096];
        for _ in 0..UNREAD_READS {
            if !self.tcp.read(&mut unread).is_ok_and(|read| read > 0) {
                return;
            }
        }
    }

    /// Ends at once: what the kernel holds is thrown away and the peer sees a reset.
    pub(super) fn reset(self) {
        let _ = SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
    }
}

/// `false` if ciphertext is left because the socket is full.
fn flush_tls(tls: &mut ServerConnection, tcp: &mut TcpStream) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(tcp) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
