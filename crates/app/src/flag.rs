//! Values as Go's command lines take them, so that a `docker scout watch` command line goes on to work.

/// A switch that may also be given a value: `--sbom`, `--sbom=false`.
///
/// A type of its own, because clap would make a plain `bool` a switch that takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flag(bool);

impl Flag {
    /// Whether it is on.
    pub(crate) fn is_set(self) -> bool {
        self.0
    }
}

/// The words of Go's `strconv.ParseBool`.
pub(crate) fn parse(text: &str) -> Result<Flag, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Flag(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Flag(false)),
        _ => Err("expected true or false".to_owned()),
    }
}

/// One occurrence of a list: pflag's `stringSlice` takes several values in one, parted by commas, with CSV quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Values(pub(crate) Vec<String>);

/// Reads one CSV record (RFC 4180 §2).
pub(crate) fn values(text: &str) -> Result<Values, String> {
    let mut values = Vec::new();
    let mut characters = text.chars().peekable();
    loop {
        let mut value = String::new();
        if characters.next_if_eq(&'"').is_some() {
            loop {
                match characters.next() {
                    Some('"') if characters.next_if_eq(&'"').is_some() => value.push('"'),
                    Some('"') => break,
                    Some(character) => value.push(character),
                    None => return Err("a quote is not closed".to_owned()),
                }
            }
            if characters.peek().is_some_and(|next| *next != ',') {
                return Err("expected a comma after a closing quote".to_owned());
            }
        }
        while let Some(character) = characters.next_if(|next| *next != ',') {
            value.push(character);
        }
        if !value.is_empty() {
            values.push(value);
        }
        if characters.next().is_none() {
            return Ok(Values(values));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let check = |text: &str, expected: &[&str]| {
            let expected = expected.iter().map(ToString::to_string).collect();
            assert_eq!(values(text), Ok(Values(expected)), "{text}");
        };
        check("a", &["a"]);
        check("a,b", &["a", "b"]);
        check("", &[]);
        check(",a,", &["a"]);
        check(r#""^v[0-9]{1,2}$",latest"#, &["^v[0-9]{1,2}$", "latest"]);
        check(r#""a""b""#, &["a\"b"]);
        assert!(values(r#""a"#).is_err());
        assert!(values(r#""a"b"#).is_err());
    }

    #[test]
    fn switches() {
        assert!(parse("T").unwrap().is_set());
        assert!(!parse("0").unwrap().is_set());
        assert!(parse("yes").is_err());
    }
}
