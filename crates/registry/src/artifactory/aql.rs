//! Artifactory's query language, as far as it lists manifests.
//!
//! A tag is a folder with a `manifest.json` (an image) or a `list.manifest.json` (an index) in it, so one query gives
//! names, digests and times of a thousand tags. Users who are no administrators may ask for items only, and must ask
//! for `repo`, `path` and `name`.

use std::collections::HashSet;

use jiff::Timestamp;
use oci_spec::image::Digest;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::digest::parse_digest;
use crate::product::{ApiClient, digest_of};
use crate::{Error, ErrorKind, Result};

/// Rows of one answer. The default of `userQueryLimit`, beyond which users who are no administrators get a part only.
const ROWS: usize = 1000;
/// A shorter answer is the last one. One that is short but not this short may have been cut by a limit of the server's,
/// which not every version tells of, so another is asked for, and comes back empty if all was there.
const FEW: usize = 100;
/// Answers to one question: a million tags.
const PAGES: usize = 1001;
/// The files that are tags.
const MANIFESTS: [&str; 2] = ["manifest.json", "list.manifest.json"];

/// Which rows, in which order.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// The keys under which the rows are stored.
    pub(super) stored: Vec<String>,
    /// Rows of this image, and of those whose names begin with its name and a slash.
    pub(super) image: Option<String>,
    pub(super) order: Order,
}

/// The order of rows, which is also how the next page is found: by where the last one ended. Offsets would skip rows
/// when others are deleted meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    ByPath,
    /// The newest first, down to a time.
    NewestFirst(Option<Timestamp>),
}

impl Query {
    fn text(&self, last: Option<&Row>) -> String {
        let any = |field: &str, values: &[&str]| match values {
            [one] => json!({ field: one }),
            _ => json!({"$or": values.iter().map(|value| json!({ field: value })).collect::<Vec<Value>>()}),
        };
        let stored: Vec<&str> = self.stored.iter().map(String::as_str).collect();
        let mut all = vec![any("repo", &stored), any("name", &MANIFESTS)];
        all.extend(self.image.as_ref().map(|image| json!({"path": {"$match": format!("{image}/*")}})));
        let sort = match &self.order {
            Order::ByPath => {
                all.extend(last.map(|row| json!({"path": {"$gte": row.path}})));
                json!({"$asc": ["path", "name", "repo"]})
            }
            Order::NewestFirst(since) => {
                let since = since.map(|since| since.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
                all.extend(since.map(|since| json!({"updated": {"$gte": since}})));
                // Many rows may have one time: those of a repository that was restored or promoted at once.
                all.extend(last.and_then(|row| Some((row.updated.as_ref()?, &row.path))).map(|(time, path)| {
                    let here = json!({"$and": [{"updated": {"$lte": time}}, {"path": {"$lte": path}}]});
                    json!({"$or": [{"updated": {"$lt": time}}, here]})
                }));
                json!({"$desc": ["updated", "path"]})
            }
        };
        let criteria = json!({ "$and": all });
        format!(
            "items.find({criteria}).include(\"repo\",\"path\",\"name\",\"sha256\",\"modified\",\"updated\")\
             .sort({sort}).limit({ROWS})"
        )
    }
}

/// A manifest, as a query gives it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Row {
    pub(super) repo: String,
    pub(super) path: String,
    name: String,
    sha256: Option<String>,
    modified: Option<String>,
    updated: Option<String>,
    #[serde(default)]
    properties: Vec<Property>,
}

#[derive(Clone, Debug, Deserialize)]
struct Property {
    key: String,
    value: Option<String>,
}

impl Row {
    /// The image and the tag; `None` for what is stored beside tags: a platform's manifest under its digest, with a
    /// colon or, in newer versions, two underscores, and folders that Artifactory keeps for itself.
    pub(super) fn tag(&self) -> Option<(&str, &str)> {
        let (image, tag) = self.path.rsplit_once('/')?;
        let is_digest = tag.starts_with("sha256:") || tag.starts_with("sha256__");
        let own = image.split('/').any(|part| part.starts_with('.') || part == "_uploads");
        (MANIFESTS.contains(&self.name.as_str()) && !is_digest && !own).then_some((image, tag))
    }

    /// The file's checksum, which is the manifest's digest; servers before 5.5 do not have it.
    pub(super) fn digest(&self) -> Option<Digest> {
        let property = || self.properties.iter().find(|property| property.key == "docker.manifest.digest");
        match &self.sha256 {
            Some(sha256) => digest_of(sha256),
            None => parse_digest(property()?.value.as_deref()?).ok(),
        }
    }

    /// When the tag was moved last. A copy within Artifactory keeps the time of its content; `updated` is that of the
    /// copy.
    pub(super) fn time(&self) -> Option<Timestamp> {
        let parse = |time: &Option<String>| time.as_ref()?.parse::<Timestamp>().ok();
        parse(&self.modified).max(parse(&self.updated))
    }
}

#[derive(Debug, Deserialize)]
struct Answer {
    results: Vec<Row>,
    #[serde(default)]
    range: Range,
}

#[derive(Debug, Default, Deserialize)]
struct Range {
    /// The limit that held, where the server says so.
    limit: Option<usize>,
    /// "AQL query reached the search hard limit, results are trimmed."
    notification: Option<String>,
}

/// The answers to one query.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    api: &'a ApiClient,
    /// Held while a query runs: from the fourth at a time on Artifactory lets them wait, and refuses them then.
    turn: &'a tokio::sync::Mutex<()>,
    query: Query,
    last: Option<Row>,
    before: HashSet<(String, String, String)>,
    asked: usize,
    done: bool,
}

impl<'a> Pages<'a> {
    pub(super) fn new(api: &'a ApiClient, turn: &'a tokio::sync::Mutex<()>, query: Query) -> Self {
        Self { api, turn, query, last: None, before: HashSet::new(), asked: 0, done: false }
    }

    /// The next rows, none of them twice; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Row>>> {
        if self.done || self.query.stored.is_empty() {
            return Ok(None);
        }
        self.asked += 1;
        if self.asked > PAGES {
            return Err(Error::new(ErrorKind::LimitExceeded, format!("read a list: more than {PAGES} pages")));
        }
        let answer: Answer = {
            let _turn = self.turn.lock().await;
            self.api.post_text(self.api.url("api/search/aql", &[]), self.query.text(self.last.as_ref())).await?
        };
        let rows = answer.results;
        let full = rows.len() >= ROWS;
        let trimmed = answer.range.notification.is_some() || answer.range.limit.is_some_and(|limit| limit < ROWS);
        self.done = rows.len() < FEW && !trimmed;
        let seen: HashSet<_> = rows.iter().map(|row| (row.repo.clone(), row.path.clone(), row.name.clone())).collect();
        let before = std::mem::replace(&mut self.before, seen);
        self.last = rows.last().cloned();
        let fresh: Vec<Row> = rows
            .into_iter()
            .filter(|row| !before.contains(&(row.repo.clone(), row.path.clone(), row.name.clone())))
            .collect();
        // The rows at the seam come twice. When nothing else comes, this is the end.
        if fresh.is_empty() {
            self.done = true;
            if full {
                return Err(Error::new(ErrorKind::Malformed, "read a list: its pages repeat"));
            }
            return Ok(None);
        }
        Ok(Some(fresh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, name: &str) -> Row {
        serde_json::from_value(json!({"repo": "r", "path": path, "name": name})).unwrap()
    }

    #[test]
    fn rows_that_are_tags() {
        let check = |path: &str, name: &str, expected: Option<(&str, &str)>| {
            assert_eq!(row(path, name).tag(), expected, "{path}/{name}");
        };
        check("app/1.0", "manifest.json", Some(("app", "1.0")));
        check("team/app/1.0", "list.manifest.json", Some(("team/app", "1.0")));
        check("team/app/1.0", "sha256__0123", None);
        check("team/app/sha256:0123", "manifest.json", None);
        check("team/app/sha256__0123", "manifest.json", None);
        check("app", "manifest.json", None);
        check(".", "manifest.json", None);
        check(".jfrog/repository/x", "manifest.json", None);
        check("app/_uploads/x", "manifest.json", None);
    }

    #[test]
    fn digests_and_times() {
        let hex = "7030914c94a143363fe360000b2afef1803cd069802a46c259a907d870c71b49";
        let read = |value: Value| serde_json::from_value::<Row>(value).unwrap();
        let named = json!({"repo": "r", "path": "a/1", "name": "manifest.json", "sha256": hex,
            "modified": "2021-03-21T13:54:32.000+02:00", "updated": "2021-03-21T13:54:52.384+02:00"});
        assert_eq!(read(named.clone()).digest().unwrap().to_string(), format!("sha256:{hex}"));
        assert_eq!(read(named).time().unwrap().to_string(), "2021-03-21T11:54:52.384Z");
        let old = json!({"repo": "r", "path": "a/1", "name": "manifest.json",
            "properties": [{"key": "docker.manifest.digest", "value": format!("sha256:{hex}")}]});
        assert_eq!(read(old).digest().unwrap().digest(), hex);
        assert_eq!(row("a/1", "manifest.json").digest(), None);
    }

    #[test]
    fn queries() {
        let query = Query { stored: vec!["docker-local".into()], image: Some("team/app".into()), order: Order::ByPath };
        assert_eq!(
            query.text(Some(&row("team/app/1.0", "manifest.json"))),
            r#"items.find({"$and":[{"repo":"docker-local"},{"$or":[{"name":"manifest.json"},{"name":"list.manifest.json"}]},{"path":{"$match":"team/app/*"}},{"path":{"$gte":"team/app/1.0"}}]}).include("repo","path","name","sha256","modified","updated").sort({"$asc":["path","name","repo"]}).limit(1000)"#
        );
        let since = "2026-01-02T03:04:05.6789Z".parse().unwrap();
        let order = Order::NewestFirst(Some(since));
        let text = Query { stored: vec!["a".into(), "b".into()], image: None, order }.text(None);
        assert!(text.contains(r#"{"$or":[{"repo":"a"},{"repo":"b"}]}"#), "{text}");
        assert!(text.contains(r#"{"updated":{"$gte":"2026-01-02T03:04:05.678Z"}}"#), "{text}");
        assert!(text.ends_with(r#".sort({"$desc":["updated","path"]}).limit(1000)"#), "{text}");
    }
}
