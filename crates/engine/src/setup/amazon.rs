//! What the host of an ECR registry says about the account behind it, and the names that follow from it.
//!
//! The templates give everything a name that supercargo knows before it exists: nobody has to copy an ARN back.

use std::collections::BTreeMap;

/// The partitions of AWS, by the domain of their registries (the pattern of Amazon's credential helper) and, where they
/// share it, by how their regions begin: the partition and the domain of its other services (AWS General Reference).
const PARTITIONS: [(&str, &str, &str, &str); 10] = [
    ("amazonaws.com", "us-gov-", "aws-us-gov", "amazonaws.com"),
    ("amazonaws.com", "", "aws", "amazonaws.com"),
    ("on.aws", "us-gov-", "aws-us-gov", "amazonaws.com"),
    ("on.aws", "", "aws", "amazonaws.com"),
    ("amazonaws.com.cn", "", "aws-cn", "amazonaws.com.cn"),
    ("on.amazonwebservices.com.cn", "", "aws-cn", "amazonaws.com.cn"),
    ("amazonaws.eu", "", "aws-eusc", "amazonaws.eu"),
    ("c2s.ic.gov", "", "aws-iso", "c2s.ic.gov"),
    ("sc2s.sgov.gov", "", "aws-iso-b", "sc2s.sgov.gov"),
    ("csp.hci.ic.gov", "", "aws-iso-f", "csp.hci.ic.gov"),
];

/// An account of AWS and a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Twelve digits.
    pub account: String,
    /// Such as `eu-west-1`.
    pub region: String,
    partition: &'static str,
    domain: &'static str,
}

impl Place {
    /// The place of a registry: what its settings say, else its host.
    pub fn of(host: &str, settings: &BTreeMap<String, String>) -> Option<Self> {
        let by_host = split(host);
        let say = |key: &str| settings.get(key).map(String::as_str);
        let account = say("account").or(by_host.map(|(account, ..)| account))?;
        let region = say("region").or(by_host.map(|(_, region, _)| region))?;
        let domain = by_host.map_or("amazonaws.com", |(.., domain)| domain);
        let known = |(of, begins, ..): &&(&str, &str, &str, &str)| *of == domain && region.starts_with(begins);
        let (.., partition, services) = PARTITIONS.iter().find(known)?;
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let fits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) && plain(region);
        fits.then(|| Self { account: account.to_owned(), region: region.to_owned(), partition, domain: services })
    }

    /// The host of the private registry of an account and a region.
    pub fn host(account: &str, region: &str) -> String {
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let domain = if region.starts_with("eusc-") { "amazonaws.eu" } else { domain };
        format!("{account}.dkr.ecr.{region}.{domain}")
    }

    /// `arn:PARTITION:iam::ACCOUNT:root`, which stands for everyone of the account who is allowed to.
    pub(super) fn root(&self) -> String {
        format!("arn:{}:iam::{}:root", self.partition, self.account)
    }

    /// The root of another account of the same partition.
    pub(super) fn root_of(&self, account: &str) -> String {
        format!("arn:{}:iam::{account}:root", self.partition)
    }

    /// The role of the templates.
    pub fn role(&self, resource: &str) -> String {
        format!("arn:{}:iam::{}:role/{resource}", self.partition, self.account)
    }

    /// The topic of the templates.
    pub fn topic(&self, resource: &str) -> String {
        format!("arn:{}:sns:{}:{}:{resource}", self.partition, self.region, self.account)
    }

    /// The queue of the templates.
    pub fn queue(&self, resource: &str) -> String {
        format!("https://sqs.{}.{}/{}/{resource}", self.region, self.domain, self.account)
    }
}

/// Account, region and domain of `ACCOUNT.dkr.ecr.REGION.DOMAIN` and its variants.
fn split(host: &str) -> Option<(&str, &str, &str)> {
    let (account, rest) = host.split_once('.')?;
    let rest =
        ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."].iter().find_map(|of| rest.strip_prefix(of))?;
    let (region, domain) = rest.split_once('.')?;
    Some((account, region, domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_the_host() {
        let check = |host: &str, expected: Option<[&str; 3]>| {
            let place = Place::of(host, &BTreeMap::new());
            let found = place.map(|place| [place.role("x"), place.topic("x"), place.queue("x")]);
            assert_eq!(found, expected.map(|names| names.map(str::to_owned)), "{host}");
        };
        check(
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            Some([
                "arn:aws:iam::123456789012:role/x",
                "arn:aws:sns:eu-west-1:123456789012:x",
                "https://sqs.eu-west-1.amazonaws.com/123456789012/x",
            ]),
        );
        check(
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
            Some([
                "arn:aws-cn:iam::123456789012:role/x",
                "arn:aws-cn:sns:cn-north-1:123456789012:x",
                "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/x",
            ]),
        );
        check(
            "123456789012.dkr-ecr-fips.us-gov-west-1.on.aws",
            Some([
                "arn:aws-us-gov:iam::123456789012:role/x",
                "arn:aws-us-gov:sns:us-gov-west-1:123456789012:x",
                "https://sqs.us-gov-west-1.amazonaws.com/123456789012/x",
            ]),
        );
        check("registry.example.com", None);
        check("12345678901.dkr.ecr.eu-west-1.amazonaws.com", None);
        check("123456789012.dkr.ecr.eu-west-1.example.com", None);
    }

    #[test]
    fn a_host_of_ones_own_needs_account_and_region() {
        let settings = [("account", "123456789012"), ("region", "eu-west-1")];
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let place = Place::of("registry.example.com", &settings).unwrap();
        assert_eq!(place.root(), "arn:aws:iam::123456789012:root");
        assert_eq!(Place::of(&Place::host("123456789012", "eu-west-1"), &BTreeMap::new()), Some(place));
    }
}
