//! The memory twin's lists.

use std::collections::HashSet;

use supercargo_index::{Digest, ImageMetadata};

use super::state::{ImageRow, State, reason};
use crate::change::ChildKind;
use crate::clock::timestamp;
use crate::error::Result;
use crate::inventory::{
    ImageFilter, ImageSummary, KnownBase, ManifestState, NameMatch, PackageLayer, PackageLocation, PackageMatch,
    PackageQuery, Place, PlaceFilter, Presence, Problem, ProblemFilter, ProblemState, RegistryState, RepositoryState,
    StoredImage, TagState,
};
use crate::job::{JobId, JobState};
use crate::ledger::{LedgerEntry, Verdict};
use crate::name::{RepositoryName, TagOrDigest};
use crate::page::{Cursor, Listing, Page};
use crate::rows;
use crate::rows::{PackageRow, tidy};

/// Drops the keys that a cursor was made of.
fn values<K, T>(listing: Listing<(K, T)>) -> Listing<T> {
    Listing { items: listing.items.into_iter().map(|(_, item)| item).collect(), next: listing.next }
}

fn wanted(filter: &PlaceFilter, name: &RepositoryName, gone: bool) -> bool {
    filter.registry.as_ref().is_none_or(|registry| *registry == name.registry)
        && filter.repository.as_ref().is_none_or(|repository| *repository == name.repository)
        && (filter.presence == Presence::Any || !gone)
}

impl State {
    pub(super) fn registry_list(&self) -> Vec<RegistryState> {
        let count = |name: &str| {
            self.repositories.values().filter(|one| one.name.registry == name && one.gone_at.is_none()).count() as u64
        };
        self.registries.values().map(|one| RegistryState { repositories: count(&one.name), ..one.clone() }).collect()
    }

    pub(super) fn repository_list(&self, filter: &PlaceFilter, page: &Page) -> Result<Listing<RepositoryState>> {
        let after = Cursor::words::<2>(page)?;
        let count = |name: &RepositoryName| {
            self.tags.values().filter(|tag| tag.repository == *name && tag.gone_at.is_none()).count() as u64
        };
        let items = self
            .repositories
            .values()
            .filter(|one| wanted(filter, &one.name, one.gone_at.is_some()))
            .filter(|one| {
                after.as_ref().is_none_or(|[registry, repository]| {
                    (&one.name.registry, &one.name.repository) > (registry, repository)
                })
            })
            .take(page.limit() + 1)
            .map(|one| RepositoryState { tags: count(&one.name), ..one.clone() })
            .collect();
        Ok(Listing::cut(items, page, |one: &RepositoryState| Cursor::new([&one.name.registry, &one.name.repository])))
    }

    pub(super) fn tag_list(&self, filter: &PlaceFilter, page: &Page) -> Result<Listing<TagState>> {
        let after = Cursor::words::<3>(page)?;
        let items = self
            .tags
            .values()
            .filter(|one| wanted(filter, &one.repository, one.gone_at.is_some()))
            .filter(|one| {
                after.as_ref().is_none_or(|[registry, repository, tag]| {
                    (&one.repository.registry, &one.repository.repository, &one.tag) > (registry, repository, tag)
                })
            })
            .take(page.limit() + 1)
            .cloned()
            .collect();
        Ok(Listing::cut(items, page, |one: &TagState| {
            Cursor::new([&one.repository.registry, &one.repository.repository, &one.tag])
        }))
    }

    pub(super) fn manifest_list(&self, filter: &PlaceFilter, page: &Page) -> Result<Listing<ManifestState>> {
        let after = Cursor::numbers::<1>(page)?.map_or(0, |[id]| id);
        let items = self
            .manifests
            .range(after + 1..)
            .filter(|(_, one)| wanted(filter, &one.repository, one.gone_at.is_some()))
            .take(page.limit() + 1)
            .map(|(id, one)| (*id, ManifestState { images: self.child_images(&one.digest), ..one.clone() }))
            .collect();
        Ok(values(Listing::cut(items, page, |(id, _)| Cursor::new([id]))))
    }

    fn child_images(&self, index: &Digest) -> Vec<Digest> {
        let children = self.children.get(index).into_iter().flatten();
        children.filter(|child| child.kind == ChildKind::Image).map(|child| child.digest.clone()).collect()
    }

    /// Whether a tag on `target` leads to `image`.
    fn leads(&self, target: &Digest, image: &Digest) -> bool {
        target == image || self.child_images(target).contains(image)
    }

    fn places(&self, image: &Digest) -> Vec<Place> {
        let tags = self.tags.values().filter(|tag| tag.gone_at.is_none() && self.leads(&tag.digest, image));
        let tags = tags.map(|tag| Place { repository: tag.repository.clone(), tag: Some(tag.tag.clone()) });
        let bare = self.manifests.values().filter(|one| one.gone_at.is_none() && one.digest == *image);
        let bare = bare.map(|one| Place { repository: one.repository.clone(), tag: None });
        let mut places = tags.chain(bare).collect();
        tidy(&mut places);
        places
    }

    fn is_present(&self, image: &Digest, presence: Presence) -> bool {
        match presence {
            Presence::Any => true,
            Presence::Present => self.manifests.values().any(|one| one.gone_at.is_none() && one.digest == *image),
            Presence::Tagged => self.places(image).iter().any(|place| place.tag.is_some()),
        }
    }

    fn summary(&self, row: &ImageRow) -> Result<ImageSummary> {
        let image = crate::rows::image_of(&row.metadata)?;
        let present = self.is_present(&row.digest, Presence::Present);
        let gone_at =
            self.manifests.values().filter(|one| one.digest == row.digest).filter_map(|one| one.gone_at).max();
        Ok(ImageSummary {
            digest: row.digest.clone(),
            platform: image.platform.clone(),
            size: image.size,
            created: image.config.created.clone(),
            distro: row.metadata.distro.clone(),
            packages: row.metadata.package_count() as u64,
            layers: image.layers.len() as u64,
            indexer: row.metadata.indexer.clone(),
            first_indexed: timestamp(row.first_indexed)?,
            last_indexed: timestamp(row.last_indexed)?,
            places: self.places(&row.digest),
            gone_at: if present { None } else { gone_at },
        })
    }

    pub(super) fn image_list(&self, filter: &ImageFilter, page: &Page) -> Result<Listing<ImageSummary>> {
        let after = Cursor::numbers::<1>(page)?.map_or(i64::MAX, |[id]| id);
        let items = self
            .images
            .range(..after)
            .rev()
            .filter(|(_, row)| self.matches(row, filter))
            .take(page.limit() + 1)
            .map(|(id, row)| Ok((*id, self.summary(row)?)))
            .collect::<Result<Vec<_>>>()?;
        Ok(values(Listing::cut(items, page, |(id, _)| Cursor::new([id]))))
    }

    fn matches(&self, row: &ImageRow, filter: &ImageFilter) -> bool {
        let Some(image) = row.metadata.image() else { return false };
        let any = filter.presence == Presence::Any;
        let repository = |name: &RepositoryName| {
            filter.registry.as_ref().is_none_or(|registry| *registry == name.registry)
                && filter.repository.as_ref().is_none_or(|repository| *repository == name.repository)
        };
        let placed = match &filter.tag {
            Some(wanted) => self.tags.values().any(|tag| {
                tag.tag == *wanted
                    && (any || tag.gone_at.is_none())
                    && repository(&tag.repository)
                    && self.leads(&tag.digest, &row.digest)
            }),
            None if filter.registry.is_none() && filter.repository.is_none() => true,
            None => self
                .manifests
                .values()
                .any(|one| one.digest == row.digest && (any || one.gone_at.is_none()) && repository(&one.repository)),
        };
        placed
            && filter.platform.as_ref().is_none_or(|platform| platform.accepts(&image.platform))
            && filter.layer.as_ref().is_none_or(|layer| image.layers.iter().any(|one| one.digest == *layer))
            && self.is_present(&row.digest, filter.presence)
    }

    pub(super) fn find_image(&self, digest: &Digest) -> Result<Option<StoredImage>> {
        let Some(row) = self.images.values().find(|row| row.digest == *digest) else { return Ok(None) };
        Ok(Some(StoredImage { summary: self.summary(row)?, metadata: ImageMetadata::clone(&row.metadata) }))
    }

    pub(super) fn base_image(&self, layers: &[Digest]) -> Result<Option<KnownBase>> {
        let chains = rows::base_chains(layers);
        let mut longest = None;
        let mut images = Vec::new();
        for row in self.images.values().rev().filter(|row| self.is_present(&row.digest, Presence::Present)) {
            let chain = row.metadata.image().and_then(rows::chain_id);
            let Some(length) = chain.and_then(|chain| chains.iter().position(|one| one.to_string() == chain)) else {
                continue;
            };
            if longest.is_some_and(|longest| length < longest) {
                continue;
            }
            if longest != Some(length) {
                longest = Some(length);
                images.clear();
            }
            images.push((row.last_indexed, self.summary(row)?));
        }
        images.sort_by_key(|(last_indexed, _)| std::cmp::Reverse(*last_indexed));
        let Some(longest) = longest else { return Ok(None) };
        let images = images.into_iter().map(|(_, image)| image).collect();
        Ok(rows::best_base(images, u32::try_from(longest + 1).unwrap_or(u32::MAX)))
    }

    pub(super) fn indexes_of(&self, digest: &Digest) -> Vec<Digest> {
        let lists = |children: &[crate::change::ManifestChild]| children.iter().any(|child| child.digest == *digest);
        let mut indexes: Vec<Digest> =
            self.children.iter().filter(|(_, children)| lists(children)).map(|(index, _)| index.clone()).collect();
        indexes.sort_by_key(Digest::to_string);
        indexes
    }

    pub(super) fn package_list(&self, query: &PackageQuery, page: &Page) -> Result<Listing<PackageMatch>> {
        let after = Cursor::numbers::<2>(page)?.map(|[package, image]| (package, image));
        let mut found = Vec::new();
        for (image_id, row) in &self.images {
            let Some(image) = row.metadata.image() else { continue };
            let other = query.image.as_ref().is_some_and(|digest| *digest != row.digest);
            if other || !self.is_present(&row.digest, query.presence) {
                continue;
            }
            for package in &row.metadata.packages {
                let columns = PackageRow::of(package);
                let path = query.path.as_deref();
                let located = path.is_none_or(|path| package.locations.iter().any(|one| one.path.contains(path)));
                let key = (self.packages.get(&columns).copied().unwrap_or_default(), *image_id);
                if !located || !is_wanted(&columns, query) || after.is_some_and(|after| key <= after) {
                    continue;
                }
                let location = |one: &supercargo_index::Location| PackageLocation {
                    path: one.path.clone(),
                    layer: one.layer.and_then(|index| {
                        let layer = image.layers.get(index as usize)?;
                        let (digest, ordinal) = (layer.digest.clone(), layer.ordinal);
                        Some(PackageLayer { index, digest, ordinal, instruction: layer.instruction.clone() })
                    }),
                };
                let mut locations: Vec<_> = package.locations.iter().map(location).collect();
                locations.sort_by(|left, right| left.path.cmp(&right.path));
                let item = PackageMatch {
                    purl: columns.purl,
                    kind: columns.kind,
                    namespace: columns.namespace,
                    name: columns.name,
                    version: columns.version,
                    licenses: columns.licenses,
                    evidence: package.package.evidence,
                    image: row.digest.clone(),
                    platform: image.platform.clone(),
                    places: self.places(&row.digest),
                    locations,
                };
                found.push((key, item));
            }
        }
        found.sort_by_key(|(key, _)| *key);
        found.truncate(page.limit() + 1);
        Ok(values(Listing::cut(found, page, |((package, image), _)| Cursor::new([package, image]))))
    }

    pub(super) fn problem_list(&self, filter: &ProblemFilter, page: &Page) -> Result<Listing<Problem>> {
        let after = Cursor::numbers::<4>(page)?;
        let mut problems = self.job_problems()?;
        let told: HashSet<_> =
            problems.iter().filter_map(|(_, one)| Some((one.repository.clone(), one.digest.clone()?))).collect();
        problems.extend(self.ledger_problems(&told)?);
        problems.retain(|(key, one)| {
            after.is_none_or(|after| *key < after)
                && filter.registry.as_ref().is_none_or(|registry| *registry == one.repository.registry)
                && filter.repository.as_ref().is_none_or(|repository| *repository == one.repository.repository)
                && filter.state.is_none_or(|state| state == one.state)
        });
        problems.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
        problems.truncate(page.limit() + 1);
        let cursor = |([at, origin, id, place], _): &([i64; 4], Problem)| Cursor::new([at, origin, id, place]);
        Ok(values(Listing::cut(problems, page, cursor)))
    }

    fn job_problems(&self) -> Result<Vec<([i64; 4], Problem)>> {
        let mut problems = Vec::new();
        for row in self.jobs.values().filter(|row| row.life.state != JobState::Done) {
            let (Some(reason), Some((_, at))) = (reason(&row.life.error), &row.life.error) else { continue };
            let dead = row.life.state == JobState::Dead;
            let queued = row.life.state == JobState::Queued;
            let tag = match row.work.reference() {
                Some(TagOrDigest::Tag(tag)) => Some(tag.as_str()),
                Some(TagOrDigest::Digest(digest)) => self.tag_of(row.work.repository(), digest),
                None => None,
            };
            let problem = Problem {
                state: if dead { ProblemState::Failed } else { ProblemState::Retrying },
                repository: row.work.repository().clone(),
                tag: tag.map(str::to_owned),
                digest: row.work.reference().and_then(|reference| reference.digest()).cloned(),
                reason,
                attempt: row.life.attempt,
                next_try: if queued { Some(timestamp(row.life.run_at)?) } else { None },
                at: timestamp(*at)?,
                job: Some(JobId(row.life.id)),
            };
            problems.push(([*at, 1, row.life.id, 0], problem));
        }
        Ok(problems)
    }

    /// The first of the repository's tags that leads to the manifest.
    fn tag_of(&self, repository: &RepositoryName, digest: &Digest) -> Option<&str> {
        let leads =
            |tag: &&TagState| tag.repository == *repository && tag.gone_at.is_none() && self.leads(&tag.digest, digest);
        self.tags.values().find(leads).map(|tag| tag.tag.as_str())
    }

    fn ledger_problems(&self, told: &HashSet<(RepositoryName, Digest)>) -> Result<Vec<([i64; 4], Problem)>> {
        let mut problems = Vec::new();
        for (number, entry) in self.ledger.values() {
            let state = match &entry.verdict {
                Verdict::Indexed => continue,
                Verdict::Failed(_) => ProblemState::Failed,
                Verdict::Unsupported(_) => ProblemState::Unsupported,
            };
            let later = |(other, one): &(i64, LedgerEntry)| {
                one.digest == entry.digest && (one.last_at, other) > (entry.last_at, number)
            };
            let Some(reason) = entry.verdict.reason().filter(|_| !self.ledger.values().any(later)) else { continue };
            for (place, manifest) in &self.manifests {
                let elsewhere = manifest.digest != entry.digest || manifest.gone_at.is_some();
                if elsewhere || told.contains(&(manifest.repository.clone(), entry.digest.clone())) {
                    continue;
                }
                let tag = self.tag_of(&manifest.repository, &entry.digest);
                let problem = Problem {
                    state,
                    repository: manifest.repository.clone(),
                    tag: tag.map(str::to_owned),
                    digest: Some(entry.digest.clone()),
                    reason: reason.clone(),
                    attempt: entry.attempts,
                    next_try: None,
                    at: entry.last_at,
                    job: None,
                };
                problems.push(([entry.last_at.as_millisecond(), 0, *number, *place], problem));
            }
        }
        Ok(problems)
    }
}

fn is_wanted(package: &PackageRow, query: &PackageQuery) -> bool {
    let lower = str::to_ascii_lowercase;
    let named = |matches: &dyn Fn(&str) -> bool| matches(&lower(&package.name)) || matches(&lower(&package.purl_name));
    let name = match &query.name {
        None => true,
        Some(NameMatch::Exact(name)) => named(&|text| text == lower(name)),
        Some(NameMatch::Prefix(prefix)) => named(&|text| text.starts_with(&lower(prefix))),
        Some(NameMatch::Contains(part)) => named(&|text| text.contains(&lower(part))),
    };
    let namespace = query.namespace.as_ref().is_none_or(|wanted| {
        package.namespace.as_ref().is_some_and(|namespace| namespace.eq_ignore_ascii_case(wanted))
    });
    let license = query
        .license
        .as_ref()
        .is_none_or(|wanted| package.licenses.iter().any(|license| lower(license).contains(&lower(wanted))));
    name && namespace
        && license
        && query.kind.as_ref().is_none_or(|kind| *kind == package.kind)
        && query.version.as_ref().is_none_or(|version| *version == package.version)
}
