//! `apim_load_balancer`: installs nginx, writes, tests and loads its configuration, and checks its
//! ports.

use apim_protocol::operation::Operation;
use apim_protocol::operation::command::{Command, Invocation};
use apim_protocol::operation::unit::{ProcessMatch, State, Unit};
use apim_protocol::operation::wait::{Condition, Wait};

use super::Draft;
use crate::cluster::{Cluster, Host};
use crate::load_balancer::{self, BalancerError, DesiredFiles};

/// Process title of the nginx master process.
const MASTER: &str = "nginx: master process";
/// Timeout of the package installation; downloads can be slow.
const INSTALL_SECS: u64 = 900;
/// Stop timeout; systemd's default.
const STOP_SECS: u64 = 90;
/// Deadline for nginx to open its ports.
const OPEN_SECS: u64 = 20;

/// Installs nginx; the package name is the same everywhere. Package lists can be missing or
/// outdated.
const INSTALL: &str = "\
if command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -q -y --no-install-recommends nginx || { apt-get update -q && apt-get install -q -y --no-install-recommends nginx; }
elif command -v dnf >/dev/null; then dnf install -q -y nginx
elif command -v yum >/dev/null; then yum install -q -y nginx
elif command -v zypper >/dev/null; then zypper --non-interactive --quiet install nginx
else
  echo 'no supported package manager (apt-get, dnf, yum, zypper): install nginx 1.18 or later on this host, then re-run' >&2
  exit 69
fi";
const NOT_INSTALLED: &str = "\
echo 'nginx is not installed, and `apim.load_balancer.install` is false: install nginx 1.18 or later on this host, then re-run' >&2
exit 69";

pub(super) fn lower(cluster: &Cluster, host: &str) -> Vec<Draft> {
    let Some(host) = cluster.host(host).filter(|host| load_balancer::is_managed(host)) else {
        return Vec::new();
    };
    // Errors were reported when the cluster was built.
    drafts(cluster, host).unwrap_or_default()
}

fn drafts(cluster: &Cluster, host: &Host) -> Result<Vec<Draft>, BalancerError> {
    let name = load_balancer::unit()?;
    let DesiredFiles { bundle, contents } = load_balancer::bundle(load_balancer::files(cluster, host)?)?;
    let mut configured = Draft::new("nginx: configuration", Operation::Bundle(bundle));
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
        awaited: "nginx listening".to_owned(),
        conditions: load_balancer::ports(cluster, host).into_iter().map(listens).collect(),
        deadline_secs: OPEN_SECS,
        service: None,
        settle_secs: 0,
        remedy: None,
    };
    Ok(vec![
        Draft::new("nginx: installed", Operation::Command(install(host.settings.load_balancer.install))),
        configured,
        Draft::new("nginx: running", Operation::Unit(Box::new(unit))),
        Draft::new("nginx: listening on its ports", Operation::Wait(Box::new(opened))),
    ])
}

fn install(enabled: bool) -> Command {
    let shell = |script: &str| Invocation {
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        timeout_secs: INSTALL_SECS,
        ..Invocation::default()
    };
    Command {
        run: shell(if enabled { INSTALL } else { NOT_INSTALLED }),
        creates: None,
        removes: None,
        unless: Some(shell("command -v nginx >/dev/null")),
        success: Vec::new(),
        changes: true,
    }
}
