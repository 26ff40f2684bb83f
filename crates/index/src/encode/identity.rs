//! What makes a document this one and no other: its UUID, its time, what it calls the image. Nothing in it depends on when or where it was
//! written, so the same image gives the same bytes.

use jiff::Timestamp;
use packageurl::PackageUrl;
use sha2::{Digest as _, Sha256};

use crate::{ImageDetails, ImageMetadata, Source};

/// The time of a document about something that has none.
const BEGINNING: &str = "1970-01-01T00:00:00Z";

/// A UUID (version 8: of our own making) over what was indexed, by what, and `variant`: the format and the options.
pub(super) fn uuid(metadata: &ImageMetadata, variant: &str) -> String {
    let mut hash = Sha256::new();
    // Each part ends with a byte that none of them holds, so that no two lists of parts run together.
    let mut part = |text: &str| {
        hash.update(text.as_bytes());
        hash.update([0]);
    };
    part(env!("CARGO_PKG_VERSION"));
    part(&metadata.indexer);
    part(variant);
    match &metadata.source {
        Source::Image(image) => {
            part("image");
            part(&image.name);
            part(image.digest.as_ref());
            image.tags.iter().for_each(|tag| part(tag));
        }
        // A directory has no digest; what was found in it stands for one.
        Source::Directory { path, size } => {
            part("directory");
            part(path);
            part(&size.to_string());
            metadata.packages.iter().for_each(|package| part(&package.purl));
        }
    }
    let mut bytes: [u8; 16] = std::array::from_fn(|_| 0);
    bytes.copy_from_slice(&hash.finalize()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// The document's time: the one asked for, else that of the image. In UTC and whole seconds, as SPDX wants it.
pub(super) fn created(metadata: &ImageMetadata, asked: Option<&str>) -> String {
    asked
        .or_else(|| metadata.image()?.config.created.as_deref())
        .and_then(in_utc)
        .unwrap_or_else(|| BEGINNING.to_owned())
}

/// `2024-05-01T12:30:00.123+02:00` (RFC 3339) as `2024-05-01T10:30:00Z`.
fn in_utc(text: &str) -> Option<String> {
    let time = text.trim().parse::<Timestamp>().ok()?;
    // Towards the past, as cutting the digits off does.
    let whole = Timestamp::from_second(time.as_second() - i64::from(time.subsec_nanosecond() < 0)).ok()?;
    // Neither format has room for years before 0.
    Some(whole.to_string()).filter(|text| !text.starts_with('-'))
}

/// `pkg:oci/app@sha256:…?arch=amd64&repository_url=registry.example.com/team/app&tag=1`; `None` without a name.
pub(super) fn image_purl(image: &ImageDetails) -> Option<String> {
    let name = image.name.rsplit('/').next().filter(|name| !name.is_empty())?.to_lowercase();
    let mut purl = PackageUrl::new("oci", name).ok()?;
    purl.with_version(image.digest.to_string()).ok()?;
    if !image.platform.architecture.is_empty() {
        purl.add_qualifier("arch", image.platform.architecture.as_str()).ok()?;
    }
    purl.add_qualifier("repository_url", image.name.as_str()).ok()?;
    if let Some(tag) = image.tags.first() {
        purl.add_qualifier("tag", tag.as_str()).ok()?;
    }
    Some(purl.to_string())
}

/// An absolute web address that stands as it is in a URI.
pub(super) fn is_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_alphanumeric())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=%".contains(&byte))
            && rest.matches('#').count() < 2
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_in_utc_and_whole_seconds() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(in_utc(text).as_deref(), expected, "{text}");
        check("2024-05-01T12:30:00Z", Some("2024-05-01T12:30:00Z"));
        check("2024-05-01T12:30:00.123456789Z", Some("2024-05-01T12:30:00Z"));
        // `date -u -d` agrees with these.
        check("2024-05-01T12:30:00.1+02:00", Some("2024-05-01T10:30:00Z"));
        check("2024-02-28T23:30:00-01:30", Some("2024-02-29T01:00:00Z"));
        check("2023-12-31T23:59:60-00:01", Some("2024-01-01T00:00:59Z"));
        check("1970-01-01T00:00:00Z", Some("1970-01-01T00:00:00Z"));
        check("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00Z"));
        check("0000-01-01T00:00:00+10:00", None);
        check("2024-13-01T00:00:00Z", None);
        check("2024-05-01", None);
        check("2024-05-01T12:30:00", None);
        check("2024-05-01T12:30:00+2", None);
        check("é024-05-01T12:30:00Z", None);
        check("", None);
    }

    proptest! {
        #[test]
        fn times_never_panic(text in "\\PC{0,40}") {
            let _ = in_utc(&text);
        }
    }
}
