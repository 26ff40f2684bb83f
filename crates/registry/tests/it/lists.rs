//! Lists that do not end, and what registries say beside their answers.

use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt;
use supercargo_registry::{ErrorKind, Registry, RegistryExt};
use tracing::field::{Field, Visit};
use tracing::span;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{app, document, host, on_get, open};
use crate::wire::{Head, Wire, answer};

#[tokio::test]
async fn pages_without_end_are_bounded() {
    let server = Wire::start(|head: &Head| {
        let page: u64 = head.path().rsplit_once("last=").map_or(0, |(_, page)| page.parse().unwrap());
        let link = format!("link: </v2/team/app/tags/list?last={}>; rel=\"next\"\r\n", page + 1);
        vec![answer("200 OK", &link, &format!("{{\"tags\":[\"t{page}\"]}}"))]
    })
    .await;
    let mut seen = 0;
    let error = open(&server.host())
        .tags(&app())
        .try_for_each(|_| {
            seen += 1;
            std::future::ready(Ok(()))
        })
        .await
        .unwrap_err();
    assert_eq!((error.kind(), seen), (ErrorKind::LimitExceeded, 10_000), "{error}");
    assert_eq!(server.heads().len(), 10_000);
}

#[tokio::test]
async fn pages_in_a_circle_end() {
    let server = Wire::start(|head: &Head| {
        let next = if head.path().ends_with("last=a") { "b" } else { "a" };
        let link = format!("link: <?last={next}>; rel=\"next\"\r\n");
        vec![answer("200 OK", &link, "{\"tags\":[\"t\"]}")]
    })
    .await;
    let error = open(&server.host()).tags(&app()).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!((error.kind(), server.heads().len()), (ErrorKind::Malformed, 3), "{error}");
}

#[tokio::test]
async fn names_without_end_are_bounded() {
    let server = MockServer::start().await;
    let names = vec!["\"a\""; 1_000_001].join(",");
    on_get(&server, "/v2/team/app/tags/list", document("application/json", format!("{{\"tags\":[{names}]}}"))).await;
    let error = open(&host(&server)).tags(&app()).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
}

/// Keeps what is logged as a warning.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{}={value:?} ", field.name()));
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn warnings_are_shown_once_and_tamed() {
    let server = MockServer::start().await;
    let answer = document("application/json", r#"{"tags":[]}"#)
        .insert_header("warning", "299 - \"this registry moves to new.test\"")
        .append_header("warning", b"299 - \"turned \xe2\x80\xae round\t\"".as_slice())
        .append_header("warning", "x".repeat(4000).as_str());
    Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    let registry = open(&host(&server));
    for _ in 0..3 {
        registry.tags(&app()).try_collect::<Vec<_>>().await.unwrap();
    }
    drop(guard);
    let lines = log.0.lock().unwrap().clone();
    let lines: Vec<_> = lines.iter().filter(|line| line.contains("the registry warns")).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("moves to new.test") && lines[0].contains("host"), "{lines:?}");
    assert!(lines.iter().all(|line| line.len() < 500 && !line.contains(['\t', '\u{202e}'])), "{lines:?}");
}

#[tokio::test]
async fn an_escape_in_a_header_is_no_header() {
    let server = Wire::start(|_| vec![answer("200 OK", "warning: 299 - \"\u{1b}[2J\"\r\n", "{}")]).await;
    assert_eq!(open(&server.host()).check().await.unwrap_err().kind(), ErrorKind::Network);
}

#[tokio::test]
async fn warnings_without_end_are_bounded() {
    let server = Wire::start(|head: &Head| {
        let page: u64 = head.path().rsplit_once("last=").map_or(0, |(_, page)| page.parse().unwrap());
        let link = if page < 200 { format!("link: <?last={}>; rel=\"next\"\r\n", page + 1) } else { String::new() };
        vec![answer("200 OK", &format!("{link}warning: 299 - \"number {page}\"\r\n"), "{\"tags\":[\"t\"]}")]
    })
    .await;
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    open(&server.host()).tags(&app()).try_collect::<Vec<_>>().await.unwrap();
    drop(guard);
    let count = log.0.lock().unwrap().iter().filter(|line| line.contains("the registry warns")).count();
    assert_eq!(count, 64);
}

#[tokio::test]
async fn what_is_left_of_a_quota_can_be_read() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200)
        .set_body_string(r#"{"tags":[]}"#)
        .insert_header("ratelimit-limit", "100;w=21600")
        .insert_header("ratelimit-remaining", "76;w=21600");
    on_get(&server, "/v2/team/app/tags/list", answer).await;
    let registry = open(&host(&server));
    assert_eq!(registry.client().quota(), None, "nothing was said yet");
    registry.tags(&app()).try_collect::<Vec<_>>().await.unwrap();
    let quota = registry.quota().unwrap();
    assert_eq!((quota.remaining, quota.limit), (76, Some(100)));
    // An answer that does not speak of it changes nothing.
    registry.check().await.unwrap_err();
    assert_eq!(registry.quota(), Some(quota));
}
