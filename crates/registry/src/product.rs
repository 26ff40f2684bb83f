//! What products with an API beside the distribution protocol have in common: the client of that API, and care with
//! passwords, since all of them lock accounts.

mod api;
mod careful;
mod names;

pub(crate) use api::ApiClient;
pub(crate) use careful::Careful;
#[cfg(feature = "harbor")]
pub(crate) use names::listed_repository;
pub(crate) use names::listed_tag;
#[cfg(any(feature = "artifactory", feature = "nexus"))]
pub(crate) use names::{Prefix, digest_of};
