//! Packages of the system: databases, inventories and package files of its package managers.

mod apk;
mod copyright;
mod dpkg;
pub(crate) mod os_release;

use std::sync::Arc;

use crate::Cataloger;

/// Every cataloger of this family, in the order in which they are asked.
pub(super) fn all() -> Vec<Arc<dyn Cataloger>> {
    vec![Arc::new(os_release::OsRelease), Arc::new(dpkg::Dpkg), Arc::new(apk::Apk)]
}
