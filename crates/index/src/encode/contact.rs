//! Who made a package, taken apart.

/// `Name <mail>`, less of it, or more after it: the name on one line, and the mail address if it is one.
pub(super) fn contact(author: &str) -> Option<(String, Option<String>)> {
    let (name, mail) = match author.split_once('<') {
        Some((name, rest)) => (name, rest.split_once('>').map_or("", |(mail, _)| mail.trim())),
        None => (author, ""),
    };
    let name = one_line(name);
    let mail = is_mail(mail).then(|| mail.to_owned());
    (!name.is_empty() || mail.is_some()).then_some((name, mail))
}

/// Blanks and control characters of any sort as one blank.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    words.join(" ")
}

fn is_mail(text: &str) -> bool {
    let plain = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    text.split_once('@').is_some_and(|(user, host)| plain(user, b"._+-") && plain(host, b".-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_have_names_and_mail_addresses() {
        let check = |author: &str, expected: Option<(&str, Option<&str>)>| {
            let found = contact(author);
            let found = found.as_ref().map(|(name, mail)| (name.as_str(), mail.as_deref()));
            assert_eq!(found, expected, "{author}");
        };
        check("Ann <ann+x@example.org>", Some(("Ann", Some("ann+x@example.org"))));
        check("Ann\n B. <ann@example.org> (https://ann.example.org)", Some(("Ann B.", Some("ann@example.org"))));
        check("Ann <https://example.org>", Some(("Ann", None)));
        check("<ann@example.org>", Some(("", Some("ann@example.org"))));
        check("Ann <", Some(("Ann", None)));
        check(" ", None);
    }
}
