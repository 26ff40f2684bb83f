//! CPE names, as both formats want them: NIST IR 7695, "formatted string" binding, all eleven attributes.

/// `cpe` as a whole formatted string: what is left out at its end is any (`*`). `None` if it is none.
pub(super) fn formatted(cpe: &str) -> Option<String> {
    const ATTRIBUTES: usize = 11;
    let rest = cpe.trim().strip_prefix("cpe:2.3:")?;
    let mut attributes = Vec::with_capacity(ATTRIBUTES);
    let mut start = 0;
    let mut escaped = false;
    for (index, byte) in rest.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b':' => {
                attributes.push(&rest[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    attributes.push(&rest[start..]);
    let part = attributes.first().is_some_and(|part| matches!(*part, "a" | "o" | "h" | "*" | "-"));
    if escaped || !part || !(3..=ATTRIBUTES).contains(&attributes.len()) {
        return None;
    }
    let language = attributes.get(6).copied().unwrap_or("*");
    if !attributes.iter().all(|attribute| is_value(attribute)) || !is_language(language) {
        return None;
    }
    attributes.resize(ATTRIBUTES, "*");
    Some(format!("cpe:2.3:{}", attributes.join(":")))
}

/// `*`, `-`, or characters of which all but letters, digits, `_`, `.` and `-` are escaped, within wildcards.
fn is_value(value: &str) -> bool {
    if matches!(value, "*" | "-") {
        return true;
    }
    let inner = value.strip_prefix('*').unwrap_or_else(|| value.trim_start_matches('?'));
    let mut bytes = inner.strip_suffix('*').unwrap_or_else(|| inner.trim_end_matches('?')).bytes();
    if bytes.len() == 0 {
        return false;
    }
    while let Some(byte) = bytes.next() {
        let plain = byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let mut escaped = || byte == b'\\' && bytes.next().is_some_and(|byte| byte.is_ascii_punctuation());
        if !plain && !escaped() {
            return false;
        }
    }
    true
}

/// RFC 5646, as much as CPE takes: `en`, `pt-BR`.
fn is_language(value: &str) -> bool {
    let (language, region) = value.split_once('-').unwrap_or((value, ""));
    let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
    matches!(value, "*" | "-")
        || (2..=3).contains(&language.len())
            && letters(language)
            && match region.len() {
                0 => !value.contains('-'),
                2 => letters(region),
                3 => region.bytes().all(|byte| byte.is_ascii_digit()),
                _ => false,
            }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_or_none() {
        let check = |cpe: &str, expected: Option<&str>| assert_eq!(formatted(cpe).as_deref(), expected, "{cpe}");
        let whole = "cpe:2.3:a:acme:tool:1.0:*:*:*:*:*:*:*";
        check(whole, Some(whole));
        check("cpe:2.3:a:acme:tool:1.0", Some(whole));
        check("cpe:2.3:*:acme:tool:1.0:*:*:*:*:*:*:*", Some("cpe:2.3:*:acme:tool:1.0:*:*:*:*:*:*:*"));
        check(r"cpe:2.3:a:acme:c\+\+\:x:1\+b:*:*:en:*:*:*:*", Some(r"cpe:2.3:a:acme:c\+\+\:x:1\+b:*:*:en:*:*:*:*"));
        check("cpe:2.3:a:acme:c++:1.0:*:*:*:*:*:*:*", None);
        check("cpe:2.3:a:acme:to ol:1.0:*:*:*:*:*:*:*", None);
        check("cpe:2.3:a:acme:tool:1.0:*:*:*:*:*:*:*:*", None);
        check("cpe:2.3:x:acme:tool:1.0:*:*:*:*:*:*:*", None);
        check("cpe:2.3:a:acme::1.0:*:*:*:*:*:*:*", None);
        check("cpe:2.3:a:acme:tool:1.0:*:*:english:*:*:*:*", None);
        check(r"cpe:2.3:a:acme:tool:1\", None);
        check("cpe:/a:acme:tool:1.0", None);
        check("", None);
    }
}
