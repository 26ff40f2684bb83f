//! Webhooks, REST API, metrics and health over HTTP.
//!
//! A [`Server`] is an axum router over a store and a running [`Engine`](supercargo_engine::Engine):
//!
//! | route | what for | who may |
//! | --- | --- | --- |
//! | `POST /v1/events/{provider}/{source}`, `…/{secret}` | deliveries of registries | the source's secret |
//! | `GET /healthz` | the process lives | everyone |
//! | `GET /readyz` | the store answers, the engine runs | everyone; details by [`Access`] |
//! | `GET /metrics` | Prometheus | [`Access`] |
//! | `GET /v1/images`, `/v1/images/{digest}` | images | [`Access`] |
//! | `GET /v1/packages` | which images hold a package | [`Access`] |
//! | `GET /v1/failures`, `POST /v1/failures/{job}/retry` | what went wrong, with the reason | [`Access`] |
//! | `GET /v1/queue`, `/v1/registries`, `/v1/events` | how it goes | [`Access`] |
//! | `GET /v1/events/{event}`, `POST /v1/events/{event}` | a delivery with its body; reads it again | [`Access`] |
//!
//! A delivery is authenticated over its raw bytes, stored, and then answered: nothing is indexed in a handler.
//! Errors are `application/problem+json`.
//!
//! # Examples
//!
//! ```
//! use std::sync::Arc;
//! use axum::body::Body;
//! use http::{Request, StatusCode};
//! use supercargo_engine::Engine;
//! use supercargo_engine::index::Indexer;
//! use supercargo_engine::store::MemoryStore;
//! use supercargo_server::{Access, Options, Server};
//! use tower::ServiceExt;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let engine = Engine::builder(Arc::new(MemoryStore::default()), Arc::new(Indexer::new())).build()?;
//! let server = Server::new(engine, Options::new(Access::Loopback));
//!
//! let request = Request::get("/v1/images").body(Body::empty())?;
//! let response = server.router().oneshot(request).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//! # Ok(())
//! # })
//! # }
//! ```

mod access;
mod api;
mod connection;
mod error;
mod health;
mod metrics;
mod options;
mod params;
mod problem;
pub mod search;
mod server;
mod state;
mod stranger;
mod tls;
mod webhook;

pub use access::{Access, Openness};
pub use connection::Socket;
pub use error::{Error, ErrorKind, Result};
pub use metrics::Metrics;
pub use options::{EventSource, Options};
pub use server::Server;
pub use tls::Tls;
