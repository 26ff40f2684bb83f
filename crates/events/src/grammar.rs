//! The distribution specification's grammar of names (`spec.md`, "Pulling manifests"), and of hosts.
//!
//! Events come from outside and their names end up in addresses, so what does not match is not passed on.

use oci_spec::image::{Digest, DigestAlgorithm};

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` per component, components parted by `/`, at most 255 bytes.
pub(crate) fn is_repository(name: &str) -> bool {
    name.len() <= 255 && name.split('/').all(is_component)
}

fn is_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut words = component.split(alphanumeric_char).peekable();
    if component.is_empty() || !component.bytes().next().is_some_and(alphanumeric) {
        return false;
    }
    if !component.bytes().last().is_some_and(alphanumeric) {
        return false;
    }
    words.all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-'))
}

fn alphanumeric_char(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit()
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub(crate) fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

/// A host name or address with an optional port: nothing that could carry a path, a query or credentials.
pub(crate) fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 255
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
}

/// A digest of an algorithm that registries use. Published samples hold digests of all lengths.
pub(crate) fn digest(text: &str) -> Option<Digest> {
    let digest: Digest = text.parse().ok()?;
    (!matches!(digest.algorithm(), DigestAlgorithm::Other(_))).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories() {
        for name in ["a", "team/app", "a.b/c_d/e__f/g---h", "0/1", &"a".repeat(255)] {
            assert!(is_repository(name), "{name}");
        }
        for name in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "../a",
            "a/..",
            "a/./b",
            "A",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a b",
            "a%2f",
            "a?b",
            "ä",
            "a._b",
            &"a".repeat(256),
        ] {
            assert!(!is_repository(name), "{name}");
        }
    }

    #[test]
    fn tags() {
        for tag in ["1", "_", "v1.2-rc_3", "LATEST", &"a".repeat(128)] {
            assert!(is_tag(tag), "{tag}");
        }
        for tag in ["", ".", "-a", "a/b", "a b", "sha256:1", "é", &"a".repeat(129)] {
            assert!(!is_tag(tag), "{tag}");
        }
    }

    #[test]
    fn hosts() {
        for host in ["localhost", "127.0.0.1:5000", "[::1]:5000", "registry.example.com"] {
            assert!(is_host(host), "{host}");
        }
        for host in ["", "user@host", "host/path", "host?query", "host name"] {
            assert!(!is_host(host), "{host}");
        }
    }

    #[test]
    fn digests() {
        assert!(digest(&format!("sha256:{}", "a".repeat(64))).is_some());
        for text in ["", "sha256:", "sha256:0123", "sha1:0123", "md5:x", &format!("sha256:{}", "A".repeat(64))] {
            assert_eq!(digest(text), None, "{text}");
        }
    }
}
