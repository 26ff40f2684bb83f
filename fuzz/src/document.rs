//! The documents of an image: its manifest, its configuration, what is said of it.

use std::sync::LazyLock;

use supercargo_index::{AttestationDocument, Catalogers, Indexer};

use crate::memory::{Image, digest};
use crate::{Target, literals, seeds, tar};

/// Documents need no catalogers.
static INDEXER: LazyLock<Indexer> = LazyLock::new(|| {
    let system = Catalogers::all().iter().filter(|one| one.name() == "os-release").cloned().collect();
    Indexer::new().with_catalogers(Catalogers::of(system)).with_layers_at_once(1)
});

/// What a statement may say, by the type of its predicate.
const PREDICATES: [&str; 6] = [
    "https://slsa.dev/provenance/v0.2",
    "https://slsa.dev/provenance/v1",
    "https://spdx.dev/Document",
    "https://cyclonedx.org/bom",
    "https://openvex.dev/ns/v0.2.0",
    "https://example.org/unknown",
];

/// How a statement may be stored.
const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.in-toto+json",
    "application/vnd.dsse.envelope.v1+json",
    "application/spdx+json",
    "application/vnd.openvex+json",
];

pub(crate) fn targets() -> Vec<Target> {
    let words = || {
        let folders = ["indexer", "encode", "catalogers/document"].map(|name| format!("crates/index/src/{name}"));
        let files =
            ["indexer", "provenance", "attestation", "config", "base_image", "redact", "encode", "catalogers/document"]
                .map(|name| format!("crates/index/src/{name}.rs"));
        folders.iter().chain(&files).flat_map(|path| literals::sources(path)).collect::<Vec<_>>()
    };
    let target = |name: &str, run: fn(&[u8]), sample: fn() -> Vec<u8>| Target {
        name: format!("document/{name}"),
        run: Box::new(run),
        seeds: Box::new(move || {
            let quoted = seeds::documents(&words());
            let chosen = (0..PREDICATES.len() as u8)
                .flat_map(|choice| quoted.iter().map(move |text| [text.as_slice(), &[choice]].concat()));
            [sample()].into_iter().chain(chosen).collect()
        }),
        words: words(),
    };
    vec![
        target("manifest", manifest, || whole().manifest),
        target("config", config, || whole().config),
        target("attestation", attestation, Vec::new),
        target("predicate", predicate, Vec::new),
    ]
}

fn whole() -> Image {
    let layer = [tar::entry(b'0', b"etc/os-release", b"", b"ID=debian\nVERSION_ID=12\n"), tar::END.to_vec()].concat();
    let history = r#""created_by":"RUN apt-get install x # buildkit","created":"2024-01-01T00:00:00Z""#;
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Env":["A=1","TOKEN=x"],"Labels":{{"a":"b"}}}},
        "rootfs":{{"type":"layers","diff_ids":["{}"]}},"history":[{{{history}}},{{"empty_layer":true}}]}}"#,
        digest(&layer)
    );
    Image::configured(config.into_bytes(), vec![layer])
}

fn manifest(bytes: &[u8]) {
    let _ = Image { manifest: bytes.to_vec(), ..whole() }.index(&INDEXER);
}

fn config(bytes: &[u8]) {
    let _ = Image::configured(bytes.to_vec(), whole().layers).index(&INDEXER);
}

/// The last byte says how the document is stored.
fn attestation(bytes: &[u8]) {
    let Some((&choice, bytes)) = bytes.split_last() else { return };
    let predicate_type = (choice & 0x80 != 0).then(|| PREDICATES[usize::from(choice) % PREDICATES.len()].to_owned());
    say(bytes, MEDIA_TYPES[usize::from(choice) % MEDIA_TYPES.len()], predicate_type);
}

/// The predicate of a statement that is right otherwise. The last byte says of which type.
fn predicate(bytes: &[u8]) {
    let Some((&choice, bytes)) = bytes.split_last() else { return };
    let image = digest(&whole().manifest);
    let head = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","predicateType":"{}","subject":[{{"name":"x","digest":
        {{"sha256":"{}"}}}}],"predicate":"#,
        PREDICATES[usize::from(choice) % PREDICATES.len()],
        image.digest()
    );
    say(&[head.as_bytes(), bytes, b"}"].concat(), MEDIA_TYPES[0], None);
}

fn say(bytes: &[u8], media_type: &str, predicate_type: Option<String>) {
    let document = AttestationDocument {
        digest: digest(bytes),
        media_type: media_type.to_owned(),
        predicate_type,
        bytes: Some(bytes.to_vec().into()),
    };
    let image = Image { attestations: vec![document], ..whole() };
    // A statement may be refused; the image never is for it.
    let metadata = image.index(&INDEXER).expect("the image is right");
    assert_eq!(metadata.image().map(|image| image.attestations.len()), Some(1));
}
