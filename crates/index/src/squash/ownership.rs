//! Language packages that the system's package manager installed: `python3-requests` of Debian holds the Python
//! package `requests`. Both are there, but it is one piece of software, so the one becomes the child of the other.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::{Evidence, ImagePackage};

/// Package types whose databases name the files that each package owns.
const OWNERS: &[&str] = &["deb", "apk", "rpm", "alpm", "opkg", "ebuild"];

/// Gives each package all of whose evidence files belong to system packages the owner of the first of them.
pub(super) fn settle(packages: &mut [ImagePackage]) {
    // The few evidence files are looked up among the many owned ones, not the other way round: a distribution owns
    // hundreds of thousands.
    let mut owners: HashMap<&str, Option<usize>, RandomState> = HashMap::default();
    for package in packages.iter().filter(|package| can_be_owned(package)) {
        owners.extend(package.locations.iter().map(|location| (merged(&location.path), None)));
    }
    if owners.is_empty() {
        return;
    }
    for (number, package) in packages.iter().enumerate() {
        if !OWNERS.contains(&package.package.kind.as_str()) || package.package.evidence != Evidence::Installed {
            continue;
        }
        for file in &package.package.files {
            if let Some(owner) = owners.get_mut(merged(file)) {
                owner.get_or_insert(number);
            }
        }
    }
    let mut owned = Vec::new();
    for (number, package) in packages.iter().enumerate().filter(|(_, package)| can_be_owned(package)) {
        let of = |path: &str| owners.get(merged(path)).copied().flatten();
        let all = package.locations.iter().map(|location| of(&location.path)).collect::<Option<Vec<_>>>();
        if let Some(&owner) = all.as_ref().and_then(|all| all.first()) {
            owned.push((number, packages[owner].purl.clone()));
        }
    }
    for (number, owner) in owned {
        packages[number].owner = Some(owner);
    }
}

fn can_be_owned(package: &ImagePackage) -> bool {
    !OWNERS.contains(&package.package.kind.as_str())
        && package.package.evidence == Evidence::Installed
        && !package.locations.is_empty()
}

/// The path with a merged `/usr` taken off: databases name `bin/sh` where the file lies in `usr/bin/sh`, and the
/// other way round.
pub(super) fn merged(path: &str) -> &str {
    let path = path.trim_start_matches('/');
    match path.strip_prefix("usr/") {
        Some(rest) if ["bin/", "sbin/", "lib/", "lib64/", "lib32/"].iter().any(|dir| rest.starts_with(dir)) => rest,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Location, Package};

    fn package(kind: &str, name: &str, at: &[&str], files: &[&str]) -> ImagePackage {
        ImagePackage {
            purl: format!("pkg:{kind}/{name}"),
            package: Package {
                kind: kind.into(),
                name: name.into(),
                files: files.iter().map(|&file| file.to_owned()).collect(),
                ..Package::default()
            },
            license: None,
            parent: None,
            owner: None,
            depends_on: Vec::new(),
            locations: at.iter().map(|&path| Location { path: path.into(), within: None, layer: None }).collect(),
            catalogers: Vec::new(),
        }
    }

    #[test]
    fn what_a_system_package_brought_is_its_child() {
        let mut packages = [
            package("deb", "python3-requests", &["/var/lib/dpkg/status"], &["usr/lib/python3/requests/METADATA"]),
            package("deb", "perl-base", &["/var/lib/dpkg/status"], &["bin/perl"]),
            package("pypi", "requests", &["/usr/lib/python3/requests/METADATA"], &[]),
            package("generic", "perl", &["/usr/bin/perl"], &[]),
            package("pypi", "flask", &["/usr/local/lib/python3/flask/METADATA"], &[]),
            // One copy of it is the system's, the other is not: it is there in its own right.
            package("pypi", "six", &["/usr/lib/python3/requests/METADATA", "/opt/six/METADATA"], &[]),
        ];
        settle(&mut packages);
        let owners: Vec<_> = packages.iter().map(|package| package.owner.as_deref()).collect();
        let expected = [None, None, Some("pkg:deb/python3-requests"), Some("pkg:deb/perl-base"), None, None];
        assert_eq!(owners, expected);
    }
}
