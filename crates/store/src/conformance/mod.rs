//! What every [`Store`] must pass.
//!
//! Each case is a plain async function over a [`Subject`], an empty store with a clock that the case may move.
//! It panics where the store breaks the contract. [`run`] goes through all of them:
//!
//! ```
//! use std::sync::Arc;
//! use supercargo_store::conformance::{self, Subject};
//! use supercargo_store::{ClockOffset, MemoryStore};
//!
//! # tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap().block_on(async {
//! conformance::run(|| async {
//!     let clock = ClockOffset::default();
//!     Subject { store: Arc::new(MemoryStore::with_clock(clock.clone())), clock }
//! })
//! .await;
//! # });
//! ```

mod access;
pub mod fixture;
mod images;
mod intake;
mod integrations;
mod inventory;
mod leases;
mod outbox;
mod packages;
mod problems;
mod queue;
mod removal;
mod upkeep;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::clock::ClockOffset;
use crate::error::{Error, ErrorKind};
use crate::store::Store;

/// A store to be tried: empty, with the clock that it was made with.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Its clock.
    pub clock: ClockOffset,
}

/// What a case answers: an error is as bad as a panic.
pub type Outcome = Result<(), Error>;

/// A case.
pub type Case = fn(Subject) -> Pin<Box<dyn Future<Output = Outcome> + Send>>;

macro_rules! cases {
    ($($module:ident :: { $($case:ident),* $(,)? })*) => {
        vec![$($((
            concat!(stringify!($module), "::", stringify!($case)),
            (|subject| Box::pin(async move { $module::$case(&subject).await })) as Case,
        )),*),*]
    };
}

/// All cases, with their names.
pub fn cases() -> Vec<(&'static str, Case)> {
    cases! {
        queue::{
            lanes_are_served_in_order,
            the_same_work_is_one_job,
            work_that_is_asked_for_while_it_runs_is_done_again,
            a_claim_leaves_alone_what_it_is_told_to,
            delayed_work_waits,
            a_back_off_holds_against_pollers_and_yields_to_a_push,
            a_postponed_attempt_does_not_count,
            a_poison_job_becomes_a_dead_letter_and_others_go_on,
            a_dead_letter_comes_back_when_it_is_wanted,
            a_failed_completion_changes_nothing,
            what_follows_is_enqueued_with_the_completion,
            lanes_are_counted,
            jobs_are_listed_in_pages,
            a_waiting_worker_is_woken,
            a_waiting_worker_is_woken_when_a_delay_ends,
            many_claimers_do_each_job_once,
        }
        leases::{
            a_lost_lease_writes_nothing,
            a_lease_that_ran_out_is_refused_before_anyone_else_has_the_job,
            a_heartbeat_keeps_the_lease,
            a_crashed_worker_is_counted_as_an_attempt,
            a_push_during_the_last_attempt_is_not_lost,
            a_restarted_worker_takes_its_leases_back,
            a_released_job_is_as_before,
            a_clock_set_back_prolongs_nothing,
            a_clock_set_forward_loses_nothing,
        }
        intake::{
            an_event_and_its_jobs_are_kept_together,
            the_same_event_asks_for_work_once,
            many_deliveries_are_kept_in_one_go,
            events_of_a_batch_are_known_one_by_one,
            a_pruned_event_is_forgotten_with_its_parts,
            events_are_listed,
        }
        inventory::{
            tags_are_pointers,
            what_is_gone_is_kept_and_hidden,
            a_gone_manifest_takes_its_tags,
            a_gone_repository_takes_everything,
            registries_are_away_and_come_back,
            lists_come_in_pages,
            the_ledger_is_kept_by_digest_and_indexer,
        }
        images::{
            an_image_is_read_back_whole,
            a_base_image_is_the_known_one_with_the_most_layers,
            the_indexes_of_an_image_are_found,
            images_are_found_by_where_and_what_they_are,
            an_index_leads_to_its_images,
            indexing_again_replaces,
            a_directory_is_refused,
        }
        packages::{
            packages_are_found_by_their_names,
            packages_are_found_by_what_they_say,
            packages_know_their_layer,
            packages_of_gone_images_are_hidden,
            packages_come_in_pages,
            special_characters_are_themselves,
        }
        problems::{
            failed_jobs_are_problems_until_they_succeed,
            unsupported_manifests_are_problems,
            problems_of_gone_things_are_over,
            problems_come_in_pages,
        }
        outbox::{
            deliveries_are_written_with_the_job,
            deliveries_are_leased,
            deliveries_are_given_up_and_retried,
            the_same_delivery_is_one_row,
            fresh_deliveries_go_before_a_backfill,
            each_tag_is_a_delivery_of_its_own,
            attempts_of_one_round_are_told_apart_from_new_requests,
            outboxes_are_counted,
            deliveries_that_nobody_will_make_can_be_dropped,
            the_sinks_of_all_workers_are_known,
        }
        integrations::{
            an_integration_is_as_it_was_made,
            names_and_registries_are_had_once,
            moves_are_kept_with_their_reasons,
            a_move_on_what_was_true_is_refused,
            each_change_is_seen_by_the_revision,
            events_are_noted_now_and_then,
            repositories_are_found_and_named,
            steps_are_forgotten_but_the_last,
            who_did_it_is_told,
        }
        removal::{
            without_its_data,
            with_its_data_kept,
            a_worker_in_the_middle_writes_nothing,
            a_last_word_of_the_watcher_is_deleted_too,
            many_images_go,
        }
        access::{
            a_token_is_found_by_its_hash,
            a_revoked_token_is_none,
            the_log_is_read_from_its_end,
        }
        upkeep::{
            layers_are_cached,
            a_layer_of_any_indexer_is_the_one_used_last,
            unused_layers_go_first,
            retention_removes_what_is_old_only,
            pruned_images_can_come_back,
            usage_is_counted,
        }
    }
}

/// Runs all cases, each on a store of its own.
///
/// # Panics
/// With the names of the cases that failed, when all have run.
pub async fn run<F, S>(subject: F)
where
    F: Fn() -> S,
    S: Future<Output = Subject>,
{
    let mut failed = Vec::new();
    for (name, case) in cases() {
        // A task of its own, so that a panic is this case's alone.
        match tokio::spawn(case(subject().await)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed.push(format!("{name}: {error}: {:?}", std::error::Error::source(&error))),
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    assert!(failed.is_empty(), "cases failed:\n{}", failed.join("\n"));
}

/// The kind of error that `result` should have.
fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.expect_err("the call should be refused").kind()
}
