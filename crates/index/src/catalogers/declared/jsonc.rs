//! JSON with comments and trailing commas, as `bun.lock` is written, made into JSON.

/// `text` with its comments and the commas before closing brackets replaced by spaces: all else, and every
/// offset, stays.
pub(super) fn to_json(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    // The last comma, while nothing but space and comments has followed it.
    let mut comma = None;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let length = match byte {
            b'"' => string_length(&bytes[at..]),
            b'/' if bytes.get(at + 1) == Some(&b'/') => memchr::memchr(b'\n', &bytes[at..]).unwrap_or(bytes.len() - at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                let end = memchr::memmem::find(&bytes[at + 2..], b"*/");
                end.map_or(bytes.len() - at, |end| end + 4)
            }
            _ => 1,
        };
        match byte {
            b'/' if length > 1 => out[at..at + length].fill(b' '),
            b',' => comma = Some(at),
            b']' | b'}' => {
                if let Some(comma) = comma.take() {
                    out[comma] = b' ';
                }
            }
            _ if byte.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        at += length;
    }
    // Whole comments were replaced, so no character was cut.
    String::from_utf8(out).unwrap_or_default()
}

/// Bytes of the string that begins here, with its quotes.
fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(next) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += next;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comments_and_trailing_commas_go() {
        let check = |text: &str, expected: &str| {
            let value: serde_json::Value = serde_json::from_str(&to_json(text)).expect(text);
            assert_eq!(value, serde_json::from_str::<serde_json::Value>(expected).expect(expected), "{text}");
        };
        check(r#"{"a": [1, 2,], /* é */ "b": {},}"#, r#"{"a": [1, 2], "b": {}}"#);
        check("[1, // one,]\n 2, // two\n]", "[1, 2]");
        check(r#"["//", "/*", ",]", "\"],", "\\"]"#, r#"["//", "/*", ",]", "\"],", "\\"]"#);
        check("[1 /**/,/***/]", "[1]");
        check("{}", "{}");
    }

    #[test]
    fn what_is_no_json_stays_none() {
        for text in ["[,]x", "[1,,]", "\"a", "/* a", "\"\\", "/"] {
            assert!(serde_json::from_str::<serde_json::Value>(&to_json(text)).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn json_stays_as_it_is(text in r#"[a-z"\\/*,\[\]{} \n:é]{0,60}"#) {
            let json = serde_json::to_string(&[&text, &text]).expect("is a string");
            prop_assert_eq!(to_json(&json), json);
            prop_assert_eq!(to_json(&text).len(), text.len());
        }
    }
}
