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
use reqwest::{Client, NoProxy, Proxy};
use url::Url;

use crate::distribution::{Deadlines, TransportConfig, client_config, transport_error};
use crate::secret::redacted;
use crate::{Error, ErrorKind, Result};

/// Bytes of an answer. A page of 1000 images with some tags each takes one MiB; an image may have 1000 tags.
const ANSWER: usize = 64 << 20;

/// Where credentials of this machine are asked for: the metadata services of EC2, ECS and EKS Pod Identity. They answer
/// on this machine alone, and a proxy would be handed what they say.
const NEVER_PROXIED: &str = "169.254.0.0/16,fd00:ec2::/32,127.0.0.0/8,::1,localhost";

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
        if let Some(address) = &config.proxy {
            let proxy = Proxy::all(address.expose())
                .map_err(|_| Error::new(ErrorKind::Configuration, "read proxy: it is not an http:// address"))?;
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(NEVER_PROXIED)));
        }
        let client = builder
            .build()
            .map_err(|error| Error::new(ErrorKind::Configuration, "set up the client").with_source(error))?;
        Ok(Self { client, deadlines: config.deadlines })
    }
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
