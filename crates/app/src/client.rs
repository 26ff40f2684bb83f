//! Calls of our own, to a server that somebody named.

use std::sync::Arc;
use std::time::Duration;

use rustls_platform_verifier::BuilderVerifierExt as _;
use url::Url;

use crate::{Environment, Error, Result, proxy};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client for `address`: the machine's certificates and proxy, and no redirects. What it is given goes to the address
/// that was named, and nowhere else.
pub(crate) fn client(address: &str, environment: &Environment) -> Result<reqwest::Client> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| Error::failed("set up the client", error);
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(|error| failed(error.into()))?
        .with_no_client_auth();
    let url: Url = address.parse().map_err(|_| Error::usage(vec![format!("{address:?} is no address")]))?;
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .http1_only()
        .no_proxy()
        .timeout(PATIENCE);
    if let Some(proxy) = proxy::of_url(&url, environment) {
        builder = builder.proxy(reqwest::Proxy::all(proxy.expose()).map_err(|error| failed(error.into()))?);
    }
    builder.build().map_err(|error| failed(error.into()))
}
