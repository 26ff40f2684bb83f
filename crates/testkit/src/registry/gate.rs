//! Connections that can be cut at will.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Whether connections carry anything.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: watch::Sender<bool>,
}

impl Gate {
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(crate) fn open(&self) {
        self.closed.send_replace(false);
    }

    fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Ends when the gate is closed, now or later.
    fn closing(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut closed = self.closed.subscribe();
        async move {
            // An error says that the gate is gone, and the server with it.
            let _ = closed.wait_for(|closed| *closed).await;
        }
    }
}

/// A listener whose connections stop at the gate.
#[derive(Debug)]
pub(crate) struct GatedListener {
    pub(crate) inner: TcpListener,
    pub(crate) gate: Arc<Gate>,
}

impl Listener for GatedListener {
    type Io = GatedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.inner.accept().await {
                // A closed gate drops the connection: the client sees it come up and go away.
                Ok(_) if self.gate.is_closed() => {}
                Ok((inner, address)) => {
                    // Small answers must not wait for the client's acknowledgement.
                    let _ = inner.set_nodelay(true);
                    let own = Arc::new(Gate::default());
                    let (all, this) = (Box::pin(self.gate.closing()), Box::pin(own.closing()));
                    let closing = Box::pin(async move {
                        futures_util::future::select(all, this).await;
                    });
                    return (GatedStream { inner, own, closing: Some(closing) }, address);
                }
                // Out of file descriptors: others have to close theirs first.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// A connection that is cut for good when the gate is closed, or its own, also while it waits.
pub(crate) struct GatedStream {
    inner: TcpStream,
    own: Arc<Gate>,
    closing: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl GatedStream {
    /// The gate of this connection alone.
    pub(crate) fn own_gate(&self) -> Arc<Gate> {
        Arc::clone(&self.own)
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.closing.as_mut().is_some_and(|closing| closing.as_mut().poll(context).is_pending()) {
            return Ok(());
        }
        // A future that has ended must not be polled again, and a cut connection stays cut.
        self.closing = None;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for GatedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for GatedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
