//! The guides in docs/guides: every command in them is run, in order. The clouds' own commands cannot be; they are known
//! by name, and what they are given is looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use supercargo_app::{Environment, Exit};
use supercargo_testkit::{ArtifactoryServer, Image};

use crate::kit::{app, run_supercargo};

/// Programs that are not ours, and `supercargo-server`, which would not end.
const OTHERS: [&str; 3] = ["aws", "az", "supercargo-server"];

/// Somebody who reads a guide.
struct Reader {
    folder: tempfile::TempDir,
    environment: Environment,
    exported: BTreeMap<String, String>,
    /// What is written otherwise here: hosts, files.
    instead: Vec<(String, String)>,
    /// What commands that are not ours print.
    secrets: BTreeMap<&'static str, &'static str>,
}

impl Reader {
    fn new(instead: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::default().with("DOCKER_CONFIG", folder.path().join("docker"));
        let instead = instead.iter().map(|(text, other)| ((*text).to_owned(), other.clone())).collect();
        let secrets = [("az", "generated"), ("ARTIFACTORY_PASSWORD", "right"), ("ARTIFACTORY_TOKEN", "manager")];
        Self { folder, environment, exported: BTreeMap::new(), instead, secrets: secrets.into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Follows a guide, and answers the commands of supercargo that were run.
    fn follow(&mut self, guide: &str) -> Vec<String> {
        let mut ran = Vec::new();
        for command in commands(guide) {
            let mut input = None;
            for part in command.split(" | ") {
                let words = self.words(part);
                let [program, arguments @ ..] = &words[..] else { panic!("{command}: nothing is called") };
                match program.as_str() {
                    "export" => {
                        let pairs = arguments.iter().filter_map(|pair| pair.split_once('='));
                        self.exported.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
                    }
                    "printf" => input = arguments.last().cloned(),
                    "supercargo" => {
                        self.run(arguments, input.take());
                        ran.push(arguments[..2].join(" "));
                    }
                    other if OTHERS.contains(&other) => {
                        self.look(arguments);
                        input = self.secrets.get(other).map(ToString::to_string);
                    }
                    other => panic!("{other}: the guide calls what this test does not know"),
                }
            }
        }
        ran
    }

    /// The words of a command, as a shell would have them.
    fn words(&self, text: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for character in text.chars() {
            match (quote, character) {
                (None, '\'' | '"') => {
                    quote = Some(character);
                    word.get_or_insert_default();
                }
                (Some(open), close) if open == close => quote = None,
                (None, ' ') => words.extend(word.take()),
                _ => word.get_or_insert_default().push(character),
            }
        }
        words.extend(word);
        words.retain(|word| word != "&");
        let known = |word: String| match word.strip_prefix('$') {
            Some(name) => self.secrets.get(name).unwrap_or_else(|| panic!("{word}: nobody set it")).to_string(),
            None => self.instead.iter().fold(word, |word, (text, other)| word.replace(text, other)),
        };
        words.into_iter().map(known).collect()
    }

    /// Runs supercargo; what it would read from standard input lies in a file.
    fn run(&self, arguments: &[String], input: Option<String>) {
        let file = self.path("input").display().to_string();
        if let Some(input) = input {
            std::fs::write(&file, input).unwrap();
        }
        let mut all: Vec<&str> = arguments.iter().map(|word| if word == "-" { &file } else { word.as_str() }).collect();
        if !cfg!(feature = "artifactory") && (all[..2] == ["integration", "test"] || all.contains(&"--preview")) {
            // The adapter is not in this build.
            return;
        }
        // The definitions read the process's environment, which is not this reader's.
        let url = self.exported.get("SUPERCARGO_PUBLIC_URL").cloned().unwrap_or_default();
        if all[..2] == ["integration", "template"] {
            all.extend(["--public-url", &url]);
        }
        let data = self.path("data").display().to_string();
        all.extend(["--data", &data]);
        let ran = run_supercargo(&self.environment, &all);
        assert_eq!(ran.exit, Exit::Done, "{arguments:?}: {}{}", ran.out, ran.err);
    }

    /// That the files are there which another program is given.
    fn look(&self, arguments: &[String]) {
        let files = arguments.windows(2).filter(|pair| pair[0] == "--template-file").map(|pair| &pair[1]);
        for file in files {
            let text = std::fs::read_to_string(file).unwrap();
            assert!(text.contains("supercargo.example.com") && !text.contains("#@"), "{text}");
        }
    }
}

/// The commands of the blocks that are marked as a shell's, a line each.
fn commands(guide: &str) -> Vec<String> {
    let blocks = guide.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let joined = |block: &str| block.replace("\\\n", " ").replace("|\n", "| ");
    let lines = blocks.flat_map(|block| joined(block).lines().map(str::to_owned).collect::<Vec<_>>());
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|line| !line.is_empty()).collect()
}

fn has(ran: &[String], wanted: &[&str]) {
    for command in wanted {
        assert!(ran.iter().any(|ran| ran == command), "{command} is not among {ran:?}");
    }
}

#[test]
fn amazon_ecr() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stack.yaml").display().to_string();
    let mut reader = Reader::new(&[("supercargo-ecr.yaml", file.clone())]);
    let ran = reader.follow(include_str!("../../../../docs/guides/ecr.md"));
    has(&ran, &["integration create", "integration template", "integration list", "repo enable", "integration remove"]);
    assert!(Path::new(&file).is_file());
}

#[test]
fn azure_container_registry() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("template.json").display().to_string();
    let mut reader = Reader::new(&[("supercargo-acr.json", file.clone())]);
    let ran = reader.follow(include_str!("../../../../docs/guides/acr.md"));
    has(
        &ran,
        &["integration create", "integration credentials", "integration show", "repo enable", "integration remove"],
    );
    let template: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(template["parameters"]["RegistryName"]["defaultValue"], "contoso");
}

#[test]
fn artifactory() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let image: Image = app().build();
    let builder = ArtifactoryServer::builder().with_account("supercargo", "right").with_local("docker-local");
    let server = runtime.block_on(builder.with_webhook_manager("manager").start()).unwrap();
    server.push("docker-local", &image, "team/app", "1.0");
    let mut reader = Reader::new(&[
        ("https://example.jfrog.io", format!("http://{}", server.host())),
        ("example.jfrog.io", server.host()),
    ]);
    let ran = reader.follow(include_str!("../../../../docs/guides/artifactory.md"));
    has(&ran, &["integration create", "integration test", "integration template", "repo enable", "integration filter"]);
    let webhooks = server.webhooks();
    assert_eq!(webhooks.len(), 1);
    assert_eq!(webhooks[0]["key"], "supercargo-jfrog");
    assert_eq!(server.failed_sign_ins(), 0);
}
