//! A custom handler of Azure Functions for Event Grid triggers.
//!
//! The Functions host starts the program with a port in `FUNCTIONS_CUSTOMHANDLER_PORT` and posts each invocation to
//! `/FUNCTION`, as `{"Data": {BINDING: …}, "Metadata": {…}}`. A binding's value is the event, as an object or as a text
//! of JSON. An answer other than 2xx fails the invocation, and Event Grid repeats the event.

use std::convert::Infallible;
use std::net::SocketAddr;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::{Destination, Error, ErrorKind, Message, Result, Settings};

/// Bytes of an invocation: an event of at most 1 MiB as a text in JSON, with what the host tells about it.
const INVOCATION: usize = 4 << 20;

/// Answers invocations until the host ends the process.
///
/// # Errors
///
/// If the settings name no destination or no port, or the port cannot be listened on.
pub async fn run(settings: &Settings<'_>) -> Result<()> {
    let destination = Destination::of_settings(settings)?;
    let port = settings("FUNCTIONS_CUSTOMHANDLER_PORT").unwrap_or_default();
    let port: u16 = port.parse().map_err(|_| {
        let message = "find the port: FUNCTIONS_CUSTOMHANDLER_PORT is not set; the Functions host sets it";
        Error::new(ErrorKind::Configuration, message)
    })?;
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))
        .await
        .map_err(|error| Error::new(ErrorKind::Runtime, format!("listen on port {port}")).with_source(error))?;
    tokio::select! {
        served = serve(&destination, &listener) => served,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn serve(destination: &Destination, listener: &TcpListener) -> Result<()> {
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => connections.push(converse(destination, stream)),
                Err(error) => {
                    return Err(Error::new(ErrorKind::Runtime, "accept a connection of the host").with_source(error));
                }
            },
            Some(()) = connections.next(), if !connections.is_empty() => {}
        }
    }
}

async fn converse(destination: &Destination, stream: TcpStream) {
    let answer = service_fn(async |request: Request<Incoming>| Ok::<_, Infallible>(answer(destination, request).await));
    // A connection that breaks is the host's to open again.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

async fn answer(destination: &Destination, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        return reply(StatusCode::METHOD_NOT_ALLOWED, &json!({}));
    }
    let Ok(body) = Limited::new(request.into_body(), INVOCATION).collect().await else {
        return reply(StatusCode::PAYLOAD_TOO_LARGE, &json!({}));
    };
    match handle(destination, &body.to_bytes()).await {
        Ok(passed) => {
            let logs = [format!("{passed} events passed on")];
            reply(StatusCode::OK, &json!({"Outputs": {}, "Logs": logs, "ReturnValue": null}))
        }
        Err(error) => reply(
            StatusCode::INTERNAL_SERVER_ERROR,
            &json!({"Outputs": {}, "Logs": [format!("failed to {error}")], "ReturnValue": null}),
        ),
    }
}

fn reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// Passes on what an invocation brings; how many events that were.
///
/// # Errors
///
/// [`ErrorKind::Malformed`] for what is no invocation; [`ErrorKind::Destination`].
pub async fn handle(destination: &Destination, invocation: &[u8]) -> Result<usize> {
    let messages = read(invocation)?;
    let outcome = destination.put(&messages).await;
    outcome.into_iter().collect::<Result<Vec<()>>>().map(|passed| passed.len())
}

fn read(invocation: &[u8]) -> Result<Vec<Message>> {
    let strange = |why: &str| Error::new(ErrorKind::Malformed, format!("read the invocation: {why}"));
    let invocation: Value = serde_json::from_slice(invocation).map_err(|_| strange("it is no JSON"))?;
    let bindings = invocation["Data"].as_object().ok_or_else(|| strange("it has no Data"))?;
    let message = |value: &Value| match value {
        Value::String(text) if serde_json::from_str::<Value>(text).is_ok_and(|value| !value.is_string()) => {
            Ok(Message { body: text.clone() })
        }
        value @ (Value::Object(_) | Value::Array(_)) => Ok(Message { body: value.to_string() }),
        _ => Err(strange("a binding's value is no event")),
    };
    let messages = bindings.values().map(message).collect::<Result<Vec<_>>>()?;
    if messages.is_empty() { Err(strange("no binding has a value")) } else { Ok(messages) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invocations() {
        let check = |invocation: &str, expected: Option<&[&str]>| {
            let found = read(invocation.as_bytes()).ok();
            let found: Option<Vec<String>> = found.map(|all| all.into_iter().map(|message| message.body).collect());
            let expected = expected.map(|all| all.iter().map(ToString::to_string).collect());
            assert_eq!(found, expected, "{invocation}");
        };
        check(r#"{"Data":{"event":{"id":"1"}},"Metadata":{}}"#, Some(&[r#"{"id":"1"}"#]));
        check(r#"{"Data":{"event":"{\"id\": \"1\"}"}}"#, Some(&[r#"{"id": "1"}"#]));
        check(r#"{"Data":{"events":[{"id":"1"},{"id":"2"}]}}"#, Some(&[r#"[{"id":"1"},{"id":"2"}]"#]));
        for strange in ["", "{}", r#"{"Data":{}}"#, r#"{"Data":{"event":1}}"#, r#"{"Data":{"event":"hello"}}"#] {
            check(strange, None);
        }
    }
}
