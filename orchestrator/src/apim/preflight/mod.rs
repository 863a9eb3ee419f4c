//! What is looked at on every host before anything is changed: the questions, and what the answers mean. Pure: answers come in, rows go out.
//!
//! `questions` says what is asked of a host, `pairs` finds the answers again, `edges` who will connect to whom; `host`, `network` and
//! `names` judge.

use std::collections::BTreeMap;

use apim_protocol::facts::Facts;
use apim_protocol::observation::Answer;
use apim_protocol::value::Sha256;

use super::balancer;
use super::cluster::Cluster;
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

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// As it should be.
    Ok,
    /// It could not be looked at.
    Unknown,
    /// Worth knowing; things work all the same.
    Warn,
    /// Nothing is changed until this is put right.
    Fail,
}

impl Status {
    /// Returns the word for tables and programs.
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
    /// What was looked at.
    pub check: Check,
    /// How it ended.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// What is known of one host.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    /// Its name in the inventory.
    pub host: &'a str,
    /// What it says of itself.
    pub facts: Option<&'a Facts>,
    /// Its answers to [`examine`]'s questions, or why there are none.
    pub answers: Result<&'a [Answer], String>,
    /// When its answers were heard here, in milliseconds since 1970 by this machine's clock.
    pub heard_millis: Option<u64>,
}

/// What somebody found of one check: several findings make one row.
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

/// What matters on a host that carries a load balancer and no node.
const OF_BALANCERS: [Check; 6] =
    [Check::Os, Check::Ports, Check::Clock, Check::Privilege, Check::Systemd, Check::SecurityModule];

/// Says whether no node is on `host`.
fn is_bare(cluster: &Cluster, host: &str) -> bool {
    cluster.nodes_on(host).next().is_none()
}

/// Returns the ports of the load balancer on `host`, where we see to one.
fn balanced_ports(cluster: &Cluster, host: &str) -> Vec<u16> {
    let known = cluster.hosts().iter().find(|one| one.name == host && balancer::is_ours(one));
    known.map(|one| balancer::ports(cluster, one)).unwrap_or_default()
}

/// What judges share.
struct Scene<'a> {
    cluster: &'a Cluster,
    /// How long zips are, by digest, where that is known.
    sizes: &'a BTreeMap<Sha256, u64>,
    /// Every host that answered.
    hosts: BTreeMap<&'a str, Pairs<'a>>,
    /// How far each host's clock is before this machine's, in milliseconds.
    ahead: BTreeMap<&'a str, i64>,
}

/// Judges what was seen; a row for each check of each host, in the order of `seen` and [`Check::ALL`].
#[must_use]
pub fn judge(cluster: &Cluster, seen: &[Seen<'_>], sizes: &BTreeMap<Sha256, u64>) -> Vec<Row> {
    let mut scene = Scene { cluster, sizes, hosts: BTreeMap::new(), ahead: BTreeMap::new() };
    for one in seen {
        if let Ok(answers) = one.answers {
            let pairs = Pairs::new(examine(cluster, one.host).questions, answers);
            if let (Some((clock, _)), Some(heard)) = (pairs.clock(), one.heard_millis) {
                scene.ahead.insert(one.host, clock.cast_signed() - heard.cast_signed());
            }
            scene.hosts.insert(one.host, pairs);
        }
    }
    seen.iter().flat_map(|one| rows(&scene, one)).collect()
}

fn rows(scene: &Scene<'_>, seen: &Seen<'_>) -> Vec<Row> {
    let settings =
        scene.cluster.hosts().iter().find(|host| host.name == seen.host).map(|host| &host.settings);
    let level = |check| settings.and_then(|settings| settings.preflight.level(check));
    let mut rows = Vec::new();
    let concerns = |check: Check| !is_bare(scene.cluster, seen.host) || OF_BALANCERS.contains(&check);
    let looked_at = |check: &Check| level(*check) != Some(Level::Off) && concerns(*check);
    for check in Check::ALL.into_iter().filter(looked_at) {
        let findings = match (scene.hosts.get(seen.host), &seen.answers) {
            (Some(pairs), _) => look(scene, seen, pairs, check),
            (None, Err(why)) => vec![Finding::unknown(why.clone())],
            (None, Ok(_)) => vec![Finding::unknown("it gave no answer")],
        };
        let worst = findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok);
        let told: Vec<&Finding> = findings.iter().filter(|finding| finding.status == worst).collect();
        let status = match (worst, level(check)) {
            (Status::Warn | Status::Fail, Some(Level::Fail)) => Status::Fail,
            (Status::Warn | Status::Fail, Some(Level::Warn)) => Status::Warn,
            (status, _) => status,
        };
        rows.push(Row {
            host: seen.host.to_owned(),
            check,
            status,
            found: joined(told.iter().map(|finding| Some(finding.found.as_str()))).unwrap_or_default(),
            remedy: joined(told.iter().map(|finding| finding.remedy.as_deref())),
        });
    }
    rows
}

fn look(scene: &Scene<'_>, seen: &Seen<'_>, pairs: &Pairs<'_>, check: Check) -> Vec<Finding> {
    match check {
        Check::Os => host::os(seen.facts),
        Check::Cpu => host::cpu(seen.facts),
        Check::Memory => host::memory(scene, seen),
        Check::Disk => host::disk(scene, seen.host, pairs),
        Check::Ports => network::ports(scene, seen.host, pairs),
        Check::Clock => host::clock(scene, seen.host, pairs),
        Check::Jdk => host::jdk(scene, seen.host, pairs),
        Check::Names => names::names(scene, seen.host, pairs),
        Check::Reach => network::reach(scene, seen.host, pairs),
        Check::Privilege => host::privilege(pairs),
        Check::Systemd => host::systemd(scene, seen.host, pairs),
        Check::SecurityModule => host::security_module(scene, seen.host, pairs),
        Check::Limits => host::limits(pairs),
        Check::Kernel => host::kernel(scene, seen.host, pairs),
    }
}

/// Each text once, in order.
fn joined<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Option<String> {
    let mut each: Vec<&str> = Vec::new();
    for text in texts.flatten() {
        if !each.contains(&text) {
            each.push(text);
        }
    }
    (!each.is_empty()).then(|| each.join("; "))
}
