//! What is otherwise than when a plan was made, each as one line for people. Nothing is decided here.

use std::collections::{BTreeMap, BTreeSet};

use apim_protocol::facts::Facts;
use apim_protocol::message::StepId;
use apim_protocol::outcome::Outcome;
use apim_protocol::value::Sha256;

use super::file::{Asked, BoundPlan, Made};
use super::key::Key;
use super::work::{Found, HostSeen, StepBound, found, work};
use crate::inventory::host::HostName;
use crate::plan::model::{Plan, Step};

/// Returns what was asked for otherwise, and what the plan is made from that is not what it was.
#[must_use]
pub fn basis(then: &BoundPlan, now: &BoundPlan) -> Vec<String> {
    let mut moved = Vec::new();
    programs(&then.made, &now.made, &mut moved);
    asked(&then.asked, &now.asked, &mut moved);
    digests("", &then.files, &now.files, &mut moved);
    digests("the artifact ", &then.artifacts, &now.artifacts, &mut moved);
    moved
}

fn programs(then: &Made, now: &Made, moved: &mut Vec<String>) {
    if then.build != now.build {
        moved.push(format!(
            "apim-deploy: the plan was made by {} (build {}), and this is {} (build {})",
            then.version,
            then.build.short(),
            now.version,
            now.build.short()
        ));
    }
    for (architecture, build) in &now.agents {
        if then.agents.get(architecture).is_some_and(|known| known != build) {
            moved.push(format!("the agent for {architecture} is another build ({})", build.short()));
        }
    }
}

fn asked(then: &Asked, now: &Asked, moved: &mut Vec<String>) {
    let words = |given: &[String]| if given.is_empty() { "none".to_owned() } else { given.join(",") };
    let one = |given: &Option<String>| given.clone().unwrap_or_else(|| "none".to_owned());
    let truth = |given: bool| if given { "yes".to_owned() } else { "no".to_owned() };
    let flags = [
        ("--playbook", one(&then.playbook), one(&now.playbook)),
        ("--limit", one(&then.limit), one(&now.limit)),
        ("--tags", words(&then.tags), words(&now.tags)),
        ("--skip-tags", words(&then.skip_tags), words(&now.skip_tags)),
        ("--max-unavailable", words(&then.max_unavailable), words(&now.max_unavailable)),
        ("--allow-outage", truth(then.allow_outage), truth(now.allow_outage)),
        ("--no-drain", truth(then.no_drain), truth(now.no_drain)),
    ];
    for (flag, then, now) in flags {
        if then != now {
            moved.push(format!("{flag}: the plan was made with `{then}`, and now it is `{now}`"));
        }
    }
    match (&then.extra_vars, &now.extra_vars) {
        (Some(_), None) => moved.push(
            "--extra-vars: the plan was made with some; they are not in it, give them again".to_owned(),
        ),
        (None, Some(_)) => moved.push("--extra-vars: the plan was made without any".to_owned()),
        (Some(then), Some(now)) if then != now => {
            moved.push("--extra-vars: the plan was made with others".to_owned());
        }
        _ => {}
    }
}

fn digests(
    what: &str,
    then: &BTreeMap<String, Sha256>,
    now: &BTreeMap<String, Sha256>,
    moved: &mut Vec<String>,
) {
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    for name in names {
        let how = match (then.get(name), now.get(name)) {
            (Some(then), Some(now)) if then == now => continue,
            (Some(_), Some(_)) => "has changed",
            (Some(_), None) => "is gone",
            (None, _) => "is new",
        };
        moved.push(format!("{what}{name} {how}"));
    }
}

/// Returns which steps of `plan` are not those that were planned.
#[must_use]
pub fn since_planned(then: &BoundPlan, plan: &Plan, key: &Key) -> Vec<String> {
    let mut moved = Vec::new();
    let planned = planned(then);
    let mut known: BTreeSet<(usize, &str, usize)> = BTreeSet::new();
    for (at, step) in steps(plan) {
        known.insert(at);
        let (_, host, _) = at;
        match planned.get(&at) {
            None => moved.push(format!("{host}: {} is not in the plan", step.title)),
            Some(then) if then.work != work(&HostName(host.to_owned()), step, key) => {
                let title = &step.title;
                moved.push(if then.title == *title {
                    format!("{host}: {title} would do something else now")
                } else {
                    format!("{host}: {title} stands where the plan has {}", then.title)
                });
            }
            Some(_) => {}
        }
    }
    for ((_, host, _), then) in planned.iter().filter(|(at, _)| !known.contains(*at)) {
        moved.push(format!("{host}: {} is in the plan, and would not be done any more", then.title));
    }
    moved
}

/// Returns which hosts and steps are not found as they were. `facts` are of the hosts that were reached.
#[must_use]
pub fn since_seen(
    then: &BoundPlan,
    plan: &Plan,
    seen: &BTreeMap<StepId, Outcome>,
    facts: &BTreeMap<HostName, Facts>,
    key: &Key,
) -> Vec<String> {
    let mut moved = Vec::new();
    for (host, known) in &then.hosts {
        match facts.get(&HostName(host.clone())).map(HostSeen::from) {
            None => moved.push(format!("{host}: it cannot be reached now")),
            Some(now) if now != *known => {
                moved.push(format!("{host}: another machine answers ({})", now.hostname));
            }
            Some(_) => {}
        }
    }
    let planned = planned(then);
    for (at, step) in steps(plan) {
        let (_, host, _) = at;
        let Some(then) = planned.get(&at) else { continue };
        let now = found(step, seen.get(&step.id), key);
        let how = match (then.found, now) {
            (then, now) if then == now => continue,
            // Hosts that are not there were named.
            _ if !facts.contains_key(&HostName(host.to_owned())) => continue,
            (Found::AsWished, Found::Differs { .. }) => "was as wished, and differs now",
            (Found::Differs { .. }, Found::AsWished) => "differed, and is as wished now",
            (Found::Differs { .. }, Found::Differs { .. }) => "differs otherwise than it did",
            (_, Found::NotYet) => "could be looked at, and now it cannot",
            (Found::NotYet, _) => "could not be looked at, and now it can",
            (_, _) => "is found otherwise than it was",
        };
        moved.push(format!("{host}: {} {how}", step.title));
    }
    moved
}

/// The steps of a plan with their places: stage, host, number.
fn steps(plan: &Plan) -> impl Iterator<Item = ((usize, &str, usize), &Step)> {
    plan.stages.iter().enumerate().flat_map(|(stage, known)| {
        known.lanes.iter().flat_map(move |lane| {
            let host = lane.host.0.as_str();
            lane.steps.iter().enumerate().map(move |(number, step)| ((stage, host, number), step))
        })
    })
}

fn planned(then: &BoundPlan) -> BTreeMap<(usize, &str, usize), &StepBound> {
    let stages = then.stages.iter().enumerate();
    let steps = stages.flat_map(|(stage, known)| {
        known.lanes.iter().flat_map(move |lane| {
            let host = lane.host.as_str();
            lane.steps.iter().enumerate().map(move |(number, step)| ((stage, host, number), step))
        })
    });
    steps.collect()
}
