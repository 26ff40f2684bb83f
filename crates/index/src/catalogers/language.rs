//! Packages of a language: the metadata that its package manager unpacks beside the code.

pub(super) mod conan;
mod conda;
pub(super) mod dart;
pub(super) mod dotnet;
mod erlang;
mod haskell;
pub(super) mod java;
pub(super) mod julia;
mod jvm;
mod lua;
mod nim;
mod npm;
mod ocaml;
pub(super) mod perl;
pub(super) mod php;
mod python;
mod python_record;
mod r;
pub(super) mod ruby;
mod swipl;
mod wordpress;

use std::sync::Arc;

use crate::Cataloger;

/// Every cataloger of this family, in the order in which they are asked.
pub(super) fn all() -> Vec<Arc<dyn Cataloger>> {
    vec![
        Arc::new(java::Java),
        Arc::new(jvm::Jvm),
        Arc::new(npm::Npm),
        Arc::new(php::ComposerInstalled),
        Arc::new(php::Pear),
        Arc::new(php::PhpInterpreter),
        Arc::new(python::Python),
        Arc::new(dotnet::DotnetDeps),
        Arc::new(ruby::RubyGem),
        Arc::new(wordpress::Wordpress),
        Arc::new(conan::Conan),
        Arc::new(conda::Conda),
        Arc::new(dart::Dart),
        Arc::new(erlang::Erlang),
        Arc::new(haskell::Haskell),
        Arc::new(julia::Julia),
        Arc::new(lua::Lua),
        Arc::new(nim::Nim),
        Arc::new(ocaml::Ocaml),
        Arc::new(perl::Perl),
        Arc::new(r::R),
        Arc::new(swipl::Swipl),
        Arc::new(python_record::PythonRecord),
    ]
}
