//! Against `moto`, which other AWS clients are tested with; `boto3` puts in what is found. moto's lists are not in pages
//! and it has no `/v2/`: the test kit's registry stands in for that.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::TryStreamExt;
use serde_json::{Value, json};
use supercargo_registry::aws_credential_types::Credentials;
use supercargo_registry::conformance::Fixture;
use supercargo_registry::{EcrOptions, EcrRegistry, ErrorKind, Registry};
use supercargo_testkit::RegistryServer;

use crate::conformance::{push, run};
use crate::support::{quick, target};

/// moto's own account, and another one.
const OWN: &str = "123456789012";
const OTHER: &str = "210987654321";
/// How long it may take to start on a busy machine.
const START: Duration = Duration::from_secs(120);

/// Opens a client of `account`, as a role of it unless it is moto's own.
const OPEN: &str = r#"
import boto3, json, sys
given = json.load(sys.stdin)
keys = dict(region_name="eu-west-1", endpoint_url=given["endpoint"])
own = dict(aws_access_key_id="AKIAOWN", aws_secret_access_key="secret")
if given["account"] != "123456789012":
    role = dict(RoleArn=f"arn:aws:iam::{given['account']}:role/reader", RoleSessionName="boto3")
    session = boto3.client("sts", **keys, **own).assume_role(**role)["Credentials"]
    own = dict(aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"],
               aws_session_token=session["SessionToken"])
ecr = boto3.client("ecr", **keys, **own)
"#;

const PUT: &str = r#"
ecr.create_repository(repositoryName=given["repository"])
for image in given["images"]:
    ecr.put_image(repositoryName=given["repository"], imageManifest=image["manifest"], imageTag=image["tag"],
                  imageManifestMediaType=image["mediaType"], imageDigest=image["digest"])
"#;

const DELETE: &str = r#"
ecr.batch_delete_image(repositoryName=given["repository"], imageIds=[{"imageTag": given["tag"]}])
"#;

/// A running moto. It is killed, by its own process ID, when this value goes.
struct Moto {
    child: Child,
    python: String,
    port: u16,
}

impl Moto {
    async fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python");
        let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "tests/python could not be set up");
        let python = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        // moto takes a port of the system's choice, and tells it to a terminal alone.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(&python);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moto = Self { child, python, port };
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        supercargo_testkit::wait_for("moto listens", START, listens).await.unwrap();
        moto
    }

    fn uri(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Runs a script with an ECR client of `account` and what is `given`.
    fn boto3(&self, account: &str, script: &str, mut given: Value) {
        given["endpoint"] = json!(self.uri());
        given["account"] = json!(account);
        let mut command = Command::new(&self.python);
        let mut child = command.args(["-c", &format!("{OPEN}{script}")]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "boto3 failed");
    }

    /// Puts the tagged manifests of `fixture` into a repository of `account`.
    fn fill(&self, account: &str, fixture: &Fixture) {
        let images: Vec<Value> = fixture
            .tags()
            .map(|(tag, manifest)| {
                json!({
                    "tag": tag.as_str(),
                    "manifest": String::from_utf8(manifest.bytes.to_vec()).unwrap(),
                    "mediaType": manifest.media_type,
                    "digest": manifest.digest(),
                })
            })
            .collect();
        self.boto3(account, PUT, json!({"repository": fixture.repository.as_str(), "images": images}));
    }

    /// The registry of `account`, whose `/v2/` is at `v2`.
    fn open(&self, account: &str, v2: &str, role_arn: Option<String>) -> EcrRegistry {
        let endpoint = || Some(self.uri().parse().unwrap());
        EcrRegistry::builder(format!("{account}.dkr.ecr.eu-west-1.amazonaws.com").parse().unwrap())
            .with_options(EcrOptions {
                endpoint: endpoint(),
                sts_endpoint: endpoint().filter(|_| role_arn.is_some()),
                v2_endpoint: Some(format!("http://{v2}").parse().unwrap()),
                external_id: role_arn.as_ref().map(|_| "4711".to_owned()),
                role_arn,
                ..EcrOptions::default()
            })
            .with_transport(quick())
            .with_aws_credentials(Credentials::new("AKIAOWN", "secret", None, None, "tests"))
            .build()
            .unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // Both fail if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `/v2/` that takes the token which moto gives to `account`.
async fn v2(account: &str) -> RegistryServer {
    let server = RegistryServer::builder().with_basic_auth("AWS", format!("{account}-auth-token"));
    server.with_blob_redirects().start().await.unwrap()
}

#[tokio::test]
async fn the_suite_passes_and_deletes_are_seen() {
    let (moto, v2, fixture) = (Moto::start().await, v2(OWN).await, Fixture::sample());
    moto.fill(OWN, &fixture);
    push(&v2, &fixture, fixture.repository.as_str());
    run(moto.open(OWN, &v2.host(), None), &fixture).await;

    let registry = moto.open(OWN, &v2.host(), None);
    assert!(registry.capabilities().tag_times);
    let tags = || async { registry.tags(&fixture.repository).try_collect::<Vec<_>>().await.unwrap() };
    let before = tags().await;
    assert!(before.iter().all(|tag| tag.pushed_at.is_some()), "{before:?}");
    moto.boto3(OWN, DELETE, json!({"repository": fixture.repository.as_str(), "tag": "docker"}));
    assert!(v2.delete_tag(fixture.repository.as_str(), "docker"));
    assert_eq!(tags().await.len(), before.len() - 1);
    let error = registry.resolve(&fixture.repository, &target("docker")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");

    // moto's tokens ended in 2015. They are believed to be good all the same, and not fetched for each request.
    assert_eq!(v2.count_requests(|request| request.status == 401), 0);
}

#[tokio::test]
async fn another_account_is_read_through_a_role() {
    let (moto, v2, fixture) = (Moto::start().await, v2(OTHER).await, Fixture::sample());
    moto.fill(OTHER, &fixture);
    push(&v2, &fixture, fixture.repository.as_str());
    let role = Some(format!("arn:aws:iam::{OTHER}:role/reader"));
    run(moto.open(OTHER, &v2.host(), role), &fixture).await;

    // Without the role the account of the host is asked for, and moto knows no policy that would show it.
    let registry = moto.open(OTHER, &v2.host(), None);
    assert!(registry.repositories().try_collect::<Vec<_>>().await.unwrap().is_empty());
    let error = registry.tags(&fixture.repository).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains(OTHER), "{error}");
}
