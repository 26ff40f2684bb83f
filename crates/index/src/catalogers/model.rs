//! Models of machine learning, from the headers of their files.
//!
//! Weights are many gigabytes; what describes them stands before them. These catalogers read the header as the
//! layer's stream passes, and leave the rest.

mod gguf;
mod safetensors;

use std::io::{self, Read};
use std::sync::Arc;

use crate::{Cataloger, Problem};

/// Every cataloger of this family, in the order in which they are asked.
pub(super) fn all() -> Vec<Arc<dyn Cataloger>> {
    vec![Arc::new(gguf::Gguf), Arc::new(safetensors::Safetensors)]
}

/// Fills `buffer`; whether there was as much.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> Result<bool, Problem> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}
