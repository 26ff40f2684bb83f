//! Deliveries collected elsewhere, where a folder of them is at hand.

use std::path::PathBuf;

use jiff::Timestamp;
use supercargo_events::{SourceConfig, Verdict};

use crate::kit::{Delivery, outcome, source};

/// Which provider reads a file, by the beginning of its name; the longest counts.
const READERS: &[(&str, &str)] = &[
    ("aws-", "eventbridge"),
    ("azure-acr-", "acr"),
    ("azure-cloudevents-", "event-grid"),
    ("azure-eventgrid-", "event-grid"),
    ("distribution-", "distribution"),
    ("dockerhub-", "docker-hub"),
    ("gar-", "google-artifact-registry"),
    ("github-", "github"),
    ("harbor-", "harbor"),
    ("jfrog-", "artifactory"),
    ("pubsub-", "google-artifact-registry"),
    ("quay-", "quay"),
    ("zot-", "zot"),
];

/// What is no delivery: requests to make a subscription, answers, rules, parts of a payload, and products that are
/// not supported. They need only be survived.
const OTHERS: &[&str] = &[
    "aliyun-",
    "-input-paths",
    "-input-template",
    "-pattern",
    "-response",
    "-request",
    "-fragment",
    "-subset",
    "jfrog-create-",
];

/// The folder is named by `SUPERCARGO_EVENT_SAMPLES`. No file of it may be refused as malformed.
#[test]
fn collected_deliveries_are_understood() {
    let named = std::env::var_os("SUPERCARGO_EVENT_SAMPLES").filter(|folder| !folder.is_empty());
    let Some(folder) = named.map(PathBuf::from) else {
        println!("skipped: SUPERCARGO_EVENT_SAMPLES names no folder");
        return;
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let (mut read, mut refused) = (0, Vec::new());
    for path in &files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let body = std::fs::read(path).unwrap();
        for provider in supercargo_events::PROVIDERS {
            let config = match provider.name {
                "sns" => SourceConfig::new([]).with_option("topics", crate::sns::TOPIC),
                _ => SourceConfig::new([]).opened(),
            };
            let reader = source(provider.name, config);
            let _ = reader.receive_trusted(&body, Timestamp::UNIX_EPOCH);
            let _ = Delivery::of_bytes(body.clone()).to(&*reader);
        }
        let reader = READERS.iter().find(|(prefix, _)| name.starts_with(prefix));
        if OTHERS.iter().any(|other| name.contains(other)) {
            continue;
        }
        let Some((_, provider)) = reader else { panic!("{name}: nobody reads it") };
        let mut delivery =
            Delivery::of_bytes(body).header("x-github-event", "package").header("x-github-delivery", "1");
        if *provider == "zot" {
            let kind = ["updated", "deleted", "created"].into_iter().find(|kind| name.contains(kind)).unwrap();
            let what = if kind == "created" { "repository" } else { "image" };
            delivery = delivery.header("ce-type", format!("zotregistry.{what}.{kind}")).header("ce-id", "1");
        }
        let reception = delivery.to(&*source(provider, SourceConfig::new([]).opened()));
        println!("{name}: {}", outcome(&reception));
        read += 1;
        let fine = !matches!(reception.verdict, Verdict::Malformed(_) | Verdict::Rejected(_) | Verdict::Needs(_));
        if !fine || !reception.answer.status.is_success() {
            refused.push(format!("{name}: {}", outcome(&reception)));
        }
    }
    println!("{read} of {} files are deliveries", files.len());
    assert!(read > 0, "{} holds no samples", folder.display());
    assert!(refused.is_empty(), "{refused:#?}");
}
