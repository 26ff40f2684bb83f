//! Connections that are encrypted.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use supercargo_server::{Access, ErrorKind, Socket, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use crate::kit::Kit;

struct Certificate {
    pem: String,
    key: String,
    der: CertificateDer<'static>,
}

fn certificate() -> Certificate {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Certificate { pem: cert.pem(), key: signing_key.serialize_pem(), der: cert.der().clone() }
}

/// The answer to a request from somebody who trusts one certificate.
async fn get(address: SocketAddr, trusted: &Certificate) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await?;
    let mut answer = Vec::new();
    // Whoever answers HTTP/1.0 may end the connection without a goodbye.
    let _ = stream.read_to_end(&mut answer).await;
    Ok(String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn a_certificate_is_served_and_replaced() {
    let (old, new) = (certificate(), certificate());
    let tls = Tls::new(old.pem.as_bytes(), old.key.as_bytes()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let kit = Kit::new(Access::Loopback).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = kit.server.serve(Socket::with_tls(listener, tls.clone()), async {
        let _ = stopped.await;
    });
    let asking = async {
        assert!(get(address, &old).await.unwrap().ends_with("ok\n"));
        // Somebody who does not get beyond the handshake holds up nobody.
        let _silent = TcpStream::connect(address).await.unwrap();
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await.unwrap();
        assert!(get(address, &new).await.is_err(), "the new one is not in use yet");

        tls.replace(new.pem.as_bytes(), new.key.as_bytes()).unwrap();
        assert!(get(address, &new).await.unwrap().ends_with("ok\n"));
        // A key of another certificate is refused, and what is in use stays.
        let error = tls.replace(old.pem.as_bytes(), new.key.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Certificate);
        assert!(get(address, &new).await.is_ok());
        drop(stop);
    };
    let (served, ()) = tokio::join!(serving, asking);
    served.unwrap();
}

#[test]
fn what_is_no_certificate() {
    let good = certificate();
    for (pem, key) in [("", good.key.as_str()), ("hello", &good.key), (&good.pem, ""), (&good.pem, &good.pem)] {
        assert_eq!(Tls::new(pem.as_bytes(), key.as_bytes()).unwrap_err().kind(), ErrorKind::Certificate);
    }
}
