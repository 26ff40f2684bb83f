//! The distribution protocol over a guarded transport.
//!
//! One [`DistributionClient`] speaks to one registry. It is what `oci`-like adapters are made of; they differ in
//! credentials, enumeration and quirks. What it promises beyond the protocol:
//!
//! - Credentials go to the registry, and to a token service only where [`auth`] allows it.
//! - A redirect loses the `Authorization` header with the host, never leads from https to http, and never from
//!   a public registry into a private network ([`guard`]).
//! - Every answer is read under a cap and every wait has a deadline.
//! - A request is repeated on 408, 429, 5xx and broken connections, with full jitter and `Retry-After`; it is
//!   replayed once after a renewed token, and never in a loop.

mod answer;
mod auth;
mod blob;
mod challenge;
mod client;
mod guard;
mod limiter;
mod link;
mod pages;
mod referrer;
mod retry;
mod tls;
mod token;
mod transport;

pub use client::DistributionClient;
pub(crate) use client::MANIFEST_SIZE;
pub use guard::{Resolver, SystemResolver};
pub(crate) use referrer::{EMPTY_CONFIG, referrer_manifest};
pub use retry::Retry;
#[cfg(feature = "ecr")]
pub(crate) use tls::client_config;
pub use transport::{Deadlines, SignIn, TransportConfig};
#[cfg(feature = "ecr")]
pub(crate) use transport::{find_cause, transport_error};
