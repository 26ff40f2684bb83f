//! The way to Microsoft Entra, and to the metadata service of a machine.
//!
//! It is not the registry's transport: that one goes where the registry leads, and is kept from metadata services.
//! This one goes to the addresses of the configuration and of Azure's libraries alone, follows no redirect, and
//! does not share `insecure-skip-verify`: what goes over it is worth more than the registry.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::request::Body;
use azure_core::http::{
    AsyncRawResponse, ClientOptions, ExponentialRetryOptions, HttpClient, Method, Request, RetryOptions, Transport,
};
use reqwest::redirect::Policy;
use url::{Host, Url};

use crate::distribution::{Retry, TransportConfig, client_config};
use crate::{ErrorKind as Kind, Result};

/// Bytes of an answer. Tokens of people in many groups reach 20 KiB.
const ANSWER: usize = 128 << 10;
/// For a request with its answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// For the probe of a metadata service, which answers from the machine below within milliseconds, or not at all.
const PROBE: Duration = Duration::from_secs(1);
const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2019-08-01";

/// Our client as Azure's libraries take one: without decompression and a second TLS stack, which theirs brings.
#[derive(Debug)]
pub(super) struct EntraClient {
    direct: reqwest::Client,
    proxied: Option<reqwest::Client>,
}

impl EntraClient {
    /// A client with the registry's certificates, proxy and deadlines.
    ///
    /// # Errors
    /// [`Configuration`](Kind::Configuration) if they cannot be used.
    pub(super) fn new(config: &TransportConfig) -> Result<Self> {
        let bad =
            |error| crate::Error::new(Kind::Configuration, "set up the way to Microsoft Entra").with_source(error);
        // Whatever the registry's certificate is: secrets go to Entra.
        let verified = TransportConfig { insecure_skip_verify: false, ..config.clone() };
        let builder = || {
            Ok(reqwest::Client::builder()
                .tls_backend_preconfigured(client_config(&verified, None)?)
                .redirect(Policy::none())
                .referer(false)
                .http1_only()
                .connect_timeout(config.deadlines.connect)
                .timeout(PATIENCE)
                .no_proxy())
        };
        let direct = builder()?.build().map_err(bad)?;
        let proxied = match &config.proxy {
            Some(address) => {
                let proxy = Url::parse(address.expose())
                    .map_err(|_| crate::Error::new(Kind::Configuration, "read proxy: it is not an http:// address"))?;
                let exempt = config.no_proxy.clone();
                let way = move |to: &Url| (!exempt.covers_url(to)).then(|| proxy.clone());
                Some(builder()?.proxy(reqwest::Proxy::custom(way)).build().map_err(bad)?)
            }
            None => None,
        };
        Ok(Self { direct, proxied })
    }

    /// The proxy is for the way out; metadata services are on this machine or right below it.
    fn client(&self, url: &Url) -> &reqwest::Client {
        let near = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback() || address.is_link_local(),
            Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unicast_link_local(),
            Some(Host::Domain(name)) => name == "localhost",
            None => true,
        };
        self.proxied.as_ref().filter(|_| !near).unwrap_or(&self.direct)
    }
}

#[async_trait]
impl HttpClient for EntraClient {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes())
            .map_err(|error| Error::with_error(ErrorKind::Other, error, "an unknown method"))?;
        let mut outgoing = self.client(request.url()).request(method, request.url().clone());
        for (name, value) in request.headers().iter() {
            outgoing = outgoing.header(name.as_str(), value.as_str());
        }
        outgoing = match request.body() {
            Body::Bytes(bytes) => outgoing.body(bytes.clone()),
            Body::SeekableStream(_) => return Err(Error::with_message(ErrorKind::Other, "a body that is a stream")),
        };
        let host = request.url().host_str().unwrap_or_default();
        // Addresses are left out of what is shown: their query names the identity.
        let failed = |error: reqwest::Error| {
            let kind = if error.is_connect() { ErrorKind::Connection } else { ErrorKind::Io };
            Error::with_error(kind, error.without_url(), format!("{host} does not answer"))
        };
        let mut response = outgoing.send().await.map_err(failed)?;
        let headers: Headers = response
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                let value = value.to_str().ok()?.to_owned();
                Some((HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value)))
            })
            .collect::<std::collections::HashMap<_, _>>()
            .into();
        let status = response.status().as_u16().into();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > ANSWER {
                return Err(Error::with_message(
                    ErrorKind::Other,
                    format!("{host} answers with more than {ANSWER} bytes"),
                ));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(AsyncRawResponse::from_bytes(status, headers, bytes))
    }
}

/// Whether a metadata service answers on this machine. Without its header it answers with 400, which is enough;
/// elsewhere nothing answers, and Azure's library would try for more than a minute.
pub(super) async fn has_metadata_service(client: &dyn HttpClient) -> bool {
    let url = Url::parse(METADATA).expect("a constant address");
    let request = Request::new(url, Method::Get);
    matches!(tokio::time::timeout(PROBE, client.execute_request(&request)).await, Ok(Ok(_)))
}

/// What every credential of Azure's library is made with.
pub(super) fn client_options(client: &Arc<dyn HttpClient>, authority: &Url, retry: Retry) -> ClientOptions {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = authority.as_str().to_owned();
    ClientOptions {
        transport: Some(Transport::new(Arc::clone(client))),
        cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
        retry: RetryOptions::exponential(ExponentialRetryOptions {
            initial_delay: retry.base.try_into().unwrap_or_default(),
            max_retries: retry.attempts.saturating_sub(1),
            max_delay: retry.cap.try_into().unwrap_or_default(),
            ..ExponentialRetryOptions::default()
        }),
        ..ClientOptions::default()
    }
}
