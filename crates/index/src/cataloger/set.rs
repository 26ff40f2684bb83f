//! The catalogers of an indexer, and the one matcher made from their interests.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Cataloger;
use super::interest::{Interest, LEADING_BYTES, Pattern};
use crate::catalogers;

/// A set of catalogers with one matcher over all their interests.
///
/// Cheap to clone: clones share the set.
#[derive(Clone)]
pub struct Catalogers {
    inner: Arc<Inner>,
}

struct Inner {
    catalogers: Vec<Arc<dyn Cataloger>>,
    version: String,
    versions: Vec<CatalogerVersion>,
    /// Patterns whose last segment is literal, by that segment in lower case.
    by_name: HashMap<Box<str>, Vec<Rule>>,
    /// Patterns whose last segment has a `*`, by the last byte of its literal end, in lower case.
    by_last_byte: HashMap<u8, Vec<Rule>>,
    /// Patterns whose last segment ends in `*`, by the first byte of its literal beginning, in lower case.
    by_first_byte: HashMap<u8, Vec<Rule>>,
    /// Patterns whose last segment is `*`, or begins and ends in it: looked at for every path.
    others: Vec<Rule>,
    leading: Vec<LeadingRule>,
    well_known: Vec<(usize, &'static str)>,
    one_below: Vec<(usize, &'static str)>,
}

/// A cataloger as it read a layer. Another one that is equal finds the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CatalogerVersion {
    /// [`Cataloger::name`].
    pub name: String,
    /// [`Cataloger::version`].
    pub version: u32,
    /// A hash of its [interest](Cataloger::interest): the files that it wanted.
    pub interest: String,
}

struct Rule {
    pattern: Pattern,
    /// The literal beginning and end of the pattern's last segment, compared before the rest: nearly all fail here.
    head: &'static str,
    tail: &'static str,
    cataloger: usize,
}

struct LeadingRule {
    offset: usize,
    bytes: &'static [u8],
    by_content: bool,
    cataloger: usize,
}

/// The file that stands for each directory, see [`Interest::one_below`](super::Interest::one_below).
pub(crate) type Chosen = HashMap<Box<str>, Box<str>>;

/// Who wants a file: indexes into the set, each with whether it was by content only.
pub(crate) type Selection = Vec<(usize, bool)>;

impl Catalogers {
    /// Every cataloger of this crate.
    pub fn all() -> Self {
        Self::of(catalogers::all())
    }

    /// Exactly these.
    ///
    /// # Panics
    ///
    /// If two have the same name.
    pub fn of(catalogers: Vec<Arc<dyn Cataloger>>) -> Self {
        let interests: Vec<_> = catalogers.iter().map(|cataloger| cataloger.interest()).collect();
        let versions: Vec<_> = catalogers
            .iter()
            .zip(&interests)
            .map(|(cataloger, interest)| CatalogerVersion {
                name: cataloger.name().to_owned(),
                version: cataloger.version(),
                interest: interest.hash(),
            })
            .collect();
        let mut inner = Inner {
            version: version(&versions),
            versions,
            by_name: HashMap::new(),
            by_last_byte: HashMap::new(),
            by_first_byte: HashMap::new(),
            others: Vec::new(),
            leading: Vec::new(),
            well_known: Vec::new(),
            one_below: Vec::new(),
            catalogers,
        };
        for (index, interest) in interests.into_iter().enumerate() {
            let name = inner.catalogers[index].name();
            let twice = inner.catalogers[..index].iter().any(|other| other.name() == name);
            assert!(!twice, "two catalogers are named {name}");
            inner.add(index, interest);
        }
        Self { inner: Arc::new(inner) }
    }

    /// The set with one more cataloger.
    #[must_use]
    pub fn with(self, cataloger: impl Cataloger + 'static) -> Self {
        let mut catalogers = self.inner.catalogers.clone();
        catalogers.push(Arc::new(cataloger));
        Self::of(catalogers)
    }

    /// The indexer version: changes whenever the same layer may give other findings.
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    /// The catalogers, in their order.
    pub fn versions(&self) -> &[CatalogerVersion] {
        &self.inner.versions
    }

    /// The catalogers' names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.inner.catalogers.iter().map(|cataloger| cataloger.name())
    }

    /// The catalogers, in their order: to make a smaller set [of](Self::of) them, or to let one read a file by itself.
    ///
    /// ```
    /// use supercargo_index::Catalogers;
    ///
    /// let all = Catalogers::all();
    /// let system = Catalogers::of(all.iter().filter(|one| ["os-release", "dpkg"].contains(&one.name())).cloned().collect());
    /// assert_eq!(system.names().collect::<Vec<_>>(), ["os-release", "dpkg"]);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Cataloger>> {
        self.inner.catalogers.iter()
    }

    pub(crate) fn get(&self, index: usize) -> &dyn Cataloger {
        &*self.inner.catalogers[index]
    }

    /// Adds who wants a file of this path to `selection`.
    pub(crate) fn select_by_path(&self, path: &str, selection: &mut Selection) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let mut add = |rules: &[Rule]| {
            for rule in rules {
                let is_wanted = || selection.iter().any(|(index, _)| *index == rule.cataloger);
                if rule.may_match(name) && !is_wanted() && rule.pattern.matches(path) {
                    selection.push((rule.cataloger, false));
                }
            }
        };
        if name.len() <= 64 {
            let mut buffer = [0_u8; 64];
            let lower = &mut buffer[..name.len()];
            lower.copy_from_slice(name.as_bytes());
            lower.make_ascii_lowercase();
            if let Ok(lower) = std::str::from_utf8(lower)
                && let Some(rules) = self.inner.by_name.get(lower)
            {
                add(rules);
            }
        }
        if let Some(last) = name.bytes().last()
            && let Some(rules) = self.inner.by_last_byte.get(&last.to_ascii_lowercase())
        {
            add(rules);
        }
        if let Some(first) = name.bytes().next()
            && let Some(rules) = self.inner.by_first_byte.get(&first.to_ascii_lowercase())
        {
            add(rules);
        }
        add(&self.inner.others);
    }

    /// Adds who wants a file of this path for the directory that it lies below. `chosen` are the files that were wanted
    /// so in this layer, by their directories.
    pub(crate) fn select_one_below(&self, path: &str, chosen: &mut Chosen, selection: &mut Selection) {
        for &(cataloger, parent) in &self.inner.one_below {
            let Some(rest) = path.strip_prefix(parent).and_then(|rest| rest.strip_prefix('/')) else { continue };
            let Some((below, _)) = rest.split_once('/') else { continue };
            let directory = &path[..path.len() - rest.len() + below.len()];
            // A file that stands twice in the layer is wanted twice: its last entry counts.
            let wanted = match chosen.get(directory) {
                Some(file) => **file == *path,
                None => true,
            };
            if !wanted {
                continue;
            }
            // Chosen even if it is wanted anyway: which file it is must not depend on who else asks.
            chosen.entry(directory.into()).or_insert_with(|| path.into());
            if !selection.iter().any(|(index, _)| *index == cataloger) {
                selection.push((cataloger, false));
            }
        }
    }

    /// Adds who wants a file that begins with `head` to `selection`.
    pub(crate) fn select_by_leading_bytes(&self, head: &[u8], selection: &mut Selection) {
        for rule in &self.inner.leading {
            if head.get(rule.offset..rule.offset + rule.bytes.len()) == Some(rule.bytes)
                && !selection.iter().any(|(index, _)| *index == rule.cataloger)
            {
                selection.push((rule.cataloger, rule.by_content));
            }
        }
    }

    /// The leading bytes that are looked for, with their offsets.
    pub(crate) fn leading(&self) -> impl Iterator<Item = (usize, &'static [u8])> {
        self.inner.leading.iter().map(|rule| (rule.offset, rule.bytes))
    }

    /// How many leading bytes decide.
    pub(crate) fn leading_bytes(&self) -> usize {
        self.inner.leading.iter().map(|rule| rule.offset + rule.bytes.len()).max().unwrap_or(0).min(LEADING_BYTES)
    }

    /// The size of the smallest file that can be wanted by its leading bytes; `None` if none is.
    pub(crate) fn shortest_leading_bytes(&self) -> Option<u64> {
        self.inner.leading.iter().map(|rule| (rule.offset + rule.bytes.len()) as u64).min()
    }

    /// The well-known paths of the cataloger of this name.
    pub(crate) fn well_known(&self, cataloger: &str) -> impl Iterator<Item = &'static str> {
        self.inner
            .well_known
            .iter()
            .filter(move |(index, _)| self.inner.catalogers[*index].name() == cataloger)
            .map(|(_, path)| *path)
    }
}

impl Rule {
    /// Whether a path whose last segment is `name` may match.
    fn may_match(&self, name: &str) -> bool {
        let (name, head, tail) = (name.as_bytes(), self.head.as_bytes(), self.tail.as_bytes());
        let equal = |a: &[u8], b: &[u8]| if self.pattern.any_case { a.eq_ignore_ascii_case(b) } else { a == b };
        name.len() >= head.len().max(tail.len())
            && equal(&name[name.len() - tail.len()..], tail)
            && equal(&name[..head.len()], head)
    }
}

impl Inner {
    fn add(&mut self, cataloger: usize, interest: Interest) {
        for pattern in interest.patterns {
            let (literal, whole) = pattern.last_literal();
            let rules = match literal.bytes().last() {
                Some(_) if whole => self.by_name.entry(literal.to_ascii_lowercase().into()).or_default(),
                Some(last) => self.by_last_byte.entry(last.to_ascii_lowercase()).or_default(),
                None => match pattern.first_literal().bytes().next() {
                    Some(first) => self.by_first_byte.entry(first.to_ascii_lowercase()).or_default(),
                    None => &mut self.others,
                },
            };
            rules.push(Rule { head: pattern.first_literal(), tail: literal, pattern, cataloger });
        }
        self.leading.extend(interest.leading.into_iter().map(|leading| LeadingRule {
            offset: leading.offset,
            bytes: leading.bytes,
            by_content: leading.by_content,
            cataloger,
        }));
        self.well_known.extend(interest.well_known.into_iter().map(|path| (cataloger, path)));
        self.one_below.extend(interest.one_below.into_iter().map(|parent| (cataloger, parent)));
    }
}

/// `<format of a layer index>-<16 hex digits>` over the names, versions and interests, in their order.
fn version(catalogers: &[CatalogerVersion]) -> String {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    hash.update(crate::LayerIndex::FORMAT.to_be_bytes());
    for CatalogerVersion { name, version, interest } in catalogers {
        hash.update(format!("{name}={version}={interest}\n"));
    }
    let hash: String = hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{hash}", crate::LayerIndex::FORMAT)
}

impl fmt::Debug for Catalogers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogers")
            .field("version", &self.inner.version)
            .field("names", &self.names().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Contents, File, Findings, Interest, Problem};

    #[derive(Debug)]
    struct Store;

    impl Cataloger for Store {
        fn name(&self) -> &'static str {
            "store"
        }

        fn version(&self) -> u32 {
            1
        }

        fn interest(&self) -> Interest {
            Interest::new().one_below("opt/store").path("**/special")
        }

        fn catalog(&self, _: &File<'_>, _: &mut Contents<'_>, _: &mut Findings) -> Result<(), Problem> {
            Ok(())
        }
    }

    #[test]
    fn one_file_stands_for_each_directory_of_a_store() {
        let catalogers = Catalogers::of(vec![Arc::new(Store)]);
        let mut chosen = Chosen::new();
        let mut check = |path: &str, expected: bool| {
            let mut selection = Selection::new();
            catalogers.select_one_below(path, &mut chosen, &mut selection);
            assert_eq!(!selection.is_empty(), expected, "{path}");
        };
        check("opt/store", false);
        check("opt/store/file", false);
        check("opt/storeroom/a/b", false);
        check("mnt/opt/store/a/b", false);
        check("opt/store/a/bin/a", true);
        check("opt/store/a/lib", false);
        check("opt/store/b/x", true);
        // Written again, it takes the place of what was found in it.
        check("opt/store/a/bin/a", true);
        check("opt/store/b/y", false);

        let mut selection = Selection::new();
        catalogers.select_by_path("opt/store/c/special", &mut selection);
        catalogers.select_one_below("opt/store/c/special", &mut Chosen::new(), &mut selection);
        assert_eq!(selection, [(0, false)], "asked once, whatever it is wanted for");
    }
}
