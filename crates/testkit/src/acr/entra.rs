//! Microsoft Entra's token endpoint, and the metadata service of a virtual machine, on a loopback port.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::jwt;
use crate::registry::{Faults, RequestLog, json_response, lock, parse, value};
use crate::{Error, Fault, RequestRecord, Result};

/// The tenant of everybody here.
const TENANT: &str = "409520d4-8100-4d1d-ad47-72432ddcc120";
/// How long its tokens are good.
const LIFE: Duration = Duration::from_secs(3599);
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A token that was given out.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) client_id: String,
    pub(super) audience: String,
}

/// Who is known, and what was given to them. The registry looks tokens up here.
#[derive(Debug, Default)]
pub(super) struct Directory {
    secrets: HashMap<String, String>,
    federated: HashMap<String, String>,
    thumbprints: HashMap<String, String>,
    system: Option<String>,
    assigned: Vec<String>,
    tokens: HashMap<String, Given>,
    count: u64,
}

impl Directory {
    pub(super) fn token(&self, token: &str) -> Option<Given> {
        self.tokens.get(token).cloned()
    }

    fn give(&mut self, client_id: &str, audience: &str) -> String {
        self.count += 1;
        let now = seconds();
        let token = jwt::make(&json!({
            "aud": audience,
            "iss": format!("https://sts.windows.net/{TENANT}/"),
            "iat": now, "nbf": now, "exp": now + LIFE.as_secs(),
            "appid": client_id,
            "tid": TENANT,
            "uti": format!("kit-{}", self.count),
            "ver": "1.0",
        }));
        let given = Given { client_id: client_id.to_owned(), audience: audience.to_owned() };
        self.tokens.insert(token.clone(), given);
        token
    }
}

#[derive(Debug, Default)]
struct Shared {
    directory: Arc<Mutex<Directory>>,
    faults: Mutex<Faults>,
    log: Mutex<RequestLog>,
}

/// Microsoft Entra and a machine's metadata service, for as long as this value lives.
///
/// `POST /TENANT/oauth2/v2.0/token` takes a secret, the token of a federated service account, or an assertion of a
/// certificate; `GET /metadata/identity/oauth2/token` gives the machine's identity, and `GET /msi/token` that of an App
/// Service (`IDENTITY_ENDPOINT`). All are http: a client that
/// insists on the real addresses is led here by its own means.
#[derive(Debug)]
pub struct EntraServer {
    shared: Arc<Shared>,
    address: String,
    task: JoinHandle<()>,
}

impl EntraServer {
    /// Starts it on a free port of 127.0.0.1. Nobody is known yet.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn start() -> Result<Self> {
        let io = |error| Error::io("listen for clients", "127.0.0.1", error);
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(io)?;
        let address = listener.local_addr().map_err(io)?.to_string();
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // Serving has no error of its own.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { shared, address, task })
    }

    /// Where it listens, `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.clone()
    }

    /// The tenant of everybody here.
    pub fn tenant(&self) -> &'static str {
        TENANT
    }

    /// An application with a secret. Another secret replaces the first.
    pub fn set_secret(&self, client_id: &str, secret: &str) {
        lock(&self.shared.directory).secrets.insert(client_id.to_owned(), secret.to_owned());
    }

    /// An identity that the holder of `token`, a service account's, may be.
    pub fn federate(&self, client_id: &str, token: &str) {
        lock(&self.shared.directory).federated.insert(client_id.to_owned(), token.to_owned());
    }

    /// An application with a certificate, by its SHA-256 thumbprint in base64url. Signatures are not checked here.
    pub fn set_certificate(&self, client_id: &str, thumbprint: &str) {
        lock(&self.shared.directory).thumbprints.insert(client_id.to_owned(), thumbprint.to_owned());
    }

    /// The machine has an identity of its own.
    pub fn set_system_identity(&self, client_id: &str) {
        lock(&self.shared.directory).system = Some(client_id.to_owned());
    }

    /// The machine has this identity, too, for those who name it.
    pub fn assign_identity(&self, client_id: &str) {
        lock(&self.shared.directory).assigned.push(client_id.to_owned());
    }

    /// A token as one of the above would get it.
    pub fn token(&self, client_id: &str, audience: &str) -> String {
        lock(&self.shared.directory).give(client_id, audience)
    }

    /// Plans a fault.
    pub fn inject(&self, fault: Fault) {
        lock(&self.shared.faults).planned.push(fault);
    }

    /// All requests since the start, oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        lock(&self.shared.log).iter().cloned().collect()
    }

    pub(super) fn directory(&self) -> Arc<Mutex<Directory>> {
        Arc::clone(&self.shared.directory)
    }
}

impl Drop for EntraServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let due = lock(&shared.faults).next(&parts);
    let response = match due {
        Some(response) => response,
        None => match axum::body::to_bytes(body, 1 << 20).await {
            Ok(body) => answer(&shared, &parts, &String::from_utf8_lossy(&body)),
            Err(_) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        },
    };
    lock(&shared.log).push(RequestRecord::new(&parts, response.status()));
    response
}

fn answer(shared: &Shared, parts: &Parts, body: &str) -> Response {
    let path = parts.uri.path();
    match (&parts.method, path.strip_suffix("/oauth2/v2.0/token").and_then(|path| path.strip_prefix('/'))) {
        (&Method::POST, Some(tenant)) => client_credentials(shared, tenant, body),
        (&Method::GET, _) if path == "/metadata/identity/oauth2/token" => {
            let is_marked = parts.headers.get("metadata").is_some_and(|value| value == "true");
            metadata(shared, parts, is_marked)
        }
        // *How to use managed identities for App Service and Azure Functions*: the same with another header.
        (&Method::GET, _) if path == "/msi/token" => {
            metadata(shared, parts, parts.headers.contains_key("x-identity-header"))
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// *OAuth 2.0 client credentials flow on the Microsoft identity platform*.
fn client_credentials(shared: &Shared, tenant: &str, body: &str) -> Response {
    let pairs = parse(body);
    let field = |name: &str| value(&pairs, name).unwrap_or_default();
    if tenant != TENANT {
        return refusal(400, 90002, "invalid_request", &format!("Tenant '{tenant}' not found."));
    }
    let (Some(audience), "client_credentials") = (field("scope").strip_suffix("/.default"), field("grant_type")) else {
        return refusal(
            400,
            70011,
            "invalid_scope",
            "The provided value for the input parameter 'scope' is not valid.",
        );
    };
    let client_id = field("client_id");
    let mut directory = lock(&shared.directory);
    let known = if field("client_assertion_type") == ASSERTION {
        let assertion = field("client_assertion");
        let federated = directory.federated.get(client_id).is_some_and(|token| token == assertion);
        federated || is_assertion_of(assertion, client_id, directory.thumbprints.get(client_id))
    } else {
        directory.secrets.get(client_id).is_some_and(|secret| secret == field("client_secret"))
    };
    if !known {
        let said = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client \
            secret value, for a secret added to app '{client_id}'."
        );
        return refusal(401, 7_000_215, "invalid_client", &said);
    }
    let token = directory.give(client_id, audience);
    let life = LIFE.as_secs();
    json_response(
        StatusCode::OK,
        &json!({"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token}),
    )
}

/// The claims that Entra asks of an assertion; the header names the certificate.
fn is_assertion_of(assertion: &str, client_id: &str, thumbprint: Option<&String>) -> bool {
    // The header is read like the claims: it stands where they do once they are cut off.
    let header = jwt::claims(&format!(".{assertion}"));
    let claims = jwt::claims(assertion);
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    thumbprint.is_some_and(|thumbprint| *thumbprint == text(&header, "x5t#S256"))
        && text(&header, "alg") == "PS256"
        && text(&claims, "iss") == client_id
        && text(&claims, "sub") == client_id
        && text(&claims, "aud").ends_with(&format!("/{TENANT}/oauth2/v2.0/token"))
        && claims["exp"].as_u64().is_some_and(|end| end > seconds())
}

/// *How to use managed identities for Azure resources on an Azure VM to acquire an access token*.
fn metadata(shared: &Shared, parts: &Parts, is_marked: bool) -> Response {
    let refuse = |said: &str| {
        json_response(StatusCode::BAD_REQUEST, &json!({"error": "invalid_request", "error_description": said}))
    };
    if !is_marked {
        return refuse("Required metadata header not specified");
    }
    let pairs = parse(parts.uri.query().unwrap_or_default());
    let (Some(resource), Some(_)) = (value(&pairs, "resource"), value(&pairs, "api-version")) else {
        return refuse("Required audience parameter not specified");
    };
    let mut directory = lock(&shared.directory);
    let found = match value(&pairs, "client_id") {
        Some(named) => directory.assigned.iter().find(|assigned| *assigned == named).cloned(),
        None => directory.system.clone(),
    };
    let Some(client_id) = found else { return refuse("Identity not found") };
    let token = directory.give(&client_id, resource);
    let now = seconds();
    let life = LIFE.as_secs();
    // All numbers are text here.
    json_response(
        StatusCode::OK,
        &json!({
            "access_token": token, "client_id": client_id, "resource": resource, "token_type": "Bearer",
            "expires_in": life.to_string(), "ext_expires_in": life.to_string(),
            "expires_on": (now + life).to_string(), "not_before": now.to_string(),
        }),
    )
}

fn refusal(status: u16, code: u32, error: &str, said: &str) -> Response {
    json_response(
        StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
        &json!({
            "error": error,
            "error_description": format!("AADSTS{code}: {said} Trace ID: 0 Correlation ID: 0 Timestamp: 0"),
            "error_codes": [code],
            "timestamp": "2026-01-01 00:00:00Z",
            "trace_id": "00000000-0000-0000-0000-000000000000",
            "correlation_id": "00000000-0000-0000-0000-000000000000",
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        }),
    )
}
