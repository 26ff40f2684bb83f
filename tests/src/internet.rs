//! The internet behind a proxy: hosts of vendors, as the services of this machine that stand in for them.
//!
//! Programs that are told of the proxy and of its authority reach `https://sns.eu-west-1.amazonaws.com` and the like by
//! their own names, as they do where a company's proxy looks into what passes. Nothing leaves this machine: a host that
//! nobody stands in for is not reached.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Bytes of the request that asks for a way through.
const HEAD: usize = 8 << 10;

/// A proxy that knows some hosts.
#[derive(Debug)]
pub struct Internet {
    address: String,
    shared: Arc<Shared>,
    folder: TempDir,
    task: JoinHandle<()>,
}

struct Shared {
    issuer: CertifiedIssuer<'static, KeyPair>,
    routes: Mutex<Vec<(String, String)>>,
    asked: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("routes", &self.routes).finish_non_exhaustive()
    }
}

impl Internet {
    /// Starts the proxy. It knows nobody yet.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn start() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "supercargo tests");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("authority.pem"), issuer.pem())?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared { issuer, routes: Mutex::default(), asked: Mutex::default() });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, folder, task })
    }

    /// Has `upstream`, `host:port` of this machine, stand in for `host`; `*.example.com` for all below it that
    /// nobody else stands in for.
    pub fn route(&self, host: impl Into<String>, upstream: impl Into<String>) {
        lock(&self.shared.routes).push((host.into(), upstream.into()));
    }

    /// The file with the certificate of the authority that vouches for all hosts.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// What a program is told by its environment, so that it comes this way: supercargo, and the clouds' own programs.
    pub fn variables(&self) -> Vec<(String, String)> {
        let authority = self.authority().display().to_string();
        let files = ["SSL_CERT_FILE", "AWS_CA_BUNDLE"].map(|name| (name.to_owned(), authority.clone()));
        let proxy = ("HTTPS_PROXY".to_owned(), format!("http://{}", self.address));
        files.into_iter().chain([proxy]).collect()
    }

    /// Who stands in for `host`.
    pub fn upstream(&self, host: &str) -> Option<String> {
        self.shared.upstream(host)
    }

    /// The hosts that were asked for, each once, sorted.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = lock(&self.shared.asked).clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn upstream(&self, host: &str) -> Option<String> {
        let fits = |pattern: &str| pattern.strip_prefix('*').is_some_and(|end| host.ends_with(end));
        let routes = lock(&self.routes);
        let exact = routes.iter().find(|(pattern, _)| pattern == host);
        exact.or_else(|| routes.iter().find(|(pattern, _)| fits(pattern))).map(|(_, upstream)| upstream.clone())
    }

    /// What proves a server to be `host`.
    fn server(&self, host: &str) -> Result<TlsAcceptor> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([host.to_owned()])?.signed_by(&key, &self.issuer)?;
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut passing = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // Whoever goes away in the middle has no one to tell.
        passing.spawn(async move { pass(stream, &shared).await.ok() });
        while passing.try_join_next().is_some() {}
    }
}

/// Lets one connection through to whom it asks for.
async fn pass(mut stream: TcpStream, shared: &Shared) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < HEAD, "a request without an end");
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let host = target.and_then(|target| target.strip_suffix(":443")).unwrap_or_default();
    lock(&shared.asked).push(host.to_owned());
    let Some(upstream) = shared.upstream(host) else {
        stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await?;
        return Ok(());
    };
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    let mut inside = shared.server(host)?.accept(stream).await?;
    let mut outside = TcpStream::connect(&upstream).await.with_context(|| format!("connect to {upstream}"))?;
    copy_bidirectional(&mut inside, &mut outside).await?;
    Ok(())
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
