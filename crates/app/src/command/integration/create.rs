//! `supercargo integration create`.

mod kinds;

use std::collections::BTreeMap;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use supercargo_engine::integration::Credentials;
use supercargo_engine::registry::{RegistryKind, parse_registry};
use supercargo_engine::setup::{EVENTS, EventWay, PUBLIC_URL, Setup};
use supercargo_engine::store::{Integration, IntegrationPolicy, NewIntegration, RepositoryOrigin};

use self::kinds::{AcrArgs, ArtifactoryArgs, EcrArgs, HarborArgs, NexusArgs, OciArgs};
use super::given::{LoginArgs, PublicUrlArgs};
use super::list::Item;
use super::open::actor;
use super::policy::PolicyArgs;
use super::show::{next_of_new, tell_next};
use crate::command::list::{ListFormat, print_failed};
use crate::integrations::KeyArgs;
use crate::text::printable;
use crate::watch::args::DataArgs;
use crate::{Environment, Error, Exit, Output, Result, cli, data};

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// Amazon ECR: one account and region
    Ecr(EcrArgs),
    /// Azure Container Registry
    Acr(AcrArgs),
    /// JFrog Artifactory
    Artifactory(ArtifactoryArgs),
    /// Harbor
    Harbor(HarborArgs),
    /// Sonatype Nexus
    Nexus(NexusArgs),
    /// Any registry that speaks the OCI distribution protocol
    Oci(OciArgs),
}

/// What every sort of registry takes.
#[derive(Args, Debug)]
struct CommonArgs {
    /// What to call it: letters, digits, `.`, `_` and `-`
    #[arg(value_name = "NAME")]
    name: String,

    /// A field of a --registry string (docs/registries.md) that has no flag of its own here, or a setting of the events (docs/integrations.md). May be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = parameter)]
    parameter: Vec<(String, String)>,

    #[command(flatten)]
    policy: PolicyArgs,

    /// A repository that is wanted, by name: enabled from the start, and there even if the registry does not list it. May be repeated
    #[arg(long, value_name = "REPOSITORY", value_parser = NonEmptyStringValueParser::new(), help_heading = "Which images")]
    enable: Vec<String>,

    #[command(flatten)]
    login: LoginArgs,

    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    public_url: PublicUrlArgs,

    #[command(flatten)]
    data: DataArgs,

    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Which registry it is to be, and how it is reached.
#[derive(Debug)]
struct Draft {
    kind: RegistryKind,
    host: String,
    settings: BTreeMap<String, String>,
}

impl Draft {
    fn new(kind: RegistryKind, host: &str) -> Self {
        let host = host.trim_start_matches("https://").trim_end_matches('/').to_owned();
        Self { kind, host, settings: BTreeMap::new() }
    }

    fn set(&mut self, key: &str, value: impl Into<String>) {
        self.settings.insert(key.to_owned(), value.into());
    }

    /// Sets what is there.
    fn set_some(&mut self, key: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    fn set_list(&mut self, key: &str, values: &[crate::flag::Values]) {
        let values: Vec<&str> = values.iter().flat_map(|values| &values.0).map(String::as_str).collect();
        if !values.is_empty() {
            self.set(key, values.join(","));
        }
    }

    /// The one host that the images are named by, in the form in which the store names it.
    ///
    /// # Errors
    ///
    /// If there are several of them.
    fn settle_host(&mut self) -> Result<(), Vec<String>> {
        let own = [("type", self.kind.as_str()), ("registry", self.host.as_str())];
        let given = self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let fields = own.into_iter().chain(given).filter(|(key, _)| !key.starts_with(EVENTS));
        let quoted = |(key, value): (&str, &str)| format!("\"{key}={}\"", value.replace('"', "\"\""));
        // What is wrong with the fields is told with all else, when the integration is made.
        let Ok(config) = parse_registry(&fields.map(quoted).collect::<Vec<_>>().join(",")) else { return Ok(()) };
        let hosts: Vec<String> = config.registries().iter().map(|config| config.host.to_string()).collect();
        match &hosts[..] {
            [only] => self.host.clone_from(only),
            several => {
                let hosts = several.join(", ");
                return Err(vec![format!(
                    "--repository: in sub-domains each is a registry of its own; make an integration for each of {hosts}"
                )]);
            }
        }
        Ok(())
    }
}

pub(super) fn run(args: &CreateArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let (common, draft) = match &args.kind {
        Kind::Ecr(args) => (args.common(), args.draft()),
        Kind::Acr(args) => (args.common(), Ok(args.draft())),
        Kind::Artifactory(args) => (args.common(), Ok(args.draft())),
        Kind::Harbor(args) => (args.common(), Ok(args.draft())),
        Kind::Nexus(args) => (args.common(), Ok(args.draft())),
        Kind::Oci(args) => (args.common(), Ok(args.draft())),
    };
    let mut problems = Vec::new();
    let draft = draft.map_err(|found| problems.extend(found)).ok();
    let policy = common.policy.change(IntegrationPolicy::default()).map_err(|found| problems.extend(found)).ok();
    let (Some(mut draft), Some(policy), true) = (draft, policy, problems.is_empty()) else {
        return Err(Error::usage(problems));
    };
    if let Some(url) = common.public_url.given() {
        // The registry's side is about to be told it; connection tests call it.
        let calls_us = EventWay::chosen(draft.kind, &draft.settings).calls_us();
        draft.set_some(PUBLIC_URL, calls_us.then(|| url.trim_end_matches('/').to_owned()).as_ref());
    }
    draft.settings.extend(common.parameter.iter().cloned());
    draft.settle_host().map_err(Error::usage)?;
    let mut credentials = Credentials::default();
    common.login.read()?.apply(&mut credentials);
    let directory = common.data.directory(environment)?;
    let new = NewIntegration {
        settings: draft.settings,
        policy,
        ..NewIntegration::new(&common.name, draft.kind.as_str(), draft.host)
    };
    cli::block_on(async {
        let store = data::make(&directory).await?;
        let integrations = crate::integrations::to_change(store.clone(), &directory, &common.key, environment)?;
        let actor = actor(environment);
        let created = integrations.create(new, credentials, &actor).await?;
        if !common.enable.is_empty() {
            let named = common.enable.iter().map(|name| (name.clone(), true)).collect();
            store.set_repositories(created.id, named, RepositoryOrigin::Named, &actor).await?;
        }
        tell(&created, common, output)?;
        Ok(Exit::Done)
    })
}

fn tell(created: &Integration, common: &CommonArgs, output: &mut Output) -> Result<()> {
    let setup = Setup { public_url: common.public_url.given(), ..Setup::of(created)? };
    match common.output {
        ListFormat::Json => {
            let text =
                serde_json::to_string_pretty(&Item::of(created)).map_err(|error| Error::failed("print", error))?;
            writeln!(output.out(), "{text}").map_err(print_failed)?;
        }
        ListFormat::Table => {
            let Integration { name, kind, registry, state, .. } = created;
            writeln!(output.out(), "{name}: {kind} {}, {state}", printable(registry)).map_err(print_failed)?;
        }
    }
    output.flush().map_err(print_failed)?;
    let mut next = next_of_new(created, &setup);
    if common.enable.is_empty() && !created.policy.enable_on_push {
        output.say("no repository is enabled yet: nothing is indexed before one is");
    } else {
        next.retain(|command| !command.starts_with("supercargo repo"));
    }
    tell_next(&next, output);
    Ok(())
}
