//! GraphQL: one request per call, and its errors.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::ScoutClient;
use crate::http::{Answer, Call, kind_of};
use crate::secret::printable;
use crate::{Error, ErrorKind, Result};

/// A query or a mutation, from a file of its own. Fields and types are those of the schema that Docker has published in
/// `docker/hub-mcp` `src/scout/genql/`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// What it is for; an error's message begins with it.
    pub(crate) purpose: &'static str,
    /// The operation's name in its document.
    pub(crate) name: &'static str,
    pub(crate) document: &'static str,
    /// The field that it asks for.
    pub(crate) field: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    operation_name: &'a str,
    query: &'a str,
    variables: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Response {
    data: Option<serde_json::Map<String, Value>>,
    errors: Vec<GraphqlError>,
    extensions: Extensions,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GraphqlError {
    message: String,
    path: Vec<Value>,
    extensions: Extensions,
}

/// What is known of `extensions` (`docker/hub-mcp` `src/scout/client.ts`; the DHI API's documentation). Each is taken
/// whatever its type, and none needs to be there: Docker's own client once fell over a missing number.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Extensions {
    code: Option<Value>,
    status: Option<Value>,
    correlation_id: Option<Value>,
}

impl ScoutClient {
    /// Sends an operation and reads the field that it asks for. `None` if the field is null.
    pub(crate) async fn graphql<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        variables: Value,
    ) -> Result<Option<T>> {
        let Operation { purpose, name, document, field } = *operation;
        let request = Request { operation_name: name, query: document, variables };
        let body = serde_json::to_vec(&request).map_err(|error| {
            Error::new(ErrorKind::Malformed, "write the request").with_source(error).during(purpose)
        })?;
        let call = Call::post_json(purpose, &self.addresses().graphql, body);
        let answer = self.authorized(&call, is_unauthorized).await?;
        if !answer.status.is_success() {
            return Err(answer.into_error().during(purpose));
        }
        let response: Response = serde_json::from_slice(&answer.body)
            .map_err(|error| Error::new(ErrorKind::Malformed, "read the answer").with_source(error).during(purpose))?;
        // Data beside errors has holes where the errors are: it is not what was asked for.
        if let Some(error) = response.error() {
            return Err(error.during(purpose));
        }
        let mut data = response.data.unwrap_or_default();
        match data.remove(field) {
            Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value).map(Some).map_err(|error| {
                Error::new(ErrorKind::Malformed, "read the answer").with_source(error).during(purpose)
            }),
            None => Err(Error::new(ErrorKind::Malformed, format!("the answer has no {field}")).during(purpose)),
        }
    }

    /// The same for a field that is never null.
    pub(crate) async fn graphql_some<T: DeserializeOwned>(&self, operation: &Operation, variables: Value) -> Result<T> {
        self.graphql(operation, variables).await?.ok_or_else(|| {
            Error::new(ErrorKind::Malformed, format!("{}: {} is null", operation.purpose, operation.field))
        })
    }
}

/// Whether an answer says that the token is no good any more: by its status, or with 200 and an error within.
fn is_unauthorized(answer: &Answer) -> bool {
    if answer.status.is_success() {
        let response: Response = serde_json::from_slice(&answer.body).unwrap_or_default();
        return response.error().is_some_and(|error| error.kind() == ErrorKind::Unauthorized);
    }
    answer.status == http::StatusCode::UNAUTHORIZED
}

impl Response {
    /// The first error; it says how many others there are.
    fn error(&self) -> Option<Error> {
        let first = self.errors.first()?;
        let code = first.extensions.code.as_ref().and_then(text);
        let status = first.extensions.status.as_ref();
        let mut message = printable(&first.message, 300);
        if message.is_empty() {
            message = code.clone().unwrap_or_else(|| "an error without a message".to_owned());
        }
        let path: Vec<String> = first.path.iter().filter_map(text).collect();
        if !path.is_empty() {
            message = format!("{} (at {})", message, path.join("."));
        }
        if self.errors.len() > 1 {
            message = format!("{message}, and {} more", self.errors.len() - 1);
        }
        let known = [&self.extensions, &first.extensions].into_iter().find_map(|known| known.correlation_id.as_ref());
        let kind = kind(status, code.as_deref());
        let error = Error::new(kind, message).with_code(code).with_correlation_id(known.and_then(text));
        Some(match kind {
            ErrorKind::PlanLimit => error.with_hint("the organization's plan does not cover this"),
            ErrorKind::Denied => {
                error.with_hint("is the organization enrolled, and the user an editor or owner of it?")
            }
            _ => error,
        })
    }
}

/// The kind of a GraphQL error: by its status, which is a number or a word, then by its code.
fn kind(status: Option<&Value>, code: Option<&str>) -> ErrorKind {
    let number = status.and_then(|status| match status {
        Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    });
    if let Some(number) = number.filter(|number| (400..600).contains(number)) {
        return kind_of(number);
    }
    let words = [status.and_then(Value::as_str), code];
    words
        .into_iter()
        .flatten()
        .find_map(|word| {
            Some(match word.to_ascii_uppercase().as_str() {
                "UNAUTHENTICATED" | "UNAUTHORIZED" => ErrorKind::Unauthorized,
                "FORBIDDEN" => ErrorKind::Denied,
                "NOT_FOUND" => ErrorKind::NotFound,
                "TOO_MANY_REQUESTS" | "RATE_LIMITED" => ErrorKind::RateLimited,
                "DOWNSTREAM_SERVICE_ERROR" | "INTERNAL_SERVER_ERROR" | "SERVICE_UNAVAILABLE" => ErrorKind::Unavailable,
                _ => return None,
            })
        })
        .unwrap_or(ErrorKind::Rejected)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(printable(text, 80)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &str) -> Error {
        serde_json::from_str::<Response>(body).unwrap().error().unwrap()
    }

    #[test]
    fn errors_keep_code_and_correlation_id() {
        // The form of the DHI API's documentation and of docker/hub-mcp.
        let error = error(
            r#"{"data":null,"errors":[{"message":"denied","path":["rsListRegistries",0,"status"],
                "extensions":{"code":"DOWNSTREAM_SERVICE_ERROR","status":403,"arguments":{}}}],
                "extensions":{"correlation_id":"c-1"}}"#,
        );
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(error.to_string(), "denied (at rsListRegistries.0.status)");
        assert_eq!((error.code(), error.correlation_id()), (Some("DOWNSTREAM_SERVICE_ERROR"), Some("c-1")));
        assert!(!error.is_retryable());
    }

    #[test]
    fn statuses_come_as_numbers_texts_words_or_not_at_all() {
        let check = |extensions: &str, kind: ErrorKind| {
            let error = error(&format!(r#"{{"errors":[{{"message":"m","extensions":{extensions}}}]}}"#));
            assert_eq!(error.kind(), kind, "{extensions}");
        };
        check(r#"{"status":402}"#, ErrorKind::PlanLimit);
        check(r#"{"status":"401"}"#, ErrorKind::Unauthorized);
        check(r#"{"status":"FORBIDDEN"}"#, ErrorKind::Denied);
        check(r#"{"status":429}"#, ErrorKind::RateLimited);
        check(r#"{"status":503,"code":"X"}"#, ErrorKind::Unavailable);
        check(r#"{"code":"DOWNSTREAM_SERVICE_ERROR"}"#, ErrorKind::Unavailable);
        check(r#"{"code":"GRAPHQL_VALIDATION_FAILED"}"#, ErrorKind::Rejected);
        check(r#"{"status":{"a":1},"code":7}"#, ErrorKind::Rejected);
        check("{}", ErrorKind::Rejected);
        assert_eq!(error(r#"{"errors":[{},{}]}"#).to_string(), "an error without a message, and 1 more");
    }
}
