//! What a certificate says of itself, for people: by whom it is, and until when.
//!
//! rustls decides whether a certificate is good; it does not say what was in one that is not. This reads the few fields
//! that help a person (RFC 5280 §4.1), and decides nothing.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::secret::printable;

/// Characters of a name that are shown.
const SHOWN: usize = 120;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// `id-at-commonName` and `id-at-organizationName` (RFC 5280, appendix A.1).
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ORGANIZATION: &[u8] = &[0x55, 4, 10];

/// The readable part of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) not_after: Timestamp,
}

impl Certificate {
    /// Reads a certificate in DER form; `None` for what is none.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (certificate, _) = element(der, SEQUENCE)?;
        let (fields, _) = element(certificate, SEQUENCE)?;
        let fields = element(fields, VERSION).map_or(fields, |(_, rest)| rest);
        let (_serial, fields) = element(fields, INTEGER)?;
        let (_algorithm, fields) = element(fields, SEQUENCE)?;
        let (issuer, fields) = element(fields, SEQUENCE)?;
        let (validity, fields) = element(fields, SEQUENCE)?;
        let (subject, _) = element(fields, SEQUENCE)?;
        let (_not_before, validity) = time(validity)?;
        let (not_after, _) = time(validity)?;
        Some(Self { subject: name(subject), issuer: name(issuer), not_after })
    }
}

/// The contents of the element at the beginning, if it has this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    if found != tag {
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Certificates are kilobytes: four bytes of length are more than enough.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// The elements of a contents, all with this tag.
fn elements(mut der: &[u8], tag: u8) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (contents, rest) = element(der, tag)?;
        der = rest;
        Some(contents)
    })
}

fn time(der: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (text, rest, century) = match element(der, UTC_TIME) {
        // RFC 5280 §4.1.2.5.1: years from 50 on are of the last century.
        Some((text, rest)) => (text, rest, if text.first()? >= &b'5' { "19" } else { "20" }),
        None => {
            let (text, rest) = element(der, GENERALIZED_TIME)?;
            (text, rest, "")
        }
    };
    let text = format!("{century}{}", std::str::from_utf8(text).ok()?);
    let civil = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    Some((civil.to_zoned(TimeZone::UTC).ok()?.timestamp(), rest))
}

/// `common name (organization)`, as far as there are any.
fn name(der: &[u8]) -> String {
    let (mut common, mut organization) = (None, None);
    for attribute in elements(der, SET).flat_map(|set| elements(set, SEQUENCE)) {
        let Some((kind, value)) = element(attribute, OBJECT_IDENTIFIER) else { continue };
        // Whatever string it is: the letters of nearly all of them are ASCII's.
        let text = || {
            let (_tag, rest) = value.split_first()?;
            let (contents, _) = element(value, value[0]).filter(|_| !rest.is_empty())?;
            Some(printable(&String::from_utf8_lossy(contents), SHOWN))
        };
        match kind {
            COMMON_NAME => common = text(),
            ORGANIZATION => organization = text(),
            _ => {}
        }
    }
    match (common, organization) {
        (Some(common), Some(organization)) => format!("{common} ({organization})"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "nobody by name".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

    use super::*;

    fn made(end: i32) -> Vec<u8> {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name = Default::default();
        authority.distinguished_name.push(DnType::OrganizationName, "Example Organisation");
        authority.distinguished_name.push(DnType::CommonName, "Ëxample CA");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::new(["registry.test".to_owned()]).unwrap();
        params.distinguished_name = Default::default();
        params.distinguished_name.push(DnType::CommonName, "registry.test");
        params.not_before = date_time_ymd(2019, 12, 31);
        params.not_after = date_time_ymd(end, 2, 3);
        params.signed_by(&KeyPair::generate().unwrap(), &authority).unwrap().der().to_vec()
    }

    #[test]
    fn fields() {
        // Until 2049 times are UTCTime, then GeneralizedTime.
        for year in [2020, 2049, 2050, 2999] {
            let expected = Certificate {
                subject: "registry.test".to_owned(),
                issuer: "Ëxample CA (Example Organisation)".to_owned(),
                not_after: format!("{year}-02-03T00:00:00Z").parse().unwrap(),
            };
            assert_eq!(Certificate::read(&made(year)), Some(expected));
        }
    }

    #[test]
    fn a_cut_certificate_is_none() {
        let der = made(2030);
        for end in 0..der.len() {
            assert_eq!(Certificate::read(&der[..end]), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(at in 0usize..400, byte: u8, noise in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Certificate::read(&noise);
            let mut der = made(2030);
            if at < der.len() {
                der[at] = byte;
            }
            let _ = Certificate::read(&der);
        }
    }
}
