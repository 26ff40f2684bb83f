//! Ranges of versions: `>=2.0, <2.17.1`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::compare;
use crate::{Error, ErrorKind};

/// Conditions of one range: people write two.
const MOST_CONDITIONS: usize = 32;

/// A set of versions: conditions that must all hold, parted by commas.
///
/// | Condition | Holds for |
/// | --- | --- |
/// | `<1.2`, `<=1.2`, `>1.2`, `>=1.2` | versions before or after, by the [order](super::compare) of the package's type |
/// | `=1.2`, `==1.2`, `1.2` | that version, however it is spelled |
/// | `1.2*` | versions whose text begins so |
/// | `*` | every version, the unknown one too |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionRange {
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Condition {
    relation: Relation,
    version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Relation {
    Before,
    NotAfter,
    After,
    NotBefore,
    Equal,
    Prefix,
}

impl VersionRange {
    /// Whether a version of a package of this package URL type is in the range. An empty version, one that is not
    /// known, is in no range but `*`.
    pub fn matches(&self, kind: &str, version: &str) -> bool {
        self.conditions.iter().all(|condition| condition.holds(kind, version))
    }
}

impl Condition {
    fn holds(&self, kind: &str, version: &str) -> bool {
        if self.relation == Relation::Prefix {
            // `v1.2` and `1.2` are one: Go and npm write the former, people the latter.
            let plain = |text: &str| text.strip_prefix('v').unwrap_or(text).to_owned();
            return plain(version).starts_with(&plain(&self.version));
        }
        if version.is_empty() {
            return false;
        }
        let order = compare(kind, version, &self.version);
        match self.relation {
            Relation::Before => order == Ordering::Less,
            Relation::NotAfter => order != Ordering::Greater,
            Relation::After => order == Ordering::Greater,
            Relation::NotBefore => order != Ordering::Less,
            Relation::Equal | Relation::Prefix => order == Ordering::Equal,
        }
    }
}

impl FromStr for VersionRange {
    type Err = Error;

    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] if a condition has no version, or there are more than 32 of them.
    fn from_str(text: &str) -> Result<Self, Error> {
        let conditions = text.split(',').map(Condition::from_str).collect::<Result<Vec<_>, _>>()?;
        if conditions.len() > MOST_CONDITIONS {
            let message = format!("parse version range: {} conditions, at most {MOST_CONDITIONS}", conditions.len());
            return Err(Error::new(ErrorKind::Malformed, message));
        }
        Ok(Self { conditions })
    }
}

impl FromStr for Condition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        const RELATIONS: [(&str, Relation); 6] = [
            ("<=", Relation::NotAfter),
            (">=", Relation::NotBefore),
            ("==", Relation::Equal),
            ("<", Relation::Before),
            (">", Relation::After),
            ("=", Relation::Equal),
        ];
        let text = text.trim();
        let found = RELATIONS.iter().find_map(|(sign, relation)| Some((*relation, text.strip_prefix(sign)?.trim())));
        let (relation, version) = match found {
            Some(found) => found,
            None => text.strip_suffix('*').map_or((Relation::Equal, text), |prefix| (Relation::Prefix, prefix)),
        };
        let odd = version.contains(|c: char| "<>=*".contains(c) || c.is_whitespace());
        if odd || (version.is_empty() && relation != Relation::Prefix) {
            return Err(Error::new(ErrorKind::Malformed, format!("parse version range: {text:?} is no condition")));
        }
        Ok(Self { relation, version: version.to_owned() })
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Condition { relation, version }) in self.conditions.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            let (before, after) = match relation {
                Relation::Before => ("<", ""),
                Relation::NotAfter => ("<=", ""),
                Relation::After => (">", ""),
                Relation::NotBefore => (">=", ""),
                Relation::Equal => ("=", ""),
                Relation::Prefix => ("", "*"),
            };
            write!(f, "{separator}{before}{version}{after}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_match() {
        let check = |range: &str, kind: &str, version: &str, expected: bool| {
            let parsed: VersionRange = range.parse().expect("is a range");
            assert_eq!(parsed.matches(kind, version), expected, "{range} {kind} {version}");
        };
        check("<2.17.1", "maven", "2.9.0", true);
        check("<2.17.1", "maven", "2.17.1", false);
        check("<=2.17.1", "maven", "2.17.1", true);
        check(">2.17", "maven", "2.17.0", false);
        check(">= 2.0 , < 3", "npm", "2.5.0", true);
        check(">=2.0,<3", "npm", "3.0.0", false);
        check("=1.0", "pypi", "1.0.0", true);
        check("1.0", "pypi", "1.0.0", true);
        check("==1.0", "deb", "1.0-1", false);
        check("2.14*", "maven", "2.14.1", true);
        check("2.14*", "maven", "2.1", false);
        check("1.2*", "golang", "v1.2.3", true);
        check("*", "npm", "", true);
        check("<1", "npm", "", false);
        check("<1:3.0.8", "deb", "3.0.9-1", true);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "<", ">=", "<1,", ",", "=<1", "<1 2", "!=1", "1*2", "<1*"] {
            let parsed = text.parse::<VersionRange>();
            assert_eq!(parsed.map_err(|error| error.kind()), Err(ErrorKind::Malformed), "{text:?}");
        }
        assert!(["<1"; MOST_CONDITIONS + 1].join(",").parse::<VersionRange>().is_err());
    }

    proptest! {
        #[test]
        fn a_range_is_what_it_says_it_is(text in "(<|<=|>|>=|=|==|)[0-9a-z.]{1,5}(,(<|>=)[0-9.]{1,4})?") {
            let range: VersionRange = text.parse().unwrap();
            prop_assert_eq!(range.to_string().parse::<VersionRange>().unwrap(), range);
        }

        #[test]
        fn never_panics(text in "\\PC{0,20}", version in "\\PC{0,10}") {
            if let Ok(range) = text.parse::<VersionRange>() {
                range.matches("generic", &version);
            }
        }
    }
}
