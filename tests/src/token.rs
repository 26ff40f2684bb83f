//! The token service of a registry (distribution's "Token Authentication Specification").

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::registry::{PASSWORD, USER};
use crate::tool::openssl;

/// Who the tokens are for, and who makes them.
pub(crate) const SERVICE: &str = "registry.under.test";
pub(crate) const ISSUER: &str = "tests.supercargo";

/// A token service with a key of its own. It lets [`USER`] in.
#[derive(Debug)]
pub struct TokenService {
    address: String,
    keys: Arc<Keys>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Keys {
    directory: TempDir,
    /// The certificate in DER.
    certificate: String,
}

impl TokenService {
    /// Makes a key and starts the service.
    ///
    /// # Errors
    ///
    /// If openssl or a port is missing.
    pub async fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let (key, certificate) = (directory.path().join("key.pem"), directory.path().join("certificate.pem"));
        let subject = format!("/CN={ISSUER}");
        #[rustfmt::skip]
        let arguments = [
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &subject,
            "-keyout", text(&key)?, "-out", text(&certificate)?,
        ];
        openssl(arguments).await?;
        let der = openssl(["x509", "-outform", "DER", "-in", text(&certificate)?]).await?;
        let keys = Arc::new(Keys { directory, certificate: STANDARD.encode(der) });

        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let router = Router::new().route("/token", get(answer)).with_state(Arc::clone(&keys));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, keys, task })
    }

    /// What the registry sends its clients to.
    pub(crate) fn realm(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// The certificate that the registry trusts.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.keys.directory.path().join("certificate.pem")
    }
}

impl Drop for TokenService {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(keys): State<Arc<Keys>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let expected = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given != Some(&expected) {
        return (StatusCode::UNAUTHORIZED, "who are you?").into_response();
    }
    match token(&keys, &query.unwrap_or_default()).await {
        Ok(token) => Json(json!({ "token": token, "expires_in": 300 })).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    }
}

/// A JSON web token that grants all that is asked for.
async fn token(keys: &Keys, query: &str) -> Result<String> {
    let access: Vec<Value> = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("scope="))
        .flat_map(|scopes| decode(scopes).split(' ').map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|scope| grant(&scope))
        .collect();
    let now = jiff::Timestamp::now().as_second();
    let head = json!({ "typ": "JWT", "alg": "RS256", "x5c": [keys.certificate] });
    let claims = json!({
        "iss": ISSUER, "sub": USER, "aud": SERVICE, "jti": format!("{now}"),
        "nbf": now - 60, "iat": now, "exp": now + 300, "access": access,
    });
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let file = tempfile::NamedTempFile::new_in(keys.directory.path())?;
    std::fs::write(file.path(), &signed)?;
    let key = keys.directory.path().join("key.pem");
    let signature = openssl(["dgst", "-sha256", "-sign", text(&key)?, text(file.path())?]).await?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// `repository:team/app:pull,push`, as an entry of the claim. The name may have a colon (`host:port/name`).
fn grant(scope: &str) -> Option<Value> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let actions: Vec<&str> = actions.split(',').collect();
    Some(json!({ "type": kind, "name": name, "actions": actions }))
}

/// Decodes a value of a query.
fn decode(value: &str) -> String {
    let escapes: HashMap<&str, &str> =
        [("%3A", ":"), ("%2F", "/"), ("%2C", ","), ("%2A", "*"), ("%20", " "), ("+", " ")].into();
    escapes.iter().fold(value.to_owned(), |text, (escape, plain)| {
        text.replace(escape, plain).replace(&escape.to_ascii_lowercase(), plain)
    })
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the folder for temporary files has a name that is not UTF-8")
}
