//! A header into a package.

use super::header::{Header, Tag};
use super::signature::signing_key;
use crate::cataloger::MOST_NAMES_OF_ONE;
use crate::package::{Package, Requirement, SourcePackage};

/// Files of one package that are looked at. The largest real ones (icon themes, TeX) stay under 100 000.
const MOST_FILES: usize = 1 << 20;

/// Linux's `PATH_MAX`.
const LONGEST_PATH: usize = 4096;

/// What a path costs besides its bytes.
const PATH_OVERHEAD: usize = size_of::<String>();

/// State of a file that was left out when its package was installed (documentation, mostly): `lib/rpmfi.h` of rpm.
const NOT_INSTALLED: u8 = 2;

/// Flags of a requirement (`include/rpm/rpmds.h` of rpm): it may be missing; it is of rpm itself.
const MISSING_OK: u32 = 1 << 19;
const OF_RPM: u32 = 1 << 24;

/// The package of a header; `None` for what is no package: one without name or version, and the keys that rpm keeps
/// among its packages to verify others with.
///
/// `path_bytes` is how many bytes owned paths may still take.
pub(super) fn package(header: &mut Header<'_>, path_bytes: &mut usize) -> Option<Package> {
    let name = header.text(Tag::Name)?;
    let version = header.text(Tag::Version)?;
    let release = header.text(Tag::Release);
    if name == "gpg-pubkey" {
        return None;
    }
    let mut package = describe(Facts {
        version: join_version(&version, release.as_deref()),
        name,
        arch: header.text(Tag::Arch),
        epoch: header.number(Tag::Epoch),
        source: header.text(Tag::SourceRpm),
    })?;
    if let Some(module) = header.text(Tag::ModularityLabel) {
        package.qualifiers.insert("rpmmod".to_owned(), module);
    }
    package.licenses.extend(header.text(Tag::License));
    package.author = header.text(Tag::Packager);
    package.vendor = header.text(Tag::Vendor);
    package.description = header.text(Tag::Summary);
    package.url = header.text(Tag::Url);
    package.installed_size = header.number(Tag::LongSize).or_else(|| header.number(Tag::Size));
    package.signing_key = signing_key(header);
    package.files = files(header, path_bytes);
    package.requires = requirements(header);
    package.provides = names(header, Tag::ProvideName).map(|(_, name)| name).collect();
    Some(package)
}

/// What must be there. Conditions, `(a if b)`, are for rpm's solver and left out.
fn requirements(header: &Header<'_>) -> Vec<Requirement> {
    let flags = header.int32s(Tag::RequireFlags);
    let needed = names(header, Tag::RequireName).filter(|(index, name)| {
        let flags = flags.get(*index).unwrap_or_default();
        flags & (MISSING_OK | OF_RPM) == 0 && !name.starts_with('(')
    });
    let mut names: Vec<String> = needed.map(|(_, name)| name).collect();
    // A package requires another once for each reason, and each version of a library's symbols.
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(Requirement::of).collect()
}

fn names(header: &Header<'_>, tag: Tag) -> impl Iterator<Item = (usize, String)> {
    let names = header.texts(tag).take(MOST_NAMES_OF_ONE).enumerate().filter(|(_, name)| !name.is_empty());
    names.map(|(index, name)| (index, String::from_utf8_lossy(name).into_owned()))
}

/// What names a package, wherever it is written.
#[derive(Debug, Default)]
pub(in crate::catalogers::system) struct Facts {
    pub(in crate::catalogers::system) name: String,
    /// `version-release`.
    pub(in crate::catalogers::system) version: String,
    pub(in crate::catalogers::system) arch: Option<String>,
    pub(in crate::catalogers::system) epoch: Option<u64>,
    /// File name of the source package: `quux-2.4-1.el9.src.rpm`.
    pub(in crate::catalogers::system) source: Option<String>,
}

/// The package that is named so. The epoch is a qualifier, as the package URL type has it; 0 is the same as none.
/// `None` if a name or a version is none that rpm could have.
pub(in crate::catalogers::system) fn describe(facts: Facts) -> Option<Package> {
    let invalid = |text: &str| text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control());
    if invalid(&facts.name) || invalid(&facts.version) {
        return None;
    }
    let mut package =
        Package { kind: "rpm".to_owned(), name: facts.name, version: facts.version, ..Package::default() };
    if let Some(arch) = facts.arch {
        package.qualifiers.insert("arch".to_owned(), arch);
    }
    if let Some(epoch) = facts.epoch.filter(|&epoch| epoch > 0) {
        package.qualifiers.insert("epoch".to_owned(), epoch.to_string());
    }
    if let Some(source) = facts.source {
        package.source = source_package(&source);
        package.qualifiers.insert("upstream".to_owned(), source);
    }
    Some(package)
}

fn join_version(version: &str, release: Option<&str>) -> String {
    match release {
        Some(release) => format!("{version}-{release}"),
        None => version.to_owned(),
    }
}

/// `quux-libs-2.4-1.el9.src.rpm` is `quux-libs` in `2.4-1.el9`: neither version nor release may have a hyphen. The
/// name says nothing of the epoch; it is that of the packages that were built from it.
fn source_package(file: &str) -> Option<SourcePackage> {
    let stem = file.strip_suffix(".rpm")?;
    let stem = stem.strip_suffix(".src").or_else(|| stem.strip_suffix(".nosrc"))?;
    let (rest, release) = stem.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    let valid = !name.is_empty() && !version.is_empty() && !release.is_empty();
    valid.then(|| SourcePackage { name: name.to_owned(), version: format!("{version}-{release}") })
}

/// The files of a package that are there: no directories, and none that was left out at the installation.
fn files(header: &Header<'_>, path_bytes: &mut usize) -> Vec<String> {
    let (modes, states) = (header.int16s(Tag::FileModes), header.int8s(Tag::FileStates));
    let is_there = |index| {
        let directory = modes.get(index).is_some_and(|mode| mode & 0o170_000 == 0o040_000);
        !directory && states.get(index) != Some(NOT_INSTALLED)
    };
    let count = header.count(Tag::BaseNames);
    if count == 0 {
        let whole = header.texts(Tag::OldFileNames).take(MOST_FILES).enumerate();
        let paths = whole.filter(|(index, _)| is_there(*index)).map(|(_, path)| (&b""[..], path));
        return join(paths, path_bytes);
    }
    // Every directory is that of a file; more directories than files is a lie that would cost memory.
    if count > MOST_FILES || header.count(Tag::DirNames) > count {
        return Vec::new();
    }
    let directories: Vec<&[u8]> = header.texts(Tag::DirNames).collect();
    let directory_of = header.int32s(Tag::DirIndexes);
    let paths = header.texts(Tag::BaseNames).enumerate().filter_map(|(index, name)| {
        let directory = directories.get(directory_of.get(index)? as usize)?;
        is_there(index).then_some((*directory, name))
    });
    join(paths, path_bytes)
}

fn join<'a>(paths: impl Iterator<Item = (&'a [u8], &'a [u8])>, path_bytes: &mut usize) -> Vec<String> {
    let mut files = Vec::new();
    for (directory, name) in paths {
        let length = directory.len() + name.len();
        if name.is_empty() || length > LONGEST_PATH {
            continue;
        }
        match path_bytes.checked_sub(length + PATH_OVERHEAD) {
            Some(left) => *path_bytes = left,
            None => break,
        }
        // One of the two begins with the slash of the root.
        let without_root = |part: &'a [u8]| part.strip_prefix(b"/").unwrap_or(part);
        let (directory, name) =
            if directory.is_empty() { (directory, without_root(name)) } else { (without_root(directory), name) };
        let mut path = Vec::with_capacity(length);
        path.extend_from_slice(directory);
        path.extend_from_slice(name);
        files.push(
            String::from_utf8(path).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        );
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_packages_are_named_by_their_file() {
        let check = |file: &str, expected: Option<(&str, &str)>| {
            let source = source_package(file);
            assert_eq!(source.as_ref().map(|s| (&*s.name, &*s.version)), expected, "{file}");
        };
        check("quux-2.4-1.el9.src.rpm", Some(("quux", "2.4-1.el9")));
        check("python3-a-b-0.1~rc1-2.fc40.src.rpm", Some(("python3-a-b", "0.1~rc1-2.fc40")));
        check("intel-microcode-20230101-1.nosrc.rpm", Some(("intel-microcode", "20230101-1")));
        check("quux-2.4-1.el9.x86_64.rpm", None);
        check("quux-2.4.src.rpm", None);
        check("-2.4-1.src.rpm", None);
        check("quux--1.src.rpm", None);
        check("src.rpm", None);
        check("", None);
    }
}
