//! What goes into layers: package databases, installed trees and binaries, made up from a list.
//!
//! # Examples
//!
//! ```
//! use supercargo_testkit::contents::{self, Package};
//!
//! let status = contents::dpkg_status(&[
//!     Package::new("openssl", "3.0.11-1~deb12u2"),
//!     Package::new("libssl3", "3.0.11-1~deb12u2").with_source("openssl"),
//! ]);
//! assert!(status.contains("Package: libssl3\nStatus: install ok installed\n"));
//! assert!(status.contains("Source: openssl\n"));
//! ```

mod binaries;
mod system;
mod trees;

pub use binaries::{auditable_binary, go_binary};
pub use system::{apk_installed, dpkg_info, dpkg_status, os_release};
pub use trees::{npm_tree, package_json, python_dist_info};

/// A package, as far as the databases of the kit describe one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The name.
    pub name: String,
    /// The version, in the grammar of its ecosystem.
    pub version: String,
    /// The instruction set, in the words of its ecosystem.
    pub architecture: String,
    /// The source package, where it has another name; Debian allows `name (version)`.
    pub source: Option<String>,
    /// The licence expression.
    pub license: Option<String>,
    /// One line about it.
    pub description: String,
}

impl Package {
    /// A package with the usual rest.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            description: format!("made up as {name}"),
            name,
            version: version.into(),
            architecture: "amd64".into(),
            source: None,
            license: None,
        }
    }

    /// Sets the instruction set.
    pub fn with_architecture(mut self, architecture: impl Into<String>) -> Self {
        self.architecture = architecture.into();
        self
    }

    /// Sets the source package.
    pub fn with_source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sets the licence expression.
    pub fn with_license(mut self, license: impl Into<String>) -> Self {
        self.license = Some(license.into());
        self
    }
}
