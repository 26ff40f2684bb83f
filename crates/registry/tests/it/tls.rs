//! TLS as registries have it: certificates of a private authority, of nobody, and for another name.

use std::sync::Arc;

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use supercargo_registry::{Credential, ErrorKind, OciRegistry, Registry, Retry, TransportConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{open_with, quick};

/// An authority of one's own.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    fn bundle(&self) -> Bytes {
        self.issuer.pem().into()
    }

    /// A server on this machine with a certificate for `name` that answers every request with 200.
    async fn serve(&self, name: &str) -> u16 {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(certificate.der().to_vec())],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not trust us hangs up.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = vec![0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").await;
                let _ = stream.shutdown().await;
            }
        });
        port
    }
}

fn registry(host: &str, config: TransportConfig) -> OciRegistry {
    let retry = Retry { attempts: 1, ..quick().retry };
    open_with(host, Credential::Anonymous, &TransportConfig { retry, plain_http: Some(false), ..config })
}

#[tokio::test]
async fn a_private_authority_is_trusted_by_its_bundle_only() {
    let authority = Authority::new();
    let port = authority.serve("registry.test").await;
    let host = format!("registry.test:{port}");
    let trusting = TransportConfig { ca_bundle: Some(authority.bundle()), ..quick() };
    registry(&host, trusting.clone()).check().await.unwrap();

    let error = registry(&host, quick()).check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
    assert!(!error.is_retryable());
    assert!(error.hint().unwrap().contains("ca-file"), "{error:?}");

    let other = TransportConfig { ca_bundle: Some(Authority::new().bundle()), ..quick() };
    assert_eq!(registry(&host, other).check().await.unwrap_err().kind(), ErrorKind::Refused);
    // The certificate is for another name.
    let error = registry(&format!("localhost:{port}"), trusting).check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn any_certificate_is_taken_when_asked_to() {
    let port = Authority::new().serve("registry.test").await;
    let careless = TransportConfig { insecure_skip_verify: true, ..quick() };
    registry(&format!("localhost:{port}"), careless).check().await.unwrap();
}
