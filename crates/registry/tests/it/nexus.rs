//! Nexus's adapter against its stand-in.

use futures_util::future::join_all;
use supercargo_registry::conformance::Fixture;
use supercargo_registry::{Credential, ErrorKind, RegistryExt, parse_registry};
use supercargo_testkit::{NexusServer, NexusServerBuilder};

use crate::conformance;
use crate::product::{Rotating, count, image, open, repositories, tags};
use crate::support::target;

fn reader() -> Credential {
    Credential::basic("reader", "secret")
}

fn account() -> NexusServerBuilder {
    NexusServer::builder().with_account("reader", "secret")
}

fn connector(server: &NexusServer, rest: &str) -> String {
    format!("type=nexus,registry={},api={}{rest}", server.connector(), server.api())
}

fn by_path(server: &NexusServer, rest: &str) -> String {
    format!("type=nexus,registry={},api={},layout=path{rest}", server.host(), server.api())
}

#[tokio::test]
async fn conformance_at_a_connector() {
    let fixture = Fixture::sample();
    for (server, rest, name) in [
        (account().with_hosted("Docker_Hosted"), ",repository=Docker_Hosted", "Docker_Hosted"),
        // One repository is the one.
        (account().with_hosted("Docker_Hosted").with_components_page(1), "", "Docker_Hosted"),
        (account().with_hosted("docker").with_catalog_page(1).with_wrong_links(), ",repository=docker", "docker"),
        (account().with_hosted("docker").without_catalog().with_components_page(1), ",repository=docker", "docker"),
        (account().with_hosted("docker").without_search(), ",repository=docker", "docker"),
        (account().with_hosted("docker").without_browsing(), ",repository=docker", "docker"),
        // Which of the two the connector is, nobody says.
        (account().with_hosted("docker").with_hosted("other").with_wrong_links().with_catalog_page(1), "", "docker"),
    ] {
        let server = server.start().await.unwrap();
        conformance::push(server.repository(name), &fixture, fixture.repository.as_str());
        let registry = open(&connector(&server, rest), reader());
        supercargo_registry::conformance::run(&registry, &fixture).await;
        assert_eq!(server.failed_sign_ins(), 0);
    }
}

#[tokio::test]
async fn conformance_by_path() {
    let fixture = Fixture::sample();
    for rest in ["", ",repository=conformance"] {
        let server = account().with_hosted("conformance").with_group("all", &["conformance"]).start().await.unwrap();
        conformance::push(server.repository("conformance"), &fixture, "sample");
        let registry = open(&by_path(&server, rest), reader());
        supercargo_registry::conformance::run(&registry, &fixture).await;
    }
}

#[tokio::test]
async fn several_repositories_and_groups() {
    let server =
        account().with_hosted("one").with_hosted("two").with_group("all", &["one", "two"]).start().await.unwrap();
    let (first, second) = (image("first"), image("second"));
    server.push("one", &first, "app", "1.0");
    server.push("two", &second, "app", "1.0");
    server.push("two", &second, "team/tool", "2.0");
    server.set_time("two", "team/tool", "2.0", "2026-05-01T00:00:00.250+02:00");

    let all = open(&by_path(&server, ""), reader());
    assert_eq!(repositories(&*all).await.unwrap(), ["one/app", "two/app", "two/team/tool"]);
    let listed = tags(&*all, "two/team/tool").await.unwrap();
    assert_eq!(listed[0].digest.as_ref().unwrap().to_string(), second.digest());
    assert_eq!(listed[0].pushed_at.unwrap().to_string(), "2026-04-30T22:00:00.25Z");
    let resolved = all.resolve(&"two/app".parse().unwrap(), &target("1.0")).await.unwrap();
    assert_eq!(resolved.digest().to_string(), second.digest());

    let group = open(&by_path(&server, ",repository=all"), reader());
    assert_eq!(repositories(&*group).await.unwrap(), ["all/app", "all/team/tool"]);
    let listed = tags(&*group, "all/app").await.unwrap();
    assert_eq!((listed.len(), listed[0].digest.is_some()), (1, false), "which of two is shown, the list cannot say");
    let resolved = group.resolve(&"all/app".parse().unwrap(), &target("1.0")).await.unwrap();
    assert_eq!(resolved.digest().to_string(), first.digest());

    // A connector with several names: what it serves, whichever holds it.
    let both = open(&connector(&server, ",\"repository=one,two\""), reader());
    assert_eq!(repositories(&*both).await.unwrap(), ["app", "team/tool"]);
}

#[tokio::test]
async fn a_list_that_is_empty_for_want_of_rights_is_an_error() {
    let server = account().with_hosted("docker").without_browsing().start().await.unwrap();
    let error = repositories(&*open(&by_path(&server, ""), reader())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.hint().unwrap().contains("browse"), "{error}");
}

#[tokio::test]
async fn credentials_are_sent_unasked() {
    let server = account().with_hosted("docker").with_anonymous_access().start().await.unwrap();
    server.push("docker", &image("app"), "app", "1.0");
    let registry = open(&connector(&server, ",repository=docker"), reader());
    registry.check().await.unwrap();
    assert_eq!(repositories(&*registry).await.unwrap(), ["app"]);
    let set = registry.images(&"app".parse().unwrap(), &target("1.0")).await.unwrap();
    assert_eq!(set.images.len(), 1);
    assert!(server.requests().iter().all(|request| request.signed_in));
}

#[tokio::test]
async fn a_wrong_password_is_sent_once() {
    let server = account().with_hosted("docker").with_lockout(3).start().await.unwrap();
    server.push("docker", &image("app"), "app", "1.0");
    let rotating = Rotating::new("reader", "wrong");
    let registry = open(&connector(&server, ",repository=docker"), rotating.clone());
    let (app, wanted) = ("app".parse().unwrap(), target("1.0"));
    let together = join_all((0..8).map(|_| registry.resolve(&app, &wanted))).await;
    assert!(together.iter().all(Result::is_err));
    for _ in 0..4 {
        assert_eq!(repositories(&*registry).await.unwrap_err().kind(), ErrorKind::Unauthorized);
        assert_eq!(tags(&*registry, "app").await.unwrap_err().kind(), ErrorKind::Unauthorized);
    }
    assert_eq!(server.failed_sign_ins(), 1);
    rotating.set("reader", "secret");
    registry.resolve(&app, &wanted).await.unwrap();
    assert_eq!(tags(&*registry, "app").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_block_is_not_prolonged_by_trying_again() {
    // Somebody else has used the attempts up; the right password is refused, too, and each request prolongs that.
    let server = account().with_hosted("docker").with_lockout(0).start().await.unwrap();
    let stranger = open(&connector(&server, ",repository=docker"), Credential::basic("reader", "guess"));
    assert!(repositories(&*stranger).await.is_err());
    let registry = open(&connector(&server, ",repository=docker"), reader());
    server.clear_requests();
    for _ in 0..5 {
        let error = repositories(&*registry).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(!error.is_retryable());
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn requests_of_a_poll() {
    let server = account().with_hosted("docker").start().await.unwrap();
    let image = image("one");
    for number in 0..60 {
        server.push("docker", &image, "app", &format!("v{number}"));
    }
    let registry = open(&connector(&server, ",repository=docker"), reader());
    assert_eq!(tags(&*registry, "app").await.unwrap().len(), 60);
    let requests = server.requests();
    assert_eq!((requests.len(), count(&requests, "/service/rest/v1/search")), (2, 2), "fifty tags a request");
    let set = registry.images(&"app".parse().unwrap(), &target("v7")).await.unwrap();
    assert_eq!(set.images.len(), 1);
}

#[tokio::test]
async fn a_registry_string_says_all_that_is_wrong() {
    let problems = |text: &str| -> Vec<String> {
        let error = parse_registry(text).unwrap_err();
        error.problems().iter().map(|problem| problem.key.clone()).collect()
    };
    assert_eq!(problems("type=nexus,registry=localhost:8082"), ["api"]);
    assert_eq!(problems("type=nexus,registry=a.test,api=http://a.test:8081,layout=tree"), ["layout"]);
    assert_eq!(problems("type=nexus,registry=a.test,api=http://a.test,layout=path,repository=Docker"), ["repository"]);
    assert_eq!(problems("type=nexus,registry=a.test,api=http://a.test,repository=a/b"), ["repository"]);
}
