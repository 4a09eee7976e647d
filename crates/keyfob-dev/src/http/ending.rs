//! Notifies connections that the server is stopping.

use tokio::sync::watch;

/// Held by a connection while it lives: the server waits for it when it stops.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) stopped: watch::Receiver<bool>,
    pub(crate) _alive: watch::Receiver<()>,
}

impl Ending {
    /// Waits until the server is asked to stop.
    pub(crate) async fn stopped(&mut self) {
        // An error means that the server is gone, which is the same.
        let _ = self.stopped.wait_for(|stop| *stop).await;
    }
}
