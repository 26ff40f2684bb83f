//! The catalogers of this crate: one file each, and one line in [`all`].

use std::sync::Arc;

use crate::Cataloger;

/// Every cataloger, in the order in which they are asked.
pub(crate) fn all() -> Vec<Arc<dyn Cataloger>> {
    vec![]
}
