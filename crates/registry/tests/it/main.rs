//! The adapters against the conformance suite, and the transport against registries that mean harm.
#![expect(clippy::unwrap_used, reason = "a panic in a test's helper is the report, as in a test")]

mod archive;
mod auth;
mod authority;
mod bodies;
mod conformance;
mod custom_registry;
mod diagnosis;
mod download;
mod hosts;
mod http2;
mod images;
mod internet;
mod lazy;
mod lists;
mod manifests;
mod pages;
mod products;
mod proxy;
mod referrers;
mod support;
mod tls;
mod transport;
mod wire;
