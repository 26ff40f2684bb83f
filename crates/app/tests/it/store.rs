//! From a registry through `supercargo-watch --once` to the commands that read the store.

use serde_json::Value;
use supercargo_app::{Environment, Exit};
use supercargo_testkit::{Fault, RegistryServer};

use crate::kit::{Ran, app, supercargo, watch};

/// Runs beside the programs, which have a runtime each.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// One space between cells, and no times.
fn tame(text: &str) -> String {
    let is_time = |word: &str| word.len() == 10 && word.bytes().filter(|byte| *byte == b'-').count() == 2;
    let is_clock = |word: &str| word.len() == 5 && word.as_bytes()[2] == b':';
    let line = |line: &str| {
        let words = line.split_whitespace().map(|word| if is_time(word) || is_clock(word) { "<TIME>" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_was_watched_can_be_read() {
    let runtime = runtime();
    let registry = runtime.block_on(RegistryServer::start()).unwrap();
    let image = app().build();
    registry.push(&image, "team/app", "1.0");
    registry.push(&image, "team/app", "latest");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let ran =
        watch(&Environment::default(), &["--registry", &registry.host(), "--all-images", "--once", "--data", data]);
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Done, ""), "{}", ran.err);

    let host = registry.host();
    // The port is another in every run, and so is the time; a name's width moves the columns.
    let shown = |ran: &Ran| tame(&ran.out.replace(&host, "registry.test"));
    insta::assert_snapshot!("images", shown(&supercargo(["images", "--data", data])));
    insta::assert_snapshot!("packages", shown(&supercargo(["packages", "team/app:1.0", "--data", data])));
    insta::assert_snapshot!("search", shown(&supercargo(["search", "left-pad@<2", "--data", data])));
    // A source package where nothing is called so, and none beside a package of its name.
    insta::assert_snapshot!("search_source", shown(&supercargo(["search", "openssl", "--data", data])));
    insta::assert_snapshot!(
        "search_json",
        shown(&supercargo(["search", "@types/node", "--data", data, "--output", "json"]))
    );

    let images: Value = serde_json::from_str(&supercargo(["images", "--data", data, "-o", "json"]).out).unwrap();
    assert_eq!(images[0]["digest"], image.digest());
    let ran = supercargo(["packages", image.digest(), "--type", "npm", "--data", data, "-o", "json"]);
    let packages: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(packages.as_array().unwrap().len(), 2);

    let ran = supercargo(["search", "nothing-like-this", "--data", data]);
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Done, ""));
    assert!(ran.err.contains("'*nothing-like-this*'"), "{}", ran.err);
    assert_eq!(supercargo(["search", "a@<", "--data", data]).exit, Exit::Usage);
    assert_eq!(supercargo(["packages", "team/other", "--data", data]).exit, Exit::Failed);
}

#[test]
fn a_run_that_could_not_do_everything_says_so() {
    let runtime = runtime();
    let registry = runtime.block_on(RegistryServer::start()).unwrap();
    let image = app().build();
    registry.push(&image, "team/app", "1.0");
    registry.corrupt_blob(image.layer_digest(0));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let ran =
        watch(&Environment::default(), &["--registry", &registry.host(), "--all-images", "--once", "--data", data]);
    assert_eq!(ran.exit, Exit::Partial, "{}", ran.err);

    registry.inject(Fault::new(401).with_times(1000));
    let elsewhere = tempfile::tempdir().unwrap();
    let data = elsewhere.path().to_str().unwrap();
    let ran = watch(&Environment::default(), &["--registry", &registry.host(), "--once", "--data", data]);
    assert_eq!(ran.exit, Exit::Partial, "{}", ran.err);
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("none");
    for command in ["images", "packages"] {
        let ran = supercargo([command, "--data", data.to_str().unwrap()]);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Failed, ""));
        assert!(ran.err.contains("hint: start supercargo-watch"), "{}", ran.err);
    }
    assert!(!data.exists());
}
