//! What pages of the documentation show is what is compiled here.

/// The Rust blocks of a page, one after another.
fn code(page: &str) -> String {
    let blocks = page.split("```rust\n").skip(1).map(|rest| rest.split("```\n").next().expect("a block ends"));
    blocks.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_custom_registry_is_the_page_s() {
    let page = include_str!("../../../../docs/custom-registry.md");
    let source = include_str!("custom_registry.rs");
    // `cargo fmt` changes the source: take it over into the page.
    assert_eq!(code(page), source);
}

/// All sources below a folder, in one text.
fn sources(folder: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    text
}

#[test]
fn what_is_refused_is_held_by_tests_that_are_there() {
    let page = include_str!("../../../../docs/security.md");
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = sources(&here.join("src")) + &sources(&here.join("tests"));
    let named: Vec<&str> =
        page.split('`').skip(1).step_by(2).filter(|text| text.contains("::") && !text.contains('[')).collect();
    assert!(named.len() > 70, "{}", named.len());
    for test in named {
        let name = test.rsplit("::").next().unwrap();
        assert!(sources.contains(&format!("fn {name}(")), "docs/security.md names {test}");
    }
}
