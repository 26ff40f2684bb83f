//! Which key signed a package, by the word of its OpenPGP signature.
//!
//! | Packet (RFC 9580) | Names the key by |
//! | --- | --- |
//! | signature of version 3 (§5.2.2) | the ID of the key, at a fixed place |
//! | signature of versions 4 and 6 (§5.2.3) | subpacket 16, the ID of the key, or 33, its fingerprint |
//!
//! The key itself is not in the image, or is only as good as the image: nothing is verified.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::header::{Header, Tag};

/// The type of a signature packet (§5).
const SIGNATURE: u8 = 2;
/// Types of subpackets (§5.2.3.7).
const ISSUER_KEY_ID: u8 = 16;
const ISSUER_FINGERPRINT: u8 = 33;

/// Longest signature in base64 that is looked at. Those of RSA with 4096 bits have 800 bytes.
const LONGEST: usize = 64 * 1024;

/// The ID of the key that signed the package of this header, or of the header that stands before a package file's: 16
/// hexadecimal digits, in lower case, as rpm prints them.
pub(super) fn signing_key(header: &Header<'_>) -> Option<String> {
    // rpm's own order. The last two are of packages that rpm 3 could have read.
    let old = [Tag::DsaHeader, Tag::RsaHeader, Tag::SigGpg, Tag::SigPgp];
    let mut packets = old.into_iter().filter_map(|tag| header.bytes(tag));
    if let Some(issuer) = packets.find_map(issuer) {
        return Some(issuer);
    }
    let mut texts = header.texts(Tag::OpenPgp).filter(|text| text.len() <= LONGEST);
    texts.find_map(|text| issuer(&BASE64_STANDARD.decode(text).ok()?))
}

/// The ID of the key that the signature names.
fn issuer(packet: &[u8]) -> Option<String> {
    let body = signature(packet)?;
    let id = match body.first()? {
        // A length, the signature's type and its time stand between.
        3 => body.get(7..15)?,
        4 => {
            let (hashed, rest) = area::<2>(body.get(4..)?)?;
            let (other, _) = area::<2>(rest)?;
            key_id(hashed).or_else(|| key_id(other))?
        }
        6 => {
            let (hashed, rest) = area::<4>(body.get(4..)?)?;
            let (other, _) = area::<4>(rest)?;
            key_id(hashed).or_else(|| key_id(other))?
        }
        _ => return None,
    };
    Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The body of a signature packet (§4.2).
fn signature(packet: &[u8]) -> Option<&[u8]> {
    let (&first, rest) = packet.split_first()?;
    let (kind, length, body) = match first {
        0xc0.. => {
            let (length, body) = length(rest)?;
            (first & 0x3f, length, body)
        }
        0x80.. => {
            let width = match first & 3 {
                0 => 1,
                1 => 2,
                2 => 4,
                _ => return None,
            };
            let (length, body) = rest.split_at_checked(width)?;
            (first >> 2 & 0xf, number(length)?, body)
        }
        _ => return None,
    };
    (kind == SIGNATURE).then_some(body.get(..length)?)
}

/// A length as packets of the newer form and subpackets have it (§4.2.1, §5.2.3.7), and what follows it. The two differ
/// above 223 of the first byte: a packet may come in parts there, which a signature does not.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        ..192 => Some((first.into(), rest)),
        255 => {
            let (length, rest) = rest.split_at_checked(4)?;
            Some((number(length)?, rest))
        }
        _ => {
            let (&second, rest) = rest.split_first()?;
            Some((((usize::from(first) - 192) << 8) + usize::from(second) + 192, rest))
        }
    }
}

/// Subpackets behind their length in `WIDTH` bytes, and what follows them.
fn area<const WIDTH: usize>(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(WIDTH)?;
    rest.split_at_checked(number(length)?)
}

/// The key that subpackets name.
fn key_id(mut subpackets: &[u8]) -> Option<&[u8]> {
    let mut by_fingerprint = None;
    while let Some((length, rest)) = length(subpackets)
        && let Some((subpacket, rest)) = rest.split_at_checked(length)
    {
        subpackets = rest;
        // The highest bit of the type says that it matters to whoever verifies.
        match subpacket.split_first().map(|(kind, data)| (kind & 0x7f, data)) {
            Some((ISSUER_KEY_ID, id)) if id.len() == 8 => return Some(id),
            // The ID is the end of an older key's fingerprint and the beginning of a newer one's (§5.5.4).
            Some((ISSUER_FINGERPRINT, [4, fingerprint @ ..])) => by_fingerprint = fingerprint.last_chunk::<8>(),
            Some((ISSUER_FINGERPRINT, [6, fingerprint @ ..])) => by_fingerprint = fingerprint.first_chunk::<8>(),
            _ => {}
        }
    }
    by_fingerprint.map(<[u8; 8]>::as_slice)
}

fn number(bytes: &[u8]) -> Option<usize> {
    bytes.iter().try_fold(0_usize, |number, byte| Some(number.checked_mul(256)? | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 8] = [0x19, 0x9e, 0x2f, 0x91, 0xfd, 0x43, 0x1d, 0x51];

    fn packet(body: &[u8]) -> Vec<u8> {
        [&[0x88, body.len() as u8], body].concat()
    }

    fn v4(hashed: &[u8], other: &[u8]) -> Vec<u8> {
        let area = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
        packet(&[&[4, 0, 1, 8][..], &area(hashed), &area(other), &[0xab, 0xcd, 0, 1, 1]].concat())
    }

    fn check(packet: &[u8], expected: Option<&str>) {
        assert_eq!(issuer(packet).as_deref(), expected, "{packet:02x?}");
    }

    #[test]
    fn signatures_name_their_key() {
        let expected = Some("199e2f91fd431d51");
        let v3 = [&[3, 5, 0, 0x63, 0, 0, 0, 0][..7], &ID, &[1, 8, 0xab, 0xcd, 0, 1, 1]].concat();
        check(&packet(&v3), expected);
        let (time, id) = ([5, 2, 0x63, 0, 0, 0], [&[9, 16][..], &ID].concat());
        check(&v4(&time, &id), expected);
        check(&v4(&[&time[..], &id].concat(), &[]), expected);
        let fingerprint = [&[22, 0xa1, 4][..], &[7; 12], &ID].concat();
        check(&v4(&fingerprint, &[]), expected);
        let v6 = [&[6, 0, 1, 8, 0, 0, 0, 35, 34, 33, 6][..], &ID, &[7; 24], &[0, 0, 0, 0, 0xab, 0xcd]].concat();
        check(&packet(&v6), expected);
        // The other forms of lengths.
        let body = &v4(&time, &id)[2..];
        let size = body.len();
        check(&[&[0xc2, size as u8], body].concat(), expected);
        check(&[&[0xc2, 255, 0, 0, 0, size as u8], body].concat(), expected);
        check(&[&[0x89, 0, size as u8], body].concat(), expected);
        check(&[&[0x8a, 0, 0, 0, size as u8], body].concat(), expected);
        let long = [&[192, 8, 20][..], &[0; 199], &id].concat();
        check(&v4(&[], &long)[..0], None);
        let body = [&[4, 0, 1, 8, 0, 0, 0, long.len() as u8][..], &long].concat();
        check(&[&[0xc2, 192, (body.len() - 192) as u8], &body[..]].concat(), expected);
    }

    #[test]
    fn what_is_no_signature_names_none() {
        check(&[], None);
        check(&[0x88], None);
        check(b"not at all", None);
        check(&packet(&[5, 0, 1, 8]), None);
        // A key, not a signature.
        check(&[0x98, 3, 4, 0, 0], None);
        let sound = v4(&[], &[&[9, 16][..], &ID].concat());
        for cut in 0..sound.len() {
            check(&sound[..cut], None);
        }
    }
}
