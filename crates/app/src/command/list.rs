//! What the commands that list have in common.

use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;
use supercargo_engine::index::{Digest, Platform};
use supercargo_engine::store::{self, Cursor, ImageFilter, ImageSummary, Listing, Page, Place, Presence, Store};

use crate::{Error, ErrorKind, Output, Result};

/// How a list is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// A table for people
    Table,
    /// A JSON array
    Json,
}

/// Reads a list to its end, page by page. `page` reads one; `each` sees the items in their order.
pub(super) async fn all<T>(
    mut page: impl AsyncFnMut(Page) -> store::Result<Listing<T>>,
    mut each: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let mut after: Option<Cursor> = None;
    loop {
        let listing = page(Page { limit: Page::LIMIT, after: after.take() }).await?;
        for item in listing.items {
            each(item)?;
        }
        match listing.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Prints a JSON array, an item per line, as the items come: lists may be longer than memory is wide.
#[derive(Debug, Default)]
pub(super) struct JsonArray {
    begun: bool,
}

impl JsonArray {
    pub(super) fn item(&mut self, writer: &mut dyn Write, item: &impl Serialize) -> Result<()> {
        let head = if self.begun { ",\n" } else { "[\n" };
        self.begun = true;
        let text = serde_json::to_string(item).map_err(|error| Error::failed("print", error))?;
        write!(writer, "{head}{text}").map_err(print_failed)
    }

    pub(super) fn end(self, writer: &mut dyn Write) -> Result<()> {
        writer.write_all(if self.begun { b"\n]\n" } else { b"[]\n" }).map_err(print_failed)
    }
}

pub(super) fn print_failed(error: std::io::Error) -> Error {
    Error::io("print", error)
}

/// `registry/repository:tag`, or `registry/repository@sha256:…` in short if no tag leads there.
pub(super) fn place(place: &Place, digest: &Digest) -> String {
    match &place.tag {
        Some(tag) => format!("{}:{tag}", place.repository),
        None => format!("{}@{}", place.repository, short(digest)),
    }
}

/// Where an image is, in a cell: the first place, and how many more there are.
pub(super) fn places(all: &[Place], digest: &Digest) -> String {
    match all {
        [] => format!("(gone) {}", short(digest)),
        [only] => place(only, digest),
        [first, rest @ ..] => format!("{} (+{})", place(first, digest), rest.len()),
    }
}

/// A package's name with its namespace, where the ecosystem has one that tells packages apart. Distributions do not:
/// theirs is the distribution.
pub(super) fn full_name(kind: &str, namespace: Option<&str>, name: &str) -> String {
    match (kind, namespace) {
        ("deb" | "apk" | "rpm" | "alpm", _) | (_, None | Some("")) => name.to_owned(),
        (_, Some(namespace)) if name.starts_with(namespace) => name.to_owned(),
        ("maven", Some(namespace)) => format!("{namespace}:{name}"),
        (_, Some(namespace)) => format!("{namespace}/{name}"),
    }
}

pub(super) fn short(digest: &Digest) -> String {
    format!("{}:{}", digest.algorithm(), crate::text::short_digest(digest.as_ref()))
}

/// The images that a person means: by a digest, by `registry/repository:tag`, or by the repository alone.
pub(super) async fn find_images(
    store: &dyn Store,
    name: &str,
    platform: Option<&Platform>,
) -> Result<Vec<ImageSummary>> {
    let mut found = Vec::new();
    if let Ok(digest) = name.rsplit('@').next().unwrap_or(name).parse::<Digest>() {
        found.extend(store.image(&digest).await?.map(|image| image.summary));
    } else {
        let (registry, repository, tag) = split(name);
        let filter = ImageFilter {
            registry,
            repository: Some(repository),
            tag,
            platform: platform.cloned(),
            presence: Presence::Present,
            ..ImageFilter::default()
        };
        let keep = |image| {
            found.push(image);
            Ok(())
        };
        all(async |page| store.images(&filter, &page).await, keep).await?;
    }
    if found.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, format!("find an image called {name}"))
            .with_hint("`supercargo images` lists those that are there"));
    }
    Ok(found)
}

/// The parts of a name as a person types it: what `images` prints, or less of it.
fn split(name: &str) -> (Option<String>, String, Option<String>) {
    let (path, tag) = match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag.to_owned())),
        _ => (name, None),
    };
    match path.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
            (Some(host.to_owned()), rest.to_owned(), tag)
        }
        _ => (None, path.to_owned(), tag),
    }
}

/// Says that a list is empty: an empty table alone leaves one wondering.
pub(super) fn nothing(output: &mut Output, hint: &str) {
    output.say(format_args!("nothing found; {hint}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images() {
        let check = |name: &str, registry: Option<&str>, repository: &str, tag: Option<&str>| {
            let expected = (registry.map(str::to_owned), repository.to_owned(), tag.map(str::to_owned));
            assert_eq!(split(name), expected, "{name}");
        };
        check("localhost:5000/team/app:1.0", Some("localhost:5000"), "team/app", Some("1.0"));
        check("registry.test/app", Some("registry.test"), "app", None);
        check("team/app:1.0", None, "team/app", Some("1.0"));
        check("app", None, "app", None);
    }

    #[test]
    fn full_names() {
        assert_eq!(full_name("deb", Some("debian"), "bash"), "bash");
        assert_eq!(full_name("npm", Some("@types"), "node"), "@types/node");
        assert_eq!(full_name("npm", Some("@types"), "@types/node"), "@types/node");
        assert_eq!(full_name("maven", Some("org.example"), "core"), "org.example:core");
        assert_eq!(full_name("pypi", None, "six"), "six");
    }

    #[test]
    fn arrays() {
        let mut printed = Vec::new();
        let mut array = JsonArray::default();
        array.item(&mut printed, &1).unwrap();
        array.item(&mut printed, &"a\u{1b}").unwrap();
        array.end(&mut printed).unwrap();
        assert_eq!(String::from_utf8(printed).unwrap(), "[\n1,\n\"a\\u001b\"\n]\n");
        let mut printed = Vec::new();
        JsonArray::default().end(&mut printed).unwrap();
        assert_eq!(printed, b"[]\n");
    }
}
