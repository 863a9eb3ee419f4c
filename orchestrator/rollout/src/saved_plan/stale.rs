//! Compares a saved plan with the current state. Returns each difference as one line for the user.

use std::collections::{BTreeMap, BTreeSet};

use apim_protocol::facts::Facts;
use apim_protocol::message::StepId;
use apim_protocol::outcome::Outcome;
use apim_protocol::value::Sha256;

use super::file::{CommandOptions, Origin, SavedPlan};
use super::key::Key;
use super::step::{Found, HostIdentity, SavedStep, found, work};
use crate::plan::model::{Plan, Step};
use apim_transport::host::HostName;

/// Returns changed options and changed inputs of the plan.
#[must_use]
pub fn basis(then: &SavedPlan, now: &SavedPlan) -> Vec<String> {
    let mut stale = Vec::new();
    programs(&then.origin, &now.origin, &mut stale);
    options(&then.options, &now.options, &mut stale);
    digests("", &then.files, &now.files, &mut stale);
    digests("the artifact ", &then.artifacts, &now.artifacts, &mut stale);
    stale
}

fn programs(then: &Origin, now: &Origin, stale: &mut Vec<String>) {
    if then.build != now.build {
        stale.push(format!(
            "apim-deploy: the plan was created by {} (build {}), this is {} (build {})",
            then.version,
            then.build.short(),
            now.version,
            now.build.short()
        ));
    }
    for (architecture, build) in &now.agents {
        if then.agents.get(architecture).is_some_and(|known| known != build) {
            stale.push(format!("the agent for {architecture} is a different build ({})", build.short()));
        }
    }
}

fn options(then: &CommandOptions, now: &CommandOptions, stale: &mut Vec<String>) {
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
            stale.push(format!("{flag}: the plan was created with `{then}`, now it is `{now}`"));
        }
    }
    match (&then.extra_vars, &now.extra_vars) {
        (Some(_), None) => stale.push(
            "--extra-vars: the plan was created with extra variables; they are not stored in it, pass them again".to_owned(),
        ),
        (None, Some(_)) => stale.push("--extra-vars: the plan was created without extra variables".to_owned()),
        (Some(then), Some(now)) if then != now => {
            stale.push("--extra-vars: the plan was created with other values".to_owned());
        }
        _ => {}
    }
}

fn digests(
    what: &str,
    then: &BTreeMap<String, Sha256>,
    now: &BTreeMap<String, Sha256>,
    stale: &mut Vec<String>,
) {
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    for name in names {
        let how = match (then.get(name), now.get(name)) {
            (Some(then), Some(now)) if then == now => continue,
            (Some(_), Some(_)) => "has changed",
            (Some(_), None) => "is missing",
            (None, _) => "is new",
        };
        stale.push(format!("{what}{name} {how}"));
    }
}

/// Returns the steps of `plan` that differ from the saved plan.
#[must_use]
pub fn since_planned(then: &SavedPlan, plan: &Plan, key: &Key) -> Vec<String> {
    let mut stale = Vec::new();
    let planned = planned(then);
    let mut known: BTreeSet<(usize, &str, usize)> = BTreeSet::new();
    for (at, step) in steps(plan) {
        known.insert(at);
        let (_, host, _) = at;
        match planned.get(&at) {
            None => stale.push(format!("{host}: {} is not in the plan", step.title)),
            Some(then) if then.work != work(&HostName(host.to_owned()), step, key) => {
                let title = &step.title;
                stale.push(if then.title == *title {
                    format!("{host}: {title} has changed")
                } else {
                    format!("{host}: {title} is now in place of {}", then.title)
                });
            }
            Some(_) => {}
        }
    }
    for ((_, host, _), then) in planned.iter().filter(|(at, _)| !known.contains(*at)) {
        stale.push(format!("{host}: {} is in the plan, but would no longer run", then.title));
    }
    stale
}

/// Returns the hosts and steps whose survey result differs. `facts` are those of the hosts that
/// were reached.
#[must_use]
pub fn since_seen(
    then: &SavedPlan,
    plan: &Plan,
    seen: &BTreeMap<StepId, Outcome>,
    facts: &BTreeMap<HostName, Facts>,
    key: &Key,
) -> Vec<String> {
    let mut stale = Vec::new();
    for (host, known) in &then.hosts {
        match facts.get(&HostName(host.clone())).map(HostIdentity::from) {
            None => stale.push(format!("{host}: now unreachable")),
            Some(now) if now != *known => {
                stale.push(format!("{host}: a different machine answers ({})", now.hostname));
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
            // Unreachable hosts are reported above.
            _ if !facts.contains_key(&HostName(host.to_owned())) => continue,
            (Found::UpToDate, Found::Differs { .. }) => "was up to date, now differs",
            (Found::Differs { .. }, Found::UpToDate) => "differed, now up to date",
            (Found::Differs { .. }, Found::Differs { .. }) => "now differs in another way",
            (_, Found::NotYet) => "could be checked, now it cannot",
            (Found::NotYet, _) => "could not be checked, now it can",
            (_, _) => "has a different result now",
        };
        stale.push(format!("{host}: {} {how}", step.title));
    }
    stale
}

/// The steps of a plan with their position: stage, host, number.
fn steps(plan: &Plan) -> impl Iterator<Item = ((usize, &str, usize), &Step)> {
    plan.stages.iter().enumerate().flat_map(|(stage, known)| {
        known.lanes.iter().flat_map(move |lane| {
            let host = lane.host.0.as_str();
            lane.steps.iter().enumerate().map(move |(number, step)| ((stage, host, number), step))
        })
    })
}

fn planned(then: &SavedPlan) -> BTreeMap<(usize, &str, usize), &SavedStep> {
    let stages = then.stages.iter().enumerate();
    let steps = stages.flat_map(|(stage, known)| {
        known.lanes.iter().flat_map(move |lane| {
            let host = lane.host.as_str();
            lane.steps.iter().enumerate().map(move |(number, step)| ((stage, host, number), step))
        })
    });
    steps.collect()
}
