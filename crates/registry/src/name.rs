//! Names with a grammar: registry host, repository, tag, target.

mod host;
mod key;
mod repository;

pub use host::RegistryHost;
pub use key::RepositoryKey;
pub use repository::{Repository, TagName, Target, split_reference};
