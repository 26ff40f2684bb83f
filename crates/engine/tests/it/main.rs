//! What somebody who runs an engine would notice.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic there is the report")]

mod beside;
mod deletes;
mod delivery;
mod event_ways;
mod events;
mod failures;
#[cfg(feature = "files")]
mod files;
mod first_run;
mod images;
mod intake;
mod integrations;
mod lifecycle;
mod over_http;
mod polling;
mod recorder;
mod selection;
mod sinks;
mod support;
mod watching;
