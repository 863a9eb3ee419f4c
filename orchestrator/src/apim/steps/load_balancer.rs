//! `apim_load_balancer`: nginx installed, its files written, tested and read, and its ports its own.

use apim_protocol::operation::Operation;
use apim_protocol::operation::command::{Command, Invocation};
use apim_protocol::operation::unit::{ProcessMatch, State, Unit};
use apim_protocol::operation::wait::{Condition, Wait};

use super::Draft;
use crate::apim::balancer::{self, BalancerError, Wish};
use crate::apim::cluster::{Cluster, Host};

/// By this its first process is told from others: it names itself so.
const MASTER: &str = "nginx: master process";
/// A package and what it needs may have to come over a slow line.
const INSTALL_SECS: u64 = 900;
/// systemd's own default.
const STOP_SECS: u64 = 90;
/// nginx opens its ports at once.
const OPEN_SECS: u64 = 20;

/// The package is called the same everywhere. Lists of packages may be absent or old.
const INSTALL: &str = "\
if command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -q -y --no-install-recommends nginx || { apt-get update -q && apt-get install -q -y --no-install-recommends nginx; }
elif command -v dnf >/dev/null; then dnf install -q -y nginx
elif command -v yum >/dev/null; then yum install -q -y nginx
elif command -v zypper >/dev/null; then zypper --non-interactive --quiet install nginx
else
  echo 'there is neither apt-get nor dnf, yum or zypper: install nginx 1.18 or later on this host, then run again' >&2
  exit 69
fi";
const NOT_OURS: &str = "\
echo 'nginx is not there, and `apim.load_balancer.install` is false: install nginx 1.18 or later on this host, then run again' >&2
exit 69";

pub(super) fn lower(cluster: &Cluster, host: &str) -> Vec<Draft> {
    let Some(host) = cluster.host(host).filter(|host| balancer::is_ours(host)) else { return Vec::new() };
    // What cannot be made was told as a mistake when the cluster was built.
    drafts(cluster, host).unwrap_or_default()
}

fn drafts(cluster: &Cluster, host: &Host) -> Result<Vec<Draft>, BalancerError> {
    let name = balancer::unit()?;
    let Wish { bundle, contents } = balancer::bundle(balancer::files(cluster, host)?)?;
    let mut configured = Draft::new("nginx: configuration, tested and read", Operation::Bundle(bundle));
    configured.contents = contents;
    let unit = Unit {
        name,
        file: None,
        enabled: Some(true),
        state: State::Running,
        inputs: std::collections::BTreeMap::new(),
        watch: Vec::new(),
        log: None,
        ready: None,
        process: ProcessMatch::default(),
        stop_timeout_secs: STOP_SECS,
        ask: false,
        script: None,
        release: None,
    };
    let listens =
        |port| Condition::Listens { port, process: ProcessMatch { arguments: vec![MASTER.to_owned()] } };
    let opened = Wait {
        awaited: "nginx listens".to_owned(),
        conditions: balancer::ports(cluster, host).into_iter().map(listens).collect(),
        deadline_secs: OPEN_SECS,
        service: None,
        settle_secs: 0,
        remedy: None,
    };
    Ok(vec![
        Draft::new("nginx: installed", Operation::Command(install(host.settings.load_balancer.install))),
        configured,
        Draft::new("nginx: running", Operation::Unit(Box::new(unit))),
        Draft::new("nginx: listens on its ports", Operation::Wait(Box::new(opened))),
    ])
}

fn install(ours: bool) -> Command {
    let shell = |script: &str| Invocation {
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        timeout_secs: INSTALL_SECS,
        ..Invocation::default()
    };
    Command {
        run: shell(if ours { INSTALL } else { NOT_OURS }),
        creates: None,
        removes: None,
        unless: Some(shell("command -v nginx >/dev/null")),
        success: Vec::new(),
        changes: true,
    }
}
