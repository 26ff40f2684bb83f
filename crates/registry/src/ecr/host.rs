//! What the name of an ECR registry says: whose it is, where it is, and which endpoints go with it.

use crate::RegistryHost;

/// Names of ECR Public: over IPv4, and over both IPv4 and IPv6.
const PUBLIC: [&str; 2] = ["public.ecr.aws", "ecr-public.aws.com"];

/// The domains below which the partitions of AWS keep their private registries, by the pattern of Amazon's own
/// credential helper (awslabs/amazon-ecr-credential-helper, `ecr-login/api/client.go`): commercial and GovCloud,
/// China, the European sovereign cloud, the same over IPv6, and the isolated partitions.
const DOMAINS: [&str; 9] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "on.aws",
    "on.amazonwebservices.com.cn",
    "sc2s.sgov.gov",
    "c2s.ic.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

/// Digits of an account's number.
const ACCOUNT: usize = 12;

/// A host that is Amazon ECR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EcrHost {
    /// One account's registry in one region.
    Private(PrivateHost),
    /// ECR Public.
    Public,
}

/// What `123456789012.dkr.ecr.eu-west-1.amazonaws.com` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PrivateHost {
    pub(super) account: String,
    pub(super) region: String,
    /// It is an endpoint with FIPS 140 validated cryptography.
    pub(super) fips: bool,
    /// It is reached over IPv6, too.
    pub(super) dual_stack: bool,
    /// The API's address, where the SDK has another than the one that AWS documents: for FIPS it makes
    /// `api.ecr-fips.REGION.amazonaws.com`, and the AWS General Reference has `ecr-fips.REGION.amazonaws.com`.
    pub(super) api: Option<String>,
}

impl EcrHost {
    /// What `host` is, if it is Amazon ECR. A look-alike, or a name with a port, is not.
    pub(crate) fn of(host: &RegistryHost) -> Option<Self> {
        let name = host.to_string();
        if PUBLIC.contains(&name.as_str()) {
            return Some(Self::Public);
        }
        PrivateHost::parse(&name).map(Self::Private)
    }

    /// How a person signs docker in to it at `host`. Tokens of ECR Public come from us-east-1 alone.
    pub(crate) fn login_command(&self, host: &RegistryHost) -> String {
        let (service, region) = match self {
            Self::Private(private) => ("ecr", private.region.as_str()),
            Self::Public => ("ecr-public", "us-east-1"),
        };
        format!(
            "aws {service} get-login-password --region {region} | docker login --username AWS --password-stdin {host}"
        )
    }
}

impl PrivateHost {
    fn parse(name: &str) -> Option<Self> {
        let (account, rest) = name.split_at_checked(ACCOUNT)?;
        let rest = rest.strip_prefix(".dkr.ecr").or_else(|| rest.strip_prefix(".dkr-ecr"))?;
        let (fips, rest) = match rest.strip_prefix("-fips.") {
            Some(rest) => (true, rest),
            None => (false, rest.strip_prefix('.')?),
        };
        let (region, domain) = rest.split_once('.')?;
        if !is_account(account) || !is_region(region) || !DOMAINS.contains(&domain) {
            return None;
        }
        Some(Self {
            account: account.to_owned(),
            region: region.to_owned(),
            fips,
            dual_stack: domain.starts_with("on."),
            api: (fips && domain == "amazonaws.com").then(|| format!("https://ecr-fips.{region}.amazonaws.com")),
        })
    }
}

/// Whether `text` can be an account's number.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == ACCOUNT && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether `text` can be a region's name.
pub(super) fn is_region(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(all(test, feature = "ecr"))]
mod tests {
    use aws_sdk_ecr::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};

    use super::*;

    fn parse(name: &str) -> Option<EcrHost> {
        EcrHost::of(&name.parse().ok()?)
    }

    #[test]
    fn private_registries() {
        let check = |name: &str, region: &str, fips: bool, dual_stack: bool| {
            let Some(EcrHost::Private(found)) = parse(name) else { panic!("{name}") };
            let found = (found.account.as_str(), found.region.as_str(), found.fips, found.dual_stack);
            assert_eq!(found, ("123456789012", region, fips, dual_stack), "{name}");
        };
        check("123456789012.dkr.ecr.us-east-1.amazonaws.com", "us-east-1", false, false);
        check("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1", true, false);
        check("123456789012.dkr-ecr.eu-central-1.on.aws", "eu-central-1", false, true);
        check("123456789012.dkr-ecr-fips.us-east-2.on.aws", "us-east-2", true, true);
        check("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", false, false);
        check("123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1", false, true);
        check("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1", false, false);
        check("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", false, false);
        check("123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1", false, false);
        check("123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1", false, false);
        check("123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1", false, false);
        check("123456789012.DKR.ECR.us-east-1.amazonaws.com", "us-east-1", false, false);
    }

    #[test]
    fn public_registries() {
        assert_eq!(parse("public.ecr.aws"), Some(EcrHost::Public));
        assert_eq!(parse("ecr-public.aws.com"), Some(EcrHost::Public));
    }

    #[test]
    fn look_alikes() {
        for name in [
            "registry.example.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.test",
            "evil.test.123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com:8443",
            "123456789012.dkr.ecr.us-east-1.notamazonaws.com",
            "123456789012.dkr.ecr.us-east-1.evil.test.amazonaws.com",
            "123456789012.dkr.ecr.amazonaws.com",
            "123456789012.dkr.ecrfips.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr-fips-us-east-1.amazonaws.com",
            "12345678901.dkr.ecr.us-east-1.amazonaws.com",
            "1234567890123.dkr.ecr.us-east-1.amazonaws.com",
            "12345678901x.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr.-east-1.amazonaws.com",
            "api.ecr.us-east-1.amazonaws.com",
            "public.ecr.aws.evil.test",
            "evil.public.ecr.aws",
            "public.ecr.aws:443",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    /// The endpoints of the API that go with a host, by AWS General Reference, *Amazon ECR endpoints and quotas*.
    #[tokio::test]
    async fn the_api_follows_the_host() {
        for (name, endpoint) in [
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com", "https://api.ecr.us-east-1.amazonaws.com"),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "https://ecr-fips.us-east-1.amazonaws.com"),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "https://ecr-fips.us-gov-west-1.amazonaws.com"),
            ("123456789012.dkr-ecr.us-east-1.on.aws", "https://ecr.us-east-1.api.aws"),
            ("123456789012.dkr-ecr-fips.us-east-1.on.aws", "https://ecr-fips.us-east-1.api.aws"),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "https://api.ecr.cn-north-1.amazonaws.com.cn"),
            ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "https://api.ecr.eusc-de-east-1.amazonaws.eu"),
        ] {
            let Some(EcrHost::Private(host)) = parse(name) else { panic!("{name}") };
            let params = Params::builder()
                .region(host.region.clone())
                .use_fips(host.fips)
                .use_dual_stack(host.dual_stack)
                .build()
                .unwrap();
            let by_sdk = DefaultResolver::new().resolve_endpoint(&params).await.unwrap();
            assert_eq!(host.api.as_deref().unwrap_or(by_sdk.url()), endpoint, "{name}");
        }
    }
}
