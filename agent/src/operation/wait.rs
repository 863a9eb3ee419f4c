//! Wait until conditions hold, within a deadline; when they do not, say what was awaited, the last answer, and the first cause found.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::operation::revert::Proved;
use crate::operation::unit::record::Record;
use crate::operation::unit::releases::Releases;
use crate::operation::unit::{ProcessMatch, reading, supervisor};
use crate::operation::version::VersionOf;
use crate::operation::{Converge, Dialogue};
use crate::outcome::{Difference, Failure, Outcome};
use crate::system::System;
use crate::value::{AbsPath, UnitName};

mod cause;
pub(crate) mod examiner;
mod log_watch;
mod report;
mod service_watch;
#[cfg(test)]
mod tests;
mod watch;
mod words;

/// All `conditions` hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// What is awaited, for people, such as `gateway started`.
    pub awaited: String,
    /// All of these, each with its own words.
    pub conditions: Vec<Condition>,
    /// Seconds until it is given up.
    pub deadline_secs: u64,
    /// The service concerned: when its process is gone the wait ends at once.
    pub service: Option<Service>,
    /// Seconds for which the conditions must hold after the service first said that it is up; 0 asks for none. A service that
    /// said so longer ago is not waited for.
    #[serde(default)]
    pub settle_secs: u64,
    /// At most one cure, tried once.
    pub remedy: Option<Remedy>,
}

/// The service that a wait is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its unit (`/` state of the last start, journal).
    pub unit: UnitName,
    /// Its process.
    pub process: ProcessMatch,
    /// Its log, read from where it stood at the last start.
    pub log: Option<AbsPath>,
    /// What lines of the log or of its standard output mean, most telling first.
    pub causes: Vec<Cause>,
}

/// What a log line means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// A regular expression for the line.
    pub pattern: String,
    /// The cause in plain words.
    pub cause: String,
    /// What to do about it.
    pub hint: String,
    /// Whether the service can never become healthy once this was logged: the wait ends at once.
    pub fatal: bool,
}

/// One thing that can be true of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The service's process lives.
    Process(ProcessMatch),
    /// A TCP connection to `host:port` is accepted.
    Tcp {
        /// A name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// The service's own process listens on this TCP port (somebody else's does not count, and is named).
    Listens {
        /// The port.
        port: u16,
        /// Whose process.
        process: ProcessMatch,
    },
    /// The service's own process has an established TCP connection to `host:port`.
    Connected {
        /// A name or address of the peer.
        host: String,
        /// The peer's port.
        port: u16,
        /// Whose process.
        process: ProcessMatch,
    },
    /// A GET is answered so.
    Http {
        /// `http://` or `https://` URL.
        url: String,
        /// The status wanted.
        status: u16,
        /// A text that the body must hold.
        body_holds: Option<String>,
        /// Whether the certificate is verified; may be off for loopback addresses only.
        verify: bool,
        /// Whose answer it is.
        scope: Scope,
    },
    /// The log holds a line that matches, written since the unit's last start.
    Logged {
        /// The log file.
        log: AbsPath,
        /// A regular expression.
        pattern: String,
        /// Whose last start counts.
        since_start_of: UnitName,
    },
    /// A path exists.
    Exists(AbsPath),
    /// The main number of a version lies between these two, or is one of them.
    Version {
        /// Who tells it.
        of: VersionOf,
        /// The lowest that is accepted.
        lowest: u32,
        /// The highest that is accepted.
        highest: u32,
    },
    /// Nobody from elsewhere is connected to these ports of the host.
    Quiet {
        /// The ports.
        ports: Vec<u16>,
        /// Whose connections count; empty: everybody's, the host's own and those of `except` apart.
        from: Vec<IpAddr>,
        /// Whose do not.
        except: Vec<IpAddr>,
    },
    /// `then` holds, wherever `when` does: as long as `when` does not hold, this does. Both are looked at anew each time.
    Where {
        /// What makes `then` matter, such as a peer that answers.
        when: Box<Condition>,
        /// What must hold then.
        then: Box<Condition>,
    },
}

/// Whose state a condition shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The host's own: it stays the same as long as nothing is done there.
    Local,
    /// Another host's as well.
    Peer,
}

/// A cure for a service that is stuck: restart it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// The unit to restart (leave is asked first).
    pub unit: UnitName,
    /// Restart as soon as the log since the last start holds a match of this regular expression …
    pub when_logged: Option<String>,
    /// … or when the conditions do not hold after this many seconds (0: never for this reason).
    pub after_secs: u64,
    /// Why, for people.
    pub why: String,
    /// Seconds from TERM until KILL.
    pub stop_timeout_secs: u64,
}

impl Wait {
    /// Says which of the operation's regular expressions is not one.
    fn require_patterns(&self) -> Result<(), Failure> {
        let causes =
            self.service.iter().flat_map(|service| &service.causes).map(|cause| cause.pattern.as_str());
        let remedy = self.remedy.iter().filter_map(|remedy| remedy.when_logged.as_deref());
        let logged = self.conditions.iter().flat_map(Condition::patterns);
        for pattern in causes.chain(remedy).chain(logged) {
            regex::Regex::new(pattern).map_err(|error| {
                Failure::from_error(
                    format!("cannot wait for {}: a pattern is no regular expression", self.awaited),
                    &error,
                )
            })?;
        }
        Ok(())
    }
}

impl Wait {
    /// Keeps in mind that the service is healthy: from the release that it runs from, and with the files that it has read.
    fn note_up(&self, system: &System) {
        let Some(service) = &self.service else { return };
        let Ok(record) = Record::load(system, &service.unit) else { return };
        let running = supervisor::matcher(system, &service.process).find();
        let start = record.in_effect(running.iter().map(|process| process.started).min());
        // Without the notes it is only not known.
        if let Some(folder) = start.and_then(|start| start.release.as_ref()) {
            let proved = if self.settle_secs > 0 { Proved::Settled } else { Proved::Up };
            drop(Releases::note_up(system, &service.unit, (folder, proved)));
        }
        let said_so = |condition: &Condition| matches!(condition, Condition::Logged { since_start_of, .. } if *since_start_of == service.unit);
        if self.conditions.iter().any(said_so) {
            drop(reading::note_up(system, &service.unit, &running));
        }
    }
}

impl Converge for Wait {
    fn check(&self, system: &System) -> Result<Option<Difference>, Failure> {
        self.require_patterns()?;
        let unmet = watch::unmet(&mut examiner::Examiner::new(system), &self.conditions);
        if let Some((condition, answer)) = unmet {
            let what = format!("would wait: {}: {} ({})", self.awaited, condition.words(), answer.text);
            return Ok(Some(Difference::one(what)));
        }
        Ok(watch::unsettled(system, self).map(|_| {
            Difference::one(format!(
                "would wait: {}: that it stays so for {} s",
                self.awaited, self.settle_secs
            ))
        }))
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        _: &Difference,
    ) -> Result<Outcome, Failure> {
        self.require_patterns()?;
        watch::Watch::new(self, system)?.run(dialogue)
    }

    fn confirm(&self, system: &System) {
        self.note_up(system);
    }
}
