//! Talking to systemd through `systemctl` and `journalctl`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use apim_protocol::outcome::Failure;
use apim_protocol::value::{AbsPath, UnitName};

use crate::probe::clock::Moment;
use crate::probe::text::{harmless, shortened};
use crate::system::{Program, System};

/// How long systemd may take for an answer, or for the start of a unit that notifies when it is ready.
const ANSWER_SECS: u64 = 60;
const START_SECS: u64 = 600;
/// A start that systemd refuses comes back within this time.
const REFUSAL: Duration = Duration::from_secs(2);

/// What systemd says of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// `loaded`, `not-found`, `masked`, …
    pub(crate) load: String,
    /// `active`, `activating`, `deactivating`, `inactive`, `failed`, …
    pub(crate) active: String,
    /// `enabled`, `disabled`, `static`, …; empty when there is no unit file.
    pub(crate) file: String,
    /// Why it failed last, such as `exit-code`.
    pub(crate) result: String,
    /// How often systemd restarted it by itself.
    pub(crate) restarts: Option<u64>,
    /// Whether the unit file on the disk is newer than what systemd holds.
    pub(crate) needs_reload: bool,
}

impl Shown {
    pub(crate) fn parse(text: &str) -> Self {
        let values: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let value = |key| values.get(key).map(|value| shortened(value, 100)).unwrap_or_default();
        Self {
            load: value("LoadState"),
            active: value("ActiveState"),
            file: value("UnitFileState"),
            result: value("Result"),
            restarts: value("NRestarts").parse().ok(),
            needs_reload: value("NeedDaemonReload") == "yes",
        }
    }

    /// Says whether the unit exists as far as systemd knows.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self.load.as_str(), "not-found" | "")
    }

    /// Says whether it runs, or is on its way up.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.active.as_str(), "active" | "activating" | "reloading" | "refreshing")
    }

    /// Says whether nothing of it runs, and nothing will by itself.
    pub(crate) fn is_down(&self) -> bool {
        matches!(self.active.as_str(), "inactive" | "failed" | "")
    }

    /// Says whether it starts at boot; `None` for a unit that has no such choice.
    pub(crate) fn is_enabled(&self) -> Option<bool> {
        match self.file.as_str() {
            "static" | "generated" | "transient" | "indirect" | "alias" => None,
            file => Some(file == "enabled"),
        }
    }

    /// Returns the word for people.
    pub(crate) fn word(&self) -> String {
        if self.is_known() { self.active.clone() } else { "missing".to_owned() }
    }
}

/// Returns where the unit's file lies.
pub(crate) fn unit_file(unit: &UnitName) -> Result<AbsPath, Failure> {
    AbsPath::parse(&format!("/etc/systemd/system/{unit}.service"))
        .map_err(|error| Failure::from_error(format!("unit {unit} cannot have a file"), &error))
}

/// Asks systemd what it knows of `unit`.
pub(crate) fn show(system: &System, unit: &UnitName) -> Result<Shown, Failure> {
    let properties = "--property=LoadState,ActiveState,UnitFileState,Result,NRestarts,NeedDaemonReload";
    let program = Program {
        timeout_secs: ANSWER_SECS,
        ..Program::new(["systemctl".to_owned(), "show".to_owned(), properties.to_owned(), service(unit)])
    };
    let output = system.run(&program)?;
    if output.ended.is_success() {
        return Ok(Shown::parse(&output.stdout));
    }
    Err(Failure {
        causes: output.tail(5),
        ..Failure::new(format!("systemd gives no answer about {unit} ({})", output.ended))
    })
}

/// Makes systemd reload all unit files.
pub(crate) fn reload(system: &System) -> Result<(), Failure> {
    systemctl(system, &["daemon-reload"], ANSWER_SECS, "systemd does not reload its unit files")
}

/// Enables or disables the unit at boot; systemd reloads all unit files with it.
pub(crate) fn enable(system: &System, unit: &UnitName, wanted: bool) -> Result<(), Failure> {
    let (verb, what) = if wanted { ("enable", "enabled") } else { ("disable", "disabled") };
    systemctl(
        system,
        &[verb, "--quiet", &service(unit)],
        ANSWER_SECS,
        &format!("unit {unit} cannot be {what}"),
    )
}

/// Starts the unit and waits until systemd counts it as started.
///
/// systemd refuses a start that comes too soon after several others, and its answer does not
/// differ from other failures; but it refuses at once. So a start that fails quickly is retried after a reset.
pub(crate) fn start(system: &System, unit: &UnitName) -> Result<(), Failure> {
    let what = format!("unit {unit} cannot be started");
    let begin = || systemctl(system, &["start", &service(unit)], START_SECS, &what);
    let begun = Instant::now();
    match begin() {
        Err(_) if begun.elapsed() < REFUSAL => {
            forget_failure(system, unit)?;
            begin()
        }
        other => other,
    }
}

/// Makes systemd stop the unit; does not wait.
pub(crate) fn stop(system: &System, unit: &UnitName) -> Result<(), Failure> {
    systemctl(
        system,
        &["stop", "--no-block", &service(unit)],
        ANSWER_SECS,
        &format!("unit {unit} cannot be stopped"),
    )
}

/// Sends KILL to everything in the unit.
pub(crate) fn kill(system: &System, unit: &UnitName) -> Result<(), Failure> {
    let what = format!("unit {unit} cannot be ended");
    systemctl(system, &["kill", "--signal=SIGKILL", &service(unit)], ANSWER_SECS, &what)
}

/// Takes the mark of an earlier failure off the unit.
pub(crate) fn forget_failure(system: &System, unit: &UnitName) -> Result<(), Failure> {
    systemctl(system, &["reset-failed", &service(unit)], ANSWER_SECS, "systemd does not forget the failure")
}

/// Returns the last lines that the unit printed since `moment`, at most `count`.
///
/// Empty when the journal cannot be read: it is asked to explain, never to decide.
pub(crate) fn output_since(system: &System, unit: &UnitName, moment: &Moment, count: usize) -> Vec<String> {
    let argv = [
        "journalctl".to_owned(),
        format!("--unit={}", service(unit)),
        "--output=cat".to_owned(),
        format!("--since={}", moment.for_journal()),
        format!("--lines={count}"),
        "--no-pager".to_owned(),
        "--quiet".to_owned(),
    ];
    let program = Program { timeout_secs: 5, ..Program::new(argv) };
    match system.run(&program) {
        Ok(output) if output.ended.is_success() => {
            output.stdout.lines().map(|line| harmless(line.as_bytes())).collect()
        }
        _ => Vec::new(),
    }
}

fn service(unit: &UnitName) -> String {
    format!("{unit}.service")
}

fn systemctl(system: &System, words: &[&str], secs: u64, what: &str) -> Result<(), Failure> {
    let argv = ["systemctl", "--no-ask-password"].iter().chain(words).map(|word| (*word).to_owned());
    let output = system.run(&Program { timeout_secs: secs, ..Program::new(argv) })?;
    if output.ended.is_success() {
        return Ok(());
    }
    let failure = Failure { causes: output.tail(5), ..Failure::new(format!("{what} ({})", output.ended)) };
    Err(if system.is_privileged() {
        failure
    } else {
        failure.hint("services are managed as root: use become")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_shows_is_understood() {
        let shown = Shown::parse(
            "LoadState=loaded\nActiveState=activating\nUnitFileState=enabled\nResult=success\nNRestarts=3\nNeedDaemonReload=yes\n",
        );
        assert!(shown.is_known() && shown.is_up() && !shown.is_down() && shown.needs_reload);
        assert_eq!((shown.is_enabled(), shown.restarts), (Some(true), Some(3)));
        let missing = Shown::parse("LoadState=not-found\nActiveState=inactive\nUnitFileState=\n");
        assert!(missing.is_down() && !missing.is_up());
        assert_eq!((missing.word().as_str(), missing.is_enabled()), ("missing", Some(false)));
        assert_eq!(
            Shown::parse("LoadState=loaded\nActiveState=active\nUnitFileState=static").is_enabled(),
            None
        );
    }
}
