//! One host: its link, its agent, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use apim_protocol::message::{Open, Reply, Request, StepId};
use apim_protocol::operation::Mode;
use apim_protocol::outcome::Outcome;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::errand::Errands;
use super::event::{Event, Level};
use super::leave::Budget;
use super::outlines::Outlines;
use super::peers::Watching;
use super::result::{HostEnd, HostResult, Tally};
use super::rotation::Rotating;
use super::settings::{Interrupt, Settings};
use super::wire::{Surroundings, Wire};
use crate::inventory::host::HostName;
use crate::plan::model::Plan;
use crate::session::{Connect, ConnectError, SessionError};

/// What all workers of a run share.
pub(super) struct Shared {
    pub(super) plan: Arc<Plan>,
    pub(super) connect: Arc<dyn Connect>,
    pub(super) errands: Arc<dyn Errands>,
    pub(super) settings: Settings,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) interrupt: watch::Receiver<Interrupt>,
    pub(super) budget: Budget,
    pub(super) uploads_at_once: Arc<Semaphore>,
    pub(super) outlines: Arc<Outlines>,
    pub(super) rotating: Rotating,
    pub(super) watching: Watching,
}

impl Shared {
    /// Tells the reporter, which may be gone.
    pub(super) fn tell(&self, event: Event) {
        drop(self.events.send(event));
    }

    pub(super) fn is_interrupted(&self) -> bool {
        *self.interrupt.borrow() >= Interrupt::Finish
    }
}

/// One host of a run.
pub(super) struct Worker {
    pub(super) host: HostName,
    pub(super) wire: Option<Wire>,
    pub(super) result: HostResult,
    pub(super) outcomes: BTreeMap<StepId, Outcome>,
    /// When answers were heard.
    pub(super) heard: BTreeMap<StepId, SystemTime>,
    /// Whether another run holds the host.
    pub(super) is_held: bool,
    /// Whether a barrier has counted it as lost for the rest of the run.
    pub(super) is_dropped: bool,
    /// Whether something was done on the host in this run, or may have been.
    pub(super) is_touched: bool,
    /// Steps whose outcome was counted.
    counted: BTreeSet<StepId>,
    /// A lost link is made again once in a run.
    may_reconnect: bool,
}

/// Why there is no conversation with a host.
pub(super) enum Unreached {
    /// It cannot be reached.
    Gone(String, Option<String>),
    /// Another run holds it.
    Held(String),
    /// The user does not want to wait any more.
    Interrupted,
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

    /// Makes a lost link anew, once in a run; says whether there is one again.
    pub(super) async fn reconnect(&mut self, shared: &Shared, lost: &str) -> bool {
        self.wire = None;
        self.is_touched = true;
        if !std::mem::replace(&mut self.may_reconnect, false) || shared.is_interrupted() {
            self.unreachable(shared, Unreached::Gone(lost.to_owned(), None));
            return false;
        }
        shared.tell(Event::Reconnecting(self.host.clone(), lost.to_owned()));
        match open(shared, &self.host, Some(shared.settings.patience.reconnect)).await {
            Ok(wire) => {
                shared.tell(Event::Connected(self.host.clone(), Box::new(wire.facts.clone())));
                self.wire = Some(wire);
                true
            }
            Err(Unreached::Gone(why, hint)) => {
                let why = format!("{lost}; it could not be reached again: {why}");
                self.unreachable(shared, Unreached::Gone(why, hint));
                false
            }
            Err(other) => {
                self.unreachable(shared, other);
                false
            }
        }
    }

    fn unreachable(&mut self, shared: &Shared, why: Unreached) {
        let (why, hint) = match why {
            Unreached::Gone(why, hint) => (why, hint),
            Unreached::Held(why) => {
                self.is_held = true;
                let hint = "wait until that run has ended, or end it; then run again";
                (why, Some(hint.to_owned()))
            }
            Unreached::Interrupted => {
                self.result.end = HostEnd::Stopped(None);
                return;
            }
        };
        self.result.tally.unreachable = 1;
        self.result.end = HostEnd::Unreachable(why.clone(), hint.clone());
        shared.tell(Event::Unreachable(self.host.clone(), why, hint));
    }

    /// Ends the conversation; waits for the agent's last word where it holds the host's lock.
    pub(super) async fn goodbye(&mut self, shared: &Shared) {
        let Some(mut wire) = self.wire.take() else { return };
        wire.send(Request::Goodbye);
        let bye = async { while !matches!(wire.next().await, Ok(None | Some(Reply::Bye)) | Err(_)) {} };
        // Without an answer the link is closed; the agent leaves then just the same.
        drop(timeout(shared.settings.patience.goodbye, bye).await);
    }

    /// Counts an outcome and keeps it.
    pub(super) fn record(&mut self, step: StepId, outcome: Outcome, ignored: bool) {
        Tally::count(&mut self.result.tally, &outcome, ignored);
        self.is_touched |= matches!(outcome, Outcome::Changed(_) | Outcome::Failed(_));
        self.counted.insert(step);
        self.outcomes.insert(step, outcome);
    }

    /// Says whether the outcome of `step` was counted.
    pub(super) fn ran(&self, step: StepId) -> bool {
        self.counted.contains(&step)
    }
}

/// Opens a link and waits for another run to let go of the host. One that is made `again` is tried for so long when the host does
/// not answer.
async fn open(shared: &Shared, host: &HostName, again: Option<Duration>) -> Result<Wire, Unreached> {
    let retry_for = again.unwrap_or_default();
    let mut interrupt = shared.interrupt.clone();
    let patience = &shared.settings.patience;
    let begun = Instant::now();
    let mut pause = Duration::from_millis(250);
    let mut told = false;
    loop {
        let attempt = tokio::select! {
            attempt = open_once(shared, host, Manner::own(shared, again.is_some())) => attempt,
            _ = interrupt.wait_for(|wish| *wish >= Interrupt::Finish) => return Err(Unreached::Interrupted),
        };
        let (why, until) = match attempt {
            Ok(wire) => return Ok(wire),
            Err(Unreached::Gone(..)) => (attempt, retry_for),
            Err(Unreached::Held(ref who)) => {
                if !std::mem::replace(&mut told, true) && !patience.lock.is_zero() {
                    let seconds = patience.lock.as_secs();
                    let note = format!("{}: {who}; waiting up to {seconds} s for that to end", host);
                    shared.tell(Event::Note(Level::Info, note));
                }
                (attempt, patience.lock.max(retry_for))
            }
            Err(Unreached::Interrupted) => return attempt,
        };
        if begun.elapsed() + pause > until {
            return why;
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// How a conversation is opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// With the host's lock.
    pub(super) lock: bool,
    /// After a lost link.
    pub(super) again: bool,
    /// Beside the run's own, if there is one.
    pub(super) shares_lock: bool,
}

impl Manner {
    fn own(shared: &Shared, again: bool) -> Self {
        Self { lock: shared.settings.mode == Mode::Apply, again, shares_lock: false }
    }
}

/// Opens a conversation, without waiting for another run.
pub(super) async fn open_once(shared: &Shared, host: &HostName, manner: Manner) -> Result<Wire, Unreached> {
    let Settings { patience, run, operator, purpose, .. } = &shared.settings;
    let Manner { lock, again, shares_lock } = manner;
    let link = match timeout(patience.connect, shared.connect.connect(host)).await {
        Ok(Ok(link)) => link,
        Ok(Err(ConnectError { what, hint })) => return Err(Unreached::Gone(what, hint)),
        Err(_) => {
            let seconds = patience.connect.as_secs();
            return Err(gone(format!("no connection to {} within {seconds} s", host)));
        }
    };
    let open = Open {
        run: run.clone(),
        operator: operator.clone(),
        purpose: purpose.clone(),
        lock,
        again,
        shares_lock,
    };
    let surroundings = Surroundings {
        host: host.clone(),
        events: shared.events.clone(),
        uploads_at_once: Arc::clone(&shared.uploads_at_once),
    };
    match timeout(patience.hello, Wire::open(link, open, surroundings)).await {
        Ok(Ok(wire)) => Ok(wire),
        Ok(Err(SessionError::Refused { why, .. })) => Err(Unreached::Held(why)),
        Ok(Err(error)) => {
            let hint = error.hint().map(str::to_owned);
            Err(Unreached::Gone(error.to_string(), hint))
        }
        Err(_) => {
            let seconds = patience.hello.as_secs();
            Err(gone(format!("the agent on {} was started and did not say hello within {seconds} s", host)))
        }
    }
}

fn gone(why: String) -> Unreached {
    Unreached::Gone(why, None)
}
