//! The client of a product's REST API.

use std::sync::Arc;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use url::Url;

use super::Careful;
use crate::credential::{Credential, CredentialProvider};
use crate::distribution::{Answer, Request, Transport, TransportConfig, basic_header, bearer_header};
use crate::secret::redacted;
use crate::{Error, ErrorKind, RegistryHost, Result};

/// Bytes of one answer. A page of Nexus has a hundred components of a few KiB, one of Artifactory a thousand rows.
const ANSWER: usize = 16 << 20;

/// A client of the API at one address. Credentials are sent unasked: these servers show strangers a part, and never
/// ask.
#[derive(Debug)]
pub(crate) struct ApiClient {
    base: Url,
    host: RegistryHost,
    transport: Transport,
    credentials: Arc<Careful>,
}

impl ApiClient {
    /// The API at `base` of the registry `host`.
    pub(crate) fn new(
        base: Url,
        host: RegistryHost,
        credentials: Arc<Careful>,
        config: &TransportConfig,
    ) -> Result<Self> {
        let transport = Transport::new(&base, config)?;
        Ok(Self { base, host, transport, credentials })
    }

    /// The address of `path`, which is encoded already, with `query`.
    pub(crate) fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// A document, and the headers that came with it.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if it is not of the expected form, which is also what a login page is.
    pub(crate) async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<(T, HeaderMap)> {
        let request = Request::get(url).header(ACCEPT, HeaderValue::from_static("application/json"));
        read(self.send(&request).await?).await
    }

    /// A document for a text that is sent.
    #[cfg(feature = "artifactory")]
    pub(crate) async fn post_text<T: DeserializeOwned>(&self, url: Url, text: String) -> Result<T> {
        let request = Request::new(http::Method::POST, url)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))
            .body(text);
        Ok(read(self.send(&request).await?).await?.0)
    }

    /// Sends `request` with the API's credential, and once more if that is refused and there is another by then.
    async fn send(&self, request: &Request) -> Result<Answer> {
        let credential = self.credentials.api_credential(&self.host).await?;
        let outcome = match self.credentials.prove(&credential, self.attempt(request, &credential)).await {
            Some(outcome) => outcome,
            None => self.attempt(request, &credential).await,
        };
        let error = match outcome {
            Err(error) if error.kind() == ErrorKind::Unauthorized && !credential.is_anonymous() => error,
            outcome => return outcome,
        };
        let another = match self.credentials.api_credential(&self.host).await {
            Ok(another) if another.identity() != credential.identity() => another,
            _ => return Err(error),
        };
        self.attempt(request, &another).await
    }

    async fn attempt(&self, request: &Request, credential: &Credential) -> Result<Answer> {
        let outcome = self.exchange(request, credential).await;
        if outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unauthorized) && !credential.is_anonymous() {
            self.credentials.refuse(&self.host, credential).await?;
        }
        outcome
    }

    async fn exchange(&self, request: &Request, credential: &Credential) -> Result<Answer> {
        let header = match credential {
            Credential::Anonymous => None,
            Credential::Basic { username, password } => Some(basic_header(username, password)?),
            Credential::Bearer { token } => Some(bearer_header(token.expose())?),
            Credential::Identity { .. } => {
                return Err(Error::new(
                    ErrorKind::Credential,
                    format!(
                        "sign in to the API of {}: an identity token of docker's is for registries only",
                        self.host
                    ),
                )
                .with_hint("give a user and a password or an access token"));
            }
        };
        let answer = self.transport.send(request, header.as_ref()).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let at_home = answer.is_at_home();
        let error = answer.into_error().await;
        Err(match (error.kind(), credential) {
            (ErrorKind::Unauthorized, _) if !at_home => {
                Error::new(ErrorKind::Refused, "it redirects to another host, which wants credentials")
                    .with_source(error)
            }
            (ErrorKind::Unauthorized, Credential::Anonymous) => {
                error.with_hint(format!("give credentials, or sign in with: docker login {}", self.host))
            }
            (ErrorKind::Unauthorized, _) => error.with_hint("are the credentials still good?"),
            (ErrorKind::Denied, Credential::Anonymous) => {
                error.with_hint(format!("nobody is signed in to {}; give credentials", self.host))
            }
            _ => error,
        })
    }
}

async fn read<T: DeserializeOwned>(answer: Answer) -> Result<(T, HeaderMap)> {
    let (headers, address) = (answer.headers().clone(), redacted(answer.url()));
    let bytes = answer.document(ANSWER).await?;
    let read = serde_json::from_slice(&bytes).map_err(|error| {
        Error::new(ErrorKind::Malformed, format!("read {address}: it is not what this API answers"))
            .with_source(error)
            .with_hint("is `api` the address of the product's REST API?")
    })?;
    Ok((read, headers))
}
