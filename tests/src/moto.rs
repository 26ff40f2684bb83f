//! Amazon's services, as `moto` has them.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use supercargo_testkit::{Artifact as _, Image};
use tempfile::TempDir;

use crate::{Service, ask_python, eventually, free_port, python};

/// How long it may take to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Before each script: what it is given, and how to make a client.
const OPEN: &str = r#"
import boto3, json, sys
given = json.load(sys.stdin)
def client(service):
    return boto3.client(service, region_name="eu-west-1", endpoint_url=given["endpoint"],
                        aws_access_key_id=given["key"], aws_secret_access_key=given["secret"])
"#;

/// Puts an image into a repository of ECR, which is made if need be.
const PUT_IMAGE: &str = r#"
ecr = client("ecr")
if not any(known["repositoryName"] == given["repository"] for known in ecr.describe_repositories()["repositories"]):
    ecr.create_repository(repositoryName=given["repository"])
ecr.put_image(repositoryName=given["repository"], imageManifest=given["manifest"], imageTag=given["tag"],
              imageManifestMediaType=given["mediaType"], imageDigest=given["digest"])
"#;

/// A running `moto`. Its state goes with it.
#[derive(Debug)]
pub struct Moto {
    // Before the folder that has its log.
    _service: Service,
    _folder: TempDir,
    endpoint: String,
}

impl Moto {
    /// An access key, and its secret; moto takes any.
    pub const KEY: (&'static str, &'static str) = ("AKIAOWN", "secret");

    /// The region of the clients.
    pub const REGION: &'static str = "eu-west-1";

    /// Starts it on a port of this machine.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub async fn start() -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port());
        let mut command = Command::new(python().await?);
        // What our stacks have and its CloudFormation does not know is added there.
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/moto_server.py"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let mut service = Service::start("moto", &mut command, &folder.path().join("log"))?;
        eventually("moto listens", START, async || {
            service.check()?;
            std::net::TcpStream::connect(("127.0.0.1", port)).context("connect to moto")
        })
        .await?;
        Ok(Self { _service: service, _folder: folder, endpoint: format!("http://127.0.0.1:{port}") })
    }

    /// The address of every service.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Runs a script that makes its clients with `client("s3")`, and reads what it is `given`; the answer is the JSON
    /// that it prints, if it prints some.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub async fn boto3(&self, script: &str, mut given: Value) -> Result<Value> {
        given["endpoint"] = json!(self.endpoint);
        (given["key"], given["secret"]) = (json!(Self::KEY.0), json!(Self::KEY.1));
        ask_python(&format!("{OPEN}{script}"), &given).await
    }

    /// Has ECR know an image of moto's own account: its manifest, and no layers.
    ///
    /// # Errors
    ///
    /// What Amazon's library complains of.
    pub async fn put_image(&self, image: &Image, repository: &str, tag: &str) -> Result<()> {
        let (script, given) = put_image(image, repository, tag)?;
        self.boto3(script, given).await?;
        Ok(())
    }

    /// Makes a queue; its address.
    ///
    /// # Errors
    ///
    /// What Amazon's library complains of.
    pub async fn queue(&self, name: &str) -> Result<String> {
        let make = "print(json.dumps(client('sqs').create_queue(QueueName=given['name'])['QueueUrl']))";
        let made = self.boto3(make, json!({ "name": name })).await?;
        made.as_str().map(str::to_owned).context("a queue has an address")
    }
}

/// The script that has ECR know an image, and what it is given.
pub(crate) fn put_image(image: &Image, repository: &str, tag: &str) -> Result<(&'static str, Value)> {
    let root = image.root();
    let given = json!({
        "repository": repository,
        "tag": tag,
        "manifest": std::str::from_utf8(&root.bytes)?,
        "mediaType": root.descriptor.media_type,
        "digest": root.digest(),
    });
    Ok((PUT_IMAGE, given))
}
