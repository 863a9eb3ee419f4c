//! What a running step may request: content, a permit, and to report progress.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use apim_protocol::message::{Reply, StepId};
use apim_protocol::observation::LogEntry;
use apim_protocol::operation::archive::outline::MAX_BYTES;
use apim_protocol::operation::archive::part;
use apim_protocol::operation::archive::part::Part;
use apim_protocol::outcome::Failure;
use apim_protocol::value::{Content, UnitName};

use super::inbox::{Answer, Awaited, Inbox};
use super::outbox::Outbox;
use super::spool::{Incoming, Spool};
use crate::operation::support::arrival::Arrival;
use crate::operation::support::dialogue::{Dialogue, Report};

/// At most one progress message in this time.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// How often it is looked whether there is room on the way again.
const ROOM_EVERY: Duration = Duration::from_millis(10);

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

    /// Says `need`, and receives what comes.
    fn arrive(
        &mut self,
        content: &Content,
        mut incoming: Incoming,
        need: Reply,
        arrival: &Arrival,
    ) -> Result<PathBuf, Failure> {
        let failed = |error: std::io::Error| Failure::from_error(missing(content), &error);
        let size = incoming.size();
        let waiting = self.inbox.await_answer(Awaited::Content(content.sha256));
        if incoming.offset() < size {
            self.outbox.send(&need);
        }
        while incoming.offset() < size {
            match waiting.next() {
                Some(Answer::Chunk(chunk)) => {
                    incoming.append(chunk.offset, &chunk.bytes).map_err(failed)?;
                    arrival.grown(incoming.offset());
                }
                Some(Answer::NoContent(why)) => return Err(lost(content, why)),
                Some(Answer::Leave(_) | Answer::Outline(_)) => {}
                Some(Answer::Gone) => {
                    let hint = format!(
                        "{} of {size} bytes are kept; re-run to resume the upload",
                        incoming.offset()
                    );
                    return Err(lost(content, GONE).hint(hint));
                }
                None => return Err(lost(content, CANCELLED)),
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
}

const GONE: &str = "the link to the orchestrator is gone";
const CANCELLED: &str = "the run was cancelled";

/// Says what did not arrive.
fn missing(content: &Content) -> String {
    format!("content {} ({} bytes) did not arrive", content.sha256.short(), content.size)
}

fn lost(content: &Content, cause: impl Into<String>) -> Failure {
    Failure { causes: vec![cause.into()], ..Failure::new(missing(content)) }
}

impl Dialogue for StepDialogue<'_> {
    fn content_arriving(&mut self, content: &Content, arrival: &Arrival) -> Result<PathBuf, Failure> {
        if let Some(path) = self.spool.find(content) {
            return Ok(path);
        }
        let what = || missing(content);
        let failed = |error: std::io::Error| Failure::from_error(what(), &error);
        let incoming = self.spool.receive(content).map_err(failed)?;
        arrival.begin(incoming.reader().map_err(failed)?, incoming.offset());
        let (step, sha256, size, offset) = (self.step, content.sha256, content.size, incoming.offset());
        self.arrive(content, incoming, Reply::Need { step, sha256, size, offset }, arrival)
    }

    fn outline(&mut self, content: &Content) -> Result<Option<PathBuf>, Failure> {
        if self.spool.has_some(content) {
            return Ok(None);
        }
        let sha256 = content.sha256;
        let waiting = self.inbox.await_answer(Awaited::Outline(sha256));
        self.outbox.send(&Reply::Outline { step: self.step, sha256 });
        let outline = loop {
            break match waiting.next() {
                Some(Answer::Outline(outline)) => outline,
                Some(Answer::Gone) => return Err(lost(content, GONE)),
                None => return Err(lost(content, CANCELLED)),
                Some(Answer::Chunk(_) | Answer::NoContent(_) | Answer::Leave(_)) => continue,
            };
        };
        drop(waiting);
        match outline.filter(|outline| outline.size <= MAX_BYTES) {
            Some(outline) => self.content(&outline).map(Some),
            None => Ok(None),
        }
    }

    fn parts(&mut self, content: &Content, parts: &[Part]) -> Result<PathBuf, Failure> {
        let Some(total) = part::total(parts, content.size) else {
            return Err(lost(content, "parts were asked for that it cannot have"));
        };
        let failed = |error: std::io::Error| Failure::from_error(missing(content), &error);
        let incoming = self.spool.receive_parts(content, parts, total).map_err(failed)?;
        let (step, sha256, size, offset) = (self.step, content.sha256, content.size, incoming.offset());
        let need = Reply::NeedParts { step, sha256, size, parts: parts.to_vec(), offset };
        self.arrive(content, incoming, need, &Arrival::default())
    }

    fn permit(&mut self, unit: &UnitName, reason: &str) -> Result<(), Failure> {
        let what = || format!("unit {unit} was not restarted");
        let waiting = self.inbox.await_answer(Awaited::Leave(self.step));
        self.outbox.send(&Reply::PermitRequest {
            step: self.step,
            unit: unit.clone(),
            reason: reason.to_owned(),
        });
        let cause = loop {
            break match waiting.next() {
                Some(Answer::Leave(None)) => return Ok(()),
                Some(Answer::Leave(Some(refused))) => refused,
                Some(Answer::Chunk(_) | Answer::NoContent(_) | Answer::Outline(_)) => continue,
                Some(Answer::Gone) => {
                    "the link to the orchestrator was lost before a permit to take it down was granted"
                        .to_owned()
                }
                None => "the run was cancelled before a permit to take it down was granted".to_owned(),
            };
        };
        Err(Failure { causes: vec![cause], ..Failure::new(what()) })
    }
}

impl Report for StepDialogue<'_> {
    fn progress(&mut self, what: &str, done: u64, total: u64) {
        if self.told.is_some_and(|told| told.elapsed() < PROGRESS_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        self.outbox.send(&Reply::Progress { step: self.step, what: what.to_owned(), done, total });
    }

    fn entries(&mut self, entries: Vec<LogEntry>, is_live: bool) {
        while self.outbox.is_full() && !self.is_cancelled() {
            thread::sleep(ROOM_EVERY);
        }
        self.outbox.send(&Reply::Entries { step: self.step, entries, is_live });
    }

    fn is_cancelled(&self) -> bool {
        self.inbox.is_cancelled() || self.inbox.is_hung_up()
    }

    fn is_called_off(&self) -> bool {
        self.inbox.is_cancelled()
    }
}
