//! What somebody may do at the registry.

/// How the catalog answers somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Catalog {
    /// With all repositories.
    Complete,
    /// With 200 and nothing, as for a token whose scope map has no `*` (Azure/acr issue 751).
    Empty,
    /// With 401, as for an identity without the right (Azure/acr issue 675).
    Refused,
}

/// What somebody may do at the registry.
#[derive(Debug, Clone)]
pub struct Access {
    catalog: Catalog,
    rights: Vec<(String, Vec<String>)>,
}

impl Access {
    /// Nothing.
    pub fn none() -> Self {
        Self { catalog: Catalog::Refused, rights: Vec::new() }
    }

    /// The role `AcrPull`: all repositories are listed and read.
    pub fn pull() -> Self {
        Self::none().with_catalog(Catalog::Complete).with("*", &["pull", "metadata_read"])
    }

    /// The scope map `_repositories_pull_metadata_read`: all repositories are read, and the catalog is empty.
    pub fn pull_metadata_read() -> Self {
        Self::pull().with_catalog(Catalog::Empty)
    }

    /// Another answer of the catalog.
    pub fn with_catalog(mut self, catalog: Catalog) -> Self {
        self.catalog = catalog;
        self
    }

    /// These actions (`pull`, `push`, `metadata_read`) on one repository, on those below `team/*`, or on all, `*`.
    /// What was said of the same name before is over.
    pub fn with(mut self, repository: impl Into<String>, actions: &[&str]) -> Self {
        let repository = repository.into();
        self.rights.retain(|(name, _)| *name != repository);
        self.rights.push((repository, actions.iter().map(|action| (*action).to_owned()).collect()));
        self
    }

    pub(super) fn catalog(&self) -> Catalog {
        self.catalog
    }

    pub(super) fn allows(&self, repository: &str, action: &str) -> bool {
        let names = |pattern: &str| match pattern.strip_suffix('*') {
            Some(prefix) => repository.starts_with(prefix),
            None => repository == pattern,
        };
        self.rights.iter().any(|(pattern, actions)| names(pattern) && actions.iter().any(|own| own == action))
    }

    /// What is granted of the scope that was asked for: its type, its name and the actions.
    pub(super) fn grant(&self, scope: &str) -> Option<(String, String, Vec<String>)> {
        let (resource, actions) = scope.rsplit_once(':')?;
        let (kind, name) = resource.split_once(':')?;
        let granted = match (kind, name) {
            // The token is given, and the catalog is empty: that is how it looks to those who may not list.
            ("registry", "catalog") if self.catalog != Catalog::Refused => vec!["*".to_owned()],
            ("repository", _) => {
                actions.split(',').filter(|action| self.allows(name, action)).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        Some((kind.to_owned(), name.to_owned(), granted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_granted_in_part() {
        let access = Access::none().with("team/*", &["pull"]).with("app", &["pull", "metadata_read"]);
        let check = |scope: &str, expected: &[&str]| {
            assert_eq!(access.grant(scope).unwrap().2, expected, "{scope}");
        };
        check("repository:team/web:pull,push", &["pull"]);
        check("repository:team/web:metadata_read", &[]);
        check("repository:app:metadata_read", &["metadata_read"]);
        check("repository:other:pull", &[]);
        check("registry:catalog:*", &[]);
        assert_eq!(Access::pull_metadata_read().grant("registry:catalog:*").unwrap().2, ["*"]);
        assert!(access.grant("nonsense").is_none());
    }
}
