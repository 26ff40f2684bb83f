//! Who we are to registries: the environment, else docker's configuration.

use std::sync::Arc;

use supercargo_engine::registry::{Credential, CredentialProvider, DockerConfig, Secret};

use crate::Environment;

const USER: &str = "DOCKER_SCOUT_REGISTRY_USER";
const PASSWORD: &str = "DOCKER_SCOUT_REGISTRY_PASSWORD";
const TOKEN: &str = "DOCKER_SCOUT_REGISTRY_TOKEN";

/// Where credentials come from.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    given: Option<Credential>,
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
        let docker: Arc<dyn CredentialProvider> = match environment.docker_config() {
            Some(path) => Arc::new(DockerConfig::new(path)),
            None => Arc::new(Credential::Anonymous),
        };
        Ok(Self { given, docker })
    }

    /// Checks that the environment's credentials go to one registry. With several of them nothing says whose they
    /// are, and sending them to all would show them to strangers.
    pub(crate) fn check(&self, registries: usize) -> Result<(), String> {
        if self.given.is_some() && registries > 1 {
            return Err(format!(
                "{USER}, {TOKEN}: they are for one registry, and {registries} are named; sign in to each with `docker login`"
            ));
        }
        Ok(())
    }

    /// The provider for one registry.
    pub(crate) fn provider(&self) -> Arc<dyn CredentialProvider> {
        match &self.given {
            Some(credential) => Arc::new(credential.clone()),
            None => Arc::clone(&self.docker),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    #[test]
    fn one_credential_is_not_shown_to_two_registries() {
        let credentials = Credentials::of(&Environment::default().with(TOKEN, "t")).unwrap();
        assert!(credentials.check(1).is_ok());
        assert!(credentials.check(2).is_err());
        assert!(Credentials::of(&Environment::default()).unwrap().check(2).is_ok());
    }
}
