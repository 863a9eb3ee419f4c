//! What both kinds of servers have in common: how long an answer is waited for, and how a text is written into a statement.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::error::{DatabaseError, Kind};

/// Waits for an answer, for so long at most.
pub(super) fn within<'a, T: Send + 'a, E: Into<DatabaseError> + 'a>(
    limit: Duration,
    answer: impl Future<Output = Result<T, E>> + Send + 'a,
) -> Pin<Box<dyn Future<Output = Result<T, DatabaseError>> + Send + 'a>> {
    Box::pin(async move {
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer.map_err(E::into),
            Err(_) => {
                Err(DatabaseError::new(Kind::Broken, format!("no answer within {} s", limit.as_secs())))
            }
        }
    })
}

/// Returns a text as a literal: our sessions with MySQL, and `PostgreSQL` by default, take no backslash for an escape.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
