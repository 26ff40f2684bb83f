//! What makes a document this one and no other: its UUID, its time. Nothing in it depends on when or where it was
//! written, so the same image gives the same bytes.

use sha2::{Digest as _, Sha256};

use crate::{ImageMetadata, Source};

/// The time of a document about something that has none.
const BEGINNING: &str = "1970-01-01T00:00:00Z";

/// A UUID (version 8: of our own making) over what was indexed, by what, and `variant`: the format and the options.
pub(super) fn uuid(metadata: &ImageMetadata, variant: &str) -> String {
    let mut hash = Sha256::new();
    // Each part ends with a byte that none of them holds, so that no two lists of parts run together.
    let mut part = |text: &str| {
        hash.update(text.as_bytes());
        hash.update([0]);
    };
    part(env!("CARGO_PKG_VERSION"));
    part(&metadata.indexer);
    part(variant);
    match &metadata.source {
        Source::Image(image) => {
            part("image");
            part(&image.name);
            part(image.digest.as_ref());
            image.tags.iter().for_each(|tag| part(tag));
        }
        // A directory has no digest; what was found in it stands for one.
        Source::Directory { path, size } => {
            part("directory");
            part(path);
            part(&size.to_string());
            metadata.packages.iter().for_each(|package| part(&package.purl));
        }
    }
    let mut bytes: [u8; 16] = std::array::from_fn(|_| 0);
    bytes.copy_from_slice(&hash.finalize()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// The document's time: the one asked for, else that of the image. In UTC and whole seconds, as SPDX wants it.
pub(super) fn created(metadata: &ImageMetadata, asked: Option<&str>) -> String {
    asked
        .or_else(|| metadata.image()?.config.created.as_deref())
        .and_then(in_utc)
        .unwrap_or_else(|| BEGINNING.to_owned())
}

/// `2024-05-01T12:30:00.123+02:00` (RFC 3339) as `2024-05-01T10:30:00Z`.
fn in_utc(text: &str) -> Option<String> {
    let text = text.trim();
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let at = |index: usize, wanted: &[u8]| text.as_bytes().get(index).is_some_and(|byte| wanted.contains(byte));
    if !(at(4, b"-") && at(7, b"-") && at(10, b"Tt ") && at(13, b":") && at(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let start = text.len() - zone.len();
    let offset = match zone.as_bytes() {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let minutes = number(start + 1..start + 3)? * 60 + number(start + 4..start + 6)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second.min(59) - offset * 60;
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let time = seconds.rem_euclid(86_400);
    if !(0..=9999).contains(&year) {
        return None;
    }
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

/// Days since 1970-01-01 of a day of the Gregorian calendar. Years begin in March here, so that the leap day is last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The reverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_in_utc_and_whole_seconds() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(in_utc(text).as_deref(), expected, "{text}");
        check("2024-05-01T12:30:00Z", Some("2024-05-01T12:30:00Z"));
        check("2024-05-01T12:30:00.123456789Z", Some("2024-05-01T12:30:00Z"));
        // `date -u -d` agrees with these.
        check("2024-05-01T12:30:00.1+02:00", Some("2024-05-01T10:30:00Z"));
        check("2024-02-28T23:30:00-01:30", Some("2024-02-29T01:00:00Z"));
        check("2023-12-31T23:59:60-00:01", Some("2024-01-01T00:00:59Z"));
        check("1970-01-01T00:00:00Z", Some("1970-01-01T00:00:00Z"));
        check("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00Z"));
        check("0000-01-01T00:00:00+10:00", None);
        check("2024-13-01T00:00:00Z", None);
        check("2024-05-01", None);
        check("2024-05-01T12:30:00", None);
        check("2024-05-01T12:30:00+2", None);
        check("é024-05-01T12:30:00Z", None);
        check("", None);
    }

    proptest! {
        #[test]
        fn days_go_there_and_back(day in -800_000_i64..3_000_000) {
            let (year, month, date) = civil(day);
            prop_assert_eq!(days(year, month, date), day);
        }

        #[test]
        fn times_never_panic(text in "\\PC{0,40}") {
            let _ = in_utc(&text);
        }
    }
}
