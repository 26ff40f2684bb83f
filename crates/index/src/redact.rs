//! Secrets in an image's configuration, taken out before anything is kept or sent.
//!
//! Environment variables, labels, build arguments in the history and command lines hold passwords more often than
//! anybody means them to. A value is a secret by the name in front of it, or by its own shape.

use serde_json::Value;

/// What stands in a secret's place.
pub(crate) const REDACTED: &str = "<redacted>";

/// What is done about secrets in an image's configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Secrets {
    /// Values that look like secrets are replaced. [`ImageDetails::raw_config`](crate::ImageDetails::raw_config) is
    /// then no longer what the configuration's digest names, and says so.
    #[default]
    Redacted,
    /// Everything is kept as it is.
    Kept,
}

/// Takes the secrets out of a configuration; `true` if there were any.
pub(crate) fn redact(config: &mut Value) -> bool {
    let mut found = false;
    for run in ["config", "container_config"] {
        let Some(run) = config.get_mut(run) else { continue };
        for list in ["Env", "Cmd", "Entrypoint", "OnBuild", "Shell"] {
            strings(run.get_mut(list), &mut |text| found |= replace(text, line(text)));
        }
        if let Some(test) = run.get_mut("Healthcheck").and_then(|check| check.get_mut("Test")) {
            strings(Some(test), &mut |text| found |= replace(text, line(text)));
        }
        if let Some(labels) = run.get_mut("Labels").and_then(Value::as_object_mut) {
            for (name, value) in labels {
                if let Value::String(text) = value {
                    let clean = if is_secret_name(name) { secret(text) } else { line(text) };
                    found |= replace(text, clean);
                }
            }
        }
    }
    for entry in config.get_mut("history").and_then(Value::as_array_mut).into_iter().flatten() {
        for field in ["created_by", "comment"] {
            if let Some(Value::String(text)) = entry.get_mut(field) {
                found |= replace(text, line(text));
            }
        }
    }
    found
}

/// Takes the secrets out of a text, line by line; `true` if there were any.
pub(crate) fn redact_text(text: &mut String) -> bool {
    let clean: Vec<_> = text.lines().map(|one| (one, line(one))).collect();
    if clean.iter().all(|(_, clean)| clean.is_none()) {
        return false;
    }
    let clean: Vec<_> = clean.into_iter().map(|(one, clean)| clean.unwrap_or_else(|| one.to_owned())).collect();
    *text = clean.join("\n");
    true
}

fn strings(list: Option<&mut Value>, each: &mut impl FnMut(&mut String)) {
    for value in list.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::String(text) = value {
            each(text);
        }
    }
}

fn replace(text: &mut String, clean: Option<String>) -> bool {
    match clean {
        Some(clean) => {
            *text = clean;
            true
        }
        None => false,
    }
}

fn secret(value: &str) -> Option<String> {
    (!value.is_empty() && value != REDACTED).then(|| REDACTED.to_owned())
}

/// A line with its secrets replaced, or `None` if it has none: the values of assignments to secret names
/// (`NAME=value`, `--name=value`), and words that are secrets by their shape.
fn line(text: &str) -> Option<String> {
    // A list element of its own may hold spaces: an environment variable is one assignment.
    if let Some((name, value)) = text.split_once('=')
        && is_name(name)
        && is_secret_name(name)
    {
        return secret(value).map(|value| format!("{name}={value}"));
    }
    let mut out = String::new();
    let mut found = false;
    let mut rest = text;
    while !rest.is_empty() {
        let start = rest.find(|c: char| !is_space(c)).unwrap_or(rest.len());
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = word_end(rest);
        let (word, left) = rest.split_at(end);
        rest = left;
        match clean_word(word) {
            Some(clean) => {
                out.push_str(&clean);
                found = true;
            }
            None => out.push_str(word),
        }
    }
    found.then_some(out)
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || c == ';'
}

/// Where a word ends, a quoted value within it counted as part of it.
fn word_end(text: &str) -> usize {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if is_space(c) => return at,
            None => {}
        }
    }
    // An apostrophe is no quotation: without an end to it, a word ends at a space.
    if quote.is_some() { text.find(is_space).unwrap_or(text.len()) } else { text.len() }
}

fn clean_word(word: &str) -> Option<String> {
    if let Some((name, value)) = word.split_once('=')
        && is_name(name.trim_start_matches('-'))
        && is_secret_name(name)
        && !value.trim_matches(['"', '\'']).is_empty()
        // A reference to a variable gives nothing away.
        && !value.trim_matches(['"', '\'']).starts_with('$')
    {
        return secret(value).map(|value| format!("{name}={value}"));
    }
    if let Some(clean) = without_password(word) {
        return Some(clean);
    }
    // The value may have a name of no meaning in front of it.
    let (before, value) = word.rsplit_once('=').map_or(("", word), |(name, value)| (&word[..=name.len()], value));
    let bare = value.trim_matches(['"', '\'', ',', ')', '(']);
    has_secret_shape(bare).then(|| format!("{before}{}", value.replace(bare, REDACTED)))
}

/// `scheme://user:password@host` without the password.
fn without_password(word: &str) -> Option<String> {
    let at = word.find("://")? + 3;
    let authority = &word[at..at + word[at..].find(['/', '?', '#']).unwrap_or(word.len() - at)];
    let (user_info, _) = authority.rsplit_once('@')?;
    let (user, password) = user_info.split_once(':')?;
    let start = at + user.len() + 1;
    (!password.is_empty() && password != REDACTED && !password.starts_with('$'))
        .then(|| format!("{}{REDACTED}{}", &word[..start], &word[start + password.len()..]))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// Whether a value of this name is a secret: `DB_PASSWORD`, `--api-key`, `githubToken`. Not `PASSWORD_FILE`, which
/// names a place, nor `GPG_KEY`, which official images set to a public key's fingerprint.
fn is_secret_name(name: &str) -> bool {
    let mut parts: Vec<String> = Vec::new();
    let mut lower_before = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() {
            parts.push(String::new());
            lower_before = false;
            continue;
        }
        if parts.is_empty() || (c.is_ascii_uppercase() && lower_before) {
            parts.push(String::new());
        }
        lower_before = c.is_ascii_lowercase();
        parts.last_mut().expect("one was pushed").push(c.to_ascii_lowercase());
    }
    parts.retain(|part| !part.is_empty());
    let place = ["file", "path", "dir", "directory", "url", "uri", "name", "id", "header", "length", "ttl", "type"];
    if parts.last().is_some_and(|last| place.contains(&last.as_str())) {
        return false;
    }
    const WORDS: &[&str] = &[
        "password",
        "passwords",
        "passwd",
        "passphrase",
        "pass",
        "pwd",
        "secret",
        "secrets",
        "token",
        "tokens",
        "apikey",
        "accesskey",
        "secretkey",
        "privatekey",
        "credential",
        "credentials",
        "dbpassword",
        "dbpass",
        "authtoken",
        "pat",
    ];
    const KEYS: &[&str] =
        &["api", "access", "private", "secret", "signing", "encryption", "auth", "account", "license", "master"];
    // `PWD` and `OLDPWD` alone are a shell's directories.
    let whole = parts.len() == 1;
    parts
        .iter()
        .any(|part| WORDS.contains(&part.as_str()) && !(whole && ["pwd", "pass", "pat"].contains(&part.as_str())))
        || parts.windows(2).any(|pair| pair[1] == "key" && KEYS.contains(&pair[0].as_str()))
}

/// Whether a word is a secret by its shape: the issuers give theirs a prefix and a length.
fn has_secret_shape(word: &str) -> bool {
    let rest = |prefix: &str| word.strip_prefix(prefix);
    let of = |text: &str, length: usize, also: &[u8]| {
        text.len() >= length && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
    };
    let prefixed = |prefixes: &[&str], length| {
        prefixes.iter().any(|prefix| rest(prefix).is_some_and(|rest| of(rest, length, b"_-.")))
    };
    prefixed(&["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "npm_", "dckr_pat_", "hf_"], 20)
        || prefixed(&["xoxb-", "xoxp-", "xoxa-", "sk_live_", "rk_live_", "pypi-AgE", "AKCp", "SG."], 16)
        || ["AKIA", "ASIA"].iter().any(|prefix| rest(prefix).is_some_and(|rest| rest.len() == 16 && of(rest, 16, b"")))
        || rest("AIza").is_some_and(|rest| rest.len() == 35 && of(rest, 35, b"_-"))
        || word.contains("-----BEGIN") && word.contains("KEY-----")
        // A JSON web token: two objects in base64, parted by a point.
        || word.starts_with("eyJ") && word.split('.').nth(1).is_some_and(|part| part.starts_with("eyJ"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_lose_their_secrets_and_nothing_else() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(line(text).as_deref(), expected, "{text}");
        check("DB_PASSWORD=hunter2 with spaces", Some("DB_PASSWORD=<redacted>"));
        check("githubToken=abc", Some("githubToken=<redacted>"));
        check("PATH=/usr/bin:/bin", None);
        check("PWD=/app", None);
        check("GPG_KEY=E3FF2839C048B25C084DEBE9B26995E310250568", None);
        check("PYTHON_VERSION=3.12.1", None);
        check("POSTGRES_PASSWORD_FILE=/run/secrets/db", None);
        check("TOKENIZERS_PARALLELISM=false", None);
        check("KEYCLOAK_HOME=/opt", None);
        check("DB_PASSWORD=", None);
        check(
            "RUN |2 NPM_TOKEN=abc VERSION=1 /bin/sh -c npm ci # buildkit",
            Some("RUN |2 NPM_TOKEN=<redacted> VERSION=1 /bin/sh -c npm ci # buildkit"),
        );
        check("RUN curl --password='a b' x; it's done", Some("RUN curl --password=<redacted> x; it's done"));
        check("RUN export API_KEY=$KEY; run", None);
        check("URL=postgres://app:s3cret@db:5432/app?x=1", Some("URL=postgres://app:<redacted>@db:5432/app?x=1"));
        check("URL=https://example.org/a@b", None);
        let token = format!("ghp_{}", "a1".repeat(18));
        check(&format!("RUN git clone x {token}"), Some("RUN git clone x <redacted>"));
        check(&format!("SOMETHING={token}"), Some("SOMETHING=<redacted>"));
        check("AKIAIOSFODNN7EXAMPLE", Some("<redacted>"));
        check("ümlaut = ünd 'so", None);
    }

    #[test]
    fn a_configuration_is_cleaned_everywhere() {
        let mut config = json!({
            "config": {
                "Env": ["PATH=/bin", "SECRET=x"],
                "Labels": {"com.example.token": "abc", "version": "1"},
                "Cmd": ["serve", "--api-key=k"],
            },
            "history": [{"created_by": "ARG TOKEN=abc"}, {"created_by": "RUN true"}],
        });
        assert!(redact(&mut config));
        let expected = json!({
            "config": {
                "Env": ["PATH=/bin", "SECRET=<redacted>"],
                "Labels": {"com.example.token": "<redacted>", "version": "1"},
                "Cmd": ["serve", "--api-key=<redacted>"],
            },
            "history": [{"created_by": "ARG TOKEN=<redacted>"}, {"created_by": "RUN true"}],
        });
        assert_eq!(config, expected);
        assert!(!redact(&mut config), "once is enough");
        assert!(!redact(&mut json!({"config": null, "history": null})));
    }

    #[test]
    fn a_text_is_cleaned_line_by_line() {
        let mut text = "FROM debian\nARG TOKEN=abc\nENV PATH=/bin".to_owned();
        assert!(redact_text(&mut text));
        assert_eq!(text, "FROM debian\nARG TOKEN=<redacted>\nENV PATH=/bin");
        assert!(!redact_text(&mut text));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,80}") {
            let _ = line(&text);
        }

        #[test]
        fn assignments_of_passwords_never_survive(before in "[a-z ]{0,10}", value in "[a-zA-Z0-9]{4,20}") {
            let clean = line(&format!("{before} DB_PASSWORD={value}Q7 tail")).expect("is found");
            prop_assert!(!clean.contains(&format!("{value}Q7")), "{clean}");
        }
    }
}
