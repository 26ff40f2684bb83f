//! HTTP for the cloud's SDK.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use super::{PullError, http as client};

/// Bytes of an answer: ten messages of 1 MiB, the largest that there are, as JSON in JSON.
const ANSWER: usize = 32 << 20;
/// A long poll takes twenty seconds by itself.
const PATIENCE: Duration = Duration::from_secs(40);

/// The HTTP client of the SDK's services.
#[derive(Clone, Debug)]
pub(super) struct SdkHttp {
    client: reqwest::Client,
}

impl SdkHttp {
    pub(super) fn new() -> Result<Self, PullError> {
        let client = client::builder()?.build().map_err(client::broken)?;
        Ok(Self { client })
    }
}

impl HttpClient for SdkHttp {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        // The metadata services are given a second each: most machines have none, and should not wait for it. The
        // services' own deadline for an answer is for its first byte, which a long poll sends late.
        let patience = match (settings.connect_timeout(), settings.read_timeout()) {
            (Some(connect), Some(read)) => connect + read,
            _ => PATIENCE,
        };
        SharedHttpConnector::new(Connector { http: self.clone(), patience })
    }
}

#[derive(Clone, Debug)]
struct Connector {
    http: SdkHttp,
    patience: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move {
            match tokio::time::timeout(connector.patience, connector.exchange(request)).await {
                Ok(answer) => answer,
                Err(late) => Err(ConnectorError::timeout(late.into())),
            }
        })
    }
}

impl Connector {
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (parts, body) = request.into_parts();
        let body = body.bytes().ok_or_else(|| ConnectorError::user("the request's body is a stream".into()))?.to_vec();
        let url = reqwest::Url::parse(&parts.uri.to_string()).map_err(|error| ConnectorError::user(error.into()))?;
        let mut outgoing = reqwest::Request::new(parts.method, url);
        *outgoing.headers_mut() = parts.headers;
        *outgoing.body_mut() = Some(body.into());
        let mut answer = self.http.client.execute(outgoing).await.map_err(failed)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if chunk.len() > ANSWER - bytes.len() {
                return Err(ConnectorError::user("the answer is too large".into()));
            }
            bytes.extend_from_slice(&chunk);
        }
        let mut response = http::Response::new(SdkBody::from(bytes));
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
    }
}

/// The error as the SDK wants it, which decides by its sort whether to try again.
fn failed(error: reqwest::Error) -> ConnectorError {
    if error.is_timeout() { ConnectorError::timeout(error.into()) } else { ConnectorError::io(error.into()) }
}
