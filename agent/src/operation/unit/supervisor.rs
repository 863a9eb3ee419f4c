//! A service's status, stop and start: by systemd where there is one, else by its own command.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use apim_protocol::operation::unit::ProcessMatch;
use apim_protocol::outcome::Failure;
use apim_protocol::value::{AbsPath, UnitName};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use super::record::{Record, Start};
use super::{script, systemd};
use crate::operation::support::dialogue::Dialogue;
use crate::probe::clock::Moment;
use crate::probe::log::Mark;
use crate::probe::process;
use crate::probe::process::{Matcher, Process};
use crate::system::System;

/// How long the service's own process may take to show up behind the command that starts it.
const APPEARANCE: Duration = Duration::from_secs(5);
/// How long a process may take to vanish after KILL.
const KILL_PATIENCE: Duration = Duration::from_secs(20);

/// A service of this host.
#[derive(Debug)]
pub(crate) struct Supervisor<'a> {
    pub(crate) system: &'a System,
    pub(crate) name: &'a UnitName,
    pub(crate) matcher: Matcher,
}

/// How a service stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    /// What systemd shows, where there is one.
    pub(crate) shown: Option<systemd::Shown>,
    /// The service's own processes: those that match, and belong to it.
    pub(crate) own: Vec<Process>,
    /// All processes that belong to it.
    pub(crate) family: Vec<Process>,
    /// Processes that match but do not belong to it: started outside apim-deploy.
    pub(crate) strays: Vec<Process>,
    /// Without systemd: whether the command that was started still lives.
    pub(crate) is_led: bool,
}

impl Status {
    /// Says whether the service runs or is on its way up.
    pub(crate) fn is_up(&self) -> bool {
        self.shown.as_ref().map_or(self.is_led || !self.own.is_empty(), systemd::Shown::is_up)
    }

    /// Says whether nothing of it is left.
    pub(crate) fn is_down(&self) -> bool {
        self.family.is_empty() && self.shown.as_ref().is_none_or(systemd::Shown::is_down)
    }

    /// Returns how long after boot its oldest process began.
    pub(crate) fn since(&self) -> Option<Duration> {
        let processes = if self.own.is_empty() { &self.family } else { &self.own };
        processes.iter().map(|process| process.started).min()
    }

    /// Returns the word for people: systemd's, or `running` and `stopped`.
    pub(crate) fn word(&self) -> String {
        match &self.shown {
            Some(shown) => shown.word(),
            None if self.is_up() => "running".to_owned(),
            None => "stopped".to_owned(),
        }
    }
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// After TERM, in time.
    Gracefully,
    /// By KILL, because TERM did not do within this many seconds.
    Killed(u64),
}

impl<'a> Supervisor<'a> {
    /// Returns the service `name`, whose process is recognized by `process`.
    pub(crate) fn new(system: &'a System, name: &'a UnitName, process: &ProcessMatch) -> Self {
        Self { system, name, matcher: matcher(system, process) }
    }

    /// Looks at the service.
    pub(crate) fn status(&self, record: &Record) -> Result<Status, Failure> {
        let matched = self.matcher.find();
        if self.system.has_systemd() {
            let shown = systemd::show(self.system, self.name)?;
            let mut family = process::all();
            family.retain(|process| process.is_in_unit(self.name.as_str()));
            let (own, strays) =
                matched.into_iter().partition(|process| process.is_in_unit(self.name.as_str()));
            return Ok(Status { shown: Some(shown), own, family, strays, is_led: false });
        }
        let session = record.last().and_then(|start| start.session);
        let family = script::family(&matched, session);
        let is_led = family.iter().any(|process| Some(process.pid) == session);
        Ok(Status { shown: None, own: matched, family, strays: Vec::new(), is_led })
    }

    /// Ends the service: TERM, and after `patience_secs` KILL. Not cut short when the run is called off: a service that is
    /// half stopped must not stay so.
    pub(crate) fn stop(
        &self,
        status: &Status,
        patience_secs: u64,
        dialogue: &mut dyn Dialogue,
    ) -> Result<Stopped, Failure> {
        self.ask_to_end(status)?;
        let begun = Instant::now();
        let patience = Duration::from_secs(patience_secs);
        let gone = |dialogue: &mut dyn Dialogue, patience: Duration| {
            let begun = Instant::now();
            let what = format!("stopping {}", self.name);
            self.wait_until_gone(status, patience, &mut || {
                dialogue.progress(&what, begun.elapsed().as_secs(), patience.as_secs());
            })
        };
        let has_ended = gone(dialogue, patience)?;
        let secs = begun.elapsed().as_secs();
        if has_ended {
            // systemd has a limit of its own, and may have been quicker
            let is_killed = self.system.has_systemd() && self.took_too_long()?;
            return Ok(if is_killed { Stopped::Killed(secs) } else { Stopped::Gracefully });
        }
        if self.system.has_systemd() {
            // what it does not reach is reached below, one by one
            drop(systemd::kill(self.system, self.name));
        }
        for process in self.present(status)? {
            send(&process, Signal::KILL)?;
        }
        if !gone(dialogue, KILL_PATIENCE)? {
            let left: Vec<String> = self.present(status)?.iter().map(Process::label).collect();
            let what = format!("{} does not end, not even by KILL: {}", self.name, left.join(", "));
            return Err(Failure::new(what)
                .hint("it hangs in the kernel, most likely on a disk or a network file system; see dmesg"));
        }
        if self.system.has_systemd() {
            // the unit counts as failed now, which it is not: it was stopped
            drop(systemd::forget_failure(self.system, self.name));
        }
        Ok(Stopped::Killed(secs))
    }

    /// Says whether systemd ended the unit with KILL, and takes that mark off it: it was stopped, it did not fail.
    fn took_too_long(&self) -> Result<bool, Failure> {
        let shown = systemd::show(self.system, self.name)?;
        if shown.result == "timeout" {
            systemd::forget_failure(self.system, self.name)?;
        }
        Ok(shown.result == "timeout")
    }

    fn ask_to_end(&self, status: &Status) -> Result<(), Failure> {
        if self.system.has_systemd() {
            return systemd::stop(self.system, self.name);
        }
        status.family.iter().try_for_each(|process| send(process, Signal::TERM))
    }

    /// Waits until nothing of the service is left; says whether that came to be.
    fn wait_until_gone(
        &self,
        status: &Status,
        patience: Duration,
        tell: &mut dyn FnMut(),
    ) -> Result<bool, Failure> {
        let until = Instant::now() + patience;
        let mut pause = Duration::from_millis(10);
        loop {
            // looking at known processes is cheap, asking systemd is not
            if !status.family.iter().any(Process::is_alive) && self.is_gone(status)? {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            tell();
            thread::sleep(pause);
            pause = (pause * 3 / 2).min(Duration::from_millis(100));
        }
    }

    fn is_gone(&self, status: &Status) -> Result<bool, Failure> {
        if self.system.has_systemd() && !systemd::show(self.system, self.name)?.is_down() {
            return Ok(false);
        }
        Ok(self.present(status)?.is_empty())
    }

    /// Returns what is left of the processes in `status`, and what came to them since.
    fn present(&self, status: &Status) -> Result<Vec<Process>, Failure> {
        if self.system.has_systemd() {
            let mut left = process::all();
            left.retain(|process| process.is_in_unit(self.name.as_str()));
            return Ok(left);
        }
        let session = Record::load(self.system, self.name)?.last().and_then(|start| start.session);
        let known: Vec<Process> =
            status.family.iter().filter(|process| process.is_alive()).cloned().collect();
        Ok(script::family(&known, session))
    }

    /// Starts the service; keeps in the record what with, before and after.
    pub(crate) fn start(&self, record: &mut Record, mut start: Start) -> Result<(), Failure> {
        start.mark =
            start.log.as_ref().map(|log| Mark::end_of(&self.system.resolve(log))).unwrap_or_default();
        start.reading.begin(self.system)?;
        record.starting = Some(start.clone());
        record.save(self.system, self.name)?;
        if self.system.has_systemd() {
            systemd::start(self.system, self.name).map_err(|failure| self.explained(failure, &start))?;
        } else if let Some(script) = &start.script {
            start.session = script::launch(self.system, self.name, script)?;
            record.starting = Some(start.clone());
            record.save(self.system, self.name)?;
        } else {
            let what = format!("{} cannot be started: systemd does not run this host", self.name);
            return Err(
                Failure::new(what).hint("use a host with systemd, or give the service a start command")
            );
        }
        self.wait_until_seen(record, &start)?;
        record.complete();
        Ok(record.save(self.system, self.name)?)
    }

    /// Waits for the service's own process behind whatever starts it, for a short while; a service that ended already has failed.
    fn wait_until_seen(&self, record: &Record, start: &Start) -> Result<(), Failure> {
        let until = Instant::now() + APPEARANCE;
        while Instant::now() < until {
            if self.matcher.is_empty() && self.system.has_systemd() {
                return Ok(());
            }
            if self.matcher.find().iter().any(|process| start.at.is_before_start(process.started)) {
                return Ok(());
            }
            let status = self.status(record)?;
            if !status.is_up() {
                let what = format!("{} ended right after its start ({})", self.name, status.word());
                let failure =
                    Failure::new(what).hint("what it printed says why; put that right, then run again");
                return Err(self.explained(failure, start));
            }
            if self.matcher.is_empty() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        // it lives, and may take longer than usual; a wait for its health finds out
        Ok(())
    }

    /// Returns the failure with what the service printed.
    fn explained(&self, failure: Failure, start: &Start) -> Failure {
        let output = self.output(start, 25);
        Failure { log: output.iter().map(|line| apim_protocol::mask::line(line)).collect(), ..failure }
    }

    /// Returns the last lines that the service printed on its standard output and error since `start`.
    pub(crate) fn output(&self, start: &Start, count: usize) -> Vec<String> {
        if self.system.has_systemd() {
            return systemd::output_since(self.system, self.name, &start.at, count);
        }
        let mut reader =
            crate::probe::log::Reader::since(&script::output_file(self.system, self.name), &Mark::default());
        let mut lines = std::collections::VecDeque::new();
        let polled = reader.finish(&mut |line| {
            if lines.len() == count {
                lines.pop_front();
            }
            lines.push_back(line.to_owned());
            ControlFlow::Continue(())
        });
        // output that cannot be read explains nothing
        drop(polled);
        lines.into()
    }
}

/// A service to restart.
#[derive(Debug)]
pub(crate) struct Again<'a> {
    /// Its unit.
    pub(crate) unit: &'a UnitName,
    /// How its process is recognized.
    pub(crate) process: ProcessMatch,
    /// Its log.
    pub(crate) log: Option<AbsPath>,
    /// Seconds from TERM until KILL.
    pub(crate) stop_timeout_secs: u64,
}

/// Restarts a service as it was started last, with the same inputs.
pub(crate) fn restart(
    system: &System,
    again: Again<'_>,
    dialogue: &mut dyn Dialogue,
) -> Result<Stopped, Failure> {
    let Again { unit, process, log, stop_timeout_secs } = again;
    let mut record = Record::load(system, unit)?;
    let supervisor = Supervisor::new(system, unit, &process);
    let status = supervisor.status(&record)?;
    let was = record.in_effect(status.since()).cloned().unwrap_or_default();
    let stopped = supervisor.stop(&status, stop_timeout_secs, dialogue)?;
    let start = Start {
        at: Moment::now(),
        session: None,
        passed: BTreeSet::new(),
        process,
        log: log.or(was.log.clone()),
        ..was
    };
    supervisor.start(&mut record, start)?;
    Ok(stopped)
}

/// Ends processes that belong to no unit: TERM, then KILL.
pub(crate) fn end(processes: &[Process], patience: Duration) -> Result<(), Failure> {
    for signal in [Signal::TERM, Signal::KILL] {
        processes.iter().try_for_each(|process| send(process, signal))?;
        let until = Instant::now() + if signal == Signal::TERM { patience } else { KILL_PATIENCE };
        while Instant::now() < until {
            if !processes.iter().any(Process::is_alive) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    let left: Vec<String> =
        processes.iter().filter(|process| process.is_alive()).map(Process::label).collect();
    Err(Failure::new(format!("{} does not end, not even by KILL", left.join(", "))))
}

/// Sends `signal` to this very process; one that is gone is as good as reached.
fn send(process: &Process, signal: Signal) -> Result<(), Failure> {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    let sent = match pidfd_open(pid, PidfdFlags::empty()) {
        // the number cannot be given to another process while we hold it open
        Ok(held) if process.is_alive() => pidfd_send_signal(held, signal),
        Err(_) if process.is_alive() => kill_process(pid, signal),
        _ => Ok(()),
    };
    match sent {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => {
            let what = format!("{} cannot be ended", process.label());
            Err(Failure::from_error(what, &std::io::Error::from(error))
                .hint("it belongs to another account: use become"))
        }
    }
}

/// Returns how to recognize the process on this host.
///
/// Below `--root`, a path in a text (at its beginning or behind its first `=`) means the one below the root, unless it
/// exists outside of it only (such as an interpreter's).
pub(crate) fn matcher(system: &System, process: &ProcessMatch) -> Matcher {
    let group = |text: &String| {
        let at = if text.starts_with('/') { Some(0) } else { text.find("=/").map(|at| at + 1) };
        let split = at.and_then(|at| Some((text.get(..at)?, AbsPath::parse(text.get(at..)?).ok()?)));
        let Some((head, path)) = split.filter(|_| system.is_rooted()) else { return vec![text.clone()] };
        let literal = format!("{}{path}", system.root().display());
        let resolved = system.resolve(&path);
        if !resolved.exists() && Path::new(path.as_str()).exists() {
            return vec![text.clone()];
        }
        vec![format!("{head}{literal}"), format!("{head}{}", resolved.display())]
    };
    Matcher::new(process.arguments.iter().map(group).collect())
}
