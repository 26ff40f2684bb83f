//! A server that writes whatever bytes a test wants, over TLS or not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What is done after a request was read.
pub(crate) enum Act {
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Writes these bytes again and again, with this pause between, until nobody reads.
    Forever(Vec<u8>, Duration),
    /// Keeps the connection and says nothing more.
    Hold,
    /// Hangs up.
    Close,
}

pub(crate) fn write(text: impl AsRef<[u8]>) -> Act {
    Act::Write(text.as_ref().to_vec())
}

/// A whole answer, after which the connection stays.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Act {
    write(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()))
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) text: String,
    /// The client showed a certificate.
    pub(crate) identified: bool,
}

impl Head {
    pub(crate) fn path(&self) -> &str {
        self.text.split(' ').nth(1).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A running server. It ends with the test.
pub(crate) struct Wire {
    pub(crate) port: u16,
    heads: Arc<Mutex<Vec<Head>>>,
    task: JoinHandle<()>,
}

impl Wire {
    pub(crate) async fn start(script: impl Fn(&Head) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::start_with(None, script).await
    }

    pub(crate) async fn start_with(
        tls: Option<rustls::ServerConfig>,
        script: impl Fn(&Head) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (script, seen) = (Arc::new(script), Arc::clone(&heads));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, seen, acceptor) = (Arc::clone(&script), Arc::clone(&seen), acceptor.clone());
                connections.spawn(async move {
                    match acceptor {
                        None => converse(stream, false, &*script, &seen).await,
                        Some(acceptor) => {
                            // A client that does not trust us hangs up.
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            let identified = stream.get_ref().1.peer_certificates().is_some();
                            converse(stream, identified, &*script, &seen).await;
                        }
                    }
                });
            }
        });
        Self { port, heads, task }
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn heads(&self) -> Vec<Head> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    identified: bool,
    script: &(dyn Fn(&Head) -> Vec<Act> + Send + Sync),
    seen: &Mutex<Vec<Head>>,
) {
    loop {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            text.push(byte);
        }
        let head = Head { text: String::from_utf8_lossy(&text).into_owned(), identified };
        seen.lock().unwrap().push(head.clone());
        for act in script(&head) {
            match act {
                Act::Write(bytes) => {
                    if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                }
                Act::Forever(bytes, pause) => loop {
                    if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                },
                Act::Hold => std::future::pending().await,
                Act::Close => {
                    let _ = stream.shutdown().await;
                    return;
                }
            }
        }
    }
}
