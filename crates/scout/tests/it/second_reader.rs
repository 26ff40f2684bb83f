//! What this crate writes, read by the programs of others: `edn_format` and `graphql-core` from PyPI.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use supercargo_scout::EnvironmentValues;
use supercargo_testkit::Edn;
use tokio::process::Command;

use crate::support::{image, metadata, upload};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Runs a script of `tests/data` with the interpreter that `tests/python` sets up, and returns what it prints.
async fn python(script: &str, arguments: impl IntoIterator<Item = impl AsRef<Path>>) -> String {
    let set_up = Command::new(Path::new(HERE).join("../../tests/python")).output().await.unwrap();
    assert!(set_up.status.success(), "{}", String::from_utf8_lossy(&set_up.stderr));
    let interpreter = String::from_utf8(set_up.stdout).unwrap();
    let mut command = Command::new(interpreter.trim());
    command.arg(Path::new(HERE).join("tests/data").join(script));
    command.args(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn transactions_are_read_alike_by_edn_format() {
    let metadata = metadata(image(25)).await;
    let upload = upload(&metadata, "d").with_environment_values(EnvironmentValues::Sent);
    let folder = tempfile::tempdir().unwrap();
    let mut texts = Vec::new();
    let mut paths = Vec::new();
    for transaction in upload.transactions() {
        let path = folder.path().join(format!("{}.edn", paths.len()));
        texts.push(transaction.to_edn());
        std::fs::write(&path, texts.last().unwrap()).unwrap();
        paths.push(path);
    }
    let read: Vec<Value> = serde_json::from_str(&python("read_edn.py", paths).await).unwrap();
    assert_eq!(read.len(), texts.len());
    for (theirs, text) in read.iter().zip(&texts) {
        assert_eq!(theirs, &plain(&Edn::parse(text).unwrap()));
    }
    // And it is what was meant.
    let entities = read[0].as_array().unwrap();
    let label = entities.iter().find(|entity| entity[":docker.image.label/name"] == "maintainer").unwrap();
    assert_eq!(label[":docker.image.label/value"], "a \"team\"\n\tof two");
    let image = entities.iter().find(|entity| entity[":schema/entity-type"] == ":docker/image").unwrap();
    assert_eq!(image[":sbom/state"], ":sbom.state/INDEXING");
    assert!(
        image[":docker.image/env"]
            .as_array()
            .unwrap()
            .contains(&serde_json::json!(["JAVA_OPTS", "-Da=b -Dc=\"d\\e\""]))
    );
}

/// As the script prints it.
fn plain(value: &Edn) -> Value {
    match value {
        Edn::Nil => Value::Null,
        Edn::Bool(value) => (*value).into(),
        Edn::Integer(number) => (*number).into(),
        Edn::String(text) => text.as_str().into(),
        Edn::Keyword(name) => format!(":{name}").into(),
        // Python's `isoformat` has microseconds or none, and an offset.
        Edn::Instant(time) => {
            let digits = if time.subsec_nanosecond() == 0 { "" } else { ".%6f" };
            time.strftime(&format!("%Y-%m-%dT%H:%M:%S{digits}+00:00")).to_string().into()
        }
        Edn::Vector(values) => values.iter().map(plain).collect(),
        Edn::Map(entries) => {
            let entries: BTreeMap<_, _> =
                entries.iter().map(|(key, value)| (format!(":{key}"), plain(value))).collect();
            serde_json::to_value(entries).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn operations_are_valid_by_graphql_core() {
    let mut paths = vec![Path::new(HERE).join("tests/data/schema.graphql")];
    let operations = std::fs::read_dir(Path::new(HERE).join("src/graphql")).unwrap();
    paths.extend(operations.map(|entry| entry.unwrap().path()));
    assert_eq!(paths.len(), 12, "one for each operation, and the schema");
    assert_eq!(python("check_graphql.py", paths).await, "");
}
