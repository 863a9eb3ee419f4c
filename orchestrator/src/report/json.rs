//! JSON output: one object per line on standard output, documented in `docs/output.md`.

use std::io::Write;
use std::time::{Duration, Instant};

use apim_protocol::outcome::{Difference, Failure, Outcome};
use serde_json::{Map, Value, json};

use super::face::Face;
use super::node_titles::NodeTitles;
use super::{probes, releases};
use apim_rollout::engine::event::{Event, Level};
use apim_rollout::engine::{HostEnd, NodeResult, RunResult, Standing};
use apim_rollout::plan::model::Plan;
use apim_rollout::probe::Sum;
use apim_transport::failure::one_line;

/// Writes events as JSON objects.
pub(super) struct Json<W> {
    out: W,
    begun: Instant,
}

impl<W: Write + Send> Json<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, begun: Instant::now() }
    }
}

impl<W: Write + Send> Face for Json<W> {
    fn event(&mut self, event: &Event) {
        // The recap contains the totals.
        if matches!(event, Event::Probed { .. }) {
            return;
        }
        let mut object = object(event);
        object.insert("time".into(), seconds(self.begun.elapsed()));
        // A closed pipe does not stop the run.
        drop(writeln!(self.out, "{}", Value::Object(object)).and_then(|()| self.out.flush()));
    }
}

fn object(event: &Event) -> Map<String, Value> {
    let value = match event {
        Event::RunStarted { verb, hosts, steps } => {
            let hosts: Vec<&str> = hosts.iter().map(|host| host.0.as_str()).collect();
            json!({"event": "run_started", "verb": verb, "hosts": hosts, "steps": steps})
        }
        Event::Connecting(host) => json!({"event": "connecting", "host": host.0}),
        Event::Connected(host, facts) => json!({"event": "connected", "host": host.0, "facts": facts}),
        Event::Unreachable { host, failure } => {
            json!({"event": "unreachable", "host": host.0, "why": one_line(failure), "hint": failure.hint})
        }
        Event::Reconnecting(host, why) => json!({"event": "reconnecting", "host": host.0, "why": why}),
        Event::Surveying(host, steps) => json!({"event": "surveying", "host": host.0, "steps": steps}),
        Event::Surveyed(host, differ) => json!({"event": "surveyed", "host": host.0, "differ": differ}),
        Event::StageStarted(index, title) => {
            json!({"event": "stage_started", "stage": index, "title": title})
        }
        Event::StageFinished(index, took) => {
            json!({"event": "stage_finished", "stage": index, "seconds": seconds(*took)})
        }
        Event::StepStarted(host, step, title) => {
            json!({"event": "step_started", "host": host.0, "step": step, "title": title})
        }
        Event::StepProgress(host, step, what, done, total) => json!({
            "event": "step_progress", "host": host.0, "step": step, "what": what, "done": done, "total": total
        }),
        Event::Sending(host, step, done, total) => {
            json!({"event": "sending", "host": host.0, "step": step, "done": done, "total": total})
        }
        Event::WaitingForLeave(host, step, what) => {
            json!({"event": "waiting_for_leave", "host": host.0, "step": step, "what": what})
        }
        Event::LeaveDecided(host, step) => json!({"event": "leave_decided", "host": host.0, "step": step}),
        Event::StepFinished(host, step, title, outcome, took) => {
            let mut object = Map::new();
            object.insert("event".into(), json!("step_finished"));
            object.insert("host".into(), json!(host.0));
            object.insert("step".into(), json!(step));
            object.insert("title".into(), json!(title));
            object.insert("seconds".into(), seconds(*took));
            object.extend(self::outcome(outcome));
            return object;
        }
        Event::ProbeFailed { url, why, doing } => {
            json!({"event": "probe_failed", "url": url, "why": why, "doing": doing})
        }
        Event::ProbeAnswers { url, gap, failed } => {
            json!({"event": "probe_answers", "url": url, "gap": seconds(*gap), "failed": failed})
        }
        Event::Probed { sent, failed } => json!({"event": "probed", "sent": sent, "failed": failed}),
        Event::Note(level, text) => {
            let level = match level {
                Level::Info => "info",
                Level::Warning => "warning",
            };
            json!({"event": "note", "level": level, "text": text})
        }
        Event::Interrupted => json!({"event": "interrupted"}),
        Event::RunFinished(took) => json!({"event": "run_finished", "seconds": seconds(*took)}),
    };
    match value {
        Value::Object(object) => object,
        other => Map::from_iter([("event".to_owned(), other)]),
    }
}

/// Returns the fields for the outcome of a step.
fn outcome(outcome: &Outcome) -> Map<String, Value> {
    let difference = |word: &str, found: &Difference| json!({"outcome": word, "items": found.statements(), "diff": found.diff});
    let value = match outcome {
        Outcome::Ok => json!({"outcome": "ok"}),
        Outcome::Observed(seen) => json!({"outcome": "ok", "observed": seen}),
        Outcome::WouldChange(found) => difference("would_change", found),
        Outcome::Changed(found) => difference("changed", found),
        Outcome::Skipped(why) => json!({"outcome": "skipped", "why": why}),
        Outcome::Failed(Failure { what, causes, log, hint }) => {
            json!({"outcome": "failed", "what": what, "causes": causes, "log": log, "hint": hint})
        }
    };
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// Returns the recap, which is the last object.
pub(super) fn recap(plan: &Plan, result: &RunResult, probed: &[Sum], titles: &NodeTitles) -> String {
    let hosts: Map<String, Value> = result
        .hosts
        .iter()
        .map(|(name, host)| {
            let tally = host.tally;
            let (state, at) = match &host.end {
                HostEnd::Done => ("done", None),
                HostEnd::Failed(title) => ("failed", Some(title.clone())),
                HostEnd::Unreachable(failure) => ("unreachable", Some(one_line(failure))),
                HostEnd::Stopped(before) => ("stopped", before.clone()),
            };
            let value = json!({
                "ok": tally.ok, "changed": tally.changed, "skipped": tally.skipped, "failed": tally.failed,
                "ignored": tally.ignored, "unreachable": tally.unreachable, "state": state, "at": at,
            });
            (name.0.clone(), value)
        })
        .collect();
    let stages: Vec<Value> = result
        .stages
        .iter()
        .map(|(index, took)| {
            let title = plan.stages.get(*index).map(|stage| stage.title.as_str());
            json!({"stage": index, "title": title, "seconds": seconds(*took)})
        })
        .collect();
    let nodes: Vec<Value> = result
        .nodes
        .iter()
        .map(|NodeResult { node, pool, standing }| {
            let (state, why) = match standing {
                Standing::Renewed => ("renewed", None),
                Standing::Untouched => ("untouched", None),
                Standing::Down(why) => ("down", Some(why)),
            };
            json!({"node": node.0, "pool": pool, "state": state, "why": why})
        })
        .collect();
    let stopped = result.stopped.as_ref().map(|s| json!({"stage": s.stage, "title": s.title, "why": s.why}));
    json!({
        "event": "recap", "success": result.is_success() && probed.iter().all(Sum::is_good), "nothing_to_do": result.nothing_to_do,
        "interrupted": result.interrupted, "seconds": seconds(result.wall),
        "hosts": hosts, "nodes": nodes, "stages": stages, "stopped": stopped,
        "releases": releases::json(plan, result, titles), "probes": probes::json(probed),
    })
    .to_string()
}

/// Seconds with three decimals.
fn seconds(duration: Duration) -> Value {
    json!((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}
