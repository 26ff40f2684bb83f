//! What is listened for, and where.

use std::path::{Path, PathBuf};

use http::HeaderName;
use supercargo_engine::events::Secret;
use supercargo_engine::registry::RegistryKind;
use supercargo_server::Openness;

use super::sources::{self, Common, SourcePlan};
use crate::config::Config;
use crate::watch::args::ServerArgs;
use crate::{Environment, secrets};

/// The name of a source that nobody named.
const SOURCE: &str = "main";

/// What is listened for, and where.
#[derive(Debug)]
pub(crate) struct EndpointPlan {
    /// The address for the API and for all sources. None if only ports of products are open.
    pub(crate) address: Option<String>,
    pub(crate) token: Option<Secret>,
    pub(crate) openness: Openness,
    pub(crate) sources: Vec<SourcePlan>,
    /// Ports for the webhooks of one source each, by the source's name.
    pub(crate) ports: Vec<(u16, String)>,
    pub(crate) tls: Option<TlsFiles>,
    /// The address at which registries reach it.
    pub(crate) public_url: Option<String>,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// What else decides about an endpoint.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) config: &'a Config,
    /// The watched hosts.
    pub(crate) hosts: &'a [String],
    /// Products that send their webhooks to a port of their own.
    pub(crate) ports: &'a [ProductPort],
    pub(crate) data: &'a Path,
    pub(crate) environment: &'a Environment,
    pub(crate) make_secrets: bool,
}

/// `port=` of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProductPort {
    pub(crate) port: u16,
    pub(crate) kind: RegistryKind,
    /// The host in the names of its images; in sub-domains of several repositories, the one above them.
    pub(crate) host: String,
    /// How names are made of repository and image, where it is not the product's usual way.
    pub(crate) layout: Option<&'static str>,
    /// The one repository that images are pulled through: events name the one that holds them.
    pub(crate) shown: Option<String>,
}

impl ProductPort {
    /// The variable with the secret of its webhooks; none for what has no webhooks of its own.
    pub(crate) fn variable(kind: RegistryKind) -> Option<&'static str> {
        match kind {
            RegistryKind::Artifactory => Some("DOCKER_SCOUT_ARTIFACTORY_WEBHOOK_SECRET"),
            RegistryKind::Harbor => Some("DOCKER_SCOUT_HARBOR_WEBHOOK_AUTH"),
            RegistryKind::Nexus => Some("DOCKER_SCOUT_NEXUS_WEBHOOK_SECRET"),
            _ => None,
        }
    }

    fn source(&self, common: &Common<'_>) -> Result<SourcePlan, Vec<String>> {
        let Some(variable) = Self::variable(self.kind) else { return Err(Vec::new()) };
        let name = format!("{}-{}", self.kind, self.port);
        let mut fields = format!("name={name},provider={},host={},secret-env={variable}", self.kind, self.host);
        if let Some(layout) = self.layout {
            fields.push_str(&format!(",layout={layout}"));
        }
        if let Some(shown) = &self.shown {
            fields.push_str(&format!(",virtual-repository={shown}"));
        }
        if self.kind == RegistryKind::Artifactory {
            // The flag has no place to say which, and each is good for those alone who know the secret.
            fields.push_str(",signing=either");
        }
        // The hosts that are watched are those below it.
        let hosts = std::slice::from_ref(&self.host);
        let common = &Common { hosts, secrets: Vec::new(), header: None, ..*common };
        sources::of_flag(&fields, common).map_err(|problems| {
            let about = |problem: String| problem.replacen("--event-source", &format!("port {}", self.port), 1);
            problems.into_iter().map(about).collect()
        })
    }
}

impl EndpointPlan {
    /// Reads the flags.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, at once.
    pub(crate) fn read(
        args: &ServerArgs,
        listen: Option<&str>,
        around: &Surroundings<'_>,
    ) -> Result<Option<Self>, Vec<String>> {
        let mut problems = Vec::new();
        let mut keep = |read: Result<Vec<String>, String>| {
            read.unwrap_or_else(|problem| {
                problems.push(problem);
                Vec::new()
            })
        };
        let event_secrets = keep(secrets::read(
            "--event-secret-file",
            args.event_secret_file.as_deref(),
            "SUPERCARGO_EVENT_SECRET",
            around.environment,
        ));
        let mut tokens = keep(secrets::read(
            "--api-token-file",
            args.api_token_file.as_deref(),
            "SUPERCARGO_API_TOKEN",
            around.environment,
        ));
        if tokens.len() > 1 {
            problems.push("--api-token-file: it holds two tokens; there is one".to_owned());
        }
        let tls = match (&args.tls_certificate, &args.tls_key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate: certificate.clone(), key: key.clone() }),
            (None, None) => None,
            (Some(_), None) => {
                problems.push("--tls-certificate: name its key with --tls-key".to_owned());
                None
            }
            (None, Some(_)) => {
                problems.push("--tls-key: name its certificate with --tls-certificate".to_owned());
                None
            }
        };
        let header = args.event_header.parse::<HeaderName>();
        if header.is_err() {
            problems.push(format!("--event-header: {:?} is no name of a header", args.event_header));
        }
        let common = Common {
            hosts: around.hosts,
            secrets: event_secrets,
            header: header.ok().filter(|header| *header != http::header::AUTHORIZATION),
            data: around.data,
            environment: around.environment,
            make_secrets: around.make_secrets,
        };
        let (mut sources, found) = all_sources(args, around.config, &common, listen.is_some());
        problems.extend(found);
        let ports = product_ports(around.ports, &mut sources, &common, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        if listen.is_none() && ports.is_empty() && sources.iter().all(|source| source.queue.is_none()) {
            let needless = [
                ("--event-secret-file", args.event_secret_file.is_some()),
                ("--api-token-file", args.api_token_file.is_some()),
                ("--tls-certificate", tls.is_some()),
            ];
            let needless = needless.iter().filter(|(_, given)| *given);
            let problems: Vec<String> =
                needless.map(|(flag, _)| format!("{flag}: nothing is received without --listen")).collect();
            return if problems.is_empty() { Ok(None) } else { Err(problems) };
        }
        let openness = if args.insecure_open_api { Openness::Everyone } else { Openness::Careful };
        let token = tokens.pop().map(Secret::new);
        let public_url = args.public_url.clone();
        Ok(Some(Self { address: listen.map(address), token, openness, sources, ports, tls, public_url }))
    }
}

/// The sources of flags, else those of the file, else the one that a secret alone speaks of.
fn all_sources(
    args: &ServerArgs,
    config: &Config,
    common: &Common<'_>,
    listens: bool,
) -> (Vec<SourcePlan>, Vec<String>) {
    let read: Vec<Result<SourcePlan, Vec<String>>> = if !args.event_source.is_empty() {
        args.event_source.iter().map(|text| sources::of_flag(text, common)).collect()
    } else if !config.sources.is_empty() {
        config.sources.iter().map(|table| sources::of_table(table, common)).collect()
    } else if !common.secrets.is_empty() && listens {
        vec![sources::of_flag(SOURCE, common)]
    } else {
        Vec::new()
    };
    let (mut plans, mut problems): (Vec<SourcePlan>, Vec<String>) = Default::default();
    for one in read {
        match one {
            Ok(plan) if plans.iter().any(|other| other.name == plan.name) => {
                problems.push(format!("--event-source: {} is named twice", plan.name));
            }
            Ok(plan) => plans.push(plan),
            Err(found) => problems.extend(found),
        }
    }
    (plans, problems)
}

fn product_ports(
    wanted: &[ProductPort],
    sources: &mut Vec<SourcePlan>,
    common: &Common<'_>,
    problems: &mut Vec<String>,
) -> Vec<(u16, String)> {
    let mut ports: Vec<(u16, String)> = Vec::new();
    for one in wanted {
        if ports.iter().any(|(port, _)| *port == one.port) {
            problems.push(format!("port {}: two registries name it; give each a port of its own", one.port));
            continue;
        }
        match one.source(common) {
            Ok(plan) => {
                ports.push((one.port, plan.name.clone()));
                sources.push(plan);
            }
            Err(found) => problems.extend(found),
        }
    }
    ports
}

/// `8080` is this machine's, `:8080` everyone's, as in Go.
fn address(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("127.0.0.1:{text}")
    } else if text.starts_with(':') {
        format!("0.0.0.0{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::watch::args::WatchArgs;

    fn read_with(
        flags: &[&str],
        hosts: &[&str],
        ports: &[ProductPort],
        environment: &Environment,
    ) -> Result<Option<EndpointPlan>, Vec<String>> {
        let args = WatchArgs::try_parse_from([&["supercargo-watch"], flags].concat()).unwrap();
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let around = Surroundings {
            config: &Config::default(),
            hosts: &hosts,
            ports,
            data: Path::new("/nowhere"),
            environment,
            make_secrets: false,
        };
        EndpointPlan::read(&args.server, args.listen.as_deref(), &around)
    }

    fn read(flags: &[&str], hosts: &[&str]) -> Result<Option<EndpointPlan>, Vec<String>> {
        let environment = Environment::default().with("SUPERCARGO_EVENT_SECRET", "a-secret-of-some-length");
        read_with(flags, hosts, &[], &environment)
    }

    #[test]
    fn sources_speak_for_their_registry() {
        let check = |flags: &[&str], hosts: &[&str], expected: &[(&str, Option<&str>)]| {
            let plan = read(flags, hosts).unwrap().expect("it listens");
            let found: Vec<_> = plan.sources.iter().map(|plan| (&*plan.name, plan.config.host.as_deref())).collect();
            assert_eq!(found, expected, "{flags:?}");
        };
        check(&["--listen=8080"], &["a.test"], &[("main", Some("a.test"))]);
        check(&["--listen=8080"], &["a.test", "b.test"], &[("main", None)]);
        check(
            &["--listen=8080", "--event-source=a=a.test", "--event-source=b=b.test"],
            &["a.test", "b.test"],
            &[("a", Some("a.test")), ("b", Some("b.test"))],
        );
        check(
            &["--listen=8080", "--event-source=name=x,provider=distribution,host=b.test,open=true"],
            &["a.test", "b.test"],
            &[("x", Some("b.test"))],
        );
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let problems = read(
            &[
                "--listen=8080",
                "--event-source=x y",
                "--event-source=b=c.test",
                "--event-source=d",
                "--event-source=d",
                "--event-source=name=e,provider=pigeon",
                "--event-source=name=f,colour=red",
                "--event-source=name=g,secret-file=/no/such",
                "--api-token-file=/no/such",
                "--tls-key=/no/such",
            ],
            &["a.test"],
        )
        .unwrap_err();
        assert_eq!(problems.len(), 8, "{problems:#?}");
        assert_eq!(read(&["--listen=8080", "--event-header=a b"], &["a.test"]).unwrap_err().len(), 1);
        // The secret of the environment may be there for another program.
        assert!(read(&[], &["a.test"]).unwrap().is_none());
    }

    #[test]
    fn a_source_without_a_secret_says_where_one_comes_from() {
        let problems =
            read_with(&["--listen=8080", "--event-source=a"], &["a.test"], &[], &Environment::default()).unwrap_err();
        assert!(problems[0].contains("--print-endpoints"), "{problems:?}");
    }

    #[test]
    fn a_product_has_a_port_of_its_own() {
        let port = ProductPort {
            port: 9000,
            kind: RegistryKind::Artifactory,
            host: "a.test".to_owned(),
            layout: None,
            shown: None,
        };
        let missing = read_with(&[], &["a.test"], std::slice::from_ref(&port), &Environment::default()).unwrap_err();
        assert!(missing[0].contains("DOCKER_SCOUT_ARTIFACTORY_WEBHOOK_SECRET"), "{missing:?}");
        let environment =
            Environment::default().with("DOCKER_SCOUT_ARTIFACTORY_WEBHOOK_SECRET", "a-secret-of-64-characters-or-so");
        let plan = read_with(&[], &["a.test"], std::slice::from_ref(&port), &environment).unwrap().expect("it listens");
        assert_eq!((plan.address, plan.ports), (None, vec![(9000, "artifactory-9000".to_owned())]));
        let twice = read_with(&[], &["a.test"], &[port.clone(), port], &environment).unwrap_err();
        assert!(twice[0].contains("two registries"), "{twice:?}");
    }

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("8080", "127.0.0.1:8080"),
            (":8080", "0.0.0.0:8080"),
            ("localhost:1", "localhost:1"),
            ("[::1]:2", "[::1]:2"),
        ] {
            assert_eq!(address(text), expected);
        }
    }
}
