//! Questions and the answers that belong to them. A host that answers something else than it was asked gave no answer.

use std::collections::BTreeMap;

use apim_protocol::observation::{Account, Answer, Entry, Listener, Reached, Resolved};
use apim_protocol::query::examine::Question;
use apim_protocol::value::{AbsPath, UnitName};

/// What the agent said of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::apim) struct AgentSeen {
    pub(in crate::apim) uid: u32,
    pub(in crate::apim) rooted: bool,
    pub(in crate::apim) open_files: u64,
    pub(in crate::apim) systemd: Option<u32>,
}

/// Questions with their answers.
#[derive(Debug)]
pub(in crate::apim) struct Pairs<'a>(Vec<(Question, &'a Answer)>);

impl<'a> Pairs<'a> {
    pub(in crate::apim) fn new(questions: Vec<Question>, answers: &'a [Answer]) -> Self {
        Self(questions.into_iter().zip(answers).collect())
    }

    fn find<T>(&self, take: impl Fn(&Question, &'a Answer) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(|(question, answer)| take(question, answer))
    }

    pub(in crate::apim) fn agent(&self) -> Option<AgentSeen> {
        self.find(|question, answer| match (question, answer) {
            (Question::Agent, Answer::Agent { uid, rooted, open_files, systemd }) => {
                Some(AgentSeen { uid: *uid, rooted: *rooted, open_files: *open_files, systemd: *systemd })
            }
            _ => None,
        })
    }

    /// Returns the clock in milliseconds since 1970, and who keeps it right.
    pub(in crate::apim) fn clock(&self) -> Option<(u64, Option<&'a str>)> {
        self.find(|question, answer| match (question, answer) {
            (Question::Clock, Answer::Clock { unix_millis, keeper }) => {
                Some((*unix_millis, keeper.as_deref()))
            }
            _ => None,
        })
    }

    /// Returns number, folder and free bytes of the file system of `path`, or why they are not known.
    pub(in crate::apim) fn space(&self, path: &AbsPath) -> Option<Result<(u64, &'a str, u64), &'a str>> {
        self.find(|question, answer| match (question, answer) {
            (Question::Space(asked), Answer::Space { device, folder, free_bytes }) if asked == path => {
                Some(Ok((*device, folder.as_str(), *free_bytes)))
            }
            (Question::Space(asked), Answer::Unknown(why)) if asked == path => Some(Err(why.as_str())),
            _ => None,
        })
    }

    pub(in crate::apim) fn listeners(&self) -> Option<&'a [Listener]> {
        self.find(|question, answer| match (question, answer) {
            (Question::Listeners { .. }, Answer::Listeners(found)) => Some(found.as_slice()),
            _ => None,
        })
    }

    pub(in crate::apim) fn names(&self) -> Option<&'a [Resolved]> {
        self.find(|question, answer| match (question, answer) {
            (Question::Names { .. }, Answer::Names(found)) => Some(found.as_slice()),
            _ => None,
        })
    }

    pub(in crate::apim) fn reached(&self, host: &str, port: u16) -> Option<&'a Reached> {
        self.find(|question, answer| match (question, answer) {
            (Question::Reach(_), Answer::Reach(found)) => {
                found.iter().find(|one| one.host == host && one.port == port)
            }
            _ => None,
        })
    }

    /// Returns the text at `path`, without white space around it; `None` where there is none or it could not be read.
    pub(in crate::apim) fn text(&self, path: &str) -> Option<&'a str> {
        self.find(|question, answer| match (question, answer) {
            (Question::Text(asked), Answer::Text(Some(text))) if asked.as_str() == path => Some(text.trim()),
            _ => None,
        })
    }

    /// Returns the number at `path`.
    pub(in crate::apim) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// Returns the version told by `program`, and who told or why nobody did.
    pub(in crate::apim) fn version(&self, program: &AbsPath) -> Option<(Option<&'a str>, &'a str)> {
        self.find(|question, answer| match (question, answer) {
            (Question::Version(of), Answer::Version { found, whence }) if of.program == *program => {
                Some((found.as_deref(), whence.as_str()))
            }
            _ => None,
        })
    }

    /// Returns what stands at `path`: `Some(None)` for nothing, `None` when that is not known.
    pub(in crate::apim) fn entry(&self, path: &AbsPath) -> Option<Option<&'a Entry>> {
        self.find(|question, answer| match (question, answer) {
            (Question::Entry { path: asked, .. }, Answer::Entry(found)) if asked == path => {
                Some(found.as_ref())
            }
            _ => None,
        })
    }

    pub(in crate::apim) fn account(&self, name: &str) -> Option<Option<&'a Account>> {
        self.find(|question, answer| match (question, answer) {
            (Question::Account(asked), Answer::Account(found)) if asked == name => Some(found.as_ref()),
            _ => None,
        })
    }

    pub(in crate::apim) fn unit(&self, unit: &UnitName) -> Option<&'a BTreeMap<String, String>> {
        self.find(|question, answer| match (question, answer) {
            (Question::Unit { unit: asked, .. }, Answer::Unit(found)) if asked == unit => Some(found),
            _ => None,
        })
    }

    pub(in crate::apim) fn holds(&self, path: &AbsPath) -> Option<&'a [bool]> {
        self.find(|question, answer| match (question, answer) {
            (Question::Holds { path: asked, .. }, Answer::Holds(found)) if asked == path => {
                Some(found.as_slice())
            }
            _ => None,
        })
    }

    /// Says whether the host is a container: some of what it says is then its machine's.
    pub(in crate::apim) fn is_container(&self) -> bool {
        self.text(super::questions::CONTAINER).is_some_and(|kind| !kind.is_empty())
    }
}
