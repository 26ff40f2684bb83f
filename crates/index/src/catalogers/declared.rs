//! Packages that a lock file or a manifest names: [`Evidence::Declared`](crate::Evidence::Declared).

mod composer;
mod gemfile;
mod gradle;
mod maven;
mod nuget;
mod sbt;

use std::sync::Arc;

use crate::Cataloger;

/// Every cataloger of this family, in the order in which they are asked.
pub(super) fn all() -> Vec<Arc<dyn Cataloger>> {
    vec![
        Arc::new(gradle::Gradle),
        Arc::new(maven::Maven),
        Arc::new(sbt::Sbt),
        Arc::new(composer::ComposerLock),
        Arc::new(gemfile::Gemfile),
        Arc::new(nuget::Nuget),
    ]
}
