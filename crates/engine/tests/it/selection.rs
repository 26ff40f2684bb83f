//! What a selection comes to, before anybody decides on it.

use std::sync::Arc;

use supercargo_engine::integration::{Connection, Connector, Credentials, Integrations, Key, Vault};
use supercargo_engine::{ErrorKind, Watch};
use supercargo_registry::ErrorKind as RegistryErrorKind;
use supercargo_store::{Actor, Integration, IntegrationPolicy, NewIntegration, RepositoryOrigin, Selection};

use crate::support::{HOST, Ship, Switched};

#[derive(Debug)]
struct Quay(Switched);

impl Connector for Quay {
    fn connect(&self, _: &Integration, _: &Credentials) -> supercargo_engine::Result<Connection> {
        let filter: supercargo_engine::RepositoryPredicate =
            Arc::new(|repository| repository.as_str() != "team/hidden");
        let watch = Watch { filter: Some(filter), ..Watch::new(Arc::new(self.0.clone())) };
        Ok(Connection::new(watch))
    }
}

struct Port {
    ship: Ship,
    integrations: Integrations,
    integration: Integration,
}

impl Port {
    async fn new() -> Self {
        let ship = Ship::new();
        let quay = Arc::new(Quay(ship.registry.clone()));
        let integrations = Integrations::new(Arc::clone(&ship.store), quay, Vault::new(Key::generate().unwrap()));
        let new = NewIntegration::new("prod", "oci", HOST);
        let integration = integrations.create(new, Credentials::default(), &actor()).await.unwrap();
        Self { ship, integrations, integration }
    }

    /// `images repositories at-once` and the tags, those that are begun with marked.
    async fn preview(&self, selection: Selection, most: usize) -> (u64, u64, u64, Vec<String>) {
        let preview = self.integrations.preview(&self.integration, &selection, most).await.unwrap();
        let tag = |one: &supercargo_engine::integration::SelectedTag| {
            format!("{}:{}{}", one.repository, one.tag, if one.at_once { "!" } else { "" })
        };
        let tags = preview.selected.iter().map(tag).collect();
        (preview.images, preview.repositories, preview.at_once, tags)
    }
}

fn actor() -> Actor {
    Actor::command_line("test")
}

#[tokio::test]
async fn what_is_selected_is_counted_and_named() {
    let port = Port::new().await;
    for (second, repository, tag) in [
        (100, "team/app", "v1"),
        (200, "team/app", "v2"),
        (300, "team/app", "dev"),
        (400, "web", "v1"),
        (5, "team/hidden", "v1"),
    ] {
        port.ship.push_at(second, repository, tag, &format!("{repository}{tag}"));
    }
    let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let all = port.preview(Selection::default(), 10).await;
    assert_eq!(all, (4, 2, 2, names(&["team/app:dev!", "team/app:v2", "team/app:v1", "web:v1!"])));
    let few = port.preview(Selection::default(), 1).await;
    assert_eq!(few, (4, 2, 2, names(&["team/app:dev!"])), "all of them count");
    let chosen = Selection {
        include: vec!["team/*".to_owned()],
        tags: vec!["^v".to_owned()],
        newest: Some(1),
        ..Selection::default()
    };
    assert_eq!(port.preview(chosen, 10).await, (1, 1, 1, names(&["team/app:v2!"])));
    assert_eq!(port.ship.images().await, [], "nothing is indexed");
}

#[tokio::test]
async fn a_registry_that_does_not_list_is_asked_for_names() {
    let port = Port::new().await;
    port.ship.push("team/app", "v1", "one");
    *port.ship.registry.switches.unlisted.lock().unwrap() = Some(RegistryErrorKind::Denied);
    let error = port.integrations.preview(&port.integration, &Selection::default(), 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Registry);
    let named = vec![("team/app".to_owned(), true), ("team/gone".to_owned(), true)];
    let origin = RepositoryOrigin::Named;
    port.ship.store.set_repositories(port.integration.id, named, origin, &actor()).await.unwrap();
    let preview = port.integrations.preview(&port.integration, &Selection::default(), 10).await.unwrap();
    assert_eq!((preview.images, preview.looked_at), (1, 2));
}

#[tokio::test]
async fn a_selection_that_makes_no_sense_is_refused_wherever_it_is_given() {
    let port = Port::new().await;
    let selection = Selection { include: vec!["[".to_owned()], tags: vec!["(".to_owned()], ..Selection::default() };
    let policy = IntegrationPolicy { selection: selection.clone(), ..IntegrationPolicy::default() };
    let other = NewIntegration { policy: policy.clone(), ..NewIntegration::new("other", "oci", "other.test") };
    for error in [
        port.integrations.preview(&port.integration, &selection, 10).await.unwrap_err(),
        port.integrations.replace_policy("prod", policy, &actor()).await.unwrap_err(),
        port.integrations.create(other, Credentials::default(), &actor()).await.unwrap_err(),
    ] {
        let told = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{told}");
        assert!(told.contains("include: \"[\"") && told.contains("tags: "), "{told}");
    }
}
