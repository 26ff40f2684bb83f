//! Things to store, made up.

use std::time::Duration;

use supercargo_index::{
    Digest, Distro, ImageConfig, ImageDetails, ImageLayer, ImageMetadata, ImagePackage, LayerIndex, Location, Package,
    Platform, Source,
};

use crate::audit::Actor;
use crate::job::{Claim, Failure, Job, Lane, NewJob, Retry, Work};
use crate::name::{Reason, RepositoryName, TagOrDigest};
use crate::store::Store;

/// A minute.
pub const MINUTE: Duration = Duration::from_secs(60);

/// The lease of [`claim`].
pub const LEASE: Duration = MINUTE;

/// The indexer of [`image`].
pub const INDEXER: &str = "1-abc";

/// The `number`th digest.
pub fn digest(number: u32) -> Digest {
    format!("sha256:{number:064x}").parse().expect("64 hexadecimal digits are a digest")
}

/// Somebody at the command line.
pub fn actor() -> Actor {
    Actor::command_line("tester")
}

/// `registry.example/name`.
pub fn repository(name: &str) -> RepositoryName {
    RepositoryName::new("registry.example", name)
}

/// Work: ask what `registry.example/app:tag` is.
pub fn refresh(tag: &str) -> Work {
    Work::Refresh { repository: repository("app"), reference: Some(TagOrDigest::Tag(tag.to_owned())) }
}

/// A push of `registry.example/app:tag`.
pub fn push(tag: &str) -> NewJob {
    NewJob::new(refresh(tag), Lane::Push)
}

/// The work of a job as its tag or digest, to compare briefly.
pub fn names(jobs: &[Job]) -> Vec<String> {
    jobs.iter().map(|job| job.work.reference().map(ToString::to_string).unwrap_or_default()).collect()
}

/// Claims up to `limit` jobs for [`LEASE`].
///
/// # Errors
/// The store's.
pub async fn claim(store: &dyn Store, limit: u32) -> crate::Result<Vec<Job>> {
    store.claim(&Claim::new("worker", LEASE).with_limit(limit)).await
}

/// Claims one job.
///
/// # Errors
/// The store's.
///
/// # Panics
/// If there is none.
pub async fn claim_one(store: &dyn Store) -> crate::Result<Job> {
    Ok(claim(store, 1).await?.pop().expect("a job is ready"))
}

/// A failure that may pass.
pub fn failure(retry: Retry) -> Failure {
    Failure { reason: Reason::transient("unavailable", "the registry answered 503"), retry }
}

/// An image of two layers with `packages`, its digest the `number`th, its layers `number` * 100 and the one after.
pub fn image(number: u32, packages: Vec<ImagePackage>) -> ImageMetadata {
    let layer = |position: u32, instruction: &str| ImageLayer {
        digest: digest(number * 100 + position),
        diff_id: Some(digest(number * 100 + 50 + position)),
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
        size: 1000,
        ordinal: Some(position * 2),
        instruction: Some(instruction.to_owned()),
        lines: None,
        reading: supercargo_index::LayerReading::Whole,
    };
    let details = ImageDetails {
        name: "registry.example/app".to_owned(),
        tags: vec!["v1".to_owned()],
        digest: digest(number),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        size: 2000 + u64::from(number),
        platform: Platform { os: "linux".to_owned(), architecture: "amd64".to_owned(), ..Platform::default() },
        raw_manifest: b"{}".to_vec(),
        raw_config: b"{}".to_vec(),
        redacted: false,
        config: ImageConfig { created: Some("2026-11-22T00:00:00Z".to_owned()), ..ImageConfig::default() },
        layers: vec![layer(0, "ADD rootfs.tar /"), layer(1, "RUN npm install")],
        base: None,
        provenance: None,
        attestations: Vec::new(),
    };
    ImageMetadata {
        format: ImageMetadata::FORMAT,
        indexer: INDEXER.to_owned(),
        source: Source::Image(Box::new(details)),
        distro: Some(Distro { id: "debian".to_owned(), version_id: "12".to_owned(), ..Distro::default() }),
        packages,
        repositories: Vec::new(),
        vex: Vec::new(),
        skipped: Vec::new(),
    }
}

/// The details of an image of [`image`], to change them.
///
/// # Panics
/// If `metadata` is a directory's.
pub fn details(metadata: &mut ImageMetadata) -> &mut ImageDetails {
    match &mut metadata.source {
        Source::Image(details) => details,
        Source::Directory { .. } => panic!("a directory is no image"),
    }
}

/// A package, by its package URL and its evidence file in the second layer.
pub fn package(purl: &str, name: &str, version: &str, path: &str) -> ImagePackage {
    let kind = purl.strip_prefix("pkg:").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    ImagePackage {
        purl: purl.to_owned(),
        package: Package {
            kind: kind.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            licenses: vec!["MIT".to_owned()],
            ..Package::default()
        },
        license: None,
        parent: None,
        owner: None,
        depends_on: Vec::new(),
        locations: vec![Location { path: path.to_owned(), within: None, layer: Some(1) }],
        catalogers: vec!["test".to_owned()],
    }
}

/// OpenSSL of Debian, `version`.
pub fn openssl(version: &str) -> ImagePackage {
    let purl = format!("pkg:deb/debian/openssl@{version}?arch=amd64");
    package(&purl, "openssl", version, "/var/lib/dpkg/status")
}

/// A layer without anything in it.
pub fn layer(number: u32) -> LayerIndex {
    LayerIndex {
        format: LayerIndex::FORMAT,
        digest: digest(number),
        diff_id: None,
        size: 10,
        inflated_size: 20,
        reading: supercargo_index::LayerReading::Whole,
        entries: supercargo_index::Entries::default(),
        findings: Vec::new(),
        skipped: Vec::new(),
        catalogers: Vec::new(),
        captures: None,
    }
}
