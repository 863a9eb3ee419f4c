//! Answers of hosts, findings and rows.

use std::collections::BTreeMap;

use apim_protocol::facts::Facts;
use apim_protocol::observation::Answer;
use apim_protocol::outcome::Failure;
use apim_protocol::value::Sha256;

use super::pairs::Pairs;
use crate::cluster::Cluster;
use crate::settings::preflight::Check;

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// The check passed.
    Ok,
    /// The check could not be done.
    Unknown,
    /// A warning; the deployment can go on.
    Warn,
    /// Nothing is changed until this is fixed.
    Fail,
}

impl Status {
    /// Returns the word for tables and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// One check of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The host's name in the inventory.
    pub host: String,
    /// The check.
    pub check: Check,
    /// The result.
    pub status: Status,
    /// The finding.
    pub found: String,
    /// How to fix it.
    pub remedy: Option<String>,
}

/// A host's facts and answers.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    /// Its name in the inventory.
    pub host: &'a str,
    /// The host's facts.
    pub facts: Option<&'a Facts>,
    /// Its answers to [`super::examine`]'s questions, or why there are none.
    pub answers: Result<&'a [Answer], Failure>,
    /// When its answers arrived, in milliseconds since 1970 by this machine's clock.
    pub heard_millis: Option<u64>,
}

/// A finding of a check; several findings form one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) status: Status,
    pub(super) found: String,
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(found: impl Into<String>) -> Self {
        Self { status: Status::Ok, found: found.into(), remedy: None }
    }

    pub(super) fn unknown(found: impl Into<String>) -> Self {
        Self { status: Status::Unknown, found: found.into(), remedy: None }
    }

    pub(super) fn warn(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Warn, found: found.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn fail(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Fail, found: found.into(), remedy: Some(remedy.into()) }
    }
}

/// Shared input of all checks.
pub(super) struct Context<'a> {
    pub(super) cluster: &'a Cluster,
    /// Known sizes of zips in bytes, by digest.
    pub(super) sizes: &'a BTreeMap<Sha256, u64>,
    /// Every host that answered.
    pub(super) hosts: BTreeMap<&'a str, Pairs<'a>>,
    /// How far each host's clock is ahead of this machine's, in milliseconds.
    pub(super) ahead: BTreeMap<&'a str, i64>,
}
