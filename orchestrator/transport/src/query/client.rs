//! One host: its session, which runs one batch of operations at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use apim_protocol::facts::Facts;
use apim_protocol::message::Job;
use apim_protocol::message::{Reply, Request, Run, StepId};
use apim_protocol::observation::LogEntry;
use apim_protocol::outcome::{Failure, Outcome};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::options::{ClientEvent, Listener, QueryOptions};
use crate::failure::one_line;
use crate::host::HostName;
use crate::session::{Connect, Receiver, Sender, Session, SessionError};

/// Time for a host to finish its operations after a cancellation.
const CANCEL_GRACE: Duration = Duration::from_secs(15);
/// Timeout for the agent's Bye.
const GOODBYE: Duration = Duration::from_secs(5);
/// Delay between two attempts to open a session while another run holds the host's lock.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// One operation to run on a host.
#[derive(Debug, Clone)]
pub struct HostQuery {
    /// Title in the host's journal.
    pub title: String,
    /// What the agent does.
    pub job: Job,
    /// Time that the operation may take without output, in addition to [`QueryOptions::silence`].
    pub own_deadline: Duration,
    /// Receives log entries, and whether they are live (written just now). A slow receiver slows
    /// down the host.
    pub entries: Option<mpsc::Sender<(Vec<LogEntry>, bool)>>,
}

impl HostQuery {
    /// Returns a query, or the check of an operation.
    #[must_use]
    pub fn look(title: impl Into<String>, job: impl Into<Job>) -> Self {
        Self { title: title.into(), job: job.into(), own_deadline: Duration::ZERO, entries: None }
    }
}

/// Why a host did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostUnavailable {
    /// The user cancelled the query before the host answered.
    Interrupted,
    /// The host is unreachable, or the query failed.
    Unavailable(Failure),
}

impl HostUnavailable {
    /// Returns an error without a hint.
    #[must_use]
    pub fn new(why: impl Into<String>) -> Self {
        Self::Unavailable(Failure::new(why))
    }

    /// Returns what failed and its causes on one line.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            Self::Interrupted => "interrupted".to_owned(),
            Self::Unavailable(failure) => one_line(failure),
        }
    }

    /// Returns what to do next.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Interrupted => None,
            Self::Unavailable(failure) => failure.hint.as_deref(),
        }
    }
}

impl From<SessionError> for HostUnavailable {
    fn from(error: SessionError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<Failure> for HostUnavailable {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure)
    }
}

/// One host.
pub struct HostClient {
    /// Name in the inventory.
    pub host: HostName,
    session: Option<OpenSession>,
    last_step: u32,
}

struct OpenSession {
    sender: Sender,
    receiver: Receiver,
    facts: Facts,
}

impl HostClient {
    /// Creates the client of a host; does not connect.
    #[must_use]
    pub const fn new(host: HostName) -> Self {
        Self { host, session: None, last_step: 0 }
    }

    /// Returns the facts of the host from the start of its session; `None` without a session.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        self.session.as_ref().map(|session| &session.facts)
    }

    /// Runs the operations and returns one outcome for each. After an error, the session is closed,
    /// and the next call opens a new one.
    ///
    /// # Errors
    /// When the host is unreachable, or the connection is lost before the last answer.
    pub async fn ask(
        &mut self,
        connect: &dyn Connect,
        terms: &QueryOptions,
        asked: &[HostQuery],
        heard: Listener<'_>,
    ) -> Result<Vec<Outcome>, HostUnavailable> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => tokio::select! {
                opened = open(connect, &self.host, terms, heard) => opened?,
                () = terms.stop.requested() => return Err(HostUnavailable::Interrupted),
            },
        };
        let first = self.last_step + 1;
        let outcomes = session.run(&self.host, terms, asked, (first, heard)).await?;
        self.last_step += u32::try_from(asked.len()).unwrap_or(u32::MAX);
        self.session = Some(session);
        Ok(outcomes)
    }

    /// Ends the session, if there is one.
    pub async fn goodbye(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        let bye = async {
            // Without an answer, the link is closed, and the agent exits as well.
            if session.sender.goodbye().await.is_ok() {
                while !matches!(session.receiver.next().await, Ok(None | Some(Reply::Bye)) | Err(_)) {}
            }
        };
        drop(timeout(GOODBYE, bye).await);
    }
}

impl OpenSession {
    async fn run(
        &mut self,
        host: &HostName,
        terms: &QueryOptions,
        asked: &[HostQuery],
        (first, heard): (u32, Listener<'_>),
    ) -> Result<Vec<Outcome>, SessionError> {
        let mut step = first;
        let mut steps = Vec::with_capacity(asked.len());
        // Sent concurrently with listening: a host that answers before it has read all requests
        // must not block.
        let requests: Vec<Request> = asked
            .iter()
            .map(|one| {
                let run = Run {
                    step: StepId(step),
                    title: one.title.clone(),
                    job: one.job.clone(),
                    ignore_failure: true,
                };
                steps.push(StepId(step));
                step = step.wrapping_add(1);
                Request::Run(Box::new(run))
            })
            .collect();
        let sender = self.sender.clone();
        let sending = async move {
            for request in &requests {
                // The listening side reports a lost link.
                if sender.send(request).await.is_err() {
                    return;
                }
            }
        };
        let listening = self.listen(host, terms, asked, (&steps, heard));
        tokio::pin!(sending, listening);
        let mut outcomes = tokio::select! {
            outcomes = &mut listening => outcomes,
            () = &mut sending => listening.await,
        }?;
        Ok(steps.iter().filter_map(|step| outcomes.remove(step)).collect())
    }

    async fn listen(
        &mut self,
        host: &HostName,
        terms: &QueryOptions,
        asked: &[HostQuery],
        (steps, heard): (&[StepId], Listener<'_>),
    ) -> Result<BTreeMap<StepId, Outcome>, SessionError> {
        let mut outcomes = BTreeMap::new();
        let mut give_up_at: Option<Instant> = None;
        while outcomes.len() < steps.len() {
            let takes = asked.get(outcomes.len()).map_or(Duration::ZERO, |one| one.own_deadline);
            let patience = takes + terms.silence;
            let until = give_up_at.unwrap_or_else(|| Instant::now() + patience);
            let reply = tokio::select! {
                reply = self.receiver.next() => reply?,
                () = tokio::time::sleep_until(until) => return Err(silent(host, patience)),
                () = terms.stop.requested(), if give_up_at.is_none() => {
                    give_up_at = Some(Instant::now() + CANCEL_GRACE);
                    self.sender.cancel().await?;
                    continue;
                }
            };
            match reply {
                Some(Reply::Finished { step, outcome, .. }) if steps.contains(&step) => {
                    drop(outcomes.insert(step, outcome));
                }
                Some(Reply::Entries { step, entries, is_live }) => {
                    let target = steps.iter().position(|known| *known == step).and_then(|at| asked.get(at));
                    if let Some(target) = target.and_then(|one| one.entries.as_ref()) {
                        tokio::select! {
                            // A dropped receiver is not an error of the host.
                            sent = target.send((entries, is_live)) => drop(sent),
                            () = terms.stop.requested() => {}
                        }
                    }
                }
                Some(Reply::Need { sha256, .. }) => {
                    self.sender.no_content(sha256, "queries do not send content".to_owned()).await?;
                }
                Some(Reply::PermitRequest { step, .. }) => {
                    self.sender.permit_decision(step, Some("queries do not stop units".to_owned())).await?;
                }
                Some(Reply::Finished { .. } | Reply::Hello(_) | Reply::Refused(_) | Reply::Bye) | None => {
                    let why = "unexpected message".to_owned();
                    return Err(SessionError::Garbled { peer: host.0.clone(), why });
                }
                Some(reply) => heard(host, ClientEvent::Said(Box::new(reply))),
            }
        }
        Ok(outcomes)
    }
}

fn silent(host: &HostName, patience: Duration) -> SessionError {
    SessionError::TimedOut {
        peer: host.0.clone(),
        awaited: "an answer".to_owned(),
        after: patience,
        last: "none".to_owned(),
    }
}

/// Opens a session; waits until another run releases the host's lock if the lock is requested.
async fn open(
    connect: &dyn Connect,
    host: &HostName,
    terms: &QueryOptions,
    heard: Listener<'_>,
) -> Result<OpenSession, HostUnavailable> {
    let begun = Instant::now();
    let mut reported = false;
    heard(host, ClientEvent::Connecting);
    loop {
        let secs = terms.connect.as_secs();
        let attempt = async {
            let link = connect.connect(host).await?;
            Ok::<_, HostUnavailable>(Session::open(link, terms.open()).await)
        };
        let opened = timeout(terms.connect, attempt).await;
        match opened
            .map_err(|_| HostUnavailable::new(format!("no connection to {host} within {secs} s")))??
        {
            Ok((session, hello)) => {
                let (sender, receiver) = session.split();
                return Ok(OpenSession { sender, receiver, facts: hello.facts });
            }
            Err(SessionError::Refused { why, .. }) => {
                if begun.elapsed() + RETRY_DELAY > terms.patience {
                    let hint = "wait until that run has finished, or stop it; then re-run";
                    return Err(Failure::new(why).hint(hint).into());
                }
                if !std::mem::replace(&mut reported, true) {
                    heard(host, ClientEvent::Held(why));
                }
                sleep(RETRY_DELAY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
