//! Amazon, as supercargo and the AWS command line reach it: accounts with registries, CloudFormation, SNS.
//!
//! moto has the APIs, a registry of the test kit is each account's `/v2/`, and a host of its own is what the signatures
//! of SNS are checked with. EventBridge's calls of an API destination, and SNS's of a subscription, are made here, from
//! what the stack set up: moto has them in its books and does not make them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use supercargo_testkit::{Image, RegistryServer};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::moto::put_image;
use crate::{Internet, Moto, Sender, openssl, python};

/// The address at which the vendors reach the server.
pub const PUBLIC_URL: &str = "https://supercargo.example.com";

/// A session of an account, as a role of it unless it is moto's own.
const OPEN: &str = r#"
own = dict(aws_access_key_id=given["key"], aws_secret_access_key=given["secret"])
place = dict(region_name=given["region"], endpoint_url=given["endpoint"])
if given["account"] != "123456789012":
    role = dict(RoleArn=f"arn:aws:iam::{given['account']}:role/somebody", RoleSessionName="boto3")
    session = boto3.client("sts", **place, **own).assume_role(**role)["Credentials"]
    own = dict(aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"],
               aws_session_token=session["SessionToken"])
def client(service):
    return boto3.client(service, **place, **own)
"#;

const DELETE_IMAGE: &str = r#"
client("ecr").batch_delete_image(repositoryName=given["repository"], imageIds=[{"imageTag": given["tag"]}])
"#;

const DELETE_REPOSITORY: &str = r#"
client("ecr").delete_repository(repositoryName=given["repository"], force=True)
"#;

/// Where the API destination behind a rule leads, and what proves who calls.
const DESTINATION: &str = r#"
events = client("events")
targets = events.list_targets_by_rule(Rule=given["rule"])["Targets"]
arn = next(target["Arn"] for target in targets if ":api-destination/" in target["Arn"])
known = {one["ApiDestinationArn"]: one for one in events.list_api_destinations()["ApiDestinations"]}
connections = {one["ConnectionArn"]: one["Name"] for one in events.list_connections()["Connections"]}
connection = events.describe_connection(Name=connections[known[arn]["ConnectionArn"]])
assert connection["AuthorizationType"] == "BASIC", connection
secret = json.loads(client("secretsmanager").get_secret_value(SecretId=connection["SecretArn"])["SecretString"])
print(json.dumps({"url": known[arn]["InvocationEndpoint"], "user": secret["username"], "password": secret["password"]}))
"#;

const SUBSCRIPTION: &str = r#"
print(json.dumps(client("sns").list_subscriptions_by_topic(TopicArn=given["topic"])["Subscriptions"]))
"#;

/// The keys of somebody of the account.
const SESSION: &str = "print(json.dumps(own))";

/// Makes a stack; its ARN.
const STACK: &str = r#"
given["body"] = open(given["file"]).read()
made = client("cloudformation").create_stack(
    StackName=given["name"], TemplateBody=given["body"], Capabilities=["CAPABILITY_NAMED_IAM"])
print(json.dumps(made["StackId"]))
"#;

/// The path of the certificate that SNS signs with.
const CERTIFICATE: &str = "/SimpleNotificationService-0a1b2c3d4e5f.pem";

/// Accounts of Amazon, and the way to them.
#[derive(Debug)]
pub struct Amazon {
    /// The way.
    pub internet: Internet,
    moto: Moto,
    sns: Sns,
}

impl Amazon {
    /// Starts moto and what is beside it. The server that they call is to be at `address`, `127.0.0.1:PORT`.
    ///
    /// # Errors
    ///
    /// If something of it does not start.
    pub async fn start(address: &str) -> Result<Self> {
        let internet = Internet::start().await?;
        internet.route(PUBLIC_URL.trim_start_matches("https://"), address);
        Ok(Self { internet, moto: Moto::start().await?, sns: Sns::start().await? })
    }

    /// What a program is told by its environment that uses AWS as somebody of moto's own account.
    pub fn variables(&self) -> Vec<(String, String)> {
        let (key, secret) = Moto::KEY;
        let own =
            [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_EC2_METADATA_DISABLED", "true")];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        own.into_iter().chain(self.internet.variables()).collect()
    }

    /// The private registry of an account in a region.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub async fn registry(&self, account: &str, region: &str) -> Result<EcrAccount<'_>> {
        let v2 = RegistryServer::builder().with_basic_auth("AWS", format!("{account}-auth-token")).start().await?;
        let one = EcrAccount { amazon: self, account: account.to_owned(), region: region.to_owned(), v2 };
        let api = self.moto.endpoint().trim_start_matches("http://");
        self.internet.route(one.host(), one.v2.host());
        self.internet.route(format!("sns.{region}.amazonaws.com"), &self.sns.address);
        self.internet.route("*.amazonaws.com", api);
        Ok(one)
    }

    /// The queries of the subscriptions that were confirmed.
    pub fn confirmed(&self) -> Vec<String> {
        self.sns.confirmed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An account in a region.
#[derive(Debug)]
pub struct EcrAccount<'a> {
    amazon: &'a Amazon,
    account: String,
    region: String,
    v2: RegistryServer,
}

impl EcrAccount<'_> {
    /// The host of its images.
    pub fn host(&self) -> String {
        format!("{}.dkr.ecr.{}.amazonaws.com", self.account, self.region)
    }

    /// Runs a script that makes its clients with `client("ecr")`, as somebody of the account.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub async fn boto3(&self, script: &str, mut given: Value) -> Result<Value> {
        (given["account"], given["region"]) = (json!(self.account), json!(self.region));
        self.amazon.moto.boto3(&format!("{OPEN}{script}"), given).await
    }

    /// Runs the AWS command line as somebody of the account; what it prints.
    ///
    /// # Errors
    ///
    /// What it complains of.
    pub async fn aws(&self, arguments: &[&str]) -> Result<String> {
        let session = self.boto3(SESSION, json!({})).await?;
        let keys = session.as_object().into_iter().flatten();
        let keys = keys.filter_map(|(name, value)| Some((name.to_uppercase(), value.as_str()?.to_owned())));
        let ran = Command::new(python().await?.with_file_name("aws"))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.amazon.sns.folder.path())
            .env("AWS_DEFAULT_REGION", &self.region)
            .envs(self.amazon.variables())
            .envs(keys)
            .kill_on_drop(true)
            .output()
            .await?;
        ensure!(ran.status.success(), "aws {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        Ok(String::from_utf8(ran.stdout)?)
    }

    /// Makes a stack of the template in `file`, and does not wait for it; its ARN.
    ///
    /// # Errors
    ///
    /// If CloudFormation refuses it.
    pub async fn stack(&self, name: &str, file: &str) -> Result<String> {
        let made = self.boto3(STACK, json!({ "name": name, "file": file })).await?;
        made.as_str().map(str::to_owned).context("a stack has an ARN")
    }

    /// Pushes an image; what EventBridge tells of it.
    ///
    /// # Errors
    ///
    /// If Amazon's library complains.
    pub async fn push(&self, image: &Image, repository: &str, tag: &str) -> Result<Value> {
        self.v2.push(image, repository, tag);
        let (script, given) = put_image(image, repository, tag)?;
        self.boto3(script, given).await?;
        Ok(self.image_action("PUSH", repository, tag, image.digest()))
    }

    /// Deletes the only tag of an image, and the image with it: so does ECR. What EventBridge tells of it.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub async fn delete_image(&self, image: &Image, repository: &str, tag: &str) -> Result<Value> {
        ensure!(self.v2.delete_manifest(repository, image.digest()), "{repository}:{tag} is not there");
        self.boto3(DELETE_IMAGE, json!({ "repository": repository, "tag": tag })).await?;
        Ok(self.image_action("DELETE", repository, tag, image.digest()))
    }

    /// Deletes a repository; what CloudTrail tells of it, by way of EventBridge.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub async fn delete_repository(&self, repository: &str) -> Result<Value> {
        ensure!(self.v2.remove_repository(repository), "{repository} is not there");
        self.boto3(DELETE_REPOSITORY, json!({ "repository": repository })).await?;
        let Self { account, region, .. } = self;
        let now = Timestamp::now();
        let arn = format!("arn:aws:ecr:{region}:{account}:repository/{repository}");
        let detail = json!({
            "eventVersion": "1.08", "eventTime": now, "eventSource": "ecr.amazonaws.com",
            "eventName": "DeleteRepository", "awsRegion": region, "eventID": format!("trail-{repository}"),
            "requestParameters": {"repositoryName": repository, "registryId": account, "force": true},
            "responseElements": {"repository": {"repositoryName": repository, "repositoryArn": arn}},
            "resources": [{"ARN": arn, "accountId": account}], "eventType": "AwsApiCall", "readOnly": false,
            "managementEvent": true, "recipientAccountId": account, "eventCategory": "Management",
        });
        Ok(self.event("AWS API Call via CloudTrail", &detail))
    }

    /// An `ECR Image Action` of this account, whether it happened or not.
    pub fn image_action(&self, action: &str, repository: &str, tag: &str, digest: &str) -> Value {
        let detail = json!({
            "result": "SUCCESS", "action-type": action, "repository-name": repository, "image-tag": tag,
            "image-digest": digest,
        });
        self.event("ECR Image Action", &detail)
    }

    fn event(&self, sort: &str, detail: &Value) -> Value {
        let now = Timestamp::now();
        json!({
            "version": "0", "id": format!("e-{}", now.as_nanosecond()), "detail-type": sort, "source": "aws.ecr",
            "account": self.account, "time": now.to_string(), "region": self.region, "resources": [], "detail": detail,
        })
    }

    /// Has the API destination called that the rule of this name leads to, with the credentials of its connection, as
    /// EventBridge does; the status of the answer.
    ///
    /// # Errors
    ///
    /// If there is no such rule, or nobody answers.
    pub async fn call_destination(&self, rule: &str, event: &Value) -> Result<u16> {
        let found = self.boto3(DESTINATION, json!({ "rule": rule })).await?;
        let text = |key: &str| found[key].as_str().with_context(|| format!("{key} of {found}"));
        let basic = STANDARD.encode(format!("{}:{}", text("user")?, text("password")?));
        let headers = format!(
            "User-Agent: Amazon/EventBridge/ApiDestinations\r\nContent-Type: application/json; charset=utf-8\r\n\
             Range: bytes=0-1048575\r\nAccept-Encoding: gzip,deflate\r\nConnection: close\r\n\
             Authorization: Basic {basic}\r\n"
        );
        self.amazon.post(text("url")?, &headers, event).await
    }

    /// Sends the subscription of a topic what SNS sends first, signed: the question whether it is wanted.
    ///
    /// # Errors
    ///
    /// If there is no such topic, or nobody answers.
    pub async fn ask_to_confirm(&self, topic: &str) -> Result<u16> {
        let host = format!("https://sns.{}.amazonaws.com/", self.region);
        let body = json!({
            "Type": "SubscriptionConfirmation", "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
            "Token": "2336412f37", "TopicArn": topic, "Message": format!("You have chosen to subscribe to {topic}."),
            "SubscribeURL": format!("{host}?Action=ConfirmSubscription&TopicArn={topic}&Token=2336412f37"),
        });
        self.notify_with("SubscriptionConfirmation", topic, body).await
    }

    /// Has SNS hand a message to the subscription of a topic, signed; the status of the answer.
    ///
    /// # Errors
    ///
    /// If there is no such topic, or nobody answers.
    pub async fn notify(&self, topic: &str, subject: &str, message: &str) -> Result<u16> {
        let id = Timestamp::now().as_nanosecond();
        let body = json!({
            "Type": "Notification", "MessageId": format!("m-{id}"), "TopicArn": topic, "Subject": subject,
            "Message": message, "UnsubscribeURL": format!("https://sns.{}.amazonaws.com/?Action=Unsubscribe", self.region),
        });
        self.notify_with("Notification", topic, body).await
    }

    async fn notify_with(&self, kind: &str, topic: &str, mut body: Value) -> Result<u16> {
        body["Timestamp"] = json!(format!("{:.3}", Timestamp::now()));
        body["SignatureVersion"] = json!("2");
        body["SigningCertURL"] = json!(format!("https://sns.{}.amazonaws.com{CERTIFICATE}", self.region));
        let signed = self.amazon.sns.sign(body).await?;
        let subscriptions = self.boto3(SUBSCRIPTION, json!({ "topic": topic })).await?;
        let [subscription] = subscriptions.as_array().map(Vec::as_slice).unwrap_or_default() else {
            anyhow::bail!("{topic} has no subscription, or several: {subscriptions}");
        };
        ensure!(subscription["Protocol"] == "https", "{subscription}");
        let url = subscription["Endpoint"].as_str().context("an endpoint")?;
        let headers = format!(
            "x-amz-sns-message-type: {kind}\r\nx-amz-sns-topic-arn: {topic}\r\n\
             Content-Type: text/plain; charset=UTF-8\r\nUser-Agent: Amazon Simple Notification Service Agent\r\n"
        );
        self.amazon.post(url, &headers, &signed).await
    }
}

impl Amazon {
    /// Sends a POST to an address of the server's, as it is reached from outside.
    async fn post(&self, url: &str, headers: &str, body: &Value) -> Result<u16> {
        let path = url.strip_prefix(PUBLIC_URL).with_context(|| format!("{url} is not the server's"))?;
        let address = self.internet.upstream(PUBLIC_URL.trim_start_matches("https://")).context("a server")?;
        Sender::connect(&address).await?.post(path, headers, &body.to_string()).await
    }
}

/// What of SNS is beside its API: the certificate that it signs with, and where subscriptions are confirmed.
#[derive(Debug)]
struct Sns {
    address: String,
    confirmed: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Desk {
    certificate: String,
    confirmed: Arc<Mutex<Vec<String>>>,
}

impl Sns {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let key = folder.path().join("key.pem").display().to_string();
        openssl(["genrsa", "-out", &key, "2048"]).await?;
        let extension = "basicConstraints=critical,CA:FALSE";
        let subject = "/CN=sns.amazonaws.com";
        let certificate =
            openssl(["req", "-x509", "-new", "-key", &key, "-days", "30", "-subj", subject, "-addext", extension]);
        let confirmed: Arc<Mutex<Vec<String>>> = Arc::default();
        let desk = Desk { certificate: String::from_utf8(certificate.await?)?, confirmed: Arc::clone(&confirmed) };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let router = Router::new().fallback(answer).with_state(desk);
        let task = tokio::spawn(async move {
            // Serving has no error of its own.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, confirmed, folder, task })
    }

    /// Signs as the developer guide of Amazon SNS says.
    async fn sign(&self, mut body: Value) -> Result<Value> {
        let names: &[&str] = match body["Type"].as_str() {
            Some("Notification") => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
            _ => &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
        };
        let members = names.iter().filter_map(|name| Some(format!("{name}\n{}\n", body[*name].as_str()?)));
        let file = |name: &str| -> String { Path::join(self.folder.path(), name).display().to_string() };
        std::fs::write(file("signed"), members.collect::<String>())?;
        let signature = openssl(["dgst", "-sha256", "-sign", &file("key.pem"), &file("signed")]).await?;
        body["Signature"] = json!(STANDARD.encode(signature));
        Ok(body)
    }
}

impl Drop for Sns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(desk): State<Desk>, request: Request<Body>) -> (StatusCode, String) {
    let query = request.uri().query().unwrap_or_default();
    if request.uri().path() == CERTIFICATE {
        return (StatusCode::OK, desk.certificate);
    }
    if query.contains("Action=ConfirmSubscription") {
        desk.confirmed.lock().unwrap_or_else(PoisonError::into_inner).push(query.to_owned());
        return (StatusCode::OK, "<ConfirmSubscriptionResponse/>".to_owned());
    }
    (StatusCode::NOT_FOUND, String::new())
}
