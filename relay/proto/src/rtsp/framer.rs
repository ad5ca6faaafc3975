//! Bytes to requests and interleaved frames.

use bytes::{Buf as _, Bytes, BytesMut};
use rtsp_types::{Message, Request};

/// Longest head (request line and headers), bytes.
pub const MAX_HEAD: usize = 16 * 1024;
/// Longest body, bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// Bytes that wait at most: one whole message and one read behind it.
pub const MAX_BUFFERED: usize = MAX_HEAD + MAX_BODY + 64 * 1024;

/// One thing on the connection.
#[derive(Debug)]
pub(super) enum Item {
    /// `$` frame (RFC 2326, 10.12).
    Interleaved { channel: u8, data: Bytes },
    /// A request with its body.
    Request(Request<Vec<u8>>),
    /// An answer to nothing that was asked.
    Response,
}

/// Why the byte stream cannot be read on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FrameError {
    HeadTooLong,
    BodyTooLong,
    Malformed,
    Overrun,
}

#[derive(Default)]
pub(super) struct Framer {
    buffer: BytesMut,
    /// Bytes already searched for the end of the head.
    searched: usize,
    /// Lengths of head and whole message, once the head is complete.
    waiting: Option<(usize, usize)>,
    overrun: bool,
}

impl Framer {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > MAX_BUFFERED {
            self.overrun = true;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, FrameError> {
        if self.overrun {
            return Err(FrameError::Overrun);
        }
        if self.waiting.is_none() && self.searched == 0 {
            let blank = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.buffer.advance(blank);
        }
        match self.buffer.first() {
            None => Ok(None),
            Some(b'$') => Ok(self.interleaved()),
            Some(_) => self.message(),
        }
    }

    fn interleaved(&mut self) -> Option<Item> {
        let [_, channel, high, low, ..] = self.buffer[..] else { return None };
        let len = usize::from(u16::from_be_bytes([high, low]));
        if self.buffer.len() < 4 + len {
            return None;
        }
        self.buffer.advance(4);
        Some(Item::Interleaved { channel, data: self.buffer.split_to(len).freeze() })
    }

    fn message(&mut self) -> Result<Option<Item>, FrameError> {
        let (head, total) = match self.waiting {
            Some(known) => known,
            None => {
                let Some(head) = self.head_end()? else { return Ok(None) };
                let total = head + content_length(&self.buffer[..head])?;
                self.waiting = Some((head, total));
                (head, total)
            }
        };
        if self.buffer.len() < total {
            return Ok(None);
        }
        let message = self.buffer.split_to(total);
        if self.buffer.is_empty() {
            // A viewer says nothing more for half a minute: no memory waits for it.
            self.buffer = BytesMut::new();
        }
        self.waiting = None;
        self.searched = 0;
        let (head, body) = message.split_at(head);
        parse(head, body).map(Some)
    }

    /// Length of the head with its empty line. Each byte is looked at once.
    fn head_end(&mut self) -> Result<Option<usize>, FrameError> {
        let from = self.searched.saturating_sub(3);
        let visible = &self.buffer[from..self.buffer.len().min(MAX_HEAD)];
        for (at, byte) in visible.iter().enumerate() {
            if *byte == b'\n' && matches!(visible[at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]) {
                let blank = if visible[at + 1] == b'\n' { 1 } else { 2 };
                return Ok(Some(from + at + 1 + blank));
            }
        }
        self.searched = self.buffer.len().min(MAX_HEAD);
        if self.buffer.len() > MAX_HEAD || self.searched == MAX_HEAD {
            return Err(FrameError::HeadTooLong);
        }
        Ok(None)
    }
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = head.split(|byte| *byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// The body's length; two headers that differ are refused.
fn content_length(head: &[u8]) -> Result<usize, FrameError> {
    let mut found = None;
    for line in lines(head).skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        if !line[..colon].trim_ascii().eq_ignore_ascii_case(b"content-length") {
            continue;
        }
        let text = std::str::from_utf8(line[colon + 1..].trim_ascii());
        let digits = text.ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length = digits.and_then(|text| text.parse::<usize>().ok());
        let length = length.ok_or(FrameError::Malformed)?;
        if found.is_some_and(|known| known != length) {
            return Err(FrameError::Malformed);
        }
        found = Some(length);
    }
    let length = found.unwrap_or(0);
    if length > MAX_BODY { Err(FrameError::BodyTooLong) } else { Ok(length) }
}

/// The parser wants CRLF; clients with bare LF exist.
fn parse(head: &[u8], body: &[u8]) -> Result<Item, FrameError> {
    let mut text = Vec::with_capacity(head.len() + head.len() / 16 + body.len() + 8);
    for line in lines(head) {
        if !line.is_empty() {
            text.extend_from_slice(line);
            text.extend_from_slice(b"\r\n");
        }
    }
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(body);
    match Message::<Vec<u8>>::parse(&text) {
        Ok((Message::Request(request), used)) if used == text.len() => Ok(Item::Request(request)),
        Ok((Message::Response(_), _)) => Ok(Item::Response),
        _ => Err(FrameError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(bytes: &[u8]) -> Framer {
        let mut framer = Framer::default();
        framer.push(bytes);
        framer
    }

    #[test]
    fn frames_and_requests_come_in_any_order_and_any_cut() {
        let bytes = b"\r\n$\x00\x00\x03abcOPTIONS * RTSP/1.0\nCseq: 1\n\n$\x01\x00\x00\
            SET_PARAMETER * RTSP/1.0\r\nCSeq:2\r\nContent-Length: 2\r\n\r\nhi";
        for cut in 0..=bytes.len() {
            let mut framer = Framer::default();
            let mut seen = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                framer.push(part);
                while let Some(item) = framer.next().unwrap() {
                    seen.push(match item {
                        Item::Interleaved { channel, data } => (channel, data.to_vec()),
                        Item::Request(request) => (99, request.into_body()),
                        Item::Response => (100, Vec::new()),
                    });
                }
            }
            let want = [(0, b"abc".to_vec()), (99, vec![]), (1, vec![]), (99, b"hi".to_vec())];
            assert_eq!(seen, want, "cut at {cut}");
        }
    }

    fn head(len: usize) -> Vec<u8> {
        let start = "OPTIONS * RTSP/1.0\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(len - start.len() - 4)).into_bytes()
    }

    #[test]
    fn a_head_is_bounded_on_both_sides() {
        assert!(fed(&head(MAX_HEAD)).next().unwrap().is_some());
        assert_eq!(fed(&head(MAX_HEAD + 1)).next().unwrap_err(), FrameError::HeadTooLong);
        assert!(fed(&head(MAX_HEAD)[..MAX_HEAD - 1]).next().unwrap().is_none());
    }

    fn body(len: usize) -> Vec<u8> {
        let mut message = format!("SETUP * RTSP/1.0\r\nContent-Length: {len}\r\n\r\n").into_bytes();
        message.resize(message.len() + len.min(MAX_BODY), b'x');
        message
    }

    #[test]
    fn a_body_is_bounded_on_both_sides() {
        assert!(fed(&body(MAX_BODY)).next().unwrap().is_some());
        assert_eq!(fed(&body(MAX_BODY + 1)).next().unwrap_err(), FrameError::BodyTooLong);
    }

    #[test]
    fn the_buffer_is_bounded_on_both_sides() {
        let mut framer = fed(&vec![b'$'; MAX_BUFFERED]);
        assert!(framer.next().is_ok());
        let mut framer = fed(&vec![b'$'; MAX_BUFFERED + 1]);
        assert_eq!(framer.next().unwrap_err(), FrameError::Overrun);
        assert_eq!(framer.len(), 0);
    }

    #[test]
    fn the_longest_interleaved_frame_passes() {
        let mut bytes = vec![b'$', 0, 0xff, 0xff];
        bytes.resize(4 + 65_535, 7);
        let Ok(Some(Item::Interleaved { data, .. })) = fed(&bytes).next() else { panic!() };
        assert_eq!(data.len(), 65_535);
    }

    #[test]
    fn lengths_that_differ_or_are_no_numbers_are_refused() {
        for length in ["1\r\nContent-Length: 2", "-1", "+1", "1x", "", "99999999999999999999999"] {
            let text = format!("SETUP * RTSP/1.0\r\nContent-Length: {length}\r\n\r\nxx");
            assert_eq!(fed(text.as_bytes()).next().unwrap_err(), FrameError::Malformed, "{length}");
        }
    }
}
