//! News of a whole registry in one list, where it has one.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use supercargo_registry::{Repository, Tag};
use tracing::debug;

use super::Reconciler;

/// Rows of one list of news. A registry that was filled since the last pass is looked at repository by repository.
const ROWS: usize = 100_000;

/// The tags that were pushed since the last pass.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) tags: BTreeMap<Repository, Vec<Tag>>,
    /// The time of the newest of them.
    pub(super) newest: Option<Timestamp>,
}

impl Reconciler {
    /// What was pushed since the last pass, if the registry tells it for all repositories at once. The first pass goes
    /// through the repositories, and learns there from when on that is.
    pub(super) async fn news(&self) -> Option<News> {
        if self.first {
            return None;
        }
        let mut rows = self.watch.registry.tags_since(Some(self.newest?))?;
        let mut news = News::default();
        let mut count = 0;
        loop {
            match rows.try_next().await {
                Ok(Some((repository, tag))) if count < ROWS => {
                    count += 1;
                    news.newest = news.newest.max(tag.pushed_at);
                    news.tags.entry(repository).or_default().push(tag);
                }
                Ok(Some(_)) => return None,
                Ok(None) => return Some(news),
                Err(error) => {
                    // The ordinary way says what is wrong, if anything is.
                    debug!(registry = self.watch.host(), %error, "no list of news");
                    return None;
                }
            }
        }
    }
}
