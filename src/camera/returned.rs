//! A camera that was away may have missed that somebody was removed. So with each connection it asks
//! for the list in force before anything leaves, whatever it knew before.

use tokio::sync::{mpsc, oneshot};

/// Told when the list in force is known and obeyed.
pub(crate) type Done = oneshot::Sender<()>;

/// Asks the keeper of the secret.
pub(crate) struct Returned(mpsc::Sender<Done>);

impl Returned {
    /// With the keeper's end.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Done>) {
        let (sender, asked) = mpsc::channel(1);
        (Self(sender), asked)
    }

    /// Waits until the keeper has asked the server, and whoever seals has heard the answer.
    pub(crate) async fn wait(&self) {
        let (done, told) = oneshot::channel();
        if self.0.send(done).await.is_err() || told.await.is_err() {
            // The camera ends: nothing is to leave it any more.
            std::future::pending::<()>().await;
        }
    }
}
