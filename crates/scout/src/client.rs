//! The client: credentials, addresses, and the way of an authorized call.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use tracing::{debug, warn};

use crate::config::Addresses;
use crate::http::{Answer, Call, Http};
use crate::token::{Exchange, Tokens};
use crate::transaction::{CorrelationId, Step, Transaction};
use crate::upload::ImageUpload;
use crate::{CredentialSource, Error, ErrorKind, Result, ScoutConfig, Secret, token};

static CORRELATION_ID: HeaderName = HeaderName::from_static("x-atomist-correlation-id");
static ORDERING_KEY: HeaderName = HeaderName::from_static("x-atomist-ordering-key");

/// A client of the Scout API, for one organization. Cheap to clone; the clones share connections and access token.
///
/// Every method signs in when it has to, renews the access token before it expires and once more if the service does not
/// accept it, and repeats what failed for a passing reason ([`Retry`](crate::Retry)). All of them have the same effect
/// twice as once.
#[derive(Clone, Debug)]
pub struct ScoutClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ScoutConfig,
    addresses: Addresses,
    http: Http,
    tokens: Tokens,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The ID of all its transactions.
    pub correlation_id: CorrelationId,
    /// Transactions that the service accepted.
    pub transactions: usize,
}

/// A transaction in its envelope (`atomist-skills/go-skill` `internal/types.go`, `ResponseMessage`).
#[derive(Serialize)]
struct Envelope<'a> {
    api_version: &'static str,
    correlation_id: &'a str,
    team: Team<'a>,
    #[serde(rename = "type")]
    kind: &'static str,
    entities: &'a str,
}

#[derive(Serialize)]
struct Team<'a> {
    id: &'a str,
}

impl ScoutClient {
    /// A client that is not signed in yet; nothing is sent before it must be.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if the configuration cannot be used.
    pub fn new(config: ScoutConfig, credentials: impl CredentialSource + 'static) -> Result<Self> {
        let addresses = Addresses::of(&config)?;
        let http = Http::new(&config)?;
        let tokens = Tokens::new(Arc::new(credentials));
        Ok(Self { inner: Arc::new(Inner { config, addresses, http, tokens }) })
    }

    /// The organization that everything is about.
    pub fn organization(&self) -> &str {
        &self.inner.config.organization
    }

    /// The configuration.
    pub fn config(&self) -> &ScoutConfig {
        &self.inner.config
    }

    /// Signs in, to see whether the credentials are good. No other method needs it to be called before.
    ///
    /// # Errors
    /// [`ErrorKind::Credential`] if there are none, [`ErrorKind::Unauthorized`] if they are not accepted.
    pub async fn sign_in(&self) -> Result<()> {
        self.inner.tokens.current(self.exchange()).await.map(drop)
    }

    pub(crate) fn addresses(&self) -> &Addresses {
        &self.inner.addresses
    }

    fn exchange(&self) -> Exchange<'_> {
        Exchange { http: &self.inner.http, url: &self.inner.addresses.token }
    }

    /// Sends `call` with an access token; once more with another one if `is_refused` says that this one is no good.
    pub(crate) async fn authorized(&self, call: &Call<'_>, is_refused: impl Fn(&Answer) -> bool) -> Result<Answer> {
        let Inner { http, tokens, .. } = &*self.inner;
        let token = tokens.current(self.exchange()).await.map_err(|error| error.during(call.operation))?;
        let answer = http.send(call, Some(&token.header)).await?;
        if !is_refused(&answer) {
            return Ok(answer);
        }
        let replaced = tokens.replaced(&token, self.exchange()).await;
        match replaced.map_err(|error| error.during(call.operation))? {
            Some(token) => {
                debug!(operation = call.operation, "the access token was not accepted and has been renewed");
                http.send(call, Some(&token.header)).await
            }
            None => Ok(answer),
        }
    }

    /// Sends `call` with the long-lived secret itself.
    pub(crate) async fn with_secret(&self, call: &Call<'_>) -> Result<Answer> {
        let secret: Secret = self.inner.tokens.secret().await.map_err(|error| error.during(call.operation))?;
        let header = token::raw_header(&secret).map_err(|error| error.during(call.operation))?;
        self.inner.http.send(call, Some(&header)).await
    }

    /// Tells the service of an image: its transactions, one after the other.
    ///
    /// A transaction that is refused for good ends the upload; the image's state is then set to failed, so that it does
    /// not seem to be on its way for ever. After an error that [may pass](Error::is_retryable) the same upload can be sent
    /// again, from its beginning: the transactions have the same IDs and say the same.
    ///
    /// # Errors
    /// That of the transaction that failed, with the upload's correlation ID.
    pub async fn upload(&self, upload: &ImageUpload<'_>) -> Result<Receipt> {
        let id = upload.correlation_id();
        let mut transactions = 0;
        for transaction in upload.transactions() {
            if let Err(error) = self.transact(id, &transaction).await {
                let is_refusal = matches!(error.kind(), ErrorKind::Rejected | ErrorKind::LimitExceeded);
                if is_refusal
                    && transaction.step != Step::Image
                    && let Err(also) = self.transact(id, &upload.failure()).await
                {
                    warn!(%id, error = %also, "the image's state at the service could not be set to failed");
                }
                return Err(error);
            }
            transactions += 1;
        }
        debug!(%id, transactions, "image uploaded");
        Ok(Receipt { correlation_id: id.clone(), transactions })
    }

    /// Sends one transaction. Those with the same ID are kept in the order in which they arrive: send the next one when
    /// this has returned.
    ///
    /// # Errors
    /// Those of any call; anything but 202 is one, as for the public client.
    pub async fn transact(&self, id: &CorrelationId, transaction: &Transaction) -> Result<()> {
        let config = &self.inner.config;
        let operation = format!("upload {} to {}", transaction.step, config.organization);
        let entities = transaction.to_edn();
        let envelope = Envelope {
            api_version: "2",
            correlation_id: id.as_str(),
            team: Team { id: config.team.as_deref().unwrap_or(&config.organization) },
            kind: "facts_ingestion",
            entities: &entities,
        };
        let failed = |error: Error| error.during(&operation).with_correlation_id(Some(id.to_string()));
        let body = serde_json::to_vec(&envelope)
            .map_err(|error| failed(Error::new(ErrorKind::Malformed, "write the request").with_source(error)))?;
        let mut call = Call::post_json(&operation, &self.inner.addresses.upload, body);
        // Nothing is known of what it answers; nothing of it is read.
        call.cap = 64 << 10;
        let value = HeaderValue::from_str(id.as_str())
            .map_err(|error| failed(Error::new(ErrorKind::Malformed, "write the ID").with_source(error)))?;
        call.headers.insert(CORRELATION_ID.clone(), value.clone());
        call.headers.insert(ORDERING_KEY.clone(), value);
        let answer = self
            .authorized(&call, |answer| answer.status == StatusCode::UNAUTHORIZED)
            .await
            .map_err(|error| error.with_correlation_id(Some(id.to_string())))?;
        if answer.status == StatusCode::ACCEPTED {
            return Ok(());
        }
        Err(failed(answer.into_error()))
    }

    /// Pages of something as a stream of what is on them.
    pub(crate) fn pages<T, F, Fut>(&self, fetch: F) -> BoxStream<'static, Result<T>>
    where
        T: Send + 'static,
        F: Fn(Self, i64) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<(Vec<T>, Option<i64>)>> + Send,
    {
        let state = Some((self.clone(), 1, fetch));
        stream::try_unfold(state, |state| async move {
            let Some((client, page, fetch)) = state else { return Ok(None) };
            let (items, next) = fetch(client.clone(), page).await?;
            // A service that says the same page comes next would keep us for ever.
            let next = next.filter(|next| *next > page);
            let items = stream::iter(items.into_iter().map(Ok));
            Ok(Some((items, next.map(|next| (client, next, fetch)))))
        })
        .boxed()
        .flat_map(|page| match page {
            Ok(items) => items.left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        })
        .boxed()
    }
}
