//! A stand-in for the ECR API, written from the *Amazon ECR API Reference*: `DescribeRepositories`, `DescribeImages`
//! with its filters, and `GetAuthorizationToken`, in pages as the parameters ask.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// When every image was pushed.
pub(super) const PUSHED: &str = "2026-01-01T00:00:00Z";
const PUSHED_SECONDS: f64 = 1_767_225_600.0;

/// The example answer of AssumeRole (*AWS STS API Reference*), with other keys.
pub(super) const ASSUMED: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser>
      <Arn>arn:aws:sts::123456789012:assumed-role/reader/night-watch</Arn>
      <AssumedRoleId>ARO123EXAMPLE123:night-watch</AssumedRoleId>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIAASSUMED</AccessKeyId>
      <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>
      <SessionToken>a-session</SessionToken>
      <Expiration>2099-01-01T00:00:00Z</Expiration>
    </Credentials>
  </AssumeRoleResult>
  <ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata>
</AssumeRoleResponse>"#;

pub(super) const NOT_ASSUMED: &str = r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>Sender</Type>
    <Code>AccessDenied</Code>
    <Message>User: arn:aws:iam::210987654321:user/u is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/reader</Message>
  </Error>
  <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>
</ErrorResponse>"#;

/// An image of the stand-in. Its content is that of nobody.
#[derive(Clone)]
pub(super) struct FakeImage {
    digest: String,
    tags: Vec<String>,
    status: &'static str,
    subject: Option<String>,
}

impl FakeImage {
    /// An active image with the digest of `content`.
    pub(super) fn new(content: impl AsRef<[u8]>, tags: &[&str]) -> Self {
        let digest = supercargo_testkit::sha256(content.as_ref());
        let tags = tags.iter().map(ToString::to_string).collect();
        Self { digest, tags, status: "ACTIVE", subject: None }
    }

    pub(super) fn with_status(mut self, status: &'static str) -> Self {
        self.status = status;
        self
    }

    pub(super) fn about(mut self, subject: &Self) -> Self {
        self.subject = Some(subject.digest.clone());
        self
    }

    fn document(&self, repository: &str) -> Value {
        let mut document = json!({
            "registryId": "123456789012",
            "repositoryName": repository,
            "imageDigest": self.digest,
            "imagePushedAt": PUSHED_SECONDS,
            "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
            "imageStatus": self.status,
        });
        if !self.tags.is_empty() {
            document["imageTags"] = json!(self.tags);
        }
        if let Some(subject) = &self.subject {
            document["subjectManifestDigest"] = json!(subject);
        }
        document
    }
}

/// An answer that says no, in the form of the protocol (AWS JSON 1.1).
pub(super) fn refusal(status: u16, code: &str, message: &str) -> ResponseTemplate {
    let body = if code.is_empty() { json!({}) } else { json!({"__type": code, "message": message}) };
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/x-amz-json-1.1")
}

#[derive(Default)]
struct State {
    repositories: Vec<String>,
    images: BTreeMap<String, Vec<FakeImage>>,
    denied: BTreeSet<String>,
    refusals: VecDeque<ResponseTemplate>,
    tokens: usize,
}

/// The running stand-in.
pub(super) struct FakeEcr {
    server: MockServer,
    state: Arc<Mutex<State>>,
}

impl FakeEcr {
    pub(super) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let server = MockServer::start().await;
        let service = Service(Arc::clone(&state));
        Mock::given(wiremock::matchers::method("POST")).respond_with(service).mount(&server).await;
        Self { server, state }
    }

    pub(super) fn uri(&self) -> String {
        self.server.uri()
    }

    pub(super) fn set_repositories<S: Into<String>>(&self, names: impl IntoIterator<Item = S>) {
        self.state.lock().unwrap().repositories = names.into_iter().map(Into::into).collect();
    }

    pub(super) fn set_images(&self, repository: &str, images: impl IntoIterator<Item = FakeImage>) {
        let images = images.into_iter().collect();
        self.state.lock().unwrap().images.insert(repository.to_owned(), images);
    }

    /// Refuses an action from now on, as IAM does.
    pub(super) fn deny(&self, action: &str) {
        self.state.lock().unwrap().denied.insert(action.to_owned());
    }

    pub(super) fn allow(&self, action: &str) {
        self.state.lock().unwrap().denied.remove(action);
    }

    /// Answers the next requests with these.
    pub(super) fn refuse_next(&self, refusals: impl IntoIterator<Item = ResponseTemplate>) {
        self.state.lock().unwrap().refusals.extend(refusals);
    }

    /// How often an action was asked for.
    pub(super) async fn count(&self, action: &str) -> usize {
        let requests = self.server.received_requests().await.unwrap();
        requests.iter().filter(|request| asked(request) == action).count()
    }

    /// The signatures of all requests.
    pub(super) async fn authorizations(&self) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        requests.iter().map(|request| request.headers["authorization"].to_str().unwrap().to_owned()).collect()
    }
}

fn asked(request: &Request) -> String {
    let target = request.headers["x-amz-target"].to_str().unwrap();
    target.strip_prefix("AmazonEC2ContainerRegistry_V20150921.").unwrap().to_owned()
}

struct Service(Arc<Mutex<State>>);

impl Respond for Service {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().unwrap();
        if let Some(refusal) = state.refusals.pop_front() {
            return refusal;
        }
        let action = asked(request);
        if state.denied.contains(&action) {
            let said = format!(
                "User: arn:aws:iam::123456789012:user/u is not authorized to perform: ecr:{action} on resource: * because \
                 no identity-based policy allows the ecr:{action} action"
            );
            return refusal(400, "AccessDeniedException", &said);
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let answer = match action.as_str() {
            "DescribeRepositories" => {
                let entries: Vec<Value> =
                    state.repositories.iter().map(|name| json!({"repositoryName": name})).collect();
                page(&body, "repositories", &entries)
            }
            "DescribeImages" => match state.describe_images(&body) {
                Ok(answer) => answer,
                Err(refusal) => return *refusal,
            },
            "GetAuthorizationToken" => {
                state.tokens += 1;
                let token = STANDARD.encode(format!("AWS:token-{}", state.tokens));
                // Beyond the twelve hours that tokens have: the tests' clocks are the machine's.
                json!({"authorizationData": [{"authorizationToken": token, "expiresAt": 4_070_908_800.0}]})
            }
            other => panic!("{other} is not needed"),
        };
        ResponseTemplate::new(200).set_body_raw(answer.to_string(), "application/x-amz-json-1.1")
    }
}

impl State {
    fn describe_images(&self, body: &Value) -> Result<Value, Box<ResponseTemplate>> {
        let repository = body["repositoryName"].as_str().unwrap();
        assert_eq!(body["registryId"], "123456789012", "the account of the host is named");
        let Some(images) = self.images.get(repository) else {
            return Err(Box::new(refusal(400, "RepositoryNotFoundException", "no such repository")));
        };
        // "If not specified, only images with ACTIVE status are returned."
        let status = body["filter"]["imageStatus"].as_str().unwrap_or("ACTIVE");
        let tagged = body["filter"]["tagStatus"].as_str().unwrap_or("ANY");
        let admitted = images.iter().filter(|image| status == "ANY" || image.status == status);
        let admitted = admitted.filter(|image| tagged != "TAGGED" || !image.tags.is_empty());
        let Some(ids) = body["imageIds"].as_array() else {
            let mut admitted: Vec<&FakeImage> = admitted.collect();
            // Not the order of the tags: the API promises none. The tests sort where it matters to them.
            admitted.sort_by_key(|image| image.tags.first().map(|tag| (tag.len(), tag.clone())));
            let entries: Vec<Value> = admitted.iter().map(|image| image.document(repository)).collect();
            return Ok(page(body, "imageDetails", &entries));
        };
        assert!(body["maxResults"].is_null(), "the reference forbids it together with imageIds");
        let named = |image: &&FakeImage| {
            ids.iter().any(|id| {
                id["imageDigest"] == json!(image.digest) || image.tags.iter().any(|tag| id["imageTag"] == json!(tag))
            })
        };
        let found: Vec<Value> = admitted.filter(named).map(|image| image.document(repository)).collect();
        if found.is_empty() {
            return Err(Box::new(refusal(400, "ImageNotFoundException", "no such image")));
        }
        Ok(json!({"imageDetails": found}))
    }
}

/// A page of `entries`: "between 1 and 1000", 100 "if this parameter is not used".
fn page(body: &Value, name: &str, entries: &[Value]) -> Value {
    let size = body["maxResults"].as_u64().unwrap_or(100);
    assert!((1..=1000).contains(&size), "{size} is refused");
    let size = usize::try_from(size).unwrap();
    let start: usize =
        body["nextToken"].as_str().map_or(0, |token| token.strip_prefix("at ").unwrap().parse().unwrap());
    let mut answer = json!({ name: entries.iter().skip(start).take(size).collect::<Vec<_>>() });
    if start + size < entries.len() {
        answer["nextToken"] = json!(format!("at {}", start + size));
    }
    answer
}
