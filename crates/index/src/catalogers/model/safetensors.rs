//! Safetensors, the format of Hugging Face.
//!
//! Source of the format: <https://github.com/huggingface/safetensors#format>. Eight bytes say how long the header is,
//! which is JSON: a map of tensors, and under `__metadata__` a map of strings. Of these, models that follow
//! <https://github.com/Stability-AI/ModelSpec> say who they are; others are known by where they lie:
//!
//! | | Becomes |
//! | --- | --- |
//! | `modelspec.title` | name |
//! | `modelspec.license`, `.author`, `.description` | licence, author, description |
//! | `models--<owner>--<name>/snapshots/<revision>/…` and `…/blobs/…` of a Hugging Face cache | `pkg:huggingface/<owner>/<name>` |
//! | the file's name, or its directory's if it is a usual one (`model-00001-of-00003.safetensors`) | name |
//!
//! The parts of a model that is split over files are one package, since they have one name.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use serde::Deserialize;

use super::fill;
use crate::catalogers::field::{self, Scalar};
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// The format's own limit for the header.
const LONGEST_HEADER: u64 = 100_000_000;

/// Reads safetensors files.
#[derive(Debug)]
pub(crate) struct Safetensors;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Header {
    #[serde(rename = "__metadata__")]
    metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    #[serde(rename = "modelspec.title")]
    title: Scalar,
    #[serde(rename = "modelspec.license")]
    license: Scalar,
    #[serde(rename = "modelspec.author")]
    author: Scalar,
    #[serde(rename = "modelspec.description")]
    description: Scalar,
}

impl Cataloger for Safetensors {
    fn name(&self) -> &'static str {
        "safetensors"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        // A Hugging Face cache keeps files under the digest of their contents, and has links of the usual names to them.
        Interest::new().path("**/*.safetensors").leading(8, b"{\"__metadata__\":{")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let mut length = [0; 8];
        if !fill(contents, &mut length)? {
            return Ok(());
        }
        let length = u64::from_le_bytes(length);
        // A pointer of Git LFS has the name, too, and is text.
        if length > LONGEST_HEADER || length.saturating_add(8) > file.size {
            return Ok(());
        }
        let header: Header = serde_json::from_reader(BufReader::new(contents.take(length))).map_err(|error| {
            if error.is_io() {
                Problem::Stream(error.into())
            } else {
                Problem::malformed(format!("safetensors: {error}"))
            }
        })?;
        let metadata = header.metadata;
        let mut package = Place::of(file.path).package();
        if let Some(title) = field::line(metadata.title.text())
            && package.kind == "generic"
        {
            package.name = title;
        }
        package.licenses = field::line(metadata.license.text()).into_iter().collect();
        package.author = field::line(metadata.author.text());
        package.description = field::line(metadata.description.text());
        findings.package(package);
        Ok(())
    }
}

/// What a path says about a model.
#[derive(Debug, PartialEq)]
enum Place<'a> {
    /// In a cache of Hugging Face: `models--<owner>--<name>`.
    Hub {
        owner: Option<&'a str>,
        name: &'a str,
        revision: Option<&'a str>,
    },
    Named(&'a str),
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Self {
        let mut segments = path.split('/');
        while let Some(segment) = segments.next() {
            let Some(model) = segment.strip_prefix("models--").filter(|model| !model.is_empty()) else { continue };
            let (owner, name) = match model.split_once("--") {
                Some((owner, name)) => (Some(owner), name),
                None => (None, model),
            };
            let revision = segments.next().filter(|part| *part == "snapshots").and_then(|_| segments.next());
            return Self::Hub { owner, name, revision };
        }
        let mut segments = path.rsplit('/');
        let file = segments.next().unwrap_or_default();
        let stem = file.strip_suffix(".safetensors").unwrap_or(file);
        match segments.next() {
            Some(directory) if is_usual(stem) => Self::Named(directory),
            _ => Self::Named(stem),
        }
    }

    fn package(&self) -> Package {
        match *self {
            Self::Hub { owner, name, revision } => Package {
                kind: "huggingface".to_owned(),
                namespace: owner.and_then(field::word),
                name: field::word(name).unwrap_or_default(),
                version: revision.and_then(field::word).unwrap_or_default(),
                qualifiers: BTreeMap::new(),
                ..Package::default()
            },
            Self::Named(name) => Package {
                kind: "generic".to_owned(),
                name: field::line(name).unwrap_or_default(),
                ..Package::default()
            },
        }
    }
}

/// Whether every model has a file of this name: `model`, `model-00001-of-00003`, `adapter_model`, …
fn is_usual(stem: &str) -> bool {
    const USUAL: [&str; 5] = ["model", "pytorch_model", "adapter_model", "diffusion_pytorch_model", "consolidated"];
    let stem = stem
        .split("-of-")
        .next()
        .unwrap_or(stem)
        .trim_end_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    // `model.fp16` is the same in another precision.
    USUAL.contains(&stem.split('.').next().unwrap_or(stem))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    fn file(header: &str) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 64]].concat()
    }

    const QUUX: &str = r#"{"__metadata__":{"format":"pt","modelspec.title":"Quux XL","modelspec.author":"Ann",
        "modelspec.license":"CreativeML Open RAIL++-M"},"a.weight":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}}"#;

    #[test]
    fn reads_every_field() {
        assert_eq!(
            testing::find(&Safetensors, "models/quux_fp16.safetensors", &file(QUUX)).unwrap().packages(),
            [Package {
                kind: "generic".into(),
                name: "Quux XL".into(),
                licenses: vec!["CreativeML Open RAIL++-M".into()],
                author: Some("Ann".into()),
                ..Package::default()
            }]
        );
    }

    #[test]
    fn the_path_names_what_does_not_name_itself() {
        let check = |path: &str, expected: &str| {
            let found = testing::find(&Safetensors, path, &file("{\"a\": {}}")).unwrap();
            let purls: Vec<_> = found.packages().iter().map(|p| crate::purl::Purl::of(p, None).to_string()).collect();
            assert_eq!(purls, [expected], "{path}");
        };
        check("opt/quux-7b/model.safetensors", "pkg:generic/quux-7b");
        check("opt/quux-7b/model-00001-of-00003.safetensors", "pkg:generic/quux-7b");
        check("opt/quux/unet/diffusion_pytorch_model.fp16.safetensors", "pkg:generic/unet");
        check("opt/models/lora_v2.safetensors", "pkg:generic/lora_v2");
        check("model.safetensors", "pkg:generic/model");
        let hub = "root/.cache/huggingface/hub/models--acme--quux-7b";
        let revision = "0123456789abcdef0123456789abcdef01234567";
        check(
            &format!("{hub}/snapshots/{revision}/model.safetensors"),
            &format!("pkg:huggingface/acme/quux-7b@{revision}"),
        );
        check(&format!("{hub}/blobs/f00ba4"), "pkg:huggingface/acme/quux-7b");
        check("cache/models--gpt2/blobs/f00ba4", "pkg:huggingface/gpt2");
    }

    #[test]
    fn what_is_no_model_is_left_alone() {
        let find = |bytes: &[u8]| testing::find(&Safetensors, "a.safetensors", bytes);
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:f00\nsize 1\n";
        for bytes in [&b""[..], b"1234567", pointer, &u64::MAX.to_le_bytes()] {
            assert!(find(bytes).unwrap().packages().is_empty());
        }
        assert!(find(&file("[1,")).is_err());
        assert!(find(&file(&format!("{{\"a\":{}", "[".repeat(10_000)))).is_err());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at: usize, byte: u8, cut: usize) {
            let mut bytes = file(QUUX);
            let length = bytes.len();
            bytes[at % length] = byte;
            let _ = testing::find(&Safetensors, "a.safetensors", &bytes);
            let _ = testing::find(&Safetensors, "a.safetensors", &bytes[..cut % length]);
        }
    }
}
