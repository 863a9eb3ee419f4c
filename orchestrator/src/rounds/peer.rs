//! One host: its conversation, asked one batch of operations at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use apim_protocol::facts::Facts;
use apim_protocol::message::{Job, Reply, Request, Run, StepId};
use apim_protocol::observation::LogEntry;
use apim_protocol::outcome::Outcome;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::terms::{Heard, Listener, Terms};
use crate::inventory::host::HostName;
use crate::session::{Connect, ConnectError, Receiver, Sender, Session, SessionError};

/// How long a host has to end what it was asked once it was called off.
const LAST_WORD: Duration = Duration::from_secs(15);
/// How long its agent has to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);
/// Between two tries of a host that another run holds.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// One thing that a host is asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// For the host's journal.
    pub title: String,
    /// What the agent does.
    pub job: Job,
    /// How long it may take by itself without a word.
    pub takes: Duration,
    /// Where entries of a log go, and whether they were written just now; who takes them slowly slows the host down.
    pub told: Option<mpsc::Sender<(Vec<LogEntry>, bool)>>,
}

impl Asked {
    /// Returns a query, or a check of an operation.
    #[must_use]
    pub fn look(title: impl Into<String>, job: impl Into<Job>) -> Self {
        Self { title: title.into(), job: job.into(), takes: Duration::ZERO, told: None }
    }
}

/// Why a host did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// What was attempted and the last answer.
    pub why: String,
    /// What to do.
    pub hint: Option<String>,
}

/// One host.
pub struct Peer {
    /// Its name.
    pub host: HostName,
    talk: Option<Talk>,
    last_step: u32,
}

struct Talk {
    sender: Sender,
    receiver: Receiver,
    facts: Facts,
}

impl Peer {
    /// Returns the host, not connected yet.
    #[must_use]
    pub const fn new(host: HostName) -> Self {
        Self { host, talk: None, last_step: 0 }
    }

    /// Returns what the host said of itself when its conversation was opened.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        self.talk.as_ref().map(|talk| &talk.facts)
    }

    /// Asks the host, and returns one outcome for each thing asked. Where it was not heard to the end the conversation is given up;
    /// the next time it is opened anew.
    ///
    /// # Errors
    /// When the host cannot be reached, or its link is lost before the last answer.
    pub async fn ask(
        &mut self,
        connect: &dyn Connect,
        terms: &Terms,
        asked: &[Asked],
        heard: Listener<'_>,
    ) -> Result<Vec<Outcome>, Away> {
        let mut talk = match self.talk.take() {
            Some(talk) => talk,
            None => tokio::select! {
                opened = open(connect, &self.host, terms, heard) => opened?,
                () = terms.stop.wished() => return Err(called_off()),
            },
        };
        let first = self.last_step + 1;
        let outcomes = talk
            .hear(&self.host, terms, asked, (first, heard))
            .await
            .map_err(|error| Away { hint: error.hint().map(str::to_owned), why: error.to_string() })?;
        self.last_step += u32::try_from(asked.len()).unwrap_or(u32::MAX);
        self.talk = Some(talk);
        Ok(outcomes)
    }

    /// Ends the conversation, if there is one.
    pub async fn goodbye(&mut self) {
        let Some(mut talk) = self.talk.take() else { return };
        let bye = async {
            // Without an answer the link is closed; the agent leaves then just the same.
            if talk.sender.goodbye().await.is_ok() {
                while !matches!(talk.receiver.next().await, Ok(None | Some(Reply::Bye)) | Err(_)) {}
            }
        };
        drop(timeout(GOODBYE, bye).await);
    }
}

impl Talk {
    async fn hear(
        &mut self,
        host: &HostName,
        terms: &Terms,
        asked: &[Asked],
        (first, heard): (u32, Listener<'_>),
    ) -> Result<Vec<Outcome>, SessionError> {
        let mut step = first;
        let mut order = Vec::with_capacity(asked.len());
        // Sent beside listening: a host that answers before it has read everything must not stand still.
        let requests: Vec<Request> = asked
            .iter()
            .map(|one| {
                let run = Run {
                    step: StepId(step),
                    title: one.title.clone(),
                    job: one.job.clone(),
                    ignore_failure: true,
                };
                order.push(StepId(step));
                step = step.wrapping_add(1);
                Request::Run(Box::new(run))
            })
            .collect();
        let sender = self.sender.clone();
        let sending = async move {
            for request in &requests {
                // That the link is gone is noticed when listening.
                if sender.send(request).await.is_err() {
                    return;
                }
            }
        };
        let listening = self.listen(host, terms, asked, (&order, heard));
        tokio::pin!(sending, listening);
        let mut ends = tokio::select! {
            ends = &mut listening => ends,
            () = &mut sending => listening.await,
        }?;
        Ok(order.iter().filter_map(|step| ends.remove(step)).collect())
    }

    async fn listen(
        &mut self,
        host: &HostName,
        terms: &Terms,
        asked: &[Asked],
        (order, heard): (&[StepId], Listener<'_>),
    ) -> Result<BTreeMap<StepId, Outcome>, SessionError> {
        let mut ends = BTreeMap::new();
        let mut give_up_at: Option<Instant> = None;
        while ends.len() < order.len() {
            let takes = asked.get(ends.len()).map_or(Duration::ZERO, |one| one.takes);
            let patience = takes + terms.silence;
            let until = give_up_at.unwrap_or_else(|| Instant::now() + patience);
            let reply = tokio::select! {
                reply = self.receiver.next() => reply?,
                () = tokio::time::sleep_until(until) => return Err(silent(host, patience)),
                () = terms.stop.wished(), if give_up_at.is_none() => {
                    give_up_at = Some(Instant::now() + LAST_WORD);
                    self.sender.cancel().await?;
                    continue;
                }
            };
            match reply {
                Some(Reply::Finished { step, outcome, .. }) if order.contains(&step) => {
                    drop(ends.insert(step, outcome));
                }
                Some(Reply::Entries { step, entries, is_live }) => {
                    let told = order.iter().position(|known| *known == step).and_then(|at| asked.get(at));
                    if let Some(told) = told.and_then(|one| one.told.as_ref()) {
                        tokio::select! {
                            // Who does not want them any more is no error of the host.
                            sent = told.send((entries, is_live)) => drop(sent),
                            () = terms.stop.wished() => {}
                        }
                    }
                }
                Some(Reply::Need { sha256, .. }) => {
                    self.sender.no_content(sha256, "nothing is sent when only looking".to_owned()).await?;
                }
                Some(Reply::PermitRequest { step, .. }) => {
                    self.sender
                        .leave(step, Some("nothing is taken down when only looking".to_owned()))
                        .await?;
                }
                Some(Reply::Finished { .. } | Reply::Hello(_) | Reply::Refused(_) | Reply::Bye) | None => {
                    let why = "it spoke of what it was not asked".to_owned();
                    return Err(SessionError::Garbled { peer: host.0.clone(), why });
                }
                Some(reply) => heard(host, Heard::Said(Box::new(reply))),
            }
        }
        Ok(ends)
    }
}

fn silent(host: &HostName, patience: Duration) -> SessionError {
    SessionError::TimedOut {
        peer: host.0.clone(),
        awaited: "its answer".to_owned(),
        after: patience,
        last: "none".to_owned(),
    }
}

fn called_off() -> Away {
    Away { why: "called off".to_owned(), hint: None }
}

/// Opens a conversation; waits for another run to let go of the host where the lock is wanted.
async fn open(
    connect: &dyn Connect,
    host: &HostName,
    terms: &Terms,
    heard: Listener<'_>,
) -> Result<Talk, Away> {
    let begun = Instant::now();
    let mut told = false;
    heard(host, Heard::Connecting);
    loop {
        let secs = terms.connect.as_secs();
        let gone = |why: String| Away { why, hint: None };
        let attempt = async {
            let link = connect
                .connect(host)
                .await
                .map_err(|ConnectError { what, hint }| Away { why: what, hint })?;
            Ok::<_, Away>(Session::open(link, terms.open()).await)
        };
        let opened = timeout(terms.connect, attempt).await;
        match opened.map_err(|_| gone(format!("no connection to {host} within {secs} s")))?? {
            Ok((session, hello)) => {
                let (sender, receiver) = session.split();
                return Ok(Talk { sender, receiver, facts: hello.facts });
            }
            Err(SessionError::Refused { why, .. }) => {
                if begun.elapsed() + TRY_AGAIN > terms.patience {
                    let hint = "wait until that run has ended, or end it; then run again".to_owned();
                    return Err(Away { why, hint: Some(hint) });
                }
                if !std::mem::replace(&mut told, true) {
                    heard(host, Heard::Held(why));
                }
                sleep(TRY_AGAIN).await;
            }
            Err(error) => {
                return Err(Away { hint: error.hint().map(str::to_owned), why: error.to_string() });
            }
        }
    }
}
