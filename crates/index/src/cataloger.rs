//! The contract of a cataloger: which files it wants, and what it makes of them.

mod contents;
mod interest;
mod set;

use std::fmt;

pub use contents::Contents;
pub use interest::Interest;
pub(crate) use interest::{LEADING_BYTES, path_matches};
pub use set::{CatalogerVersion, Catalogers};
pub(crate) use set::{Chosen, Selection};

use crate::package::{Distro, Package, Supplement};
use crate::vex::VexDocument;

/// Finds the packages that one kind of file is evidence of.
///
/// The indexer walks a layer once. For each regular file it asks one matcher, built from all catalogers'
/// [interests](Cataloger::interest), who wants it, and hands over the contents while the stream stands there.
/// A cataloger therefore sees one file at a time and never the rest of the image; what belongs together
/// over several files is joined later, when the layers are squashed ([`Supplement`]).
///
/// # Examples
///
/// A cataloger of one's own:
///
/// ```
/// use supercargo_index::{Cataloger, Contents, File, Findings, Interest, Package, Problem};
///
/// #[derive(Debug)]
/// struct Plugins;
///
/// impl Cataloger for Plugins {
///     fn name(&self) -> &'static str {
///         "acme-plugins"
///     }
///
///     fn version(&self) -> u32 {
///         1
///     }
///
///     fn interest(&self) -> Interest {
///         Interest::new().path("opt/acme/plugins/*.version")
///     }
///
///     fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
///         let name = file.name().trim_end_matches(".version");
///         findings.package(Package {
///             kind: "generic".into(),
///             name: name.into(),
///             version: contents.text()?.trim().into(),
///             ..Package::default()
///         });
///         Ok(())
///     }
/// }
/// ```
pub trait Cataloger: fmt::Debug + Send + Sync {
    /// A short name, unique among the catalogers of an indexer: `dpkg`, `python`.
    fn name(&self) -> &'static str;

    /// Raised by one whenever the same file may give other findings than before.
    /// Part of the [indexer version](Catalogers::version): cached layers of the old version are brought up to date,
    /// which takes their bytes only if a file that this cataloger wants is not among their [captures](crate::Captures).
    fn version(&self) -> u32;

    /// The files that are wanted. Asked once, when the indexer is built.
    fn interest(&self) -> Interest;

    /// Reads one wanted file.
    ///
    /// # Errors
    ///
    /// A [`Problem`] concerns this file alone: it is recorded as [`Skipped`](crate::Skipped), what was found
    /// before it is kept, and the image goes on. A file that merely is not what its name promises is no
    /// problem: find nothing and return `Ok`.
    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem>;

    /// Whether a file that is wanted for its [leading bytes behind links](Interest::behind_links) alone may be what it
    /// is wanted for, by its first bytes: as many as are at hand, 512 or more unless the file is shorter. Asked before
    /// memory is taken for a large file. One that is refused has nothing in it for this cataloger.
    fn recognises(&self, head: &[u8]) -> bool {
        let _ = head;
        true
    }
}

/// The file that a cataloger is given.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Path from the image's root, normalised, without the leading slash: `var/lib/dpkg/status`.
    pub path: &'a str,
    /// Bytes.
    pub size: u64,
    /// Any of the execute bits is set.
    pub executable: bool,
}

impl<'a> File<'a> {
    /// The last segment of the path.
    pub fn name(&self) -> &'a str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }

    /// The path of the directory that holds the file; empty at the root.
    pub fn directory(&self) -> &'a str {
        self.path.rsplit_once('/').map_or("", |(directory, _)| directory)
    }
}

/// Names that the packages of one file require and provide. Those of a large system's database are 200 000.
const MOST_NAMES: usize = 1 << 19;

/// Names that one package requires, or provides.
pub(crate) const MOST_NAMES_OF_ONE: usize = 1 << 14;

/// What a cataloger finds in one file.
#[derive(Debug, Default)]
pub struct Findings {
    pub(crate) packages: Vec<Package>,
    /// Names that packages have required and provided so far.
    names: usize,
    pub(crate) supplements: Vec<Supplement>,
    pub(crate) distro: Option<Distro>,
    pub(crate) repositories: Vec<String>,
    pub(crate) vex: Vec<VexDocument>,
}

impl Findings {
    /// A package that the file is evidence of. One without a name is dropped. Of what packages require and provide,
    /// 16 384 names each are kept, and half a million in all.
    pub fn package(&mut self, mut package: Package) {
        if !package.name.is_empty() {
            package.requires.truncate(self.names_left());
            self.names += package.requires.iter().map(|required| 1 + required.or.len()).sum::<usize>();
            package.provides.truncate(self.names_left());
            self.names += package.provides.len();
            self.packages.push(package);
        }
    }

    /// A name costs many times the two bytes that it may have in a file.
    fn names_left(&self) -> usize {
        MOST_NAMES.saturating_sub(self.names).min(MOST_NAMES_OF_ONE)
    }

    /// A fact about a package that another file brings.
    pub fn supplement(&mut self, supplement: Supplement) {
        self.supplements.push(supplement);
    }

    /// The distribution.
    pub fn distro(&mut self, distro: Distro) {
        self.distro = Some(distro);
    }

    /// The ID of a repository that packages of the system were installed from.
    pub fn repository(&mut self, id: impl Into<String>) {
        self.repositories.push(id.into());
    }

    /// What the file says of vulnerabilities.
    pub fn vex(&mut self, document: VexDocument) {
        self.vex.push(document);
    }

    /// The packages found so far.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The supplements found so far.
    pub fn supplements(&self) -> &[Supplement] {
        &self.supplements
    }

    /// The distribution, if one was found.
    pub fn found_distro(&self) -> Option<&Distro> {
        self.distro.as_ref()
    }

    /// The repositories found so far.
    pub fn repositories(&self) -> &[String] {
        &self.repositories
    }

    /// The VEX documents found so far.
    pub fn found_vex(&self) -> &[VexDocument] {
        &self.vex
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packages.is_empty()
            && self.supplements.is_empty()
            && self.distro.is_none()
            && self.repositories.is_empty()
            && self.vex.is_empty()
    }
}

/// Why a file could not be read to its end. Concerns that file alone, unless the stream itself broke.
#[derive(Debug)]
pub enum Problem {
    /// The file is longer than what may be held in memory.
    TooLarge {
        /// Bytes of the file.
        size: u64,
        /// The bound.
        limit: u64,
    },
    /// The file breaks its format; a fragment such as `buildinfo: string length 4294967295 is past the end`.
    Malformed(String),
    /// The layer's stream failed under the reader. The indexer reports this as the layer's error.
    Stream(std::io::Error),
}

impl Problem {
    /// The file breaks its format.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed(reason.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size, limit } => write!(f, "{size} bytes are over the limit of {limit}"),
            Self::Malformed(reason) => f.write_str(reason),
            Self::Stream(_) => f.write_str("read the layer's stream"),
        }
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Stream(error) => Some(error),
            _ => None,
        }
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::Stream(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Requirement;

    #[test]
    fn names_that_packages_require_and_provide_are_bounded() {
        let mut findings = Findings::default();
        let most = MOST_NAMES / MOST_NAMES_OF_ONE / 2;
        for _ in 0..=most {
            findings.package(Package {
                name: "a".into(),
                requires: vec![Requirement::of("x"); MOST_NAMES_OF_ONE + 1],
                provides: vec!["y".into(); MOST_NAMES_OF_ONE + 1],
                ..Package::default()
            });
        }
        let kept = |package: &Package| (package.requires.len(), package.provides.len());
        let kept: Vec<_> = findings.packages().iter().map(kept).collect();
        assert_eq!(kept[0], (MOST_NAMES_OF_ONE, MOST_NAMES_OF_ONE));
        assert_eq!((kept[most - 1], kept[most]), (kept[0], (0, 0)));
    }
}
