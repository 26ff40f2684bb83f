//! Package URLs (ECMA-427) of what was found.

use std::fmt;

use packageurl::PackageUrl;

use crate::package::{Distro, Package};

/// A package URL in its canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Purl(String);

/// Types whose versions mean nothing without the distribution.
pub(crate) const WITH_DISTRO: &[&str] = &["deb", "apk", "rpm", "alpm", "opkg", "cos"];

impl Purl {
    pub(crate) fn of(package: &Package, distro: Option<&Distro>) -> Self {
        Self::build(package, distro).unwrap_or_else(|| {
            // Names and types that the grammar has no place for are still worth a package; nothing is dropped.
            let encoded = |text: &str| text.bytes().map(percent).collect::<String>();
            let mut purl = String::from("pkg:generic/");
            let namespace = package.namespace.as_deref().unwrap_or_default();
            for segment in namespace.split('/').filter(|segment| !matches!(*segment, "" | "." | "..")) {
                purl.push_str(&encoded(segment));
                purl.push('/');
            }
            purl.push_str(&encoded(&package.name));
            if !package.version.is_empty() {
                purl.push('@');
                purl.push_str(&encoded(&package.version));
            }
            Self(purl)
        })
    }

    fn build(package: &Package, distro: Option<&Distro>) -> Option<Self> {
        let mut purl = PackageUrl::new(package.kind.as_str(), package.name.as_str()).ok()?;
        if let Some(namespace) = package.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
            purl.with_namespace(namespace).ok()?;
        }
        if !package.version.is_empty() {
            purl.with_version(package.version.as_str()).ok()?;
        }
        for (key, value) in &package.qualifiers {
            if !value.is_empty() {
                purl.add_qualifier(key.as_str(), value.as_str()).ok()?;
            }
        }
        if let Some(distro) = distro.filter(|distro| !distro.id.is_empty())
            && WITH_DISTRO.contains(&package.kind.as_str())
            // What says that it is of another distribution is not of this one's release: Ubuntu's packages in a snap.
            && package.namespace.as_ref().is_none_or(|namespace| namespace == vendor(&package.kind, distro))
            // A package that names its own may have come from elsewhere, and a document speaks for itself.
            && !package.qualifiers.contains_key("distro")
        {
            purl.add_qualifier("distro", distro_qualifier(distro)).ok()?;
        }
        Some(Self(with_slashes_encoded(purl.to_string())))
    }
}

/// The crate leaves slashes of a version as they are. Readers take one at the end for the path's, and lose the name.
fn with_slashes_encoded(purl: String) -> String {
    // Everything before the version has its `@` encoded, and the version has its `?` and `#`.
    let Some((path, rest)) = purl.split_once('@') else { return purl };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (version, rest) = rest.split_at(end);
    if version.contains('/') { format!("{path}@{}{rest}", version.replace('/', "%2F")) } else { purl }
}

/// `debian-12`, `alpine-3.20.3`; the ID alone for a rolling release.
fn distro_qualifier(distro: &Distro) -> String {
    match distro.version_id.as_str() {
        "" => distro.id.clone(),
        version => format!("{}-{version}", distro.id),
    }
}

/// IDs of distributions whose packages are all of one type.
const FAMILIES: &[(&str, &[&str])] = &[
    ("deb", &["debian", "ubuntu"]),
    ("apk", &["alpine", "wolfi", "chainguard"]),
    ("alpm", &["arch"]),
    ("rpm", &["rhel", "fedora", "centos", "suse", "opensuse", "sles", "amzn", "mariner", "azurelinux", "photon"]),
];

/// Whether packages of this type are the distribution's own. An rpm file that lies in a Debian image is none of
/// Debian's. True where it is not known.
pub(crate) fn is_native(kind: &str, distro: &Distro) -> bool {
    let mut ids = std::iter::once(&distro.id).chain(&distro.id_like);
    let family = ids.find_map(|id| FAMILIES.iter().find(|(_, members)| members.contains(&id.as_str())));
    let distro_packages = FAMILIES.iter().any(|(other, _)| *other == kind);
    !distro_packages || family.is_none_or(|(other, _)| *other == kind)
}

/// The namespace of the distribution's packages. It is the vendor of an rpm, which for these few distributions is
/// not what they call themselves: their own advisories and SBOMs say `redhat`, `suse` and `opensuse`.
pub(crate) fn vendor<'a>(kind: &str, distro: &'a Distro) -> &'a str {
    match distro.id.as_str() {
        "rhel" if kind == "rpm" => "redhat",
        id if kind == "rpm" && id.starts_with("opensuse") => "opensuse",
        "sles" | "sled" | "sles_sap" | "sle-micro" | "sle_hpc" | "suse-microos" if kind == "rpm" => "suse",
        id => id,
    }
}

fn percent(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    }
}

impl fmt::Display for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(package: &Package, expected: &str) {
        let distro = Distro { id: "debian".into(), version_id: "12".into(), ..Distro::default() };
        assert_eq!(Purl::of(package, Some(&distro)).to_string(), expected);
    }

    fn package(kind: &str, namespace: Option<&str>, name: &str, version: &str) -> Package {
        Package {
            kind: kind.into(),
            namespace: namespace.map(str::to_owned),
            name: name.into(),
            version: version.into(),
            ..Package::default()
        }
    }

    #[test]
    fn the_distribution_is_that_of_its_own_packages() {
        let check = |kind: &str, id: &str, id_like: &[&str], expected: Option<&str>| {
            let id_like = id_like.iter().map(|&id| id.to_owned()).collect();
            let distro = Distro { id: id.into(), id_like, ..Distro::default() };
            let namespace = is_native(kind, &distro).then(|| vendor(kind, &distro));
            assert_eq!(namespace, expected, "{kind} {id}");
        };
        check("rpm", "rhel", &["fedora"], Some("redhat"));
        check("rpm", "opensuse-leap", &["suse", "opensuse"], Some("opensuse"));
        check("rpm", "sles", &["suse"], Some("suse"));
        check("rpm", "rocky", &["rhel", "centos", "fedora"], Some("rocky"));
        check("rpm", "bottlerocket", &[], Some("bottlerocket"));
        check("rpm", "debian", &[], None);
        check("deb", "linuxmint", &["ubuntu", "debian"], Some("linuxmint"));
        check("deb", "rhel", &["fedora"], None);
        check("apk", "wolfi", &[], Some("wolfi"));
        check("npm", "rhel", &["fedora"], Some("rhel"));
    }

    #[test]
    fn purls_are_canonical() {
        let mut libc = package("deb", Some("debian"), "libstdc++6", "1:12.2.0-14");
        libc.qualifiers.insert("arch".into(), "amd64".into());
        check(&libc, "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14?arch=amd64&distro=debian-12");
        check(&package("deb", Some("ubuntu"), "libc6", "2.35-0ubuntu3"), "pkg:deb/ubuntu/libc6@2.35-0ubuntu3");
        check(&package("npm", Some("@types"), "node", "20.1.0"), "pkg:npm/%40types/node@20.1.0");
        check(&package("golang", Some("github.com/foo"), "bar", "v1.0.0"), "pkg:golang/github.com/foo/bar@v1.0.0");
        check(&package("golang", None, "stdlib", "1.22.1"), "pkg:golang/stdlib@1.22.1");
        check(&package("pypi", None, "Jinja2", ""), "pkg:pypi/jinja2");
        check(&package("pypi", None, "ruamel_yaml", "1"), "pkg:pypi/ruamel-yaml@1");
        check(&package("not a type", None, "a b", "1"), "pkg:generic/a%20b@1");
        // Python has no namespaces; what a hostile file makes one of is not another package for it.
        check(&package("pypi", Some("a/../b c"), "d", "1/"), "pkg:generic/a/b%20c/d@1%2F");
        check(&package("maven", Some("org"), "a", "1/2/"), "pkg:maven/org/a@1%2F2%2F");
        check(&package("deb", Some("debian"), "a", "1/"), "pkg:deb/debian/a@1%2F?distro=debian-12");
    }
}
