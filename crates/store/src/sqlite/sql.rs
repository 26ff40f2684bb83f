//! From SQLite's rows and errors to ours.

use std::str::FromStr;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use supercargo_index::Digest;

use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::name::{Reason, RepositoryName};

pub(super) trait SqlResult<T> {
    /// Classifies the error. The operation is filled in by the transaction's caller.
    fn sql(self) -> Result<T>;
}

impl<T> SqlResult<T> for Result<T, sqlx::Error> {
    fn sql(self) -> Result<T> {
        self.map_err(error)
    }
}

pub(super) fn error(error: sqlx::Error) -> Error {
    let kind = match &error {
        // The low byte is the primary result code (https://sqlite.org/rescode.html).
        sqlx::Error::Database(database) => match database.code().and_then(|code| code.parse::<i32>().ok()) {
            Some(code) => match code & 0xff {
                5 | 6 => ErrorKind::Busy,
                13 => ErrorKind::DiskFull,
                11 | 26 => ErrorKind::Corrupt,
                // No permission, no memory, read-only, I/O error, cannot open.
                3 | 7 | 8 | 10 | 14 => ErrorKind::Unavailable,
                _ => ErrorKind::Internal,
            },
            None => ErrorKind::Internal,
        },
        sqlx::Error::PoolTimedOut => ErrorKind::Busy,
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => ErrorKind::Unavailable,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, "use database").with_source(error)
}

/// A row's columns by name, as our types.
pub(super) struct Fields<'r>(pub(super) &'r SqliteRow);

impl Fields<'_> {
    pub(super) fn text(&self, column: &str) -> Result<String> {
        self.0.try_get(column).sql()
    }

    pub(super) fn optional_text(&self, column: &str) -> Result<Option<String>> {
        self.0.try_get(column).sql()
    }

    pub(super) fn bytes(&self, column: &str) -> Result<Vec<u8>> {
        self.0.try_get(column).sql()
    }

    pub(super) fn int(&self, column: &str) -> Result<i64> {
        self.0.try_get(column).sql()
    }

    pub(super) fn optional_int(&self, column: &str) -> Result<Option<i64>> {
        self.0.try_get(column).sql()
    }

    /// A number that is never negative and fits `T`.
    pub(super) fn count<T: TryFrom<i64>>(&self, column: &str) -> Result<T> {
        let value = self.int(column)?;
        T::try_from(value).map_err(|_| unreadable(column, value))
    }

    pub(super) fn optional_count<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>> {
        self.optional_int(column)?.map(|value| T::try_from(value).map_err(|_| unreadable(column, value))).transpose()
    }

    pub(super) fn time(&self, column: &str) -> Result<Timestamp> {
        clock::timestamp(self.int(column)?)
    }

    pub(super) fn optional_time(&self, column: &str) -> Result<Option<Timestamp>> {
        self.optional_int(column)?.map(clock::timestamp).transpose()
    }

    pub(super) fn digest(&self, column: &str) -> Result<Digest> {
        parse_digest(&self.text(column)?)
    }

    pub(super) fn optional_digest(&self, column: &str) -> Result<Option<Digest>> {
        self.optional_text(column)?.as_deref().map(parse_digest).transpose()
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        let text = self.text(column)?;
        serde_json::from_str(&text).map_err(|error| unreadable(column, text).with_source(error))
    }

    pub(super) fn optional_json<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>> {
        let Some(text) = self.optional_text(column)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| unreadable(column, text).with_source(error))
    }

    /// A stored word, by its parser.
    pub(super) fn word<T>(&self, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
        let text = self.text(column)?;
        parse(&text).ok_or_else(|| unreadable(column, text))
    }

    /// The columns `<prefix>_kind`, `<prefix>_message` and `<prefix>_retryable`.
    pub(super) fn reason(&self, prefix: &str) -> Result<Option<Reason>> {
        let Some(kind) = self.optional_text(&format!("{prefix}_kind"))? else { return Ok(None) };
        let message = self.text(&format!("{prefix}_message"))?;
        let retryable = self.int(&format!("{prefix}_retryable"))? != 0;
        Ok(Some(Reason { kind, message, retryable }))
    }

    /// The columns `registry` and `repository`.
    pub(super) fn repository(&self) -> Result<RepositoryName> {
        Ok(RepositoryName { registry: self.text("registry")?, repository: self.text("repository")? })
    }
}

pub(super) fn parse_digest(text: &str) -> Result<Digest> {
    Digest::from_str(text).map_err(|error| unreadable("digest", text).with_source(error))
}

pub(super) fn unreadable(column: &str, value: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, "read row").with_context(format_args!("with {column} {value:.100}"))
}

/// A number for a column; what does not fit is capped, and is no number of ours.
pub(super) fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// JSON for a column.
pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::Internal, "encode row").with_source(error))
}
