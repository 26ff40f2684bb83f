//! What of a registry is watched.

use std::fmt;
use std::sync::Arc;

use regex::Regex;
use supercargo_registry::index::Platform;
use supercargo_registry::{Registry, Repository, TagName};
use supercargo_store::RepositoryName;

use crate::integration::Enablement;
use crate::{Error, ErrorKind, Result};

/// A choice of repositories by their names, such as a filter of globs.
pub type RepositoryPredicate = Arc<dyn Fn(&Repository) -> bool + Send + Sync>;

/// What of a registry is watched.
#[derive(Clone)]
pub struct Watch {
    /// The registry.
    pub registry: Arc<dyn Registry>,
    /// The repositories; empty for all that the registry lists.
    pub repositories: Vec<Repository>,
    /// A further choice among them, if there is one. Listings of the registry have passed their own filter; this
    /// one is also asked about repositories that events name.
    pub filter: Option<RepositoryPredicate>,
    /// The tags.
    pub tags: TagPatterns,
    /// Of an index, the images of these platforms; empty for all of them.
    pub platforms: Vec<Platform>,
    /// Index what is there already, not only what is pushed from now on.
    pub all_images: bool,
    /// List the registry's repositories in every pass, and not only in the first.
    pub refresh_registry: bool,
    /// Which repositories are enabled, if somebody chooses among them one by one: those of an integration.
    pub enablement: Option<Arc<Enablement>>,
}

impl Watch {
    /// All tags of all repositories of `registry` from now on.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self {
            registry,
            repositories: Vec::new(),
            filter: None,
            tags: TagPatterns::default(),
            platforms: Vec::new(),
            all_images: false,
            refresh_registry: false,
            enablement: None,
        }
    }

    /// The name of the registry.
    pub fn host(&self) -> &str {
        self.registry.host()
    }

    /// Whether `repository` is watched.
    pub fn has_repository(&self, repository: &Repository) -> bool {
        self.chooses(repository) && self.enablement.as_ref().is_none_or(|enablement| enablement.is_enabled(repository))
    }

    /// The same, be it enabled or not.
    pub(crate) fn chooses(&self, repository: &Repository) -> bool {
        (self.repositories.is_empty() || self.repositories.contains(repository))
            && self.filter.as_ref().is_none_or(|filter| filter(repository))
    }

    /// Why `repository` is not watched; `None` if it is.
    pub(crate) fn refusal(&self, repository: &Repository) -> Option<String> {
        if !self.chooses(repository) {
            return Some(format!("repository {repository} is not watched"));
        }
        self.enablement.as_ref().and_then(|enablement| enablement.refusal(repository))
    }

    /// Whether an image of an index is wanted. One whose platform the index does not name is.
    pub(crate) fn has_platform(&self, platform: Option<&Platform>) -> bool {
        let Some(platform) = platform.filter(|_| !self.platforms.is_empty()) else { return true };
        self.platforms.iter().any(|wanted| {
            wanted.os == platform.os
                && wanted.architecture == platform.architecture
                && (wanted.variant.is_none() || wanted.variant == platform.variant)
        })
    }

    /// Whether `tag` is watched. Tags by which tools attach signatures and the like never are.
    pub fn has_tag(&self, tag: &TagName) -> bool {
        !tag.is_referrer() && self.tags.matches(tag.as_str())
    }

    pub(crate) fn name(&self, repository: &Repository) -> RepositoryName {
        RepositoryName::new(self.host(), repository.as_str())
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("registry", &self.registry)
            .field("repositories", &self.repositories)
            .field("filter", &self.filter.is_some())
            .field("tags", &self.tags)
            .field("all_images", &self.all_images)
            .field("platforms", &self.platforms)
            .field("refresh_registry", &self.refresh_registry)
            .field("enablement", &self.enablement)
            .finish()
    }
}

/// Regular expressions of which a tag must match one, anywhere in it: write `^…$` for the whole tag.
#[derive(Clone, Debug, Default)]
pub struct TagPatterns(Vec<Regex>);

impl TagPatterns {
    /// The patterns; none of them for all tags.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] with every pattern that is none.
    pub fn new<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Result<Self> {
        let mut parsed = Vec::new();
        let mut problems = Vec::new();
        for pattern in patterns {
            match Regex::new(pattern.as_ref()) {
                Ok(regex) => parsed.push(regex),
                Err(error) => problems.push(format!("`{}`: {error}", pattern.as_ref())),
            }
        }
        if problems.is_empty() {
            return Ok(Self(parsed));
        }
        Err(Error::new(ErrorKind::Configuration, format!("read the tag patterns: {}", problems.join("; "))))
    }

    /// Whether every tag matches.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `tag` matches one of the patterns, or there is none.
    pub fn matches(&self, tag: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.is_match(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_match_one_of_the_patterns() {
        let check = |patterns: &[&str], tag: &str, expected: bool| {
            assert_eq!(TagPatterns::new(patterns).unwrap().matches(tag), expected, "{patterns:?} {tag}");
        };
        check(&[], "anything", true);
        check(&["^v[0-9]"], "v1.2", true);
        check(&["^v[0-9]"], "dev1", false);
        check(&["^release-", "latest"], "latest", true);
        check(&["lat"], "latest", true);
        check(&["^lat$"], "latest", false);
    }

    #[test]
    fn every_broken_pattern_is_named() {
        let error = TagPatterns::new(["ok", "(", "["]).unwrap_err();
        assert!(error.to_string().contains("`(`") && error.to_string().contains("`[`"), "{error}");
    }
}
