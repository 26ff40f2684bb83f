//! What the SDK's errors mean here, and what a person can do about them.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::error::ErrorMetadata;

use crate::distribution::find_cause;
use crate::secret::printable;
use crate::{Error, ErrorKind};

/// Characters of a service's own words.
const SAID: usize = 500;

/// What to do about missing credentials.
const NO_CREDENTIALS: &str = "AWS credentials are looked for in the environment, the profiles of ~/.aws, a web identity token (IRSA), \
     the containers' endpoint (ECS, Pod Identity) and the instance's metadata; or sign in with docker, or name a profile";

/// The error of a call of `action`, such as `ecr:DescribeImages`.
///
/// The SDK's own error is not kept as the source: printed for debugging it shows answers, tokens included.
pub(super) fn from_sdk<E>(action: &str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let SdkError::ServiceError(refusal) = error else { return from_chain(action, error) };
    let status = refusal.raw().status().as_u16();
    let code = refusal.err().code().unwrap_or_default();
    let kind = kind_of(code, status);
    let mut said = if code.is_empty() { status.to_string() } else { printable(code, SAID) };
    if let Some(message) = refusal.err().message().filter(|message| !message.is_empty()) {
        said.push_str(&format!(" ({})", printable(message, SAID)));
    }
    let error = Error::new(kind, format!("{action} answered {said}"));
    match kind {
        ErrorKind::Denied => allow(error, action),
        ErrorKind::Unauthorized if code.starts_with("Signature") || code.starts_with("InvalidSignature") => {
            error.with_hint("is this machine's clock right, and is the secret key the one of the access key?")
        }
        ErrorKind::Unauthorized => error.with_hint("the AWS credentials are not good, or no longer: renew them"),
        _ => error,
    }
}

/// The same error with the hint to allow `action`.
pub(super) fn allow(error: Error, action: &str) -> Error {
    let on = if action == "ecr:GetAuthorizationToken" { "on \"*\"" } else { "on the repositories" };
    error.with_hint(format!(
        "allow {action} {on} to the identity that is signed in; repositories of another account need it in their \
         policy as well"
    ))
}

/// The error of credentials that could not be had.
pub(super) fn from_credentials(error: &CredentialsError) -> Error {
    from_chain("get AWS credentials", error)
}

/// An error that is no service's answer: the transport's, or that of credentials.
fn from_chain(action: &str, error: &(dyn StdError + 'static)) -> Error {
    let said = chain(error);
    // The transport knows best what happened to it, also on the way to credentials.
    if let Some(cause) = find_cause::<Error>(error) {
        let found = Error::new(cause.kind(), format!("{action}: {cause}{}", because(cause)));
        return match cause.hint() {
            Some(hint) => found.with_hint(hint),
            None => found,
        };
    }
    match find_cause::<CredentialsError>(error) {
        Some(CredentialsError::ProviderTimedOut(_)) => {
            Error::new(ErrorKind::Timeout, format!("{action}: AWS credentials do not come ({said})"))
        }
        Some(CredentialsError::CredentialsNotLoaded(_)) => {
            Error::new(ErrorKind::Credential, format!("{action}: there are no AWS credentials"))
                .with_hint(NO_CREDENTIALS)
        }
        Some(_) => {
            // What a service answered, without how the SDK came to ask it.
            let said = find_cause::<ErrorMetadata>(error).and_then(words).unwrap_or(said);
            Error::new(ErrorKind::Credential, format!("{action}: no AWS credentials ({said})"))
        }
        None if said.contains("timeout") || said.contains("timed out") => {
            Error::new(ErrorKind::Timeout, format!("{action}: {said}"))
        }
        None => Error::new(ErrorKind::Malformed, format!("{action}: {said}")),
    }
}

/// A service's answer, as far as it has words for it.
fn words(answer: &ErrorMetadata) -> Option<String> {
    let code = printable(answer.code()?, SAID);
    Some(match answer.message() {
        Some(message) => format!("{code}: {}", printable(message, SAID)),
        None => code,
    })
}

fn because(error: &Error) -> String {
    error.source().map(|cause| format!(" ({})", chain(cause))).unwrap_or_default()
}

/// What an error and its causes say, each once.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut cause = Some(error);
    while let Some(current) = cause {
        let text = current.to_string();
        if said.last() != Some(&text) {
            said.push(text);
        }
        cause = current.source();
    }
    printable(&said.join(": "), SAID)
}

/// The sort of a service's refusal, by its code, else by its status.
fn kind_of(code: &str, status: u16) -> ErrorKind {
    match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "OptInRequired" => ErrorKind::Denied,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => ErrorKind::Unauthorized,
        "RepositoryNotFoundException" | "ImageNotFoundException" => ErrorKind::NotFound,
        "RequestLimitExceeded" | "ThrottledException" | "TooManyRequestsException" => ErrorKind::RateLimited,
        code if is_throttle(code) => ErrorKind::RateLimited,
        "InternalFailure" | "ServerException" | "ServiceUnavailable" => ErrorKind::Unavailable,
        _ => match status {
            429 => ErrorKind::RateLimited,
            401 => ErrorKind::Unauthorized,
            403 => ErrorKind::Denied,
            408 | 500..=599 => ErrorKind::Unavailable,
            _ => ErrorKind::Malformed,
        },
    }
}

/// Whether a code says that there were too many requests. Amazon's page of ECR's errors names `ThrottleException`,
/// which the SDK's own list of such codes lacks.
pub(super) fn is_throttle(code: &str) -> bool {
    matches!(code, "ThrottleException" | "Throttling" | "ThrottlingException")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let check = |code: &str, status: u16, expected: ErrorKind| {
            assert_eq!(kind_of(code, status), expected, "{code} {status}");
        };
        check("AccessDeniedException", 400, ErrorKind::Denied);
        check("UnrecognizedClientException", 400, ErrorKind::Unauthorized);
        check("ExpiredTokenException", 400, ErrorKind::Unauthorized);
        check("RepositoryNotFoundException", 400, ErrorKind::NotFound);
        check("ThrottlingException", 400, ErrorKind::RateLimited);
        check("ThrottleException", 400, ErrorKind::RateLimited);
        check("ServerException", 500, ErrorKind::Unavailable);
        check("InvalidParameterException", 400, ErrorKind::Malformed);
        check("", 429, ErrorKind::RateLimited);
        check("", 503, ErrorKind::Unavailable);
        check("NewException", 400, ErrorKind::Malformed);
    }

    #[test]
    fn credentials() {
        let check = |error: CredentialsError, kind: ErrorKind, message: &str| {
            let found = from_credentials(&error);
            assert_eq!((found.kind(), found.to_string().as_str()), (kind, message));
        };
        check(
            CredentialsError::not_loaded("no providers in chain provided credentials"),
            ErrorKind::Credential,
            "get AWS credentials: there are no AWS credentials",
        );
        check(
            CredentialsError::provider_error("the file is broken"),
            ErrorKind::Credential,
            "get AWS credentials: no AWS credentials (an error occurred while loading credentials: the file is broken)",
        );
        let refused =
            ErrorMetadata::builder().code("AccessDenied").message("not authorized to perform: sts:AssumeRole");
        check(
            CredentialsError::provider_error(refused.build()),
            ErrorKind::Credential,
            "get AWS credentials: no AWS credentials (AccessDenied: not authorized to perform: sts:AssumeRole)",
        );
        let lost = Error::new(ErrorKind::Network, "connect to https://sts.eu-west-1.amazonaws.com/");
        check(
            CredentialsError::provider_error(lost),
            ErrorKind::Network,
            "get AWS credentials: connect to https://sts.eu-west-1.amazonaws.com/",
        );
    }
}
