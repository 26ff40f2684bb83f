//! From flags to what is watched.

use supercargo_engine::registry::{RegistryConfig, Repository, parse_registry};
use supercargo_engine::{TagPatterns, Watch};

use super::args::ScopeArgs;
use crate::credentials::Credentials;
use crate::{Environment, Error, Result, proxy};

/// What is watched, as the flags say it: one entry per registry, its repositories in it.
#[derive(Debug)]
pub(crate) struct Scope {
    registries: Vec<RegistryConfig>,
    tags: TagPatterns,
    all_images: bool,
    refresh_registry: bool,
}

impl Scope {
    /// Reads the flags.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, at once.
    pub(crate) fn read(args: &ScopeArgs, environment: &Environment) -> Result<Self> {
        let mut problems = Vec::new();
        let mut registries: Vec<RegistryConfig> = Vec::new();
        for text in &args.registry {
            let named = match read_registry(text) {
                Ok(config) => config.registries(),
                Err(found) => {
                    problems.extend(found);
                    continue;
                }
            };
            for config in named {
                if registries.iter().any(|other| other.host == config.host) {
                    problems.push(format!("--registry: {} is named twice", config.host));
                } else {
                    registries.push(config);
                }
            }
        }
        let named = registries.len();
        for text in args.repository.iter().flat_map(|values| &values.0) {
            if let Err(problem) = place(&mut registries, named, text) {
                problems.push(format!("--repository: {problem}"));
            }
        }
        let tags = args.tag.iter().flat_map(|values| &values.0);
        let tags = TagPatterns::new(tags).unwrap_or_else(|error| {
            problems.push(format!("--tag: {error}"));
            TagPatterns::default()
        });
        if args.refresh_registry.is_set() && named == 0 {
            problems.push("--refresh-registry: it lists a registry's repositories, so it needs --registry".to_owned());
        }
        if registries.is_empty() && problems.is_empty() {
            problems.push("nothing to watch: name a --registry or a --repository".to_owned());
        }
        for config in &mut registries {
            problems.extend(proxy::apply(config, environment).err());
        }
        if !problems.is_empty() {
            return Err(Error::usage(problems));
        }
        for config in &mut registries {
            config.take_variables(|name| environment.text(name));
        }
        Ok(Self {
            registries,
            tags,
            all_images: args.all_images.is_set(),
            refresh_registry: args.refresh_registry.is_set(),
        })
    }

    /// The registries' hosts.
    pub(crate) fn hosts(&self) -> Vec<String> {
        self.registries.iter().map(|config| config.host.to_string()).collect()
    }

    /// The watches.
    ///
    /// # Errors
    ///
    /// If a registry's configuration cannot be used, or asks for what is not there yet.
    pub(crate) fn watches(&self, credentials: &Credentials) -> Result<Vec<Watch>> {
        credentials.check(&self.registries).map_err(|problem| Error::usage(vec![problem]))?;
        self.registries
            .iter()
            .map(|config| {
                let registry = supercargo_engine::registry::build(config, credentials.provider(config))?;
                let (host, filter) = (config.host.to_string(), config.filter.clone());
                Ok(Watch {
                    repositories: config.repositories.clone(),
                    filter: Some(std::sync::Arc::new(move |repository: &Repository| filter.admits(&host, repository))),
                    tags: self.tags.clone(),
                    all_images: self.all_images,
                    refresh_registry: self.refresh_registry,
                    ..Watch::new(registry)
                })
            })
            .collect()
    }
}

/// Reads a `--registry`, with the files that it names.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(crate) fn load_registry(text: &str) -> Result<RegistryConfig, Vec<String>> {
    let config = parse_registry(text).and_then(|config| config.load_files(|path| std::fs::read(path)));
    config.map_err(|error| match error.problems() {
        [] => vec![format!("--registry: {error}")],
        problems => problems.iter().map(|problem| format!("--registry: {problem}")).collect(),
    })
}

fn read_registry(text: &str) -> Result<RegistryConfig, Vec<String>> {
    let config = load_registry(text)?;
    if config.port.is_some() {
        return Err(vec![
            "--registry: port: webhooks of products with a port of their own are not supported yet; notifications of a \
             distribution registry come in with --listen"
                .to_owned(),
        ]);
    }
    Ok(config)
}

/// Sorts a `--repository` into its registry. With a host before it, it is of that registry, watched or not so far;
/// without, of the one that `--registry` names, or of Docker Hub if it names none.
fn place(registries: &mut Vec<RegistryConfig>, named: usize, text: &str) -> Result<(), String> {
    let (host, name) = match text.split_once('/') {
        // What tells a host from a folder, as docker tells it.
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), rest),
        _ => (None, text),
    };
    let config = match (host, named) {
        (Some(host), _) => {
            let config = parse_registry(host).map_err(|error| format!("{text:?}: {error}"))?;
            find_or_add(registries, config)
        }
        (None, 1) => &mut registries[0],
        (None, 0) => {
            let docker_hub = parse_registry("docker.io").expect("Docker Hub's host is a host");
            find_or_add(registries, docker_hub)
        }
        (None, _) => return Err(format!("{text:?}: several registries are named, say which: HOST/{text}")),
    };
    if name.contains([':', '@']) {
        return Err(format!("{text:?}: a repository has no tag or digest; choose tags with --tag"));
    }
    let name =
        if config.host.is_docker_hub() && !name.contains('/') { format!("library/{name}") } else { name.to_owned() };
    let repository: Repository = name.parse().map_err(|error| format!("{error}"))?;
    if !config.repositories.contains(&repository) {
        config.repositories.push(repository);
    }
    Ok(())
}

fn find_or_add(registries: &mut Vec<RegistryConfig>, config: RegistryConfig) -> &mut RegistryConfig {
    let position = registries.iter().position(|known| known.host == config.host).unwrap_or_else(|| {
        registries.push(config);
        registries.len() - 1
    });
    &mut registries[position]
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::watch::args::WatchArgs;

    fn read(flags: &[&str]) -> Result<Scope, String> {
        let args = WatchArgs::try_parse_from([&["supercargo-watch"], flags].concat()).unwrap();
        Scope::read(&args.scope, &Environment::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn repositories_find_their_registry() {
        let check = |flags: &[&str], expected: &[(&str, &[&str])]| {
            let scope = read(flags).unwrap_or_else(|error| panic!("{flags:?}: {error}"));
            let found: Vec<(String, Vec<String>)> = scope
                .registries
                .iter()
                .map(|config| (config.host.to_string(), config.repositories.iter().map(ToString::to_string).collect()))
                .collect();
            let expected: Vec<(String, Vec<String>)> = expected
                .iter()
                .map(|(host, names)| ((*host).to_owned(), names.iter().map(ToString::to_string).collect()))
                .collect();
            assert_eq!(found, expected, "{flags:?}");
        };
        check(&["--registry", "a.test"], &[("a.test", &[])]);
        check(&["--registry", "a.test", "--repository", "team/app"], &[("a.test", &["team/app"])]);
        check(&["--registry", "a.test", "--repository", "a.test/team/app,x"], &[("a.test", &["team/app", "x"])]);
        check(
            &["--repository", "ghcr.io/a/b", "--repository", "docker.io/library/nginx", "--repository", "redis"],
            &[("ghcr.io", &["a/b"]), ("docker.io", &["library/nginx", "library/redis"])],
        );
        check(&["--repository", "localhost:5000/app"], &[("localhost:5000", &["app"])]);
        check(&["--registry", "a.test", "--repository", "b.test/app"], &[("a.test", &[]), ("b.test", &["app"])]);
        check(&["--registry", "registry=a.test,repository=x"], &[("a.test", &["x"])]);
        // A repository key is not a repository, and in sub-domains each is a host.
        let artifactory = "type=artifactory,registry=a.test,api=https://a.test/artifactory,\"repository=x,y\"";
        check(&["--registry", artifactory, "--repository", "x/app"], &[("a.test", &["x/app"])]);
        check(&["--registry", &format!("{artifactory},subdomain-mode=true")], &[("x.a.test", &[]), ("y.a.test", &[])]);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let error =
            read(&["--registry=type=docker,registry=a.test", "--repository=UPPER", "--repository=app:1.0", "--tag=("])
                .unwrap_err();
        for part in ["--registry: type", "UPPER", "choose tags with --tag", "--tag"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert!(read(&[]).unwrap_err().contains("nothing to watch"));
        assert!(read(&["--refresh-registry", "--repository=a.test/x"]).unwrap_err().contains("needs --registry"));
        assert!(read(&["--registry=a.test", "--registry=A.test"]).unwrap_err().contains("twice"));
        assert!(read(&["--registry=a.test", "--registry=b.test", "--repository=x"]).unwrap_err().contains("HOST/x"));
        assert!(read(&["--registry=registry=a.test,ca-file=/no/such/file"]).unwrap_err().contains("ca-file"));
        assert!(read(&["--registry=registry=a.test,port=9000"]).unwrap_err().contains("--listen"));
    }
}
