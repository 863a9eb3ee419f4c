//! The receiving half of a session: replies, each bounded and sanitized.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use apim_protocol::facts::Facts;
use apim_protocol::message::Reply;
use apim_protocol::observation::{
    Account, Answer, Disk, Entry, IntegrityError, JournalEntry, Listener, Machine, Observation, Printed,
    Reached, Recorded, Resolved, Served,
};
use apim_protocol::outcome::{Change, Difference, Failure, Outcome};

use super::error::SessionError;
use super::frame::{FrameError, FrameReader};
use super::text::{is_neutral, neutral, one_line};

/// Timeout for the exit status after the agent's output has ended.
const EXIT_STATUS: Duration = Duration::from_secs(10);

/// Maximum length of one text of a reply, in bytes.
const TEXT: usize = 8 * 1024;
/// Maximum length of a diff, in bytes.
const DIFF: usize = 512 * 1024;
/// Maximum length of one output of a program, in bytes.
const PRINTED: usize = 128 * 1024;
/// Maximum length of one log entry, in bytes, and maximum number of log entries in one reply.
const ENTRY: usize = 64 * 1024;
const BATCH: usize = 50_000;
/// Maximum number of journal entries in one reply.
const JOURNAL_ENTRIES: usize = 5000;
/// Maximum number of entries in any other list of a reply.
const ENTRIES: usize = 1000;

/// Receives the replies of one agent.
pub struct Receiver {
    pub(super) peer: Arc<str>,
    pub(super) frames: FrameReader,
    pub(super) ended: Option<Pin<Box<dyn Future<Output = String> + Send>>>,
    pub(super) last: String,
    pub(super) over: bool,
}

impl Receiver {
    /// Returns the next reply, or `None` after Bye or a refusal.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// When the stream ends without Bye, or contains an invalid message.
    pub async fn next(&mut self) -> Result<Option<Reply>, SessionError> {
        if self.over {
            return Ok(None);
        }
        let payload = match self.frames.next().await {
            Ok(Some(payload)) => payload,
            Ok(None) | Err(FrameError::Io(_) | FrameError::Torn) => return Err(self.end("a reply").await),
            Err(error @ (FrameError::TooLong(_) | FrameError::Kind(_))) => {
                return Err(self.garbled(error.to_string()));
            }
        };
        let reply: Reply = serde_json::from_slice(&payload).map_err(|error| {
            self.garbled(format!("{error}: `{}`", one_line(payload.get(..200).unwrap_or(&payload), 200)))
        })?;
        let reply = bounded(reply);
        self.over = matches!(reply, Reply::Bye | Reply::Refused(_));
        self.last = describe(&reply);
        Ok(Some(reply))
    }

    /// Returns the error for a stream that ended while waiting for `awaited`.
    pub(super) async fn end(&mut self, awaited: &str) -> SessionError {
        SessionError::Ended {
            peer: self.peer.to_string(),
            awaited: awaited.to_owned(),
            last: self.last.clone(),
            ended: self.exit_reason().await,
        }
    }

    pub(super) async fn exit_reason(&mut self) -> String {
        let Some(ended) = self.ended.as_mut() else { return "the agent had already exited".to_owned() };
        match tokio::time::timeout(EXIT_STATUS, ended).await {
            Ok(words) => {
                self.ended = None;
                neutral(&words, super::text::Tail::LIMIT + 1024)
            }
            Err(_) => "the agent closed its output but did not exit".to_owned(),
        }
    }

    fn garbled(&self, why: String) -> SessionError {
        SessionError::Garbled { peer: self.peer.to_string(), why }
    }
}

/// Returns a short description of `reply`.
pub(super) fn describe(reply: &Reply) -> String {
    match reply {
        Reply::Hello(_) => "hello".to_owned(),
        Reply::Refused(_) => "a refusal".to_owned(),
        Reply::Started { step } => format!("step {} started", step.0),
        Reply::Progress { step, what, done, total } => {
            format!("step {}: {} {done}/{total}", step.0, one_line(what.as_bytes(), 200))
        }
        Reply::Entries { step, entries, .. } => format!("step {}: {} entries", step.0, entries.len()),
        Reply::Need { step, size, offset, .. } => {
            format!("step {} requests bytes {offset} to {size}", step.0)
        }
        Reply::NeedParts { step, parts, .. } => format!("step {} requests {} parts", step.0, parts.len()),
        Reply::Outline { step, .. } => format!("step {} requests an outline", step.0),
        Reply::PermitRequest { step, unit, .. } => {
            format!("step {} requests a disruption permit for {unit}", step.0)
        }
        Reply::Finished { step, .. } => format!("step {} finished", step.0),
        Reply::Bye => "bye".to_owned(),
    }
}

/// Returns `reply` with every text bounded and sanitized, and every list truncated.
fn bounded(mut reply: Reply) -> Reply {
    match &mut reply {
        Reply::Hello(hello) => {
            text(&mut hello.build);
            facts(&mut hello.facts);
            hello.done.truncate(ENTRIES);
            hello.done.iter_mut().for_each(|done| self::outcome(&mut done.outcome));
        }
        Reply::Refused(refused) => text(&mut refused.why),
        Reply::Progress { what, .. } => text(what),
        Reply::Entries { entries, .. } => {
            entries.truncate(BATCH);
            entries.iter_mut().for_each(|entry| long_text(&mut entry.text, ENTRY));
        }
        Reply::PermitRequest { reason, .. } => text(reason),
        Reply::Finished { outcome, .. } => self::outcome(outcome),
        Reply::Started { .. }
        | Reply::Need { .. }
        | Reply::NeedParts { .. }
        | Reply::Outline { .. }
        | Reply::Bye => {}
    }
    reply
}

fn outcome(outcome: &mut Outcome) {
    match outcome {
        Outcome::Ok => {}
        Outcome::Observed(seen) => observation(seen),
        Outcome::WouldChange(difference) | Outcome::Changed(difference) => self::difference(difference),
        Outcome::Skipped(why) => text(why),
        Outcome::Failed(failure) => self::failure(failure),
    }
}

fn text(text: &mut String) {
    long_text(text, TEXT);
}

fn long_text(text: &mut String, limit: usize) {
    if !is_neutral(text, limit) {
        *text = neutral(text, limit);
    }
}

fn texts(list: &mut Vec<String>) {
    list.truncate(ENTRIES);
    list.iter_mut().for_each(text);
}

fn facts(facts: &mut Facts) {
    let Facts { hostname, architecture, kernel, os, os_version, .. } = facts;
    [hostname, architecture, kernel, os, os_version].into_iter().for_each(|fact| long_text(fact, 256));
}

fn difference(Difference { changes, diff }: &mut Difference) {
    changes.truncate(ENTRIES);
    changes.iter_mut().for_each(change);
    diff.iter_mut().for_each(|diff| long_text(diff, DIFF));
}

fn change(change: &mut Change) {
    match change {
        Change::Release(release) if release.is_valid() => {}
        Change::Release(release) => {
            *change = Change::Text(release.to_string());
            self::change(change);
        }
        Change::Restart { reasons } => texts(reasons),
        Change::Content { .. } => {}
        Change::Text(statement) => text(statement),
    }
}

fn failure(Failure { what, causes, log, hint }: &mut Failure) {
    text(what);
    texts(causes);
    texts(log);
    hint.iter_mut().for_each(text);
}

fn observation(seen: &mut Observation) {
    text(&mut seen.unit);
    seen.links = std::mem::take(&mut seen.links)
        .into_iter()
        .take(ENTRIES)
        .map(|(path, target)| (neutral(&path, TEXT), target.map(|target| neutral(&target, TEXT))))
        .collect();
    seen.started_with = std::mem::take(&mut seen.started_with)
        .into_iter()
        .take(ENTRIES)
        .map(|(label, digest)| (neutral(&label, TEXT), neutral(&digest, TEXT)))
        .collect::<BTreeMap<_, _>>();
    texts(&mut seen.arguments);
    seen.certificates.truncate(ENTRIES);
    for Served { certificate, problem, .. } in &mut seen.certificates {
        certificate.iter_mut().chain(problem).for_each(text);
    }
    seen.answers.truncate(ENTRIES);
    seen.answers.iter_mut().for_each(answer);
    seen.gates.truncate(ENTRIES);
    for gate in &mut seen.gates {
        text(&mut gate.what);
        text(&mut gate.answer);
    }
}

fn answer(answer: &mut Answer) {
    match answer {
        Answer::Clock { keeper, .. } => keeper.iter_mut().for_each(text),
        Answer::Space { folder, .. } => text(folder),
        Answer::Listeners(found) => {
            found.truncate(ENTRIES);
            for Listener { address, name, account, .. } in found {
                [address, name, account].into_iter().for_each(text);
            }
        }
        Answer::Names(found) => {
            found.truncate(ENTRIES);
            for Resolved { name, addresses, problem, line } in found {
                text(name);
                texts(addresses);
                problem.iter_mut().for_each(text);
                line.iter_mut().for_each(|(_, address)| text(address));
            }
        }
        Answer::Reach(found) => {
            found.truncate(ENTRIES);
            for Reached { host, problem, .. } in found {
                text(host);
                problem.iter_mut().for_each(text);
            }
        }
        Answer::Text(held) => held.iter_mut().for_each(text),
        Answer::Version { found, whence } => {
            found.iter_mut().for_each(text);
            text(whence);
        }
        Answer::Entry(Some(Entry { kind, owner, group, sha256, .. })) => {
            [kind, owner, group].into_iter().chain(sha256).for_each(text);
        }
        Answer::Account(Some(Account { shell, .. })) => text(shell),
        Answer::Unit(properties) => {
            *properties = std::mem::take(properties)
                .into_iter()
                .take(ENTRIES)
                .map(|(key, value)| (neutral(&key, TEXT), neutral(&value, TEXT)))
                .collect();
        }
        Answer::Printed(printed) => {
            let Printed { stdout, stderr, .. } = printed.as_mut();
            [stdout, stderr].into_iter().for_each(|output| long_text(output, PRINTED));
        }
        Answer::Machine(machine) => {
            let Machine { system, processor, addresses, disks, zone, .. } = machine.as_mut();
            [system, processor, zone].into_iter().for_each(text);
            texts(addresses);
            disks.truncate(ENTRIES);
            for Disk { folder, kind, .. } in disks {
                [folder, kind].into_iter().for_each(text);
            }
        }
        Answer::Within(names) => texts(names),
        Answer::Recorded(recorded) => {
            let Recorded { entries, last, integrity_error, .. } = recorded.as_mut();
            entries.truncate(JOURNAL_ENTRIES);
            for JournalEntry { run, operator, title, outcome, detail, .. } in entries {
                [run, operator, title, outcome].into_iter().for_each(text);
                texts(detail);
            }
            last.iter_mut().for_each(text);
            integrity_error
                .iter_mut()
                .for_each(|IntegrityError { file, what, .. }| [file, what].into_iter().for_each(text));
        }
        Answer::Holds(found) => found.truncate(ENTRIES),
        Answer::Unknown(why) => text(why),
        Answer::Entry(None) | Answer::Account(None) | Answer::Agent { .. } => {}
    }
}
