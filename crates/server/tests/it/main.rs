//! The server over a store in memory, request by request.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports, in its helpers too")]

mod access;
mod api;
mod integrations;
mod kit;
mod openapi;
mod setup;
mod tls;
mod webhook;
