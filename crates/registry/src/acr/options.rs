//! How a registry of Azure's is signed in to: the keys, and the environment variables behind them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use url::Url;

use crate::error::Problem;
use crate::secret::{Secret, printable};

/// Which identity of Microsoft Entra signs in: the key `identity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AzureIdentity {
    /// Credentials that were given for the registry (docker's configuration, a token's name and password); without
    /// any, the first of the ones below that gives a token; without any, nobody: the registry may let everyone pull.
    #[default]
    Auto,
    /// An application with a secret.
    ClientSecret,
    /// An application with a certificate.
    ClientCertificate,
    /// A service account of Kubernetes that is federated with an identity.
    Workload,
    /// The identity of this machine: of the system, or the one with the client ID.
    Managed,
    /// Whoever is signed in to the Azure CLI, or the Azure Developer CLI.
    Developer,
    /// Given credentials alone.
    None,
}

impl AzureIdentity {
    const ALL: [Self; 7] = [
        Self::Auto,
        Self::ClientSecret,
        Self::ClientCertificate,
        Self::Workload,
        Self::Managed,
        Self::Developer,
        Self::None,
    ];

    /// The word of the key `identity`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::ClientSecret => "client-secret",
            Self::ClientCertificate => "client-certificate",
            Self::Workload => "workload",
            Self::Managed => "managed",
            Self::Developer => "developer",
            Self::None => "none",
        }
    }
}

/// How to sign in with Microsoft Entra. What is not said is left to the chain, see [`AzureIdentity::Auto`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcrOptions {
    /// Which identity.
    pub identity: AzureIdentity,
    /// The tenant: an ID or a domain.
    pub tenant: Option<String>,
    /// The client ID of an application, or of a user-assigned managed identity.
    pub client_id: Option<String>,
    /// The application's secret.
    pub client_secret: Option<Secret>,
    /// A file with the application's secret. It is read at each sign-in, so that a rotated one is taken up.
    pub secret_file: Option<PathBuf>,
    /// A file in PEM form with the application's certificate and its RSA key. It is read at each sign-in.
    pub certificate_file: Option<PathBuf>,
    /// The file with the service account's token.
    pub token_file: Option<PathBuf>,
    /// What tokens are for, instead of what the registry's host name says.
    pub audience: Option<String>,
    /// Where Entra is, instead of what the registry's host name says.
    pub authority: Option<Url>,
    /// The environment names the endpoint of a managed identity, as App Service does: no machine's is looked for.
    pub has_identity_endpoint: bool,
}

impl AcrOptions {
    /// The environment variables that [`AcrOptions::with_variables`] looks for.
    pub const VARIABLES: &'static [&'static str] = super::VARIABLES;

    /// Reads the keys of a `--registry` string that only `type=acr` has.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read(options: &BTreeMap<&'static str, String>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut read = Self::default();
        for (key, value) in options {
            if let Err(message) = read.set(key, value) {
                problems.push(Problem { key: (*key).to_owned(), message });
            }
        }
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "identity" => {
                let found = AzureIdentity::ALL.into_iter().find(|identity| identity.as_str() == value);
                self.identity = found.ok_or_else(|| {
                    let words: Vec<_> = AzureIdentity::ALL.iter().map(|identity| identity.as_str()).collect();
                    format!("{:?} is none of {}", printable(value, 40), words.join(", "))
                })?;
            }
            "tenant" => self.tenant = Some(identifier(value)?),
            "client-id" => self.client_id = Some(identifier(value)?),
            "secret-file" => self.secret_file = Some(value.into()),
            "certificate-file" => self.certificate_file = Some(value.into()),
            "token-file" => self.token_file = Some(value.into()),
            "audience" => self.audience = Some(audience(value)?),
            "authority" => self.authority = Some(authority(value)?),
            _ => return Err("there is no such key".to_owned()),
        }
        Ok(())
    }

    /// Fills in what is open from environment variables, by the names that Azure's own libraries use. Values that
    /// cannot be used are as good as none: they may be meant for others.
    #[must_use]
    pub fn with_variables(mut self, variables: &BTreeMap<String, Secret>) -> Self {
        let text = |name: &str| variables.get(name).map(Secret::expose).filter(|value| !value.is_empty());
        let path = |name: &str| text(name).map(PathBuf::from);
        self.tenant = self.tenant.or_else(|| identifier(text("AZURE_TENANT_ID")?).ok());
        self.client_id = self.client_id.or_else(|| identifier(text("AZURE_CLIENT_ID")?).ok());
        if self.client_secret.is_none() && self.secret_file.is_none() {
            self.client_secret = text("AZURE_CLIENT_SECRET").map(Secret::from);
        }
        self.certificate_file = self.certificate_file.or_else(|| path("AZURE_CLIENT_CERTIFICATE_PATH"));
        self.token_file = self.token_file.or_else(|| path("AZURE_FEDERATED_TOKEN_FILE"));
        self.authority = self.authority.or_else(|| authority(text("AZURE_AUTHORITY_HOST")?).ok());
        self.has_identity_endpoint = text("IDENTITY_ENDPOINT").is_some();
        self
    }

    /// What the chosen identity needs and does not have.
    pub(crate) fn missing(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut need = |there: bool, key: &str, variable: &str| {
            if !there {
                let identity = self.identity.as_str();
                let message = format!("it is missing: identity={identity} needs it, or {variable}");
                problems.push(Problem { key: key.to_owned(), message });
            }
        };
        let application = matches!(
            self.identity,
            AzureIdentity::ClientSecret | AzureIdentity::ClientCertificate | AzureIdentity::Workload
        );
        if application {
            need(self.tenant.is_some(), "tenant", "AZURE_TENANT_ID");
            need(self.client_id.is_some(), "client-id", "AZURE_CLIENT_ID");
        }
        match self.identity {
            AzureIdentity::ClientSecret => {
                need(self.client_secret.is_some() || self.secret_file.is_some(), "secret-file", "AZURE_CLIENT_SECRET");
            }
            AzureIdentity::ClientCertificate => {
                need(self.certificate_file.is_some(), "certificate-file", "AZURE_CLIENT_CERTIFICATE_PATH");
            }
            AzureIdentity::Workload => need(self.token_file.is_some(), "token-file", "AZURE_FEDERATED_TOKEN_FILE"),
            _ => {}
        }
        problems
    }
}

/// An ID or a domain: it becomes a part of an address and of a command line.
fn identifier(value: &str) -> Result<String, String> {
    let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    if plain { Ok(value.to_owned()) } else { Err("expected an ID or a domain".to_owned()) }
}

fn audience(value: &str) -> Result<String, String> {
    let value = value.strip_suffix("/.default").unwrap_or(value).trim_end_matches('/');
    let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:/".contains(&b));
    if plain && !value.is_empty() { Ok(value.to_owned()) } else { Err("expected the address of a resource".to_owned()) }
}

fn authority(value: &str) -> Result<Url, String> {
    match Url::parse(value) {
        Ok(url)
            if url.scheme() == "https" && url.has_host() && url.username().is_empty() && url.password().is_none() =>
        {
            Ok(url)
        }
        _ => Err("expected an https:// address: secrets are sent there".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(problems: &[Problem]) -> Vec<&str> {
        problems.iter().map(|problem| problem.key.as_str()).collect()
    }

    fn read(pairs: &[(&'static str, &str)]) -> Result<AcrOptions, Vec<Problem>> {
        AcrOptions::read(&pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect())
    }

    #[test]
    fn every_problem_at_once() {
        let problems = read(&[
            ("identity", "me"),
            ("tenant", "a b"),
            ("client-id", "$(id)"),
            ("audience", "x y"),
            ("authority", "http://login.example.com"),
        ])
        .unwrap_err();
        assert_eq!(keys(&problems), ["audience", "authority", "client-id", "identity", "tenant"]);
        assert!(problems[3].message.contains("client-certificate, workload, managed"), "{}", problems[3].message);
    }

    #[test]
    fn variables_fill_in_what_keys_leave_open() {
        let variables = [
            ("AZURE_TENANT_ID", "contoso.onmicrosoft.com"),
            ("AZURE_CLIENT_ID", "11111111-1111-1111-1111-111111111111"),
            ("AZURE_CLIENT_SECRET", "hunter2"),
            ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), Secret::from(value))).into();
        let options = read(&[("tenant", "22222222-2222-2222-2222-222222222222")]).unwrap().with_variables(&variables);
        assert_eq!(options.tenant.as_deref(), Some("22222222-2222-2222-2222-222222222222"));
        assert_eq!(options.client_id.as_deref(), Some("11111111-1111-1111-1111-111111111111"));
        assert_eq!(options.client_secret.as_ref().map(Secret::expose), Some("hunter2"));
        assert_eq!(options.authority.as_ref().map(Url::as_str), Some("https://login.microsoftonline.us/"));
        assert!(!format!("{options:?}").contains("hunter2"));
        // The file was named for this registry, the variable for all.
        let options = read(&[("secret-file", "/run/secret")]).unwrap().with_variables(&variables);
        assert_eq!(options.client_secret, None);
    }

    #[test]
    fn what_an_identity_needs() {
        let check = |pairs: &[(&'static str, &str)], expected: &[&str]| {
            assert_eq!(keys(&read(pairs).unwrap().missing()), expected, "{pairs:?}");
        };
        check(&[], &[]);
        check(&[("identity", "managed")], &[]);
        check(&[("identity", "client-secret")], &["tenant", "client-id", "secret-file"]);
        check(&[("identity", "client-certificate"), ("tenant", "t")], &["client-id", "certificate-file"]);
        check(&[("identity", "workload"), ("tenant", "t"), ("client-id", "c")], &["token-file"]);
        check(&[("identity", "workload"), ("tenant", "t"), ("client-id", "c"), ("token-file", "f")], &[]);
    }

    #[test]
    fn audiences() {
        let check = |value: &str, expected: &str| {
            assert_eq!(read(&[("audience", value)]).unwrap().audience.as_deref(), Some(expected));
        };
        check("https://containerregistry.azure.net/.default", "https://containerregistry.azure.net");
        check("https://management.azure.com/", "https://management.azure.com");
    }
}
