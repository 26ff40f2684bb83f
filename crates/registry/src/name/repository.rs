//! Repository names, tags, and what a manifest is asked for by.

use std::fmt;
use std::str::FromStr;

use oci_spec::distribution::Reference;
use oci_spec::image::Digest;

use crate::digest::parse_digest;
use crate::{Error, ErrorKind, Result};

/// Longest repository name; what the reference grammar of CNCF Distribution allows.
const REPOSITORY_LENGTH: usize = 255;
/// Longest tag, by the distribution specification.
const TAG_LENGTH: usize = 128;

/// A repository's name within its registry, such as `library/alpine` (distribution-spec, *pulling manifests*).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository(String);

impl Repository {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest well-formed name to `text`, for repositories that are folders or files.
    pub(crate) fn nearest(text: &str) -> Self {
        let mut name = String::new();
        for c in text.chars().flat_map(char::to_lowercase) {
            match c {
                'a'..='z' | '0'..='9' => name.push(c),
                _ if name.is_empty() || name.ends_with('-') => {}
                _ => name.push('-'),
            }
        }
        let name = name.trim_end_matches('-');
        Self(if name.is_empty() { "image".to_owned() } else { name.chars().take(REPOSITORY_LENGTH).collect() })
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Repository {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Repository {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() <= REPOSITORY_LENGTH && text.split('/').all(is_component) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(
            ErrorKind::Malformed,
            format!(
                "parse repository name {:?}: expected lower-case letters, digits and . _ - between them, in parts joined by /",
                crate::secret::printable(text, 300)
            ),
        ))
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(part: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if !alphanumeric(*first) || !alphanumeric(*last) {
        return false;
    }
    bytes
        .split(|b| alphanumeric(*b))
        .all(|separator| matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-'))
}

/// A tag's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagName(String);

impl TagName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name follows a convention by which tools attach artefacts to images: the referrers tag
    /// (`sha256-<hex>`) and cosign's `.sig`, `.att`, `.sbom`. What such a tag leads to is not an image.
    ///
    /// ```
    /// let tag: supercargo_registry::TagName = format!("sha256-{}.sig", "a".repeat(64)).parse()?;
    /// assert!(tag.is_referrer());
    /// # Ok::<(), supercargo_registry::Error>(())
    /// ```
    pub fn is_referrer(&self) -> bool {
        let stem = [".sig", ".att", ".sbom"].iter().find_map(|ending| self.0.strip_suffix(ending)).unwrap_or(&self.0);
        let hex = |text: &str, length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
        match stem.split_once('-') {
            Some(("sha256", rest)) => hex(rest, 64),
            // The referrers tag holds at most 64 characters of the encoded digest.
            Some(("sha512", rest)) => hex(rest, 64) || hex(rest, 128),
            _ => false,
        }
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for TagName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for TagName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let bytes = text.as_bytes();
        if bytes.len() <= TAG_LENGTH
            && bytes.first().is_some_and(|b| word(*b))
            && bytes.iter().all(|b| word(*b) || b".-".contains(b))
        {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(
            ErrorKind::Malformed,
            format!(
                "parse tag {:?}: expected up to 128 letters, digits and _ . -",
                crate::secret::printable(text, 300)
            ),
        ))
    }
}

/// What a manifest is asked for by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A tag: what it leads to may change.
    Tag(TagName),
    /// A digest: what it leads to never changes.
    Digest(Digest),
}

impl Target {
    /// The digest, if it is one.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Digest(digest) => Some(digest),
            Self::Tag(_) => None,
        }
    }

    /// `:` before a tag, `@` before a digest: how the target follows a repository's name.
    pub fn separator(&self) -> char {
        match self {
            Self::Tag(_) => ':',
            Self::Digest(_) => '@',
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl FromStr for Target {
    type Err = Error;

    /// A colon makes it a digest: tags have none.
    fn from_str(text: &str) -> Result<Self> {
        if text.contains(':') { Ok(Self::Digest(parse_digest(text)?)) } else { Ok(Self::Tag(text.parse()?)) }
    }
}

impl From<Digest> for Target {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl From<TagName> for Target {
    fn from(tag: TagName) -> Self {
        Self::Tag(tag)
    }
}

/// The repository and the target of a full reference. A digest wins over a tag beside it.
///
/// # Errors
/// [`ErrorKind::Malformed`] if a part breaks its grammar (a digest in upper case, for one).
///
/// ```
/// use supercargo_registry::{Reference, split_reference};
///
/// let reference: Reference = "alpine:3.20".parse()?;
/// let (repository, target) = split_reference(&reference)?;
/// assert_eq!(repository.as_str(), "library/alpine");
/// assert_eq!(target.to_string(), "3.20");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn split_reference(reference: &Reference) -> Result<(Repository, Target)> {
    let repository = reference.repository().parse()?;
    let target = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => Target::Digest(parse_digest(digest)?),
        (None, Some(tag)) => Target::Tag(tag.parse()?),
        (None, None) => Target::Tag(TagName("latest".to_owned())),
    };
    Ok((repository, target))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn repositories() {
        for good in ["a", "library/alpine", "a/b/c", "a.b", "a_b", "a__b", "a--b", "a---b.c_d/0"] {
            assert!(good.parse::<Repository>().is_ok(), "{good}");
        }
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "-a", "a-", ".", "..", "a/../b", "a b", "a%2fb", "a\0",
            "a:b", "ä", "a?b", "a#b",
        ] {
            assert!(bad.parse::<Repository>().is_err(), "{bad}");
        }
        assert!("a".repeat(256).parse::<Repository>().is_err());
    }

    #[test]
    fn tags_and_targets() {
        for bad in ["", "-a", ".a", "a/b", "a b", "a\n", "ü", &"a".repeat(129)] {
            assert!(bad.parse::<TagName>().is_err(), "{bad}");
        }
        assert!(matches!("v1.0_x-y".parse::<Target>(), Ok(Target::Tag(_))));
        for bad in [
            "sha256:../../x",
            "sha256:",
            ":",
            "sha256:abc",
            &format!("sha256:{}", "A".repeat(64)),
            &format!("md5:{}", "a".repeat(32)),
            &format!("sha256:{}\0", "a".repeat(63)),
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[test]
    fn referrer_tags() {
        let check = |tag: &str, expected: bool| {
            assert_eq!(tag.parse::<TagName>().unwrap().is_referrer(), expected, "{tag}");
        };
        let hex = "0123456789abcdef".repeat(4);
        check(&format!("sha256-{hex}"), true);
        check(&format!("sha256-{hex}.att"), true);
        check(&format!("sha256-{}", &hex[1..]), false);
        check("latest", false);
        check("sha256-rollout", false);
    }

    proptest! {
        #[test]
        fn a_repository_is_safe_in_a_path(text in "\\PC{0,40}") {
            if let Ok(name) = text.parse::<Repository>() {
                prop_assert!(name.as_str().split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
                prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b)));
            }
        }

        #[test]
        fn the_nearest_name_is_a_name(text in "\\PC{0,40}") {
            prop_assert!(Repository::nearest(&text).as_str().parse::<Repository>().is_ok());
        }
    }
}
