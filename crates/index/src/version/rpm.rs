//! RPM: rpm-version(7); `rpmvercmp` of rpm 4.15 and later, which knows `~` and `^`.

use std::cmp::Ordering;

use super::number::{Number, split_digits, split_epoch, split_while};

/// A segment of a version, in the order of comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment<'a> {
    Tilde,
    End,
    Caret,
    Letters(&'a str),
    Number(Number<'a>),
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a_epoch, a) = split_epoch(a);
    let (b_epoch, b) = split_epoch(b);
    let (a_version, a_release) = a.rsplit_once('-').unwrap_or((a, ""));
    let (b_version, b_release) = b.rsplit_once('-').unwrap_or((b, ""));
    a_epoch
        .cmp(&b_epoch)
        .then_with(|| segments(a_version).cmp(segments(b_version)))
        .then_with(|| segments(a_release).cmp(segments(b_release)))
}

/// Whatever is neither letter, digit, `~` nor `^` only parts segments.
fn segments(mut rest: &str) -> impl Iterator<Item = Segment<'_>> {
    let mut ended = false;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric() && c != '~' && c != '^');
        let segment = match rest.as_bytes().first() {
            None if ended => return None,
            None => {
                ended = true;
                return Some(Segment::End);
            }
            Some(b'~') => {
                rest = &rest[1..];
                Segment::Tilde
            }
            Some(b'^') => {
                rest = &rest[1..];
                Segment::Caret
            }
            Some(byte) if byte.is_ascii_digit() => {
                let (digits, after) = split_digits(rest);
                rest = after;
                Segment::Number(Number::new(digits))
            }
            Some(_) => {
                let (letters, after) = split_while(rest, |c| c.is_ascii_alphabetic());
                rest = after;
                Segment::Letters(letters)
            }
        };
        Some(segment)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ascending, equal};

    #[test]
    fn the_manuals_rules() {
        // After the cases of rpm's tests/rpmvercmp.at and rpm-version(7).
        ascending("rpm", &["1.0~rc1~git123", "1.0~rc1", "1.0", "1.0^git1", "1.0^git1^x", "1.0.1"]);
        ascending("rpm", &["5.5p1", "5.5p2", "5.5p10", "5.6p1"]);
        ascending("rpm", &["6.0", "6.0.rc1"]);
        ascending("rpm", &["xyz", "8", "8.xyz"]);
        ascending("rpm", &["2.0", "2.0.1", "2.0.1a", "2.0.2", "10xyz", "10.1xyz"]);
        ascending("rpm", &["1.0~rc1", "1.0~rc1^git1", "1.0", "1.0^git1~pre", "1.0^git1"]);
        ascending("rpm", &["1.0-1.el8", "1.0-1.el9", "1.0-2.el8", "1.0.1-1", "1:0.1-1"]);
        equal("rpm", &["1.0", "1_0", "1..0", "1.0.", "0:1.0", "01.00"]);
        equal("rpm", &["2_0", "2.0", "2+0"]);
    }
}
