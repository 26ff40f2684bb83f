//! What can be read.

use http::StatusCode;
use serde_json::json;
use supercargo_engine::store::{
    Claim, Failure, JobFilter, JobState, Lane, NewJob, Page, Reason, RepositoryName, Retry, Role, TagOrDigest, Work,
};
use supercargo_server::Access;

use crate::kit::Kit;

#[tokio::test]
async fn images() {
    let kit = Kit::new(Access::Loopback).await;
    let list = kit.get("/v1/images").await.json();
    assert_eq!(list["next"], json!(null));
    let image = &list["items"][0];
    assert_eq!(image["digest"], json!(kit.digest));
    assert_eq!(image["places"], json!([{"registry": "registry.test", "repository": "team/app", "tag": "1.0"}]));
    // The source package of one of them is listed, and is not a third.
    assert_eq!((&image["packages"], &image["layers"]), (&json!(2), &json!(1)), "{image}");

    for (query, found) in [
        ("repository=team/app", 1),
        ("repository=team/other", 0),
        ("tag=1.0&registry=registry.test", 1),
        ("tag=2.0", 0),
        ("platform=linux/amd64&include_gone=true&limit=1", 1),
        ("platform=linux/arm64", 0),
    ] {
        let list = kit.get(&format!("/v1/images?{query}")).await.json();
        assert_eq!(list["items"].as_array().unwrap().len(), found, "{query}");
    }
    for bad in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "platform=linux",
        "colour=red",
        "include_gone=maybe",
        "cursor=a~b~c",
        "layer=x",
    ] {
        let reply = kit.get(&format!("/v1/images?{bad}")).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{bad}");
    }
}

#[tokio::test]
async fn one_image() {
    let kit = Kit::new(Access::Loopback).await;
    let reply = kit.get(&format!("/v1/images/{}", kit.digest)).await;
    assert_eq!(reply.json()["metadata"]["distro"]["id"], "debian");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));

    let scout = kit.get(&format!("/v1/images/{}?format=scout", kit.digest)).await.json();
    assert_eq!(scout["source"]["image"]["digest"], json!(kit.digest));
    assert_eq!(scout["artifacts"][0]["type"], "deb");

    let other = format!("sha256:{}", "0".repeat(64));
    assert_eq!(kit.get(&format!("/v1/images/{other}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(kit.get("/v1/images/latest").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(kit.get(&format!("/v1/images/{}?format=pdf", kit.digest)).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(kit.get("/v1/nothing").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn packages() {
    let kit = Kit::new(Access::Loopback).await;
    for (query, expected) in [
        ("name=bash&type=deb", 1),
        ("name=bash&type=npm", 0),
        ("q=bash", 1),
        ("q=bash@%3C5.3", 1),
        ("q=bash@%3E5.3", 0),
        ("name=bash&version=5.2*", 1),
        ("name=bash&version=5.2.15-2", 1),
        ("purl=pkg:deb/debian/libssl3", 1),
        ("q=pkg:deb/debian/openssl", 1),
        ("q=*ssl*", 2),
        ("q=*ssl*&version=%3C1", 0),
        ("namespace=debian&limit=1000", 3),
    ] {
        let list = kit.get(&format!("/v1/packages?{query}")).await.json();
        assert_eq!(list["items"].as_array().unwrap().len(), expected, "{query}: {list}");
    }
    let found = &kit.get("/v1/packages?q=libssl3").await.json()["items"][0];
    assert_eq!(found["locations"][0]["layer"]["instruction"], "ADD rootfs.tar /");
    assert_eq!(found["locations"][0]["path"], "/var/lib/dpkg/status");
    for bad in ["q=a&purl=pkg:deb/a", "purl=bash", "q=*", "version=%3C", "q=a@", "image=latest", "sort=name"] {
        assert_eq!(kit.get(&format!("/v1/packages?{bad}")).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn pages_of_a_range_are_whole_together() {
    let kit = Kit::new(Access::Loopback).await;
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let list = kit.get(&format!("/v1/packages?version=%3E0&limit=1{cursor}")).await.json();
        for item in list["items"].as_array().unwrap() {
            names.push(item["purl"].as_str().unwrap().to_owned());
        }
        match list["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!((all, names.len()), (3, 3), "{names:?}");
}

#[tokio::test]
async fn failures_are_seen_and_retried() {
    let kit = Kit::new(Access::Loopback).await;
    let repository = RepositoryName::new("registry.test", "team/broken");
    let work = Work::Index { repository, reference: TagOrDigest::Tag("1.0".into()) };
    kit.store.enqueue(vec![NewJob::new(work, Lane::Push)]).await.unwrap();
    let job = kit.store.claim(&Claim::new("test", std::time::Duration::from_secs(60))).await.unwrap().remove(0);
    let failure = Failure { reason: Reason::permanent("digest-mismatch", "the layer is broken"), retry: Retry::Never };
    kit.store.fail(job.lease, failure, Vec::new()).await.unwrap();

    let failures = kit.get("/v1/failures?state=failed").await.json();
    let found = &failures["items"][0];
    assert_eq!(found["reason"]["kind"], "digest-mismatch");
    assert_eq!((&found["repository"], &found["tag"]), (&json!("team/broken"), &json!("1.0")));
    assert_eq!(kit.get("/v1/queue").await.json()["lanes"][0]["dead"], 1);

    let retry = format!("/v1/failures/{}/retry", found["job"]);
    assert_eq!(kit.post(&retry, None, "").await.status, StatusCode::ACCEPTED);
    assert_eq!(kit.get("/v1/queue").await.json()["lanes"][0]["ready"], 1);
    assert_eq!(kit.post("/v1/failures/999/retry", None, "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(kit.post("/v1/failures/x/retry", None, "").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_token_for_one_integration_retries_its_jobs_and_no_others() {
    let kit = Kit::new(Access::Closed).await;
    let admin = kit.token(Role::Admin, &[]).await;
    let main = json!({"name": "main", "kind": "oci", "registry": "registry.test"});
    kit.ask("POST", "/v1/integrations", Some(&admin), Some(main)).await;
    for registry in ["registry.test", "other.test"] {
        let repository = RepositoryName::new(registry, "team/broken");
        let work = Work::Index { repository, reference: TagOrDigest::Tag("1.0".into()) };
        kit.store.enqueue(vec![NewJob::new(work, Lane::Push)]).await.unwrap();
        let job = kit.store.claim(&Claim::new("test", std::time::Duration::from_secs(60))).await.unwrap().remove(0);
        let failure = Failure { reason: Reason::permanent("digest-mismatch", "it is broken"), retry: Retry::Never };
        kit.store.fail(job.lease, failure, Vec::new()).await.unwrap();
    }
    let dead = async || {
        let jobs = kit.store.jobs(&JobFilter::dead(), &Page::default()).await.unwrap().items;
        jobs.into_iter().map(|job| (job.work.repository().registry.clone(), job.id)).collect::<Vec<_>>()
    };
    let [(theirs, their_job), (mine, my_job)] = &dead().await[..] else { panic!("two dead letters") };
    assert_eq!((theirs.as_str(), mine.as_str()), ("other.test", "registry.test"));

    let token = kit.token(Role::Editor, &["main"]).await;
    let retry = async |job: &dyn std::fmt::Display| {
        kit.ask("POST", &format!("/v1/failures/{job}/retry"), Some(&token), None).await.status
    };
    assert_eq!(retry(their_job).await, StatusCode::NOT_FOUND, "it does not even learn that there is one");
    assert_eq!(retry(&"99999").await, StatusCode::NOT_FOUND);
    assert_eq!(dead().await.len(), 2);
    assert_eq!(retry(my_job).await, StatusCode::ACCEPTED);
    let queued = JobFilter { job: Some(*my_job), state: Some(JobState::Queued), registry: None };
    assert_eq!(kit.store.jobs(&queued, &Page::default()).await.unwrap().items.len(), 1);
    assert_eq!(dead().await.len(), 1);
    let log = kit.ask("GET", "/v1/audit?action=job.retry", Some(&admin), None).await.json();
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "{log}");
    let viewer = kit.token(Role::Viewer, &["main"]).await;
    let path = format!("/v1/failures/{my_job}/retry");
    assert_eq!(kit.ask("POST", &path, Some(&viewer), None).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn metrics() {
    let kit = Kit::new(Access::Loopback).await;
    kit.get(&format!("/v1/images/{}", kit.digest)).await;
    kit.get("/some/path/of/a/stranger").await;
    let reply = kit.get("/metrics").await;
    assert!(reply.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    for line in [
        r#"supercargo_images_total{outcome="indexed"} 0"#,
        r#"supercargo_queue_jobs{lane="push",state="ready"} 0"#,
        r#"supercargo_registry_away{registry="registry.test"} 0"#,
        r#"supercargo_http_requests_total{route="/v1/images/{digest}",method="GET",status="2xx"} 1"#,
        r#"supercargo_http_requests_total{route="other",method="GET",status="4xx"} 1"#,
        "supercargo_stored_images 1",
        "# EOF",
    ] {
        assert!(reply.text.lines().any(|found| found == line), "{line} in {}", reply.text);
    }
    // No label may name what anybody can push.
    for name in [kit.digest.as_str(), "team/app", "bash", "stranger"] {
        assert!(!reply.text.contains(name), "{name}");
    }
    let again = kit.get("/metrics").await.text;
    assert_eq!(again.matches("# TYPE supercargo_queue_jobs ").count(), 1);
}
