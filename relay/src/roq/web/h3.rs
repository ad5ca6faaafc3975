//! HTTP/3 as far as a WebTransport session needs it (RFC 9114, draft-ietf-webtrans-http3).
//!
//! Of the peer's uni streams only the control stream is understood: it must begin with SETTINGS.
//! QPACK streams are read and forgotten, since no dynamic table is allowed. The one request is
//! an extended CONNECT. All that is held of a peer is bounded.

use bytes::BufMut;
use quinn_proto::VarInt;
use sightline_relay_proto::wire::varint;
use web_transport_proto::{
    Capsule, ConnectError, ConnectRequest, ConnectResponse, Frame, Settings, SettingsError,
    StreamUni, error_to_http3, http::StatusCode,
};

use crate::api::SessionId;

/// ALPN of HTTP/3.
pub(in crate::roq) const ALPN: &[u8] = b"h3";
/// Path of a viewing session; its ticket follows.
pub(in crate::roq) const PATH: &str = "/v1/live";
/// Longest SETTINGS of a peer with the stream's type, bytes.
pub(super) const MAX_SETTINGS: usize = 1024;
/// Longest CONNECT request, bytes.
pub(super) const MAX_REQUEST: usize = 8 * 1024;
/// Longest stream type, bytes.
const MAX_TYPE: usize = 8;

/// Error codes of HTTP/3 (RFC 9114, 8.1) and QPACK (RFC 9204, 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Code {
    NoError = 0x100,
    StreamCreation = 0x103,
    ClosedCriticalStream = 0x104,
    FrameUnexpected = 0x105,
    ExcessiveLoad = 0x107,
    SettingsError = 0x109,
    MissingSettings = 0x10a,
    RequestRejected = 0x10b,
    RequestIncomplete = 0x10d,
    DecompressionFailed = 0x200,
}

impl Code {
    pub(super) fn wire(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }
}

/// A connection error and what is said of it.
pub(super) type Fault = (Code, &'static str);

/// Codes of our own within a session: of streams that are reset and of the session's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::roq) enum SessionCode {
    /// The stream has ended, or the server stops.
    Ended = 0,
    /// The permission to watch has ended.
    PermissionEnded = 1,
    /// The rest of this group of pictures is skipped: the viewer lags.
    Skipped = 2,
}

impl SessionCode {
    /// As the code of a stream's reset.
    pub(in crate::roq) fn wire(self) -> VarInt {
        VarInt::from_u64(error_to_http3(self as u32)).expect("such codes are below 2^62")
    }
}

/// One of the peer's uni streams.
#[derive(Default)]
pub(super) struct UniReader {
    /// Bytes until enough is known; with the stream's type.
    held: Vec<u8>,
    kind: Option<Kind>,
}

/// What a uni stream turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Control; its settings are read.
    Control,
    /// Nothing of it is needed: QPACK.
    Ignored,
    /// Not for us: to be stopped.
    Refused,
}

impl UniReader {
    /// More bytes; what the stream is, as soon as that is known.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Option<Kind>, Fault> {
        if self.kind.is_some() {
            return Ok(self.kind);
        }
        let room = MAX_SETTINGS - self.held.len();
        self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let Some((kind, _)) = varint::read(&self.held) else {
            debug_assert!(self.held.len() < MAX_TYPE, "a type is longer than integers are");
            return Ok(None);
        };
        let is = |stream: StreamUni| kind == stream.0.into_inner();
        self.kind = if is(StreamUni::CONTROL) {
            self.settings()?.then_some(Kind::Control)
        } else if is(StreamUni::PUSH) {
            return Err((Code::StreamCreation, "clients do not push"));
        } else if is(StreamUni::QPACK_ENCODER) || is(StreamUni::QPACK_DECODER) {
            Some(Kind::Ignored)
        } else {
            Some(Kind::Refused)
        };
        if self.kind.is_some() {
            self.held = Vec::new();
        }
        Ok(self.kind)
    }

    pub(super) fn is(&self, kind: Kind) -> bool {
        self.kind == Some(kind)
    }

    /// Whether the stream may end: a control stream may not.
    pub(super) fn may_end(&self) -> bool {
        let control = varint::read(&self.held).is_some_and(|(kind, _)| kind == 0);
        self.kind != Some(Kind::Control) && !control
    }

    /// Whether the settings are whole.
    fn settings(&self) -> Result<bool, Fault> {
        match Settings::decode(&mut &self.held[..]) {
            Ok(settings) if settings.supports_webtransport() == 0 => {
                Err((Code::SettingsError, "the client does not enable WebTransport"))
            }
            Ok(_) => Ok(true),
            Err(SettingsError::UnexpectedEnd) if self.held.len() < MAX_SETTINGS => Ok(false),
            Err(SettingsError::UnexpectedEnd | SettingsError::FrameTooLarge) => {
                Err((Code::ExcessiveLoad, "the settings are too long"))
            }
            Err(SettingsError::UnexpectedFrame(_)) => {
                Err((Code::MissingSettings, "the control stream begins without settings"))
            }
            Err(_) => Err((Code::SettingsError, "the settings are malformed")),
        }
    }
}

/// What a CONNECT asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// A session by its ticket.
    Session(SessionId),
    /// Nothing that is here: answered with this status.
    Nothing(StatusCode),
}

/// Reads the request. `None`: it is not whole yet.
pub(super) fn request(bytes: &[u8]) -> Result<Option<Asked>, Fault> {
    match ConnectRequest::decode(&mut &bytes[..]) {
        Ok(request) if request.url.path() != PATH => {
            Ok(Some(Asked::Nothing(StatusCode::NOT_FOUND)))
        }
        Ok(request) => {
            let ticket = request.url.query().and_then(parse_ticket);
            Ok(Some(ticket.map_or(Asked::Nothing(StatusCode::FORBIDDEN), Asked::Session)))
        }
        Err(ConnectError::UnexpectedEnd) if bytes.len() < MAX_REQUEST => Ok(None),
        Err(
            ConnectError::UnexpectedEnd
            | ConnectError::FrameTooLarge
            | ConnectError::FieldSectionTooLarge,
        ) => Err((Code::ExcessiveLoad, "the request is too long")),
        Err(ConnectError::UnexpectedFrame(_)) => {
            Err((Code::FrameUnexpected, "a request begins with HEADERS"))
        }
        Err(ConnectError::QpackError(_)) => {
            Err((Code::DecompressionFailed, "the header fields cannot be read"))
        }
        Err(ConnectError::WrongMethod(_) | ConnectError::WrongProtocol(_)) => {
            Ok(Some(Asked::Nothing(StatusCode::METHOD_NOT_ALLOWED)))
        }
        Err(_) => Ok(Some(Asked::Nothing(StatusCode::BAD_REQUEST))),
    }
}

/// Path and query that a viewer connects to.
pub(in crate::roq) fn path(id: SessionId) -> String {
    format!("{PATH}?ticket={:032x}", id.0)
}

fn parse_ticket(query: &str) -> Option<SessionId> {
    let digits = query.strip_prefix("ticket=")?;
    let legal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let legal = digits.len() == 32 && digits.bytes().all(legal);
    legal.then(|| u128::from_str_radix(digits, 16).ok().map(SessionId)).flatten()
}

/// Our control stream: one session, no QPACK table.
pub(in crate::roq) fn settings() -> Vec<u8> {
    let mut settings = Settings::default();
    settings.enable_webtransport(1);
    let mut out = Vec::new();
    settings.encode(&mut out);
    out
}

/// Answer to a CONNECT. `None`: it cannot be written, which no status of ours causes.
pub(super) fn response(status: StatusCode) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    ConnectResponse::new(status).encode(&mut out).ok()?;
    Some(out)
}

/// What ends a session, as it stands on the CONNECT stream.
pub(super) fn session_end(code: SessionCode, reason: &str) -> Vec<u8> {
    let capsule =
        Capsule::CloseWebTransportSession { code: code as u32, reason: reason.to_owned() };
    let mut body = Vec::new();
    capsule.encode(&mut body);
    let mut out = Vec::with_capacity(body.len() + 9);
    Frame::DATA.encode(&mut out);
    varint::write(body.len() as u64, &mut out);
    out.put_slice(&body);
    out
}

/// What stands before the first byte of a uni stream of a session.
pub(super) fn stream_prefix(session: quinn_proto::StreamId) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    StreamUni::WEBTRANSPORT.encode(&mut out);
    varint::write(VarInt::from(session).into_inner(), &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(path: &str) -> Vec<u8> {
        let url = format!("https://relay.test:8444{path}");
        let request = ConnectRequest::new(url::Url::parse(&url).unwrap());
        let mut out = Vec::new();
        request.encode(&mut out).unwrap();
        out
    }

    #[test]
    fn a_ticket_leads_to_its_session_and_other_paths_to_a_status() {
        let id = SessionId(7 << 100 | 5);
        assert_eq!(request(&connect(&path(id))), Ok(Some(Asked::Session(id))));
        let forbidden = Ok(Some(Asked::Nothing(StatusCode::FORBIDDEN)));
        for query in ["", "?ticket=", "?ticket=7", "?token=0", &format!("?ticket=+{:031x}", 7)] {
            assert_eq!(request(&connect(&format!("{PATH}{query}"))), forbidden, "{query}");
        }
        let other = request(&connect("/v1/other"));
        assert_eq!(other, Ok(Some(Asked::Nothing(StatusCode::NOT_FOUND))));
    }

    #[test]
    fn a_request_is_waited_for_up_to_its_bound() {
        let whole = connect(&path(SessionId(1)));
        for cut in 0..whole.len() {
            assert_eq!(request(&whole[..cut]), Ok(None), "{cut} bytes");
        }
        // HEADERS that announce more than is allowed, and bytes that never end.
        let mut long = vec![1];
        varint::write(1 << 20, &mut long);
        assert_eq!(request(&long).unwrap_err().0, Code::ExcessiveLoad);
        let mut endless = vec![0x21, 0x40 | 0x3f, 0xff];
        endless.resize(MAX_REQUEST - 1, 0);
        assert_eq!(request(&endless), Ok(None));
        endless.push(0);
        assert_eq!(request(&endless).unwrap_err().0, Code::ExcessiveLoad);
    }

    #[test]
    fn nonsense_is_told_by_code() {
        assert_eq!(request(&[0, 1, 0]).unwrap_err().0, Code::FrameUnexpected);
        assert_eq!(request(&[1, 3, 0, 0, 0xff]).unwrap_err().0, Code::DecompressionFailed);
        let push = |bytes: &[u8]| UniReader::default().push(bytes);
        assert_eq!(push(&[1]).unwrap_err().0, Code::StreamCreation);
        assert_eq!(push(&[0, 0, 0]).unwrap_err().0, Code::MissingSettings);
        assert_eq!(push(&[0, 4, 0]).unwrap_err().0, Code::SettingsError);
        assert_eq!(push(&[0, 4, 1, 0x40]).unwrap_err().0, Code::SettingsError);
        assert_eq!(push(&[2, 9, 9]), Ok(Some(Kind::Ignored)));
        assert_eq!(push(&[0x40, 0x54, 0]), Ok(Some(Kind::Refused)));
    }

    #[test]
    fn settings_are_waited_for_up_to_their_bound_and_a_control_stream_never_ends() {
        let whole = settings();
        let mut reader = UniReader::default();
        for (at, byte) in whole.iter().enumerate() {
            let known = reader.push(std::slice::from_ref(byte)).unwrap();
            assert_eq!(known.is_some(), at + 1 == whole.len());
            assert!(!reader.may_end());
        }
        let mut long = vec![0, 4];
        varint::write(MAX_SETTINGS as u64, &mut long);
        let mut reader = UniReader::default();
        assert_eq!(reader.push(&long), Ok(None));
        assert_eq!(reader.push(&[0; MAX_SETTINGS]).unwrap_err().0, Code::ExcessiveLoad);
        let mut qpack = UniReader::default();
        assert_eq!(qpack.push(&[3]), Ok(Some(Kind::Ignored)));
        assert!(qpack.may_end());
    }

    #[test]
    fn the_end_of_a_session_is_a_capsule_in_a_data_frame() {
        let bytes = session_end(SessionCode::PermissionEnded, "over");
        let mut rest = &bytes[..];
        let (frame, mut body) = Frame::read(&mut rest).unwrap();
        assert_eq!(frame, Frame::DATA);
        let capsule = Capsule::decode(&mut body).unwrap();
        let expected = Capsule::CloseWebTransportSession { code: 1, reason: "over".into() };
        assert_eq!(capsule, expected);
    }
}
