//! Indexing what a reference leads to.

use std::sync::Arc;

use supercargo_registry::index::{BaseEvidence, BaseImage, Descriptor, Digest, ImageMetadata, Source};
use supercargo_registry::{
    ErrorKind, ImageSet, PlatformImage, Registry, RegistryExt, RegistryImage, TagName, Target, media_type,
};
use supercargo_store::{
    Change, ChildKind, Job, LedgerEntry, ManifestChild, RepositoryName, TagOrDigest, Verdict, Work,
};
use tokio::time::Instant;

use super::Outcome;
use crate::failure::Trouble;
use crate::shared::{Shared, target};
use crate::{Progress, Watch};

pub(super) async fn run(
    shared: &Shared,
    watch: &Watch,
    job: &Job,
    name: &RepositoryName,
    reference: &TagOrDigest,
) -> Result<Outcome, Trouble> {
    let repository = Shared::repository(name)?;
    let set = match watch.registry.images(&repository, &target(reference)?).await {
        Ok(set) => set,
        Err(error) if error.kind() == ErrorKind::NotFound => return gone(shared, name, reference).await,
        Err(error) => return Err(error.into()),
    };
    let digest = set.root.digest().clone();
    let mut outcome = Outcome::default();
    if let TagOrDigest::Tag(tag) = reference {
        outcome.changes.push(Change::TagSeen {
            repository: name.clone(),
            tag: tag.clone(),
            digest: digest.clone(),
            pushed_at: None,
        });
    }
    outcome.changes.push(manifest_seen(name, &set));
    if is_index(&set) {
        expand(shared, watch, job, name, &set, &mut outcome).await?;
        return Ok(outcome);
    }
    if let Some(unsupported) = set.unsupported.first() {
        // Attestations and signatures are pushed beside an image and without a tag. Nobody misses them.
        if tags_of(shared, name, &digest).await?.is_empty() {
            return Ok(outcome);
        }
        refuse(shared, name, &digest, &unsupported.reason, &mut outcome);
        return Ok(outcome);
    }
    let Some(image) = set.images.into_iter().next() else {
        refuse(shared, name, &digest, "a manifest that leads to no image", &mut outcome);
        return Ok(outcome);
    };
    index(shared, watch, name, image, &mut outcome).await?;
    Ok(outcome)
}

/// The registry says that what was to be indexed is not there: pushed and deleted, or announced and never pushed.
async fn gone(shared: &Shared, name: &RepositoryName, reference: &TagOrDigest) -> Result<Outcome, Trouble> {
    let mut outcome = Outcome::default();
    match reference {
        TagOrDigest::Tag(tag) => {
            outcome.changes.push(Change::TagGone { repository: name.clone(), tag: tag.clone() });
        }
        TagOrDigest::Digest(digest) => {
            outcome.changes.push(Change::ManifestGone { repository: name.clone(), digest: digest.clone() });
            if !ledger(shared, std::slice::from_ref(digest)).await?.is_empty() {
                outcome.notice(Progress::Gone { repository: name.clone(), reference: Some(reference.clone()) });
            }
        }
    }
    Ok(outcome)
}

/// Enqueues the images of an index that were not indexed yet: each a job, a result and a failure of its own.
async fn expand(
    shared: &Shared,
    watch: &Watch,
    job: &Job,
    name: &RepositoryName,
    set: &ImageSet,
    outcome: &mut Outcome,
) -> Result<(), Trouble> {
    let digest = set.root.digest();
    let wanted = set.images.iter().filter(|image| watch.has_platform(image.platform.as_ref()));
    let children: Vec<Digest> = wanted.map(|image| image.descriptor.digest().clone()).collect();
    if set.images.is_empty() {
        refuse(shared, name, digest, "an index that lists no image", outcome);
        return Ok(());
    }
    let known = ledger(shared, &children).await?;
    let mut missing = 0_usize;
    for child in &children {
        if known.get(child).is_some_and(is_settled) {
            outcome.notice(Progress::Known { repository: name.clone(), digest: child.clone() });
            outcome.changes.extend(shared.tell_indexed(name, child));
            continue;
        }
        missing += 1;
        let work = Work::Index { repository: name.clone(), reference: TagOrDigest::Digest(child.clone()) };
        outcome.changes.push(Change::Enqueue(shared.job(work.clone(), job.lane)));
        outcome.notice(Progress::Queued { work, lane: job.lane });
    }
    // The ledger's word for an index is that all of its images were indexed, which those that are not wanted are not.
    if missing == 0 && children.len() == set.images.len() {
        outcome.changes.push(line(shared, digest, Verdict::Indexed));
    }
    outcome.notice(Progress::Expanded { repository: name.clone(), digest: digest.clone(), images: children.len() });
    Ok(())
}

/// Indexes one image, unless that has been done.
async fn index(
    shared: &Shared,
    watch: &Watch,
    name: &RepositoryName,
    image: PlatformImage,
    outcome: &mut Outcome,
) -> Result<(), Trouble> {
    let digest = image.descriptor.digest().clone();
    outcome.flight = Some(shared.flights.board(&digest).await);
    if ledger(shared, std::slice::from_ref(&digest)).await?.get(&digest).is_some_and(is_settled) {
        // It is new to this repository, or to a tag of it, and nothing but that is to be told.
        outcome.changes.extend(shared.tell_indexed(name, &digest));
        outcome.notice(Progress::Known { repository: name.clone(), digest });
        return Ok(());
    }
    let tags = tags_of(shared, name, &digest).await?;
    let attestations = listed_attestations(shared, watch, name, &digest).await?;
    let source = RegistryImage::<dyn Registry>::new(Arc::clone(&watch.registry), image)
        .with_tags(tags.iter().cloned())
        .with_attestations(attestations);
    let started = Instant::now();
    let mut metadata = match shared.indexer.index(&source).await {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == supercargo_registry::index::ErrorKind::Unsupported => {
            refuse(shared, name, &digest, &crate::failure::chain(&error), outcome);
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    find_base(shared, &mut metadata).await?;
    outcome.notice(indexed(name, &digest, &metadata, started));
    outcome.changes.push(Change::Image { repository: name.clone(), metadata: Box::new(metadata) });
    outcome.changes.push(line(shared, &digest, Verdict::Indexed));
    outcome.changes.extend(shared.tell_indexed(name, &digest));
    Ok(())
}

/// The attestation manifests that the known indexes list for an image. The job of one image does not go by its index.
async fn listed_attestations(
    shared: &Shared,
    watch: &Watch,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Vec<Descriptor>, Trouble> {
    /// Indexes of one image that are asked: it is in one, and in a few when tags moved.
    const MOST_INDEXES: usize = 4;
    let repository = Shared::repository(name)?;
    let mut found = Vec::new();
    for index in shared.store.indexes_of(digest).await?.into_iter().take(MOST_INDEXES) {
        // An index of another repository, or one that is gone: what it lists is not told here.
        if let Ok(set) = watch.registry.images(&repository, &Target::Digest(index)).await {
            found.extend(set.attestations_of(digest).cloned());
        }
    }
    Ok(found)
}

/// The known image that this one was built on, unless it says so itself.
async fn find_base(shared: &Shared, metadata: &mut ImageMetadata) -> Result<(), Trouble> {
    let Source::Image(image) = &mut metadata.source else { return Ok(()) };
    let diff_ids: Option<Vec<Digest>> = image.layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let Some(diff_ids) = diff_ids.filter(|diff_ids| diff_ids.len() > 1) else { return Ok(()) };
    let Some(known) = shared.store.base_image(&diff_ids).await? else { return Ok(()) };
    if let Some(base) = &mut image.base {
        // How many of the layers are the base's is known if it is the very one that is named.
        if base.digest.as_ref() == Some(&known.image.digest) {
            base.layers = Some(known.layers);
        }
        return Ok(());
    }
    let Some(place) = known.image.places.iter().find(|place| place.tag.is_some()).or(known.image.places.first()) else {
        return Ok(());
    };
    image.base = Some(BaseImage {
        name: format!("{}/{}", place.repository.registry, place.repository.repository),
        tag: place.tag.clone(),
        digest: Some(known.image.digest),
        layers: Some(known.layers),
        evidence: BaseEvidence::Layers,
    });
    Ok(())
}

fn indexed(name: &RepositoryName, digest: &Digest, metadata: &ImageMetadata, started: Instant) -> Progress {
    let image = metadata.image();
    Progress::Indexed {
        repository: name.clone(),
        digest: digest.clone(),
        platform: image.map(|image| image.platform.clone()).unwrap_or_default(),
        packages: metadata.package_count(),
        layers: image.map_or(0, |image| image.layers.len()),
        size: image.map_or(0, |image| image.size),
        duration: started.elapsed(),
    }
}

fn refuse(shared: &Shared, name: &RepositoryName, digest: &Digest, reason: &str, outcome: &mut Outcome) {
    let verdict = Verdict::Unsupported(supercargo_store::Reason::permanent("unsupported", reason));
    outcome.changes.push(line(shared, digest, verdict));
    outcome.notice(Progress::Unsupported {
        repository: name.clone(),
        digest: digest.clone(),
        reason: reason.to_owned(),
    });
}

fn line(shared: &Shared, digest: &Digest, verdict: Verdict) -> Change {
    Change::Ledger { digest: digest.clone(), indexer: shared.indexer.version().to_owned(), verdict }
}

async fn ledger(
    shared: &Shared,
    digests: &[Digest],
) -> Result<std::collections::HashMap<Digest, LedgerEntry>, Trouble> {
    Ok(shared.store.ledger(shared.indexer.version(), digests).await?)
}

/// Whether there is nothing to gain from reading the image again. A failure is not that: who asks for an image that
/// failed before (a new push, an operator) wants it tried.
pub(crate) fn is_settled(entry: &LedgerEntry) -> bool {
    matches!(entry.verdict, Verdict::Indexed | Verdict::Unsupported(_))
}

fn is_index(set: &ImageSet) -> bool {
    matches!(set.root.media_type().as_ref(), media_type::OCI_INDEX | media_type::DOCKER_INDEX)
}

fn manifest_seen(name: &RepositoryName, set: &ImageSet) -> Change {
    let image = |image: &PlatformImage| ManifestChild {
        digest: image.descriptor.digest().clone(),
        platform: image.platform.clone(),
        kind: ChildKind::Image,
    };
    let other = |digest: &Digest| ManifestChild { digest: digest.clone(), platform: None, kind: ChildKind::Other };
    let children = if is_index(set) {
        let others = set.unsupported.iter().map(|unsupported| &unsupported.digest);
        let attestations = set.attestations.iter().map(|attestation| attestation.descriptor.digest());
        set.images.iter().map(image).chain(others.chain(attestations).map(other)).collect()
    } else {
        Vec::new()
    };
    Change::ManifestSeen {
        repository: name.clone(),
        digest: set.root.digest().clone(),
        media_type: set.root.media_type().to_string(),
        size: set.root.size(),
        children,
    }
}

/// The tags of the repository that point at this very manifest.
async fn tags_of(shared: &Shared, name: &RepositoryName, digest: &Digest) -> Result<Vec<TagName>, Trouble> {
    let stored = shared.stored_tags(name).await?;
    let mut tags: Vec<TagName> =
        stored.iter().filter(|(_, pointer)| *pointer == digest).filter_map(|(tag, _)| tag.parse().ok()).collect();
    tags.sort();
    Ok(tags)
}
