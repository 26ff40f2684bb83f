//! The paths of the distribution protocol.

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Base,
    Catalog,
    Tags { repository: String },
    Manifest { repository: String, reference: String },
    Blob { repository: String, digest: String },
    NewUpload { repository: String },
    Upload { repository: String, session: String },
    Referrers { repository: String, digest: String },
}

impl Route {
    /// Reads the path below the host. Names may have any number of slashes, so the last marker counts.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/v2")?;
        if rest.is_empty() || rest == "/" {
            return Some(Self::Base);
        }
        let rest = rest.strip_prefix('/')?;
        if rest == "_catalog" {
            return Some(Self::Catalog);
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Some(Self::Tags { repository: repository(name)? });
        }
        if let Some((name, session)) =
            rest.rsplit_once("/blobs/uploads").filter(|(_, rest)| rest.is_empty() || rest.starts_with('/'))
        {
            let repository = repository(name)?;
            return Some(match session.trim_start_matches('/') {
                "" => Self::NewUpload { repository },
                session => Self::Upload { repository, session: session.into() },
            });
        }
        let split = |marker: &str| {
            let (name, last) = rest.rsplit_once(marker)?;
            (!last.is_empty() && !last.contains('/')).then(|| Some((repository(name)?, last.to_owned())))?
        };
        if let Some((repository, reference)) = split("/manifests/") {
            return Some(Self::Manifest { repository, reference });
        }
        if let Some((repository, digest)) = split("/blobs/") {
            return Some(Self::Blob { repository, digest });
        }
        let (repository, digest) = split("/referrers/")?;
        Some(Self::Referrers { repository, digest })
    }

    /// The repository, for all but the first two.
    pub(crate) fn repository(&self) -> Option<&str> {
        match self {
            Self::Base | Self::Catalog => None,
            Self::Tags { repository }
            | Self::Manifest { repository, .. }
            | Self::Blob { repository, .. }
            | Self::NewUpload { repository }
            | Self::Upload { repository, .. }
            | Self::Referrers { repository, .. } => Some(repository),
        }
    }
}

/// A repository name: parts of lower-case letters and digits with `.`, `_`, `__` or dashes between
/// them (distribution-spec, "Pulling manifests").
fn repository(name: &str) -> Option<String> {
    let part_is_valid = |part: &str| {
        let bytes = part.as_bytes();
        let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
            && bytes.iter().all(|byte| plain(byte) || b"._-".contains(byte))
    };
    (name.len() <= 255 && name.split('/').all(part_is_valid)).then(|| name.to_owned())
}

/// A tag: up to 128 of these characters, of which the first is no dot and no dash.
pub(crate) fn is_tag(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    (1..=128).contains(&bytes.len()) && plain(bytes[0]) && bytes.iter().all(|byte| plain(*byte) || b".-".contains(byte))
}

/// A digest that this server can check.
pub(super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart() {
        let check = |path: &str, expected: Option<Route>| assert_eq!(Route::parse(path), expected, "{path}");
        let repository = || "team/app".to_owned();
        check("/v2", Some(Route::Base));
        check("/v2/", Some(Route::Base));
        check("/v2/_catalog", Some(Route::Catalog));
        check("/v2/team/app/tags/list", Some(Route::Tags { repository: repository() }));
        check(
            "/v2/team/app/manifests/1.0",
            Some(Route::Manifest { repository: repository(), reference: "1.0".into() }),
        );
        check(
            "/v2/team/app/blobs/sha256:ab",
            Some(Route::Blob { repository: repository(), digest: "sha256:ab".into() }),
        );
        check("/v2/team/app/blobs/uploads/", Some(Route::NewUpload { repository: repository() }));
        check("/v2/team/app/blobs/uploads/7", Some(Route::Upload { repository: repository(), session: "7".into() }));
        check(
            "/v2/team/app/referrers/sha256:ab",
            Some(Route::Referrers { repository: repository(), digest: "sha256:ab".into() }),
        );
        check("/v2/manifests/tags/list", Some(Route::Tags { repository: "manifests".into() }));
        check("/v2/Team/tags/list", None);
        check("/v2/team//app/tags/list", None);
        check("/v1/search", None);
    }

    #[test]
    fn tags_and_digests_follow_their_grammar() {
        assert!(is_tag("v1.0-rc_1") && is_tag("_x"));
        assert!(!is_tag("") && !is_tag(".x") && !is_tag("-x") && !is_tag("a:b") && !is_tag(&"x".repeat(129)));
        assert!(is_digest(&crate::sha256(b"")));
        assert!(!is_digest("sha256:ab") && !is_digest("md5:ab"));
    }
}
