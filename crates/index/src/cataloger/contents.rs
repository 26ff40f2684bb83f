//! A file's bytes, on their way past.

use std::borrow::Cow;
use std::io::{self, Read};

use super::Problem;

/// The contents of the file that a cataloger is given.
///
/// Small files are held in memory, as are those that several catalogers want: [`whole`](Self::whole) then costs
/// nothing and can be asked for again. A file over [`Limits::file_size`](crate::Limits::file_size) is not held;
/// it can be read once, as a stream, through [`Read`].
pub struct Contents<'a> {
    inner: Inner<'a>,
}

enum Inner<'a> {
    Held { bytes: &'a [u8], read: usize },
    Passing { reader: &'a mut dyn Read, size: u64, limit: u64 },
}

impl<'a> Contents<'a> {
    /// Contents that are in memory; this is what a cataloger's own tests want.
    pub fn held(bytes: &'a [u8]) -> Self {
        Self { inner: Inner::Held { bytes, read: 0 } }
    }

    /// Contents that pass by and can be read once: those of a file of `size` bytes that is over the `limit` of what is
    /// held. With [`held`](Self::held) this is all that a cataloger can be given.
    pub fn passing(reader: &'a mut dyn Read, size: u64, limit: u64) -> Self {
        Self { inner: Inner::Passing { reader, size, limit } }
    }

    /// All of the file.
    ///
    /// # Errors
    ///
    /// [`Problem::TooLarge`] if it is not held.
    pub fn whole(&self) -> Result<&'a [u8], Problem> {
        match &self.inner {
            Inner::Held { bytes, .. } => Ok(bytes),
            Inner::Passing { size, limit, .. } => Err(Problem::TooLarge { size: *size, limit: *limit }),
        }
    }

    /// All of the file as text, without a byte order mark; what is not UTF-8 is replaced.
    ///
    /// # Errors
    ///
    /// As [`whole`](Self::whole).
    pub fn text(&self) -> Result<Cow<'a, str>, Problem> {
        let bytes = self.whole()?;
        Ok(String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)))
    }
}

impl Read for Contents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Held { bytes, read } => {
                let n = (&bytes[*read..]).read(buffer)?;
                *read += n;
                Ok(n)
            }
            Inner::Passing { reader, .. } => reader.read(buffer),
        }
    }
}

impl std::fmt::Debug for Contents<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.inner {
            Inner::Held { bytes, .. } => f.debug_struct("Contents::Held").field("len", &bytes.len()).finish(),
            Inner::Passing { size, .. } => f.debug_struct("Contents::Passing").field("size", size).finish(),
        }
    }
}
