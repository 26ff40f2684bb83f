//! Artifactory's adapter against its stand-in: every layout and sort of repository, and fault by fault.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::TryStreamExt;
use futures_util::future::join_all;
use supercargo_registry::conformance::Fixture;
use supercargo_registry::{
    Check, Credential, ErrorKind, Listing, Outcome, RegistryExt, Subject, build, diagnose, parse_registry,
};
use supercargo_testkit::{ArtifactoryServer, ArtifactoryServerBuilder, Credentials};

use crate::conformance;
use crate::product::{Rotating, config, count, image, open, repositories, tags};
use crate::support::target;

fn reader() -> Credential {
    Credential::basic("reader", "secret")
}

fn account() -> ArtifactoryServerBuilder {
    ArtifactoryServer::builder().with_account("reader", "secret")
}

/// The `--registry` string of a server, with `rest` after it.
fn text(server: &ArtifactoryServer, rest: &str) -> String {
    format!("type=artifactory,registry={},api={},{rest}", server.host(), server.api())
}

/// Runs the suite against a server that has the fixture in `key`. The fixture's repository is `conformance/sample`: in
/// the layout of paths the first part is the key.
async fn suite(server: ArtifactoryServerBuilder, key: &str, rest: &str, credential: Credential) -> ArtifactoryServer {
    let server = server.start().await.unwrap();
    let fixture = Fixture::sample();
    let name = if rest.contains("layout=port") { "conformance/sample" } else { "sample" };
    conformance::push(server.repository(key), &fixture, name);
    let registry = open(&text(&server, rest), credential);
    supercargo_registry::conformance::run(&registry, &fixture).await;
    assert_eq!(server.failed_sign_ins(), 0);
    server
}

#[tokio::test]
async fn conformance_by_path() {
    let server = account().with_local("conformance").with_blob_redirects().with_colons();
    suite(server, "conformance", "repository=conformance", reader()).await;
}

#[tokio::test]
async fn conformance_by_port_with_a_token_alone() {
    let server = ArtifactoryServer::builder().with_token("an access token").with_federated("docker-local");
    let token = Credential::Bearer { token: "an access token".into() };
    suite(server, "docker-local", "repository=docker-local,layout=port", token).await;
}

#[tokio::test]
async fn conformance_of_a_remote_repository() {
    suite(account().with_remote("conformance"), "conformance", "repository=conformance", reader()).await;
}

#[tokio::test]
async fn conformance_of_a_virtual_repository() {
    let server = account().with_local("first").with_local("second").with_virtual("conformance", &["first", "second"]);
    suite(server, "second", "repository=conformance", reader()).await;
}

#[tokio::test]
async fn conformance_without_queries() {
    for status in [400, 403, 404, 405] {
        let server = account().with_local("conformance").without_queries(status).with_page_size(1).with_foreign_links();
        let server = suite(server, "conformance", "repository=conformance", reader()).await;
        assert_eq!(count(&server.requests(), "/api/search/aql"), 1, "a refused query is not repeated ({status})");
    }
}

#[tokio::test]
async fn conformance_for_strangers() {
    suite(
        ArtifactoryServer::builder().with_local("conformance"),
        "conformance",
        "repository=conformance",
        Credential::Anonymous,
    )
    .await;
}

#[tokio::test]
async fn images_are_named_by_the_layout_and_fetched_by_the_key() {
    let server = account().with_local("docker-a").with_local("docker-b").start().await.unwrap();
    server.push("docker-a", &image("a"), "team/app", "1.0");
    server.push("docker-b", &image("b"), "app", "1.0");
    let port = server.host().rsplit_once(':').unwrap().1.to_owned();

    let path = open(&text(&server, "\"repository=docker-a,docker-b\""), reader());
    assert_eq!(path.host(), server.host());
    assert_eq!(repositories(&*path).await.unwrap(), ["docker-a/team/app", "docker-b/app"]);

    // Each key is a host of its own, and so a registry of its own.
    let text = format!(
        "type=artifactory,registry=localhost:{port},api={},subdomain-mode=true,\"repository=docker-a,docker-b\"",
        server.api()
    );
    let error = build(&config(&text), Arc::new(reader())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let mut found = Vec::new();
    for part in config(&text).registries() {
        let registry = build(&part, Arc::new(reader())).unwrap();
        assert_eq!(part.host.to_string(), registry.host());
        for repository in repositories(&*registry).await.unwrap() {
            let set = registry.images(&repository.parse().unwrap(), &target("1.0")).await.unwrap();
            found.push(format!("{}/{repository} {}", registry.host(), set.images.len()));
        }
    }
    assert_eq!(found, [format!("docker-a.localhost:{port}/team/app 1"), format!("docker-b.localhost:{port}/app 1")]);
    // No request was for any other place than the key's own.
    assert_eq!(count(&server.requests(), "/artifactory/api/"), server.requests().len());
}

#[tokio::test]
async fn a_registry_string_says_all_that_is_wrong() {
    let problems = |text: &str| -> Vec<String> {
        let error = parse_registry(text).unwrap_err();
        error.problems().iter().map(|problem| problem.key.clone()).collect()
    };
    let start = "type=artifactory,registry=a.test,api=https://a.test/artifactory";
    assert_eq!(problems("type=artifactory,registry=a.test"), ["api", "repository"]);
    assert_eq!(problems(&format!("{start},repository=x,layout=tree")), ["layout"]);
    assert_eq!(problems(&format!("{start},repository=x,layout=port,subdomain-mode=true")), ["layout"]);
    assert_eq!(problems(&format!("{start},\"repository=x,y\",layout=port")), ["repository"]);
    assert_eq!(problems(&format!("{start},\"repository=X,Y\"")), ["repository", "repository"]);
    assert_eq!(problems(&format!("{start},repository=a/b")), ["repository"]);
    assert_eq!(
        problems("type=artifactory,registry=127.0.0.1,api=http://127.0.0.1,repository=x,subdomain-mode=true"),
        ["repository"]
    );
    assert!(parse_registry(&format!("{start},repository=X,layout=port")).is_ok());
}

#[tokio::test]
async fn includes_and_excludes() {
    let server = account().with_local("docker").start().await.unwrap();
    for name in ["team/frontend", "team/legacy/frontend", "backend"] {
        server.push("docker", &image(name), name, "1");
    }
    let registry = open(&text(&server, "repository=docker,include=*/frontend*,excludes=*/legacy/*"), reader());
    assert_eq!(repositories(&*registry).await.unwrap(), ["docker/team/frontend"]);
    let new: Vec<_> = registry.tags_since(None).unwrap().try_collect().await.unwrap();
    assert_eq!(new.len(), 1);
}

#[tokio::test]
async fn tags_have_digests_and_times_and_deeper_images_are_others() {
    let server = account().with_local("docker").start().await.unwrap();
    let (old, new) = (image("old"), image("new"));
    server.push("docker", &old, "app", "1.0");
    server.push("docker", &new, "app", "2.0");
    server.push("docker", &new, "app/inner", "3.0");
    server.set_time("docker", "app", "2.0", "2026-03-21T13:54:52.384+02:00");
    let registry = open(&text(&server, "repository=docker"), reader());
    let listed = tags(&*registry, "docker/app").await.unwrap();
    let shown: Vec<_> = listed
        .iter()
        .map(|tag| (tag.name.as_str(), tag.digest.as_ref().unwrap().to_string(), tag.pushed_at.unwrap().to_string()))
        .collect();
    assert_eq!(
        shown,
        [
            ("1.0", old.digest().to_owned(), "2026-01-01T00:00:00Z".to_owned()),
            ("2.0", new.digest().to_owned(), "2026-03-21T11:54:52.384Z".to_owned()),
        ]
    );
    let error = tags(&*registry, "docker/no-such").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(tags(&*registry, "other-key/app").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_tag_in_two_members_of_a_virtual_repository_has_no_digest_in_the_list() {
    let server = account()
        .with_local("first")
        .with_remote("second")
        .with_virtual("docker", &["first", "second"])
        .start()
        .await
        .unwrap();
    let shown = image("first");
    server.push("first", &shown, "app", "1.0");
    server.push("second", &image("second"), "app", "1.0");
    server.push("second", &shown, "app", "same");
    server.push("first", &shown, "app", "same");
    let registry = open(&text(&server, "repository=docker"), reader());
    let listed = tags(&*registry, "docker/app").await.unwrap();
    let known: Vec<_> = listed.iter().map(|tag| (tag.name.as_str(), tag.digest.is_some())).collect();
    assert_eq!(known, [("1.0", false), ("same", true)]);
    let resolved = registry.resolve(&"docker/app".parse().unwrap(), &target("1.0")).await.unwrap();
    assert_eq!(resolved.digest().to_string(), shown.digest());
}

/// As many tags as this are in the servers below.
const MANY: usize = 250;

async fn many(server: ArtifactoryServerBuilder) -> ArtifactoryServer {
    let server = server.with_local("docker").start().await.unwrap();
    let image = image("one");
    for number in 0..MANY {
        server.push("docker", &image, &format!("app-{:02}", number % 10), &format!("v{number}"));
    }
    server
}

#[tokio::test]
async fn limits_of_rows_lose_nothing() {
    for (server, what) in [
        (account(), "no limit"),
        (account().with_row_limit(120), "a limit that is told"),
        (account().with_silent_row_limit(120), "a limit that is not told"),
        (account().with_row_limit(7), "a small limit that is told"),
    ] {
        let server = many(server).await;
        let registry = open(&text(&server, "repository=docker"), reader());
        // All of them have one time here, which pages have to get past.
        let new: Vec<_> = registry.tags_since(None).unwrap().try_collect().await.unwrap();
        let names: BTreeSet<_> = new.iter().map(|(repository, tag)| format!("{repository}:{}", tag.name)).collect();
        assert_eq!((new.len(), names.len()), (MANY, MANY), "{what}");
        assert_eq!(repositories(&*registry).await.unwrap().len(), 10, "{what}");
        assert_eq!(tags(&*registry, "docker/app-03").await.unwrap().len(), MANY / 10, "{what}");
    }
}

#[tokio::test]
async fn a_poll_of_an_unchanged_registry_is_one_query() {
    let server = many(account()).await;
    for number in 0..MANY {
        let (image, tag) = (format!("app-{:02}", number % 10), format!("v{number}"));
        server.set_time("docker", &image, &tag, &format!("2026-02-01T{:02}:{:02}:00.000Z", number / 60, number % 60));
    }
    let registry = open(&text(&server, "repository=docker"), reader());
    let all: Vec<_> = registry.tags_since(None).unwrap().try_collect().await.unwrap();
    assert_eq!(all.len(), MANY);
    let newest = all.iter().filter_map(|(_, tag)| tag.pushed_at).max();
    assert_eq!(all[0].1.pushed_at, newest, "the newest comes first");

    server.clear_requests();
    let again: Vec<_> = registry.tags_since(newest).unwrap().try_collect().await.unwrap();
    assert_eq!(again.iter().map(|(_, tag)| tag.name.as_str()).collect::<Vec<_>>(), ["v249"]);
    assert_eq!(server.requests().len(), 1);

    server.push("docker", &image("two"), "app-00", "v0");
    server.set_time("docker", "app-00", "v0", "2026-02-02T00:00:00.000Z");
    let moved: Vec<_> = registry.tags_since(newest).unwrap().try_collect().await.unwrap();
    assert_eq!(moved[0].1.digest.as_ref().unwrap().to_string(), image("two").digest());
}

#[tokio::test]
async fn one_query_at_a_time() {
    let server = many(account()).await;
    let registry = open(&text(&server, "repository=docker"), reader());
    let names: Vec<String> = (0..10).map(|number| format!("docker/app-{number:02}")).collect();
    let listed = join_all(names.iter().map(|name| tags(&*registry, name))).await;
    assert!(listed.iter().all(|tags| tags.as_ref().unwrap().len() == MANY / 10));
    assert_eq!(server.most_queries_at_once(), 1);
}

#[tokio::test]
async fn files_without_checksums_are_tags_without_digests() {
    let server = account().with_local("docker").without_checksums().start().await.unwrap();
    server.push("docker", &image("app"), "app", "1.0");
    let registry = open(&text(&server, "repository=docker"), reader());
    let listed = tags(&*registry, "docker/app").await.unwrap();
    assert_eq!((listed[0].name.as_str(), listed[0].digest.is_some()), ("1.0", false));
}

#[tokio::test]
async fn a_key_that_is_not_there_is_an_error_and_no_empty_list() {
    let server = account().with_local("docker").start().await.unwrap();
    server.push("docker", &image("app"), "app", "1.0");
    let registry = open(&text(&server, "repository=dokcer"), reader());
    let error = repositories(&*registry).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("repository key"));
    // One that is only not shown is read all the same.
    let server = account().with_local("docker").with_local("shown").with_hidden("docker").start().await.unwrap();
    server.push("docker", &image("app"), "app", "1.0");
    let registry = open(&text(&server, "repository=docker"), reader());
    assert_eq!(repositories(&*registry).await.unwrap(), ["docker/app"]);
}

#[tokio::test]
async fn credentials_are_sent_unasked() {
    let server = account().with_local("docker").with_anonymous_access().start().await.unwrap();
    server.push("docker", &image("app"), "app", "1.0");
    let registry = open(&text(&server, "repository=docker"), reader());
    registry.check().await.unwrap();
    assert_eq!(repositories(&*registry).await.unwrap(), ["docker/app"]);
    let set = registry.images(&"docker/app".parse().unwrap(), &target("1.0")).await.unwrap();
    assert_eq!(set.images.len(), 1);
    assert!(server.requests().iter().all(|request| request.signed_in), "{:?}", server.requests());
}

#[tokio::test]
async fn strangers_get_the_catalog() {
    let server = ArtifactoryServer::builder().with_local("docker").without_queries(401).start().await.unwrap();
    server.push("docker", &image("app"), "app", "1.0");
    let registry = open(&text(&server, "repository=docker"), Credential::Anonymous);
    assert_eq!(registry.capabilities().repositories, Listing::Complete);
    assert_eq!(repositories(&*registry).await.unwrap(), ["docker/app"]);
    let capabilities = registry.capabilities();
    assert_eq!((capabilities.repositories, capabilities.tag_digests), (Listing::Catalog, false));
    assert!(registry.tags_since(None).is_none());
    assert_eq!(tags(&*registry, "docker/app").await.unwrap()[0].digest, None);
}

#[tokio::test]
async fn a_wrong_password_is_sent_once() {
    let server = account().with_local("docker").with_lockout(3).start().await.unwrap();
    server.push("docker", &image("app"), "app", "1.0");
    let rotating = Rotating::new("reader", "wrong");
    let registry = open(&text(&server, "repository=docker"), rotating.clone());
    let app = "docker/app".parse().unwrap();

    // Workers and lists, all at once and one after the other.
    let wanted = target("1.0");
    let together = join_all((0..8).map(|_| registry.resolve(&app, &wanted))).await;
    for outcome in together {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unauthorized);
    }
    for _ in 0..5 {
        assert_eq!(repositories(&*registry).await.unwrap_err().kind(), ErrorKind::Unauthorized);
        assert_eq!(tags(&*registry, "docker/app").await.unwrap_err().kind(), ErrorKind::Unauthorized);
        assert_eq!(registry.check().await.unwrap_err().kind(), ErrorKind::Unauthorized);
    }
    assert_eq!(server.failed_sign_ins(), 1);

    // A new login is taken up at once.
    rotating.set("reader", "secret");
    assert_eq!(repositories(&*registry).await.unwrap(), ["docker/app"]);
    registry.resolve(&app, &wanted).await.unwrap();

    // The password is changed under way: the old one is refused once, and not tried against the account again.
    server.set_account(Credentials::new("reader", "changed"));
    let error = registry.resolve(&app, &wanted).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.to_string().contains("401"), "{error}");
    assert!(registry.resolve(&app, &wanted).await.unwrap_err().to_string().contains("not sent again"));
    assert_eq!(server.failed_sign_ins(), 2);
    rotating.set("reader", "changed");
    registry.resolve(&app, &wanted).await.unwrap();
    assert_eq!(server.failed_sign_ins(), 2);
}

#[tokio::test]
async fn it_is_diagnosed_from_the_name_to_a_layer() {
    let server = account().with_local("docker-local").with_local("empty").with_lockout(3).start().await.unwrap();
    server.push("docker-local", &image("a"), "team/app", "1.0");
    let registry = text(&server, "\"repository=docker-local,empty\"");
    let diagnosis = diagnose(&*open(&registry, reader()), &Subject::default(), |_| ()).await;
    assert!(diagnosis.is_healthy(), "{diagnosis:?}");
    for check in [Check::Name, Check::Connection, Check::Protocol, Check::SignIn, Check::Manifest, Check::Blob] {
        assert_eq!(diagnosis.finding(check).unwrap().outcome, Outcome::Passed, "{check}: {diagnosis:?}");
    }
    assert_eq!(diagnosis.finding(Check::SignIn).unwrap().detail, "as reader");
    assert_eq!(server.failed_sign_ins(), 0);

    let wrong = Credential::basic("reader", "a password of yesterday");
    let diagnosis = diagnose(&*open(&registry, wrong), &Subject::default(), |_| ()).await;
    assert_eq!(diagnosis.finding(Check::Protocol).unwrap().outcome, Outcome::Passed);
    assert_eq!(diagnosis.finding(Check::SignIn).unwrap().outcome, Outcome::Failed);
    assert_eq!(diagnosis.finding(Check::Repositories).unwrap().outcome, Outcome::Skipped);
    assert_eq!(server.failed_sign_ins(), 1, "a wrong password is not sent until the account is locked");
}
