//! What `supercargo index` can be pointed at.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use supercargo_engine::registry::Reference;

/// What to index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// An image in a registry.
    Registry(Reference),
    /// An image in an OCI layout folder; with what follows the path, still to be told apart from it.
    Layout(String),
    /// An image in a `docker save` or OCI archive; likewise.
    Archive(String),
    /// A directory, or one file.
    FileSystem(PathBuf),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let some = |rest: &str| {
            if rest.is_empty() { Err(format!("{text}: name a path after it")) } else { Ok(rest.to_owned()) }
        };
        match text.split_once("://") {
            Some(("registry", reference)) => parse_reference(reference).map(Self::Registry),
            Some(("oci-dir", rest)) => some(rest).map(Self::Layout),
            Some(("archive", rest)) => some(rest).map(Self::Archive),
            Some(("fs", rest)) => some(rest).map(|path| Self::FileSystem(path.into())),
            Some((scheme, _)) => {
                let error = format!("{scheme}:// is none of registry://, oci-dir://, archive:// and fs://");
                Err(with_our_spelling(error, text))
            }
            None => parse_reference(text).map(Self::Registry).map_err(|error| with_our_spelling(error, text)),
        }
    }
}

/// Adds how it is written here, if it is a path or written as skopeo and syft have it.
fn with_our_spelling(error: String, text: &str) -> String {
    const ELSEWHERE: [(&str, &str); 8] = [
        ("oci:", "oci-dir://"),
        ("oci-dir:", "oci-dir://"),
        ("dir:", "fs://"),
        ("file:", "fs://"),
        ("docker-archive:", "archive://"),
        ("oci-archive:", "archive://"),
        ("docker:", "registry://"),
        ("registry:", "registry://"),
    ];
    let elsewhere = ELSEWHERE.iter().find_map(|(theirs, ours)| Some((ours, text.strip_prefix(theirs)?)));
    match elsewhere {
        Some((ours, rest)) => format!("{error}; write {ours}{}", rest.strip_prefix("//").unwrap_or(rest)),
        None if text.starts_with(['/', '.', '~']) => format!("{error}; for a path write fs://{text}"),
        None => error,
    }
}

fn parse_reference(text: &str) -> Result<Reference, String> {
    text.parse().map_err(|error| format!("{text:?} is no reference to an image: {error}"))
}

/// Parts `PATH[:NAME|@DIGEST]`: what is there as a whole is a path, else the last part that can be one is a name.
pub(super) fn split_name(text: &str) -> (&Path, Option<&str>) {
    if Path::new(text).exists() {
        return (Path::new(text), None);
    }
    if let Some((path, digest)) = text.rsplit_once('@')
        && digest.contains(':')
    {
        return (Path::new(path), Some(digest));
    }
    // Names may be whole references, with a colon of their own: the shortest path that is there wins.
    let mut colons = text.match_indices(':');
    match colons.find(|(at, _)| Path::new(&text[..*at]).exists()) {
        Some((at, _)) => (Path::new(&text[..at]), Some(&text[at + 1..])),
        None => (Path::new(text), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        let check = |text: &str, expected: Result<Source, &str>| match (text.parse::<Source>(), expected) {
            (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
            (found, expected) => assert_eq!(found.map_err(|_| ()), expected.map_err(|_| ()), "{text}"),
        };
        let reference = |text: &str| Source::Registry(text.parse().unwrap());
        check("alpine:3.20", Ok(reference("docker.io/library/alpine:3.20")));
        check("registry://localhost:5000/app", Ok(reference("localhost:5000/app")));
        check("oci-dir://out:1.0", Ok(Source::Layout("out:1.0".into())));
        check("archive://image.tar", Ok(Source::Archive("image.tar".into())));
        check("fs:///srv", Ok(Source::FileSystem("/srv".into())));
        check("fs://", Err("name a path"));
        check("docker://x", Err("none of registry://, oci-dir://, archive:// and fs://; write registry://x"));
        check("oci:out:1.0", Err("write oci-dir://out:1.0"));
        check("dir:/srv", Err("write fs:///srv"));
        check("docker-archive:./a.tar", Err("write archive://./a.tar"));
        check("./Dockerfile", Err("write fs://./Dockerfile"));
        check("UPPER", Err("no reference"));
    }

    #[test]
    fn paths_and_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("out")).unwrap();
        std::fs::create_dir(folder.path().join("odd:name")).unwrap();
        let check = |text: &str, path: &str, name: Option<&str>| {
            let text = folder.path().join(text).display().to_string();
            assert_eq!(split_name(&text), (folder.path().join(path).as_path(), name), "{text}");
        };
        check("out", "out", None);
        check("out:1.0", "out", Some("1.0"));
        check("out:registry.test:5000/app:1.0", "out", Some("registry.test:5000/app:1.0"));
        check("out@sha256:abc", "out", Some("sha256:abc"));
        check("odd:name", "odd:name", None);
        check("odd:name:1.0", "odd:name", Some("1.0"));
        check("missing:1.0", "missing:1.0", None);
    }
}
