//! Package files (`*.rpm`) that lie in an image.
//!
//! A lead of 96 bytes; the header of the signature, filled up to a multiple of 8; the header of the package; the
//! payload, which is not read. Both headers begin with a magic of 8 bytes. Format: `docs/manual/format_v4.md` of rpm.
//!
//! Such a package is not installed. It counts all the same, as the peers have it that read them: its files are in
//! the image, as those of a wheel or a jar are.

use std::io::Read;

use super::header::{Header, counts};
use super::signature::signing_key;
use super::{MOST_PATH_BYTES, package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

const LEAD: &[u8] = b"\xed\xab\xee\xdb";

const LEAD_LENGTH: u64 = 96;

/// Type of a source package, bytes 6 and 7 of the lead.
const SOURCE_PACKAGE: [u8; 2] = [0, 1];

/// Magic of a header, and its version.
const HEADER: &[u8] = b"\x8e\xad\xe8\x01";

/// Bytes of one header. rpm stops at 256 MiB for packages that nobody has made.
const LONGEST_HEADER: usize = 64 << 20;

/// Reads package files.
#[derive(Debug)]
pub(in crate::catalogers::system) struct RpmFile;

impl Cataloger for RpmFile {
    fn name(&self) -> &'static str {
        crate::catalogers::system::RPM_FILE
    }

    fn version(&self) -> u32 {
        2
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/*.rpm")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let mut lead = Vec::new();
        contents.take(LEAD_LENGTH).read_to_end(&mut lead)?;
        if !lead.starts_with(LEAD) {
            return Ok(());
        }
        if (lead.len() as u64) < LEAD_LENGTH {
            return Err(cut_off());
        }
        let signature = read_header(contents)?;
        take(contents, signature.len().next_multiple_of(8) - signature.len())?;
        let bytes = read_header(contents)?;
        let mut paths = MOST_PATH_BYTES;
        if let Some(mut package) = package::package(&mut Header::parse(&bytes)?, &mut paths) {
            package.size = Some(file.size);
            package.signing_key = Header::parse(&signature).ok().and_then(|header| signing_key(&header));
            // The architecture of a source package is that of the machine it was made on, which says nothing.
            if lead[6..8] == SOURCE_PACKAGE {
                package.qualifiers.insert("arch".to_owned(), "src".to_owned());
            }
            findings.package(package);
        }
        Ok(())
    }
}

/// A header without its magic, as [`Header::parse`] wants it.
fn read_header(contents: &mut Contents<'_>) -> Result<Vec<u8>, Problem> {
    let head = take(contents, 16)?;
    if !head.starts_with(HEADER) {
        return Err(Problem::malformed("rpm: a header has another magic"));
    }
    let mut header = head[8..].to_vec();
    let length = counts(&header).and_then(|(entries, data)| entries.checked_mul(16)?.checked_add(data));
    let length = length
        .filter(|&length| length <= LONGEST_HEADER)
        .ok_or_else(|| Problem::malformed(format!("rpm: a header is longer than {LONGEST_HEADER} bytes")))?;
    header.extend(take(contents, length)?);
    Ok(header)
}

/// Exactly this many bytes. Memory is taken for those that do come, whatever was promised.
fn take(contents: &mut Contents<'_>, length: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    contents.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(cut_off());
    }
    Ok(bytes)
}

fn cut_off() -> Problem {
    Problem::malformed("rpm: the file is cut off")
}
