//! What nobody can guess.

use std::fmt::Write as _;

use crate::{Error, ErrorKind, Result};

/// Random bytes in hexadecimal digits: they stand for themselves wherever they are pasted.
pub(crate) fn hexadecimal<const BYTES: usize>(operation: &str) -> Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(ErrorKind::Sealed, operation).with_source(error.to_string()))?;
    Ok(bytes.iter().fold(String::with_capacity(2 * BYTES), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
