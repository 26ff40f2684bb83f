//! Packages that a lock file or a manifest names: [`Evidence::Declared`](crate::Evidence::Declared).
//!
//! A lock file says what its tool would install, and nothing shows that it did. Only what is resolved to one
//! version counts: the ranges of a manifest (`package.json`, `Cargo.toml`, `pyproject.toml`) name no version.
//! Every scan reads these files, whether their packages are asked for or not, so the parsers are linear, and
//! build no tree where the format allows it.

mod bun;
mod cargo_lock;
mod composer;
mod conan;
mod conda;
mod dart;
mod deno;
mod gemfile;
mod go_mod;
mod go_vendor;
mod gradle;
mod haskell;
mod hex;
mod indented;
mod jsonc;
mod julia;
mod locked;
mod maven;
mod nim;
mod npm_lock;
mod nuget;
mod perl;
mod pipfile;
mod pnpm;
mod python_lock;
mod r;
mod requirements;
#[cfg(test)]
mod same_project;
mod sbt;
mod setup_py;
mod swift;
mod toml_tables;
mod uv;
mod yarn;

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
        Arc::new(npm_lock::NpmLock),
        Arc::new(yarn::YarnLock),
        Arc::new(pnpm::PnpmLock),
        Arc::new(bun::BunLock),
        Arc::new(deno::DenoLock),
        Arc::new(python_lock::PoetryLock),
        Arc::new(python_lock::PdmLock),
        Arc::new(python_lock::Pylock),
        Arc::new(uv::UvLock),
        Arc::new(pipfile::PipfileLock),
        Arc::new(requirements::Requirements),
        Arc::new(setup_py::SetupPy),
        Arc::new(cargo_lock::CargoLock),
        Arc::new(go_mod::GoMod),
        Arc::new(go_vendor::GoVendor),
    ]
}
