//! A server that answers with one function, and writes down what it was asked.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{self, Body};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LINK, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::registry::{Handler, decode, parse as parse_query, value as query_value};
use crate::{Error, Result};

/// The largest body that is taken.
const LARGEST_BODY: usize = 64 << 20;

/// A request to a stand-in, and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProductRequest {
    /// The method.
    pub method: String,
    /// The path, as it was sent.
    pub path: String,
    /// The query, without `?`, as it was sent.
    pub query: String,
    /// The body, if it was a text of no more than a few KiB.
    pub body: String,
    /// Whether it had an `Authorization` header.
    pub signed_in: bool,
    /// The status of the answer.
    pub status: u16,
}

/// A request that is to be answered.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) parts: Parts,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn method(&self) -> &str {
        self.parts.method.as_str()
    }

    pub(crate) fn path(&self) -> &str {
        self.parts.uri.path()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// A value of the query, decoded.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let pairs = parse_query(self.parts.uri.query().unwrap_or_default());
        query_value(&pairs, name).map(str::to_owned)
    }

    /// The parts of the path, decoded once.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.path().trim_start_matches('/').split('/').map(decode).collect()
    }
}

type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

struct Shared {
    answer: Box<dyn Fn(Call) -> Answering + Send + Sync>,
    log: Mutex<Vec<ProductRequest>>,
}

/// A server on a port of 127.0.0.1, for as long as this value lives.
pub(crate) struct ProductServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl ProductServer {
    pub(crate) async fn start<F, A>(answer: F) -> Result<Self>
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        let listener = Self::bind().await?;
        Self::start_at(listener, answer)
    }

    /// A port, for those who must know it before they can answer.
    pub(crate) async fn bind() -> Result<TcpListener> {
        let io = |error| Error::io("listen for clients", "127.0.0.1", error);
        TcpListener::bind(("127.0.0.1", 0)).await.map_err(io)
    }

    pub(crate) fn start_at<F, A>(listener: TcpListener, answer: F) -> Result<Self>
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        let address = listener.local_addr().map_err(|error| Error::io("listen for clients", "127.0.0.1", error))?;
        let shared = Arc::new(Shared { answer: Box::new(move |call| Box::pin(answer(call))), log: Mutex::default() });
        let router = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let shutdown = async move {
                // An error says that the handle is gone, which ends the server as well.
                let _ = stopped.await;
            };
            // Serving has no error of its own: failed accepts are retried by the listener.
            let _ = axum::serve(listener, router).with_graceful_shutdown(shutdown).await;
        });
        Ok(Self { address, shared, stop: Some(stop), task })
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn requests(&self) -> Vec<ProductRequest> {
        lock(&self.shared.log).clone()
    }

    pub(crate) fn clear_requests(&self) {
        lock(&self.shared.log).clear();
    }
}

impl std::fmt::Debug for ProductServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProductServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for ProductServer {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.task.abort();
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = body::to_bytes(body, LARGEST_BODY).await else {
        return text_response(StatusCode::PAYLOAD_TOO_LARGE, "too large");
    };
    let text = std::str::from_utf8(&body).ok().filter(|text| text.len() < 8 << 10).unwrap_or_default().to_owned();
    let mut record = ProductRequest {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: text,
        signed_in: parts.headers.contains_key(AUTHORIZATION),
        status: 0,
    };
    let response = (shared.answer)(Call { parts, body }).await;
    record.status = response.status().as_u16();
    // Before the answer leaves, so that a client that has it finds it in the log.
    lock(&shared.log).push(record);
    response
}

/// Hands a request on to a registry, whose `/v2/` is known as `root` outside.
pub(crate) async fn forward(handler: &Handler, call: Call, path: &str, root: &str) -> Response {
    let Call { mut parts, body } = call;
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let Ok(uri) = format!("{path}{query}").parse() else {
        return text_response(StatusCode::BAD_REQUEST, "no address");
    };
    parts.uri = uri;
    let mut response = handler.answer(Request::from_parts(parts, Body::from(body))).await;
    for (name, before) in [(LOCATION, ""), (LINK, "<")] {
        let value = response.headers().get(&name).and_then(|value| value.to_str().ok());
        let rest = value.and_then(|value| value.strip_prefix(before)?.strip_prefix("/v2/"));
        if let Some(value) = rest.and_then(|rest| HeaderValue::from_str(&format!("{before}{root}{rest}")).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    let mut response = text_response(status, &body.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(crate) fn text_response(status: StatusCode, body: &str) -> Response {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = status;
    response
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
