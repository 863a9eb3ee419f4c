//! The keys of the user's ssh-agent.

use std::path::PathBuf;
use std::time::Duration;

use russh::keys::PublicKey;
use russh::keys::agent::client::AgentClient;
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use tokio::net::UnixStream;

use super::destination::Destination;
use super::keyring::{self, KeyRing};
use super::known_hosts::fingerprint;

/// Timeout for the ssh-agent to list its keys.
const AGENT_ANSWER: Duration = Duration::from_secs(5);

/// Why the ssh-agent cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum AgentError {
    #[error("ssh-agent at {} (not used: {source})", .socket.display())]
    Unusable { socket: PathBuf, source: russh::keys::Error },
    #[error("ssh-agent at {} (no answer within {secs} s)", .socket.display())]
    Timeout { socket: PathBuf, secs: u64 },
}

/// Asks for the passphrases of the keys that the inventory sets for `to`, except keys that are
/// loaded in the ssh-agent.
pub(super) async fn unlock(to: &Destination, ring: &KeyRing) {
    for identity in to.identities.iter().filter(|identity| identity.required) {
        if !ring.would_ask(identity).await {
            continue;
        }
        let public = keyring::public_half(&identity.path);
        let agent = agent_keys(to, None).await.ok().flatten();
        let held = agent.zip(public).is_some_and(|(agent, public)| agent.find(&public).is_some());
        if !held {
            // Errors are reported when the key is used.
            ring.load(identity).await.ok();
        }
    }
}

/// Returns the keys of the ssh-agent if one is configured; the error is the reason why it cannot be
/// used.
pub(super) async fn agent_keys(
    to: &Destination,
    binding: Option<&AgentSessionBinding>,
) -> Result<Option<AgentKeys>, AgentError> {
    let Some(socket) = to.agent_socket.as_ref() else { return Ok(None) };
    let listing = async {
        let mut client = AgentClient::connect_uds(socket).await?;
        if let Some(binding) = binding {
            // Agents before OpenSSH 8.9 do not support session binding; they have no keys that need
            // it.
            client.bind_session(binding, false).await.ok();
        }
        let keys = client.request_identities().await?;
        Ok::<_, russh::keys::Error>(AgentKeys { client, keys })
    };
    match tokio::time::timeout(AGENT_ANSWER, listing).await {
        Ok(Ok(keys)) => Ok(Some(keys)),
        Ok(Err(source)) => Err(AgentError::Unusable { socket: socket.clone(), source }),
        Err(_) => Err(AgentError::Timeout { socket: socket.clone(), secs: AGENT_ANSWER.as_secs() }),
    }
}

/// A connection to an ssh-agent and the list of its keys.
pub(super) struct AgentKeys {
    pub(super) client: AgentClient<UnixStream>,
    pub(super) keys: Vec<AgentIdentity>,
}

impl AgentKeys {
    /// Returns the entry with the key `public`.
    pub(super) fn find(&self, public: &PublicKey) -> Option<AgentIdentity> {
        self.keys.iter().find(|held| held.public_key().key_data() == public.key_data()).cloned()
    }
}

/// Returns an identifier of an offer: a certificate and its bare key are different offers.
pub(super) fn agent_mark(held: &AgentIdentity, key: &PublicKey) -> String {
    match held {
        AgentIdentity::PublicKey { .. } => fingerprint(key),
        AgentIdentity::Certificate { certificate, .. } => {
            format!("{} {}", fingerprint(key), certificate.serial())
        }
    }
}
