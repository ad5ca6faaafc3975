//! News of a device: the server tells over the publishing connection that the device stands
//! differently, and the camera asks what there is. Without such a connection a long poll waits for news.
//!
//! A camera that publishes needs no second connection that waits beside it, and hears of a removed
//! viewer as soon as that one.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::api::{Api, ApiError, DeviceKnown, DeviceState};

/// Longest time without a question while the server tells by itself.
pub const ASK_ANYWAY: Duration = Duration::from_secs(300);
/// Shortest time between two questions, however often the server tells something.
pub const ASK_PAUSE: Duration = Duration::from_millis(200);

/// What the server tells over a camera's publishing connections: clones of one tell the same [`News`].
#[derive(Clone, Debug, Default)]
pub struct Told(watch::Sender<Option<u64>>);

impl Told {
    /// Hears what is told.
    pub fn news(&self) -> News {
        News { told: self.0.subscribe(), asked: None }
    }

    /// The server has told over a connection that there may be news. The first time says that it tells.
    pub(crate) fn hear(&self) {
        self.0.send_modify(|times| *times = Some(times.map_or(0, |times| times + 1)));
    }

    /// Waits for a number of times that something was told.
    #[cfg(test)]
    pub(crate) async fn until(&self, is: impl FnMut(&Option<u64>) -> bool) {
        self.0.subscribe().wait_for(is).await.expect("the sender is here");
    }

    /// No connection tells anything any more.
    pub(crate) fn silence(&self) {
        self.0.send_replace(None);
    }
}

/// Hears what a server tells.
#[derive(Debug)]
pub struct News {
    told: watch::Receiver<Option<u64>>,
    asked: Option<Instant>,
}

impl News {
    /// Waits until the server answers something else than `known`. While no connection tells, that
    /// is an answer of the long poll, which has a time limit. May be given up at any time.
    ///
    /// # Errors
    /// The server was asked and did not answer, or refused.
    pub async fn wait(&mut self, api: &Api, known: &DeviceKnown) -> Result<DeviceState, ApiError> {
        self.wait_by(known, |known| async move { api.device_poll(&known).await }).await
    }

    async fn wait_by<Asked, E>(
        &mut self,
        known: &DeviceKnown,
        ask: impl Fn(DeviceKnown) -> Asked,
    ) -> Result<DeviceState, E>
    where
        Asked: Future<Output = Result<DeviceState, E>>,
    {
        loop {
            if self.told.borrow_and_update().is_none() {
                tokio::select! {
                    answer = ask(*known) => return answer,
                    // A connection tells now: the open question is given up.
                    Ok(()) = self.told.changed() => continue,
                }
            }
            if let Some(asked) = self.asked {
                sleep_until(asked + ASK_PAUSE).await;
            }
            self.asked = Some(Instant::now());
            let state = ask(known.asking_at_once()).await?;
            if !known.agrees_with(&state) {
                return Ok(state);
            }
            tokio::select! {
                Ok(()) = self.told.changed() => {}
                () = sleep(ASK_ANYWAY) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
