//! The version that a Go program was given by its linker flags: `-X main.version=v1.2.3`.

/// The string of a build setting: `debug.BuildInfo` quotes values that hold spaces or quotes.
pub(super) fn unquote(value: &str) -> String {
    if let Some(raw) = value.strip_prefix('`') {
        return raw.strip_suffix('`').unwrap_or(raw).to_owned();
    }
    let Some(quoted) = value.strip_prefix('"') else { return value.to_owned() };
    let mut out = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => break,
            '\\' => match characters.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

/// The version that `-X` flags set, if there is one.
pub(super) fn version(ldflags: &str, main_module: &str) -> Option<String> {
    let words = words(ldflags);
    let mut words = words.iter().map(String::as_str);
    let mut assignments = Vec::new();
    while let Some(word) = words.next() {
        let assignment = match word.trim_start_matches('-') {
            "X" if word.starts_with('-') => words.next(),
            flag if word.starts_with('-') => flag.strip_prefix("X="),
            _ => None,
        };
        assignments.extend(assignment.and_then(|assignment| assignment.split_once('=')));
    }
    choose(assignments, main_module)
}

/// The version among variables and what they were set to: those of the main package and of the main module before
/// those of other modules, the first of them first.
pub(super) fn choose<'a>(
    assignments: impl IntoIterator<Item = (&'a str, &'a str)>,
    main_module: &str,
) -> Option<String> {
    let mut elsewhere = None;
    for (variable, value) in assignments {
        let Some((package, identifier)) = variable.rsplit_once('.') else { continue };
        let Some(version) = Some(value).filter(|_| names_a_version(identifier)).and_then(as_version) else { continue };
        let own = package == "main"
            || package.strip_prefix(main_module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if own {
            return Some(version.to_owned());
        }
        elsewhere.get_or_insert(version);
    }
    elsewhere.map(str::to_owned)
}

/// `version`, `gitVersion`, `BuildVersion`, `AppVersion`, `ver`, `tag` – but not `goVersion` or `minAPIVersion`.
fn names_a_version(identifier: &str) -> bool {
    let identifier: String = identifier.chars().filter(|&c| c != '_').map(|c| c.to_ascii_lowercase()).collect();
    let Some(prefix) = ["version", "ver", "tag"].iter().find_map(|suffix| identifier.strip_suffix(suffix)) else {
        return false;
    };
    matches!(prefix, "" | "git" | "build" | "app" | "release" | "current" | "full" | "program" | "cli" | "semantic")
}

/// `v1.2.3`, `1.2.3-rc.1`, `release/v1.2.3` → `v1.2.3`.
pub(super) fn as_version(value: &str) -> Option<&str> {
    let value = value.rsplit('/').next()?;
    let number = value.strip_prefix(['v', 'V']).unwrap_or(value);
    let core = number.split(['-', '+']).next()?;
    let mut parts = core.split('.');
    let numeric =
        |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let valid = numeric(parts.next()) && numeric(parts.next()) && numeric(parts.next());
    let printable = value.len() <= 128 && value.bytes().all(|b| b.is_ascii_graphic());
    (valid && printable).then_some(value)
}

/// Splits as the go command does: at spaces, quotes hold words together.
fn words(flags: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in flags.chars() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_are_found_in_flags() {
        let check = |flags: &str, expected: Option<&str>| {
            assert_eq!(version(flags, "example.org/quux").as_deref(), expected, "{flags}");
        };
        check("-s -w -X main.version=v1.2.3", Some("v1.2.3"));
        check("-X 'main.version=1.2.3-rc.1+meta' -s", Some("1.2.3-rc.1+meta"));
        check("-X=main.Version=1.2.3", Some("1.2.3"));
        check("--X main.gitVersion=release/v1.2.3", Some("v1.2.3"));
        check("-X k8s.io/lib/version.gitVersion=v1.30.1", Some("v1.30.1"));
        check("-X other.org/x.version=v9.0.0 -X example.org/quux/internal.version=v1.2.3", Some("v1.2.3"));
        check("-X other.org/x.version=v9.0.0 -X other.org/y.version=v8.0.0", Some("v9.0.0"));
        check("-X other.org/x.version=v9.0.0 -X example.org/quuxes.version=v1.2.3", Some("v9.0.0"));
        check("-X main.date=2024.01.02 -X main.commit=1.2.3", None);
        check("-X main.goVersion=1.22.1", None);
        check("-X main.version=dev", None);
        check("-X main.version=1.2", None);
        check("-X main.version", None);
        check("-X", None);
        check("X main.version=1.2.3", None);
        check("-extldflags '-X main.version=v1.2.3'", None);
    }

    #[test]
    fn settings_are_unquoted() {
        let check = |value: &str, expected: &str| assert_eq!(unquote(value), expected);
        check("-s", "-s");
        check(r#""-X 'a.b=\"c\"' \\ \t""#, "-X 'a.b=\"c\"' \\ \t");
        check("`a \"b\"`", "a \"b\"");
        check("\"open", "open");
    }

    proptest! {
        #[test]
        fn never_panics(flags in "(-X=?|'|\"| |=|main\\.version|[0-9]\\.|\\PC){0,40}") {
            version(&unquote(&flags), "main");
        }
    }
}
