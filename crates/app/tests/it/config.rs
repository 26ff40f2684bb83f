//! The configuration file.

use std::fs;
use std::path::{Path, PathBuf};

use supercargo_app::{Environment, Exit};
use supercargo_testkit::RegistryServer;

use crate::kit::{app, server, supercargo, supercargo_in, watch};

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const SECRET: &str = "a-secret-of-some-length";

#[test]
fn everything_wrong_is_said_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(
        folder.path(),
        "c.toml",
        r#"workers = 0
colour = "red"
[server]
listen = "127.0.0.1:0"
"#,
    );
    for ran in [
        supercargo(["config", "check", text(&file)]),
        server(&Environment::default(), &["--config", text(&file)]),
        watch(&Environment::default(), &["--config", text(&file)]),
    ] {
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""));
        assert!(ran.err.contains("c.toml:2: colour: there is no such key"), "{}", ran.err);
    }

    let file = write(
        folder.path(),
        "d.toml",
        r#"workers = 0
interval = "often"
[log]
format = "xml"
"#,
    );
    let ran = supercargo(["config", "check", text(&file)]);
    for line in ["d.toml:1: workers: ", "d.toml:2: interval: ", "d.toml:4: log.format: "] {
        assert!(ran.err.contains(line), "{line} in {}", ran.err);
    }

    let file = write(
        folder.path(),
        "e.toml",
        r#"data = "data"
[[registry]]
registry = "a.test"
port = 9000
[[registry]]
type = "colour"
registry = "b.test"
user = "me"
[[registry]]
registry = "c.test"
token-file = "no-such-token"
[[event-source]]
name = "one"
host = "z.test"
[[event-source]]
name = "two"
provider = "pigeon"
secret-env = "NO_SUCH_VARIABLE"
"#,
    );
    let ran = supercargo(["config", "check", text(&file)]);
    assert_eq!(ran.exit, Exit::Usage);
    for line in [
        "e.toml:4: registry.port: ",
        "e.toml:6: registry.type: ",
        "e.toml:8: registry.user: ",
        "e.toml:11: registry.token-file: ",
        "e.toml:14: event-source.host: ",
        "e.toml:17: event-source.provider: ",
        "e.toml:18: event-source.secret-env: ",
    ] {
        assert!(ran.err.contains(line), "{line} in {}", ran.err);
    }
    let ran = supercargo(["config", "check", "/no/such/file.toml"]);
    assert!(ran.exit == Exit::Usage && ran.err.contains("/no/such/file.toml"), "{}", ran.err);
}

#[test]
fn what_is_set_is_shown_with_where_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(
        folder.path(),
        "c.toml",
        r#"data = "data"
workers = 7
tags = ["^v", "latest"]
[[registry]]
registry = "a.test"
include = ["x/*"]
[sink.hook]
type = "webhook"
url = "https://hooks.example.com/images"
secret-file = "secret"
"#,
    );
    write(folder.path(), "secret", "a-secret-of-some-length-and-more\n");
    let ran = supercargo(["config", "show", text(&file)]);
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Done, ""));
    let line =
        |start: &str| ran.out.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{}", ran.out));
    assert!(line("workers = 7").ends_with("c.toml:2"));
    assert!(line("data = ").contains(&format!("{}/data", text(folder.path()))));
    assert!(line("interval = 300").ends_with("# default"));
    assert!(line("registry.include = x/*").ends_with("c.toml:6"));
    assert!(line("sink.hook.type = webhook").ends_with("c.toml:8"));
    assert_eq!(supercargo(["config", "check", text(&file)]).exit, Exit::Done);
    let environment = Environment::default();
    assert_eq!(supercargo_in(&environment, ["config", "show"]).exit, Exit::Usage, "it must be named");
}

#[test]
fn a_file_is_enough_and_a_flag_wins_over_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let registry =
        runtime.block_on(RegistryServer::builder().with_basic_auth("robot", "the-password").start()).unwrap();
    registry.push(&app().build(), "team/app", "1.0");
    registry.push(&app().build(), "team/app", "latest");
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "password", "the-password\n");
    let file = write(
        folder.path(),
        "c.toml",
        &format!(
            r#"data = "data"
all-images = true
tags = ["^latest$"]
[[registry]]
registry = "{}"
user = "robot"
password-file = "password"
"#,
            registry.host()
        ),
    );
    let data = folder.path().join("data");
    let ran = watch(&Environment::default(), &["--config", text(&file), "--once"]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    let images = supercargo(["images", "--data", text(&data)]);
    assert!(images.out.contains("team/app:latest") && !images.out.contains("team/app:1.0"), "{}", images.out);

    let other = folder.path().join("other");
    let flags = ["--config", text(&file), "--once", "--data", text(&other), "--tag", "1.0"];
    let ran = watch(&Environment::default(), &flags);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    let images = supercargo(["images", "--data", text(&other)]);
    assert!(images.out.contains("team/app:1.0") && !images.out.contains("team/app:latest"), "{}", images.out);
}

#[test]
fn endpoints_are_printed_ready_to_paste() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "secret", SECRET);
    let file = write(
        folder.path(),
        "c.toml",
        r#"data = "data"
[server]
public-url = "https://supercargo.example.com/"
[[registry]]
registry = "registry.example.com"
[[registry]]
type = "harbor"
registry = "harbor.example.com"
port = 9001
[[event-source]]
name = "main"
host = "registry.example.com"
secret-file = "secret"
[[event-source]]
name = "quay"
provider = "quay"
"#,
    );
    let environment = Environment::default().with("DOCKER_SCOUT_HARBOR_WEBHOOK_AUTH", "the-secret-of-harbor");
    // A server does not start with a source that anybody could speak for.
    let ran = server(&environment, &["--config", text(&file)]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("c.toml:14: event-source") && ran.err.contains("--print-endpoints"), "{}", ran.err);

    let ran = server(&environment, &["--config", text(&file), "--print-endpoints"]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "main (distribution)");
    assert_eq!(lines[1], "  address https://supercargo.example.com/v1/events/distribution/main");
    assert_eq!(lines[2], format!("  secret  {SECRET}"));
    let made = fs::read_to_string(folder.path().join("data/event-secrets/quay")).unwrap();
    assert_eq!(lines[5], format!("  address https://supercargo.example.com/v1/events/quay/quay/{}", made.trim()));
    assert_eq!(lines[7..], ["harbor-9001 (harbor)", "  port    9001, any path", "  secret  the-secret-of-harbor"]);
    // The same again, and not another.
    assert_eq!(server(&environment, &["--config", text(&file), "--print-endpoints"]).out, ran.out);
}
