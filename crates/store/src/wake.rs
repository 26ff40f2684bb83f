//! Hints that there is work.

use std::time::Duration;

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct Wake(Notify);

impl Wake {
    pub(crate) fn ring(&self) {
        self.0.notify_waiters();
        // For the one that was about to wait.
        self.0.notify_one();
    }

    pub(crate) async fn wait(&self, at_most: Duration) {
        // Running out of time is the ordinary case of an idle queue.
        let _ = tokio::time::timeout(at_most, self.0.notified()).await;
    }
}
