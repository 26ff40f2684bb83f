//! The ways to a token of Microsoft Entra, one after the other, with an account of each.
//!
//! Azure's Rust library has the credentials and no chain of them. The order is that of the other languages'
//! `DefaultAzureCredential`: what was set up for this program, what the machine has, who is signed in on it.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use azure_core::credentials::{Secret as AzureSecret, TokenCredential};
use azure_core::http::HttpClient;
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, AzureDeveloperCliCredential, AzureDeveloperCliCredentialOptions,
    ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    Executor, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use tokio::sync::Mutex;
use url::Url;

use super::certificate::CertificateAssertion;
use super::entra;
use super::options::{AcrOptions, AzureIdentity};
use crate::distribution::Retry;
use crate::secret::{Secret, printable};
use crate::{Error, ErrorKind};

/// Characters of what one way says about its failure.
const SAID: usize = 300;

/// What the ways have in common.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) client: Arc<dyn HttpClient>,
    pub(super) tools: Arc<dyn Executor>,
    pub(super) authority: Url,
    pub(super) retry: Retry,
}

/// A token, and which way it came.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) token: Secret,
    pub(super) way: &'static str,
}

/// The ways, in the order in which they are tried. The first that gives a token is the one from then on: a registry
/// must not be shown another identity because the first had a bad minute.
#[derive(Debug)]
pub(super) struct Chain {
    ways: Vec<Way>,
    chosen: OnceLock<usize>,
    scope: String,
    surroundings: Surroundings,
}

#[derive(Debug)]
struct Way {
    name: &'static str,
    source: Source,
    made: Mutex<Option<Arc<dyn TokenCredential>>>,
}

#[derive(Debug)]
enum Source {
    /// Nobody set it up. The text says what is not there.
    Absent(&'static str),
    /// The embedder's own.
    Given(Arc<dyn TokenCredential>),
    Secret {
        tenant: String,
        client_id: String,
        secret: Option<Secret>,
        file: Option<PathBuf>,
    },
    Certificate {
        tenant: String,
        client_id: String,
        file: PathBuf,
    },
    Workload {
        tenant: String,
        client_id: String,
        file: PathBuf,
    },
    /// `probe`: only where something answers. Not where the user said so, or the environment.
    Managed {
        client_id: Option<String>,
        probe: bool,
    },
    AzureCli {
        tenant: Option<String>,
    },
    DeveloperCli {
        tenant: Option<String>,
    },
}

impl Source {
    /// Whether somebody meant it to be used: then its failure is one, and does not make us anonymous.
    fn is_meant(&self, chosen: bool) -> bool {
        match self {
            Self::Absent(_) => chosen,
            Self::Given(_) | Self::Secret { .. } | Self::Certificate { .. } | Self::Workload { .. } => true,
            Self::Managed { probe, .. } => !probe,
            Self::AzureCli { .. } | Self::DeveloperCli { .. } => chosen,
        }
    }
}

impl Chain {
    /// The ways that `options` leave open; `None` if they leave none.
    pub(super) fn new(
        options: &AcrOptions,
        given: Option<Arc<dyn TokenCredential>>,
        audience: &str,
        surroundings: Surroundings,
    ) -> Option<Self> {
        let sources = match given {
            Some(credential) => vec![("given", Source::Given(credential))],
            None => sources(options),
        };
        let way = |(name, source)| Way { name, source, made: Mutex::default() };
        let ways: Vec<Way> = sources.into_iter().map(way).collect();
        let scope = format!("{audience}/.default");
        (!ways.is_empty()).then(|| Self { ways, chosen: OnceLock::new(), scope, surroundings })
    }

    /// A token, by the first way that gives one.
    pub(super) async fn token(&self) -> Result<Found, Failure> {
        let only = self.ways.len() == 1;
        let mut failure = Failure::default();
        for (index, way) in self.ways.iter().enumerate() {
            let chosen = self.chosen.get();
            if chosen.is_some_and(|chosen| *chosen != index) {
                continue;
            }
            match way.token(&self.scope, &self.surroundings).await {
                Ok(token) => {
                    let _ = self.chosen.set(index);
                    return Ok(Found { token, way: way.name });
                }
                Err(problem) => {
                    failure.is_meant |= way.source.is_meant(only || chosen.is_some());
                    failure.is_passing |= problem.is_passing && way.source.is_meant(only || chosen.is_some());
                    failure.account.0.push((way.name, problem.message));
                }
            }
        }
        Err(failure)
    }
}

fn sources(options: &AcrOptions) -> Vec<(&'static str, Source)> {
    let AcrOptions { tenant, client_id, client_secret, secret_file, certificate_file, token_file, .. } = options;
    let application = || Some((tenant.clone()?, client_id.clone()?));
    let secret = || match (application(), client_secret.is_some() || secret_file.is_some()) {
        (Some((tenant, client_id)), true) => {
            Source::Secret { tenant, client_id, secret: client_secret.clone(), file: secret_file.clone() }
        }
        (_, false) => Source::Absent("no AZURE_CLIENT_SECRET and no secret-file"),
        (None, _) => Source::Absent("no tenant or no client-id"),
    };
    let certificate = || match (application(), certificate_file) {
        (Some((tenant, client_id)), Some(file)) => Source::Certificate { tenant, client_id, file: file.clone() },
        (_, None) => Source::Absent("no AZURE_CLIENT_CERTIFICATE_PATH and no certificate-file"),
        (None, _) => Source::Absent("no tenant or no client-id"),
    };
    let workload = || match (application(), token_file) {
        (Some((tenant, client_id)), Some(file)) => Source::Workload { tenant, client_id, file: file.clone() },
        (_, None) => Source::Absent("no AZURE_FEDERATED_TOKEN_FILE and no token-file"),
        (None, _) => Source::Absent("no tenant or no client-id"),
    };
    let managed =
        |probe| Source::Managed { client_id: client_id.clone(), probe: probe && !options.has_identity_endpoint };
    let tools = || {
        let (cli, developer) = (tenant.clone(), tenant.clone());
        [("azure-cli", Source::AzureCli { tenant: cli }), ("azd", Source::DeveloperCli { tenant: developer })]
    };
    match options.identity {
        AzureIdentity::None => Vec::new(),
        AzureIdentity::ClientSecret => vec![("client-secret", secret())],
        AzureIdentity::ClientCertificate => vec![("client-certificate", certificate())],
        AzureIdentity::Workload => vec![("workload", workload())],
        AzureIdentity::Managed => vec![("managed", managed(false))],
        AzureIdentity::Developer => tools().into(),
        AzureIdentity::Auto => {
            let mut all = vec![
                ("client-secret", secret()),
                ("client-certificate", certificate()),
                ("workload", workload()),
                ("managed", managed(true)),
            ];
            all.extend(tools());
            all
        }
    }
}

impl Way {
    async fn token(&self, scope: &str, surroundings: &Surroundings) -> Result<Secret, Problem> {
        let mut made = self.made.lock().await;
        let credential = match &*made {
            Some(credential) => Arc::clone(credential),
            None => {
                let credential = self.make(surroundings).await?;
                *made = Some(Arc::clone(&credential));
                credential
            }
        };
        drop(made);
        match credential.get_token(&[scope], None).await {
            Ok(token) => Ok(token.token.secret().into()),
            Err(error) => {
                // A secret that was rotated is read again from its file.
                *self.made.lock().await = None;
                Err(Problem::of(&error))
            }
        }
    }

    async fn make(&self, surroundings: &Surroundings) -> Result<Arc<dyn TokenCredential>, Problem> {
        let Surroundings { client, tools, authority, retry } = surroundings;
        let client_options = || entra::client_options(client, authority, *retry);
        Ok(match &self.source {
            Source::Absent(what) => return Err(Problem::new(*what)),
            Source::Given(credential) => Arc::clone(credential),
            Source::Secret { tenant, client_id, secret, file } => {
                let secret = match (secret, file) {
                    (_, Some(file)) => String::from_utf8_lossy(&read(file).await?).trim().to_owned(),
                    (Some(secret), None) => secret.expose().to_owned(),
                    (None, None) => return Err(Problem::new("no secret")),
                };
                let options = ClientSecretCredentialOptions { client_options: client_options() };
                let secret = AzureSecret::new(secret);
                ClientSecretCredential::new(tenant, client_id.clone(), secret, Some(options)).map_err(Problem::from)?
            }
            Source::Certificate { tenant, client_id, file } => {
                let endpoint = authority.join(&format!("/{tenant}/oauth2/v2.0/token"));
                let endpoint = endpoint.map_err(|_| Problem::new("the tenant makes no address"))?;
                let assertion = CertificateAssertion::new(client_id.clone(), endpoint.into(), &read(file).await?)
                    .map_err(|why| Problem::new(format!("{}: {why}", file.display())))?;
                let options = ClientAssertionCredentialOptions { client_options: client_options() };
                ClientAssertionCredential::new(tenant.clone(), client_id.clone(), assertion, Some(options))
                    .map_err(Problem::from)?
            }
            Source::Workload { tenant, client_id, file } => {
                let options = WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options: client_options() },
                    client_id: Some(client_id.clone()),
                    tenant_id: Some(tenant.clone()),
                    token_file_path: Some(file.clone()),
                };
                // It reads the file as it is made.
                let made = tokio::task::spawn_blocking(move || WorkloadIdentityCredential::new(Some(options))).await;
                made.map_err(|_| Problem::new("reading the token's file ended early"))?.map_err(Problem::from)?
            }
            Source::Managed { client_id, probe } => {
                if *probe && !entra::has_metadata_service(&**client).await {
                    return Err(Problem::new("no metadata service answers: this is no machine of Azure's"));
                }
                let options = ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                    client_options: client_options(),
                };
                ManagedIdentityCredential::new(Some(options)).map_err(Problem::from)?
            }
            Source::AzureCli { tenant } => AzureCliCredential::new(Some(AzureCliCredentialOptions {
                tenant_id: tenant.clone(),
                executor: Some(Arc::clone(tools)),
                ..AzureCliCredentialOptions::default()
            }))
            .map_err(Problem::from)?,
            Source::DeveloperCli { tenant } => {
                AzureDeveloperCliCredential::new(Some(AzureDeveloperCliCredentialOptions {
                    tenant_id: tenant.clone(),
                    executor: Some(Arc::clone(tools)),
                }))
                .map_err(Problem::from)?
            }
        })
    }
}

/// The bytes of a small file.
async fn read(file: &std::path::Path) -> Result<Vec<u8>, Problem> {
    let (path, shown) = (file.to_owned(), file.display().to_string());
    let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
    let failed = |why: String| Problem::new(format!("failed to read {shown}: {why}"));
    read.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}

/// Why one way gave no token.
#[derive(Debug)]
struct Problem {
    message: String,
    is_passing: bool,
}

impl Problem {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_passing: false }
    }

    fn of(error: &azure_core::Error) -> Self {
        Self { message: said(&innermost(error)), is_passing: is_passing(error) }
    }
}

impl From<azure_core::Error> for Problem {
    fn from(error: azure_core::Error) -> Self {
        Self::of(&error)
    }
}

/// What the library met at last, and what that is made of: around it there is only that it was tried several times.
fn innermost(error: &azure_core::Error) -> String {
    let mut told = error.to_string();
    let mut root = None;
    let mut cause = error.source();
    while let Some(current) = cause {
        if current.is::<azure_core::Error>() {
            (told, root) = (current.to_string(), None);
        } else {
            root = Some(current.to_string());
        }
        cause = current.source();
    }
    match root.filter(|root| !told.contains(root)) {
        Some(root) => format!("{told}: {root}"),
        None => told,
    }
}

/// What Azure's library says, in a line: without the credential's type, which the account names, and without the
/// link to a guide.
fn said(message: &str) -> String {
    let told = message.split_once(" authentication failed.").map_or(message, |(_, told)| told);
    let lines = told.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("To troubleshoot"));
    let line = lines.collect::<Vec<_>>().join(" ");
    printable(if line.is_empty() { "it gave no reason" } else { &line }, SAID)
}

/// Whether it may go better later: nobody answered, or with one of the statuses that ask to come back.
fn is_passing(error: &azure_core::Error) -> bool {
    use azure_core::error::ErrorKind as Kind;
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(error) = current.downcast_ref::<azure_core::Error>() {
            match error.kind() {
                Kind::Io | Kind::Connection => return true,
                Kind::HttpResponse { status, .. } => {
                    let status = u16::from(*status);
                    return matches!(status, 408 | 410 | 429) || status >= 500;
                }
                _ => {}
            }
        }
        cause = current.source();
    }
    false
}

/// Why no way gave a token.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure {
    pub(super) account: Account,
    /// Somebody set one of them up.
    pub(super) is_meant: bool,
    /// One that was set up may work later.
    is_passing: bool,
}

impl Failure {
    pub(super) fn to_error(&self) -> Error {
        let kind = if self.is_passing { ErrorKind::Unavailable } else { ErrorKind::Credential };
        Error::new(kind, "get a token from Microsoft Entra")
            .with_source(self.account.clone())
            .with_hint("say which identity to use with identity=…, or none with identity=none")
    }
}

/// What was tried, and what each way said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Account(pub(super) Vec<(&'static str, String)>);

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tried ")?;
        for (index, (name, said)) in self.0.iter().enumerate() {
            write!(f, "{}{name} ({said})", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl StdError for Account {}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::io;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{ExitStatus, Output};

    use async_trait::async_trait;
    use azure_core::http::{AsyncRawResponse, Request};

    use super::*;

    /// A machine without Azure: no metadata service, no way out.
    #[derive(Debug)]
    struct Nobody;

    #[async_trait]
    impl HttpClient for Nobody {
        async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
            Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Connection, "nobody answers"))
        }
    }

    /// Programs that print this, or fail with it.
    #[derive(Debug)]
    struct Programs(fn(&str) -> Result<String, String>);

    #[async_trait]
    impl Executor for Programs {
        async fn run(&self, _: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
            let command = args.last().unwrap().to_str().unwrap();
            let (code, stdout, stderr) = match (self.0)(command) {
                Ok(text) => (0, text, String::new()),
                Err(text) => (1 << 8, String::new(), text),
            };
            Ok(Output { status: ExitStatus::from_raw(code), stdout: stdout.into(), stderr: stderr.into() })
        }
    }

    fn chain(options: &AcrOptions, programs: fn(&str) -> Result<String, String>) -> Chain {
        let retry = Retry { attempts: 1, ..Retry::default() };
        let surroundings = Surroundings {
            client: Arc::new(Nobody),
            tools: Arc::new(Programs(programs)),
            authority: Url::parse("https://login.test/").unwrap(),
            retry,
        };
        Chain::new(options, None, "https://containerregistry.azure.net", surroundings).unwrap()
    }

    fn not_found(command: &str) -> Result<String, String> {
        let name = if command.contains("azd") { "azd" } else { "az" };
        Err(format!("/bin/sh: 1: '{name}' is not recognized"))
    }

    #[tokio::test]
    async fn the_account_names_every_way() {
        let failure = chain(&AcrOptions::default(), not_found).token().await.unwrap_err();
        assert!(!failure.is_meant, "nothing was set up");
        assert_eq!(
            failure.account.to_string(),
            "tried client-secret (no AZURE_CLIENT_SECRET and no secret-file), client-certificate (no \
             AZURE_CLIENT_CERTIFICATE_PATH and no certificate-file), workload (no AZURE_FEDERATED_TOKEN_FILE and no \
             token-file), managed (no metadata service answers: this is no machine of Azure's), azure-cli (az not \
             found on PATH), azd (azd not found on PATH)"
        );
        assert_eq!(failure.to_error().kind(), ErrorKind::Credential);
    }

    #[tokio::test]
    async fn a_way_that_was_set_up_and_fails_is_a_failure() {
        let options = AcrOptions {
            tenant: Some("t".into()),
            client_id: Some("c".into()),
            client_secret: Some("hunter2".into()),
            ..AcrOptions::default()
        };
        let failure = chain(&options, not_found).token().await.unwrap_err();
        assert!(failure.is_meant);
        let error = failure.to_error();
        assert!(error.is_retryable(), "Entra may answer later");
        assert!(failure.account.to_string().contains("client-secret (nobody answers"), "{}", failure.account);
        assert!(!format!("{failure:?} {error:?}").contains("hunter2"));

        let options = AcrOptions { token_file: Some("/no/such/file".into()), client_secret: None, ..options };
        let failure = chain(&options, not_found).token().await.unwrap_err();
        assert!(failure.is_meant && !failure.to_error().is_retryable());
        assert!(failure.account.to_string().contains("/no/such/file"), "{}", failure.account);
    }

    #[tokio::test]
    async fn developer_tools_are_asked_for_the_audience() {
        // What the tools print: `az account get-access-token` and `azd auth token`, by their references.
        fn az(command: &str) -> Result<String, String> {
            assert!(command.contains("https://containerregistry.azure.net/.default"), "{command}");
            if command.contains("azd") {
                return Err("not asked".to_owned());
            }
            Ok(r#"{"accessToken":"from az","expires_on":4102444800,"tokenType":"Bearer","tenant":"t"}"#.to_owned())
        }
        fn azd(command: &str) -> Result<String, String> {
            if command.contains("azd") {
                return Ok(r#"{"token":"from azd","expiresOn":"2100-01-01T00:00:00Z"}"#.to_owned());
            }
            Err("ERROR: Please run 'az login' to setup account.".to_owned())
        }
        let options = AcrOptions { identity: AzureIdentity::Developer, ..AcrOptions::default() };
        let found = chain(&options, az).token().await.unwrap();
        assert_eq!((found.token.expose(), found.way), ("from az", "azure-cli"));
        let found = chain(&options, azd).token().await.unwrap();
        assert_eq!((found.token.expose(), found.way), ("from azd", "azd"));

        let failure = chain(&options, not_found).token().await.unwrap_err();
        assert_eq!(failure.account.to_string(), "tried azure-cli (az not found on PATH), azd (azd not found on PATH)");
    }

    #[test]
    fn what_the_library_says_is_cut_to_what_matters() {
        let check = |message: &str, expected: &str| assert_eq!(said(message), expected);
        check(
            "ClientSecretCredential authentication failed. AADSTS7000215: Invalid client secret provided.\n\
             To troubleshoot, visit https://aka.ms/azsdk/rust/identity/troubleshoot#client-secret",
            "AADSTS7000215: Invalid client secret provided.",
        );
        check("no scopes specified", "no scopes specified");
        check("X authentication failed. \n", "it gave no reason");
    }
}
