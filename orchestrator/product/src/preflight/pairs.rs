//! Pairs of questions and answers. An answer of the wrong type counts as no answer.

use std::collections::BTreeMap;

use apim_protocol::observation::{Account, Answer, Entry, Listener, Reached, Resolved};
use apim_protocol::query::examine::Question;
use apim_protocol::value::{AbsPath, UnitName};

/// The agent's process and host information.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AgentSeen {
    pub(crate) uid: u32,
    pub(crate) rooted: bool,
    pub(crate) open_files: u64,
    pub(crate) systemd: Option<u32>,
}

/// Questions with their answers.
#[derive(Debug)]
pub(crate) struct Pairs<'a>(Vec<(Question, &'a Answer)>);

impl<'a> Pairs<'a> {
    pub(crate) fn new(questions: Vec<Question>, answers: &'a [Answer]) -> Self {
        Self(questions.into_iter().zip(answers).collect())
    }

    fn find<T>(&self, take: impl Fn(&Question, &'a Answer) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(|(question, answer)| take(question, answer))
    }

    pub(crate) fn agent(&self) -> Option<AgentSeen> {
        self.find(|question, answer| match (question, answer) {
            (Question::Agent, Answer::Agent { uid, rooted, open_files, systemd }) => {
                Some(AgentSeen { uid: *uid, rooted: *rooted, open_files: *open_files, systemd: *systemd })
            }
            _ => None,
        })
    }

    /// Returns the clock in milliseconds since 1970, and its time sync daemon.
    pub(crate) fn clock(&self) -> Option<(u64, Option<&'a str>)> {
        self.find(|question, answer| match (question, answer) {
            (Question::Clock, Answer::Clock { unix_millis, keeper }) => {
                Some((*unix_millis, keeper.as_deref()))
            }
            _ => None,
        })
    }

    /// Returns device number, folder and free bytes of the file system of `path`, or why they are
    /// unknown.
    pub(crate) fn space(&self, path: &AbsPath) -> Option<Result<(u64, &'a str, u64), &'a str>> {
        self.find(|question, answer| match (question, answer) {
            (Question::Space(asked), Answer::Space { device, folder, free_bytes }) if asked == path => {
                Some(Ok((*device, folder.as_str(), *free_bytes)))
            }
            (Question::Space(asked), Answer::Unknown(why)) if asked == path => Some(Err(why.as_str())),
            _ => None,
        })
    }

    pub(crate) fn listeners(&self) -> Option<&'a [Listener]> {
        self.find(|question, answer| match (question, answer) {
            (Question::Listeners { .. }, Answer::Listeners(found)) => Some(found.as_slice()),
            _ => None,
        })
    }

    pub(crate) fn names(&self) -> Option<&'a [Resolved]> {
        self.find(|question, answer| match (question, answer) {
            (Question::Names { .. }, Answer::Names(found)) => Some(found.as_slice()),
            _ => None,
        })
    }

    pub(crate) fn reached(&self, host: &str, port: u16) -> Option<&'a Reached> {
        self.find(|question, answer| match (question, answer) {
            (Question::Reach(_), Answer::Reach(found)) => {
                found.iter().find(|one| one.host == host && one.port == port)
            }
            _ => None,
        })
    }

    /// Returns the trimmed text of the file `path`; `None` if it is missing or could not be read.
    pub(crate) fn text(&self, path: &str) -> Option<&'a str> {
        self.find(|question, answer| match (question, answer) {
            (Question::Text(asked), Answer::Text(Some(text))) if asked.as_str() == path => Some(text.trim()),
            _ => None,
        })
    }

    /// Returns the number in the file `path`.
    pub(crate) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// Returns the version of `program`, and its source or the reason why it is unknown.
    pub(crate) fn version(&self, program: &AbsPath) -> Option<(Option<&'a str>, &'a str)> {
        self.find(|question, answer| match (question, answer) {
            (Question::Version(of), Answer::Version { found, whence }) if of.program == *program => {
                Some((found.as_deref(), whence.as_str()))
            }
            _ => None,
        })
    }

    /// Returns the entry at `path`: `Some(None)` if it does not exist, `None` if unknown.
    pub(crate) fn entry(&self, path: &AbsPath) -> Option<Option<&'a Entry>> {
        self.find(|question, answer| match (question, answer) {
            (Question::Entry { path: asked, .. }, Answer::Entry(found)) if asked == path => {
                Some(found.as_ref())
            }
            _ => None,
        })
    }

    pub(crate) fn account(&self, name: &str) -> Option<Option<&'a Account>> {
        self.find(|question, answer| match (question, answer) {
            (Question::Account(asked), Answer::Account(found)) if asked == name => Some(found.as_ref()),
            _ => None,
        })
    }

    pub(crate) fn unit(&self, unit: &UnitName) -> Option<&'a BTreeMap<String, String>> {
        self.find(|question, answer| match (question, answer) {
            (Question::Unit { unit: asked, .. }, Answer::Unit(found)) if asked == unit => Some(found),
            _ => None,
        })
    }

    pub(crate) fn holds(&self, path: &AbsPath) -> Option<&'a [bool]> {
        self.find(|question, answer| match (question, answer) {
            (Question::Holds { path: asked, .. }, Answer::Holds(found)) if asked == path => {
                Some(found.as_slice())
            }
            _ => None,
        })
    }

    /// Returns whether the host is a container: some of its facts are then those of the container
    /// host.
    pub(crate) fn is_container(&self) -> bool {
        self.text(super::paths::CONTAINER).is_some_and(|kind| !kind.is_empty())
    }
}
