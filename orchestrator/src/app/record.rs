//! The record of a run that changes hosts. It starts before anything is fetched or contacted and
//! ends with the exit code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use apim_protocol::operation::Mode;
use tokio::sync::mpsc;

use crate::app::connect;
use crate::app::exit::{Exit, Kind};
use crate::app::inputs::Inputs;
use crate::app::options::Reach;
use crate::app::process;
use crate::app::read::Read;
use crate::app::rollout::Finished;
use crate::app::rollout::request::RolloutRequest;
use crate::app::saved_plan;
use crate::report::history::{Begun, Book, Ended, HostSum, Planned, Recorder};
use crate::report::remark;
use apim_rollout::engine::HostEnd;
use apim_rollout::engine::event::Event;
use apim_rollout::http::shown;
use apim_rollout::plan::model::Plan;
use apim_rollout::saved_plan::{Key, stages};

/// The record of a run. `None` for runs that change nothing.
#[derive(Clone, Default)]
pub(crate) struct Recording(Option<Arc<Open>>);

struct Open {
    key: Key,
    recorder: Mutex<Option<Recorder>>,
}

impl Recording {
    /// Starts the record. A run that cannot be recorded does not start.
    pub(crate) fn begin(request: &RolloutRequest, inputs: &Inputs, run: &str) -> Result<Self, Exit> {
        if request.mode != Mode::Apply {
            return Ok(Self::default());
        }
        let Inputs { read, playbook, .. } = inputs;
        let files = read.inventory.files.iter().chain(&playbook.files);
        let begun = Begun {
            run: run.to_owned(),
            verb: request.verb.to_string(),
            playbook: playbook.name.clone(),
            flags: flags(request),
            ..Begun::default()
        };
        Ok(Self(Some(Arc::new(Open::begin(&request.reach, &request.files.inventory, files, begun)?))))
    }

    /// Starts the record of a verb that has no plan.
    pub(crate) fn without_plan(
        reach: &Reach,
        read: &Read,
        inventory: &Path,
        begun: Begun,
    ) -> Result<Self, Exit> {
        let files = read.inventory.files.iter();
        Ok(Self(Some(Arc::new(Open::begin(reach, inventory, files, begun)?))))
    }

    /// Records how commands ended; hosts with the same result share an entry.
    pub(crate) fn ran<'a>(&self, ends: impl Iterator<Item = (&'a str, String)>) {
        let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (host, ended) in ends {
            alike.entry(ended).or_default().push(host.to_owned());
        }
        let Some(open) = &self.0 else { return };
        open.with(|recorder| alike.into_iter().for_each(|(ended, hosts)| recorder.ran(hosts, &ended)));
    }

    /// Records the plan.
    pub(crate) fn planned(&self, plan: &Plan) {
        let Some(open) = &self.0 else { return };
        let bytes = serde_json::to_vec(&stages(plan, &[].into(), &open.key)).unwrap_or_default();
        let lanes = || plan.lanes();
        let planned = Planned {
            plan: Some(open.key.digest("steps", &bytes)),
            hosts: connect::hosts_of(plan).into_iter().map(|host| host.0).collect(),
            stages: plan.stages.iter().map(|stage| stage.title.clone()).collect(),
            steps: lanes().map(|lane| lane.steps.len()).sum(),
        };
        open.with(|recorder| recorder.planned(planned));
    }

    /// Records events and forwards them to the reporter.
    pub(crate) fn hears(&self, mut events: mpsc::UnboundedReceiver<Event>) -> mpsc::UnboundedReceiver<Event> {
        let Some(open) = self.0.clone() else { return events };
        let (onward, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                // Keep recording if the reporter has ended.
                if let Some(words) = open.with(|recorder| recorder.hear(&event)).flatten() {
                    drop(onward.send(words));
                }
                drop(onward.send(event));
            }
        });
        heard
    }

    /// Records the result of the run.
    pub(crate) fn end(self, ended: Result<&Finished, &Exit>) {
        self.end_as(match ended {
            Ok(finished) => of_run(finished),
            Err(exit) => of_exit(exit),
        });
    }

    /// Records a result and closes the record.
    pub(crate) fn end_as(self, ended: Ended) {
        let Some(open) = self.0 else { return };
        let recorder = open.recorder.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = recorder.map(|recorder| recorder.end(ended)) {
            remark(&format!("warning: the record of this run is incomplete: {error}"));
        }
    }
}

/// Returns the result of a run that ended with an error.
pub(crate) fn of_exit(exit: &Exit) -> Ended {
    Ended { code: exit.kind().code(), why: Some(exit.text().to_owned()), ..Ended::default() }
}

impl Open {
    /// Starts a record and fills in operator, version, inventory and file digests.
    fn begin<'a>(
        reach: &Reach,
        inventory: &Path,
        files: impl Iterator<Item = &'a PathBuf>,
        begun: Begun,
    ) -> Result<Self, Exit> {
        let key = saved_plan::key(reach)?;
        let begun = Begun {
            operator: process::operator(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            inventory: process::absolute(inventory),
            files: saved_plan::digests(inventory, files, &key)?,
            ..begun
        };
        let book = Book::new(&reach.state_folder());
        let folder = book.folder().to_owned();
        let recorder = Recorder::begin(book, begun).map_err(|error| unwritable(&folder, &error))?;
        Ok(Self { key, recorder: Mutex::new(Some(recorder)) })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Recorder) -> T) -> Option<T> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(work)
    }
}

fn unwritable(folder: &Path, error: &std::io::Error) -> Exit {
    let text = format!("cannot record the run in `{}`: {error}; no host was contacted", folder.display());
    Exit::new(Kind::Usage, text).hint("set a writable folder with --state-dir")
}

/// Returns the flags to record, without values that may be secret.
fn flags(request: &RolloutRequest) -> Vec<String> {
    let RolloutRequest { files, plays, scope, reach, probe, .. } = request;
    let mut flags = Vec::new();
    let mut add = |flag: &str, value: Option<String>| {
        flags.extend(value.map(|value| format!("{flag} {value}")));
    };
    let list = |values: &[String]| (!values.is_empty()).then(|| values.join(","));
    add("--limit", files.limit.clone());
    add("--playbook", plays.playbook.clone());
    add("--tags", list(&plays.tags));
    add("--skip-tags", list(&plays.skip_tags));
    let roles: Vec<String> = scope.roles.iter().map(|role| role.group().to_owned()).collect();
    add("--role", list(&roles));
    add("--to", scope.roll_back_to.clone().or_else(|| scope.upgrade_to.clone()));
    for url in &probe.urls {
        add("--probe", Some(shown(url)));
    }
    add("--probe-stop-after", probe.stop_after.map(|most| most.to_string()));
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

fn of_run(finished: &Finished) -> Ended {
    let result = &finished.result;
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
    let probes = finished.probed.clone();
    Ended {
        code: finished.kind().code(),
        changed: result.changes(),
        seconds: (result.wall.as_secs_f64() * 1000.0).round() / 1000.0,
        hosts: hosts.collect(),
        probes,
        why: why.map(|stopped| {
            format!("stopped in stage {}, {}: {}", stopped.stage + 1, stopped.title, stopped.why)
        }),
    }
}
