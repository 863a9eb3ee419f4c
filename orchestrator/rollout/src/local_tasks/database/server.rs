//! Common to both server types: timeouts, string literals, the name of the client.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::error::{DatabaseError, Kind};

/// Waits for an answer with a timeout.
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

/// Returns a text as an SQL literal. Backslashes are not escapes in these MySQL sessions
/// (`NO_BACKSLASH_ESCAPES`), nor in `PostgreSQL` by default.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Receives the progress of a load: what, done, total.
pub(super) type Progress<'a> = dyn Fn(&str, u64, u64) + Send + Sync + 'a;

/// Returns the application name in the server's list of sessions.
pub(super) const fn client_name() -> &'static str {
    "apim-deploy"
}
