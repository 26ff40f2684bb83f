//! What the sender of a notification and the engine behind it would notice.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic there is the report")]
#![expect(clippy::needless_pass_by_value, reason = "tables read better with `json!(…)` passed by value")]

mod artifactory;
mod azure;
mod contract;
mod distribution;
mod eventbridge;
mod generic;
mod google;
mod hosted;
mod kit;
mod products;
mod samples;
mod sns;
