//! Queries of hosts outside a plan: host selection, privileges, interrupts, runtime.

pub(crate) mod exec;
pub(crate) mod facts;
pub(crate) mod journals;
mod lb_status;
mod log_merge;
pub(crate) mod logs;
mod node_status;
pub(crate) mod status;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use apim_protocol::value::Secret;
use tokio::sync::watch;

use crate::app::connect::{self, Rights};
use crate::app::exit::{Exit, Kind};
use crate::app::options::{Files, Reach, Shown};
use crate::app::process;
use crate::app::read::{self, Read};
use crate::app::verb::Verb;
use crate::report::Look;
use apim_documents::inventory::pattern;
use apim_product::config;
use apim_product::yaml::{Mistakes, Span};
use apim_transport::host::HostName;
use apim_transport::query::{HostClient, QueryOptions, Stop};
use apim_transport::session::Connect;
use apim_transport::ssh::Connector;

/// Hosts and options of a query.
pub(crate) struct QueryRequest<'a> {
    pub(crate) verb: Verb,
    pub(crate) files: &'a Files,
    pub(crate) reach: &'a Reach,
    pub(crate) shown: Shown,
    /// Ansible pattern of the hosts; `None` selects all.
    pub(crate) pattern: Option<&'a str>,
    pub(crate) rights: Rights,
}

/// Validated input of a query; no host was contacted yet.
pub(crate) struct ReadyQuery {
    pub(crate) read: Read,
    pub(crate) look: Look,
    pub(crate) hosts: Vec<HostName>,
    connector: Connector,
    purpose: String,
}

/// The hosts of a query and how to connect to them.
pub(crate) struct QuerySession {
    pub(crate) peers: Vec<HostClient>,
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) terms: QueryOptions,
}

/// Reads the files and selects the hosts.
pub(crate) fn prepare(request: &QueryRequest<'_>) -> Result<ReadyQuery, Exit> {
    let QueryRequest { verb, files, reach, shown, pattern, rights } = request;
    let look = shown.look();
    let read = read::unchecked(files)?;
    read::report_warnings(&read.inventory, &look)?;
    let hosts = hosts(&read, files, *pattern)?;
    let connector = connect::connector_with(&read.inventory, *rights, reach)?;
    let purpose = format!("{verb} {}", files.inventory.display());
    Ok(ReadyQuery { read, look, hosts, connector, purpose })
}

fn hosts(read: &Read, files: &Files, pattern: Option<&str>) -> Result<Vec<HostName>, Mistakes> {
    let limited: BTreeSet<&str> = read::limited(&read.inventory, files)?;
    let picked = match pattern {
        Some(pattern) => pattern::select(&read.inventory, pattern, &Span::flag("the host pattern"))?,
        None => read.inventory.hosts.iter().collect(),
    };
    let hosts: Vec<HostName> = picked
        .into_iter()
        .filter(|host| limited.contains(host.name.0.as_str()))
        .map(|host| host.name.clone())
        .collect();
    if hosts.is_empty() {
        let mut mistakes = Mistakes::default();
        let what = match (pattern, &files.limit) {
            (Some(pattern), Some(limit)) => format!("no host matches both `{pattern}` and --limit `{limit}`"),
            (Some(pattern), None) => format!("no host matches `{pattern}`"),
            (None, _) => "no host is selected".to_owned(),
        };
        let hint = "`apim-deploy inventory --graph` shows the hosts of each group";
        mistakes.add_hint(&Span::flag("the host pattern"), what, hint);
        return Err(mistakes);
    }
    Ok(hosts)
}

impl ReadyQuery {
    /// Returns the input of a verb that reads more than the inventory.
    pub(crate) const fn new(
        read: Read,
        look: Look,
        hosts: Vec<HostName>,
        connector: Connector,
        purpose: String,
    ) -> Self {
        Self { read, look, hosts, connector, purpose }
    }

    /// Returns every secret in the configuration, to redact host output.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let mut secrets: Vec<Secret> = Vec::new();
        for node in self.read.cluster.nodes() {
            for secret in config::render(&self.read.cluster, node).secrets {
                if !secrets.contains(&secret) {
                    secrets.push(secret);
                }
            }
        }
        // Longest first: a secret that contains another one must be redacted as a whole.
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        secrets
    }

    /// Checks the host keys, then runs `work` until the second interrupt.
    pub(crate) fn ask<T, F: Future<Output = Result<T, Exit>>>(
        &self,
        work: impl FnOnce(QuerySession) -> F,
    ) -> Result<T, Exit> {
        let runtime = process::runtime()?;
        let done = runtime.block_on(async {
            let (stop, leave) = interrupts();
            let asking = async {
                connect::know_hosts(&self.connector, &self.hosts, self.look.json).await?;
                let (run, operator) = (process::run_id(), process::operator());
                work(QuerySession {
                    peers: self.hosts.iter().cloned().map(HostClient::new).collect(),
                    connect: Arc::new(self.connector.clone()),
                    terms: QueryOptions::look(run, operator, self.purpose.clone(), stop.clone()),
                })
                .await
            };
            tokio::select! {
                done = asking => done,
                () = leave.requested() => Err(Exit::new(Kind::Interrupted, "interrupted; hosts finish the command in progress")),
            }
        });
        runtime.shutdown_background();
        done
    }
}

/// The first Ctrl-C (or SIGTERM) stops gracefully, the second exits immediately.
fn interrupts() -> (Stop, Stop) {
    let (stop, stopped) = watch::channel(false);
    let (leave, left) = watch::channel(false);
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        for signal in [&stop, &leave] {
            tokio::select! {
                heard = tokio::signal::ctrl_c() => if heard.is_err() { return },
                _ = terminate.recv() => {}
            }
            signal.send_replace(true);
        }
        // Keep the senders open: a closed channel would be read as an interrupt.
        std::future::pending::<()>().await;
    });
    (Stop::new(stopped), Stop::new(left))
}
