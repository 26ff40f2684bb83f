//! What a person can do about an error of this registry's.

use super::credentials::SignedIn;
use crate::{Error, ErrorKind};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    SignIn,
    Catalog,
    Tags,
    Read,
    Write,
}

const FIREWALL: &str = "the registry's firewall does not let this machine in: allow its address under Networking (az acr \
    network-rule add), its data endpoints included, or reach the registry by a private endpoint";
const THROTTLED: &str = "the registry's tier allows so many reads a minute, and lists count: lower concurrency=, poll less \
    often, or choose a higher tier";
const CATALOG: &str = "name the repositories with repository=…, or give the right to list them: the role Container Registry \
    Repository Catalog Lister where the registry has repository permissions (ABAC), AcrPull elsewhere; a token sees the \
    catalog with the scope map _repositories_admin, or one of *, only";

/// The error with a hint, where there is something to say that the registry does not.
pub(super) fn of(error: Error, asked: Asked, signed_in: &SignedIn) -> Error {
    let hint = match error.kind() {
        ErrorKind::Denied if is_firewall(&error) => FIREWALL.to_owned(),
        ErrorKind::RateLimited => THROTTLED.to_owned(),
        ErrorKind::Unauthorized | ErrorKind::Denied => match signed_in {
            SignedIn::Failed => return error,
            SignedIn::Nobody(account) if account.0.is_empty() => {
                "nobody is signed in: give a token's name and password, or let an identity of Microsoft Entra sign in \
                 (identity=auto)"
                    .to_owned()
            }
            SignedIn::Nobody(account) => format!("nobody is signed in: {account}"),
            _ if asked == Asked::Catalog => CATALOG.to_owned(),
            SignedIn::Given => of_token(asked).to_owned(),
            SignedIn::Entra(way) => format!("the identity ({way}) {}", of_identity(asked)),
        },
        _ => return error,
    };
    error.with_hint(hint)
}

/// The catalog has nothing in it.
pub(super) fn empty_catalog(host: &str) -> Error {
    Error::new(
        ErrorKind::Denied,
        format!("list the repositories of {host}: the sign-in works, and the catalog is empty"),
    )
    .with_hint(format!("it looks the same for a registry without images and for who may not list it: {CATALOG}"))
}

/// The registry does not exchange the token of Entra's.
pub(super) fn of_exchange(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Denied if is_firewall(&error) => error.with_hint(FIREWALL),
        ErrorKind::RateLimited => error.with_hint(THROTTLED),
        ErrorKind::Unauthorized | ErrorKind::Denied => error.with_hint(
            "the registry does not know the identity: is it of the registry's tenant (tenant=…), and has it a role on \
             the registry, such as AcrPull? Tokens for another audience may be switched off (audience=…)",
        ),
        ErrorKind::NotFound | ErrorKind::Unsupported => error.with_hint("is this an Azure Container Registry?"),
        _ => error,
    }
}

fn of_token(asked: Asked) -> &'static str {
    match asked {
        Asked::SignIn => {
            "is the token enabled, and its password still good? az acr token list, az acr token credential"
        }
        Asked::Tags => {
            "the token's scope map needs metadata/read for this repository, as _repositories_pull_metadata_read has"
        }
        Asked::Read => "the token's scope map needs content/read for this repository, as _repositories_pull has",
        Asked::Write => "the token's scope map needs content/write for this repository, as _repositories_push has",
        Asked::Catalog => CATALOG,
    }
}

fn of_identity(asked: Asked) -> &'static str {
    match asked {
        Asked::Write => {
            "needs the role AcrPush, or Container Registry Repository Writer where the registry has repository \
            permissions (ABAC)"
        }
        Asked::Catalog => CATALOG,
        _ => {
            "needs the role AcrPull, or Container Registry Repository Reader where the registry has repository \
            permissions (ABAC): there AcrPull does not count"
        }
    }
}

/// The registry's words about its firewall: "client with IP '…' is not allowed access. Refer
/// https://aka.ms/acr/firewall to grant access."
fn is_firewall(error: &Error) -> bool {
    let said = error.to_string();
    said.contains("is not allowed access") || said.contains("aka.ms/acr/firewall")
}
