//! Packages by the word of a document that lies in the image: SBOMs; and what VEX documents say of vulnerabilities.

mod bitnami;
pub(crate) mod sbom;
mod vex;

use std::sync::Arc;

use crate::Cataloger;

/// Every cataloger of this family, in the order in which they are asked.
pub(super) fn all() -> Vec<Arc<dyn Cataloger>> {
    vec![Arc::new(sbom::Sbom), Arc::new(bitnami::Bitnami), Arc::new(vex::Vex)]
}
