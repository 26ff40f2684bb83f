//! What registries send, for every provider that there is.

use http::{HeaderMap, HeaderValue, Method};
use supercargo_events::{PROVIDERS, Request, SourceConfig, Verdict};

use crate::{Target, literals, seeds};

pub(crate) fn targets() -> Vec<Target> {
    PROVIDERS.iter().filter_map(|provider| target(provider.name)).collect()
}

fn target(name: &'static str) -> Option<Target> {
    let config = SourceConfig::new([]).opened().with_host("registry.example.com");
    let source = supercargo_events::build(name, config).ok()?;
    let words = literals::sources("crates/events");
    Some(Target {
        name: format!("event/{name}"),
        run: Box::new(move |body| {
            let mut headers = HeaderMap::new();
            let media_type = "application/vnd.docker.distribution.events.v2+json";
            headers.insert("content-type", HeaderValue::from_static(media_type));
            let request = Request::new(&Method::POST, &headers, body, jiff::Timestamp::UNIX_EPOCH);
            if let Verdict::Events(events) = source.receive(&request).verdict {
                assert!(!events.is_empty());
            }
        }),
        seeds: Box::new({
            let words = words.clone();
            move || seeds::documents(&words)
        }),
        words,
    })
}
