//! What the tests of catalogers share.

use crate::{Cataloger, Contents, File, Findings, Package, Problem};

/// What `cataloger` finds in a file of these bytes.
pub(super) fn find(cataloger: &dyn Cataloger, path: &str, bytes: &[u8]) -> Result<Findings, Problem> {
    let file = File { path, size: bytes.len() as u64, executable: false };
    let mut findings = Findings::default();
    cataloger.catalog(&file, &mut Contents::held(bytes), &mut findings)?;
    Ok(findings)
}

/// The packages that `cataloger` finds in a text that it can read.
pub(super) fn packages(cataloger: &dyn Cataloger, path: &str, text: &str) -> Vec<Package> {
    find(cataloger, path, text.as_bytes()).unwrap_or_else(|problem| panic!("{path}: {problem}")).packages().to_vec()
}

/// The same, in short: `name version`, and `?` after what is declared only, `(dev)` after what is for development.
pub(super) fn brief(cataloger: &dyn Cataloger, path: &str, text: &str) -> Vec<String> {
    let short = |package: Package| {
        let mut text = format!("{} {}", package.name, package.version).trim_end().to_owned();
        if package.evidence == crate::Evidence::Declared {
            text.push('?');
        }
        if package.dev {
            text.push_str(" (dev)");
        }
        text
    };
    packages(cataloger, path, text).into_iter().map(short).collect()
}

/// Whether the cataloger wants a file of this path, by the matcher of a set that holds it alone.
pub(super) fn wants(cataloger: impl Cataloger + 'static, path: &str) -> bool {
    let set = crate::Catalogers::of(vec![std::sync::Arc::new(cataloger)]);
    let mut selection = Vec::new();
    set.select_by_path(path, &mut selection);
    !selection.is_empty()
}

/// Reads `text` with bytes of it replaced, cut and doubled: nothing may panic.
pub(super) fn mutate(cataloger: &dyn Cataloger, path: &str, text: &str, (at, byte, cut): (usize, u8, usize)) {
    let mut bytes = text.as_bytes().to_vec();
    let length = bytes.len();
    bytes[at % length] = byte;
    let _ = find(cataloger, path, &bytes);
    let _ = find(cataloger, path, &bytes[cut % length..]);
    bytes.truncate(cut % length);
    let _ = find(cataloger, path, &bytes);
}
