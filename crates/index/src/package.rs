//! What a cataloger finds: packages, facts about packages, the distribution.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A package as its evidence file describes it, before the image's distribution is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Package {
    /// The package URL type: `deb`, `apk`, `npm`, `pypi`, `golang`, `cargo`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The package URL namespace. Left empty for `deb`, `apk` and `rpm`: it is the distribution's ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name, spelled as the ecosystem spells it.
    pub name: String,
    /// The version, whole (with epoch and release where the ecosystem has them); empty when it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Package URL qualifiers besides `distro`: `arch`, `upstream`, …
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub qualifiers: BTreeMap<String, String>,
    /// The source package that this one was built from, where the ecosystem has such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePackage>,
    /// Declared licences, one identifier or expression each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<String>,
    /// Author or maintainer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Who distributes it: an rpm's vendor, the publisher of a .NET assembly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The ID of the OpenPGP key that an rpm was signed with, by the word of its signature: 16 hexadecimal digits, in
    /// lower case. The signature is not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<String>,
    /// CPE 2.3 names under which vulnerability databases know it, where the evidence or a table says them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpes: Vec<String>,
    /// A line of description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Size of the package file, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Size once installed, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installed_size: Option<u64>,
    /// Where within the evidence file it was found, if that is an archive: `BOOT-INF/lib/quux.jar`; a colon before
    /// each further level. An image's package has it in its [locations](crate::Location).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Files that the package owns: paths from the image's root, without the leading slash.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// What it needs when it runs, by the word of its evidence. An image's package has, for those that are there,
    /// what it [depends on](crate::ImagePackage::depends_on) instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Requirement>,
    /// Names besides its own under which others may require it: virtual packages, libraries, files. Not kept in an
    /// image's package.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<String>,
    /// Whether it is there, or only somebody says so.
    #[serde(skip_serializing_if = "is_default")]
    pub evidence: Evidence,
    /// Needed for development only, by the word of its lock file.
    #[serde(skip_serializing_if = "is_default")]
    pub dev: bool,
}

/// What a package needs when it runs.
///
/// It is met by an installed package of the same type. The system's package manager sees the whole image. Of what
/// Node.js would load, the directory decides: `name` is that below `node_modules`. Elsewhere, a package that lies in
/// the same file comes first (in an archive: the nearest to it there), then one in the same directory, then one in a
/// directory beside it, above it or below it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Requirement {
    /// The name: a package's, with its namespace and a slash before it if it has one, or one that a package
    /// [provides](Package::provides), or the absolute path of a file that a package of the system owns.
    pub name: String,
    /// The version that was asked for, where the evidence says one. Another of this name will do if that one is not
    /// there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Names that will do as well, the preferred first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub or: Vec<String>,
}

impl Requirement {
    /// Of this name, in any version.
    pub fn of(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// What makes us say that a package is there, the best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// A package database, or the package's own files.
    #[default]
    Installed,
    /// An SBOM document in the image claims it.
    Claimed,
    /// A lock file or a manifest names it; nothing shows that it was installed.
    Declared,
}

/// The source package of a binary package.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourcePackage {
    /// Its name.
    pub name: String,
    /// Its version, whole; the binary package's where the database names no other.
    pub version: String,
}

/// What one file says about a package that another file brings: dpkg keeps file lists and licences
/// beside its database, for instance. Joined when the layers are squashed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Supplement {
    /// The [`Package::kind`] it is about.
    #[serde(rename = "type")]
    pub kind: String,
    /// The [`Package::name`] it is about; empty where [`beside`](Self::beside) says enough.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// It is about the packages whose evidence lies in the same directory, whatever their names: a wheel's metadata
    /// are several files, and the same package may be installed in several places.
    #[serde(skip_serializing_if = "is_default")]
    pub beside: bool,
    /// Package URL qualifiers to add.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub qualifiers: BTreeMap<String, String>,
    /// Licences to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<String>,
    /// Owned files to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

/// The distribution, from os-release(5) or one of its predecessors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Distro {
    /// `ID`: `debian`, `alpine`, `rhel`, …
    pub id: String,
    /// `VERSION_ID`: `12`, `3.20.3`; empty for rolling releases.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version_id: String,
    /// `VERSION_CODENAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_codename: Option<String>,
    /// `ID_LIKE`, split.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub id_like: Vec<String>,
    /// `NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `PRETTY_NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pretty_name: Option<String>,
    /// `VARIANT_ID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant_id: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
