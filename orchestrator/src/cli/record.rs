//! The record of a run that changes something: begun before anything is fetched or contacted, ended with the exit code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use apim_protocol::operation::Mode;
use tokio::sync::mpsc;

use super::bound;
use super::exit::{Exit, Kind};
use super::options::Reach;
use super::pipeline::{self, Wanted};
use super::read::Read;
use crate::binding::{self, Key};
use crate::engine::HostEnd;
use crate::engine::event::Event;
use crate::history::{Begun, Book, Ended, HostSum, Planned, Recorder};
use crate::http::shown;
use crate::plan::model::Plan;
use crate::playbook::Playbook;
use crate::report::remark;

/// What is written down of a run; nothing, where it only looks.
#[derive(Clone, Default)]
pub(super) struct Recording(Option<Arc<Open>>);

struct Open {
    key: Key,
    recorder: Mutex<Option<Recorder>>,
}

impl Recording {
    /// Begins the record. A run that cannot be recorded does not begin.
    pub(super) fn begin(wanted: &Wanted, read: &Read, playbook: &Playbook, run: &str) -> Result<Self, Exit> {
        if wanted.mode != Mode::Apply {
            return Ok(Self::default());
        }
        let files = read.inventory.files.iter().chain(&playbook.files);
        let begun = Begun {
            run: run.to_owned(),
            verb: wanted.verb.to_owned(),
            playbook: playbook.name.clone(),
            flags: flags(wanted),
            ..Begun::default()
        };
        Ok(Self(Some(Arc::new(Open::begin(&wanted.reach, &wanted.files.inventory, files, begun)?))))
    }

    /// Begins the record of what is done without a plan.
    pub(super) fn by_hand(reach: &Reach, read: &Read, inventory: &Path, begun: Begun) -> Result<Self, Exit> {
        let files = read.inventory.files.iter();
        Ok(Self(Some(Arc::new(Open::begin(reach, inventory, files, begun)?))))
    }

    /// Writes down how commands ended: each way, and on which hosts.
    pub(super) fn ran<'a>(&self, ends: impl Iterator<Item = (&'a str, String)>) {
        let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (host, ended) in ends {
            alike.entry(ended).or_default().push(host.to_owned());
        }
        let Some(open) = &self.0 else { return };
        open.with(|recorder| alike.into_iter().for_each(|(ended, hosts)| recorder.ran(hosts, &ended)));
    }

    /// Writes down what is to be done.
    pub(super) fn planned(&self, plan: &Plan) {
        let Some(open) = &self.0 else { return };
        let bytes = serde_json::to_vec(&binding::stages(plan, &[].into(), &open.key)).unwrap_or_default();
        let lanes = || plan.stages.iter().flat_map(|stage| &stage.lanes);
        let planned = Planned {
            plan: Some(open.key.digest("steps", &bytes)),
            hosts: pipeline::hosts_of(plan).into_iter().map(|host| host.0).collect(),
            stages: plan.stages.iter().map(|stage| stage.title.clone()).collect(),
            steps: lanes().map(|lane| lane.steps.len()).sum(),
        };
        open.with(|recorder| recorder.planned(planned));
    }

    /// Writes the events down on their way to the reporter.
    pub(super) fn hears(&self, mut events: mpsc::UnboundedReceiver<Event>) -> mpsc::UnboundedReceiver<Event> {
        let Some(open) = self.0.clone() else { return events };
        let (onward, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                // A reporter that is gone does not end the record.
                if let Some(words) = open.with(|recorder| recorder.hear(&event)).flatten() {
                    drop(onward.send(words));
                }
                drop(onward.send(event));
            }
        });
        heard
    }

    /// Writes down how the run ended.
    pub(super) fn end(self, ended: Result<&pipeline::Ended, &Exit>) {
        self.end_as(match ended {
            Ok(ended) => of_run(ended),
            Err(exit) => of_exit(exit),
        });
    }

    /// Writes down an end.
    pub(super) fn end_as(self, ended: Ended) {
        let Some(open) = self.0 else { return };
        let recorder = open.recorder.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = recorder.map(|recorder| recorder.end(ended)) {
            remark(&format!("warning: the record of this run is not whole: {error}"));
        }
    }
}

/// Returns the end of a run that came to none of its own.
pub(super) fn of_exit(exit: &Exit) -> Ended {
    Ended { code: exit.kind().code(), why: Some(exit.text().to_owned()), ..Ended::default() }
}

impl Open {
    /// Begins a record with all that is the same for every run.
    fn begin<'a>(
        reach: &Reach,
        inventory: &Path,
        files: impl Iterator<Item = &'a PathBuf>,
        begun: Begun,
    ) -> Result<Self, Exit> {
        let key = bound::key(reach)?;
        let begun = Begun {
            operator: pipeline::operator(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            inventory: bound::absolute(inventory),
            files: bound::digests(inventory, files, &key)?,
            ..begun
        };
        let book = Book::new(&bound::state_folder(reach));
        let folder = book.folder().to_owned();
        let recorder = Recorder::begin(book, begun).map_err(|error| unwritable(&folder, &error))?;
        Ok(Self { key, recorder: Mutex::new(Some(recorder)) })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Recorder) -> T) -> Option<T> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(work)
    }
}

fn unwritable(folder: &Path, error: &std::io::Error) -> Exit {
    let text =
        format!("the run cannot be recorded in `{}`: {error}; nothing was contacted", folder.display());
    Exit::new(Kind::Usage, text).hint("name a folder that you may write to with --state-dir")
}

/// Returns the flags that say what is done, without values that may be secret.
fn flags(wanted: &Wanted) -> Vec<String> {
    let Wanted { files, plays, rolling, reach, probe, .. } = wanted;
    let mut flags = Vec::new();
    let mut add = |flag: &str, value: Option<String>| {
        flags.extend(value.map(|value| format!("{flag} {value}")));
    };
    let list = |values: &[String]| (!values.is_empty()).then(|| values.join(","));
    add("--limit", files.limit.clone());
    add("--playbook", plays.playbook.clone());
    add("--tags", list(&plays.tags));
    add("--skip-tags", list(&plays.skip_tags));
    let roles: Vec<String> = rolling.roles.iter().map(|role| role.group().to_owned()).collect();
    add("--role", list(&roles));
    add("--to", rolling.back_to.clone().or_else(|| rolling.forward_to.clone()));
    for url in &probe.urls {
        add("--probe", Some(shown(url)));
    }
    add("--probe-stop-after", probe.probe_stop_after.map(|most| most.to_string()));
    for text in &files.extra_vars {
        let name = match text.split_once('=') {
            _ if text.starts_with('@') => text.clone(),
            Some((name, _)) if !name.trim_start().starts_with('{') => format!("{name}=…"),
            _ => "{…}".to_owned(),
        };
        add("--extra-vars", Some(name));
    }
    if reach.allow_outage {
        flags.push("--allow-outage".to_owned());
    }
    flags
}

fn of_run(ended: &pipeline::Ended) -> Ended {
    let result = &ended.result;
    let hosts = result.hosts.iter().map(|(name, host)| {
        let state = match host.end {
            HostEnd::Done => "done",
            HostEnd::Failed(_) => "failed",
            HostEnd::Unreachable(..) => "unreachable",
            HostEnd::Stopped(_) => "stopped",
        };
        let tally = host.tally;
        let sum = HostSum {
            state: state.to_owned(),
            ok: tally.ok,
            changed: tally.changed,
            skipped: tally.skipped,
            failed: tally.failed,
        };
        (name.0.clone(), sum)
    });
    let why = result.stopped.as_ref();
    let probes = ended.probed.clone();
    Ended {
        code: ended.kind().code(),
        changed: result.changes(),
        seconds: (result.wall.as_secs_f64() * 1000.0).round() / 1000.0,
        hosts: hosts.collect(),
        probes,
        why: why.map(|stopped| {
            format!("stopped in stage {}, {}: {}", stopped.stage + 1, stopped.title, stopped.why)
        }),
    }
}
