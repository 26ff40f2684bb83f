//! The functions of the clouds: a runtime that speaks the documented protocol hands them events, and a server takes
//! what they pass on.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use supercargo_tests::{Moto, Service, binary, eventually, free_port};
use tokio::net::TcpListener;
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::JoinHandle;

const LIMIT: Duration = Duration::from_secs(30);
const SECRET: &str = "the-secret-of-the-event-source";

/// A server's event source: takes what has the secret, unless it is told to fail.
struct Sink {
    url: String,
    state: Arc<SinkState>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct SinkState {
    taken: Mutex<Vec<String>>,
    /// What is refused, by a word in it.
    refused: Mutex<Option<String>>,
}

impl Sink {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/v1/events/eventbridge/aws", listener.local_addr()?);
        let state = Arc::<SinkState>::default();
        let router = Router::new().route("/v1/events/eventbridge/aws", post(take)).with_state(Arc::clone(&state));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, state, task })
    }

    fn taken(&self) -> Vec<String> {
        self.state.taken.lock().expect("no holder panics").clone()
    }

    fn refuse(&self, word: Option<&str>) {
        *self.state.refused.lock().expect("no holder panics") = word.map(str::to_owned);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(state): State<Arc<SinkState>>, headers: HeaderMap, body: String) -> StatusCode {
    if headers["authorization"] != format!("Bearer {SECRET}") {
        return StatusCode::UNAUTHORIZED;
    }
    if state.refused.lock().expect("no holder panics").as_ref().is_some_and(|word| body.contains(word.as_str())) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    state.taken.lock().expect("no holder panics").push(body);
    StatusCode::ACCEPTED
}

/// The Lambda runtime API, 2018-06-01: `next` hands an invocation out, `response` and `error` take what came of it.
struct Runtime {
    address: String,
    events: mpsc::UnboundedSender<Value>,
    answers: AsyncMutex<mpsc::UnboundedReceiver<(String, Value)>>,
    task: JoinHandle<()>,
}

struct RuntimeState {
    events: AsyncMutex<(u32, mpsc::UnboundedReceiver<Value>)>,
    answers: mpsc::UnboundedSender<(String, Value)>,
}

impl Runtime {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (events, incoming) = mpsc::unbounded_channel();
        let (outgoing, answers) = mpsc::unbounded_channel();
        let state = Arc::new(RuntimeState { events: AsyncMutex::new((0, incoming)), answers: outgoing });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{outcome}", post(outcome))
            .with_state(state);
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, events, answers: AsyncMutex::new(answers), task })
    }

    /// Invokes the function; `response` or `error`, and what it says.
    async fn invoke(&self, event: Value) -> Result<(String, Value)> {
        self.events.send(event)?;
        let mut answers = self.answers.lock().await;
        tokio::time::timeout(LIMIT, answers.recv()).await.context("the function does not answer")?.context("it is gone")
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn next(State(state): State<Arc<RuntimeState>>) -> Response {
    let mut events = state.events.lock().await;
    let Some(event) = events.1.recv().await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    events.0 += 1;
    let headers = [
        ("lambda-runtime-aws-request-id", format!("request-{}", events.0)),
        ("lambda-runtime-deadline-ms", "4102444800000".to_owned()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-central-1:123456789012:function:relay".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event.to_string()).into_response()
}

async fn outcome(
    State(state): State<Arc<RuntimeState>>,
    Path((_, outcome)): Path<(String, String)>,
    body: Bytes,
) -> StatusCode {
    let _ = state.answers.send((outcome, serde_json::from_slice(&body).unwrap_or_default()));
    StatusCode::ACCEPTED
}

fn rule(id: &str) -> Value {
    json!({
        "version": "0", "id": id, "detail-type": "ECR Image Action", "source": "aws.ecr", "account": "123456789012",
        "time": "2026-11-22T10:00:00Z", "region": "eu-central-1", "resources": [],
        "detail": {
            "action-type": "PUSH", "result": "SUCCESS", "repository-name": "team/app", "image-tag": "1.0",
            "image-digest": format!("sha256:{}", "a".repeat(64)),
        },
    })
}

/// `supercargo-lambda` as the platform starts it.
fn lambda(runtime: &Runtime) -> Result<Command> {
    let mut command = Command::new(binary("supercargo-lambda")?);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", &runtime.address)
        .env("AWS_LAMBDA_FUNCTION_NAME", "relay")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "relay")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "relay");
    Ok(command)
}

#[tokio::test]
async fn a_lambda_function_passes_events_on() -> Result<()> {
    let (sink, runtime) = (Sink::start().await?, Runtime::start().await?);
    let folder = tempfile::tempdir()?;
    let mut command = lambda(&runtime)?;
    command.env("SUPERCARGO_EVENTS_URL", &sink.url).env("SUPERCARGO_EVENTS_SECRET", SECRET);
    let _service = Service::start("supercargo-lambda", &mut command, &folder.path().join("log"))?;

    // EventBridge: the event itself.
    assert_eq!(runtime.invoke(rule("1")).await?, ("response".to_owned(), json!({})));
    assert_eq!(serde_json::from_str::<Value>(&sink.taken()[0])?, rule("1"));
    // SNS: its message.
    let sns =
        json!({"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": "m", "Message": rule("2").to_string()}}]});
    assert_eq!(runtime.invoke(sns).await?.0, "response");
    assert_eq!(serde_json::from_str::<Value>(&sink.taken()[1])?, rule("2"));
    // SQS: the messages that were not taken come again, the others do not.
    let record =
        |id: &str| json!({"messageId": format!("m-{id}"), "eventSource": "aws:sqs", "body": rule(id).to_string()});
    sink.refuse(Some("\"id\":\"4\""));
    let (outcome, answer) = runtime.invoke(json!({"Records": [record("3"), record("4"), record("5")]})).await?;
    assert_eq!((outcome.as_str(), answer), ("response", json!({"batchItemFailures": [{"itemIdentifier": "m-4"}]})));
    assert_eq!(sink.taken().len(), 4);
    let (_, answer) = runtime.invoke(json!({"Records": [record("6")]})).await?;
    assert_eq!(answer, json!({"batchItemFailures": []}));

    // What cannot be passed on fails the invocation, so that it is repeated.
    sink.refuse(Some("team/app"));
    let (outcome, answer) = runtime.invoke(rule("7")).await?;
    assert_eq!(outcome, "error");
    assert!(answer["errorMessage"].as_str().is_some_and(|text| text.contains("503")), "{answer}");
    assert!(!answer.to_string().contains(SECRET));
    let (outcome, _) = runtime.invoke(json!({"hello": "world"})).await?;
    assert_eq!(outcome, "error");
    sink.refuse(None);
    assert_eq!(runtime.invoke(rule("7")).await?.0, "response", "it goes on");
    Ok(())
}

/// Takes all messages out of a queue, with Amazon's own client, and prints their bodies.
const DRAIN: &str = "sqs, bodies = client('sqs'), []\n\
    while True:\n\
    \x20   found = sqs.receive_message(QueueUrl=given['url'], MaxNumberOfMessages=10).get('Messages', [])\n\
    \x20   if not found: break\n\
    \x20   for message in found:\n\
    \x20       bodies.append(message['Body'])\n\
    \x20       sqs.delete_message(QueueUrl=given['url'], ReceiptHandle=message['ReceiptHandle'])\n\
    print(json.dumps(bodies))";

/// The identifiers of the events in a queue, which is empty then.
async fn drained(moto: &Moto, url: &str) -> Result<Vec<String>> {
    let bodies: Vec<String> = serde_json::from_value(moto.boto3(DRAIN, json!({"url": url})).await?)?;
    let mut found = Vec::new();
    for body in bodies {
        let event: Value = serde_json::from_str(&body)?;
        let id = event["id"].as_str().context("an event has an id")?.to_owned();
        assert_eq!(event, rule(&id), "it is passed on as it came");
        found.push(id);
    }
    found.sort();
    Ok(found)
}

#[tokio::test]
async fn a_lambda_function_puts_events_into_a_queue() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (moto, runtime) = (Moto::start().await?, Runtime::start().await?);
    let url = moto.queue("relayed").await?;
    let mut command = lambda(&runtime)?;
    command
        // The platform sets these, from the function's role.
        .env("AWS_REGION", Moto::REGION)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("SUPERCARGO_QUEUE_URL", &url)
        .env("SUPERCARGO_QUEUE_ENDPOINT", moto.endpoint());
    let _service = Service::start("supercargo-lambda", &mut command, &folder.path().join("log"))?;

    assert_eq!(runtime.invoke(rule("1")).await?, ("response".to_owned(), json!({})));
    let sns =
        json!({"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": "m", "Message": rule("2").to_string()}}]});
    assert_eq!(runtime.invoke(sns).await?.0, "response");
    assert_eq!(drained(&moto, &url).await?, ["1", "2"]);

    // More than one call to the queue takes.
    let record = |body: &str, id: u32| json!({"messageId": format!("m-{id}"), "eventSource": "aws:sqs", "body": body});
    let records: Vec<Value> = (100..125).map(|id| record(&rule(&id.to_string()).to_string(), id)).collect();
    assert_eq!(runtime.invoke(json!({"Records": records})).await?.1, json!({"batchItemFailures": []}));
    let expected: Vec<String> = (100..125).map(|id: u32| id.to_string()).collect();
    assert_eq!(drained(&moto, &url).await?, expected);

    // A queue that is not there: nothing is passed on, and the platform hears of every message.
    moto.boto3("client('sqs').delete_queue(QueueUrl=given['url'])", json!({"url": url})).await?;
    let (outcome, answer) = runtime.invoke(rule("3")).await?;
    assert_eq!(outcome, "error");
    assert!(answer["errorMessage"].as_str().is_some_and(|text| text.contains("queue")), "{answer}");
    let (_, answer) = runtime.invoke(json!({"Records": [record(&rule("4").to_string(), 4)]})).await?;
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "m-4"}]}));
    moto.queue("relayed").await?;
    assert_eq!(runtime.invoke(rule("5")).await?.0, "response", "it goes on");
    assert_eq!(drained(&moto, &url).await?, ["5"]);
    Ok(())
}

#[tokio::test]
async fn an_azure_function_passes_events_on() -> Result<()> {
    let sink = Sink::start().await?;
    let folder = tempfile::tempdir()?;
    let port = free_port();
    let mut command = Command::new(binary("supercargo-azure-function")?);
    command
        .env_clear()
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
        .env("SUPERCARGO_EVENTS_URL", &sink.url)
        .env("SUPERCARGO_EVENTS_SECRET", SECRET);
    let mut service = Service::start("supercargo-azure-function", &mut command, &folder.path().join("log"))?;
    let address = format!("127.0.0.1:{port}");
    let invoke = async |invocation: Value| {
        let mut sender = supercargo_tests::Sender::connect(&address).await?;
        sender.post("/ImageChange", "Content-Type: application/json\r\n", &invocation.to_string()).await
    };
    eventually("the function listens", LIMIT, async || {
        service.check()?;
        supercargo_tests::Sender::connect(&address).await.map(drop)
    })
    .await?;

    let event = json!({"id": "1", "eventType": "Microsoft.ContainerRegistry.ImagePushed", "data": {"action": "push"}});
    assert_eq!(invoke(json!({"Data": {"event": event}, "Metadata": {"sys": {}}})).await?, 200);
    assert_eq!(serde_json::from_str::<Value>(&sink.taken()[0])?, event);
    // The host writes a binding's value as a text at times.
    assert_eq!(invoke(json!({"Data": {"event": event.to_string()}})).await?, 200);
    assert_eq!(serde_json::from_str::<Value>(&sink.taken()[1])?, event);
    sink.refuse(Some("ImagePushed"));
    assert_eq!(invoke(json!({"Data": {"event": event}})).await?, 500, "Event Grid is to repeat it");
    assert_eq!(invoke(json!({"Metadata": {}})).await?, 500);
    sink.refuse(None);
    assert_eq!(invoke(json!({"Data": {"event": event}})).await?, 200);
    ensure!(sink.taken().len() == 3, "{:?}", sink.taken());
    Ok(())
}

#[tokio::test]
async fn a_function_without_a_destination_says_so() -> Result<()> {
    for name in ["supercargo-lambda", "supercargo-azure-function"] {
        let output = tokio::process::Command::new(binary(name)?).env_clear().output().await?;
        assert!(!output.status.success());
        let text = String::from_utf8(output.stderr)?;
        assert!(text.contains("set SUPERCARGO_EVENTS_URL"), "{name}: {text}");
    }
    Ok(())
}
