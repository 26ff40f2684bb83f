//! Integrations and their repositories.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::fixture::{MINUTE, actor};
use super::{Outcome, Subject, refused};
use crate::audit::{Actor, AuditFilter};
use crate::error::ErrorKind;
use crate::integration::{
    IncludeRemoved, Integration, IntegrationId, IntegrationPolicy, IntegrationState, NewIntegration, NewMove,
    RemovedData, RepositoryOrigin, RepositorySettingFilter, Selection,
};
use crate::name::Reason;
use crate::page::Page;
use crate::store::Store;
use crate::upkeep::Retention;

pub(super) fn new() -> NewIntegration {
    NewIntegration::new("main", "oci", "registry.example")
}

async fn find(store: &dyn Store) -> crate::Result<Integration> {
    Ok(store.integration("main").await?.expect("the integration is there"))
}

/// The audit log's actions, the first first.
async fn actions(store: &dyn Store) -> crate::Result<Vec<String>> {
    let entries = store.audit(&AuditFilter::default(), &Page::default()).await?.items;
    assert!(entries.iter().all(|entry| entry.actor == actor()), "{entries:?}");
    Ok(entries.into_iter().rev().map(|entry| entry.action).collect())
}

pub(super) async fn an_integration_is_as_it_was_made(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let wanted = NewIntegration {
        settings: BTreeMap::from([("type".to_owned(), "oci".to_owned()), ("ca-file".to_owned(), "/ca.pem".to_owned())]),
        policy: IntegrationPolicy {
            enable_on_push: true,
            selection: Selection {
                include: vec!["team/*".to_owned()],
                newer_than: Some(Duration::from_secs(86_400)),
                platforms: vec!["linux/arm64".parse().expect("a platform")],
                ..Selection::default()
            },
        },
        credentials: Some(b"sealed".to_vec()),
        ..new()
    };
    let made = store.create_integration(wanted.clone(), &actor()).await?;
    assert_eq!((made.name.as_str(), made.kind.as_str(), made.registry.as_str()), ("main", "oci", "registry.example"));
    assert_eq!((&made.settings, &made.policy), (&wanted.settings, &wanted.policy));
    assert_eq!((made.state, made.since, made.removed_at), (IntegrationState::Pending, made.created_at, None));
    assert_eq!(made.credentials.map(|sealed| sealed.changed_at), Some(made.created_at));
    assert_eq!(store.sealed_credentials(made.id).await?, Some(b"sealed".to_vec()));
    assert_eq!(find(store).await?, made);
    assert_eq!(store.integrations(IncludeRemoved::No).await?, std::slice::from_ref(&made));
    assert_eq!(store.integration("other").await?, None);

    let history = store.integration_history(made.id).await?;
    assert_eq!(history.len(), 1);
    assert_eq!((history[0].from, history[0].to), (None, IntegrationState::Pending));
    let entry = store.audit(&AuditFilter::default(), &Page::default()).await?.items.remove(0);
    assert_eq!((entry.actor, entry.action.as_str(), entry.subject.as_str()), (actor(), "integration.create", "main"));
    assert_eq!(entry.details["registry"], "registry.example");
    assert_eq!(entry.details["credentials"], true);
    assert!(!entry.details.to_string().contains("sealed"), "credentials, even sealed, are in no log");
    Ok(())
}

pub(super) async fn names_and_registries_are_had_once(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let made = store.create_integration(new(), &actor()).await?;
    for (name, registry, told) in [("main", "other.example", "one of this name"), ("b", "registry.example", "main has")]
    {
        let again = NewIntegration::new(name, "oci", registry);
        let error = store.create_integration(again, &actor()).await.expect_err("it should be refused");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains(told), "{error}");
    }
    let bad = NewIntegration::new("a/b", "oci", "b.example");
    assert_eq!(refused(store.create_integration(bad, &actor()).await), ErrorKind::Invalid);
    assert_eq!(actions(store).await?, ["integration.create"], "what was refused is no change");

    store.create_integration(NewIntegration::new("a", "ecr", "a.example"), &actor()).await?;
    let names = |all: Vec<Integration>| all.into_iter().map(|one| one.name).collect::<Vec<_>>();
    assert_eq!(names(store.integrations(IncludeRemoved::No).await?), ["a", "main"]);

    store.remove_integration(made.id, RemovedData::Keep, &actor()).await?;
    let next = store.create_integration(new(), &actor()).await?;
    assert_ne!(next.id, made.id);
    assert_eq!(names(store.integrations(IncludeRemoved::No).await?), ["a", "main"]);
    let all = store.integrations(IncludeRemoved::Yes).await?;
    assert_eq!(all.iter().map(|one| one.id).collect::<Vec<_>>()[1..], [next.id, made.id], "removed ones come last");
    Ok(())
}

pub(super) async fn moves_are_kept_with_their_reasons(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let made = store.create_integration(new(), &actor()).await?;
    subject.clock.advance(MINUTE);
    let denied = Reason::permanent("unauthorized", "the password was refused");
    let step = NewMove::new(IntegrationState::Error).with_reason(denied.clone()).with_advice("replace it").after_test();
    let failed = store.move_integration(made.id, made.revision, step.clone(), &actor()).await?;
    assert_eq!((failed.state, failed.reason.as_ref()), (IntegrationState::Error, Some(&denied)));
    assert_eq!((failed.advice.as_deref(), failed.tested_at), (Some("replace it"), Some(failed.since)));
    assert!(failed.since > made.since && failed.revision > made.revision);
    assert_eq!(find(store).await?, failed);

    // Another test that shows the same is noted, and is no step.
    subject.clock.advance(MINUTE);
    let again = store.move_integration(made.id, failed.revision, step, &actor()).await?;
    assert_eq!(again.since, failed.since);
    assert!(again.tested_at > failed.tested_at);
    assert_eq!(store.integration_history(made.id).await?.len(), 2);

    let healed = NewMove::new(IntegrationState::Connected);
    let healed = store.move_integration(made.id, again.revision, healed, &actor()).await?;
    assert_eq!((healed.reason, healed.advice, healed.tested_at), (None, None, again.tested_at));
    let history = store.integration_history(made.id).await?;
    let steps: Vec<_> = history.iter().map(|step| (step.from, step.to)).collect();
    let (pending, error, connected) = (IntegrationState::Pending, IntegrationState::Error, IntegrationState::Connected);
    assert_eq!(steps, [(Some(error), connected), (Some(pending), error), (None, pending)]);
    assert_eq!((&history[1].reason, history[1].at), (&Some(denied), failed.since));
    assert_eq!(actions(store).await?, ["integration.create", "integration.move", "integration.move"]);
    Ok(())
}

pub(super) async fn a_move_on_what_was_true_is_refused(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let made = store.create_integration(new(), &actor()).await?;
    let changed = store.set_integration_credentials(made.id, Some(b"new".to_vec()), &actor()).await?;
    let late = NewMove::new(IntegrationState::Error);
    assert_eq!(refused(store.move_integration(made.id, made.revision, late.clone(), &actor()).await), ErrorKind::Stale);
    assert_eq!(find(store).await?, changed, "nothing has changed");
    assert_eq!(store.integration_history(made.id).await?.len(), 1);

    let removed = NewMove::new(IntegrationState::Removed);
    let moved = store.move_integration(made.id, changed.revision, removed, &actor()).await;
    assert_eq!(refused(moved), ErrorKind::Invalid);
    let unknown = IntegrationId(99);
    assert_eq!(refused(store.move_integration(unknown, 1, late, &actor()).await), ErrorKind::NotFound);
    assert_eq!(refused(store.integration_history(unknown).await), ErrorKind::NotFound);
    assert_eq!(refused(store.sealed_credentials(unknown).await), ErrorKind::NotFound);
    Ok(())
}

pub(super) async fn each_change_is_seen_by_the_revision(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let mut last = store.integrations_revision().await?;
    let mut changed = async |what: &str, is: bool| {
        let now = store.integrations_revision().await?;
        assert_eq!(now > last, is, "{what}");
        last = now;
        Ok::<_, crate::Error>(())
    };
    changed("nothing", false).await?;
    let made = store.create_integration(new(), &actor()).await?;
    changed("a new one", true).await?;
    let policy = IntegrationPolicy { enable_on_push: true, ..IntegrationPolicy::default() };
    let one = store.set_integration_policy(made.id, policy, &actor()).await?;
    changed("its policy", true).await?;
    let settings = BTreeMap::from([("type".to_owned(), "oci".to_owned())]);
    let two = store.set_integration_settings(made.id, settings, &actor()).await?;
    changed("its settings", true).await?;
    assert!(one.policy.enable_on_push && two.settings["type"] == "oci" && two.policy == one.policy);
    store.set_integration_credentials(made.id, Some(vec![1]), &actor()).await?;
    changed("its credentials", true).await?;
    let none = store.set_integration_credentials(made.id, None, &actor()).await?;
    changed("no credentials", true).await?;
    assert_eq!((none.credentials, store.sealed_credentials(made.id).await?), (None, None));
    let named = RepositoryOrigin::Named;
    store.set_repositories(made.id, vec![("app".to_owned(), true)], named, &actor()).await?;
    changed("its repositories", true).await?;
    store.set_repositories(made.id, vec![("app".to_owned(), true)], named, &actor()).await?;
    changed("the same repositories", false).await?;
    store.note_integration_event(made.id, made.created_at).await?;
    changed("its first event", true).await?;
    store.note_integration_event(made.id, made.created_at + MINUTE).await?;
    changed("another event", false).await?;
    let revision = find(store).await?.revision;
    store.move_integration(made.id, revision, NewMove::new(IntegrationState::Connected), &actor()).await?;
    changed("its state", true).await?;
    store.remove_integration(made.id, RemovedData::Keep, &actor()).await?;
    changed("its end", true).await?;

    let expected = [
        "integration.create",
        "integration.policy",
        "integration.settings",
        "integration.credentials",
        "integration.credentials",
        "repository.set",
        "integration.move",
        "integration.remove",
    ];
    assert_eq!(actions(store).await?, expected);
    let filter = AuditFilter { action: Some("integration.settings".to_owned()), ..AuditFilter::default() };
    let settings = store.audit(&filter, &Page::default()).await?.items.remove(0);
    assert_eq!(settings.details, json!({"from": {}, "to": {"type": "oci"}}));
    Ok(())
}

pub(super) async fn events_are_noted_now_and_then(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let made = store.create_integration(new(), &actor()).await?;
    let at = |seconds: u64| made.created_at + Duration::from_secs(seconds);
    let seen = async |seconds: u64| {
        store.note_integration_event(made.id, at(seconds)).await?;
        let found = find(store).await?;
        assert_eq!(found.first_event, Some(at(1)));
        Ok::<_, crate::Error>(found.last_event)
    };
    assert_eq!(seen(1).await?, Some(at(1)));
    assert_eq!(seen(4).await?, Some(at(1)), "too soon to be worth a write");
    assert_eq!(seen(60).await?, Some(at(60)));
    assert_eq!(seen(30).await?, Some(at(60)), "the latest counts");
    let before = find(store).await?.revision;
    seen(120).await?;
    assert_eq!(find(store).await?.revision, before, "a decision on the integration does not grow stale by an event");
    Ok(())
}

pub(super) async fn repositories_are_found_and_named(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let made = store.create_integration(new(), &actor()).await?;
    let owned = |names: &[(&str, bool)]| names.iter().map(|(name, on)| ((*name).to_owned(), *on)).collect::<Vec<_>>();
    let (found, named) = (RepositoryOrigin::Found, RepositoryOrigin::Named);
    let set = async |names: &[(&str, bool)], origin| {
        let changed = store.set_repositories(made.id, owned(names), origin, &actor()).await?;
        Ok::<_, crate::Error>(changed.into_iter().map(|one| one.repository.repository).collect::<Vec<_>>())
    };
    assert_eq!(set(&[("team/app", false), ("team/web", true)], found).await?, ["team/app", "team/web"]);
    subject.clock.advance(MINUTE);
    assert_eq!(set(&[("team/app", true), ("new", true)], found).await?, ["new"], "what is known stays as it is");
    assert_eq!(
        set(&[("team/app", true), ("team/web", true), ("by-hand", true)], named).await?,
        ["team/app", "by-hand"]
    );
    assert_eq!(set(&[("team/web", false)], named).await?, ["team/web"]);
    assert_eq!(set(&[("team/web", true)], found).await?, [] as [&str; 0], "nobody is overruled");

    let all = store.repository_settings(&RepositorySettingFilter::default(), &Page::default()).await?.items;
    let told: Vec<_> = all.iter().map(|one| (one.repository.repository.as_str(), one.enabled, one.origin)).collect();
    assert_eq!(
        told,
        [("by-hand", true, named), ("new", true, found), ("team/app", true, found), ("team/web", false, found)]
    );
    assert!(all.iter().all(|one| one.integration == "main" && one.repository.registry == "registry.example"));
    assert!(all[2].changed_at > made.created_at);

    let count = async |filter: RepositorySettingFilter| {
        Ok::<_, crate::Error>(store.repository_settings(&filter, &Page::default()).await?.items.len())
    };
    let of = RepositorySettingFilter::of;
    assert_eq!(count(RepositorySettingFilter { enabled: Some(true), ..of("main") }).await?, 3);
    assert_eq!(count(RepositorySettingFilter { enabled: Some(false), ..of("main") }).await?, 1);
    assert_eq!(count(RepositorySettingFilter { repository: Some("new".to_owned()), ..of("main") }).await?, 1);
    assert_eq!(count(of("other")).await?, 0);
    let registry = Some("other.example".to_owned());
    assert_eq!(count(RepositorySettingFilter { registry, ..RepositorySettingFilter::default() }).await?, 0);

    let other = store.create_integration(NewIntegration::new("a", "oci", "a.example"), &actor()).await?;
    store.set_repositories(other.id, owned(&[("z", true)]), found, &actor()).await?;
    let first = store.repository_settings(&RepositorySettingFilter::default(), &Page::first(2)).await?;
    let names =
        |items: &[crate::RepositorySetting]| items.iter().map(|one| one.repository.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&first.items), ["a.example/z", "registry.example/by-hand"]);
    let rest = Page::after(first.next.expect("there are five"), 3);
    let rest = store.repository_settings(&RepositorySettingFilter::default(), &rest).await?;
    assert_eq!((rest.items.len(), rest.next), (3, None));
    assert_eq!(names(&rest.items)[0], "registry.example/new");

    let filter = AuditFilter { action: Some("repository".to_owned()), ..AuditFilter::default() };
    let log = store.audit(&filter, &Page::default()).await?.items;
    let told: Vec<_> = log.iter().rev().map(|entry| entry.action.as_str()).collect();
    assert_eq!(told, ["repository.find", "repository.find", "repository.set", "repository.set", "repository.find"]);
    assert_eq!(log[1].details["disabled"], json!({"count": 1, "repositories": ["team/web"]}));
    Ok(())
}

pub(super) async fn steps_are_forgotten_but_the_last(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let made = store.create_integration(new(), &actor()).await?;
    let day = Duration::from_secs(24 * 3600);
    subject.clock.advance(day);
    store.move_integration(made.id, made.revision, NewMove::new(IntegrationState::Connected), &actor()).await?;
    assert_eq!(store.prune(&Retention::default()).await?.audit, 0);
    subject.clock.advance(500 * day);
    assert_eq!(store.prune(&Retention::default()).await?.audit, 2);
    assert!(store.audit(&AuditFilter::default(), &Page::default()).await?.items.is_empty());
    let left = store.integration_history(made.id).await?;
    assert_eq!((left.len(), left[0].to), (1, IntegrationState::Connected));
    Ok(())
}

pub(super) async fn who_did_it_is_told(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let made = store.create_integration(new(), &Actor::command_line("alice")).await?;
    store.remove_integration(made.id, RemovedData::Keep, &Actor::supercargo()).await?;
    let log = store.audit(&AuditFilter::default(), &Page::default()).await?.items;
    let actors: Vec<_> = log.iter().map(|entry| entry.actor.as_str()).collect();
    assert_eq!(actors, ["supercargo", "cli:alice"]);
    Ok(())
}
