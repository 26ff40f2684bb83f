//! HTTP/2: taken where it is offered, for documents; and a server that floods.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use supercargo_registry::{Credential, Deadlines, Descriptor, ErrorKind, Registry, Retry, TransportConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::support::{app, digest, quick, target};
use crate::tls::https;
use crate::wire::{Wire, answer};

const PREFACE: usize = 24;

/// A frame of RFC 9113 §4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

/// A server that offers HTTP/2, answers nothing but `:status 200`, and then writes `flood` until nobody reads.
async fn flooding(authority: &Authority, headers: Vec<u8>, flood: Vec<u8>) -> u16 {
    let mut tls = authority.server("registry.test");
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut preface = [0; PREFACE];
            if stream.read_exact(&mut preface).await.is_err() {
                continue;
            }
            // The client's first stream is 1; its request need not be understood.
            let mut written = stream.write_all(&frame(SETTINGS, 0, 0, &[])).await;
            let mut request = vec![0; 16 << 10];
            let _ = stream.read(&mut request).await;
            written = written.and(stream.write_all(&frame(SETTINGS, 1, 0, &[])).await);
            written = written.and(stream.write_all(&headers).await);
            while written.is_ok() {
                written = stream.write_all(&flood).await;
            }
        }
    });
    port
}

fn config(authority: &Authority) -> TransportConfig {
    let short = Duration::from_millis(500);
    TransportConfig {
        ca_bundle: Some(authority.bundle()),
        deadlines: Deadlines {
            connect: Duration::from_secs(5),
            headers: short,
            stall: short,
            progress: short,
            document: short,
        },
        retry: Retry { attempts: 1, ..quick().retry },
        ..quick()
    }
}

#[tokio::test]
async fn floods_end() {
    let authority = Authority::new();
    // `:status 200` is the 8th entry of HPACK's static table (RFC 7541, appendix A).
    let status = frame(HEADERS, 4, 1, &[0x88]);
    let unfinished = frame(HEADERS, 0, 1, &[0x88]);
    for (name, headers, flood) in [
        ("empty data", status.clone(), frame(DATA, 0, 1, &[])),
        ("pings", status.clone(), frame(PING, 0, 0, &[0; 8])),
        ("settings", status, frame(SETTINGS, 0, 0, &[])),
        // CVE-2024-27316 and its relatives; a literal header of eight bytes each time (RFC 7541 §6.2.2).
        ("continuations", unfinished, frame(CONTINUATION, 0, 1, b"\x00\x03x-a\x03abc")),
    ] {
        let port = flooding(&authority, headers, flood.repeat(1000)).await;
        let registry = https(&format!("registry.test:{port}"), Credential::Anonymous, config(&authority));
        let read = async { registry.manifest(&app(), &target("latest")).await };
        let error = tokio::time::timeout(Duration::from_secs(20), read).await.expect(name).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Network | ErrorKind::Timeout), "{name}: {error}");
    }
}

/// A server that offers both versions and answers `{}`, and the version and path of each request.
async fn offering_both(authority: &Authority) -> (u16, Arc<Mutex<Vec<(Version, String)>>>) {
    let mut tls = authority.server("registry.test");
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let noted = Arc::clone(&noted);
            let service = service_fn(move |request: Request<Incoming>| {
                noted.lock().unwrap().push((request.version(), request.uri().path().to_owned()));
                std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from_static(
                    b"{}",
                )))))
            });
            tokio::spawn(async move {
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (port, seen)
}

#[tokio::test]
async fn documents_go_by_http_2_where_it_is_offered_and_blobs_do_not() {
    let authority = Authority::new();
    let (port, seen) = offering_both(&authority).await;
    let registry = https(&format!("registry.test:{port}"), Credential::Anonymous, config(&authority));
    registry.check().await.unwrap();
    registry.tags(&app()).try_collect::<Vec<_>>().await.unwrap();
    let blob = Descriptor::new("application/x-tar".into(), 2, digest(b"{}"));
    registry.blob(&app(), &blob, 0).await.unwrap().into_bytes(2).await.unwrap();
    for (version, path) in seen.lock().unwrap().iter() {
        let expected = if path.contains("/blobs/") { Version::HTTP_11 } else { Version::HTTP_2 };
        assert_eq!(*version, expected, "{path}");
    }
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn blobs_and_servers_without_it_go_by_http_1() {
    let authority = Authority::new();
    let mut tls = authority.server("registry.test");
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let server = Wire::start_with(Some(tls), |_| vec![answer("200 OK", "", "{}")]).await;
    let registry = https(&format!("registry.test:{}", server.port), Credential::Anonymous, config(&authority));
    registry.check().await.unwrap();
    let blob = Descriptor::new("application/x-tar".into(), 2, digest(b"{}"));
    registry.blob(&app(), &blob, 0).await.unwrap().into_bytes(2).await.unwrap();
    assert_eq!(server.heads().len(), 2);
}
