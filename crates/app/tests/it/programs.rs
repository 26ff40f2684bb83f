//! How the programs take what they are told.

use supercargo_app::{Environment, Exit};

use crate::kit::{supercargo, watch};

#[test]
fn everything_wrong_is_said_at_once() {
    let environment = Environment::default().with("DOCKER_SCOUT_REGISTRY_USER", "me");
    let ran = watch(
        &environment,
        &["--registry=type=docker,registry=a.test", "--tag=(", "--event-secret-file=/no/such/file", "--data=/nowhere"],
    );
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""));
    for part in ["--registry: type", "--tag", "--event-secret-file", "DOCKER_SCOUT_REGISTRY_PASSWORD"] {
        assert!(ran.err.contains(part), "{part} in {}", ran.err);
    }
}

#[test]
fn a_registry_that_has_no_webhooks_of_its_own_opens_no_port() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let ran = watch(&Environment::default(), &["--registry", "registry=a.test,port=9000", "--data", data]);
    assert_eq!(ran.exit, Exit::Usage, "{}", ran.err);
    assert!(ran.err.contains("--registry: port") && ran.err.contains("--listen"), "{}", ran.err);
}

#[test]
fn two_watchers_do_not_share_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let lock =
        std::fs::OpenOptions::new().write(true).create_new(true).open(folder.path().join("supercargo.lock")).unwrap();
    lock.lock().unwrap();
    let ran = watch(&Environment::default(), &["--registry=localhost:1", "--once", "--data", data]);
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.contains("another process is using it") && ran.err.contains("--data"), "{}", ran.err);
}

#[test]
fn usage() {
    for args in [["index", "--colour"], ["frobnicate", "x"], ["search", "--data"]] {
        let ran = supercargo(args);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""), "{args:?}");
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
    }
    let ran = supercargo(["--version"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Done, ""));
    assert!(ran.out.starts_with("supercargo "));
    for shell in ["bash", "zsh", "fish"] {
        let ran = supercargo(["completions", shell]);
        assert_eq!(ran.exit, Exit::Done);
        assert!(ran.out.contains("platform"), "{shell}");
    }
    assert!(supercargo(["completions", "bash", "--program", "supercargo-watch"]).out.contains("--all-images"));
}
