//! `supercargo doctor`: what works, what does not, and what to do.

use serde_json::Value;
use supercargo_app::{Environment, Exit};
use supercargo_testkit::{Fault, RegistryServer};

use crate::kit::{app, supercargo, supercargo_in, watch};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// The outcome of each check of the first report.
fn outcomes(json: &str) -> Vec<(String, String)> {
    let reports: Value = serde_json::from_str(json).unwrap();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    let checks = reports[0]["checks"].as_array().unwrap();
    checks.iter().map(|entry| (text(entry, "check"), text(entry, "outcome"))).collect()
}

fn outcome(json: &str, check: &str) -> String {
    outcomes(json).into_iter().find(|(name, _)| name == check).unwrap().1
}

#[test]
fn a_registry_that_works() {
    let runtime = runtime();
    let server = runtime.block_on(RegistryServer::builder().with_token_auth("robot", "secret").start()).unwrap();
    server.push(&app().build(), "team/app", "1.0");
    server.push(&app().build(), "team/app", "latest");
    let environment = Environment::default()
        .with("DOCKER_SCOUT_REGISTRY_USER", "robot")
        .with("DOCKER_SCOUT_REGISTRY_PASSWORD", "secret");
    let ran = supercargo_in(&environment, ["doctor", "--registry", &server.host()]);
    assert_eq!(ran.exit, Exit::Done, "{}{}", ran.out, ran.err);
    let digest = app().build().digest().to_owned();
    let shown = ran.out.replace(&server.host(), "127.0.0.1:PORT").replace(&digest, "sha256:DIGEST");
    let layer = shown.split(" of ").find_map(|rest| rest.split_once(" bytes;")).unwrap().0.to_owned();
    insta::assert_snapshot!("doctor", shown.replace(&format!("{layer} of {layer} bytes"), "N of N bytes"));
    assert!(!ran.out.contains("secret"));

    let ran = supercargo_in(&environment, ["doctor", "--registry", &server.host(), "-o", "json"]);
    let all = outcomes(&ran.out);
    let expected = [
        "name",
        "connection",
        "tls",
        "protocol",
        "clock",
        "sign-in",
        "repositories",
        "tags",
        "manifest",
        "blob",
        "referrers",
        "quota",
    ];
    assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), expected);
    assert!(all.iter().all(|(_, outcome)| outcome != "failed"), "{all:?}");
}

#[test]
fn a_password_that_is_wrong() {
    let runtime = runtime();
    let server = runtime.block_on(RegistryServer::builder().with_basic_auth("robot", "secret").start()).unwrap();
    let environment = Environment::default()
        .with("DOCKER_SCOUT_REGISTRY_USER", "robot")
        .with("DOCKER_SCOUT_REGISTRY_PASSWORD", "hunter2");
    let ran = supercargo_in(&environment, ["doctor", "--registry", &server.host(), "-o", "json"]);
    assert_eq!(ran.exit, Exit::Failed);
    assert_eq!(outcome(&ran.out, "protocol"), "passed");
    assert_eq!(outcome(&ran.out, "sign-in"), "failed");
    assert_eq!(outcome(&ran.out, "repositories"), "skipped");
    let sent = server.count_requests(|request| request.authorization.is_some());
    assert_eq!(sent, 1, "a password that is wrong is not tried until the account is locked");
    assert!(ran.out.contains("did not accept the credentials") && !ran.out.contains("hunter2"), "{}", ran.out);
}

#[test]
fn a_stranger() {
    let runtime = runtime();
    let server = runtime.block_on(RegistryServer::builder().with_basic_auth("robot", "secret").start()).unwrap();
    let ran = supercargo(["doctor", "--registry", &server.host(), "-o", "json"]);
    assert_eq!((ran.exit, outcome(&ran.out, "sign-in").as_str()), (Exit::Failed, "warned"), "{}", ran.out);
    assert!(ran.out.contains("docker login"), "{}", ran.out);
}

#[test]
fn registries_that_are_not_there() {
    // A port that nobody listens on, and a name that nobody has (RFC 6761).
    let ran = supercargo(["doctor", "--registry", "127.0.0.1:1", "--registry", "registry.invalid"]);
    assert_eq!(ran.exit, Exit::Failed);
    let line =
        |check: &str, mark: &str| ran.out.lines().any(|line| line.trim().starts_with(mark) && line.contains(check));
    assert!(line("connection", "FAILED") && line("name", "FAILED") && line("blob", "-"), "{}", ran.out);
    assert!(ran.out.contains("hint: is there a firewall or a proxy"), "{}", ran.out);
}

#[test]
fn a_catalog_that_is_refused_and_a_repository_that_is_named() {
    let runtime = runtime();
    let server = runtime.block_on(RegistryServer::start()).unwrap();
    server.push(&app().build(), "team/app", "1.0");
    let refused = || server.inject(Fault::new(403).on_path("_catalog").with_times(1));
    refused();
    let ran = supercargo(["doctor", "--registry", &server.host(), "-o", "json"]);
    assert_eq!(outcome(&ran.out, "repositories"), "failed");
    assert!(ran.out.contains("repository=NAME"), "{}", ran.out);
    refused();
    let ran = supercargo(["doctor", "--registry", &server.host(), "--repository", "team/app:1.0", "-o", "json"]);
    assert_eq!((ran.exit, outcome(&ran.out, "repositories").as_str()), (Exit::Done, "warned"), "{}", ran.out);
    assert_eq!(outcome(&ran.out, "blob"), "passed");
    let ran = supercargo(["doctor", "--registry", &server.host(), "--repository", "team/other", "-o", "json"]);
    assert_eq!(ran.exit, Exit::Failed, "{}", ran.out);
    assert_eq!(outcome(&ran.out, "tags"), "failed");
}

#[test]
fn configurations_that_make_no_sense() {
    let ran = supercargo(["doctor", "--registry", "registry=a.test,ca-file=/no/such,port=x", "--registry", "a b"]);
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""));
    assert!(ran.err.contains("port") && ran.err.contains("a b"), "{}", ran.err);
    assert_eq!(supercargo(["doctor", "--repository", "team/app"]).exit, Exit::Usage);
}

#[test]
fn the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let docker = folder.path().join("docker");
    std::fs::create_dir(&docker).unwrap();
    std::fs::write(
        docker.join("config.json"),
        r#"{"auths":{"a.test":{"auth":"dXNlcjpodW50ZXIy"}},"credHelpers":{"b.test":"no-such-helper"}}"#,
    )
    .unwrap();
    let environment = Environment::default().with("DOCKER_CONFIG", docker.as_os_str());
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let ran = supercargo_in(&environment, ["doctor", "--data", data, "-o", "json"]);
    assert_eq!(ran.exit, Exit::Failed, "{}", ran.out);
    for (check, expected) in [("data", "passed"), ("database", "skipped"), ("docker", "passed"), ("helper", "failed")] {
        assert_eq!(outcome(&ran.out, check), expected, "{check}: {}", ran.out);
    }
    assert!(ran.out.contains("a.test, b.test") && !ran.out.contains("dXNlcjpodW50ZXIy"), "{}", ran.out);
    assert!(!std::path::Path::new(data).exists(), "nothing is made");

    let runtime = runtime();
    let server = runtime.block_on(RegistryServer::start()).unwrap();
    server.push(&app().build(), "team/app", "1.0");
    watch(&Environment::default(), &["--registry", &server.host(), "--all-images", "--once", "--data", data]);
    let ran = supercargo(["doctor", "--data", data]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.out);
    assert!(ran.out.contains("1 image, ") && ran.out.contains("are free"), "{}", ran.out);

    std::fs::write(std::path::Path::new(data).join("supercargo.db"), "not a database, of some length at that").unwrap();
    let ran = supercargo(["doctor", "--data", data, "-o", "json"]);
    assert_eq!((ran.exit, outcome(&ran.out, "database").as_str()), (Exit::Failed, "failed"), "{}", ran.out);
}
