//! Asking the watcher, as a user's script does.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: String,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// If it is something else.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("status {}, not JSON: {}", self.status, self.body))
    }
}

/// Sends a GET. HTTP/1.0 keeps the answer in one piece, so that nothing but its head has to be read.
///
/// # Errors
///
/// If nobody answers.
pub async fn get(address: &str, path: &str) -> Result<Reply> {
    get_as("", address, path).await
}

/// The same as the bearer of a token; without one if it is empty.
///
/// # Errors
///
/// If nobody answers.
pub async fn get_as(token: &str, address: &str, path: &str) -> Result<Reply> {
    let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: */*\r\n{authorization}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        anyhow::Ok(String::from_utf8(answer)?)
    };
    let answer = tokio::time::timeout(PATIENCE, exchange)
        .await
        .with_context(|| format!("GET http://{address}{path} was not answered in {PATIENCE:?}"))?
        .with_context(|| format!("GET http://{address}{path}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a head")?;
    let status = head.split(' ').nth(1).context("an answer without a status")?.parse()?;
    Ok(Reply { status, body: body.to_owned() })
}

/// The API of a running watcher.
#[derive(Debug, Clone)]
pub struct Api {
    address: String,
}

impl Api {
    /// The API at `host:port`.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into() }
    }

    /// The answer to a GET, whatever its status.
    ///
    /// # Errors
    ///
    /// If nobody answers.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        get(&self.address, path).await
    }

    /// The document at a path.
    ///
    /// # Errors
    ///
    /// If the status is another than 200, or nobody answers.
    pub async fn document(&self, path: &str) -> Result<Value> {
        let reply = self.get(path).await?;
        ensure!(reply.status == 200, "{path}: status {}: {}", reply.status, reply.body);
        reply.json()
    }

    /// The items of a list; the lists of these tests fit on one page.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or has a further page.
    pub async fn items(&self, path: &str) -> Result<Vec<Value>> {
        let document = self.document(path).await?;
        ensure!(document["next"].is_null(), "{path} goes on: {document}");
        Ok(document["items"].as_array().with_context(|| format!("{path} has no items: {document}"))?.clone())
    }

    /// The images that are there now.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn images(&self) -> Result<Vec<Value>> {
        self.items("/v1/images").await
    }

    /// An image, whole.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub async fn image(&self, digest: &str) -> Result<Value> {
        self.document(&format!("/v1/images/{digest}")).await
    }

    /// The places of an image, `repository:tag` or `repository`, sorted.
    ///
    /// # Errors
    ///
    /// If the image is not there.
    pub async fn places(&self, digest: &str) -> Result<Vec<String>> {
        let image = self.image(digest).await?;
        let places = image["places"].as_array().with_context(|| format!("an image without places: {image}"))?;
        let text = |place: &Value| match (place["repository"].as_str(), place["tag"].as_str()) {
            (Some(repository), Some(tag)) => format!("{repository}:{tag}"),
            (repository, _) => repository.unwrap_or_default().to_owned(),
        };
        let mut places: Vec<String> = places.iter().map(text).collect();
        places.sort();
        Ok(places)
    }

    /// What went wrong and still is wrong.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn failures(&self) -> Result<Vec<Value>> {
        self.items("/v1/failures").await
    }

    /// What the watcher did since it started, by name (`indexed`, `known`, `passes`, …).
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn count(&self, name: &str) -> Result<u64> {
        let queue = self.document("/v1/queue").await?;
        queue["counters"][name].as_u64().with_context(|| format!("the queue does not count `{name}`: {queue}"))
    }
}
