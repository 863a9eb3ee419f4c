//! One attempt to log in: its timeout, its errors, and a signer that only asks.

use std::future::Future;
use std::time::Duration;

use russh::Signer;
use russh::keys::HashAlg;
use russh::keys::agent::AgentIdentity;

use super::client::words;

/// Timeout for the server's answer to one attempt (a directory service behind it can be slow).
pub(super) const ANSWER: Duration = Duration::from_secs(30);

/// Why an attempt had no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error("no answer within {} s", ANSWER.as_secs())]
    Timeout,
    #[error("connection lost")]
    Disconnected,
    /// The text of the SSH layer, bounded and printable.
    #[error("{0}")]
    Protocol(String),
    #[error("the server asks for more than a password")]
    SeveralPrompts,
    #[error("the server keeps asking")]
    EndlessPrompts,
}

/// Waits for the answer to an attempt.
pub(super) async fn with_timeout<T>(
    answer: impl Future<Output = Result<T, russh::Error>>,
) -> Result<T, AttemptError> {
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(answer) => answer.map_err(|error| AttemptError::Protocol(words(&error))),
        Err(_) => Err(AttemptError::Timeout),
    }
}

/// Signer for a key that is still encrypted: it signs nothing and only finds out whether the server
/// accepts the key.
pub(super) struct QueryOnlySigner;

/// Why [`QueryOnlySigner`] did not sign.
pub(super) enum Unsigned {
    Accepted,
    Disconnected,
}

impl From<russh::SendError> for Unsigned {
    fn from(_: russh::SendError) -> Self {
        Self::Disconnected
    }
}

impl Signer for QueryOnlySigner {
    type Error = Unsigned;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        _hash: Option<HashAlg>,
        _data: Vec<u8>,
    ) -> Result<Vec<u8>, Unsigned> {
        Err(Unsigned::Accepted)
    }
}
