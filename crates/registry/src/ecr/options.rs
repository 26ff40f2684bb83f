//! The keys of a `--registry` string that only Amazon ECR has.

use std::collections::BTreeMap;

use url::Url;

use super::host::{EcrHost, PrivateHost, is_account, is_region};
use crate::RegistryHost;
use crate::error::Problem;
use crate::secret::printable;

/// How an ECR registry is signed in to and where it is found, beyond what its host says.
///
/// ```
/// use supercargo_registry::parse_registry;
///
/// let config = parse_registry(
///     "registry=123456789012.dkr.ecr.eu-west-1.amazonaws.com,\
///      role-arn=arn:aws:iam::123456789012:role/supercargo,external-id=4711",
/// )?;
/// assert_eq!(config.kind.as_str(), "ecr");
///
/// let error = parse_registry("type=ecr,registry=registry.example.com,external-id=4711").unwrap_err();
/// let keys: Vec<&str> = error.problems().iter().map(|problem| problem.key.as_str()).collect();
/// assert_eq!(keys, ["external-id", "region"]);
/// # Ok::<(), supercargo_registry::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EcrOptions {
    /// The region, where the host does not name it.
    pub region: Option<String>,
    /// The account whose registry it is, where the host does not name it. Without either it is that of the credentials.
    pub account: Option<String>,
    /// The profile of the AWS configuration files, instead of `AWS_PROFILE` or `default`.
    pub profile: Option<String>,
    /// The role to assume with the credentials that are found.
    pub role_arn: Option<String>,
    /// The external ID that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// The name of the assumed role's session, as it is seen in CloudTrail. `supercargo` if there is none.
    pub session_name: Option<String>,
    /// The address of the ECR API, instead of the region's.
    pub endpoint: Option<Url>,
    /// The address of the Security Token Service that [`EcrOptions::role_arn`] is assumed at, instead of the region's.
    pub sts_endpoint: Option<Url>,
    /// Where the registry itself is reached, instead of at its host: `http://127.0.0.1:5000`.
    pub v2_endpoint: Option<Url>,
}

/// Where a registry is, all things considered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Private(PrivatePlace),
    Public,
}

/// A private registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PrivatePlace {
    /// `None`: that of the credentials.
    pub(super) account: Option<String>,
    pub(super) region: String,
    pub(super) fips: bool,
    pub(super) dual_stack: bool,
    /// The API's address, where the SDK would not find it.
    pub(super) api: Option<String>,
}

impl EcrOptions {
    /// Reads the options of a `--registry` string.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(options: &BTreeMap<&'static str, String>) -> Result<Self, Vec<Problem>> {
        let (read, problems) = Self::collect(options);
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }

    /// Everything that is wrong with the options of the registry `host`, by themselves and with it.
    pub(super) fn problems(options: &BTreeMap<&'static str, String>, host: Option<&RegistryHost>) -> Vec<Problem> {
        let (read, mut problems) = Self::collect(options);
        let placed = host.and_then(|host| read.place(host).err()).unwrap_or_default();
        // A region that is no region is not missing as well.
        problems.extend(
            placed
                .into_iter()
                .filter(|problem| problem.key != "region" || read.region.is_some() || !options.contains_key("region")),
        );
        problems
    }

    fn collect(options: &BTreeMap<&'static str, String>) -> (Self, Vec<Problem>) {
        let mut read = Self::default();
        let mut problems = Vec::new();
        for (&key, value) in options {
            if let Err(message) = read.set(key, value) {
                problems.push(problem(key, message));
            }
        }
        if !options.contains_key("role-arn") {
            for key in ["external-id", "session-name", "sts-endpoint"] {
                if options.contains_key(key) {
                    problems.push(problem(key, "it is for a role that is assumed: role-arn is missing"));
                }
            }
        }
        (read, problems)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "region" if is_region(value) => self.region = Some(value.to_owned()),
            "region" => return Err(format!("{:?} is no region", printable(value, 40))),
            "account" if is_account(value) => self.account = Some(value.to_owned()),
            "account" => return Err("expected the 12 digits of an account".to_owned()),
            "profile" => self.profile = Some(value.to_owned()),
            "role-arn" if is_role(value) => self.role_arn = Some(value.to_owned()),
            "role-arn" => return Err("expected arn:aws:iam::ACCOUNT:role/NAME".to_owned()),
            // The grammars are those of STS, AssumeRole.
            "external-id" if is_word(value, 2..=1224, "_+=,.@:/-") => self.external_id = Some(value.to_owned()),
            "external-id" => return Err("expected 2 to 1224 letters, digits and any of _+=,.@:/-".to_owned()),
            "session-name" if is_word(value, 2..=64, "_+=,.@-") => self.session_name = Some(value.to_owned()),
            "session-name" => return Err("expected 2 to 64 letters, digits and any of _+=,.@-".to_owned()),
            "endpoint" => self.endpoint = Some(address(value)?),
            "sts-endpoint" => self.sts_endpoint = Some(address(value)?),
            "v2-endpoint" => {
                let url = address(value)?;
                if url.path() != "/" || url.query().is_some() {
                    return Err("expected a scheme, a host and perhaps a port, without a path".to_owned());
                }
                self.v2_endpoint = Some(url);
            }
            _ => return Err("there is no such key".to_owned()),
        }
        Ok(())
    }

    /// Where the registry `host` is.
    ///
    /// # Errors
    /// What the host lacks, or contradicts.
    pub(super) fn place(&self, host: &RegistryHost) -> Result<Place, Vec<Problem>> {
        match EcrHost::of(host) {
            Some(EcrHost::Public) => {
                let idle: Vec<Problem> = self
                    .api_keys()
                    .into_iter()
                    .map(|key| problem(key, format!("it has no effect on {host}: that is read without the ECR API")))
                    .collect();
                if idle.is_empty() { Ok(Place::Public) } else { Err(idle) }
            }
            Some(EcrHost::Private(PrivateHost { account, region, fips, dual_stack, api })) => {
                let mut problems = Vec::new();
                for (key, given, said) in [("account", &self.account, &account), ("region", &self.region, &region)] {
                    if given.as_ref().is_some_and(|given| given != said) {
                        problems.push(problem(key, format!("the host {host} says {said}")));
                    }
                }
                if !problems.is_empty() {
                    return Err(problems);
                }
                Ok(Place::Private(PrivatePlace { account: Some(account), region, fips, dual_stack, api }))
            }
            None => match &self.region {
                Some(region) => Ok(Place::Private(PrivatePlace {
                    account: self.account.clone(),
                    region: region.clone(),
                    fips: false,
                    dual_stack: false,
                    api: None,
                })),
                None => Err(vec![problem(
                    "region",
                    format!("it is missing: {host} is not ACCOUNT.dkr.ecr.REGION.amazonaws.com, so it does not say"),
                )]),
            },
        }
    }

    /// The keys that are set and need the API.
    fn api_keys(&self) -> Vec<&'static str> {
        [
            ("region", self.region.is_some()),
            ("account", self.account.is_some()),
            ("profile", self.profile.is_some()),
            ("role-arn", self.role_arn.is_some()),
            ("endpoint", self.endpoint.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, set)| set.then_some(key))
        .collect()
    }
}

fn is_role(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    parts.next() == Some("arn")
        && parts.next().is_some_and(|partition| partition.starts_with("aws"))
        && parts.next() == Some("iam")
        && parts.next() == Some("")
        && parts.next().is_some_and(is_account)
        && parts.next().and_then(|resource| resource.strip_prefix("role/")).is_some_and(|name| !name.is_empty())
}

fn is_word(text: &str, length: std::ops::RangeInclusive<usize>, others: &str) -> bool {
    length.contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn address(text: &str) -> Result<Url, String> {
    let expected = || "expected an http:// or https:// address without a user in it".to_owned();
    let url = Url::parse(text).map_err(|_| expected())?;
    let plain = url.username().is_empty() && url.password().is_none();
    if matches!(url.scheme(), "http" | "https") && url.has_host() && plain { Ok(url) } else { Err(expected()) }
}

fn problem(key: &str, message: impl Into<String>) -> Problem {
    Problem { key: key.to_owned(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RegistryKind, parse_registry};

    const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    fn keys(text: &str) -> Vec<String> {
        match parse_registry(text) {
            Ok(_) => Vec::new(),
            Err(error) => error.problems().iter().map(|problem| problem.key.clone()).collect(),
        }
    }

    #[test]
    fn the_host_tells_the_product() {
        let check = |text: &str, expected: RegistryKind| {
            assert_eq!(parse_registry(text).unwrap().kind, expected, "{text}");
        };
        check(HOST, RegistryKind::Ecr);
        check("public.ecr.aws", RegistryKind::Ecr);
        check(&format!("registry={HOST}"), RegistryKind::Ecr);
        check(&format!("registry={HOST},repository=team/app"), RegistryKind::Ecr);
        check(&format!("type=oci,registry={HOST}"), RegistryKind::Oci);
        check("registry.example.com", RegistryKind::Oci);
        check(&format!("{HOST}.evil.test"), RegistryKind::Oci);
    }

    #[test]
    fn every_option() {
        let config = parse_registry(&format!(
            r#"type=ecr,registry={HOST},account=123456789012,region=eu-west-1,profile=ci,role-arn=arn:aws-us-gov:iam::210987654321:role/path/reader,"external-id=a,b",session-name=night@watch,endpoint=https://vpce-1.api.ecr.eu-west-1.vpce.amazonaws.com,sts-endpoint=http://127.0.0.1:4566,v2-endpoint=http://127.0.0.1:5000"#
        ))
        .unwrap();
        let options = EcrOptions::read(&config.options).unwrap();
        assert_eq!(options.external_id.as_deref(), Some("a,b"));
        assert_eq!(options.session_name.as_deref(), Some("night@watch"));
        assert_eq!(options.v2_endpoint.as_ref().map(Url::as_str), Some("http://127.0.0.1:5000/"));
        let Place::Private(place) = options.place(&config.host).unwrap() else { panic!("it is private") };
        assert_eq!((place.account.as_deref(), place.region.as_str()), (Some("123456789012"), "eu-west-1"));
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let found = keys(&format!(
            "type=ecr,registry={HOST},account=12,region=a b,role-arn=reader,external-id=x,session-name=a b,endpoint=ftp://x,v2-endpoint=http://h/path"
        ));
        assert_eq!(found, ["account", "endpoint", "external-id", "region", "role-arn", "session-name", "v2-endpoint"]);
        let check = |text: &str, expected: &[&str]| assert_eq!(keys(text), expected, "{text}");
        check(&format!("registry={HOST},account=210987654321,region=us-east-1"), &["account", "region"]);
        check(&format!("registry={HOST},external-id=4711"), &["external-id"]);
        check("type=ecr,registry=registry.example.com", &["region"]);
        check("type=ecr,registry=registry.example.com,region=eu-west-1", &[]);
        check("registry=public.ecr.aws,role-arn=arn:aws:iam::123456789012:role/r", &["role-arn"]);
        check("registry=registry.example.com,role-arn=arn:aws:iam::123456789012:role/r", &["role-arn"]);
    }
}
