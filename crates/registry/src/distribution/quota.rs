//! What is left of the requests that a registry grants.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

/// How many requests a registry says are left, as its last answer that spoke of it had it.
///
/// Read from `RateLimit-Limit` and `RateLimit-Remaining` as Docker Hub writes them (`100;w=21600`), their `X-` forms,
/// and `RateLimit` with `RateLimit-Policy` (IETF draft-ietf-httpapi-ratelimit-headers). Docker Hub counts manifests
/// that are fetched and not those that are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests that are left.
    pub remaining: u64,
    /// Requests that are granted in all.
    pub limit: Option<u64>,
    /// The time that they are for.
    pub window: Option<Duration>,
    /// When there will be more.
    pub resets_at: Option<Timestamp>,
    /// When the registry said so.
    pub noted_at: Timestamp,
}

/// Seconds above which a reset is a date and no wait: GitHub and GitLab write Unix times.
const DATES: u64 = 1_000_000_000;
/// No window and no wait is longer than a year, whatever a header says.
const LONGEST: u64 = 366 * 24 * 3600;

impl Quota {
    /// What the headers of an answer say; `None` if they do not speak of it.
    pub(crate) fn read(headers: &HeaderMap, now: Timestamp) -> Option<Self> {
        Self::of_fields(headers, now).or_else(|| Self::of_policies(headers, now))
    }

    /// `RateLimit-Remaining: 76;w=21600` and its sisters.
    fn of_fields(headers: &HeaderMap, now: Timestamp) -> Option<Self> {
        let field = |name: &str| {
            let text = ["ratelimit-", "x-ratelimit-", "x-rate-limit-"]
                .iter()
                .find_map(|prefix| headers.get(format!("{prefix}{name}")))?;
            Item::first(text.to_str().ok()?)
        };
        let remaining = field("remaining")?;
        let limit = field("limit");
        let window = remaining.parameter("w").or_else(|| limit.as_ref()?.parameter("w"));
        Some(Self {
            remaining: remaining.number()?,
            limit: limit.and_then(|limit| limit.number()),
            window: window.and_then(seconds),
            resets_at: field("reset").and_then(|reset| reset.number()).and_then(|number| reset(number, now)),
            noted_at: now,
        })
    }

    /// `RateLimit: "default";r=50;t=30`, of several policies the one with the least left.
    fn of_policies(headers: &HeaderMap, now: Timestamp) -> Option<Self> {
        let items = |name: &str| -> Vec<Item<'_>> {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|text| text.split(',')).filter_map(Item::parse).take(16).collect()
        };
        let (used, policies) = (items("ratelimit"), items("ratelimit-policy"));
        let (tightest, remaining) = used
            .iter()
            .filter_map(|item| Some((item, item.parameter("r")?)))
            .min_by_key(|(_, remaining)| *remaining)?;
        let policy = policies.iter().find(|policy| policy.name == tightest.name);
        Some(Self {
            remaining,
            limit: policy.and_then(|policy| policy.parameter("q")),
            window: policy.and_then(|policy| policy.parameter("w")).and_then(seconds),
            resets_at: tightest.parameter("t").and_then(|number| reset(number, now)),
            noted_at: now,
        })
    }
}

/// `name;key=number;…`
struct Item<'a> {
    name: &'a str,
    parameters: &'a str,
}

impl<'a> Item<'a> {
    fn first(text: &'a str) -> Option<Self> {
        Self::parse(text.split(',').next()?)
    }

    fn parse(text: &'a str) -> Option<Self> {
        let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
        let name = name.trim();
        (!name.is_empty()).then_some(Self { name, parameters })
    }

    fn number(&self) -> Option<u64> {
        self.name.parse().ok()
    }

    fn parameter(&self, key: &str) -> Option<u64> {
        let mut pairs = self.parameters.split(';').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| name.trim() == key)?.1.trim().trim_matches('"').parse().ok()
    }
}

fn seconds(count: u64) -> Option<Duration> {
    (count <= LONGEST).then(|| Duration::from_secs(count))
}

fn reset(number: u64, now: Timestamp) -> Option<Timestamp> {
    let at = if number >= DATES { number } else { u64::try_from(now.as_second()).ok()?.checked_add(number)? };
    let at = Timestamp::from_second(i64::try_from(at).ok()?).ok()?;
    let wait = at.duration_since(now).as_secs();
    (-60..=LONGEST.cast_signed()).contains(&wait).then_some(at)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn read(headers: &[(&str, &str)]) -> Option<Quota> {
        let pairs = headers.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
        Quota::read(&pairs.collect(), now())
    }

    /// What is left, of how many, in how many seconds, and the seconds until there are more.
    type Numbers = (u64, Option<u64>, Option<u64>, Option<i64>);

    #[test]
    fn forms() {
        let check = |headers: &[(&str, &str)], expected: Option<Numbers>| {
            let found = read(headers).map(|quota| {
                let reset = quota.resets_at.map(|at| at.duration_since(now()).as_secs());
                (quota.remaining, quota.limit, quota.window.map(|window| window.as_secs()), reset)
            });
            assert_eq!(found, expected, "{headers:?}");
        };
        check(&[], None);
        // docs.docker.com/docker-hub/usage/pulls, *view pull rate and limit*.
        check(
            &[("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "20;w=21600")],
            Some((20, Some(100), Some(21600), None)),
        );
        // docs.github.com, *rate limits for the REST API*.
        check(
            &[("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "56"), ("x-ratelimit-reset", "1767229200")],
            Some((56, Some(60), None, Some(3600))),
        );
        // docs.gitlab.com, *user and IP rate limits*.
        check(
            &[("RateLimit-Limit", "60"), ("RateLimit-Remaining", "0"), ("RateLimit-Reset", "1767225660")],
            Some((0, Some(60), None, Some(60))),
        );
        // draft-ietf-httpapi-ratelimit-headers-10 §4.
        check(
            &[
                ("RateLimit-Policy", r#""burst";q=100;w=60, "daily";q=1000;w=86400"#),
                ("RateLimit", r#""burst";r=50;t=30, "daily";r=7;t=36000"#),
            ],
            Some((7, Some(1000), Some(86400), Some(36000))),
        );
        check(&[("ratelimit-remaining", "many")], None);
        check(&[("ratelimit-remaining", "-1")], None);
        check(
            &[("ratelimit-remaining", "5"), ("ratelimit-reset", "18446744073709551615")],
            Some((5, None, None, None)),
        );
        check(&[("ratelimit-remaining", "5;w=99999999999")], Some((5, None, None, None)));
    }

    proptest! {
        #[test]
        fn any_header_is_survived(name in "(x-)?ratelimit(-limit|-remaining|-reset|-policy)?", value in "[ -~]{0,60}") {
            let _ = read(&[(&name, &value), ("ratelimit-remaining", &value)]);
        }
    }
}
