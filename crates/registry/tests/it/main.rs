//! The adapters against the conformance suite, and the transport against registries that mean harm.
#![expect(clippy::unwrap_used, reason = "a panic in a test's helper is the report, as in a test")]

#[cfg(feature = "acr")]
mod acr;
mod archive;
#[cfg(feature = "artifactory")]
mod artifactory;
mod auth;
mod authority;
mod bodies;
mod conformance;
mod custom_registry;
mod diagnosis;
mod download;
#[cfg(feature = "ecr")]
mod ecr;
#[cfg(feature = "harbor")]
mod harbor;
mod hosts;
mod http2;
mod images;
mod internet;
mod lazy;
mod lists;
mod manifests;
#[cfg(feature = "nexus")]
mod nexus;
mod pages;
#[cfg(any(feature = "artifactory", feature = "harbor", feature = "nexus"))]
mod product;
mod products;
mod proxy;
mod referrers;
mod support;
mod tls;
mod transport;
mod wire;
