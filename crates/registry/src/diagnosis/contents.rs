//! What can be read: sign-in, lists, a manifest, a layer, referrers; and the quota.

use futures_util::{StreamExt as _, TryStreamExt as _};
use supercargo_index::ImageManifest;

use super::{Check, Notes, Said, Subject};
use crate::image_set::ImageSet;
use crate::registry::Listing;
use crate::{Credential, Descriptor, ErrorKind, Quota, Registry, RegistryExt as _, Repository, Result, Target};

/// Repositories that are listed, and looked into for one with tags.
const LISTED: usize = 100;
const LOOKED_INTO: usize = 5;
/// Tags that are listed.
const TAGS: usize = 1000;
/// Bytes of a layer that are asked for to see whether ranges are answered.
const RANGE: u64 = 16;

pub(super) async fn look(registry: &dyn Registry, subject: &Subject, reached: Option<()>, notes: &mut Notes<'_>) {
    if reached.is_none() {
        skip(notes, &[Check::SignIn, Check::Repositories], "the registry was not reached");
        return skip(notes, &READING, "the registry was not reached");
    }
    let is_stranger = match registry.distribution() {
        Some(client) => client.credential().await.is_ok_and(|credential| credential.is_anonymous()),
        None => false,
    };
    let signed_in = notes.note(Check::SignIn, sign_in(registry, is_stranger)).await;
    // Every further refusal of a password counts towards a lock-out.
    if signed_in.is_none() && registry.distribution().is_some() {
        skip(notes, &[Check::Repositories], "the sign-in failed");
        return skip(notes, &READING, "the sign-in failed");
    }
    // Registries that refuse their list may give what they hold all the same.
    let repositories = notes.note(Check::Repositories, repositories(registry, subject)).await.unwrap_or_default();
    match notes.note(Check::Tags, tags(registry, subject, &repositories)).await.flatten() {
        Some((repository, target)) => read(registry, &repository, &target, notes).await,
        None => skip(notes, &READING[1..4], "there is nothing to read"),
    }
    notes.say(Check::Quota, quota(registry.quota()));
}

/// Checks that need a registry that lets us in.
const READING: [Check; 5] = [Check::Tags, Check::Manifest, Check::Blob, Check::Referrers, Check::Quota];

fn skip(notes: &mut Notes<'_>, checks: &[Check], why: &str) {
    for check in checks {
        notes.say(*check, Said::skipped(why));
    }
}

async fn sign_in(registry: &dyn Registry, is_stranger: bool) -> Result<((), Said)> {
    if is_stranger {
        return match registry.check().await {
            Ok(()) => Ok(((), Said::passed("anonymously: there are no credentials for it"))),
            // Some registries refuse strangers at the door and show them public images all the same.
            Err(error) if matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied) => {
                Ok(((), Said::warned(super::explain(&error), super::advice(&error).unwrap_or_default())))
            }
            Err(error) => Err(error),
        };
    }
    let who = match registry.distribution() {
        Some(client) => match client.credential().await? {
            Credential::Basic { username, .. } => format!("as {}", crate::secret::printable(&username, 80)),
            Credential::Identity { .. } => "with an identity token".to_owned(),
            Credential::Bearer { .. } => "with a bearer token".to_owned(),
            Credential::Anonymous => "accepted".to_owned(),
        },
        None => "accepted".to_owned(),
    };
    registry.check().await?;
    Ok(((), Said::passed(who)))
}

async fn repositories(registry: &dyn Registry, subject: &Subject) -> Result<(Vec<Repository>, Said)> {
    let listing = registry.capabilities().repositories;
    let listed: Result<Vec<_>> = registry.repositories().take(LISTED + 1).try_collect().await;
    if let Some(repository) = &subject.repository {
        let said = match listed {
            Ok(listed) if listed.contains(repository) => Said::passed(format!("{repository} is among them")),
            Ok(listed) if listed.len() > LISTED => Said::passed(format!("more than {LISTED}")),
            Ok(_) => Said::warned(
                format!("{repository} is not in the list"),
                "is its name right, and does a filter leave it out?",
            ),
            Err(error) => Said::warned(super::explain(&error), "name the repositories to watch: repository=NAME"),
        };
        return Ok((vec![repository.clone()], said));
    }
    let listed = listed.map_err(|error| match error.kind() {
        ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Unsupported => {
            error.with_hint("many registries do not list: name the repositories to watch: repository=NAME")
        }
        _ => error,
    })?;
    let count = if listed.len() > LISTED { format!("more than {LISTED}") } else { listed.len().to_string() };
    let said = match (listed.first(), listing) {
        (None, Listing::Complete) => Said::warned("none", "is there anything in it yet?"),
        (None, _) => Said::warned(
            "none: the list is empty, as it is for credentials without the right to list",
            "name the repositories to watch: repository=NAME",
        ),
        (Some(first), Listing::Configured) => {
            Said::passed(format!("{count} named in the configuration, {first} first"))
        }
        (Some(first), _) => Said::passed(format!("{count}, {first} first")),
    };
    Ok((listed, said))
}

/// A reference that can be read, if there is one.
async fn tags(
    registry: &dyn Registry,
    subject: &Subject,
    repositories: &[Repository],
) -> Result<(Option<(Repository, Target)>, Said)> {
    let mut last = None;
    for repository in repositories.iter().take(LOOKED_INTO) {
        let listed: Result<Vec<_>> = registry
            .tags(repository)
            .try_filter(|tag| std::future::ready(!tag.name.is_referrer()))
            .take(TAGS + 1)
            .try_collect()
            .await;
        let tags = match (listed, &subject.target) {
            (Ok(tags), _) => tags,
            (Err(error), Some(target)) => {
                let said = Said::warned(super::explain(&error), "without a list no tag is found by polling");
                return Ok((Some((repository.clone(), target.clone())), said));
            }
            (Err(error), None) => {
                last = Some(error);
                continue;
            }
        };
        if let Some(target) = &subject.target {
            return Ok((Some((repository.clone(), target.clone())), Said::passed(count(repository, tags.len()))));
        }
        let named = |tag: &&crate::Tag| tag.name.as_str() == "latest";
        if let Some(tag) = tags.iter().find(named).or_else(|| tags.first()) {
            let found = (repository.clone(), Target::Tag(tag.name.clone()));
            return Ok((Some(found), Said::passed(count(repository, tags.len()))));
        }
    }
    match last {
        Some(error) => Err(error),
        None => Ok((None, Said::skipped("no repository with tags was found"))),
    }
}

fn count(repository: &Repository, tags: usize) -> String {
    match tags {
        0 => format!("{repository} has none"),
        1 => format!("{repository} has one"),
        tags if tags > TAGS => format!("{repository} has more than {TAGS}"),
        tags => format!("{repository} has {tags}"),
    }
}

async fn read(registry: &dyn Registry, repository: &Repository, target: &Target, notes: &mut Notes<'_>) {
    let name = format!("{repository}{}{target}", target.separator());
    let manifest = notes
        .note(Check::Manifest, async {
            // As a poll does it first: a registry or a proxy that answers HEAD wrongly is found here.
            let resolved = registry.resolve(repository, target).await?;
            let set = registry.images(repository, target).await?;
            let said = Said::passed(format!("{name} is {}, {}", resolved.digest(), kinds(&set)));
            let manifest = image(registry, repository, &set).await?;
            Ok(((resolved, manifest), said))
        })
        .await;
    let Some((root, manifest)) = manifest else {
        return skip(notes, &[Check::Blob, Check::Referrers], "no manifest was read");
    };
    match manifest.as_ref().and_then(|manifest| manifest.layers().iter().min_by_key(|layer| layer.size())) {
        Some(layer) => {
            notes.note(Check::Blob, blob(registry, repository, layer)).await;
        }
        None => notes.say(Check::Blob, Said::skipped("there is no image with layers")),
    }
    notes.note(Check::Referrers, referrers(registry, repository, &root)).await;
}

fn kinds(set: &ImageSet) -> String {
    let count = |number: usize, noun: &str| match number {
        1 => format!("one {noun}"),
        number => format!("{number} {noun}s"),
    };
    match (set.images.len(), set.unsupported.first()) {
        (0, Some(other)) => other.reason.clone(),
        (images, _) => count(images, "image"),
    }
}

/// The manifest of the first image of a set.
async fn image(registry: &dyn Registry, repository: &Repository, set: &ImageSet) -> Result<Option<ImageManifest>> {
    let Some(image) = set.images.first() else { return Ok(None) };
    let document = match &image.manifest {
        Some(document) => document.clone(),
        None => registry.manifest(repository, &Target::Digest(image.descriptor.digest().clone())).await?,
    };
    Ok(serde_json::from_slice(&document.bytes).ok())
}

async fn blob(registry: &dyn Registry, repository: &Repository, layer: &Descriptor) -> Result<((), Said)> {
    let mut stream = registry.blob(repository, layer, 0).await?.into_stream();
    let first = stream.try_next().await?.map_or(0, |bytes| bytes.len());
    drop(stream);
    let range = 0..RANGE.min(layer.size());
    let ranges = match registry.blob_range(repository, layer, range).await? {
        Some(part) => {
            part.try_collect::<Vec<_>>().await?;
            "; a download that breaks off can be resumed"
        }
        None if registry.capabilities().local => "",
        None => "; a download that breaks off begins anew",
    };
    Ok(((), Said::passed(format!("the first {first} of {} bytes{ranges}", layer.size()))))
}

async fn referrers(registry: &dyn Registry, repository: &Repository, root: &Descriptor) -> Result<((), Said)> {
    let listed: Vec<Descriptor> = registry.referrers(repository, root.digest()).take(LISTED).try_collect().await?;
    let how = match registry.distribution().and_then(|client| client.has_referrers_api()) {
        Some(true) => ", by the registry's list",
        Some(false) => ", by tags: the registry keeps no list",
        None => "",
    };
    Ok(((), Said::passed(format!("{} attached{how}", listed.len()))))
}

fn quota(quota: Option<Quota>) -> Said {
    let Some(quota) = quota else { return Said::skipped("the registry does not say") };
    let mut detail = format!("{} requests are left", quota.remaining);
    if let Some(limit) = quota.limit {
        detail.push_str(&format!(" of {limit}"));
    }
    if let Some(window) = quota.window {
        detail.push_str(&format!(" in {} minutes", window.as_secs().div_ceil(60)));
    }
    if let Some(reset) = quota.resets_at {
        detail.push_str(&format!(", more at {}", reset.strftime("%H:%M UTC")));
    }
    let scarce = quota.limit.is_some_and(|limit| quota.remaining < limit / 10) || quota.remaining == 0;
    if scarce {
        return Said::warned(detail, "sign in for more, watch fewer repositories, or check less often");
    }
    Said::passed(detail)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Outcome;
    use super::*;

    #[test]
    fn quotas() {
        let of = |remaining, limit| Quota {
            remaining,
            limit,
            window: Some(Duration::from_secs(21600)),
            resets_at: None,
            noted_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        };
        assert_eq!(quota(None).outcome, Outcome::Skipped);
        let said = quota(Some(of(76, Some(100))));
        assert_eq!(
            (said.outcome, said.detail.as_str()),
            (Outcome::Passed, "76 requests are left of 100 in 360 minutes")
        );
        assert_eq!(quota(Some(of(9, Some(100)))).outcome, Outcome::Warned);
        assert_eq!(quota(Some(of(0, None))).outcome, Outcome::Warned);
    }
}
