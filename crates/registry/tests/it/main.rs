//! The adapters against the conformance suite, and the transport against registries that mean harm.
#![expect(clippy::unwrap_used, reason = "a panic in a test's helper is the report, as in a test")]

mod archive;
mod auth;
mod authority;
mod bodies;
mod conformance;
mod download;
mod hosts;
mod http2;
mod lazy;
mod lists;
mod manifests;
mod proxy;
mod referrers;
mod support;
mod tls;
mod transport;
mod wire;
