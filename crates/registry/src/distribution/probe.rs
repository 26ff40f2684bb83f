//! The way to a registry, one step at a time: what the [diagnosis](crate::Diagnosis) looks at.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use http::header::DATE;
use jiff::Timestamp;
use reqwest::StatusCode;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, ProtocolVersion, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::certificate::Certificate;
use super::challenge::{self, Challenge};
use super::client::DistributionClient;
use super::connect::Proxy;
use super::guard::Forbidden;
use super::tls;
use super::transport::Request;
use crate::secret::redacted;
use crate::{Error, ErrorKind, Result};

/// Bytes of a proxy's answer to `CONNECT`.
const TUNNEL: usize = 8 << 10;

/// What a handshake showed.
pub(crate) struct Handshake {
    pub(crate) version: Option<ProtocolVersion>,
    pub(crate) http2: bool,
    pub(crate) certificate: Option<Certificate>,
}

/// A handshake that failed, with the certificate that was shown.
pub(crate) struct BrokenHandshake {
    pub(crate) error: Error,
    pub(crate) certificate: Option<Certificate>,
}

/// What the registry says to a stranger.
pub(crate) struct Greeting {
    pub(crate) status: StatusCode,
    pub(crate) challenge: Option<Challenge>,
    /// How far this machine's clock is behind the registry's, in seconds.
    pub(crate) behind: Option<i64>,
}

impl DistributionClient {
    /// The address at which everything begins.
    pub(crate) fn base(&self) -> &Url {
        &self.inner.base
    }

    /// The proxy that the registry is reached through.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if its address is none.
    pub(crate) fn proxy(&self) -> Result<Option<Url>> {
        let config = &self.inner.config;
        let proxy = config.proxy.as_ref().map(Proxy::parse).transpose()?;
        Ok(proxy.map(|proxy| proxy.url).filter(|_| !config.no_proxy.covers_url(self.base())))
    }

    /// The addresses of the host that is connected to: the proxy's, if there is one.
    pub(crate) async fn probe_name(&self, next: &Url) -> Result<Vec<IpAddr>> {
        let host = match next.host() {
            Some(Host::Ipv4(address)) => return Ok(vec![address.into()]),
            Some(Host::Ipv6(address)) => return Ok(vec![address.into()]),
            Some(Host::Domain(name)) => name.to_owned(),
            None => String::new(),
        };
        let lookup = self.inner.transport.guard.addresses(&host);
        match tokio::time::timeout(self.inner.transport.deadlines.connect, lookup).await {
            Err(_) => Err(Error::new(ErrorKind::Timeout, format!("resolve {host}"))),
            Ok(Ok(addresses)) if addresses.is_empty() => {
                Err(Error::new(ErrorKind::Network, format!("resolve {host}: it has no address")))
            }
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => match Forbidden::among(&*error) {
                Some(forbidden) => Err(forbidden.to_error(next)),
                None => Err(Error::new(ErrorKind::Network, format!("resolve {host}")).with_source(error)),
            },
        }
    }

    /// A connection to the first of `addresses` that takes one.
    pub(crate) async fn probe_connection(&self, next: &Url, addresses: &[IpAddr]) -> Result<(TcpStream, SocketAddr)> {
        let port = next.port_or_known_default().unwrap_or_default();
        let mut last = Error::new(ErrorKind::Network, format!("connect to {}", redacted(next)));
        for address in addresses.iter().map(|address| SocketAddr::new(*address, port)) {
            let connecting = TcpStream::connect(address);
            match tokio::time::timeout(self.inner.transport.deadlines.connect, connecting).await {
                Ok(Ok(stream)) => return Ok((stream, address)),
                Ok(Err(error)) => {
                    last = Error::new(ErrorKind::Network, format!("connect to {address}")).with_source(error);
                }
                Err(_) => last = Error::new(ErrorKind::Timeout, format!("connect to {address}")),
            }
        }
        Err(last)
    }

    /// Asks the proxy for a way to the registry.
    pub(crate) async fn probe_tunnel(&self, stream: &mut TcpStream, proxy: &Url) -> Result<()> {
        let deadline = self.inner.transport.deadlines.connect;
        let talk = tokio::time::timeout(deadline, self.tunnel(stream, proxy)).await;
        talk.unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, format!("wait for the proxy {}", redacted(proxy)))))
    }

    async fn tunnel(&self, stream: &mut TcpStream, proxy: &Url) -> Result<()> {
        let base = self.base();
        let target = format!("{}:{}", base.host_str().unwrap_or_default(), base.port_or_known_default().unwrap_or(443));
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(password) = proxy.password() {
            let pair = format!("{}:{}", decoded(proxy.username()), decoded(password));
            let pair = base64::engine::general_purpose::STANDARD.encode(pair);
            request.push_str(&format!("Proxy-Authorization: Basic {pair}\r\n"));
        }
        request.push_str("\r\n");
        let broken = |error: std::io::Error| {
            Error::new(ErrorKind::Network, format!("talk to the proxy {}", redacted(proxy))).with_source(error)
        };
        stream.write_all(request.as_bytes()).await.map_err(broken)?;
        let mut answer = Vec::new();
        // Byte by byte: what follows the head is the registry's handshake.
        while !answer.ends_with(b"\r\n\r\n") && answer.len() < TUNNEL {
            answer.push(stream.read_u8().await.map_err(broken)?);
        }
        let text = String::from_utf8_lossy(&answer);
        match text.split(' ').nth(1) {
            Some(status) if status.starts_with('2') => Ok(()),
            status => {
                let status = crate::secret::printable(status.unwrap_or("nothing"), 20);
                Err(Error::new(ErrorKind::Network, format!("reach {target}: the proxy answers {status}")))
            }
        }
    }

    /// The TLS handshake, with what the certificate says of itself whether it is good or not.
    pub(crate) async fn probe_tls(&self, stream: TcpStream) -> Result<Handshake, BrokenHandshake> {
        let plain = |error| BrokenHandshake { error, certificate: None };
        let config = &self.inner.config;
        let mut tls = tls::client_config(config, config.client_identity.as_ref()).map_err(plain)?;
        let provider = Arc::clone(tls.crypto_provider());
        let verifier = tls::verifier(config, &provider).map_err(plain)?;
        let recorder = Arc::new(Recorder { verifier, seen: Mutex::default() });
        tls.dangerous().set_certificate_verifier(Arc::<Recorder>::clone(&recorder));
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let host = self.base().host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let about = format!("greet {}", redacted(self.base()));
        let name = ServerName::try_from(host)
            .map_err(|error| plain(Error::new(ErrorKind::Malformed, &about).with_source(error)))?;
        let handshake = TlsConnector::from(Arc::new(tls)).connect(name, stream);
        let outcome = tokio::time::timeout(self.inner.transport.deadlines.connect, handshake).await;
        let certificate = recorder.certificate();
        match outcome {
            Ok(Ok(stream)) => {
                let (_, session) = stream.get_ref();
                let http2 = session.alpn_protocol() == Some(b"h2");
                Ok(Handshake { version: session.protocol_version(), http2, certificate })
            }
            Ok(Err(error)) => {
                let advice = tls::advice(&error);
                let mut told = Error::new(ErrorKind::Refused, about).with_source(error);
                if let Some(advice) = advice {
                    told = told.with_hint(advice);
                }
                Err(BrokenHandshake { error: told, certificate })
            }
            Err(_) => Err(BrokenHandshake { error: Error::new(ErrorKind::Timeout, about), certificate }),
        }
    }

    /// What `/v2/` answers to a stranger.
    pub(crate) async fn probe_greeting(&self) -> Result<Greeting> {
        let asked = Instant::now();
        let answer = self.inner.transport.send(&Request::get(self.base().clone()), None).await?;
        let travelled = asked.elapsed() / 2;
        let date = answer.headers().get(DATE).and_then(|value| value.to_str().ok());
        let date = date.and_then(|text| jiff::fmt::rfc2822::parse(text).ok()).map(|date| date.timestamp());
        Ok(Greeting {
            status: answer.status(),
            challenge: challenge::select(answer.headers()),
            behind: date.map(|date| behind(date, Timestamp::now(), travelled)),
        })
    }
}

/// A part of an address without its percent signs.
fn decoded(text: &str) -> String {
    // A form would have a plus mean a space; an address does not.
    let text = format!("={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(text.as_bytes()).map(|(_, value)| value.into_owned()).collect()
}

/// Seconds that `now` is behind `date`, which was written some time ago and has whole seconds.
fn behind(date: Timestamp, now: Timestamp, travelled: Duration) -> i64 {
    let there = date.as_second() + i64::try_from(travelled.as_secs()).unwrap_or_default();
    let difference = there - now.as_second();
    // The header is cut to its second, so it may look one late.
    if difference == -1 { 0 } else { difference }
}

/// Keeps the certificate that it is asked about.
#[derive(Debug)]
struct Recorder {
    verifier: Arc<dyn ServerCertVerifier>,
    seen: Mutex<Option<CertificateDer<'static>>>,
}

impl Recorder {
    fn certificate(&self) -> Option<Certificate> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Certificate::read(seen.as_ref()?)
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(end_entity.clone().into_owned());
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let check = |date: &str, now: &str, travelled: u64, expected: i64| {
            assert_eq!(behind(at(date), at(now), Duration::from_secs(travelled)), expected, "{date} {now}");
        };
        check("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.9Z", 0, 0);
        check("2026-01-01T00:00:00Z", "2026-01-01T00:00:01.1Z", 0, 0);
        check("2026-01-01T00:01:00Z", "2026-01-01T00:00:00Z", 0, 60);
        check("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", 0, -60);
        check("2026-01-01T00:00:00Z", "2026-01-01T00:00:04Z", 4, 0);
    }
}
