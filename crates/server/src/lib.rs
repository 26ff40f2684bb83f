//! Webhooks, REST API, metrics and health over HTTP.
//!
//! A [`Server`] is an axum router over a store and a running [`Engine`](supercargo_engine::Engine):
//!
//! | route | what for | who may |
//! | --- | --- | --- |
//! | `POST /v1/events/{provider}/{source}`, `…/{secret}` | deliveries of registries | the source's secret |
//! | `GET /healthz` | the process lives | everyone |
//! | `GET /readyz` | the store answers, the engine runs | everyone; details by [`Access`] |
//! | `GET /v1/openapi.json` | the description of all of this | everyone |
//! | `GET /metrics` | Prometheus | viewers |
//! | `/v1/images`, `/v1/packages` | what was indexed | viewers |
//! | `/v1/failures`, `/v1/queue`, `/v1/registries`, `/v1/events` | how it goes | viewers; retries and replays: editors |
//! | `/v1/integrations`, `/v1/repositories` | registries that somebody connected | viewers, editors, admins |
//! | `/v1/tokens`, `/v1/audit` | who may do what, and who did | admins |
//!
//! Roles are those of tokens of the store; [`Access`] says what goes without one. Which route asks for which role is
//! written at the route (`api.rs`), and a test holds the description to it.
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
mod openapi;
mod options;
mod params;
mod problem;
pub mod search;
mod server;
mod state;
mod tls;
mod webhook;

pub use access::{Access, Openness, TokenText, first_token};
pub use connection::Socket;
pub use error::{Error, ErrorKind, Result};
pub use metrics::Metrics;
pub use options::{EventSource, Options};
pub use server::Server;
pub use tls::Tls;
