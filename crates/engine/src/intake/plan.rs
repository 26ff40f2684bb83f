//! What an event asks for.

use std::sync::Arc;
use std::time::Duration;

use supercargo_events::{Action, RegistryEvent};
use supercargo_registry::{RegistryHost, Repository, TagName};
use supercargo_store::{Lane, NewJob, TagOrDigest, Work};

use crate::Watch;
use crate::shared::Shared;

/// What an event asks for.
#[derive(Debug)]
pub(super) struct Plan {
    /// The registry that is asked.
    pub(super) registry: String,
    pub(super) job: NewJob,
}

/// What `event` asks for, or why it asks for nothing.
pub(super) fn plan(shared: &Shared, event: &RegistryEvent) -> Result<Plan, String> {
    let watch = watch(shared, event.host.as_deref())?;
    let Ok(repository) = event.repository.parse::<Repository>() else {
        return Err(format!("`{}` is no repository name", event.repository));
    };
    if let Some(refusal) = watch.refusal(&repository) {
        return Err(refusal);
    }
    let tag = match &event.tag {
        Some(tag) => match tag.parse::<TagName>() {
            Ok(tag) if watch.has_tag(&tag) => Some(tag),
            Ok(tag) => return Err(format!("tag {tag} is not watched")),
            Err(_) => return Err(format!("`{tag}` is no tag")),
        },
        None => None,
    };
    let name = watch.name(&repository);
    let tag = tag.map(|tag| TagOrDigest::Tag(tag.to_string()));
    let digest = event.digest.clone().map(TagOrDigest::Digest);
    let work = match (event.action, tag, digest) {
        // A tag leads to the digest of now, which need not be the event's any more.
        (Action::Pushed | Action::Deleted | Action::Refresh, Some(tag), _) => {
            Work::Refresh { repository: name, reference: Some(tag) }
        }
        (Action::Pushed | Action::Refresh, None, Some(_)) if !watch.tags.is_empty() => {
            return Err("it was pushed without a tag, and only some tags are watched".to_owned());
        }
        (Action::Pushed | Action::Refresh, None, Some(digest)) => Work::Index { repository: name, reference: digest },
        (Action::Deleted, None, Some(digest)) => Work::Refresh { repository: name, reference: Some(digest) },
        (_, None, None) | (Action::RepositoryDeleted, _, _) => Work::Refresh { repository: name, reference: None },
    };
    let delay = delay(event, shared.options.debounce);
    Ok(Plan { registry: watch.host().to_owned(), job: shared.job(work, Lane::Push).with_delay(delay) })
}

/// How long to wait for what else will be said about the same push.
///
/// The platforms of an index come one by one, before it and without tags; the index, which has the tag, says all
/// that they say. Sources that name no digest repeat themselves for every platform and layer. A tag that was pushed
/// or deleted is looked at at once.
fn delay(event: &RegistryEvent, debounce: Duration) -> Duration {
    match (event.action, &event.tag) {
        (Action::Pushed, None) | (Action::Refresh, _) => debounce,
        _ => Duration::ZERO,
    }
}

/// The watch for a host. An event without one can only mean the only one there is; an event that names another
/// is not for us, and must not make us contact anybody.
pub(super) fn watch(shared: &Shared, host: Option<&str>) -> Result<Arc<Watch>, String> {
    let watches = shared.watches.all();
    let Some(host) = host else {
        let mut all = watches.values();
        return match (all.next(), all.next()) {
            (Some(only), None) => Ok(Arc::clone(only)),
            _ => Err("it names no registry, and several are watched: name the source's registry".to_owned()),
        };
    };
    let canonical = host.parse::<RegistryHost>().map_or_else(|_| host.to_owned(), |host| host.to_string());
    watches.get(&canonical).or_else(|| watches.get(host)).cloned().ok_or_else(|| {
        format!("registry {canonical} is not watched; if it is another name of one that is, name the source's registry")
    })
}
