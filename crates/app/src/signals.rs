//! When to stop.

use std::future::Future;
use std::io;

use tokio::sync::watch;

use crate::{Error, Result};

/// The wish to stop, shared by everything that runs.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    sender: watch::Sender<bool>,
}

impl Stop {
    pub(crate) fn new() -> Self {
        Self { sender: watch::Sender::new(false) }
    }

    /// Asks everything to stop.
    pub(crate) fn ask(&self) {
        self.sender.send_replace(true);
    }

    /// Resolves when a stop was asked for.
    pub(crate) fn asked(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut receiver = self.sender.subscribe();
        async move {
            // An error says that nobody is left to ask, which is a stop as well.
            let _ = receiver.wait_for(|asked| *asked).await;
        }
    }
}

/// The signals by which a process is asked to end.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Takes the signals over from the operating system's own handling.
    pub(crate) fn listen() -> Result<Self> {
        let failed = |error: io::Error| Error::io("listen for signals", error);
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self {
                interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
                terminate: signal(SignalKind::terminate()).map_err(failed)?,
            })
        }
        #[cfg(not(unix))]
        {
            let _ = failed;
            Ok(Self {})
        }
    }

    /// The next signal's name.
    pub(crate) async fn next(&mut self) -> &'static str {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
        #[cfg(not(unix))]
        {
            // Without a handler the process simply ends; waiting is all that is left to do then.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            "Ctrl-C"
        }
    }

    /// The first signal asks for a stop; resolves with the second, for those who cannot wait.
    pub(crate) async fn supervise(&mut self, stop: &Stop) {
        let signal = self.next().await;
        tracing::info!(signal, "stopping; a second signal stops at once");
        stop.ask();
        self.next().await;
    }
}

/// The wish that configuration be read again (SIGHUP).
pub(crate) struct Hangup {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangup {
    pub(crate) fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Self { signal: signal(SignalKind::hangup()).ok() }
        }
        #[cfg(not(unix))]
        Self {}
    }

    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
