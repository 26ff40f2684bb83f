//! What the images of a product with many repositories are called.

use crate::config::Settings;
use crate::findings::{Left, host_of, ignored, short};
use crate::{Key, grammar};

/// How the product's repositories (Artifactory's repository keys, Nexus's repositories) are seen from outside. An
/// event names repository and image; the reference that users pull is made of both in one of these ways.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    kind: Kind,
    /// Those that count; all, if there are none.
    repositories: Vec<String>,
    /// The repository that images are pulled through, where it is another than the one that holds them.
    shown: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `example.com/REPOSITORY/app`.
    Path,
    /// `REPOSITORY.example.com/app`.
    Subdomain,
    /// `example.com:PORT/app`: a port, or a host of its own, for each repository.
    Port,
}

pub(crate) const LAYOUT: Key = Key::optional("layout", "how references are made: `path`, `subdomain` or `port`");
pub(crate) const REPOSITORIES: Key =
    Key::optional("repositories", "the product's repositories that count, parted by commas; without it all do");
pub(crate) const SHOWN: Key = Key::optional(
    "virtual-repository",
    "the repository that images are pulled through, where it is not the one that holds them",
);

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: Option<String>,
    pub(crate) repository: String,
}

impl Layout {
    /// Reads the three options.
    pub(crate) fn read(settings: &mut Settings, default: Kind) -> Self {
        let words = [("path", Kind::Path), ("subdomain", Kind::Subdomain), ("port", Kind::Port)];
        let kind = settings.word(LAYOUT.name, &words, default);
        let repositories = settings.list(REPOSITORIES.name);
        let shown = settings.text(SHOWN.name);
        if kind == Kind::Port && shown.is_some() {
            settings.problem("option `virtual-repository` says nothing in layout `port`, where no name holds it");
        }
        if kind == Kind::Port && repositories.len() > 1 {
            settings.problem("in layout `port` a host and port are one repository; name one");
        }
        Self { kind, repositories, shown }
    }

    /// Where `image` of `repository` is, at the configured host, else at the one that the payload claims.
    pub(crate) fn place(
        &self,
        configured: Option<&str>,
        claimed: Option<&str>,
        repository: &str,
        image: &str,
    ) -> Result<Place, Left> {
        if !self.repositories.is_empty() && !self.repositories.iter().any(|own| own == repository) {
            return ignored(format!("repository {} is not one of this source's", short(repository)));
        }
        let repository = self.shown.as_deref().unwrap_or(repository);
        let host = host_of(configured, [claimed]);
        Ok(match self.kind {
            Kind::Path => Place { host, repository: format!("{repository}/{image}") },
            Kind::Port => Place { host, repository: image.to_owned() },
            Kind::Subdomain => {
                let host = host.map(|host| subdomain(&host, repository)).filter(|host| grammar::is_host(host));
                Place { host, repository: image.to_owned() }
            }
        })
    }
}

/// `host` itself if it is the repository's already: `docker-local.example.com`, or `acme-docker-local.jfrog.io` as
/// JFrog's cloud has it.
fn subdomain(host: &str, repository: &str) -> String {
    let repository = repository.to_ascii_lowercase();
    let label = host.split('.').next().unwrap_or_default();
    let before = label.strip_suffix(&repository);
    if host.contains('.') && before.is_some_and(|before| before.is_empty() || before.ends_with('-')) {
        return host.to_owned();
    }
    format!("{repository}.{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_made_in_three_ways() {
        let layout = |kind, shown: Option<&str>| Layout {
            kind,
            repositories: vec!["docker-local".to_owned()],
            shown: shown.map(str::to_owned),
        };
        let check = |layout: Layout, host: &str, expected: (&str, &str)| {
            let place = layout.place(Some(host), Some("internal:8081"), "docker-local", "team/app").unwrap();
            assert_eq!((place.host.as_deref(), place.repository.as_str()), (Some(expected.0), expected.1));
        };
        check(layout(Kind::Path, None), "a.example.com", ("a.example.com", "docker-local/team/app"));
        check(layout(Kind::Path, Some("docker")), "a.example.com", ("a.example.com", "docker/team/app"));
        check(layout(Kind::Port, None), "a.example.com:5001", ("a.example.com:5001", "team/app"));
        check(layout(Kind::Subdomain, None), "example.com", ("docker-local.example.com", "team/app"));
        check(layout(Kind::Subdomain, None), "docker-local.example.com", ("docker-local.example.com", "team/app"));
        check(layout(Kind::Subdomain, None), "acme-docker-local.jfrog.io", ("acme-docker-local.jfrog.io", "team/app"));
        check(layout(Kind::Subdomain, Some("docker")), "example.com", ("docker.example.com", "team/app"));

        let left = layout(Kind::Path, None).place(None, None, "npm", "app").unwrap_err();
        assert_eq!(left, Left::Ignored("repository npm is not one of this source's".to_owned()));
    }
}
