//! PHP's serialised values.
//!
//! Source of the format: <https://www.php.net/manual/function.serialize.php>, `ext/standard/var_unserializer.re`.
//!
//! | Value | | Value | |
//! | --- | --- | --- | --- |
//! | `N;` | null | `s:5:"hello";` | a string, its length in bytes |
//! | `b:1;` `i:-7;` `d:0.5;` | a number | `a:1:{i:0;N;}` | an array: keys and values in turn |
//! | `r:1;` `R:1;` | a reference | `O:3:"Foo":1:{…}` `E:3:"A:B";` `C:3:"Foo":5:{…}` | an object, a case, data of a class |

/// How deep arrays may lie in each other. PEAR's have four levels.
const DEEPEST: usize = 64;

/// Reads one value after the other.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    depth: usize,
}

/// A value was expected and is not there.
#[derive(Debug)]
pub(super) struct NotSerialized;

type Result<T> = std::result::Result<T, NotSerialized>;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, depth: 0 }
    }

    /// Whether an array comes next.
    pub(super) fn is_array(&self) -> bool {
        self.rest.starts_with(b"a:")
    }

    /// The string that comes next, or `None` (and it is left) if it is another value.
    pub(super) fn string(&mut self) -> Result<Option<&'a [u8]>> {
        if !self.rest.starts_with(b"s:") {
            self.skip()?;
            return Ok(None);
        }
        self.expect(b"s:")?;
        let text = self.quoted()?;
        self.expect(b";")?;
        Ok(Some(text))
    }

    /// Calls `entry` for each entry of the array that comes next, with the key if that is a string. `entry` reads
    /// the value. Another value is left, without a call.
    pub(super) fn array(&mut self, mut entry: impl FnMut(&'a [u8], &mut Self) -> Result<()>) -> Result<()> {
        if !self.is_array() {
            return self.skip();
        }
        self.expect(b"a:")?;
        self.entries(&mut entry)
    }

    /// Leaves the value that comes next.
    pub(super) fn skip(&mut self) -> Result<()> {
        let (&kind, rest) = self.rest.split_first().ok_or(NotSerialized)?;
        match kind {
            b'N' | b'b' | b'i' | b'd' | b'r' | b'R' => {
                let end = memchr::memchr(b';', rest).ok_or(NotSerialized)?;
                self.rest = &rest[end + 1..];
                Ok(())
            }
            b's' | b'E' => {
                self.rest = rest;
                self.expect(b":")?;
                self.quoted()?;
                self.expect(b";")
            }
            b'a' => {
                self.expect(b"a:")?;
                self.entries(&mut |_, reader| reader.skip())
            }
            b'O' | b'C' => {
                self.rest = rest;
                self.expect(b":")?;
                self.quoted()?;
                self.expect(b":")?;
                if kind == b'O' {
                    return self.entries(&mut |_, reader| reader.skip());
                }
                let length = self.number()?;
                self.expect(b"{")?;
                self.rest = self.rest.get(length..).ok_or(NotSerialized)?;
                self.expect(b"}")
            }
            _ => Err(NotSerialized),
        }
    }

    /// `1:{…}`. The count is not believed: the closing brace ends it.
    fn entries(&mut self, entry: &mut dyn FnMut(&'a [u8], &mut Self) -> Result<()>) -> Result<()> {
        self.number()?;
        self.expect(b"{")?;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(NotSerialized);
        }
        while !self.rest.starts_with(b"}") {
            let key = self.string()?.unwrap_or_default();
            entry(key, self)?;
        }
        self.depth -= 1;
        self.expect(b"}")
    }

    /// `5:"hello"`.
    fn quoted(&mut self) -> Result<&'a [u8]> {
        let length = self.number()?;
        self.expect(b"\"")?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or(NotSerialized)?;
        self.rest = rest;
        self.expect(b"\"")?;
        Ok(text)
    }

    /// `5:`.
    fn number(&mut self) -> Result<usize> {
        let end = memchr::memchr(b':', self.rest.get(..20).unwrap_or(self.rest)).ok_or(NotSerialized)?;
        let number = std::str::from_utf8(&self.rest[..end]).ok().and_then(|digits| digits.parse().ok());
        self.rest = &self.rest[end + 1..];
        number.ok_or(NotSerialized)
    }

    fn expect(&mut self, bytes: &[u8]) -> Result<()> {
        self.rest = self.rest.strip_prefix(bytes).ok_or(NotSerialized)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Written by PHP 8.2: `serialize(["a" => "x\"y", 3 => null, "b" => ["c" => 1.5, "d" => true], "e" => $object])`
    /// with an object of a class, an enum case and a reference in it.
    const VALUE: &[u8] = b"a:4:{s:1:\"a\";s:3:\"x\"y\";i:3;N;s:1:\"b\";a:2:{s:1:\"c\";d:1.5;s:1:\"d\";b:1;}\
          s:1:\"e\";O:3:\"Foo\":2:{s:1:\"x\";E:7:\"Bar:Baz\";s:1:\"y\";R:2;}}";

    #[test]
    fn arrays_are_walked() {
        let mut found = Vec::new();
        let mut reader = Reader::new(VALUE);
        reader
            .array(|key, reader| {
                found.push((key.to_vec(), reader.string()?.map(<[u8]>::to_vec)));
                Ok(())
            })
            .unwrap();
        let expected = [(&b"a"[..], Some(&b"x\"y"[..])), (b"", None), (b"b", None), (b"e", None)];
        assert_eq!(found, expected.map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))));
        assert!(reader.rest.is_empty());
    }

    #[test]
    fn data_of_classes_is_left() {
        let mut reader = Reader::new(b"C:3:\"Foo\":5:{a;{}\"}N;");
        reader.skip().unwrap();
        assert_eq!(reader.rest, b"N;");
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |levels: usize| [b"a:1:{i:0;".repeat(levels), b"N;".to_vec(), b"}".repeat(levels)].concat();
        assert!(Reader::new(&deep(DEEPEST)).skip().is_ok());
        assert!(Reader::new(&deep(100_000)).skip().is_err());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..VALUE.len(), byte: u8, cut in 0..VALUE.len()) {
            let mut bytes = VALUE.to_vec();
            bytes[at] = byte;
            bytes.truncate(cut);
            _ = Reader::new(&bytes).skip();
        }
    }
}
