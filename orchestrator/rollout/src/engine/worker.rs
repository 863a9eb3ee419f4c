//! One host of a run: its link, its agent and its result.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use apim_protocol::message::{Reply, Request, StepId};
use apim_protocol::outcome::{Failure, Outcome};
use tokio::time::timeout;

use super::event::Event;
use super::link::{Unreached, open};
use super::result::{HostEnd, HostResult, Tally};
use super::shared::Shared;
use super::wire::Wire;
use apim_transport::host::HostName;

/// One host of a run.
pub(super) struct Worker {
    pub(super) host: HostName,
    pub(super) wire: Option<Wire>,
    pub(super) result: HostResult,
    pub(super) outcomes: BTreeMap<StepId, Outcome>,
    /// When answers were received.
    pub(super) heard: BTreeMap<StepId, SystemTime>,
    /// Whether another run has locked the host.
    pub(super) is_held: bool,
    /// Whether a barrier has excluded it from the rest of the run.
    pub(super) is_dropped: bool,
    /// Whether this run changed the host, or may have.
    pub(super) is_touched: bool,
    /// Steps whose outcome was counted.
    counted: BTreeSet<StepId>,
    /// A lost link is reopened at most once per run.
    may_reconnect: bool,
}

impl Worker {
    pub(super) fn new(host: HostName) -> Self {
        Self {
            host,
            wire: None,
            result: HostResult::default(),
            outcomes: BTreeMap::new(),
            heard: BTreeMap::new(),
            is_held: false,
            is_dropped: false,
            is_touched: false,
            counted: BTreeSet::new(),
            may_reconnect: true,
        }
    }

    /// Connects for the first time.
    pub(super) async fn connect(&mut self, shared: &Shared) {
        shared.tell(Event::Connecting(self.host.clone()));
        match open(shared, &self.host, None).await {
            Ok(wire) => {
                self.result.facts = Some(wire.facts.clone());
                shared.tell(Event::Connected(self.host.clone(), Box::new(wire.facts.clone())));
                self.wire = Some(wire);
            }
            Err(why) => self.unreachable(shared, why),
        }
    }

    /// Reopens a lost link, at most once per run. Returns whether there is a link again.
    pub(super) async fn reconnect(&mut self, shared: &Shared, lost: &str) -> bool {
        self.wire = None;
        self.is_touched = true;
        if !std::mem::replace(&mut self.may_reconnect, false) || shared.is_interrupted() {
            self.unreachable(shared, Unreached::Gone(Failure::new(lost)));
            return false;
        }
        shared.tell(Event::Reconnecting(self.host.clone(), lost.to_owned()));
        match open(shared, &self.host, Some(shared.settings.timeouts.reconnect)).await {
            Ok(wire) => {
                shared.tell(Event::Connected(self.host.clone(), Box::new(wire.facts.clone())));
                self.wire = Some(wire);
                true
            }
            Err(Unreached::Gone(failure)) => {
                let what = format!("{lost}; reconnecting failed: {}", failure.what);
                self.unreachable(shared, Unreached::Gone(Failure { what, ..failure }));
                false
            }
            Err(other) => {
                self.unreachable(shared, other);
                false
            }
        }
    }

    fn unreachable(&mut self, shared: &Shared, why: Unreached) {
        let failure = match why {
            Unreached::Gone(failure) => failure,
            Unreached::Held(why) => {
                self.is_held = true;
                Failure::new(why).hint("wait until that run has ended or stop it, then run again")
            }
            Unreached::Interrupted => {
                self.result.end = HostEnd::Stopped(None);
                return;
            }
        };
        self.result.tally.unreachable = 1;
        self.result.end = HostEnd::Unreachable(failure.clone());
        shared.tell(Event::Unreachable { host: self.host.clone(), failure });
    }

    /// Closes the session. Waits for the agent's last reply if it has the host's lock.
    pub(super) async fn goodbye(&mut self, shared: &Shared) {
        let Some(mut wire) = self.wire.take() else { return };
        wire.send(Request::Goodbye);
        let bye = async { while !matches!(wire.next().await, Ok(None | Some(Reply::Bye)) | Err(_)) {} };
        // Without an answer the link is closed, and the agent exits then as well.
        drop(timeout(shared.settings.timeouts.goodbye, bye).await);
    }

    /// Counts and stores an outcome.
    pub(super) fn record(&mut self, step: StepId, outcome: Outcome, ignored: bool) {
        Tally::count(&mut self.result.tally, &outcome, ignored);
        self.is_touched |= matches!(outcome, Outcome::Changed(_) | Outcome::Failed(_));
        self.counted.insert(step);
        self.outcomes.insert(step, outcome);
    }

    /// Returns whether the outcome of `step` was counted.
    pub(super) fn ran(&self, step: StepId) -> bool {
        self.counted.contains(&step)
    }
}
