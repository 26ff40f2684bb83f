//! The adapters against the conformance suite, and the transport against registries that mean harm.
#![expect(clippy::unwrap_used, reason = "a panic in a test's helper is the report, as in a test")]

#[cfg(feature = "acr")]
mod acr;
mod archive;
#[cfg(feature = "artifactory")]
mod artifactory;
mod auth;
mod conformance;
mod download;
#[cfg(feature = "harbor")]
mod harbor;
mod lazy;
mod manifests;
#[cfg(feature = "nexus")]
mod nexus;
#[cfg(any(feature = "artifactory", feature = "harbor", feature = "nexus"))]
mod product;
mod referrers;
mod support;
mod tls;
mod transport;
