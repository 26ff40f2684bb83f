//! What somebody who runs an engine would notice.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic there is the report")]

mod deletes;
mod events;
mod failures;
mod first_run;
mod images;
mod intake;
mod lifecycle;
mod over_http;
mod support;
