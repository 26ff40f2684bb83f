//! Sites by their real names, on this machine: behind a proxy that knows where they are.

use std::collections::HashMap;
use std::sync::Arc;

use supercargo_registry::{Credential, OciRegistry, Secret, TransportConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::authority::Authority;
use crate::support::{open_with, quick};
use crate::wire::{Act, Head, Wire};

pub(crate) struct Internet {
    port: u16,
    authority: Authority,
    sites: Arc<HashMap<&'static str, Wire>>,
    task: JoinHandle<()>,
}

/// What a site does with a request.
pub(crate) type Script = fn(&Head) -> Vec<Act>;

impl Internet {
    pub(crate) async fn of<const N: usize>(scripts: [(&'static str, Script); N]) -> Self {
        let authority = Authority::new();
        let mut sites = HashMap::new();
        for (host, script) in scripts {
            sites.insert(host, Wire::start_with(Some(authority.server(host)), script).await);
        }
        let sites = Arc::new(sites);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let known = Arc::clone(&sites);
        let task = tokio::spawn(async move {
            let mut tunnels = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tunnels.spawn(tunnel(stream, Arc::clone(&known)));
            }
        });
        Self { port, authority, sites, task }
    }

    pub(crate) fn open(&self, host: &str, credential: Credential) -> OciRegistry {
        let config = TransportConfig {
            ca_bundle: Some(self.authority.bundle()),
            proxy: Some(Secret::new(format!("http://127.0.0.1:{}", self.port))),
            ..quick()
        };
        open_with(host, credential, &config)
    }

    /// The requests that a site saw.
    pub(crate) fn seen(&self, host: &str) -> Vec<Head> {
        self.sites[host].heads()
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tunnel(mut stream: TcpStream, sites: Arc<HashMap<&'static str, Wire>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let host = head.strip_prefix("CONNECT ").and_then(|rest| rest.split_once(":443 ")).map(|(host, _)| host);
    let Some(site) = host.and_then(|host| sites.get(host)) else {
        let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
        return;
    };
    let Ok(mut there) = TcpStream::connect(("127.0.0.1", site.port)).await else { return };
    if stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok() {
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut there).await;
    }
}
