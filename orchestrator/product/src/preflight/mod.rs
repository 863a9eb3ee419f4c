//! Checks of every host before any change: the questions, and the evaluation of the answers. Pure:
//! takes answers, returns rows.
//!
//! `questions` builds the questions to a host, `pairs` matches answers to them, `edges` lists the
//! connections between nodes; `host`, `network` and `names` evaluate.

use std::collections::BTreeMap;

use apim_protocol::facts::Facts;
use apim_protocol::observation::Answer;
use apim_protocol::value::Sha256;

use super::cluster::Cluster;
use super::load_balancer;
pub use super::settings::preflight::{Check, Level};

pub mod edges;
mod host;
mod names;
mod network;
pub(super) mod pairs;
mod questions;
#[cfg(test)]
mod tests;

use pairs::Pairs;
pub use questions::examine;
pub(super) use questions::listeners;

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
    /// Its answers to [`examine`]'s questions, or why there are none.
    pub answers: Result<&'a [Answer], String>,
    /// When its answers arrived, in milliseconds since 1970 by this machine's clock.
    pub heard_millis: Option<u64>,
}

/// A finding of a check; several findings form one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    status: Status,
    found: String,
    remedy: Option<String>,
}

impl Finding {
    fn ok(found: impl Into<String>) -> Self {
        Self { status: Status::Ok, found: found.into(), remedy: None }
    }

    fn unknown(found: impl Into<String>) -> Self {
        Self { status: Status::Unknown, found: found.into(), remedy: None }
    }

    fn warn(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Warn, found: found.into(), remedy: Some(remedy.into()) }
    }

    fn fail(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Fail, found: found.into(), remedy: Some(remedy.into()) }
    }
}

/// The checks for a host with a load balancer and without nodes.
const OF_BALANCERS: [Check; 6] =
    [Check::Os, Check::Ports, Check::Clock, Check::Privilege, Check::Systemd, Check::SecurityModule];

/// Returns whether `host` has no nodes.
fn is_bare(cluster: &Cluster, host: &str) -> bool {
    cluster.nodes_on(host).next().is_none()
}

/// Returns the ports of the load balancer on `host`, if it is managed by apim-deploy.
fn balanced_ports(cluster: &Cluster, host: &str) -> Vec<u16> {
    let known = cluster.hosts().iter().find(|one| one.name == host && load_balancer::is_managed(one));
    known.map(|one| load_balancer::ports(cluster, one)).unwrap_or_default()
}

/// Shared input of all checks.
struct Context<'a> {
    cluster: &'a Cluster,
    /// Known sizes of zips in bytes, by digest.
    sizes: &'a BTreeMap<Sha256, u64>,
    /// Every host that answered.
    hosts: BTreeMap<&'a str, Pairs<'a>>,
    /// How far each host's clock is ahead of this machine's, in milliseconds.
    ahead: BTreeMap<&'a str, i64>,
}

/// Evaluates the answers. Returns a row for each check of each host, in the order of `seen` and
/// [`Check::ALL`].
#[must_use]
pub fn judge(cluster: &Cluster, seen: &[Seen<'_>], sizes: &BTreeMap<Sha256, u64>) -> Vec<Row> {
    let mut context = Context { cluster, sizes, hosts: BTreeMap::new(), ahead: BTreeMap::new() };
    for one in seen {
        if let Ok(answers) = one.answers {
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
            (None, Err(why)) => vec![Finding::unknown(why.clone())],
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
