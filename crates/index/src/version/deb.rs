//! Debian: deb-version(7), Debian policy 5.6.12.

use std::cmp::Ordering;

use super::number::{Number, split_digits, split_epoch};

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a_epoch, a) = split_epoch(a);
    let (b_epoch, b) = split_epoch(b);
    // Without a revision: as if it were 0.
    let (a_upstream, a_revision) = a.rsplit_once('-').unwrap_or((a, ""));
    let (b_upstream, b_revision) = b.rsplit_once('-').unwrap_or((b, ""));
    a_epoch
        .cmp(&b_epoch)
        .then_with(|| compare_part(a_upstream, b_upstream))
        .then_with(|| compare_part(a_revision, b_revision))
}

/// Non-digits, digits, non-digits, … in turn.
fn compare_part(mut a: &str, mut b: &str) -> Ordering {
    while !(a.is_empty() && b.is_empty()) {
        let (a_text, a_rest) = split_non_digits(a);
        let (b_text, b_rest) = split_non_digits(b);
        let (a_number, b_number);
        (a_number, a) = split_digits(a_rest);
        (b_number, b) = split_digits(b_rest);
        let order = compare_text(a_text, b_text).then_with(|| Number::new(a_number).cmp(&Number::new(b_number)));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn split_non_digits(text: &str) -> (&str, &str) {
    super::number::split_while(text, |c| !c.is_ascii_digit())
}

/// A tilde before the end, the end before letters, letters before all else.
fn compare_text(a: &str, b: &str) -> Ordering {
    let weight = |byte: Option<u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(byte),
        Some(byte) => i32::from(byte) + 256,
    };
    let (mut a, mut b) = (a.bytes(), b.bytes());
    loop {
        let (x, y) = (a.next(), b.next());
        let order = weight(x).cmp(&weight(y));
        if order.is_ne() || (x.is_none() && y.is_none()) {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::tests::{ascending, equal};
    use super::*;

    #[test]
    fn the_policys_examples() {
        // Debian policy 5.6.12.1: "sorted from earliest to latest: ~~, ~~a, ~, the empty part, a."
        ascending("deb", &["1~~", "1~~a", "1~", "1", "1a"]);
        ascending("deb", &["1.0~beta1~svn1245", "1.0~beta1", "1.0"]);
        ascending("deb", &["0.9", "0.10", "1.0-1", "1.0-1+b1", "1.0-1.1", "1.0-10", "1.0+dfsg-1", "1.0.1", "1:0.1"]);
        ascending("deb", &["1a", "1ab", "1a+", "1a.", "1+", "1."]);
        equal("deb", &["1.0", "0:1.0", "1.0-0", "01.00-0", "1.0-"]);
    }

    /// dpkg itself is the judge where it is installed.
    #[test]
    fn dpkg_agrees() {
        if Command::new("dpkg").arg("--version").output().is_err() {
            eprintln!("skipped: there is no dpkg here");
            return;
        }
        let pieces = ["0", "1", "9", "10", "007", ".", ".", "+", "~", "a", "z", "rc", "A", "-1", "-0", "~1", "+b1"];
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move |bound: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % bound as u64) as usize
        };
        for _ in 0..200 {
            let [a, b] = [(); 2].map(|()| {
                let epoch = ["", "", "0:", "1:"][random(4)];
                let rest: String = (0..random(5)).map(|_| pieces[random(pieces.len())]).collect();
                format!("{epoch}{}{rest}", random(3))
            });
            let says = |relation: &str| {
                let status = Command::new("dpkg").args(["--compare-versions", &a, relation, &b]).status();
                status.expect("dpkg ran a moment ago").success()
            };
            let expected = match (says("lt"), says("eq")) {
                (true, _) => Ordering::Less,
                (_, true) => Ordering::Equal,
                _ => Ordering::Greater,
            };
            assert_eq!(compare(&a, &b), expected, "{a} and {b}");
        }
    }
}
