//! The client against the test kit's stand-in for the service, against made-up servers, and its texts against the
//! readers of others.
#![expect(clippy::unwrap_used, reason = "a panic in a test's helper is the report, as in a test")]

mod attestation;
mod faults;
mod queries;
mod second_reader;
mod sign_in;
mod support;
mod transport;
mod upload;
