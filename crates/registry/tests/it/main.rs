//! The adapters against the conformance suite, and the transport against registries that mean harm.
#![expect(clippy::unwrap_used, reason = "a panic in a test's helper is the report, as in a test")]

mod archive;
mod auth;
mod conformance;
mod download;
#[cfg(feature = "ecr")]
mod ecr;
mod lazy;
mod manifests;
mod referrers;
mod support;
mod tls;
mod transport;
