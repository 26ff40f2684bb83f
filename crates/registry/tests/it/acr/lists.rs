//! The registry's own lists: what they cost, how they are ordered, and what is done without them.

use futures_util::TryStreamExt;
use supercargo_registry::{ErrorKind, Filter, Registry, RegistryExt, Repository, Tag, conformance};
use supercargo_testkit::Catalog;

use super::*;
use crate::support::app;

async fn tags(registry: &AcrRegistry) -> Vec<Tag> {
    registry.tags(&app()).try_collect().await.unwrap()
}

fn names(tags: &[Tag]) -> Vec<&str> {
    tags.iter().map(|tag| tag.name.as_str()).collect()
}

/// `team/app` with five tags, pushed one after the other; the second was moved at last.
async fn pushed(builder: AcrServerBuilder, access: Access) -> AcrServer {
    let server = builder.with_token("reader", "pass", access).start().await.unwrap();
    for tag in ["c", "a", "e", "b", "d"] {
        server.push(&image(tag), "team/app", tag);
    }
    server.push(&image("moved"), "team/app", "a");
    server
}

#[tokio::test]
async fn a_poll_costs_one_request() {
    let server = pushed(AcrServer::builder(), Access::pull()).await;
    let registry = open_as(&server, "reader", "pass");
    let listed = tags(&registry).await;
    assert_eq!(names(&listed), ["a", "d", "b", "e", "c"], "the one that moved last comes first");
    assert!(registry.lists_newest_first());
    assert_eq!(listed[0].digest.as_ref().unwrap().to_string(), image("moved").digest());
    assert!(listed.windows(2).all(|pair| pair[0].pushed_at > pair[1].pushed_at), "{listed:?}");
    // The stand-in's clock begins there and goes a minute with each push.
    assert_eq!(listed[0].pushed_at.unwrap().to_string(), "2026-01-01T00:06:00.5896115Z");

    server.clear_requests();
    assert_eq!(tags(&registry).await, listed);
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0].path, "/acr/v1/team/app/_tags");
    assert_eq!(requests[0].query, "n=1000&orderby=timedesc");
}

#[tokio::test]
async fn pages_are_followed_in_order() {
    let server = pushed(AcrServer::builder().with_page_size(2), Access::pull()).await;
    let registry = open_as(&server, "reader", "pass");
    assert_eq!(names(&tags(&registry).await), ["a", "d", "b", "e", "c"]);
    assert_eq!(server.count_requests("/_tags"), 3);

    for repository in ["team/b", "team/c", "team/d"] {
        server.push(&image("x"), repository, "x");
    }
    let found: Vec<Repository> = registry.repositories().try_collect().await.unwrap();
    assert_eq!(found.iter().map(Repository::as_str).collect::<Vec<_>>(), ["team/app", "team/b", "team/c", "team/d"]);
}

#[tokio::test]
async fn a_registry_that_refuses_large_pages_is_asked_for_smaller_ones() {
    let server = pushed(AcrServer::builder().with_largest_page(100), Access::pull()).await;
    let registry = open_as(&server, "reader", "pass");
    assert_eq!(names(&tags(&registry).await), ["a", "d", "b", "e", "c"], "in the same order");
}

#[tokio::test]
async fn tags_are_listed_plainly_without_the_right_to_metadata() {
    let server = pushed(AcrServer::builder(), Access::none().with("team/*", &["pull"])).await;
    let registry = open_as(&server, "reader", "pass");
    let listed = tags(&registry).await;
    assert_eq!(names(&listed), ["a", "b", "c", "d", "e"], "in the protocol's order");
    assert!(listed.iter().all(|tag| tag.digest.is_none() && tag.pushed_at.is_none()));
    let capabilities = registry.capabilities();
    assert!(!capabilities.tag_digests && !capabilities.tag_times && !registry.lists_newest_first());

    server.clear_requests();
    tags(&registry).await;
    assert_eq!(server.requests().len(), 1, "what was refused is not asked for with each poll");
}

#[tokio::test]
async fn behind_a_proxy_for_the_protocol_alone() {
    let builder = AcrServer::builder().with_token("reader", "pass", everything()).without_metadata_api();
    let (server, fixture) = filled(builder).await;
    let registry = open_as(&server, "reader", "pass");
    crate::conformance::run(registry.clone(), &fixture).await;
    assert!(!registry.capabilities().tag_digests);
}

#[tokio::test]
async fn an_empty_catalog_is_told_as_what_it_is() {
    let server = pushed(AcrServer::builder(), Access::pull_metadata_read()).await;
    let registry = open_as(&server, "reader", "pass");
    registry.check().await.unwrap();
    let error = registry.repositories().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(
        error.to_string(),
        format!("list the repositories of {}: the sign-in works, and the catalog is empty", server.host())
    );
    let hint = error.hint().unwrap();
    assert!(hint.contains("repository=") && hint.contains("_repositories_admin"), "{hint}");

    // The way out.
    let named = builder(&server)
        .with_credentials(Arc::new(Credential::basic("reader", "pass")))
        .with_repositories([app()])
        .build()
        .unwrap();
    let found: Vec<Repository> = named.repositories().try_collect().await.unwrap();
    assert_eq!(found, [app()]);
    assert_eq!(tags(&named).await.len(), 5);
}

#[tokio::test]
async fn a_refused_catalog_says_who_may_list() {
    let server = pushed(AcrServer::builder(), Access::pull().with_catalog(Catalog::Refused)).await;
    let error = open_as(&server, "reader", "pass").repositories().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.hint().unwrap().contains("Catalog Lister"), "{error:?}");
}

#[tokio::test]
async fn repository_permissions_of_each_repository() {
    let entra = EntraServer::start().await.unwrap();
    let access = Access::none().with_catalog(Catalog::Complete).with("team/app", &["pull", "metadata_read"]);
    let builder_ = AcrServer::builder().with_entra(&entra).with_identity("system", access).with_abac();
    let server = pushed(builder_, Access::none()).await;
    server.push(&image("x"), "secret/app", "x");
    entra.set_system_identity("system");
    let options = AcrOptions { identity: AzureIdentity::Managed, ..AcrOptions::default() };
    let registry = builder(&server).with_options(options).with_http_client(Led::to(&entra)).build().unwrap();
    // The role to list the catalog names repositories that the identity may not read.
    let found: Vec<Repository> = registry.repositories().try_collect().await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(tags(&registry).await.len(), 5);
    let secret: Repository = "secret/app".parse().unwrap();
    let error = registry.tags(&secret).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(!error.is_retryable());
    let hint = error.hint().unwrap();
    assert!(hint.contains("managed") && hint.contains("Container Registry Repository Reader"), "{hint}");
    assert_eq!(tags(&registry).await.len(), 5, "one repository's refusal is that one's");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = pushed(AcrServer::builder(), Access::pull()).await;
    let registry = open_as(&server, "reader", "pass");
    let nowhere: Repository = "team/nowhere".parse().unwrap();
    let error = registry.tags(&nowhere).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // A repository whose last tag is gone is there, and has none.
    for tag in ["a", "b", "c", "d", "e"] {
        server.delete_tag("team/app", tag);
    }
    assert!(tags(&registry).await.is_empty());
    assert!(registry.capabilities().tag_digests, "that it was not there says nothing of the others");
}

#[tokio::test]
async fn manifests_without_a_tag_are_listed() {
    let server = pushed(AcrServer::builder().with_page_size(2), Access::pull()).await;
    let registry = open_as(&server, "reader", "pass");
    let manifests: Vec<_> = registry.manifests(&app()).try_collect().await.unwrap();
    assert_eq!(manifests.len(), 6, "five tags, one of which has moved");
    assert_eq!(manifests[0].tags, ["a"]);
    assert_eq!(manifests[0].digest.to_string(), image("moved").digest());
    let left: Vec<_> = manifests.iter().filter(|manifest| manifest.tags.is_empty()).collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].digest.to_string(), image("a").digest());
    assert_eq!(left[0].media_type.as_deref(), Some("application/vnd.oci.image.manifest.v1+json"));
}

#[tokio::test]
async fn a_filter_chooses_and_blobs_come_from_another_host() {
    let builder_ = AcrServer::builder().with_token("reader", "pass", everything()).with_blob_redirects();
    let (server, fixture) = filled(builder_).await;
    server.push(&image("x"), "team/app", "x");
    let registry = builder(&server)
        .with_credentials(Arc::new(Credential::basic("reader", "pass")))
        .with_filter(Filter::new(&["conformance/*"], &[]).unwrap())
        .build()
        .unwrap();
    let found: Vec<Repository> = registry.repositories().try_collect().await.unwrap();
    assert_eq!(found, std::slice::from_ref(&fixture.repository));
    // The storage refuses what carries a header for the registry.
    conformance::blobs(&registry, &fixture).await;
    assert!(registry.image_tags(&fixture.repository, 100).await.unwrap().iter().all(|tag| tag.digest.is_some()));
}
