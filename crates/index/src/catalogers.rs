//! The catalogers of this crate: one file each, and one line in [`all`].

mod apk;
mod binary;
mod copyright;
mod dpkg;
mod go_binary;
mod go_build_info;
mod go_flags;
mod npm;
pub(crate) mod os_release;
mod python;
mod rust_binary;
pub(crate) mod zip;

use std::sync::Arc;

use crate::{Cataloger, Findings, Problem};

/// Packages of one file. The largest distributions hold some ten thousand; a hostile file of a hundred MiB could
/// name millions, each costing many times its own bytes.
const MOST_PACKAGES: usize = 100_000;

/// Refuses a file that names more packages than any real one does.
fn check_count(findings: &Findings) -> Result<(), Problem> {
    if findings.packages().len() < MOST_PACKAGES {
        return Ok(());
    }
    Err(Problem::malformed(format!("more than {MOST_PACKAGES} packages in one file")))
}

/// Every cataloger, in the order in which they are asked.
pub(crate) fn all() -> Vec<Arc<dyn Cataloger>> {
    vec![
        Arc::new(os_release::OsRelease),
        Arc::new(dpkg::Dpkg),
        Arc::new(apk::Apk),
        Arc::new(npm::Npm),
        Arc::new(python::Python),
        Arc::new(go_binary::GoBinary),
        Arc::new(rust_binary::RustBinary),
    ]
}
