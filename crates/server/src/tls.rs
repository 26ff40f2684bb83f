//! TLS, for servers without a proxy before them.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use crate::{Error, Result};

/// A certificate with its key, for connections that come in. It can be replaced while connections are served; cheap
/// to clone, and clones are replaced together.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// TLS 1.2 and 1.3 with the certificate and those that lead to its authority, and the key, both in PEM form.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Certificate`](crate::ErrorKind::Certificate) if they are not in that form or do not belong together.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Self> {
        Ok(Self { config: Arc::new(RwLock::new(config(certificates, key)?)) })
    }

    /// Uses another certificate for the connections that come from now on.
    ///
    /// # Errors
    ///
    /// As for [`Tls::new`]; the one that is in use stays.
    pub fn replace(&self, certificates: &[u8], key: &[u8]) -> Result<()> {
        let config = config(certificates, key)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// The connection on `stream`. The handshake is made when somebody reads, so that a slow one holds up nobody.
    pub(crate) fn accept(&self, stream: TcpStream) -> Transport {
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        Transport::Handshake(Box::new(TlsAcceptor::from(config).accept(stream)))
    }
}

fn config(certificates: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>> {
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificates)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| Error::certificate("read the certificate: it is not in PEM form").with_source(error))?;
    if certificates.is_empty() {
        return Err(Error::certificate("read the certificate: there is none in it"));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| Error::certificate("read the certificate's key: it is not in PEM form").with_source(error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::certificate("set up TLS").with_source(error))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| Error::certificate("use the certificate with its key").with_source(error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The bytes of a connection, encrypted or not.
pub(crate) enum Transport {
    Plain(TcpStream),
    Handshake(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
    /// The handshake failed.
    Broken,
}

impl Transport {
    fn poll_established(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Self::Handshake(handshake) = self {
            match ready!(Pin::new(&mut **handshake).poll(context)) {
                Ok(stream) => *self = Self::Tls(Box::new(stream)),
                Err(error) => {
                    *self = Self::Broken;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn broken<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_established(context))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Handshake(_) | Self::Broken => broken(),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_established(context))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Handshake(_) | Self::Broken => broken(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_established(context))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Handshake(_) | Self::Broken => broken(),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            // Nothing was said that would have to be ended.
            Self::Handshake(_) | Self::Broken => Poll::Ready(Ok(())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_established(context))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Handshake(_) | Self::Broken => broken(),
        }
    }
}
