//! Somebody who takes notifications, to see what a registry sends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A delivery.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its media type.
    pub content_type: String,
    /// Its `Authorization` header.
    pub authorization: String,
    /// The event in it.
    pub event: Value,
}

/// Takes every POST that comes, and remembers it.
#[derive(Debug)]
pub struct Receiver {
    address: String,
    received: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let received = Arc::default();
        let router = Router::new().fallback(take).with_state(Arc::clone(&received));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, received, task })
    }

    /// Where to send to.
    pub fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.received).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(received): State<Arc<Mutex<Vec<Received>>>>, headers: HeaderMap, body: Bytes) {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let envelope: Value = serde_json::from_slice(&body).unwrap_or_default();
    for event in envelope["events"].as_array().into_iter().flatten() {
        lock(&received).push(Received {
            content_type: text(header::CONTENT_TYPE),
            authorization: text(header::AUTHORIZATION),
            event: event.clone(),
        });
    }
}

fn lock(received: &Mutex<Vec<Received>>) -> MutexGuard<'_, Vec<Received>> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}
