//! Which repositories, by globs.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::{Error, ErrorKind, Repository, Result};

/// Repositories that are let in: all, or those that an include matches; never those that an exclude matches.
///
/// `*` matches any characters, slashes too. A glob is held against the repository's name and against the name
/// with the host before it, so `*/frontend*` finds `team/frontend` and a `frontend` at the top alike.
///
/// ```
/// use supercargo_registry::Filter;
///
/// let filter = Filter::new(&["*/frontend*"], &["*/legacy/*"])?;
/// assert!(filter.admits("registry.test", &"team/frontend-app".parse()?));
/// assert!(filter.admits("registry.test", &"frontend".parse()?));
/// assert!(!filter.admits("registry.test", &"legacy/frontend".parse()?));
/// assert!(!filter.admits("registry.test", &"backend".parse()?));
/// # Ok::<(), supercargo_registry::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Filter {
    include: Option<GlobSet>,
    exclude: Option<GlobSet>,
}

impl Filter {
    /// The filter of these globs. No include lets all in.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for what is no glob.
    pub fn new<S: AsRef<str>>(include: &[S], exclude: &[S]) -> Result<Self> {
        Ok(Self { include: compile(include)?, exclude: compile(exclude)? })
    }

    /// Whether `repository` of the registry `host` is let in.
    pub fn admits(&self, host: &str, repository: &Repository) -> bool {
        let full = format!("{host}/{repository}");
        let matches = |globs: &GlobSet| globs.is_match(repository.as_str()) || globs.is_match(&full);
        self.include.as_ref().is_none_or(matches) && !self.exclude.as_ref().is_some_and(matches)
    }
}

fn compile<S: AsRef<str>>(globs: &[S]) -> Result<Option<GlobSet>> {
    if globs.is_empty() {
        return Ok(None);
    }
    let bad = |glob: &str| {
        Error::new(ErrorKind::Configuration, format!("read the glob {:?}", crate::secret::printable(glob, 200)))
    };
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let glob = glob.as_ref();
        set.add(GlobBuilder::new(glob).build().map_err(|error| bad(glob).with_source(error))?);
    }
    set.build().map(Some).map_err(|error| bad("").with_source(error))
}
