//! The memory twin's upkeep.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::leased::Life;
use super::state::State;
use crate::clock::{millis, timestamp};
use crate::error::Result;
use crate::job::JobState;
use crate::rows::PackageRow;
use crate::upkeep::{Pruned, Retention};

impl State {
    pub(super) fn prune(&mut self, retention: &Retention, now: i64) -> Result<Pruned> {
        let before = |age: Duration| now - millis(age);
        let mut pruned = Pruned::default();

        let events = timestamp(before(retention.events))?;
        pruned.events = retain(&mut self.events, |one| one.received_at >= events);
        self.event_keys.retain(|_, id| self.events.contains_key(&id.0));

        let limit = before(retention.finished);
        let kept = |life: &Life, ends: &[JobState]| {
            !ends.contains(&life.state) || life.finished_at.is_none_or(|at| at >= limit)
        };
        pruned.jobs = retain(&mut self.jobs, |row| kept(&row.life, &[JobState::Done]));
        pruned.deliveries = retain(&mut self.deliveries, |row| kept(&row.life, &[JobState::Done, JobState::Dead]));

        let limit = before(retention.gone);
        let gone_limit = timestamp(limit)?;
        let there = |gone_at: Option<Timestamp>| gone_at.is_none_or(|at| at >= gone_limit);
        pruned.inventory =
            retain(&mut self.tags, |one| there(one.gone_at)) + retain(&mut self.manifests, |one| there(one.gone_at));
        let repositories = self.repositories.len();
        self.repositories.retain(|_, one| there(one.gone_at));
        pruned.inventory += (repositories - self.repositories.len()) as u64;
        self.tags.retain(|(repository, _), _| self.repositories.contains_key(repository));
        self.manifests.retain(|_, one| self.repositories.contains_key(&one.repository));

        let held: HashSet<_> = self.manifests.values().map(|one| one.digest.clone()).collect();
        pruned.images = retain(&mut self.images, |row| row.last_indexed >= limit || held.contains(&row.digest));
        let images: HashSet<_> = self.images.values().map(|row| row.digest.clone()).collect();
        self.ledger.retain(|(digest, _), (_, entry)| {
            entry.last_at >= gone_limit || held.contains(digest) || images.contains(digest)
        });
        self.children.retain(|parent, _| held.contains(parent));
        let used: HashSet<_> =
            self.images.values().flat_map(|row| row.metadata.packages.iter().map(PackageRow::of)).collect();
        let packages = self.packages.len();
        self.packages.retain(|row, _| used.contains(row));
        pruned.packages = (packages - self.packages.len()) as u64;

        pruned.layers = self.prune_layers(before(retention.layers), retention.layer_bytes);

        let limit = timestamp(before(retention.audit))?;
        pruned.audit = retain(&mut self.audit, |entry| entry.at >= limit);
        for row in self.integrations.values_mut() {
            let last = row.moves.pop();
            row.moves.retain(|step| step.at >= limit);
            row.moves.extend(last);
        }
        Ok(pruned)
    }

    fn prune_layers(&mut self, limit: i64, bytes: u64) -> u64 {
        let before = self.layers.len();
        self.layers.retain(|_, row| row.used_at >= limit);
        let mut newest: Vec<_> = self.layers.iter().map(|(key, row)| (row.used_at, row.bytes, key.clone())).collect();
        newest.sort_by_key(|(used_at, ..)| std::cmp::Reverse(*used_at));
        let mut total = 0;
        for (_, size, key) in newest {
            total += size;
            if total > bytes {
                self.layers.remove(&key);
            }
        }
        (before - self.layers.len()) as u64
    }
}

fn retain<K: Ord, T>(rows: &mut BTreeMap<K, T>, keep: impl Fn(&T) -> bool) -> u64 {
    let before = rows.len();
    rows.retain(|_, row| keep(row));
    (before - rows.len()) as u64
}
