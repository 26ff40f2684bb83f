//! Packages of a language: the metadata that its package manager unpacks beside the code.

pub(super) mod dotnet;
pub(super) mod java;
mod jvm;
mod npm;
pub(super) mod php;
mod python;
pub(super) mod ruby;
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
    ]
}
