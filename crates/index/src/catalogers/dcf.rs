//! `Key: value` files with continued lines, as R and GHC write them.
//!
//! The format of [Debian's control files](https://www.debian.org/doc/debian-policy/ch-controlfields.html), which R
//! calls DCF: a line that begins with white space continues the value before it.

/// The fields of the first stanza. Continued lines are joined with one space; keys keep their case.
pub(super) fn fields(text: &str) -> impl Iterator<Item = (&str, String)> {
    let mut lines = text.lines().skip_while(|line| line.trim().is_empty()).peekable();
    std::iter::from_fn(move || {
        loop {
            let line = lines.next()?;
            let Some((key, value)) = line.split_once(':').filter(|_| !line.starts_with([' ', '\t'])) else {
                continue;
            };
            let mut value = value.trim().to_owned();
            while let Some(more) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
                let more = more.trim();
                if !value.is_empty() && !more.is_empty() {
                    value.push(' ');
                }
                value.push_str(more);
            }
            return Some((key.trim_end(), value));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continued_lines_belong_to_their_key() {
        let text = "\nPackage: a\nTitle:\n  one\n\ttwo: three\nnothing here\n\nURL : b\r\nlast:";
        let found: Vec<_> = fields(text).collect();
        let expected = [("Package", "a"), ("Title", "one two: three"), ("URL", "b"), ("last", "")];
        assert_eq!(found, expected.map(|(key, value)| (key, value.to_owned())));
    }
}
