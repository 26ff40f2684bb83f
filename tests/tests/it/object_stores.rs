//! Documents in the clouds' object stores: Amazon's as `moto` has it, Azure's as Azurite has it, and Google's as its
//! manual has it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, Response, StatusCode, Uri};
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use supercargo_testkit::RegistryServer;
use supercargo_tests::{Api, Moto, Service, Watcher, app, eventually, free_port, node_program, openssl, python};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::delivery::{LIMIT, all_delivered};

/// How long it may take to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Whatever a bucket holds, by its key.
type Objects = BTreeMap<String, Vec<u8>>;

/// Delivers two tags of an image to a bucket, takes one away, and looks into the bucket after each.
async fn delivered(
    sink: &str,
    variables: &[(&str, &str)],
    mut objects: impl AsyncFnMut() -> Result<Objects>,
) -> Result<()> {
    let registry = RegistryServer::start().await?;
    let image = app(1).build();
    registry.push(&image, "team/app", "1.0");
    registry.push(&image, "team/app", "latest");
    let watcher = Watcher::builder()?
        .with_environment(variables)
        .with_arguments(["--registry", &registry.host(), "--all-images", "--interval", "1", "--sink", sink])
        .start()
        .await?;
    watcher.indexed(image.digest(), LIMIT).await?;
    all_delivered(&watcher).await?;

    let found = objects().await?;
    let keys: Vec<&String> = found.keys().collect();
    assert_eq!(keys.len(), 4, "one document, one digest, two tags: {keys:?}");
    let (key, line) = found.iter().find(|(key, _)| key.contains("/_tags/1.0/")).context("the line of a tag")?;
    ensure!(key.starts_with("sboms/index/") && key.ends_with("/team/app/_tags/1.0/linux-amd64.json"), "{key}");
    let line: Value = serde_json::from_slice(line)?;
    assert_eq!(line["image"], image.digest());
    let name = line["document"].as_str().context("a document")?;
    let document = found.get(&format!("sboms/{name}")).context("the document is where the line says")?;
    let hex = supercargo_testkit::sha256(document).replace("sha256:", "");
    assert_eq!(name, format!("documents/sha256/{hex}.spdx.json"));
    assert_eq!(serde_json::from_slice::<Value>(document)?["spdxVersion"], "SPDX-2.3");

    registry.delete_tag("team/app", "1.0");
    watcher
        .eventually("the line of the tag is gone", LIMIT, async |_: &Api| {
            let keys: Vec<String> = objects().await?.into_keys().collect();
            ensure!(keys.len() == 3 && !keys.iter().any(|key| key.contains("/_tags/1.0/")), "{keys:?}");
            Ok(())
        })
        .await?;
    all_delivered(&watcher).await
}

/// What a script printed: contents by key, as base64.
fn objects_of(printed: &Value) -> Result<Objects> {
    let pairs = printed.as_object().context("keys and contents")?.iter();
    pairs
        .map(|(key, value)| {
            let text = value.as_str().context("text")?;
            Ok((key.clone(), base64::engine::general_purpose::STANDARD.decode(text)?))
        })
        .collect()
}

#[tokio::test]
async fn amazon_s3() -> Result<()> {
    const ALL: &str = r#"
import base64
s3 = client("s3")
listed = s3.list_objects_v2(Bucket="bucket").get("Contents", [])
read = lambda key: s3.get_object(Bucket="bucket", Key=key)["Body"].read()
print(json.dumps({one["Key"]: base64.b64encode(read(one["Key"])).decode() for one in listed}))
"#;
    const MAKE: &str = r#"
client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
"#;
    let moto = Moto::start().await?;
    moto.boto3(MAKE, json!({})).await?;
    let (endpoint, region) = (moto.endpoint(), Moto::REGION);
    let sink =
        format!("type=files,url=s3://bucket/sboms,aws_region={region},aws_endpoint={endpoint},aws_allow_http=true");
    let variables = [("AWS_ACCESS_KEY_ID", Moto::KEY.0), ("AWS_SECRET_ACCESS_KEY", Moto::KEY.1)];
    delivered(&sink, &variables, async || objects_of(&moto.boto3(ALL, json!({})).await?)).await
}

/// The account and the key that everybody's Azurite has (github.com/Azure/Azurite, *Default storage account*).
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Microsoft's own stand-in for Azure Blob Storage, and its own client to look into it.
struct Azurite {
    // Before the folder that has its log and its data.
    _service: Service,
    folder: TempDir,
    endpoint: String,
    python: std::path::PathBuf,
}

impl Azurite {
    async fn start() -> Result<Self> {
        let (program, python) = (node_program("azurite-blob").await?, python().await?);
        let (folder, port) = (tempfile::tempdir()?, free_port());
        let mut command = Command::new(program);
        command
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
            .args(["--disableTelemetry", "--skipApiVersionCheck", "--silent", "--location"])
            .arg(folder.path());
        let mut service = Service::start("azurite", &mut command, &folder.path().join("log"))?;
        eventually("azurite listens", START, async || {
            service.check()?;
            std::net::TcpStream::connect(("127.0.0.1", port)).context("connect to azurite")
        })
        .await?;
        Ok(Self { _service: service, folder, endpoint: format!("http://127.0.0.1:{port}/{ACCOUNT}"), python })
    }

    /// Runs a script on the container.
    async fn run(&self, script: &str) -> Result<Value> {
        const OPEN: &str = "import base64, json, sys\nfrom azure.storage.blob import ContainerClient\n\
            endpoint, key = sys.argv[1:3]\ncontainer = ContainerClient(endpoint, 'container', credential=key)\n";
        let output = tokio::process::Command::new(&self.python)
            .args(["-c", &format!("{OPEN}{script}"), &self.endpoint, ACCOUNT_KEY])
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .output()
            .await?;
        ensure!(output.status.success(), "the script failed");
        serde_json::from_slice(&output.stdout).context("read what the script printed")
    }
}

#[tokio::test]
async fn azure_blob_storage() -> Result<()> {
    const ALL: &str = "read = lambda blob: container.download_blob(blob.name).readall()\n\
        print(json.dumps({blob.name: base64.b64encode(read(blob)).decode() for blob in container.list_blobs()}))";
    let azurite = Azurite::start().await?;
    azurite.run("container.create_container()\nprint('{}')").await?;
    // The key is a secret, so it is in a file.
    let key = azurite.folder.path().join("key");
    std::fs::write(&key, format!("{ACCOUNT_KEY}\n"))?;
    let sink = format!(
        "type=files,url=az://container/sboms,azure_storage_account_name={ACCOUNT},\
         azure_storage_account_key-file={},azure_storage_endpoint={},azure_allow_http=true",
        key.display(),
        azurite.endpoint
    );
    delivered(&sink, &[], async || objects_of(&azurite.run(ALL).await?)).await
}

/// As much of Google Cloud Storage's XML API as the sink needs (cloud.google.com/storage/docs/xml-api/reference-methods:
/// *PUT, GET, HEAD, DELETE Object*, *GET Bucket (List Objects)* of version 2). There is no emulator to install that has
/// it.
#[derive(Clone, Debug, Default)]
struct Bucket(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    objects: Objects,
    tokens: Vec<String>,
}

impl Bucket {
    async fn serve(&self) -> Result<String> {
        let bucket = self.clone();
        let answer = move |method: Method, uri: Uri, headers: axum::http::HeaderMap, body: Bytes| async move {
            let sent = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
            bucket.answer(&method, &uri, sent, &body)
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move {
            let _ = axum::serve(listener, Router::new().fallback(answer)).await;
        });
        Ok(url)
    }

    fn answer(&self, method: &Method, uri: &Uri, authorization: &str, body: &Bytes) -> Response<Body> {
        let mut state = self.0.lock().expect("no test panics here");
        let Some(token) = authorization.strip_prefix("Bearer ") else {
            return StatusCode::UNAUTHORIZED.into_response();
        };
        state.tokens.push(token.to_owned());
        let decoded = decode(uri.path());
        let Some(key) = decoded.strip_prefix("/bucket").map(|key| key.trim_start_matches('/').to_owned()) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        if key.is_empty() {
            return list(&state.objects, uri.query().unwrap_or_default()).into_response();
        }
        match *method {
            Method::PUT => {
                state.objects.insert(key, body.to_vec());
                ([("etag", "\"0\"")], "").into_response()
            }
            Method::DELETE if state.objects.remove(&key).is_some() => StatusCode::NO_CONTENT.into_response(),
            Method::GET | Method::HEAD => match state.objects.get(&key) {
                Some(bytes) => {
                    let headers = [("etag", "\"0\""), ("last-modified", "Sun, 22 Nov 2026 10:00:00 GMT")];
                    (headers, bytes.clone()).into_response()
                }
                None => StatusCode::NOT_FOUND.into_response(),
            },
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

/// A path without its percent signs.
fn decode(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| *first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn list(objects: &Objects, query: &str) -> String {
    let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).map(decode).unwrap_or_default();
    let entries: String = objects
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix))
        .map(|(key, bytes)| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-11-22T10:00:00.000Z</LastModified><ETag>\"0\"</ETag>\
                 <Size>{}</Size></Contents>",
                bytes.len()
            )
        })
        .collect();
    format!(
        "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>\
         <Name>bucket</Name><Prefix>{prefix}</Prefix><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
    )
}

#[tokio::test]
async fn google_cloud_storage() -> Result<()> {
    const EMAIL: &str = "supercargo@project.iam.gserviceaccount.com";
    let folder = tempfile::tempdir()?;
    let private = openssl(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]).await?;
    let key = folder.path().join("key.pem");
    std::fs::write(&key, &private)?;
    let account = json!({
        "type": "service_account",
        "private_key": String::from_utf8(private)?,
        "private_key_id": "key-1",
        "client_email": EMAIL,
    });
    let file = folder.path().join("service-account.json");
    std::fs::write(&file, account.to_string())?;
    let bucket = Bucket::default();
    let url = bucket.serve().await?;
    let sink = format!(
        "type=files,url=gs://bucket/sboms,google_service_account={},google_base_url={url},google_allow_http=true",
        file.display()
    );
    let objects = async || anyhow::Ok(bucket.0.lock().map(|state| state.objects.clone()).unwrap_or_default());
    delivered(&sink, &[], objects).await?;

    // Each request bears a token that the service account's key has signed (Google Identity, *Service account
    // authorization without OAuth*).
    let token = bucket.0.lock().ok().and_then(|state| state.tokens.first().cloned()).context("a token")?;
    let (signed, signature) = token.rsplit_once('.').context("a token in three parts")?;
    let claims = signed.split_once('.').context("a token in three parts")?.1;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some(EMAIL), Some(EMAIL)));
    verify(folder.path(), &key, signed, &URL_SAFE_NO_PAD.decode(signature)?).await
}

/// Has openssl verify an RS256 signature.
async fn verify(folder: &Path, key: &Path, signed: &str, signature: &[u8]) -> Result<()> {
    let (key, public) = (key.display().to_string(), folder.join("public.pem"));
    std::fs::write(&public, openssl(["pkey", "-in", &key, "-pubout"]).await?)?;
    let (text, sign) = (folder.join("signed"), folder.join("signature"));
    std::fs::write(&text, signed)?;
    std::fs::write(&sign, signature)?;
    let [public, sign, text] = [public, sign, text].map(|path| path.display().to_string());
    openssl(["dgst", "-sha256", "-verify", &public, "-signature", &sign, &text]).await?;
    Ok(())
}
