//! The search for packages, in one language for the API and the command line.
//!
//! | Search | Finds |
//! | --- | --- |
//! | `openssl` | packages of that name, in any ecosystem |
//! | `openssl*`, `*ssl*` | packages whose name begins so, or has this in it |
//! | `@types/node`, `github.com/spf13/cobra`, `org.example:core` | a name in a namespace |
//! | `log4j-core@2.14.1` | that version, as it is written |
//! | `log4j-core@<2.17.1`, `lodash@>=4,<4.17.21`, `express@4.*` | a [range](supercargo_engine::index::version::VersionRange) in the ecosystem's own order |
//! | `pkg:deb/debian/openssl`, `pkg:npm/%40types/node@<20` | by package URL; qualifiers and subpath do not count |
//!
//! Names are compared without regard to case.

use std::str::FromStr;

use supercargo_engine::index::version::VersionRange;
use supercargo_engine::store::{self, Listing, NameMatch, PackageMatch, PackageQuery, Page, Store};

use crate::{Error, Result};

/// Rows that one call looks at, at most, while it looks for versions in a range: a search for what is nowhere must
/// not read the whole store in one request.
const ROWS: usize = 20_000;

/// A search for packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageSearch {
    /// What the store looks for.
    pub query: PackageQuery,
    /// Which versions of it.
    pub versions: Versions,
}

/// Which versions of a package are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// All, the unknown one too.
    #[default]
    Any,
    /// This one, as it is written.
    Exact(String),
    /// Those in a range, in the order of the package's ecosystem.
    Range(VersionRange),
}

impl Versions {
    /// Reads what follows the `@`: a range if it has a sign of one in it, else a version.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Query`](crate::ErrorKind::Query) if it is neither.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Error::query("read the search: there is no version after the @"));
        }
        if !text.contains(['<', '>', '=', '*', ',']) {
            return Ok(Self::Exact(text.to_owned()));
        }
        match text.parse() {
            Ok(range) => Ok(Self::Range(range)),
            Err(error) => {
                let hint = "write <1.2, <=1.2, >1.2, >=1.2, =1.2 or 1.2*, with commas between them";
                Err(Error::query(format!("read the versions {text:?}: {hint}")).with_source(error))
            }
        }
    }
}

impl FromStr for PackageSearch {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        match text.strip_prefix("pkg:") {
            Some(purl) => package_url(purl),
            None => plain(text),
        }
    }
}

fn plain(text: &str) -> Result<PackageSearch> {
    // The @ of an npm scope comes first, and no version follows it.
    let (name, versions) = match text.char_indices().rfind(|(at, character)| *character == '@' && *at > 0) {
        Some((at, _)) => (&text[..at], Versions::parse(&text[at + 1..])?),
        None => (text, Versions::Any),
    };
    let name = name.trim();
    // `@types/node`, `github.com/spf13/cobra`, `org.example:core`: what people write for a namespace and a name.
    let (namespace, name) = match name.rsplit_once('/').or_else(|| name.rsplit_once(':')) {
        Some((namespace, name)) if !namespace.is_empty() && !namespace.contains('*') => (Some(namespace), name),
        _ => (None, name),
    };
    let query = PackageQuery {
        namespace: namespace.map(str::to_owned),
        name: Some(name_match(name)?),
        ..PackageQuery::default()
    };
    Ok(PackageSearch { query, versions })
}

fn name_match(name: &str) -> Result<NameMatch> {
    let refuse = || Err(Error::query(format!("read the name {name:?}: a * may stand at its ends only")));
    let (begin, rest) = match name.strip_prefix('*') {
        Some(rest) => (true, rest),
        None => (false, name),
    };
    let (end, word) = match rest.strip_suffix('*') {
        Some(word) => (true, word),
        None => (false, rest),
    };
    if word.is_empty() {
        return Err(Error::query("read the search: there is no name in it"));
    }
    if word.contains('*') {
        return refuse();
    }
    match (begin, end) {
        (false, false) => Ok(NameMatch::Exact(word.to_owned())),
        (false, true) => Ok(NameMatch::Prefix(word.to_owned())),
        (true, true) => Ok(NameMatch::Contains(word.to_owned())),
        (true, false) => refuse(),
    }
}

/// `type/namespace/name@version`, percent-encoded (package-url specification, *parse purl*).
fn package_url(text: &str) -> Result<PackageSearch> {
    let refuse = || Error::query("read the package URL: expected pkg:type/name or pkg:type/namespace/name");
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let text = text[..end].trim_matches('/');
    let (path, versions) = match text.rsplit_once('@') {
        Some((path, version)) => (path, Versions::parse(&decode(version)?)?),
        None => (text, Versions::Any),
    };
    let (kind, rest) = path.split_once('/').ok_or_else(refuse)?;
    let (namespace, name) = match rest.trim_matches('/').rsplit_once('/') {
        Some((namespace, name)) => (Some(decode(namespace)?), name),
        None => (None, rest.trim_matches('/')),
    };
    if kind.is_empty() || name.is_empty() {
        return Err(refuse());
    }
    let query = PackageQuery {
        kind: Some(kind.to_ascii_lowercase()),
        namespace,
        name: Some(name_match(&decode(name)?)?),
        ..PackageQuery::default()
    };
    Ok(PackageSearch { query, versions })
}

/// Undoes percent-encoding (RFC 3986 §2.1).
fn decode(text: &str) -> Result<String> {
    let refuse = || Error::query(format!("read {text:?}: its percent-encoding is broken"));
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16)).ok_or_else(refuse);
        let (high, low) = (digit()?, digit()?);
        decoded.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits make a byte"));
    }
    String::from_utf8(decoded).map_err(|_| refuse())
}

/// A page of what `search` finds. With a version range it may hold fewer items than the page wants, even none, while
/// there is a next page: versions are compared here, not in the store.
///
/// # Errors
///
/// Those of [`Store::packages`].
pub async fn find(store: &dyn Store, search: &PackageSearch, page: Page) -> store::Result<Listing<PackageMatch>> {
    let mut query = search.query.clone();
    let range = match &search.versions {
        Versions::Any => return store.packages(&query, &page).await,
        Versions::Exact(version) => {
            query.version = Some(version.clone());
            return store.packages(&query, &page).await;
        }
        Versions::Range(range) => range,
    };
    let mut found = Listing { items: Vec::new(), next: page.after };
    let mut looked_at = 0;
    loop {
        // No more than what is missing, so that the store's cursor is right after the last item that is returned.
        let missing = page.limit.saturating_sub(u32::try_from(found.items.len()).unwrap_or(u32::MAX));
        let rows = store.packages(&query, &Page { limit: missing, after: found.next.take() }).await?;
        looked_at += rows.items.len();
        found.items.extend(rows.items.into_iter().filter(|item| range.matches(&item.kind, &item.version)));
        found.next = rows.next;
        // A page that is three quarters full is returned rather than filled by ever smaller steps.
        let full = found.items.len() as u64 * 4 >= u64::from(page.limit) * 3;
        if full || looked_at >= ROWS || found.next.is_none() {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> PackageSearch {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn exact(name: &str) -> Option<NameMatch> {
        Some(NameMatch::Exact(name.to_owned()))
    }

    #[test]
    fn names_and_versions() {
        let check = |text: &str, name: NameMatch, versions: &str| {
            let search = parse(text);
            assert_eq!(search.query.name, Some(name), "{text}");
            let shown = match &search.versions {
                Versions::Any => "any".to_owned(),
                Versions::Exact(version) => format!("exactly {version}"),
                Versions::Range(range) => range.to_string(),
            };
            assert_eq!(shown, versions, "{text}");
        };
        let (exact, prefix, contains) = (
            |name: &str| NameMatch::Exact(name.into()),
            |name: &str| NameMatch::Prefix(name.into()),
            |name: &str| NameMatch::Contains(name.into()),
        );
        check("openssl", exact("openssl"), "any");
        check(" openssl* ", prefix("openssl"), "any");
        check("*ssl*", contains("ssl"), "any");
        check("log4j-core@2.14.1", exact("log4j-core"), "exactly 2.14.1");
        check("log4j-core@<2.17.1", exact("log4j-core"), "<2.17.1");
        check("lodash@>=4, <4.17.21", exact("lodash"), ">=4,<4.17.21");
        check("express@4.*", exact("express"), "4.*");
        check("@types/node", exact("node"), "any");
        check("@types/node@<20", exact("node"), "<20");
        check("g++", exact("g++"), "any");
    }

    #[test]
    fn names_with_a_namespace() {
        let check = |text: &str, namespace: Option<&str>, name: &str| {
            let query = parse(text).query;
            assert_eq!((query.namespace.as_deref(), query.name), (namespace, exact(name)), "{text}");
        };
        check("@types/node@<20", Some("@types"), "node");
        check("github.com/spf13/cobra", Some("github.com/spf13"), "cobra");
        check("org.example:core@1.0", Some("org.example"), "core");
        check("bash", None, "bash");
    }

    #[test]
    fn package_urls() {
        let search = parse("pkg:deb/debian/openssl");
        assert_eq!(search.query.kind.as_deref(), Some("deb"));
        assert_eq!(search.query.namespace.as_deref(), Some("debian"));
        assert_eq!(search.query.name, exact("openssl"));

        let search = parse("pkg:maven/org.apache.logging.log4j/log4j-core@<2.17.1?type=jar#x");
        assert_eq!(search.query.namespace.as_deref(), Some("org.apache.logging.log4j"));
        assert_eq!(search.versions, Versions::Range("<2.17.1".parse().unwrap()));

        let search = parse("pkg:NPM/%40types/node@20.1.0");
        assert_eq!(search.query.kind.as_deref(), Some("npm"));
        assert_eq!(search.query.namespace.as_deref(), Some("@types"));
        assert_eq!(search.versions, Versions::Exact("20.1.0".into()));

        let search = parse("pkg:golang/github.com/spf13/cobra");
        assert_eq!(search.query.namespace.as_deref(), Some("github.com/spf13"));
        assert_eq!(parse("pkg:deb/debian/bash@1%3A5.2").versions, Versions::Exact("1:5.2".into()));
    }

    #[test]
    fn what_is_no_search() {
        for text in [
            "",
            "*",
            "**",
            "a*b",
            "*a",
            "a@",
            "a@<",
            "pkg:",
            "pkg:deb",
            "pkg:deb/",
            "pkg:/x",
            "pkg:npm/%4",
            "pkg:npm/%ff",
        ] {
            let parsed = text.parse::<PackageSearch>();
            assert_eq!(parsed.map_err(|error| error.kind()), Err(crate::ErrorKind::Query), "{text:?}");
        }
    }
}
