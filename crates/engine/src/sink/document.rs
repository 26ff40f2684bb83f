//! Metadata as a document that others read.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use supercargo_registry::index::{ImageMetadata, Source, cyclonedx, scout, spdx};

use super::IndexedImage;
use crate::{Error, ErrorKind, Result};

/// The form of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DocumentFormat {
    /// Docker Scout's SBOM JSON.
    Scout,
    /// SPDX 2.3 JSON.
    Spdx,
    /// CycloneDX 1.6 JSON.
    CycloneDx,
}

impl DocumentFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Scout, Self::Spdx, Self::CycloneDx];

    /// Its name in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scout => "scout",
            Self::Spdx => "spdx",
            Self::CycloneDx => "cyclonedx",
        }
    }

    /// The type of an in-toto statement's predicate: those that BuildKit and Docker Scout read.
    pub const fn predicate_type(self) -> &'static str {
        match self {
            Self::Scout => "https://scout.docker.com/sbom/v0.1",
            Self::Spdx => "https://spdx.dev/Document",
            Self::CycloneDx => "https://cyclonedx.org/bom",
        }
    }

    /// The end of a file's name. Collectors (GUAC's, for one) go by the content, people by this.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Scout => "scout.json",
            Self::Spdx => "spdx.json",
            Self::CycloneDx => "cdx.json",
        }
    }

    /// `metadata` in this form. The same metadata gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`] if it cannot be written.
    pub fn write(self, metadata: &ImageMetadata) -> Result<Bytes> {
        let mut document = Vec::new();
        let written = match self {
            Self::Scout => scout::write(metadata, scout::Options::default(), &mut document),
            Self::Spdx => spdx::write(metadata, &spdx::Options::default(), &mut document),
            Self::CycloneDx => cyclonedx::write(metadata, &cyclonedx::Options::default(), &mut document),
        };
        written.map_err(|error| {
            Error::new(ErrorKind::Rejected, format!("write the document as {self}")).with_source(error)
        })?;
        Ok(document.into())
    }

    /// The image in this form without its tags: what is in an image does not change with them, and so the bytes do
    /// not either.
    pub(super) fn write_untagged(self, image: &IndexedImage) -> Result<Bytes> {
        let mut metadata = image.metadata.clone();
        if let Source::Image(details) = &mut metadata.source {
            details.tags.clear();
        }
        self.write(&metadata)
    }
}

impl fmt::Display for DocumentFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DocumentFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| format!("{text:?}: expected scout, spdx or cyclonedx"))
    }
}
