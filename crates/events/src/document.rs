//! Documents that a source cannot decide without.

/// A document on somebody else's server. The source has pinned the host before it names one: whoever fetches it
/// need not trust the delivery that led here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Document {
    /// Where it is, an `https` address. It is fetched as it stands, without following redirects; a few KiB, never
    /// more than [`Document::LIMIT`].
    pub url: String,
    /// What it is.
    pub kind: DocumentKind,
}

impl Document {
    /// The most bytes that a document may have.
    pub const LIMIT: usize = 64 * 1024;
}

/// What a [`Document`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    /// The certificate whose key signed a message of Amazon SNS, in PEM.
    SigningCertificate,
    /// The public keys of an issuer of tokens, a JSON Web Key Set (RFC 7517).
    KeySet,
    /// An address that confirms a subscription by being asked for. What it says is of no interest.
    Confirmation,
}

impl DocumentKind {
    /// A stable word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SigningCertificate => "signing-certificate",
            Self::KeySet => "key-set",
            Self::Confirmation => "confirmation",
        }
    }
}
