//! The camera's side: who may look in, and what they are sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use bytes::Bytes;
use sightline_grant::{GrantVerifier, dpop};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    FRAME, GENERATION, GREETING, Hello, MAX_HELLO, METHOD, NONCE_LEN, REFUSED, message, path,
};
use crate::source::Frame;

/// Connections at a time, those that have proven nothing yet among them.
pub const MAX_VIEWERS: usize = 8;
/// Messages that may wait for a viewer; one that has more of them goes on at a keyframe.
const QUEUE: usize = 64;
/// Longest time in which a viewer must have answered the greeting.
const HELLO_LIMIT: Duration = Duration::from_secs(5);
/// Longest time that one message may take to leave.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Pause after a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Which camera it is, and whose grants it takes.
#[derive(Clone)]
pub struct LanTerms {
    /// Serial.
    pub serial: String,
    /// Channel.
    pub channel: u16,
    /// The server's grant key, which the camera keeps.
    pub server: GrantVerifier,
}

/// Where sealed frames meet the viewers of this network. Cheap to clone.
#[derive(Clone)]
pub struct LanHub {
    state: Arc<Mutex<State>>,
    keyframes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    standing: Option<Standing>,
    viewers: Vec<Viewer>,
}

/// What the frames of now are sealed under.
struct Standing {
    binding_epoch: u64,
    generation: Bytes,
}

struct Viewer {
    queue: mpsc::Sender<Bytes>,
    /// It takes nothing before the next picture group.
    waits: bool,
}

impl LanHub {
    /// Without viewers. `keyframes` asks the source for one.
    pub fn new(keyframes: watch::Sender<u64>) -> Self {
        Self { state: Arc::default(), keyframes }
    }

    /// Frames are sealed under this generation from now on. Those who watch are told; a generation
    /// of another binding ends their preview.
    pub fn generation(&self, binding_epoch: u64, blob: Vec<u8>) {
        let told = Bytes::from(message(GENERATION, &[&blob]));
        let mut state = self.lock();
        if state.standing.as_ref().is_some_and(|held| held.binding_epoch != binding_epoch) {
            state.viewers.clear();
        }
        // Without the keys the frames are of no use: who has no room for them connects again.
        state.viewers.retain(|viewer| viewer.queue.try_send(told.clone()).is_ok());
        state.standing = Some(Standing { binding_epoch, generation: told });
    }

    /// Ends every preview: the camera has another owner, or none.
    pub fn end(&self) {
        *self.lock() = State::default();
    }

    /// Whether anybody watches.
    pub fn is_watched(&self) -> bool {
        let mut state = self.lock();
        state.viewers.retain(|viewer| !viewer.queue.is_closed());
        !state.viewers.is_empty()
    }

    /// Sends a sealed frame to those who watch. `video`: it is a picture.
    pub fn send(&self, frame: &Frame, video: bool) {
        let mut state = self.lock();
        if state.viewers.is_empty() {
            return;
        }
        let head = [frame.track.0, u8::from(frame.keyframe)];
        let time = frame.timestamp.to_be_bytes();
        let sent = Bytes::from(message(FRAME, &[&head, &time, &frame.unit]));
        let begins = video && frame.keyframe;
        for viewer in &mut state.viewers {
            if viewer.waits && !begins {
                continue;
            }
            viewer.waits = viewer.queue.try_send(sent.clone()).is_err();
        }
    }

    /// A frame was left out: everybody goes on at a keyframe.
    pub fn skip(&self) {
        self.lock().viewers.iter_mut().for_each(|viewer| viewer.waits = true);
    }

    /// Takes viewers in until `stop`.
    pub async fn serve(self, listener: TcpListener, terms: LanTerms, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(MAX_VIEWERS));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // Such as too many open files: others may close theirs.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let (hub, terms, stop) = (self.clone(), terms.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    // A viewer that goes is nothing to tell anybody.
                    _ = hub.preview(stream, &terms) => {}
                }
                drop(place);
            });
        }
    }

    async fn preview(self, mut stream: TcpStream, terms: &LanTerms) -> std::io::Result<()> {
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| std::io::ErrorKind::Other)?;
        stream.write_all(&[&GREETING[..], &nonce].concat()).await?;
        let hello = timeout(HELLO_LIMIT, hello(&mut stream)).await??;
        let mut queue = match self.enter(&hello, &nonce, terms) {
            Ok(queue) => queue,
            Err(reason) => return stream.write_all(&message(REFUSED, &[reason.as_bytes()])).await,
        };
        self.keyframes.send_modify(|count| *count += 1);
        while let Some(message) = queue.recv().await {
            timeout(WRITE_LIMIT, stream.write_all(&message)).await??;
        }
        Ok(())
    }

    /// Lets a viewer in, if grant and proof hold for the binding of now.
    fn enter(
        &self,
        hello: &Hello,
        nonce: &[u8; NONCE_LEN],
        terms: &LanTerms,
    ) -> Result<mpsc::Receiver<Bytes>, &'static str> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let grant = terms.server.verify_lan(&hello.grant, now);
        let grant = grant.map_err(|_| "the grant is not the server's, or has expired")?;
        if grant.serial != terms.serial || grant.channel != terms.channel {
            return Err("the grant is for another camera or channel");
        }
        let path = path(&terms.serial, terms.channel);
        let asked = dpop::Request { method: METHOD, path: &path, token: Some(&hello.grant) };
        let proof = dpop::verify(&hello.proof, asked, now).ok();
        let proof = proof.filter(|proof| {
            proof.jti == B64.encode(nonce) && proof.key.thumbprint() == grant.terminal
        });
        proof.ok_or("the grant is another terminal's")?;
        let mut state = self.lock();
        let standing = state.standing.as_ref().ok_or("the camera does not seal now")?;
        if standing.binding_epoch != grant.binding_epoch {
            return Err("the camera has another owner since the grant was made");
        }
        let (sender, queue) = mpsc::channel(QUEUE);
        sender.try_send(standing.generation.clone()).expect("a new queue has room");
        state.viewers.push(Viewer { queue: sender, waits: true });
        Ok(queue)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A viewer's line.
async fn hello(stream: &mut TcpStream) -> std::io::Result<Hello> {
    let mut line = Vec::new();
    let bound = u64::try_from(MAX_HELLO).unwrap_or(u64::MAX);
    BufReader::new(stream.take(bound)).read_until(b'\n', &mut line).await?;
    serde_json::from_slice(&line).map_err(|_| std::io::ErrorKind::InvalidData.into())
}
