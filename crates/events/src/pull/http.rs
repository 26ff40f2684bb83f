//! What the clients of all queues have in common: rustls with ring and the machine's certificates, HTTP/1.1, no
//! redirects.

use std::sync::Arc;
use std::time::Duration;

use rustls_platform_verifier::BuilderVerifierExt as _;

use super::PullError;

const CONNECT: Duration = Duration::from_secs(10);

/// The beginning of a client.
///
/// # Errors
///
/// If the machine's certificates cannot be used.
pub(super) fn builder() -> Result<reqwest::ClientBuilder, PullError> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(broken)?
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .http1_only()
        .connect_timeout(CONNECT))
}

/// A client that could not be set up.
pub(super) fn broken(error: impl std::error::Error + Send + Sync + 'static) -> PullError {
    PullError::lasting("set up the client of a queue").with_source(error)
}
