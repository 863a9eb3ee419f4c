//! Opens sessions with hosts.

use std::sync::Arc;
use std::time::Duration;

use apim_protocol::message::Open;
use apim_protocol::operation::Mode;
use apim_protocol::outcome::Failure;
use tokio::time::{Instant, sleep, timeout};

use super::event::{Event, Level};
use super::settings::{Interrupt, Settings};
use super::shared::Shared;
use super::wire::{Surroundings, Wire};
use apim_transport::host::HostName;
use apim_transport::session::SessionError;

/// Why there is no session with a host.
pub(super) enum Unreached {
    /// The host is unreachable.
    Gone(Failure),
    /// Another run has locked it: reason.
    Held(String),
    /// The user interrupted the run.
    Interrupted,
}

/// Opens a link and waits for another run to release the host. `again` is how long to retry a lost
/// link while the host does not answer.
pub(super) async fn open(
    shared: &Shared,
    host: &HostName,
    again: Option<Duration>,
) -> Result<Wire, Unreached> {
    let retry_for = again.unwrap_or_default();
    let mut interrupt = shared.interrupt.clone();
    let timeouts = &shared.settings.timeouts;
    let begun = Instant::now();
    let mut pause = Duration::from_millis(250);
    let mut noted = false;
    loop {
        let attempt = tokio::select! {
            attempt = open_once(shared, host, Manner::own(shared, again.is_some())) => attempt,
            _ = interrupt.wait_for(|level| *level >= Interrupt::Finish) => return Err(Unreached::Interrupted),
        };
        let (why, until) = match attempt {
            Ok(wire) => return Ok(wire),
            Err(Unreached::Gone(..)) => (attempt, retry_for),
            Err(Unreached::Held(ref holder)) => {
                if !std::mem::replace(&mut noted, true) && !timeouts.lock.is_zero() {
                    let seconds = timeouts.lock.as_secs();
                    let note = format!("{}: {holder}; waiting up to {seconds} s for that to end", host);
                    shared.tell(Event::Note(Level::Info, note));
                }
                (attempt, timeouts.lock.max(retry_for))
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

/// How a session is opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Take the host's lock.
    pub(super) lock: bool,
    /// Resume after a lost link.
    pub(super) again: bool,
    /// As a side session of the run's main session.
    pub(super) shares_lock: bool,
}

impl Manner {
    fn own(shared: &Shared, again: bool) -> Self {
        Self { lock: shared.settings.mode == Mode::Apply, again, shares_lock: false }
    }
}

/// Opens a session, without waiting for another run.
pub(super) async fn open_once(shared: &Shared, host: &HostName, manner: Manner) -> Result<Wire, Unreached> {
    let Settings { timeouts, run, operator, purpose, .. } = &shared.settings;
    let Manner { lock, again, shares_lock } = manner;
    let link = match timeout(timeouts.connect, shared.connect.connect(host)).await {
        Ok(Ok(link)) => link,
        Ok(Err(failure)) => return Err(Unreached::Gone(failure)),
        Err(_) => {
            let seconds = timeouts.connect.as_secs();
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
    match timeout(timeouts.hello, Wire::open(link, open, surroundings)).await {
        Ok(Ok(wire)) => Ok(wire),
        Ok(Err(SessionError::Refused { why, .. })) => Err(Unreached::Held(why)),
        Ok(Err(error)) => Err(Unreached::Gone(error.into())),
        Err(_) => {
            let seconds = timeouts.hello.as_secs();
            Err(gone(format!("the agent on {} was started but did not answer within {seconds} s", host)))
        }
    }
}

fn gone(why: String) -> Unreached {
    Unreached::Gone(Failure::new(why))
}
