//! Which crate of the workspace may depend on which.

use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Every crate with what it may depend on. docs/ARCHITECTURE.md draws this and says why: a new
/// edge is a decision, taken there and here.
const ALLOWED: &[(&str, &[&str])] = &[
    ("supercargo-index", &[]),
    ("supercargo-events", &[]),
    ("supercargo-testkit", &[]),
    ("supercargo-registry", &["supercargo-index"]),
    ("supercargo-scout", &["supercargo-index"]),
    ("supercargo-store", &["supercargo-index"]),
    ("supercargo-engine", &["supercargo-registry", "supercargo-events", "supercargo-scout", "supercargo-store"]),
    ("supercargo-server", &["supercargo-engine"]),
    // The test kit is what `supercargo demo` shows.
    ("supercargo-app", &["supercargo-engine", "supercargo-server", "supercargo-testkit"]),
    ("supercargo", &["supercargo-app"]),
    ("supercargo-watch", &["supercargo-app"]),
    ("supercargo-server-bin", &["supercargo-app"]),
    // What runs in somebody's function passes events on and holds neither a store nor an indexer nor a server.
    ("supercargo-relay", &["supercargo-events"]),
    ("supercargo-lambda", &["supercargo-relay"]),
    ("supercargo-azure-function", &["supercargo-relay"]),
    // The adapters' conformance suite is run against real services, which live there; so are queues.
    ("supercargo-tests", &["supercargo-testkit", "supercargo-registry", "supercargo-events"]),
];

/// The one crate that every other may use in its own tests.
const TEST_KIT: &str = "supercargo-testkit";

/// A dependency between two crates of the workspace.
#[derive(Debug)]
struct Edge {
    from: String,
    to: String,
    kind: DependencyKind,
}

/// What is wrong with an edge.
fn objection(edge: &Edge) -> Option<String> {
    let Edge { from, to, kind } = edge;
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| name == from) else {
        return Some(format!("{from} is new: say in docs/ARCHITECTURE.md and in this test what it may depend on"));
    };
    let is_for_tests = *kind == DependencyKind::Development && to == TEST_KIT;
    (!is_for_tests && !allowed.contains(&to.as_str())).then(|| format!("{from} must not depend on {to} ({kind})"))
}

fn workspace() -> cargo_metadata::Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo reads the workspace that it builds")
}

#[test]
fn crates_depend_on_each_other_as_drawn() {
    let packages = workspace().packages;
    let names: Vec<String> = packages.iter().map(|package| package.name.to_string()).collect();
    let edges = packages.iter().flat_map(|package| {
        let inside = package.dependencies.iter().filter(|dependency| names.contains(&dependency.name));
        inside.map(|dependency| Edge {
            from: package.name.to_string(),
            to: dependency.name.clone(),
            kind: dependency.kind,
        })
    });
    let objections: Vec<String> = edges.filter_map(|edge| objection(&edge)).collect();
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}

#[test]
fn every_crate_of_the_workspace_is_in_the_table() {
    let mut names: Vec<String> = workspace().packages.iter().map(|package| package.name.to_string()).collect();
    let mut known: Vec<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    names.sort();
    known.sort_unstable();
    assert_eq!(names, known);
}

#[test]
fn an_edge_that_is_not_drawn_is_objected_to() {
    let check = |from: &str, to: &str, kind: DependencyKind, allowed: bool| {
        let edge = Edge { from: from.into(), to: to.into(), kind };
        assert_eq!(objection(&edge).is_none(), allowed, "{edge:?}");
    };
    check("supercargo-registry", "supercargo-index", DependencyKind::Normal, true);
    check("supercargo-registry", "supercargo-testkit", DependencyKind::Development, true);
    check("supercargo-registry", "supercargo-testkit", DependencyKind::Normal, false);
    check("supercargo-registry", "supercargo-store", DependencyKind::Development, false);
    check("supercargo-index", "supercargo-registry", DependencyKind::Normal, false);
    check("supercargo-index", "supercargo-testkit", DependencyKind::Build, false);
    check("supercargo-watch", "supercargo-engine", DependencyKind::Normal, false);
    check("supercargo-new", "supercargo-index", DependencyKind::Normal, false);
}
