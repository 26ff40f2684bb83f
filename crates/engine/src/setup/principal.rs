//! Who may assume a role of AWS.

use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind};

/// Who may assume the role of a template, and read its queue: somebody by their ARN, or an account as a whole by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(String);

impl Principal {
    /// The account, if it is one as a whole.
    pub(super) fn account(&self) -> Option<&str> {
        is_account(&self.0).then_some(&self.0)
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl FromStr for Principal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let is_arn = matches!(parts[..], ["arn", partition, "iam" | "sts", "", account, who]
            if partition.starts_with("aws") && account.len() == 12 && !who.is_empty());
        if is_arn || is_account(text) {
            return Ok(Self(text.to_owned()));
        }
        let told = "read the principal: expected an ARN such as arn:aws:iam::123456789012:role/supercargo, or the number \
                    of an account";
        Err(Error::new(ErrorKind::Configuration, told))
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_assume_the_role() {
        for fits in
            ["123456789012", "arn:aws:iam::123456789012:role/a", "arn:aws-cn:sts::123456789012:assumed-role/a/b"]
        {
            assert!(fits.parse::<Principal>().is_ok(), "{fits}");
        }
        for bad in
            ["", "*", "12345678901", "arn:aws:iam::123:role/a", "arn:aws:s3:::bucket", "arn:aws:iam::123456789012:"]
        {
            assert!(bad.parse::<Principal>().is_err(), "{bad}");
        }
    }
}
