//! From an integration to a registry adapter of this build.

use std::collections::BTreeMap;
use std::sync::Arc;

use supercargo_engine::events::Source;
use supercargo_engine::integration::{
    Connection, Connector, Credentials as Sealed, EventPath, event_providers, event_sources, registry_settings,
};
use supercargo_engine::registry::{Repository, parse_registry};
use supercargo_engine::setup::QUEUE;
use supercargo_engine::store::Integration;
use supercargo_engine::{Error, ErrorKind, Puller, Result, Watch, registry};

use super::path::MachinePath;
use crate::credentials::Credentials;
use crate::queue::QueuePlan;
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
        let plan = self.queue(integration, sealed).map_err(|problems| configuration(&operation, &problems))?;
        let Some(plan) = plan else {
            let path = MachinePath::of(integration, config.kind, sealed, &self.environment)?;
            let path = path.map(|path| Arc::new(path) as Arc<dyn EventPath>);
            return Ok(Connection {
                sources: sources.into_iter().map(Arc::from).collect(),
                path,
                ..Connection::new(watch)
            });
        };
        let Ok([source]) = <[Box<dyn Source>; 1]>::try_from(sources) else {
            let told = format!("{QUEUE}: one sender's events are in it; name that one with events=");
            return Err(configuration(&operation, &[told]));
        };
        let about = |problems: Vec<String>| {
            let problems: Vec<String> = problems.iter().map(|problem| format!("{QUEUE}: {problem}")).collect();
            configuration(&operation, &problems)
        };
        let queue = Puller::new(integration.name.clone(), source, plan.open().map_err(about)?);
        Ok(Connection { queue: Some(Arc::new(queue)), ..Connection::new(watch) })
    }
}

impl MachineConnector {
    /// The queue that the integration's events lie in, if its settings name one.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub(super) fn queue(&self, integration: &Integration, sealed: &Sealed) -> Result<Option<QueuePlan>, Vec<String>> {
        let given: BTreeMap<&str, &String> =
            integration.settings.iter().filter_map(|(key, value)| Some((key.strip_prefix(QUEUE)?, value))).collect();
        let Some(url) = given.get("") else {
            let stray = given.keys().map(|key| format!("{QUEUE}{key}: there is no {QUEUE}"));
            let stray: Vec<String> = stray.collect();
            return if stray.is_empty() { Ok(None) } else { Err(stray) };
        };
        let providers = event_providers(&integration.kind, &integration.settings);
        let provider = providers.map_err(|error| vec![error.to_string()])?.first().map(|provider| provider.name);
        let mut known = vec![String::new()];
        let take = |key: &str| {
            known.push(format!("-{key}"));
            given.get(format!("-{key}").as_str()).map(|value| (*value).clone())
        };
        let mut plan = QueuePlan::read((*url).clone(), provider, take, &self.environment);
        let unknown = given.keys().filter(|key| !known.iter().any(|one| one == *key));
        let mut problems: Vec<String> =
            unknown.map(|key| format!("{QUEUE}{key}: the queue knows no such key")).collect();
        let secret = sealed.queue.iter().map(|secret| secret.expose().to_owned()).collect();
        problems.extend(plan.set_secret(secret).err().map(|problem| format!("{QUEUE}: {problem}")));
        if problems.is_empty() { Ok(Some(plan)) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
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
        check("oci", &[("events", "distribution"), ("events-url", "supercargo.test")], Err("events-url"));
    }

    /// A queue is described as that of a source in the configuration file is.
    #[test]
    fn an_integration_has_a_queue_as_its_settings_say() {
        const SQS: (&str, &str) = ("events-queue", "https://sqs.eu-west-1.amazonaws.com/1/q");
        const AZURE: (&str, &str) = ("events-queue", "https://acme.queue.core.windows.net/events");
        let connector = MachineConnector::new(&Environment::default()).unwrap();
        let check = |kind: &str, settings: &[(&str, &str)], secret: Option<&str>, expected: Result<(), &str>| {
            let sealed = Sealed { queue: secret.map(Into::into), ..Sealed::default() };
            let found = connector.queue(&integration(kind, "registry.test", settings), &sealed);
            match (found.map_err(|problems| problems.join("; ")), expected) {
                (Ok(Some(_)), Ok(())) => {}
                (Err(problems), Err(part)) => assert!(problems.contains(part), "{problems}"),
                (found, _) => panic!("{kind} {settings:?}: {found:?}"),
            }
        };
        check("ecr", &[SQS], None, Ok(()));
        check("ecr", &[SQS, ("events-queue-region", "eu-west-1")], None, Ok(()));
        check("ecr", &[SQS], Some("hunter2"), Err("takes no secret"));
        check("ecr", &[SQS, ("events-queue-tenant", "t")], None, Err("events-queue-tenant"));
        check("acr", &[AZURE, ("events-queue-identity", "managed")], None, Ok(()));
        check("acr", &[AZURE], Some("sv=2021&sig=x"), Ok(()));
        check("acr", &[AZURE, ("events-queue-region", "eu-west-1")], None, Err("events-queue-region"));
        check("acr", &[("events-queue-region", "eu-west-1")], None, Err("there is no events-queue"));
        let none = connector.queue(&integration("acr", "registry.test", &[]), &Sealed::default());
        assert!(none.unwrap().is_none());
    }

    #[test]
    #[cfg(all(feature = "sqs", feature = "azure-queue", feature = "acr", feature = "ecr"))]
    fn queues_are_opened() {
        let connector = MachineConnector::new(&Environment::default()).unwrap();
        let check = |kind: &str, host: &str, settings: &[(&str, &str)], secret: &str, expected: Result<(), &str>| {
            let sealed = Sealed { queue: (!secret.is_empty()).then(|| secret.into()), ..Sealed::default() };
            match (connector.connect(&integration(kind, host, settings), &sealed), expected) {
                (Ok(connection), Ok(())) => assert!(connection.queue.is_some() && connection.path.is_none()),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (found, _) => panic!("{kind} {settings:?}: {found:?}"),
            }
        };
        let queue = |url: &'static str| ("events-queue", url);
        let (ecr, acr) = ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "acme.azurecr.io");
        check("ecr", ecr, &[queue("https://sqs.eu-west-1.amazonaws.com/1/q")], "", Ok(()));
        check("ecr", ecr, &[queue("q")], "", Err("expected its address"));
        check("acr", acr, &[queue("https://acme.queue.core.windows.net/events")], "sv=2021&sig=x", Ok(()));
        check("acr", acr, &[queue("https://acme.queue.core.windows.net/events")], "", Ok(()));
        let both = [queue("https://acme.queue.core.windows.net/events"), ("events-queue-identity", "managed")];
        check("acr", acr, &both, "sv=2021&sig=x", Err("give one"));
        check("acr", acr, &[queue("https://acme.queue.core.windows.net/")], "sv=2021&sig=x", Err("expected https"));
    }
}
