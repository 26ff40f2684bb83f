//! PAX extended headers: `length key=value\n` records.

use super::TarError;
use super::sparse::SparseMap;

/// The records that matter here.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) sparse: Option<PaxSparse>,
}

/// GNU's sparse files in PAX form.
#[derive(Debug)]
pub(super) struct PaxSparse {
    pub(super) path: Option<Vec<u8>>,
    pub(super) size: u64,
    /// `None`: it stands before the contents (version 1.0).
    pub(super) map: Option<SparseMap>,
}

#[derive(Default)]
struct Sparse<'a> {
    major: Option<&'a [u8]>,
    minor: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
    real_size: Option<u64>,
    size: Option<u64>,
    map: Option<&'a [u8]>,
    /// Version 0.0 repeats offset and numbytes.
    pairs: Vec<u64>,
}

impl Pax {
    pub(super) fn parse(mut records: &[u8]) -> Result<Self, TarError> {
        let mut pax = Self::default();
        let mut sparse = Sparse::default();
        while !records.is_empty() {
            let (key, value, rest) = record(records).ok_or_else(|| malformed("record"))?;
            records = rest;
            // An empty value takes the record back; Go then keeps what the header says.
            match key {
                b"path" => pax.path = named(value)?,
                b"linkpath" => pax.target = named(value)?,
                b"size" => pax.size = number(value)?,
                b"GNU.sparse.major" => sparse.major = Some(value),
                b"GNU.sparse.minor" => sparse.minor = Some(value),
                b"GNU.sparse.name" => sparse.name = Some(value),
                b"GNU.sparse.realsize" => sparse.real_size = number(value)?,
                b"GNU.sparse.size" => sparse.size = number(value)?,
                b"GNU.sparse.map" => sparse.map = Some(value),
                b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                    // The two alternate; Go refuses anything else.
                    let expected: &[u8] =
                        if sparse.pairs.len() % 2 == 0 { b"GNU.sparse.offset" } else { b"GNU.sparse.numbytes" };
                    if key != expected {
                        return Err(malformed("sparse map"));
                    }
                    sparse.pairs.push(number(value)?.ok_or_else(|| malformed("sparse map"))?);
                }
                _ => {}
            }
        }
        pax.sparse = sparse.finish()?;
        Ok(pax)
    }
}

impl Sparse<'_> {
    fn finish(self) -> Result<Option<PaxSparse>, TarError> {
        let map = match (self.major, self.minor) {
            (Some(b"1"), Some(b"0")) => None,
            (Some(b"0"), Some(b"0" | b"1")) | (None, None) => {
                let pairs = match self.map {
                    Some(map) if !map.is_empty() => map
                        .split(|&byte| byte == b',')
                        .map(|field| number(field)?.ok_or_else(|| malformed("sparse map")))
                        .collect::<Result<_, _>>()?,
                    _ if !self.pairs.is_empty() => self.pairs,
                    _ => return Ok(None),
                };
                Some(SparseMap::from_pairs(&pairs)?)
            }
            // Go reads an unknown version as an ordinary file.
            _ => return Ok(None),
        };
        let size = self.real_size.or(self.size).ok_or_else(|| malformed("sparse size"))?;
        Ok(Some(PaxSparse { path: self.name.filter(|name| !name.is_empty()).map(<[u8]>::to_vec), size, map }))
    }
}

/// Splits off the first record.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = memchr::memchr(b' ', records)?;
    let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
    if length <= space + 1 || length > records.len() || records[length - 1] != b'\n' {
        return None;
    }
    let body = &records[space + 1..length - 1];
    let equals = memchr::memchr(b'=', body)?;
    (equals > 0).then(|| (&body[..equals], &body[equals + 1..], &records[length..]))
}

fn named(value: &[u8]) -> Result<Option<Vec<u8>>, TarError> {
    if value.contains(&0) {
        return Err(malformed("name"));
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

fn number(value: &[u8]) -> Result<Option<u64>, TarError> {
    if value.is_empty() {
        return Ok(None);
    }
    let value: i64 = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok()).ok_or_else(|| malformed("number"))?;
    u64::try_from(value).map(Some).map_err(|_| malformed("number"))
}

fn malformed(what: &str) -> TarError {
    TarError::Malformed(format!("a PAX header's {what} is wrong"))
}
