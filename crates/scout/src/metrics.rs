//! The metrics exporter (Docker documentation, *Docker Scout metrics exporter*).

use std::collections::BTreeMap;

use http::StatusCode;

use crate::client::ScoutClient;
use crate::http::Call;
use crate::{Error, ErrorKind, Result};

/// Bytes of an exposition that are read. An organization has a handful of lines for each stream and policy.
const LARGEST: usize = 32 << 20;

/// An organization's metrics, as Prometheus would scrape them. The service computes them once an hour.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// All samples, in their order.
    pub samples: Vec<Sample>,
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric: `scout_stream_vulnerabilities`, …
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// How far a stream complies with a policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyCompliance {
    /// The policy's name as shown.
    pub policy: String,
    /// Images that comply.
    pub compliant: f64,
    /// Images that were evaluated.
    pub evaluated: f64,
}

impl Metrics {
    /// Vulnerabilities of a stream by severity. `latest-indexed` is the stream of each repository's newest image.
    pub fn vulnerabilities(&self, stream: &str) -> BTreeMap<String, f64> {
        let of_stream = self.named("scout_stream_vulnerabilities", stream);
        of_stream.filter_map(|sample| Some((sample.labels.get("severity")?.clone(), sample.value))).collect()
    }

    /// How far a stream complies with each policy, by the policy's ID.
    pub fn policies(&self, stream: &str) -> BTreeMap<String, PolicyCompliance> {
        let mut policies: BTreeMap<String, PolicyCompliance> = BTreeMap::new();
        for (name, is_compliant) in [("scout_policy_compliant_images", true), ("scout_policy_evaluated_images", false)]
        {
            for sample in self.named(name, stream) {
                let Some(id) = sample.labels.get("id") else { continue };
                let policy = policies.entry(id.clone()).or_default();
                policy.policy = sample.labels.get("displayName").cloned().unwrap_or_default();
                if is_compliant {
                    policy.compliant = sample.value;
                } else {
                    policy.evaluated = sample.value;
                }
            }
        }
        policies
    }

    fn named(&self, name: &'static str, stream: &str) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.name == name && sample.labels.get("streamName").is_some_and(|of| of == stream))
    }

    /// Reads the text format (Prometheus documentation, *Exposition formats*).
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] with the number of the line that is none of it.
    pub fn parse(text: &str) -> Result<Self> {
        let mut samples = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let sample = sample(line).ok_or_else(|| {
                Error::new(ErrorKind::Malformed, format!("read metrics: line {} is no sample", at + 1))
            })?;
            samples.push(sample);
        }
        Ok(Self { samples })
    }
}

/// `name{label="value",…} value [timestamp]`
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' ', '\t'])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside.trim_start();
        loop {
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = rest.split_once('=')?;
            let (value, after) = quoted(after.trim_start())?;
            labels.insert(label.trim().to_owned(), value);
            rest = after.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
    }
    let value = match rest.split_whitespace().next()? {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    (!name.is_empty()).then(|| Sample { name: name.to_owned(), labels, value })
}

/// A label's value, `\\`, `\"` and `\n` unescaped, and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

impl ScoutClient {
    /// The organization's metrics. The exporter wants the personal access token of an owner as it is, not what it is
    /// exchanged for.
    ///
    /// # Errors
    /// Those of any call; [`ErrorKind::Malformed`] if the answer is not Prometheus' text format.
    pub async fn metrics(&self) -> Result<Metrics> {
        const OPERATION: &str = "read the organization's metrics";
        let call = Call { cap: LARGEST, ..Call::get(OPERATION, &self.addresses().metrics) };
        let answer = self.with_secret(&call).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.into_error().during(OPERATION));
        }
        let text = std::str::from_utf8(&answer.body)
            .map_err(|error| Error::new(ErrorKind::Malformed, "it is not text").with_source(error).during(OPERATION))?;
        Metrics::parse(text).map_err(|error| error.during(OPERATION))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and labels are those of Docker's documentation, the forms those of Prometheus'.
    #[test]
    fn expositions_are_read() {
        let metrics = Metrics::parse(
            "# HELP scout_stream_vulnerabilities Vulnerabilities in a stream\n\
             # TYPE scout_stream_vulnerabilities gauge\n\
             scout_stream_vulnerabilities{severity=\"critical\",streamName=\"latest-indexed\"} 3\n\
             scout_stream_vulnerabilities{ severity = \"high\", streamName=\"latest-indexed\", } 1.2e1 1395066363000\n\
             scout_stream_vulnerabilities{severity=\"high\",streamName=\"prod\"} 9\n\
             \n\
             scout_policy_compliant_images{id=\"p1\",displayName=\"No \\\"root\\\" \\\\ user\\n\",streamName=\"prod\"} 4\n\
             scout_policy_evaluated_images{id=\"p1\",displayName=\"No root\",streamName=\"prod\"} 7\n\
             up NaN\n",
        )
        .unwrap();
        assert_eq!(
            metrics.vulnerabilities("latest-indexed"),
            BTreeMap::from([("critical".to_owned(), 3.0), ("high".to_owned(), 12.0)])
        );
        assert_eq!(
            metrics.policies("prod")["p1"],
            PolicyCompliance { policy: "No root".into(), compliant: 4.0, evaluated: 7.0 }
        );
        let named = &metrics.samples[3].labels["displayName"];
        assert_eq!(named, "No \"root\" \\ user\n");
        assert!(metrics.samples[5].value.is_nan());
    }

    #[test]
    fn what_is_no_exposition_is_refused() {
        for text in ["<html>", "a{b=\"c} 1", "a{b} 1", "a{b=\"c\"}", "a b", "{} 1"] {
            assert_eq!(Metrics::parse(text).unwrap_err().kind(), ErrorKind::Malformed, "{text}");
        }
    }
}
