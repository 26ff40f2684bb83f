//! `os/architecture[/variant]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Descriptor, Error, ErrorKind};

/// A platform in Go's words, as manifests and configurations name it.
///
/// ```
/// let platform: supercargo_index::Platform = "linux/arm64/v8".parse()?;
/// assert_eq!(platform.architecture, "arm64");
/// assert_eq!(platform.to_string(), "linux/arm64/v8");
/// # Ok::<(), supercargo_index::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Platform {
    /// `linux`, `windows`, …
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7`, `v8`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Windows build, where it is named.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
}

impl Platform {
    /// `linux`, whatever this machine runs, since that is what images are made for; and its processor in Go's words
    /// (`go tool dist list`).
    pub fn of_this_machine() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            "loongarch64" => "loong64",
            other => other,
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None, os_version: None }
    }

    /// The platform that an index names for a manifest; `None` if it names none. `unknown` is none: attestations have
    /// it.
    pub fn of(descriptor: &Descriptor) -> Option<Self> {
        let named = descriptor.platform().as_ref()?;
        let given = |word: &Option<String>| word.clone().filter(|word| !word.is_empty());
        let platform = Self {
            os: named.os().to_string(),
            architecture: named.architecture().to_string(),
            variant: given(named.variant()),
            os_version: given(named.os_version()),
        };
        let known = |word: &str| !word.is_empty() && word != "unknown";
        (known(&platform.os) && known(&platform.architecture)).then_some(platform)
    }

    /// Whether an image of platform `other` serves a wish for this one: what the wish leaves out, matches.
    pub fn accepts(&self, other: &Self) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && (self.variant.is_none() || self.variant == other.variant)
            && (self.os_version.is_none() || self.os_version == other.os_version)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.split('/');
        let (os, architecture, variant) = (parts.next(), parts.next(), parts.next());
        let plain =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        match (os, architecture, parts.next()) {
            (Some(os), Some(architecture), None) if plain(os) && plain(architecture) && variant.is_none_or(plain) => {
                Ok(Self {
                    os: os.to_owned(),
                    architecture: architecture.to_owned(),
                    variant: variant.map(str::to_owned),
                    os_version: None,
                })
            }
            _ => Err(Error::new(
                ErrorKind::Malformed,
                format!("parse platform {text:?}: expected os/architecture[/variant], such as linux/arm64"),
            )),
        }
    }
}
