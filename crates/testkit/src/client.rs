//! Pushing and deleting through the distribution protocol, as a client does.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::http_client::{self, Outgoing, Reply};
use crate::registry::encode;
use crate::{Artifact, Blob, Error, ErrorKind, Result};

/// Bytes per `PATCH`: a layer of some size goes up in several chunks, as from real clients.
const CHUNK: usize = 8 << 20;

/// A user name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    username: String,
    password: String,
}

impl Credentials {
    /// Credentials.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: password.into() }
    }

    /// Whether this is the password.
    pub(crate) fn has_password(&self, password: &str) -> bool {
        self.password == password
    }

    /// The value of the `Authorization` header.
    pub(crate) fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.username, self.password)))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A client of a registry that is reached over plain HTTP.
///
/// # Examples
///
/// ```no_run
/// # async fn example(image: supercargo_testkit::Image) -> supercargo_testkit::Result<()> {
/// use supercargo_testkit::{Client, Credentials};
///
/// let client = Client::new("127.0.0.1:5000").with_credentials(Credentials::new("robot", "secret"));
/// client.push(&image, "team/app", "1.0").await?;
/// client.delete("team/app", image.digest()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    host: String,
    credentials: Option<Credentials>,
}

impl Client {
    /// A client of the registry at `host[:port]`.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into(), credentials: None }
    }

    /// Signs in with these credentials when the registry asks for some.
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Pushes everything that `artifact` names, and its root under `tag`. Blobs that are there
    /// already are not sent again.
    ///
    /// # Errors
    ///
    /// If the registry cannot be reached, or refuses a blob or a manifest.
    pub async fn push(&self, artifact: &dyn Artifact, repository: &str, tag: &str) -> Result<()> {
        let mut session = Session { client: self, authorization: None };
        for blob in artifact.blobs() {
            session.push_blob(repository, blob).await?;
        }
        for manifest in artifact.manifests() {
            let reference = if manifest.digest() == artifact.root().digest() { tag } else { manifest.digest() };
            let headers = [("Content-Type".to_owned(), manifest.descriptor.media_type.clone())];
            let path = format!("/v2/{repository}/manifests/{reference}");
            session.expect("push a manifest", "PUT", &path, &headers, &manifest.bytes).await?;
        }
        Ok(())
    }

    /// Deletes a tag, or a manifest by its digest.
    ///
    /// # Errors
    ///
    /// If the registry cannot be reached or refuses.
    pub async fn delete(&self, repository: &str, reference: &str) -> Result<()> {
        let mut session = Session { client: self, authorization: None };
        session
            .expect("delete a manifest", "DELETE", &format!("/v2/{repository}/manifests/{reference}"), &[], b"")
            .await?;
        Ok(())
    }
}

/// A few requests that share what the registry asked for.
struct Session<'a> {
    client: &'a Client,
    authorization: Option<String>,
}

impl Session<'_> {
    async fn push_blob(&mut self, repository: &str, blob: &Blob) -> Result<()> {
        const OPERATION: &str = "push a blob";
        let present = self.send("HEAD", &format!("/v2/{repository}/blobs/{}", blob.digest()), &[], b"").await?;
        if present.status == 200 {
            return Ok(());
        }
        let started = self.expect(OPERATION, "POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"").await?;
        let mut location = self.location(&started)?;
        let mut sent = 0;
        for chunk in blob.bytes.chunks(CHUNK) {
            let headers = [
                ("Content-Type".to_owned(), "application/octet-stream".to_owned()),
                ("Content-Range".to_owned(), format!("{sent}-{}", sent + chunk.len() - 1)),
            ];
            let accepted = self.expect(OPERATION, "PATCH", &location, &headers, chunk).await?;
            location = self.location(&accepted)?;
            sent += chunk.len();
        }
        let separator = if location.contains('?') { '&' } else { '?' };
        let path = format!("{location}{separator}digest={}", encode(blob.digest()));
        self.expect(OPERATION, "PUT", &path, &[], b"").await?;
        Ok(())
    }

    /// The path that an upload goes on at; registries give it with or without their host.
    fn location(&self, reply: &Reply) -> Result<String> {
        let missing = || Error::new(ErrorKind::Protocol, "find the location of an upload", &*self.client.host);
        let location = reply.header("location").ok_or_else(missing)?;
        match location.split_once("://") {
            None => Ok(location.to_owned()),
            Some((_, rest)) => rest.find('/').map(|slash| rest[slash..].to_owned()).ok_or_else(missing),
        }
    }

    /// Sends a request that must end with 2xx.
    async fn expect(
        &mut self,
        operation: &'static str,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Reply> {
        let reply = self.send(method, path, headers, body).await?;
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        let reason: String = String::from_utf8_lossy(&reply.body).chars().take(300).collect();
        let after = reply.header("retry-after").and_then(|value| value.parse().ok()).map(Duration::from_secs);
        let context = format!("{method} {path}: status {}: {reason}", reply.status);
        Err(Error::new(ErrorKind::Refused, operation, context).with_retry_after(after))
    }

    /// Sends a request, and once more if the registry asked for credentials.
    async fn send(&mut self, method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> Result<Reply> {
        let reply = self.send_once(method, path, headers, body).await?;
        if reply.status != 401 {
            return Ok(reply);
        }
        let Some(challenge) = reply.header("www-authenticate").map(str::to_owned) else { return Ok(reply) };
        let Some(authorization) = self.answer(&challenge).await? else { return Ok(reply) };
        self.authorization = Some(authorization);
        self.send_once(method, path, headers, body).await
    }

    async fn send_once(&self, method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> Result<Reply> {
        let mut headers = headers.to_vec();
        headers.extend(self.authorization.iter().map(|value| ("Authorization".to_owned(), value.clone())));
        http_client::send(Outgoing { authority: &self.client.host, method, path, headers: &headers, body }).await
    }

    /// What to answer to a challenge; nothing if there is no way.
    async fn answer(&self, challenge: &str) -> Result<Option<String>> {
        let basic = self.client.credentials.as_ref().map(Credentials::basic);
        let Some(parameters) = challenge.strip_prefix("Bearer ") else { return Ok(basic) };
        let value = |name: &str| {
            let start = parameters.find(&format!("{name}=\""))? + name.len() + 2;
            parameters[start..].split('"').next()
        };
        let unusable = || Error::new(ErrorKind::Protocol, "answer the challenge of a registry", challenge);
        let (authority, path) =
            value("realm").and_then(|realm| realm.strip_prefix("http://")?.split_once('/')).ok_or_else(unusable)?;
        let mut path = format!("/{path}?service={}", encode(value("service").unwrap_or_default()));
        if let Some(scope) = value("scope") {
            path.push_str(&format!("&scope={}", encode(scope)));
        }
        let headers: Vec<_> = basic.into_iter().map(|value| ("Authorization".to_owned(), value)).collect();
        let reply =
            http_client::send(Outgoing { authority, method: "GET", path: &path, headers: &headers, body: b"" }).await?;
        if reply.status != 200 {
            let context = format!("{authority}: status {}", reply.status);
            return Err(Error::new(ErrorKind::Refused, "get a token", context));
        }
        let answer: serde_json::Value =
            serde_json::from_slice(&reply.body).map_err(|error| unusable().with_source(error))?;
        let token = answer["token"].as_str().or_else(|| answer["access_token"].as_str()).ok_or_else(unusable)?;
        Ok(Some(format!("Bearer {token}")))
    }
}
