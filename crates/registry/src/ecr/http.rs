//! The SDK's requests over this crate's HTTP client: one TLS stack in the program, and the certificates, the proxy
//! and the deadlines that the registry was configured with.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use reqwest::redirect::Policy;
use reqwest::{Client, Proxy};
use url::Url;

use crate::distribution::{Deadlines, NoProxy, TransportConfig, client_config, transport_error};
use crate::secret::redacted;
use crate::{Error, ErrorKind, Result};

/// Bytes of an answer. A page of 1000 images with some tags each takes one MiB; an image may have 1000 tags.
const ANSWER: usize = 64 << 20;

/// Where credentials of this machine are asked for: the metadata services of EC2, ECS and EKS Pod Identity. They answer
/// on this machine alone, and a proxy would be handed what they say. (What is on the machine itself is never proxied.)
const NEVER_PROXIED: &str = "169.254.0.0/16,fd00:ec2::/32";

/// The HTTP client of the SDK's services.
#[derive(Clone, Debug)]
pub(super) struct SdkHttp {
    client: Client,
    deadlines: Deadlines,
}

impl SdkHttp {
    pub(super) fn new(config: &TransportConfig) -> Result<Self> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(client_config(config, None)?)
            // The services redirect nobody, and a signature is good for one address.
            .redirect(Policy::none())
            .referer(false)
            .http1_only()
            .connect_timeout(config.deadlines.connect)
            .no_proxy();
        if let Some(way) = way(config)? {
            builder = builder.proxy(Proxy::custom(way));
        }
        let client = builder
            .build()
            .map_err(|error| Error::new(ErrorKind::Configuration, "set up the client").with_source(error))?;
        Ok(Self { client, deadlines: config.deadlines })
    }
}

/// Which proxy is on the way to an address, if one is.
fn way(config: &TransportConfig) -> Result<Option<impl Fn(&Url) -> Option<Url> + Send + Sync + 'static>> {
    let Some(address) = &config.proxy else { return Ok(None) };
    let proxy = Url::parse(address.expose())
        .map_err(|_| Error::new(ErrorKind::Configuration, "read proxy: it is not an http:// address"))?;
    let (never, exempt) = (NEVER_PROXIED.parse::<NoProxy>()?, config.no_proxy.clone());
    Ok(Some(move |to: &Url| (!never.covers_url(to) && !exempt.covers_url(to)).then(|| proxy.clone())))
}

impl HttpClient for SdkHttp {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        // The metadata services are given a second each: most machines have none, and should not wait for it.
        let connect = settings.connect_timeout().unwrap_or(self.deadlines.connect);
        let headers = connect + settings.read_timeout().unwrap_or(self.deadlines.headers);
        SharedHttpConnector::new(Connector { http: self.clone(), headers })
    }
}

#[derive(Clone, Debug)]
struct Connector {
    http: SdkHttp,
    /// For a connection and an answer's headers.
    headers: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { connector.exchange(request).await })
    }
}

impl Connector {
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let (url, request) = outgoing(request)?;
        let answer = match tokio::time::timeout(self.headers, self.http.client.execute(request)).await {
            Ok(answer) => answer.map_err(|error| failed(transport_error(&url, error)))?,
            Err(_) => return Err(failed(late(&url))),
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = match tokio::time::timeout(self.http.deadlines.document, collect(answer, &url)).await {
            Ok(body) => body.map_err(failed)?,
            Err(_) => return Err(failed(late(&url))),
        };
        let mut response = http::Response::new(SdkBody::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
    }
}

fn outgoing(request: HttpRequest) -> Result<(Url, reqwest::Request), ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let url = Url::parse(&parts.uri.to_string()).map_err(|error| ConnectorError::user(error.into()))?;
    let body = body.bytes().ok_or_else(|| ConnectorError::user("the request's body is a stream".into()))?.to_vec();
    let mut outgoing = reqwest::Request::new(parts.method, url.clone());
    *outgoing.headers_mut() = parts.headers;
    *outgoing.body_mut() = Some(body.into());
    Ok((url, outgoing))
}

async fn collect(mut answer: reqwest::Response, url: &Url) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| transport_error(url, error))? {
        if chunk.len() > ANSWER - bytes.len() {
            let message = format!("read {}: more than {ANSWER} bytes", redacted(url));
            return Err(Error::new(ErrorKind::LimitExceeded, message));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn late(url: &Url) -> Error {
    Error::new(ErrorKind::Timeout, format!("wait for an answer of {}", redacted(url)))
}

/// This crate's error as the SDK wants it, which decides by its sort whether to try again. `error.rs` finds it again.
fn failed(error: Error) -> ConnectorError {
    match error.kind() {
        ErrorKind::Timeout => ConnectorError::timeout(error.into()),
        ErrorKind::Network => ConnectorError::io(error.into()),
        _ => ConnectorError::user(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[test]
    fn what_is_exempt_is_asked_directly() {
        let check = |exempt: &str, to: &str, proxied: bool| {
            let config = TransportConfig {
                proxy: Some(Secret::from("http://user:word@proxy.test:3128".to_owned())),
                no_proxy: exempt.parse().unwrap(),
                ..TransportConfig::default()
            };
            let way = way(&config).unwrap().unwrap();
            let found = way(&Url::parse(to).unwrap());
            assert_eq!(found.is_some(), proxied, "{to} with {exempt:?}");
        };
        check("", "https://api.ecr.eu-west-1.amazonaws.com/", true);
        check(".amazonaws.com", "https://api.ecr.eu-west-1.amazonaws.com/", false);
        check(".amazonaws.com", "https://sts.eu-west-1.amazonaws.com/", false);
        check("other.test", "https://sts.eu-west-1.amazonaws.com/", true);
        check("", "http://169.254.169.254/latest/meta-data/", false);
        check("", "http://[fd00:ec2::254]/latest/meta-data/", false);
        check("", "http://127.0.0.1:51679/creds", false);
    }

    #[test]
    fn without_a_proxy_there_is_none() {
        assert!(way(&TransportConfig::default()).unwrap().is_none());
    }
}
