//! Checks of every host before any change: the questions, and the evaluation of the answers. Pure:
//! takes answers, returns rows.
//!
//! `questions` builds the questions to a host, `pairs` matches answers to them, `edges` lists the
//! connections between nodes; `host`, `network` and `names` evaluate.

use std::collections::BTreeMap;

use apim_protocol::value::Sha256;

use super::cluster::Cluster;
pub use super::settings::preflight::{Check, Level};

pub mod edges;
mod host;
mod model;
mod names;
mod network;
pub(super) mod pairs;
mod paths;
mod questions;
#[cfg(test)]
mod tests;

use model::{Context, Finding};
pub use model::{Row, Seen, Status};
use pairs::Pairs;
pub use questions::examine;
pub(super) use questions::listeners;

/// The checks for a host with a load balancer and without nodes.
const OF_BALANCERS: [Check; 6] =
    [Check::Os, Check::Ports, Check::Clock, Check::Privilege, Check::Systemd, Check::SecurityModule];

/// Returns whether `host` has no nodes.
fn is_bare(cluster: &Cluster, host: &str) -> bool {
    cluster.nodes_on(host).next().is_none()
}

/// Evaluates the answers. Returns a row for each check of each host, in the order of `seen` and
/// [`Check::ALL`].
#[must_use]
pub fn judge(cluster: &Cluster, seen: &[Seen<'_>], sizes: &BTreeMap<Sha256, u64>) -> Vec<Row> {
    let mut context = Context { cluster, sizes, hosts: BTreeMap::new(), ahead: BTreeMap::new() };
    for one in seen {
        if let Ok(answers) = &one.answers {
            let pairs = Pairs::new(examine(cluster, one.host).questions, answers);
            if let (Some((clock, _)), Some(heard)) = (pairs.clock(), one.heard_millis) {
                context.ahead.insert(one.host, clock.cast_signed() - heard.cast_signed());
            }
            context.hosts.insert(one.host, pairs);
        }
    }
    seen.iter().flat_map(|one| rows(&context, one)).collect()
}

fn rows(context: &Context<'_>, seen: &Seen<'_>) -> Vec<Row> {
    let settings =
        context.cluster.hosts().iter().find(|host| host.name == seen.host).map(|host| &host.settings);
    let level = |check| settings.and_then(|settings| settings.preflight.level(check));
    let mut rows = Vec::new();
    let concerns = |check: Check| !is_bare(context.cluster, seen.host) || OF_BALANCERS.contains(&check);
    let looked_at = |check: &Check| level(*check) != Some(Level::Off) && concerns(*check);
    for check in Check::ALL.into_iter().filter(looked_at) {
        let findings = match (context.hosts.get(seen.host), &seen.answers) {
            (Some(pairs), _) => evaluate(context, seen, pairs, check),
            (None, Err(failure)) => vec![Finding::unknown(failure.what.clone())],
            (None, Ok(_)) => vec![Finding::unknown("no answer")],
        };
        let worst = findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok);
        let reported: Vec<&Finding> = findings.iter().filter(|finding| finding.status == worst).collect();
        let status = match (worst, level(check)) {
            (Status::Warn | Status::Fail, Some(Level::Fail)) => Status::Fail,
            (Status::Warn | Status::Fail, Some(Level::Warn)) => Status::Warn,
            (status, _) => status,
        };
        rows.push(Row {
            host: seen.host.to_owned(),
            check,
            status,
            found: joined(reported.iter().map(|finding| Some(finding.found.as_str()))).unwrap_or_default(),
            remedy: joined(reported.iter().map(|finding| finding.remedy.as_deref())),
        });
    }
    rows
}

fn evaluate(context: &Context<'_>, seen: &Seen<'_>, pairs: &Pairs<'_>, check: Check) -> Vec<Finding> {
    match check {
        Check::Os => host::os(seen.facts),
        Check::Cpu => host::cpu(seen.facts),
        Check::Memory => host::memory(context, seen),
        Check::Disk => host::disk(context, seen.host, pairs),
        Check::Ports => network::ports(context, seen.host, pairs),
        Check::Clock => host::clock(context, seen.host, pairs),
        Check::Jdk => host::jdk(context, seen.host, pairs),
        Check::Names => names::names(context, seen.host, pairs),
        Check::Reach => network::reach(context, seen.host, pairs),
        Check::Privilege => host::privilege(pairs),
        Check::Systemd => host::systemd(context, seen.host, pairs),
        Check::SecurityModule => host::security_module(context, seen.host, pairs),
        Check::Limits => host::limits(pairs),
        Check::Kernel => host::kernel(context, seen.host, pairs),
    }
}

/// Joins the texts in order, without duplicates.
fn joined<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Option<String> {
    let mut each: Vec<&str> = Vec::new();
    for text in texts.flatten() {
        if !each.contains(&text) {
            each.push(text);
        }
    }
    (!each.is_empty()).then(|| each.join("; "))
}
