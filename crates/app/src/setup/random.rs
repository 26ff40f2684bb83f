//! What nobody can guess.

use std::fmt::Write as _;

/// An external ID: 128 random bits, in hexadecimal digits. It is no secret, and tells this installation from others.
pub(crate) fn random_id() -> Result<String, String> {
    hexadecimal::<16>()
}

/// A secret of 256 random bits, in hexadecimal digits: it stands for itself wherever it is pasted.
pub(crate) fn random_secret() -> Result<String, String> {
    hexadecimal::<32>()
}

fn hexadecimal<const BYTES: usize>() -> Result<String, String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| format!("failed to get random bytes: {error}"))?;
    Ok(bytes.iter().fold(String::with_capacity(2 * BYTES), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
