//! RPM packages, from rpm's database in each of its formats, and from the list that some images have in its place.
//!
//! | File, in `var/lib/rpm`, `usr/lib/sysimage/rpm` or `usr/share/rpm` | Holds |
//! | --- | --- |
//! | `rpmdb.sqlite` | an SQLite database; the table `Packages` has the headers: RHEL 9, Fedora, Amazon Linux 2023, Azure Linux |
//! | `Packages.db` | rpm's own format, see [`ndb`]: SUSE |
//! | `Packages` | a Berkeley DB hash, see [`berkeley`]: RHEL up to 8, Amazon Linux 2 |
//!
//! The format is told by the file's first bytes. In all three, a package is one [`header`]:
//!
//! | Tag | | Tag | |
//! | --- | --- | --- | --- |
//! | `NAME` | name | `VENDOR` | vendor |
//! | `VERSION`, `RELEASE` | version | `LICENSE` | licence expression |
//! | `EPOCH` | qualifier `epoch` | `SUMMARY` | description |
//! | `ARCH` | qualifier `arch` | `URL` | home page |
//! | `MODULARITYLABEL` | qualifier `rpmmod` | `SIZE`, `LONGSIZE` | installed size |
//! | `SOURCERPM` | source package, qualifier `upstream` | `BASENAMES`, `DIRNAMES`, `DIRINDEXES` | owned files |
//! | `PACKAGER` | author | `FILEMODES`, `FILESTATES` | which of them are no directories and are there |
//! | `DSAHEADER`, `RSAHEADER`, `SIGGPG`, `SIGPGP`, `OPENPGP` | signing key, see [`signature`] | | |
//!
//! A broken header costs that package only. [`manifest`] reads the list, [`RpmFile`] package files.

mod berkeley;
mod file;
mod header;
mod manifest;
mod ndb;
pub(super) mod package;
mod signature;

pub(super) use file::RpmFile;

use super::super::sqlite;
use crate::catalogers::check_count;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of all owned paths of one database. The largest real ones stay under 40 MiB; a hostile one could name a
/// long directory once and a million one-letter files in it.
const MOST_PATH_BYTES: usize = 64 << 20;

/// Reads rpm's database.
#[derive(Debug)]
pub(super) struct Rpm;

impl Cataloger for Rpm {
    fn name(&self) -> &'static str {
        "rpm"
    }

    fn version(&self) -> u32 {
        3
    }

    fn interest(&self) -> Interest {
        // A Berkeley DB begins with a log sequence number that says there is no log, and page number 0.
        const BERKELEY: [&[u8]; 2] =
            [b"\0\0\0\0\x01\0\0\0\0\0\0\0\x61\x15\x06\0", b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\x06\x15\x61"];
        Interest::new()
            .path("**/var/lib/rpm/rpmdb.sqlite")
            .path("**/var/lib/rpm/Packages.db")
            .path("**/var/lib/rpm/Packages")
            .path("**/usr/lib/sysimage/rpm/rpmdb.sqlite")
            .path("**/usr/lib/sysimage/rpm/Packages.db")
            .path("**/usr/lib/sysimage/rpm/Packages")
            .path("**/usr/share/rpm/rpmdb.sqlite")
            .path("**/usr/share/rpm/Packages.db")
            .path("**/usr/share/rpm/Packages")
            .path("**/var/lib/rpmmanifest/container-manifest-2")
            .behind_links("var/lib/rpm/rpmdb.sqlite", sqlite::MAGIC)
            .behind_links("usr/lib/sysimage/rpm/rpmdb.sqlite", sqlite::MAGIC)
            .behind_links("usr/share/rpm/rpmdb.sqlite", sqlite::MAGIC)
            .behind_links("var/lib/rpm/Packages.db", ndb::MAGIC)
            .behind_links("usr/lib/sysimage/rpm/Packages.db", ndb::MAGIC)
            .behind_links("usr/share/rpm/Packages.db", ndb::MAGIC)
            .behind_links("var/lib/rpm/Packages", BERKELEY[0])
            .behind_links("usr/lib/sysimage/rpm/Packages", BERKELEY[0])
            .behind_links("usr/share/rpm/Packages", BERKELEY[1])
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let bytes = contents.whole()?;
        if file.name() == "container-manifest-2" {
            return manifest::read(&contents.text()?, findings);
        }
        let mut packages = Packages { findings, header_bytes: bytes.len(), path_bytes: MOST_PATH_BYTES, problem: None };
        let mut each = |header: &[u8]| packages.take(header);
        let read = if let Some(database) = sqlite::Database::open(bytes)? {
            // An SQLite database without such a table is another program's.
            let Some(root) = database.table("Packages")? else { return Ok(()) };
            database.rows(root, |row| {
                let blob = row.values().find_map(|value| match value {
                    sqlite::Value::Blob(blob) => Some(blob),
                    _ => None,
                });
                blob.map_or(Ok(()), &mut each)
            })
        } else if bytes.starts_with(ndb::MAGIC) {
            ndb::headers(bytes, &mut each)
        } else if berkeley::is_database(bytes) {
            berkeley::headers(bytes, &mut each)
        } else {
            return Ok(());
        };
        // What is wrong with the database explains what is wrong with a header.
        read.and(packages.problem.map_or(Ok(()), Err))
    }
}

struct Packages<'a> {
    findings: &'a mut Findings,
    /// Bytes that headers may still have: each byte of the file is at most one header's.
    header_bytes: usize,
    /// Bytes that owned paths may still take.
    path_bytes: usize,
    problem: Option<Problem>,
}

impl Packages<'_> {
    fn take(&mut self, blob: &[u8]) -> Result<(), Problem> {
        check_count(self.findings)?;
        self.header_bytes = self
            .header_bytes
            .checked_sub(blob.len())
            .ok_or_else(|| Problem::malformed("rpm: headers overlap: together they are longer than the file"))?;
        match header::Header::parse(blob) {
            Ok(mut header) => {
                if let Some(package) = package::package(&mut header, &mut self.path_bytes) {
                    self.findings.package(package);
                }
            }
            Err(problem) => _ = self.problem.get_or_insert(problem),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
