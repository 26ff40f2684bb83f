//! What products offer on the registry's own host beside the distribution protocol.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use serde::Deserialize;
use url::Url;

use super::auth::Scope;
use super::client::DistributionClient;
use super::pages::{Pages, names};
use super::token::{basic_header, bearer_header};
use super::transport::Request;
use crate::{Error, ErrorKind, Result, Secret};

/// Bytes of an answer to a form: a token, mostly.
const FORM_ANSWER: usize = 64 << 10;

impl DistributionClient {
    /// A list of the product's own at `path` of the registry's host, page by page, under the rules of all lists.
    pub(crate) fn product_list<T, I>(
        &self,
        path: &str,
        query: &str,
        scope: Scope,
        pick: fn(T) -> Vec<I>,
    ) -> BoxStream<'static, Result<I>>
    where
        T: for<'de> Deserialize<'de> + 'static,
        I: Send + 'static,
    {
        let mut first = self.product_url(path);
        first.set_query(Some(query));
        names(Pages::new(self.clone(), first, scope), pick)
    }

    /// Posts a form to `path` of the registry's host. What is secret in it goes there and nowhere else: a redirect
    /// of it is refused.
    pub(crate) async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Result<Bytes> {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::new(Method::POST, self.product_url(path))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
            .body(form);
        let answer = self.inner.transport.send(&request, None).await?;
        if !answer.status().is_success() {
            return Err(answer.into_error().await);
        }
        answer.document(FORM_ANSWER).await
    }

    /// Signs in as `docker login` does: a token for nothing in particular from the token service at `path`, and the
    /// registry's own word that it is good. That a token may be had for nothing is known of this form only.
    pub(crate) async fn log_in(&self, path: &str, service: &str, user: &str, password: &Secret) -> Result<()> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: String,
        }
        let mut url = self.product_url(path);
        url.query_pairs_mut().append_pair("service", service).append_pair("client_id", "supercargo");
        let bytes = self.get_with(url, &basic_header(user, password)?).await?;
        let answer: Answer = serde_json::from_slice(&bytes)
            .map_err(|_| Error::new(ErrorKind::Malformed, "read the token: the answer holds none"))?;
        self.get_with(self.inner.base.clone(), &bearer_header(&answer.access_token)?).await.map(drop)
    }

    async fn get_with(&self, url: Url, header: &HeaderValue) -> Result<Bytes> {
        let answer = self.inner.transport.send(&Request::get(url), Some(header)).await?;
        if !answer.status().is_success() {
            return Err(answer.into_error().await);
        }
        answer.document(FORM_ANSWER).await
    }

    fn product_url(&self, path: &str) -> Url {
        let mut url = self.inner.base.clone();
        url.set_path(path);
        url
    }
}
