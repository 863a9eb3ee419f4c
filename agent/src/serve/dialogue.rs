//! What a running step may ask: content, leave, and to tell how far it is.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::inbox::{Answer, Awaited, Inbox};
use super::outbox::Outbox;
use super::spool::Spool;
use crate::operation::Dialogue;
use crate::operation::arrival::Arrival;
use crate::outcome::Failure;
use crate::protocol::message::{Reply, StepId};
use crate::value::{Content, UnitName};

/// At most one progress message in this time.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

pub(super) struct StepDialogue<'a> {
    step: StepId,
    inbox: &'a Inbox,
    outbox: &'a Outbox,
    spool: &'a mut Spool,
    told: Option<Instant>,
}

impl<'a> StepDialogue<'a> {
    pub(super) const fn new(
        step: StepId,
        inbox: &'a Inbox,
        outbox: &'a Outbox,
        spool: &'a mut Spool,
    ) -> Self {
        Self { step, inbox, outbox, spool, told: None }
    }
}

impl Dialogue for StepDialogue<'_> {
    fn content_arriving(&mut self, content: &Content, arrival: &Arrival) -> Result<PathBuf, Failure> {
        if let Some(path) = self.spool.find(content) {
            return Ok(path);
        }
        let (sha256, size) = (content.sha256, content.size);
        let what = || format!("content {} ({size} bytes) did not arrive", sha256.short());
        let failed = |error: std::io::Error| Failure::from_error(what(), &error);
        let mut incoming = self.spool.receive(content).map_err(failed)?;
        arrival.begin(incoming.reader().map_err(failed)?, incoming.offset());
        let waiting = self.inbox.await_answer(Awaited::Content(sha256));
        if incoming.offset() < size {
            self.outbox.send(&Reply::Need { step: self.step, sha256, size, offset: incoming.offset() });
        }
        while incoming.offset() < size {
            match waiting.next() {
                Some(Answer::Chunk(chunk)) => {
                    incoming.append(chunk.offset, &chunk.bytes).map_err(failed)?;
                    arrival.grown(incoming.offset());
                }
                Some(Answer::NoContent(why)) => {
                    return Err(Failure { causes: vec![why], ..Failure::new(what()) });
                }
                Some(Answer::Leave(_)) => {}
                Some(Answer::Gone) => {
                    let hint = format!(
                        "{} of {size} bytes are kept; run again to go on from there",
                        incoming.offset()
                    );
                    let cause = "the link to the orchestrator is gone".to_owned();
                    return Err(Failure { causes: vec![cause], ..Failure::new(what()) }.hint(hint));
                }
                None => {
                    return Err(Failure {
                        causes: vec!["the run was cancelled".to_owned()],
                        ..Failure::new(what())
                    });
                }
            }
            if self.told.is_none_or(|told| told.elapsed() >= PROGRESS_EVERY) {
                self.told = Some(Instant::now());
                let (what, done) = ("receiving".to_owned(), incoming.offset());
                self.outbox.send(&Reply::Progress { step: self.step, what, done, total: size });
            }
        }
        drop(waiting);
        incoming.finish().map_err(failed)
    }

    fn permit(&mut self, unit: &UnitName, reason: &str) -> Result<(), Failure> {
        let what = || format!("unit {unit} was left alone");
        let waiting = self.inbox.await_answer(Awaited::Leave(self.step));
        self.outbox.send(&Reply::Ask { step: self.step, unit: unit.clone(), reason: reason.to_owned() });
        let cause = loop {
            break match waiting.next() {
                Some(Answer::Leave(None)) => return Ok(()),
                Some(Answer::Leave(Some(refused))) => refused,
                Some(Answer::Chunk(_) | Answer::NoContent(_)) => continue,
                Some(Answer::Gone) => {
                    "the link to the orchestrator is gone, so nobody could give leave to take it down"
                        .to_owned()
                }
                None => "the run was cancelled before leave was given to take it down".to_owned(),
            };
        };
        Err(Failure { causes: vec![cause], ..Failure::new(what()) })
    }

    fn progress(&mut self, what: &str, done: u64, total: u64) {
        if self.told.is_some_and(|told| told.elapsed() < PROGRESS_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        self.outbox.send(&Reply::Progress { step: self.step, what: what.to_owned(), done, total });
    }

    fn is_cancelled(&self) -> bool {
        self.inbox.is_cancelled() || self.inbox.is_hung_up()
    }
}
