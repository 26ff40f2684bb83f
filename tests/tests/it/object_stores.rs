//! Documents in the clouds' object stores: Amazon's as `moto` has it, Azure's as Azurite has it, and Google's as its
//! manual has it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, Response, StatusCode, Uri};
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use supercargo_testkit::RegistryServer;
use supercargo_tests::{Api, Azurite, Moto, Watcher, app, openssl};
use tokio::net::TcpListener;

use crate::delivery::{LIMIT, all_delivered};

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

#[tokio::test]
async fn azure_blob_storage() -> Result<()> {
    const ALL: &str = "read = lambda blob: container.download_blob(blob.name).readall()\n\
        print(json.dumps({blob.name: base64.b64encode(read(blob)).decode() for blob in container.list_blobs()}))";
    let folder = tempfile::tempdir()?;
    let azurite = Azurite::start_blobs(folder.path()).await?;
    azurite.run_on_blobs("container", "container.create_container()").await?;
    // The key is a secret, so it is in a file.
    let (account, secret) = Azurite::ACCOUNT;
    let key = folder.path().join("key");
    std::fs::write(&key, format!("{secret}\n"))?;
    let sink = format!(
        "type=files,url=az://container/sboms,azure_storage_account_name={account},\
         azure_storage_account_key-file={},azure_storage_endpoint={},azure_allow_http=true",
        key.display(),
        azurite.url()
    );
    let objects = async || {
        let printed = azurite.run_on_blobs("container", ALL).await?;
        objects_of(&serde_json::from_str(&printed).context("read what the script printed")?)
    };
    delivered(&sink, &[], objects).await
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
