//! Harbor's adapter against its stand-in.

use futures_util::future::join_all;
use supercargo_registry::conformance::Fixture;
use supercargo_registry::{Credential, ErrorKind, RegistryExt, parse_registry};
use supercargo_testkit::{HarborAccess, HarborServer, HarborServerBuilder};

use crate::conformance;
use crate::product::{Rotating, count, image, open, repositories, tags};
use crate::support::target;

fn robot() -> Credential {
    Credential::basic("robot$reader", "secret")
}

fn account(access: HarborAccess) -> HarborServerBuilder {
    HarborServer::builder().with_account("robot$reader", "secret", access)
}

fn text(server: &HarborServer, rest: &str) -> String {
    format!("type=harbor,registry={}{rest}", server.host())
}

async fn suite(server: HarborServerBuilder, rest: &str, credential: Credential) -> HarborServer {
    let server = server.start().await.unwrap();
    let fixture = Fixture::sample();
    conformance::push(server.registry(), &fixture, fixture.repository.as_str());
    let registry = open(&text(&server, rest), credential);
    supercargo_registry::conformance::run(&registry, &fixture).await;
    assert_eq!(server.failed_sign_ins(), 0);
    server
}

#[tokio::test]
async fn conformance_for_an_administrator() {
    suite(account(HarborAccess::administrator()).with_blob_redirects().with_page_size(1), "", robot()).await;
}

#[tokio::test]
async fn conformance_for_a_member_behind_a_proxy() {
    let server = account(HarborAccess::member(&["conformance"])).with_page_size(1).without_links();
    suite(server, "", robot()).await;
    let server = account(HarborAccess::member(&["conformance"])).with_page_size(1).with_foreign_links();
    suite(server, "", robot()).await;
}

#[tokio::test]
async fn conformance_for_a_robot_of_a_project() {
    suite(account(HarborAccess::robot(&["conformance"])), ",project=conformance", robot()).await;
}

#[tokio::test]
async fn what_each_may_list() {
    let listed = async |access: HarborAccess, rest: &str, credential: Credential| {
        let server = account(access).with_public_project("library").start().await.unwrap();
        for name in ["library/alpine", "web/shop/front", "web/shop/back", "secret/plans"] {
            server.push(&image(name), name, "1.0");
        }
        repositories(&*open(&text(&server, rest), credential)).await
    };
    let web = || HarborAccess::member(&["web"]);
    assert_eq!(
        listed(HarborAccess::administrator(), "", robot()).await.unwrap(),
        ["library/alpine", "secret/plans", "web/shop/back", "web/shop/front"]
    );
    assert_eq!(listed(web(), "", robot()).await.unwrap(), ["web/shop/back", "web/shop/front"]);
    assert_eq!(listed(web(), "", Credential::Anonymous).await.unwrap(), ["library/alpine"]);
    assert_eq!(listed(web(), ",exclude=*/back", robot()).await.unwrap(), ["web/shop/front"]);
    let error = listed(HarborAccess::robot(&["web"]), "", robot()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.hint().unwrap().contains("project=NAME"), "{error}");
    let named = ",\"project=web,secret\"";
    assert_eq!(
        listed(HarborAccess::robot(&["web"]), named, robot()).await.unwrap(),
        ["web/shop/back", "web/shop/front"]
    );
    let error = listed(HarborAccess::robot(&["web"]), ",project=secret", robot()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(listed(web(), ",repository=web/shop/front", robot()).await.unwrap(), ["web/shop/front"]);
}

#[tokio::test]
async fn tags_of_a_name_with_slashes() {
    let server = account(HarborAccess::member(&["web"])).start().await.unwrap();
    let (one, two) = (image("one"), image("two"));
    for (image, tag) in [(&one, "1.0"), (&one, "latest"), (&two, "2.0")] {
        server.push(image, "web/shop/front", tag);
    }
    server.set_time("web/shop/front", "latest", "2026-04-01T10:00:00.5Z");
    let registry = open(&text(&server, ""), robot());
    let mut listed = tags(&*registry, "web/shop/front").await.unwrap();
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    let shown: Vec<_> = listed
        .iter()
        .map(|tag| (tag.name.as_str(), tag.digest.as_ref().unwrap().to_string(), tag.pushed_at.unwrap().to_string()))
        .collect();
    let start = || "2026-01-01T00:00:00Z".to_owned();
    assert_eq!(
        shown,
        [
            ("1.0", one.digest().to_owned(), start()),
            ("2.0", two.digest().to_owned(), start()),
            ("latest", one.digest().to_owned(), "2026-04-01T10:00:00.5Z".to_owned()),
        ]
    );
    assert_eq!(count(&server.requests(), "/repositories/shop%252Ffront/artifacts"), 1);
    assert_eq!(tags(&*registry, "web/nothing").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(tags(&*registry, "web").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_poll_costs_one_request_for_a_repository_of_a_hundred_tags() {
    let server = account(HarborAccess::administrator()).start().await.unwrap();
    let image = image("one");
    for number in 0..100 {
        server.push(&image, "web/app", &format!("v{number}"));
    }
    let registry = open(&text(&server, ""), robot());
    assert_eq!(tags(&*registry, "web/app").await.unwrap().len(), 100);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_wrong_password_is_sent_once() {
    let server = account(HarborAccess::administrator()).start().await.unwrap();
    server.push(&image("app"), "web/app", "1.0");
    let rotating = Rotating::new("robot$reader", "wrong");
    let registry = open(&text(&server, ""), rotating.clone());
    let (app, wanted) = ("web/app".parse().unwrap(), target("1.0"));
    for _ in 0..5 {
        assert_eq!(repositories(&*registry).await.unwrap_err().kind(), ErrorKind::Unauthorized);
        assert_eq!(tags(&*registry, "web/app").await.unwrap_err().kind(), ErrorKind::Unauthorized);
        assert!(registry.resolve(&app, &wanted).await.is_err());
    }
    assert_eq!(server.failed_sign_ins(), 1);
    assert_eq!(count(&server.requests(), "/service/token"), 0, "the token service is not asked with it either");
    rotating.set("robot$reader", "secret");
    registry.resolve(&app, &wanted).await.unwrap();

    // Pulls come first.
    let rotating = Rotating::new("robot$reader", "wrong");
    let registry = open(&text(&server, ""), rotating);
    server.clear_requests();
    let together = join_all((0..6).map(|_| registry.resolve(&app, &wanted))).await;
    assert!(together.iter().all(Result::is_err));
    assert!(repositories(&*registry).await.is_err());
    assert_eq!(count(&server.requests(), "/service/token"), 1);
    assert_eq!(server.failed_sign_ins(), 1);
}

#[tokio::test]
async fn a_registry_string_says_all_that_is_wrong() {
    let error =
        parse_registry("type=harbor,registry=a.test,\"project=Web,a/b\",repository=alone,layout=path").unwrap_err();
    let keys: Vec<_> = error.problems().iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["layout", "project", "project", "repository"]);
}

#[tokio::test]
async fn the_api_may_be_elsewhere() {
    let server = account(HarborAccess::administrator()).start().await.unwrap();
    server.push(&image("app"), "web/app", "1.0");
    for api in [format!("http://{}", server.host()), format!("http://{}/api/v2.0/", server.host())] {
        let registry = open(&text(&server, &format!(",api={api}")), robot());
        registry.check().await.unwrap();
        assert_eq!(repositories(&*registry).await.unwrap(), ["web/app"]);
        let set = registry.images(&"web/app".parse().unwrap(), &target("1.0")).await.unwrap();
        assert_eq!(set.images.len(), 1);
    }
}
