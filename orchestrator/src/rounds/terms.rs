//! Who asks, what for, how long to wait; and what is worth telling meanwhile.

use std::time::Duration;

use apim_protocol::message::{Open, Reply};
use tokio::sync::watch;

use crate::inventory::host::HostName;

/// On what terms hosts are asked.
#[derive(Clone)]
pub struct Terms {
    /// The id of the run, for locks and journals.
    pub run: String,
    /// Who asks and from where.
    pub operator: String,
    /// What is done, for the lock's message.
    pub purpose: String,
    /// Whether something may be changed: the host's lock is taken, and what is done is written into its journal.
    pub lock: bool,
    /// Until a host is connected, its agent started, and hello said.
    pub connect: Duration,
    /// Until another run lets go of a host.
    pub patience: Duration,
    /// Without a word of a host, beyond what an operation may take by itself, until it counts as away.
    pub silence: Duration,
    /// Whether to leave off.
    pub stop: Stop,
}

impl Terms {
    /// Returns terms for looking only, with the usual patience.
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

/// Whether the user wants to leave off.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Returns the wish that `receiver` hears.
    #[must_use]
    pub const fn new(receiver: watch::Receiver<bool>) -> Self {
        Self(receiver)
    }

    /// Says whether it was wished for.
    #[must_use]
    pub fn is_wished(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is wished for; without anybody who could, for ever.
    pub async fn wished(&self) {
        if self.0.clone().wait_for(|wish| *wish).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What is heard of a host before its answers are complete.
#[derive(Debug)]
pub enum Heard {
    /// Connecting began.
    Connecting,
    /// Another run holds the host: who, and what for.
    Held(String),
    /// The agent said something; not that a step ended.
    Said(Box<Reply>),
}

/// Hears what happens on a host.
pub type Listener<'a> = &'a (dyn Fn(&HostName, Heard) + Sync);
