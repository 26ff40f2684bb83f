//! Looking over a machine for what can be put into images.

use std::path::{Path, PathBuf};

use super::reader::{Reader, VISIT_LIMIT, directories};
use super::{NamedImage, binaries, sample_images};
use crate::{Entry, ImageBuilder, Layer};

/// Package metadata is small; a file above this is something else.
const METADATA_LIMIT: u64 = 2 << 20;
/// The status file of a full desktop is about 8 MB.
const DATABASE_LIMIT: u64 = 32 << 20;
/// Installed packages of one kind that are taken: enough for a lively demo, soon read.
const TREE_LIMIT: usize = 400;
/// Makes images from the package databases, installed trees and binaries under a root directory.
///
/// Only regular files that can be read are taken, symbolic links are never followed, and no more
/// is read than the budget allows. Blocking: call it from a thread that may block.
///
/// # Examples
///
/// ```no_run
/// use supercargo_testkit::HostScan;
///
/// for named in HostScan::new("/").with_home("/home/me").images() {
///     assert!(named.repository.starts_with("host/") || named.repository.starts_with("sample/"));
/// }
/// ```
#[derive(Debug, Clone)]
pub struct HostScan {
    root: PathBuf,
    home: Option<PathBuf>,
    budget: u64,
}

impl HostScan {
    /// A scan of the machine whose files are under `root`, reading at most 60 MB.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), home: None, budget: 60 << 20 }
    }

    /// Looks into this home directory too, for what a user installed for themselves.
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Sets how many bytes may be read.
    pub fn with_budget(mut self, bytes: u64) -> Self {
        self.budget = bytes;
        self
    }

    /// The images: one per kind of package found, all on the same system layer. If nothing is
    /// found they are [`sample_images`].
    pub fn images(&self) -> Vec<NamedImage> {
        let mut reader = Reader::new(self.budget);
        let mut images = Vec::new();
        let system = self.system(&mut reader);
        let base = match &system {
            Some((layer, _)) => ImageBuilder::new().with_layer(layer.clone(), "ADD rootfs.tar / # buildkit"),
            None => ImageBuilder::new(),
        };
        let base = base
            .with_env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .with_label("org.opencontainers.image.title", "this machine");
        if let Some((_, description)) = system {
            images.push(NamedImage::new("host/system", "latest", description, base.build()));
        }
        let mut push = |repository: &str, what: &str, entries: Vec<Entry>, count: usize| {
            if count > 0 {
                let image =
                    base.clone().with_layer(Layer::new().with_entries(entries), format!("COPY {what} / # buildkit"));
                images.push(NamedImage::new(repository, "latest", format!("{count} {what}"), image.build()));
            }
        };
        let (entries, count) = self.python(&mut reader);
        push("host/python", "Python packages", entries, count);
        let (entries, count) = self.node(&mut reader);
        push("host/node", "npm packages", entries, count);
        let entries = binaries::find(&self.binary_directories(), &self.root, &mut reader);
        let count = entries.len();
        push("host/binaries", "Go and Rust binaries", entries, count);
        if images.is_empty() { sample_images() } else { images }
    }

    /// The package database of the operating system, with the os-release that says which it is.
    fn system(&self, reader: &mut Reader) -> Option<(Layer, String)> {
        let databases = [
            ("var/lib/dpkg/status", "Debian packages"),
            ("lib/apk/db/installed", "Alpine packages"),
            ("usr/lib/apk/db/installed", "Alpine packages"),
        ];
        let (path, what, contents) = databases.iter().find_map(|(path, what)| {
            let contents = reader.read(&self.root.join(path), DATABASE_LIMIT)?;
            (!contents.is_empty()).then_some((*path, *what, contents))
        })?;
        let count = contents
            .split(|byte| *byte == b'\n')
            .filter(|line| line.starts_with(b"Package: ") || line.starts_with(b"P:"))
            .count();
        let mut layer = Layer::new();
        // /etc/os-release is a link to the other one nearly everywhere, and links are not followed.
        for release in ["usr/lib/os-release", "etc/os-release"] {
            if let Some(bytes) = reader.read(&self.root.join(release), METADATA_LIMIT) {
                layer = layer.file(release, bytes);
                if release.starts_with("usr") {
                    layer = layer.symlink("etc/os-release", "../usr/lib/os-release");
                }
                break;
            }
        }
        Some((layer.file(path, contents), format!("{count} {what}")))
    }

    fn python(&self, reader: &mut Reader) -> (Vec<Entry>, usize) {
        let mut libraries = vec![self.root.join("usr/lib"), self.root.join("usr/local/lib")];
        if let Some(home) = &self.home {
            libraries.push(home.join(".local/lib"));
            libraries.extend(directories(&home.join(".pyenv/versions")).into_iter().map(|version| version.join("lib")));
        }
        let mut entries = Vec::new();
        let mut count = 0;
        for site in libraries.iter().flat_map(|library| directories(library)).filter(|path| named(path, "python")) {
            for packages in ["dist-packages", "site-packages"] {
                for info in directories(&site.join(packages)).into_iter().filter(|path| ends(path, ".dist-info")) {
                    if count == TREE_LIMIT {
                        return (entries, count);
                    }
                    let found = ["METADATA", "RECORD", "INSTALLER", "direct_url.json"];
                    let before = entries.len();
                    entries.extend(found.iter().filter_map(|name| self.entry(&info.join(name), reader)));
                    count += usize::from(entries.len() > before);
                }
            }
        }
        (entries, count)
    }

    fn node(&self, reader: &mut Reader) -> (Vec<Entry>, usize) {
        let mut waiting: Vec<PathBuf> = ["usr/local/lib/node_modules", "usr/lib/node_modules", "usr/share/nodejs"]
            .iter()
            .map(|path| self.root.join(path))
            .collect();
        if let Some(home) = &self.home {
            waiting.extend(
                directories(&home.join(".nvm/versions/node"))
                    .into_iter()
                    .map(|version| version.join("lib/node_modules")),
            );
        }
        let mut entries = Vec::new();
        let mut visited = 0;
        while let Some(modules) = waiting.pop() {
            for package in directories(&modules) {
                visited += 1;
                if entries.len() == TREE_LIMIT || visited == VISIT_LIMIT {
                    let count = entries.len();
                    return (entries, count);
                }
                if package.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"@")) {
                    waiting.push(package);
                    continue;
                }
                entries.extend(self.entry(&package.join("package.json"), reader));
                waiting.push(package.join("node_modules"));
            }
        }
        let count = entries.len();
        (entries, count)
    }

    fn binary_directories(&self) -> Vec<PathBuf> {
        let mut places = vec![self.root.join("usr/local/bin"), self.root.join("usr/local/go/bin")];
        if let Some(home) = &self.home {
            places.extend(["go/bin", ".cargo/bin", ".local/bin"].iter().map(|path| home.join(path)));
        }
        places.push(self.root.join("usr/bin"));
        places.push(self.root.join("usr/libexec/docker/cli-plugins"));
        places
    }

    fn entry(&self, path: &Path, reader: &mut Reader) -> Option<Entry> {
        let contents = reader.read(path, METADATA_LIMIT)?;
        Some(Entry::file(name_in_image(path, &self.root)?, contents))
    }
}

/// The path of a file of this machine inside an image; a home outside of the root keeps its whole path.
pub(super) fn name_in_image(path: &Path, root: &Path) -> Option<String> {
    let relative = path.strip_prefix(root).or_else(|_| path.strip_prefix("/")).ok()?;
    relative.to_str().map(str::to_owned)
}

fn named(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
}

fn ends(path: &Path, suffix: &str) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(suffix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::contents::{self, Package};

    fn put(root: &Path, path: &str, contents: impl AsRef<[u8]>) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "usr/lib/os-release", contents::os_release("debian", "12"));
        put(
            root.path(),
            "var/lib/dpkg/status",
            contents::dpkg_status(&[Package::new("bash", "5.2"), Package::new("zlib1g", "1.3")]),
        );
        put(root.path(), "usr/lib/python3/dist-packages/six-1.16.0.dist-info/METADATA", "Name: six\nVersion: 1.16.0\n");
        put(root.path(), "usr/lib/node_modules/@scope/a/package.json", "{}");
        put(root.path(), "usr/lib/node_modules/b/node_modules/c/package.json", "{}");
        put(
            root.path(),
            "usr/bin/tool",
            contents::go_binary("go1.22.1", &Package::new("example.com/tool", "v1.0.0"), &[]),
        );
        put(root.path(), "usr/bin/script", "#!/bin/sh\n");
        root
    }

    #[test]
    fn every_kind_becomes_an_image_on_the_same_base() {
        let root = machine();
        let images = HostScan::new(root.path()).images();
        let found: Vec<_> = images.iter().map(|named| (&*named.repository, &*named.description)).collect();
        let expected = [
            ("host/system", "2 Debian packages"),
            ("host/python", "1 Python packages"),
            ("host/node", "2 npm packages"),
            ("host/binaries", "1 Go and Rust binaries"),
        ];
        assert_eq!(found, expected);
        assert_eq!(images[0].image.layer_digest(0), images[3].image.layer_digest(0));
        assert_eq!(images, HostScan::new(root.path()).images());
    }

    #[test]
    fn a_machine_with_nothing_gives_the_samples() {
        let root = tempfile::tempdir().unwrap();
        let images = HostScan::new(root.path()).images();
        assert_eq!(images, sample_images());
        assert!(images.len() >= 3);
    }

    #[test]
    fn the_budget_and_links_are_respected() {
        let root = machine();
        assert_eq!(HostScan::new(root.path()).with_budget(0).images(), sample_images());

        let elsewhere = tempfile::tempdir().unwrap();
        put(elsewhere.path(), "status", "Package: secret\n");
        fs::remove_file(root.path().join("var/lib/dpkg/status")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("status"), root.path().join("var/lib/dpkg/status")).unwrap();
        let images = HostScan::new(root.path()).images();
        assert!(images.iter().all(|named| named.repository != "host/system"));
    }
}
