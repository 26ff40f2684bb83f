//! What `--help` says: the first reference that anybody reads.

use supercargo_app::{Environment, Exit};

use crate::kit::{supercargo, watch};

#[test]
fn of_the_operator() {
    let ran = supercargo(["--help"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Done, ""));
    // The demo is there or not, as the crate was built.
    let lines: Vec<&str> = ran.out.lines().filter(|line| !line.trim_start().starts_with("demo ")).collect();
    insta::assert_snapshot!("supercargo", lines.join("\n"));
    insta::assert_snapshot!("index", supercargo(["index", "--help"]).out);
    insta::assert_snapshot!("images", supercargo(["images", "--help"]).out);
    insta::assert_snapshot!("packages", supercargo(["packages", "--help"]).out);
    insta::assert_snapshot!("search", supercargo(["search", "--help"]).out);
    insta::assert_snapshot!("doctor_help", supercargo(["doctor", "--help"]).out);
    insta::assert_snapshot!("deliver", supercargo(["deliver", "--help"]).out);
    insta::assert_snapshot!("deliveries", supercargo(["deliveries", "--help"]).out);
}

#[test]
fn of_integrations() {
    insta::assert_snapshot!("integration", supercargo(["integration", "--help"]).out);
    insta::assert_snapshot!("integration_create_ecr", supercargo(["integration", "create", "ecr", "-h"]).out);
    insta::assert_snapshot!("integration_template", supercargo(["integration", "template", "-h"]).out);
    insta::assert_snapshot!("repo_enable", supercargo(["repo", "enable", "-h"]).out);
    insta::assert_snapshot!("token_create", supercargo(["token", "create", "-h"]).out);
}

#[test]
fn of_the_watcher() {
    insta::assert_snapshot!("watch", watch(&Environment::default(), &["--help"]).out);
}
