//! Queues that are asked for events: from what somebody says of one to what the engine asks. Sources of the configuration
//! and integrations have them alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use supercargo_engine::events::pull::PullSource;
use url::Url;

use crate::Environment;

/// The keys that say as which identity a queue of Azure's is asked: those of `type=acr` registries of the same names.
const IDENTITY: [&str; 6] = ["identity", "tenant", "client-id", "certificate-file", "token-file", "authority"];
/// Where the queues of Azure's clouds are: by their public names, and behind private endpoints.
const AZURE: [&str; 4] = [
    ".queue.core.windows.net",
    ".queue.core.usgovcloudapi.net",
    ".queue.core.chinacloudapi.cn",
    ".queue.storage.azure.net",
];
/// Providers whose events Azure's services write; an emulator's address does not tell.
const OF_AZURE: [&str; 2] = ["event-grid", "acr"];

/// A queue, or everything that is wrong with it.
pub(crate) type Opened = Result<Arc<dyn PullSource>, Vec<String>>;

/// A queue that is asked for messages.
#[derive(Clone, Debug)]
pub(crate) struct QueuePlan {
    url: String,
    service: Service,
    /// What the queue is signed in to with.
    secret: Option<String>,
    environment: Environment,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Service {
    Amazon { region: Option<String>, endpoint: Option<String> },
    Azure { identity: BTreeMap<&'static str, String> },
}

impl QueuePlan {
    /// The queue at `url` for the events of `provider`, by fields that `take` hands out.
    pub(crate) fn read(
        url: String,
        provider: Option<&str>,
        mut take: impl FnMut(&str) -> Option<String>,
        environment: &Environment,
    ) -> Self {
        let service = if is_azure(&url, provider) {
            Service::Azure { identity: IDENTITY.iter().filter_map(|key| Some((*key, take(key)?))).collect() }
        } else {
            Service::Amazon { region: take("region"), endpoint: take("endpoint") }
        };
        Self { url, service, secret: None, environment: environment.clone() }
    }

    /// Its address, without a signature that somebody may have left in it.
    pub(crate) fn shown(&self) -> &str {
        self.url.split('?').next().unwrap_or_default()
    }

    /// Gives it the secret of the source. A queue takes one secret, at most.
    ///
    /// # Errors
    ///
    /// What is wrong with that.
    pub(crate) fn set_secret(&mut self, mut secrets: Vec<String>) -> Result<(), String> {
        match (&self.service, secrets.len()) {
            (_, 0) => Ok(()),
            (Service::Amazon { .. }, _) => {
                Err("a queue of Amazon's takes no secret: it is signed in to with the SDK's credentials".to_owned())
            }
            (Service::Azure { .. }, 1) => {
                self.secret = secrets.pop();
                Ok(())
            }
            (Service::Azure { .. }, _) => Err("a queue is signed in to with one secret".to_owned()),
        }
    }

    /// Makes the queue; nobody is asked yet.
    ///
    /// # Errors
    ///
    /// What is wrong with it, or that this build has no such queues.
    pub(crate) fn open(&self) -> Opened {
        match &self.service {
            Service::Amazon { region, endpoint } => amazon(self, (region.clone(), endpoint.clone())),
            Service::Azure { identity } => azure(self, identity),
        }
    }

    /// Whether this build has queues of its service.
    pub(crate) fn is_in_build(&self) -> bool {
        match self.service {
            Service::Amazon { .. } => cfg!(feature = "sqs"),
            Service::Azure { .. } => cfg!(feature = "azure-queue"),
        }
    }

    /// The keys that name files.
    pub(crate) const FILES: [&'static str; 2] = ["certificate-file", "token-file"];
}

fn is_azure(url: &str, provider: Option<&str>) -> bool {
    let host = Url::parse(url).ok().and_then(|url| Some(url.host_str()?.to_owned())).unwrap_or_default();
    if AZURE.iter().any(|end| host.ends_with(end)) {
        return true;
    }
    let is_amazon = host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
    !is_amazon && provider.is_some_and(|provider| OF_AZURE.contains(&provider))
}

#[cfg(feature = "sqs")]
fn amazon(queue: &QueuePlan, (region, endpoint): (Option<String>, Option<String>)) -> Opened {
    use supercargo_engine::events::pull::{SqsOptions, SqsQueue};

    let mut options = SqsOptions::new(&queue.url);
    (options.region, options.endpoint) = (region, endpoint);
    Ok(Arc::new(SqsQueue::new(options).map_err(broken)?))
}

#[cfg(not(feature = "sqs"))]
fn amazon(_: &QueuePlan, _: (Option<String>, Option<String>)) -> Opened {
    Err(absent("Amazon SQS", "sqs"))
}

#[cfg(feature = "azure-queue")]
fn azure(queue: &QueuePlan, identity: &BTreeMap<&'static str, String>) -> Opened {
    use supercargo_engine::events::Secret;
    use supercargo_engine::events::pull::{AzureAccess, AzureQueue, AzureQueueOptions};

    let access = match &queue.secret {
        Some(_) if !identity.is_empty() => {
            let keys: Vec<_> = identity.keys().copied().collect();
            return Err(vec![format!("it has a secret and {}; give one", keys.join(", "))]);
        }
        Some(secret) => AzureAccess::of_secret(&Secret::new(secret)).map_err(broken)?,
        None => AzureAccess::Identity(entra::tokens(queue, identity)?),
    };
    let proxy = Url::parse(&queue.url).ok().and_then(|url| crate::proxy::of_url(&url, &queue.environment));
    let proxy = proxy.map(|proxy| proxy.expose().to_owned());
    let options = AzureQueueOptions { url: queue.url.clone(), access, proxy };
    Ok(Arc::new(AzureQueue::new(options).map_err(broken)?))
}

#[cfg(not(feature = "azure-queue"))]
fn azure(queue: &QueuePlan, _: &BTreeMap<&'static str, String>) -> Opened {
    let _ = (&queue.secret, &queue.environment);
    Err(absent("Azure Queue Storage", "azure-queue"))
}

#[cfg(any(feature = "azure-queue", feature = "sqs"))]
fn broken(error: impl std::error::Error) -> Vec<String> {
    vec![format!("failed to {}", crate::text::chain(&error))]
}

#[cfg(not(all(feature = "azure-queue", feature = "sqs")))]
fn absent(service: &str, feature: &str) -> Vec<String> {
    vec![format!("queues of {service} are not in this build: build with --features {feature}")]
}

/// Tokens of Microsoft Entra for a queue.
#[cfg(feature = "azure-queue")]
mod entra {
    use std::collections::BTreeMap;
    use std::fmt;
    use std::sync::Arc;

    use async_trait::async_trait;
    use supercargo_engine::events::pull::{AzureTokens, PullError};
    use supercargo_engine::registry::{AcrOptions, EntraTokens, Secret, TransportConfig};
    use url::Url;

    use super::{QueuePlan, broken};
    use crate::proxy;

    /// What a token for a queue is for, in every cloud.
    const AUDIENCE: &str = "https://storage.azure.com";
    /// Where tokens come from, by the ends of the queues' hosts; elsewhere that of the public cloud.
    const AUTHORITIES: [(&str, &str); 2] = [
        (".usgovcloudapi.net", "https://login.microsoftonline.us"),
        (".chinacloudapi.cn", "https://login.chinacloudapi.cn"),
    ];

    pub(super) fn tokens(
        queue: &QueuePlan,
        identity: &BTreeMap<&'static str, String>,
    ) -> Result<Arc<dyn AzureTokens>, Vec<String>> {
        let options = AcrOptions::read(identity).map_err(|problems| {
            let about =
                |problem: &supercargo_engine::registry::Problem| format!("{}: {}", problem.key, problem.message);
            problems.iter().map(about).collect::<Vec<_>>()
        })?;
        let variable = |name: &&str| Some(((*name).to_owned(), Secret::from(queue.environment.text(name)?)));
        let mut options = options.with_variables(&AcrOptions::VARIABLES.iter().filter_map(variable).collect());
        if options.authority.is_none() {
            let host = Url::parse(&queue.url).ok().and_then(|url| Some(url.host_str()?.to_owned())).unwrap_or_default();
            let found = AUTHORITIES.iter().find(|(end, _)| host.ends_with(end));
            options.authority = found.map(|(_, authority)| authority.parse().expect("a constant address"));
        }
        let entra = options.authority.clone();
        let entra = entra.unwrap_or_else(|| "https://login.microsoftonline.com".parse().expect("a constant address"));
        let transport =
            TransportConfig { proxy: proxy::of_url(&entra, &queue.environment), ..TransportConfig::default() };
        let tokens = EntraTokens::new(&options, AUDIENCE, &transport).map_err(broken)?;
        Ok(Arc::new(Tokens(tokens)))
    }

    struct Tokens(EntraTokens);

    #[async_trait]
    impl AzureTokens for Tokens {
        async fn token(&self) -> Result<String, PullError> {
            match self.0.token().await {
                Ok(token) => Ok(token.expose().to_owned()),
                Err(error) if error.is_retryable() => {
                    Err(PullError::passing("sign in to the queue").with_source(error))
                }
                Err(error) => Err(PullError::lasting("sign in to the queue").with_source(error)),
            }
        }
    }

    impl fmt::Debug for Tokens {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Entra")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_queue() {
        let check =
            |url: &str, provider: &str, expected: bool| assert_eq!(is_azure(url, Some(provider)), expected, "{url}");
        check("https://acme.queue.core.windows.net/events", "event-grid", true);
        check("https://acme.queue.core.windows.net/events", "generic", true);
        check("https://acme.queue.core.usgovcloudapi.net/events", "event-grid", true);
        check("http://127.0.0.1:10001/acme/events", "event-grid", true);
        check("https://sqs.eu-central-1.amazonaws.com/1/events", "eventbridge", false);
        check("https://sqs.eu-central-1.amazonaws.com/1/events", "event-grid", false);
        check("http://127.0.0.1:4566/1/events", "eventbridge", false);
        check("events", "eventbridge", false);
        assert!(is_azure("https://acme.queue.core.windows.net/events", None));
    }
}
