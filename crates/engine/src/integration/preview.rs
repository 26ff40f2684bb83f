//! What a selection comes to, before anybody decides on it.

use std::collections::HashSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::Serialize;
use supercargo_registry::index::Digest;
use supercargo_registry::{Filter, Registry, RegistryExt as _, Repository, Tag, Target};
use supercargo_store::{Integration, Selection};

use super::{Integrations, select};
use crate::{Clock as _, Error, ErrorKind, Result, SystemClock, TagPatterns, Watch};

/// Repositories that are looked at at one time, as in a pass of the engine.
const REPOSITORIES: usize = 4;

/// What a selection comes to in a registry as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SelectionPreview {
    /// Images that are selected.
    pub images: u64,
    /// Repositories that have some of them.
    pub repositories: u64,
    /// Those of them that enabling the repositories would index at once.
    pub at_once: u64,
    /// Repositories that were looked at.
    pub looked_at: u64,
    /// Repositories that the registry did not let be read.
    pub unreadable: u64,
    /// What is selected, by repository, of each the newest first; no more than was asked for.
    pub selected: Vec<SelectedTag>,
}

/// A tag whose images are selected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SelectedTag {
    /// The name of the repository.
    pub repository: String,
    /// The tag. Of several that lead to one image it is the first, where the registry's list says so.
    pub tag: String,
    /// What it leads to, where the registry's list says so.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub digest: Option<Digest>,
    /// When that was pushed, where the registry's list says so.
    pub pushed_at: Option<Timestamp>,
    /// Images that it stands for: one, unless platforms are chosen, of which an index may have several.
    pub images: u64,
    /// Whether enabling the repository would index them at once.
    pub at_once: bool,
}

/// Finds fault with a selection.
///
/// # Errors
///
/// [`ErrorKind::Configuration`] with every glob and every regular expression that is none.
pub(super) fn check_selection(selection: &Selection) -> Result<()> {
    let mut problems = Vec::new();
    for (key, globs) in [("include", &selection.include), ("exclude", &selection.exclude)] {
        let bad = globs.iter().filter(|glob| Filter::new(&[glob], &[]).is_err());
        problems.extend(bad.map(|glob| format!("{key}: {glob:?} is no glob")));
    }
    problems.extend(TagPatterns::new(&selection.tags).err().map(|error| format!("tags: {error}")));
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Configuration, format!("read the selection: {}", problems.join("; "))))
}

impl Integrations {
    /// Asks the registry what `selection` comes to, and changes nothing. Of what is selected, `most` tags are named.
    ///
    /// Every repository is looked at, and with platforms every tag that is selected: of a large registry it takes its
    /// time. Dropping the future ends it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the selection makes no sense; [`ErrorKind::Registry`] if the registry cannot be
    /// asked; those of [`Integrations::connect`].
    pub async fn preview(
        &self,
        integration: &Integration,
        selection: &Selection,
        most: usize,
    ) -> Result<SelectionPreview> {
        check_selection(selection)?;
        let watch = self.connect(integration).await?.watch;
        let filter = Filter::new(&selection.include, &selection.exclude)
            .map_err(|error| Error::new(ErrorKind::Configuration, "read the selection").with_source(error))?;
        let look = Look {
            registry: watch.registry.as_ref(),
            patterns: TagPatterns::new(&selection.tags)?,
            selection,
            now: SystemClock.now(),
        };
        let mut repositories = self.all_repositories(integration, &watch).await?;
        repositories.retain(|repository| filter.admits(&integration.registry, repository));
        let mut preview = SelectionPreview { looked_at: repositories.len() as u64, ..SelectionPreview::default() };
        let mut looks = stream::iter(repositories).map(|repository| look.at(repository)).buffered(REPOSITORIES);
        while let Some(found) = looks.next().await {
            let Some(found) = found? else {
                preview.unreadable += 1;
                continue;
            };
            preview.repositories += u64::from(!found.is_empty());
            for tag in found {
                preview.images += tag.images;
                preview.at_once += if tag.at_once { tag.images } else { 0 };
                if preview.selected.len() < most {
                    preview.selected.push(tag);
                }
            }
        }
        Ok(preview)
    }

    /// The repositories that the registry lists, and those that somebody named.
    async fn all_repositories(&self, of: &Integration, watch: &Watch) -> Result<Vec<Repository>> {
        let known = self.repositories(&of.name).await?;
        let named = known.iter().filter_map(|one| one.repository.repository.parse::<Repository>().ok());
        let mut named: Vec<Repository> = named.collect();
        let listed: Result<Vec<Repository>, _> = watch.registry.repositories().try_collect().await;
        match listed {
            Ok(listed) => named.extend(listed),
            // A token that must not list: those that are known by name are all there is to go by.
            Err(error) if named.is_empty() => return Err(asked(error)),
            Err(_) => {}
        }
        named.retain(|repository| watch.filter.as_ref().is_none_or(|admits| admits(repository)));
        named.sort();
        named.dedup();
        Ok(named)
    }
}

fn asked(error: supercargo_registry::Error) -> Error {
    Error::registry("ask the registry what is selected", error)
}

/// What one look at a repository needs.
struct Look<'a> {
    registry: &'a dyn Registry,
    patterns: TagPatterns,
    selection: &'a Selection,
    now: Timestamp,
}

impl Look<'_> {
    /// What is selected of a repository; `None` if it cannot be read.
    async fn at(&self, repository: Repository) -> Result<Option<Vec<SelectedTag>>> {
        let listed: Result<Vec<Tag>, _> = self.registry.tags(&repository).try_collect().await;
        let Ok(mut tags) = listed else { return Ok(None) };
        tags.retain(|tag| !tag.name.is_referrer() && self.patterns.matches(tag.name.as_str()));
        let begun = select(&tags, self.selection, self.now);
        let begun: HashSet<&str> = begun.into_iter().map(|tag| tag.name.as_str()).collect();
        // `select` takes the newest alone where nothing is said: all of them are selected, and the newest is begun with.
        let every = Selection { newest: self.selection.newest.or(Some(u32::MAX)), ..self.selection.clone() };
        let mut found = Vec::new();
        for tag in select(&tags, &every, self.now) {
            let images = self.on_platforms(&repository, tag).await?;
            if images > 0 {
                found.push(SelectedTag {
                    repository: repository.to_string(),
                    tag: tag.name.to_string(),
                    digest: tag.digest.clone(),
                    pushed_at: tag.pushed_at,
                    images,
                    at_once: begun.contains(tag.name.as_str()),
                });
            }
        }
        Ok(Some(found))
    }

    /// How many images a tag stands for: one, unless platforms are chosen, of which an index may have several or none.
    async fn on_platforms(&self, repository: &Repository, tag: &Tag) -> Result<u64> {
        let platforms = &self.selection.platforms;
        if platforms.is_empty() {
            return Ok(1);
        }
        let set = self.registry.images(repository, &Target::Tag(tag.name.clone())).await.map_err(asked)?;
        if set.images.len() == 1 {
            // An image that is no part of an index is indexed whatever its platform.
            return Ok(1);
        }
        let is_wanted = |platform: &_| platforms.contains(platform);
        Ok(set.images.iter().filter(|image| image.platform.as_ref().is_some_and(is_wanted)).count() as u64)
    }
}
