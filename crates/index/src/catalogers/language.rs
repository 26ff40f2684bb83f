//! Packages of a language: the metadata that its package manager unpacks beside the code.

pub(super) mod java;
mod jvm;
pub(super) mod dotnet;
mod npm;
mod python;

use std::sync::Arc;

use crate::Cataloger;

/// Every cataloger of this family, in the order in which they are asked.
pub(super) fn all() -> Vec<Arc<dyn Cataloger>> {
    vec![
        Arc::new(java::Java),
        Arc::new(jvm::Jvm),
        Arc::new(npm::Npm),
        Arc::new(python::Python),
        Arc::new(dotnet::DotnetDeps),
    ]
}
