//! The `--registry` string.

use std::collections::BTreeMap;

use url::Url;

use super::{Filter, RegistryConfig, RegistryKind};
use crate::distribution::SignIn;
use crate::error::Problem;
use crate::secret::{Secret, printable};
use crate::{Error, RegistryHost, Repository, Result};

/// The keys, for the message about one that is not among them.
const KEYS: &str = "type, registry, api, repository, include, exclude, port, subdomain-mode, plain-http, ca-file, \
    insecure-skip-verify, token-host, redirect-host, proxy, sign-in, concurrency";

/// Reads a `--registry` value: a bare host, or one record of comma-separated `key=value` fields. A value with
/// commas stands in a field in quotes (RFC 4180): `"repository=team/a,team/b"`.
///
/// | key | value |
/// | --- | --- |
/// | `type` | `oci`, `artifactory`, `harbor`, `nexus`, `ecr`, `acr`; by default what the host tells ([`RegistryKind::of`]) |
/// | `registry` | host, with a port if it has one |
/// | `api` | the product's REST address |
/// | `repository` | repositories to watch; for Artifactory the repository key |
/// | `include`, `includes`, `exclude`, `excludes` | globs on repository names |
/// | `port` | local port for webhooks |
/// | `subdomain-mode` | `true` or `false` |
/// | `plain-http` | `true` or `false`; unset: http to this machine only |
/// | `ca-file` | a bundle of certificates to trust beside the machine's |
/// | `insecure-skip-verify` | `true`: take any certificate |
/// | `token-host`, `redirect-host` | hosts that the transport would refuse |
/// | `proxy` | address of an HTTP proxy |
/// | `sign-in` | `challenge` (default) or `basic`: send user and password unasked |
/// | `concurrency` | requests at a time, 1 to 256 |
///
/// # Errors
/// [`Configuration`](crate::ErrorKind::Configuration) with every problem, each under its key.
///
/// ```
/// use supercargo_registry::{RegistryKind, parse_registry};
///
/// assert_eq!(parse_registry("registry.example.com")?.kind, RegistryKind::Oci);
///
/// let config = parse_registry(
///     "type=artifactory,registry=example.jfrog.io,api=https://example.jfrog.io/artifactory,\
///      repository=docker-local,port=9000,subdomain-mode=true",
/// )?;
/// assert_eq!(config.port, Some(9000));
///
/// let error = parse_registry("registry=example.com,port=lots,colour=red").unwrap_err();
/// assert_eq!(error.problems().len(), 2);
/// # Ok::<(), supercargo_registry::Error>(())
/// ```
pub fn parse_registry(text: &str) -> Result<RegistryConfig> {
    let text = text.trim();
    if !text.contains('=') {
        return bare_host(text);
    }
    let fields = fields(text).map_err(|message| Error::from_problems(vec![problem("registry", message)]))?;
    let mut reader = Reader::default();
    for field in &fields {
        match field.split_once('=') {
            Some((key, value)) => reader.read(key.trim(), value.trim()),
            None => reader.refuse(&printable(field, 80), "expected key=value"),
        }
    }
    reader.finish()
}

fn bare_host(text: &str) -> Result<RegistryConfig> {
    let (plain_http, host) = match text.split_once("://") {
        Some(("http", host)) => (Some(true), host.trim_end_matches('/')),
        Some(("https", host)) => (Some(false), host.trim_end_matches('/')),
        _ => (None, text),
    };
    match host.parse() {
        Ok(host) => {
            let mut config = RegistryConfig::new(host);
            config.transport.plain_http = plain_http;
            Ok(config)
        }
        Err(error) => Err(Error::from_problems(vec![problem("registry", Error::to_string(&error))])),
    }
}

/// The fields of one CSV record (RFC 4180 §2), without line breaks.
fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = if let Some(quoted) = rest.trim_start().strip_prefix('"') {
            quoted_field(quoted)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            if rest[..end].contains('"') {
                return Err(format!("a quote within {:?}: put the whole field in quotes", printable(&rest[..end], 80)));
            }
            (rest[..end].to_owned(), &rest[end..])
        };
        if !field.trim().is_empty() {
            fields.push(field);
        }
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(fields),
        }
    }
}

/// A field up to its closing quote, and what follows it. Two quotes within it stand for one.
fn quoted_field(text: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"').ok_or("a quote is not closed")?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => {
                let after = after.trim_start();
                if !after.is_empty() && !after.starts_with(',') {
                    return Err(format!("expected a comma after a quoted field, found {:?}", printable(after, 40)));
                }
                return Ok((field, after));
            }
        }
    }
}

/// Takes keys in and collects what is wrong with them.
#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
    seen: Vec<&'static str>,
    kind: RegistryKind,
    host: Option<RegistryHost>,
    /// `registry` was given, well-formed or not.
    host_given: bool,
    api: Option<Url>,
    repositories: Vec<String>,
    include: Vec<String>,
    exclude: Vec<String>,
    port: Option<u16>,
    subdomain_mode: bool,
    ca_file: Option<String>,
    /// Keys that are not everyone's: which product's they are is known when all are read.
    others: Vec<(String, String)>,
    transport: crate::distribution::TransportConfig,
}

impl Reader {
    fn refuse(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(problem(key, message));
    }

    fn read(&mut self, key: &str, value: &str) {
        let Some(known) = known_key(key) else {
            self.others.push((key.to_owned(), value.to_owned()));
            return;
        };
        let repeatable = matches!(known, "include" | "exclude" | "repository" | "token-host" | "redirect-host");
        if self.seen.contains(&known) && !repeatable {
            return self.refuse(known, "it is given twice");
        }
        self.seen.push(known);
        if value.is_empty() {
            self.host_given |= known == "registry";
            return self.refuse(known, "it is empty");
        }
        match known {
            "type" => match RegistryKind::ALL.into_iter().find(|kind| kind.as_str() == value) {
                Some(kind) => self.kind = kind,
                None => self.refuse(
                    known,
                    format!("{:?} is none of oci, artifactory, harbor, nexus, ecr, acr", printable(value, 40)),
                ),
            },
            "registry" => {
                self.host_given = true;
                // Docker's own pages write the address at times.
                let host = value.trim_start_matches("https://").trim_end_matches('/');
                match host.parse() {
                    Ok(host) => self.host = Some(host),
                    Err(error) => self.refuse(known, Error::to_string(&error)),
                }
            }
            "api" => match web_address(value) {
                Some(url) => self.api = Some(url),
                None => self.refuse(known, "expected an http:// or https:// address without a user in it"),
            },
            "repository" => self.repositories.extend(list(value)),
            "include" => self.include.extend(list(value)),
            "exclude" => self.exclude.extend(list(value)),
            "port" => match value.parse::<u16>() {
                Ok(port) if port > 0 => self.port = Some(port),
                _ => self.refuse(known, "expected a number from 1 to 65535"),
            },
            "subdomain-mode" => self.subdomain_mode = self.flag(known, value),
            "plain-http" => self.transport.plain_http = Some(self.flag(known, value)),
            "insecure-skip-verify" => self.transport.insecure_skip_verify = self.flag(known, value),
            "ca-file" => self.ca_file = Some(value.to_owned()),
            "token-host" => self.hosts(known, value),
            "redirect-host" => self.hosts(known, value),
            "proxy" => match Url::parse(value) {
                Ok(url) if url.scheme() == "http" && url.has_host() => self.transport.proxy = Some(Secret::new(value)),
                _ => self.refuse(known, "expected an http:// address"),
            },
            "sign-in" => match value {
                "challenge" => self.transport.sign_in = SignIn::Challenge,
                "basic" => self.transport.sign_in = SignIn::Basic,
                _ => self.refuse(known, "expected challenge or basic"),
            },
            "concurrency" => match value.parse::<usize>() {
                Ok(count) if (1..=256).contains(&count) => self.transport.concurrency = count,
                _ => self.refuse(known, "expected a number from 1 to 256"),
            },
            _ => unreachable!("known_key names the keys of this match"),
        }
    }

    fn flag(&mut self, key: &str, value: &str) -> bool {
        match value {
            "true" => return true,
            "false" => {}
            _ => self.refuse(key, "expected true or false"),
        }
        false
    }

    fn hosts(&mut self, key: &'static str, value: &str) {
        for host in list(value) {
            match host.parse::<RegistryHost>() {
                Ok(_) if key == "token-host" => self.transport.token_hosts.push(host),
                Ok(_) => self.transport.redirect_hosts.push(host),
                Err(error) => self.refuse(key, Error::to_string(&error)),
            }
        }
    }

    /// The keys that only this product has.
    fn product_options(&mut self) -> BTreeMap<&'static str, String> {
        let mut options = BTreeMap::new();
        for (key, value) in std::mem::take(&mut self.others) {
            let Some(known) = self.kind.keys().iter().copied().find(|known| *known == key) else {
                let of_kind = self.kind.keys().iter().map(|key| format!(", {key}")).collect::<String>();
                let message = match RegistryKind::ALL.iter().find(|kind| kind.keys().contains(&key.as_str())) {
                    Some(kind) => format!("it is a key of type={kind}"),
                    None => format!("there is no such key; there are {KEYS}{of_kind}"),
                };
                self.refuse(&printable(&key, 40), message);
                continue;
            };
            if value.is_empty() {
                self.refuse(known, "it is empty");
            } else if options.insert(known, value).is_some() {
                self.refuse(known, "it is given twice");
            }
        }
        options
    }

    fn finish(mut self) -> Result<RegistryConfig> {
        if !self.host_given {
            self.refuse("registry", "it is missing: which registry?");
        }
        if self.kind == RegistryKind::Artifactory {
            if !self.seen.contains(&"api") {
                self.refuse("api", "it is missing: type=artifactory needs the address of its REST API");
            }
            if !self.seen.contains(&"repository") {
                self.refuse("repository", "it is missing: type=artifactory needs a repository key");
            }
        }
        if let (Some(host), false) = (&self.host, self.seen.contains(&"type")) {
            self.kind = RegistryKind::of(host);
        }
        let options = self.product_options();
        self.problems.extend(self.kind.problems(self.host.as_ref(), &options));
        let mut repositories = Vec::new();
        for name in std::mem::take(&mut self.repositories) {
            match name.parse::<Repository>() {
                Ok(repository) => repositories.push(repository),
                Err(error) => self.refuse("repository", Error::to_string(&error)),
            }
        }
        for (key, globs) in [("include", &self.include), ("exclude", &self.exclude)] {
            for glob in globs {
                if Filter::new(&[glob], &[]).is_err() {
                    self.problems.push(problem(key, format!("{:?} is no glob", printable(glob, 80))));
                }
            }
        }
        match self.host {
            Some(host) if self.problems.is_empty() => Ok(RegistryConfig {
                kind: self.kind,
                host,
                api: self.api,
                repositories,
                filter: Filter::new(&self.include, &self.exclude)?,
                port: self.port,
                subdomain_mode: self.subdomain_mode,
                ca_file: self.ca_file.map(Into::into),
                transport: self.transport,
                options,
            }),
            _ => Err(Error::from_problems(self.problems)),
        }
    }
}

fn known_key(key: &str) -> Option<&'static str> {
    Some(match key {
        "type" => "type",
        "registry" => "registry",
        "api" => "api",
        "repository" | "repositories" => "repository",
        // Docker's command line writes the singular, its manual the plural.
        "include" | "includes" => "include",
        "exclude" | "excludes" => "exclude",
        "port" => "port",
        "subdomain-mode" => "subdomain-mode",
        "plain-http" => "plain-http",
        "insecure-skip-verify" => "insecure-skip-verify",
        "ca-file" => "ca-file",
        "token-host" => "token-host",
        "redirect-host" => "redirect-host",
        "proxy" => "proxy",
        "sign-in" => "sign-in",
        "concurrency" => "concurrency",
        _ => return None,
    })
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn web_address(value: &str) -> Option<Url> {
    let url = Url::parse(value).ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    (matches!(url.scheme(), "http" | "https") && url.has_host() && plain).then_some(url)
}

fn problem(key: &str, message: impl Into<String>) -> Problem {
    Problem { key: key.to_owned(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        match parse_registry(text) {
            Ok(_) => Vec::new(),
            Err(error) => error.problems().iter().map(|problem| problem.key.clone()).collect(),
        }
    }

    #[test]
    fn the_documented_forms() {
        let config = parse_registry(
            r#"type=artifactory,registry=example.jfrog.io,api=https://example.jfrog.io/artifactory,"repository=docker-test1,docker-test2",include=*/frontend*,excludes=*/legacy/*,port=9000,subdomain-mode=true"#,
        )
        .unwrap();
        assert_eq!(config.kind, RegistryKind::Artifactory);
        assert_eq!(config.host.to_string(), "example.jfrog.io");
        assert_eq!(config.api.unwrap().as_str(), "https://example.jfrog.io/artifactory");
        assert_eq!(
            config.repositories.iter().map(Repository::as_str).collect::<Vec<_>>(),
            ["docker-test1", "docker-test2"]
        );
        assert!(config.filter.admits("h", &"a/frontend".parse().unwrap()));
        assert!(!config.filter.admits("h", &"a/legacy/frontend".parse().unwrap()));
        assert!(config.subdomain_mode);

        let config = parse_registry("type=oci,registry=registry.example.com,include=*/dta/*").unwrap();
        assert_eq!(config.kind, RegistryKind::Oci);
        assert!(parse_registry("type=nexus,registry=localhost:8082,api=http://localhost:8081").is_ok());
        assert!(parse_registry("type=harbor,registry=demo.goharbor.io,api=https://demo.goharbor.io,").is_ok());
    }

    #[test]
    fn bare_hosts() {
        let check = |text: &str, host: &str, plain: Option<bool>| {
            let config = parse_registry(text).unwrap();
            assert_eq!((config.host.to_string().as_str(), config.transport.plain_http), (host, plain));
        };
        check("registry.example.com", "registry.example.com", None);
        check(" localhost:5000 ", "localhost:5000", None);
        check("http://registry.internal:5000/", "registry.internal:5000", Some(true));
        check("https://registry.example.com", "registry.example.com", Some(false));
        assert_eq!(problems(""), ["registry"]);
        assert_eq!(problems("a b"), ["registry"]);
        assert_eq!(problems("registry.example.com/team/app"), ["registry"]);
    }

    #[test]
    fn every_problem_at_once() {
        let keys = problems(
            "type=docker,registry=a b,api=ftp://x,port=0,subdomain-mode=yes,repository=UPPER,include=[,colour=red,word,port=1",
        );
        assert_eq!(
            keys,
            ["type", "registry", "api", "port", "subdomain-mode", "word", "port", "colour", "repository", "include"]
        );
        assert_eq!(problems("type=artifactory,registry=a.test"), ["api", "repository"]);
        assert_eq!(problems("type=oci"), ["registry"]);
        assert_eq!(problems("registry="), ["registry"]);
        assert_eq!(
            problems("registry=a.test,concurrency=0,proxy=x,sign-in=often"),
            ["concurrency", "proxy", "sign-in"]
        );
        let message = parse_registry("port=x").unwrap_err().to_string();
        assert_eq!(message, "port: expected a number from 1 to 65535; registry: it is missing: which registry?");
    }

    #[test]
    fn quotes() {
        let check = |text: &str, expected: Result<&[&str], ()>| {
            let found = fields(text);
            assert_eq!(
                found.map_err(drop),
                expected.map(|list| list.iter().map(|s| (*s).to_owned()).collect()),
                "{text}"
            );
        };
        check("a=1,b=2", Ok(&["a=1", "b=2"]));
        check(r#""a=1,2",b=3"#, Ok(&["a=1,2", "b=3"]));
        check(r#""a=""1""" , b=2"#, Ok(&[r#"a="1""#, " b=2"]));
        check(r#"a="1,2""#, Err(()));
        check(r#""a=1"#, Err(()));
        check(r#""a=1"b"#, Err(()));
        check("a=1,,b=2,", Ok(&["a=1", "b=2"]));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,80}") {
            let _ = parse_registry(&text);
        }

        #[test]
        fn quoted_fields_come_back(values in prop::collection::vec("[a-z\",= ]{0,12}", 1..5)) {
            let expected: Vec<String> = values.iter().map(|value| format!("k={value}")).collect();
            let text: Vec<String> = expected.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
            prop_assert_eq!(fields(&text.join(",")).unwrap(), expected);
        }
    }
}
