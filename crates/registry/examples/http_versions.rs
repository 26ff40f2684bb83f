//! How fast blobs and small documents come over HTTP/1.1 and over HTTP/2, from a server on this machine over TLS.
//!
//! `cargo run -p supercargo-registry --example http_versions`. The figures are in docs/performance.md.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for the one who runs it")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;

/// Layers of an image, read side by side.
const BLOBS: usize = 4;
const BLOB: usize = 128 << 20;
const CHUNK: usize = 64 << 10;
/// A poll of as many tags, sixteen requests at a time.
const DOCUMENTS: usize = 2000;
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    let (address, certificate, connections) = serve().await;
    for (name, protocols) in [("HTTP/1.1", &["http/1.1"][..]), ("HTTP/2", &["h2", "http/1.1"])] {
        let mut blobs = Vec::new();
        let mut documents = Vec::new();
        connections.store(0, Ordering::Relaxed);
        let client = client(&certificate, protocols);
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let lengths = join_all((0..BLOBS).map(|_| read(&client, format!("https://{address}/blob")))).await;
            assert_eq!(lengths.iter().sum::<usize>(), BLOBS * BLOB);
            blobs.push(started.elapsed());
            let started = Instant::now();
            let asked = stream::iter(0..DOCUMENTS).map(|_| read(&client, format!("https://{address}/document")));
            assert_eq!(asked.buffer_unordered(16).count().await, DOCUMENTS);
            documents.push(started.elapsed());
        }
        let rate = (BLOBS * BLOB) as f64 / median(&mut blobs).as_secs_f64() / 1e6;
        let each = DOCUMENTS as f64 / median(&mut documents).as_secs_f64();
        let connections = connections.load(Ordering::Relaxed);
        println!("{name:<9} {rate:>6.0} MB/s of blobs, {each:>6.0} documents a second, {connections} connections");
    }
}

async fn read(client: &reqwest::Client, url: String) -> usize {
    let mut response = client.get(url).send().await.unwrap();
    let mut count = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        count += chunk.len();
    }
    count
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn client(certificate: &rustls::pki_types::CertificateDer<'static>, protocols: &[&str]) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
}

async fn serve() -> (String, rustls::pki_types::CertificateDer<'static>, Arc<AtomicUsize>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(|request: Request<Incoming>| async move {
                    let count = if request.uri().path() == "/blob" { BLOB / CHUNK } else { 1 };
                    let size = if count == 1 { 500 } else { CHUNK };
                    let chunk = Bytes::from(vec![7; size]);
                    let frames = stream::iter((0..count).map(move |_| Ok::<_, Infallible>(Frame::data(chunk.clone()))));
                    Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
                });
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (address, certificate, connections)
}
