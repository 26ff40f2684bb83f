//! Metadata in the formats that others read.

mod contact;
mod cpe;
pub mod cyclonedx;
mod identity;
mod license;
pub mod scout;
pub mod spdx;

/// How to write an SBOM.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Packages that only lock files and manifests name, too.
    pub declared: bool,
    /// When the document was made, RFC 3339. Unless set it is the time of the image, so that the same image gives
    /// the same document.
    pub created: Option<String>,
}

#[cfg(test)]
mod tests;
