//! From flags, variables and tables to the sinks that metadata is delivered to.

mod build;
mod fields;

use std::path::PathBuf;

use clap::Args;
use supercargo_engine::{Registries, Route};

pub(crate) use self::build::scout_client;
pub(crate) use self::fields::Fields;
use crate::flag::{self, Flag};
use crate::{Environment, settings};

/// Where metadata goes.
#[derive(Args, Clone, Debug)]
pub(crate) struct SinkArgs {
    /// Place to deliver metadata to, as key=value fields: "type=webhook,url=https://…,secret-file=…". May be repeated
    #[arg(long, value_name = "SINK", env = "SUPERCARGO_SINK", hide_env_values = true, help_heading = "Delivery")]
    pub(crate) sink: Vec<String>,

    /// Send the values of the environment variables of images, too, and not only their names
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = flag::parse, env = "SUPERCARGO_SEND_ENV_VALUES", hide_env_values = true, value_name = "BOOL", help_heading = "Delivery")]
    pub(crate) send_env_values: Flag,
}

/// A sink as a flag or a table says it. Secrets are named by files and variables, and read when the sink is built.
#[derive(Clone, Debug)]
pub(crate) struct SinkConfig {
    /// What it is called when something is wrong with it: the flag, or file and line.
    pub(crate) origin: String,
    /// Its name, if it has one of its own.
    pub(crate) name: Option<String>,
    /// The folder that relative paths begin in.
    pub(crate) folder: PathBuf,
    /// Keys and values.
    pub(crate) fields: Vec<(String, String)>,
}

impl SinkConfig {
    /// Reads what a flag says: one CSV record of `key=value`.
    ///
    /// # Errors
    ///
    /// What is wrong with its form.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut fields = Vec::new();
        for value in flag::values(text).map_err(|error| format!("--sink: {error}"))?.0 {
            let Some((key, value)) = value.split_once('=') else {
                return Err(format!("--sink: {value:?}: expected key=value"));
            };
            fields.push((key.trim().to_owned(), value.to_owned()));
        }
        Ok(Self { origin: "--sink".to_owned(), name: None, folder: PathBuf::new(), fields })
    }

    /// An organization at Docker Scout, as `--org` names it.
    fn organization(organization: &str, sbom: bool) -> Self {
        let fields = [("type", "scout"), ("organization", organization), ("sbom", if sbom { "true" } else { "false" })];
        Self {
            origin: "--org".to_owned(),
            name: None,
            folder: PathBuf::new(),
            fields: fields.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        }
    }
}

/// What sinks are made from, beside their own fields.
pub(crate) struct Surroundings<'a> {
    pub(crate) environment: &'a Environment,
    /// The registries that are watched, now and later, for the sink that attaches to their images.
    pub(crate) registries: Registries,
    pub(crate) send_env_values: bool,
}

/// What is asked for, before anything is built.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sinks {
    configs: Vec<SinkConfig>,
    send_env_values: bool,
}

impl Sinks {
    /// Reads the flags; `tables` are those of a configuration file, which count unless a flag names others.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with their form.
    pub(crate) fn read(
        args: &SinkArgs,
        organization: Option<&str>,
        sbom: bool,
        tables: Vec<SinkConfig>,
        environment: &Environment,
    ) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut configs = Vec::new();
        for text in &args.sink {
            match SinkConfig::parse(text) {
                Ok(config) => configs.push(config),
                Err(problem) => problems.push(problem),
            }
        }
        if args.sink.is_empty() {
            configs.extend(tables);
        }
        let organization = match organization {
            Some(organization) => Some(organization.to_owned()),
            None => settings::organization(environment).map_err(|problem| problems.push(problem)).unwrap_or_default(),
        };
        if let Some(organization) = organization {
            configs.push(SinkConfig::organization(&organization, sbom));
        }
        if problems.is_empty() {
            Ok(Self { configs, send_env_values: args.send_env_values.is_set() })
        } else {
            Err(problems)
        }
    }

    /// The sinks, ready to be served.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, at once.
    pub(crate) fn routes(&self, registries: Registries, environment: &Environment) -> Result<Vec<Route>, Vec<String>> {
        let around = Surroundings { environment, registries, send_env_values: self.send_env_values };
        let mut problems = Vec::new();
        let mut routes: Vec<Route> = Vec::new();
        for config in &self.configs {
            match build::route(config, &around) {
                Ok(route) if routes.iter().any(|other| other.name == route.name) => problems.push(format!(
                    "{}: a sink called {} is there already; give it another name=",
                    config.origin, route.name
                )),
                Ok(route) => routes.push(route),
                Err(found) => problems.extend(found),
            }
        }
        let attaching = routes.iter().filter(|route| route.sink.kind() == "referrer").count();
        if attaching > 1 {
            problems.push("--sink: two of type referrer would write over each other's lists; name all forms in one: format=spdx+cyclonedx".to_owned());
        }
        if problems.is_empty() { Ok(routes) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(flags: &[&str], environment: &Environment) -> Result<Vec<Route>, Vec<String>> {
        let args = SinkArgs {
            sink: flags.iter().map(ToString::to_string).collect(),
            send_env_values: flag::parse("0").unwrap(),
        };
        Sinks::read(&args, None, true, Vec::new(), environment)?.routes(Registries::default(), environment)
    }

    #[test]
    fn flags_become_sinks() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        std::fs::write(&key, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nan-older-key-of-some-length\n").unwrap();
        let key = key.display();
        let environment = Environment::default().with("DT_KEY", "odt_1");
        let found = routes(
            &[
                &format!("type=webhook,url=https://hooks.example.com/x,secret-file={key},concurrency=2"),
                "type=slack,name=ops,url=https://hooks.slack.com/services/T/B/X",
                "type=dependency-track,url=https://dt.example.com,api-key-env=DT_KEY,version={tag}-{platform}",
                "type=referrer,format=spdx+scout,send-env-values=true",
                "type=scout,organization=acme,user=acme,password-env=DT_KEY",
            ],
            &environment,
        )
        .unwrap();
        let shown: Vec<_> =
            found.iter().map(|route| (route.name.as_str(), route.sink.kind(), route.concurrency)).collect();
        assert_eq!(
            shown,
            [
                ("webhook", "webhook", 2),
                ("ops", "slack", 4),
                ("dependency-track", "dependency-track", 4),
                ("referrer", "referrer", 4),
                ("scout", "scout", 8),
            ]
        );
        assert_eq!(found.iter().filter(|route| route.environment_values).count(), 1);
        assert!(!format!("{found:?}").contains("odt_1"));
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let problems = routes(
            &[
                "type=webhook",
                "type=webhook,url=http://hooks.example.com/",
                "type=carrier-pigeon",
                "url=https://x.test",
                "type=slack,url=https://x.test,color=red",
                "type=dependency-track,url=https://x.test,api-key-env=NOT_SET",
                "type=referrer,format=pdf",
                "type=slack,url=https://x.test,concurrency=0",
                "type=slack,url=https://x.test,private=maybe",
            ],
            &Environment::default(),
        )
        .unwrap_err();
        for part in [
            "--sink webhook: url: it is missing",
            "plain-http=true",
            "carrier-pigeon",
            "type: it is missing",
            "color: there is no such key",
            "NOT_SET is not set",
            "\"pdf\"",
            "concurrency",
            "private: expected true or false",
        ] {
            assert!(problems.iter().any(|problem| problem.contains(part)), "{part} in {problems:#?}");
        }
        assert!(routes(&["nonsense"], &Environment::default()).unwrap_err()[0].contains("key=value"));
        let twice = ["type=slack,url=https://x.test", "type=slack,url=https://y.test"];
        assert!(routes(&twice, &Environment::default()).unwrap_err()[0].contains("another name="));
    }

    #[test]
    fn the_organization_is_a_sink() {
        let args = SinkArgs { sink: Vec::new(), send_env_values: flag::parse("1").unwrap() };
        let environment = Environment::default()
            .with("DOCKER_SCOUT_HUB_USER", "acme")
            .with("DOCKER_SCOUT_HUB_PASSWORD", "dckr_oat_x");
        let sinks = Sinks::read(&args, Some("acme"), false, Vec::new(), &environment).unwrap();
        let routes = sinks.routes(Registries::default(), &environment).unwrap();
        assert_eq!((routes[0].name.as_str(), routes[0].environment_values), ("scout", true));
        assert!(!format!("{routes:?}").contains("dckr_oat_x"));
    }
}
