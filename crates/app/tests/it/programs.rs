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
fn what_is_not_there_yet_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let registry = "type=artifactory,registry=a.test,api=https://a.test/artifactory,repository=docker-local";
    let ran = watch(&Environment::default(), &["--registry", registry, "--data", data]);
    assert_eq!(ran.exit, Exit::Usage, "{}", ran.err);
    assert!(ran.err.contains("not in this build") && ran.err.contains("hint: "), "{}", ran.err);
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
