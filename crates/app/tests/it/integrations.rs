//! `supercargo integration`, `repo` and `audit`: an integration from its first word to its end.

use std::path::Path;

use serde_json::{Value, json};
use supercargo_app::{Environment, Exit};
use supercargo_testkit::{ArtifactoryServer, RegistryServer};
use tempfile::TempDir;

use crate::kit::{Ran, app, run_supercargo};

/// The command line of somebody who works on one data directory.
struct Desk {
    folder: TempDir,
    environment: Environment,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::default()
            .with("USER", "alice")
            // Nobody is signed in to anything here.
            .with("DOCKER_CONFIG", folder.path().join("docker"));
        Self { folder, environment }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let data = self.folder.path().join("data");
        let mut all: Vec<&str> = args.to_vec();
        all.extend(["--data", data.to_str().unwrap()]);
        run_supercargo(&self.environment, &all)
    }

    /// Runs it, and finds that it ends well.
    fn done(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.exit, Exit::Done, "{args:?}: {}", ran.err);
        ran
    }

    /// What it prints as JSON.
    fn json(&self, args: &[&str]) -> Value {
        let ran = self.done(&[args, &["-o", "json"]].concat());
        serde_json::from_str(&ran.out).unwrap()
    }

    fn file(&self, name: &str, contents: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn state(desk: &Desk) -> String {
    desk.json(&["integration", "show", "main"])["state"].as_str().unwrap().to_owned()
}

#[test]
fn from_the_first_word_to_the_end() {
    let runtime = runtime();
    let registry = runtime.block_on(RegistryServer::builder().with_basic_auth("robot", "right").start()).unwrap();
    for (repository, tags) in [("team/app", &["1.0", "1.1", "latest"][..]), ("team/legacy", &["1.0"])] {
        tags.iter().enumerate().for_each(|(number, tag)| {
            let image = app().with_label("number", format!("{repository}-{number}")).build();
            registry.push(&image, repository, tag);
        });
    }
    let desk = Desk::new();
    let host = registry.host();
    let wrong = desk.file("wrong", "wrong\n");
    let create =
        ["integration", "create", "oci", "main", "--registry", &host, "--user", "robot", "--password-file", &wrong];
    let ran = desk.done(&create);
    assert_eq!(ran.out, format!("main: oci {host}, pending\n"));
    assert!(ran.err.contains("no repository is enabled yet"), "{}", ran.err);

    // A wrong password turns up within one test, with what to do; nobody has to look for it.
    let ran = desk.run(&["integration", "test", "main"]);
    assert_eq!(ran.exit, Exit::Failed, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("FAILED   sign-in"), "{}", ran.out);
    assert!(ran.err.contains("main was pending and is error"), "{}", ran.err);
    let listed = desk.done(&["integration", "list"]).out;
    assert!(listed.contains("error") && listed.contains(&host), "{listed}");

    // Another one heals it. Neither is ever shown.
    let right = desk.file("right", "right\n");
    desk.done(&["integration", "credentials", "main", "--user", "robot", "--password-file", &right]);
    let tested = desk.json(&["integration", "test", "main"]);
    assert_eq!((&tested["passed"], &tested["integration"]["state"]), (&json!(true), &json!("connected")));
    let shown = desk.json(&["integration", "show", "main"]);
    for secret in ["wrong", "right"] {
        assert!(!shown.to_string().contains(&format!("\"{secret}\"")), "{shown}");
    }
    let states: Vec<&str> =
        shown["history"].as_array().unwrap().iter().map(|step| step["to"].as_str().unwrap()).collect();
    assert_eq!(states.last(), Some(&"pending"), "{shown}");
    assert!(states.contains(&"error") && states.first() == Some(&"connected"), "{shown}");
    assert!(shown["next"].as_array().unwrap().iter().any(|next| next.as_str().unwrap().contains("repo enable")));

    // What a filter would select is said before it is set.
    let preview = |flags: &[&str]| {
        desk.json(&[&["integration", "filter", "main", "--reset", "--preview"], flags].concat())["images"].clone()
    };
    assert_eq!(preview(&[]), 4);
    assert_eq!(preview(&["--exclude", "*legacy*"]), 3);
    assert_eq!(preview(&["--tag", r"^\d"]), 3);
    assert_eq!(preview(&["--newest", "2"]), 3);
    assert_eq!(preview(&["--platform", "linux/s390x"]), 4, "an image without an index is of every platform");
    let ran = desk.done(&["integration", "filter", "main", "--exclude", "*legacy*", "--preview"]);
    assert_eq!(ran.out, "this selects 3 images in 1 repository\nenabling all of these indexes 1 image at once\n");
    assert_eq!(desk.done(&["integration", "filter", "main"]).out, "all images\n", "a preview changes nothing");
    let ran = desk.done(&["integration", "filter", "main", "--exclude", "*legacy*", "--enable-on-push"]);
    assert_eq!(ran.out, "not *legacy*; new repositories are enabled\n");

    let ran = desk.run(&["integration", "remove", "main"]);
    assert_eq!(ran.exit, Exit::Usage, "there is no terminal to ask at");
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    assert_eq!(state(&desk), "connected");
    let ran = desk.done(&["integration", "remove", "main", "--yes"]);
    assert!(ran.out.contains("what is known of its images stays"), "{}", ran.out);
    assert!(ran.out.contains("nothing remains on the registry's side"), "{}", ran.out);
    assert_eq!(desk.run(&["integration", "show", "main"]).exit, Exit::Failed);
    assert_eq!(desk.json(&["integration", "list"]), json!([]));
    assert_eq!(desk.json(&["integration", "list", "--include-removed"])[0]["state"], "removed");

    let log = desk.json(&["audit"]);
    let actions: Vec<&str> = log.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions.last(), Some(&"integration.create"));
    assert_eq!(actions.first(), Some(&"integration.remove"));
    assert!(log.as_array().unwrap().iter().all(|entry| entry["actor"] == "cli:alice"), "{log}");
    assert_eq!(desk.json(&["audit", "--action", "integration.remove"]).as_array().unwrap().len(), 1);
    assert!(desk.done(&["audit"]).out.contains("cli:alice"));
}

#[test]
fn repositories_are_chosen_with_the_flags_of_docker_scout() {
    let desk = Desk::new();
    for (name, host) in [("one", "one.test"), ("two", "two.test")] {
        desk.done(&["integration", "create", "oci", name, "--registry", host]);
    }
    let names = |args: &[&str]| -> Vec<String> {
        let found = desk.json(&[&["repo"], args].concat());
        let name =
            |one: &Value| format!("{}/{}", one["registry"].as_str().unwrap(), one["repository"].as_str().unwrap());
        found.as_array().unwrap().iter().map(name).collect()
    };
    assert_eq!(
        names(&["enable", "--integration", "one", "team/app", "team/web"]),
        ["one.test/team/app", "one.test/team/web"]
    );
    assert_eq!(
        names(&["enable", "two.test/team/app"]),
        ["two.test/team/app"],
        "its host says which integration is meant"
    );
    let ran = desk.run(&["repo", "enable", "team/app"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("--integration"), "{}", ran.err);
    assert_eq!(desk.run(&["repo", "enable", "one.test/UPPER"]).exit, Exit::Usage);
    assert_eq!(desk.run(&["repo", "enable"]).exit, Exit::Usage);
    assert_eq!(desk.run(&["repo", "enable", "--all", "--filter", "x"]).exit, Exit::Usage, "as docker scout has it");

    assert_eq!(names(&["list"]).len(), 3);
    assert_eq!(names(&["list", "--filter", "web$"]), ["one.test/team/web"]);
    assert_eq!(names(&["list", "--filter", "^two"]), ["two.test/team/app"]);
    assert_eq!(names(&["list", "--only-registry", "two.test", "--org", "acme"]), ["two.test/team/app"]);
    assert_eq!(names(&["list", "--only-registry", "oci"]).len(), 3);
    assert_eq!(names(&["list", "--only-registry", "ecr"]).len(), 0);
    assert_eq!(names(&["disable", "--filter", "web", "--dry-run"]), ["one.test/team/web"]);
    assert_eq!(names(&["list", "--only-disabled"]).len(), 0, "a dry run changes nothing");
    assert_eq!(names(&["disable", "--filter", "web"]), ["one.test/team/web"]);
    assert_eq!(names(&["list", "--only-disabled"]), ["one.test/team/web"]);
    assert_eq!(names(&["list", "--only-enabled"]).len(), 2);
    assert_eq!(names(&["disable", "--all", "--registry", "two.test"]), ["two.test/team/app"]);
    assert_eq!(names(&["enable", "--all"]), ["one.test/team/web", "two.test/team/app"]);
    let table = desk.done(&["repo", "list"]).out;
    assert!(table.starts_with("REPOSITORY") && table.contains("enabled") && table.contains("named"), "{table}");
}

#[test]
fn what_is_set_up_in_aws_is_known_before_it_is_there() {
    let desk = Desk::new();
    let created =
        desk.json(&["integration", "create", "ecr", "prod.eu", "--account", "123456789012", "--region", "eu-west-1"]);
    let settings = &created["settings"];
    assert_eq!(created["registry"], "123456789012.dkr.ecr.eu-west-1.amazonaws.com");
    assert_eq!((&created["account"], &created["region"]), (&json!("123456789012"), &json!("eu-west-1")));
    assert_eq!(settings["role-arn"], "arn:aws:iam::123456789012:role/supercargo-prod-eu");
    assert_eq!(settings["events-topics"], "arn:aws:sns:eu-west-1:123456789012:supercargo-prod-eu");
    let external = settings["external-id"].as_str().unwrap();
    assert_eq!(external.len(), 32);

    let template = ["integration", "template", "prod.eu"];
    let ran = desk.run(&template);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("--public-url"), "{}", ran.err);
    let with_url = [&template[..], &["--public-url", "https://supercargo.example.com"]].concat();
    let ran = desk.done(&with_url);
    for part in [
        "Default: https://supercargo.example.com/v1/events/eventbridge/prod.eu\n",
        "Default: https://supercargo.example.com/v1/events/sns/prod.eu\n",
        "Default: arn:aws:iam::123456789012:root\n",
        &format!("Default: {external}\n"),
        "RoleName: supercargo-prod-eu\n",
    ] {
        assert!(ran.out.contains(part), "{part} in {}", ran.out);
    }
    assert!(ran.err.contains("$0.42 a month"), "what it costs is said: {}", ran.err);
    assert!(ran.err.contains("aws cloudformation deploy --region eu-west-1 --stack-name SupercargoECRIntegration"));

    // The secret is the same in every template of it, and in no other.
    let secret = |text: &str| text.split("Default: ").nth(3).unwrap().lines().next().unwrap().to_owned();
    assert_eq!(secret(&ran.out).len(), 64);
    assert_eq!(secret(&ran.out), secret(&desk.done(&with_url).out));
    desk.done(&["integration", "credentials", "prod.eu", "--new-event-secret"]);
    assert_ne!(secret(&ran.out), secret(&desk.done(&with_url).out));

    let file = desk.folder.path().join("stack.yaml");
    let write = [&with_url[..], &["--write", file.to_str().unwrap(), "--principal", "210987654321"]].concat();
    let ran = desk.done(&write);
    assert_eq!(ran.out, "");
    assert!(std::fs::read_to_string(&file).unwrap().contains("Default: arn:aws:iam::210987654321:root\n"));
    #[cfg(unix)]
    assert_eq!(mode(&file), 0o600, "it holds a secret");

    for bad in [&["--as", "arm"][..], &["--pull-only"], &["--principal", "everybody"], &["--apply"]] {
        assert_eq!(desk.run(&[&with_url[..], bad].concat()).exit, Exit::Usage, "{bad:?}");
    }
    let ran = desk.done(&["integration", "remove", "prod.eu", "--yes"]);
    assert!(ran.out.contains("account 123456789012, region eu-west-1"), "{}", ran.out);
    assert!(ran.out.contains("aws cloudformation delete-stack --region eu-west-1"), "{}", ran.out);
    for resource in ["ApiDestination", "SupercargoCredentials", "AssumeRoleEcrAccess"] {
        assert!(ran.out.contains(resource), "{}", ran.out);
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn several_accounts_and_regions_stand_side_by_side() {
    let desk = Desk::new();
    for (name, account, region) in
        [("a", "123456789012", "eu-west-1"), ("b", "123456789012", "us-east-1"), ("c", "210987654321", "eu-west-1")]
    {
        desk.done(&[
            "integration",
            "create",
            "ecr",
            name,
            "--account",
            account,
            "--region",
            region,
            "--events",
            "queue",
        ]);
    }
    let listed = desk.done(&["integration", "list"]).out;
    for host in [
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com",
        "210987654321.dkr.ecr.eu-west-1.amazonaws.com",
    ] {
        assert!(listed.contains(host), "{listed}");
    }
    assert_eq!(listed.matches("pending").count(), 3);
    let text = desk.done(&["integration", "template", "b"]).out;
    assert!(text.contains("AWS::SQS::Queue") && !text.contains("ApiDestination"), "{text}");
    let again = ["integration", "create", "ecr", "d", "--account", "123456789012", "--region", "eu-west-1"];
    let ran = desk.run(&again);
    assert_eq!(ran.exit, Exit::Failed, "a registry is connected once: {}", ran.err);
}

#[test]
fn azure_and_the_products_are_told_what_to_set_up() {
    let desk = Desk::new();
    let url = ["--public-url", "https://supercargo.example.com"];
    desk.done(&["integration", "create", "acr", "azure", "--registry", "contoso.azurecr.io"]);
    let template =
        |name: &str, more: &[&str]| desk.json(&[&["integration", "template", name], &url[..], more].concat());
    let arm = template("azure", &[]);
    assert_eq!((&arm["template"], &arm["file"]), (&json!("arm"), &json!("supercargo-acr.json")));
    let document: Value = serde_json::from_str(arm["text"].as_str().unwrap()).unwrap();
    assert_eq!(document["parameters"]["RegistryName"]["defaultValue"], "contoso");
    let webhook = document["parameters"]["DockerScoutWebhook"]["defaultValue"].as_str().unwrap();
    assert!(webhook.starts_with("https://supercargo.example.com/v1/events/event-grid/azure?secret="), "{webhook}");
    let next = arm["next"][1].as_str().unwrap();
    assert!(next.contains("az acr token credential generate --registry contoso"), "{next}");
    assert!(next.contains("supercargo integration credentials azure --user docker-scout-readonly-token"), "{next}");

    desk.done(&[
        "integration",
        "create",
        "artifactory",
        "jfrog",
        "--registry",
        "example.jfrog.io",
        "--api",
        "https://example.jfrog.io/artifactory",
        "--repository",
        "docker-local,docker-remote",
    ]);
    let curl = template("jfrog", &[])["text"].as_str().unwrap().to_owned();
    assert!(curl.contains("'https://example.jfrog.io/event/api/v1/subscriptions'"), "{curl}");
    assert!(curl.contains(r#""repoKeys": ["docker-local", "docker-remote"]"#), "{curl}");
    let subdomain = desk.json(&[
        "integration",
        "create",
        "artifactory",
        "sub",
        "--registry",
        "Example.JFrog.io",
        "--api",
        "https://example.jfrog.io/artifactory",
        "--repository",
        "docker-local",
        "--layout",
        "subdomain",
        "--enable",
        "app",
    ]);
    assert_eq!(subdomain["registry"], "docker-local.example.jfrog.io", "as its images are called");
    assert_eq!(desk.json(&["repo", "list", "--integration", "sub"])[0]["repository"], "app");
    desk.done(&["integration", "create", "harbor", "harbor", "--registry", "harbor.test"]);
    desk.done(&[
        "integration",
        "create",
        "nexus",
        "nexus",
        "--registry",
        "nexus.test:8082",
        "--api",
        "https://nexus.test",
    ]);
    desk.done(&["integration", "create", "oci", "plain", "--registry", "oci.test", "--events", "distribution"]);
    for (name, part) in [
        ("harbor", "https://harbor.test/api/v2.0/projects/"),
        ("nexus", "https://supercargo.example.com/v1/events/nexus/nexus"),
        ("plain", "url: https://supercargo.example.com/v1/events/distribution/plain"),
    ] {
        let text = template(name, &[])["text"].as_str().unwrap().to_owned();
        assert!(text.contains(part), "{part} in {text}");
    }
    let ran = desk.done(&["integration", "remove", "azure", "--yes", "-o", "json"]);
    let removed: Value = serde_json::from_str(&ran.out).unwrap();
    let remains = removed["remains"].to_string();
    for part in ["docker-scout-readonly-token", "docker-scout-repository", "supercargo-list-and-pull", "image-change"] {
        assert!(remains.contains(part), "{remains}");
    }
}

#[test]
fn artifactory_s_webhook_is_made_by_its_api() {
    let runtime = runtime();
    let builder = ArtifactoryServer::builder().with_account("reader", "right").with_local("docker-local");
    let server = runtime.block_on(builder.with_webhook_manager("of an administrator").start()).unwrap();
    let receiver = runtime.block_on(ArtifactoryServer::builder().start()).unwrap();
    let desk = Desk::new();
    let (host, api, password) = (server.host(), server.api(), desk.file("password", "right"));
    desk.done(&[
        "integration",
        "create",
        "artifactory",
        "jfrog",
        "--registry",
        &host,
        "--api",
        &api,
        "--repository",
        "docker-local",
        "--user",
        "reader",
        "--password-file",
        &password,
    ]);
    let url = format!("http://{}", receiver.host());
    let apply = ["integration", "template", "jfrog", "--public-url", &url, "--apply"];
    let ran = desk.run(&apply);
    assert_eq!(ran.exit, Exit::Failed, "whoever reads images may not make webhooks: {}", ran.err);
    assert!(ran.err.contains("--admin-token-file") && server.webhooks().is_empty(), "{}", ran.err);

    let token = desk.file("token", "of an administrator\n");
    let with_token = [&apply[..], &["--admin-token-file", &token]].concat();
    let ran = desk.done(&with_token);
    assert!(ran.err.contains("webhook supercargo-jfrog is made"), "{}", ran.err);
    // Nothing of ours listens there, and Artifactory says so.
    assert!(ran.err.contains("could not send a test event"), "{}", ran.err);
    let webhook = server.webhooks().pop().unwrap();
    assert_eq!(webhook["handlers"][0]["url"], format!("{url}/v1/events/artifactory/jfrog"));
    assert_eq!(webhook["handlers"][0]["use_secret_for_signing"], true);
    assert_eq!(webhook["event_filter"]["criteria"]["repoKeys"], json!(["docker-local"]));
    assert_eq!(desk.json(&["integration", "show", "jfrog"])["settings"]["events-signing"], "true", "both sides sign");

    // Done again, it is changed: here to the secret that took the first one's place.
    desk.done(&["integration", "credentials", "jfrog", "--new-event-secret"]);
    let ran = desk.done(&with_token);
    assert!(ran.err.contains("webhook supercargo-jfrog is changed"), "{}", ran.err);
    let changed = server.webhooks();
    assert_eq!(changed.len(), 1);
    assert_ne!(changed[0]["handlers"][0]["secret"], webhook["handlers"][0]["secret"]);
}

#[test]
fn tokens_are_shown_once_and_revoked_for_good() {
    let desk = Desk::new();
    let ran = desk.done(&["token", "create", "ci", "--role", "editor"]);
    let text = ran.out.trim();
    assert!(text.starts_with("scg_") && text.len() == 4 + 43, "{text}");
    desk.done(&["integration", "create", "oci", "one", "--registry", "one.test"]);
    let scoped = desk.json(&["token", "create", "narrow", "--integration", "one"]);
    assert_eq!((&scoped["role"], &scoped["scope"]), (&json!("viewer"), &json!(["one"])));
    assert!(scoped["text"].as_str().unwrap().starts_with("scg_"));
    let listed = desk.done(&["token", "list", "-o", "json"]).out;
    assert!(!listed.contains("scg_") && !listed.contains(text), "{listed}");
    assert!(desk.done(&["token", "list"]).out.contains("editor"));

    let ran = desk.run(&["token", "create", "ci"]);
    assert_eq!(ran.exit, Exit::Failed, "a name is given to one at a time: {}", ran.err);
    assert_eq!(desk.run(&["token", "create", "x", "--integration", "nobody"]).exit, Exit::Failed);
    desk.done(&["token", "revoke", "ci"]);
    assert_eq!(desk.run(&["token", "revoke", "ci"]).exit, Exit::Failed, "it is revoked already");
    let names = |args: &[&str]| desk.json(args).as_array().unwrap().len();
    assert_eq!((names(&["token", "list"]), names(&["token", "list", "--include-revoked"])), (1, 2));
    let number = scoped["id"].to_string();
    desk.done(&["token", "revoke", &number]);
    let log = desk.json(&["audit", "--action", "token"]);
    assert!(log.as_array().unwrap().len() >= 4 && !log.to_string().contains("scg_"), "{log}");
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let desk = Desk::new();
    let check = |args: &[&str], parts: &[&str]| {
        let ran = desk.run(&[&["integration", "create"], args].concat());
        assert_eq!(ran.exit, Exit::Usage, "{args:?}: {}", ran.err);
        parts.iter().for_each(|part| assert!(ran.err.contains(part), "{part} in {}", ran.err));
    };
    check(&["ecr", "x", "--registry", "public.ecr.aws", "--include", "["], &["public.ecr.aws", "--include"]);
    check(&["ecr", &"x".repeat(60), "--account", "123456789012", "--region", "eu-west-1"], &["characters"]);
    check(
        &["oci", "x", "--registry", "a.test", "--parameter", "colour=red", "--parameter", "concurrency=0"],
        &["colour", "concurrency"],
    );
    check(&["oci", "x", "--registry", "a.test", "--events", "pigeon"], &["pigeon"]);
    check(&["oci", "x"], &["--registry"]);
    let api = ["--api", "https://jfrog.test/artifactory", "--layout", "subdomain"];
    let artifactory = ["artifactory", "x", "--registry", "jfrog.test", "--repository", "one,two"];
    check(&[&artifactory[..], &api].concat(), &["one.jfrog.test, two.jfrog.test"]);
    check(&["ecr", "x", "--account", "123456789012"], &["--region"]);
    let missing = desk.folder.path().join("none");
    check(
        &["oci", "x", "--registry", "a.test", "--user", "robot", "--password-file", missing.to_str().unwrap()],
        &["--password-file"],
    );
    let ran = desk.run(&["integration", "create", "oci", "a b", "--registry", "a.test"]);
    assert!(ran.exit != Exit::Done && ran.err.contains("a name has letters"), "{}", ran.err);
    desk.done(&["integration", "create", "oci", "x", "--registry", "a.test"]);
    let ran = desk.run(&["integration", "create", "oci", "x", "--registry", "b.test"]);
    assert!(ran.exit != Exit::Done && ran.err.contains('x'), "{}", ran.err);
    for command in [&["test"][..], &["show"], &["template"], &["remove", "--yes"], &["filter"]] {
        let ran = desk.run(&[&["integration"], command, &["nobody"]].concat());
        assert_eq!(ran.exit, Exit::Failed);
        assert!(ran.err.contains("there is none of this name"), "{}", ran.err);
    }
    assert_eq!(desk.run(&["integration", "credentials", "x"]).exit, Exit::Usage, "nothing to replace is named");
}
