//! Programs that no package database knows, by what their files say of themselves.
//!
//! Images whose software was compiled on the spot (the Docker Official Images are) hold no metadata about it. But
//! most programs have their version within, for `--version` to print. [`table`] says, as data, which file is which
//! program, what stands around its version, and under which names vulnerability databases know it; [`scan`] looks
//! for that. Another program is another row there.
//!
//! A file is looked at only if its path is in the table, so the cost is that of a handful of files in an image. It
//! need not be an executable: some programs are scripts or keep their version in a text. Files that the distribution
//! brought are found like others; whose they are is settled when the layers are squashed.

mod program;
mod scan;
mod table;

use std::io::Read;
use std::sync::LazyLock;

use self::program::Program;
use self::scan::Found;
use crate::cataloger::path_matches;
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Every row, in the order of the table.
static PROGRAMS: LazyLock<Vec<&'static Program>> = LazyLock::new(|| table::ALL.iter().copied().flatten().collect());

/// Recognises programs and their versions.
#[derive(Debug)]
pub(crate) struct Classifier;

impl Cataloger for Classifier {
    fn name(&self) -> &'static str {
        "classifier"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        let mut patterns: Vec<&'static str> = PROGRAMS.iter().flat_map(|program| program.files).copied().collect();
        patterns.sort_unstable();
        patterns.dedup();
        patterns.into_iter().fold(Interest::new(), Interest::path)
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let wanted = (0..PROGRAMS.len()).filter(|&index| {
            let program = PROGRAMS[index];
            program.files.iter().any(|pattern| path_matches(pattern, file.path)) && program.named(file.name()).is_some()
        });
        let candidates: Vec<usize> = wanted.collect();
        if candidates.is_empty() {
            return Ok(());
        }
        let found = match contents.whole() {
            Ok(bytes) => scan::held(&candidates, file.name(), bytes),
            Err(Problem::TooLarge { .. }) => {
                let reader: &mut dyn Read = contents;
                scan::passing(&candidates, file.name(), reader)?
            }
            Err(problem) => return Err(problem),
        };
        for (index, found) in found {
            findings.package(package(PROGRAMS[index], &found));
        }
        Ok(())
    }
}

fn package(program: &Program, found: &Found) -> Package {
    let (kind, path) = program.purl.split_once('/').unwrap_or(("generic", program.purl));
    let (namespace, name) = match path.rsplit_once('/') {
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
        None => (None, path),
    };
    // Go's own form, so that this is the package that the program's build information may name as well.
    let v = if kind == "golang" { "v" } else { "" };
    Package {
        kind: kind.to_owned(),
        namespace,
        name: name.to_owned(),
        version: format!("{v}{}", found.version),
        cpes: program.cpes.iter().map(|names| cpe(names, found)).collect(),
        ..Package::default()
    }
}

/// The CPE 2.3 name for `vendor:product`, or for `vendor:product:version:update` with parts of the version in braces.
fn cpe(names: &str, found: &Found) -> String {
    match names.split_once(":{") {
        None => format!("cpe:2.3:a:{names}:{}:*:*:*:*:*:*:*", escape(&found.version)),
        Some((names, _)) => {
            let version = found.part("primary").unwrap_or(&found.version);
            let update = found.part("update").map_or("*".to_owned(), |update| format!("update{}", escape(update)));
            format!("cpe:2.3:a:{names}:{}:{update}:*:*:*:*:*:*", escape(version))
        }
    }
}

/// NIST IR 7695, 6.2: in a formatted string everything but letters, digits, `_`, `-` and `.` is quoted.
fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            out.push('\\');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests;
