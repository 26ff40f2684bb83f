//! The catalogers of this crate, by family: one file each, and one line in its family's `all`.
//!
//! | Family | Reads |
//! | --- | --- |
//! | [`system`] | what a system's package manager keeps: databases, inventories, package files |
//! | [`language`] | what a language's package manager unpacks: metadata beside the code |
//! | [`executable`] | what compilers and builders leave in ELF, PE and Mach-O files |
//! | [`document`] | what somebody else wrote down about the image: SBOM documents |
//! | [`model`] | the headers of machine learning models |
//! | [`declared`] | lock files and manifests: what is named, not what is there |

pub(crate) mod binary;
mod dcf;
mod declared;
pub(crate) mod document;
mod executable;
mod field;
pub(crate) mod language;
mod lenient;
mod model;
mod sqlite;
pub(crate) mod system;
mod terms;
#[cfg(test)]
mod testing;
pub(crate) mod zip;

use std::sync::Arc;

use crate::{Cataloger, Findings, Problem};

/// Packages of one file. The largest distributions hold some ten thousand; a hostile file of a hundred MiB could
/// name millions, each costing many times its own bytes.
const MOST_PACKAGES: usize = 100_000;

/// Dependencies of all packages that one document names, where a few bytes can stand for a name of any length.
/// Programs of a thousand crates have about 5 000.
const MOST_DEPENDENCIES: usize = 200_000;

/// Refuses a file that names more packages than any real one does.
fn check_count(findings: &Findings) -> Result<(), Problem> {
    if findings.packages().len() < MOST_PACKAGES {
        return Ok(());
    }
    Err(Problem::malformed(format!("more than {MOST_PACKAGES} packages in one file")))
}

/// Every cataloger, in the order in which they are asked.
pub(crate) fn all() -> Vec<Arc<dyn Cataloger>> {
    let families = [system::all(), language::all(), executable::all(), document::all(), model::all(), declared::all()];
    families.into_iter().flatten().collect()
}
