//! Somebody who sends notifications, one after the other on one connection, as registries do.

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::Reply;

/// A connection that deliveries are sent on.
#[derive(Debug)]
pub struct Sender {
    stream: BufReader<TcpStream>,
    address: String,
}

impl Sender {
    /// Connects to `host:port`.
    ///
    /// # Errors
    ///
    /// If nobody listens.
    pub async fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), address: address.to_owned() })
    }

    /// Sends a POST and waits for its answer; the status. `headers` are whole lines, each with its line break.
    ///
    /// # Errors
    ///
    /// If the connection breaks before there is an answer.
    pub async fn post(&mut self, path: &str, headers: &str, body: &str) -> Result<u16> {
        Ok(self.ask(path, headers, body).await?.status)
    }

    /// The same; the answer.
    ///
    /// # Errors
    ///
    /// If the connection breaks before there is an answer.
    pub async fn ask(&mut self, path: &str, headers: &str, body: &str) -> Result<Reply> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            self.address,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let status = self.line().await?.split(' ').nth(1).context("an answer without a status")?.parse()?;
        let mut length = 0;
        loop {
            let line = self.line().await?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut rest = vec![0; length];
        self.stream.read_exact(&mut rest).await?;
        Ok(Reply { status, body: String::from_utf8(rest)? })
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        anyhow::ensure!(self.stream.read_line(&mut line).await? > 0, "the connection ended");
        Ok(line.trim_end().to_owned())
    }
}

/// A push of a tag as CNCF Distribution tells it.
pub fn push_event(id: &str, host: &str, repository: &str, tag: &str) -> String {
    serde_json::json!({"events": [{
        "id": id,
        "timestamp": "2026-11-22T10:00:00Z",
        "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "size": 1234,
            "repository": repository,
            "tag": tag,
            "url": format!("http://{host}/v2/{repository}/manifests/{tag}"),
        },
        "request": {"id": id, "addr": "10.0.0.7:4711", "host": host, "method": "PUT", "useragent": "docker/28.1.1"},
        "actor": {"name": "ci"},
        "source": {"addr": "registry-0:5000", "instanceID": "a53db899-3b4b-4a62-a067-8dd013beaca4"},
    }]})
    .to_string()
}
