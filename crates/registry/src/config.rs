//! Which registry, and how: the `--registry` string and what is built from it.

mod build;
mod filter;
mod parse;
mod record;
mod sign_in;

#[cfg(not(all(
    feature = "acr",
    feature = "artifactory",
    feature = "ecr",
    feature = "harbor",
    feature = "nexus"
)))]
pub(crate) use build::absent;
pub use build::build;
pub use filter::Filter;
pub use parse::parse_registry;
pub use record::{RegistryConfig, RegistryKind};
pub(crate) use sign_in::sign_in_hint;
