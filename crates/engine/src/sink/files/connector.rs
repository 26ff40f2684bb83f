//! The clouds' stores over our own HTTP client: one TLS stack, and no features of `reqwest` that blobs must not see.

use http_body_util::BodyExt as _;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use supercargo_registry::{Destinations, ErrorKind, Outbound, OutboundConfig};

/// Bytes of an answer: entries of the index, and pages of lists.
const ANSWER: usize = 8 << 20;

#[derive(Debug)]
pub(super) struct Connector;

#[derive(Debug)]
struct Client(Outbound);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let config = OutboundConfig {
            // Credentials of machines and containers come from metadata services of the link.
            destinations: Destinations::Everywhere,
            // The setting `allow_http`, which object_store also uses where it asks those services.
            plain_http: options.get_config_value(&ClientConfigKey::AllowHttp).as_deref() == Some("true"),
            timeout: std::time::Duration::from_secs(120),
            answer_size: ANSWER,
            ..OutboundConfig::default()
        };
        let client = Outbound::new(&config)
            .map_err(|error| object_store::Error::Generic { store: "HTTP", source: Box::new(error) })?;
        Ok(HttpClient::new(Client(client)))
    }
}

#[async_trait::async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let answer = self.0.send(http::Request::from_parts(head, body)).await.map_err(|error| {
            let kind = match error.kind() {
                ErrorKind::Timeout => HttpErrorKind::Timeout,
                ErrorKind::Network => HttpErrorKind::Connect,
                _ => HttpErrorKind::Unknown,
            };
            HttpError::new(kind, error)
        })?;
        Ok(answer.map(Into::into))
    }
}
