//! `supercargo index`.

use serde_json::Value;
use supercargo_app::{Environment, Exit};
use supercargo_testkit::IndexBuilder;

use crate::kit::{app, layout, supercargo, supercargo_in};

#[test]
fn a_layout_as_a_document() {
    let folder = tempfile::tempdir().unwrap();
    let image = app().build();
    let source = layout(folder.path(), &image);
    for source in [source.clone(), format!("{source}:1.0"), format!("{source}@{}", image.digest())] {
        let ran = supercargo(["index", &source]);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Done, ""), "{source}");
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(document["source"]["image"]["digest"], image.digest());
        let names: Vec<&str> = document["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|artifact| artifact["name"].as_str().unwrap())
            .collect();
        for name in ["bash", "libssl3", "openssl", "left-pad"] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
    }
}

#[test]
fn a_layout_in_the_formats_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let image = app().build();
    let source = layout(folder.path(), &image);
    let document = |format: &str| -> (String, Value) {
        let ran = supercargo(["index", &source, "--format", format]);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Done, ""), "{format}");
        let document = serde_json::from_str(&ran.out).unwrap();
        (ran.out, document)
    };
    let (text, spdx) = document("spdx");
    assert_eq!(spdx["spdxVersion"], "SPDX-2.3");
    assert_eq!(spdx["packages"][0]["versionInfo"], image.digest());
    assert_eq!(document("spdx").0, text, "the same image gives the same bytes");
    let (_, cyclonedx) = document("cyclonedx");
    assert_eq!(cyclonedx["specVersion"], "1.6");
    assert_eq!(cyclonedx["metadata"]["component"]["version"], image.digest());
    for name in ["bash", "libssl3", "left-pad"] {
        assert!(text.contains(&format!("\"name\":\"{name}\"")), "{name}");
        let components = cyclonedx["components"].as_array().unwrap();
        assert!(components.iter().any(|component| component["name"] == name), "{name}");
    }
}

#[test]
fn buildkit_gets_its_sboms() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    for (root, name) in [("core/sbom", "left-pad"), ("extras/build", "right-pad")] {
        let package = at(root).join("node_modules").join(name);
        std::fs::create_dir_all(&package).unwrap();
        let manifest = format!(r#"{{"name": "{name}", "version": "1.3.0"}}"#);
        std::fs::write(package.join("package.json"), manifest).unwrap();
    }
    std::fs::create_dir(at("out")).unwrap();
    let environment = Environment::default()
        .with("BUILDKIT_SCAN_SOURCE", at("core/sbom"))
        .with("BUILDKIT_SCAN_SOURCE_EXTRAS", at("extras"))
        .with("BUILDKIT_SCAN_DESTINATION", at("out"));
    let ran = supercargo_in(&environment, ["index"]);
    assert_eq!((ran.exit, ran.out.as_str(), ran.err.as_str()), (Exit::Done, "", ""));
    for (file, name) in [("out/sbom.spdx.json", "left-pad"), ("out/build.spdx.json", "right-pad")] {
        let statement: Value = serde_json::from_slice(&std::fs::read(at(file)).unwrap()).unwrap();
        assert_eq!(statement["predicateType"], "https://spdx.dev/Document");
        assert_eq!(statement["predicate"]["spdxVersion"], "SPDX-2.3");
        let packages = statement["predicate"]["packages"].as_array().unwrap();
        assert!(packages.iter().any(|package| package["name"] == name), "{name}");
    }
    // The extras are optional, the rest is not.
    let without = Environment::default().with("BUILDKIT_SCAN_SOURCE", at("core/sbom"));
    let ran = supercargo_in(&without, ["index"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("BUILDKIT_SCAN_DESTINATION is not set"), "{}", ran.err);
    let ran = supercargo(["index"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("name what to index"), "{}", ran.err);
}

#[test]
fn a_layout_as_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let ran = supercargo(["index", &layout(folder.path(), &app().build()), "--format", "list"]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    insta::assert_snapshot!(ran.out, @r"
    TYPE  NAME         VERSION           LAYER     LICENSES
    deb   bash         5.2.15-2          0
    deb   libssl3      3.0.11-1~deb12u2  0
    deb   openssl      3.0.11-1~deb12u2  (source)
    npm   @types/node  20.10.0           1         MIT
    npm   left-pad     1.3.0             1         WTFPL
    ");
}

#[test]
fn a_directory_and_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let modules = folder.path().join("root/srv/node_modules/left-pad");
    std::fs::create_dir_all(&modules).unwrap();
    std::fs::write(modules.join("package.json"), r#"{"name": "left-pad", "version": "1.3.0"}"#).unwrap();
    let ran = supercargo(["index", &format!("fs://{}/root", folder.path().display())]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["artifacts"][0]["purl"], "pkg:npm/left-pad@1.3.0");

    let archive = folder.path().join("image.tar");
    app().build().docker_save(std::fs::File::create(&archive).unwrap(), &["team/app:1.0"]).unwrap();
    let ran = supercargo(["index", &format!("archive://{}", archive.display())]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert!(ran.out.contains("left-pad"));
}

#[test]
fn several_platforms() {
    let folder = tempfile::tempdir().unwrap();
    let (arm, riscv) = (app().with_platform("linux/arm64").build(), app().with_platform("linux/riscv64").build());
    let index = IndexBuilder::new().with_image(riscv.clone()).with_image(arm.clone()).build();
    let path = folder.path().join("layout");
    supercargo_testkit::write_layout(&index, &path, "1.0").unwrap();
    let source = format!("oci-dir://{}", path.display());

    let digest = |out: &str| serde_json::from_str::<Value>(out).unwrap()["source"]["image"]["digest"].clone();
    let ran = supercargo(["index", &source, "--platform", "linux/arm64"]);
    assert_eq!((digest(&ran.out), ran.err.as_str()), (arm.digest().into(), ""));

    let ran = supercargo(["index", &source]);
    let expected = if cfg!(target_arch = "aarch64") { &arm } else { &riscv };
    assert_eq!(digest(&ran.out), expected.digest());
    assert!(
        ran.err.starts_with("note: 2 platforms are there (linux/riscv64, linux/arm64); this is linux/"),
        "{}",
        ran.err
    );

    let ran = supercargo(["index", &source, "--platform", "linux/s390x"]);
    insta::assert_snapshot!(ran.err, @r"
    error: failed to find an image for linux/s390x
    hint: there are: linux/riscv64, linux/arm64
    ");
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Failed, ""));

    // A single manifest has its platform in the configuration alone.
    let single = layout(&folder.path().join("single"), &arm);
    assert_eq!(supercargo(["index", &single, "--platform", "linux/amd64"]).exit, Exit::Failed);
}

#[test]
fn into_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sbom.json");
    let ran = supercargo(["index", &layout(folder.path(), &app().build()), "-o", file.to_str().unwrap()]);
    assert_eq!((ran.exit, ran.out.as_str(), ran.err.as_str()), (Exit::Done, "", ""));
    let document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(document["descriptor"]["name"], "supercargo");

    let ran = supercargo(["index", "fs:///etc/hostname", "-o", "/no/such/folder/sbom.json"]);
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.contains("failed to write /no/such/folder/sbom.json"), "{}", ran.err);
}

#[test]
fn what_cannot_be_indexed_says_why() {
    for (source, exit, part) in [
        ("fs:///no/such/folder", Exit::Failed, "/no/such/folder"),
        ("oci-dir:///no/such/layout", Exit::Failed, "open the OCI layout /no/such/layout"),
        ("archive:///etc/hostname", Exit::Failed, "open the archive /etc/hostname"),
        ("docker://alpine", Exit::Usage, "none of registry://"),
        ("./out", Exit::Usage, "fs://./out"),
    ] {
        let ran = supercargo(["index", source]);
        assert_eq!((ran.exit, ran.out.as_str()), (exit, ""), "{source}: {}", ran.err);
        assert!(ran.err.contains(part), "{source}: {}", ran.err);
    }
    let environment = Environment::default().with("DOCKER_SCOUT_REGISTRY_USER", "me");
    let ran = supercargo_in(&environment, ["index", "localhost:1/app"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("DOCKER_SCOUT_REGISTRY_PASSWORD: it is missing"), "{}", ran.err);
}
