//! The key under which advisories for a package are looked up (`docker/index-cli-plugin` `types/purl.go`,
//! `ToAdvisoryUrl`; the names and versions of distributions: `sbom/detect` and `sbom/purl.go`, `osQualifiers`).

use supercargo_index::{Distro, Package};

/// `adv:deb/debian/openssl?os_name=debian&os_version=12`
pub(super) fn url(package: &Package, distro: Option<&Distro>) -> String {
    let of_system = matches!(package.kind.as_str(), "deb" | "apk" | "rpm" | "alpm");
    let distro = distro.filter(|_| of_system);
    let namespace = match package.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
        Some(namespace) => Some(known_as(namespace)),
        // A package of the system has the distribution for its namespace; the model leaves that to be filled in.
        None => distro.map(|distro| known_as(&distro.id)),
    };
    let mut url = format!("adv:{}", package.kind);
    if let Some(namespace) = namespace {
        url.push_str(&format!("/{namespace}"));
    }
    url.push_str(&format!("/{}", package.name));
    if let Some(distro) = distro
        && let Some(version) = version(distro)
    {
        url.push_str(&format!("?os_name={}&os_version={version}", known_as(&distro.id)));
    }
    url.to_lowercase()
}

/// The advisories' names for distributions that call themselves otherwise.
fn known_as(id: &str) -> &str {
    match id {
        "ol" | "oracle" => "oraclelinux",
        "amzn" | "amazon" => "amazonlinux",
        // CentOS has no advisories of its own.
        "rhel" | "centos" => "redhatlinux",
        other => other,
    }
}

/// As much of the version as advisories are kept by.
fn version(distro: &Distro) -> Option<String> {
    let parts: Vec<&str> = distro.version_id.split('.').collect();
    match distro.id.as_str() {
        "wolfi" | "chainguard" => Some("rolling".to_owned()),
        "debian" if distro.version_id.is_empty() => Some("unstable".to_owned()),
        _ if distro.version_id.is_empty() => None,
        "alpine" | "ubuntu" => Some(parts.iter().take(2).copied().collect::<Vec<_>>().join(".")),
        _ => Some(parts[0].to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_public_client() {
        let check = |kind: &str, namespace: &str, name: &str, os: (&str, &str), expected: &str| {
            let package = Package {
                kind: kind.into(),
                namespace: (!namespace.is_empty()).then(|| namespace.into()),
                name: name.into(),
                ..Package::default()
            };
            let distro = Distro { id: os.0.into(), version_id: os.1.into(), ..Distro::default() };
            assert_eq!(url(&package, (!os.0.is_empty()).then_some(&distro)), expected);
        };
        check("deb", "", "openssl", ("debian", "12"), "adv:deb/debian/openssl?os_name=debian&os_version=12");
        check("deb", "", "openssl", ("debian", ""), "adv:deb/debian/openssl?os_name=debian&os_version=unstable");
        check("deb", "", "curl", ("ubuntu", "22.04"), "adv:deb/ubuntu/curl?os_name=ubuntu&os_version=22.04");
        check("apk", "", "zlib", ("alpine", "3.20.3"), "adv:apk/alpine/zlib?os_name=alpine&os_version=3.20");
        check("apk", "", "zlib", ("wolfi", "20230201"), "adv:apk/wolfi/zlib?os_name=wolfi&os_version=rolling");
        check("rpm", "", "bash", ("centos", "7"), "adv:rpm/redhatlinux/bash?os_name=redhatlinux&os_version=7");
        check("rpm", "amzn", "bash", ("amzn", "2023"), "adv:rpm/amazonlinux/bash?os_name=amazonlinux&os_version=2023");
        check("rpm", "", "bash", ("ol", "9.4"), "adv:rpm/oraclelinux/bash?os_name=oraclelinux&os_version=9");
        check("maven", "org.Apache", "Log4j", ("debian", "12"), "adv:maven/org.apache/log4j");
        check("npm", "", "left-pad", ("", ""), "adv:npm/left-pad");
    }
}
