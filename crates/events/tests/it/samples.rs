//! Deliveries collected elsewhere, where a folder of them is at hand.

use std::path::PathBuf;

use supercargo_events::Verdict;

use crate::distribution::{receive, source};

/// The folder is named by `SUPERCARGO_EVENT_SAMPLES`; files `distribution-*.json` are fed through. A file may hold
/// an envelope or one event of it.
#[test]
fn collected_deliveries_are_understood() {
    let Some(folder) = std::env::var_os("SUPERCARGO_EVENT_SAMPLES").map(PathBuf::from) else {
        println!("skipped: SUPERCARGO_EVENT_SAMPLES names no folder");
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !(name.starts_with("distribution-") && name.ends_with(".json")) {
            continue;
        }
        let body = std::fs::read(&path).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        if value.get("events").is_none() {
            // Part of an event, as manuals print it: it need only be survived.
            let _ = receive(&source(), &body);
            continue;
        }
        seen += 1;
        let reception = receive(&source(), &body);
        println!("{name}: {:?} {:?}", reception.verdict, reception.remarks);
        assert!(reception.answer.status.is_success(), "{name}");
        assert!(matches!(reception.verdict, Verdict::Events(_) | Verdict::Ignored(_)), "{name}: {reception:?}");
    }
    assert!(seen > 0, "{} holds no distribution-*.json", folder.display());
}
