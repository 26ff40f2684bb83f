//! The client against the test kit's stand-in for the service, against made-up servers, and its texts against the
//! readers of others.

mod attestation;
mod faults;
mod queries;
mod second_reader;
mod sign_in;
mod support;
mod transport;
mod upload;
