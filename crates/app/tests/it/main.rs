//! The programs as functions: arguments in, text and an exit code out.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports, in its helpers too")]

mod config;
mod doctor;
mod help;
mod index;
mod integrations;
mod kit;
mod programs;
mod store;
mod webhook;
