//! The walk through an archive and the archives within it.

use std::cell::Cell;
use std::io::Read;

use super::identity::{self, Parts};
use crate::catalogers::check_count;
use crate::catalogers::zip::stream::{self, Failure};
use crate::catalogers::zip::{Archive, Contents};
use crate::{Findings, Package, Problem};

/// Archives within archives; what is deployed has three levels (a server's archive, an application, its libraries).
const DEEPEST: usize = 16;

/// Archives of one file. The largest applications hold some thousand.
const MOST_ARCHIVES: usize = 10_000;

/// Entries of one file, those of the archives within it counted.
const MOST_ENTRIES: u64 = 4_000_000;

/// Bytes of one manifest, `pom.properties` or `pom.xml`. The manifests of signed archives have a line for each class.
const LONGEST_TEXT: usize = 1 << 20;

/// Bytes of archives that are inflated into memory at one time, so that their directory can be read and their classes
/// be passed over. Larger ones are walked as they are inflated.
const MOST_HELD: usize = 24 << 20;

/// Bytes of an entry's path. Longer ones are of no real archive, and each package has a copy.
const LONGEST_PATH: usize = 1024;

/// Bytes of all that is kept of one file's packages.
const MOST_TEXT: usize = 64 << 20;

/// Bytes that may be inflated for each byte of the file, and however small it is. Deflate makes up to 1 032 of one,
/// honest applications under five.
const RATIO: u64 = 32;
const ALWAYS_INFLATED: u64 = 64 << 20;

/// What an entry is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Manifest,
    Properties,
    Pom,
    Version,
    Archive,
}

impl Kind {
    /// Nearly all entries are classes: decided by the last byte of the name for most.
    fn of(name: &[u8]) -> Option<Self> {
        if name.len() > LONGEST_PATH {
            return None;
        }
        match name.last()?.to_ascii_lowercase() {
            b'f' => name.eq_ignore_ascii_case(b"META-INF/MANIFEST.MF").then_some(Self::Manifest),
            b's' if ends_with(name, b"pom.properties") => Some(Self::Properties),
            b's' => (name == b"version.properties").then_some(Self::Version),
            // Others are templates, or resources of build tools.
            b'l' => {
                let maven = memchr::memmem::find(name, b"META-INF/maven/").is_some();
                (maven && ends_with(name, b"pom.xml")).then_some(Self::Pom)
            }
            b'r' | b'i' | b'g' => super::is_archive(name).then_some(Self::Archive),
            _ => None,
        }
    }
}

/// Whether `name` is the last segment of a path.
fn ends_with(path: &[u8], name: &[u8]) -> bool {
    path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with(b"/"))
}

/// One file's walk.
pub(super) struct Walk<'a> {
    findings: &'a mut Findings,
    archives: usize,
    entries: u64,
    /// Bytes that may still be inflated.
    inflatable: Cell<u64>,
    /// Bytes that are inflated into memory now.
    held: usize,
    /// Bytes of what was found.
    kept: usize,
    /// The first thing that was wrong. The walk goes on where it can.
    problem: Option<Problem>,
}

/// One archive's place.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// Its path in the archive around it, or the file's.
    pub(super) path: &'a str,
    /// Its path from the file, each level parted by a colon; empty for the file itself.
    pub(super) within: &'a str,
    pub(super) depth: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(size: u64, findings: &'a mut Findings) -> Self {
        let inflatable = Cell::new(size.saturating_mul(RATIO).saturating_add(ALWAYS_INFLATED));
        Self { findings, archives: 0, entries: 0, inflatable, held: 0, kept: 0, problem: None }
    }

    pub(super) fn finish(self) -> Result<(), Problem> {
        self.problem.map_or(Ok(()), Err)
    }

    /// An archive that lies in memory.
    pub(super) fn held(&mut self, bytes: &[u8], place: Place<'_>) {
        if !self.enter(place) {
            return;
        }
        let Some(archive) = Archive::open(bytes) else {
            self.stream(&mut { bytes }, place);
            return;
        };
        let mut parts = Parts::default();
        let mut empty = true;
        for entry in archive.entries() {
            empty = false;
            let Some(kind) = self.count().and_then(|()| Kind::of(entry.name)) else { continue };
            if kind != Kind::Archive {
                if let Some(text) = archive.read(&entry, LONGEST_TEXT) {
                    self.inflated(text.len());
                    add(&mut parts, kind, entry.name, &text);
                }
                continue;
            }
            match archive.contents(&entry) {
                Some(Contents::Stored(inner)) => self.inner(entry.name, place, |walk, place| walk.held(inner, place)),
                Some(mut contents) => {
                    let likely = usize::try_from(entry.size).unwrap_or(usize::MAX);
                    self.inflate(&mut contents, likely, entry.name, place);
                }
                None => {}
            }
        }
        if !empty {
            self.report(parts, place);
        }
    }

    /// An archive that passes.
    pub(super) fn stream(&mut self, reader: &mut dyn Read, place: Place<'_>) {
        let mut parts = Parts::default();
        let mut empty = true;
        let inflatable = Cell::new(self.inflatable.get());
        let walked = stream::walk(reader, &inflatable, &mut |name, contents| {
            empty = false;
            let Some(kind) = self.count().and_then(|()| Kind::of(name)) else { return };
            if kind == Kind::Archive {
                // Both count: what the entry inflates to, and what the archives within it do.
                self.inflatable.set(self.inflatable.get().min(inflatable.get()));
                self.inflate(contents, 0, name, place);
                inflatable.set(self.inflatable.get().min(inflatable.get()));
            } else {
                let mut text = Vec::new();
                // What was read before an error is of use; the error itself is the walk's to tell.
                let _ = contents.take(LONGEST_TEXT as u64).read_to_end(&mut text);
                add(&mut parts, kind, name, &text);
            }
        });
        self.inflatable.set(self.inflatable.get().min(inflatable.get()));
        if !empty {
            self.report(parts, place);
        }
        match walked {
            Ok(()) => {}
            Err(Failure::Read(error)) if place.depth == 0 => self.problem = Some(Problem::Stream(error)),
            Err(Failure::Read(_)) => self.wrong("zip: an archive within it cannot be read".to_owned()),
            Err(Failure::Broken(reason)) => self.wrong(reason.to_owned()),
        }
    }

    /// An archive that is to be inflated: into memory if there is room, else as it passes.
    /// `likely` bytes, by its own word.
    fn inflate(&mut self, contents: &mut dyn Read, likely: usize, name: &[u8], place: Place<'_>) {
        let room = MOST_HELD.saturating_sub(self.held);
        let limit = usize::try_from(self.inflatable.get()).unwrap_or(usize::MAX).min(room);
        let mut bytes = Vec::with_capacity(likely.min(limit).saturating_add(1));
        let read = contents.take(limit as u64 + 1).read_to_end(&mut bytes);
        self.inflated(bytes.len());
        if self.inflatable.get() == 0 {
            return;
        }
        self.held += bytes.len();
        let length = bytes.len();
        self.inner(name, place, |walk, place| {
            if read.is_ok() && length > limit {
                if walk.enter(place) {
                    walk.stream(&mut bytes.chain(contents), place);
                }
            } else {
                walk.held(&bytes, place);
            }
        });
        self.held -= length;
    }

    fn inner(&mut self, name: &[u8], place: Place<'_>, visit: impl FnOnce(&mut Self, Place<'_>)) {
        let name = String::from_utf8_lossy(name);
        let within = if place.within.is_empty() { name.to_string() } else { format!("{}:{name}", place.within) };
        visit(self, Place { path: &name, within: &within, depth: place.depth + 1 });
    }

    /// Whether one more archive may be read there.
    fn enter(&mut self, place: Place<'_>) -> bool {
        self.archives += 1;
        if place.depth > DEEPEST {
            self.wrong(format!("archives nested deeper than {DEEPEST}"));
        } else if self.archives > MOST_ARCHIVES {
            self.wrong(format!("more than {MOST_ARCHIVES} archives in one file"));
        }
        place.depth <= DEEPEST && self.archives <= MOST_ARCHIVES && self.inflatable.get() > 0
    }

    /// Counts an entry; `None` when there were too many.
    fn count(&mut self) -> Option<()> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            self.wrong(format!("more than {MOST_ENTRIES} entries in one file"));
            return None;
        }
        Some(())
    }

    fn inflated(&mut self, bytes: usize) {
        let left = self.inflatable.get().saturating_sub(bytes as u64);
        self.inflatable.set(left);
        if left == 0 {
            self.wrong("it inflates to more than any honest archive of its size".to_owned());
        }
    }

    fn wrong(&mut self, reason: String) {
        self.problem.get_or_insert(Problem::Malformed(reason));
    }

    fn report(&mut self, parts: Parts, place: Place<'_>) {
        for mut package in identity::packages(parts, place.path) {
            if let Err(problem) = check_count(self.findings) {
                self.problem.get_or_insert(problem);
                return;
            }
            let Package { namespace, name, version, licenses, description, url, .. } = &package;
            let texts = [namespace.as_deref(), Some(name), Some(version), description.as_deref(), url.as_deref()];
            self.kept += place.within.len();
            self.kept +=
                texts.into_iter().flatten().chain(licenses.iter().map(String::as_str)).map(str::len).sum::<usize>();
            if self.kept > MOST_TEXT {
                self.wrong(format!("more than {MOST_TEXT} bytes of names and descriptions in one file"));
                return;
            }
            package.within = (!place.within.is_empty()).then(|| place.within.to_owned());
            self.findings.package(package);
        }
    }
}

fn add(parts: &mut Parts, kind: Kind, name: &[u8], text: &[u8]) {
    let name = String::from_utf8_lossy(name);
    let directory = name.rsplit_once('/').map_or("", |(directory, _)| directory);
    match kind {
        Kind::Manifest => parts.manifest(text),
        Kind::Properties => parts.properties(directory, text),
        Kind::Pom => parts.pom(directory, text),
        Kind::Version => parts.version(text),
        Kind::Archive => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_told_by_their_names() {
        let check = |name: &str, expected: Option<Kind>| assert_eq!(Kind::of(name.as_bytes()), expected, "{name}");
        check("META-INF/MANIFEST.MF", Some(Kind::Manifest));
        check("meta-inf/manifest.mf", Some(Kind::Manifest));
        check("META-INF/versions/9/META-INF/MANIFEST.MF", None);
        check("META-INF/maven/g/a/pom.properties", Some(Kind::Properties));
        check("pom.properties", Some(Kind::Properties));
        check("x/mypom.properties", None);
        check("META-INF/maven/g/a/pom.xml", Some(Kind::Pom));
        check("WEB-INF/classes/META-INF/maven/g/a/pom.xml", Some(Kind::Pom));
        check("archetype-resources/pom.xml", None);
        check("version.properties", Some(Kind::Version));
        check("org/acme/version.properties", None);
        check("BOOT-INF/lib/a-1.jar", Some(Kind::Archive));
        check("WEB-INF/plugins/a.HPI", Some(Kind::Archive));
        check("a.lpkg", Some(Kind::Archive));
        check("org/acme/A.class", None);
        check("lib/", None);
        check("", None);
    }
}
