//! `supercargo doctor`.

mod machine;

use std::io::{self, Write};

use clap::Args;
use serde::Serialize;
use supercargo_engine::registry::{self, Finding, Outcome, RegistryConfig, Repository, Subject, Target, diagnose};

use super::list::{JsonArray, ListFormat, print_failed};
use crate::credentials::Credentials;
use crate::text::printable;
use crate::watch::args::DataArgs;
use crate::watch::scope::load_registry;
use crate::{Environment, Error, Exit, Output, Result, cli, proxy};

#[derive(Args, Debug)]
pub(super) struct DoctorArgs {
    /// Registry to look at, as supercargo-watch takes it: its host, or key=value fields. May be repeated. Without it:
    /// this machine, with its data directory, its database and docker's configuration
    #[arg(long, value_name = "REGISTRY")]
    registry: Vec<String>,

    /// What to read from the registry, such as team/app or team/app:1.0 [default: the first repository with tags]
    #[arg(long, value_name = "REPOSITORY[:TAG]", requires = "registry")]
    repository: Option<Place>,

    #[command(flatten)]
    data: DataArgs,

    /// How the findings are printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

/// A repository, and what of it.
#[derive(Clone, Debug)]
struct Place {
    repository: Repository,
    target: Option<Target>,
}

impl std::str::FromStr for Place {
    type Err = registry::Error;

    fn from_str(text: &str) -> Result<Self, registry::Error> {
        let (name, target) = match text.split_once('@').or_else(|| text.split_once(':')) {
            Some((name, target)) => (name, Some(target.parse()?)),
            None => (text, None),
        };
        Ok(Self { repository: name.parse()?, target })
    }
}

/// A finding, of the machine or of a registry.
#[derive(Clone, Debug, Serialize)]
struct Entry {
    check: &'static str,
    outcome: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    seconds: f64,
}

impl From<&Finding> for Entry {
    fn from(finding: &Finding) -> Self {
        Self {
            check: finding.check.as_str(),
            outcome: finding.outcome.as_str(),
            detail: finding.detail.clone(),
            advice: finding.advice.clone(),
            seconds: (finding.took.as_secs_f64() * 1000.0).round() / 1000.0,
        }
    }
}

/// Everything that was found about one thing.
#[derive(Debug, Serialize)]
struct Report {
    /// The registry; `None`: this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<String>,
    healthy: bool,
    checks: Vec<Entry>,
}

impl Report {
    fn new(registry: Option<String>, checks: Vec<Entry>) -> Self {
        let healthy = checks.iter().all(|entry| entry.outcome != Outcome::Failed.as_str());
        Self { registry, healthy, checks }
    }
}

pub(super) fn run(args: &DoctorArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let reports = if args.registry.is_empty() {
        let directory = args.data.directory(environment)?;
        let checks = cli::block_on(async { Ok(machine::look(&directory, environment).await) })?;
        if args.output == ListFormat::Table {
            checks.iter().try_for_each(|entry| print(output.out(), entry)).map_err(print_failed)?;
        }
        vec![Report::new(None, checks)]
    } else {
        registries(args, environment, output)?
    };
    if args.output == ListFormat::Json {
        let mut array = JsonArray::default();
        reports.iter().try_for_each(|report| array.item(output.out(), report))?;
        array.end(output.out())?;
    }
    Ok(if reports.iter().all(|report| report.healthy) { Exit::Done } else { Exit::Failed })
}

fn registries(args: &DoctorArgs, environment: &Environment, output: &mut Output) -> Result<Vec<Report>> {
    let mut problems = Vec::new();
    let mut configs: Vec<RegistryConfig> = Vec::new();
    for text in &args.registry {
        match load_registry(text) {
            Ok(mut config) => {
                problems.extend(proxy::apply(&mut config, environment).err());
                config.take_variables(|name| environment.text(name));
                configs.extend(config.registries());
            }
            Err(found) => problems.extend(found),
        }
    }
    let credentials = Credentials::of(environment).map_err(|problem| problems.push(problem)).ok();
    problems.extend(credentials.as_ref().and_then(|credentials| credentials.check(&configs).err()));
    let (Some(credentials), true) = (credentials, problems.is_empty()) else { return Err(Error::usage(problems)) };
    // Opened before any is looked at: what is wrong with one is said before the first takes its time.
    let opened = configs.iter().map(|config| registry::build(config, credentials.provider(config)));
    let opened: Vec<_> = opened.collect::<Result<_, _>>()?;
    cli::block_on(async {
        let mut reports = Vec::new();
        for (registry, config) in opened.into_iter().zip(&configs) {
            let mut printed = Ok(());
            if args.output == ListFormat::Table {
                let head = if reports.is_empty() { "" } else { "\n" };
                printed = writeln!(output.out(), "{head}{}", printable(registry.host()));
            }
            let subject = subject(args.repository.as_ref(), config)?;
            let diagnosis = diagnose(&*registry, &subject, |finding| {
                if args.output == ListFormat::Table && printed.is_ok() {
                    // A line at a time: a registry that does not answer takes a while to be given up.
                    printed = print(output.out(), &finding.into()).and_then(|()| output.flush());
                }
            })
            .await;
            printed.map_err(print_failed)?;
            reports.push(Report::new(Some(diagnosis.host), diagnosis.findings.iter().map(Entry::from).collect()));
        }
        Ok(reports)
    })
}

/// What to read from a registry.
fn subject(place: Option<&Place>, config: &RegistryConfig) -> Result<Subject> {
    let Some(Place { repository, target }) = place else { return Ok(Subject::default()) };
    // Docker's own images are `nginx` to people and `library/nginx` to the registry.
    let repository = match config.host.is_docker_hub() && !repository.as_str().contains('/') {
        true => format!("library/{repository}").parse()?,
        false => repository.clone(),
    };
    Ok(Subject { repository: Some(repository), target: target.clone() })
}

/// Prints one finding: a line, and one more with what to do.
fn print(writer: &mut dyn Write, entry: &Entry) -> io::Result<()> {
    let mark = match entry.outcome {
        "passed" => "ok",
        "warned" => "warning",
        "failed" => "FAILED",
        _ => "-",
    };
    writeln!(writer, "  {mark:<7}  {:<13} {}", entry.check, printable(&entry.detail))?;
    if let Some(advice) = &entry.advice {
        writeln!(writer, "  {:<7}  {:<13} hint: {}", "", "", printable(advice))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_own_images_are_in_the_library() {
        let check = |host: &str, text: &str, expected: &str| {
            let config = RegistryConfig::new(host.parse().unwrap());
            let subject = subject(Some(&text.parse().unwrap()), &config).unwrap();
            assert_eq!(subject.repository.unwrap().as_str(), expected);
        };
        check("docker.io", "nginx:1.27", "library/nginx");
        check("docker.io", "acme/web", "acme/web");
        check("registry.test", "nginx", "nginx");
    }

    #[test]
    fn places() {
        let check = |text: &str, repository: &str, target: Option<&str>| {
            let place: Place = text.parse().unwrap();
            let found = place.target.as_ref().map(ToString::to_string);
            assert_eq!((place.repository.as_str(), found.as_deref()), (repository, target));
        };
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        check("team/app", "team/app", None);
        check("team/app:1.0", "team/app", Some("1.0"));
        check(&format!("team/app@{digest}"), "team/app", Some(digest));
        assert!("UPPER".parse::<Place>().is_err());
        assert!("team/app:a b".parse::<Place>().is_err());
    }
}
