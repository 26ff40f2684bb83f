//! The description of the HTTP API, by others who read such descriptions. That it is what the server serves, and that the
//! server does what it says, is tested in `crates/server`.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use supercargo_tests::python;
use tokio::process::Command;

const VALIDATE: &str = "
import json, sys
from openapi_spec_validator import OpenAPIV31SpecValidator
for error in OpenAPIV31SpecValidator(json.load(open(sys.argv[1]))).iter_errors():
    print('/'.join(map(str, error.absolute_path)), error.message)
";

/// What openapi-spec-validator has against a description.
async fn complaints(file: &Path) -> Result<String> {
    let output = Command::new(python().await?).arg("-c").arg(VALIDATE).arg(file).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn the_description_of_the_api_is_valid() -> Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let told = complaints(&page).await?;
    ensure!(told.is_empty(), "{told}");

    // What it would say if something were wrong.
    let directory = tempfile::tempdir()?;
    let broken = directory.path().join("openapi.json");
    let mut document: Value = serde_json::from_str(&std::fs::read_to_string(&page)?)?;
    document["paths"]["/v1/images"]["get"]["operationId"] = "listPackages".into();
    let parameter = document.pointer_mut("/paths/~1v1~1images~1{digest}/get/parameters/0").context("no parameter")?;
    parameter["in"] = "body".into();
    std::fs::write(&broken, document.to_string())?;
    let told = complaints(&broken).await?;
    ensure!(told.contains("listPackages") && told.contains("body"), "{told}");
    Ok(())
}
