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
mod certificate;
mod challenge;
mod client;
mod connect;
mod guard;
mod limiter;
mod link;
mod no_proxy;
mod outbound;
mod pages;
mod probe;
#[cfg(feature = "acr")]
mod product;
mod quota;
mod referrer;
mod retry;
mod tls;
mod token;
mod transport;

#[cfg(feature = "acr")]
pub(crate) use auth::Scope;
pub(crate) use challenge::Challenge;
pub use client::DistributionClient;
pub(crate) use client::MANIFEST_SIZE;
#[cfg(any(feature = "artifactory", feature = "nexus"))]
pub(crate) use client::{Links, Place};
pub(crate) use guard::without_port;
pub use guard::{Resolver, SystemResolver};
pub use no_proxy::NoProxy;
pub use outbound::{Destinations, Outbound, OutboundConfig, retry_after};
pub(crate) use probe::{BrokenHandshake, Handshake};
pub use quota::Quota;
pub(crate) use referrer::{EMPTY_CONFIG, referrer_manifest};
pub use retry::Retry;
#[cfg(any(feature = "acr", feature = "ecr"))]
pub(crate) use tls::client_config;
#[cfg(feature = "acr")]
pub(crate) use token::{jwt_claims, jwt_expiry};
pub use transport::{ClientIdentity, Deadlines, SignIn, TransportConfig};

/// For the clients of products' own APIs.
#[cfg(any(feature = "artifactory", feature = "harbor", feature = "nexus"))]
pub(crate) use self::{
    answer::Answer,
    token::{basic_header, bearer_header},
    transport::{Request, Transport},
};
#[cfg(feature = "harbor")]
pub(crate) use link::{next_target, with_cursor};
#[cfg(feature = "ecr")]
pub(crate) use transport::{find_cause, transport_error};
