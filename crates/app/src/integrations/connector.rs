//! From an integration to a registry adapter of this build.

use std::sync::Arc;

use supercargo_engine::events::Source;
use supercargo_engine::integration::{Connection, Connector, Credentials as Sealed, event_sources, registry_settings};
use supercargo_engine::registry::{Repository, parse_registry};
use supercargo_engine::store::Integration;
use supercargo_engine::{Error, ErrorKind, Puller, Result, Watch, registry};

use crate::credentials::Credentials;
use crate::{Environment, proxy};

/// Connects by the adapters of this build, through this machine's proxies, as whom it is signed in.
#[derive(Debug)]
pub(crate) struct MachineConnector {
    environment: Environment,
    credentials: Credentials,
}

impl MachineConnector {
    /// A connector of the machine that `environment` speaks of.
    pub(crate) fn new(environment: &Environment) -> Result<Self, String> {
        Ok(Self { environment: environment.clone(), credentials: Credentials::of(environment)? })
    }
}

fn configuration(operation: &str, problems: &[String]) -> Error {
    Error::new(ErrorKind::Configuration, format!("{operation}: {}", problems.join("; ")))
}

impl Connector for MachineConnector {
    fn connect(&self, integration: &Integration, sealed: &Sealed) -> Result<Connection> {
        let operation = format!("read the settings of {}", integration.name);
        let read = parse_registry(&registry_settings(integration));
        let mut config = read.and_then(|config| config.load_files(|path| std::fs::read(path))).map_err(|error| {
            let problems: Vec<String> =
                error.problems().iter().map(|one| format!("{}: {}", one.key, one.message)).collect();
            let problems = if problems.is_empty() { vec![error.to_string()] } else { problems };
            configuration(&operation, &problems)
        })?;
        let mut problems = Vec::new();
        if config.port.is_some() {
            problems.push("port: an integration's webhooks come to the address of the server".to_owned());
        }
        if let [first, _, ..] = &config.clone().registries()[..] {
            let told = "repository: in sub-domains each is a registry of its own";
            problems.push(format!("{told}; make an integration for each, such as {}", first.host));
        }
        problems.extend(proxy::apply(&mut config, &self.environment).err());
        if !problems.is_empty() {
            return Err(configuration(&operation, &problems));
        }
        config.take_variables(|name| self.environment.text(name));
        // Those of the environment are for the registry that the command line names, and for no other.
        let credentials = sealed.provider(self.credentials.machine());
        let adapter = registry::build(&config, credentials).map_err(|error| {
            Error::new(ErrorKind::Configuration, format!("open {}", integration.registry)).with_source(error)
        })?;
        let (host, filter) = (config.host.to_string(), config.filter.clone());
        let watch = Watch {
            filter: Some(Arc::new(move |repository: &Repository| filter.admits(&host, repository))),
            ..Watch::new(adapter)
        };
        let sources = event_sources(integration, sealed)?;
        match integration.settings.get("events-queue") {
            None => {
                let sources = sources.into_iter().map(Arc::from).collect();
                Ok(Connection { watch, sources, queue: None })
            }
            Some(url) => {
                let queue = queue(integration, url, sources, &operation)?;
                Ok(Connection { watch, sources: Vec::new(), queue: Some(Arc::new(queue)) })
            }
        }
    }
}

fn queue(integration: &Integration, url: &str, sources: Vec<Box<dyn Source>>, operation: &str) -> Result<Puller> {
    let Ok([source]) = <[Box<dyn Source>; 1]>::try_from(sources) else {
        let told = "events-queue: one sender's events are in it; name that one with events=".to_owned();
        return Err(configuration(operation, &[told]));
    };
    #[cfg(feature = "sqs")]
    {
        use supercargo_engine::events::pull::{SqsOptions, SqsQueue};

        let mut options = SqsOptions::new(url);
        options.region = integration.settings.get("events-queue-region").cloned();
        options.endpoint = integration.settings.get("events-queue-endpoint").cloned();
        let queue = SqsQueue::new(options)
            .map_err(|error| Error::new(ErrorKind::Configuration, operation).with_source(error))?;
        Ok(Puller::new(integration.name.clone(), source, Arc::new(queue)))
    }
    #[cfg(not(feature = "sqs"))]
    {
        let _ = (source, url, &integration.name);
        Err(configuration(operation, &["events-queue: queues are not in this build".to_owned()]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn integration(kind: &str, registry: &str, settings: &[(&str, &str)]) -> Integration {
        let settings: BTreeMap<_, _> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let now = jiff::Timestamp::UNIX_EPOCH;
        Integration {
            id: supercargo_engine::store::IntegrationId(1),
            name: "prod".to_owned(),
            kind: kind.to_owned(),
            registry: registry.to_owned(),
            settings,
            policy: Default::default(),
            credentials: None,
            state: supercargo_engine::store::IntegrationState::Pending,
            reason: None,
            advice: None,
            since: now,
            created_at: now,
            tested_at: None,
            first_event: None,
            last_event: None,
            removed_at: None,
            removed_data: None,
            revision: 0,
        }
    }

    #[test]
    fn an_integration_is_what_its_settings_say() {
        let environment = Environment::default().with("DOCKER_SCOUT_REGISTRY_TOKEN", "of the command line");
        let connector = MachineConnector::new(&environment).unwrap();
        let sealed = Sealed::default().with_event_secret().unwrap();
        let check = |kind: &str, settings: &[(&str, &str)], expected: Result<&[&str], &str>| {
            let connected = connector.connect(&integration(kind, "registry.test", settings), &sealed);
            match (connected, expected) {
                (Ok(connection), Ok(sources)) => {
                    assert_eq!(connection.watch.host(), "registry.test");
                    let found: Vec<_> = connection.sources.iter().map(|source| source.name()).collect();
                    assert_eq!(found, sources);
                }
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (found, _) => panic!("{kind} {settings:?}: {found:?}"),
            }
        };
        check("oci", &[], Ok(&[]));
        check("oci", &[("include", "team/*,other/*"), ("plain-http", "true")], Ok(&[]));
        check("oci", &[("events", "distribution")], Ok(&["distribution"]));
        check("oci", &[("port", "9000")], Err("port"));
        check("oci", &[("colour", "red"), ("concurrency", "lots")], Err("colour"));
        check("oci", &[("events", "pigeon")], Err("pigeon"));
        check("oci", &[("events-queue", "https://queue.test/1/q")], Err("events-queue"));
    }
}
