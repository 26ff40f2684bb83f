//! What went wrong: jobs that failed, and manifests that could not be indexed.

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::sql::{Fields, SqlResult, unreadable};
use crate::error::Result;
use crate::inventory::{Problem, ProblemFilter, ProblemState};
use crate::job::JobId;
use crate::page::{Cursor, Listing, Page};

/// A manifest's last line in the ledger counts; a job about the same manifest says more, and replaces it.
const PROBLEMS: &str = "
    SELECT 1 AS origin, id, 0 AS place, id AS job,
        CASE state WHEN 'dead' THEN 'failed' ELSE 'retrying' END AS state,
        registry, repository,
        coalesce(tag, (SELECT min(tags.tag) FROM tags
            JOIN repositories ON repositories.id = tags.repository_id
            WHERE repositories.registry = jobs.registry AND repositories.name = jobs.repository
                AND tags.gone_at IS NULL
                AND (tags.digest = jobs.digest
                    OR tags.digest IN (SELECT parent FROM manifest_children WHERE child = jobs.digest)))) AS tag,
        digest, error_kind, error_message, error_retryable, attempt,
        CASE state WHEN 'queued' THEN run_at END AS next_try, error_at AS at
    FROM jobs
    WHERE error_at IS NOT NULL AND state <> 'done'
    UNION ALL
    SELECT 0, ledger.id, repositories.id, NULL,
        ledger.state,
        repositories.registry, repositories.name,
        (SELECT min(tags.tag) FROM tags
            WHERE tags.repository_id = repositories.id AND tags.gone_at IS NULL
                AND (tags.digest = ledger.digest
                    OR tags.digest IN (SELECT parent FROM manifest_children WHERE child = ledger.digest))),
        ledger.digest, error_kind, error_message, error_retryable, attempts, NULL, last_at
    FROM ledger
    JOIN manifests ON manifests.digest = ledger.digest AND manifests.gone_at IS NULL
    JOIN repositories ON repositories.id = manifests.repository_id
    WHERE ledger.state <> 'indexed'
        AND NOT EXISTS (
            SELECT 1 FROM ledger AS later
            WHERE later.digest = ledger.digest AND (later.last_at, later.id) > (ledger.last_at, ledger.id))
        AND NOT EXISTS (
            SELECT 1 FROM jobs
            WHERE jobs.error_at IS NOT NULL AND jobs.state <> 'done' AND jobs.digest = ledger.digest
                AND jobs.registry = repositories.registry AND jobs.repository = repositories.name)";

pub(super) async fn list(
    connection: &mut SqliteConnection,
    filter: &ProblemFilter,
    page: &Page,
) -> Result<Listing<Problem>> {
    let mut query = sqlx::QueryBuilder::<sqlx::Sqlite>::new("SELECT * FROM (");
    query.push(PROBLEMS).push(") WHERE true");
    if let Some([at, origin, id, place]) = Cursor::numbers::<4>(page)? {
        query.push(" AND (at, origin, id, place) < (").push_bind(at).push(", ").push_bind(origin);
        query.push(", ").push_bind(id).push(", ").push_bind(place).push(")");
    }
    if let Some(registry) = &filter.registry {
        query.push(" AND registry = ").push_bind(registry);
    }
    if let Some(repository) = &filter.repository {
        query.push(" AND repository = ").push_bind(repository);
    }
    if let Some(state) = filter.state {
        query.push(" AND state = ").push_bind(state.as_str());
    }
    query.push(" ORDER BY at DESC, origin DESC, id DESC, place DESC LIMIT ").push_bind(super::fetch(page));
    let rows = query.build().fetch_all(connection).await.sql()?;
    let problems = rows.iter().map(problem).collect::<Result<Vec<_>>>()?;
    let listing = Listing::cut(problems, page, |([at, origin, id, place], _)| Cursor::new([at, origin, id, place]));
    Ok(Listing { items: listing.items.into_iter().map(|(_, problem)| problem).collect(), next: listing.next })
}

fn problem(row: &SqliteRow) -> Result<([i64; 4], Problem)> {
    let fields = Fields(row);
    let states = [ProblemState::Retrying, ProblemState::Failed, ProblemState::Unsupported];
    let key = [fields.int("at")?, fields.int("origin")?, fields.int("id")?, fields.int("place")?];
    let problem = Problem {
        state: fields.word("state", |word| states.into_iter().find(|state| state.as_str() == word))?,
        repository: fields.repository()?,
        tag: fields.optional_text("tag")?,
        digest: fields.optional_digest("digest")?,
        reason: fields.reason("error")?.ok_or_else(|| unreadable("error_kind", "NULL"))?,
        attempt: fields.count("attempt")?,
        next_try: fields.optional_time("next_try")?,
        at: fields.time("at")?,
        job: fields.optional_int("job")?.map(JobId),
    };
    Ok((key, problem))
}
