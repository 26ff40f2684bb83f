//! Packages that a lock file or a manifest names: [`Evidence::Declared`](crate::Evidence::Declared).

mod composer;
mod conan;
mod conda;
mod dart;
mod gemfile;
mod gradle;
mod haskell;
mod hex;
mod julia;
mod maven;
mod nim;
mod nuget;
mod perl;
mod r;
mod sbt;
mod swift;

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
        Arc::new(conan::ConanLock),
        Arc::new(conda::CondaEnvironment),
        Arc::new(dart::Pub),
        Arc::new(haskell::HaskellLocks),
        Arc::new(hex::Hex),
        Arc::new(julia::JuliaManifest),
        Arc::new(nim::NimbleLock),
        Arc::new(perl::Carton),
        Arc::new(r::Renv),
        Arc::new(swift::Swift),
    ]
}
