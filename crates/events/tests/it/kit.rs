//! Deliveries, and what came of them in a line.

use std::process::{Command, Stdio};

use http::{HeaderMap, HeaderName, Method, StatusCode};
use jiff::Timestamp;
use supercargo_events::{Reception, RegistryEvent, Request, Secret, Source, SourceConfig, Verdict, build};

pub(crate) const SECRET: &str = "correct horse battery";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A digest whose digits are all `digit`.
pub(crate) fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

pub(crate) fn config() -> SourceConfig {
    SourceConfig::new([Secret::new(SECRET)])
}

pub(crate) fn source(provider: &str, config: SourceConfig) -> Box<dyn Source> {
    build(provider, config).unwrap()
}

/// The message of a configuration that is refused.
pub(crate) fn refused(provider: &str, config: SourceConfig) -> String {
    build(provider, config).unwrap_err().to_string()
}

/// A POST that can be changed.
#[derive(Clone)]
pub(crate) struct Delivery {
    method: Method,
    headers: HeaderMap,
    query: Option<String>,
    path: Option<String>,
    now: Timestamp,
    body: Vec<u8>,
}

impl Delivery {
    pub(crate) fn new(body: impl ToString) -> Self {
        Self::of_bytes(body.to_string().into_bytes())
    }

    pub(crate) fn of_bytes(body: impl Into<Vec<u8>>) -> Self {
        let now = "2026-02-03T04:05:06Z".parse().unwrap();
        Self { method: Method::POST, headers: HeaderMap::new(), query: None, path: None, now, body: body.into() }
    }

    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.headers.insert(name.parse::<HeaderName>().unwrap(), value.as_ref().parse().unwrap());
        self
    }

    pub(crate) fn query(mut self, query: &str) -> Self {
        self.query = Some(query.to_owned());
        self
    }

    pub(crate) fn path(mut self, secret: &str) -> Self {
        self.path = Some(secret.to_owned());
        self
    }

    pub(crate) fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    pub(crate) fn to(&self, source: &dyn Source) -> Reception {
        let request = Request::new(&self.method, &self.headers, &self.body, self.now)
            .with_query(self.query.as_deref())
            .with_path_secret(self.path.as_deref());
        source.receive(&request)
    }
}

/// The one event of a delivery that was taken.
pub(crate) fn event(reception: &Reception) -> &RegistryEvent {
    match &events(reception)[..] {
        [event] => event,
        events => panic!("not one event: {events:?}"),
    }
}

pub(crate) fn events(reception: &Reception) -> Vec<&RegistryEvent> {
    let Verdict::Events(events) = &reception.verdict else { panic!("no events: {reception:?}") };
    assert!(reception.answer.status.is_success(), "{reception:?}");
    events.iter().collect()
}

/// `pushed registry.example.com/team/app:1.0@sha256:aaaa…`, the digest cut short.
pub(crate) fn line(event: &RegistryEvent) -> String {
    let mut line = format!("{} {}/{}", event.action.as_str(), event.host.as_deref().unwrap_or("?"), event.repository);
    if let Some(tag) = &event.tag {
        line += &format!(":{tag}");
    }
    if let Some(digest) = &event.digest {
        line += &format!("@{}", &digest.to_string()[..11]);
    }
    line
}

/// What came of a delivery: the lines of its events, or the verdict and its reason.
pub(crate) fn outcome(reception: &Reception) -> String {
    match &reception.verdict {
        Verdict::Events(events) => events.iter().map(line).collect::<Vec<_>>().join(", "),
        Verdict::Ignored(reason) => format!("ignored: {reason}"),
        Verdict::Malformed(reason) => format!("malformed: {reason}"),
        Verdict::Rejected(reason) => format!("rejected: {reason}"),
        Verdict::Needs(document) | Verdict::Confirm(document) => {
            format!("{}: {}", reception.verdict.as_str(), document.url)
        }
        Verdict::Setup(notice) => format!("setup: {} is {}", notice.name, notice.state.as_str()),
        Verdict::Handshake => "handshake".to_owned(),
    }
}

pub(crate) fn is_rejected(reception: &Reception) -> bool {
    let rejected = matches!(reception.verdict, Verdict::Rejected(_));
    assert_eq!(rejected, reception.answer.status == StatusCode::UNAUTHORIZED, "{reception:?}");
    rejected
}

/// Runs openssl on `input`.
pub(crate) fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed; tests/run does it");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// An RSA key that openssl made, in a folder that is removed with it.
pub(crate) struct RsaKey {
    folder: tempfile::TempDir,
}

impl RsaKey {
    pub(crate) fn new() -> Self {
        let key = Self { folder: tempfile::tempdir().unwrap() };
        openssl(&["genrsa", "-out", &key.path("key.pem"), "2048"], b"");
        key
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// PKCS #1 version 1.5 with `hash`.
    pub(crate) fn sign(&self, hash: &str, message: &[u8]) -> Vec<u8> {
        openssl(&["dgst", hash, "-sign", &self.path("key.pem")], message)
    }

    /// A certificate for the key that is valid for 30 days from now.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        let subject = "/CN=sns.amazonaws.com";
        let extension = "basicConstraints=critical,CA:FALSE";
        let key = self.path("key.pem");
        openssl(&["req", "-x509", "-new", "-key", &key, "-days", "30", "-subj", subject, "-addext", extension], b"")
    }

    /// The modulus, as RFC 7518 writes numbers.
    pub(crate) fn modulus(&self) -> String {
        let text =
            String::from_utf8(openssl(&["rsa", "-in", &self.path("key.pem"), "-noout", "-modulus"], b"")).unwrap();
        let digits = text.trim().strip_prefix("Modulus=").unwrap();
        let bytes: Vec<u8> =
            (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
        base64_url(&bytes)
    }
}

pub(crate) fn base64_url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
