//! The viewer's side.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use bytes::Bytes;
use sightline_grant::Redacted;
use sightline_relay_proto::ids::TrackIndex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;

use super::{
    FRAME, FRAME_HEAD, GENERATION, GREETING, Hello, MAX_MESSAGE, METHOD, NONCE_LEN, REFUSED, path,
};
use crate::identity::{Identity, IdentityError};

/// Longest time until the camera has greeted.
const GREETING_LIMIT: Duration = Duration::from_secs(10);

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum LanError {
    /// The camera is not there, or the connection broke.
    #[error("the camera cannot be reached in this network: {0}")]
    Io(#[from] std::io::Error),
    /// The camera does not let this terminal in.
    #[error("the camera refuses: {0}")]
    Refused(String),
    /// What is there is no camera of ours.
    #[error("what answers at this address is not a camera of Sightline")]
    NotACamera,
    /// The key cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// A sealed frame as the camera sent it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LanFrame {
    /// Its track.
    pub track: TrackIndex,
    /// Decoding can start here.
    pub keyframe: bool,
    /// RTP timestamp in ticks of the track's clock.
    pub timestamp: u32,
    /// The sealed frame.
    pub sealed: Bytes,
}

/// What a camera sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LanMessage {
    /// Keys wrapped for its viewers, not checked.
    Generation(Vec<u8>),
    /// A frame.
    Frame(LanFrame),
}

/// A preview.
pub struct LanViewer {
    stream: TcpStream,
}

impl LanViewer {
    /// Connects to a camera and proves that the grant is this terminal's.
    ///
    /// # Errors
    /// See [`LanError`]; a refusal comes with the first [`Self::next`].
    pub async fn connect(
        camera: impl ToSocketAddrs,
        serial: &str,
        channel: u16,
        grant: &Redacted<String>,
        identity: &Identity,
    ) -> Result<Self, LanError> {
        let mut stream = TcpStream::connect(camera).await?;
        let mut greeting = [0; GREETING.len() + NONCE_LEN];
        let read = timeout(GREETING_LIMIT, stream.read_exact(&mut greeting)).await;
        read.map_err(|_| LanError::NotACamera)??;
        let nonce = greeting.strip_prefix(GREETING).ok_or(LanError::NotACamera)?;
        let grant = grant.expose();
        let jti = B64.encode(nonce);
        let path = path(serial, channel);
        let proof = identity.proof_as(METHOD, &path, Some(grant), "lan://camera", &jti)?;
        let hello = Hello { grant: grant.clone(), proof };
        let mut line = serde_json::to_vec(&hello).expect("two texts serialise");
        line.push(b'\n');
        stream.write_all(&line).await?;
        Ok(Self { stream })
    }

    /// The next message; `None` when the camera has ended the preview.
    ///
    /// # Errors
    /// See [`LanError`].
    pub async fn next(&mut self) -> Result<Option<LanMessage>, LanError> {
        let len = match self.stream.read_u32().await {
            Ok(len) => usize::try_from(len).unwrap_or(usize::MAX),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if !(1..=MAX_MESSAGE).contains(&len) {
            return Err(LanError::NotACamera);
        }
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body).await?;
        read(&body).map(Some)
    }
}

fn read(body: &[u8]) -> Result<LanMessage, LanError> {
    let (kind, body) = body.split_first().ok_or(LanError::NotACamera)?;
    match (*kind, body.split_first_chunk::<FRAME_HEAD>()) {
        (REFUSED, _) => Err(LanError::Refused(String::from_utf8_lossy(body).into_owned())),
        (GENERATION, _) => Ok(LanMessage::Generation(body.to_vec())),
        (FRAME, Some(([track, keyframe, time @ ..], sealed))) => Ok(LanMessage::Frame(LanFrame {
            track: TrackIndex(*track),
            keyframe: *keyframe == 1,
            timestamp: u32::from_be_bytes(*time),
            sealed: Bytes::copy_from_slice(sealed),
        })),
        _ => Err(LanError::NotACamera),
    }
}
