//! Who we are to registries: the environment, else docker's configuration.

use std::collections::BTreeSet;
use std::sync::Arc;

use supercargo_engine::registry::{
    Credential, CredentialProvider, DockerConfig, ProductCredentials, RegistryConfig, RegistryKind, Secret,
};

use crate::Environment;

const USER: &str = "DOCKER_SCOUT_REGISTRY_USER";
const PASSWORD: &str = "DOCKER_SCOUT_REGISTRY_PASSWORD";
const TOKEN: &str = "DOCKER_SCOUT_REGISTRY_TOKEN";

/// The products whose APIs have credentials of their own.
const PRODUCTS: [Product; 3] = [
    Product {
        kind: RegistryKind::Artifactory,
        user: "DOCKER_SCOUT_ARTIFACTORY_API_USER",
        password: "DOCKER_SCOUT_ARTIFACTORY_API_PASSWORD",
        // An access token says whose it is.
        takes_token: true,
    },
    Product {
        kind: RegistryKind::Harbor,
        user: "DOCKER_SCOUT_HARBOR_API_USER",
        password: "DOCKER_SCOUT_HARBOR_API_PASSWORD",
        takes_token: false,
    },
    Product {
        kind: RegistryKind::Nexus,
        user: "DOCKER_SCOUT_NEXUS_API_USER",
        password: "DOCKER_SCOUT_NEXUS_API_PASSWORD",
        takes_token: false,
    },
];

#[derive(Debug)]
struct Product {
    kind: RegistryKind,
    user: &'static str,
    password: &'static str,
    /// The password alone is a bearer token.
    takes_token: bool,
}

impl Product {
    fn credential(&self, environment: &Environment) -> Result<Option<Credential>, String> {
        let Self { user, password, .. } = self;
        Ok(Some(match (environment.text(user), environment.text(password)) {
            (None, None) => return Ok(None),
            (Some(user), Some(password)) => Credential::basic(user, password),
            (None, Some(token)) if self.takes_token => Credential::Bearer { token: Secret::from(token) },
            (Some(_), None) => return Err(format!("{password}: it is missing, and {user} is set")),
            (None, Some(_)) => return Err(format!("{user}: it is missing, and {password} is set")),
        }))
    }
}

/// Where credentials come from.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    given: Option<Credential>,
    products: Vec<(&'static Product, Credential)>,
    docker: Arc<dyn CredentialProvider>,
}

impl Credentials {
    /// Those of `environment`, or what is wrong with them.
    pub(crate) fn of(environment: &Environment) -> Result<Self, String> {
        let given = match (environment.text(TOKEN), environment.text(USER), environment.text(PASSWORD)) {
            (Some(token), None, None) => Some(Credential::Bearer { token: Secret::from(token) }),
            (None, Some(user), Some(password)) => Some(Credential::basic(user, password)),
            (None, None, None) => None,
            (Some(_), _, _) => return Err(format!("{TOKEN}, {USER}: set the token, or the user and the password")),
            (None, Some(_), None) => return Err(format!("{PASSWORD}: it is missing, and {USER} is set")),
            (None, None, Some(_)) => return Err(format!("{USER}: it is missing, and {PASSWORD} is set")),
        };
        let mut products = Vec::new();
        for product in &PRODUCTS {
            products.extend(product.credential(environment)?.map(|credential| (product, credential)));
        }
        let docker: Arc<dyn CredentialProvider> = match environment.docker_config() {
            Some(path) => Arc::new(DockerConfig::new(path)),
            None => Arc::new(Credential::Anonymous),
        };
        Ok(Self { given, products, docker })
    }

    /// Checks that credentials of the environment go to one registry each. With several of them nothing says whose they
    /// are, and sending them to all would show them to strangers.
    pub(crate) fn check<'a>(&self, registries: impl IntoIterator<Item = &'a RegistryConfig>) -> Result<(), String> {
        let registries: Vec<&RegistryConfig> = registries.into_iter().collect();
        let servers = |kind: Option<RegistryKind>| {
            let asked = registries.iter().filter(|config| kind.is_none_or(|kind| config.kind == kind));
            asked.map(|config| server(config)).collect::<BTreeSet<_>>().len()
        };
        for (product, _) in &self.products {
            let count = servers(Some(product.kind));
            if count > 1 {
                return Err(format!(
                    "{}: it is for one registry, and {count} with type={} are named; sign in to each with `docker login`",
                    product.password, product.kind
                ));
            }
        }
        let count = servers(None);
        if self.given.is_some() && count > 1 {
            return Err(format!(
                "{USER}, {TOKEN}: they are for one registry, and {count} are named; sign in to each with `docker login`"
            ));
        }
        Ok(())
    }

    /// What the machine is signed in to, without what the environment says for one registry.
    pub(crate) fn machine(&self) -> Arc<dyn CredentialProvider> {
        Arc::clone(&self.docker)
    }

    /// The provider for one registry: the product's credentials for its API, and for pulls unless there are others.
    pub(crate) fn provider(&self, config: &RegistryConfig) -> Arc<dyn CredentialProvider> {
        let given = self.given.as_ref().map(share);
        let product = self.products.iter().find(|(product, _)| product.kind == config.kind);
        let Some(product) = product.map(|(_, credential)| share(credential)) else {
            return given.unwrap_or_else(|| Arc::clone(&self.docker));
        };
        let registry = given.unwrap_or_else(|| Arc::clone(&product));
        Arc::new(ProductCredentials { api: product, registry })
    }
}

fn share(credential: &Credential) -> Arc<dyn CredentialProvider> {
    Arc::new(credential.clone())
}

/// Who sees what is sent to a registry. The sub-domains of one Artifactory are one server.
fn server(config: &RegistryConfig) -> String {
    match &config.api {
        Some(api) => api.origin().ascii_serialization(),
        None => config.host.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use supercargo_engine::registry::parse_registry;

    use super::*;

    const ARTIFACTORY: [&str; 2] = ["DOCKER_SCOUT_ARTIFACTORY_API_USER", "DOCKER_SCOUT_ARTIFACTORY_API_PASSWORD"];
    const HARBOR: [&str; 2] = ["DOCKER_SCOUT_HARBOR_API_USER", "DOCKER_SCOUT_HARBOR_API_PASSWORD"];

    fn config(text: &str) -> RegistryConfig {
        parse_registry(text).unwrap()
    }

    fn credentials(variables: &[&str]) -> Result<Credentials, String> {
        // Each variable holds its own name, so that it can be told which was used.
        let environment = variables.iter().fold(Environment::default(), |all, name| all.with(*name, *name));
        Credentials::of(&environment)
    }

    #[test]
    fn which_credentials() {
        let check = |variables: &[&str], expected: Result<bool, &str>| {
            let environment = variables.iter().fold(Environment::default(), |all, name| all.with(*name, "hunter2"));
            let credentials = Credentials::of(&environment);
            let found = credentials.as_ref().map(|credentials| credentials.given.is_some());
            assert_eq!(found.map_err(|message| message.split([',', ':']).next().unwrap()), expected, "{variables:?}");
            assert!(!format!("{credentials:?}").contains("hunter2") || variables.contains(&USER));
        };
        check(&[], Ok(false));
        check(&[USER, PASSWORD], Ok(true));
        check(&[TOKEN], Ok(true));
        check(&[USER], Err(PASSWORD));
        check(&[PASSWORD], Err(USER));
        check(&[TOKEN, USER, PASSWORD], Err(TOKEN));
        check(&[ARTIFACTORY[0]], Err(ARTIFACTORY[1]));
        check(&[ARTIFACTORY[1]], Ok(false));
        check(&[HARBOR[0]], Err(HARBOR[1]));
        check(&[HARBOR[1]], Err(HARBOR[0]));
    }

    #[test]
    fn one_credential_is_not_shown_to_two_registries() {
        let check = |variables: &[&str], registries: &[&str], expected: bool| {
            let configs: Vec<_> = registries.iter().flat_map(|text| config(text).registries()).collect();
            let checked = credentials(variables).unwrap().check(&configs);
            assert_eq!(checked.is_ok(), expected, "{variables:?} {registries:?}: {checked:?}");
        };
        let first = "type=artifactory,registry=a.test,api=https://a.test/artifactory,repository=x";
        let second = "type=artifactory,registry=b.test,api=https://b.test/artifactory,repository=x";
        let parts =
            "type=artifactory,registry=a.test,api=https://a.test/artifactory,subdomain-mode=true,\"repository=x,y\"";
        check(&[TOKEN], &["a.test"], true);
        check(&[TOKEN], &["a.test", "b.test"], false);
        check(&[], &["a.test", "b.test"], true);
        check(&ARTIFACTORY, &[first, "b.test", "type=harbor,registry=c.test"], true);
        check(&ARTIFACTORY, &[first, second], false);
        check(&ARTIFACTORY, &[parts], true);
        check(&HARBOR, &[first, second], true);
        check(&[&ARTIFACTORY[..], &[USER, PASSWORD]].concat(), &[first, "b.test"], false);
    }

    #[tokio::test]
    async fn product_credentials_are_for_its_api_and_for_pulls_unless_there_are_others() {
        let check = async |variables: &[&str], text: &str, api: &str, pulls: &str| {
            let config = config(text);
            let provider = credentials(variables).unwrap().provider(&config);
            let shown = |credential: Credential| match credential {
                Credential::Anonymous => "nothing".to_owned(),
                Credential::Basic { username, .. } => username,
                Credential::Bearer { token } => format!("Bearer {}", token.expose()),
                Credential::Identity { .. } => "an identity token".to_owned(),
            };
            let found = (
                shown(provider.api_credential(&config.host).await.unwrap()),
                shown(provider.credential(&config.host).await.unwrap()),
            );
            assert_eq!(found, (api.to_owned(), pulls.to_owned()), "{variables:?} {text}");
        };
        let artifactory = "type=artifactory,registry=a.test,api=https://a.test/artifactory,repository=x";
        let harbor = "type=harbor,registry=c.test";
        check(&ARTIFACTORY, artifactory, ARTIFACTORY[0], ARTIFACTORY[0]).await;
        check(
            &ARTIFACTORY[1..],
            artifactory,
            &format!("Bearer {}", ARTIFACTORY[1]),
            &format!("Bearer {}", ARTIFACTORY[1]),
        )
        .await;
        check(&[&ARTIFACTORY[..], &[USER, PASSWORD]].concat(), artifactory, ARTIFACTORY[0], USER).await;
        check(&[USER, PASSWORD], artifactory, USER, USER).await;
        check(&ARTIFACTORY, harbor, "nothing", "nothing").await;
        check(&HARBOR, harbor, HARBOR[0], HARBOR[0]).await;
        check(&HARBOR, "c.test", "nothing", "nothing").await;
    }
}
