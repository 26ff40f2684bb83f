//! From a request to what answers it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{Method, StatusCode, header};

use super::access::Catalog;
use super::list;
use super::server::Shared;
use super::sign_in::{Caller, exchange, token};
use crate::RequestRecord;
use crate::registry::{self, Refusal, Route, is_tag, lock};

/// The largest form.
const FORM: usize = 1 << 20;

pub(super) async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let due = lock(&shared.faults).next(&parts);
    let mut response = match due {
        Some(response) => response,
        None => answer(&shared, &parts, body).await.unwrap_or_else(Refusal::into_response),
    };
    if parts.method == Method::HEAD && !response.status().is_success() {
        *response.body_mut() = Body::empty();
    }
    lock(&shared.log).push(RequestRecord::new(&parts, response.status()));
    response
}

async fn answer(shared: &Arc<Shared>, parts: &Parts, body: Body) -> Result<Response, Refusal> {
    if shared.firewall.load(Ordering::SeqCst) {
        let said =
            "client with IP '127.0.0.1' is not allowed access. Refer https://aka.ms/acr/firewall to grant access.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "DENIED", said));
    }
    let path = parts.uri.path();
    if let "/oauth2/exchange" | "/oauth2/token" = path {
        let bytes = axum::body::to_bytes(body, FORM)
            .await
            .map_err(|error| Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", error.to_string()))?;
        let form = String::from_utf8_lossy(&bytes);
        return if path.ends_with("token") { token(shared, parts, &form) } else { exchange(shared, parts, &form) };
    }
    let caller = shared.caller(parts);
    if let Some(rest) = path.strip_prefix("/acr/v1/").filter(|_| shared.options.metadata_api != Some(false)) {
        return metadata(shared, parts, &caller, rest);
    }
    let unknown = || Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", "page not found");
    let route = Route::parse(path).ok_or_else(unknown)?;
    match &route {
        Route::Base => {
            // Any token that is good will do, whatever it is for.
            if matches!(caller, Caller::Nobody | Caller::Refused) {
                return Err(challenge(shared, None));
            }
        }
        Route::Catalog => {
            let right = catalog_right(shared, &caller)?;
            return list::catalog(shared, parts, right);
        }
        _ => {
            let repository = route.repository().unwrap_or_default();
            let reads = matches!(parts.method, Method::GET | Method::HEAD);
            require(shared, &caller, &format!("repository:{repository}"), if reads { "pull" } else { "push" })?;
        }
    }
    let request = Request::from_parts(parts.clone(), body);
    let response = registry::serve(State(shared.content.shared()), request).await;
    if let Route::Manifest { repository, reference } = &route
        && parts.method == Method::PUT
        && response.status().is_success()
        && is_tag(reference)
    {
        lock(&shared.moves).note(repository, reference);
    }
    Ok(response)
}

fn metadata(shared: &Shared, parts: &Parts, caller: &Caller, rest: &str) -> Result<Response, Refusal> {
    if rest == "_catalog" {
        let right = catalog_right(shared, caller)?;
        return list::catalog(shared, parts, right);
    }
    let unknown = || Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", "page not found");
    let (repository, what) = rest.rsplit_once('/').ok_or_else(unknown)?;
    require(shared, caller, &format!("repository:{repository}"), "metadata_read")?;
    match what {
        "_tags" => list::tags(shared, repository, parts),
        "_manifests" => list::manifests(shared, repository, parts),
        _ => Err(unknown()),
    }
}

fn catalog_right(shared: &Shared, caller: &Caller) -> Result<Catalog, Refusal> {
    require(shared, caller, "registry:catalog", "*")?;
    Ok(shared.access(caller).map_or(Catalog::Refused, |access| access.catalog()))
}

fn require(shared: &Shared, caller: &Caller, resource: &str, action: &str) -> Result<(), Refusal> {
    if shared.may(caller, resource, action) {
        return Ok(());
    }
    Err(challenge(shared, Some(&format!("{resource}:{action}"))))
}

fn challenge(shared: &Shared, scope: Option<&str>) -> Refusal {
    let name = shared.name();
    let scheme = if shared.options.name.is_some() { "https" } else { "http" };
    let mut challenge = format!("Bearer realm=\"{scheme}://{name}/oauth2/token\",service=\"{name}\"");
    if let Some(scope) = scope {
        challenge.push_str(&format!(",scope=\"{scope}\""));
    }
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        "UNAUTHORIZED",
        "authentication required, visit https://aka.ms/acr/authorization for more information.",
    )
    .with_header(header::WWW_AUTHENTICATE, challenge)
}
