//! The packets of a RoQ viewing session, before any of them is understood.

use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use quinn::{Chunk, Connection, ReadError, RecvStream, VarInt};
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::roq::{Action, Code, Receiver};

pub use sightline_relay_proto::roq::Received;

use crate::quic::{self, Pictures, RoqError, SessionTarget};

type Reading = BoxFuture<'static, (u64, RecvStream, Result<Option<Chunk>, ReadError>)>;

/// One watching connection that gives out RTP and RTCP packets as they come.
///
/// Packets of one stream are in order; those of different streams may overtake each other.
pub struct PacketReader {
    connection: Connection,
    receiver: Receiver,
    reading: FuturesUnordered<Reading>,
    resets: u64,
}

impl PacketReader {
    /// Connects to a session that the server set up.
    pub async fn connect(target: &SessionTarget, pictures: Pictures) -> Result<Self, RoqError> {
        let flows = target.session.tracks.iter().enumerate();
        let receiver = Receiver::new(flows.map(|(at, track)| (track.flow, TrackIndex(at as u8))));
        let connection = quic::connect(target, pictures).await?;
        Ok(Self { connection, receiver, reading: FuturesUnordered::new(), resets: 0 })
    }

    /// The next packet. `Err` when the connection has ended. Cancelling loses nothing.
    pub async fn next(&mut self) -> Result<Received, RoqError> {
        loop {
            if let Some(packet) = self.receiver.poll_packet() {
                return Ok(packet);
            }
            self.wait().await?;
        }
    }

    /// Takes everything from the connection and throws it away unread until the connection ends;
    /// gives the reason. Packets cannot be asked for afterwards.
    pub async fn drain(&mut self) -> RoqError {
        loop {
            let ended = tokio::select! {
                datagram = self.connection.read_datagram() => datagram.err().map(RoqError::from),
                stream = self.connection.accept_uni() => match stream {
                    Ok(stream) => {
                        self.reading.push(Box::pin(read(0, stream)));
                        None
                    }
                    Err(error) => Some(error.into()),
                },
                Some((id, stream, chunk)) = self.reading.next() => match chunk {
                    Ok(Some(_)) => {
                        self.reading.push(Box::pin(read(id, stream)));
                        None
                    }
                    Err(ReadError::ConnectionLost(error)) => Some(error.into()),
                    Ok(None) | Err(_) => None,
                },
            };
            if let Some(error) = ended {
                return error;
            }
        }
    }

    /// Streams that the server cut off.
    pub fn resets(&self) -> u64 {
        self.resets
    }

    /// Leaves.
    pub fn close(self) {
        self.connection.close(quic::code(Code::NoError), b"enough");
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn poll_packet(&mut self) -> Option<Received> {
        self.receiver.poll_packet()
    }

    /// Waits for one thing to happen on the connection. Cancelling loses nothing.
    pub(super) async fn wait(&mut self) -> Result<(), RoqError> {
        tokio::select! {
            datagram = self.connection.read_datagram() => {
                self.receiver.handle_datagram(Instant::now(), datagram?);
            }
            stream = self.connection.accept_uni() => {
                let stream = stream?;
                let id = VarInt::from(stream.id()).into_inner();
                self.reading.push(Box::pin(read(id, stream)));
            }
            Some((id, stream, chunk)) = self.reading.next() => self.chunk(id, stream, chunk)?,
        }
        Ok(())
    }

    fn chunk(
        &mut self,
        id: u64,
        mut stream: RecvStream,
        chunk: Result<Option<Chunk>, ReadError>,
    ) -> Result<(), RoqError> {
        match chunk {
            Ok(Some(chunk)) => self.receiver.handle_stream(Instant::now(), id, chunk.bytes),
            Ok(None) => {
                self.receiver.handle_stream_end(id);
                return Ok(());
            }
            Err(ReadError::Reset(_)) => {
                self.resets += 1;
                self.receiver.handle_stream_end(id);
                return Ok(());
            }
            Err(ReadError::ConnectionLost(error)) => return Err(error.into()),
            Err(error) => return Err(RoqError::Quic(error.to_string())),
        }
        while let Some(Action::Stop { stream: stopped, code }) = self.receiver.poll_action() {
            if stopped == id {
                let _ = stream.stop(quic::code(code));
                return Ok(());
            }
        }
        self.reading.push(Box::pin(read(id, stream)));
        Ok(())
    }
}

async fn read(
    id: u64,
    mut stream: RecvStream,
) -> (u64, RecvStream, Result<Option<Chunk>, ReadError>) {
    let chunk = stream.read_chunk(usize::MAX, true).await;
    (id, stream, chunk)
}
