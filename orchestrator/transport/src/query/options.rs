//! Options of a query, and its events.

use std::time::Duration;

use apim_protocol::message::{Open, Reply};
use tokio::sync::watch;

use crate::host::HostName;

/// Options of a query.
#[derive(Clone)]
pub struct QueryOptions {
    /// Run id, for locks and journals.
    pub run: String,
    /// User and machine, such as `me@laptop`.
    pub operator: String,
    /// Purpose, for the lock's message.
    pub purpose: String,
    /// Whether changes are allowed: takes the host's lock and writes to its journal.
    pub lock: bool,
    /// Timeout for connecting, starting the agent, and Hello.
    pub connect: Duration,
    /// Timeout for another run to release the host's lock.
    pub patience: Duration,
    /// Time without a message after which a host counts as unavailable, in addition to
    /// [`HostQuery::own_deadline`](super::HostQuery::own_deadline).
    pub silence: Duration,
    /// Cancellation by the user.
    pub stop: Stop,
}

impl QueryOptions {
    /// Returns read-only options with the default timeouts.
    #[must_use]
    pub fn look(run: String, operator: String, purpose: String, stop: Stop) -> Self {
        Self {
            run,
            operator,
            purpose,
            lock: false,
            connect: Duration::from_secs(120),
            patience: Duration::from_secs(60),
            silence: Duration::from_secs(60),
            stop,
        }
    }

    pub(super) fn open(&self) -> Open {
        Open {
            run: self.run.clone(),
            operator: self.operator.clone(),
            purpose: self.purpose.clone(),
            lock: self.lock,
            again: false,
            shares_lock: false,
        }
    }
}

/// Cancellation by the user.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Creates the signal; `true` in `receiver` cancels.
    #[must_use]
    pub const fn new(receiver: watch::Receiver<bool>) -> Self {
        Self(receiver)
    }

    /// Returns whether the user has cancelled.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the cancellation; never returns if the sender is dropped before.
    pub async fn requested(&self) {
        if self.0.clone().wait_for(|cancelled| *cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Events of a host before its answers are complete.
#[derive(Debug)]
pub enum ClientEvent {
    /// Connecting started.
    Connecting,
    /// Another run holds the host's lock: the agent's message with its operator and purpose.
    Held(String),
    /// The agent sent a message other than the end of a step.
    Said(Box<Reply>),
}

/// Receives the events of hosts.
pub type Listener<'a> = &'a (dyn Fn(&HostName, ClientEvent) + Sync);
