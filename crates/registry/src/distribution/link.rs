//! The `Link` header's next page (RFC 8288, as far as registries use it).

use url::Url;

use crate::secret::{printable, redacted};
use crate::{Error, ErrorKind, Result};

/// Bytes of an address of a next page. Amazon ECR's cursors are about 300 bytes long.
const ADDRESS: usize = 8 << 10;

/// The target of the first link with the relation `next`, as written.
pub(crate) fn next_target(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let (parameters, following) = split_parameters(after);
        if parameters.split(';').any(is_next) {
            return Some(target.trim());
        }
        rest = following?;
    }
}

/// Splits at the comma that ends this link's parameters: commas within quotes do not.
fn split_parameters(text: &str) -> (&str, Option<&str>) {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => return (&text[..at], Some(&text[at + 1..])),
            _ => {}
        }
    }
    (text, None)
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("rel")
        && value.trim().trim_matches('"').split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("next"))
}

/// The address of the next page: never off the host that `current` is on, and always at its path.
///
/// Nexus writes links to its own port and path where a connector or a proxy gave it another one
/// (nexus-public #1011). The cursor in the query is what matters, so path and port stay ours.
pub(crate) fn next_page(current: &Url, target: &str) -> Result<Url> {
    let refuse = |why: &str| {
        Err(Error::new(
            ErrorKind::Refused,
            format!("follow the next page of {}: {why} ({:?})", redacted(current), printable(target, 200)),
        ))
    };
    if target.len() > ADDRESS {
        return refuse("the link is too long");
    }
    let Ok(next) = current.join(target) else { return refuse("the link is not an address") };
    if next.scheme() != current.scheme() || next.host() != current.host() || !next.username().is_empty() {
        return refuse("the link leaves the registry");
    }
    let mut url = current.clone();
    url.set_query(next.query());
    Ok(url)
}

/// `current` with the query of `target`, wherever that points. Nothing of `target` is contacted.
pub(crate) fn with_cursor(current: &Url, target: &str) -> Url {
    let mut url = current.clone();
    let query = target.split('#').next().and_then(|target| target.split_once('?'));
    url.set_query(query.map(|(_, query)| query));
    url
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn targets() {
        let check = |header: &str, expected: Option<&str>| assert_eq!(next_target(header), expected, "{header}");
        check("</v2/_catalog?n=1&last=a>; rel=\"next\"", Some("/v2/_catalog?n=1&last=a"));
        check("</a,b;c>;rel=next", Some("/a,b;c"));
        check("<x>; rel=\"prev\", <y>; title=\"a, b\"; rel=\"last NEXT\"", Some("y"));
        check("<x>; rel=prev", None);
        check("<x>", None);
        check("x; rel=next", None);
        check("", None);
        check("<unclosed; rel=next", None);
    }

    #[test]
    fn pages() {
        let current = Url::parse("https://registry.test:5000/v2/a/tags/list?n=2").unwrap();
        let check = |target: &str, expected: Option<&str>| {
            assert_eq!(next_page(&current, target).ok().map(String::from).as_deref(), expected, "{target}");
        };
        check("/v2/a/tags/list?n=2&last=x", Some("https://registry.test:5000/v2/a/tags/list?n=2&last=x"));
        check("?last=x", Some("https://registry.test:5000/v2/a/tags/list?last=x"));
        check(
            "https://registry.test:8081/repository/docker/v2/a/tags/list?last=x",
            Some("https://registry.test:5000/v2/a/tags/list?last=x"),
        );
        check("http://registry.test:5000/v2/a/tags/list?last=x", None);
        check("https://evil.test/v2/a/tags/list?last=x", None);
        check("//evil.test/v2/", None);
        check("https://registry.test@evil.test/", None);
        check("https://u:p@registry.test:5000/v2/", None);
        check("file:///etc/passwd", None);
        check(&format!("?last={}", "x".repeat(10_000)), None);
    }

    #[test]
    fn cursors() {
        let current = Url::parse("https://registry.test/repository/docker/v2/_catalog?n=2").unwrap();
        let check = |target: &str, query: Option<&str>| {
            let next = with_cursor(&current, target);
            assert_eq!(next.origin(), current.origin());
            assert_eq!((next.path(), next.query()), (current.path(), query), "{target}");
        };
        check("http://inside:8081/v2/_catalog?n=2&last=team%2Fapp", Some("n=2&last=team%2Fapp"));
        check("/v2/_catalog?last=a#x?y", Some("last=a"));
        check("https://evil.test/", None);
    }

    proptest! {
        #[test]
        fn any_header_is_survived(header in "\\PC{0,60}") {
            let _ = next_target(&header);
        }

        #[test]
        fn a_page_never_leaves_the_host(target in "\\PC{0,60}") {
            let current = Url::parse("https://registry.test/v2/_catalog?n=1").unwrap();
            if let Ok(url) = next_page(&current, &target) {
                prop_assert_eq!(url.origin(), current.origin());
                prop_assert_eq!(url.path(), current.path());
            }
        }
    }
}
