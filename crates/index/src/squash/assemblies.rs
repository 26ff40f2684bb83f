//! .NET assemblies and the packages that they belong to.

use std::collections::HashMap;

use super::merge::Found;
use crate::Package;

/// Makes what .NET assemblies say of themselves evidence of the packages that a `deps.json` says they belong to: the
/// names and versions in an assembly are often other spellings of its package's.
pub(super) fn attribute(packages: &mut [Found<'_>]) {
    let owners: HashMap<&str, (&Package, &str)> = packages
        .iter()
        .filter(|found| found.package.kind == "nuget")
        .flat_map(|found| found.package.files.iter().map(|file| (&**file, (found.package, found.cataloger))))
        .collect();
    if owners.is_empty() {
        return;
    }
    for found in packages.iter_mut().filter(|found| found.package.kind == "nuget") {
        if let Some(&(package, cataloger)) = owners.get(found.location.path.trim_start_matches('/')) {
            (found.package, found.cataloger) = (package, cataloger);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::merge::Merge;
    use super::super::tree::Tree;
    use super::*;

    fn package(name: &str, files: &[&str]) -> Package {
        Package {
            kind: "nuget".into(),
            name: name.into(),
            version: "1.0".into(),
            files: files.iter().map(|&file| file.to_owned()).collect(),
            ..Package::default()
        }
    }

    #[test]
    fn assemblies_belong_to_the_package_that_names_them() {
        let owner = package("Acme.Core", &["app/Acme.dll"]);
        let inside = package("Acme Core Library", &[]);
        let npm = Package { kind: "npm".into(), ..inside.clone() };
        let mut merge = Merge::default();
        merge.package(&inside, "dotnet-binary", "/app/Acme.dll", 0);
        merge.package(&npm, "npm", "/app/Acme.dll", 0);
        merge.package(&inside, "dotnet-binary", "/lib/Acme.dll", 0);
        merge.package(&owner, "dotnet-deps", "/app/Acme.deps.json", 1);
        let found: Vec<_> = merge
            .finish(&Tree::new(0))
            .packages
            .iter()
            .map(|package| {
                let paths: Vec<_> = package.locations.iter().map(|location| &*location.path).collect();
                format!("{} {} {}", package.purl, paths.join(","), package.catalogers.join(","))
            })
            .collect();
        assert_eq!(
            found,
            [
                "pkg:npm/acme%20core%20library@1.0 /app/Acme.dll npm",
                "pkg:nuget/Acme%20Core%20Library@1.0 /lib/Acme.dll dotnet-binary",
                "pkg:nuget/Acme.Core@1.0 /app/Acme.deps.json,/app/Acme.dll dotnet-deps",
            ]
        );
    }
}
